const connect = require('connect');

const app = connect();
app.use((req, res, next) => { res.setHeader('x-seen', req.originalUrl ?? req.url); next(); });
app.use('/sub', (req, res) => res.end(`${req.url} of ${req.originalUrl}`));
app.use('/throws', () => { throw new Error('bad'); });
app.use('/next', (req, res, next) => next(Object.assign(new Error('no'), { status: 403 })));
app.use('/write', (req, res) => { res.writeHead(201, { 'content-type': 'text/plain' }); res.write('a'); res.end('b'); });
app.use((error, req, res, next) => { res.statusCode = error.status ?? 500; res.end(error.message); });

exports.handler = app;
exports.requests = [{ path: '/sub/x?y=1' }, { path: '/throws' }, { path: '/next' }, { path: '/write' }, { path: '/sub' }];
