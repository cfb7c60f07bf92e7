// `crypto`: randomness (Web Cryptography API).

import {
  ObjectDefineProperty,
  TypedArrayByteLength,
  TypedArrayByteOffset,
  TypedArrayBuffer,
  TypedArraySet,
  TypedArrayTag,
} from './primordials.js';
import { builtin } from './builtins.js';
import { DOMException } from './dom-exception.js';
import { viewBytes } from './encoding.js';
import { rangeError, typeError } from './errors.js';
import { native, touch } from './native.js';

/** The most that the host gives at once, and that `getRandomValues` may be asked for. */
const RANDOM_BYTES_MAX = 65536;

const HEX = [];
for (let i = 0; i < 256; i++) HEX[i] = (i < 16 ? '0' : '') + i.toString(16);

/** A random UUID (version 4). */
export function randomUUID() {
  touch('crypto.randomUUID()');
  const bytes = native.random(16);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  let text = '';
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-';
    text += HEX[bytes[i]];
  }
  return text;
}

/** Fills an integer array, at most 65536 bytes, with random values. */
export function getRandomValues(array) {
  const tag = ArrayBuffer.isView(array) ? TypedArrayTag(array) : undefined;
  if (tag === undefined || tag === 'Float32Array' || tag === 'Float64Array') {
    throw new DOMException(
      'The data argument must be an integer-type TypedArray',
      'TypeMismatchError',
    );
  }
  const length = TypedArrayByteLength(array);
  if (length > RANDOM_BYTES_MAX) {
    throw new DOMException(`The requested length exceeds 65,536 bytes`, 'QuotaExceededError');
  }
  touch('crypto.getRandomValues()');
  const bytes = new Uint8Array(TypedArrayBuffer(array), TypedArrayByteOffset(array), length);
  TypedArraySet(bytes, native.random(length));
  return array;
}

class Crypto {
  /** Made when it is asked for; few functions do. */
  get subtle() {
    return builtin('internal/webcrypto').subtle;
  }

  getRandomValues(array) {
    return getRandomValues(array);
  }

  randomUUID() {
    return randomUUID();
  }
}

ObjectDefineProperty(Crypto.prototype, Symbol.toStringTag, { configurable: true, value: 'Crypto' });

/** The global `crypto`. */
export const crypto = new Crypto();
export { Crypto };

/** Compares in a time that does not depend on the content. */
export function timingSafeEqual(a, b) {
  const one = viewBytes(a);
  const two = viewBytes(b);
  if (one === undefined || two === undefined) {
    const name = one === undefined ? 'buf1' : 'buf2';
    throw typeError(
      'ERR_INVALID_ARG_TYPE',
      `The "${name}" argument must be an instance of ArrayBuffer, Buffer, TypedArray, or DataView.`,
    );
  }
  if (one.length !== two.length) {
    throw rangeError(
      'ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH',
      'Input buffers must have the same byte length',
    );
  }
  let difference = 0;
  for (let i = 0; i < one.length; i++) difference |= one[i] ^ two[i];
  return difference === 0;
}
