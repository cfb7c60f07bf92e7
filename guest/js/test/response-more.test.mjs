// `res` beyond the plain answer: files, conditional requests, negotiation, and programs that put
// functions of their own in the place of ours.

import assert from 'node:assert/strict';
import test from 'node:test';
import { World, run } from './harness.mjs';

const handle = (body, request, options) =>
  run(`module.exports = async (req, res) => { ${body} }`, request, options);
const FILES = {
  'public/a b.txt': 'hello world',
  'public/page.html': '<p>é</p>',
  'public/.hidden': 'x',
  'secret.txt': 'top',
};
const files = (body) => ({ 'index.js': `module.exports = (req, res) => { ${body} }`, ...FILES });
const send = 'res.sendFile("a b.txt", { root: __dirname + "/public" })';

test('sendFile: type, length, validators', async () => {
  const { body, headers, status } = await run(files(send));
  assert.deepEqual([status, body], [200, 'hello world']);
  assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(headers['content-length'], '11');
  assert.equal(headers['cache-control'], 'public, max-age=0');
  assert.equal(headers['accept-ranges'], 'bytes');
  assert.match(headers.etag, /^W\/"b-[0-9a-f]+"$/);
  assert.ok(!Number.isNaN(Date.parse(headers['last-modified'])));
  const html = await run(files('res.sendFile("/app/public/page.html")'));
  assert.deepEqual(
    [html.body, html.headers['content-type']],
    ['<p>é</p>', 'text/html; charset=utf-8'],
  );
});

test('sendFile: options', async () => {
  const { headers } = await run(
    files(`res.sendFile('a b.txt', { root: 'public', maxAge: '1d', immutable: true, etag: false,
      lastModified: false, acceptRanges: false, headers: { 'x-own': '1', 'content-type': 'a/b' } })`),
  );
  assert.equal(headers['cache-control'], 'public, max-age=86400, immutable');
  assert.deepEqual(
    [
      headers.etag,
      headers['last-modified'],
      headers['accept-ranges'],
      headers['x-own'],
      headers['content-type'],
    ],
    [undefined, undefined, undefined, '1', 'a/b'],
  );
});

test('sendFile: conditional requests', async () => {
  const { headers } = await run(files(send));
  const ask = (given) => run(files(send), { headers: given });
  const same = await ask({ 'if-none-match': headers.etag });
  assert.deepEqual(
    [same.status, same.body, same.headers['content-type']],
    [304, undefined, undefined],
  );
  const since = await ask({ 'if-modified-since': headers['last-modified'] });
  assert.equal(since.status, 304);
  assert.equal((await ask({ 'if-match': '"other"' })).status, 412);
  assert.equal((await ask({ 'if-match': headers.etag })).status, 200);
  assert.equal((await ask({ 'if-unmodified-since': new Date(0).toUTCString() })).status, 412);
});

test('sendFile: ranges', async () => {
  const ask = (range, more) => run(files(send), { headers: { range, ...more } });
  const part = await ask('bytes=6-');
  assert.deepEqual(
    [part.status, part.body, part.headers['content-range'], part.headers['content-length']],
    [206, 'world', 'bytes 6-10/11', '5'],
  );
  assert.equal((await ask('bytes=-3')).body, 'rld');
  const beyond = await ask('bytes=50-');
  assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, 'bytes */11']);
  assert.equal((await ask('bytes=0-1,4-5')).status, 200);
  assert.equal((await ask('lines=1-2')).status, 200);
  assert.equal((await ask('bytes=0-0', { 'if-range': '"other"' })).status, 200);
});

test('sendFile: HEAD has the headers and no body', async () => {
  const { body, headers, status } = await run(files(send), { method: 'HEAD' });
  assert.deepEqual([status, body, headers['content-length']], [200, undefined, '11']);
});

test('sendFile: what is not there, or not to be had', async () => {
  const status = async (code) => (await run(files(code))).status;
  assert.equal(await status('res.sendFile("/app/none.txt")'), 404);
  assert.equal(await status('res.sendFile("/app/public")'), 404);
  assert.equal(await status('res.sendFile("/etc/passwd")'), 404);
  assert.equal(await status('res.sendFile("../secret.txt", { root: "/app/public" })'), 403);
  assert.equal(await status('res.sendFile("a/../../secret.txt", { root: "/app/public" })'), 403);
  assert.equal(await status('res.sendFile("/app/public/../secret.txt")'), 403);
  assert.equal(await status('res.sendFile("\\0", { root: "/app/public" })'), 400);
  assert.equal(await status('res.sendFile(".hidden", { root: "/app/public" })'), 404);
  assert.equal(
    await status('res.sendFile(".hidden", { root: "/app/public", dotfiles: "allow" })'),
    200,
  );
  const relative = await run(files('res.sendFile("secret.txt")'));
  assert.match(relative.failure.message, /path must be absolute or specify root/);
});

test('sendFile: the callback hears of both ends', async () => {
  const good = await run(files('res.sendFile("/app/secret.txt", (error) => console.log(error))'));
  assert.deepEqual([good.body, good.logs[0][1]], ['top', 'undefined']);
  const bad = await run(
    files('res.sendFile("/app/none", {}, (error) => res.status(error.status).send(error.code))'),
  );
  assert.deepEqual([bad.status, bad.body], [404, 'ENOENT']);
});

test('sendFile: large files go out in pieces', async () => {
  const big = 'x'.repeat(3_000_000);
  const { chunks, headers, status } = await run({
    'index.js': 'module.exports = (req, res) => { res.sendFile("/app/big.bin") }',
    'big.bin': big,
  });
  assert.equal(status, 200);
  assert.equal(headers['content-length'], '3000000');
  assert.equal(
    chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    3_000_000,
  );
  assert.equal(chunks.length, 3);
});

test('download and attachment', async () => {
  const { body, headers } = await run(files('res.download("public/a b.txt")'));
  assert.deepEqual(
    [body, headers['content-disposition']],
    ['hello world', 'attachment; filename="a b.txt"'],
  );
  const named = await run(files('res.download("/app/secret.txt", "naïve €.json", () => {})'));
  assert.equal(
    named.headers['content-disposition'],
    'attachment; filename="na?ve ?.json"; filename*=UTF-8\'\'na%C3%AFve%20%E2%82%AC.json',
  );
  assert.equal(named.headers['content-type'], 'text/plain; charset=utf-8');
  const below = await run(files('res.download("a b.txt", { root: "/app/public" })'));
  assert.equal(below.status, 200);
  const bare = await handle('res.attachment().send("x")');
  assert.equal(bare.headers['content-disposition'], 'attachment');
  const typed = await handle('res.attachment("dir/x.pdf").end()');
  assert.equal(typed.headers['content-type'], 'application/pdf');
});

test('pipeFrom: status, headers and body of a fetched answer', async () => {
  const world = new World();
  world.upstream = () => ({
    status: 201,
    headers: {
      'x-a': '1',
      'set-cookie': 'a=1',
      connection: 'close',
      'content-length': '4',
      'content-encoding': 'gzip',
    },
    chunks: ['ab', 'cd'],
  });
  const { body, headers, status } = await handle(
    'await res.pipeFrom(await fetch("http://a.b/"))',
    {},
    { world },
  );
  assert.deepEqual([status, body], [201, 'abcd']);
  assert.deepEqual(headers, { 'x-a': '1', 'set-cookie': 'a=1' });
  const unawaited = await handle(
    'fetch("http://a.b/").then((r) => { res.pipeFrom(r) })',
    {},
    { world },
  );
  assert.equal(unawaited.body, 'abcd');
  const made = await handle('res.pipeFrom(new Response("x", { status: 203 }))');
  assert.deepEqual([made.status, made.body], [203, 'x']);
  const wrong = await handle('await res.pipeFrom("x")');
  assert.equal(wrong.failure.name, 'TypeError [ERR_INVALID_ARG_TYPE]');
});

test('format picks by accept', async () => {
  const choices =
    '{ text: () => res.send("t"), html: () => res.send("h"), json: () => res.json("j") }';
  const ask = (accept, code = choices) => handle(`res.format(${code})`, { headers: { accept } });
  const json = await ask('application/json');
  assert.deepEqual([json.body, json.headers.vary], ['"j"', 'Accept']);
  assert.equal((await ask('text/*;q=.5, text/html')).body, 'h');
  assert.equal((await ask('image/png', '{ html() {}, default() { res.send("d") } }')).body, 'd');
  assert.match((await ask('image/png')).failure.message, /Not Acceptable/);
});

test('links, vary, jsonp, location, render', async () => {
  const linked = await handle('res.links({ next: "/2", last: ["/8", "/9"] }).end()');
  assert.equal(linked.headers.link, '</2>; rel="next", </8>; rel="last", </9>; rel="last"');
  const varied = await handle('res.vary("Accept").vary(["accept", "Origin"]).end()');
  assert.equal(varied.headers.vary, 'Accept, Origin');
  const padded = await handle('res.jsonp({ a: "\\u2028" })', { target: '/?callback=f(x).y' });
  assert.equal(padded.body, '/**/ typeof fx.y === \'function\' && fx.y({"a":"\\u2028"});');
  assert.equal(padded.headers['content-type'], 'text/javascript; charset=utf-8');
  assert.equal((await handle('res.jsonp({ a: 1 })')).body, '{"a":1}');
  const back = await handle('res.redirect("back")', { headers: { referer: '/from' } });
  assert.deepEqual([back.status, back.headers.location], [302, '/from']);
  const rendered = await handle('res.render("x")');
  assert.match(rendered.failure.message, /not supported/);
});

test('cookie: ages, dates, objects, what is refused', async () => {
  const set = async (args) => (await handle(`res.cookie(${args}).end()`)).headers['set-cookie'];
  assert.equal(
    await set('"a", "é", { path: "/p", httpOnly: true, sameSite: "lax" }'),
    'a=%C3%A9; Path=/p; HttpOnly; SameSite=Lax',
  );
  assert.match(
    await set('"a", { b: 1 }, { maxAge: 1500 }'),
    /^a=j%3A%7B%22b%22%3A1%7D; Max-Age=1; Path=\/; Expires=/,
  );
  assert.match(
    await set('"a", 1, { expires: new Date(0), secure: true, domain: "x.y" }'),
    /^a=1; Domain=x\.y; Path=\/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure$/,
  );
  const both = await handle('res.cookie("a", 1).cookie("b", 2).clearCookie("c").end()');
  assert.equal(both.headers['set-cookie'].length, 3);
  assert.match(both.headers['set-cookie'][2], /^c=; Max-Age=0; Path=\/; Expires=Thu, 01 Jan 1970/);
  assert.equal((await handle('res.cookie("a b", 1)')).failure.name, 'TypeError');
  const unsigned = await handle('res.cookie("a", 1, { signed: true })');
  assert.match(unsigned.failure.message, /required for signed cookies/);
});

test('an etag of the function’s own makes conditional answers', async () => {
  const known = { headers: { 'if-none-match': '"1"' } };
  const { body, headers, status } = await handle('res.set("ETag", \'"1"\').json({ a: 1 })', known);
  assert.deepEqual([status, body, headers['content-type']], [304, undefined, undefined]);
  assert.equal((await handle('res.set("ETag", \'"2"\').json({ a: 1 })', known)).status, 200);
});

test('writeHead: all its forms; the head stands then', async () => {
  const head = async (args) => (await handle(`res.writeHead(${args}).end()`)).headers;
  assert.deepEqual(await head('200, { A: 1, B: ["x", "y"] }'), { a: '1', b: ['x', 'y'] });
  assert.deepEqual(await head('200, "Fine", { A: 1 }'), { a: '1' });
  assert.deepEqual(await head('200, ["A", 1, "Set-Cookie", "x", "Set-Cookie", "y"]'), {
    a: '1',
    'set-cookie': ['x', 'y'],
  });
  assert.deepEqual(await head('200, [["A", 1]]'), { a: '1' });
  const { body } = await handle(`
    const codes = [];
    const note = (work) => { try { work(); codes.push('') } catch (e) { codes.push(e.code) } };
    note(() => res.writeHead(99));
    note(() => res.writeHead(200, { 'a b': 1 }));
    note(() => res.writeHead(200, { a: 'x\\n' }));
    note(() => res.writeHead(200, { a: undefined }));
    note(() => res.writeHead(200, ['a']));
    res.writeHead(200);
    note(() => res.setHeader('a', 1));
    note(() => res.removeHeader('a'));
    note(() => res.writeHead(200));
    codes.push(res.headersSent);
    res.end(JSON.stringify(codes));`);
  assert.deepEqual(JSON.parse(body), [
    'ERR_HTTP_INVALID_STATUS_CODE',
    'ERR_INVALID_HTTP_TOKEN',
    'ERR_INVALID_CHAR',
    'ERR_HTTP_INVALID_HEADER_VALUE',
    'ERR_INVALID_ARG_VALUE',
    'ERR_HTTP_HEADERS_SENT',
    'ERR_HTTP_HEADERS_SENT',
    'ERR_HTTP_HEADERS_SENT',
    true,
  ]);
});

const replaced = (hook, code = 'res.json({ a: 1 })') => handle(`${hook}; ${code}`);

test('a writeHead put in the place of ours is called before the headers go out', async () => {
  const hook = `
    const { writeHead } = res;
    res.writeHead = function (status) { this.setHeader('x-late', String(status)); return writeHead.apply(this, arguments); }`;
  assert.equal((await replaced(hook)).headers['x-late'], '200');
  assert.equal((await replaced(hook, 'res.status(201).end()')).headers['x-late'], '201');
  assert.equal((await replaced(hook, 'res.write("a"); res.end("b")')).headers['x-late'], '200');
  assert.equal((await replaced(hook, 'res.writeHead(202).end()')).headers['x-late'], '202');
});

test('an end put in the place of ours gets what json and send would send', async () => {
  const hook = `
    const { end } = res;
    res.end = function (chunk, encoding) { this.setHeader('x-chunk', String(chunk)); return end.call(this, chunk, encoding); }`;
  const { body, headers } = await replaced(hook);
  assert.deepEqual(
    [body, headers['x-chunk'], headers['content-type'], headers['content-length']],
    ['{"a":1}', '{"a":1}', 'application/json; charset=utf-8', '7'],
  );
  assert.equal((await replaced(hook, 'res.send("t")')).headers['x-chunk'], 't');
  assert.equal((await replaced(hook, 'res.end()')).headers['x-chunk'], 'undefined');
});

test('bytes given to a replaced end are a Buffer, and what was given stays as it was', async () => {
  const { body, headers } = await replaced(
    `const { end } = res, bytes = new Uint8Array([104, 105]);
     res.end = (chunk) => { res.setHeader('x-kind', [Buffer.isBuffer(chunk), Buffer.isBuffer(bytes)].join()); end.call(res, chunk); }`,
    'res.send(bytes)',
  );
  assert.deepEqual([body, headers['x-kind'], headers['content-length']], ['hi', 'true,false', '2']);
});

test('a send put in the place of ours is what json goes through', async () => {
  const { body, headers } = await replaced(
    'const { send } = res; res.send = function (text) { return send.call(this, text + "!"); }',
  );
  assert.deepEqual(
    [body, headers['content-type']],
    ['{"a":1}!', 'application/json; charset=utf-8'],
  );
});

test('streams end in res: pipe, pipeline, finished', async () => {
  const piped = await handle('require("stream").Readable.from(["a", "b"]).pipe(res)');
  assert.equal(piped.body, 'ab');
  const pipeline = await handle(`
    const { Readable, promises, finished } = require('stream');
    finished(res, (error) => console.log('finished', error));
    await promises.pipeline(Readable.from(['a', 'b']), res);
    console.log('piped');`);
  assert.equal(pipeline.body, 'ab');
  assert.deepEqual(pipeline.logs.map(([, text]) => text).sort(), ['finished undefined', 'piped']);
});

test('finish and close come after the answer', async () => {
  const { logs } = await handle(
    'for (const e of ["finish", "close"]) res.on(e, () => console.log(e, res.writableEnded)); res.send("x"); console.log("sent")',
  );
  assert.deepEqual(
    logs.map(([, text]) => text),
    ['sent', 'finish true', 'close true'],
  );
});

test('204 and 304 have no body and no type, HEAD is left to the host', async () => {
  for (const status of [204, 304]) {
    const { body, headers } = await handle(`res.status(${status}).json({ a: 1 })`);
    assert.deepEqual([body, headers], [undefined, {}]);
  }
});
