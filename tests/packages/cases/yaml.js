const YAML = require('yaml');

module.exports = () => {
  const text = 'base: &b {x: 1, y: [a, "b"]}\ncopy:\n  <<: *b\n  z: |\n    two\n    lines\ndate: 2024-01-02\n# comment\nnull: ~\n? [k]\n: complex\n';
  const document = YAML.parseDocument('a: 1 # first\nb:\n  - x\n');
  document.setIn(['b', 1], 'y');
  document.get('b').commentBefore = ' list';
  return {
    parsed: YAML.parse(text, { merge: true }), documents: YAML.parseAllDocuments('a: 1\n---\nb: 2\n').map((one) => one.toJS()),
    text: YAML.stringify({ list: [1, { a: 'x: y' }], text: 'l1\nl2\n', empty: {}, no: null, yes: 'yes', n: '12' }), edited: String(document),
    failed: YAML.parseDocument('a: [1').errors.map(({ code }) => code), typed: YAML.parse('[0x1F, 0o17, .inf, 1e3, true, "true"]').map(String),
  };
};
