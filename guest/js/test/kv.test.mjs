// `kv`: units, arguments, errors.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Sandbox, World, run } from './harness.mjs';

const handle = (body, world = new World()) =>
  run(`module.exports = async (req, res) => { ${body} }`, {}, { world });
const evaluate = async (expression, world) => {
  const { body, failure } = await handle(`res.json({ v: await ${expression} })`, world);
  assert.equal(failure, undefined);
  return JSON.parse(body).v;
};

test('times to live: seconds, ttlMs, expiresAt, none', async () => {
  const ttl = async (given) => {
    const world = new World();
    assert.equal(await evaluate(`kv.set('k', 1, ${given})`, world), true);
    return world.kv.get('k').ttl;
  };
  assert.equal(await ttl('60'), 60_000);
  assert.equal(await ttl('0.25'), 250);
  assert.equal(await ttl('0.0001'), 1);
  assert.equal(await ttl('{ ttl: 3600 }'), 3_600_000);
  assert.equal(await ttl('{ ttlMs: 1500 }'), 1500);
  for (const none of [
    '0',
    'null',
    'undefined',
    '{}',
    '{ ttl: 0 }',
    '{ ttl: null }',
    '{ ttlMs: 0 }',
  ]) {
    assert.equal(await ttl(none), 0, none);
  }
  for (const at of ['Date.now() + 5000', 'new Date(Date.now() + 5000)']) {
    const ms = await ttl(`{ expiresAt: ${at} }`);
    assert.ok(ms > 4000 && ms <= 5000, `${ms}`);
  }
  assert.equal(await ttl('{ expiresAt: 5 }'), 1);
});

test('times to live: nonsense is refused before anything is written', async () => {
  const world = new World();
  for (const given of [
    '-1',
    'NaN',
    'Infinity',
    '"60"',
    'true',
    '{ ttl: -1 }',
    '{ ttl: "1" }',
    '{ ttl: {} }',
    '{ ttlMs: NaN }',
    '{ ttlMs: "1" }',
    '{ expiresAt: NaN }',
    '{ expiresAt: "soon" }',
    '{ expiresAt: new Date(NaN) }',
  ]) {
    assert.equal(
      await evaluate(`kv.set('k', 1, ${given}).catch((e) => e instanceof TypeError)`, world),
      true,
      given,
    );
  }
  assert.equal(world.kv.size, 0);
});

test('keys and values', async () => {
  const world = new World();
  for (const key of ['undefined', 'null', '""', '5', '{}']) {
    for (const call of [
      `get(${key})`,
      `set(${key}, 1)`,
      `delete(${key})`,
      `has(${key})`,
      `increment(${key})`,
      `compareAndSet(${key}, null, 1)`,
    ]) {
      assert.match(
        await evaluate(`kv.${call}.catch((e) => e.message)`, world),
        /key must be a non-empty string/,
      );
    }
  }
  for (const value of ['undefined', '() => 1', 'Symbol("x")']) {
    assert.match(
      await evaluate(`kv.set('k', ${value}).catch((e) => e.message)`, world),
      /value must be JSON-serialisable/,
    );
  }
  assert.match(await evaluate(`kv.set('k', 1n).catch((e) => e.name)`, world), /TypeError/);
  assert.equal(world.kv.size, 0);
  assert.equal(await evaluate('kv.get("none")', world), null);
  await evaluate('kv.set("k", { b: [1, null, "é"], a: true })', world);
  assert.equal(world.kv.get('k').text, '{"b":[1,null,"é"],"a":true}');
  assert.deepEqual(await evaluate('kv.get("k")', world), { b: [1, null, 'é'], a: true });
  assert.deepEqual(
    await evaluate(
      'Promise.all([kv.has("k"), kv.delete("k"), kv.delete("k"), kv.has("k")])',
      world,
    ),
    [true, true, false, false],
  );
});

test('increment, compareAndSet, list, clear', async () => {
  const world = new World();
  assert.equal(await evaluate('kv.increment("n")', world), 1);
  assert.equal(await evaluate('kv.increment("n", 2.5)', world), 3.5);
  assert.equal(await evaluate('kv.get("n")', world), 3.5);
  assert.match(await evaluate('kv.increment("n", "1").catch((e) => e.message)', world), /finite/);
  assert.equal(await evaluate('kv.compareAndSet("c", null, { a: 1 })', world), true);
  assert.equal(await evaluate('kv.compareAndSet("c", undefined, 2)', world), false);
  assert.equal(await evaluate('kv.compareAndSet("c", { a: 1 }, 2)', world), true);
  assert.equal(await evaluate('kv.compareAndSet("c", 2, undefined)', world), true);
  assert.equal(await evaluate('kv.has("c")', world), false);
  for (let i = 0; i < 5; i++) await evaluate(`kv.set('p:${i}', ${i})`, world);
  const first = await evaluate('kv.list({ prefix: "p:", limit: 3 })', world);
  assert.deepEqual(first, { keys: ['p:0', 'p:1', 'p:2'], cursor: 'p:2' });
  const second = await evaluate('kv.list("p:", { limit: 3, cursor: "p:2" })', world);
  assert.deepEqual(second, { keys: ['p:3', 'p:4'], cursor: null });
  assert.equal((await evaluate('kv.list()', world)).keys.length, 6);
  for (const options of [
    '{ limit: 0 }',
    '{ limit: 1001 }',
    '{ limit: "5" }',
    '{ cursor: 1 }',
    '{ prefix: 1 }',
  ]) {
    assert.match(await evaluate(`kv.list(${options}).catch((e) => e.name)`, world), /TypeError/);
  }
  assert.equal(await evaluate('kv.clear()', world), 6);
});

test('errors have their code; concurrent calls overlap, and reads wait for nothing', async () => {
  const world = new World();
  world.kv.set('a', { text: 'not json', until: Infinity });
  world.kv.set('c', { text: '7', until: Infinity });
  const sandbox = await new Sandbox(`module.exports = async (req, res) => {
    const results = await Promise.allSettled(
      [kv.get('a'), kv.set('b', 1), kv.get('c'), kv.has('c')]);
    res.json(results.map((r) => r.reason ? [r.reason.name,
    r.reason.code, r.reason.message] : r.value));
  }`, { world }).load();
  await sandbox.start();
  assert.equal(sandbox.pending.length, 2);
  const [set, has] = sandbox.pending;
  await sandbox.settle(has, { value: true });
  await sandbox.settle(set, { error: { code: 'storage_busy', message: 'too many writes' } });
  const { body } = await sandbox.finish();
  assert.deepEqual(JSON.parse(body), [
    ['Error', 'kv_not_json', 'kv.get: the stored value is not JSON'],
    ['Error', 'storage_busy', 'too many writes'],
    7,
    true,
  ]);
});

test('a read that fails rejects', async () => {
  const world = new World();
  const error = { code: 'storage_unavailable', message: 'the store cannot be reached' };
  world.kvRead = () => ({ error: JSON.stringify(error) });
  const told = await evaluate("kv.get('a').catch((e) => [e.name, e.code, e.message])", world);
  assert.deepEqual(told, ['Error', error.code, error.message]);
});
