// Node's `buffer`: the `buffer` package, with the host's UTF-8 and Base64 and with `base64url`.

import { Buffer as NpmBuffer, SlowBuffer, INSPECT_MAX_BYTES, kMaxLength } from 'npm-buffer';
import {
  ArrayBufferIsView,
  ArrayIsArray,
  MathFloor,
  ObjectSetPrototypeOf,
  ReflectApply,
  RegExpPrototypeExec,
  SafeArrayBuffer,
  SafeRangeError,
  SafeString,
  SafeTypeError,
  SafeUint8Array,
  StringPrototypeReplaceAll,
  StringPrototypeSlice,
  StringPrototypeToLowerCase,
  TypedArray,
  TypedArrayBuffer,
  TypedArrayByteOffset,
  TypedArraySet,
  TypedArraySlice,
  TypedArraySubarray,
  TypedArrayTag,
  isObject,
  uncurryThis,
} from './primordials.js';
import { addNumbers } from './buffer-numbers.js';
import { viewBytes } from './encoding.js';
import { native } from './native.js';
import {
  invalidArgType,
  invalidArgValue,
  nodeError,
  outOfRange,
  validateInteger,
} from './node/validate.js';
import { received } from './webidl.js';

const TypedArrayCopyWithin = uncurryThis(TypedArray.prototype.copyWithin);
const TypedArrayFill = uncurryThis(TypedArray.prototype.fill);

export const Buffer = NpmBuffer;
const proto = Buffer.prototype;
const { from: npmFrom, isEncoding: npmIsEncoding, byteLength: npmByteLength } = Buffer;
const { compare: npmCompare } = Buffer;
const { toString: npmToString, write: npmWrite } = proto;

/** The same bytes as a `Buffer`, not copied. */
export function asBuffer(bytes) {
  return ObjectSetPrototypeOf(bytes, proto);
}

function isUtf8(encoding) {
  if (encoding === undefined || encoding === null || encoding === '') return true;
  if (encoding === 'utf8' || encoding === 'utf-8') return true;
  const lower = StringPrototypeToLowerCase(SafeString(encoding));
  return lower === 'utf8' || lower === 'utf-8';
}

function isBase64Url(encoding) {
  return typeof encoding === 'string' && StringPrototypeToLowerCase(encoding) === 'base64url';
}

function unknownEncoding(encoding) {
  return nodeError(SafeTypeError, 'ERR_UNKNOWN_ENCODING', `Unknown encoding: ${encoding}`);
}

const isBytes = (value) => value instanceof SafeUint8Array;

const NOT_HEX = /[^0-9a-f]/i;

/** Whole bytes in hexadecimal, up to the first character that is none. */
function wholeHex(text) {
  const found = RegExpPrototypeExec(NOT_HEX, text);
  const length = found === null ? text.length : found.index;
  return StringPrototypeSlice(text, 0, length - (length % 2));
}

function isHex(encoding) {
  return typeof encoding === 'string' && StringPrototypeToLowerCase(encoding) === 'hex';
}

/** The bytes of a string, of which Node checks the encoding. */
function encode(text, encoding) {
  if (isUtf8(encoding)) return asBuffer(native.utf8Encode(text));
  if (!Buffer.isEncoding(encoding)) throw unknownEncoding(encoding);
  if (isHex(encoding)) return npmFrom(wholeHex(text), 'hex');
  return npmFrom(text, isBase64Url(encoding) ? 'base64' : encoding);
}

Buffer.from = function from(value, encodingOrOffset, length) {
  if (typeof value === 'string') {
    return encode(value, typeof encodingOrOffset === 'string' ? encodingOrOffset : undefined);
  }
  if (!isObject(value) || typeof value === 'function') {
    const kinds = 'of type string or an instance of Buffer, ArrayBuffer, or Array or an ';
    throw nodeError(
      SafeTypeError,
      'ERR_INVALID_ARG_TYPE',
      `The first argument must be ${kinds}Array-like Object.${received(value)}`,
    );
  }
  return npmFrom(value, encodingOrOffset, length);
};

function checkLength(size) {
  if (typeof size !== 'number') throw invalidArgType('size', 'number', size);
  if (!(size >= 0 && size <= kMaxLength)) {
    throw outOfRange('size', `>= 0 && <= ${kMaxLength}`, size);
  }
}

Buffer.alloc = function alloc(size, fill, encoding) {
  checkLength(size);
  const buffer = asBuffer(new SafeUint8Array(size));
  if (fill === undefined || fill === 0 || size === 0) return buffer;
  return buffer.fill(fill, typeof encoding === 'string' ? encoding : undefined);
};

Buffer.allocUnsafe = function allocUnsafe(size) {
  checkLength(size);
  return asBuffer(new SafeUint8Array(size));
};

Buffer.allocUnsafeSlow = function allocUnsafeSlow(size) {
  return Buffer.allocUnsafe(size);
};

Buffer.copyBytesFrom = function copyBytesFrom(view, offset = 0, length = undefined) {
  if (!ArrayBufferIsView(view) || TypedArrayTag(view) === undefined) {
    throw invalidArgType('view', 'TypedArray', view);
  }
  const end = length === undefined ? view.length : offset + length;
  return asBuffer(new SafeUint8Array(viewBytes(TypedArraySlice(view, offset, end))));
};

Buffer.isEncoding = function isEncoding(encoding) {
  return typeof encoding === 'string' && (isBase64Url(encoding) || npmIsEncoding(encoding));
};

Buffer.byteLength = function byteLength(value, encoding) {
  if (typeof value !== 'string') {
    if (ArrayBufferIsView(value) || value instanceof SafeArrayBuffer) return value.byteLength;
    throw invalidArgType('string', ['string', 'Buffer', 'ArrayBuffer'], value);
  }
  const lower = encoding ? StringPrototypeToLowerCase(SafeString(encoding)) : 'utf8';
  if (lower !== 'base64url' && lower !== 'base64') return npmByteLength(value, lower);
  // By the length alone, as in Node, whatever the text holds.
  let { length } = value;
  for (let i = 0; i < 2 && length > 0 && value[length - 1] === '='; i++) length--;
  return MathFloor((length * 3) / 4);
};

Buffer.compare = function compare(a, b) {
  if (!isBytes(a)) throw invalidArgType('buf1', ['Buffer', 'Uint8Array'], a);
  if (!isBytes(b)) throw invalidArgType('buf2', ['Buffer', 'Uint8Array'], b);
  return npmCompare(a, b);
};

Buffer.concat = function concat(list, length) {
  if (!ArrayIsArray(list)) throw invalidArgType('list', 'Array', list);
  if (list.length === 0) return asBuffer(new SafeUint8Array(0));
  let total = 0;
  for (let i = 0; i < list.length; i++) {
    if (!isBytes(list[i])) throw invalidArgType(`list[${i}]`, ['Buffer', 'Uint8Array'], list[i]);
    total += list[i].length;
  }
  if (length !== undefined) {
    validateInteger(length, 'length', 0);
    total = length;
  }
  const all = asBuffer(new SafeUint8Array(total));
  for (let i = 0, at = 0; i < list.length && at < total; at += list[i++].length) {
    const left = total - at;
    TypedArraySet(all, list[i].length > left ? TypedArraySubarray(list[i], 0, left) : list[i], at);
  }
  return all;
};

proto.equals = function equals(other) {
  if (!isBytes(other)) throw invalidArgType('otherBuffer', ['Buffer', 'Uint8Array'], other);
  return this.length === other.length && npmCompare(this, other) === 0;
};

/** Repeats a pattern, twice as long each time. */
function repeat(target, pattern) {
  let done = pattern.length < target.length ? pattern.length : target.length;
  TypedArraySet(target, TypedArraySubarray(pattern, 0, done));
  while (done < target.length) {
    TypedArrayCopyWithin(target, done, 0, done);
    done *= 2;
  }
}

proto.fill = function fill(value, offset, end, encoding) {
  if (typeof value === 'string') {
    if (typeof offset === 'string') [encoding, offset, end] = [offset, undefined, undefined];
    else if (typeof end === 'string') [encoding, end] = [end, undefined];
  }
  const bytes = typeof value === 'string' && value !== '' ? encode(value, encoding) : value;
  let from = 0;
  let to = this.length;
  if (offset !== undefined) {
    if (typeof offset !== 'number') throw invalidArgType('offset', 'number', offset);
    if (!(offset >= 0)) throw outOfRange('offset', '>= 0', offset);
    if (end !== undefined) checkBound(end, 'end', this.length);
    [from, to] = [offset, end ?? this.length];
    if (from >= to) return this;
  }
  const target = TypedArraySubarray(this, from, to);
  if (isObject(bytes) && isBytes(bytes)) {
    if (bytes.length === 0) throw invalidArgValue('value', value);
    repeat(target, bytes);
  } else {
    TypedArrayFill(target, value & 255);
  }
  return this;
};

function checkBound(value, name, max) {
  if (typeof value !== 'number') throw invalidArgType(name, 'number', value);
  if (!(value >= 0 && value <= max)) throw outOfRange(name, `>= 0 && <= ${max}`, value);
}

proto.write = function write(text, offset, length, encoding) {
  if (typeof text !== 'string') {
    throw nodeError(SafeTypeError, 'ERR_INVALID_ARG_TYPE', 'argument must be a string');
  }
  const args = [text, offset, length, encoding];
  if (offset !== undefined && typeof offset !== 'string') {
    validateInteger(offset, 'offset', 0, this.length);
  }
  for (let i = 1; i < 4; i++) {
    if (isBase64Url(args[i])) args[i] = 'base64';
    else if (isHex(args[i])) args[0] = wholeHex(text);
  }
  return ReflectApply(npmWrite, this, args);
};

proto.toString = function toString(encoding, start, end) {
  if (encoding === undefined || (encoding && isUtf8(encoding))) {
    return native.utf8Decode(part(this, start, end), false);
  }
  if (isBase64Url(encoding)) {
    const text = ReflectApply(npmToString, this, ['base64', start, end]);
    const plus = StringPrototypeReplaceAll(text, '+', '-');
    const slash = StringPrototypeReplaceAll(plus, '/', '_');
    return StringPrototypeReplaceAll(slash, '=', '');
  }
  if (!Buffer.isEncoding(encoding)) throw unknownEncoding(encoding);
  return ReflectApply(npmToString, this, [encoding, start, end]);
};
proto.toLocaleString = proto.toString;

// Node's own shortcuts, which packages such as busboy call.
const CODINGS = ['ascii', 'base64', 'base64url', 'hex', 'latin1', 'ucs2', 'utf8'];
for (let i = 0; i < CODINGS.length; i++) {
  const coding = CODINGS[i];
  proto[coding + 'Slice'] ??= function slice(start, end) {
    return this.toString(coding, start, end);
  };
  proto[coding + 'Write'] ??= function write(text, offset, length) {
    return this.write(text, offset ?? 0, length ?? this.length - (offset ?? 0), coding);
  };
}

function part(bytes, start, end) {
  if (start === undefined && end === undefined) return bytes;
  const from = start > 0 ? (start > bytes.length ? bytes.length : start | 0) : 0;
  const to = end === undefined || end > bytes.length ? bytes.length : end | 0;
  const length = to > from ? to - from : 0;
  return new SafeUint8Array(TypedArrayBuffer(bytes), TypedArrayByteOffset(bytes) + from, length);
}

// Nothing is found anywhere, at the latest at the end.
for (const name of ['indexOf', 'lastIndexOf', 'includes']) {
  const search = proto[name];
  proto[name] = function (value, from, encoding) {
    const isNothing = (typeof value === 'string' || isBytes(value)) && value.length === 0;
    if (!isNothing) return ReflectApply(search, this, [value, from, encoding]);
    if (name === 'includes') return true;
    const start = name === 'indexOf' ? 0 : this.length;
    let at = from === undefined || typeof from === 'string' ? start : +from || 0;
    if (at < 0) at = at + this.length > 0 ? at + this.length : 0;
    return at < this.length ? MathFloor(at) : this.length;
  };
}

addNumbers(proto);

for (const bits of [16, 32, 64]) {
  const swap = proto[`swap${bits}`];
  proto[`swap${bits}`] = function () {
    if (this.length % (bits / 8) === 0) return ReflectApply(swap, this, []);
    const text = `Buffer size must be a multiple of ${bits}-bits`;
    throw nodeError(SafeRangeError, 'ERR_INVALID_BUFFER_SIZE', text);
  };
}

export { SlowBuffer, INSPECT_MAX_BYTES, kMaxLength };
