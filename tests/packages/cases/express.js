// A body that is not what its type says never gets here: it is answered with 400 before.
const express = require('express');

const app = express();
app.use(express.json(), express.urlencoded({ extended: true }));
app.use((req, res, next) => { res.set('x-first', req.method); next(); });
app.get('/', (req, res) => res.send('<p>home</p>'));
app.get('/users/:id', (req, res) => res.json({ id: req.params.id, query: req.query }));
app.post('/echo', (req, res) => res.status(201).json({ body: req.body, type: req.get('content-type') }));
app.get('/async', async (req, res) => { await null; throw new Error('thrown later'); });
app.get('/moved', (req, res) => res.redirect(301, '/users/1'));
app.get('/cookie', (req, res) => res.cookie('a', 'b c', { httpOnly: true, expires: new Date(0) }).sendStatus(204));
app.get('/types', (req, res) => res.format({ json: () => res.json({ a: 1 }), html: () => res.send('<b>') }));
const router = express.Router({ mergeParams: true });
router.param('n', (req, res, next, n) => { req.number = Number(n); next(); });
router.route('/sum/:n').get((req, res) => res.json([req.baseUrl, req.params.group, req.number + 1])).all((req, res) => res.sendStatus(405));
app.use('/groups/:group', router);
app.use((error, req, res, next) => res.status(error.status ?? 500).json({ error: error.type ?? error.message }));

exports.handler = app;
exports.requests = [
  { path: '/' }, { path: '/users/4%202?a=1&b=x&b=y' }, { path: '/echo', method: 'POST', json: { z: 1, a: ['é'] } },
  { path: '/echo', method: 'POST', form: 'a[b]=1&c=d+e' }, { path: '/async' }, { path: '/moved' }, { path: '/cookie' },
  { path: '/types', headers: { accept: 'text/html' } }, { path: '/types', headers: { accept: 'application/json' } },
  { path: '/groups/g/sum/41' }, { path: '/groups/g/sum/1', method: 'PUT' }, { path: '/nowhere' }, { path: '/', method: 'HEAD' },
  { path: '/users/1', method: 'OPTIONS' },
];
