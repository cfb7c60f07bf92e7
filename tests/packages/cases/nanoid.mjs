import { nanoid, customAlphabet, urlAlphabet, customRandom } from 'nanoid';

export default () => {
  const ids = new Set(Array.from({ length: 100 }, () => nanoid()));
  const fixed = customRandom('abcdef', 6, (size) => new Uint8Array(size).map((_, i) => i * 37));
  return {
    unique: ids.size, fits: [...ids].every((id) => /^[\w-]{21}$/.test(id)),
    short: nanoid(7).length, custom: /^[01]{12}$/.test(customAlphabet('01', 12)()),
    alphabet: urlAlphabet.length, fixed: fixed(),
  };
};
