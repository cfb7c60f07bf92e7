import queryString from 'query-string';

export default () => ({
  parsed: queryString.parse('?foo=bar&list=1&list=2&flag&empty='),
  typed: queryString.parse('n=1&b=true', { parseNumbers: true, parseBooleans: true }),
  text: queryString.stringify({ b: 1, a: ['x', 'y'], n: null, u: undefined }),
  comma: queryString.stringify({ a: [1, 2] }, { arrayFormat: 'comma' }),
  url: queryString.parseUrl('https://x.org/p?a=1#frag', { parseFragmentIdentifier: true }),
  picked: queryString.pick('https://x.org/?a=1&b=2', ['b']),
  built: queryString.stringifyUrl({ url: 'https://x.org/?z=1', query: { a: 'é' } }),
});
