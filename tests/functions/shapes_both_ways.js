'use strict';

// Objects that are made again and again, arrays that are filled from their end, and what is an instance of
// what (ADR 0031). Run in a sandbox and in a QuickJS that has nothing of ours.

let state = 1;
/** 0 to `below` - 1. */
const random = (below) => {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
  return (state >>> 8) % below;
};
const one = (list) => list[random(list.length)];
const tried = (work) => {
  try {
    return work();
  } catch (error) {
    return `threw ${error.name}: ${error.message}`;
  }
};
const described = (object) =>
  Reflect.ownKeys(object).map((key) => {
    const { get, value, writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(object, key);
    return `${String(key)}=${get ? 'get' : String(value)}${writable ? 'w' : ''}${enumerable ? 'e' : ''}${configurable ? 'c' : ''}`;
  }).join();

const symbol = Symbol('s');
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'long name', '0', '1', '7', symbol];
class Point { constructor(x, y) { this.x = x; this.y = y; } }
class Deep extends Point { z = 3; constructor(x) { super(x, 2); this.last = x; } }
function Old(list) { for (const name of list) this[name] = 1; }
Old.prototype.inherited = true;
const MAKERS = [
  () => ({}), () => ({ a: 1 }), () => ({ a: 1, b: 2, c: 3 }), () => ({ c: 3, b: 2, a: 1 }), () => ({ a: 1, get b() { return 2; } }),
  () => new Point(1, 2), () => new Deep(1), () => new Old(['a', 'b']), () => new Old(['b', 'a', 'd']), () => Object.create(null),
  () => Object.create(Point.prototype), () => ({ __proto__: { x: 1 }, y: 2 }), () => JSON.parse('{"a":1,"b":{"a":1}}'),
  () => Object.assign({ e: 1 }, { a: 1, b: 2 }), () => new (class { one = 1; two = 2; })(), () => ((a, b) => a), () => [1, 2],
];
const CHANGES = [
  (o, name) => { o[name] = random(9); }, (o, name) => { o[name] = random(9); }, (o, name) => { o[name] = random(9); },
  (o, name) => { delete o[name]; }, (o, name) => { Object.defineProperty(o, name, { value: 5, configurable: true }); },
  (o, name) => { Object.defineProperty(o, name, { get: () => 6, enumerable: true }); }, (o) => { Object.freeze(o); },
  (o) => { Object.preventExtensions(o); }, (o) => { Object.setPrototypeOf(o, one([null, Point.prototype, Array.prototype])); },
];

/** Some are dropped at once, some are kept for long, and more kinds are made than are remembered. */
function objects(seed) {
  state = seed;
  const kept = [];
  const told = [];
  for (let i = 0; i < 300; i++) {
    const made = one(MAKERS)();
    const names = random(3) === 0 ? Array.from({ length: random(20) }, (_, n) => `n${n}`) : NAMES;
    for (let n = random(8); n > 0; n--) tried(() => one(CHANGES)(made, one(names.length ? names : NAMES)));
    if (random(3) === 0) kept[random(40)] = made;
    if (random(8) === 0) tried(() => one(CHANGES)(one(kept.filter(Boolean)), one(NAMES)));
    told.push(described(made));
  }
  return [...told, ...kept.map((object) => object && described(object))].join('|');
}

class Lines extends Array {}
const ARRAYS = [() => [], () => new Array(), () => new Array(5), () => [1, 2, 3], () => new Lines(), () => Array.from({ length: 3 }),
  () => Object.setPrototypeOf([], Point.prototype), () => (function () { return arguments; })(1, 2)];
const STEPS = {
  down: (a, n) => { for (let i = n; i >= 0; i--) a[i] = i; },
  downTo1: (a, n) => { for (let i = n; i >= 1; i--) a[i] = i; },
  downBySteps: (a, n) => { for (let i = 2 * n; i >= 0; i -= 2) a[i] = i; },
  downAsText: (a, n) => { for (let i = n; i >= 0; i--) a[String(i)] = i; },
  set: (a, n) => { a[n] = 'set'; },
  setFirst: (a) => { a[0] = 'first'; },
  remove: (a, n) => { delete a[n]; },
  removeFirst: (a) => { delete a[0]; },
  length: (a, n) => { a.length = n; },
  push: (a, n) => a.push?.(n, n),
  pop: (a) => a.pop?.(),
  shift: (a) => a.shift?.(),
  unshift: (a, n) => a.unshift?.(n),
  splice: (a, n) => a.splice?.(n, 1, 'x', 'y'),
  reverse: (a) => a.reverse?.(),
  sort: (a) => a.sort?.(),
  fill: (a, n) => a.fill?.(n),
  named: (a) => { a.name = 'named'; },
  getter: (a, n) => Object.defineProperty(a, n, { get: () => 'got', configurable: true, enumerable: true }),
  hidden: (a) => Object.defineProperty(a, 0, { value: 'hidden', configurable: true, writable: true }),
  fixed: (a) => Object.defineProperty(a, 'length', { writable: false }),
  freeze: (a) => Object.freeze(a),
  seal: (a) => Object.seal(a),
};
const looked = (a) => {
  const keys = [];
  for (const key in a) keys.push(key);
  const rest = Array.prototype;
  return [described(a), keys, rest.indexOf.call(a, 1), rest.includes.call(a, undefined), rest.join.call(a), rest.slice.call(a, 1),
    rest.concat.call(a, [1]).length, JSON.stringify(a), Array.isArray(a), 0 in a, a[0], a[3]].join(';');
};

/** Whatever is done to it on the way, an array tells the same. */
function arrays(seed) {
  state = seed;
  const told = [];
  for (let round = 0; round < 40; round++) {
    const array = one(ARRAYS)();
    for (let n = 2 + random(6); n > 0; n--) {
      const step = one(Object.keys(STEPS));
      told.push(`${step} ${tried(() => STEPS[step](array, random(12)))} ${tried(() => looked(array))}`);
    }
  }
  return told.join('\n');
}

/** What is written to an array while it is gone through. */
function inTheMiddle() {
  const told = [];
  const array = [];
  for (let i = 6; i > 0; i--) array[i] = i;
  for (const value of array) {
    told.push(value);
    if (value === 3) array[0] = 'first';
  }
  const other = [];
  for (let i = 6; i > 0; i--) other[i] = i;
  for (const key in other) {
    told.push(key, other[key]);
    if (key === '3') other[0] = 'first';
  }
  const third = [];
  third[2] = 1;
  third[1] = 1;
  third.map((value, at) => (told.push(value, at), (third[0] = at)));
  const guarded = new Proxy([], { set: (target, key, value) => (told.push(key), Reflect.set(target, key, value)) });
  for (let i = 3; i >= 0; i--) guarded[i] = i;
  Object.defineProperty(Array.prototype, '0', { set: (value) => told.push('inherited', value), configurable: true });
  const heir = [];
  for (let i = 3; i >= 0; i--) heir[i] = i;
  delete Array.prototype[0];
  return [...told, described(guarded), described(heir)].join();
}

function instances() {
  const odd = (value) => { const f = function () {}; Object.defineProperty(f, Symbol.hasInstance, { value }); return f; };
  const bare = function () {};
  bare.prototype = 5;
  class Even { static [Symbol.hasInstance](value) { return value % 2 === 0; } }
  class Heir extends Even {}
  const told = [];
  const constructors = { Point, Deep, Old, Even, Heir, bare, Object, Array, Function, Proxy, arrow: () => 1, bound: Point.bind(null),
    boundTwice: Deep.bind(null).bind(null), boundEven: Even.bind(null), proxy: new Proxy(Point, {}),
    spied: new Proxy(Point, { get: (target, key) => (told.push(String(key)), target[key]) }), none: odd(null), missing: odd(undefined),
    text: odd('text'), always: odd(() => 'yes'), never: odd(() => 0), throws: odd(() => { throw new Error('asked'); }),
    heir: Object.create(Point), plain: {}, number: 5, nothing: null, native: Math.max, method: { m() {} }.m,
    generator: function* () {}, asynchronous: async () => 1, own: { [Symbol.hasInstance]: () => true } };
  const values = [new Point(), new Deep(), new Old([]), {}, [], null, undefined, 4, 5, 'text', () => 1, Object.create(null), bare,
    Object.create(Deep.prototype), new Proxy(new Deep(), {}), new Proxy({}, { getPrototypeOf: () => Point.prototype }),
    new Proxy({}, { getPrototypeOf() { throw new Error('refused'); } })];
  for (const [name, constructor] of Object.entries(constructors)) {
    told.push(`${name}: ${values.map((value) => tried(() => value instanceof constructor))}`);
  }
  return told.join('\n');
}

function outcomes() {
  const made = { inTheMiddle: inTheMiddle(), instances: instances() };
  for (let seed = 1; seed <= 25; seed++) {
    made[`objects ${seed}`] = objects(seed);
    made[`arrays ${seed}`] = arrays(seed);
  }
  return JSON.stringify(made);
}

module.exports = (req, res) => res.type('json').send(outcomes());
