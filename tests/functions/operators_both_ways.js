// Each operator on each pair of values, and by a way around it that says the same.

const object = {};
const symbol = Symbol('s');
const repeated = 'b'.repeat(3);
const VALUES = [
  0, -0, 1, -1, 2, 7, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63, -(2 ** 63),
  2 ** 64 + 2 ** 33, 4e9, -3e9, 33, 0.5, -0.5, 1.5, 1e300, 5e-324, NaN, Infinity, -Infinity,
  '', '0', '1', 'a', `a${repeated}`, true, false, null, undefined, object, [], [1], symbol, 0n, 1n, 10n ** 30n,
];

const OPERATORS = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '<<': (a, b) => a << b,
  '>>': (a, b) => a >> b,
  '>>>': (a, b) => a >>> b,
  '&': (a, b) => a & b,
  '|': (a, b) => a | b,
  '^': (a, b) => a ^ b,
  '~': (a) => ~a,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};

const tried = (work) => {
  try {
    return work();
  } catch (error) {
    return `threw ${error.name}`;
  }
};
const told = (value) =>
  `${typeof value} ${Object.is(value, -0) ? '-0' : typeof value === 'symbol' ? 's' : String(value)}`;
const isPrimitive = (value) => value === null || typeof value !== 'object';
/** An object that becomes this value: what two numbers decide at once takes the long way then. */
const wrapped = (value) => ({ [Symbol.toPrimitive]: () => value });

/** IsLooselyEqual of ECMA-262, in words of `typeof` and `indexOf`. */
function looselyEqual(a, b) {
  const nothing = (value) => [null, undefined].indexOf(value) >= 0;
  if (nothing(a) || nothing(b)) return nothing(a) && nothing(b);
  if (typeof a === typeof b) return [a].indexOf(b) === 0;
  if (typeof a === 'boolean') return looselyEqual(Number(a), b);
  if (typeof b === 'boolean') return looselyEqual(a, Number(b));
  if (typeof a === 'object') return looselyEqual(tried(() => `${a}`), b);
  if (typeof b === 'object') return looselyEqual(a, tried(() => `${b}`));
  if (typeof a === 'symbol' || typeof b === 'symbol') return false;
  if (typeof a === 'bigint' || typeof b === 'bigint') return Number(a) === Number(b);
  return [Number(a)].indexOf(Number(b)) === 0;
}

function differences() {
  const different = [];
  for (const a of VALUES) {
    for (const b of VALUES) {
      const check = (name, one, other) => {
        if (told(one) !== told(other)) different.push([told(a), name, told(b), told(one), told(other)]);
      };
      check('===', a === b, [a].indexOf(b) === 0);
      check('!==', a !== b, [a].indexOf(b) !== 0);
      check('==', a == b, looselyEqual(a, b));
      check('!=', a != b, !looselyEqual(a, b));
      if (!isPrimitive(a) || !isPrimitive(b)) continue;
      for (const [name, operator] of Object.entries(OPERATORS)) {
        check(name, tried(() => operator(a, b)), tried(() => operator(wrapped(a), b)));
        check(name, tried(() => operator(a, b)), tried(() => operator(a, wrapped(b))));
      }
    }
  }
  return different;
}

function elements() {
  const different = [];
  const holey = [1, , 'three', object];
  const grown = [];
  for (let i = 0; i < 40; i++) grown.push(i / 2);
  const frozen = Object.freeze([1, 2]);
  const lists = [[], [1, 'a', object], holey, grown, frozen, 'text', [5].concat(grown), new Float64Array([1.5, 2]),
    (function () { return arguments; })(1, 2), { 0: 'zero', length: 1 }];
  // A getter where a list has nothing.
  Object.defineProperty(Array.prototype, '5', { get: () => 'inherited', configurable: true });
  for (const list of lists) {
    for (const index of [0, 1, 2, 3, 5, 39, 40, -1, 0.5, -0, NaN, 2 ** 31, '1', 'length', 'x']) {
      const target = Object(list);
      if (!Object.is(list[index], Reflect.get(target, String(index), target))) {
        different.push([String(list), String(index), told(list[index])]);
      }
    }
  }
  delete Array.prototype[5];
  return different;
}

module.exports = (req, res) => {
  res.json({ values: VALUES.length, operators: differences(), elements: elements() });
};
