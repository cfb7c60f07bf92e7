// `WebSocket` and `ws` against a made-up server. What the host does is tested in tests/it.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Sandbox, World, run } from './harness.mjs';

/** A server that sends back what it gets, and answers a closing frame. */
const echo = (message) =>
  message.kind === 'close'
    ? [{ ...message, code: message.code, reason: message.reason }]
    : [message];

function worldWith(server) {
  const world = new World();
  world.requests = [];
  world.websocket = (request) => {
    world.requests.push(request);
    return typeof server === 'function' ? { answer: server } : server;
  };
  return world;
}

/** What an async function answers whose body is `code`; `log` collects. */
async function evaluate(code, server = echo) {
  const world = worldWith(server);
  const result = await run(
    `module.exports = async (req, res) => { const log = [];
    const on = (ws) => { for (const t of ['open', 'message', 'error', 'close'])
    ws.addEventListener(t, (e) => log.push(t === 'message' ? [t, e.data] :
    t === 'close' ? [t, e.code, e.reason, e.wasClean] :
    t === 'error' ? [t, e.error?.code ?? null, e.message] : [t])); return ws; };
    const ended = (ws) => new Promise((r) => ws.addEventListener('close', r));
    res.json(await (async () => { ${code} })()); }`,
    {},
    { world },
  );
  assert.equal(result.failure, undefined, JSON.stringify(result.failure));
  return JSON.parse(result.body);
}

test('WebSocket: a message and its echo', async () => {
  assert.deepEqual(
    await evaluate(`const ws = on(new WebSocket('ws://x.example'));
    const before = [ws.readyState, ws.url, ws.protocol, ws.extensions, ws.binaryType];
    ws.onopen = function (e) { log.push([this === ws, e.isTrusted, ws.readyState]);
    ws.send('hé'); };
    ws.onmessage = (e) => { log.push(e.origin); ws.close(); log.push(ws.readyState); };
    await ended(ws);
    return [before, log, ws.readyState, ws.bufferedAmount]`),
    [
      [0, 'ws://x.example/', '', '', 'blob'],
      [
        ['open'],
        [true, true, 1],
        ['message', 'hé'],
        'ws://x.example',
        2,
        ['close', 1005, '', true],
      ],
      3,
      0,
    ],
  );
});

test('WebSocket: bytes, as blob and as array buffer', async () => {
  assert.deepEqual(
    await evaluate(`const ws = new WebSocket('wss://x.example/p?q=1');
    await new Promise((r) => { ws.onopen = r });
    const next = () => new Promise((r) => { ws.onmessage = (e) => r(e.data) });
    ws.send(new Uint8Array([1, 2, 255]).subarray(1)); const blob = await next();
    ws.binaryType = 'arraybuffer'; ws.binaryType = 'nonsense';
    ws.send(new Uint8Array([7]).buffer); const buffer = await next();
    ws.send(new Blob(['ab'])); const third = await next();
    ws.send(new DataView(new ArrayBuffer(2))); const fourth = await next();
    ws.send(12); const fifth = await next();
    return [blob instanceof Blob, [...await blob.bytes()], buffer instanceof ArrayBuffer,
    [...new Uint8Array(buffer)], Buffer.from(third).toString(), fourth.byteLength, fifth,
    ws.binaryType]`),
    [true, [2, 255], true, [7], 'ab', 2, '12', 'arraybuffer'],
  );
});

test('WebSocket: protocols, headers and credentials reach the server', async () => {
  const world = worldWith({ protocol: 'b', messages: [] });
  const result = await run(
    `module.exports = async (req, res) => {
    const a = new WebSocket('https://me:p%40ss@x.example/a', ['a', 'b']);
    const b = new WebSocket(new URL('http://x.example'),
    { protocols: 'c', headers: { 'x-a': '1' } });
    await new Promise((r) => { b.onopen = r });
    res.json([a.protocol, a.url, b.url]) }`,
    {},
    { world },
  );
  assert.deepEqual(JSON.parse(result.body), [
    'b',
    'wss://me:p%40ss@x.example/a',
    'ws://x.example/',
  ]);
  const asked = JSON.parse(JSON.stringify(world.requests));
  assert.deepEqual(asked, [
    {
      url: 'wss://x.example/a',
      protocols: ['a', 'b'],
      fields: `authorization: Basic ${btoa('me:p@ss')}\r\n`,
    },
    { url: 'ws://x.example/', protocols: ['c'], fields: 'x-a: 1\r\n' },
  ]);
});

test('WebSocket: what is not valid throws', async () => {
  for (const [code, name] of [
    ['new WebSocket()', 'TypeError'],
    ['WebSocket("ws://x")', 'TypeError'],
    ['new WebSocket("")', 'SyntaxError'],
    ['new WebSocket("/relative")', 'SyntaxError'],
    ['new WebSocket("ftp://x.example")', 'SyntaxError'],
    ['new WebSocket("ws://x.example/#a")', 'SyntaxError'],
    ['new WebSocket("ws://x.example", ["a", "a"])', 'SyntaxError'],
    ['new WebSocket("ws://x.example", "a b")', 'SyntaxError'],
    ['new WebSocket("ws://x.example", [""])', 'SyntaxError'],
    ['new WebSocket("ws://x.example").send("x")', 'InvalidStateError'],
    ['new WebSocket("ws://x.example").send()', 'TypeError'],
    ['new WebSocket("ws://x.example").close(999)', 'InvalidAccessError'],
    ['new WebSocket("ws://x.example").close(1001)', 'InvalidAccessError'],
    ['new WebSocket("ws://x.example").close(5000)', 'InvalidAccessError'],
    ['new WebSocket("ws://x.example").close(1000, "é".repeat(62))', 'SyntaxError'],
  ]) {
    assert.equal(await evaluate(`try { ${code} } catch (e) { return e.name }`), name, code);
  }
});

test('WebSocket: closing, by either side', async () => {
  assert.deepEqual(
    await evaluate(`const ws = on(new WebSocket('ws://x.example'));
    ws.onopen = () => { ws.send('first'); ws.close(3001, 'bye'); ws.close(4000); ws.send('lost');
    log.push(ws.bufferedAmount) };
    await ended(ws); ws.send('after'); ws.close();
    return [log, ws.bufferedAmount]`),
    // A message that comes after close() is not told.
    [[['open'], 9, ['close', 3001, 'bye', true]], 9],
  );
  assert.deepEqual(
    await evaluate(`const ws = on(new WebSocket('ws://x.example')); await ended(ws); return log`, {
      messages: [
        { kind: 'ping', data: 'p' },
        { kind: 'text', data: 'last' },
        { kind: 'close', code: 1012, reason: 'restart' },
      ],
    }),
    [['open'], ['message', 'last'], ['close', 1012, 'restart', true]],
  );
});

test('WebSocket: no connection, or none any more', async () => {
  const refused = { error: { code: 'connect', message: 'cannot connect to x' } };
  assert.deepEqual(
    await evaluate(
      `const ws = on(new WebSocket('ws://x.example')); await ended(ws); return log`,
      refused,
    ),
    [
      ['error', 'connect', 'cannot connect to x'],
      ['close', 1006, '', false],
    ],
  );
  const broken = (code) => ({ messages: [{ error: { code, message: 'm' } }] });
  const code = `const ws = on(new WebSocket('ws://x.example')); await ended(ws); return log`;
  assert.deepEqual(await evaluate(code, broken('closed')), [['open'], ['close', 1006, '', false]]);
  assert.deepEqual(await evaluate(code, broken('protocol')), [
    ['open'],
    ['error', 'protocol', 'm'],
    ['close', 1006, '', false],
  ]);
  assert.deepEqual(
    await evaluate(`const ws = on(new WebSocket('ws://x.example')); ws.close();
    log.push(ws.readyState); await ended(ws); return [log, ws.readyState]`),
    [
      [
        2,
        ['error', 'closed', 'WebSocket was closed before the connection was established'],
        ['close', 1006, '', false],
      ],
      3,
    ],
  );
});

test('WebSocket: a server that does not answer the closing frame', async () => {
  assert.deepEqual(
    await evaluate(
      `const ws = on(new WebSocket('ws://x.example')); ws.onopen = () => ws.close();
      await ended(ws); return log`,
      () => [],
    ),
    [['open'], ['close', 1006, '', false]],
  );
});

test('WebSocket: messages leave in order, as the host has room for them', async () => {
  const world = worldWith(() => []);
  const sandbox = await new Sandbox(
    `module.exports = (req, res) => { const ws = new WebSocket('ws://x.example');
    ws.onopen = () => { const bytes = new Uint8Array(600000);
    for (let i = 0; i < 4; i++) { bytes[0] = i; ws.send(bytes); }
    for (let i = 0; i < 20; i++) ws.send('' + i);
    console.log(ws.bufferedAmount);
    try { ws.send('x'.repeat(1048577)) } catch (e) { console.log(e.name, e.code) }
    ws.close(); ws.onclose = () => res.end('done') } }`,
    { world },
  ).load();
  await sandbox.start();
  await sandbox.step();
  assert.equal(sandbox.pending.filter(({ kind }) => kind === 'wsSend').length, 1);
  const result = await sandbox.finish();
  assert.deepEqual(
    result.logs.map(([, text]) => text),
    ['2400030', 'RangeError message_too_large'],
  );
  const [socket] = sandbox.control.sockets.values();
  const told = socket.sent.map(({ kind, data }) => (kind === 'binary' ? data[0] : (data ?? kind)));
  const numbers = Array.from({ length: 20 }, (_, i) => `${i}`);
  assert.deepEqual(told, [0, 1, 2, 3, ...numbers, 'close']);
  assert.equal(socket.released, true);
});

test('WebSocket: at the top level of a module it makes the deployment per request', async () => {
  const sandbox = new Sandbox(
    `new WebSocket('ws://x.example'); module.exports = (req, res) => res.end()`,
  );
  await assert.rejects(sandbox.load(), /not available while a snapshot is taken/);
  assert.deepEqual(sandbox.control.touched, ['new WebSocket()']);
  const named = await run(
    `class Mine extends WebSocket {} module.exports = (req, res) =>
    res.json([typeof WebSocket, Mine.name, WebSocket.OPEN, new CloseEvent('close').code,
    Object.prototype.toString.call(WebSocket.prototype), WebSocket === globalThis.WebSocket])`,
  );
  assert.deepEqual(JSON.parse(named.body), ['function', 'Mine', 1, 0, '[object WebSocket]', true]);
});

test('WebSocket: what a listener throws ends the invocation', async () => {
  const result = await run(
    `module.exports = (req, res) => { new WebSocket('ws://x.example').onopen =
    () => { throw new Error('mine') } }`,
    {},
    { world: worldWith(echo) },
  );
  assert.equal(result.failure.message, 'mine');
});

test('ws: a client as of the package', async () => {
  assert.deepEqual(
    await evaluate(`const WS = require('ws'); const ws = new WS('ws://x.example', ['p'],
    { headers: { 'x-a': 1, 'x-b': ['1', '2'] }, origin: 'https://o.example',
    perMessageDeflate: false });
    ws.on('open', () => { ws.send('hé', (e) => log.push(['sent', e ?? null]));
      ws.send(Buffer.from([1]), { binary: true }); ws.send(Buffer.from('t'), { binary: false });
      ws.ping('p', false, () => log.push('pinged')); });
    ws.on('ping', (data) => { log.push(['ping', data.toString()]); ws.close(1000, 'done') });
    ws.on('message', (data, isBinary) => log.push([Buffer.isBuffer(data), data.toString('latin1'),
    isBinary]));
    const end = await new Promise((r) => ws.on('close', (code, reason) => r([code,
    Buffer.isBuffer(reason), reason.toString()])));
    return [log, end, ws.readyState, ws.readyState === WS.CLOSED, WS.WebSocket === WS, ws.OPEN]`),
    [
      [
        ['sent', null],
        'pinged',
        [true, 'hÃ©', false],
        [true, '\u0001', true],
        [true, 't', false],
        ['ping', 'p'],
      ],
      [1000, true, 'done'],
      3,
      true,
      true,
      1,
    ],
  );
});

test('ws: errors', async () => {
  const refused = { error: { code: 'upgrade', message: 'Unexpected server response: 404' } };
  assert.deepEqual(
    await evaluate(
      `const WS = require('ws'); const ws = new WS('ws://x.example');
      ws.on('error', (e) => log.push(e.message)); await new Promise((r) => ws.on('close', (...a) =>
      r(log.push(a[0])))); return log`,
      refused,
    ),
    ['Unexpected server response: 404', 1006],
  );
  const thrown = async (code) =>
    evaluate(`const WS = require('ws'); try { ${code} } catch (e) { return [e.name, e.message] }`);
  assert.deepEqual(await thrown(`new WS('ws://x.example').send('a')`), [
    'Error',
    'WebSocket is not open: readyState 0 (CONNECTING)',
  ]);
  assert.deepEqual(await thrown(`new WS('nonsense')`), ['SyntaxError', 'Invalid URL: nonsense']);
  assert.deepEqual(await thrown(`new WS('ws://x.example', 'a b')`), [
    'SyntaxError',
    'An invalid or duplicated subprotocol was specified',
  ]);
  assert.deepEqual(await thrown(`new WS('ws://x.example').close(1)`), [
    'TypeError',
    'First argument must be a valid error code number',
  ]);
  assert.equal((await thrown(`new WS.Server({ port: 1 })`))[0], 'Error');
  const uncaught = await run(
    `module.exports = (req, res) => { new (require('ws'))('ws://x.example') }`,
    {},
    { world: worldWith(refused) },
  );
  assert.equal(uncaught.failure.message, 'Unexpected server response: 404');
});

test('ws: the handlers and listeners of the web', async () => {
  assert.deepEqual(
    await evaluate(`const WS = require('ws'); const ws = new WS('ws://x.example');
    const twice = (e) => log.push(['twice', e.type]);
    ws.addEventListener('open', twice); ws.addEventListener('open', twice);
    ws.onopen = (e) => { log.push([e.type, e.target === ws]); ws.send('a') };
    ws.onmessage = (e) => { log.push([typeof e.data, e.data]); ws.terminate() };
    const gone = () => log.push('gone'); ws.addEventListener('message', gone);
    ws.removeEventListener('message', gone);
    await new Promise((r) => { ws.onclose = (e) => r(log.push([e.code, e.reason, e.wasClean])) });
    return [log, typeof ws.onopen, ws.onerror]`),
    [
      [
        ['twice', 'open'],
        ['open', true],
        ['string', 'a'],
        [1006, '', false],
      ],
      'function',
      null,
    ],
  );
});

test('ws: a package of that name comes first', async () => {
  const result = await run({
    'index.js': `module.exports = (req, res) => res.json(require('ws'))`,
    'node_modules/ws/index.js': `module.exports = 'theirs'`,
  });
  assert.equal(result.body, '"theirs"');
});
