// The smaller modules, compared with Node: punycode, string_decoder, diagnostics_channel, readline.

import assert from 'node:assert/strict';
import test from 'node:test';
import { inLayer, same } from './compare.mjs';

test('punycode', async () => {
  await same(`
    const p = require('node:punycode');
    return [p.encode('mañana'), p.decode('maana-pta'), p.toASCII('mañana.com'), p.toASCII('例え@例え.jp'),
      p.toUnicode('xn--maana-pta.com'), p.ucs2.decode('a𝒳b'), p.ucs2.encode([97, 0x1d4b3]),
      Object.keys(p).sort()];`);
});

test('string_decoder, for every encoding and every cut', async () => {
  await same(`
    const { StringDecoder } = require('string_decoder');
    const bytes = Buffer.from([0x61, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0xff, 0xc3, 0x28, 0xe2, 0x82]);
    const found = [];
    for (const encoding of ['utf8', 'utf16le', 'base64', 'latin1', 'hex', 'ascii', 'base64url']) {
      for (let size = 1; size <= bytes.length; size++) {
        const decoder = new StringDecoder(encoding);
        let text = '';
        for (let at = 0; at < bytes.length; at += size) text += decoder.write(bytes.subarray(at, at + size));
        found.push(text + '|' + decoder.end(), decoder.encoding);
      }
    }
    return found;`);
});

test('diagnostics_channel', async () => {
  await same(`
    const dc = require('diagnostics_channel');
    const { AsyncLocalStorage } = require('async_hooks');
    const log = [];
    const a = dc.channel('a');
    const listener = (message, name) => log.push([message, name]);
    log.push(a === dc.channel('a'), a.hasSubscribers, dc.hasSubscribers('a'));
    dc.subscribe('a', listener); a.publish({ x: 1 });
    log.push(a.hasSubscribers, dc.unsubscribe('a', listener), dc.unsubscribe('a', listener));
    a.publish('unheard');
    const store = new AsyncLocalStorage();
    a.bindStore(store, (data) => data * 2);
    log.push(a.runStores(4, function (x) { return [store.getStore(), this.t, x]; }, { t: 1 }, 5));
    a.unbindStore(store);
    const trace = dc.tracingChannel('op');
    const seen = [];
    const note = (name) => (message) => seen.push([name, Object.keys(message).sort()]);
    const handlers = { start: note('start'), end: note('end'), error: note('error'),
      asyncStart: note('asyncStart'), asyncEnd: note('asyncEnd') };
    trace.subscribe(handlers);
    log.push(trace.traceSync((x) => x + 1, {}, null, 1));
    try { trace.traceSync(() => { throw new Error('no'); }); } catch (e) { log.push(e.message); }
    log.push(await trace.tracePromise(async (x) => x * 3, {}, null, 2));
    await trace.tracePromise(async () => { throw new Error('nope'); }).catch((e) => log.push(e.message));
    await new Promise((done) => trace.traceCallback((x, callback) => setImmediate(callback, null, x), -1,
      {}, null, 7, (error, value) => { log.push(value); done(); }));
    log.push(trace.unsubscribe(handlers));
    return [log, seen];`);
});

test('readline reads lines from streams', async () => {
  await same(`
    const readline = require('readline');
    const { Readable } = require('stream');
    const lines = [];
    const input = () => Readable.from(['one\\ntw', 'o\\r\\nth\\u00e9', 'ree\\n\\nlast'].map((x) => Buffer.from(x)));
    for await (const line of readline.createInterface({ input: input(), crlfDelay: Infinity })) lines.push(line);
    const events = [];
    const rl = readline.createInterface({ input: input() });
    rl.on('line', (line) => events.push(line));
    await new Promise((done) => rl.on('close', done));
    return [lines, events];`);
  assert.deepEqual(
    await inLayer(`try { require('readline').createInterface({}); } catch (e) { return show(e); }`),
    [
      'Error',
      'ENOTSUP',
      'readline.createInterface() without an input: there is no terminal in Ampoule',
    ],
  );
});

test('string_decoder: invalid sequences, random bytes, and errors', async () => {
  await same(`
    const { StringDecoder } = require('string_decoder');
    let seed = 7;
    const random = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
    const parts = [0xf0, 0x9f, 0x98, 0x80, 0xe2, 0x82, 0xac, 0xc3, 0xa9, 0x41, 0xff, 0xed, 0xa0, 0xd8, 0x3d, 0xde, 0x00];
    const found = [];
    for (let round = 0; round < 400; round++) {
      const decoder = new StringDecoder(round % 2 ? 'utf8' : 'utf16le');
      let text = '';
      for (let i = 0; i < 5; i++) {
        const bytes = Array.from({ length: random(6) }, () => parts[random(parts.length)]);
        text += decoder.write(Buffer.from(bytes));
      }
      // Bytes that can become no character are told at once here, and at the end by Node.
      found.push(text + decoder.end());
    }
    const attempt = (work) => { try { return work(); } catch (e) { return show(e); } };
    return [found, attempt(() => new StringDecoder('no')), attempt(() => new StringDecoder().write(5)),
      new StringDecoder('UCS-2').encoding, new StringDecoder('binary').encoding,
      new StringDecoder('hex').end(Buffer.from('é')), new StringDecoder().write('text')];`);
});
