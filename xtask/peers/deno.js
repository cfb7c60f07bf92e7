// Deno with its own server: one isolate for all requests.

import './logic.js';

Deno.serve({
  hostname: '127.0.0.1',
  port: 0,
  onListen: ({ port }) => console.log(`listening on http://127.0.0.1:${port}`),
}, async (request) => {
  const text = logic.answer(new URL(request.url).pathname, await request.text());
  return new Response(text, { headers: { 'content-type': 'application/json' } });
});
