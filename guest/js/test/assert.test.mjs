// `node:assert` in the layer, compared with Node itself.

import test from 'node:test';
import { same } from './compare.mjs';

const HEAD = `
  const assert = require('assert');
  const told = (e) => [e?.name, e?.code, e?.generatedMessage, e?.operator, e?.message?.replace(/\\n[-+]? *(at |\\.\\.\\.|\\^$).*/g, '')];
  const t = (f) => { try { f(); return 'ok' } catch (e) { return told(e) } };
  const out = [];
`;

test('comparisons and their messages', async () => {
  await same(`${HEAD}
    const o = { a: 1 };
    const values = [1, 2, 0, -0, NaN, 'a', '1', 'b', 'a\\nb', null, undefined, true, 1n, o, { a: 1 }, { a: '1' }, { a: 2, b: [1, 2, { c: 3 }] },
      [], {}, [1, 2], [1, 2, 3], [1, '2'], [[1]], new Date(0), new Date(1), /x/, /x/g, new Map([[1, 2]]), new Map([[1, 3]]), new Set([1]), new Set([2]),
      new Set([{ a: 1 }, { a: 1, b: 1 }]), new Set([{ a: 1, b: 1 }, { a: 1 }]), new Error('x'), new Error('y'), new TypeError('x'), Object.create(null),
      new Uint8Array([1]), new Uint8Array([2]), Buffer.from('a'), Object(1), 'x'.repeat(50), 'y'.repeat(50), 'aaaaaaaaaaaab', 'aaaaaaaaaaaac'];
    const names = ['equal', 'notEqual', 'strictEqual', 'notStrictEqual', 'deepEqual', 'notDeepEqual', 'deepStrictEqual', 'notDeepStrictEqual'];
    for (let i = 0; i < values.length; i++) {
      for (let j = 0; j < values.length; j++) {
        for (const name of names) {
          const result = t(() => assert[name](values[i], values[j]));
          // What the lines of a difference are is told below.
          out.push(result === 'ok' || !result[4].includes('+ actual') ? result : result.slice(0, 4));
        }
      }
    }
    return out;`);
});

test('differences', async () => {
  await same(`${HEAD}
    const long = (n) => Array.from({ length: 20 }, (_, i) => i + (i === n ? 100 : 0));
    for (const [a, b] of [
      [{ a: 1, b: [1, 2, 3] }, { a: 1, b: [1, 2, 4] }], [long(-1), long(19)], [long(-1), long(10)], [long(-1), long(0)],
      [{ a: 1, b: 2, c: 3 }, { a: 1, c: 3 }], [{ a: 1 }, { a: 1, b: 2 }], [{ z: 1, y: 2 }, { y: 3, z: 1 }], [[1, 2], [1, 2, 3]],
      ['a', { a: 1 }], [new Map([['k', { v: 1 }]]), new Map([['k', { v: 2 }]])], [{ a: { b: { c: { d: 1 } } } }, { a: { b: { c: { d: 2 } } } }],
      ['one\\ntwo\\nthree\\nfour', 'one\\ntwo\\n3\\nfour'],
    ]) {
      for (const name of ['strictEqual', 'deepStrictEqual', 'deepEqual']) out.push(t(() => assert[name](a, b)), t(() => assert[name](a, b, 'mine')));
    }
    out.push(t(() => assert.strictEqual(1, 2, 'mm')), t(() => assert.strictEqual(1, 2, new RangeError('r'))), t(() => assert.strictEqual(1)), t(() => assert.deepEqual()));
    return out;`);
});

test('throws, rejects, match, fail, ifError', async () => {
  await same(`${HEAD}
    const boom = () => { throw new Error('a'); };
    const expectations = [[], [/a/], [/x/], [Error], [TypeError], [{ message: 'a' }], [{ message: 'b' }], [{ message: /b/ }], [{ message: /a/, name: 'Error' }],
      [() => true], [(e) => false], [function v() { return 0; }], ['a'], ['msg'], [5], [{}], [new Error('a')], [new Error('b')], [{ name: 'Error', code: 5 }],
      [/x/, 'mm'], [TypeError, 'mm'], [{ message: 'b' }, 'mm'], ['x', 'y'], [undefined, 'mm'], [null]];
    const p = (promise) => promise.then(() => 'ok', told);
    for (const args of expectations) {
      out.push(t(() => assert.throws(boom, ...args)), t(() => assert.throws(() => {}, ...args)));
      out.push(t(() => assert.throws(() => { throw 'text'; }, ...args)));
      out.push(await p(assert.rejects(async () => boom(), ...args)), await p(assert.rejects(Promise.resolve(1), ...args)));
      if (args[0] === undefined || typeof args[0] === 'function' || args[0] instanceof RegExp || args[0] === 'msg') {
        out.push(t(() => assert.doesNotThrow(boom, ...args)), t(() => assert.doesNotThrow(() => {}, ...args)));
        out.push(await p(assert.doesNotReject(async () => boom(), ...args)));
      }
    }
    for (const bad of [5, 'x', undefined, {}]) out.push(t(() => assert.throws(bad)), t(() => assert.doesNotThrow(bad)), await p(assert.rejects(bad)), await p(assert.rejects(() => bad)));
    for (const args of [['abc', /b/], ['abc', /x/], [5, /x/], ['abc', 'x'], ['abc', /x/, 'mm'], ['abc', /x/, new TypeError('q')]]) out.push(t(() => assert.match(...args)), t(() => assert.doesNotMatch(...args)));
    for (const args of [[], ['m'], [new RangeError('q')]]) out.push(t(() => assert.fail(...args)));
    for (const value of [null, undefined, new Error('e'), new Error(''), 's', 0, { message: 'o' }]) out.push(t(() => assert.ifError(value)));
    out.push(t(() => assert()), t(() => assert.ok()), t(() => assert(0, 'mm')), t(() => assert.ok(null, new TypeError('x'))), t(() => assert(1)), t(() => assert.strict(0, 'm')));
    out.push(t(() => assert.strict.equal(1, '1')), t(() => assert.strict.deepEqual({ a: 1 }, { a: '1' })), assert.strict.strict === assert.strict);
    const e = new assert.AssertionError({ actual: 1, expected: 2, operator: 'strictEqual' });
    out.push(Object.keys(e), String(e), e instanceof Error, told(e), t(() => { throw new assert.AssertionError({ message: 'm' }); }), t(() => new assert.AssertionError(5)));
    out.push(Object.keys(assert).sort(), Object.keys(assert.strict).sort());
    return out;`);
});
