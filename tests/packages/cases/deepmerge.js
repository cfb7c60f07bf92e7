const merge = require('deepmerge');

module.exports = () => ({
  plain: merge({ a: { x: 1 }, list: [1] }, { a: { y: 2 }, list: [2] }),
  replaced: merge({ list: [1] }, { list: [2] }, { arrayMerge: (_, from) => from }),
  all: merge.all([{ a: 1 }, { b: { c: 2 } }, { b: { d: 3 } }]),
  custom: merge({ name: 'a', n: 1 }, { name: 'b', n: 2 }, {
    customMerge: (key) => (key === 'name' ? (x, y) => x + y : undefined),
  }),
  date: merge({ at: 1 }, { at: new Date(0) }),
});
