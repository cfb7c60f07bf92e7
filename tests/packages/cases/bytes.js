const bytes = require('bytes');

module.exports = () => ({
  parsed: ['1KB', '1.5mb', '2 GB', '1024', 'x'].map((text) => bytes.parse(text)),
  formatted: [1000, 1024, 1024 ** 2 * 1.5, 1024 ** 4].map((n) => bytes(n)),
  options: [
    bytes(1024 * 1234, { thousandsSeparator: ' ', unit: 'KB' }),
    bytes(1536, { unitSeparator: ' ', fixedDecimals: true, decimalPlaces: 3 }),
  ],
});
