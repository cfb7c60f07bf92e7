const { Hono } = require('hono');
const { cors } = require('hono/cors');
const { basicAuth } = require('hono/basic-auth');
const { validator } = require('hono/validator');
const { getCookie, setCookie } = require('hono/cookie');

const app = new Hono();
app.use('/api/*', cors());
app.use('/admin/*', basicAuth({ username: 'ada', password: 'pw' }));
app.get('/', (c) => c.text('home'));
app.get('/users/:id{[0-9]+}', (c) => c.json({ id: c.req.param('id'), q: c.req.query('q') }));
app.post('/api/echo', validator('json', (value, c) => (value.n ? value : c.text('n is missing', 400))), (c) => c.json(c.req.valid('json'), 201));
app.get('/admin/x', (c) => c.html('<b>in</b>'));
app.get('/cookie', (c) => { setCookie(c, 'a', 'b'); return c.json(getCookie(c)); });
app.get('/stream', (c) => c.body(new ReadableStream({ start(to) { to.enqueue(new TextEncoder().encode('str')); to.enqueue(new TextEncoder().encode('eam')); to.close(); } })));
app.route('/sub', new Hono().get('/x', (c) => c.text(c.req.path)));
app.get('/throws', () => { throw new Error('bad'); });
app.notFound((c) => c.text('nothing', 404));
app.onError((error, c) => c.text(`caught ${error.message}`, 500));

exports.fetch = app.fetch;
exports.requests = [
  { path: '/' }, { path: '/users/42?q=x' }, { path: '/users/x' }, { path: '/api/echo', method: 'POST', json: { n: 1 } }, { path: '/api/echo', method: 'POST', json: {} },
  { path: '/admin/x' }, { path: '/admin/x', headers: { authorization: 'Basic YWRhOnB3' } }, { path: '/cookie', headers: { cookie: 'x=y' } },
  { path: '/stream' }, { path: '/sub/x' }, { path: '/throws' },
];
