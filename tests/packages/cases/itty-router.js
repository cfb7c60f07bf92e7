const { AutoRouter, error, json, withParams, cors } = require('itty-router');

const { preflight, corsify } = cors({ origin: '*' });
const router = AutoRouter({ before: [preflight, withParams], finally: [corsify] });
router
  .get('/', () => 'home')
  .get('/users/:id', ({ id, query }) => ({ id, query }))
  .post('/echo', async (request) => json(await request.json(), { status: 201 }))
  .get('/files/:path+', ({ path }) => path)
  .get('/denied', () => error(403, 'not you'))
  .get('/throws', () => { throw new Error('bad'); });

exports.fetch = router.fetch;
exports.requests = [
  { path: '/' }, { path: '/users/7?a=1&a=2' }, { path: '/echo', method: 'POST', json: { b: 1, a: 2 } }, { path: '/files/a/b.txt' },
  { path: '/denied' }, { path: '/throws' }, { path: '/none' },
];
