// `http` and `https`: the client over the host's subrequests; `node-fetch` and `mime-types`.

import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';
import { World, run } from './harness.mjs';

const PRELUDE = `
  const http = require('http'), https = require('https');
  const text = async (message) => { let t = ''; for await (const d of message) t += d; return t; };
  const events = (emitter, ...names) => {
    const seen = [];
    for (const name of names) emitter.on(name, (x) => seen.push(x && x.code ? [name, x.code] : name));
    return seen;
  };
  const asked = (request, body) => new Promise((resolve, reject) => {
    request.on('response', resolve).on('error', reject).end(body);
  });
`;

/** Runs a handler; answers what it sent as JSON, and the requests that the outside saw. */
async function client(body, upstream = () => ({ chunks: ['answer'] })) {
  const seen = [];
  const world = new World();
  world.upstream = (request) => {
    seen.push({ ...request, body: show(request.body) });
    return upstream(request);
  };
  const source = `${PRELUDE} module.exports = async (req, res) => { ${body} };`;
  const result = await run(source, {}, { world });
  assert.equal(result.failure, undefined, JSON.stringify(result.failure));
  return { v: result.body && JSON.parse(result.body), seen, result };
}

const show = (body) =>
  body === null || typeof body === 'number' ? body : Buffer.from(body).toString();

test('get: status, headers, body', async () => {
  const { v, seen } = await client(
    `http.get('http://a.b:81/x?y=1', { headers: { 'X-A': ['1', '2'] } }, async (m) => {
       const before = m.complete;
       const t = await text(m);
       res.json([m.statusCode, m.statusMessage, m.headers, m.rawHeaders, m.httpVersion, before, t, m.complete,
         m instanceof http.IncomingMessage]);
     });`,
    () => ({ status: 201, headers: { 'x-b': 'c' }, chunks: ['ab', 'cd'] }),
  );
  assert.deepEqual(v, [201, 'OK', { 'x-b': 'c' }, ['x-b', 'c'], '1.1', false, 'abcd', true, true]);
  assert.equal(seen[0].url, 'http://a.b:81/x?y=1');
  assert.equal(seen[0].fields, 'x-a: 1\r\nx-a: 2\r\nhost: a.b:81\r\n');
  assert.deepEqual([seen[0].method, seen[0].redirect, seen[0].body], ['GET', 'manual', null]);
});

test('request: options, URL with options, auth, https', async () => {
  const { seen } = await client(`
    await asked(https.request({ hostname: 'a.b', path: '/p', method: 'put', auth: 'u:p' }), 'xyz');
    await asked(http.request(new URL('http://u%20:p@a.b/q'), { method: 'DELETE' }));
    await asked(http.request('http://a.b/', { setHost: false, port: 8080, host: '::1', hostname: undefined }));
    await asked(https.request('https://a.b:443/', { headers: ['A', '1', 'B', '2'] }));
    res.json(0);`);
  assert.deepEqual(
    seen.map(({ method, url }) => [method, url]),
    [
      ['PUT', 'https://a.b/p'],
      ['DELETE', 'http://a.b/q'],
      ['GET', 'http://[::1]:8080/'],
      ['GET', 'https://a.b/'],
    ],
  );
  assert.equal(seen[0].body, 'xyz');
  assert.match(seen[0].fields, /authorization: Basic dTpw\r\n/);
  assert.match(seen[1].fields, /authorization: Basic dSA6cA==\r\n/);
  assert.equal(seen[3].fields, 'a: 1\r\nb: 2\r\nhost: a.b\r\n');
});

test('a large body is streamed, chunk by chunk', async () => {
  const { v, seen, result } = await client(`
    const r = http.request({ host: 'a.b', method: 'POST' });
    const drained = events(r, 'drain', 'finish');
    const answered = new Promise((done) => r.on('response', done));
    const more = r.write(Buffer.alloc(70_000));
    await new Promise((done) => r.write('x', done));
    const sent = r.headersSent;
    r.end('end');
    await text(await answered);
    res.json([more, sent, drained]);`);
  assert.equal(typeof seen[0].body, 'number');
  assert.deepEqual(v, [false, true, ['drain', 'finish']]);
  assert.ok(result.calls.includes('fetch'));
});

test('headers of a request', async () => {
  const { v } = await client(`
    const r = http.request('http://a.b/');
    r.setHeader('X-One', 1); r.appendHeader('x-one', '2'); r.setHeader('gone', 'x'); r.removeHeader('Gone');
    const before = [r.getHeader('x-ONE'), r.hasHeader('gone'), r.getHeaderNames(), r.getRawHeaderNames()];
    await asked(r);
    let code; try { r.setHeader('late', 1) } catch (error) { code = error.code }
    res.json([...before, code]);`);
  assert.deepEqual(v, [
    ['1', '2'],
    false,
    ['host', 'x-one'],
    ['Host', 'x-one'],
    'ERR_HTTP_HEADERS_SENT',
  ]);
});

test('what is wrong is refused as in Node', async () => {
  const attempts = [
    `http.get('https://a.b/')`,
    `http.get('not a url')`,
    `http.request({ path: '/a b' })`,
    `http.request({ method: 'A B' })`,
    `http.request({ method: 7 })`,
    `http.request({ headers: { 'a b': 1 } })`,
    `http.request({ headers: { a: 'x\\n' } })`,
    `http.validateHeaderName('a b')`,
    `http.validateHeaderValue('a', undefined)`,
    `http.validateHeaderValue('a', '\\u0100')`,
  ];
  const { v } = await client(`
    const codes = [];
    for (const attempt of ${JSON.stringify(attempts)}) {
      try { eval(attempt).on('error', () => {}); codes.push('') } catch (error) { codes.push([error.name, error.code, error.message]) }
    }
    res.json(codes);`);
  const there = attempts.map((attempt) => {
    try {
      new Function('http', `return ${attempt}`)(http);
      return '';
    } catch (error) {
      return [error.name, error.code, error.message];
    }
  });
  for (const [i, attempt] of attempts.entries()) {
    // The text about types says more in Node.
    if (there[i][1] === 'ERR_INVALID_ARG_TYPE') assert.equal(v[i][1], there[i][1], attempt);
    else assert.deepEqual(v[i], there[i], attempt);
  }
});

test('failures: error and then close, with the codes of Node', async () => {
  for (const [code, expected] of [
    ['dns', 'ENOTFOUND'],
    ['connect', 'ECONNREFUSED'],
    ['timeout', 'ETIMEDOUT'],
    ['denied', 'EACCES'],
    ['tls', 'EPROTO'],
    ['subrequests_exceeded', 'subrequests_exceeded'],
  ]) {
    const { v } = await client(
      `const r = http.get('http://a.b/x');
       const seen = events(r, 'error', 'close', 'response', 'finish');
       await new Promise((done) => r.on('close', done));
       res.json([seen, r.destroyed]);`,
      () => ({ error: { code, message: 'why' } }),
    );
    assert.deepEqual(v, [['finish', ['error', expected], 'close'], true]);
  }
});

test('abort, destroy and signals', async () => {
  const ending = async (code) =>
    (
      await client(`
      const r = http.request('http://a.b/x');
      const seen = events(r, 'error', 'close', 'abort', 'response');
      ${code}; await sleep(5); res.json([seen, r.aborted]);`)
    ).v;
  assert.deepEqual(await ending('r.end(); r.abort()'), [
    ['abort', ['error', 'ECONNRESET'], 'close'],
    true,
  ]);
  assert.deepEqual(await ending('r.destroy(Object.assign(new Error(), { code: "OWN" }))'), [
    [['error', 'OWN'], 'close'],
    false,
  ]);
  const { v } = await client(`
    const controller = new AbortController();
    const r = http.get('http://a.b/x', { signal: controller.signal });
    const seen = events(r, 'error', 'close', 'response');
    controller.abort();
    await sleep(5);
    res.json(seen);`);
  assert.deepEqual(v, [['error', 'ABORT_ERR'], 'close']);
});

test('an answer that breaks off is aborted', async () => {
  const { v } = await client(
    `http.get('http://a.b/x', (m) => {
       const seen = events(m, 'data', 'aborted', 'error', 'close', 'end');
       m.once('data', () => m.destroy());
       m.on('close', () => res.json([seen, m.complete, m.aborted]));
     });`,
    () => ({ chunks: ['a', 'b', 'c'] }),
  );
  assert.deepEqual(v, [['data', 'aborted', ['error', 'ECONNRESET'], 'close'], false, true]);
});

test('timeouts are told, and end with the answer', async () => {
  const { v, result } = await client(`
    const r = http.request('http://a.b/x', { method: 'POST' });
    const seen = events(r, 'timeout', 'close', 'error');
    r.setTimeout(50, () => { seen.push('called'); r.destroy(); });
    await new Promise((done) => r.on('close', done));
    const ok = http.get('http://a.b/x', { timeout: 60_000 }, async (m) => { await text(m); res.json(seen) });`);
  assert.deepEqual(v, ['timeout', 'called', ['error', 'ECONNRESET'], 'close']);
  assert.ok(result.calls.includes('cancel'));
});

test('no listener for the answer: it is read and dropped', async () => {
  const { v } = await client(`
    const r = http.get('http://a.b/x');
    await new Promise((done) => r.on('close', done));
    res.json(r.res.complete);`);
  assert.equal(v, true);
});

test('agents are taken, proxies are refused', async () => {
  const { v } = await client(`
    const agent = new https.Agent({ keepAlive: true, maxSockets: 5 });
    await text(await asked(https.request('https://a.b/', { agent })));
    const called = http.Agent({ keepAlive: true });
    let code;
    try { http.get('http://a.b/', { agent: Object.assign(new http.Agent(), { proxy: 'http://p' }) }) }
    catch (error) { code = error.code }
    res.json([agent.maxSockets, agent.protocol, called instanceof http.Agent, code,
      http.globalAgent instanceof http.Agent, https.globalAgent.protocol]);`);
  assert.deepEqual(v, [5, 'https:', true, 'ENOTSUP', true, 'https:']);
});

test('METHODS and STATUS_CODES are those of Node', async () => {
  const { v } = await client('res.json([http.METHODS, http.STATUS_CODES, http.maxHeaderSize])');
  assert.deepEqual(
    v,
    JSON.parse(JSON.stringify([http.METHODS, http.STATUS_CODES, http.maxHeaderSize])),
  );
});

test('servers cannot listen, and emit what is emitted on them', async () => {
  const { v } = await client(`
    const told = [];
    const servers = [http.createServer(), https.createServer({}), new http.Server(), http.Server()];
    for (const server of servers) {
      try { server.listen(80); told.push('') } catch (error) { told.push(error.code) }
    }
    const server = http.createServer((a, b) => told.push([a, b])).setTimeout(5).unref();
    server.emit('request', 1, 2);
    told.push(server instanceof http.Server, server.address(), server.timeout, server.listening);
    server.close((error) => res.json([...told, error.code]));`);
  const refused = Array(4).fill('ENOTSUP');
  assert.deepEqual(v, [...refused, [1, 2], true, null, 5, false, 'ERR_SERVER_NOT_RUNNING']);
});

test('a response of one’s own writes to the socket it is given, and leaves res alone', async () => {
  const { v, result } = await client(`
    const { Writable } = require('stream');
    const wire = (work, method = 'GET') => new Promise((done) => {
      let text = '';
      const socket = new Writable({ write(chunk, _encoding, next) { text += chunk; next(); } });
      const own = new http.ServerResponse({ method });
      own.sendDate = false;
      own.assignSocket(socket);
      own.on('finish', () => done([own.statusCode, own.headersSent, own.writableEnded, text]));
      work(own);
    });
    res.set('x-res', '1');
    res.json([
      await wire((own) => { own.statusCode = 404; own.setHeader('X-A', '1'); own.end('no'); }),
      await wire((own) => { own.writeHead(201, 'Made', { 'X-B': ['1', '2'] }); own.write('a'); own.end('bc'); }),
      await wire((own) => { own.end('dropped'); }, 'HEAD'),
      res.headersSent, res.getHeaderNames(), new http.ServerResponse({}) instanceof http.ServerResponse,
    ]);`);
  assert.deepEqual(v, [
    [
      404,
      true,
      true,
      'HTTP/1.1 404 Not Found\r\nX-A: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno',
    ],
    [
      201,
      true,
      true,
      'HTTP/1.1 201 Made\r\nX-B: 1\r\nX-B: 2\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n' +
        '1\r\na\r\n2\r\nbc\r\n0\r\n\r\n',
    ],
    [200, true, true, 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n'],
    false,
    ['x-res'],
    true,
  ]);
  assert.equal(result.headers['x-res'], '1');
});

test('a subclass of responses may put methods of its own in between, as light-my-request does', async () => {
  const { v } = await client(`
    const { inherits } = require('util');
    const chunks = [];
    function Own(request) { http.ServerResponse.call(this, request); }
    inherits(Own, http.ServerResponse);
    Own.prototype.write = function (data, encoding, callback) {
      http.ServerResponse.prototype.write.call(this, data, encoding, callback);
      if (this._hasBody) chunks.push(data);
      return true;
    };
    Own.prototype.writeHead = function () {
      chunks.push('head');
      return http.ServerResponse.prototype.writeHead.apply(this, arguments);
    };
    Own.prototype.end = function (data, encoding, callback) {
      if (data) this.write(data, encoding);
      http.ServerResponse.prototype.end.call(this, callback);
    };
    const finish = (work, method) => new Promise((done) => {
      const own = new Own({ method });
      work(own, () => done(own._hasBody));
    });
    const told = [
      await finish((own, done) => own.end('body', null, done), 'GET'),
      await finish((own, done) => own.end('none', null, done), 'HEAD'),
      await finish((own, done) => own.writeHead(204) && own.end('none', null, done), 'GET'),
    ];
    res.json([...told, chunks]);`);
  assert.deepEqual(v, [true, false, false, ['head', 'body', 'head', 'head']]);
});

test('a request at the top level keeps the deployment out of a snapshot', async () => {
  await assert.rejects(run("require('http').get('http://a.b'); module.exports = () => {}"));
});

test('node-fetch: streams of Node, raw headers, its errors', async () => {
  const fetching = (body, upstream) =>
    client(`const fetch = require('node-fetch'); ${body}`, upstream);
  const { v } = await fetching(
    `const r = await fetch('http://a.b/', { method: 'POST', body: require('stream').Readable.from(['x', 'y']) });
     let t = ''; for await (const d of r.body) t += d;
     res.json([r.status, r.ok, t, typeof r.body.pipe, r.headers.raw(), fetch.default === fetch, fetch.isRedirect(301)]);`,
    () => ({ headers: { a: 'b' }, chunks: ['1', '2'] }),
  );
  assert.deepEqual(v, [200, true, '12', 'function', { a: ['b'] }, true, true]);
  const whole = await fetching(
    `const r = await fetch('http://a.b/'); res.json([Buffer.isBuffer(await r.buffer()), r.bodyUsed])`,
  );
  assert.deepEqual(whole.v, [true, true]);
  const failing = await fetching(
    `const e = await fetch('http://a.b/').catch((error) => error); res.json([e.name, e.type, e.code, e.message])`,
    () => ({ error: { code: 'connect', message: 'refused' } }),
  );
  assert.deepEqual(failing.v, [
    'FetchError',
    'system',
    'connect',
    'request to http://a.b/ failed, reason: refused',
  ]);
  const aborted = await fetching(
    `const e = await fetch('http://a.b/', { signal: AbortSignal.abort() }).catch((error) => error); res.json([e.name, e.type])`,
  );
  assert.deepEqual(aborted.v, ['AbortError', 'aborted']);
});

test('mime-types', async () => {
  const { v } = await client(`
    const mime = require('mime-types');
    res.json([mime.lookup('a/b.HTML'), mime.lookup('json'), mime.lookup('.md'), mime.lookup('none'), mime.lookup(''),
      mime.contentType('markdown'), mime.contentType('a/b.css') , mime.contentType('text/html; charset=x'),
      mime.extension('text/html; charset=UTF-8'), mime.extension('x/none'), mime.charset('text/x'), mime.charset('image/png'),
      mime.types.js, mime.extensions['image/jpeg'][0]]);`);
  assert.deepEqual(v, [
    ...['text/html', 'application/json', 'text/markdown', false, false],
    ...['text/markdown; charset=utf-8', 'a/b.css', 'text/html; charset=x'],
    ...['html', false, 'UTF-8', false, 'text/javascript', 'jpg'],
  ]);
});
