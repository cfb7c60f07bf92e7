// A little of everything that JavaScript has, so that the guest is not laid out for a few cases alone.
class Shape {
  #name;
  static made = 0;
  constructor(name) { this.#name = name; Shape.made++; }
  get name() { return this.#name; }
  set name(name) { this.#name = name; }
  area() { return 0; }
  toString() { return `${this.#name}: ${this.area().toFixed(2)}`; }
}
class Circle extends Shape {
  constructor(radius) { super('circle'); this.radius = radius; }
  area() { return Math.PI * this.radius ** 2; }
}
class Square extends Shape {
  constructor(side) { super('square'); this.side = side; }
  area() { return this.side * this.side; }
}

function* upTo(end) {
  for (let i = 0; i < end; i++) yield i;
}
async function* slowly(values) {
  for (const value of values) yield await value;
}

const parts = {
  objects(seed) {
    const rows = [];
    for (let i = 0; i < 20; i++) rows.push({ id: i, group: `g${(i * seed) % 4}`, price: i * 1.25 });
    const { id, ...rest } = { ...rows[3], extra: true };
    const groups = {};
    for (const { group, price } of rows) (groups[group] ??= []).push(price);
    for (const key in groups) if (groups[key].length > 9) delete groups[key];
    const copy = structuredClone({ rows: rows.slice(0, 3), at: new Date(0) });
    return Object.entries(groups).map(([key, prices]) => [key, prices.reduce((a, b) => a + b, id)])
      .concat(Object.keys(rest), Object.values(copy.rows[0]), 'extra' in rest, rest instanceof Object);
  },
  arrays(seed) {
    const numbers = Array.from({ length: 40 }, (_, i) => (i * 7919 + seed) % 101);
    const sorted = [...numbers].sort((a, b) => a - b);
    const [first, second = 2, ...others] = sorted;
    others.splice(3, 2, 1, 2, 3);
    others.unshift(first); others.pop(); others.reverse();
    return [numbers.filter((n) => n % 2).map((n) => n * 2).some((n) => n > 190), sorted.indexOf(50),
      sorted.includes(77), others.find((n) => n < second), numbers.flatMap((n) => [n, [n]]).flat().length,
      Math.max(...numbers), numbers.join('-').length, sorted.at(-1), numbers.every(Number.isInteger)];
  },
  strings(seed) {
    const text = 'The quick brown fox jumps over the lazy dog, ünïcödé too 🦊 ';
    const words = text.trim().split(/\s+/).map((word) => word[0].toUpperCase() + word.slice(1));
    let joined = '';
    for (const character of text) joined += character === ' ' ? '_' : character;
    return [words.join(' '), joined.padEnd(70, '.').replace(/o(.)/g, (_, next) => next + seed),
      text.replaceAll('o', '0').lastIndexOf('0'), text.match(/(?<first>\w+) (?<second>\w+)/).groups.second,
      [...text.matchAll(/[aeiou]/gi)].length, text.charCodeAt(5), text.codePointAt(58), text.startsWith('The'),
      text.substring(4, 9).localeCompare('quick'), 'a,b;c'.split(/[,;]/), encodeURIComponent(text), escape('ü'),
      parseInt('42px', 10), parseFloat('3.14'), (255).toString(16), Number('1e3'), text.normalize('NFD').length,
      /^[\w.+-]+@[\w-]+\.[\w.]+$/.test('someone@example.com'), text.repeat(2).search(/dog/), `${[1, 2]}`];
  },
  collections(seed) {
    const map = new Map();
    for (const word of 'a b c a b a'.split(' ')) map.set(word, (map.get(word) ?? 0) + seed);
    const set = new Set([...map.keys(), 'd']);
    set.delete('a');
    const weak = new WeakMap([[map, set]]);
    const symbol = Symbol('mine');
    const keyed = { [symbol]: 1, ['computed' + seed]: 2 };
    return [[...map.entries()], [...set], weak.has(map), keyed[symbol], Reflect.ownKeys(keyed).length,
      Object.fromEntries(map), JSON.stringify({ map: [...map], nested: { list: [1, null, true, 'x'] } }, null, 2)];
  },
  classes() {
    const shapes = [new Circle(1), new Square(2), new Circle(3)];
    shapes[0].name = 'disc';
    const proxy = new Proxy(shapes[1], { get: (target, key) => (key === 'side' ? 5 : Reflect.get(target, key, target)) });
    return [shapes.map(String), Shape.made, proxy.side, shapes[2] instanceof Shape, Object.getPrototypeOf(shapes[1]) === Square.prototype];
  },
  control(seed) {
    const seen = [];
    outer: for (let i = 0; i < 5; i++) {
      for (const j of upTo(4)) {
        if (j === 2) continue outer;
        if (i === 4) break outer;
        switch ((i + j + seed) % 3) {
          case 0: seen.push('none'); break;
          case 1: seen.push(i); // and on
          default: seen.push(j);
        }
      }
    }
    const failures = [() => null.x, () => { throw new RangeError('far'); }, () => missing, () => JSON.parse('{')];
    for (const fail of failures) {
      try { fail(); } catch (error) { seen.push(`${error.name}: ${error.message}`); } finally { seen.push('.'); }
    }
    let left = 10;
    do left -= 3; while (left > 0);
    const add = (a) => (b) => a + b;
    return [seen, left, add(1)(2), typeof add, void 0, seen?.length, seen.missing?.(), arguments.length,
      (() => { var x = 1; { let x = 2; } return x; })()];
  },
  numbers(seed) {
    let bits = seed | 0, sum = 0;
    for (let i = 0; i < 50; i++) {
      bits = ((bits << 1) ^ (bits >>> 3) ^ i) & 0xffff;
      sum += Math.sqrt(bits) * 0.5 - Math.floor(bits / 7) % 5;
    }
    const big = 12345678901234567890n * 3n % 1000007n;
    return [bits, sum.toFixed(3), `${big}`, Math.round(-1.5), ~bits, -bits, Math.trunc(sum), 7 % -3, 2 ** 10,
      Number.MAX_SAFE_INTEGER, isNaN(NaN), Math.hypot(3, 4), (1234.5).toLocaleString(), Math.imul(3, -4), 0.1 + 0.2];
  },
  bytes() {
    const bytes = new Uint8Array(64).map((_, i) => i * 3);
    const view = new DataView(bytes.buffer);
    view.setFloat64(8, Math.E); view.setInt32(16, -5, true);
    const text = Buffer.from('hello, bytes');
    return [text.toString('base64'), Buffer.concat([text, Buffer.from('2121', 'hex')]).toString(), view.getFloat64(8),
      new Float32Array(bytes.buffer, 0, 4)[2], new TextDecoder().decode(new TextEncoder().encode('größe')),
      btoa('abc'), atob('YWJj'), bytes.subarray(2, 5).join(), Buffer.compare(text, text)];
  },
  time() {
    const at = new Date(Date.UTC(2024, 1, 29, 12, 30));
    at.setDate(at.getDate() + 1);
    return [at.toISOString(), at.getTime(), new Date('2024-03-01T00:00:00Z').getDay(), JSON.stringify({ at })];
  },
  web(seed, req) {
    const url = new URL(`https://user@example.com:8080/a/../b?x=1&y=${seed}#part`);
    url.searchParams.append('z', 'ä');
    const crypto = require('crypto');
    const zlib = require('zlib');
    const packed = zlib.gzipSync('again and again, '.repeat(40));
    const events = new (require('events'))();
    let heard = 0;
    events.once('said', (times) => { heard += times; });
    events.emit('said', 2);
    console.log('a %s of %d', 'line', 2, { nested: [1, { deep: new Map([[1, 'x']]) }], failed: new Error('no') });
    const headers = new Headers({ 'content-type': 'text/plain' });
    headers.append('x-list', '1'); headers.append('x-list', '2');
    return [heard, zlib.gunzipSync(packed).toString().length, require('util').inspect({ url: [1n, /x/g] }), url.href, [...url.searchParams], crypto.createHash('sha256').update('x').digest('hex'),
      crypto.createHmac('sha256', 'key').update('y').digest('base64'), crypto.randomUUID().length,
      headers.get('x-list'), req.get('host'), req.query.name, require('path').join('/a', '..', 'b'),
      require('querystring').stringify({ a: [1, 2] })];
  },
};

async function promises() {
  const seen = [];
  for await (const value of slowly([1, Promise.resolve(2)])) seen.push(value);
  const settled = await Promise.allSettled([Promise.reject(new Error('no')), 1]);
  const raced = await Promise.race([new Promise((resolve) => setTimeout(resolve, 0, 'timer')), Promise.any([3])]);
  queueMicrotask(() => seen.push('micro'));
  await null;
  return [seen, settled.map(({ status }) => status), raced, await Promise.all([1, parts.numbers(2)])];
}

module.exports = async (req, res) => {
  const results = {};
  for (const [name, part] of Object.entries(parts)) results[name] = part(Shape.made + 3, req);
  results.promises = await promises();
  results.order = req.body;
  if (req.query.name !== 'you') return res.status(404).send('who?');
  res.set('cache-control', 'no-store').cookie('seen', '1', { httpOnly: true }).status(201).json(results);
};
