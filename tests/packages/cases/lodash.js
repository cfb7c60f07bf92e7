const _ = require('lodash');

module.exports = () => {
  const users = [
    { name: 'Ada', age: 36, tags: ['a', 'b'] },
    { name: 'Bob', age: 25, tags: ['b'] },
    { name: 'Cy', age: 36, tags: [] },
  ];
  const nested = { a: [{ b: { c: 3 } }] };
  return {
    groups: _.mapValues(_.groupBy(users, 'age'), (group) => _.map(group, 'name')),
    sorted: _.orderBy(users, ['age', 'name'], ['desc', 'asc']).map((user) => user.name),
    deep: [_.get(nested, 'a[0].b.c'), _.get(nested, 'a[1].b', 'none'), _.has(nested, 'a[0].b')],
    set: _.set(_.cloneDeep(nested), 'a[1].x', 1),
    merged: _.merge({ a: { x: 1 }, b: [1, 2] }, { a: { y: 2 }, b: [3] }),
    text: [_.camelCase('--foo-bar'), _.kebabCase('fooBar'), _.startCase('foo bar'), _.deburr('déjà')],
    chunks: _.chunk(_.range(7), 3),
    chain: _(users).flatMap('tags').countBy().toPairs().sortBy(0).value(),
    template: _.template('<% _.forEach(n, (x) => { %>[<%- x %>]<% }) %>')({ n: ['<', 2] }),
    equal: _.isEqual({ a: [1, new Date(0)] }, { a: [1, new Date(0)] }),
    memo: _.times(3, _.memoize((n) => n * n)),
    curried: _.curry((a, b, c) => a + b + c)(1)(2)(3),
  };
};
