const findMyWay = require('find-my-way');

const router = findMyWay({ ignoreTrailingSlash: true, defaultRoute: (req, res) => { res.statusCode = 404; res.end('nothing'); } });
const tell = (name) => (req, res, params, store, query) => {
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify({ name, params: { ...params }, query: { ...query } }));
};
router.on('GET', '/', tell('home'));
router.on(['GET', 'PUT'], '/users/:id', tell('user'));
router.on('GET', '/at/:hour(^\\d+)h:minute(^\\d+)m', tell('time'));
router.on('GET', '/files/*', tell('files'));
router.on('GET', '/v', { constraints: { version: '1.2.0' } }, tell('versioned'));

exports.handler = (req, res) => router.lookup(req, res);
exports.requests = [
  { path: '/?a=1' }, { path: '/users/4%202/' }, { path: '/users/1', method: 'PUT' }, { path: '/at/12h30m' }, { path: '/files/a/b' },
  { path: '/v', headers: { 'accept-version': '1.x' } }, { path: '/v' }, { path: '/users/1', method: 'DELETE' },
];
