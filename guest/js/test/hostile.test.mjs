// User code that overwrites the language harms itself only: the platform's path still works.

import assert from 'node:assert/strict';
import test from 'node:test';
import { json, run } from './harness.mjs';

const poison = {
  'Array.prototype.push': 'Array.prototype.push = () => { throw new Error("push") };',
  'array methods': `for (const name of Object.getOwnPropertyNames(Array.prototype)) {
    if (name !== 'constructor' && name !== 'length') Array.prototype[name] = () => {
    throw new Error(name) };
  }`,
  'JSON.stringify': 'JSON.stringify = () => "forged"; JSON.parse = () => "forged";',
  'Object.prototype.toJSON': 'Object.prototype.extra = 1;',
  'Promise.prototype.then': 'Promise.prototype.then = () => { throw new Error("then") };',
  Promise: 'globalThis.Promise = undefined;',
  'Map.prototype': `for (const name of ['get', 'set', 'has', 'delete']) {
    Map.prototype[name] = () => { throw new Error(name) };
  }`,
  'String.prototype': `for (const name of Object.getOwnPropertyNames(String.prototype)) {
    if (name !== 'constructor' && name !== 'length') String.prototype[name] = () => {
    throw new Error(name) };
  }`,
  'RegExp.prototype': `for (const name of ['exec',
  'test', Symbol.replace, Symbol.match, Symbol.split]) {
    RegExp.prototype[name] = () => { throw new Error('regexp') };
  }`,
  'Object statics': `for (const name of Object.getOwnPropertyNames(Object)) {
    if (typeof Object[name] === 'function') Object[name] = () => { throw new Error(name) };
  }`,
  'Reflect and Function.prototype': `Reflect.apply = () => { throw new Error('apply') };
    for (const name of ['call', 'apply', 'bind']) {
      Function.prototype[name] = () => { throw new Error(name) };
    }`,
  'typed arrays': `for (const name of ['set', 'subarray', 'slice']) {
    Object.getPrototypeOf(Uint8Array).prototype[name] = () => { throw new Error(name) };
  } globalThis.Uint8Array = undefined;`,
  'setters on Object.prototype': `for (const name of ['status',
  'name', 'content-type', 'place', 'kind']) {
    Object.defineProperty(Object.prototype, name, {
      configurable: true, get() { return undefined }, set() { throw new Error('setter ' + name) },
    });
  }`,
  iterators: 'Array.prototype[Symbol.iterator] = () => { throw new Error("iterator") };',
  globals: `for (const name of ['Buffer', 'TextEncoder', 'setTimeout', 'queueMicrotask',
  'console', 'Error', 'TypeError', 'Object', 'Array', 'String', 'Symbol', 'Math', 'Number']) {
    globalThis[name] = undefined;
  }`,
};

for (const [name, code] of Object.entries(poison)) {
  test(`${name}: whole answers`, async () => {
    const source = `${code}
      module.exports = function (req, res) { res.set('x-a', 'b').json({ m: req.method,
      b: req.body.a }) };`;
    const result = await run(source, json({ a: 1 }));
    assert.equal(result.failure, undefined);
    assert.equal(result.body, '{"m":"POST","b":1}');
    assert.equal(result.headers['x-a'], 'b');
  });

  test(`${name}: async handlers with kv and timers`, async () => {
    const source = `const wait = sleep; ${code}
      module.exports = async function (req, res) {
        await kv.set('k', 1, 60); await wait(5);
        res.send('got ' + (await kv.get('k')) + req.path + req.query.q + req.get('host'));
      };`;
    const result = await run(source, { target: '/p?q=%41' });
    assert.equal(result.failure, undefined);
    assert.equal(result.body, 'got 1/pAlocalhost:4000');
  });

  test(`${name}: streams`, async () => {
    const source = `${code}
      module.exports = async function (req, res) { res.write('a'); res.write('b'); res.end('c') };`;
    const result = await run(source);
    assert.equal(result.failure, undefined);
    assert.equal(result.body, 'abc');
  });

  test(`${name}: failures are still reported`, async () => {
    const source = `const Own = Error; ${code}
      module.exports = async function () { throw new Own('mine') };`;
    const result = await run(source);
    assert.equal(result.failure.message, 'mine');
  });

  test(`${name}: answers of web handlers`, async () => {
    const source = `const Answer = Response; ${code}
      module.exports = { async fetch(request) {
        return new Answer(request.method + (await request.text()), { headers: { 'x-a': 'b' } });
      } };`;
    const result = await run(source, { method: 'POST', body: 'hi' });
    assert.equal(result.failure, undefined);
    assert.equal(result.body, 'POSThi');
    assert.equal(result.headers['x-a'], 'b');
  });
}

test("toJSON on Object.prototype changes the function's own JSON, and nothing else", async () => {
  const source = `Object.prototype.toJSON = () => 'own'; Array.prototype.toJSON = () => 'own';
    module.exports = (req, res) => res.json({ a: 1 });`;
  assert.equal((await run(source)).body, '"own"');
});

test('the door to the host is not to be found', async () => {
  const source = `module.exports = (req, res) => {
    const seen = [];
    let scope = Function('return this')();
    for (const name of Reflect.ownKeys(scope)) if (String(name).includes('native')) seen.push(name);
    res.json([typeof __native, typeof SharedArrayBuffer, typeof Atomics, seen,
      Reflect.ownKeys(req), typeof process.binding]);
  };`;
  assert.equal((await run(source)).body, '["undefined","undefined","undefined",[],[],"function"]');
});
