const { Readable, Writable, Transform, pipeline, pipelinePromise } = require('streamx');

module.exports = async () => {
  const chunks = ['a', 'b', null];
  const source = new Readable({ read(done) { this.push(chunks.shift()); done(null); } });
  const written = [];
  await pipelinePromise(source, new Transform({ transform(data, done) { this.push(`${data}!`); done(null); } }), new Writable({ write(data, done) { written.push(data); done(null); } }));
  const iterated = [];
  for await (const data of Readable.from([1, 2, 3])) iterated.push(data);
  const events = [];
  const failing = new Readable({ read(done) { done(new Error('no')); } });
  await new Promise((resolve) => { failing.on('error', (error) => events.push(error.message)).on('close', resolve).resume(); });
  return { written, iterated, events, destroyed: failing.destroyed, pipeline: typeof pipeline };
};
