// URL, encodings, console, process, events, and what else is on the global object.

import assert from 'node:assert/strict';
import test from 'node:test';
import { run } from './harness.mjs';

const handle = (body, options) =>
  run(`module.exports = async (req, res) => { ${body} }`, {}, options);
const evaluate = async (body, options) => {
  const { body: text, failure } = await handle(
    `res.json({ v: await (async () => { ${body} })() })`,
    options,
  );
  assert.equal(failure, undefined);
  return JSON.parse(text).v;
};
/** What is logged, as [level, text]. */
const logged = async (body, options) => {
  const result = await handle(`${body}; res.end()`, options);
  assert.equal(result.failure, undefined);
  return result.logs;
};

test('URL', async () => {
  assert.deepEqual(
    await evaluate(`
      const u = new URL('../b?x=1&y=%20#h', 'https://u:p@Ex.com:8080/a/c');
      const was = [u.href, u.origin, u.protocol, u.username, u.password, u.host,
      u.hostname, u.port, u.pathname, u.search, u.hash];
      u.searchParams.append('z', 'é&'); u.hash = ''; u.port = '443'; u.pathname = '/n w';
      u.username = '';
      const now = u.href; u.search = '?q=2';
      return [was, now, u.searchParams.get('q'), JSON.stringify(u),
      String(u), URL.canParse('/x'), URL.canParse('/x', 'http://a'), URL.parse('x'),
      u instanceof URL]`),
    [
      [
        'https://u:p@ex.com:8080/b?x=1&y=%20#h',
        'https://ex.com:8080',
        'https:',
        'u',
        'p',
        'ex.com:8080',
        'ex.com',
        '8080',
        '/b',
        '?x=1&y=%20',
        '#h',
      ],
      'https://:p@ex.com/n%20w?x=1&y=+&z=%C3%A9%26',
      '2',
      '"https://:p@ex.com/n%20w?q=2"',
      'https://:p@ex.com/n%20w?q=2',
      false,
      true,
      null,
      true,
    ],
  );
  assert.deepEqual(
    await evaluate(
      `try { new URL('nope') } catch (e) { return [e.name, e.code, e.message, e.input] }`,
    ),
    ['TypeError', 'ERR_INVALID_URL', 'Invalid URL', 'nope'],
  );
});

test('URLSearchParams', async () => {
  assert.deepEqual(
    await evaluate(`
      const p = new URLSearchParams('?a=1&b=2&a=3&c&%ff=+');
      const first = [p.get('a'), p.getAll('a'), p.has('c'), p.get('none'), p.size,
      p.has('a', '3'), p.has('a', '9')];
      p.delete('a', '3'); p.set('b', 'x y'); p.append('d', '~*-._'); p.sort();
      return [...first, String(p), [...new URLSearchParams({ k: 'v', n: 1 })],
      [...new URLSearchParams([['x', 'y']]).keys()], [...new URLSearchParams(new Map([['m',
      '1']])).values()]]`),
    [
      '1',
      ['1', '3'],
      true,
      null,
      5,
      true,
      false,
      'a=1&b=x+y&c=&d=%7E*-._&%EF%BF%BD=+',
      [
        ['k', 'v'],
        ['n', '1'],
      ],
      ['x'],
      ['1'],
    ],
  );
});

test('url and querystring modules', async () => {
  assert.deepEqual(
    await evaluate(`
      const url = require('url'); const qs = require('querystring');
      const p = url.parse('https://u:p@x.example:8080/a?b=1&b=2#h', true);
      const r = url.parse('/a?b=1');
      return [p.host, p.pathname, p.query.b, p.auth, p.href, r.host, r.pathname, r.query, r.href,
        url.format({ protocol: 'https', host: 'x.example', pathname: 'a',
        query: { b: [1, 2] } }), url.resolve('/one/two', 'three'),
        url.fileURLToPath('file:///app/a%20b'), url.pathToFileURL('/app/a b').href,
        qs.parse('a=1&a=2&b=%E9&c+d=x'), qs.stringify({ a: [1, 2], b: 'x y', c: true, d: null }),
        qs.parse('a:1;b:2', ';', ':')]`),
    [
      'x.example:8080',
      '/a',
      ['1', '2'],
      'u:p',
      'https://u:p@x.example:8080/a?b=1&b=2#h',
      null,
      '/a',
      'b=1',
      '/a?b=1',
      'https://x.example/a?b=1&b=2',
      '/one/three',
      '/app/a b',
      'file:///app/a%20b',
      { a: ['1', '2'], b: '\ufffd', 'c d': 'x' },
      'a=1&a=2&b=x%20y&c=true&d=',
      { a: '1', b: '2' },
    ],
  );
});

test('TextEncoder, TextDecoder, atob, btoa', async () => {
  assert.deepEqual(
    await evaluate(`
      const d = new TextDecoder(); const bytes = new TextEncoder().encode('h€😀');
      let streamed = ''; for (const byte of bytes) streamed += d.decode(new Uint8Array([byte]),
      { stream: true });
      streamed += d.decode();
      const target = new Uint8Array(5);
      const cut = new TextDecoder(); const half = cut.decode(new Uint8Array([0xe2, 0x82]),
      { stream: true }) + cut.decode();
      return [[...bytes].length, streamed, new TextDecoder().decode(new Uint8Array([0xef,
      0xbb, 0xbf, 0x61])),
        new TextDecoder('utf-8', { ignoreBOM: true }).decode(new Uint8Array([0xef,
        0xbb, 0xbf, 0x61])).length,
        new TextDecoder('latin1').decode(new Uint8Array([0xe9,
        0x80])), new TextDecoder('utf-16le').decode(new Uint8Array([0x3d, 0xd8, 0, 0xde])),
        new TextEncoder().encodeInto('a€€', target), half, new TextDecoder('ascii').encoding,
        btoa('é\\xff'), atob(' aGk= '), new TextDecoder().decode()]`),
    [
      8,
      'h€😀',
      'a',
      2,
      'é€',
      '😀',
      { read: 2, written: 4 },
      '\ufffd',
      'windows-1252',
      '6f8=',
      'hi',
      '',
    ],
  );
  assert.deepEqual(
    await evaluate(`
      const names = [];
      for (const f of [() => new TextDecoder('utf-8',
      { fatal: true }).decode(new Uint8Array([255])), () => new TextDecoder('klingon'),
        () => new TextDecoder().decode('x'),
        () => btoa('€'), () => atob('a')]) try { f() } catch (e) { names.push(e.name) }
      return names`),
    ['TypeError', 'RangeError', 'TypeError', 'InvalidCharacterError', 'InvalidCharacterError'],
  );
});

test('Buffer', async () => {
  assert.deepEqual(
    await evaluate(`
      const b = Buffer.from('héé');
      return [b.length, b.toString(), b.toString('utf8', 1, 3), b.toString('hex'),
      b.toString('base64'), Buffer.from('_-8', 'base64url').toString('hex'),
        Buffer.from([0xff, 0xef]).toString('base64url'), Buffer.concat([b,
        Buffer.alloc(1)]).length, Buffer.isBuffer(b.subarray(1)), b.equals(Buffer.from('héé')),
        Buffer.byteLength('é'), Buffer.from('a').toJSON(), require('buffer').Buffer === Buffer,
        Buffer.isEncoding('base64url'), b.indexOf('é'),
        Buffer.from('ÿ', 'latin1')[0], Buffer.from(new Uint16Array([256,
        1]).buffer).readUInt16LE(0), b.slice(1, 3).toString(), Buffer.from('zz', 'hex').length]`),
    [
      5,
      'héé',
      'é',
      '68c3a9c3a9',
      'aMOpw6k=',
      'ffef',
      '_-8',
      6,
      true,
      true,
      2,
      { type: 'Buffer', data: [97] },
      true,
      true,
      1,
      255,
      256,
      'é',
      0,
    ],
  );
});

test('console: levels and formatting', async () => {
  assert.deepEqual(
    await logged(`
      console.log('a', 1, { b: [1, { c: { d: 1 } }] });
      console.info('%s is %d years, %i, %f, %j %o %%', 'x', 42, 1.9, '1.5', { j: 1 }, [1]);
      console.debug('d'); console.warn('w'); console.error('e'); console.log();
      console.log('%c styled', 'color: red');
      console.log(new Map([['k', new Set([1])]]), null, undefined, 10n, Symbol('s'),
      class A {}, function f() {});
      console.log(JSON.stringify({ level: 'info' })); console.log('%s', 'extra', { a: 1 });`),
    [
      [2, 'a 1 { b: [ 1, { c: [Object] } ] }'],
      [2, 'x is 42 years, 1, 1.5, {"j":1} [ 1, [length]: 1 ] %'],
      [1, 'd'],
      [3, 'w'],
      [4, 'e'],
      [2, ''],
      [2, ' styled'],
      [2, "Map(1) { 'k' => Set(1) { 1 } } null undefined 10n Symbol(s) [class A] [Function: f]"],
      [2, '{"level":"info"}'],
      [2, 'extra { a: 1 }'],
    ],
  );
});

test('console: group, count, time, assert, dir, table, trace', async () => {
  const logs = await logged(`
    console.group('g'); console.log('in\\nside'); console.groupEnd(); console.log('out');
    console.count(); console.count('x'); console.count(); console.countReset(); console.count();
    console.time('operation'); await sleep(12); console.timeLog('operation', 'extra');
    console.timeEnd('operation'); console.timeEnd('none');
    console.assert(true, 'no'); console.assert(false, 'yes %s', 1); console.assert(false);
    console.dir({ a: { b: { c: { d: 1 } } } }, { depth: 0 });
    console.table([{ a: 1, b: 'x' }, { a: 2, c: true }]); console.trace('here');`);
  assert.deepEqual(logs.slice(0, 14), [
    [2, 'g'],
    [2, '  in\n  side'],
    [2, 'out'],
    [2, 'default: 1'],
    [2, 'x: 1'],
    [2, 'default: 2'],
    [2, 'default: 1'],
    [2, 'operation: 12ms extra'],
    [2, 'operation: 12ms'],
    [3, "No such label 'none' for console.timeEnd()"],
    [4, 'Assertion failed: yes 1'],
    [4, 'Assertion failed'],
    [2, '{ a: [Object] }'],
    [
      2,
      [
        '┌─────────┬───┬─────┬──────┐',
        '│ (index) │ a │ b   │ c    │',
        '├─────────┼───┼─────┼──────┤',
        "│ 0       │ 1 │ 'x' │      │",
        '│ 1       │ 2 │     │ true │',
        '└─────────┴───┴─────┴──────┘',
      ].join('\n'),
    ],
  ]);
  assert.equal(logs[14][0], 0);
  assert.match(logs[14][1], /^Trace: here\n {4}at /);
});

test('process.env can be read and not changed, also in strict code', async () => {
  assert.deepEqual(
    await evaluate(
      `
      'use strict';
      class A { static run() { process.env.KEY = 'new'; process.env.NEW = '1';
      delete process.env.KEY; } }
      A.run(); Object.assign(process.env, { KEY: 'x' });
      Object.defineProperty(process.env, 'KEY', { value: 'y' });
      Reflect.set(process.env, 'KEY', 'z');
      return [process.env.KEY, process.env.NEW === undefined, Object.keys(process.env),
      'KEY' in process.env, { ...process.env }]`,
      { env: { KEY: 'value', EMPTY: '' } },
    ),
    ['value', true, ['KEY', 'EMPTY'], true, { KEY: 'value', EMPTY: '' }],
  );
});

test('process: what is there and what is refused', async () => {
  assert.deepEqual(
    await evaluate(`
      const { process: p } = globalThis;
      return [/^v20\\.\\d+\\.\\d+$/.test(p.version),
      p.versions.node === p.version.slice(1), typeof p.platform, typeof p.arch, p.cwd(), p.pid,
      p.argv.length,
        Array.isArray(p.hrtime()),
        typeof p.hrtime.bigint(), typeof p.uptime(), p.memoryUsage().heapUsed, p.on('exit',
        () => {}) === p, require('process') === p, String(p)]`),
    [
      true,
      true,
      'string',
      'string',
      '/app',
      1,
      2,
      true,
      'bigint',
      'number',
      0,
      true,
      true,
      '[object process]',
    ],
  );
  for (const name of ['exit', 'abort', 'kill', 'chdir', 'setuid', 'setgid', 'dlopen']) {
    assert.deepEqual(
      await evaluate(`try { process.${name}(1) } catch (e) { return [e.code, e.message] }`),
      ['EACCES', `${name}: operation not permitted`],
    );
  }
  assert.deepEqual(
    await logged(
      `process.stdout.write('a'); process.stdout.write('b\\nc\\n'); process.stderr.write('e\\n');
      process.stdout.write('rest'); await 0; await 0`,
    ),
    [
      [2, 'ab\nc'],
      [4, 'e'],
      [2, 'rest'],
    ],
  );
});

test('events: Event, EventTarget, AbortSignal, EventEmitter, DOMException', async () => {
  assert.deepEqual(
    await evaluate(`
      const seen = []; const target = new EventTarget();
      const listener = (e) => seen.push(e.type + e.detail);
      target.addEventListener('a', listener); target.addEventListener('a', listener);
      target.addEventListener('a', { handleEvent(e) { seen.push('object'); e.preventDefault();
      } }, { once: true });
      const first = target.dispatchEvent(new CustomEvent('a', { detail: 1, cancelable: true }));
      target.removeEventListener('a', listener);
      const second = target.dispatchEvent(new Event('a'));
      const controller = new AbortController(); const any = AbortSignal.any([controller.signal,
      new AbortController().signal]);
      any.onabort = () => seen.push('onabort');
      controller.signal.addEventListener('abort', () => seen.push('abort'), { once: true });
      controller.abort('why'); controller.abort('again');
      let thrown; try { any.throwIfAborted() } catch (e) { thrown = e }
      const timeout = AbortSignal.timeout(5); await sleep(9);
      const emitter = new EventEmitter(); emitter.once('x', (v) => seen.push(v));
      emitter.emit('x', 'emitted'); emitter.emit('x', 'never');
      const d = new DOMException('m', 'AbortError');
      return [seen, first, second, thrown, any.aborted, timeout.reason.name,
      [d.name, d.message, d.code, d instanceof Error, DOMException.ABORT_ERR],
      require('events') === EventEmitter]`),
    [
      ['a1', 'object', 'abort', 'onabort', 'emitted'],
      false,
      true,
      'why',
      true,
      'TimeoutError',
      ['AbortError', 'm', 20, true, 20],
      true,
    ],
  );
});

test('structuredClone', async () => {
  assert.deepEqual(
    await evaluate(`
      const a = { d: new Date(5), m: new Map([[{ k: 1 }, new Set([1])]]), r: /x/gi,
      u: undefined, n: null, b: new Uint8Array([1, 2]).subarray(1),
      e: new RangeError('x', { cause: 1 }), big: 1n, l: [1, , 3], s: new String('s') };
      a.self = a; const c = structuredClone(a); a.b[0] = 9;
      const refused = []; for (const x of [() => 1, Symbol('s'), new WeakMap(),
      Promise.resolve(), { f() {} }]) try { structuredClone(x) } catch (e) { refused.push(e.name) }
      return [c.self === c, c.d.getTime(), [...c.m.keys()][0].k, c.m.size,
      String(c.r), 'u' in c, c.n, [...c.b], c.b.byteOffset, c.e.name,
      c.e.message, c.e.cause, c.e instanceof RangeError, String(c.big),
      1 in c.l, c.l.length, String(c.s), c.d !== a.d, refused]`),
    [
      true,
      5,
      1,
      1,
      '/x/gi',
      true,
      null,
      [2],
      1,
      'RangeError',
      'x',
      1,
      true,
      '1',
      false,
      3,
      's',
      true,
      Array(5).fill('DataCloneError'),
    ],
  );
});

test('crypto', async () => {
  assert.deepEqual(
    await evaluate(`
      const c = require('crypto'); const a = new Uint32Array(4); const names = [];
      for (const f of [() => crypto.getRandomValues(new Uint8Array(65537)),
      () => crypto.getRandomValues(new Float64Array(1)),
      () => c.timingSafeEqual(Buffer.from('a'), Buffer.from('ab')),
        () => c.timingSafeEqual('a',
        Buffer.from('a'))]) try { f() } catch (e) { names.push(e.code ?? e.name) }
      const n = Array.from({ length: 50 }, () => c.randomInt(3));
      return [crypto.getRandomValues(a) === a && a.some((x) => x !== 0),
      c.randomBytes(70000).length,
      new Set(Array.from({ length: 20 }, () => crypto.randomUUID())).size,
        n.every((x) => x >= 0 && x < 3), c.timingSafeEqual(Buffer.from('a'), Buffer.from('a')),
        names]`),
    [
      true,
      70000,
      20,
      true,
      true,
      [22, 17, 'ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH', 'ERR_INVALID_ARG_TYPE'],
    ],
  );
});

test('util and assert', async () => {
  assert.deepEqual(
    await evaluate(`
      const util = require('util'); const assert = require('assert');
      const failing = []; for (const f of [() => assert(0), () => assert.equal(1,
      2), () => assert.strictEqual(1, '1'), () => assert.deepStrictEqual({ a: 1 }, {
      a: 2 }), () => assert.throws(() => {}),
        () => assert.throws(() => { throw new Error('x') }, /y/)]) try { f();
        failing.push('none') } catch (e) { failing.push(e.code ?? e.message) }
      assert.deepEqual({ a: [1, new Map([[1, 2]])] }, { a: [1, new Map([[1, 2]])] });
      assert.throws(() => { throw new TypeError('x') }, { name: 'TypeError', message: 'x' });
      await assert.rejects(Promise.reject(new RangeError('r')), RangeError);
      function Old() {} function Base() {} Base.prototype.hi = () => 'hi'; util.inherits(Old, Base);
      const p = await util.promisify((a, cb) => cb(null, a + 1))(1);
      const rejected = await util.promisify((cb) => cb(new Error('no')))().catch((e) => e.message);
      const called = await new Promise((r) => util.callbackify(async (x) => x * 2)(4,
      (e, v) => r([e, v])));
      return [failing, new Old().hi(), p, rejected, called, util.format('%s=%d',
      'a', 1), util.inspect({ a: { b: { c: {} } } }), util.isDeepStrictEqual([1],
      [1]), util.types.isDate(new Date()),
      util.types.isUint8Array(Buffer.alloc(1)), util.types.isPromise(1)]`),
    [
      Array(6).fill('ERR_ASSERTION'),
      'hi',
      2,
      'no',
      [null, 8],
      'a=1',
      '{ a: { b: { c: {} } } }',
      true,
      true,
      true,
      false,
    ],
  );
});

test('the global object', async () => {
  assert.deepEqual(
    await evaluate(`
      return [globalThis === global,
      globalThis === self, navigator.userAgent,
      Object.keys(globalThis).includes('fetch') && !Object.keys(globalThis).includes('URL'),
      typeof Atomics,
      typeof WebAssembly === 'undefined' || typeof WebAssembly,
        typeof performance.now(), Math.random() < 1, require('string_decoder').StringDecoder.name,
        new (require('string_decoder').StringDecoder)('utf8').write(Buffer.from([0xc3])),
        require('path').join('/a',
        '../b'), new (require('events'))().on('x', () => {}).listenerCount('x')]`),
    [
      true,
      true,
      'Ampoule/0.1',
      true,
      'undefined',
      'object',
      'number',
      true,
      'StringDecoder',
      '',
      '/b',
      1,
    ],
  );
});
