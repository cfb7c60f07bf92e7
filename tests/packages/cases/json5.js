const JSON5 = require('json5');

module.exports = () => ({
  parsed: JSON5.parse("{ // c\n unquoted: 'single', \"d\": +.5, hex: 0xFF, list: [1, 2,], text: 'two \\\nlines', n: -Infinity }"),
  text: JSON5.stringify({ a: 1, 'b-c': "it's", n: NaN, list: [undefined] }, null, 2),
  revived: JSON5.parse('{a: 1}', (key, value) => (key === 'a' ? value + 1 : value)),
  failed: (() => { try { JSON5.parse('{a: }'); return 0; } catch (error) { return [error.name, error.lineNumber, error.columnNumber]; } })(),
});
