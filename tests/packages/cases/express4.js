const express = require('express4');

const app = express();
app.disable('x-powered-by');
app.use(express.json());
app.get('/hello/:name?', (req, res) => res.json({ hello: req.params.name ?? 'world', ip: typeof req.ip, secure: req.secure }));
app.get('/a*z', (req, res) => res.type('txt').send(req.params[0]));
app.post('/items', (req, res) => res.location('/items/7').status(201).json(req.body));
app.get('/next', (req, res, next) => next(), (req, res) => { res.append('x-list', 'a'); res.append('x-list', 'b'); res.end('next'); });
app.get('/throws', () => { throw Object.assign(new Error('bad'), { status: 418 }); });
app.use('/sub', express.Router().get('/x', (req, res) => res.send(`${req.baseUrl}|${req.url}|${req.originalUrl}`)));
app.use((req, res) => res.status(404).send('nothing here'));
app.use((error, req, res, next) => res.status(error.status).send(error.message));

exports.handler = app;
exports.requests = [
  { path: '/hello' }, { path: '/hello/Ada' }, { path: '/abcz' }, { path: '/items', method: 'POST', json: { b: 1, a: 2 } }, { path: '/next' },
  { path: '/throws' }, { path: '/sub/x?q=1' }, { path: '/none' }, { path: '/hello', method: 'HEAD' },
];
