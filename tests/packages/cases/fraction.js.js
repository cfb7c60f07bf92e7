const Fraction = require('fraction.js').default ?? require('fraction.js');

module.exports = () => ({
  sum: new Fraction('1/3').add('1/6').toFraction(), repeating: new Fraction('0.(3)').toFraction(),
  text: new Fraction(22, 7).toString(), mixed: new Fraction(7, 3).toFraction(true),
  product: new Fraction(0.75).mul(4, 9).toFraction(), power: new Fraction('2/3').pow(3).toFraction(),
  gcd: new Fraction(5, 8).gcd(3, 7).toFraction(), compared: new Fraction(1, 3).compare('0.3333'),
  continued: new Fraction('415/93').toContinued().map(String), rounded: new Fraction('7/3').round(2).toString(),
});
