// KeyObject and CryptoKey, and the keys that users give in other forms.

import { codedError, typeError } from '../../errors.js';
import { Buffer } from '../../buffer.js';
import { viewBytes } from '../../encoding.js';
import {
  bufferBytes,
  checkObject,
  checkString,
  encoded,
  same,
  slice,
  wrongValue,
} from './common.js';
import { wrongType } from '../../webidl.js';
import {
  CURVES,
  curveName,
  fromJwk,
  fromPem,
  isKeyCipher,
  privateFromDer,
  publicFromDer,
  publicParts,
  toJwk,
  toSpki,
  toPkcs8,
  write,
} from './formats.js';

const NEW = Symbol('new');

let partsOf;
let keyObjectOf;
let isCryptoKeyValue;

/** A key. `partsOf` answers bytes for a secret one, else parts as in formats.js. */
export class KeyObject {
  #type;
  #parts;

  static {
    partsOf = (key) => key.#parts;
  }

  constructor(type, parts, secret) {
    if (type !== 'secret' && type !== 'public' && type !== 'private') {
      throw wrongValue('type', type);
    }
    if (secret !== NEW) throw wrongType('handle', 'of type object', parts);
    this.#type = type;
    this.#parts = parts;
  }

  get type() {
    return this.#type;
  }

  static from(key) {
    if (!isCryptoKey(key)) throw wrongType('key', 'an instance of CryptoKey', key);
    return keyObjectOf(key);
  }

  equals(other) {
    if (!(other instanceof KeyObject)) {
      throw wrongType('otherKeyObject', 'an instance of KeyObject', other);
    }
    if (other.#type !== this.#type) return false;
    return same(plain(this), plain(other));
  }
}
// The bundler renames a class that names itself.
Object.defineProperty(KeyObject, 'name', { configurable: true, value: 'KeyObject' });
Object.defineProperty(KeyObject.prototype, Symbol.toStringTag, {
  configurable: true,
  value: 'KeyObject',
});

function plain(key) {
  if (key.type === 'secret') return partsOf(key);
  return key.type === 'public' ? toSpki(partsOf(key)) : toPkcs8(partsOf(key));
}

class SecretKeyObject extends KeyObject {
  get symmetricKeySize() {
    return partsOf(this).length;
  }

  export(options) {
    if (options !== undefined) {
      checkObject('options', options);
      const { format } = options;
      if (format === 'jwk') return { kty: 'oct', k: encoded(partsOf(this)).toString('base64url') };
      if (format !== undefined && format !== 'buffer') throw wrongValue('options.format', format);
    }
    return Buffer.from(partsOf(this));
  }
}

class AsymmetricKeyObject extends KeyObject {
  get asymmetricKeyType() {
    return partsOf(this).type;
  }

  get asymmetricKeyDetails() {
    const { n, e, curve } = partsOf(this);
    if (curve !== undefined) return { namedCurve: CURVES[curve].opensslName };
    if (n === undefined) return {};
    const publicExponent = BigInt(`0x${Buffer.from(e).toString('hex')}`);
    return { modulusLength: bitLength(n), publicExponent };
  }
}

/** How many bits a number without zeros before it has. */
export function bitLength(bytes) {
  return bytes.length === 0 ? 0 : bytes.length * 8 - Math.clz32(bytes[0]) + 24;
}

function checkExport(options, types) {
  checkObject('options', options);
  const { type, format } = options;
  if (format !== 'pem' && format !== 'der' && format !== 'jwk') {
    if (type !== undefined && !types.includes(type)) throw wrongValue('options.type', type);
    throw wrongValue('options.format', format);
  }
  if (format !== 'jwk' && !types.includes(type)) throw wrongValue('options.type', type);
}

function checkEncoding(parts, type) {
  const wrong = (name, kind) =>
    codedError(
      'ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS',
      `The selected key encoding ${name} can only be used for ${kind} keys.`,
    );
  if (type === 'pkcs1' && parts.type !== 'rsa') throw wrong('pkcs1', 'RSA');
  if (type === 'sec1' && parts.type !== 'ec') throw wrong('sec1', 'EC');
}

function exportPublic(parts, options) {
  checkExport(options, ['spki', 'pkcs1']);
  if (options.format === 'jwk') return toJwk(parts);
  checkEncoding(parts, options.type);
  return write(parts, { type: options.type, format: options.format });
}

function exportPrivate(parts, options) {
  checkExport(options, ['pkcs8', 'pkcs1', 'sec1']);
  const { type, format, cipher, passphrase } = options;
  if (format === 'jwk') {
    if (cipher == null && passphrase === undefined) return toJwk(parts);
    throw codedError(
      'ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS',
      'The selected key encoding jwk does not support encryption.',
    );
  }
  checkEncoding(parts, type);
  if (cipher == null) {
    if (passphrase === undefined) return write(parts, { type, format });
    throw wrongValue('options.cipher', cipher);
  }
  if (typeof cipher !== 'string') throw wrongValue('options.cipher', cipher);
  if (!isKeyCipher(cipher.toLowerCase())) {
    throw codedError('ERR_CRYPTO_UNKNOWN_CIPHER', 'Unknown cipher');
  }
  if (format === 'der' && type !== 'pkcs8') {
    throw codedError(
      'ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS',
      `The selected key encoding ${type} does not support encryption.`,
    );
  }
  const secret = passphraseBytes(passphrase);
  if (secret === undefined) throw wrongValue('options.passphrase', passphrase);
  return write(parts, { type, format, cipher: cipher.toLowerCase(), passphrase: secret });
}

class PublicKeyObject extends AsymmetricKeyObject {
  export(options) {
    return exportPublic(partsOf(this), options);
  }
}

class PrivateKeyObject extends AsymmetricKeyObject {
  export(options) {
    return exportPrivate(partsOf(this), options);
  }
}

/** A secret key of these bytes, which nothing else may change. */
export function secretKey(bytes) {
  return new SecretKeyObject('secret', bytes, NEW);
}

/** A key object of parts. */
export function asymmetricKey(parts) {
  const Class = parts.d === undefined ? PublicKeyObject : PrivateKeyObject;
  return new Class(parts.d === undefined ? 'public' : 'private', parts, NEW);
}

/** The bytes or parts of a key object. */
export function keyParts(key) {
  return partsOf(key);
}

/** A key of the Web Cryptography API. */
export class CryptoKey {
  #key;
  #algorithm;
  #usages;
  #isExtractable;

  static {
    keyObjectOf = (key) => key.#key;
    isCryptoKeyValue = (key) => #key in key;
  }

  constructor(secret, key, algorithm, usages, isExtractable) {
    if (secret !== NEW) throw typeError('ERR_ILLEGAL_CONSTRUCTOR', 'Illegal constructor');
    this.#key = key;
    this.#algorithm = algorithm;
    this.#usages = usages;
    this.#isExtractable = isExtractable;
  }

  get type() {
    return this.#key.type;
  }

  get extractable() {
    return this.#isExtractable;
  }

  get algorithm() {
    return this.#algorithm;
  }

  get usages() {
    return this.#usages;
  }
}
Object.defineProperty(CryptoKey.prototype, Symbol.toStringTag, {
  configurable: true,
  value: 'CryptoKey',
});

/** A `CryptoKey` of a key object. */
export function cryptoKey(key, algorithm, usages, isExtractable) {
  return new CryptoKey(NEW, key, algorithm, usages, isExtractable);
}

/** Whether a value is a `CryptoKey`. */
export function isCryptoKey(value) {
  return value !== null && typeof value === 'object' && isCryptoKeyValue(value);
}

/** The key object inside a `CryptoKey`. */
export function innerKey(key) {
  return keyObjectOf(key);
}

function keyObject(value) {
  if (value instanceof KeyObject) return value;
  return isCryptoKey(value) ? keyObjectOf(value) : undefined;
}

function wrongKind(actual, expected) {
  return typeError(
    'ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE',
    `Invalid key object type ${actual}, expected ${expected}.`,
  );
}

const KEY =
  'of type string or an instance of ArrayBuffer, Buffer, TypedArray, DataView, KeyObject, or CryptoKey';
const PLAIN_KEY = 'of type string or an instance of ArrayBuffer, Buffer, TypedArray, or DataView';

/** The bytes of a secret key in any form. */
export function keyBytes(name, key, encoding) {
  if (typeof key === 'string') return Buffer.from(key, encoding);
  const object = keyObject(key);
  if (object !== undefined) {
    if (object.type !== 'secret') throw wrongKind(object.type, 'secret');
    return partsOf(object);
  }
  const bytes = viewBytes(key);
  if (bytes === undefined) throw wrongType(name, KEY, key);
  return bytes;
}

function passphraseBytes(passphrase, encoding) {
  if (typeof passphrase === 'string') return Buffer.from(passphrase, encoding);
  return viewBytes(passphrase);
}

function fromBytes(key, options, isPublicAllowed, isObjectAllowed) {
  const { encoding, format = 'pem', type } = options;
  const bytes = typeof key === 'string' ? Buffer.from(key, encoding) : viewBytes(key);
  if (bytes === undefined) throw wrongType('key', isObjectAllowed ? KEY : PLAIN_KEY, key);
  const passphrase = passphraseBytes(options.passphrase, encoding);
  if (options.passphrase != null && passphrase === undefined) {
    throw wrongValue('options.passphrase', options.passphrase);
  }
  if (format === 'pem') {
    return fromPem(Buffer.from(bytes).toString('latin1'), passphrase, isPublicAllowed);
  }
  if (format !== 'der') throw wrongValue('options.format', format);
  if (type === 'spki' || (type === 'pkcs1' && isPublicAllowed)) {
    if (!isPublicAllowed) throw wrongValue('options.type', type);
    try {
      return publicFromDer(bytes, type);
    } catch (error) {
      if (type === 'spki') throw error;
    }
  }
  if (type !== 'pkcs1' && type !== 'pkcs8' && type !== 'sec1') {
    throw wrongValue('options.type', type);
  }
  return privateFromDer(bytes, type, passphrase);
}

/** The parts of an asymmetric key in any form that `sign`, `verify` and the like take. */
export function asymmetricParts(key, expected, isObjectAllowed = true) {
  const isPublicAllowed = expected === 'public';
  const given = isObject(key) && 'key' in key && keyObject(key) === undefined ? key.key : key;
  const object = keyObject(given);
  if (object !== undefined) {
    if (!isObjectAllowed) throw wrongType('key', PLAIN_KEY, key);
    if (object.type === 'secret' || (!isPublicAllowed && object.type !== expected)) {
      throw wrongKind(object.type, isPublicAllowed ? 'private or public' : expected);
    }
    return isPublicAllowed ? publicParts(partsOf(object)) : partsOf(object);
  }
  const options = given === key ? {} : key;
  let parts;
  if (options.format === 'jwk') {
    checkObject('key.key', given);
    parts = fromJwk(given, !isPublicAllowed || (expected !== 'public' && 'd' in given));
  } else {
    parts = fromBytes(given, options, isPublicAllowed, isObjectAllowed);
  }
  return isPublicAllowed ? publicParts(parts) : parts;
}

function isObject(value) {
  return value !== null && typeof value === 'object' && viewBytes(value) === undefined;
}

/** Node's `createSecretKey`. */
export function createSecretKey(key, encoding) {
  const bytes = typeof key === 'string' ? Buffer.from(key, encoding) : bufferBytes('key', key);
  return secretKey(slice(bytes, 0));
}

/** Node's `createPrivateKey`. */
export function createPrivateKey(key) {
  return asymmetricKey(asymmetricParts(key, 'private', false));
}

/** Node's `createPublicKey`. */
export function createPublicKey(key) {
  const object = key instanceof KeyObject ? key : key?.key;
  if (object instanceof KeyObject && object.type !== 'private') {
    throw wrongKind(object.type, 'private');
  }
  return asymmetricKey(asymmetricParts(key, 'public'));
}

/** The curve that a user names, or Node's error. */
export function checkCurve(name, argument = 'options.namedCurve') {
  checkString(argument, name);
  const curve = curveName(name);
  if (curve === undefined) throw typeError('ERR_CRYPTO_INVALID_CURVE', 'Invalid EC curve name');
  return curve;
}
