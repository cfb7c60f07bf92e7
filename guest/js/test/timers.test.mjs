// Timers: order, one wait at a time, and what Node's have besides.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Sandbox, run } from './harness.mjs';

/** What a handler logs. */
const logs = async (body) => {
  const result = await run(`const log = (...a) => console.log(a.join(' '));
    module.exports = async (req, res) => { ${body} }`);
  assert.equal(result.failure, undefined);
  return result.logs.map(([, text]) => text);
};

test('by deadline, then by creation', async () => {
  assert.deepEqual(
    await logs(`
      setTimeout(log, 30, 'c'); setTimeout(log, 10, 'a1'); setTimeout(log, 20, 'b');
      setTimeout(log, 10, 'a2', 'x'); setTimeout(log, 0, 'first'); setTimeout(log, 1, 'second');
      await sleep(40); res.end();`),
    ['first', 'second', 'a1', 'a2 x', 'b', 'c'],
  );
});

test('many timers in any order', async () => {
  const [order] = await logs(`
    const due = []; const seen = [];
    for (let i = 0; i < 200; i++) due.push((i * 7919) % 251 + 1);
    const timers = due.map((ms, i) => setTimeout(() => seen.push([ms, i]), ms));
    for (let i = 0; i < 200; i += 3) clearTimeout(timers[i]);
    await sleep(300);
    const wanted = due.map((ms, i) => [ms, i]).filter(([, i]) => i % 3 !== 0)
      .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    log(JSON.stringify(seen) === JSON.stringify(wanted)); res.end();`);
  assert.equal(order, 'true');
});

test('only one wait of the host is armed', async () => {
  const sandbox = await new Sandbox(`module.exports = async (req, res) => {
    const late = setTimeout(() => {}, 500); setTimeout(() => {}, 100); setTimeout(() => {}, 300);
    await sleep(50); clearTimeout(late); await sleep(1000); res.end();
  }`).load();
  await sandbox.start();
  while (!sandbox.control.done) {
    assert.ok(sandbox.pending.length <= 1);
    await sandbox.step();
  }
});

test('a cleared timer is not waited for', async () => {
  const sandbox = await new Sandbox(`module.exports = (req, res) => {
    const timer = setTimeout(() => {}, 500); clearTimeout(timer); clearTimeout(timer);
    clearTimeout(undefined); clearTimeout({}); clearInterval(99);
  }`).load();
  await sandbox.start();
  assert.equal(sandbox.pending.length, 0);
  assert.equal((await sandbox.finish()).status, 204);
});

test('promise jobs run between two timers that are due together', async () => {
  assert.deepEqual(
    await logs(`
      setTimeout(() => { log('t1');
      Promise.resolve().then(() => log('job')).then(() => log('job2')); }, 5);
      setTimeout(log, 5, 't2');
      await sleep(9); res.end();`),
    ['t1', 'job', 'job2', 't2'],
  );
});

test('intervals, and clearing from within', async () => {
  assert.deepEqual(
    await logs(`
      let n = 0;
      const timer = setInterval((x) => { log(x, ++n); if (n === 3) clearInterval(timer);
      }, 10, 'tick');
      await sleep(100); res.end();`),
    ['tick 1', 'tick 2', 'tick 3'],
  );
});

test('immediates before waiting timers, nextTick and microtasks before both', async () => {
  assert.deepEqual(
    await logs(`
      setTimeout(log, 5, 'timer');
      setImmediate(log, 'immediate 1');
      const none = setImmediate(log, 'never'); clearImmediate(none);
      setImmediate(() => { log('immediate 2'); setImmediate(log, 'immediate 3'); });
      queueMicrotask(() => log('microtask')); process.nextTick(log, 'tick');
      log('now'); await sleep(9); res.end();`),
    ['now', 'microtask', 'tick', 'immediate 1', 'immediate 2', 'immediate 3', 'timer'],
  );
});

test('what setTimeout answers', async () => {
  assert.deepEqual(
    await logs(`
      const timer = setTimeout(log, 20, 'refreshed');
      log(typeof timer, typeof +timer, timer.hasRef(), timer.unref().hasRef(),
      timer.ref() === timer);
      await sleep(15); timer.refresh(); await sleep(15); log('not yet'); await sleep(10);
      const byNumber = setTimeout(log, 5, 'never'); clearTimeout(+byNumber);
      const byText = setTimeout(log, 5, 'never'); clearTimeout(String(+byText));
      setTimeout(log, 5, 'never').close();
      await sleep(9); res.end();`),
    ['object number true false true', 'not yet', 'refreshed'],
  );
});

test('arguments that are no functions; delays that are no numbers', async () => {
  assert.deepEqual(
    await logs(`
      for (const f of [setTimeout, setInterval, setImmediate, queueMicrotask]) {
        try { f('code') } catch (e) { log(e.code) }
      }
      setTimeout(log, 'x', 'nan'); setTimeout(log, -5, 'negative');
      setTimeout(log, 2 ** 40, 'huge');
      await sleep(5); res.end();`),
    [...Array(4).fill('ERR_INVALID_ARG_TYPE'), 'nan', 'negative', 'huge'],
  );
});

test('timers/promises', async () => {
  assert.deepEqual(
    await logs(`
      const wait = require('node:timers/promises');
      log(await wait.setTimeout(5, 'value'), await wait.setImmediate('now'));
      const controller = new AbortController();
      const waiting = wait.setTimeout(1000, null, { signal: controller.signal });
      controller.abort();
      log(await waiting.catch((e) => e.name));
      let n = 0;
      for await (const x of wait.setInterval(5, 'i')) { log(x); if (++n === 2) break; }
      await wait.scheduler.wait(5); res.end();`),
    ['value now', 'AbortError', 'i', 'i'],
  );
});
