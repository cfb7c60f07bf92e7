// Programs made of a seed, of what a program's time is spent in: variables of all kinds, numbers at
// the edges of integers, fields, elements. Run in a sandbox and in a QuickJS that has nothing of ours.

/** A source of numbers below another one; the same ones for a seed. */
function chance(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) % below;
  };
}

const NUMBERS = ['0', '-0', '1', '-1', '2', '7', '31', '32', '255', '256', '65535', '2147483647', '-2147483648',
  '2147483648', '4294967295', '9007199254740991', '0.5', '-1.5', '1e300', 'NaN', 'Infinity'];
const LOCALS = ['a', 'b', 'c', 'd', 'e', 'f'];
const PLACES = [...LOCALS, 'p', 'q', 'outer', 'later', 'o.n', 'o.m', 'o.next.n', 'made.n', 'xs[0]', 'xs[3]', 'ints[1]',
  'words[2]', 'bytes[3]', 'floats[0]', 'frozen.n', 'list[1]', 'globalThis.shared'];
const THINGS = ['o', 'o.next', 'xs', 'made', 'null', 'undefined', 's', 'held'];
const BINARY = ['+', '-', '*', '/', '%', '&', '|', '^', '<<', '>>', '>>>'];
const COMPARE = ['<', '<=', '>', '>=', '==', '!=', '===', '!=='];
const ASSIGN = ['=', '=', '=', '+=', '-=', '*=', '&=', '|=', '>>=', '>>>='];

/** The source of a program. */
function program(seed) {
  const at = chance(seed);
  const of = (list) => list[at(list.length)];
  let loops = 0;

  const number = (depth) => {
    switch (at(depth > 0 ? 14 : 3)) {
      case 0: return of(NUMBERS);
      case 1: case 2: return of(PLACES);
      case 3: case 4: case 5: case 6: return `(${number(depth - 1)} ${of(BINARY)} ${number(depth - 1)})`;
      case 7: return `${of(['-', '+', '~'])}(${number(depth - 1)})`;
      case 8: return `(${truth(depth - 1)} ? ${number(depth - 1)} : ${number(depth - 1)})`;
      case 9: return `${of(['xs', 'ints', 'floats', 'bytes', 'words'])}[${number(depth - 1)} & 7]`;
      case 10: return of(['s.length', 'xs.length', 'ints.length', 's.charCodeAt(1)', 'o.method(3)', 'o.got', 'deep(3)']);
      case 11: return `(${of(PLACES)}${of(['++', '--'])})`;
      case 12: return `(${of(['++', '--'])}${of(PLACES)})`;
      default: return `(${of(PLACES)} ${of(ASSIGN)} ${number(depth - 1)})`;
    }
  };
  const truth = (depth) => {
    switch (at(depth > 0 ? 6 : 2)) {
      case 0: return `${number(depth - 1)} ${of(COMPARE)} ${number(depth - 1)}`;
      case 1: return `${of(THINGS)} ${of(COMPARE.slice(4))} ${of(THINGS)}`;
      case 2: return `!(${truth(depth - 1)})`;
      case 3: return `(${truth(depth - 1)} ${of(['&&', '||'])} ${truth(depth - 1)})`;
      case 4: return `typeof ${of([...PLACES, ...THINGS])} === '${of(['number', 'object', 'undefined'])}'`;
      default: return `!!${of([...PLACES, ...THINGS])}`;
    }
  };
  const statement = (depth) => {
    switch (at(depth > 0 ? 14 : 7)) {
      case 0: case 1: return `${of(PLACES)} ${of(ASSIGN)} ${number(2)};`;
      case 2: return `${of(['xs', 'ints', 'floats', 'bytes', 'words', 'list'])}[${number(1)} & 7] = ${number(2)};`;
      case 3: return `held = ${of(['{ n: a }', 'o', 'held && held.again', '[a, b]', 'made', 'null', '{ again: held }'])};`;
      case 4: return `o.${of(['next', 'other', 'self'])} = ${of(['{ n: b }', 'o', '{ n: 1, next: o.next }', 'made', '{}'])};`;
      case 5: return `s = ('' + ${number(1)}).slice(0, 9);`;
      case 6: return `xs.${of(['push(a)', 'pop()', 'length = Math.min(xs.length, 2)', 'unshift(b)', 'sort()'])};`;
      case 7: case 8: {
        const name = `i${loops++}`;
        const kind = of(['let', 'var']);
        return `for (${kind} ${name} = 0; ${name} < ${2 + at(4)}; ${name}++) { ${block(depth - 1)} }`;
      }
      case 9: return `if (${truth(2)}) { ${block(depth - 1)} } else { ${block(depth - 1)} }`;
      case 10: return `try { ${block(depth - 1)} } catch (error) { d = error.name.length; } finally { e = 1; }`;
      case 11: return `{ const kept = ${number(1)}; later = () => kept; later = later(); ${block(depth - 1)} }`;
      case 12: return `for (const x of ${of(['xs', 'ints', 'list'])}) { a = x; if (${truth(1)}) break; }`;
      default: return `(function (x) { ${block(depth - 1)} outer = x + 1; })(${number(1)});`;
    }
  };
  const block = (depth) => {
    let text = '';
    for (let count = 1 + at(3); count > 0; count--) text += `${statement(depth)} `;
    return text;
  };

  let body = '';
  for (let count = 8; count > 0; count--) body += `attempt(() => { ${statement(3)} });\n`;
  return `${seed % 2 ? "'use strict';" : ''}
    let outer = 1, later = 2, s = 'text', held = null, failed = '';
    globalThis.shared = 3;
    const frozen = Object.freeze({ n: 4 });
    const o = { n: 1, m: 2.5, next: { n: 3 }, method(x) { return this.n + x; }, get got() { return 6; } };
    const made = Object.create(o);
    const xs = [1, 2.5, 3, 4, -5];
    const list = [1, , 3];
    const ints = new Int32Array([1, -2, 3, 4]), floats = new Float64Array([0.5, -0, NaN]);
    const bytes = new Uint8Array([1, 2, 3, 255]), words = new Uint32Array([1, 2, 4294967295]);
    const deep = (n) => (n ? deep(n - 1) + n : outer);
    const attempt = (work) => { try { work(); } catch (error) { failed += error.name; } };
    function main(p, q) {
      let a = 1, b = -2, c = 0.5, d, e = 2147483647, f = 0;
      ${body}
      return [a, b, c, d, e, f, p, q, arguments.length];
    }
    return [main(7), main(1.5, -0), outer, later, s, failed, o.n, o.m, made.n, globalThis.shared, xs, list,
      Array.from(ints), Array.from(floats), Array.from(bytes), Array.from(words), typeof held];`;
}

const told = (value) => {
  if (Array.isArray(value)) return `[${Array.from(value, told).join()}]`;
  return Object.is(value, -0) ? '-0' : `${typeof value === 'string' ? JSON.stringify(value) : String(value)}`;
};

/** What the program of a seed makes, or that it cannot be run. */
function outcome(seed) {
  try {
    return told(new Function(program(seed))());
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

module.exports = (req, res) => {
  const { from, count } = req.body;
  res.json(Array.from({ length: count }, (_, i) => outcome(from + i)));
};
