// createCipheriv, createDecipheriv, getCiphers, getCipherInfo.

import stringDecoder from 'string_decoder';
import { codedError, rangeError, typeError } from '../../errors.js';
import { Buffer } from '../../buffer.js';
import {
  anyBytes,
  attempt,
  checkInteger,
  checkString,
  dataBytes,
  encoded,
  join,
  opensslError,
  operate,
} from './common.js';
import { keyBytes } from './keys.js';
import { LazyStream } from './lazy-stream.js';

const MODES = {
  __proto__: null,
  cbc: { blockSize: 16, iv: 16, nid: [419, 423, 427] },
  ecb: { blockSize: 16, iv: 0, nid: [418, 422, 426] },
  ctr: { blockSize: 1, iv: 16, nid: [904, 905, 906] },
  gcm: { blockSize: 1, iv: 12, nid: [895, 898, 901], isAuthenticated: true },
};

const CHACHA = {
  name: 'chacha20-poly1305',
  mode: 'chacha20-poly1305',
  keyLength: 32,
  iv: 12,
  isAuthenticated: true,
  nid: 1018,
};

/** What is known of a cipher by its name, or undefined. */
function cipher(name) {
  const lower = name.toLowerCase();
  if (lower === 'chacha20-poly1305') return CHACHA;
  const parts =
    /^aes-?(128|192|256)(?:-(cbc|ecb|ctr|gcm))?$/.exec(lower) ??
    /^id-aes(128|192|256)-(gcm)$/.exec(lower);
  if (parts === null) return undefined;
  // Without a mode it is CBC, and with the dash missing nothing else.
  if (parts[2] === undefined && lower[3] === '-') return undefined;
  if (parts[2] !== undefined && lower.startsWith('aes') && lower[3] !== '-') return undefined;
  const mode = parts[2] ?? 'cbc';
  const { nid, ...rest } = MODES[mode];
  return {
    ...rest,
    mode,
    name: mode === 'gcm' ? `id-aes${parts[1]}-gcm` : `aes-${parts[1]}-${mode}`,
    keyLength: parts[1] / 8,
    nid: nid[(parts[1] - 128) / 64],
  };
}

/** Node's `getCiphers`, as far as they are here. */
export function getCiphers() {
  const names = [];
  for (const bits of [128, 192, 256]) {
    for (const mode of ['cbc', 'ctr', 'ecb', 'gcm']) names.push(`aes-${bits}-${mode}`);
    names.push(`aes${bits}`, `id-aes${bits}-gcm`);
  }
  return [...names, 'chacha20-poly1305'].sort();
}

/** Node's `getCipherInfo`. */
export function getCipherInfo(nameOrNid, options = {}) {
  const { keyLength, ivLength } = options;
  const isNid = typeof nameOrNid === 'number';
  if (!isNid) checkString('nameOrNid', nameOrNid);
  const name = isNid ? getCiphers().find((one) => cipher(one).nid === nameOrNid) : nameOrNid;
  const info = name === undefined ? undefined : cipher(name);
  if (info === undefined) return undefined;
  if (keyLength !== undefined && keyLength !== info.keyLength) return undefined;
  if (ivLength !== undefined && ivLength !== info.iv && !info.isAuthenticated) return undefined;
  return {
    mode: info === CHACHA ? 'stream' : info.mode,
    name: info.name,
    nid: info.nid,
    ...(info.blockSize === undefined ? {} : { blockSize: info.blockSize }),
    ...(info.iv === 0 ? {} : { ivLength: ivLength ?? info.iv }),
    keyLength: info.keyLength,
  };
}

function wrongIv() {
  return typeError('ERR_CRYPTO_INVALID_IV', 'Invalid initialization vector');
}

function invalidState(operation) {
  return codedError('ERR_CRYPTO_INVALID_STATE', `Invalid state for operation ${operation}`);
}

/** As OpenSSL says it; what it means depends on the cipher. */
function failure(why, info) {
  if (info.isAuthenticated) {
    return new Error('Unsupported state or unable to authenticate data');
  }
  return why === 'length'
    ? opensslError('1C80006B', 'Provider routines', 'wrong final block length')
    : opensslError('1C800064', 'Provider routines', 'bad decrypt');
}

const TAG_LENGTHS = [4, 8, 12, 13, 14, 15, 16];

function checkTagLength(info, length) {
  const isRight = info.mode === 'gcm' ? TAG_LENGTHS.includes(length) : length >= 1 && length <= 16;
  if (isRight) return;
  throw typeError('ERR_CRYPTO_INVALID_AUTH_TAG', `Invalid authentication tag length: ${length}`);
}

class CipherBase extends LazyStream {
  #info;
  #key;
  #iv;
  #isEncrypting;
  #isPadded = true;
  #state;
  #isDone = false;
  #tag;
  #tagLength;
  #decoder;
  #encoding;

  constructor(isEncrypting, algorithm, key, iv, options) {
    super();
    checkString('cipher', algorithm);
    const encoding = options?.encoding;
    const keyData = keyBytes('key', key, encoding);
    const ivData = iv === null ? null : anyBytes('iv', iv, encoding);
    const info = cipher(algorithm);
    if (info === undefined) throw codedError('ERR_CRYPTO_UNKNOWN_CIPHER', 'Unknown cipher');
    if (ivData === null ? info.iv !== 0 : !isIvLength(info, ivData.length)) throw wrongIv();
    if (keyData.length !== info.keyLength) {
      throw rangeError('ERR_CRYPTO_INVALID_KEYLEN', 'Invalid key length');
    }
    const tagLength = options?.authTagLength;
    if (tagLength !== undefined && info.isAuthenticated) {
      checkInteger('options.authTagLength', tagLength, 0);
      checkTagLength(info, tagLength);
    }
    this._options = options;
    this.#info = info;
    this.#key = new Uint8Array(keyData);
    this.#iv = new Uint8Array(ivData ?? 0);
    this.#isEncrypting = isEncrypting;
    this.#tagLength = tagLength;
  }

  /** The native state, begun when it is needed, because padding is chosen after construction. */
  #running() {
    this.#state ??= String.fromCharCode(
      ...operate(
        'cipherBegin',
        this.#info.mode,
        this.#key,
        this.#iv,
        this.#isEncrypting ? '1' : '0',
        this.#isPadded ? '1' : '0',
      ),
    );
    return this.#state;
  }

  #out(bytes, encoding, isLast) {
    if (!encoding || encoding === 'buffer') return encoded(bytes);
    if (this.#decoder === undefined) {
      this.#decoder = new stringDecoder.StringDecoder(encoding);
      this.#encoding = normal(encoding);
    } else if (this.#encoding !== normal(encoding)) {
      throw codedError('ERR_INTERNAL_ASSERTION', 'Cannot change encoding');
    }
    const text = this.#decoder.write(encoded(bytes));
    return isLast ? text + this.#decoder.end() : text;
  }

  update(data, inputEncoding, outputEncoding) {
    const bytes = dataBytes('data', data, inputEncoding);
    if (this.#isDone) throw new Error('Trying to add data in unsupported state');
    return this.#out(operate('cipherUpdate', this.#running(), bytes), outputEncoding, false);
  }

  final(outputEncoding) {
    if (this.#isDone) throw codedError('ERR_CRYPTO_INVALID_STATE', 'Invalid state');
    const state = this.#running();
    this.#isDone = true;
    const tag = this.#isEncrypting ? undefined : this.#tag;
    const answer = attempt('cipherFinish', state, tag ?? '');
    if (typeof answer === 'string') throw failure(answer, this.#info);
    if (!this.#info.isAuthenticated) return this.#out(answer, outputEncoding, true);
    if (this.#isEncrypting) this.#tag = answer.subarray(0, this.#tagLength ?? 16);
    return this.#out(new Uint8Array(0), outputEncoding, true);
  }

  setAutoPadding(isPadded = true) {
    if (this.#isDone) throw invalidState('setAutoPadding');
    // Data that is under way has been padded or not; as in OpenSSL it is the beginning that counts.
    if (this.#state === undefined) this.#isPadded = Boolean(isPadded);
    return this;
  }

  setAAD(data, options) {
    const bytes = anyBytes('buffer', data, options?.encoding);
    if (this.#isDone || !this.#info.isAuthenticated) throw invalidState('setAAD');
    const answer = attempt('cipherAad', this.#running(), bytes);
    if (typeof answer === 'string') throw invalidState('setAAD');
    return this;
  }

  getAuthTag() {
    if (!this.#isEncrypting || !this.#isDone || this.#tag === undefined) {
      throw invalidState('getAuthTag');
    }
    return Buffer.from(this.#tag);
  }

  setAuthTag(tag, encoding) {
    const bytes = anyBytes('buffer', tag, encoding);
    if (this.#isDone || !this.#info.isAuthenticated || this.#tag !== undefined) {
      throw invalidState('setAuthTag');
    }
    checkTagLength(this.#info, bytes.length);
    if (this.#tagLength !== undefined && this.#tagLength !== bytes.length) {
      throw typeError(
        'ERR_CRYPTO_INVALID_AUTH_TAG',
        `Invalid authentication tag length: ${bytes.length}`,
      );
    }
    this.#tag = new Uint8Array(bytes);
    return this;
  }

  _transform(chunk, encoding, callback) {
    this.push(this.update(chunk, encoding));
    callback();
  }

  _flush(callback) {
    let error = null;
    try {
      this.push(this.final());
    } catch (thrown) {
      error = thrown;
    }
    callback(error);
  }
}

function normal(encoding) {
  const lower = `${encoding}`.toLowerCase();
  return lower === 'utf-8' ? 'utf8' : lower === 'binary' ? 'latin1' : lower;
}

function isIvLength(info, length) {
  if (info.mode === 'gcm') return length > 0;
  if (info === CHACHA) return length > 0 && length <= 12;
  return length === info.iv;
}

/** Encrypts. */
export class Cipheriv extends CipherBase {
  constructor(algorithm, key, iv, options) {
    super(true, algorithm, key, iv, options);
  }
}

/** Decrypts. */
export class Decipheriv extends CipherBase {
  constructor(algorithm, key, iv, options) {
    super(false, algorithm, key, iv, options);
  }
}

/** Node's `createCipheriv`. */
export function createCipheriv(algorithm, key, iv, options) {
  return new Cipheriv(algorithm, key, iv, options);
}

/** Node's `createDecipheriv`. */
export function createDecipheriv(algorithm, key, iv, options) {
  return new Decipheriv(algorithm, key, iv, options);
}

/** One message at once; a word if it fails. Tags stand after the data. */
export function crypt(mode, key, iv, isEncrypting, data, { aad, isPadded = true, tag = 16 } = {}) {
  const flags = [isEncrypting ? '1' : '0', isPadded ? '1' : '0'];
  const begun = attempt('cipherBegin', mode, key, iv, ...flags);
  if (typeof begun === 'string') return begun;
  const state = String.fromCharCode(...begun);
  if (aad !== undefined) operate('cipherAad', state, aad);
  const hasTag = mode === 'gcm' || mode === 'chacha20-poly1305';
  const end = hasTag && !isEncrypting ? data.length - tag : data.length;
  const main = operate('cipherUpdate', state, data.subarray(0, end));
  const last = attempt('cipherFinish', state, data.subarray(end));
  if (typeof last === 'string') return last;
  return join(main, hasTag ? last.subarray(0, tag) : last);
}
