// sign, verify, createSign, createVerify, publicEncrypt and its kin.

import { codedError, typeError } from '../../errors.js';
import {
  anyBytes,
  bufferBytes,
  checkFunction,
  checkString,
  dataBytes,
  encoded,
  hashName,
  knownHash,
  later,
  onlyView,
  opensslError,
  operate,
  wrongValue,
} from './common.js';
import { INTEGER, Malformed, Reader, integer, padTo, sequence } from './der.js';
import { CURVES } from './formats.js';
import { createHash } from './hash.js';
import { asymmetricParts } from './keys.js';
import { LazyStream } from './lazy-stream.js';
import * as rsa from './rsa.js';

/** `r || s` as DER. */
export function toDer(signature) {
  const half = signature.length / 2;
  return sequence(integer(signature.subarray(0, half)), integer(signature.subarray(half)));
}

/** DER as `r || s`; undefined if it is none. */
export function fromDer(signature, length) {
  try {
    const outside = new Reader(signature);
    const reader = outside.enter();
    const pair = new Uint8Array(2 * length);
    for (const at of [0, length]) {
      const number = reader.read(INTEGER);
      if (number.length === 0 || number[0] > 0x7f) return undefined;
      const padded = padTo(number, length);
      if (padded === undefined) return undefined;
      pair.set(padded, at);
    }
    return reader.isDone && outside.isDone ? pair : undefined;
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

function unsupported() {
  return codedError('ERR_CRYPTO_UNSUPPORTED_OPERATION', 'Unsupported crypto operation');
}

function signatureOptions(key) {
  const { padding, saltLength, dsaEncoding = 'der' } = isPlain(key) ? key : {};
  if (padding !== undefined && !Number.isInteger(padding)) {
    throw wrongValue('options.padding', padding);
  }
  if (saltLength !== undefined && !Number.isInteger(saltLength)) {
    throw wrongValue('options.saltLength', saltLength);
  }
  if (dsaEncoding !== 'der' && dsaEncoding !== 'ieee-p1363') {
    throw wrongValue('options.dsaEncoding', dsaEncoding);
  }
  return { padding, saltLength, isDer: dsaEncoding === 'der' };
}

function isPlain(key) {
  return key !== null && typeof key === 'object' && !ArrayBuffer.isView(key);
}

/** Signs a digest. */
export function signDigest(parts, hash, digest, options) {
  if (parts.type === 'ec') {
    const signature = operate('ecSign', parts.curve, parts.d, digest);
    return options.isDer ? toDer(signature) : signature;
  }
  if (parts.n === undefined) throw unsupported();
  return rsa.sign(parts, hash, digest, options);
}

/** Checks the signature of a digest. */
export function verifyDigest(parts, hash, digest, signature, options) {
  if (parts.type === 'ec') {
    const { bytes } = CURVES[parts.curve];
    const pair = options.isDer ? fromDer(signature, bytes) : signature;
    if (pair === undefined || pair.length !== 2 * bytes) return false;
    return operate('ecVerify', parts.curve, parts.point, digest, pair)[0] === 1;
  }
  if (parts.n === undefined) throw unsupported();
  return rsa.verify(parts, hash, digest, signature, options);
}

class Digesting extends LazyStream {
  #hash;
  #name;

  constructor(algorithm, options) {
    super();
    checkString('algorithm', algorithm);
    this.#name = knownHash(algorithm, { isNamed: false });
    this.#hash = createHash(this.#name);
    this._options = options;
  }

  update(data, encoding) {
    this.#hash.update(dataBytes('data', data, encoding));
    return this;
  }

  _write(chunk, encoding, callback) {
    this.update(chunk, encoding);
    callback();
  }

  _transform(chunk, encoding, callback) {
    this.update(chunk, encoding);
    callback();
  }

  /** The native name of the hash, and the digest. */
  static finish(digesting) {
    return [digesting.#name, digesting.#hash.digest()];
  }
}

/** A signature under way. */
export class Sign extends Digesting {
  sign(key, encoding) {
    if (!key) throw codedError('ERR_CRYPTO_SIGN_KEY_REQUIRED', 'No key provided to sign');
    const parts = asymmetricParts(key, 'private');
    const options = signatureOptions(key);
    const [hash, digest] = Digesting.finish(this);
    return encoded(signDigest(parts, hash, digest, options), encoding);
  }
}

/** The check of a signature under way. */
export class Verify extends Digesting {
  verify(key, signature, encoding) {
    const parts = asymmetricParts(key, 'public');
    const options = signatureOptions(key);
    const bytes = dataBytes('signature', signature, encoding);
    const [hash, digest] = Digesting.finish(this);
    return verifyDigest(parts, hash, digest, bytes, options);
  }
}

/** Node's `createSign`. */
export function createSign(algorithm, options) {
  return new Sign(algorithm, options);
}

/** Node's `createVerify`. */
export function createVerify(algorithm, options) {
  return new Verify(algorithm, options);
}

function checkOneShot(algorithm, data, key, kind) {
  if (algorithm !== null && algorithm !== undefined) checkString('algorithm', algorithm);
  const bytes = dataBytes('data', data);
  const options = signatureOptions(key);
  const parts = asymmetricParts(key, kind);
  const name = algorithm ?? undefined;
  if (name !== undefined && hashName(name) === undefined) knownHash(name);
  if (parts.type === 'x25519') throw unsupportedType();
  if (parts.type === 'ed25519' && name !== undefined) {
    throw opensslError('1C80007A', 'Provider routines', 'invalid digest');
  }
  const hash = name === undefined ? 'sha256' : hashName(name);
  return { bytes, options, parts, hash };
}

function unsupportedType() {
  return opensslError(
    '03000096',
    'digital envelope routines',
    'operation not supported for this keytype',
  );
}

/** Node's `sign`. */
export function sign(algorithm, data, key, callback) {
  if (callback !== undefined) checkFunction('callback', callback);
  if (!key) throw codedError('ERR_CRYPTO_SIGN_KEY_REQUIRED', 'No key provided to sign');
  const { bytes, options, parts, hash } = checkOneShot(algorithm, data, key, 'private');
  const work = () => {
    if (parts.type === 'ed25519') return encoded(operate('edSign', parts.d, bytes));
    return encoded(signDigest(parts, hash, operate('hash', hash, bytes), options));
  };
  return callback === undefined ? work() : later(callback, work);
}

/** Node's `verify`. */
export function verify(algorithm, data, key, signature, callback) {
  if (callback !== undefined) checkFunction('callback', callback);
  const { bytes, options, parts, hash } = checkOneShot(algorithm, data, key, 'public');
  const given = onlyView('signature', signature);
  const work = () => {
    if (parts.type === 'ed25519') {
      return given.length === 64 && operate('edVerify', parts.point, bytes, given)[0] === 1;
    }
    return verifyDigest(parts, hash, operate('hash', hash, bytes), given, options);
  };
  return callback === undefined ? work() : later(callback, work);
}

function encryption(key, buffer, kind, usual) {
  const options = isPlain(key) ? key : {};
  const { padding = usual, oaepHash = 'sha1', oaepLabel, encoding } = options;
  const parts = asymmetricParts(key, kind);
  checkString('key.oaepHash', oaepHash);
  const label = oaepLabel === undefined ? '' : anyBytes('key.oaepLabel', oaepLabel, encoding);
  const data =
    typeof buffer === 'string'
      ? anyBytes('buffer', buffer, encoding)
      : bufferBytes('buffer', buffer);
  if (parts.n === undefined) throw unsupportedType();
  const hash = hashName(oaepHash);
  if (hash === undefined) {
    throw typeError('ERR_OSSL_EVP_INVALID_DIGEST', `Invalid digest: ${oaepHash}`);
  }
  return { parts, data, padding, hash, label };
}

/** Node's `publicEncrypt`. */
export function publicEncrypt(key, buffer) {
  const given = encryption(key, buffer, 'public', rsa.RSA_PKCS1_OAEP_PADDING);
  return encoded(rsa.encrypt(given.parts, given.data, given));
}

/** Node's `privateDecrypt`. */
export function privateDecrypt(key, buffer) {
  const given = encryption(key, buffer, 'private', rsa.RSA_PKCS1_OAEP_PADDING);
  if (given.padding === rsa.RSA_PKCS1_PADDING) {
    throw typeError(
      'ERR_INVALID_ARG_VALUE',
      'RSA_PKCS1_PADDING is no longer supported for private decryption',
    );
  }
  return encoded(Uint8Array.from(rsa.decrypt(given.parts, given.data, given)));
}

/** Node's `privateEncrypt`. */
export function privateEncrypt(key, buffer) {
  const { parts, data, padding } = encryption(key, buffer, 'private', rsa.RSA_PKCS1_PADDING);
  return encoded(rsa.privateEncrypt(parts, data, padding));
}

/** Node's `publicDecrypt`. */
export function publicDecrypt(key, buffer) {
  const { parts, data, padding } = encryption(key, buffer, 'public', rsa.RSA_PKCS1_PADDING);
  return encoded(rsa.publicDecrypt(parts, data, padding));
}
