// `req`: negotiation, streams, sockets, and what packages for Express and Node expect of it.

import assert from 'node:assert/strict';
import test from 'node:test';
import { json, run } from './harness.mjs';

const handle = (body, request, options) =>
  run(`module.exports = async (req, res) => { ${body} }`, request, options);
const evaluate = async (expression, request, options) => {
  const { body, failure } = await handle(`res.json({ v: ${expression} })`, request, options);
  assert.equal(failure, undefined, JSON.stringify(failure));
  return JSON.parse(body).v;
};
const asking = (name, value) => ({ headers: { [name]: value } });

test('accepts: the best of what is given, in the spelling given', async () => {
  const accept = asking('accept', 'text/*;q=.5, application/json');
  assert.equal(await evaluate('req.accepts("json")', accept), 'json');
  assert.equal(await evaluate('req.accepts(["html", "json"])', accept), 'json');
  assert.equal(await evaluate('req.accepts("html", "text/plain")', accept), 'html');
  assert.equal(await evaluate('req.accepts("png")', accept), false);
  assert.equal(
    await evaluate('req.accepts("image/png", "application/json")', accept),
    'application/json',
  );
  assert.deepEqual(await evaluate('req.accepts()', accept), ['application/json', 'text/*']);
  assert.equal(await evaluate('req.accepts("xml", "json")'), 'xml');
});

test('acceptsCharsets, acceptsEncodings, acceptsLanguages', async () => {
  const charset = asking('accept-charset', 'utf-8, iso-8859-1;q=0.2');
  assert.equal(await evaluate('req.acceptsCharsets("iso-8859-1", "utf-8")', charset), 'utf-8');
  assert.equal(await evaluate('req.acceptsCharsets("koi8-r")', charset), false);
  const encoding = asking('accept-encoding', 'gzip, br');
  assert.equal(await evaluate('req.acceptsEncodings("gzip", "br")', encoding), 'br');
  assert.deepEqual(await evaluate('req.acceptsEncodings()', encoding), ['gzip', 'br', 'identity']);
  const language = asking('accept-language', 'de-AT, en;q=.8');
  assert.equal(await evaluate('req.acceptsLanguages(["en", "de-AT"])', language), 'de-AT');
  assert.deepEqual(await evaluate('req.acceptsLanguages()', language), ['de-AT', 'en']);
});

test('range', async () => {
  const range = asking('range', 'bytes=0-4,90-');
  assert.deepEqual(await evaluate('req.range(100)', range), [
    { start: 0, end: 4 },
    { start: 90, end: 99 },
  ]);
  assert.equal(await evaluate('req.range(100).type', range), 'bytes');
  assert.equal(await evaluate('req.range(2)', asking('range', 'bytes=5-9')), -1);
  assert.equal(await evaluate('req.range(2)', asking('range', 'nonsense')), -2);
  assert.equal(await evaluate('req.range(2) === undefined'), true);
});

test('fresh and stale follow what the answer says', async () => {
  const known = asking('if-none-match', '"a"');
  const fresh = (etag) =>
    `(res.set('etag', '${etag}'), [req.fresh, req.stale, res.removeHeader('etag')])`;
  assert.deepEqual(await evaluate(fresh('"a"'), known), [true, false, null]);
  assert.deepEqual(await evaluate(fresh('"b"'), known), [false, true, null]);
  assert.deepEqual(await evaluate(fresh('"a"'), { ...known, method: 'POST' }), [false, true, null]);
});

test('param: route, then body, then query', async () => {
  const request = json({ b: 1, q: 3 }, { target: '/7?q=2&z=4' });
  const options = { route: '/:id' };
  const expression =
    '[req.param("id"), req.param("b"), req.param("q"), req.param("z"), req.param("n", 9)]';
  assert.deepEqual(await evaluate(expression, request, options), ['7', 1, 3, '4', 9]);
});

test('cookies: quotes and escapes undone, the first of a name counts', async () => {
  const cookies = asking('cookie', 'a="x%20y"; b=%; a=2; __proto__=1');
  assert.deepEqual(await evaluate('[req.cookies.a, req.cookies.b]', cookies), ['x y', '%']);
});

test('signedCookies: by req.secret, false when forged', async () => {
  // The example of the package cookie-signature, with the secret `tobiiscool`.
  const good = 's%3Ahello.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI';
  const request = asking('cookie', `a=${good}; b=${good}x; c=plain`);
  const { body } = await handle(
    `if (require('crypto').createHmac === undefined) return res.send('no crypto');
     req.secret = 'tobiiscool';
     res.cookie('d', 'hello', { signed: true });
     res.json([req.signedCookies, req.cookies, res.get('set-cookie')])`,
    request,
  );
  if (body === 'no crypto') return;
  const cookie = `d=${good}; Path=/`;
  assert.deepEqual(JSON.parse(body), [{ a: 'hello', b: false }, { c: 'plain' }, cookie]);
});

test('hostname, subdomains, ips', async () => {
  const host = { headers: { host: 'a.b.example.com:8080' } };
  assert.deepEqual(await evaluate('[req.hostname, req.subdomains]', host), [
    'a.b.example.com',
    ['b', 'a'],
  ]);
  assert.deepEqual(await evaluate('req.subdomains', { headers: { host: '127.0.0.1' } }), []);
  const forwarded = { headers: { 'x-forwarded-for': '6.6.6.6, 10.0.0.9' }, peer: '10.0.0.9' };
  assert.deepEqual(await evaluate('req.ips', forwarded), ['10.0.0.9']);
  assert.deepEqual(await evaluate('req.ips', { ...forwarded, peer: '127.0.0.1' }), []);
});

test('socket and the rest of what Node has', async () => {
  const request = { peer: '::1', secure: true, headers: { 'x-a': ['1', '2'] } };
  assert.deepEqual(
    await evaluate(
      `[req.socket.remoteAddress, req.connection === req.socket, req.socket.encrypted,
        req.socket.setTimeout(5) === req.socket, req.httpVersion, req.httpVersionMajor,
        req.headersDistinct['x-a'], req.trailers, req.complete, req.aborted, req.res === res]`,
      request,
    ),
    ['::1', true, true, true, '1.1', 1, ['1', '2'], {}, true, false, true],
  );
});

const post = {
  method: 'POST',
  headers: { 'content-type': 'text/plain' },
  body: 'x'.repeat(200_000),
};

test('the body as a stream: events, iteration, pipe, also when it was parsed', async () => {
  assert.equal(
    (
      await handle(
        `let size = 0; req.on('data', (d) => { size += d.length; if (!Buffer.isBuffer(d)) throw 0; });
       req.on('end', () => res.send(String(size)));`,
        post,
      )
    ).body,
    '200000',
  );
  const iterated = await handle(
    `let n = 0, size = 0; for await (const d of req) { n++; size += d.length; } res.json([n > 1, size]);`,
    post,
  );
  assert.equal(iterated.body, '[true,200000]');
  const piped = await handle('req.setEncoding("utf8"); req.pipe(res)', post);
  assert.equal(piped.body, post.body);
  const parsed = await handle(
    'let t = ""; for await (const d of req) t += d; res.json([req.body, t])',
    json({ a: 1 }),
  );
  assert.equal(parsed.body, '[{"a":1},"{\\"a\\":1}"]');
});

test('a request without a body ends', async () => {
  const { body } = await handle(
    'req.on("data", () => res.send("data")); req.on("end", () => res.send("end"))',
  );
  assert.equal(body, 'end');
});

test('req is what Node says it is', async () => {
  const { body } = await handle(
    `const http = require('http'), { Readable } = require('stream'), EventEmitter = require('events');
     const was = req instanceof http.IncomingMessage;
     req.on('x', () => {});
     res.json([was, req instanceof Readable, req instanceof EventEmitter, req.readable,
       res instanceof http.ServerResponse, req.listenerCount('x')])`,
    post,
  );
  assert.equal(body, '[true,true,true,true,true,1]');
});

test('other prototypes, as Express puts them on, keep what is below', async () => {
  const { body } = await handle(
    `const http = require('http');
     const own = Object.create(http.IncomingMessage.prototype, { extra: { value: 1 } });
     const response = Object.create(http.ServerResponse.prototype);
     response.say = function (x) { return this.status(201).send(x); };
     Object.setPrototypeOf(req, own); Object.setPrototypeOf(res, response);
     res.req = req; res.socket = null;
     let t = ''; for await (const d of req) t += d;
     res.say(JSON.stringify([req.extra, req.method, req.cookies === undefined, t.length]))`,
    post,
  );
  assert.equal(body, '[1,"POST",true,200000]');
});

test('a second message has nothing of this request', async () => {
  const { body } = await handle(
    `const { IncomingMessage } = require('http');
     const other = new IncomingMessage(null);
     other.headers.a = '1'; other.url = '/other'; other.push('x'); other.push(null);
     let t = ''; for await (const d of other) t += d;
     res.json([other.method, other.url, other.headers, req.url, req.headers.a === undefined, t])`,
    post,
  );
  assert.equal(body, '[null,"/other",{"a":"1"},"/",true,"x"]');
});

test('a compressed body is left to the function', async () => {
  const request = json(new Uint8Array([31, 139, 8]), {
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
  });
  assert.equal(await evaluate('Buffer.isBuffer(req.body)', request), true);
});

test('url can be rewritten, and path follows it', async () => {
  assert.deepEqual(
    await evaluate('(req.url = "/b/c?d=1", [req.url, req.path, req.originalUrl])', {
      target: '/a?x',
    }),
    ['/b/c?d=1', '/b/c', '/a?x'],
  );
});
