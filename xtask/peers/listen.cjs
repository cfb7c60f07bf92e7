'use strict';
// node:http in front of `answer(path, body)`, for the peers in Node that have no server of their own.

const { createServer } = require('node:http');

/** Says where a server listens, as `cargo xtask peers` reads it. */
exports.say = (port) => console.log(`listening on http://127.0.0.1:${port}`);

exports.listen = (answer) => {
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', async () => {
      try {
        const text = await answer(request.url, Buffer.concat(chunks).toString());
        const length = Buffer.byteLength(text);
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': length });
        response.end(text);
      } catch (error) {
        console.error(error);
        response.writeHead(500).end();
      }
    });
  });
  server.listen(0, '127.0.0.1', () => exports.say(server.address().port));
};
