const superagent = require('superagent');

module.exports = async ({ upstream }) => {
  const got = await superagent.get(`${upstream}/echo`).query({ a: 1, b: 'é' }).set('x-own', '1');
  const posted = await superagent.post(`${upstream}/echo`).send({ n: 1 });
  const form = await superagent.put(`${upstream}/echo`).type('form').send({ a: 'b c' });
  const failed = await superagent.get(`${upstream}/status/404`).catch((error) => [error.status, error.response.text]);
  const agent = superagent.agent().set('x-added', 'yes');
  return {
    got: [got.status, got.type, got.body.url, got.body.own], posted: [posted.body.method, posted.body.type, posted.body.body],
    form: [form.body.type, form.body.body], failed, agent: (await agent.get(`${upstream}/echo`)).body.added,
    redirected: (await superagent.get(`${upstream}/redirect`)).body.url, gzipped: (await superagent.get(`${upstream}/gzip`)).text,
    ok: (await superagent.get(`${upstream}/status/500`).ok(() => true)).status,
  };
};
