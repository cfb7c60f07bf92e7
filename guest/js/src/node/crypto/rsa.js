// RSA's paddings (RFC 8017) around the native operations on numbers.

import { HASHES, attempt, join, opensslError, operate, random, same } from './common.js';
import { RSA_PRIVATE } from './formats.js';
import { Buffer } from '../../buffer.js';
import { NULL, OCTET_STRING, OID, SEQUENCE, element } from './der.js';
import { bitLength } from './keys.js';

export const RSA_PKCS1_PADDING = 1;
export const RSA_NO_PADDING = 3;
export const RSA_PKCS1_OAEP_PADDING = 4;
export const RSA_PKCS1_PSS_PADDING = 6;
export const RSA_PSS_SALTLEN_DIGEST = -1;
export const RSA_PSS_SALTLEN_AUTO = -2;

const DIGEST_OIDS = {
  __proto__: null,
  md5: '2a864886f70d0205',
  ripemd160: '2b24030201',
  sha1: '2b0e03021a',
  sha256: '608648016503040201',
  sha384: '608648016503040202',
  sha512: '608648016503040203',
  sha224: '608648016503040204',
  'sha512-224': '608648016503040205',
  'sha512-256': '608648016503040206',
  'sha3-224': '608648016503040207',
  'sha3-256': '608648016503040208',
  'sha3-384': '608648016503040209',
  'sha3-512': '60864801650304020a',
};

/** Bytes of a modulus. */
export const modulusBytes = (parts) => parts.n.length;

function tooLarge() {
  return opensslError('0200006E', 'rsa routines', 'data too large for key size');
}

function internal() {
  return opensslError('020000C0', 'rsa routines', 'invalid modulus');
}

function raise(parts, data) {
  const answer = attempt('rsaPublic', parts.n, parts.e, data);
  if (answer === 'length') {
    throw opensslError('02000084', 'rsa routines', 'data too large for modulus');
  }
  if (typeof answer === 'string') throw internal();
  return answer;
}

function lower(parts, data) {
  const rest = RSA_PRIVATE.map((name) => parts[name]);
  const answer = attempt('rsaPrivate', parts.n, parts.e, ...rest, data);
  if (answer === 'length') {
    throw opensslError('02000084', 'rsa routines', 'data too large for modulus');
  }
  if (typeof answer === 'string') throw internal();
  return answer;
}

function mask(hash, seed, length) {
  const parts = [];
  for (let made = 0, i = 0; made < length; i++) {
    const part = operate('hash', hash, join(seed, [0, 0, i >> 8, i & 255]));
    parts.push(part);
    made += part.length;
  }
  return join(...parts).subarray(0, length);
}

function xor(target, other) {
  for (let i = 0; i < target.length; i++) target[i] ^= other[i];
  return target;
}

// PKCS 1 v1.5.

function pad1(parts, data) {
  const free = modulusBytes(parts) - data.length - 3;
  if (free < 8) throw tooLarge();
  return join([0, 1], new Uint8Array(free).fill(255), [0], data);
}

function digestInfo(hash, digest) {
  const name = element(OID, Buffer.from(DIGEST_OIDS[hash], 'hex'));
  return element(SEQUENCE, element(SEQUENCE, name, element(NULL)), element(OCTET_STRING, digest));
}

function padInfo(parts, hash, digest) {
  const info = digestInfo(hash, digest);
  if (modulusBytes(parts) < info.length + 11) {
    throw opensslError('02000070', 'rsa routines', 'digest too big for rsa key');
  }
  return pad1(parts, info);
}

// PSS.

function saltBytes(parts, hash, wanted) {
  const room = Math.ceil((bitLength(parts.n) - 1) / 8) - HASHES[hash].length - 2;
  let length = wanted;
  if (length === undefined || length === RSA_PSS_SALTLEN_AUTO) length = room;
  else if (length === RSA_PSS_SALTLEN_DIGEST) length = HASHES[hash].length;
  if (length > room || length < 0) throw tooLarge();
  return length;
}

function pssHash(hash, digest, salt) {
  return operate('hash', hash, join(new Uint8Array(8), digest, salt));
}

function padPss(parts, hash, digest, saltLength) {
  const bits = bitLength(parts.n) - 1;
  const length = Math.ceil(bits / 8);
  const salt = random(saltBytes(parts, hash, saltLength));
  const inner = pssHash(hash, digest, salt);
  const free = length - salt.length - inner.length - 2;
  const block = join(new Uint8Array(free), [1], salt);
  xor(block, mask(hash, inner, block.length));
  block[0] &= 0xff >> (8 * length - bits);
  return join(new Uint8Array(modulusBytes(parts) - length), block, inner, [0xbc]);
}

function isPss(parts, hash, digest, saltLength, padded) {
  const bits = bitLength(parts.n) - 1;
  const length = Math.ceil(bits / 8);
  const size = HASHES[hash].length;
  const message = padded.subarray(padded.length - length);
  if (length < size + 2 || message[length - 1] !== 0xbc) return false;
  if (padded.length > length && padded[0] !== 0) return false;
  const block = message.slice(0, length - size - 1);
  const inner = message.subarray(length - size - 1, length - 1);
  const unused = 8 * length - bits;
  if (block[0] >> (8 - unused) !== 0) return false;
  xor(block, mask(hash, inner, block.length));
  block[0] &= 0xff >> unused;
  let at = 0;
  while (at < block.length && block[at] === 0) at++;
  if (block[at] !== 1) return false;
  const salt = block.subarray(at + 1);
  const wanted = saltLength === RSA_PSS_SALTLEN_DIGEST ? size : saltLength;
  if (wanted !== undefined && wanted >= 0 && wanted !== salt.length) return false;
  return same(pssHash(hash, digest, salt), inner);
}

function wrongPadding() {
  return opensslError('1C8000A5', 'Provider routines', 'illegal or unsupported padding mode');
}

function paddingOf(parts, padding) {
  if (parts.type === 'rsa-pss') return RSA_PKCS1_PSS_PADDING;
  return padding ?? RSA_PKCS1_PADDING;
}

/** A signature of a digest. */
export function sign(parts, hash, digest, { padding, saltLength } = {}) {
  const kind = paddingOf(parts, padding);
  if (kind === RSA_PKCS1_PADDING) return lower(parts, padInfo(parts, hash, digest));
  if (kind === RSA_PKCS1_PSS_PADDING) return lower(parts, padPss(parts, hash, digest, saltLength));
  throw wrongPadding();
}

/** Whether a signature is that of a digest. */
export function verify(parts, hash, digest, signature, { padding, saltLength } = {}) {
  const kind = paddingOf(parts, padding);
  if (kind !== RSA_PKCS1_PADDING && kind !== RSA_PKCS1_PSS_PADDING) throw wrongPadding();
  if (signature.length !== modulusBytes(parts)) return false;
  const padded = attempt('rsaPublic', parts.n, parts.e, signature);
  if (typeof padded === 'string') return false;
  if (kind === RSA_PKCS1_PSS_PADDING) return isPss(parts, hash, digest, saltLength, padded);
  return same(padInfo(parts, hash, digest), padded);
}

// OAEP.

function padOaep(parts, hash, label, data) {
  const size = HASHES[hash].length;
  const free = modulusBytes(parts) - 2 * size - 2 - data.length;
  if (free < 0) throw tooLarge();
  const block = join(operate('hash', hash, label), new Uint8Array(free), [1], data);
  const seed = random(size);
  xor(block, mask(hash, seed, block.length));
  return join([0], xor(seed, mask(hash, block, size)), block);
}

function unpadOaep(parts, hash, label, padded) {
  const size = HASHES[hash].length;
  const wrong = () => opensslError('02000079', 'rsa routines', 'oaep decoding error');
  if (padded.length < 2 * size + 2) throw wrong();
  const seed = padded.slice(1, 1 + size);
  const block = padded.slice(1 + size);
  xor(seed, mask(hash, block, size));
  xor(block, mask(hash, seed, block.length));
  const expected = operate('hash', hash, label);
  // All of it is looked at, whatever is wrong with it.
  let wrongness = padded[0];
  for (let i = 0; i < size; i++) wrongness |= block[i] ^ expected[i];
  let start = 0;
  for (let i = size; i < block.length; i++) {
    if (start !== 0) continue;
    if (block[i] === 1) start = i + 1;
    else wrongness |= block[i];
  }
  if (wrongness !== 0 || start === 0) throw wrong();
  return block.subarray(start);
}

function pad2(parts, data) {
  const free = modulusBytes(parts) - data.length - 3;
  if (free < 8) throw tooLarge();
  const filling = random(free);
  for (let i = 0; i < free; i++) while (filling[i] === 0) filling[i] = random(1)[0];
  return join([0, 2], filling, [0], data);
}

function plainBlock(parts, data) {
  if (data.length === modulusBytes(parts)) return data;
  throw data.length > modulusBytes(parts)
    ? tooLarge()
    : opensslError('0200007A', 'rsa routines', 'data too small for key size');
}

/** Encrypts with the public key. */
export function encrypt(parts, data, { padding, hash, label }) {
  if (padding === RSA_PKCS1_PADDING) return raise(parts, pad2(parts, data));
  if (padding === RSA_NO_PADDING) return raise(parts, plainBlock(parts, data));
  if (padding === RSA_PKCS1_OAEP_PADDING) return raise(parts, padOaep(parts, hash, label, data));
  throw wrongPadding();
}

/** Decrypts with the private key. */
export function decrypt(parts, data, { padding, hash, label }) {
  if (data.length > modulusBytes(parts)) {
    throw opensslError('0200006C', 'rsa routines', 'data greater than mod len');
  }
  if (padding === RSA_NO_PADDING) return lower(parts, data);
  if (padding === RSA_PKCS1_OAEP_PADDING) {
    return unpadOaep(parts, hash, label, lower(parts, data));
  }
  throw wrongPadding();
}

/** What `privateEncrypt` makes: a signature without a hash. */
export function privateEncrypt(parts, data, padding) {
  if (padding === RSA_NO_PADDING) return lower(parts, plainBlock(parts, data));
  if (padding === RSA_PKCS1_PADDING) return lower(parts, pad1(parts, data));
  throw wrongPadding();
}

/** The opposite of `privateEncrypt`. */
export function publicDecrypt(parts, data, padding) {
  const padded = raise(parts, data);
  if (padding === RSA_NO_PADDING) return padded;
  if (padding !== RSA_PKCS1_PADDING) throw wrongPadding();
  const end = padded.indexOf(0, 2);
  const isRight = padded[0] === 0 && padded[1] === 1 && end >= 10;
  if (!isRight || padded.subarray(2, end).some((byte) => byte !== 255)) {
    throw opensslError('0200009F', 'rsa routines', 'pkcs decoding error');
  }
  return padded.slice(end + 1);
}
