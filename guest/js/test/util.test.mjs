// `node:util` in the layer, compared with Node itself.

import assert from 'node:assert/strict';
import test from 'node:test';
import { inLayer, inNode, same } from './compare.mjs';

const T = 'const t = (f) => { try { return f() } catch (e) { return show(e) } };';

test('there is what Node has', async () => {
  const body = `const util = require('util'); return [Object.keys(util).sort(), Object.keys(util.types).sort()];`;
  const [here, there] = [await inLayer(body), await inNode(body)];
  assert.deepEqual(here, there);
});

test('promisify and callbackify', async () => {
  await same(`${T}
    const util = require('util');
    const out = [];
    const f = (a, b, cb) => cb(a > b ? new Error('more') : null, a + b);
    out.push(await util.promisify(f)(1, 2), await util.promisify(f)(2, 1).catch(show));
    const o = { n: 1, f(cb) { cb(null, this.n); } };
    o.p = util.promisify(o.f);
    out.push(await o.p(), util.promisify(f).length, util.promisify(f).name);
    const custom = () => {};
    custom[util.promisify.custom] = async () => 'custom';
    out.push(await util.promisify(custom)(), util.promisify(custom) === custom[util.promisify.custom]);
    out.push(await util.promisify(setTimeout)(1, 'v'), await util.promisify(setImmediate)('w'));
    for (const bad of [5, undefined, null, {}]) out.push(t(() => util.promisify(bad)), t(() => util.callbackify(bad)));
    const cb = (g, ...args) => new Promise((done) => util.callbackify(g)(...args, (e, v) => done([e && [...show(e), e.reason === undefined ? 'u' : e.reason], v])));
    out.push(await cb(async (a) => a, 5), await cb(async () => { throw new RangeError('r'); }));
    out.push(await cb(async () => { throw null; }), await cb(async () => { throw 0; }));
    out.push(t(() => util.callbackify(async () => {})()));
    async function named(a, b) {}
    out.push(util.callbackify(named).name, util.callbackify(named).length);
    return out;`);
});

test('inherits, deprecate, debuglog, extend', async () => {
  await same(`${T}
    const util = require('util');
    function A() {} A.prototype.x = 1;
    function B() {}
    util.inherits(B, A);
    const out = [new B().x, B.super_ === A, new B() instanceof A];
    for (const [a, b] of [[5, 6], [undefined, A], [A, null], [A, {}], [A, () => {}]]) out.push(t(() => util.inherits(a, b)));
    const d = util.deprecate(function q(a) { return [a, this.z]; }, 'old', 'DEP0');
    out.push(d.call({ z: 2 }, 1), d.call({ z: 3 }, 1));
    out.push(util.debuglog('x').enabled, util._extend({ a: 1 }, { b: 2 }), util._extend({ a: 1 }, 5));
    out.push(util.toUSVString('a\\ud800b'), util.stripVTControlCharacters('\\u001b[31mx\\u001b[39m'), t(() => util.stripVTControlCharacters(5)));
    for (const n of [-2, -13, -98, -99999, 5, 'x', 1.5]) out.push(t(() => util.getSystemErrorName(n)));
    out.push([...util.getSystemErrorMap()].length, util.getSystemErrorMap().get(-2));
    const e = util._errnoException(-2, 'open', '/x');
    out.push([e.message, e.code, e.errno, e.syscall]);
    return out;`);
});

test('types', async () => {
  await same(`
    const { types } = require('util');
    const values = [undefined, null, 1, 'x', true, 1n, Symbol(), {}, [], () => {}, async () => {}, function* () {}, async function* () {},
      (function* () {})(), new Date(), Object.create(Date.prototype), /x/, Object.create(RegExp.prototype), new Map(), new Set(), new Map().keys(), new Set().values(),
      new WeakMap(), new WeakSet(), new ArrayBuffer(1), new DataView(new ArrayBuffer(1)), new Uint8Array(1), Buffer.alloc(1), new Float64Array(1), new BigInt64Array(1),
      Object(1), Object('x'), Object(true), Object(1n), Object(Symbol()), new Error(), new TypeError(), Object.create(Error.prototype), Promise.resolve(), { then() {} },
      (function () { return arguments; })(), { [Symbol.toStringTag]: 'Date' }, { [Symbol.toStringTag]: 'Arguments' }, Object.create(Map.prototype)];
    const out = {};
    for (const name of Object.keys(types)) {
      if (!['isProxy', 'isExternal'].includes(name)) out[name] = values.map((value) => types[name](value) ? 1 : 0).join('');
    }
    return out;`);
});

test('parseArgs, parseEnv, styleText, MIMEType', async () => {
  await same(`${T}
    const util = require('util');
    const out = [];
    const options = { foo: { type: 'boolean', short: 'f' }, bar: { type: 'string' }, many: { type: 'string', multiple: true, short: 'm' }, d: { type: 'string', default: 'dd' } };
    for (const args of [[], ['-f', '--bar', 'b'], ['--bar=b', 'x'], ['-m1', '-m', '2'], ['--', 'x', '--foo'], ['--none'], ['--foo=1'], ['--bar'], ['x']]) {
      for (const more of [{}, { allowPositionals: true }, { strict: false }, { tokens: true, strict: false }]) out.push(t(() => util.parseArgs({ args, options, ...more })));
    }
    for (const text of ['A=1', 'A="x\\ny"', '# c\\nB=2 # k', 'export C = \\'q\\'', 'D=a#b\\nE=\`z\`\\nF', 'G="a\\\\nb"', 'H=', ' I = 5 ', 'J="#x" # y']) out.push(util.parseEnv(text));
    for (const style of ['red', ['bold', 'underline'], 'q', 5]) out.push(t(() => util.styleText(style, 'x')), t(() => util.styleText(style, 'x', { validateStream: false })));
    out.push(t(() => util.styleText('red', 5)));
    for (const text of ['text/plain', 'TEXT/Plain ; Charset="utf-8";q=a b; q=2', 'a/b;x="y\\\\"z";;k', 'x', 'x/', '/x', 'x y/z', 'a/b c', '', ' a/b ', 'a/b;c="d', 'a/b;=1;c=']) {
      out.push(t(() => { const m = new util.MIMEType(text); return [String(m), m.type, m.subtype, m.essence, [...m.params], JSON.stringify(m)]; }));
    }
    const m = new util.MIMEType('a/b');
    m.params.set('x', 'y z'); m.type = 'C';
    out.push(String(m), m.params.get('x'), m.params.has('q'), m.params.get('q'), t(() => { m.subtype = 'a b'; }), t(() => m.params.set('a b', 1)), t(() => m.params.set('a', '\\u0000')));
    return out;`);
});

test('aborted', async () => {
  await same(`
    const { aborted } = require('util');
    const controller = new AbortController();
    const waiting = aborted(controller.signal, {});
    controller.abort();
    return [await waiting, await aborted(controller.signal, {}), await aborted(undefined, {}).catch(show), await aborted(controller.signal, 5).catch(show)];`);
});

test('format and inspect', async () => {
  await same(`
    const { format, inspect, formatWithOptions } = require('util');
    class Foo { constructor() { this.a = 1; } get b() { return 2; } static c() {} }
    const circle = { name: 'c' }; circle.self = circle;
    const values = [1, -0, 1n, 'it\\'s', Symbol('s'), null, undefined, true, [1, , 3], [], {}, { a: { b: { c: { d: 1 } } } }, new Map([[{ a: 1 }, 'b']]), new Set([1, 'x']),
      new Foo(), Foo, () => {}, function named() {}, async () => {}, class extends Foo {}, new Date(0), /x/gi, circle, Buffer.from('hi'), new Uint8Array(3), new ArrayBuffer(2),
      Object.create(null), Object(1), [['a', 'b'], ['c']], 'x'.repeat(10), { 'a-b': 1, [Symbol('k')]: 2 }, new Array(200).fill(1), { get x() { return 1; }, set x(v) {} },
      Object.assign(() => {}, { p: 1 }), { [inspect.custom]: () => 'custom' }, [undefined, null], { long: 'y'.repeat(100), more: ['z'.repeat(50)] }, NaN, [1.5, -0]];
    const out = values.map((value) => [inspect(value), format(value), format('%s', value), format('%o', value).length, inspect(value, { compact: false, depth: 0 })]);
    out.push(format('%d %i %f %j %O %c%s %% %x', '1.5', 2.7, '3', { a: 1 }, { b: { c: 1 } }, 'css', 's', 'extra', { more: 1 }));
    out.push(formatWithOptions({ colors: true }, '%s %O', 'x', { a: 1, b: 'c', d: null }), inspect('a', { colors: true }));
    out.push(inspect(new Proxy({ a: 1 }, {})), inspect({ a: 1n, b: [1, { c: 2 }] }, { sorted: true, breakLength: 3 }));
    return out;`);
});
