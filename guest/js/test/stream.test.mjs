// Node's streams in the layer, compared with Node itself.

import assert from 'node:assert/strict';
import test from 'node:test';
import { inLayer, same } from './compare.mjs';

test('require(stream) has what Node has', async () => {
  await same(`
    const stream = require('node:stream');
    const parts = ['Readable', 'Writable', 'Duplex', 'Transform', 'PassThrough', 'Stream',
      'pipeline', 'finished', 'compose', 'addAbortSignal', 'getDefaultHighWaterMark',
      'setDefaultHighWaterMark', 'isReadable', 'isErrored', 'isDisturbed', 'destroy', 'promises',
      'duplexPair'];
    return [
      typeof stream, stream === stream.Stream, parts.map((name) => typeof stream[name]),
      ['fromWeb', 'toWeb', 'from'].map((name) => typeof stream.Readable[name]),
      stream.promises === require('stream/promises'),
      stream.getDefaultHighWaterMark(false), stream.getDefaultHighWaterMark(true),
      Object.keys(require('stream/promises')).sort(),
      Object.keys(require('stream/consumers')).sort(),
      new stream.Readable() instanceof require('events'),
    ];`);
});

test('Readable, in both of its modes', async () => {
  await same(`
    const { Readable } = require('stream');
    const log = [];
    const r = new Readable({ read() {} });
    r.push('ab'); r.push(Buffer.from('cd')); r.push(null);
    r.on('data', (chunk) => log.push(String(chunk), Buffer.isBuffer(chunk)));
    await new Promise((done) => r.on('end', () => { log.push('end'); done(); }));
    const bytes = Readable.from(['x', 'y', 'zz'], { objectMode: false });
    let joined = '';
    for await (const chunk of bytes) joined += chunk;
    log.push(joined);
    const text = new Readable({ read() {}, encoding: 'utf8' });
    text.push(Buffer.from([0xe2, 0x82])); text.push(Buffer.from([0xac])); text.push(null);
    log.push((await text.toArray()).join('|'));
    return log;`);
});

test('Readable.from, and what stands on its prototype', async () => {
  await same(`
    const { Readable } = require('stream');
    async function* numbers() { for (let i = 1; i <= 6; i++) yield i; }
    return [
      await Readable.from(numbers()).map((n) => n * 2).filter((n) => n % 3 !== 0).toArray(),
      await Readable.from(numbers()).reduce((a, b) => a + b, 0),
      await Readable.from(numbers()).drop(1).take(2).toArray(),
      await Readable.from(numbers()).some((n) => n > 5),
      await Readable.from([[1, 2], [3]]).flatMap((x) => x).toArray(),
      await Readable.from('text').toArray(),
      await Readable.from(Buffer.from('text')).map(String).toArray(),
    ];`);
});

test('Writable: writev, final, back-pressure, and the order of events', async () => {
  await same(`
    const { Writable } = require('stream');
    const log = [];
    const w = new Writable({
      highWaterMark: 4,
      write(chunk, encoding, callback) {
        log.push('w ' + chunk + ' ' + encoding);
        setImmediate(callback);
      },
      writev(chunks, callback) { log.push(chunks.map(({ chunk }) => String(chunk))); callback(); },
      final(callback) { log.push('final'); callback(); },
    });
    for (const event of ['drain', 'finish', 'close', 'prefinish']) w.on(event, () => log.push(event));
    log.push(w.write('one'), w.write('two'), w.write('three'), w.writableLength);
    w.cork(); w.write('a'); w.write('b'); w.uncork();
    w.end('last', () => log.push('ended'));
    await new Promise((done) => w.on('close', done));
    w.on('error', () => {});
    const error = await new Promise((done) => w.write('late', done));
    log.push(show(error), w.destroyed, w.writableFinished);
    return log;`);
});

test('Transform, PassThrough and pipe', async () => {
  await same(`
    const { PassThrough, Readable, Transform } = require('stream');
    const upper = new Transform({
      transform(chunk, _e, callback) { callback(null, String(chunk).toUpperCase()); },
      flush(callback) { this.push('!'); callback(); },
    });
    const out = [];
    Readable.from(['a', 'b']).pipe(upper).pipe(new PassThrough()).on('data', (c) => out.push(String(c)));
    await new Promise((done) => upper.on('end', done));
    await new Promise((done) => setTimeout(done, 5));
    const objects = new Transform({
      objectMode: true, transform: (x, _e, callback) => callback(null, { was: x }),
    });
    objects.write(1); objects.end({ two: 2 });
    return [out, await objects.toArray()];`);
});

test('pipeline and finished, by callback and by promise', async () => {
  await same(`
    const { PassThrough, Readable, Writable, finished, pipeline } = require('stream');
    const promises = require('stream/promises');
    const log = [];
    const sink = () => new Writable({
      write(chunk, _e, callback) { log.push(String(chunk)); callback(); },
    });
    await promises.pipeline(Readable.from(['a', 'b']), async function* (source) {
      for await (const chunk of source) yield chunk + chunk;
    }, sink());
    await new Promise((done) => pipeline(Readable.from(['c']), sink(), (error) => {
      log.push('done', error === undefined); done();
    }));
    const broken = new Readable({ read() { this.destroy(new Error('broken')); } });
    await promises.pipeline(broken, new PassThrough(), sink()).catch((e) => log.push(show(e)));
    const cut = new PassThrough();
    cut.on('error', () => {});
    const ended = promises.finished(cut);
    cut.destroy();
    await ended.catch((e) => log.push(show(e)));
    const controller = new AbortController();
    const aborted = promises.pipeline(
      new Readable({ read() {} }), sink(), { signal: controller.signal });
    controller.abort();
    await aborted.catch((e) => log.push(show(e)));
    log.push(await promises.pipeline(Readable.from([1, 2]), async (source) => {
      let sum = 0;
      for await (const n of source) sum += n;
      return sum;
    }));
    return log;`);
});

test('errors: codes, and when they come', async () => {
  await same(`
    const { Duplex, Readable, Writable, addAbortSignal } = require('stream');
    const log = [];
    const attempt = (work) => { try { work(); } catch (e) { log.push([e.name, e.code]); } };
    attempt(() => new Writable({ write() {} }).write(null));
    attempt(() => new Writable({ write() {} }).write({}));
    attempt(() => new Readable({ highWaterMark: -1 }));
    attempt(() => Readable.from(5));
    const failure = (stream) => new Promise((done) => stream.on('error', (e) => done(show(e))));
    const unread = new Readable(); unread.read(); log.push(await failure(unread));
    attempt(() => new Writable().write('x'));
    const after = new Readable({ read() {} });
    after.push(null); after.push('x'); log.push(await failure(after));
    const controller = new AbortController();
    const given = addAbortSignal(controller.signal, new Readable({ read() {} }));
    controller.abort(); log.push(await failure(given));
    return log;`);
});

test('compose and Duplex.from', async () => {
  await same(`
    const { Duplex, Readable, Transform, compose } = require('stream');
    const twice = new Transform({ transform(c, _e, done) { done(null, c + c); } });
    const both = compose(twice, async function* (source) {
      for await (const c of source) yield String(c).toUpperCase();
    });
    both.end('ab');
    const out = [];
    for await (const c of both) out.push(String(c));
    const made = Duplex.from(async function* (source) {
      for await (const c of source) yield 'got ' + c;
    });
    made.end('x');
    for await (const c of made) out.push(String(c));
    for await (const c of Duplex.from(new Blob(['blob']))) out.push(Buffer.from(c).toString());
    return out;`);
});

test('old style: classes by util.inherits, and legacy Stream', async () => {
  await same(`
    const { Readable, Stream } = require('stream');
    const util = require('util');
    function Counter() { Readable.call(this, { objectMode: true }); this.n = 0; }
    util.inherits(Counter, Readable);
    Counter.prototype._read = function () { this.push(this.n < 3 ? ++this.n : null); };
    const legacy = new Stream(); legacy.readable = true;
    return [await new Counter().toArray(), typeof legacy.pipe, new Counter() instanceof Stream];`);
});

test('to the web and back', async () => {
  await same(`
    const { Duplex, PassThrough, Readable, Transform, Writable } = require('stream');
    const log = [];
    const web = Readable.toWeb(Readable.from([Buffer.from('ab'), Buffer.from('c')], { objectMode: false }));
    for await (const chunk of web) log.push(chunk.constructor.name, Buffer.from(chunk).toString());
    const node = Readable.fromWeb(new ReadableStream({
      start(c) { c.enqueue(new Uint8Array([1, 2])); c.enqueue(new Uint8Array([3])); c.close(); },
    }));
    const bytes = [];
    for await (const chunk of node) bytes.push(...chunk);
    log.push(bytes);
    const writer = Writable.toWeb(new Writable({
      write(chunk, _e, done) { log.push('w' + chunk); setImmediate(done); },
    })).getWriter();
    writer.write('1'); await writer.write('2'); await writer.close();
    const into = Writable.fromWeb(new WritableStream({
      write(chunk) { log.push('i' + Buffer.from(chunk)); }, close() { log.push('closed'); },
    }));
    into.write('3'); into.end('4');
    await new Promise((done) => into.on('close', done));
    const { readable, writable } = Duplex.toWeb(new PassThrough());
    const w = writable.getWriter(); w.write('x'); w.close();
    for await (const chunk of readable) log.push('d' + Buffer.from(chunk));
    const duplex = Duplex.fromWeb(new TransformStream({
      transform(chunk, c) { c.enqueue('<' + Buffer.from(chunk) + '>'); },
    }), { encoding: 'utf8', objectMode: true });
    duplex.end('y');
    for await (const chunk of duplex) log.push(chunk);
    return log;`);
});

test('errors on the way to the web and back', async () => {
  await same(`
    const { Readable, Writable } = require('stream');
    const log = [];
    const web = Readable.toWeb(new Readable({ read() { this.destroy(new Error('source')); } }));
    await web.getReader().read().catch((e) => log.push(e.message));
    const node = Readable.fromWeb(new ReadableStream({ pull(c) { c.error(new Error('web')); } }));
    await node.toArray().catch((e) => log.push(e.message));
    let cancelled = 0;
    const left = Readable.fromWeb(new ReadableStream({
      pull(c) { c.enqueue(new Uint8Array(1)); }, cancel() { cancelled++; },
    }));
    for await (const chunk of left) break;
    log.push(cancelled);
    const given = Readable.from(['a', 'b', 'c']);
    await Readable.toWeb(given).cancel();
    log.push(given.destroyed);
    for (const bad of [() => Readable.fromWeb({}), () => Readable.toWeb({}), () => Writable.fromWeb(1)]) {
      try { bad(); } catch (e) { log.push([e.name, e.code]); }
    }
    return log;`);
});

test('web streams in pipeline and finished', async () => {
  await same(`
    const { PassThrough, Readable } = require('stream');
    const { finished, pipeline } = require('stream/promises');
    const log = [];
    const web = () => new ReadableStream({ start(c) { c.enqueue('a'); c.enqueue('b'); c.close(); } });
    await pipeline(web(), new WritableStream({ write(c) { log.push(c); } }));
    await pipeline(web(), async function* (source) { for await (const c of source) yield c + '!'; },
      async (source) => { for await (const c of source) log.push(c); });
    await pipeline(Readable.from(['n']), new WritableStream({ write(c) { log.push(String(c)); } }));
    const broken = new ReadableStream({ start(c) { c.error(new Error('no')); } });
    await finished(broken).catch((e) => log.push(e.message));
    const open = web();
    const ended = finished(open);
    for await (const c of open) log.push(c);
    await ended;
    return log;`);
});

test('stream/consumers', async () => {
  await same(`
    const { Readable } = require('stream');
    const consumers = require('stream/consumers');
    const bytes = () => Readable.from([Buffer.from('{"a":"'), Buffer.from([0xe2, 0x82]),
      Buffer.from([0xac]), Buffer.from('"}')]);
    const blob = await consumers.blob(bytes());
    return [
      await consumers.text(bytes()), await consumers.json(bytes()),
      (await consumers.buffer(bytes())).toString('hex'),
      (await consumers.arrayBuffer(bytes())).byteLength, blob.size, await blob.text(),
      await consumers.text(new ReadableStream({ start(c) { c.enqueue('x'); c.close(); } })),
      await consumers.json(Readable.from(['no'])).catch((e) => e.name),
    ];`);
});

test('duplexPair', async () => {
  await same(`
    const { duplexPair } = require('stream');
    const [a, b] = duplexPair();
    const heard = ['', ''];
    a.on('data', (chunk) => (heard[0] += chunk));
    b.on('data', (chunk) => (heard[1] += chunk));
    a.write('to b'); a.end(', all'); b.end('to a');
    await Promise.all([a, b].map((side) => new Promise((done) => side.on('close', done))));
    return heard;`);
});

test('an exception in a stream ends the invocation as any other', async () => {
  await assert.rejects(
    inLayer(`
      const { Readable } = require('stream');
      Readable.from(['x']).on('data', () => { throw new Error('in a listener'); });
      await new Promise(() => {});`),
    /in a listener/,
  );
});
