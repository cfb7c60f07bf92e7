// New keys and primes, and secrets that two sides agree on.

import { codedError, rangeError, typeError } from '../../errors.js';
import { Buffer } from '../../buffer.js';
import {
  anyBytes,
  attempt,
  checkFunction,
  checkInteger,
  checkObject,
  checkString,
  encoded,
  later,
  operate,
  random,
  toArrayBuffer,
  wrongValue,
} from './common.js';
import { wrongType } from '../../webidl.js';
import { Malformed, trim } from './der.js';
import { CURVES, RSA_PRIVATE, ecPrivate, ecPublic, edPrivate, publicParts } from './formats.js';
import { KeyObject, asymmetricKey, checkCurve, keyParts, secretKey } from './keys.js';
import { touch } from '../../native.js';

/** A new RSA key. The exponent is big-endian bytes. */
export function newRsa(modulusLength, exponent) {
  const answer = attempt('rsaGenerate', `${modulusLength}`, exponent);
  if (typeof answer === 'string') {
    throw codedError('ERR_CRYPTO_OPERATION_FAILED', `Unable to generate key pair (${answer})`);
  }
  const parts = { type: 'rsa', n: undefined, e: trim(exponent) };
  let at = 0;
  for (const name of ['n', ...RSA_PRIVATE]) {
    const end = at + 2 + answer[at] * 256 + answer[at + 1];
    parts[name] = answer.slice(at + 2, end);
    at = end;
  }
  return parts;
}

/** A new key on a curve. */
export function newEc(curve) {
  const { bytes, bits } = CURVES[curve];
  for (;;) {
    const number = random(bytes);
    number[0] &= 0xff >> (bytes * 8 - bits);
    try {
      return ecPrivate(curve, number);
    } catch (error) {
      // Zero, or not below the order of the curve.
      if (!(error instanceof Malformed)) throw error;
    }
  }
}

/** A new Ed25519 or X25519 key. */
export function newEd(type) {
  return edPrivate(type, random(32));
}

function exponentBytes(value) {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

function rsaMaker(type, options) {
  checkObject('options', options);
  const { modulusLength, publicExponent = 65537 } = options;
  checkInteger('options.modulusLength', modulusLength, 0, 4294967295);
  checkInteger('options.publicExponent', publicExponent, 0, 4294967295);
  if (modulusLength < 512) {
    throw rangeError(
      'ERR_OSSL_RSA_KEY_SIZE_TOO_SMALL',
      'error:02000078:rsa routines::key size too small',
    );
  }
  if (modulusLength > 8192) {
    throw codedError(
      'ERR_METHOD_NOT_IMPLEMENTED',
      'RSA keys of more than 8192 bits are not generated',
    );
  }
  if (publicExponent < 3 || publicExponent % 2 === 0) {
    throw rangeError('ERR_OSSL_RSA_PUB_EXPONENT_OUT_OF_RANGE', 'pub exponent out of range');
  }
  return () => ({ ...newRsa(modulusLength, exponentBytes(publicExponent)), type });
}

function pairMaker(type, options) {
  checkString('type', type);
  switch (type) {
    case 'rsa':
    case 'rsa-pss':
      return rsaMaker(type, options);
    case 'ec': {
      checkObject('options', options);
      const curve = checkCurve(options.namedCurve);
      return () => newEc(curve);
    }
    case 'ed25519':
    case 'x25519':
      return () => newEd(type);
    case 'dsa':
    case 'dh':
    case 'ed448':
    case 'x448':
      throw codedError('ERR_METHOD_NOT_IMPLEMENTED', `Keys of type ${type} are not available`);
    default:
      throw wrongValue('type', type, 'must be a supported key type');
  }
}

function checkKeyEncoding(name, value) {
  if (value === undefined || value === null) return;
  checkObject(`options.${name}`, value);
}

function keyPair(type, options) {
  const make = pairMaker(type, options);
  const { publicKeyEncoding, privateKeyEncoding } = options ?? {};
  checkKeyEncoding('publicKeyEncoding', publicKeyEncoding);
  checkKeyEncoding('privateKeyEncoding', privateKeyEncoding);
  touch(`crypto.generateKeyPair('${type}')`);
  return () => {
    const parts = make();
    const publicKey = asymmetricKey(publicParts(parts));
    const privateKey = asymmetricKey(parts);
    return {
      publicKey: publicKeyEncoding ? publicKey.export(publicKeyEncoding) : publicKey,
      privateKey: privateKeyEncoding ? privateKey.export(privateKeyEncoding) : privateKey,
    };
  };
}

/** Node's `generateKeyPairSync`. */
export function generateKeyPairSync(type, options) {
  return keyPair(type, options)();
}

/** Node's `generateKeyPair`. */
export function generateKeyPair(type, options, callback) {
  const isShort = typeof options === 'function';
  const work = keyPair(type, isShort ? undefined : options);
  const done = isShort ? options : callback;
  checkFunction('callback', done);
  later(done, () => {
    const { publicKey, privateKey } = work();
    return [publicKey, privateKey];
  });
}

const PROMISIFY = Symbol.for('nodejs.util.promisify.custom');

/** Lets `util.promisify` answer an object where a callback has two values. */
Object.defineProperty(generateKeyPair, PROMISIFY, {
  value: async (type, options) => generateKeyPairSync(type, options),
});

function secretMaker(type, options) {
  checkString('type', type);
  checkObject('options', options);
  const { length } = options;
  if (type === 'hmac') {
    checkInteger('options.length', length, 8);
  } else if (type === 'aes') {
    if (length !== 128 && length !== 192 && length !== 256) {
      throw wrongValue('options.length', length, 'must be one of: 128, 192, 256');
    }
  } else {
    throw wrongValue('type', type, 'must be a supported key type');
  }
  touch('crypto.generateKey()');
  return () => secretKey(random(Math.floor(length / 8)));
}

/** Node's `generateKeySync`. */
export function generateKeySync(type, options) {
  return secretMaker(type, options)();
}

/** Node's `generateKey`. */
export function generateKey(type, options, callback) {
  const work = secretMaker(type, options);
  checkFunction('callback', callback);
  later(callback, work);
}

// Primes.

function primeMaker(size, { safe = false, bigint = false, add, rem } = {}) {
  checkInteger('size', size, 1);
  if (typeof safe !== 'boolean') throw wrongType('options.safe', 'of type boolean', safe);
  if (typeof bigint !== 'boolean') throw wrongType('options.bigint', 'of type boolean', bigint);
  if (add !== undefined || rem !== undefined || size < 3 || size > 8192) {
    const what = size < 3 || size > 8192 ? 'of this size' : 'with add or rem';
    throw codedError('ERR_METHOD_NOT_IMPLEMENTED', `Primes ${what} are not generated`);
  }
  touch('crypto.generatePrime()');
  return () => {
    const bytes = operate('primeMake', `${size}`, safe ? '1' : '0');
    return bigint ? toBigInt(bytes) : toArrayBuffer(bytes);
  };
}

function toBigInt(bytes) {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
}

/** Node's `generatePrimeSync`. */
export function generatePrimeSync(size, options) {
  return primeMaker(size, options)();
}

/** Node's `generatePrime`. */
export function generatePrime(size, options, callback) {
  const isShort = typeof options === 'function';
  const work = primeMaker(size, isShort ? undefined : options);
  checkFunction('callback', isShort ? options : callback);
  later(isShort ? options : callback, work);
}

function candidateBytes(candidate) {
  if (typeof candidate !== 'bigint') {
    return anyBytes('candidate', candidate);
  }
  if (candidate < 0n) {
    throw rangeError(
      'ERR_OUT_OF_RANGE',
      'The value of "candidate" is out of range. It must be >= 0.',
    );
  }
  const digits = candidate.toString(16);
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
}

/** Node's `checkPrimeSync`. */
export function checkPrimeSync(candidate) {
  return operate('primeCheck', candidateBytes(candidate))[0] === 1;
}

/** Node's `checkPrime`. */
export function checkPrime(candidate, options, callback) {
  const done = typeof options === 'function' ? options : callback;
  const bytes = candidateBytes(candidate);
  checkFunction('callback', done);
  later(done, () => operate('primeCheck', bytes)[0] === 1);
}

// Agreement.

function invalidPoint() {
  return codedError(
    'ERR_CRYPTO_ECDH_INVALID_PUBLIC_KEY',
    'Public key is not valid for specified curve',
  );
}

function pointIn(point, format) {
  if (format === undefined || format === 'uncompressed') return point;
  if (format === 'compressed') return undefined;
  if (format === 'hybrid') {
    const hybrid = Uint8Array.from(point);
    hybrid[0] = 6 + (hybrid[hybrid.length - 1] & 1);
    return hybrid;
  }
  throw typeError('ERR_CRYPTO_ECDH_INVALID_FORMAT', `Invalid ECDH format: ${format}`);
}

/** Elliptic Curve Diffie-Hellman. */
export class ECDH {
  #curve;
  #parts;

  constructor(curve) {
    this.#curve = checkCurve(curve, 'curve');
  }

  static convertKey(key, curve, inputEncoding, outputEncoding, format) {
    const name = checkCurve(curve, 'curve');
    const bytes = anyBytes('key', key, inputEncoding);
    const point = attempt('ecConvert', name, bytes, format === 'compressed' ? '1' : '0');
    if (typeof point === 'string') {
      throw codedError('ERR_CRYPTO_OPERATION_FAILED', 'Failed to convert Buffer to EC_POINT');
    }
    return encoded(pointIn(point, format) ?? point, outputEncoding);
  }

  generateKeys(encoding, format) {
    touch('ecdh.generateKeys()');
    this.#parts = newEc(this.#curve);
    return this.getPublicKey(encoding, format);
  }

  computeSecret(otherKey, inputEncoding, outputEncoding) {
    const bytes = anyBytes('otherPublicKey', otherKey, inputEncoding);
    if (this.#parts === undefined) {
      throw codedError('ERR_CRYPTO_OPERATION_FAILED', 'Failed to compute ECDH key');
    }
    const secret = attempt('ecAgree', this.#curve, this.#parts.d, bytes);
    if (typeof secret === 'string') throw invalidPoint();
    return encoded(secret, outputEncoding);
  }

  getPublicKey(encoding, format) {
    if (this.#parts === undefined) {
      throw codedError('ERR_CRYPTO_OPERATION_FAILED', 'Failed to get ECDH public key');
    }
    const { point } = this.#parts;
    const bytes = pointIn(point, format) ?? operate('ecConvert', this.#curve, point, '1');
    return encoded(Uint8Array.from(bytes), encoding);
  }

  getPrivateKey(encoding) {
    if (this.#parts?.d === undefined) {
      throw codedError('ERR_CRYPTO_OPERATION_FAILED', 'Failed to get ECDH private key');
    }
    return encoded(Uint8Array.from(this.#parts.d), encoding);
  }

  setPrivateKey(key, encoding) {
    const bytes = anyBytes('key', key, encoding);
    try {
      this.#parts = ecPrivate(this.#curve, bytes);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      throw rangeError(
        'ERR_CRYPTO_INVALID_KEYTYPE',
        'Private key is not valid for specified curve.',
      );
    }
    return this;
  }

  setPublicKey(key, encoding) {
    const bytes = anyBytes('key', key, encoding);
    try {
      this.#parts = ecPublic(this.#curve, bytes);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      throw codedError('ERR_CRYPTO_OPERATION_FAILED', 'Failed to convert Buffer to EC_POINT');
    }
    return this;
  }
}

/** Node's `createECDH`. */
export function createECDH(curve) {
  return new ECDH(curve);
}

/** The secret of a private and a public key of the same kind; a word if there is none. */
export function agree(own, other) {
  if (own.type === 'ec') return attempt('ecAgree', own.curve, own.d, other.point);
  return attempt('xAgree', own.d, other.point);
}

/** Node's `diffieHellman`. */
export function diffieHellman(options) {
  checkObject('options', options);
  const { privateKey, publicKey } = options;
  if (!(privateKey instanceof KeyObject)) throw wrongValue('options.privateKey', privateKey);
  if (!(publicKey instanceof KeyObject)) throw wrongValue('options.publicKey', publicKey);
  const invalid = (key, expected) =>
    typeError(
      'ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE',
      `Invalid key object type ${key.type}, expected ${expected}.`,
    );
  if (privateKey.type !== 'private') throw invalid(privateKey, 'private');
  if (publicKey.type === 'secret') throw invalid(publicKey, 'private or public');
  const [own, other] = [keyParts(privateKey), keyParts(publicKey)];
  if (own.type !== other.type) {
    throw codedError(
      'ERR_CRYPTO_INCOMPATIBLE_KEY',
      `Incompatible key types for Diffie-Hellman: ${own.type} and ${other.type}`,
    );
  }
  const isRight = own.type === 'x25519' || (own.type === 'ec' && own.curve === other.curve);
  const secret = isRight ? agree(own, other) : 'key';
  if (typeof secret === 'string') {
    throw codedError('ERR_CRYPTO_OPERATION_FAILED', 'Failed to compute the shared secret');
  }
  return encoded(secret);
}
