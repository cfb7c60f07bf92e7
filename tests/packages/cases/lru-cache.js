const { LRUCache } = require('lru-cache');

module.exports = async () => {
  const evicted = [];
  const cache = new LRUCache({ max: 2, dispose: (value, key, reason) => evicted.push([key, value, reason]) });
  cache.set('a', 1).set('b', 2);
  cache.get('a');
  cache.set('c', 3).set('a', 9);
  const sized = new LRUCache({ maxSize: 10, sizeCalculation: (text) => text.length });
  sized.set('x', '12345').set('y', '12345').set('z', '1');
  const fetched = new LRUCache({ max: 5, fetchMethod: async (key) => `fetched ${key}` });
  return {
    keys: [...cache.keys()], evicted, has: [cache.has('b'), cache.peek('c')],
    sized: [sized.calculatedSize, [...sized.keys()]],
    fetched: [await fetched.fetch('k'), fetched.get('k')],
    dump: cache.dump().map(([key, entry]) => [key, entry.value]),
  };
};
