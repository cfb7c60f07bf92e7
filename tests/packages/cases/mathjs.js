const { create, all } = require('mathjs');

const math = create(all);

module.exports = () => ({
  evaluated: ['2 + 3 * 4^2', 'sqrt(-4)', '12.7 cm to inch', 'sin(45 deg) ^ 2', '[1, 2; 3, 4] * [5; 6]', 'a = 3; a * 2']
    .map((text) => math.format(math.evaluate(text), 10)),
  derived: [math.derivative('x^3 + 2x', 'x').toString(), math.simplify('2x + 3x').toString()],
  matrix: [math.det([[2, 1], [1, 3]]), math.inv([[2, 0], [0, 4]]), math.transpose([[1, 2], [3, 4]])],
  statistics: [math.mean([1, 2, 3, 4]), math.std([1, 2, 3, 4]).toFixed(12), math.median([5, 1, 3])],
  big: math.format(math.bignumber('0.1').plus('0.2')), fraction: math.format(math.fraction(1, 3).add(math.fraction(1, 6))),
  complex: math.multiply(math.complex(1, 2), math.complex(3, -1)).toString(),
  scope: math.compile('n! / k').evaluate({ n: 5, k: 4 }),
});
