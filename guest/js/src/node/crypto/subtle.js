// `crypto.subtle` (Web Cryptography API).

import { codedError, typeError } from '../../errors.js';
import { Buffer } from '../../buffer.js';
import { viewBytes } from '../../encoding.js';
import { crypt } from './cipher.js';
import {
  HASHES,
  attempt,
  domError,
  join,
  operate,
  random,
  same,
  slice,
  toArrayBuffer,
} from './common.js';
import { trim } from './der.js';
import {
  CURVES,
  ecPublic,
  fromJwk,
  fromPkcs8,
  fromSpki,
  publicParts,
  toJwk,
  toPkcs8,
  toSpki,
} from './formats.js';
import { agree, newEc, newEd, newRsa } from './generate.js';
import {
  CryptoKey,
  asymmetricKey,
  bitLength,
  cryptoKey,
  innerKey,
  isCryptoKey,
  keyParts,
  secretKey,
} from './keys.js';
import * as rsa from './rsa.js';
import { signDigest, verifyDigest } from './sign.js';

const DIGESTS = {
  __proto__: null,
  'SHA-1': 'sha1',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
};

const SIGN = { public: ['verify'], private: ['sign'], secret: ['sign', 'verify'] };
const CRYPT = {
  public: ['encrypt', 'wrapKey'],
  private: ['decrypt', 'unwrapKey'],
  secret: ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey'],
};
const WRAP = { secret: ['wrapKey', 'unwrapKey'] };
const DERIVE = { public: [], private: ['deriveKey', 'deriveBits'] };
const DERIVE_SECRET = { secret: ['deriveKey', 'deriveBits'] };

/** Families of algorithms, and what their keys may be used for. */
const ALGORITHMS = {
  __proto__: null,
  HMAC: { family: 'hmac', usages: SIGN, kind: 'HMAC' },
  'AES-CBC': { family: 'aes', usages: CRYPT, mode: 'cbc', kind: 'AES' },
  'AES-CTR': { family: 'aes', usages: CRYPT, mode: 'ctr', kind: 'AES' },
  'AES-GCM': { family: 'aes', usages: CRYPT, mode: 'gcm', kind: 'AES' },
  'AES-KW': { family: 'aes', usages: WRAP, mode: 'kw', kind: 'AES' },
  'RSASSA-PKCS1-v1_5': { family: 'rsa', usages: SIGN, kind: 'RSA' },
  'RSA-PSS': { family: 'rsa', usages: SIGN, kind: 'RSA' },
  'RSA-OAEP': { family: 'rsa', usages: CRYPT, kind: 'RSA' },
  ECDSA: { family: 'ec', usages: SIGN, kind: 'ECDSA' },
  ECDH: { family: 'ec', usages: DERIVE, kind: 'ECDH' },
  Ed25519: { family: 'okp', usages: SIGN, kind: 'Ed25519' },
  X25519: { family: 'okp', usages: DERIVE, kind: 'X25519' },
  PBKDF2: { family: 'kdf', usages: DERIVE_SECRET, kind: 'PBKDF2' },
  HKDF: { family: 'kdf', usages: DERIVE_SECRET, kind: 'HKDF' },
};

const CANONICAL = { __proto__: null };
for (const name of [...Object.keys(ALGORITHMS), ...Object.keys(DIGESTS)]) {
  CANONICAL[name.toUpperCase()] = name;
}

const notSupported = (message) => domError('NotSupportedError', message);
const dataError = (message) => domError('DataError', message);
const syntaxError = (message) => domError('SyntaxError', message);
const operationError = (message = 'The operation failed for an operation-specific reason') =>
  domError('OperationError', message);
const accessError = (message = 'The requested operation is not valid for the provided key') =>
  domError('InvalidAccessError', message);

// Arguments.

function canonical(name) {
  const known = CANONICAL[`${name}`.toUpperCase()];
  if (known === undefined) throw notSupported('Unrecognized algorithm name');
  return known;
}

/** An algorithm as an object with the name spelt right. */
function algorithmOf(given) {
  if (given === null || typeof given !== 'object') return { name: canonical(given) };
  if (given.name === undefined) missing('name', 'Algorithm');
  return Object.assign({ __proto__: null }, given, { name: canonical(given.name) });
}

function missing(member, dictionary) {
  throw typeError(
    'ERR_MISSING_OPTION',
    `Failed to normalize algorithm: passed algorithm can not be converted to '${dictionary}' ` +
      `because '${member}' is required in '${dictionary}'.`,
  );
}

function member(algorithm, name, dictionary) {
  if (algorithm[name] === undefined) missing(name, dictionary);
  return algorithm[name];
}

function bytesMember(algorithm, name, dictionary) {
  const bytes = viewBytes(member(algorithm, name, dictionary));
  if (bytes !== undefined) return bytes;
  throw typeError(
    'ERR_INVALID_ARG_TYPE',
    `Failed to normalize algorithm: '${name}' of '${dictionary}' (passed algorithm) is not ` +
      'instance of ArrayBuffer, Buffer, TypedArray, or DataView.',
  );
}

function hashMember(algorithm, dictionary) {
  const { name } = algorithmOf(member(algorithm, 'hash', dictionary));
  if (DIGESTS[name] === undefined) throw notSupported('Unrecognized algorithm name');
  return name;
}

function wrongArgument(method, index, what) {
  const ordinal = ['1st', '2nd', '3rd', '4th', '5th', '6th', '7th'][index - 1];
  return typeError(
    'ERR_INVALID_ARG_TYPE',
    `Failed to execute '${method}' on 'SubtleCrypto': ${ordinal} argument ${what}`,
  );
}

/** A copy of the bytes of an argument. */
function argumentBytes(method, index, value) {
  const bytes = viewBytes(value);
  if (bytes !== undefined) return slice(bytes, 0);
  throw wrongArgument(
    method,
    index,
    'is not instance of ArrayBuffer, Buffer, TypedArray, or DataView.',
  );
}

function argumentKey(method, index, key) {
  if (!isCryptoKey(key)) throw wrongArgument(method, index, 'is not of type CryptoKey.');
  return key;
}

const FORMATS = ['raw', 'spki', 'pkcs8', 'jwk'];

function argumentFormat(method, format) {
  if (FORMATS.includes(format)) return;
  throw typeError(
    'ERR_INVALID_ARG_VALUE',
    `Failed to execute '${method}' on 'SubtleCrypto': 1st argument value '${format}' is not a ` +
      'valid enum value of type KeyFormat.',
  );
}

const USAGES = [
  'encrypt',
  'decrypt',
  'sign',
  'verify',
  'deriveKey',
  'deriveBits',
  'wrapKey',
  'unwrapKey',
];

function argumentUsages(method, index, usages) {
  const list = usages === undefined || usages === null ? [] : Array.from(usages);
  for (const usage of list) {
    if (!USAGES.includes(usage)) {
      throw typeError(
        'ERR_INVALID_ARG_VALUE',
        `Failed to execute '${method}' on 'SubtleCrypto': usage '${usage}' is not a valid enum ` +
          'value of type KeyUsage.',
      );
    }
  }
  return list;
}

function checkArguments(method, given, count) {
  if (given.length >= count) return;
  throw typeError(
    'ERR_MISSING_ARGS',
    `Failed to execute '${method}' on 'SubtleCrypto': ${count} arguments required, but only ` +
      `${given.length} present.`,
  );
}

function article(kind) {
  return /^[AHRXE]/.test(kind) ? 'an' : 'a';
}

function checkUsages(name, type, usages, isCreated) {
  const { usages: allowed, kind } = ALGORITHMS[name];
  const list = allowed[type] ?? [];
  for (const usage of usages) {
    if (!list.includes(usage)) {
      throw syntaxError(`Unsupported key usage for ${article(kind)} ${kind} key`);
    }
  }
  if (usages.length === 0 && type !== 'public') {
    throw syntaxError(
      isCreated
        ? 'Usages cannot be empty when creating a key.'
        : `Usages cannot be empty when importing a ${type} key.`,
    );
  }
}

/** The key inside, if it is one of this algorithm that may be used so. */
function use(key, name, usage) {
  if (key.algorithm.name !== name || !key.usages.includes(usage)) throw accessError();
  return keyParts(innerKey(key));
}

// Algorithms of keys.

function checkHashedImport(algorithm) {
  return hashMember(
    algorithm,
    algorithm.name === 'HMAC' ? 'HmacImportParams' : 'RsaHashedImportParams',
  );
}

function rsaAlgorithm(name, parts, hash) {
  return {
    name,
    modulusLength: bitLength(parts.n),
    publicExponent: slice(parts.e, 0),
    hash: { name: hash },
  };
}

function curveMember(algorithm) {
  const curve = member(algorithm, 'namedCurve', 'EcKeyImportParams');
  if (CURVES[curve] === undefined) throw notSupported('Unrecognized namedCurve');
  return curve;
}

// Import.

const JWK_ALGS = {
  __proto__: null,
  HMAC: (hash) => `HS${hash.slice(4)}`,
  'RSASSA-PKCS1-v1_5': (hash) => `RS${hash.slice(4)}`,
  'RSA-PSS': (hash) => `PS${hash.slice(4)}`,
  'RSA-OAEP': (hash) => (hash === 'SHA-1' ? 'RSA-OAEP' : `RSA-OAEP-${hash.slice(4)}`),
};

const OPPOSITE_USE = { __proto__: null, sign: 'sig', verify: 'sig' };

/** The checks that all JWKs share. */
function checkJwk(jwk, kty, extractable, usages) {
  if (jwk === null || typeof jwk !== 'object' || viewBytes(jwk) !== undefined) {
    throw wrongArgument('importKey', 2, 'can not be converted to a dictionary');
  }
  if (jwk.kty !== kty) throw dataError('Invalid JWK "kty" Parameter');
  if (usages.length > 0 && jwk.use !== undefined) {
    const expected = OPPOSITE_USE[usages[0]] ?? 'enc';
    if (jwk.use !== expected) throw dataError('Invalid JWK "use" Parameter');
  }
  if (jwk.key_ops !== undefined) {
    if (!Array.isArray(jwk.key_ops)) throw dataError('Invalid JWK "key_ops" Parameter');
    for (const usage of usages) {
      if (!jwk.key_ops.includes(usage)) throw dataError('Key operations and usage mismatch');
    }
  }
  if (jwk.ext === false && extractable) {
    throw dataError('JWK "ext" Parameter and extractable mismatch');
  }
}

function checkAlg(jwk, expected) {
  if (jwk.alg === undefined || jwk.alg === expected) return;
  throw dataError('JWK "alg" does not match the requested algorithm');
}

function secretBytes(format, data, { name, kind, extractable, usages, alg }) {
  if (format === 'raw') return argumentBytes('importKey', 2, data);
  if (format !== 'jwk') throw notSupported(`Unable to import ${kind} key with format ${format}`);
  checkJwk(data, 'oct', extractable, usages);
  if (typeof data.k !== 'string') throw dataError('Invalid keyData');
  const bytes = new Uint8Array(Buffer.from(data.k, 'base64url'));
  const expected = alg(bytes);
  if (expected !== undefined) checkAlg(data, expected);
  return name && bytes;
}

const aesAlg = (name, bytes) => `A${bytes.length * 8}${name.slice(4)}`;

function importSecret(format, data, algorithm, extractable, usages) {
  const { name } = algorithm;
  const { family, kind } = ALGORITHMS[name];
  if (family === 'kdf') {
    if (format !== 'raw') throw notSupported(`Unable to import ${name} key with format ${format}`);
    if (extractable) throw syntaxError(`${name} keys are not extractable`);
  }
  const hash = family === 'hmac' ? checkHashedImport(algorithm) : undefined;
  checkUsages(name, 'secret', usages, false);
  const alg = (bytes) => {
    if (family === 'hmac') return JWK_ALGS.HMAC(hash);
    return [16, 24, 32].includes(bytes.length) ? aesAlg(name, bytes) : undefined;
  };
  const bytes = secretBytes(format, data, { name, kind, extractable, usages, alg });
  return cryptoKey(secretKey(bytes), secretAlgorithm(algorithm, hash, bytes), usages, extractable);
}

function secretAlgorithm({ name, length }, hash, bytes) {
  const { family } = ALGORITHMS[name];
  if (family === 'kdf') return { name };
  if (family === 'aes') {
    if (![16, 24, 32].includes(bytes.length)) throw dataError('Invalid key length');
    return { name, length: bytes.length * 8 };
  }
  if (bytes.length === 0) throw dataError('Zero-length key is not supported');
  if (length !== undefined && length !== bytes.length * 8) throw dataError('Invalid key length');
  return { name, hash: { name: hash }, length: bytes.length * 8 };
}

const KTY = { __proto__: null, rsa: 'RSA', ec: 'EC', okp: 'OKP' };

/** The parts of an asymmetric key that is imported, before they are checked. */
function readAsymmetric(format, data, algorithm, extractable, usages) {
  const { name } = algorithm;
  const { family } = ALGORITHMS[name];
  try {
    if (format === 'jwk') {
      checkJwk(data, KTY[family], extractable, usages);
      if (family === 'rsa') checkAlg(data, JWK_ALGS[name](checkHashedImport(algorithm)));
      if (family === 'ec' && data.crv !== curveMember(algorithm)) throw new Error('curve');
      if (family === 'okp' && data.crv !== name) {
        throw dataError('JWK "crv" Parameter and algorithm name mismatch');
      }
      return fromJwk(data, data.d !== undefined);
    }
    const bytes = argumentBytes('importKey', 2, data);
    if (format === 'spki') return fromSpki(bytes);
    if (format === 'pkcs8') return fromPkcs8(bytes);
    if (family === 'ec') return ecPublic(curveMember(algorithm), bytes);
    if (family === 'okp' && bytes.length === 32) {
      return { type: name.toLowerCase(), point: bytes };
    }
  } catch (error) {
    if (error.name === 'NotSupportedError' || error.name === 'DataError') throw error;
    if (error.code === 'ERR_INVALID_ARG_TYPE' && !`${error.message}`.includes('"key.')) throw error;
    if (error.code === 'ERR_MISSING_OPTION') throw error;
    throw domErrorWithCause(error);
  }
  throw family === 'rsa'
    ? notSupported(`Unable to import RSA key with format ${format}`)
    : dataError('Invalid keyData');
}

function domErrorWithCause(cause) {
  const error = dataError('Invalid keyData');
  Object.defineProperty(error, 'cause', { configurable: true, value: cause, writable: true });
  return error;
}

function importAsymmetric(format, data, algorithm, extractable, usages) {
  const { name } = algorithm;
  const { family, kind } = ALGORITHMS[name];
  const hash = family === 'rsa' ? checkHashedImport(algorithm) : undefined;
  const curve = family === 'ec' ? curveMember(algorithm) : undefined;
  const isPrivate = format === 'pkcs8' || (format === 'jwk' && data?.d !== undefined);
  checkUsages(name, isPrivate ? 'private' : 'public', usages, false);
  const parts = readAsymmetric(format, data, algorithm, extractable, usages);
  const expected = family === 'okp' ? name.toLowerCase() : family;
  if (parts.type !== expected) throw dataError('Invalid key type');
  if (curve !== undefined && parts.curve !== curve) throw dataError('Named curve mismatch');
  let own = { name };
  if (hash !== undefined) own = rsaAlgorithm(name, parts, hash);
  if (curve !== undefined) own = { name, namedCurve: curve };
  return kind && cryptoKey(asymmetricKey(parts), own, usages, extractable);
}

function importAny(format, data, algorithm, extractable, usages) {
  const entry = ALGORITHMS[algorithm.name];
  if (entry === undefined) throw notSupported('Unrecognized algorithm name');
  const isSecret =
    entry.usages.secret !== undefined && !['rsa', 'ec', 'okp'].includes(entry.family);
  return isSecret
    ? importSecret(format, data, algorithm, extractable, usages)
    : importAsymmetric(format, data, algorithm, extractable, usages);
}

// Export.

function jwkAlg(key) {
  const { name, hash } = key.algorithm;
  if (JWK_ALGS[name] !== undefined) return JWK_ALGS[name](hash.name);
  if (ALGORITHMS[name].family === 'aes') return aesAlg(name, keyParts(innerKey(key)));
  return name === 'Ed25519' ? 'Ed25519' : undefined;
}

function exportJwk(key, parts) {
  const jwk = { key_ops: [...key.usages], ext: key.extractable };
  if (key.type === 'secret') {
    jwk.kty = 'oct';
    jwk.k = Buffer.from(parts).toString('base64url');
  } else {
    Object.assign(jwk, toJwk(parts));
  }
  const alg = jwkAlg(key);
  if (alg !== undefined) jwk.alg = alg;
  return jwk;
}

/** A JWK, or bytes. */
function exportAny(format, key) {
  const { name } = key.algorithm;
  const parts = keyParts(innerKey(key));
  if (format === 'jwk') return exportJwk(key, parts);
  const isRight =
    (format === 'raw' && (key.type === 'secret' || (key.type === 'public' && parts.point))) ||
    (format === 'spki' && key.type === 'public') ||
    (format === 'pkcs8' && key.type === 'private');
  if (!isRight) {
    throw domError('InvalidAccessError', `Unable to export a ${format} ${name} ${key.type} key`);
  }
  if (format === 'raw') return key.type === 'secret' ? parts : parts.point;
  return format === 'spki' ? toSpki(parts) : toPkcs8(parts);
}

// Making keys.

function aesLength(algorithm, dictionary) {
  const length = member(algorithm, 'length', dictionary);
  if (length !== 128 && length !== 192 && length !== 256) {
    throw operationError('AES key length must be 128, 192, or 256 bits');
  }
  return length;
}

function hmacLength(algorithm, hash) {
  const { length } = algorithm;
  if (length === undefined) return HASHES[DIGESTS[hash]].block * 8;
  if (length === 0) throw operationError('Zero-length key is not supported');
  return length;
}

function generateSecret(algorithm, extractable, usages) {
  const { name } = algorithm;
  checkUsages(name, 'secret', usages, true);
  let own;
  if (ALGORITHMS[name].family === 'aes') {
    own = { name, length: aesLength(algorithm, 'AesKeyGenParams') };
  } else {
    const hash = hashMember(algorithm, 'HmacKeyGenParams');
    own = { name, length: hmacLength(algorithm, hash), hash: { name: hash } };
  }
  return cryptoKey(secretKey(random(Math.ceil(own.length / 8))), own, usages, extractable);
}

function rsaGenerator(algorithm) {
  const hash = hashMember(algorithm, 'RsaHashedKeyGenParams');
  const bits = member(algorithm, 'modulusLength', 'RsaHashedKeyGenParams');
  const exponent = bytesMember(algorithm, 'publicExponent', 'RsaHashedKeyGenParams');
  if (!Number.isInteger(bits) || bits < 512 || bits > 8192 || trim(exponent).length > 4) {
    throw operationError();
  }
  return () => {
    const parts = newRsa(bits, trim(exponent));
    return [parts, rsaAlgorithm(algorithm.name, parts, hash)];
  };
}

function pairGenerator(algorithm) {
  const { name } = algorithm;
  const { family } = ALGORITHMS[name];
  if (family === 'rsa') return rsaGenerator(algorithm);
  if (family === 'okp') return () => [newEd(name.toLowerCase()), { name }];
  const curve = curveMember(algorithm);
  return () => [newEc(curve), { name, namedCurve: curve }];
}

function generatePair(algorithm, extractable, usages) {
  const { usages: allowed, kind } = ALGORITHMS[algorithm.name];
  const all = [...allowed.public, ...allowed.private];
  for (const usage of usages) {
    if (all.includes(usage)) continue;
    throw syntaxError(`Unsupported key usage for ${article(kind)} ${kind} key`);
  }
  const make = pairGenerator(algorithm);
  const of = (type) => usages.filter((usage) => allowed[type].includes(usage));
  if (of('private').length === 0) throw syntaxError('Usages cannot be empty when creating a key.');
  let made;
  try {
    made = make();
  } catch (error) {
    throw error.code === 'ERR_CRYPTO_OPERATION_FAILED' ? operationError() : error;
  }
  const [parts, own] = made;
  return {
    __proto__: null,
    publicKey: cryptoKey(asymmetricKey(publicParts(parts)), own, of('public'), true),
    privateKey: cryptoKey(asymmetricKey(parts), own, of('private'), extractable),
  };
}

// Encryption.

function checkIv(bytes, name = 'iv') {
  if (bytes.length !== 16) throw operationError(`algorithm.${name} must contain exactly 16 bytes`);
  return bytes;
}

/** AES-CTR with a counter of fewer than 128 bits, which goes back to zero without a carry. */
function aesCtr(algorithm, key, data) {
  const counter = checkIv(bytesMember(algorithm, 'counter', 'AesCtrParams'), 'counter');
  const length = member(algorithm, 'length', 'AesCtrParams');
  if (!(length >= 1 && length <= 128)) {
    throw operationError('AES-CTR algorithm.length must be between 1 and 128');
  }
  const period = 1n << BigInt(length);
  const start = BigInt(`0x${Buffer.from(counter).toString('hex')}`);
  const blocks = BigInt(Math.ceil(data.length / 16));
  if (blocks > period) throw operationError();
  const left = period - (start % period);
  if (blocks <= left) return crypt('ctr', key, counter, true, data);
  const split = Number(left) * 16;
  const digits = (start - (start % period)).toString(16).padStart(32, '0');
  return join(
    crypt('ctr', key, counter, true, data.subarray(0, split)),
    crypt('ctr', key, Buffer.from(digits, 'hex'), true, data.subarray(split)),
  );
}

const TAG_BITS = [32, 64, 96, 104, 112, 120, 128];

function aesGcm(algorithm, key, data, isEncrypting) {
  const iv = bytesMember(algorithm, 'iv', 'AesGcmParams');
  const { tagLength = 128, additionalData } = algorithm;
  if (!TAG_BITS.includes(tagLength)) {
    throw operationError(`${tagLength} is not a valid AES-GCM tag length`);
  }
  const aad =
    additionalData === undefined
      ? undefined
      : bytesMember(algorithm, 'additionalData', 'AesGcmParams');
  const tag = tagLength / 8;
  if (!isEncrypting && data.length < tag) {
    throw operationError('The provided data is too small.');
  }
  return crypt('gcm', key, iv, isEncrypting, data, { aad, tag });
}

function rsaOaep(algorithm, key, parts, data, isEncrypting) {
  const { label } = algorithm;
  const options = {
    padding: rsa.RSA_PKCS1_OAEP_PADDING,
    hash: DIGESTS[key.algorithm.hash.name],
    label: label === undefined ? '' : bytesMember(algorithm, 'label', 'RsaOaepParams'),
  };
  try {
    return isEncrypting ? rsa.encrypt(parts, data, options) : rsa.decrypt(parts, data, options);
  } catch {
    throw operationError();
  }
}

function cryptWith(algorithm, key, data, usage) {
  const { name } = algorithm;
  const parts = use(key, name, usage);
  const isEncrypting = usage === 'encrypt' || usage === 'wrapKey';
  if (name === 'RSA-OAEP') {
    const isRight = key.type === (isEncrypting ? 'public' : 'private');
    if (!isRight) throw accessError();
    return rsaOaep(algorithm, key, parts, data, isEncrypting);
  }
  let result;
  if (name === 'AES-CBC') {
    const iv = checkIv(bytesMember(algorithm, 'iv', 'AesCbcParams'));
    result = crypt('cbc', parts, iv, isEncrypting, data);
  } else if (name === 'AES-CTR') result = aesCtr(algorithm, parts, data);
  else if (name === 'AES-GCM') result = aesGcm(algorithm, parts, data, isEncrypting);
  else if (name === 'AES-KW' && usage.endsWith('Key')) {
    result = attempt(isEncrypting ? 'keyWrap' : 'keyUnwrap', parts, data);
  } else throw notSupported('Unrecognized algorithm name');
  if (typeof result === 'string') throw operationError();
  return result;
}

// Signatures.

function signature(algorithm, key, usage) {
  const { name } = algorithm;
  const parts = use(key, name, usage);
  if (name === 'ECDSA') {
    const hash = DIGESTS[hashMember(algorithm, 'EcdsaParams')];
    return { parts, hash, options: { isDer: false } };
  }
  if (name === 'RSA-PSS') {
    const saltLength = member(algorithm, 'saltLength', 'RsaPssParams');
    const options = { padding: rsa.RSA_PKCS1_PSS_PADDING, saltLength };
    return { parts, hash: DIGESTS[key.algorithm.hash.name], options };
  }
  if (name === 'RSASSA-PKCS1-v1_5' || name === 'HMAC') {
    return { parts, hash: DIGESTS[key.algorithm.hash.name], options: {} };
  }
  if (name !== 'Ed25519') throw notSupported('Unrecognized algorithm name');
  return { parts };
}

function signWith(algorithm, key, data) {
  const { parts, hash, options } = signature(algorithm, key, 'sign');
  if (algorithm.name === 'HMAC') return operate('hmac', hash, parts, data);
  if (algorithm.name === 'Ed25519') return operate('edSign', parts.d, data);
  try {
    return signDigest(parts, hash, operate('hash', hash, data), options);
  } catch {
    throw operationError();
  }
}

function verifyWith(algorithm, key, given, data) {
  const { parts, hash, options } = signature(algorithm, key, 'verify');
  if (algorithm.name === 'HMAC') return same(operate('hmac', hash, parts, data), given);
  if (algorithm.name === 'Ed25519') {
    return given.length === 64 && operate('edVerify', parts.point, data, given)[0] === 1;
  }
  return verifyDigest(parts, hash, operate('hash', hash, data), given, options);
}

// Derivation.

function checkLength(length) {
  if (length === null || length === undefined) throw operationError('length cannot be null');
  if (length % 8 !== 0) throw operationError('length must be a multiple of 8');
  return length / 8;
}

function derivePbkdf2(algorithm, secret, length) {
  const hash = DIGESTS[hashMember(algorithm, 'Pbkdf2Params')];
  const salt = bytesMember(algorithm, 'salt', 'Pbkdf2Params');
  const rounds = member(algorithm, 'iterations', 'Pbkdf2Params');
  if (!(rounds > 0)) throw operationError('iterations cannot be zero');
  return operate('pbkdf2', hash, secret, salt, `${rounds}`, `${checkLength(length)}`);
}

function deriveHkdf(algorithm, secret, length) {
  const hash = DIGESTS[hashMember(algorithm, 'HkdfParams')];
  const salt = bytesMember(algorithm, 'salt', 'HkdfParams');
  const info = bytesMember(algorithm, 'info', 'HkdfParams');
  const made = attempt('hkdf', hash, secret, salt, info, `${checkLength(length)}`);
  if (typeof made === 'string') throw operationError();
  return made;
}

function deriveAgreed(algorithm, key, parts, length) {
  const { public: other } = algorithm;
  if (!isCryptoKey(other)) {
    throw typeError(
      'ERR_INVALID_ARG_TYPE',
      "Failed to normalize algorithm: 'public' of 'EcdhKeyDeriveParams' is not of type CryptoKey.",
    );
  }
  if (other.type !== 'public') throw accessError('algorithm.public must be a public key');
  if (other.algorithm.name !== key.algorithm.name)
    throw accessError('Keys must be of the same kind');
  if (other.algorithm.namedCurve !== key.algorithm.namedCurve) {
    throw accessError('Named curve mismatch');
  }
  const secret = agree(parts, keyParts(innerKey(other)));
  if (typeof secret === 'string') throw operationError();
  if (length === null || length === undefined) return secret;
  const bytes = Math.ceil(length / 8);
  if (bytes > secret.length) throw operationError('derived bit length is too small');
  const part = secret.slice(0, bytes);
  if (length % 8 !== 0) part[bytes - 1] &= 0xff << (8 - (length % 8));
  return part;
}

function deriveWith(algorithm, key, length, usage) {
  const parts = use(key, algorithm.name, usage);
  if (algorithm.name === 'PBKDF2') return derivePbkdf2(algorithm, parts, length);
  if (algorithm.name === 'HKDF') return deriveHkdf(algorithm, parts, length);
  if (key.type !== 'private') throw accessError('baseKey must be a private key');
  return deriveAgreed(algorithm, key, parts, length);
}

function derivedLength(algorithm) {
  const entry = ALGORITHMS[algorithm.name];
  if (entry?.family === 'aes') return aesLength(algorithm, 'AesDerivedKeyParams');
  if (entry?.family === 'kdf') return null;
  if (entry?.family !== 'hmac') throw notSupported('Unrecognized algorithm name');
  return hmacLength(algorithm, hashMember(algorithm, 'HmacImportParams'));
}

/** The interface; every method answers a promise. */
export class SubtleCrypto {
  #isReal = true;

  constructor(secret) {
    if (secret !== ALGORITHMS) throw typeError('ERR_ILLEGAL_CONSTRUCTOR', 'Illegal constructor');
  }

  static #check(value) {
    if (value !== null && typeof value === 'object' && #isReal in value) return;
    throw codedError('ERR_INVALID_THIS', 'Value of "this" must be of type SubtleCrypto', TypeError);
  }

  async digest(algorithm, data) {
    SubtleCrypto.#check(this);
    checkArguments('digest', arguments, 2);
    const bytes = argumentBytes('digest', 2, data);
    const hash = DIGESTS[algorithmOf(algorithm).name];
    if (hash === undefined) throw notSupported('Unrecognized algorithm name');
    return toArrayBuffer(operate('hash', hash, bytes));
  }

  async encrypt(algorithm, key, data) {
    SubtleCrypto.#check(this);
    checkArguments('encrypt', arguments, 3);
    argumentKey('encrypt', 2, key);
    const bytes = argumentBytes('encrypt', 3, data);
    return toArrayBuffer(cryptWith(algorithmOf(algorithm), key, bytes, 'encrypt'));
  }

  async decrypt(algorithm, key, data) {
    SubtleCrypto.#check(this);
    checkArguments('decrypt', arguments, 3);
    argumentKey('decrypt', 2, key);
    const bytes = argumentBytes('decrypt', 3, data);
    return toArrayBuffer(cryptWith(algorithmOf(algorithm), key, bytes, 'decrypt'));
  }

  async sign(algorithm, key, data) {
    SubtleCrypto.#check(this);
    checkArguments('sign', arguments, 3);
    argumentKey('sign', 2, key);
    const bytes = argumentBytes('sign', 3, data);
    return toArrayBuffer(signWith(algorithmOf(algorithm), key, bytes));
  }

  async verify(algorithm, key, signature, data) {
    SubtleCrypto.#check(this);
    checkArguments('verify', arguments, 4);
    argumentKey('verify', 2, key);
    const given = argumentBytes('verify', 3, signature);
    const bytes = argumentBytes('verify', 4, data);
    return verifyWith(algorithmOf(algorithm), key, given, bytes);
  }

  async generateKey(algorithm, extractable, keyUsages) {
    SubtleCrypto.#check(this);
    checkArguments('generateKey', arguments, 3);
    const own = algorithmOf(algorithm);
    const usages = argumentUsages('generateKey', 3, keyUsages);
    const entry = ALGORITHMS[own.name];
    if (entry === undefined || entry.family === 'kdf') {
      throw notSupported('Unrecognized algorithm name');
    }
    const isSecret = entry.family === 'aes' || entry.family === 'hmac';
    return (isSecret ? generateSecret : generatePair)(own, Boolean(extractable), usages);
  }

  async importKey(format, keyData, algorithm, extractable, keyUsages) {
    SubtleCrypto.#check(this);
    checkArguments('importKey', arguments, 5);
    argumentFormat('importKey', format);
    const usages = argumentUsages('importKey', 5, keyUsages);
    return importAny(format, keyData, algorithmOf(algorithm), Boolean(extractable), usages);
  }

  async exportKey(format, key) {
    SubtleCrypto.#check(this);
    checkArguments('exportKey', arguments, 2);
    argumentFormat('exportKey', format);
    argumentKey('exportKey', 2, key);
    if (!key.extractable) throw domError('InvalidAccessException', 'key is not extractable');
    const exported = exportAny(format, key);
    return format === 'jwk' ? exported : toArrayBuffer(exported);
  }

  async deriveBits(algorithm, baseKey, length = null) {
    SubtleCrypto.#check(this);
    checkArguments('deriveBits', arguments, 2);
    argumentKey('deriveBits', 2, baseKey);
    return toArrayBuffer(deriveWith(algorithmOf(algorithm), baseKey, length, 'deriveBits'));
  }

  async deriveKey(algorithm, baseKey, derivedKeyType, extractable, keyUsages) {
    SubtleCrypto.#check(this);
    checkArguments('deriveKey', arguments, 5);
    argumentKey('deriveKey', 2, baseKey);
    const own = algorithmOf(derivedKeyType);
    const usages = argumentUsages('deriveKey', 5, keyUsages);
    const bits = deriveWith(algorithmOf(algorithm), baseKey, derivedLength(own), 'deriveKey');
    return importAny('raw', bits, own, Boolean(extractable), usages);
  }

  async wrapKey(format, key, wrappingKey, wrapAlgorithm) {
    SubtleCrypto.#check(this);
    checkArguments('wrapKey', arguments, 4);
    argumentFormat('wrapKey', format);
    argumentKey('wrapKey', 2, key);
    argumentKey('wrapKey', 3, wrappingKey);
    if (!key.extractable) throw domError('InvalidAccessException', 'key is not extractable');
    const exported = exportAny(format, key);
    const bytes = format === 'jwk' ? Buffer.from(JSON.stringify(exported)) : exported;
    return toArrayBuffer(cryptWith(algorithmOf(wrapAlgorithm), wrappingKey, bytes, 'wrapKey'));
  }

  async unwrapKey(
    format,
    wrappedKey,
    unwrappingKey,
    unwrapAlgorithm,
    keyType,
    extractable,
    keyUsages,
  ) {
    SubtleCrypto.#check(this);
    checkArguments('unwrapKey', arguments, 7);
    argumentFormat('unwrapKey', format);
    const wrapped = argumentBytes('unwrapKey', 2, wrappedKey);
    argumentKey('unwrapKey', 3, unwrappingKey);
    const own = algorithmOf(keyType);
    const usages = argumentUsages('unwrapKey', 7, keyUsages);
    const bytes = cryptWith(algorithmOf(unwrapAlgorithm), unwrappingKey, wrapped, 'unwrapKey');
    let data = bytes;
    if (format === 'jwk') {
      try {
        data = JSON.parse(Buffer.from(bytes).toString());
      } catch {
        throw dataError('Invalid wrapped JWK key');
      }
    }
    return importAny(format, data, own, Boolean(extractable), usages);
  }
}
// The bundler renames a class that names itself.
Object.defineProperty(SubtleCrypto, 'name', { configurable: true, value: 'SubtleCrypto' });
Object.defineProperty(SubtleCrypto.prototype, Symbol.toStringTag, {
  configurable: true,
  value: 'SubtleCrypto',
});

/** `crypto.subtle`. */
export const subtle = new SubtleCrypto(ALGORITHMS);

export default { CryptoKey, SubtleCrypto, subtle };
