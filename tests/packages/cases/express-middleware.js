// cors, helmet, cookie-parser, body-parser and morgan, as an application uses them.
const express = require('express');
const cors = require('cors');
const helmet = require('helmet');
const cookieParser = require('cookie-parser');
const bodyParser = require('body-parser');
const morgan = require('morgan');

const app = express();
const lines = [];
app.use(morgan(':method :url :status', { stream: { write: (line) => lines.push(line.trim()) } }));
app.use(helmet());
app.use(cors({ origin: ['https://x.org'], credentials: true }));
app.use(cookieParser('secret'));
app.post('/text', bodyParser.text({ type: 'text/*' }), (req, res) => res.json({ text: req.body }));
app.post('/raw', bodyParser.raw({ type: '*/*' }), (req, res) => res.json({ bytes: req.body.length }));
app.get('/cookies', (req, res) => res.json([req.cookies, req.signedCookies]));
app.get('/sign', (req, res) => { res.cookie('s', 'v', { signed: true }); res.end(); });

exports.handler = app;
exports.headers = ['access-control-allow-origin', 'access-control-allow-methods', 'vary', 'x-frame-options', 'x-content-type-options', 'strict-transport-security'];
exports.requests = [
  { path: '/text', method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'some té' },
  { path: '/raw', method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: '12345' },
  { path: '/cookies', headers: { cookie: 'a=b%20c; s=s%3Av.h0MBDxLiwsMxsFvQzDwPh%2FoehEvIqfYqRkVJZyKlxJ0; j=j%3A%7B%22x%22%3A1%7D' } },
  { path: '/sign' }, { path: '/text', method: 'OPTIONS', headers: { origin: 'https://x.org', 'access-control-request-method': 'POST' } },
  { path: '/cookies', headers: { origin: 'https://other.org' } },
];
