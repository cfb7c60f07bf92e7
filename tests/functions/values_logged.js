// Logs values made of a seed, and answers how `util.inspect` shows them, which goes no short way.

const { inspect } = require('node:util');

const WORDS = ['', 'a', 'id', 'A_1', '_', 'a-b', 'x y', "it's", '"q"', '`b`', 'é', 'ünï', 'emoji😀', 'line\nbreak', 'tab\t', 'back\\slash',
  '\x7f', '\x85', '0', '12', '1a', '4294967295', '4294967296', 'constructor', '__proto__', 'toString', 'length', '100%', 'undefined',
  'x'.repeat(20), 'y'.repeat(40), 'z'.repeat(70)];
const NUMBERS = [0, -0, 1, -7, 0.1, 1.5, -2.25, 1e21, 1e-7, 123456789.123, 2 ** 31, 2 ** 53, 0.1 + 0.2, NaN, Infinity, -Infinity];
const UNUSUAL = [
  () => 10n, () => Symbol('s'), () => () => 1, () => class A {}, () => new (class B { x = 1; })(), () => new Date(0),
  () => /x/g, () => new Map([[1, 2]]), () => new Set(), () => Object.create(null), () => Object.create({ a: 1 }),
  () => new Uint8Array(2), () => Promise.resolve(1), () => [, 1], () => Object.assign([1], { k: 2 }),
  () => Object.freeze({ a: 1 }), () => Object.defineProperty({}, 'h', { value: 1 }), () => ({ get g() { return 1; } }),
  () => ({ [Symbol('k')]: 1 }), () => ({ [Symbol.toStringTag]: 'T' }), () => ({ [inspect.custom]: () => 'C' }),
  () => new Proxy({}, {}), () => Object(1), () => Object('s'), () => (function () { return arguments; })(1),
];

/** A source of numbers below another one; the same ones for a seed. */
function chance(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) % below;
  };
}

function made(at, depth) {
  const of = (list) => list[at(list.length)];
  switch (at(depth > 4 ? 8 : 14)) {
    case 0: return of([true, false, null, undefined]);
    case 1: case 2: return of(NUMBERS);
    case 3: return at(1000) - 500;
    case 4: return of(UNUSUAL)();
    case 5: case 6: case 7: return of(WORDS);
    case 8: case 9: return Array.from({ length: at(9) }, () => made(at, depth + 1));
    case 10: {
      const twice = { a: 1, b: 'two' };
      return of([twice, [twice, twice], { twice, again: twice }]);
    }
    default: {
      const object = {};
      for (let count = at(8); count > 0; count--) object[of(WORDS)] = made(at, depth + 1);
      if (at(8) === 0) delete object[Object.keys(object)[0]];
      if (at(20) === 0) object.self = object;
      return object;
    }
  }
}

const text = (value) => (typeof value === 'string' ? value : inspect(value));

/** How values are shown one after the other; undefined if they cannot be, or the first fills them in. */
function shown(values) {
  if (values.length > 1 && typeof values[0] === 'string' && values[0].includes('%')) return undefined;
  try {
    return values.map(text).join(' ');
  } catch {
    return undefined;
  }
}

module.exports = (req, res) => {
  const { seed, count, added } = req.body;
  // Plain data is shown in another way from here on.
  if (added === 'custom') Object.prototype[inspect.custom] = () => 'mine';
  if (added === 'tag') Array.prototype[Symbol.toStringTag] = 'Mine';
  if (added === 'constructor') Object.prototype.constructor = function Mine() {};
  const at = chance(seed);
  const texts = [];
  for (let i = 0; i < count; i++) {
    const values = Array.from({ length: 1 + at(2) }, () => made(at, 0));
    const expected = shown(values);
    if (expected === undefined) continue;
    console.log(...values);
    texts.push(expected);
  }
  res.json(texts);
};
