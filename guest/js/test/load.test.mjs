// Loading: `require`, handlers of every kind, snapshots that are honest, evaluation per request.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Sandbox, run } from './harness.mjs';

const evaluate = async (files, options) => {
  const { body, failure } = await run(files, {}, options);
  assert.equal(failure, undefined);
  return JSON.parse(body);
};

test('require: cache, circles, JSON, folders, resolve', async () => {
  const files = {
    'index.js': `const a = require('./a'); const data = require('./data.json');
      module.exports = (req, res) => res.json({
        a: a.name, seen: a.seen, same: require('./a.js') === a, data,
        lib: require('./lib'), path: require.resolve('./lib'), main: require.main === module,
        cached: Object.keys(require.cache).length, id: module.id, children: module.children.length,
        loaded: [module.loaded, require.cache['/app/a.js'].loaded],
        dir: [__dirname, __filename, module.filename, module.paths[0]],
      });`,
    'a.js': `exports.name = 'a'; exports.seen = require('./b').seen;`,
    'b.js': `exports.seen = require('./a').name; exports.parent = module.parent.id;`,
    'data.json': '\ufeff{"x":1}',
    'lib/index.js': `module.exports = [module.id,
    module.parent.id, require.main === module, this === exports];`,
  };
  assert.deepEqual(await evaluate(files), {
    a: 'a',
    seen: 'a',
    same: true,
    data: { x: 1 },
    lib: ['/app/lib/index.js', '.', false, true],
    path: '/app/lib/index.js',
    main: true,
    cached: 5,
    id: '.',
    children: 3,
    loaded: [true, true],
    dir: ['/app', '/app/index.js', '/app/index.js', '/app/node_modules'],
  });
});

test('require: a module that throws is tried again; its error is its own', async () => {
  const files = {
    'index.js': `module.exports = (req, res) => {
      const errors = [];
      for (let i = 0; i < 2; i++) try { require('./bad') } catch (e) { errors.push(e.message) }
      res.json([errors, global.times]);
    };`,
    'bad.js': `global.times = (global.times ?? 0) + 1; throw new Error('bad ' + global.times)`,
  };
  assert.deepEqual(await evaluate(files), [['bad 1', 'bad 2'], 2]);
});

test('require: what does not exist, what is refused, what cannot run', async () => {
  const files = {
    'index.js': `module.exports = (req, res) => res.json([
        './none', 'left-pad', 'child_process', 'node:cluster', 'worker_threads',
        'v8', 'dgram', 'node:no-such',
        './addon.node', './broken.json', '', 5,
      ].map((name) => { try { require(name); return 'loaded' } catch (e) {
        return (e.code ?? e.name) + ': ' + e.message.split('\\n')[0];
      } }));`,
    'addon.node': '',
    'broken.json': '{',
  };
  const told = await evaluate(files);
  assert.equal(told[0], "MODULE_NOT_FOUND: Cannot find module './none'");
  assert.equal(told[1], "MODULE_NOT_FOUND: Cannot find module 'left-pad'");
  for (let i = 2; i < 8; i++)
    assert.match(told[i], /^MODULE_NOT_FOUND: Cannot find module '[\w-]+': .*not available/);
  assert.match(told[8], /^ERR_DLOPEN_FAILED: .*native addon/);
  assert.match(told[9], /^SyntaxError: \/app\/broken\.json: /);
  assert.match(told[10], /^ERR_INVALID_ARG_VALUE/);
  assert.match(told[11], /^ERR_INVALID_ARG_TYPE/);
});

test('require: every builtin with and without node:', async () => {
  const names = [
    'assert',
    'buffer',
    'console',
    'crypto',
    'events',
    'module',
    'path',
    'process',
    'querystring',
    'string_decoder',
    'timers',
    'timers/promises',
    'url',
    'util',
    'util/types',
  ];
  const source = `module.exports = (req, res) => res.json(${JSON.stringify(names)}.map((name) =>
    require(name) === require('node:' + name) && Object.keys(require(name)).length > 0));`;
  assert.deepEqual(
    await evaluate(source),
    names.map(() => true),
  );
});

test('a shebang and a byte order mark are not in the way', async () => {
  assert.deepEqual(
    await evaluate('\ufeff#!/usr/bin/env node\nmodule.exports = (q, s) => s.json(1)'),
    1,
  );
});

test('handlers of every kind', async () => {
  const express = '(req, res) => res.json(1)';
  const web = '{ fetch: () => Response.json(1) }';
  for (const source of [
    `module.exports = ${express}`,
    `module.exports = async function (req, res) { res.json(1) }`,
    `module.exports.default = ${express}`,
    `module.exports = ${web}`,
    `exports.default = ${web}`,
    `module.exports = new (class { n = 1; fetch() { return Response.json(this.n) } })()`,
  ]) {
    assert.equal(await evaluate(source), 1, source);
  }
  for (const source of [`export default ${express}`, `await 0; export default ${web}`]) {
    assert.equal(await evaluate({ 'index.mjs': source }), 1, source);
  }
});

test('no handler', async () => {
  for (const files of [
    '',
    'module.exports = {}',
    'module.exports = null',
    'module.exports = { handler() {} }',
    'module.exports = { fetch: 1 }',
    { 'index.mjs': 'const a = 1' },
    { 'index.mjs': 'export default {}' },
  ]) {
    await assert.rejects(new Sandbox(files).load(), {
      code: 'HANDLER_MISSING',
      message: 'Module must export a function. Expected: module.exports = function(req, res) {...}',
    });
  }
});

test('what loading throws comes out of it', async () => {
  await assert.rejects(new Sandbox('throw new RangeError("x")').load(), { name: 'RangeError' });
  await assert.rejects(new Sandbox('require("./none")').load(), { code: 'MODULE_NOT_FOUND' });
  await assert.rejects(
    new Sandbox({ 'index.mjs': 'await Promise.reject(new Error("y"))' }).load(),
    {
      message: 'y',
    },
  );
  await assert.rejects(new Sandbox('const x = ;').load(), { name: 'SyntaxError' });
});

const impure = {
  'setTimeout()': 'setTimeout(() => {}, 5)',
  'setInterval()': 'setInterval(() => {}, 5)',
  'setImmediate()': 'setImmediate(() => {})',
  'sleep()': 'sleep(5)',
  'fetch()': 'fetch("https://x.example/")',
  'kv.get()': 'kv.get("k")',
  'kv.set()': 'kv.set("k", 1)',
  'crypto.randomUUID()': 'crypto.randomUUID()',
  'crypto.getRandomValues()': 'crypto.getRandomValues(new Uint8Array(1))',
  'crypto.randomBytes()': 'require("crypto").randomBytes(4)',
  'performance.now()': 'performance.now()',
  'performance.timeOrigin': 'performance.timeOrigin',
  'process.hrtime()': 'process.hrtime()',
  'process.hrtime.bigint()': 'process.hrtime.bigint()',
  'process.uptime()': 'process.uptime()',
  'console.time()': 'console.time()',
  'Math.random()': 'Math.random()',
  'AbortSignal.timeout()': 'AbortSignal.timeout(5)',
};

test('the top level cannot touch clock, chance, network or state unseen', async () => {
  for (const [what, code] of Object.entries(impure)) {
    const sandbox = new Sandbox(`try { const p = ${code}; p?.catch?.(() => {}) } catch {}
      module.exports = () => {}`);
    await sandbox.load();
    assert.equal(sandbox.control.touched[0], what);
  }
});

test('what is pure at the top level stays so', async () => {
  const source = `const { EventEmitter } = require('events'); const util = require('util');
    const url = new URL('/a?b=1', 'https://x.example'); url.searchParams.append('c', '2');
    const text = util.inspect({ url, b: Buffer.from('x'), e: new Error('e') });
    const signal = new AbortController().signal; new ReadableStream();
    new Request('https://x.example');
    console.log('loaded', process.env.X); structuredClone({ a: [1] });
    new TextEncoder().encode('é');
    module.exports = (req, res) => res.send(url.href);`;
  const sandbox = await new Sandbox(source, { env: { X: '1' } }).load();
  assert.deepEqual(sandbox.control.touched, []);
  await sandbox.start();
  const result = await sandbox.finish();
  assert.equal(result.body, 'https://x.example/a?b=1&c=2');
  assert.deepEqual(result.logs, [[2, 'loaded 1']]);
});

test('evaluated per request: compiled at deploy, run in the invocation', async () => {
  const files = {
    'index.js': `const id = Math.random(); const lib = require('./lib');
      module.exports = (req, res) => res.json(typeof id + lib + require('./data').x);`,
    'lib.js': 'module.exports = setTimeout(() => {}, 1) && "ok"',
    'data.json': '{"x":1}',
  };
  const sandbox = await new Sandbox(files).load(['/app/index.js', '/app/lib.js', '/app/data.json']);
  assert.deepEqual(sandbox.control.calls, []);
  let reads = 0;
  sandbox.context.counted = () => reads++;
  await sandbox.start();
  assert.equal((await sandbox.finish()).body, '"numberok1"');
});

test('evaluated per request: an ES module, and failures', async () => {
  const esm = await new Sandbox({
    'index.mjs': 'await sleep(5); export default (q, s) => s.json(1)',
  }).load([]);
  await esm.start();
  assert.equal((await esm.finish()).body, '1');
  for (const files of ['throw new Error("top")', { 'index.mjs': 'throw new Error("top")' }]) {
    const sandbox = await new Sandbox(files).load([]);
    await sandbox.start();
    assert.equal((await sandbox.finish()).failure.message, 'top');
  }
  const missing = await new Sandbox('module.exports = 1').load([]);
  await missing.start();
  assert.match((await missing.finish()).failure.message, /Module must export a function/);
});

test('hooks for the loader of ES modules', async () => {
  const sandbox = await new Sandbox({
    'index.js': 'require("./lib"); module.exports = () => {}',
    'lib.js': 'exports.a = 1',
    'data.json': '[1]',
  }).load();
  assert.equal(sandbox.hooks.requireForImport('/app/lib.js').a, 1);
  assert.equal(sandbox.hooks.requireForImport('/app/data.json')[0], 1);
  assert.equal(typeof sandbox.hooks.builtin('path').join, 'function');
  assert.throws(() => sandbox.hooks.builtin('child_process'), { code: 'MODULE_NOT_FOUND' });
  assert.deepEqual(
    [...sandbox.hooks.loadedFiles()],
    ['/app/index.js', '/app/lib.js', '/app/data.json'],
  );
});
