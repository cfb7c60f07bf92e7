const { Readable, Transform, Writable, PassThrough, pipeline, finished, Duplex } = require('readable-stream');

module.exports = async () => {
  const upper = new Transform({ transform(chunk, _, done) { done(null, chunk.toString().toUpperCase()); } });
  const written = [];
  await new Promise((resolve, reject) => pipeline(
    Readable.from(['a', 'b', 'c']), upper,
    new Writable({ highWaterMark: 1, write(chunk, _, done) { written.push(String(chunk)); setTimeout(done, 1); } }),
    (error) => (error ? reject(error) : resolve()),
  ));
  const objects = [];
  for await (const chunk of Readable.from([{ n: 1 }, { n: 2 }]).map?.(({ n }) => n * 2) ?? []) objects.push(chunk);
  const failed = await new Promise((resolve) => {
    const stream = new PassThrough();
    finished(stream, (error) => resolve(error?.message ?? null));
    stream.destroy(new Error('broken'));
  });
  const small = new Readable({ highWaterMark: 2, read() {} });
  return { written, objects, failed, full: [small.push('a'), small.push('bcd')], duplex: Duplex.from ? 'from' : 'none', encoded: (() => { const r = new PassThrough({ encoding: 'hex' }); r.end('é'); return r.read(); })() };
};
