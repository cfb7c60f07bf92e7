const validator = require('validator');

module.exports = () => ({
  email: ['a@b.org', 'a@b', '"quoted name"@x.org'].map((text) => validator.isEmail(text)),
  url: ['https://x.org', 'x.org:80/a', 'ftp://u:p@x.org', 'javascript:alert(1)'].map((text) => validator.isURL(text)),
  ip: [validator.isIP('::1', 6), validator.isIP('1.2.3.4'), validator.isIPRange('10.0.0.0/8')],
  numbers: [validator.isInt('7', { min: 1, max: 9 }), validator.isFloat('1e5'), validator.isDecimal('1.20')],
  codes: [validator.isISBN('9783161484100'), validator.isIBAN('DE89370400440532013000'), validator.isCreditCard('4111111111111111')],
  dates: [validator.isISO8601('2024-02-30', { strict: true }), validator.isDate('2024/02/29')],
  ids: [validator.isUUID('6ba7b810-9dad-11d1-80b4-00c04fd430c8'), validator.isMongoId('507f1f77bcf86cd799439011')],
  clean: [validator.escape('<a>&'), validator.trim('  x '), validator.normalizeEmail('Ada.L+x@GMail.com'), validator.blacklist('abc', 'b')],
  more: [validator.isJSON('{"a":1}'), validator.isJWT('a.b.c'), validator.isStrongPassword('Ab1!efgh'), validator.isHexColor('#fff'), validator.isMobilePhone('+4915112345678', 'de-DE')],
});
