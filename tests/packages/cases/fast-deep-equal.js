const equal = require('fast-deep-equal');
const es6 = require('fast-deep-equal/es6');

module.exports = () => ({
  objects: [equal({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }), equal({ a: 1 }, { a: 2 })],
  dates: [equal(new Date(1), new Date(1)), equal(new Date(1), new Date(2))],
  patterns: [equal(/a/g, /a/g), equal(/a/g, /a/i)],
  nan: equal(NaN, NaN),
  maps: [es6(new Map([['a', 1]]), new Map([['a', 1]])), es6(new Set([1]), new Set([2]))],
  typed: es6(new Uint8Array([1, 2]), new Uint8Array([1, 2])),
});
