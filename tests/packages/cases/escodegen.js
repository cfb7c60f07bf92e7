const escodegen = require('escodegen');
const esprima = require('esprima');

module.exports = () => {
  const tree = esprima.parseModule('import x from "y"; const f = async ({a, b = 1}, ...c) => { for (const k of c) { if (!a) break; else b++; } return `t${a}`; }; class A extends B { static m() { super.m(); } }');
  return {
    code: escodegen.generate(tree), compact: escodegen.generate(tree, { format: { compact: true, quotes: 'double' } }),
    built: escodegen.generate({ type: 'BinaryExpression', operator: '*', left: { type: 'Literal', value: 2 },
      right: { type: 'BinaryExpression', operator: '+', left: { type: 'Identifier', name: 'a' }, right: { type: 'Literal', value: 'x' } } }),
  };
};
