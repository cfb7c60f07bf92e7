// Numbers in a `Buffer`: reading and writing, with Node's checks.

import { ObjectDefineProperty } from './primordials.js';
import { invalidArgType, nodeError, outOfRange } from './node/validate.js';

const float32 = new Float32Array(1);
const float64 = new Float64Array(1);
const bytes32 = new Uint8Array(float32.buffer);
const bytes64 = new Uint8Array(float64.buffer);

/** Why an offset cannot be: `last` is the greatest that could. */
function badOffset(offset, last, name = 'offset') {
  if (typeof offset !== 'number') return invalidArgType(name, 'number', offset);
  if (Math.floor(offset) !== offset) return outOfRange(name, 'an integer', offset);
  if (last < 0) {
    const text = 'Attempt to access memory outside buffer bounds';
    return nodeError(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', text);
  }
  return outOfRange(name, `>= ${name === 'offset' ? 0 : 1} and <= ${last}`, offset);
}

function checkOffset(buffer, offset, size) {
  if (typeof offset !== 'number') throw invalidArgType('offset', 'number', offset);
  if (buffer[offset] === undefined || buffer[offset + size - 1] === undefined) {
    throw badOffset(offset, buffer.length - size);
  }
}

function checkSize(size) {
  if (size === undefined || typeof size !== 'number') {
    throw invalidArgType('byteLength', 'number', size);
  }
  if (Math.floor(size) !== size || size < 1 || size > 6) throw badOffset(size, 6, 'byteLength');
}

/** The number of `size` bytes at an offset, the least byte first if `isLittle`. */
function unsigned(buffer, offset, size, isLittle) {
  let value = 0;
  for (let i = 0; i < size; i++) {
    value = value * 256 + buffer[isLittle ? offset + size - 1 - i : offset + i];
  }
  return value;
}

function signed(buffer, offset, size, isLittle) {
  const value = unsigned(buffer, offset, size, isLittle);
  return value >= 2 ** (8 * size - 1) ? value - 2 ** (8 * size) : value;
}

function put(buffer, value, offset, size, isLittle) {
  let rest = value;
  for (let i = 0; i < size; i++) {
    const byte = rest % 256;
    buffer[isLittle ? offset + i : offset + size - 1 - i] = byte;
    rest = Math.floor(rest / 256);
  }
  return offset + size;
}

/** The bounds in words, as Node has them; `n` stands behind the digits of a BigInt. */
function rangeOf(min, max, size, n) {
  if (size <= 4) return `>= ${min} and <= ${max}`;
  if (min < 0) {
    const bits = size * 8 - 1;
    return `>= -(2${n} ** ${bits}${n}) and < 2${n} ** ${bits}${n}`;
  }
  return `>= 0${n} and < 2${n} ** ${size * 8}${n}`;
}

function writeNumber(buffer, given, offset, size, isLittle, isSigned) {
  const value = +given;
  const max = isSigned ? 2 ** (8 * size - 1) - 1 : 2 ** (8 * size) - 1;
  const min = isSigned ? -max - 1 : 0;
  // A single byte has its place checked first.
  if (size === 1 && typeof offset !== 'number') throw invalidArgType('offset', 'number', offset);
  if (value > max || value < min) throw outOfRange('value', rangeOf(min, max, size, ''), value);
  checkOffset(buffer, offset, size);
  // What is no whole number loses its fraction; NaN is 0.
  const whole = Math.trunc(value) || 0;
  return put(buffer, whole < 0 ? whole + 2 ** (8 * size) : whole, offset, size, isLittle);
}

const words = (buffer, offset, isLittle) => {
  const first = unsigned(buffer, offset, 4, isLittle);
  const second = unsigned(buffer, offset + 4, 4, isLittle);
  return isLittle ? [second, first] : [first, second];
};

function readBig(buffer, offset, isLittle, isSigned) {
  checkOffset(buffer, offset, 8);
  const [high, low] = words(buffer, offset, isLittle);
  const top = isSigned && high >= 2 ** 31 ? high - 2 ** 32 : high;
  return BigInt(top) * 0x100000000n + BigInt(low);
}

function writeBig(buffer, value, offset, isLittle, isSigned) {
  const max = isSigned ? 2n ** 63n - 1n : 2n ** 64n - 1n;
  const min = isSigned ? -(2n ** 63n) : 0n;
  if (value > max || value < min) throw outOfRange('value', rangeOf(min, max, 8, 'n'), value);
  checkOffset(buffer, offset, 8);
  const low = Number(value & 0xffffffffn);
  const high = Number((value >> 32n) & 0xffffffffn);
  put(buffer, low, isLittle ? offset : offset + 4, 4, isLittle);
  put(buffer, high, isLittle ? offset + 4 : offset, 4, isLittle);
  return offset + 8;
}

function readFloat(buffer, offset, isLittle, bytes, numbers) {
  const size = bytes.length;
  checkOffset(buffer, offset, size);
  for (let i = 0; i < size; i++) bytes[isLittle ? i : size - 1 - i] = buffer[offset + i];
  return numbers[0];
}

function writeFloat(buffer, value, offset, isLittle, bytes, numbers) {
  const size = bytes.length;
  const number = +value;
  checkOffset(buffer, offset, size);
  numbers[0] = number;
  for (let i = 0; i < size; i++) buffer[offset + i] = bytes[isLittle ? i : size - 1 - i];
  return offset + size;
}

/** Puts the methods on `Buffer.prototype`, each under all of its names. */
export function addNumbers(proto) {
  const add = (names, method) => {
    for (const name of names) {
      ObjectDefineProperty(method, 'name', { configurable: true, value: names[0] });
      proto[name] = method;
    }
  };
  const both = (name) => [name, name.replace('UInt', 'Uint')];
  for (const isSigned of [false, true]) {
    const kind = isSigned ? 'Int' : 'UInt';
    const read = isSigned ? signed : unsigned;
    for (const [bits, end] of [
      [8, ''],
      [16, 'LE'],
      [16, 'BE'],
      [32, 'LE'],
      [32, 'BE'],
    ]) {
      const [size, isLittle] = [bits / 8, end === 'LE'];
      add(both(`read${kind}${bits}${end}`), function (offset = 0) {
        checkOffset(this, offset, size);
        return read(this, offset, size, isLittle);
      });
      add(both(`write${kind}${bits}${end}`), function (value, offset = 0) {
        return writeNumber(this, value, offset, size, isLittle, isSigned);
      });
    }
    for (const end of ['LE', 'BE']) {
      const isLittle = end === 'LE';
      add(both(`read${kind}${end}`), function (offset, size) {
        if (offset === undefined) throw invalidArgType('offset', 'number', offset);
        checkSize(size);
        checkOffset(this, offset, size);
        return read(this, offset, size, isLittle);
      });
      add(both(`write${kind}${end}`), function (value, offset, size) {
        checkSize(size);
        return writeNumber(this, value, offset, size, isLittle, isSigned);
      });
      add(both(`readBig${kind}64${end}`), function (offset = 0) {
        return readBig(this, offset, isLittle, isSigned);
      });
      add(both(`writeBig${kind}64${end}`), function (value, offset = 0) {
        return writeBig(this, value, offset, isLittle, isSigned);
      });
    }
  }
  for (const end of ['LE', 'BE']) {
    const isLittle = end === 'LE';
    for (const [name, bytes, numbers] of [
      ['Float', bytes32, float32],
      ['Double', bytes64, float64],
    ]) {
      add([`read${name}${end}`], function (offset = 0) {
        return readFloat(this, offset, isLittle, bytes, numbers);
      });
      add([`write${name}${end}`], function (value, offset = 0) {
        return writeFloat(this, value, offset, isLittle, bytes, numbers);
      });
    }
  }
}
