// Node's `crypto`.

import { codedError } from '../errors.js';
import { crypto as webcrypto, getRandomValues, timingSafeEqual } from '../crypto.js';
import * as cipher from './crypto/cipher.js';
import { HASH_NAMES } from './crypto/common.js';
import * as derive from './crypto/derive.js';
import { CURVE_LIST } from './crypto/formats.js';
import * as generate from './crypto/generate.js';
import { Hash, Hmac, createHash, createHmac, hash } from './crypto/hash.js';
import { KeyObject, createPrivateKey, createPublicKey, createSecretKey } from './crypto/keys.js';
import * as randomness from './crypto/random.js';
import * as sign from './crypto/sign.js';
import { constants } from './crypto/constants.js';
import { subtle } from './crypto/subtle.js';

function missing(name) {
  return function unavailable() {
    throw codedError('ERR_METHOD_NOT_IMPLEMENTED', `crypto.${name} is not available in Ampoule`);
  };
}

const MISSING = [
  'Certificate',
  'DiffieHellman',
  'DiffieHellmanGroup',
  'X509Certificate',
  'createDiffieHellman',
  'createDiffieHellmanGroup',
  'getDiffieHellman',
  'setEngine',
];

const { createCipheriv, createDecipheriv, getCiphers, getCipherInfo, Cipheriv, Decipheriv } =
  cipher;

const exports = {
  ...derive,
  ...randomness,
  Cipheriv,
  Decipheriv,
  ECDH: generate.ECDH,
  Hash,
  Hmac,
  KeyObject,
  Sign: sign.Sign,
  Verify: sign.Verify,
  checkPrime: generate.checkPrime,
  checkPrimeSync: generate.checkPrimeSync,
  constants,
  createCipheriv,
  createDecipheriv,
  createECDH: generate.createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  createSign: sign.createSign,
  createVerify: sign.createVerify,
  diffieHellman: generate.diffieHellman,
  generateKey: generate.generateKey,
  generateKeyPair: generate.generateKeyPair,
  generateKeyPairSync: generate.generateKeyPairSync,
  generateKeySync: generate.generateKeySync,
  generatePrime: generate.generatePrime,
  generatePrimeSync: generate.generatePrimeSync,
  getCipherInfo,
  getCiphers,
  getCurves: () => [...CURVE_LIST],
  getFips: () => 0,
  getHashes: () => [...HASH_NAMES],
  getRandomValues,
  hash,
  privateDecrypt: sign.privateDecrypt,
  privateEncrypt: sign.privateEncrypt,
  publicDecrypt: sign.publicDecrypt,
  publicEncrypt: sign.publicEncrypt,
  secureHeapUsed: () => ({ total: 0, used: 0, utilization: 0, min: 0 }),
  setFips(enabled) {
    if (!enabled) return;
    throw codedError('ERR_CRYPTO_FIPS_UNAVAILABLE', 'Cannot set FIPS mode in a non-FIPS build.');
  },
  sign: sign.sign,
  subtle,
  timingSafeEqual,
  verify: sign.verify,
  webcrypto,
};
for (const name of MISSING) exports[name] = missing(name);

export default exports;
