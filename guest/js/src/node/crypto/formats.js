// Keys between their formats (PKCS 1, PKCS 8, SPKI, SEC 1, X.509, JWK) and plain parts:
//
//   rsa      { type, n, e } and of a private key { d, p, q, dp, dq, qi }
//   ec       { type, curve, point } and { d }
//   ed25519, x25519   { type, point } and { d }
//
// Parts are big-endian bytes; `point` is uncompressed. A public key has no `d`.

import { codedError, typeError } from '../../errors.js';
import { Buffer } from '../../buffer.js';
import {
  attempt,
  checkString,
  join,
  opensslError,
  operate,
  random,
  same,
  wrongValue,
} from './common.js';
import { crypt } from './cipher.js';
import {
  INTEGER,
  Malformed,
  OCTET_STRING,
  Reader,
  SEQUENCE,
  bits,
  context,
  element,
  integer,
  nothing,
  octets,
  oid,
  padTo,
  pemBlocks,
  sequence,
  smallInteger,
  toPem,
  trim,
} from './der.js';

/** Curves by their names in JWK. */
export const CURVES = {
  __proto__: null,
  'P-256': { bytes: 32, bits: 256, opensslName: 'prime256v1' },
  'P-384': { bytes: 48, bits: 384, opensslName: 'secp384r1' },
  'P-521': { bytes: 66, bits: 521, opensslName: 'secp521r1' },
};

const CURVE_NAMES = {
  __proto__: null,
  prime256v1: 'P-256',
  secp256r1: 'P-256',
  'P-256': 'P-256',
  secp384r1: 'P-384',
  'P-384': 'P-384',
  secp521r1: 'P-521',
  'P-521': 'P-521',
};

/** A curve by any of its names; undefined if it is not there. */
export function curveName(name) {
  return CURVE_NAMES[name];
}

/** Names that `getCurves` answers. */
export const CURVE_LIST = ['prime256v1', 'secp384r1', 'secp521r1'];

/** The private parts of an RSA key, in the order that PKCS 1 has. */
export const RSA_PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi'];

/** The public half of a key. */
export function publicParts(parts) {
  const { type, n, e, curve, point } = parts;
  if (n !== undefined) return { type, n, e };
  return curve === undefined ? { type, point } : { type, curve, point };
}

/** A key on a curve, of a private number. */
export function ecPrivate(curve, number) {
  const d = padTo(number, CURVES[curve].bytes);
  if (d === undefined) throw new Malformed();
  const point = attempt('ecPublic', curve, d);
  if (typeof point === 'string') throw new Malformed();
  return { type: 'ec', curve, point, d };
}

/** A key on a curve, of a point in whatever form. */
export function ecPublic(curve, bytes) {
  const point = attempt('ecConvert', curve, bytes, '0');
  if (typeof point === 'string') throw new Malformed();
  return { type: 'ec', curve, point };
}

/** An Ed25519 or X25519 key, of its 32 private bytes. */
export function edPrivate(type, d) {
  if (d.length !== 32) throw new Malformed();
  const point = operate(type === 'ed25519' ? 'edPublic' : 'xPublic', d);
  return { type, point, d };
}

function edPublic(type, point) {
  if (point.length !== 32) throw new Malformed();
  return { type, point };
}

// Reading DER.

function rsaPrivate(bytes) {
  const reader = new Reader(bytes).enter();
  if (reader.small() !== 0) throw new Malformed();
  const parts = { type: 'rsa', n: reader.integer(), e: reader.integer() };
  for (const name of RSA_PRIVATE) parts[name] = reader.integer();
  return parts;
}

function rsaPublic(bytes) {
  const reader = new Reader(bytes).enter();
  return { type: 'rsa', n: reader.integer(), e: reader.integer() };
}

function sec1Private(bytes, curve) {
  const reader = new Reader(bytes).enter();
  if (reader.small() !== 1) throw new Malformed();
  const d = reader.read(OCTET_STRING);
  const parameters = reader.maybe(context(0));
  const name = curve ?? (parameters === undefined ? undefined : new Reader(parameters).oid());
  return ecPrivate(known(name), d);
}

function known(curve) {
  if (CURVES[curve] === undefined) throw new Malformed();
  return curve;
}

function algorithm(reader) {
  const inside = reader.enter();
  const type = inside.oid();
  return { type, curve: type === 'ec' ? known(inside.oid()) : undefined };
}

/** A private key in PKCS 8. */
export function fromPkcs8(bytes) {
  const reader = new Reader(bytes).enter();
  reader.read(INTEGER);
  const { type, curve } = algorithm(reader);
  const key = reader.read(OCTET_STRING);
  if (type === 'rsa' || type === 'rsa-pss') return { ...rsaPrivate(key), type };
  if (type === 'ec') return sec1Private(key, curve);
  if (type === 'ed25519' || type === 'x25519') {
    return edPrivate(type, new Reader(key).read(OCTET_STRING));
  }
  throw new Malformed();
}

/** A public key in SPKI. */
export function fromSpki(bytes) {
  const reader = new Reader(bytes).enter();
  const { type, curve } = algorithm(reader);
  const key = reader.bits();
  if (type === 'rsa' || type === 'rsa-pss') return { ...rsaPublic(key), type };
  if (type === 'ec') return ecPublic(curve, key);
  if (type === 'ed25519' || type === 'x25519') return edPublic(type, key);
  throw new Malformed();
}

/** The public key of an X.509 certificate. */
function fromCertificate(bytes) {
  const reader = new Reader(bytes).enter().enter();
  reader.maybe(context(0));
  // Serial number, algorithm, issuer, validity, subject.
  for (let i = 0; i < 5; i++) reader.skip();
  return fromSpki(element(SEQUENCE, reader.read(SEQUENCE)));
}

// Encrypted private keys.

function wrongPassphrase() {
  return opensslError('1C800064', 'Provider routines', 'bad decrypt');
}

function needPassphrase(passphrase) {
  if (passphrase !== undefined) return;
  throw opensslError('07880109', 'common libcrypto routines', 'interrupted or cancelled');
}

const KEY_LENGTHS = { __proto__: null, 'aes-128-cbc': 16, 'aes-192-cbc': 24, 'aes-256-cbc': 32 };

function passphraseKey(reader, passphrase, length) {
  const kind = reader.oid();
  const inside = reader.enter();
  const salt = inside.read(OCTET_STRING);
  if (kind === 'scrypt') {
    const [N, r, p] = [inside.small(), inside.small(), inside.small()];
    return operate('scrypt', passphrase, salt, `${Math.log2(N)}`, `${r}`, `${p}`, `${length}`);
  }
  if (kind !== 'pbkdf2') throw new Malformed();
  const rounds = inside.small();
  inside.maybe(INTEGER);
  const prf = inside.isDone ? 'hmac-sha1' : inside.enter().oid();
  if (!prf.startsWith('hmac-')) throw new Malformed();
  return operate('pbkdf2', prf.slice(5), passphrase, salt, `${rounds}`, `${length}`);
}

/** The PKCS 8 key inside an encrypted one (PBES2, RFC 8018). */
function decryptPkcs8(bytes, passphrase) {
  const reader = new Reader(bytes).enter();
  const scheme = reader.enter();
  if (scheme.oid() !== 'pbes2') throw new Malformed();
  const parameters = scheme.enter();
  const derivation = parameters.enter();
  const encryption = parameters.enter();
  const cipher = encryption.oid();
  if (KEY_LENGTHS[cipher] === undefined) throw new Malformed();
  const iv = encryption.read(OCTET_STRING);
  needPassphrase(passphrase);
  const key = passphraseKey(derivation, passphrase, KEY_LENGTHS[cipher]);
  const plain = crypt('cbc', key, iv, false, reader.read(OCTET_STRING));
  if (typeof plain === 'string') throw wrongPassphrase();
  return plain;
}

function encryptPkcs8(bytes, cipher, passphrase) {
  const [salt, iv] = [random(16), random(16)];
  const length = KEY_LENGTHS[cipher];
  const key = operate('pbkdf2', 'sha256', passphrase, salt, '2048', `${length}`);
  const prf = sequence(oid('hmac-sha256'), nothing());
  const derivation = sequence(oid('pbkdf2'), sequence(octets(salt), smallInteger(2048), prf));
  const encryption = sequence(oid(cipher), octets(iv));
  const scheme = sequence(oid('pbes2'), sequence(derivation, encryption));
  return sequence(scheme, octets(crypt('cbc', key, iv, true, bytes)));
}

/** The key of OpenSSL's own PEM encryption. */
function legacyKey(passphrase, salt, length) {
  let key = new Uint8Array(0);
  let last = key;
  while (key.length < length) {
    last = operate('hash', 'md5', join(last, passphrase, salt.subarray(0, 8)));
    key = join(key, last);
  }
  return key.subarray(0, length);
}

function decryptLegacy({ headers, bytes }, passphrase) {
  const [name, digits = ''] = (headers['dek-info'] ?? '').split(',');
  const length = KEY_LENGTHS[name.toLowerCase()];
  const iv = Buffer.from(digits, 'hex');
  if (length === undefined || iv.length !== 16) throw new Malformed();
  needPassphrase(passphrase);
  const plain = crypt('cbc', legacyKey(passphrase, iv, length), iv, false, bytes);
  if (typeof plain === 'string') throw wrongPassphrase();
  return plain;
}

function encryptLegacy(bytes, cipher, passphrase) {
  const iv = random(16);
  const key = legacyKey(passphrase, iv, KEY_LENGTHS[cipher]);
  const digits = Buffer.from(iv).toString('hex').toUpperCase();
  const headers = `Proc-Type: 4,ENCRYPTED\nDEK-Info: ${cipher.toUpperCase()},${digits}\n\n`;
  return [crypt('cbc', key, iv, true, bytes), headers];
}

// Reading what users give.

function unsupported() {
  return opensslError('1E08010C', 'DECODER routines', 'unsupported');
}

/** Runs a parser; whatever it stumbles over becomes the error that users see. */
export function parsing(work, error = unsupported) {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof Malformed) throw error();
    throw thrown;
  }
}

function fromPrivateBlock(block, passphrase) {
  const { label, headers } = block;
  if (block.bytes === undefined) throw new Malformed();
  if (label === 'ENCRYPTED PRIVATE KEY') return fromPkcs8(decryptPkcs8(block.bytes, passphrase));
  const isEncrypted = headers['proc-type'] === '4,ENCRYPTED';
  const bytes = isEncrypted ? decryptLegacy(block, passphrase) : block.bytes;
  if (label === 'PRIVATE KEY') return fromPkcs8(bytes);
  return label === 'RSA PRIVATE KEY' ? rsaPrivate(bytes) : sec1Private(bytes);
}

function fromPublicBlock({ label, bytes }) {
  if (bytes === undefined) throw new Malformed();
  if (label === 'PUBLIC KEY') return fromSpki(bytes);
  return label === 'RSA PUBLIC KEY' ? rsaPublic(bytes) : fromCertificate(bytes);
}

const PRIVATE_LABELS = [
  'PRIVATE KEY',
  'ENCRYPTED PRIVATE KEY',
  'RSA PRIVATE KEY',
  'EC PRIVATE KEY',
];
const PUBLIC_LABELS = ['PUBLIC KEY', 'RSA PUBLIC KEY', 'CERTIFICATE', 'X509 CERTIFICATE'];

/** A private key in PEM; if allowed, a public one too. */
export function fromPem(text, passphrase, isPublicAllowed) {
  return parsing(() => {
    for (const block of pemBlocks(text)) {
      if (isPublicAllowed && PUBLIC_LABELS.includes(block.label)) return fromPublicBlock(block);
      if (PRIVATE_LABELS.includes(block.label)) return fromPrivateBlock(block, passphrase);
    }
    throw new Malformed();
  });
}

/** A private key in DER. */
export function privateFromDer(bytes, type, passphrase) {
  return parsing(() => {
    if (type === 'pkcs1') return rsaPrivate(bytes);
    if (type === 'sec1') return sec1Private(bytes);
    const isEncrypted = new Reader(bytes).enter().tag === SEQUENCE;
    return fromPkcs8(isEncrypted ? decryptPkcs8(bytes, passphrase) : bytes);
  });
}

/** A public key in DER. */
export function publicFromDer(bytes, type) {
  return parsing(() => (type === 'pkcs1' ? rsaPublic(bytes) : fromSpki(bytes)));
}

// JWK (RFC 7517, 7518, 8037).

function jwkBytes(jwk, name) {
  const value = jwk[name];
  checkString(`key.${name}`, value);
  return Buffer.from(value, 'base64url');
}

function invalidJwk(what) {
  return () => typeError('ERR_CRYPTO_INVALID_JWK', `Invalid JWK ${what}`);
}

function ecFromJwk(jwk, isPrivate) {
  checkString('key.crv', jwk.crv);
  if (CURVES[jwk.crv] === undefined) {
    throw wrongValue('key.crv', jwk.crv, "must be one of: 'P-256', 'P-384', 'P-521'");
  }
  const { bytes } = CURVES[jwk.crv];
  const [x, y] = [padTo(jwkBytes(jwk, 'x'), bytes), padTo(jwkBytes(jwk, 'y'), bytes)];
  const d = isPrivate ? jwkBytes(jwk, 'd') : undefined;
  return parsing(() => {
    if (x === undefined || y === undefined) throw new Malformed();
    const key = ecPublic(jwk.crv, join([4], x, y));
    if (d === undefined) return key;
    const whole = ecPrivate(jwk.crv, d);
    if (!same(whole.point, key.point)) throw new Malformed();
    return whole;
  }, invalidJwk('EC key'));
}

function okpFromJwk(jwk, isPrivate) {
  checkString('key.crv', jwk.crv);
  const type = { Ed25519: 'ed25519', X25519: 'x25519' }[jwk.crv];
  if (type === undefined) {
    throw wrongValue('key.crv', jwk.crv, "must be one of: 'Ed25519', 'X25519'");
  }
  const point = jwkBytes(jwk, 'x');
  const d = isPrivate ? jwkBytes(jwk, 'd') : undefined;
  return parsing(() => {
    const key = d === undefined ? edPublic(type, point) : edPrivate(type, d);
    if (!same(key.point, point)) throw new Malformed();
    return key;
  }, invalidJwk('OKP key'));
}

/** A key in JWK. Has it a `d`, it is a private one, unless only the public half is wanted. */
export function fromJwk(jwk, isPrivate) {
  const { kty } = jwk;
  if (kty === 'EC') return ecFromJwk(jwk, isPrivate);
  if (kty === 'OKP') return okpFromJwk(jwk, isPrivate);
  if (kty !== 'RSA') throw wrongValue('key.kty', kty, "must be one of: 'RSA', 'EC', 'OKP'");
  const parts = { type: 'rsa', n: trim(jwkBytes(jwk, 'n')), e: trim(jwkBytes(jwk, 'e')) };
  if (isPrivate) for (const name of RSA_PRIVATE) parts[name] = trim(jwkBytes(jwk, name));
  return parts;
}

const text = (bytes) => Buffer.from(bytes).toString('base64url');

/** A key as JWK. */
export function toJwk(parts) {
  if (parts.type === 'ec') {
    const { bytes } = CURVES[parts.curve];
    const x = text(parts.point.subarray(1, 1 + bytes));
    const y = text(parts.point.subarray(1 + bytes));
    const jwk = { kty: 'EC', x, y, crv: parts.curve };
    return parts.d === undefined ? jwk : { ...jwk, d: text(parts.d) };
  }
  if (parts.point !== undefined) {
    const crv = parts.type === 'ed25519' ? 'Ed25519' : 'X25519';
    const d = parts.d === undefined ? {} : { d: text(parts.d) };
    return { crv, ...d, x: text(parts.point), kty: 'OKP' };
  }
  if (parts.type !== 'rsa') {
    throw codedError('ERR_CRYPTO_JWK_UNSUPPORTED_KEY_TYPE', 'Unsupported JWK Key Type.');
  }
  const jwk = { kty: 'RSA', n: text(parts.n), e: text(parts.e) };
  if (parts.d !== undefined) for (const name of RSA_PRIVATE) jwk[name] = text(parts[name]);
  return jwk;
}

// Writing DER.

const rsaInside = (parts) => sequence(integer(parts.n), integer(parts.e));
const rsaWhole = (parts) =>
  sequence(
    smallInteger(0),
    integer(parts.n),
    integer(parts.e),
    ...RSA_PRIVATE.map((name) => integer(parts[name])),
  );

function algorithmOf({ type, curve }) {
  if (type === 'ec') return sequence(oid('ec'), oid(curve));
  return type === 'rsa' ? sequence(oid('rsa'), nothing()) : sequence(oid(type));
}

function sec1(parts, withCurve) {
  return sequence(
    smallInteger(1),
    octets(parts.d),
    withCurve ? element(context(0), oid(parts.curve)) : [],
    element(context(1), bits(parts.point)),
  );
}

/** A public key as SPKI. */
export function toSpki(parts) {
  const key = parts.point ?? rsaInside(parts);
  return sequence(algorithmOf(parts), bits(key));
}

/** A private key as PKCS 8. */
export function toPkcs8(parts) {
  let key;
  if (parts.type === 'ec') key = sec1(parts, false);
  else key = parts.point === undefined ? rsaWhole(parts) : octets(parts.d);
  return sequence(smallInteger(0), algorithmOf(parts), octets(key));
}

const LABELS = { __proto__: null, spki: 'PUBLIC KEY', pkcs8: 'PRIVATE KEY' };

/** A key in one of its formats of DER or PEM. */
export function write(parts, { type, format, cipher, passphrase }) {
  const isPrivate = parts.d !== undefined;
  let label = LABELS[type];
  let bytes;
  if (type === 'spki') bytes = toSpki(parts);
  else if (type === 'pkcs8') bytes = toPkcs8(parts);
  else if (type === 'sec1') [label, bytes] = ['EC PRIVATE KEY', sec1(parts, true)];
  else if (isPrivate) [label, bytes] = ['RSA PRIVATE KEY', rsaWhole(parts)];
  else [label, bytes] = ['RSA PUBLIC KEY', rsaInside(parts)];
  let headers = '';
  if (cipher !== undefined && type === 'pkcs8') {
    [label, bytes] = ['ENCRYPTED PRIVATE KEY', encryptPkcs8(bytes, cipher, passphrase)];
  } else if (cipher !== undefined) {
    [bytes, headers] = encryptLegacy(bytes, cipher, passphrase);
  }
  return format === 'pem' ? toPem(label, bytes, headers) : Buffer.from(bytes);
}

/** Whether a cipher can protect a key. */
export function isKeyCipher(name) {
  return KEY_LENGTHS[name] !== undefined;
}
