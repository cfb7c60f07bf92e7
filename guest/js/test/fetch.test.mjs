// `fetch`, `Request`, `Response`, `Headers`, and handlers in the web's style.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Sandbox, World, run } from './harness.mjs';

const handle = (body, world) =>
  run(`module.exports = async (req, res) => { ${body} }`, {}, { world });
const evaluate = async (body, upstream) => {
  const world = new World();
  if (upstream) world.upstream = upstream;
  const { body: text, failure } = await handle(
    `res.json({ v: await (async () => { ${body} })() })`,
    world,
  );
  assert.equal(failure, undefined);
  return JSON.parse(text).v;
};
const web = (body, request, options) =>
  run(`module.exports = { async fetch(request, env, ctx) { ${body} } }`, request, options);

test('fetch: what is sent', async () => {
  const sent = [];
  const upstream = (request) => {
    const body = ArrayBuffer.isView(request.body) ? [...request.body] : request.body;
    sent.push({ ...request, body });
    return {};
  };
  await evaluate(
    `
    await fetch('HTTPS://Example.com:443/a b?q=é');
    await fetch('https://x.example/', { method: 'post', body: JSON.stringify({ a: 1 }) });
    await fetch(new URL('https://x.example/u'),
    { method: 'PUT', body: new Uint8Array([1, 2]).subarray(1), headers: {
    'Content-Type': 'a/b', 'X-A': ' v ' } });
    await fetch('https://x.example/', { method: 'POST', body: new URLSearchParams({ a: 'x y' }),
    redirect: 'manual' });
    await fetch('https://x.example/',
    { method: 'patch', body: new Blob(['<p>'], { type: 'text/html' }), redirect: 'error' });
    await fetch(new Request('https://x.example/', { method: 'DELETE', headers: [['a', '1'], ['a',
    '2']] }), { headers: { b: '3' } });
    await fetch('https://x.example/', { headers: new Headers({ authorization: 'Bearer k' }) });
    await fetch('https://x.example/', { method: 'POST', body: new DataView(new ArrayBuffer(1)) });`,
    upstream,
  );
  assert.deepEqual(
    sent.map(({ method, url }) => `${method} ${url}`),
    [
      'GET https://example.com/a%20b?q=%C3%A9',
      'POST https://x.example/',
      'PUT https://x.example/u',
      'POST https://x.example/',
      'PATCH https://x.example/',
      'DELETE https://x.example/',
      'GET https://x.example/',
      'POST https://x.example/',
    ],
  );
  assert.deepEqual(
    sent.map(({ body }) => body),
    [null, '{"a":1}', [2], 'a=x+y', [60, 112, 62], null, null, [0]],
  );
  assert.deepEqual(
    sent.map(({ fields }) => fields),
    [
      '',
      'content-type: text/plain;charset=UTF-8\r\n',
      'content-type: a/b\r\nx-a: v\r\n',
      'content-type: application/x-www-form-urlencoded;charset=UTF-8\r\n',
      'content-type: text/html\r\n',
      'b: 3\r\n',
      'authorization: Bearer k\r\n',
      '',
    ],
  );
  assert.deepEqual(
    sent.map(({ redirect }) => redirect),
    ['follow', 'follow', 'follow', 'manual', 'error', 'follow', 'follow', 'follow'],
  );
});

test('fetch: what comes back', async () => {
  const upstream = () => ({
    status: 404,
    statusText: 'Not Found',
    url: 'https://y.example/',
    redirected: true,
    headers: { 'Content-Type': 'text/plain', 'x-a': '1' },
    chunks: ['\ufeffh', Buffer.from([0xc3]), Buffer.from([0xa9]), 'l'],
  });
  assert.deepEqual(
    await evaluate(
      `
      const r = await fetch('https://x.example/');
      return [r.status, r.statusText, r.ok, r.url, r.redirected, r.type,
      r.headers.get('content-type'),
        r.bodyUsed, await r.text(), r.bodyUsed, await r.text().catch((e) => e.name)];`,
      upstream,
    ),
    [
      404,
      'Not Found',
      false,
      'https://y.example/',
      true,
      'basic',
      'text/plain',
      false,
      'hél',
      true,
      'TypeError',
    ],
  );
  const parts = (read) =>
    evaluate(
      `
    const r = await fetch('https://x.example/'); ${read}`,
      () => ({ chunks: ['{"a"', ':1}'] }),
    );
  assert.deepEqual(await parts('return r.json()'), { a: 1 });
  assert.deepEqual(await parts('return [...await r.bytes()].length'), 7);
  assert.deepEqual(await parts('return (await r.arrayBuffer()).byteLength'), 7);
  assert.deepEqual(await parts('return (await r.blob()).size'), 7);
  assert.deepEqual(await parts('return Buffer.isBuffer(await r.buffer())'), true);
  assert.deepEqual(await parts('const c = r.clone(); return [await c.text(), await r.json()]'), [
    '{"a":1}',
    { a: 1 },
  ]);
  assert.deepEqual(
    await parts(
      `const got = []; for await (const c of r.body) got.push(Buffer.from(c).toString());
      return [got, r.bodyUsed]`,
    ),
    [['{"a"', ':1}'], true],
  );
  assert.deepEqual(
    await parts(`const reader = r.body.getReader({ mode: 'byob' });
      const { value } = await reader.read(new Uint8Array(2)); return [...value]`),
    [123, 34],
  );
  assert.deepEqual(
    await evaluate(
      `const r = await fetch('https://x.example/');
      return [r.body, await r.text(), (await r.bytes()).length, r.bodyUsed]`,
      () => ({ status: 204 }),
    ),
    [null, '', 0, false],
  );
});

test('fetch: failures', async () => {
  const told = (code) =>
    evaluate(
      `return ${code}.catch((e) => [e.name, e.message, e.code, e.cause?.code, e.cause?.message])`,
    );
  assert.deepEqual(await told('fetch("https://x.example")'), [
    'TypeError',
    'fetch failed',
    null,
    'connect',
    'connection refused',
  ]);
  assert.deepEqual(await told('fetch("/api/user/1")'), [
    'TypeError',
    'Failed to parse URL from /api/user/1',
    'ERR_INVALID_URL',
    'ERR_INVALID_URL',
    'Invalid URL',
  ]);
  for (const code of [
    'fetch()',
    'fetch("https://x.example", { method: "a b" })',
    'fetch("https://x.example", { method: "CONNECT" })',
    'fetch("https://x.example", { body: "x" })',
    'fetch("https://x.example", { headers: { "a b": "1" } })',
    'fetch("https://x.example", { headers: { a: "1\\r\\nb: 2" } })',
    'fetch("https://x.example", { redirect: "never" })',
    'fetch("https://x.example", { signal: {} })',
    'fetch("https://x.example", { method: "POST", body: new ReadableStream() })',
  ]) {
    assert.equal((await told(code))[0], 'TypeError', code);
  }
  const sandbox = await new Sandbox(`module.exports = async (req, res) => {
    const r = await fetch('https://x.example');
    res.json(await r.text().catch((e) => [e.name, e.message, e.cause.code]));
  }`).load();
  sandbox.world.upstream = () => ({ chunks: ['a', 'b'] });
  await sandbox.start();
  await sandbox.step();
  await sandbox.step();
  await sandbox.settle(sandbox.pending[0], { error: { code: 'body', message: 'cut off' } });
  assert.equal((await sandbox.finish()).body, '["TypeError","terminated","body"]');
});

test('fetch: abort before, during, and while the body is read', async () => {
  const before = await handle(`
    const error = await fetch('https://x.example', { signal: AbortSignal.abort() }).catch((e) => e);
    res.json([error.name, error.code, error instanceof DOMException]);`);
  assert.equal(before.body, '["AbortError",20,true]');
  assert.deepEqual(before.calls, ['respond']);

  const sandbox = await new Sandbox(`module.exports = async (req, res) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('mine')), 5);
    res.json(await fetch('https://x.example',
    { signal: controller.signal }).catch((e) => e.message));
  }`).load();
  await sandbox.start();
  await sandbox.settle(sandbox.pending.find(({ kind }) => kind === 'timer'));
  assert.equal(sandbox.pending.length, 0);
  assert.equal((await sandbox.finish()).body, '"mine"');

  const reading = await new Sandbox(`module.exports = async (req, res) => {
    const r = await fetch('https://x.example', { signal: AbortSignal.timeout(50) });
    res.json(await r.text().catch((e) => e.name));
  }`).load();
  reading.world.upstream = () => ({ chunks: ['a', 'b'] });
  await reading.start();
  await reading.step();
  const read = reading.pending.find(({ kind }) => kind === 'bodyRead');
  await reading.settle(reading.pending.find(({ kind }) => kind === 'timer'));
  assert.equal(reading.control.bodies.get(read.body).aborted, true);
  assert.equal((await reading.finish()).body, '"TimeoutError"');
});

test('fetch: uploads a stream, each chunk when there is room', async () => {
  const sandbox = await new Sandbox(`module.exports = async (req, res) => {
    async function* parts() { for (const part of ['a', 'b', 'c']) { console.log(part);
    yield Buffer.from(part); } }
    const r = await fetch('https://x.example',
    { method: 'POST', duplex: 'half', body: ReadableStream.from(parts()) });
    res.send(await r.text());
  }`).load();
  await sandbox.start();
  const upload = sandbox.pending.find(({ kind }) => kind === 'fetch');
  assert.equal(typeof upload.request.body, 'number');
  const body = sandbox.control.bodies.get(upload.request.body);
  assert.equal(body.chunks.length, 1);
  while (sandbox.pending.some(({ kind }) => kind === 'bodyWrite')) {
    await sandbox.settle(sandbox.pending.find(({ kind }) => kind === 'bodyWrite'));
  }
  assert.equal(Buffer.concat(body.chunks.map((chunk) => Buffer.from(chunk))).toString(), 'abc');
  assert.equal(body.closed, true);
  sandbox.world.upstream = () => ({ chunks: ['done'] });
  assert.equal((await sandbox.finish()).body, 'done');
});

test('fetch: a stream that fails breaks the upload off', async () => {
  const sandbox = await new Sandbox(`module.exports = async (req, res) => {
    const body = new ReadableStream({ pull() { throw new Error('source') } });
    res.json(await fetch('https://x.example',
    { method: 'POST', duplex: 'half', body }).catch((e) => e.message));
  }`).load();
  await sandbox.start();
  assert.equal((await sandbox.finish()).body, '"source"');
  assert.equal(sandbox.control.bodies.get(1).aborted, true);
});

test('Headers', async () => {
  assert.deepEqual(
    await evaluate(`
      const h = new Headers([['B', '2'], ['a', '1'], ['Set-Cookie', 'x=1'], ['set-cookie',
      'y=2'], ['a', ' 3 ']]);
      h.append('b', '4'); h.set('c', '5'); h.delete('C');
      const seen = []; h.forEach((v, k, o) => seen.push(k + v + (o === h)));
      return [[...h], h.get('A'), h.has('c'), h.get('none'), h.getSetCookie(),
      [...h.keys()], [...h.values()], seen.length,
        Object.prototype.toString.call(h), new Headers(h).get('a'), [...new Headers()]]`),
    [
      [
        ['a', '1, 3'],
        ['b', '2, 4'],
        ['set-cookie', 'x=1'],
        ['set-cookie', 'y=2'],
      ],
      '1, 3',
      false,
      null,
      ['x=1', 'y=2'],
      ['a', 'b', 'set-cookie', 'set-cookie'],
      ['1, 3', '2, 4', 'x=1', 'y=2'],
      4,
      '[object Headers]',
      '1, 3',
      [],
    ],
  );
  for (const code of [
    'new Headers(5)',
    'new Headers(null)',
    'new Headers([["a"]])',
    'new Headers({ "": "x" })',
    'new Headers({ a: "\\0" })',
  ]) {
    assert.equal(
      await evaluate(`try { ${code}; return 0 } catch (e) { return e.name }`),
      'TypeError',
      code,
    );
  }
  const frozen = await evaluate(
    `const r = await fetch('https://x.example');
    try { r.headers.set('a', '1') } catch (e) { return e.message }`,
    () => ({}),
  );
  assert.match(frozen, /immutable/);
});

test('Request and Response by themselves', async () => {
  assert.deepEqual(
    await evaluate(`
      const a = new Request('https://x.example/p',
      { method: 'POST', body: '{"a":1}', headers: { x: '1' } });
      const b = a.clone(); const c = new Request(a, { method: 'PUT' });
      return [a.bodyUsed, b.method, await b.json(), c.method, await c.text(),
      c.headers.get('x'), c.url,
        new Request('https://x.example').signal.aborted, new Request('https://x.example').body]`),
    [true, 'POST', { a: 1 }, 'PUT', '{"a":1}', '1', 'https://x.example/p', false, null],
  );
  assert.deepEqual(
    await evaluate(`
      const r = new Response('é', { status: 201, statusText: 'Made', headers: { a: '1' } });
      const j = Response.json({ a: 1 }, { status: 202 });
      const d = Response.redirect('https://x.example/a', 301);
      return [r.status, r.statusText, r.ok, r.type, r.headers.get('content-type'),
      (await r.clone().bytes()).length, await r.text(),
        j.status, j.headers.get('content-type'),
        await j.json(), d.status, d.headers.get('location'), Response.error().status,
        new Response().body,
        await new Response(new Blob(['b'])).text(),
        await new Response(new ReadableStream({ start(c) { c.enqueue(new Uint8Array([104]));
        c.close(); } })).text()]`),
    [
      201,
      'Made',
      true,
      'default',
      'text/plain;charset=UTF-8',
      2,
      'é',
      202,
      'application/json',
      { a: 1 },
      301,
      'https://x.example/a',
      0,
      null,
      'b',
      'h',
    ],
  );
  for (const code of [
    'new Response("", { status: 99 })',
    'new Response("", { status: 600 })',
    'Response.redirect("https://x.example", 200)',
  ]) {
    assert.equal(await evaluate(`try { ${code} } catch (e) { return e.name }`), 'RangeError', code);
  }
  for (const code of [
    'new Response("x", { status: 204 })',
    'Response.json(undefined)',
    'new Response("", { statusText: "\\n" })',
    'new Request("https://x.example", { body: "x" })',
  ]) {
    assert.equal(await evaluate(`try { ${code} } catch (e) { return e.name }`), 'TypeError', code);
  }
});

test('web handler: the request', async () => {
  const { body } = await web(
    `return Response.json([request.method,
    request.url, request.headers.get('x-a'), await request.json(),
    env, Object.isFrozen(env), request instanceof Request])`,
    {
      method: 'POST',
      target: '/a/b?c=%20d',
      headers: { 'x-a': '1', host: 'h.example' },
      body: '{"k":"é"}',
      secure: true,
    },
    { env: { KEY: 'v' } },
  );
  assert.deepEqual(JSON.parse(body), [
    'POST',
    'https://h.example/a/b?c=%20d',
    '1',
    { k: 'é' },
    { KEY: 'v' },
    true,
    true,
  ]);
  const odd = await web(`return new Response(request.url + (request.body === null))`, {
    target: '//e.example/x',
    headers: { host: 'a b' },
  });
  assert.equal(odd.body, 'http://localhost//e.example/xtrue');
});

test('web handler: whole answers are one call', async () => {
  const text = await web(
    `return new Response('hé', { status: 201, headers: [['set-cookie', 'a=1'],
    ['set-cookie', 'b=2']] })`,
  );
  assert.deepEqual([text.status, text.body, text.calls], [201, 'hé', ['respond']]);
  assert.deepEqual(text.headers, {
    'set-cookie': ['a=1', 'b=2'],
    'content-type': 'text/plain;charset=UTF-8',
  });
  const bytes = await web(`return new Response(new Uint8Array([0, 255]))`);
  assert.deepEqual([...bytes.bytes], [0, 255]);
  assert.equal((await web(`return new Response(null, { status: 304 })`)).status, 304);
  assert.equal(
    (await web(`return new Response(request.body)`, { method: 'POST', body: 'echo' })).body,
    'echo',
  );
});

test('web handler: streams with back-pressure', async () => {
  const sandbox = await new Sandbox(`module.exports = { fetch() {
    let n = 0;
    return new Response(new ReadableStream({ pull(c) { n++; console.log(n);
    c.enqueue(Buffer.from('part' + n)); if (n === 4) c.close(); } }, { highWaterMark: 0 }));
  } }`).load();
  await sandbox.start();
  assert.equal(sandbox.control.logs.length, 1);
  await sandbox.step();
  assert.equal(sandbox.control.logs.length, 2);
  const result = await sandbox.finish();
  assert.equal(result.body, 'part1part2part3part4');
  assert.equal(result.isClosed, true);
});

test('web handler: a stream that fails, and a client that is gone', async () => {
  const failing = await web(
    `return new Response(new ReadableStream({ pull(c) { if (this.n) throw new Error('mid');
    this.n = 1; c.enqueue(Buffer.from('a')); } }))`,
  );
  assert.deepEqual([failing.body, failing.failure.message, failing.isAborted], ['a', 'mid', true]);
  const text = await web(
    `return new Response(new ReadableStream({ start(c) { c.enqueue('text') } }))`,
  );
  assert.match(text.failure.message, /non-Uint8Array/);
  const sandbox = await new Sandbox(`module.exports = { fetch() {
    return new Response(new ReadableStream({
    pull(c) { c.enqueue(new Uint8Array(5)) },
    cancel(reason) { console.log('cancelled', reason.code) } }));
  } }`).load();
  await sandbox.start();
  await sandbox.settle(sandbox.pending[0], { error: { code: 'closed', message: 'gone' } });
  const gone = await sandbox.finish();
  assert.deepEqual([gone.failure, gone.logs], [undefined, [[2, 'cancelled closed']]]);
});

test('web handler: passes an answer on without what belonged to its connection', async () => {
  const world = new World();
  world.upstream = () => ({
    status: 203,
    headers: { 'Content-Length': '9', 'content-encoding': 'gzip', 'x-up': '1' },
    chunks: ['a', 'b'],
  });
  const result = await web(`return fetch('https://x.example')`, {}, { world });
  assert.deepEqual([result.status, result.headers, result.body], [203, { 'x-up': '1' }, 'ab']);
});

test('web handler: what is no Response', async () => {
  for (const [code, message] of [
    ['return 5', /must answer a Response, not number/],
    ['', /not undefined/],
    ['return {}', /not an object/],
    ['return Response.error()', /Response\.error/],
    ['throw new Error("own")', /own/],
    ['const r = new Response("x"); await r.text(); return r', /unusable/],
  ]) {
    const result = await web(code);
    assert.match(result.failure.message, message);
    assert.equal(result.status, undefined);
  }
});

test('web handler: waitUntil keeps the invocation alive, failures in it are logged', async () => {
  const sandbox = await new Sandbox(`module.exports = { fetch(request, env, ctx) {
    ctx.waitUntil(sleep(50).then(() => kv.set('later', 1)));
    ctx.waitUntil(Promise.reject(new Error('background'))); ctx.waitUntil(7);
    ctx.passThroughOnException();
    return new Response('now');
  } }`).load();
  await sandbox.start();
  assert.equal(sandbox.result().body, 'now');
  assert.equal(sandbox.control.done, false);
  const result = await sandbox.finish();
  assert.equal(sandbox.world.kv.get('later').text, '1');
  assert.equal(result.failure, undefined);
  assert.match(result.logs[0][1], /^waitUntil: Error: background/);
});
