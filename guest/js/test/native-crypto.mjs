// The native operations of `crypto` (the crate in guest/crypto), for tests, made of Node's own.
// The crate itself is held against Node by tests/it/crypto.rs.

import crypto from 'node:crypto';

const number = (bytes) => BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);

function bytesOf(value, length) {
  const digits = value.toString(16);
  return Buffer.from(digits.padStart(2 * (length ?? Math.ceil(digits.length / 2)), '0'), 'hex');
}

const modulo = (value, by) => ((value % by) + by) % by;

function power(base, exponent, modulus) {
  let result = 1n;
  for (let b = base % modulus, e = exponent; e > 0n; e >>= 1n, b = (b * b) % modulus) {
    if (e & 1n) result = (result * b) % modulus;
  }
  return result;
}

class Failure extends Error {}
const fail = (why) => {
  throw new Failure(why);
};
/** Runs Node's own; whatever it throws has one meaning. */
const or = (why, work) => {
  try {
    return work();
  } catch {
    return fail(why);
  }
};

// Curves: Node cannot sign or check a digest as such, so that is calculated here.

const CURVES = {
  'P-256': {
    node: 'prime256v1',
    bytes: 32,
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  'P-384': {
    node: 'secp384r1',
    bytes: 48,
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    n: BigInt(`0x${'f'.repeat(48)}c7634d81f4372ddf581a0db248b0a77aecec196accc52973`),
  },
  'P-521': {
    node: 'secp521r1',
    bytes: 66,
    p: 2n ** 521n - 1n,
    n: BigInt(
      `0x01${'f'.repeat(65)}a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409`,
    ),
  },
};

const curveOf = (name) => CURVES[name] ?? fail('unknown');

function convert(curve, bytes, form) {
  return or('key', () => crypto.ECDH.convertKey(bytes, curve.node, undefined, undefined, form));
}

function toPair(curve, point) {
  const whole = convert(curve, point, 'uncompressed');
  return [number(whole.subarray(1, 1 + curve.bytes)), number(whole.subarray(1 + curve.bytes))];
}

/** The sum of two points, neither of which is the other's opposite. */
function add({ p }, one, two) {
  if (one === undefined || two === undefined) return one ?? two;
  const [x1, y1] = one;
  const [x2, y2] = two;
  const isDouble = x1 === x2;
  const top = isDouble ? 3n * x1 * x1 - 3n : y2 - y1;
  const bottom = modulo(isDouble ? 2n * y1 : x2 - x1, p);
  const slope = modulo(top, p) * power(bottom, p - 2n, p);
  const x = modulo(slope * slope - x1 - x2, p);
  return [x, modulo(slope * (x1 - x) - y1, p)];
}

function times(curve, point, factor) {
  let sum;
  for (let bit = point, left = factor; left > 0n; left >>= 1n, bit = add(curve, bit, bit)) {
    if (left & 1n) sum = add(curve, sum, bit);
  }
  return sum;
}

const generator = (curve) => toPair(curve, operations.ecPublic(curve, bytesOf(1n, curve.bytes)));
const fit = (curve, digest) => number(digest.subarray(0, curve.bytes));

const PKCS8 = { ed: '302e020100300506032b657004220420', x: '302e020100300506032b656e04220420' };
const SPKI = { ed: '302a300506032b6570032100', x: '302a300506032b656e032100' };
const der = (head, bytes) => Buffer.concat([Buffer.from(head, 'hex'), bytes]);
const privateOf = (kind, d) =>
  or('key', () =>
    crypto.createPrivateKey({ key: der(PKCS8[kind], d), format: 'der', type: 'pkcs8' }),
  );
const publicOf = (kind, point) =>
  or('key', () =>
    crypto.createPublicKey({ key: der(SPKI[kind], point), format: 'der', type: 'spki' }),
  );
const pointOf = (key) =>
  crypto.createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(12);

// Work that goes on over several calls.

const states = [];
const keep = (state) => `${states.push(state) - 1}`;

function newCipher(mode, key, iv, isEncrypting, isPadded) {
  const name = mode === 'chacha20-poly1305' ? mode : `aes-${key.length * 8}-${mode}`;
  const make = isEncrypting ? crypto.createCipheriv : crypto.createDecipheriv;
  const options = mode === 'chacha20-poly1305' ? { authTagLength: 16 } : undefined;
  const cipher = or('length', () => make(name, key, mode === 'ecb' ? null : iv, options));
  const hasTag = mode === 'gcm' || mode === 'chacha20-poly1305';
  if (!isPadded) cipher.setAutoPadding(false);
  const needsBlocks = /cbc|ecb/.test(mode) && !(isEncrypting && isPadded);
  return { cipher, hasTag, isEncrypting, isPadded, needsBlocks, length: 0 };
}

function finishCipher({ cipher, hasTag, isEncrypting, isPadded, needsBlocks, length }, tag) {
  if (needsBlocks && (length % 16 !== 0 || (isPadded && length === 0))) fail('length');
  if (hasTag && !isEncrypting) or('authentic', () => cipher.setAuthTag(tag));
  const last = or('authentic', () => cipher.final());
  return hasTag && isEncrypting ? cipher.getAuthTag() : last;
}

function wrap(make, key, data) {
  if (data.length % 8 !== 0) fail('length');
  return or('authentic', () => {
    const cipher = make(`id-aes${key.length * 8}-wrap`, key, Buffer.alloc(8, 0xa6));
    return Buffer.concat([cipher.update(data), cipher.final()]);
  });
}

function rsaPrivate(n, e, d, p, q, dp, dq, qi, data) {
  const [N, c, P, Q] = [n, data, p, q].map(number);
  if (c >= N) fail('length');
  const one = power(c, number(dp), P);
  const two = power(c, number(dq), Q);
  const result = two + Q * modulo((one - two) * number(qi), P);
  if (power(result, number(e), N) !== c) fail('key');
  return bytesOf(result, n.length);
}

function rsaGenerate(bits, exponent) {
  const { privateKey } = crypto.generateKeyPairSync('rsa', {
    modulusLength: Number(bits),
    publicExponent: Number(number(exponent)),
  });
  const jwk = privateKey.export({ format: 'jwk' });
  const parts = ['n', 'd', 'p', 'q', 'dp', 'dq', 'qi'].map((name) =>
    Buffer.from(jwk[name], 'base64url'),
  );
  return Buffer.concat(parts.flatMap((part) => [bytesOf(BigInt(part.length), 2), part]));
}

/** Arguments are Buffers; a curve is looked up before. Answers are bytes, text or booleans. */
const operations = {
  hash: (name, data) => crypto.createHash(`${name}`).update(data).digest(),
  hmac: (name, key, data) => crypto.createHmac(`${name}`, key).update(data).digest(),
  hashBegin: (name, key) => keep({ name: `${name}`, key, chunks: [] }),
  hashUpdate(state, data) {
    states[state].chunks.push(Buffer.from(data));
    return '';
  },
  hashCopy: (state) => keep({ ...states[state], chunks: [...states[state].chunks] }),
  hashFinish(state) {
    const { name, key, chunks } = states[state];
    const hash = key === undefined ? crypto.createHash(name) : crypto.createHmac(name, key);
    return hash.update(Buffer.concat(chunks)).digest();
  },
  pbkdf2: (name, password, salt, rounds, length) =>
    crypto.pbkdf2Sync(password, salt, Number(rounds), Number(length), `${name}`),
  scrypt(password, salt, log, r, p, length) {
    const options = { N: 2 ** Number(log), r: Number(r), p: Number(p), maxmem: 2 ** 30 };
    return crypto.scryptSync(password, salt, Number(length), options);
  },
  hkdf: (name, key, salt, info, length) =>
    or('length', () => Buffer.from(crypto.hkdfSync(`${name}`, key, salt, info, Number(length)))),
  cipherBegin: (mode, key, iv, isEncrypting, isPadded) =>
    keep(newCipher(`${mode}`, key, iv, `${isEncrypting}` === '1', `${isPadded}` === '1')),
  cipherAad(state, data) {
    or('argument', () => states[state].cipher.setAAD(data));
    return '';
  },
  cipherUpdate(state, data) {
    states[state].length += data.length;
    return states[state].cipher.update(data);
  },
  cipherFinish: (state, tag) => finishCipher(states[state], tag),
  keyWrap: (key, data) => wrap(crypto.createCipheriv, key, data),
  keyUnwrap: (key, data) => wrap(crypto.createDecipheriv, key, data),
  ecPublic(curve, d) {
    const ecdh = crypto.createECDH(curve.node);
    or('key', () => ecdh.setPrivateKey(d));
    return ecdh.getPublicKey();
  },
  ecConvert: (curve, point, isCompressed) =>
    convert(curve, point, `${isCompressed}` === '1' ? 'compressed' : 'uncompressed'),
  ecSign(curve, d, digest) {
    const { n, bytes } = curve;
    const k = (number(crypto.randomBytes(bytes)) % (n - 1n)) + 1n;
    const r = times(curve, generator(curve), k)[0] % n;
    const s = (power(k, n - 2n, n) * (fit(curve, digest) + r * number(d))) % n;
    return Buffer.concat([bytesOf(r, bytes), bytesOf(s, bytes)]);
  },
  ecVerify(curve, point, digest, signature) {
    const { n, bytes } = curve;
    const [r, s] = [number(signature.subarray(0, bytes)), number(signature.subarray(bytes))];
    if (r === 0n || s === 0n || r >= n || s >= n) return false;
    const inverse = power(s, n - 2n, n);
    const one = times(curve, generator(curve), (fit(curve, digest) * inverse) % n);
    const sum = add(curve, one, times(curve, toPair(curve, point), (r * inverse) % n));
    return sum[0] % n === r;
  },
  ecAgree(curve, d, point) {
    const ecdh = crypto.createECDH(curve.node);
    ecdh.setPrivateKey(d);
    return or('key', () => ecdh.computeSecret(point));
  },
  edPublic: (d) => pointOf(privateOf('ed', d)),
  edSign: (d, data) => crypto.sign(null, data, privateOf('ed', d)),
  edVerify: (point, data, signature) => crypto.verify(null, data, publicOf('ed', point), signature),
  xPublic: (d) => pointOf(privateOf('x', d)),
  xAgree: (d, point) =>
    or('key', () =>
      crypto.diffieHellman({ privateKey: privateOf('x', d), publicKey: publicOf('x', point) }),
    ),
  rsaPublic(n, e, data) {
    if (number(data) >= number(n)) fail('length');
    return bytesOf(power(number(data), number(e), number(n)), n.length);
  },
  rsaPrivate,
  rsaGenerate,
  primeMake: (bits, safe) =>
    Buffer.from(crypto.generatePrimeSync(Number(bits), { safe: `${safe}` === '1' })),
  primeCheck: (candidate) => crypto.checkPrimeSync(candidate),
};

function onNode(operation, given) {
  const args = given.map((one) => Buffer.from(one));
  if (/^ec[A-Z]/.test(operation)) args[0] = curveOf(`${args[0]}`);
  try {
    const answer = operations[operation](...args);
    if (typeof answer === 'boolean') return Buffer.from([answer ? 1 : 0]);
    return Buffer.from(answer);
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
}

/** Carries out an operation: bytes, or a word. As strict with its arguments as the guest is. */
export function operate(operation, given) {
  for (const one of given) {
    const isView = ArrayBuffer.isView(one) && one.BYTES_PER_ELEMENT === 1;
    if (typeof one !== 'string' && !isView) throw new TypeError('not a string or a Uint8Array');
  }
  return onNode(operation, given);
}
