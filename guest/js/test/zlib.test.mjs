// Node's zlib in the layer, compared with Node itself. The bytes are moved by Node's own natives
// here; those of the guest are tested in sandboxes (tests/it/zlib.rs).

import assert from 'node:assert/strict';
import test from 'node:test';
import { inLayer, same } from './compare.mjs';

const ATTEMPT = `
  const tell = (e) => [e.name, e.code, e.errno, e.message, Object.keys(e)];
  const attempt = (work) => { try { return work(); } catch (e) { return tell(e); } };
  const text = (n) => Array.from({ length: n }, (_, i) => (i * i % 97).toString(36)).join('');
`;

test('what the module has', async () => {
  await same(`
    const zlib = require('node:zlib');
    return [Object.keys(zlib).sort(), zlib.constants, zlib.codes, zlib.Z_FINISH,
      Object.keys(zlib.createGzip()).sort(), zlib.createGzip().constructor.name,
      zlib.Gzip() instanceof zlib.Gzip, zlib.createGzip() instanceof require('stream').Transform];`);
});

test('there and back, at once', async () => {
  await same(`${ATTEMPT}
    const zlib = require('zlib');
    const found = [];
    for (const [there, back] of [['gzip', 'gunzip'], ['deflate', 'inflate'], ['gzip', 'unzip'],
      ['deflateRaw', 'inflateRaw'], ['deflate', 'unzip'], ['brotliCompress', 'brotliDecompress']]) {
      for (const input of ['', 'x', text(100), text(200000), Buffer.from([0, 255]),
        new Uint16Array([1, 2, 3]), new Uint8Array([9, 8]).buffer]) {
        const packed = zlib[there + 'Sync'](input);
        const out = zlib[back + 'Sync'](packed);
        found.push(packed.length, out.length, out.toString('latin1').slice(-100), Buffer.isBuffer(out));
      }
    }
    return found;`);
});

test('the functions with a callback, and promisified', async () => {
  await same(`${ATTEMPT}
    const zlib = require('zlib');
    const { promisify } = require('util');
    const log = [];
    await new Promise((done) => zlib.gzip('abc', (error, out) => {
      log.push(error, zlib.gunzipSync(out).toString()); done();
    }));
    log.push('later');
    const out = await promisify(zlib.deflate)(text(1000), { level: 9 });
    log.push((await promisify(zlib.inflate)(out)).length);
    log.push(await promisify(zlib.inflate)('nonsense').catch(tell));
    log.push(await promisify(zlib.brotliDecompress)(Buffer.from([255, 1, 2])).catch(tell));
    log.push(attempt(() => zlib.gzip('x')), attempt(() => zlib.gzip(5, () => {})));
    return log;`);
});

test('errors and their codes', async () => {
  await same(`${ATTEMPT}
    const zlib = require('zlib');
    const withDictionary = zlib.deflateSync('hello hello', { dictionary: Buffer.from('hello') });
    const gz = zlib.gzipSync(text(500));
    const flipped = Buffer.from(gz); flipped[gz.length - 6] ^= 1;
    return [
      () => zlib.gunzipSync(Buffer.from('xx')),
      () => zlib.gunzipSync(gz.subarray(0, 20)),
      () => zlib.gunzipSync(flipped),
      () => zlib.gunzipSync(Buffer.alloc(0)),
      () => zlib.inflateSync(Buffer.from([0x78, 0x9c, 0xff])),
      () => zlib.inflateRawSync(Buffer.from([0xff, 0xff])),
      () => zlib.inflateSync(withDictionary),
      () => zlib.inflateSync(withDictionary, { dictionary: Buffer.from('no') }),
      () => zlib.inflateSync(withDictionary, { dictionary: Buffer.from('hello') }).toString(),
      () => zlib.brotliDecompressSync(Buffer.from('hello world, not brotli')),
      () => zlib.brotliDecompressSync(zlib.brotliCompressSync('hello').subarray(0, 4)),
      () => zlib.inflateSync(zlib.deflateSync(Buffer.alloc(1e5)), { maxOutputLength: 10 }),
      () => zlib.inflateSync(zlib.deflateSync(Buffer.alloc(100)), { maxOutputLength: 100 }).length,
      () => zlib.deflateSync(5), () => zlib.deflateSync(), () => zlib.deflateSync(null),
      () => zlib.deflateSync({}), () => zlib.deflateSync('x', { level: 99 }),
      () => zlib.deflateSync('x', { chunkSize: 1 }), () => zlib.deflateSync('x', { level: 'a' }),
      () => zlib.deflateSync('x', { windowBits: 77 }), () => zlib.gzipSync('x', { windowBits: 8 }),
      () => zlib.deflateSync('x', { memLevel: Infinity }), () => zlib.deflateSync('x', { flush: 9 }),
      () => zlib.deflateSync('x', { strategy: -1 }), () => zlib.deflateSync('x', { dictionary: 5 }),
      () => zlib.brotliCompressSync('x', { params: { 99: 1 } }),
      () => zlib.brotliCompressSync('x', { params: { 1: 'q' } }),
      () => zlib.inflateSync(zlib.deflateSync('x', { level: NaN })).toString(),
    ].map(attempt);`);
});

test('options, several members, and what comes after the end', async () => {
  await same(`${ATTEMPT}
    const zlib = require('zlib');
    const { constants } = zlib;
    const two = Buffer.concat([zlib.gzipSync('one'), zlib.gzipSync('two')]);
    const half = zlib.gzipSync(text(3000)).subarray(0, 900);
    const partial = zlib.gunzipSync(half, { finishFlush: constants.Z_SYNC_FLUSH });
    return [
      zlib.gunzipSync(two).toString(), zlib.unzipSync(two).toString(),
      attempt(() => zlib.gunzipSync(Buffer.concat([two, Buffer.alloc(5)])).toString()),
      attempt(() => zlib.gunzipSync(Buffer.concat([two, Buffer.from([50, 50, 1])]))),
      zlib.inflateSync(Buffer.concat([zlib.deflateSync('x'), Buffer.from('rest')])).toString(),
      text(3000).startsWith(partial.toString()), partial.length > 100,
      zlib.deflateSync(text(1000), { level: 0 }).length,
      zlib.deflateRawSync('x'.repeat(99), { strategy: constants.Z_HUFFMAN_ONLY }).length,
      zlib.inflateRawSync(zlib.deflateRawSync('small', { windowBits: 8 })).toString(),
      zlib.brotliDecompressSync(zlib.brotliCompressSync(text(5000), { chunkSize: 64, params: {
        [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_SIZE_HINT]: 5000,
        [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
      } }), { chunkSize: 64 }).length,
      Object.keys(zlib.gzipSync('x', { info: true })),
    ];`);
});

test('streams: pieces, flush, params, events', async () => {
  await same(`${ATTEMPT}
    const zlib = require('zlib');
    const { Readable, pipeline } = require('stream');
    const promises = require('stream/promises');
    const log = [];
    const collected = [];
    await promises.pipeline(
      Readable.from([text(50000), text(7), '', text(100000)]), zlib.createGzip({ chunkSize: 128 }),
      zlib.createGunzip({ chunkSize: 64 }), async (source) => {
        for await (const chunk of source) collected.push(chunk);
      });
    log.push(Buffer.concat(collected).toString() === text(50000) + text(7) + text(100000));
    const deflate = zlib.createDeflate();
    const inflate = zlib.createInflate();
    deflate.pipe(inflate);
    let heard = '';
    inflate.on('data', (chunk) => { heard += chunk; });
    deflate.write('first');
    await new Promise((done) => deflate.flush(done));
    await new Promise((done) => setTimeout(done, 5));
    log.push(heard, deflate.bytesWritten);
    await new Promise((done) => deflate.params(0, 0, done));
    deflate.end('second');
    await new Promise((done) => inflate.on('end', done));
    log.push(heard);
    await new Promise((done) => deflate.close(done));
    log.push(deflate.destroyed, deflate._closed);
    const bad = zlib.createGunzip();
    const failed = new Promise((done) => bad.on('error', done));
    bad.write('not gzip at all');
    log.push(tell(await failed), bad.destroyed);
    const cut = zlib.createGunzip();
    const short = new Promise((done) => cut.on('error', done));
    cut.on('data', () => {});
    cut.end(zlib.gzipSync('hello').subarray(0, 15));
    log.push(tell(await short));
    const tail = zlib.createInflate();
    tail.end(Buffer.concat([zlib.deflateSync('body'), Buffer.from('tail')]));
    const out = [];
    for await (const chunk of tail) out.push(String(chunk));
    log.push(out, tail.bytesWritten);
    return log;`);
});

test('a stream that nobody reads stops at its high-water mark', async () => {
  const [pushed, ended] = await same(`
    const zlib = require('zlib');
    const packed = zlib.deflateSync(Buffer.alloc(10_000_000));
    const inflate = zlib.createInflate();
    inflate.end(packed);
    await new Promise((done) => setTimeout(done, 30));
    const waiting = inflate.readableLength;
    let total = 0;
    for await (const chunk of inflate) total += chunk.length;
    return [waiting <= 65536, total];`);
  assert.deepEqual([pushed, ended], [true, 10_000_000]);
});

test('classes to inherit from, reset, and the synchronous side of a stream', async () => {
  await same(`
    const zlib = require('zlib');
    const util = require('util');
    function Mine(options) { zlib.Inflate.call(this, options); }
    util.inherits(Mine, zlib.Inflate);
    class Gz extends zlib.Gzip {}
    const mine = new Mine();
    const out = mine._processChunk(zlib.deflateSync('old style'), zlib.constants.Z_FINISH);
    const gz = new Gz();
    gz.end('new style');
    const chunks = [];
    for await (const chunk of gz) chunks.push(chunk);
    const again = zlib.createDeflateRaw();
    await new Promise((done) => again.write('lost', done));
    again.reset(); again.end('kept');
    const kept = [];
    for await (const chunk of again) kept.push(chunk);
    return [out.toString(), zlib.gunzipSync(Buffer.concat(chunks)).toString(),
      zlib.inflateRawSync(Buffer.concat(kept)).toString()];`);
});

test('crc32', async () => {
  await same(`${ATTEMPT}
    const { crc32 } = require('zlib');
    return [crc32('hello'), crc32(''), crc32('lo', crc32('hel')), crc32(new Uint16Array([1, 2])),
      crc32(new DataView(new ArrayBuffer(3))), attempt(() => crc32(5)), attempt(() => crc32('x', 'x')),
      attempt(() => crc32(new ArrayBuffer(2)))];`);
});

test('compression streams', async () => {
  await same(`
    const zlib = require('zlib');
    const through = async (chunks, stream) => {
      const source = new ReadableStream({
        start(c) { for (const chunk of chunks) c.enqueue(chunk); c.close(); },
      });
      const parts = [];
      for await (const part of source.pipeThrough(stream)) parts.push(part);
      return Buffer.concat(parts);
    };
    const log = [];
    const data = new Uint8Array(100000).map((_, i) => i % 251);
    for (const format of ['gzip', 'deflate', 'deflate-raw']) {
      const packed = await through([data, data], new CompressionStream(format));
      const whole = await through([packed.subarray(0, 9), packed.subarray(9)], new DecompressionStream(format));
      log.push(whole.length, zlib.crc32(whole));
    }
    log.push(zlib.gunzipSync(await through([data], new CompressionStream('gzip'))).length);
    log.push((await through([zlib.deflateSync('x')], new DecompressionStream('deflate'))).toString());
    for (const make of [() => new CompressionStream('br'), () => new DecompressionStream()]) {
      try { make(); } catch (e) { log.push([e.name, e.code]); }
    }
    log.push(Object.prototype.toString.call(new CompressionStream('gzip')));
    log.push(require('stream/web').CompressionStream === CompressionStream);
    return log;`);
});

test('a decompression stream refuses what is not its format, cut, or followed by more', async () => {
  const found = await inLayer(`
    const zlib = require('zlib');
    const attempt = async (format, ...chunks) => {
      const source = new ReadableStream({
        start(c) { for (const chunk of chunks) c.enqueue(chunk); c.close(); },
      });
      try {
        return await new Response(source.pipeThrough(new DecompressionStream(format))).text();
      } catch (e) { return [e.name, e.code, e.message]; }
    };
    const gz = zlib.gzipSync('hello');
    return [await attempt('gzip', gz), await attempt('gzip', Buffer.from('hello')),
      await attempt('gzip', gz.subarray(0, 12)), await attempt('gzip', gz, Buffer.from([0])),
      await attempt('deflate', Buffer.concat([zlib.deflateSync('x'), Buffer.from('y')])),
      await attempt('gzip', 'text')];`);
  const trailing = 'Trailing data after the end of the compressed stream';
  assert.deepEqual(found, [
    'hello',
    ['TypeError', 'Z_DATA_ERROR', 'incorrect header check'],
    ['TypeError', 'Z_BUF_ERROR', 'unexpected end of file'],
    ['TypeError', null, trailing],
    ['TypeError', null, trailing],
    [
      'TypeError',
      'ERR_INVALID_ARG_TYPE',
      'The "chunk" argument must be an instance of ArrayBuffer or ArrayBufferView. ' +
        "Received type string ('text')",
    ],
  ]);
});
