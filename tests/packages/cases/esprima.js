const esprima = require('esprima');

module.exports = () => ({
  tree: esprima.parseScript('const answer = 6 * 7; f(...x);', { range: true }),
  tokens: esprima.tokenize('if (a) { return /x/g; }'), module: esprima.parseModule('import a from "b"; export default a;').body.map(({ type }) => type),
  jsx: esprima.parseScript('<a b="c">{d}</a>', { jsx: true }).body[0].expression.type,
  visited: (() => { const seen = []; esprima.parseScript('a + b', {}, (node) => { seen.push(node.type); }); return seen; })(),
  failed: (() => { try { esprima.parseScript('a b'); return 0; } catch (error) { return error.message; } })(),
});
