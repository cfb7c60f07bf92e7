// Queries made of a seed, read the short way and the long one, which a separator of one's own asks for.

const { parse } = require('node:querystring');

const PARTS = ['a', 'b', 'key', '=', '=', '&', '&', '&&', '1', '0', '-1', '4294967295', '%20', '%', '+', 'é', '漢', '__proto__', 'constructor', ';', '#', ' '];

module.exports = (req, res) => {
  const { seed, count } = req.body;
  let state = seed >>> 0;
  const at = (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) % below;
  };
  const told = (table) => [Object.getPrototypeOf(table), Reflect.ownKeys(table).map((key) => [key, table[key]])];
  const different = [];
  for (let i = 0; i < count; i++) {
    const text = Array.from({ length: at(14) }, () => PARTS[at(i % 2 === 0 ? 12 : PARTS.length)]).join('');
    const short = JSON.stringify(told(parse(text)));
    const long = JSON.stringify(told(parse(text, '&')));
    if (short !== long) different.push([text, short, long]);
  }
  const many = Array.from({ length: 1200 }, (_, i) => `k${i}=${i}`).join('&');
  res.json({ different, many: Object.keys(parse(many)).length });
};
