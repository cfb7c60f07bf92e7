const picomatch = require('picomatch');

module.exports = () => ({
  matches: [['*.js', 'a.js'], ['**/*.js', 'a/b/c.js'], ['!*.md', 'a.md'], ['{a,b}/*', 'b/x'], ['@(x|y).z', 'y.z']]
    .map(([pattern, text]) => picomatch(pattern)(text)),
  ignore: picomatch('*', { ignore: 'b*' })('bar'),
  source: picomatch.makeRe('src/**/*.ts').source,
  scan: picomatch.scan('!./foo/*.js'),
  many: picomatch(['*.a', '*.b'])('x.b'),
});
