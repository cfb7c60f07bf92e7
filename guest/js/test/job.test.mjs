// Invocations that are no HTTP requests: sources that are one expression, results as JSON.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Sandbox } from './harness.mjs';

const call = async (files, { event, kind = 'event', target = '/', deferred, world } = {}) => {
  const sandbox = await new Sandbox(files, { kind, world }).load(deferred);
  const body = event === undefined ? undefined : JSON.stringify(event);
  await sandbox.start({ method: kind === 'event' ? 'EVENT' : 'RUN', target, body });
  await sandbox.finish();
  const { answer, failures } = sandbox.control;
  return answer === null ? failures[0] : [answer.status, answer.body];
};

test('a source that is one expression, with what may stand around it', async () => {
  for (const source of [
    'async (event) => event.x + 1',
    '\n\n async (event) => {\n  return event.x + 1;\n}\n',
    '// first\n/* second; */\nasync (event) => { return event.x + 1; }\n// last; really',
    'async (event) => event.x + 1;\n',
    '(event) => event.x + 1; // one; two\n/* three; */\n',
    'async function (event) { return event.x + 1 }',
    'function named(event) { return event.x + 1 }',
    'module.exports = (event) => event.x + 1',
    'const one = 1;\nmodule.exports = async (event) => event.x + one;\n',
    'exports.default = (event) => event.x + 1;',
    "'use strict';\nmodule.exports = { default: (event) => event.x + 1 };",
  ]) {
    assert.deepEqual(await call(source, { event: { x: 1 } }), [200, '2'], source);
    const late = await call(source, { event: { x: 1 }, deferred: ['/app/index.js'] });
    assert.deepEqual(late, [200, '2'], source);
  }
  const files = { 'index.mjs': 'export default async (event) => event.x + 1;' };
  assert.deepEqual(await call(files, { event: { x: 1 } }), [200, '2']);
});

test('an entry without a function is refused, and so is what does not compile', async () => {
  for (const source of [
    '({ a: 1 })',
    'exports.a = 1; exports.b = () => 1;',
    '42',
    ';',
    '',
    'module.exports = {}',
  ])
    await assert.rejects(call(source), { code: 'HANDLER_MISSING' }, source);
  await assert.rejects(call('async (event) => { const = 1 }'), { name: 'SyntaxError' });
});

test('results are JSON text, as JSON.stringify has it', async () => {
  for (const [source, text] of [
    ['() => {}', 'null'],
    ['() => null', 'null'],
    ['() => "a\\u2028"', '"a\u2028"'],
    ['() => NaN', 'null'],
    ['() => 1e21', '1e+21'],
    ['() => ({ b: 1, a: undefined, c: [undefined] })', '{"b":1,"c":[null]}'],
    ['() => new Date(0)', '"1970-01-01T00:00:00.000Z"'],
    ['() => new Map([[1, 2]])', '{}'],
    ['(event) => event', '{"z":1,"a":{"2":0,"b":[]}}'],
    ['() => { JSON.stringify = () => "no"; Promise.prototype.then = null; return [1] }', '[1]'],
  ]) {
    const event = { z: 1, a: { 2: 0, b: [] } };
    assert.deepEqual(await call(source, { event }), [200, text], source);
  }
  assert.deepEqual(await call('(event) => event'), [200, '{}']);
});

test('what has no JSON form is refused with a reason', async () => {
  for (const [source, reason] of [
    ['() => 1n', /^the result has no JSON form: .*BigInt/],
    ['() => { const a = {}; a.a = a; return a }', /^the result has no JSON form: .*circular/],
    ['() => () => 1', /^the result has no JSON form: it is a function$/],
    ['() => Symbol("x")', /^the result has no JSON form: it is a symbol$/],
  ]) {
    const { name, message } = await call(source);
    assert.equal(name, 'ResultInvalid', source);
    assert.match(message, reason);
  }
  const thrown = await call('() => ({ toJSON() { throw new RangeError("mine") } })');
  assert.deepEqual([thrown.name, thrown.message], ['RangeError', 'mine']);
});

test('what a function throws, and an event that is no JSON', async () => {
  for (const source of [
    '() => { throw new TypeError("bad") }',
    'async () => { throw new TypeError("bad") }',
  ]) {
    const { name, message, stack } = await call(source);
    assert.deepEqual([name, message], ['TypeError', 'bad']);
    assert.match(stack, /index\.js:1:/);
  }
  const sandbox = await new Sandbox('() => 1', { kind: 'event' }).load();
  await sandbox.start({ method: 'EVENT', body: '{' });
  assert.equal(sandbox.control.failures[0].name, 'BodyInvalid');
  const never = await call('() => new Promise(() => {})');
  assert.match(never.message, /never settled/);
});
