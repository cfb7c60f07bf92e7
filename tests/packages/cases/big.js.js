const Big = require('big.js');

module.exports = () => {
  Big.DP = 20;
  return {
    sum: Big('0.1').plus('0.2'), quotient: Big(1).div(7), root: Big(3).sqrt(), power: Big('1.1').pow(10),
    fixed: [Big('1.005').toFixed(2), Big('123.456').toPrecision(4), Big(1e30).toExponential()],
    rounded: [Big('2.5').round(0, Big.roundHalfEven), Big('-1.55').round(1, Big.roundUp)],
    compared: [Big(2).cmp(1), Big('1.0').eq(1)], json: { value: Big('7.70') },
    bad: (() => { try { return Big('x'); } catch (error) { return error.message; } })(),
  };
};
