// Properties as literals, classes and functions define them, strings that are compared, and functions as
// they are made. Run in a sandbox and in a QuickJS that has nothing of ours.

const named = 'na' + 'me'.slice(0);
const wide = '漢字';
const TEXTS = ['', 'a', 'b', 'ab', 'ba', 'name', named, `${'na'}me`, Object.keys({ name: 1 })[0], JSON.parse('"name"'), 'nam' + 'e',
  ['n', 'ame'].join(''), 'x'.repeat(300), 'x'.repeat(299) + 'x', 'x'.repeat(299) + 'y', wide, '漢' + '字', wide.slice(0, 1), 'é', '\xe9',
  'e\u0301', 'aé漢', '0', String(0), '-0', 'undefined', String(undefined), 'null'];

const described = (object) =>
  Reflect.ownKeys(object).map((key) => {
    const { get, set, value, ...flags } = Object.getOwnPropertyDescriptor(object, key);
    const what = typeof value === 'function' ? 'function' : typeof value === 'object' ? JSON.stringify(value) : String(value);
    return [String(key), get ? 'get' : '', set ? 'set' : '', what, JSON.stringify(flags)].join(' ');
  });

const tried = (work) => {
  try {
    return work();
  } catch (error) {
    return [`threw ${error.name}: ${error.message}`];
  }
};

const sealing = (how) => {
  class Base { constructor(given) { return given; } }
  class Derived extends Base { field = 1; other = 2; }
  return () => described(new Derived(how({ first: 0 })));
};

const CASES = {
  literal: () => described({ x: 1, y: 'two', z: null, w: undefined }),
  twice: () => described({ x: 1, y: 2, x: 3 }),
  accessorThenValue: () => described({ get x() { return 1; }, x: 2 }),
  valueThenAccessor: () => described({ x: 2, get x() { return 1; } }),
  indices: () => described({ b: 1, 2: 'two', a: 2, 0: 'zero', '-1': 3, 4294967295: 4, '01': 5 }),
  proto: () => described({ __proto__: { inherited: 1 }, own: 2 }),
  protoComputed: () => described({ ['__proto__']: 1 }),
  computed: () => described({ ['a' + 'b']: 1, [Symbol.iterator]: 2, [1 + 1]: 3 }),
  spread: () => described({ a: 1, ...{ a: 2, b: 3 }, b: 4, ...'hi', ...[7] }),
  methods: () => described({ f() {}, async g() {}, *h() {}, async *i() {} }),
  shadowed: () => described({ toString: 1, constructor: 2, hasOwnProperty: 3 }),
  array: () => described([1, , 3]),
  arrayLike: () => described(Object.assign([1], { x: 2 })),
  functionOf: () => described(function named(a, b = 1, c) {}),
  arrow: () => described((a) => a),
  asyncOf: () => described(async function f() {}),
  generator: () => described(function* f(a) {}),
  anonymous: () => described({ made: () => {} }.made),
  classOf: () => described(class { static s = 1; static m() {} static name = 'own'; static length = 9; }),
  prototypeOf: () => described(class { m() {} get g() { return 1; } set g(v) {} }.prototype),
  fields: () => described(new (class { a = 1; ['b' + 1] = 2; c; })()),
  fieldsOverInherited: () => described(new (class extends (class { set a(v) { throw new Error('set'); } }) { a = 1; })()),
  fieldsOfArray: () => described(new (class extends Array { 0 = 'zero'; length2 = 1; })()),
  fieldsOfFrozen: sealing(Object.freeze),
  fieldsOfSealed: sealing(Object.seal),
  fieldsOfClosed: sealing(Object.preventExtensions),
  fieldsOfProxy: sealing((target) => new Proxy(target, { defineProperty: () => false })),
  fieldsSeen: () => {
    const seen = [];
    const proxy = new Proxy({}, { defineProperty: (to, key, how) => (seen.push(key), Reflect.defineProperty(to, key, how)) });
    return [...sealing(() => proxy)(), ...seen];
  },
  fieldsOfBytes: sealing(() => new Uint8Array(2)),
  bytesIndex: () => {
    class Base { constructor() { return new Uint8Array(2); } }
    class Derived extends Base { 0 = 300; }
    return described(new Derived());
  },
  many: () => described(Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`k${i}`, i]))),
  grown: () => {
    const shapes = Array.from({ length: 40 }, (_, i) => ({ i, [`own${i % 3}`]: i, last: -i }));
    return shapes.flatMap(described);
  },
  resolvers: () => {
    let made;
    new Promise((resolve, reject) => { made = [resolve, reject]; });
    return made.flatMap(described);
  },
  frozenPrototype: () => {
    Object.freeze(CASES);
    return described({ literal: 1 });
  },
  texts: () => TEXTS.flatMap((one, i) => TEXTS.map((other, j) =>
    [i, j, one === other, one !== other, one == other, one != other, Object.is(one, other)].join())),
  switched: () => TEXTS.map((text) => {
    switch (text) {
      case 'a': return 'A';
      case 'name': return 'NAME';
      case '漢字': return 'WIDE';
      case '': return 'EMPTY';
      case 'x'.repeat(300): return 'LONG';
      default: return 'OTHER';
    }
  }),
};

/** What each case makes, as text. */
function outcomes() {
  return JSON.stringify(Object.fromEntries(Object.keys(CASES).map((name) => [name, tried(CASES[name])])));
}

module.exports = (req, res) => res.type('json').send(outcomes());
