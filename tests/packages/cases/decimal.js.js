const Decimal = require('decimal.js');

module.exports = () => {
  const D = Decimal.clone({ precision: 40 });
  return {
    sum: new D('0.1').plus('0.2'), pi: D.acos(-1), e: D.exp(1), log: D.log10(2), sin: new D('0.5').sin(),
    root: new D(2).sqrt(), cube: new D(27).cbrt(), power: new D(2).pow('0.5'),
    hex: [new D('0xff.8').toString(), new D(255).toHex(), new D(5).toBinary()],
    rounded: [new D('2.5').round(), new D('-2.5').toDecimalPlaces(0, Decimal.ROUND_HALF_EVEN)],
    significant: new D('123456').toSignificantDigits(3), exponential: new D('0.00012345').toExponential(2),
    max: D.max(1, '3', 2), fraction: new D('0.333').toFraction(10),
  };
};
