const yaml = require('js-yaml');

module.exports = () => ({
  parsed: yaml.load('a: [1, 2.5, true, ~]\nb: &x {k: v}\nc: *x\nd: >\n  folded\n  text\n\n  more\ne: {p: 0, q: 1}\n'),
  dumped: yaml.dump({ z: 1, a: ['x', { y: 'multi\nline' }], s: "it's: x", d: null }, { sortKeys: true }),
  flow: yaml.dump({ a: { b: [1, 2] } }, { flowLevel: 1 }),
  failed: (() => { try { yaml.load('a: b: c'); return 0; } catch (error) { return [error.name, error.reason]; } })(),
});
