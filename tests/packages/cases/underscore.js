const _ = require('underscore');

module.exports = () => ({
  pluck: _.pluck([{ a: 1 }, { a: 2 }], 'a'),
  chain: _.chain([3, 1, 2]).sortBy().map((n) => n * 2).value(),
  index: _.indexBy([{ id: 'x', n: 1 }, { id: 'y', n: 2 }], 'id'),
  partition: _.partition([1, 2, 3, 4], (n) => n % 2),
  template: _.template('Hello <%= name %> <%- html %>')({ name: 'Ada', html: '<b>' }),
  equal: _.isEqual([1, { a: NaN }], [1, { a: NaN }]),
  union: _.union([1, 2], [2, 3], [1, 4]),
  once: (() => {
    let n = 0;
    const once = _.once(() => ++n);
    return [once(), once()];
  })(),
  escaped: _.escape('<a href="x">&</a>'),
  extremes: [_.max([1, 5, 3]), _.min([], (x) => x) === Infinity],
});
