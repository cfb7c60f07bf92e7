const Router = require('router');

const router = Router();
router.use((req, res, next) => { req.seen = ['first']; next(); });
router.get('/a/:x', (req, res, next) => { req.seen.push(req.params.x); next(); }, (req, res) => res.end(req.seen.join()));
router.route('/r').get((req, res) => res.end('get')).post((req, res) => res.end('post'));
const inner = Router({ mergeParams: true });
inner.get('/y', (req, res) => res.end(`${req.params.id} ${req.baseUrl} ${req.url}`));
router.use('/in/:id', inner);
router.get('/throws', () => { throw new Error('bad'); });
router.get('/async', async () => { throw new Error('later'); });
router.use((error, req, res, next) => { res.statusCode = 500; res.end(`caught ${error.message}`); });

exports.handler = (req, res) => router(req, res, () => { res.statusCode = 404; res.end('nothing'); });
exports.requests = [
  { path: '/a/b' }, { path: '/r' }, { path: '/r', method: 'POST' }, { path: '/in/7/y?q' }, { path: '/throws' }, { path: '/async' }, { path: '/none' },
];
