const BigNumber = require('bignumber.js');

module.exports = () => {
  BigNumber.config({ DECIMAL_PLACES: 30 });
  const x = new BigNumber('123.4567');
  return {
    sum: new BigNumber('0.1').plus('0.2'), product: x.times('1e20').toFixed(),
    quotient: new BigNumber(1).div(3), root: new BigNumber(2).sqrt(), power: new BigNumber(3).pow(-5),
    modulo: new BigNumber('-7').mod(3), rounded: [x.dp(2), x.sd(3), x.integerValue(BigNumber.ROUND_CEIL)],
    formatted: new BigNumber('1234567.891').toFormat(2), base: new BigNumber('ff.8', 16).toString(2),
    nan: new BigNumber(NaN).isNaN(), compared: [x.gt(100), x.eq('123.45670'), x.comparedTo(200)],
    fraction: new BigNumber('3.1416').toFraction(100),
  };
};
