// Made-up patterns and texts. With the flag `u`, in a text that has a character beyond Latin-1, QuickJS
// goes its own way, step by step; without, and in other texts, it goes the short ones.

let state;
const random = (below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
const pick = (list) => list[random(list.length)];

const ATOMS = [
  'a', 'b', 'c', 'é', 'ÿ', 'A', '1', '-', '\\n', '.', '\\w', '\\W', '\\d', '\\D', '\\s', '\\S', '[ab]', '[^a]',
  '[a-c1-3]', '[^\\w\\n]', '[\\s\\S]', '[é-ÿ]', '[A-Z]', 'ab', 'ba', '(?:a|b)', '(a)', '([ab]+)', '(\\w*)', '(?=a)',
  '(?!b)', '(?<=a)', '(?<!b)', '\\b', '\\B', '$',
];
const QUANTIFIERS = ['', '', '', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{1,3}', '{0,2}?', '{2,}'];
const ASSERTION = /^(?:\(\?[=!<]|\\b|\\B|\$)/;
const CHARACTERS = ['a', 'b', 'c', 'A', 'B', '1', '2', '-', ' ', '\n', 'é', 'ÿ', 'aa', 'ab', 'abc'];

function pattern() {
  let text = '';
  for (let left = 1 + random(4); left > 0; left--) {
    const atom = pick(ATOMS);
    const quantifier = ASSERTION.test(atom) ? '' : pick(QUANTIFIERS);
    const grouped = atom === 'ab' || atom === 'ba' ? `(?:${atom})` : atom;
    text += (quantifier === '' ? atom : grouped) + quantifier;
  }
  return random(5) === 0 ? `${text}|${pick(ATOMS)}` : text;
}

function text() {
  let text = '';
  for (let left = random(20); left > 0; left--) text += pick(CHARACTERS);
  return text;
}

/** All matches from `start` on, with what is in their groups, as places in `text` beyond `start`. */
function found(source, flags, text, start) {
  const pattern = new RegExp(source, flags);
  pattern.lastIndex = start;
  const all = [];
  for (let match; (match = pattern.exec(text)) !== null && all.length < 30; ) {
    all.push([match.index - start, ...match]);
    if (match[0] === '') pattern.lastIndex++;
  }
  return JSON.stringify(all);
}

module.exports = (req, res) => {
  state = req.body.seed;
  let agreed = 0;
  for (; agreed < req.body.count; agreed++) {
    const source = pattern();
    const flags = pick(['gm', 'gm', 'gmi', 'gms']);
    const narrow = text();
    // What comes first ends with the end of a line, as the text's beginning is one.
    const wide = `日\n${narrow}`;
    const own = found(source, `${flags}u`, wide, 2);
    const ways = [found(source, flags, narrow, 0), found(source, flags, wide, 2)];
    if (ways.some((way) => way !== own)) {
      res.json({ agreed, source, flags, narrow, own, ways });
      return;
    }
    const bound = (text) => new RegExp(`^${source}`).exec(text)?.[0];
    if (bound(narrow) !== new RegExp(`^(?:${source}|(?!))`).exec(narrow)?.[0] && !source.includes('|')) {
      res.json({ agreed, source, narrow, bound: bound(narrow) });
      return;
    }
  }
  res.json({ agreed });
};
