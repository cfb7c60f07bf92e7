// What all of `crypto` needs: the native operations, and Node's checks and errors.

import { DOMException } from '../../dom-exception.js';
import { asBuffer, Buffer } from '../../buffer.js';
import { viewBytes } from '../../encoding.js';
import { codedError, rangeError, typeError } from '../../errors.js';
import { native } from '../../native.js';
import { nextTick } from '../../process.js';
import { wrongType } from '../../webidl.js';

/** The bytes that an operation makes, or a word for why it did not happen. */
export const attempt = native.crypto;

/** The bytes that an operation makes that cannot fail with what it is given. */
export function operate(operation, ...given) {
  const answer = attempt(operation, ...given);
  if (typeof answer === 'string') throw failed(answer);
  return answer;
}

function failed(why) {
  if (why === 'memory') {
    return codedError('ERR_CRYPTO_OPERATION_FAILED', 'The operation needs too much memory');
  }
  return codedError('ERR_CRYPTO_OPERATION_FAILED', `Operation failed (${why})`);
}

const PREFIXES = {
  __proto__: null,
  'asn1 encoding routines': 'ASN1_',
  'common libcrypto routines': 'CRYPTO_',
  'digital envelope routines': 'EVP_',
  'rsa routines': 'RSA_',
};

/** An error as OpenSSL's are. */
export function opensslError(number, library, reason) {
  const name = reason.toUpperCase().replaceAll(/[ -]/g, '_');
  const code = `ERR_OSSL_${PREFIXES[library] ?? ''}${name}`;
  const error = new Error(`error:${number}:${library}::${reason}`);
  error.library = library;
  error.reason = reason;
  error.code = code;
  return error;
}

/** A `DOMException` of this name. */
export function domError(name, message) {
  return new DOMException(message, name);
}

function shown(value) {
  if (typeof value === 'string') return `'${value}'`;
  return typeof value === 'object' && value !== null ? '[object]' : String(value);
}

/** An argument or `options.…` property with a value that is not one of those allowed. */
export function wrongValue(name, value, reason = 'is invalid') {
  const kind = name.includes('.') ? 'property' : 'argument';
  return typeError(
    'ERR_INVALID_ARG_VALUE',
    `The ${kind} '${name}' ${reason}. Received ${shown(value)}`,
  );
}

/** A number that is too small or too large. */
export function outOfRange(name, range, value) {
  return rangeError(
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be ${range}. Received ${shown(value)}`,
  );
}

/** Checks for a string. */
export function checkString(name, value) {
  if (typeof value !== 'string') throw wrongType(name, 'of type string', value);
}

/** Checks for a function. */
export function checkFunction(name, value) {
  if (typeof value !== 'function') throw wrongType(name, 'of type function', value);
}

/** Checks for an object. */
export function checkObject(name, value) {
  if (value === null || typeof value !== 'object') throw wrongType(name, 'of type object', value);
}

/** Checks for an integer between two bounds. */
export function checkInteger(name, value, min, max = 2147483647) {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value);
}

const VIEW = 'an instance of Buffer, TypedArray, or DataView';
const BUFFER = 'an instance of ArrayBuffer, Buffer, TypedArray, or DataView';

/** The bytes of a string in an encoding, or of a view. */
export function dataBytes(name, value, encoding) {
  if (typeof value === 'string') {
    return Buffer.from(value, encoding === 'buffer' ? 'utf8' : encoding);
  }
  const bytes = ArrayBuffer.isView(value) ? viewBytes(value) : undefined;
  if (bytes === undefined) throw wrongType(name, `of type string or ${VIEW}`, value);
  return bytes;
}

/** The bytes of a view, and of nothing else. */
export function onlyView(name, value) {
  const bytes = ArrayBuffer.isView(value) ? viewBytes(value) : undefined;
  if (bytes === undefined) throw wrongType(name, VIEW, value);
  return bytes;
}

/** The bytes of a string, an `ArrayBuffer` or a view. */
export function anyBytes(name, value, encoding) {
  if (typeof value === 'string') return Buffer.from(value, encoding);
  const bytes = viewBytes(value);
  if (bytes === undefined) throw wrongType(name, `of type string or ${BUFFER}`, value);
  return bytes;
}

/** The bytes of an `ArrayBuffer` or a view. */
export function bufferBytes(name, value) {
  const bytes = viewBytes(value);
  if (bytes === undefined) throw wrongType(name, BUFFER, value);
  return bytes;
}

/** Bytes as a `Buffer`, or as a string if an encoding is asked for. */
export function encoded(bytes, encoding) {
  const buffer = asBuffer(bytes);
  return encoding && encoding !== 'buffer' ? buffer.toString(encoding) : buffer;
}

/** Several arrays of bytes as one. */
export function join(...parts) {
  let length = 0;
  for (const part of parts) length += part.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A copy of the bytes between two places. */
export function slice(bytes, start, end = bytes.length) {
  return new Uint8Array(bytes.subarray(start, end));
}

/** The bytes as an `ArrayBuffer` of their own. */
export function toArrayBuffer(bytes) {
  return slice(bytes, 0).buffer;
}

/** Whether two arrays hold the same, in a time that depends on their length only. */
export function same(one, two) {
  if (one.length !== two.length) return false;
  let difference = 0;
  for (let i = 0; i < one.length; i++) difference |= one[i] ^ two[i];
  return difference === 0;
}

/** Random bytes. */
export function random(length) {
  if (length <= 65536) return native.random(length);
  const all = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) {
    all.set(native.random(Math.min(65536, length - at)), at);
  }
  return all;
}

/** Calls back later with what `work` answers or throws; what checks arguments runs before. */
export function later(callback, work) {
  let error = null;
  let answer;
  try {
    answer = work();
  } catch (thrown) {
    error = thrown;
  }
  if (error === null) nextTick(callback, null, ...(Array.isArray(answer) ? answer : [answer]));
  else nextTick(callback, error);
}

/** Hashes by the name that the native operations have, with their lengths in bytes. */
export const HASHES = {
  __proto__: null,
  md5: { length: 16, block: 64 },
  ripemd160: { length: 20, block: 64 },
  sha1: { length: 20, block: 64 },
  sha224: { length: 28, block: 64 },
  sha256: { length: 32, block: 64 },
  sha384: { length: 48, block: 128 },
  sha512: { length: 64, block: 128 },
  'sha512-224': { length: 28, block: 128 },
  'sha512-256': { length: 32, block: 128 },
  'sha3-224': { length: 28, block: 144 },
  'sha3-256': { length: 32, block: 136 },
  'sha3-384': { length: 48, block: 104 },
  'sha3-512': { length: 64, block: 72 },
};

const SYNONYMS = {
  __proto__: null,
  'sha-1': 'sha1',
  'ssl3-sha1': 'sha1',
  'ssl3-md5': 'md5',
  'rsa-sha1-2': 'sha1',
  'sha-224': 'sha224',
  'sha-256': 'sha256',
  'sha-384': 'sha384',
  'sha-512': 'sha512',
  'sha2-224': 'sha224',
  'sha2-256': 'sha256',
  'sha2-384': 'sha384',
  'sha2-512': 'sha512',
  'sha-512/224': 'sha512-224',
  'sha-512/256': 'sha512-256',
  'sha2-512/224': 'sha512-224',
  'sha2-512/256': 'sha512-256',
  'rsa-sha512/224': 'sha512-224',
  'rsa-sha512/256': 'sha512-256',
  ripemd: 'ripemd160',
  rmd160: 'ripemd160',
  ripemd160withrsa: 'ripemd160',
};

/** The native name of a hash, or undefined. */
export function hashName(name) {
  const lower = name.toLowerCase();
  if (HASHES[lower] !== undefined) return lower;
  if (SYNONYMS[lower] !== undefined) return SYNONYMS[lower];
  const bare = lower
    .replace(/^rsa-/, '')
    .replace(/withrsaencryption$/, '')
    .replace(/^id-rsassa-pkcs1-v1_5-with-/, '');
  return bare !== lower && HASHES[bare] !== undefined ? bare : undefined;
}

/** The native name of a hash that has to be there. */
export function knownHash(name, { argument = 'digest', isNamed = true } = {}) {
  checkString(argument, name);
  const native = hashName(name);
  if (native !== undefined) return native;
  throw typeError(
    'ERR_CRYPTO_INVALID_DIGEST',
    isNamed ? `Invalid digest: ${name}` : 'Invalid digest',
  );
}

/** Node's `getHashes`, as far as they are here. */
export const HASH_NAMES = [
  'RSA-MD5',
  'RSA-RIPEMD160',
  'RSA-SHA1',
  'RSA-SHA1-2',
  'RSA-SHA224',
  'RSA-SHA256',
  'RSA-SHA3-224',
  'RSA-SHA3-256',
  'RSA-SHA3-384',
  'RSA-SHA3-512',
  'RSA-SHA384',
  'RSA-SHA512',
  'RSA-SHA512/224',
  'RSA-SHA512/256',
  'id-rsassa-pkcs1-v1_5-with-sha3-224',
  'id-rsassa-pkcs1-v1_5-with-sha3-256',
  'id-rsassa-pkcs1-v1_5-with-sha3-384',
  'id-rsassa-pkcs1-v1_5-with-sha3-512',
  'md5',
  'md5WithRSAEncryption',
  'ripemd',
  'ripemd160',
  'ripemd160WithRSA',
  'rmd160',
  'sha1',
  'sha1WithRSAEncryption',
  'sha224',
  'sha224WithRSAEncryption',
  'sha256',
  'sha256WithRSAEncryption',
  'sha3-224',
  'sha3-256',
  'sha3-384',
  'sha3-512',
  'sha384',
  'sha384WithRSAEncryption',
  'sha512',
  'sha512-224',
  'sha512-224WithRSAEncryption',
  'sha512-256',
  'sha512-256WithRSAEncryption',
  'sha512WithRSAEncryption',
  'ssl3-md5',
  'ssl3-sha1',
];
