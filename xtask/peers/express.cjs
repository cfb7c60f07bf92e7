'use strict';
// Express on Node, without isolation. What it adds to answers by default is left out, in its favour.

const express = require('express');
require('./logic.js');

const app = express();
app.disable('etag').disable('x-powered-by');
for (const name of ['hello', 'cpu', 'state']) {
  app.get(`/${name}`, (req, res) => res.type('json').send(logic[name]()));
}
app.post('/json', express.text({ type: 'application/json' }), (req, res) => {
  res.type('json').send(logic.json(req.body));
});
const server = app.listen(0, '127.0.0.1', () => {
  require('./listen.cjs').say(server.address().port);
});
