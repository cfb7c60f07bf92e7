// `Buffer` and `node:buffer` in the layer, compared with Node itself.

import test from 'node:test';
import { same } from './compare.mjs';

const T =
  'const t = (f) => { try { const v = f(); return typeof v === "bigint" ? v + "n" : Number.isNaN(v) ? "NaN" : v } catch (e) { return show(e) } };';

test('numbers', async () => {
  await same(`${T}
    const out = [];
    const bytes = [0x80, 0x01, 0xff, 0x7f, 0x00, 0xfe, 0x12, 0x34, 0x56, 0xc0];
    const names = Object.getOwnPropertyNames(Buffer.prototype).sort();
    for (const name of names.filter((n) => /^read/.test(n))) {
      const b = Buffer.from(bytes);
      for (const args of [[], [0], [1], [2], [5], [6], [7], [8], [9], [10], [-1], [1.5], ['1'], [null], [NaN], [Infinity]]) {
        if (/Int[LB]E$/i.test(name)) for (const size of [0, 1, 2, 3, 4, 5, 6, 7, undefined, '1', 1.5]) out.push([name, args, t(() => b[name](...(args.length ? args : [undefined]), size))]);
        else out.push([name, args, t(() => b[name](...args))]);
      }
      out.push(t(() => Buffer.alloc(0)[name](0, 1)));
    }
    return out;`);
});

test('writing numbers', async () => {
  await same(`${T}
    const out = [];
    const names = Object.getOwnPropertyNames(Buffer.prototype).sort();
    for (const name of names.filter((n) => /^write./.test(n))) {
      const isBig = /Big/.test(name);
      const values = isBig ? [0n, 1n, -1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n, -(2n ** 63n), -(2n ** 63n) - 1n, 5, 'x']
        : [0, 1, -1, 1.7, -1.7, 127, 128, 255, 256, -128, -129, 32767, 65535, 65536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, -(2 ** 31), 2 ** 40, 2 ** 48, -(2 ** 47), NaN, Infinity, '7', null, undefined];
      for (const value of values) {
        for (const args of [[], [1], [9], [-1], ['x'], [1.5]]) {
          const b = Buffer.alloc(10, 0xaa);
          if (/Int[LB]E$/i.test(name)) { for (const size of [1, 2, 3, 4, 5, 6, 7]) out.push([name, String(value), args, size, t(() => b[name](value, args.length ? args[0] : 0, size)), b.toString('hex')]); }
          else out.push([name, String(value), args, t(() => b[name](value, ...args)), b.toString('hex')]);
        }
      }
    }
    return out;`);
});

test('making, filling, joining', async () => {
  await same(`${T}
    const out = [];
    for (const args of [[5], ['x'], [5, 1], [5, 'ab'], [7, 'abc'], [5, ''], [5, 'é'], [4, 'zz', 'hex'], [5, '6162', 'hex'], [5, 'YWI', 'base64'], [5, 'abc', 'q'], [5, Buffer.from('xy')], [5, 257], [5, true], [5, null], [3, 'a']]) out.push(t(() => Buffer.alloc(...args)));
    for (const args of [['x'], ['x', 1], ['xy', 1, 3], ['xy', 'utf8'], ['6162', 1, 'hex'], ['x', 1, 3, 'latin1'], [0], [300], [-1], [''], [5, 2], [5, 3, 2], [5, 0, 99], [Buffer.alloc(0)], [new Uint8Array([1, 2])], ['x', '1']]) out.push(t(() => Buffer.alloc(5, 0xee).fill(...args)));
    for (const value of [5, undefined, null, true, Symbol.iterator, 5n, () => {}, 'x', [1, 2, 300, -1, 1.5], { length: 2, 0: 7 }, new Uint16Array([1, 258]), { type: 'Buffer', data: [1, 2] }, new String('boxed'), { valueOf: () => 'v' }]) out.push(t(() => Buffer.from(value)));
    for (const encoding of ['utf8', 'UTF-8', 'hex', 'base64', 'base64url', 'latin1', 'binary', 'ascii', 'ucs2', 'utf16le', 'q', '']) {
      for (const text of ['', 'a', 'häß€😀', '616', '61zz', 'YWJj', 'YW-_', 'YWI=', ' YW I ']) out.push(t(() => Buffer.from(text, encoding)), t(() => Buffer.byteLength(text, encoding)));
      out.push(Buffer.isEncoding(encoding), t(() => Buffer.from([0x61, 0xc3, 0xa4, 0xff, 0x80]).toString(encoding)), t(() => Buffer.from('abcdef').toString(encoding, 1, 4)));
    }
    for (const bad of [5, null, undefined, {}]) out.push(Buffer.isEncoding(bad), t(() => Buffer.byteLength(bad)), t(() => Buffer.concat(bad)), bad === null || bad === undefined || t(() => Buffer.concat([bad])), t(() => Buffer.compare(bad, Buffer.alloc(1))), t(() => Buffer.alloc(1).equals(bad)), t(() => Buffer.alloc(3).write(bad)));
    out.push(Buffer.concat([Buffer.from('ab'), new Uint8Array([99]), Buffer.alloc(0)]), Buffer.concat([Buffer.from('abc')], 2), Buffer.concat([Buffer.from('abc')], 5), Buffer.concat([]), t(() => Buffer.concat([], -1)));
    out.push(Buffer.copyBytesFrom(new Uint16Array([1, 258, 3]), 1, 1), t(() => Buffer.copyBytesFrom(5)), Buffer.of(1, 2, 300), Buffer.allocUnsafe(3).length, t(() => Buffer.allocUnsafe('x')));
    out.push(t(() => Buffer.alloc(3).swap16()), Buffer.from('abcd').swap16().toString(), Buffer.from('abcd').utf8Slice(1, 3), Buffer.alloc(4).latin1Write('é', 1));
    return out;`);
});

test('node:buffer', async () => {
  await same(`${T}
    const b = require('buffer');
    const out = [];
    for (const [from, to] of [['utf8', 'latin1'], ['utf8', 'ascii'], ['utf8', 'ucs2'], ['utf8', 'utf8'], ['latin1', 'utf8'], ['utf8', 'q']]) out.push(t(() => b.transcode(Buffer.from('aé€😀'), from, to)));
    for (const bytes of [[97], [0xff], [0xc3, 0xa9], []]) out.push(b.isUtf8(Buffer.from(bytes)), b.isAscii(new Uint8Array(bytes)), b.isUtf8(new Uint8Array(bytes).buffer));
    out.push(t(() => b.isUtf8('x')), t(() => b.transcode(5, 'utf8', 'latin1')), Object.keys(b).sort(), b.Blob === Blob, b.atob === atob);
    out.push(new b.File(['x'], 'n').name, Object.keys(b.constants), b.INSPECT_MAX_BYTES, Object.getOwnPropertyNames(Buffer.prototype).filter((n) => typeof Buffer.prototype[n] === 'function').length > 90);
    return out;`);
});
