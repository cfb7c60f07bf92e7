const { minimatch, Minimatch } = require('minimatch');

module.exports = () => ({
  matches: [['a.js', '*.js'], ['a/b/c.js', '**/*.js'], ['.hidden', '*'], ['a.ts', '*.{js,ts}'], ['b1', '[a-c][0-9]'],
    ['abc', '!(abd)'], ['ab', '+(a|b)']].map(([path, pattern]) => minimatch(path, pattern)),
  dot: minimatch('.hidden', '*', { dot: true }),
  nocase: minimatch('A.JS', '*.js', { nocase: true }),
  filtered: ['a.md', 'b.js', 'c/d.js'].filter(minimatch.filter('*.js', { matchBase: true })),
  braces: minimatch.braceExpand('{a,b}{1..3}'),
  magic: new Minimatch('a/*').hasMagic(),
  list: minimatch.match(['x.js', 'y.md'], '*.md'),
});
