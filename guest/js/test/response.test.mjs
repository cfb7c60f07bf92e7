// `req`, `res`, and when an invocation is over.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Sandbox, json, run } from './harness.mjs';

/** Runs the body of a handler. */
const handle = (body, request, options) =>
  run(`module.exports = async (req, res) => { ${body} }`, request, options);
/** What an expression is, seen from a handler. */
const evaluate = async (expression, request, options) =>
  JSON.parse((await handle(`res.json({ v: ${expression} })`, request, options)).body).v;

test('req: method, url, path, query', async () => {
  const request = { method: 'PUT', target: '/a/b%20c?x=1&y=2&x=3&z&e=%C3%A9+f' };
  assert.equal(await evaluate('req.method', request), 'PUT');
  assert.equal(await evaluate('req.url', request), request.target);
  assert.equal(await evaluate('req.originalUrl', request), request.target);
  assert.equal(await evaluate('req.path', request), '/a/b%20c');
  assert.equal(await evaluate('req.baseUrl', request), '');
  const query = { x: ['1', '3'], y: '2', z: '', e: 'é f' };
  assert.deepEqual(await evaluate('req.query', request), query);
  assert.deepEqual(await evaluate('req.query', { target: '/?__proto__=1&%=2' }), {
    ['__proto__']: '1',
    '%': '2',
  });
});

test('req: headers', async () => {
  const headers = {
    accept: ['a', 'b'],
    cookie: ['a=1', 'b="x%20y"; c=%'],
    'x-requested-with': 'XMLHttpRequest',
    referer: '/from',
    'content-type': 'text/html; charset=utf-8',
    'content-length': '0',
  };
  const seen = await evaluate('req.headers', { headers });
  assert.equal(seen.accept, 'a, b');
  assert.equal(seen.cookie, 'a=1; b="x%20y"; c=%');
  assert.equal(await evaluate('req.get("ACCEPT")', { headers }), 'a, b');
  assert.equal(await evaluate('req.get("Referrer")', { headers }), '/from');
  assert.equal(await evaluate('req.header("x-none") === undefined', { headers }), true);
  assert.equal(await evaluate('req.xhr', { headers }), true);
  assert.equal(await evaluate('req.is("html")', { headers }), 'html');
  assert.equal(await evaluate('req.is(["json", "text/*"])', { headers }), 'text/html');
  assert.equal(await evaluate('req.is("json")', { headers }), false);
  const one = { headers: { cookie: 'a=1; b="x%20y"; c=%' } };
  assert.deepEqual(await evaluate('req.cookies', one), { a: '1', b: 'x y', c: '%' });
  assert.deepEqual(await evaluate('req.rawHeaders.slice(0, 2)'), ['host', 'localhost:4000']);
});

test('req: connection', async () => {
  const request = { peer: '::1', secure: true, headers: { host: '[::1]:8080' } };
  assert.deepEqual(
    await evaluate('[req.ip, req.ips, req.protocol, req.secure, req.host, req.hostname]', request),
    ['::1', [], 'https', true, '[::1]:8080', '[::1]'],
  );
});

test('req.params: named, wildcard, undecodable, no match', async () => {
  const params = (target, route) => evaluate('req.params', { target }, { route });
  assert.deepEqual(await params('/users/a%20b/x', '/users/:id/:more'), { id: 'a b', more: 'x' });
  assert.deepEqual(await params('/users/%', '/users/:id'), { id: '%' });
  assert.deepEqual(await params('/f/a/b%2Fc', '/f/*path'), { path: ['a', 'b/c'] });
  assert.deepEqual(await params('/other', '/users/:id'), {});
});

test('req.body: by content type', async () => {
  const typed = (type, body) => ({ method: 'POST', headers: { 'content-type': type }, body });
  assert.deepEqual(await evaluate('req.body'), {});
  assert.deepEqual(await evaluate('req.body', json({ a: [1] })), { a: [1] });
  assert.deepEqual(await evaluate('req.body', typed('application/problem+json', '[1]')), [1]);
  assert.deepEqual(
    await evaluate('req.body', typed('application/x-www-form-urlencoded', 'a=1&b=x+y&a=2')),
    { a: ['1', '2'], b: 'x y' },
  );
  assert.equal(await evaluate('req.body', typed('text/html', '<p>é')), '<p>é');
  assert.equal(
    await evaluate('req.body', typed('text/plain; charset=ISO-8859-1', new Uint8Array([0xe9]))),
    'é',
  );
  assert.equal(
    await evaluate(
      'Buffer.isBuffer(req.body) && req.body.toString("hex")',
      typed('image/png', new Uint8Array([1, 255])),
    ),
    '01ff',
  );
  assert.equal(await evaluate('req.rawBody.toString()', json({ a: 1 })), '{"a":1}');
  assert.equal(await evaluate('(req.body.x = 1, req.body.x)'), 1);
  assert.equal(await evaluate('(req.body = 7, req.body)', json({})), 7);
});

test("req.body: what is not what it says is the client's fault", async () => {
  for (const request of [
    json('{"a":'),
    json(new Uint8Array([0xff])),
    { ...json('{}'), headers: { 'content-type': 'text/plain; charset=klingon' } },
  ]) {
    const { failure, status, calls } = await handle('res.send("never")', request);
    assert.equal(failure.name, 'BodyInvalid');
    assert.equal(failure.stack, '');
    assert.equal(status, undefined);
    assert.deepEqual(calls, []);
  }
});

const typeOf = ({ headers }) => headers['content-type'];

test('res.send: by type', async () => {
  const text = await handle('res.send("x")');
  assert.deepEqual([text.body, typeOf(text)], ['x', 'text/html; charset=utf-8']);
  const buffer = await handle('res.send(Buffer.from("b"))');
  assert.deepEqual([buffer.body, typeOf(buffer)], ['b', 'application/octet-stream']);
  const object = await handle('res.send([1])');
  assert.deepEqual([object.body, typeOf(object)], ['[1]', 'application/json; charset=utf-8']);
  for (const [value, shown] of [
    ['12', '12'],
    ['true', 'true'],
    ['null', ''],
  ]) {
    const result = await handle(`res.send(${value})`);
    assert.deepEqual([result.body, typeOf(result)], [shown, 'text/plain; charset=utf-8']);
  }
  const nothing = await handle('res.type("html").send()');
  assert.deepEqual([nothing.status, nothing.body, typeOf(nothing)], [204, undefined, undefined]);
  const set = await handle('res.type("xml").send("<a/>")');
  assert.equal(typeOf(set), 'application/xml; charset=utf-8');
});

test('res: status and sendStatus', async () => {
  const result = await handle('res.sendStatus(404)');
  assert.deepEqual(
    [result.status, result.body, typeOf(result)],
    [404, 'Not Found', 'text/plain; charset=utf-8'],
  );
  assert.equal((await handle('res.statusCode = 201; res.end("x")')).status, 201);
  const bad = await handle('res.status(42)');
  assert.match(bad.failure.message, /Invalid status code: 42/);
  const none = await handle('res.status(304).json({ a: 1 })');
  assert.deepEqual([none.status, none.body, none.headers], [304, undefined, {}]);
});

test('res: headers', async () => {
  const { headers } = await handle(`
    res.set({ 'X-A': 'a', 'X-N': 1 }).setHeader('X-List', ['1', '2']).append('x-a', 'b')
      .append('Set-Cookie', 'a=1').append('Set-Cookie', 'b=2').vary('Accept').vary('Cookie')
      .removeHeader('x-n');
    if (res.get('X-A') !== 'a, b' || !res.hasHeader('x-LIST')) throw new Error('get');
    if (res.getHeaderNames().join() !== 'x-a,x-list,set-cookie,vary') throw new Error('names');
    res.end();`);
  assert.deepEqual(headers, {
    'x-a': 'a, b',
    'x-list': ['1', '2'],
    'set-cookie': ['a=1', 'b=2'],
    vary: 'Accept, Cookie',
  });
});

test('res: type, set content-type, writeHead', async () => {
  assert.equal(typeOf(await handle('res.type("json").end()')), 'application/json; charset=utf-8');
  assert.equal(typeOf(await handle('res.type(".pdf").end()')), 'application/pdf');
  assert.equal(typeOf(await handle('res.type("text/css").end()')), 'text/css; charset=utf-8');
  assert.equal(
    typeOf(await handle('res.set("Content-Type", "text/plain").end()')),
    'text/plain; charset=utf-8',
  );
  const head = await handle('res.writeHead(201, "Made", { "X-A": "1" }); res.end("x")');
  assert.deepEqual([head.status, head.headers, head.body], [201, { 'x-a': '1' }, 'x']);
});

test('res: invalid headers are refused', async () => {
  const code = async (call) =>
    (await handle(`try { ${call} } catch (e) { res.json(e.name + ' ' + e.code) }`)).body;
  for (const value of ['"a\\r\\nb: c"', '"a\\nb"', '"a\\0"', '"\\u2028"', '["ok", "x\\r"]']) {
    assert.equal(await code(`res.set('x', ${value})`), '"TypeError ERR_INVALID_CHAR"');
  }
  for (const name of ['""', '"a b"', '"a:b"', '"é"', 'undefined', '"a\\n"']) {
    assert.equal(await code(`res.setHeader(${name}, 'x')`), '"TypeError ERR_INVALID_HTTP_TOKEN"');
  }
  assert.equal(
    await code('res.setHeader("x", undefined)'),
    '"TypeError ERR_HTTP_INVALID_HEADER_VALUE"',
  );
});

test('res: cookies', async () => {
  const cookie = async (call) => (await handle(`${call}; res.end()`)).headers['set-cookie'];
  assert.equal(
    await cookie('res.cookie("a", "x y", { httpOnly: true, secure: true, sameSite: "lax" })'),
    'a=x%20y; Path=/; HttpOnly; Secure; SameSite=Lax',
  );
  assert.equal(await cookie('res.cookie("j", { a: 1 })'), 'j=j%3A%7B%22a%22%3A1%7D; Path=/');
  assert.match(
    await cookie('res.cookie("a", "1", { maxAge: 60000 })'),
    /^a=1; Max-Age=60; Path=\/; Expires=.+ GMT$/,
  );
  assert.equal(
    await cookie('res.clearCookie("a")'),
    'a=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT',
  );
});

test('res: redirect and location', async () => {
  const found = await handle('res.redirect("/a?b=<c>&d")');
  assert.equal(found.status, 302);
  assert.equal(found.headers.location, '/a?b=%3Cc%3E&d');
  assert.match(found.body, /Found\. Redirecting to <a href="\/a\?b=%3Cc%3E&amp;d">/);
  const moved = await handle('res.redirect(301, "https://x.example/é")');
  assert.deepEqual([moved.status, moved.headers.location], [301, 'https://x.example/%C3%A9']);
  const back = await handle('res.redirect("back")', { headers: { referer: '/from' } });
  assert.equal(back.headers.location, '/from');
});

test('res: sending twice is an error, and the first answer stands', async () => {
  for (const second of [
    'res.json(2)',
    'res.send("2")',
    'res.set("x", "1")',
    'res.status(201).send("x")',
  ]) {
    const { body, failure, calls } = await handle(`res.json(1); ${second}`);
    assert.equal(body, '1');
    assert.match(failure.message, /after they are sent to the client/);
    assert.deepEqual(calls, ['respond']);
  }
  const code = await handle('res.json(1); try { res.json(2) } catch (e) { console.log(e.code) }');
  assert.equal(code.logs[0][1], 'ERR_HTTP_HEADERS_SENT');
  const end = await handle(
    'res.end("a"); res.end(); try { res.write("b") } catch (e) { console.log(e.code) }',
  );
  assert.equal(end.logs[0][1], 'ERR_STREAM_WRITE_AFTER_END');
});

test('res: events and flags', async () => {
  const { logs } = await handle(`
    res.on('finish', () => console.log('finish', res.writableFinished));
    res.on('close', () => console.log('close'));
    console.log(res.headersSent, res.writableEnded, res.finished);
    res.end('x', () => console.log('callback'));
    console.log(res.headersSent, res.writableEnded, res.finished);`);
  assert.deepEqual(
    logs.map(([, text]) => text),
    ['false false false', 'true true true', 'finish true', 'close', 'callback'],
  );
});

test('streaming: one write at a time, later chunks are joined', async () => {
  const sandbox = await new Sandbox(`module.exports = (req, res) => {
    res.write('a'); res.write('b'); res.write(Buffer.from('c')); res.write('é'); res.end('!');
  }`).load();
  await sandbox.start();
  const { chunks } = sandbox.result();
  assert.deepEqual(chunks, ['a']);
  assert.equal(sandbox.pending.length, 1);
  const result = await sandbox.finish();
  assert.equal(result.body, 'abcé!');
  assert.equal(result.chunks.length, 2);
  assert.equal(result.isClosed, true);
});

test('streaming: the first chunk is out before the next is made', async () => {
  const sandbox = await new Sandbox(`module.exports = async (req, res) => {
    res.write('first'); await sleep(200); res.end('last');
  }`).load();
  await sandbox.start();
  assert.deepEqual(sandbox.result().chunks, ['first']);
  assert.equal(sandbox.result().isClosed, false);
  assert.equal((await sandbox.finish()).body, 'firstlast');
});

test('streaming: back-pressure', async () => {
  const { logs, body } = await handle(`
    const big = 'x'.repeat(10000);
    console.log(res.write(big), res.write(big), res.write(big), res.writableLength);
    await new Promise((resolve) => res.once('drain', resolve));
    console.log(res.writableLength, res.write('y'));
    res.end();`);
  assert.deepEqual(
    logs.map(([, text]) => text),
    ['true true false 20000', '0 true'],
  );
  assert.equal(body.length, 30001);
});

test('streaming: a client that is gone', async () => {
  const sandbox = await new Sandbox(`module.exports = async (req, res) => {
    res.on('close', () => console.log('close')); res.on('finish', () => console.log('finish'));
    res.write('a'); res.write('b'); await sleep(10);
    console.log(res.write('c')); res.end();
  }`).load();
  await sandbox.start();
  const [write] = sandbox.pending.filter(({ kind }) => kind === 'bodyWrite');
  await sandbox.settle(write, { error: { code: 'closed', message: 'gone' } });
  const result = await sandbox.finish();
  assert.deepEqual(result.chunks, ['a']);
  assert.deepEqual(
    result.logs.map(([, text]) => text),
    ['close', 'false'],
  );
  assert.equal(result.failure, undefined);
});

test('over: the answer goes out at once, the invocation ends with the promise', async () => {
  const sandbox = await new Sandbox(`module.exports = async (req, res) => {
    res.json({ status: 'processing' }); await sleep(50); await kv.set('later', 1);
  }`).load();
  await sandbox.start();
  assert.equal(sandbox.result().body, '{"status":"processing"}');
  assert.equal(sandbox.control.done, false);
  await sandbox.finish();
  assert.equal(sandbox.world.kv.get('later').text, '1');
});

test('over: pending timers do not hold it once handler and answer are done', async () => {
  const sandbox = await new Sandbox(`module.exports = (req, res) => {
    setTimeout(() => console.log('never'), 5000); res.end('x');
  }`).load();
  await sandbox.start();
  assert.equal(sandbox.control.done, true);
});

test('over: a handler that returned may answer later', async () => {
  const later = await run(
    'module.exports = (req, res) => { setTimeout(() => res.end("late"), 9) }',
  );
  assert.equal(later.body, 'late');
});

test('over: no answer at all', async () => {
  const empty = await run('module.exports = async () => 5');
  assert.deepEqual([empty.status, empty.body, empty.failure], [204, undefined, undefined]);
  const stuck = await run('module.exports = () => new Promise(() => {})');
  assert.equal(stuck.status, undefined);
  assert.match(stuck.failure.message, /its promise never settled/);
  const cut = await run('module.exports = (req, res) => { res.write("a") }');
  assert.match(cut.failure.message, /before its response was complete/);
  assert.equal(cut.isAborted, true);
});

test('over: exceptions and rejections', async () => {
  const source = (how) => `class Odd extends Error { name = 'Odd' }
    module.exports = ${how}`;
  for (const how of [
    '() => { throw new Odd("x") }',
    'async () => { throw new Odd("x") }',
    '(req, res) => { setTimeout(() => { throw new Odd("x") }) }',
    '(req, res) => { queueMicrotask(() => { throw new Odd("x") }) }',
    '(req, res) => { process.nextTick(() => { throw new Odd("x") }) }',
    '(req, res) => { res.on("finish", () => { throw new Odd("x") }); res.end() }',
    '() => ({ then(resolve, reject) { reject(new Odd("x")) } })',
  ]) {
    const { failure, failures } = await run(source(how));
    assert.equal(failures, 1, how);
    assert.equal(failure.name, 'Odd', how);
    assert.equal(failure.message, 'x');
    assert.match(failure.stack, /^ {4}at .*index\.js:2:/m);
  }
  const begun = await run(
    'module.exports = async (req, res) => { res.write("a"); throw new Error("mid") }',
  );
  assert.equal(begun.failure.message, 'mid');
  assert.equal(begun.isAborted, true);
  const answered = await run(
    'module.exports = async (req, res) => { res.end("a"); throw new Error("late") }',
  );
  assert.deepEqual([answered.body, answered.failure.message], ['a', 'late']);
  for (const thrown of [
    '"text"',
    'null',
    'undefined',
    '{ get message() { throw 1 } }',
    'Object.create(null)',
  ]) {
    const { failures } = await run(`module.exports = () => { throw ${thrown} }`);
    assert.equal(failures, 1);
  }
});
