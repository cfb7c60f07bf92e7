const hash = require('object-hash');

module.exports = () => ({
  same: hash({ a: 1, b: [1, 2] }) === hash({ b: [1, 2], a: 1 }),
  sha1: hash({ a: 1, n: null, d: new Date(0), r: /x/g }),
  md5: hash.MD5([1, 'two', { three: 3 }]),
  sha256: hash('text', { algorithm: 'sha256', encoding: 'base64' }),
  keys: hash.keys({ b: 1, a: 2 }) === hash.keys({ a: 9, b: 9 }),
  unordered: hash([1, 2], { unorderedArrays: true }) === hash([2, 1], { unorderedArrays: true }),
  map: hash(new Map([['a', new Set([1])]])),
});
