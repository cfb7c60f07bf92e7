// async_hooks in the layer, compared with Node. Here promises carry the context as Node's do; in
// sandboxes QuickJS does it (tests/it/async_context.rs).

import assert from 'node:assert/strict';
import test from 'node:test';
import { inLayer, same } from './compare.mjs';

/** Also run in sandboxes. */
export const FLOWS = `
  const { AsyncLocalStorage, AsyncResource } = require('node:async_hooks');
  const als = new AsyncLocalStorage();
  const other = new AsyncLocalStorage();
  const seen = [];
  const note = (what) => seen.push(what + ' ' + als.getStore() + ' ' + other.getStore());
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const work = async (name) => {
    note(name + ' sync');
    await null; note(name + ' await');
    await sleep(name === 'a' ? 3 : 1); note(name + ' timer');
    await new Promise((done) => setImmediate(() => { note(name + ' immediate'); done(); }));
    await new Promise((done) => process.nextTick(() => { note(name + ' tick'); done(); }));
    await new Promise((done) => queueMicrotask(() => { note(name + ' microtask'); done(); }));
    await Promise.all([sleep(1).then(() => note(name + ' then')), 1]);
    await Promise.reject(new Error('x')).catch(() => note(name + ' catch'));
    await sleep(1).finally(() => note(name + ' finally'));
    for await (const x of (async function* () { yield 1; await sleep(1); yield 2; })()) {
      note(name + ' iteration ' + x);
    }
    await { then(resolve) { note(name + ' thenable'); resolve(); } };
    await other.run('o' + name, async () => { await sleep(1); note(name + ' inner'); });
    return name;
  };
`;

test('the store follows every kind of asynchronous step, two chains at a time', async () => {
  const seen = await same(`${FLOWS}
    const ended = await Promise.all([als.run('A', work, 'a'), als.run('B', work, 'b')]);
    note('outside');
    return [ended, seen.sort()];`);
  assert.equal(seen[1].filter((line) => line.includes(' A ')).length, 13);
});

test('run, exit, enterWith, disable, bind and snapshot', async () => {
  await same(`
    const { AsyncLocalStorage, AsyncResource } = require('async_hooks');
    const als = new AsyncLocalStorage();
    const log = [als.getStore()];
    log.push(als.run(1, (a, b) => [als.getStore(), a, b], 2, 3), als.getStore());
    try { als.run(5, () => { throw new Error('out'); }); } catch (e) { log.push(e.message); }
    log.push(als.getStore());
    als.run(6, () => {
      log.push(als.exit(() => als.getStore()), als.getStore());
      als.run(7, () => log.push(als.getStore()));
      log.push(als.getStore());
      const bound = AsyncLocalStorage.bind((x) => [als.getStore(), x]);
      const snapshot = AsyncLocalStorage.snapshot();
      const resource = new AsyncResource('mine');
      als.run(8, () => {
        log.push(bound(1), snapshot(() => als.getStore()));
        log.push(resource.runInAsyncScope(function (x) { return [als.getStore(), this.t, x]; }, { t: 1 }, 2));
        log.push(resource.bind(function (a, b) { return [als.getStore(), this?.t]; }, { t: 3 })());
        log.push(resource.bind((a, b) => 0).length);
      });
    });
    await als.run(9, async () => {
      als.enterWith(10);
      await null;
      log.push(als.getStore());
      als.disable();
      log.push(als.getStore());
      await null;
      log.push(als.getStore());
    });
    als.run(undefined, () => log.push(als.getStore()));
    return log;`);
});

test('wrong arguments, ids, and what is refused', async () => {
  await same(`
    const { AsyncResource, AsyncLocalStorage, executionAsyncId, createHook } = require('async_hooks');
    const attempt = (work) => { try { return work(); } catch (e) { return show(e); } };
    const r = new AsyncResource('T');
    return [
      attempt(() => new AsyncResource()), attempt(() => new AsyncResource('x', { triggerAsyncId: -5 })),
      attempt(() => r.bind(5)), attempt(() => AsyncLocalStorage.bind({})),
      attempt(() => createHook({ init: 5 })), typeof r.asyncId(), typeof executionAsyncId(),
      r.emitDestroy() === r,
    ];`);
  assert.deepEqual(
    await inLayer(`try { require('async_hooks').createHook({ init() {} }).enable(); }
      catch (e) { return show(e); }`),
    [
      'Error',
      'ERR_METHOD_NOT_IMPLEMENTED',
      'async_hooks: hooks are not called in Ampoule; use AsyncLocalStorage',
    ],
  );
});

test('stores follow kv and events stay with whoever emits', async () => {
  const log = await inLayer(`
    const { AsyncLocalStorage } = require('async_hooks');
    const als = new AsyncLocalStorage();
    const emitter = new (require('events'))();
    const log = [];
    als.run('listener', () => emitter.on('x', () => log.push(als.getStore())));
    await Promise.all(['a', 'b'].map((name) => als.run(name, async () => {
      await kv.set(name, 1);
      log.push(als.getStore());
      emitter.emit('x');
      await kv.get(name);
      log.push(als.getStore());
    })));
    return log.sort();`);
  assert.deepEqual(log, ['a', 'a', 'a', 'b', 'b', 'b']);
});
