// `console`: what it says, compared with Node's.

import assert from 'node:assert/strict';
import test from 'node:test';
import { same } from './compare.mjs';
import { run } from './harness.mjs';

test('Console writes to streams what Node writes', async () => {
  await same(`
    const { Console } = require('console');
    const lines = [];
    const stream = (name) => new (require('stream').Writable)({ decodeStrings: false, write(text, encoding, done) { lines.push([name, text]); done(); } });
    const c = new Console({ stdout: stream('out'), stderr: stream('err') });
    c.log('a', 1, { b: [1, { c: {} }] }); c.info('%s is %d', 'x', 5); c.debug('d'); c.warn('w'); c.error('e');
    c.group('G'); c.log('in\\nside'); c.group(); c.error('deep'); c.groupEnd(); c.groupEnd(); c.groupEnd(); c.log('out');
    c.count(); c.count('x'); c.count(); c.countReset(); c.count();
    c.assert(true, 'no'); c.assert(false, 'yes %s', 'a'); c.assert(false); c.assert(0, { a: 1 });
    c.dir({ a: { b: { c: { d: 1 } } } }, { depth: 0 }); c.dirxml({ x: 1 }); c.log(); c.log('%o', [1]); c.log('100%', 5);
    c.table([{ a: 1, b: 'x' }, { a: 2, c: true }]); c.table([[1, 2], [3]]); c.table([1, 'x']); c.table({ r: { v: 1 } }); c.table('no'); c.table([{ a: 1, b: 2 }], ['b']);
    c.table(new Map([['k', 'v']])); c.table(new Set([1])); c.table([]);
    const t = (f) => { try { f(); return 'ok' } catch (e) { return show(e) } };
    const d = new Console(stream('one'));
    d.error('to one'); d.log(new Error('x').message);
    class Mine extends Console { log(...args) { super.warn?.(...args); lines.push('mine'); } }
    lines.push(t(() => new Console()), t(() => new Console({})), t(() => new Console(5)), d instanceof Console, Console(stream('called')) instanceof Console);
    return lines;`);
});

test('format, of what most lines are made of, is what Node says', async () => {
  await same(`
    const { format } = require('util');
    const lines = [];
    const { Console } = require('console');
    const write = (text, encoding, done) => { lines.push(text); done(); };
    const c = new Console(new (require('stream').Writable)({ decodeStrings: false, write }));
    for (const args of [
      [], [''], ['a'], ['a', 'b'], ['%', 'b'], ['100%'], ['a', '%s', 'c'], ['a', 1, -0, 0, 1.5, NaN, 1e21], ['a', true, null, undefined],
      ['a', 1n], ['a', Symbol('s')], [1, 'a'], [undefined], [null, 'x'], ['a', { b: 1 }], ['a', () => 1], ['', ''], ['a', ''],
    ]) { lines.push(format(...args)); c.log(...args); }
    return lines;`);
});

test('times', async () => {
  const { logs } = await run(`module.exports = async (req, res) => {
    console.time('operation'); await sleep(5); console.timeEnd('operation');
    console.time(); await sleep(1500); console.timeLog('default', 'x', { a: 1 }); await sleep(63750); console.timeEnd();
    console.timeEnd('none'); console.timeLog('none'); console.countReset('none'); console.time('a'); console.time('a');
    res.end();
  };`);
  assert.deepEqual(
    logs.map(([, text]) => text),
    [
      'operation: 5ms',
      'default: 1.500s x { a: 1 }',
      'default: 1:05.250 (m:ss.mmm)',
      "No such label 'none' for console.timeEnd()",
      "No such label 'none' for console.timeLog()",
      "Count for 'none' does not exist",
      "Label 'a' already exists for console.time()",
    ],
  );
});
