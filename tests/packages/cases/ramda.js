const R = require('ramda');

module.exports = () => {
  const people = [{ n: 'a', s: 3 }, { n: 'b', s: 9 }, { n: 'c', s: 5 }];
  const best = R.pipe(R.filter(R.propSatisfies(R.gt(R.__, 4), 's')), R.sortBy(R.prop('s')), R.pluck('n'));
  return {
    best: best(people),
    lens: R.over(R.lensPath(['a', 'b', 0]), R.inc, { a: { b: [1, 2] } }),
    evolve: R.evolve({ s: R.multiply(2) }, people[0]),
    group: R.groupBy((p) => (p.s > 4 ? 'high' : 'low'), people),
    transduced: R.transduce(R.compose(R.map(R.add(1)), R.take(2)), R.flip(R.append), [], [1, 2, 3]),
    compose: R.compose(R.join('-'), R.reverse, R.split(''))('abc'),
    paths: R.paths([['a', 'b'], ['c']], { a: { b: 1 } }),
    merged: R.mergeDeepRight({ a: { x: 1, y: 1 } }, { a: { y: 2 } }),
    zipped: R.zipObj(['a', 'b'], [1, 2]),
    cond: R.map(R.cond([[R.equals(0), R.always('zero')], [R.T, String]]), [0, 7]),
  };
};
