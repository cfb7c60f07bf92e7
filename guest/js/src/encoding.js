// Text and bytes: TextEncoder and TextDecoder (Encoding standard), atob and btoa (HTML).

import {
  ArrayBufferIsView,
  ArrayBufferSlice,
  DataViewBuffer,
  DataViewByteLength,
  DataViewByteOffset,
  ObjectCreate,
  SafeArrayBuffer,
  SafeUint8Array,
  StringFromCharCode,
  ReflectApply,
  RegExpPrototypeExec,
  StringPrototypeCharCodeAt,
  StringPrototypeCodePointAt,
  StringPrototypeSlice,
  StringPrototypeToLowerCase,
  TypedArrayBuffer,
  TypedArrayByteLength,
  TypedArrayByteOffset,
  TypedArraySet,
  TypedArraySubarray,
  TypedArrayTag,
  isObject,
} from './primordials.js';
import { rangeError, typeError } from './errors.js';
import { DOMException } from './dom-exception.js';
import { native } from './native.js';
import { asInterface, domText, wrongType, invalidThis, missingArgs } from './webidl.js';

/** The bytes of an `ArrayBuffer` or a view of one, not copied; undefined for all else. */
export function viewBytes(value) {
  if (value instanceof SafeUint8Array) return value;
  if (ArrayBufferIsView(value)) {
    if (TypedArrayTag(value) === undefined) {
      const offset = DataViewByteOffset(value);
      return new SafeUint8Array(DataViewBuffer(value), offset, DataViewByteLength(value));
    }
    const offset = TypedArrayByteOffset(value);
    return new SafeUint8Array(TypedArrayBuffer(value), offset, TypedArrayByteLength(value));
  }
  return value instanceof SafeArrayBuffer ? new SafeUint8Array(value) : undefined;
}

/** Several chunks as one. */
export function joinBytes(chunks, length) {
  if (chunks.length === 1) return chunks[0];
  const all = new SafeUint8Array(length);
  let at = 0;
  for (let i = 0; i < chunks.length; i++) {
    TypedArraySet(all, chunks[i], at);
    at += chunks[i].length;
  }
  return all;
}

/** How many bytes a string has in UTF-8. */
export function utf8Length(text) {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = StringPrototypeCharCodeAt(text, i);
    // A surrogate pair has four bytes and two units, which is one more than each unit's own.
    if (code > 0x7f) length += code > 0x7ff && (code < 0xd800 || code > 0xdfff) ? 2 : 1;
  }
  return length;
}

/** `TextEncoder` of the Encoding standard. */
export class TextEncoder {
  #isEncoder = true;

  get encoding() {
    if (!isObject(this) || !(#isEncoder in this)) throw invalidThis('TextEncoder');
    return 'utf-8';
  }

  encode(input = '') {
    if (!isObject(this) || !(#isEncoder in this)) throw invalidThis('TextEncoder');
    return native.utf8Encode(domText(input));
  }

  encodeInto(source, destination) {
    if (!isObject(this) || !(#isEncoder in this)) throw invalidThis('TextEncoder');
    if (typeof source !== 'string') throw wrongType('src', 'of type string', source);
    if (!(destination instanceof SafeUint8Array)) {
      throw wrongType('dest', 'an instance of Uint8Array', destination);
    }
    let read = 0;
    let written = 0;
    while (read < source.length) {
      const point = StringPrototypeCodePointAt(source, read);
      const size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
      if (written + size > destination.length) break;
      written += size;
      read += size === 4 ? 2 : 1;
    }
    if (read > 0) {
      TypedArraySet(destination, native.utf8Encode(StringPrototypeSlice(source, 0, read)));
    }
    return { read, written };
  }
}

const LABELS = ObjectCreate(null);
const label = (encoding, names) => {
  for (const name of names) LABELS[name] = encoding;
};
label('utf-8', ['utf-8', 'utf8', 'unicode-1-1-utf-8', 'unicode11utf8', 'unicode20utf8']);
label('utf-8', ['x-unicode20utf8']);
label('utf-16be', ['utf-16be', 'unicodefffe']);
label('utf-16le', ['utf-16le', 'utf-16', 'ucs-2', 'unicode', 'iso-10646-ucs-2', 'csunicode']);
label('utf-16le', ['unicodefeff']);
label('windows-1252', ['windows-1252', 'latin1', 'iso-8859-1', 'iso8859-1', 'iso88591', 'l1']);
label('windows-1252', ['iso_8859-1', 'iso_8859-1:1987', 'iso-ir-100', 'ascii', 'us-ascii']);
label('windows-1252', ['cp1252', 'x-cp1252', 'cp819', 'ibm819', 'ansi_x3.4-1968', 'csisolatin1']);

/** The encoding of a label, or undefined. White space around it, of ASCII, does not count. */
function encodingOf(given) {
  const [, text] = RegExpPrototypeExec(LABEL, given) ?? [];
  return text === undefined ? undefined : LABELS[StringPrototypeToLowerCase(text)];
}

const LABEL = /^[\t\n\f\r ]*([^\t\n\f\r ]+)[\t\n\f\r ]*$/;

// What bytes 0x80 to 0x9f are in windows-1252, which is what the web means by Latin-1.
const WINDOWS_1252 = [
  0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
  0x0152, 0x8d, 0x017d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc,
  0x2122, 0x0161, 0x203a, 0x0153, 0x9d, 0x017e, 0x0178,
];

/** Codes as a string; a piece at a time, because arguments go on the stack. */
function fromCodes(codes) {
  let text = '';
  for (let at = 0; at < codes.length; at += 4096) {
    text += ReflectApply(StringFromCharCode, null, TypedArraySubarray(codes, at, at + 4096));
  }
  return text;
}

function decode1252(bytes) {
  const codes = new Uint16Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    codes[i] = byte >= 0x80 && byte < 0xa0 ? WINDOWS_1252[byte - 0x80] : byte;
  }
  return fromCodes(codes);
}

const isHigh = (code) => code >= 0xd800 && code < 0xdc00;
const isLow = (code) => code >= 0xdc00 && code < 0xe000;

/** UTF-16; what has no partner or half its bytes is U+FFFD, or null is the answer if `fatal`. */
function decodeUtf16(bytes, isBig, fatal) {
  const whole = bytes.length >> 1;
  const isCut = bytes.length % 2 === 1;
  const codes = new Uint16Array(whole + (isCut ? 1 : 0));
  const [first, second] = isBig ? [0, 1] : [1, 0];
  for (let i = 0; i < whole; i++) codes[i] = (bytes[2 * i + first] << 8) | bytes[2 * i + second];
  let length = whole;
  for (let i = 0; i < whole; i++) {
    const code = codes[i];
    if (isHigh(code) && i + 1 < whole && isLow(codes[i + 1])) i++;
    else if (isHigh(code) || isLow(code)) {
      if (fatal) return null;
      codes[i] = 0xfffd;
      // A surrogate and half a unit after it are one mistake.
      if (isCut && i + 1 === whole && isHigh(code)) return fromCodes(codes.subarray(0, whole));
    }
  }
  if (isCut) {
    if (fatal) return null;
    codes[length++] = 0xfffd;
  }
  return fromCodes(codes);
}

/** How many bytes at the end wait for more. */
function incompleteUtf16(bytes, isBig) {
  const half = bytes.length % 2;
  const end = bytes.length - half;
  if (end === 0) return half;
  const code = (bytes[end - (isBig ? 2 : 1)] << 8) | bytes[end - (isBig ? 1 : 2)];
  return half + (isHigh(code) ? 2 : 0);
}

/** A function from bytes to text for a charset, or undefined if it is not known. */
export function decoderFor(name) {
  const encoding = encodingOf(name);
  if (encoding === 'utf-8') return (bytes) => native.utf8Decode(bytes, false);
  if (encoding === 'windows-1252') return decode1252;
  return encoding === undefined
    ? undefined
    : (bytes) => decodeUtf16(bytes, encoding === 'utf-16be', false);
}

/** How many bytes at the end are the beginning of a UTF-8 sequence that is still incomplete. */
function incompleteUtf8(bytes) {
  const { length } = bytes;
  for (let back = 1; back <= 3 && back <= length; back++) {
    const byte = bytes[length - back];
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    if (byte < 0xc2 || byte > 0xf4 || size <= back) return 0;
    return back === 1 || maySecond(byte, bytes[length - back + 1]) ? back : 0;
  }
  return 0;
}

/** Whether a byte may come second after the first of a sequence: no overlong, no surrogates. */
function maySecond(first, second) {
  if (first === 0xe0) return second >= 0xa0;
  if (first === 0xed) return second < 0xa0;
  if (first === 0xf0) return second >= 0x90;
  return first !== 0xf4 || second < 0x90;
}

const EMPTY = new SafeUint8Array(0);

/** `TextDecoder` of the Encoding standard, for UTF-8, UTF-16 and windows-1252. */
export class TextDecoder {
  #encoding;
  #fatal;
  #ignoreMark;
  #markSeen = false;
  #rest = EMPTY;

  constructor(label = 'utf-8', options = undefined) {
    const name = domText(label);
    const encoding = encodingOf(name);
    if (encoding === undefined) {
      throw rangeError('ERR_ENCODING_NOT_SUPPORTED', `The "${name}" encoding is not supported`);
    }
    if (options !== undefined && options !== null && !isObject(options)) {
      throw wrongType('options', 'of type object', options);
    }
    this.#encoding = encoding;
    this.#fatal = Boolean(options?.fatal);
    this.#ignoreMark = Boolean(options?.ignoreBOM);
  }

  get encoding() {
    return check(this).#encoding;
  }

  get fatal() {
    return check(this).#fatal;
  }

  get ignoreBOM() {
    return check(this).#ignoreMark;
  }

  decode(input = EMPTY, options = undefined) {
    check(this);
    let bytes = viewBytes(input);
    if (bytes === undefined) {
      throw wrongType('list', 'an instance of ArrayBuffer or ArrayBufferView', input);
    }
    const isStream = Boolean(options?.stream);
    if (this.#rest.length > 0) {
      bytes = joinBytes([this.#rest, bytes], this.#rest.length + bytes.length);
      this.#rest = EMPTY;
    }
    if (isStream) bytes = this.#keepRest(bytes);
    let text = this.#convert(bytes);
    if (!this.#markSeen && text !== '') {
      this.#markSeen = true;
      const hasMark = !this.#ignoreMark && StringPrototypeCharCodeAt(text, 0) === 0xfeff;
      if (hasMark) text = StringPrototypeSlice(text, 1);
    }
    if (!isStream) this.#markSeen = false;
    return text;
  }

  #keepRest(bytes) {
    let count = 0;
    if (this.#encoding === 'utf-8') count = incompleteUtf8(bytes);
    else if (this.#encoding !== 'windows-1252') {
      count = incompleteUtf16(bytes, this.#encoding === 'utf-16be');
    }
    if (count === 0) return bytes;
    const offset = bytes.byteOffset + bytes.length - count;
    this.#rest = new SafeUint8Array(ArrayBufferSlice(bytes.buffer, offset, offset + count));
    return new SafeUint8Array(bytes.buffer, bytes.byteOffset, bytes.length - count);
  }

  #convert(bytes) {
    const encoding = this.#encoding;
    if (encoding === 'windows-1252') return decode1252(bytes);
    const text =
      encoding === 'utf-8'
        ? native.utf8Decode(bytes, this.#fatal)
        : decodeUtf16(bytes, encoding === 'utf-16be', this.#fatal);
    if (text !== null) return text;
    this.#markSeen = false;
    throw typeError(
      'ERR_ENCODING_INVALID_ENCODED_DATA',
      `The encoded data was not valid for encoding ${encoding}`,
    );
  }

  static check(decoder) {
    if (!isObject(decoder) || !(#rest in decoder)) throw invalidThis('TextDecoder');
    return decoder;
  }
}

const { check } = TextDecoder;
delete TextDecoder.check;

asInterface(TextEncoder, 'TextEncoder');
asInterface(TextDecoder, 'TextDecoder');

/** Base64 of a string whose characters are bytes. */
export function btoa(data) {
  if (arguments.length === 0) throw missingArgs('data');
  const text = domText(data);
  const bytes = new SafeUint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = StringPrototypeCharCodeAt(text, i);
    if (code > 255) throw new DOMException('Invalid character', 'InvalidCharacterError');
    bytes[i] = code;
  }
  return native.base64Encode(bytes);
}

/** The opposite of `btoa`. */
export function atob(data) {
  if (arguments.length === 0) throw missingArgs('data');
  const bytes = native.base64Decode(domText(data));
  if (bytes === null) {
    throw new DOMException(
      'The string to be decoded is not correctly encoded.',
      'InvalidCharacterError',
    );
  }
  return fromCodes(bytes);
}
