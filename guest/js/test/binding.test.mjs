// Bindings: the platform's functions as globals of event functions.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Sandbox, World } from './harness.mjs';

const call = async (source, bindings, { deferred } = {}) => {
  const world = new World();
  world.bindings = bindings;
  const sandbox = await new Sandbox(source, { kind: 'event', world }).load(deferred);
  await sandbox.start({ method: 'EVENT' });
  const told = await sandbox.finish();
  return { ...told, value: told.body && JSON.parse(told.body) };
};

const answering = (answer) => () => ({ value: JSON.stringify(answer) });

test('a binding is a global, and comes before one of the same name', async () => {
  const bindings = { fetch: answering({ result: { status: 200 } }), log: answering({}) };
  const source = `const before = typeof log + typeof fetch;
    module.exports = async () => [before, log.name, fetch.length, await fetch('x'), await log()];`;
  const { value } = await call(source, bindings);
  assert.deepEqual(value, ['undefinedfunction', 'log', 0, { status: 200 }, null]);
  const missing = await call('() => log()', {});
  assert.equal(missing.failure.name, 'ReferenceError');
  const late = await call('() => fetch("x")', bindings, { deferred: ['/app/index.js'] });
  assert.deepEqual(late.value, { status: 200 });
});

test('arguments are JSON, and what has no JSON form rejects', async () => {
  const echo = (given) => ({ value: JSON.stringify({ result: given }) });
  const source = `async () => [
    await echo(), await echo(1, 'b', undefined, { c: [null] }, NaN),
    await echo(1n).catch((e) => e.name),
  ]`;
  const { value } = await call(source, { echo });
  assert.deepEqual(value, [[], [1, 'b', null, { c: [null] }, null], 'TypeError']);
});

test('errors are errors with a code', async () => {
  const refuse = () => ({ error: { code: 'timeout', message: 'too slow' } });
  const bindings = {
    refuse,
    odd: answering(5),
    text: () => ({ value: 'no' }),
    told: answering({ error: 'no' }),
    empty: () => ({ value: '' }),
  };
  const source = `async () => {
    const all = [refuse(), odd(), text(), told()].map((p) => p.catch((e) => [e instanceof Error, e.code, e.message]));
    return [...await Promise.all(all), await empty()];
  }`;
  const { value } = await call(source, bindings);
  assert.deepEqual(value[0], [true, 'timeout', 'too slow']);
  for (const one of value.slice(1, 4)) assert.equal(one[1], 'binding_failed');
  assert.match(value[3][2], /^told: .*: no$/);
  assert.equal(value[4], null);
});

test('calls that nobody waits for are carried out before the end', async () => {
  const calls = [];
  const log = ([text]) => {
    calls.push(text);
    return { value: '{}' };
  };
  const source = `() => { log('a'); log('b').then(() => log('c')); return 1 }`;
  const { value } = await call(source, { log });
  assert.equal(value, 1);
  assert.deepEqual(calls, ['a', 'b', 'c']);
});

test('a function that spoils globals harms itself only', async () => {
  const source = `async () => {
    JSON.stringify = () => 'no'; JSON.parse = () => 'no'; Promise.prototype.then = null;
    return await echo('x');
  }`;
  const echo = (given) => ({ value: JSON.stringify({ result: given }) });
  const { value } = await call(source, { echo });
  assert.deepEqual(value, ['x']);
});
