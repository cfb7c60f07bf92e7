// Random bytes, integers and UUIDs, as Node has them.

import { asBuffer } from '../../buffer.js';
import { randomUUID as uuid } from '../../crypto.js';
import { viewBytes } from '../../encoding.js';
import { native, touch } from '../../native.js';
import { nextTick } from '../../process.js';
import { checkFunction, checkObject, outOfRange, random } from './common.js';
import { wrongType } from '../../webidl.js';

/** The most that is given at once. Node allows more, which no sandbox could hold. */
const RANDOM_BYTES_MAX = 2147483647;

/** Node's `randomBytes`. */
export function randomBytes(size, callback) {
  if (typeof size !== 'number') throw wrongType('size', 'of type number', size);
  if (!(size >= 0 && size <= RANDOM_BYTES_MAX)) {
    throw outOfRange('size', `>= 0 && <= ${RANDOM_BYTES_MAX}`, size);
  }
  if (callback !== undefined) checkFunction('callback', callback);
  touch('crypto.randomBytes()');
  const bytes = asBuffer(random(Math.floor(size)));
  if (callback === undefined) return bytes;
  nextTick(callback, null, bytes);
  return undefined;
}

function place(name, value, unit, max) {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  const at = value * unit;
  if (Number.isNaN(at) || at < 0 || at > max) throw outOfRange(name, `>= 0 && <= ${max}`, at);
  return at;
}

function fill(buffer, offset = 0, size = undefined) {
  const bytes = viewBytes(buffer);
  if (bytes === undefined) {
    throw wrongType('buf', 'an instance of ArrayBuffer or ArrayBufferView', buffer);
  }
  // Offset and size count elements.
  const unit = ArrayBuffer.isView(buffer) ? (buffer.BYTES_PER_ELEMENT ?? 1) : 1;
  const start = place('offset', offset, unit, bytes.length);
  const length =
    size === undefined ? bytes.length - start : place('size', size, unit, RANDOM_BYTES_MAX);
  if (start + length > bytes.length) {
    throw outOfRange('size + offset', `<= ${bytes.length}`, start + length);
  }
  touch('crypto.randomFill()');
  bytes.set(random(length), start);
  return buffer;
}

/** Node's `randomFillSync`. */
export function randomFillSync(buffer, offset, size) {
  return fill(buffer, offset, size);
}

/** Node's `randomFill`. */
export function randomFill(buffer, ...rest) {
  const callback = rest.pop();
  checkFunction('callback', callback);
  nextTick(callback, null, fill(buffer, rest[0], rest[1]));
}

function checkLimits(min, max) {
  if (!Number.isSafeInteger(min)) throw wrongType('min', 'a safe integer', min);
  if (!Number.isSafeInteger(max)) throw wrongType('max', 'a safe integer', max);
  if (max <= min) {
    throw outOfRange('max', `greater than the value of "min" (${min})`, max);
  }
  if (max - min > 2 ** 48 - 1) throw outOfRange('max - min', `<= ${2 ** 48 - 1}`, max - min);
}

/** Node's `randomInt`: from `min` up to but without `max`. */
export function randomInt(min, max, callback) {
  if (max === undefined || typeof max === 'function') return randomInt(0, min, max);
  if (callback !== undefined) checkFunction('callback', callback);
  checkLimits(min, max);
  touch('crypto.randomInt()');
  const range = max - min;
  const limit = 2 ** 48 - (2 ** 48 % range);
  let value;
  do {
    const bytes = native.random(6);
    value = 0;
    for (let i = 0; i < 6; i++) value = value * 256 + bytes[i];
  } while (value >= limit);
  const result = min + (value % range);
  if (callback === undefined) return result;
  nextTick(callback, undefined, result);
  return undefined;
}

/** Node's `randomUUID`. */
export function randomUUID(options) {
  if (options !== undefined) {
    checkObject('options', options);
    const { disableEntropyCache } = options;
    if (disableEntropyCache !== undefined && typeof disableEntropyCache !== 'boolean') {
      throw wrongType('options.disableEntropyCache', 'of type boolean', disableEntropyCache);
    }
  }
  return uuid();
}
