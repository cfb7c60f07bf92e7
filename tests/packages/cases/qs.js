const qs = require('qs');

module.exports = () => ({
  nested: qs.parse('a[b][c]=1&a[b][d]=2&list[]=x&list[]=y&i[1]=b&i[0]=a'),
  dots: qs.parse('a.b=1', { allowDots: true }),
  depth: qs.parse('a[b][c][d][e][f][g]=1'),
  polluted: qs.parse('__proto__[x]=1&a=1'),
  text: [
    qs.stringify({ a: { b: ['x', 'y'] }, d: new Date(0), n: null, u: undefined }),
    qs.stringify({ a: ['x', 'y'] }, { arrayFormat: 'brackets', encode: false }),
    qs.stringify({ a: ['x', 'y'] }, { arrayFormat: 'comma' }),
    qs.stringify({ b: 1, a: 'é ü' }, { sort: (x, y) => (x < y ? -1 : 1), addQueryPrefix: true }),
  ],
  latin: qs.parse('a=%E4', { charset: 'iso-8859-1' }),
});
