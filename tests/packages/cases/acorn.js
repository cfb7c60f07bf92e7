const acorn = require('acorn');

module.exports = () => {
  const comments = [];
  const tree = acorn.parse('// c\nexport const f = async ({ a, ...b }) => a?.b ?? `x${await b}`; class A { #p = 1; static {} }', {
    ecmaVersion: 'latest', sourceType: 'module', locations: true, onComment: comments,
  });
  return {
    types: tree.body.map((node) => [node.type, node.start, node.end]), loc: tree.body[0].loc, comments: comments.length,
    tokens: [...acorn.tokenizer('let x = /re/g + 1n', { ecmaVersion: 2022 })].map(({ type, value }) => [type.label, String(value)]),
    expression: acorn.parseExpressionAt('  1 + 2 * 3', 2, { ecmaVersion: 2020 }).operator,
    failed: (() => { try { acorn.parse('let let', { ecmaVersion: 2020 }); return 0; } catch (error) { return [error.message, error.pos]; } })(),
  };
};
