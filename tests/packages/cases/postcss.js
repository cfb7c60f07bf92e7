const postcss = require('postcss');

const doubled = () => ({
  postcssPlugin: 'doubled',
  // What is changed is visited again.
  Declaration: { width: (declaration) => { if (declaration.value === '10px') declaration.value = '20px'; } },
  AtRule: { media: (rule) => { rule.params = rule.params.toLowerCase(); } },
});
doubled.postcss = true;

module.exports = async () => {
  const root = postcss.parse('a { color: red; width: 10px }\n@media (MIN-width: 5px) { b::before { content: "x" } }');
  root.walkRules((rule) => { rule.selector = `.own ${rule.selector}`; });
  root.append(postcss.rule({ selector: 'i' }).append({ prop: 'top', value: '0' }));
  const result = await postcss([doubled()]).process(root.toString(), { from: undefined });
  return {
    css: result.css, props: (() => { const props = []; root.walkDecls(({ prop, value }) => props.push([prop, value])); return props; })(),
    json: postcss.fromJSON(postcss.parse('a{b:c}').toJSON()).toString(), list: postcss.list.comma('a, b(c, d)'),
    failed: (() => { try { postcss.parse('a {'); return 0; } catch (error) { return [error.name, error.reason, error.line]; } })(),
  };
};
