// workerd: one isolate for all requests.

import './logic.js';

export default {
  async fetch(request) {
    const text = logic.answer(new URL(request.url).pathname, await request.text());
    return new Response(text, { headers: { 'content-type': 'application/json' } });
  },
};
