const { XMLParser, XMLBuilder, XMLValidator } = require('fast-xml-parser');

module.exports = () => {
  const xml = '<?xml version="1.0"?><r a="1"><item id="x">One &amp; &lt;two&gt;</item><item id="y"><![CDATA[<raw>]]></item><n>007</n><f>1.50</f><e/></r>';
  const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '@', cdataPropName: '#cdata' });
  const parsed = parser.parse(xml);
  return {
    parsed, typed: new XMLParser({ parseAttributeValue: true, ignoreAttributes: false }).parse('<a n="5" b="true"><c>1e3</c></a>'),
    ordered: new XMLParser({ preserveOrder: true }).parse('<a>x<b/>y</a>'), arrays: new XMLParser({ isArray: (name) => name === 'b' }).parse('<a><b>1</b></a>'),
    built: new XMLBuilder({ format: true, ignoreAttributes: false, attributeNamePrefix: '@' }).build({ r: { '@a': '1', item: ['x & y', 2], o: { p: null } } }),
    valid: [XMLValidator.validate(xml), XMLValidator.validate('<a><b></a>').err.code],
  };
};
