// Keys from passwords and from other keys: pbkdf2, scrypt, hkdf.

import { codedError, rangeError } from '../../errors.js';
import {
  HASHES,
  anyBytes,
  attempt,
  checkFunction,
  checkInteger,
  checkString,
  encoded,
  knownHash,
  later,
  operate,
  outOfRange,
  toArrayBuffer,
} from './common.js';
import { wrongType } from '../../webidl.js';
import { keyBytes } from './keys.js';

function checkPbkdf2(password, salt, iterations, keylen, digest) {
  checkString('digest', digest);
  const given = [anyBytes('password', password), anyBytes('salt', salt)];
  checkInteger('iterations', iterations, 1);
  checkInteger('keylen', keylen, 0);
  return ['pbkdf2', knownHash(digest), ...given, `${iterations}`, `${keylen}`];
}

/** Node's `pbkdf2`. */
export function pbkdf2(password, salt, iterations, keylen, digest, callback) {
  if (typeof digest === 'function') checkString('digest', undefined);
  const given = checkPbkdf2(password, salt, iterations, keylen, digest);
  checkFunction('callback', callback);
  later(callback, () => encoded(operate(...given)));
}

/** Node's `pbkdf2Sync`. */
export function pbkdf2Sync(password, salt, iterations, keylen, digest) {
  return encoded(operate(...checkPbkdf2(password, salt, iterations, keylen, digest)));
}

const SCRYPT = [
  ['N', 'cost', 16384],
  ['r', 'blockSize', 8],
  ['p', 'parallelization', 1],
];

function scryptOption(options, [short, long, usual]) {
  const isShort = options[short] !== undefined;
  if (isShort && options[long] !== undefined) {
    throw codedError('ERR_CRYPTO_SCRYPT_INVALID_PARAMETER', 'Invalid scrypt parameter');
  }
  const value = isShort ? options[short] : options[long];
  if (value === undefined) return usual;
  checkInteger(isShort ? short : long, value, 0, 4294967295);
  return value || usual;
}

function wrongScrypt(reason = '') {
  return rangeError('ERR_CRYPTO_INVALID_SCRYPT_PARAMS', `Invalid scrypt params${reason}`);
}

function checkScrypt(password, salt, keylen, options = {}) {
  const given = [anyBytes('password', password), anyBytes('salt', salt)];
  checkInteger('keylen', keylen, 0);
  const [N, r, p] = SCRYPT.map((option) => scryptOption(options, option));
  const { maxmem = 32 << 20 } = options;
  if (typeof maxmem !== 'number') throw wrongType('maxmem', 'of type number', maxmem);
  const log = Math.log2(N);
  if (N < 2 || !Number.isInteger(log) || log >= 16 * r || r * p >= 2 ** 30) throw wrongScrypt();
  const limit = ': error:030000AC:digital envelope routines::memory limit exceeded';
  if (128 * r * (N + p + 2) > maxmem) throw wrongScrypt(limit);
  return () => {
    const key = attempt('scrypt', ...given, `${log}`, `${r}`, `${p}`, `${keylen}`);
    if (typeof key === 'string') throw wrongScrypt(key === 'memory' ? limit : '');
    return encoded(key);
  };
}

/** Node's `scrypt`. */
export function scrypt(password, salt, keylen, options, callback) {
  const isShort = typeof options === 'function';
  const work = checkScrypt(password, salt, keylen, isShort ? undefined : (options ?? {}));
  checkFunction('callback', isShort ? options : callback);
  later(isShort ? options : callback, work);
}

/** Node's `scryptSync`. */
export function scryptSync(password, salt, keylen, options) {
  return checkScrypt(password, salt, keylen, options ?? {})();
}

function checkHkdf(digest, key, salt, info, length) {
  checkString('digest', digest);
  const given = [keyBytes('ikm', key), anyBytes('salt', salt), anyBytes('info', info)];
  checkInteger('length', length, 0);
  if (given[2].length > 1024) {
    throw outOfRange('info', 'must not contain more than 1024 bytes', given[2].length);
  }
  const name = knownHash(digest);
  if (length > 255 * HASHES[name].length) {
    throw rangeError('ERR_CRYPTO_INVALID_KEYLEN', 'Invalid key length');
  }
  return () => toArrayBuffer(operate('hkdf', name, ...given, `${length}`));
}

/** Node's `hkdf`. */
export function hkdf(digest, key, salt, info, length, callback) {
  const work = checkHkdf(digest, key, salt, info, length);
  checkFunction('callback', callback);
  later(callback, work);
}

/** Node's `hkdfSync`. */
export function hkdfSync(digest, key, salt, info, length) {
  return checkHkdf(digest, key, salt, info, length)();
}
