import ky, { HTTPError } from 'ky';

export default async ({ upstream }) => {
  let tries = 0;
  const client = ky.create({
    prefixUrl: upstream, headers: { 'x-own': '1' }, retry: { limit: 2, delay: () => 1 },
    hooks: { beforeRequest: [(request) => { request.headers.set('x-added', 'yes'); }], beforeRetry: [() => { tries++; }] },
  });
  const got = await client.get('echo', { searchParams: { a: 1 } }).json();
  const posted = await client.post('echo', { json: { n: 1 } }).json();
  const failed = await client.get('status/503').catch((error) => [error instanceof HTTPError, error.response.status]);
  const extended = client.extend({ headers: { 'x-own': '2' } });
  return {
    got: [got.url, got.own, got.added], posted: [posted.method, posted.type, posted.body], failed, tries,
    text: await client('gzip').text(), extended: (await extended('echo').json()).own,
    lenient: (await client('status/404', { throwHttpErrors: false })).status,
  };
};
