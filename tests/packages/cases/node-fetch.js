const fetch = require('node-fetch');

module.exports = async ({ upstream }) => {
  const got = await fetch(`${upstream}/echo?a=1`, { headers: { 'x-own': '1' } });
  const echoed = await got.json();
  const posted = await (await fetch(`${upstream}/echo`, { method: 'POST', body: JSON.stringify({ n: 1 }), headers: { 'content-type': 'application/json' } })).json();
  const missing = await fetch(`${upstream}/status/404`);
  const bytes = await (await fetch(`${upstream}/bytes`)).buffer();
  const manual = await fetch(`${upstream}/redirect`, { redirect: 'manual' });
  const refused = await fetch('http://127.0.0.1:1/').catch((error) => error.name);
  return {
    got: [got.status, got.ok, got.headers.get('content-type'), echoed.url, echoed.own], posted: [posted.method, posted.type, posted.body],
    missing: [missing.status, missing.ok, await missing.text()], bytes: [Buffer.isBuffer(bytes), bytes.toString('hex')],
    manual: manual.status, redirected: (await (await fetch(`${upstream}/redirect`)).json()).url, gzipped: await (await fetch(`${upstream}/gzip`)).text(),
    refused, headers: [...new fetch.Headers({ A: '1', b: '2' })], request: new fetch.Request('http://x.org/', { method: 'PUT' }).method,
  };
};
