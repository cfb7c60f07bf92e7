const Long = require('long').default ?? require('long');

module.exports = () => {
  const a = Long.fromString('9223372036854775807');
  const u = Long.fromString('ffffffffffffffff', true, 16);
  return {
    sums: [a.add(1), a.sub(Long.MIN_VALUE), u.add(1)].map(String), products: [Long.fromNumber(123456789).mul(987654321), a.div(7), a.mod(10)].map(String),
    bits: [a.shru(60), a.and(255), a.xor(u.toSigned()), Long.fromInt(-1).shiftLeft(4)].map(String), text: [a.toString(16), u.toString(2).length],
    compared: [a.gt(0), a.eq(u), Long.fromValue({ low: 1, high: 0, unsigned: false }).eq(1)], bytes: a.toBytesLE(), number: Long.fromNumber(2 ** 53).toNumber(),
  };
};
