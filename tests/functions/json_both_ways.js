// Makes texts and values from a seed; answers the first that JSON reads or writes differently on
// its short way and on its long one (tests/it/json.rs).

const long = (value) => JSON.stringify(value, undefined, '');
const show = (value) => long(value, undefined, '');

function generator(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * below);
  };
}

const NAMES = ['a', 'b', 'id', 'name', '0', '17', 'toJSON2', '__proto__', 'é', '名', 'a"b', 'a\\nb',
  'a\\', '', 'constructor', '4294967295', '01', '-1', '\u0001', 'x'.repeat(70), 'Ã©'];
const STRINGS = ['', 'x', 'plain text of some length', 'with "quotes"', 'back\\slash', '\n\t\b\f\r\u0000\u001f',
  'é', 'ÿ\u0080', '日本', '😀', '\ud800', '\udc00x', 'a'.repeat(300), '12345678"', '1234567\\', '\u007f', '\u2028'];
const NUMBERS = [0, -0, 1, -1, 2147483647, 2147483648, -2147483648, 9007199254740991, 9007199254740993,
  0.1, 0.05, -0.5, 1.25, 458.75, 1e21, 1e-7, 1.5e-9, 123456789.123, 0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308,
  100, 1e10, 99999999.9999, 0.0001, 0.00001, 4.35, 1.005, 1e15 + 0.5, NaN, Infinity];

function value(next, depth) {
  const kind = next(depth > 4 ? 5 : 8);
  if (kind === 0) return STRINGS[next(STRINGS.length)];
  if (kind === 1) return NUMBERS[next(NUMBERS.length)];
  if (kind === 2) return (next(2000000) - 1000000) / [1, 10, 100, 1000, 10000, 7][next(6)];
  if (kind === 3) return [true, false, null, undefined][next(4)];
  if (kind === 4) return 'rope ' + STRINGS[next(STRINGS.length)] + 'y'.repeat(next(2) * 9000);
  const length = next(5);
  if (kind === 5) return Array.from({ length }, () => value(next, depth + 1));
  if (kind === 6) {
    // Rows: alike, but for some.
    return Array.from({ length: length + 2 }, (_, i) => {
      const row = { id: i, name: STRINGS[next(3)], more: { deep: next(3) } };
      if (next(4) === 0) row[NAMES[next(NAMES.length)]] = next(9);
      if (next(6) === 0) delete row.name;
      return row;
    });
  }
  const object = [{}, Object.create(null), Object.create({ inherited: 1 }), new (class Own { f() {} })()][next(4)];
  for (let i = 0; i < length; i++) {
    Object.defineProperty(object, NAMES[next(NAMES.length)],
      { value: value(next, depth + 1), configurable: true, enumerable: next(9) > 0, writable: true });
  }
  return object;
}

const ODD = ['', ' ', '{', '[', '"', '{"a"}', '{"a":}', '[1,]', '[,1]', '{,}', '{"a":1,}', '01', '-', '1.', '.5', '1e', '1e+',
  '+1', 'nul', 'nullx', 'tru', '"\\x"', '"\\u12"', '"\\u12g4"', '"\n"', '"\u0000"', '[1 2]', '{"a" 1}', '1 1', '\u00a01',
  '{"a":1,"a":2}', '[{"a":1,"a":2},{"a":3,"a":4}]', '[{"a":1},{"a":2,"b":3},{"b":4},{}]', '[{"a\\\\nb":1},{"a\\nb":2}]',
  '[{"\u00c3\u00a9":1},{"\u00e9":2}]', '[{"x\\"y":1},{"x":2}]', '[{"0":1,"b":2},{"b":1,"0":2}]', '-0', '[-0.0]', '1E5', '12e-3',
  '0.1e1', '123456789012345678901234567890', '1.00000000000000000001', '0.30000000000000004', '9007199254740993',
  '[[[]]]', '[{"a":[{"b":1}]},{"a":[{"b":2},{"c":3}]}]', '{"__proto__":{"x":1}}', '[{"__proto__":1},{"__proto__":2}]',
  '"\\ud83d\\ude00\\ud800"', '"\\/\\b\\f"', '  [ 1 , { "a" : true } ]\r\n\t', '\ufeff1', 'true', 'false', 'null', '"x"', '7',
  '['.repeat(70) + ']'.repeat(70), '{"a":'.repeat(70) + '1' + '}'.repeat(70), '[1e400,-1e400]', '{"a":1}x', '[1]]'];

function outcome(work) {
  try {
    return describe(work());
  } catch (error) {
    return error.name + ': ' + error.message;
  }
}

/** A text that tells more than JSON does: -0, lone surrogates, the order of properties, prototypes. */
function describe(given) {
  if (typeof given === 'number') return Object.is(given, -0) ? '-0' : String(given);
  if (typeof given !== 'object' || given === null) return typeof given + String(given).length + escape(String(given));
  if (Array.isArray(given)) return '[' + given.map(describe) + ']' + given.length;
  const proto = Object.getPrototypeOf(given) === Object.prototype ? '' : '!';
  return proto + '{' + Reflect.ownKeys(given).map((name) => {
    const { value, writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(given, name);
    return escape(name) + [writable, enumerable, configurable].map(Number) + describe(value);
  }) + '}';
}

function read(text) {
  const short = outcome(() => JSON.parse(text));
  const long = outcome(() => JSON.parse(text, (_name, value) => value));
  return short === long ? undefined : { text, short, long };
}

module.exports = (req, res) => {
  const next = generator(req.body.seed);
  for (const text of ODD) {
    const found = read(text);
    if (found) return res.json(found);
  }
  for (let i = 0; i < req.body.count; i++) {
    const made = value(next, 0);
    const short = outcome(() => JSON.stringify(made));
    const text = outcome(() => JSON.stringify(made, undefined, ''));
    if (short !== text) return res.json({ written: true, short, text });
    const written = long(made);
    if (written === undefined) continue;
    const spaced = JSON.stringify(made, undefined, next(3));
    const cut = written.slice(0, next(written.length + 1));
    for (const one of [written, spaced, cut]) {
      const found = read(one);
      if (found) return res.json(found);
    }
  }
  res.json({ agreed: req.body.count });
};
