// `Router`: order, parameters, mounting, errors, and what is answered when nobody does.

import assert from 'node:assert/strict';
import test from 'node:test';
import { json, run } from './harness.mjs';

const SHOW =
  'const show = (req, res) => res.json({ url: req.url, base: req.baseUrl, params: req.params });';
const routed = async (routes, request, options) => {
  const source = `${SHOW} const router = new Router(); ${routes}; module.exports = router;`;
  const result = await run(source, request, options);
  assert.equal(result.failure, undefined, JSON.stringify(result.failure));
  return result;
};
const answer = async (routes, request) => JSON.parse((await routed(routes, request)).body);

test('a router is a handler, made with and without new', async () => {
  const { body } = await run(
    'const r = Router(); module.exports = r.get("/", (q, s) => s.send(String(r instanceof Router)));',
  );
  assert.equal(body, 'true');
});

test('every method has a route, and answers the router', async () => {
  for (const method of ['get', 'post', 'put', 'patch', 'delete', 'options', 'head']) {
    const routes = `router.${method}('/a', (q, s) => s.set('x-hit', q.method).end()).use(() => {})`;
    const { headers, status } = await routed(routes, {
      method: method.toUpperCase(),
      target: '/a',
    });
    assert.deepEqual([status, headers['x-hit']], [200, method.toUpperCase()]);
  }
  const all = await routed('router.all("/a", (q, s) => s.send(q.method))', {
    method: 'LOCK',
    target: '/a',
  });
  assert.equal(all.body, 'LOCK');
  const head = await routed('router.get("/a", (q, s) => s.send(q.method))', {
    method: 'HEAD',
    target: '/a',
  });
  assert.equal(head.status, 200);
});

test('paths: parameters, wildcards, optional parts, regular expressions, lists', async () => {
  const params = async (path, target) =>
    (await answer(`router.get(${path}, show)`, { target })).params;
  assert.deepEqual(await params('"/u/:id/:sub"', '/u/a%20b/7?q=1'), { id: 'a b', sub: '7' });
  assert.deepEqual(await params('"*"', '/a/b'), { 0: '/a/b' });
  assert.deepEqual(await params('"/f/*"', '/f/a/b'), { 0: 'a/b' });
  assert.deepEqual(await params('"/f/*"', '/f/'), { 0: '' });
  assert.deepEqual(await params('"/f/*rest"', '/f/a/b%2Fc'), { rest: ['a', 'b/c'] });
  assert.deepEqual(await params('"/u/:id?"', '/u'), {});
  assert.deepEqual(await params('"/u{/:id}"', '/u/3'), { id: '3' });
  assert.deepEqual(await params('/^\\/(\\d+)(?<name>x)?$/', '/12'), { 0: '12' });
  assert.deepEqual(await params('["/a", "/b/:c"]', '/b/1'), { c: '1' });
  assert.deepEqual(await params('"/Case"', '/cASE/'), {});
});

test('options: caseSensitive and strict', async () => {
  const routes =
    'const r = Router({ caseSensitive: true, strict: true }); r.get("/a", show); router.use(r)';
  assert.equal((await routed(routes, { target: '/a' })).status, 200);
  assert.equal((await routed(routes, { target: '/A' })).status, 404);
  assert.equal((await routed(routes, { target: '/a/' })).status, 404);
});

test('handlers run in order, lists among them, until one answers', async () => {
  const routes = `
    const add = (n) => (q, s, next) => { q.seen = (q.seen ?? '') + n; next(); };
    router.use(add(1), [add(2), [add(3)]]);
    router.get('/a', add(4), (q, s, next) => next('route'), add('x'));
    router.get('/a', [add(5)], (q, s) => s.send(q.seen));
    router.use(() => { throw new Error('too far') })`;
  assert.equal((await routed(routes, { target: '/a' })).body, '12345');
});

test('mounted routers see their part of the path, and parents get theirs back', async () => {
  const routes = `
    const inner = Router({ mergeParams: true });
    inner.get('/x/:b', show);
    inner.use((q, s, next) => next('router'), show);
    router.use('/in/:a', inner);
    router.use(show)`;
  assert.deepEqual(await answer(routes, { target: '/in/1/x/2?q' }), {
    base: '/in/1',
    params: { a: '1', b: '2' },
    url: '/x/2?q',
  });
  assert.deepEqual(await answer(routes, { target: '/in/1/none' }), {
    base: '',
    params: {},
    url: '/in/1/none',
  });
  assert.equal((await answer('router.use("/in", show)', { target: '/in?q' })).url, '/?q');
  assert.equal((await answer('router.use("/in", show)', { target: '/inn' })).success, false);
});

test('param runs once for one value', async () => {
  const routes = `
    router.param('id', async (q, s, next, id, name) => { q.n = (q.n ?? 0) + 1; q.was = [name, id]; next(); });
    router.get('/:id', (q, s, next) => next());
    router.get('/:id', (q, s) => s.json([q.n, q.was]))`;
  assert.deepEqual(await answer(routes, { target: '/7' }), [1, ['id', '7']]);
});

test('nobody answered: 404 as JSON', async () => {
  const { body, status } = await routed('router.get("/a", show)', {
    method: 'POST',
    target: '/b?c=1',
  });
  assert.equal(status, 404);
  assert.deepEqual(JSON.parse(body), { message: 'Cannot POST /b', success: false });
  const undecodable = await routed('router.get("/:a", show)', { target: '/%' });
  assert.equal(undecodable.status, 400);
});

test('failures: thrown, handed on, rejected; 500 without their message, which is logged', async () => {
  for (const fault of [
    'throw new Error("secret")',
    'next(new Error("secret"))',
    'return Promise.reject(new Error("secret"))',
    'return (async () => { await null; throw new Error("secret"); })()',
  ]) {
    const routes = `router.get('/', (q, s, next) => { s.set('x-half', '1'); ${fault}; })`;
    const { body, headers, logs, status } = await routed(routes);
    assert.equal(status, 500, fault);
    assert.deepEqual(JSON.parse(body), { message: 'Internal Server Error', success: false });
    assert.equal(headers['x-half'], undefined);
    assert.match(logs[0][1], /secret/);
  }
});

test('failures that are the client’s are told', async () => {
  const routes =
    'router.use((q, s, next) => next(Object.assign(new Error("bad id"), { status: 422 })))';
  const { body, logs, status } = await routed(routes);
  assert.deepEqual([status, JSON.parse(body).message, logs.length], [422, 'bad id', 0]);
});

test('handlers of four arguments get failures, and may go on without them', async () => {
  const routes = `
    router.get('/', () => { throw new Error('one') }, () => { throw new Error('never') });
    router.use((e, q, s, next) => { q.e = e.message; next(); });
    router.use((e, q, s, next) => s.send('never'));
    router.use((q, s) => s.send(q.e))`;
  assert.equal((await routed(routes)).body, 'one');
});

test('a failure after the answer began is the failure of the invocation', async () => {
  const result = await run(`
    const router = Router();
    router.get('/', async (q, s) => { s.write('x'); await null; throw new Error('half'); });
    module.exports = router;`);
  assert.equal(result.failure.message, 'half');
  assert.equal(result.isAborted, true);
});

test('the invocation lasts until what handlers answered has settled', async () => {
  const { logs } = await routed(
    'router.get("/", async (q, s) => { s.send("x"); await sleep(50); console.log("after"); })',
  );
  assert.equal(logs[0][1], 'after');
});

test('OPTIONS that nobody takes are answered with the methods of the path', async () => {
  const routes = 'router.get("/a", show).post("/a", show).get("/b", show)';
  const { body, headers, status } = await routed(routes, { method: 'OPTIONS', target: '/a' });
  assert.deepEqual([status, headers.allow, body], [200, 'GET, HEAD, POST', 'GET, HEAD, POST']);
});

test('many layers do not exhaust the stack', async () => {
  const routes =
    'for (let i = 0; i < 5000; i++) router.use((q, s, next) => next()); router.use((q, s) => s.send("end"))';
  assert.equal((await routed(routes)).body, 'end');
});

test('what is not a handler or a path is refused when it is added', async () => {
  const refused = async (code) => {
    const { body } = await run(`module.exports = (q, s) => {
      try { ${code}; s.send('no') } catch (e) { s.send(e.code) } };`);
    return body;
  };
  assert.equal(await refused('Router().get("/a")'), 'ERR_INVALID_ARG_TYPE');
  assert.equal(await refused('Router().use("/a", {})'), 'ERR_INVALID_ARG_TYPE');
  assert.equal(await refused('Router().get("/a(", () => {})'), 'ERR_INVALID_ARG_VALUE');
  assert.equal(await refused('Router().param("a")'), 'ERR_INVALID_ARG_TYPE');
});

test('a router of routes also serves bodies, and the parameters of the deployment’s route', async () => {
  const { body } = await routed(
    'router.post("/p", (q, s) => s.send(q.body))',
    json({ a: 1 }, { target: '/p' }),
  );
  assert.equal(body, '{"a":1}');
});
