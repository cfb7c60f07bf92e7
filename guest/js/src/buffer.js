// Node's `buffer`: the `buffer` package, with the host's UTF-8 and Base64 and with `base64url`.

import { Buffer as NpmBuffer, SlowBuffer, INSPECT_MAX_BYTES, kMaxLength } from 'npm-buffer';
import {
  ReflectApply,
  StringPrototypeReplaceAll,
  StringPrototypeToLowerCase,
  ObjectSetPrototypeOf,
  SafeString,
  SafeUint8Array,
  TypedArrayBuffer,
  TypedArrayByteOffset,
} from './primordials.js';
import { native } from './native.js';

export const Buffer = NpmBuffer;
const proto = Buffer.prototype;
const { from: npmFrom, isEncoding: npmIsEncoding, byteLength: npmByteLength } = Buffer;
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

Buffer.from = function from(value, encodingOrOffset, length) {
  if (typeof value === 'string') {
    if (isUtf8(encodingOrOffset)) return asBuffer(native.utf8Encode(value));
    if (isBase64Url(encodingOrOffset)) return npmFrom(value, 'base64');
  }
  return npmFrom(value, encodingOrOffset, length);
};

Buffer.isEncoding = function isEncoding(encoding) {
  return isBase64Url(encoding) || npmIsEncoding(encoding);
};

Buffer.byteLength = function byteLength(value, encoding) {
  return npmByteLength(value, isBase64Url(encoding) ? 'base64' : encoding);
};

proto.write = function write(text, offset, length, encoding) {
  const args = [text, offset, length, encoding];
  for (let i = 1; i < 4; i++) if (isBase64Url(args[i])) args[i] = 'base64';
  return ReflectApply(npmWrite, this, args);
};

proto.toString = function toString(encoding, start, end) {
  if (isUtf8(encoding)) return native.utf8Decode(part(this, start, end), false);
  if (isBase64Url(encoding)) {
    const text = ReflectApply(npmToString, this, ['base64', start, end]);
    const plus = StringPrototypeReplaceAll(text, '+', '-');
    const slash = StringPrototypeReplaceAll(plus, '/', '_');
    return StringPrototypeReplaceAll(slash, '=', '');
  }
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
  const from = start > 0 ? start | 0 : 0;
  const to = end === undefined || end > bytes.length ? bytes.length : end | 0;
  const length = to > from ? to - from : 0;
  return new SafeUint8Array(TypedArrayBuffer(bytes), TypedArrayByteOffset(bytes) + from, length);
}

export { SlowBuffer, INSPECT_MAX_BYTES, kMaxLength };
