const ms = require('ms');

module.exports = () => ({
  parsed: ['2 days', '1d', '10h', '2.5 hrs', '1m', '5s', '1y', '100', '-3 min', 'nonsense'].map((text) => ms(text) ?? null),
  short: [60000, 2 * 60000, -3 * 60000, ms('10 hours'), 500].map((n) => ms(n)),
  long: [60000, 2 * 60000, ms('10 hours')].map((n) => ms(n, { long: true })),
});
