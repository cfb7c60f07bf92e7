// Workspaces: bodies with their names in scope, and the cache between invocations.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Sandbox, World } from './harness.mjs';

/** The files of a workspace: functions as `[parameters, body, scope]`. */
const workspace = (functions) => {
  const entries = Object.entries(functions).map(([name, [parameters, code, scope = []]], at) => ({
    described: {
      name,
      file: `functions/${at}.js`,
      parameters: parameters.map((one) => (typeof one === 'string' ? { name: one } : one)),
      scope,
      uses_cache: true,
    },
    code,
  }));
  const manifest = { builtins: ['url'], functions: entries.map((one) => one.described) };
  return {
    'manifest.json': JSON.stringify(manifest),
    ...Object.fromEntries(entries.map((one) => [one.described.file, one.code])),
  };
};

const run = async (functions, target, parameters = {}, world = new World()) => {
  const sandbox = await new Sandbox(workspace(functions), { kind: 'workspace', world }).load();
  await sandbox.start({ method: 'RUN', target, body: JSON.stringify(parameters) });
  await sandbox.finish();
  const { answer, failures } = sandbox.control;
  return answer === null ? failures[0] : JSON.parse(answer.body);
};

test('parameters are variables, and defaults are fresh values', async () => {
  const functions = {
    hello: [['name'], 'return "Hello " + name;'],
    list: [[{ name: 'all', default: '[1]' }], 'all.push(2); return all;'],
    twice: [[], 'await list(); return list();', ['list']],
  };
  assert.equal(await run(functions, '/hello', { name: 'world' }), 'Hello world');
  assert.equal(await run(functions, '/hello'), 'Hello undefined');
  assert.equal(await run(functions, '/hello', { name: null, other: 1 }), 'Hello null');
  assert.deepEqual(await run(functions, '/list'), [1, 2]);
  assert.deepEqual(await run(functions, '/twice'), [1, 2]);
});

test('siblings are called by name, with parameters by name or by order', async () => {
  const functions = {
    'my-sum': [['a', 'b'], 'return [a, b];'],
    sum: [['a', { name: 'b', default: '9' }], 'return [a, b];'],
    call: [['how'], 'return Function("sum", "return " + how)(sum)', ['sum']],
    late: [[], 'return String(sum())', ['sum']],
  };
  for (const [how, result] of [
    ['sum(1, 2)', [1, 2]],
    ['sum({ a: 1, b: 2 })', [1, 2]],
    ['sum({ b: 2 })', [null, 2]],
    ['sum({ a: 1, c: 2 })', [{ a: 1, c: 2 }, 9]],
    ['sum({})', [{}, 9]],
    ['sum({ a: 1 }, 2)', [{ a: 1 }, 2]],
    ['sum([1], undefined)', [[1], 9]],
    ['sum()', [null, 9]],
  ]) {
    assert.deepEqual(await run(functions, '/call', { how }), result, how);
  }
  assert.equal(await run(functions, '/late'), '[object Promise]');
  assert.deepEqual(await run(functions, '/my-sum', { a: 1 }), [1, null]);
});

test('any name is that of a function and of nothing else', async () => {
  const one = ['__proto__', 'constructor', 'toString', 'a.b', 'cache', 'class', 'é'];
  const functions = { ...Object.fromEntries(one.map((name) => [name, [[], 'return 1']])) };
  Object.defineProperty(functions, '__proto__', { enumerable: true, value: [[], 'return 1'] });
  for (const name of one) assert.equal(await run(functions, `/${name}`), 1, name);
  const missing = await run({ a: [[], 'return 1'] }, '/constructor');
  assert.match(missing.message, /no function "constructor"/);
});

test('a body that closes its function is refused, and runs nothing later', async () => {
  for (const code of [
    'return 1 }}), (function () { return async function () { return 2',
    'return 1 }; globalThis.escaped = true; return async function () {',
    'return 1 } /*',
  ]) {
    await assert.rejects(run({ a: [[], code] }, '/a'), { name: 'SyntaxError' }, code);
  }
});

test('places are those of the body', async () => {
  const { name, message, stack } = await run(
    { hello: [[], 'const a = 1;\nthrow new TypeError("bad");'] },
    '/hello',
  );
  assert.deepEqual([name, message], ['TypeError', 'bad']);
  assert.match(stack, /hello \(\/app\/hello:2:7\)/);
});

test('packages that are not there say what to do', async () => {
  const { message } = await run({ a: [[], 'require("lodash")', ['require']] }, '/a');
  assert.match(message, /^Cannot find module 'lodash'/);
  const read = { a: [[], 'return require("url").parse("http://a/b").path', ['require']] };
  assert.equal(await run(read, '/a'), '/b');
});

/** Runs a body that sets the cache, then one that looks at it. */
const kept = async (write, read, world = new World()) => {
  const functions = { write: [[], write], read: [[], read] };
  const written = await run(functions, '/write', {}, world);
  if (written?.name !== undefined) return written;
  return run(functions, '/read', {}, world);
};

test('what is put into the cache is there in the next invocation', async () => {
  const count = 'cache.n = (cache.n || 0) + 1; return cache.n';
  const world = new World();
  for (let n = 1; n <= 3; n++) assert.equal(await run({ a: [[], count] }, '/a', {}, world), n);
  assert.equal(await kept('cache = { a: 1 }', 'return cache.a'), 1);
  assert.equal(await kept('cache.a = 1; throw "x"', 'return 1').then(() => 1), 1);
  const thrown = new World();
  await run({ a: [[], 'cache.a = 1; throw new Error("x")'] }, '/a', {}, thrown);
  assert.equal(await run({ a: [[], 'return cache.a'] }, '/a', {}, thrown), 1);
});

test('the cache keeps what a structured clone keeps', async () => {
  for (const [write, read] of [
    ['cache.a = [1, , -0, NaN, Infinity, -Infinity, undefined, null, true, "é\\u2028"]',
      '!(1 in cache.a) && cache.a.length === 10 && Object.is(cache.a[2], -0) && cache.a[3] !== cache.a[3] && cache.a[4] === Infinity && cache.a[5] === -Infinity && cache.a[6] === undefined && cache.a[9] === "é\\u2028"'],
    ['cache.m = new Map([[{ a: 1 }, "x"], ["k", new Set([1, "2"])]])',
      'cache.m instanceof Map && [...cache.m.keys()][0].a === 1 && cache.m.get("k").has("2")'],
    ['cache.d = new Date(5); cache.e = new Date(NaN)',
      'cache.d.getTime() === 5 && Number.isNaN(cache.e.getTime())'],
    ['cache.self = cache; cache.a = [cache]', 'cache.self === cache && cache.a[0] === cache'],
    ['const o = {}; cache.a = o; cache.b = o', 'cache.a === cache.b'],
    ['cache.n = 12345678901234567890n', 'cache.n === 12345678901234567890n'],
    ['cache.r = /a\\/b/gi', 'cache.r.source === "a\\\\/b" && cache.r.flags === "gi"'],
    ['const b = new ArrayBuffer(8); cache.a = new Uint8Array(b, 2, 3); cache.v = new DataView(b); cache.a[0] = 7',
      'cache.a.buffer === cache.v.buffer && cache.v.getUint8(2) === 7 && cache.a.length === 3'],
    ['cache.b = Buffer.from("hé")', 'Buffer.isBuffer(cache.b) && cache.b.toString() === "hé"'],
    ['cache.e = Object.assign(new RangeError("r", { cause: { c: 1 } }), { code: "E" })',
      'cache.e instanceof RangeError && cache.e.message === "r" && cache.e.cause.c === 1 && cache.e.code === "E"'],
    ['cache.n = Object.create(null); cache.n.__proto__ = 1',
      'Object.getPrototypeOf(cache.n) === null && cache.n.__proto__ === 1'],
    ['Object.defineProperty(cache, "__proto__", { value: { x: 1 }, enumerable: true })',
      'Object.hasOwn(cache, "__proto__") && cache.x === undefined'],
    ['let l = null; for (let i = 0; i < 300; i++) l = [l]; cache.l = l',
      '(() => { let n = 0; for (let l = cache.l; l; l = l[0]) n++; return n === 300 })()'],
    ['cache.f = new Float64Array([1.5, NaN]); cache.g = new BigInt64Array([-1n])',
      'cache.f[0] === 1.5 && cache.g[0] === -1n'],
  ]) {
    assert.equal(await kept(write, `return ${read}`), true, write);
  }
});

test('what cannot be kept is refused by its key, and the cache stays', async () => {
  const world = new World();
  await run({ a: [[], 'cache.n = 1'] }, '/a', {}, world);
  for (const [write, says] of [
    ['cache.f = () => 1', /cache\["f"\] holds a function/],
    ['cache.deep = { a: [{ b: Symbol("s") }] }', /cache\["deep"\] holds a symbol/],
    ['class Client {}; cache.c = new Client()', /cache\["c"\] holds a Client/],
    ['cache.p = Promise.resolve()', /cache\["p"\] holds a Promise/],
    ['cache.u = new URL("http://a")', /cache\["u"\] holds a URL/],
    ['cache.x = Object.create(Map.prototype)', /cache\["x"\] holds a Map/],
    ['cache = () => 1', /cache holds a function/],
    ['cache.big = "x".repeat(10001)', /more than 10000 bytes/],
    ['cache.big = new Array(1e9)', /more than 10000 bytes/],
  ]) {
    const refused = await run({ a: [[], write] }, '/a', {}, world);
    assert.match(refused.message, says, write);
  }
  assert.equal(await run({ a: [[], 'return cache.n'] }, '/a', {}, world), 1);
});

test('a function that changes the language keeps its cache all the same', async () => {
  const harm =
    'Array.prototype.push = null; Map.prototype.set = null; JSON.stringify = null; Object.keys = null;';
  assert.equal(await kept(`${harm} cache.a = new Map()`, 'return cache.a.size'), 0);
});

test('without the cache, touching it says so', async () => {
  const world = new World();
  world.cache = null;
  const refused = await run({ a: [[], 'return cache.a'] }, '/a', {}, world);
  assert.match(refused.message, /only there for functions that name it/);
  assert.equal(await run({ a: [[], 'return 1'] }, '/a', {}, world), 1);
});
