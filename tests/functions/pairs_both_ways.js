// Operations that look at the one behind them (ADR 0029): jumps behind comparisons, properties behind
// variables, `this` that is kept, keys that are settled. Run in a sandbox and in a QuickJS without that.

const object = { plain: 1 };
const VALUES = [0, -0, 1, -1, 2147483647, -2147483648, 2147483648, 0.5, NaN, Infinity, '', '1', 'a', true, false, null,
  undefined, object, [], [1], 1n, Symbol.iterator, { valueOf: () => 1 }, { valueOf() { throw new Error('no value'); } }];
const COMPARISONS = ['<', '<=', '>', '>=', '==', '!=', '===', '!=='];
// What stands behind a comparison: most of it a jump, some of it not.
const USES = ['a OP b', 'a OP b ? 1 : 2', '!(a OP b) ? 1 : 2', '(a OP b && 7) || 8', '(a OP b || 7) && 8',
  '[a OP b].length && (a OP b) + 1', '!!(a OP b)', 'typeof (a OP b)'];
const LOOPS = ['let n = 0; while (a OP b) { if (n++ === 3) break; } return n;',
  'let n = 0; do { n++; } while (a OP b && n < 4); return n;',
  'for (var i = 0, n = 0; a OP b && i !== 5; i++) n += 2; return n;',
  'if (a OP b) { return "yes"; } else { return "no"; }', 'if (!(a OP b)) return "no"; return "yes";'];
const TESTS = ['a === null', 'a === undefined', 'a == null', 'a != null', 'a == undefined', 'a != undefined', 'null == a',
  '(a == null) + 1', '((undefined) => a == undefined)(1)', '!(a != null) && a == void 0', 'typeof a === "undefined"',
  'typeof a === "function"', '!a', '!!a', 'a ?? 5', 'a?.plain', 'a instanceof Object'];

const told = (value) => {
  if (Array.isArray(value)) return `[${Array.from(value, told).join()}]`;
  return `${typeof value} ${Object.is(value, -0) ? '-0' : typeof value === 'object' ? JSON.stringify(value) : String(value)}`;
};
const tried = (work) => {
  try {
    return told(work());
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};

const thing = Object.create({ inherited: 2, get got() { return this.own + 10; } }, {
  own: { value: 1, writable: true }, accessor: { get() { return this === thing; } },
});
thing.inner = { of: { of: 3 }, list: [4, 5] };
const seen = [];
const proxy = new Proxy({ own: 6 }, { get: (target, name) => (seen.push(String(name)), target[name]) });
const HOLDERS = [thing, proxy, [1, 2], 'text', 5, 5n, true, null, undefined, () => 1, new Uint8Array(2), Symbol.iterator,
  Object.assign(Object.create(null), { own: 7 }), new Proxy({}, { get() { throw new Error('refused'); } })];
const NAMES = ['own', 'inherited', 'got', 'accessor', 'missing', 'length', 'inner.of.of', 'inner.list.length', 'missing.of'];
// Variables of all kinds, each with what holds the property.
const KINDS = ['return h.NAME;', 'var x = h; return x.NAME;', 'const x = h; return x.NAME;', 'let x; x = h; return x.NAME;',
  'var a, b, c, d, e, x = h; return x.NAME;', 'const x = h; return (() => x.NAME)();', 'let p = 1, x = h; return (() => p && x.NAME)();',
  'return ((a, b, c, d, x) => x.NAME)(1, 2, 3, 4, h);', 'return ((a, x) => x.NAME)(1, h);',
  'var y = {}, x = h; return (x === y ? y : x).NAME;', 'var x = h; for (var i = 0, r; i < 2; i++) r = x.NAME; return r;',
  'return (() => x.NAME)(); const x = h;', 'try { x.NAME; } catch (error) { return error.message; } const x = h;',
  'return (function () { return this.NAME; }).call(h);', 'return (function () { "use strict"; return this.NAME; }).call(h);',
  'const { own } = h; return own;', 'var x = h; return x.NAME === x.NAME ? x.NAME : 0;', 'var x = h; return [x.NAME, x.NAME, x];'];
const KEYS = [0, 1, 5, '1', 'x', 1.5, -1, Symbol.iterator, null, undefined, true, { toString: () => (seen.push('key'), 'k') }];
const STORES = ['t[k] = v; return t;', 'return [(t[k] = v), t];', 't[k] += v; return t;', 'return [t[k]++, t];',
  't[k] = t[k] = v; return t;', 't[(seen.push("k"), k)] = (seen.push("v"), v); return t;'];

/** What each case makes, by its name. */
function outcomes() {
  const made = {};
  const each = (name, parameters, source, lists) => {
    const all = [];
    let f;
    try { f = new Function('seen', ...parameters, source); } catch (error) { made[name] = String(error); return; }
    const call = (values, rest) => {
      if (rest.length === 0) all.push(tried(() => f(seen, ...values.map((value) => (value === KEYS ? [1, 2, 3] : value)))));
      else for (const value of rest[0]) call([...values, value], rest.slice(1));
    };
    seen.length = 0;
    call([], lists);
    made[name] = [...all, `seen ${seen.join()}`].join('; ');
  };
  for (const op of COMPARISONS) {
    for (const use of USES) each(use.replaceAll('OP', op), ['a', 'b'], `return ${use.replaceAll('OP', op)};`, [VALUES, VALUES]);
    for (const loop of LOOPS) each(loop.replaceAll('OP', op), ['a', 'b'], loop.replaceAll('OP', op), [VALUES, VALUES]);
  }
  for (const test of TESTS) {
    each(test, ['a'], `return ${test};`, [VALUES]);
    each(`if ${test}`, ['a'], `if (${test}) return 1; return 2;`, [VALUES]);
  }
  for (const kind of KINDS) {
    for (const name of NAMES) each(`${kind} ${name}`, ['h'], kind.replaceAll('NAME', name), [HOLDERS]);
  }
  // `KEYS` stands for an array that is new for each case.
  for (const store of STORES) each(store, ['t', 'k', 'v'], store, [[KEYS, {}, null, undefined, 7, 'text'], KEYS, [9]]);
  return JSON.stringify(made);
}

module.exports = (req, res) => res.type('json').send(outcomes());
