const he = require('he');

module.exports = () => ({
  encoded: [he.encode('foo © bar ≠ baz 𝌆 qux'), he.encode('é', { useNamedReferences: true })],
  decoded: [he.decode('&lt;&copy;&#x1D306;&ampx&eacute;&notin;'), he.decode('foo&ampbar', { isAttributeValue: true })],
  escaped: he.escape('<img src="x" onerror=\'y\'>'),
  decimal: he.encode('ö', { decimal: true }),
});
