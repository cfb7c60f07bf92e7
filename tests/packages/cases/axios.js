const axios = require('axios');

module.exports = async ({ upstream }) => {
  const client = axios.create({ baseURL: upstream, timeout: 10000, headers: { 'x-own': '1' } });
  client.interceptors.request.use((config) => { config.headers.set('x-added', 'yes'); return config; });
  const got = await client.get('/echo', { params: { a: [1, 2], q: 'é' } });
  const posted = await client.post('/echo', { n: 1 });
  const form = await client.post('/echo', new URLSearchParams({ a: 'b c' }));
  const failed = await client.get('/status/404').catch((error) => [error.code, error.response.status, error.response.data]);
  const refused = await axios.get('http://127.0.0.1:1/').catch((error) => axios.isAxiosError(error));
  const bytes = await client.get('/bytes', { responseType: 'arraybuffer' });
  return {
    got: [got.status, got.data.url, got.data.own, got.data.added, got.headers['content-type']], posted: [posted.data.method, posted.data.type, posted.data.body],
    form: [form.data.type, form.data.body], failed, refused, bytes: Buffer.from(bytes.data).toString('hex'),
    redirected: (await client.get('/redirect')).data.url, gzipped: (await client.get('/gzip')).data,
    both: (await Promise.all([client.get('/echo?1'), client.get('/echo?2')])).map(({ data }) => data.url),
    accepted: (await client.get('/status/500', { validateStatus: () => true })).status,
  };
};
