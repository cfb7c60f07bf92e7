// Work that goes on after the answer: `waitUntil`, and what becomes of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sandbox } from './harness.mjs';

/** The calls of the host that a handler makes, with its body. */
async function started(body) {
  const sandbox = await new Sandbox(`module.exports = (req, res) => { ${body} };`).load();
  await sandbox.start();
  return sandbox;
}

test('waitUntil keeps the invocation of a req/res handler alive after its answer', async () => {
  const sandbox = await started(`
    waitUntil(sleep(50).then(() => kv.set('later', 1)));
    res.send('now');`);
  assert.equal(sandbox.result().body, 'now');
  assert.equal(sandbox.control.done, false);
  assert.equal(sandbox.control.calls.filter((call) => call === 'promised').length, 1);
  const result = await sandbox.finish();
  assert.equal(result.failure, undefined);
  assert.equal(sandbox.world.kv.get('later').text, '1');
});

test('what is not promised is dropped when the handler is done', async () => {
  const sandbox = await started(`
    sleep(50).then(() => kv.set('later', 1));
    res.send('now');`);
  await sandbox.finish();
  assert.equal(sandbox.world.kv.has('later'), false);
  assert.equal(sandbox.control.calls.includes('promised'), false);
});

test('promises may be added while others are waited for', async () => {
  const sandbox = await started(`
    waitUntil(sleep(10).then(() => {
      waitUntil(sleep(10).then(() => {
        waitUntil(sleep(10).then(() => console.log('innermost')));
      }));
    }));
    waitUntil(sleep(1).then(() => console.log('beside')));
    res.end();`);
  const { logs, failure } = await sandbox.finish();
  assert.equal(failure, undefined);
  assert.deepEqual(logs.map(([, text]) => text), ['beside', 'innermost']);
});

test('rejections go to the log and change nothing', async () => {
  const sandbox = await started(`
    waitUntil(Promise.reject(new Error('background')));
    waitUntil(Promise.reject('no error'));
    waitUntil(7);
    waitUntil({ get then() { throw new Error('odd'); } });
    waitUntil({ then(resolve) { resolve(); } });
    waitUntil(sleep(5).then(() => console.log('after them')));
    res.status(201).send('fine');`);
  const { status, body, logs, failure } = await sandbox.finish();
  assert.deepEqual([status, body, failure], [201, 'fine', undefined]);
  const texts = logs.map(([, text]) => text);
  assert.equal(texts.length, 4);
  for (const pattern of [/^waitUntil: Error: background/, /^waitUntil: no error/, /: odd/]) {
    assert.ok(texts.some((text) => pattern.test(text)), `${pattern} in ${texts}`);
  }
  assert.equal(texts.at(-1), 'after them');
});

test('a promise that never settles ends with the rest, and the log says so', async () => {
  const sandbox = await started(`
    waitUntil(new Promise(() => {}));
    res.send('now');`);
  const { body, logs, failure } = await sandbox.finish();
  assert.deepEqual([body, failure], ['now', undefined]);
  assert.match(logs[0][1], /^waitUntil: the function has stopped/);
});

test('an error that cannot be shown does not hold the invocation back', async () => {
  const sandbox = await started(`
    const error = { get stack() { throw 1; }, [Symbol.for('nodejs.util.inspect.custom')]() { throw 2; } };
    waitUntil(Promise.reject(error));
    res.send('now');`);
  const { body, logs, failure } = await sandbox.finish();
  assert.deepEqual([body, failure], ['now', undefined]);
  assert.match(logs[0][1], /^waitUntil: rejected/);
});

test('without its client a streamed answer ends, and what is promised goes on', async () => {
  const handlers = [
    `module.exports = async (req, res) => {
      waitUntil(sleep(50).then(() => console.log('promised')));
      res.write('first'); await sleep(10); res.write('second'); await sleep(10);
      res.end('last');
    };`,
    `let cancelled = false;
    module.exports = { fetch(request, env, ctx) {
      ctx.waitUntil(sleep(50).then(() => console.log('promised')));
      let count = 0;
      return new Response(new ReadableStream({
        async pull(controller) { await sleep(10); controller.enqueue(new Uint8Array(++count)); },
      }));
    } };`,
  ];
  for (const handler of handlers) {
    const sandbox = await new Sandbox(handler).load();
    await sandbox.start();
    while (!sandbox.pending.some(({ kind }) => kind === 'bodyWrite')) await sandbox.step();
    const write = sandbox.pending.find(({ kind }) => kind === 'bodyWrite');
    await sandbox.settle(write, { error: { code: 'closed', message: 'gone' } });
    const result = await sandbox.finish();
    assert.equal(result.failure, undefined);
    assert.deepEqual(
      result.logs.map(([, text]) => text),
      ['promised'],
    );
  }
});
