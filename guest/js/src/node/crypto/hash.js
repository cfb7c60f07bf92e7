// createHash, createHmac and hash.

import { codedError } from '../../errors.js';
import { viewBytes } from '../../encoding.js';
import {
  HASHES,
  anyBytes,
  attempt,
  checkInteger,
  checkString,
  dataBytes,
  encoded,
  hashName,
  join,
  knownHash,
  opensslError,
  operate,
  slice,
} from './common.js';
import { keyBytes } from './keys.js';
import { LazyStream } from './lazy-stream.js';

/** Up to here data is gathered, so that a short message is hashed in one call. */
const GATHERED_BYTES_MAX = 16384;

function finalized() {
  return codedError('ERR_CRYPTO_HASH_FINALIZED', 'Digest already called');
}

/** What `Hash` and `Hmac` have in common: data gathered first, streamed to a native state then. */
class Running {
  #name;
  #key;
  #chunks = [];
  #length = 0;
  #state;
  #made;

  constructor(name, key) {
    this.#name = name;
    this.#key = key;
  }

  update(bytes) {
    if (this.#state === undefined && this.#length + bytes.length > GATHERED_BYTES_MAX) {
      const key = this.#key === undefined ? [] : [this.#key];
      this.#state = String.fromCharCode(...operate('hashBegin', this.#name, ...key));
      if (this.#length > 0) operate('hashUpdate', this.#state, join(...this.#chunks));
      this.#chunks = [];
    }
    if (this.#state !== undefined) {
      operate('hashUpdate', this.#state, bytes);
      return;
    }
    this.#length += bytes.length;
    this.#chunks.push(slice(bytes, 0));
  }

  copy() {
    const copy = new Running(this.#name, this.#key);
    copy.#chunks = [...this.#chunks];
    copy.#length = this.#length;
    if (this.#state !== undefined) {
      copy.#state = String.fromCharCode(...operate('hashCopy', this.#state));
    }
    return copy;
  }

  /** The digest; asked again, the same. */
  finish() {
    this.#made ??= this.#finish();
    return this.#made;
  }

  #finish() {
    if (this.#state !== undefined) return operate('hashFinish', this.#state);
    const data = this.#chunks.length === 1 ? this.#chunks[0] : join(...this.#chunks);
    if (this.#key === undefined) return operate('hash', this.#name, data);
    return operate('hmac', this.#name, this.#key, data);
  }
}

class HashStream extends LazyStream {
  _transform(chunk, encoding, callback) {
    this.update(chunk, encoding);
    callback();
  }
}

function outputLength(name, options) {
  const length = options?.outputLength;
  if (length === undefined) return;
  checkInteger('options.outputLength', length, 0, 4294967295);
  if (length !== HASHES[name].length) {
    throw opensslError('030000B2', 'digital envelope routines', 'not XOF or invalid length');
  }
}

/** A hash under way. */
export class Hash extends HashStream {
  #running;

  constructor(algorithm, options) {
    super();
    if (algorithm instanceof Running) {
      this.#running = algorithm;
      return;
    }
    checkString('algorithm', algorithm);
    const name = hashName(algorithm);
    if (name === undefined) throw new Error('Digest method not supported');
    outputLength(name, options);
    this._options = options;
    this.#running = new Running(name);
  }

  update(data, encoding) {
    if (this.#running === null) throw finalized();
    this.#running.update(dataBytes('data', data, encoding));
    return this;
  }

  copy() {
    if (this.#running === null) throw finalized();
    return new Hash(this.#running.copy());
  }

  digest(encoding) {
    if (this.#running === null) throw finalized();
    const digest = this.#running.finish();
    this.#running = null;
    return encoded(digest, encoding);
  }

  /** The end of the stream; `digest` may still be asked. */
  _flush(callback) {
    this.push(encoded(slice(this.#running.finish(), 0)));
    callback();
  }
}

/** An HMAC under way. */
export class Hmac extends HashStream {
  #running;
  #isDone = false;

  constructor(algorithm, key, options) {
    super();
    if (typeof algorithm !== 'string') checkString('hmac', algorithm);
    const bytes = keyBytes('key', key, options?.encoding);
    this._options = options;
    this.#running = new Running(knownHash(algorithm), bytes);
  }

  update(data, encoding) {
    if (this.#isDone) throw finalized();
    this.#running.update(dataBytes('data', data, encoding));
    return this;
  }

  digest(encoding) {
    // Asked again, Node answers nothing rather than an error.
    const digest = this.#isDone ? new Uint8Array(0) : this.#running.finish();
    this.#isDone = true;
    return encoded(digest, encoding);
  }

  /** The end of the stream; `digest` may still be asked. */
  _flush(callback) {
    this.push(encoded(slice(this.#running.finish(), 0)));
    callback();
  }
}

// The bundler renames a class that names itself.
Object.defineProperty(Hash, 'name', { configurable: true, value: 'Hash' });

/** Node's `createHash`. */
export function createHash(algorithm, options) {
  return new Hash(algorithm, options);
}

/** Node's `createHmac`. */
export function createHmac(algorithm, key, options) {
  return new Hmac(algorithm, key, options);
}

/** Node's `hash`: all at once. */
export function hash(algorithm, data, encoding = 'hex') {
  checkString('algorithm', algorithm);
  const name = hashName(algorithm);
  if (name === undefined) throw new Error('Digest method not supported');
  const bytes = typeof data === 'string' ? anyBytes('input', data) : viewBytes(data);
  return encoded(operate('hash', name, dataBytes('input', bytes ?? data)), encoding);
}

/** A hash by its native name. */
export function digest(name, data) {
  return operate('hash', name, data);
}

/** An HMAC by the native name of its hash. */
export function mac(name, key, data) {
  return attempt('hmac', name, key, data);
}
