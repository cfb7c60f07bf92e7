// Text and bytes: TextEncoder and TextDecoder (Encoding standard), atob and btoa (HTML).

import {
  ArrayBufferIsView,
  DataViewBuffer,
  DataViewByteLength,
  DataViewByteOffset,
  ObjectCreate,
  SafeArrayBuffer,
  SafeRangeError,
  SafeString,
  SafeUint8Array,
  StringFromCharCode,
  ReflectApply,
  StringPrototypeCharCodeAt,
  StringPrototypeToLowerCase,
  StringPrototypeTrim,
  TypedArrayBuffer,
  TypedArrayByteLength,
  TypedArrayByteOffset,
  TypedArraySet,
  TypedArraySubarray,
  TypedArrayTag,
} from './primordials.js';
import { typeError } from './errors.js';
import { DOMException } from './dom-exception.js';
import { native } from './native.js';

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
  get encoding() {
    return 'utf-8';
  }

  encode(text = '') {
    return native.utf8Encode(`${text}`);
  }

  encodeInto(source, target) {
    const text = `${source}`;
    let read = 0;
    let written = 0;
    while (read < text.length) {
      const point = text.codePointAt(read);
      const size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
      if (written + size > target.length) break;
      written += size;
      read += size === 4 ? 2 : 1;
    }
    TypedArraySet(target, native.utf8Encode(text.slice(0, read)));
    return { read, written };
  }
}

const LABELS = ObjectCreate(null);
const label = (encoding, names) => {
  for (const name of names) LABELS[name] = encoding;
};
label('utf-8', ['utf-8', 'utf8', 'unicode-1-1-utf-8', 'unicode11utf8', 'x-unicode20utf8']);
label('utf-16le', ['utf-16le', 'utf-16', 'ucs-2', 'unicode', 'iso-10646-ucs-2', 'csunicode']);
label('windows-1252', [
  'windows-1252',
  'latin1',
  'iso-8859-1',
  'iso8859-1',
  'iso88591',
  'iso_8859-1',
  'l1',
  'ascii',
  'us-ascii',
  'cp1252',
  'x-cp1252',
  'cp819',
  'ibm819',
  'ansi_x3.4-1968',
  'csisolatin1',
]);

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

function decodeUtf16(bytes) {
  const codes = new Uint16Array(bytes.length >> 1);
  for (let i = 0; i < codes.length; i++) codes[i] = bytes[2 * i] | (bytes[2 * i + 1] << 8);
  return fromCodes(codes);
}

/** A function from bytes to text for a charset, or undefined if it is not known. */
export function decoderFor(name) {
  const encoding = LABELS[StringPrototypeToLowerCase(StringPrototypeTrim(name))];
  if (encoding === 'utf-8') return (bytes) => native.utf8Decode(bytes, false);
  if (encoding === 'utf-16le') return decodeUtf16;
  return encoding === 'windows-1252' ? decode1252 : undefined;
}

/** How many bytes at the end are the beginning of a UTF-8 sequence that is still incomplete. */
function incompleteUtf8(bytes) {
  const length = bytes.length;
  for (let back = 1; back <= 3 && back <= length; back++) {
    const byte = bytes[length - back];
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return size > back && byte < 0xf5 ? back : 0;
  }
  return 0;
}

const EMPTY = new SafeUint8Array(0);

/** `TextDecoder` of the Encoding standard, for UTF-8, UTF-16LE and windows-1252. */
export class TextDecoder {
  #encoding;
  #fatal;
  #ignoreMark;
  #markSeen = false;
  #rest = EMPTY;

  constructor(name = 'utf-8', options = undefined) {
    const encoding = LABELS[StringPrototypeToLowerCase(StringPrototypeTrim(`${name}`))];
    if (encoding === undefined) {
      const error = new SafeRangeError(`The "${name}" encoding is not supported`);
      error.code = 'ERR_ENCODING_NOT_SUPPORTED';
      throw error;
    }
    this.#encoding = encoding;
    this.#fatal = Boolean(options?.fatal);
    this.#ignoreMark = Boolean(options?.ignoreBOM);
  }

  get encoding() {
    return this.#encoding;
  }

  get fatal() {
    return this.#fatal;
  }

  get ignoreBOM() {
    return this.#ignoreMark;
  }

  decode(input = EMPTY, options = undefined) {
    let bytes = viewBytes(input);
    if (bytes === undefined) {
      throw typeError(
        'ERR_INVALID_ARG_TYPE',
        'The "list" argument must be an instance of ArrayBuffer or ArrayBufferView.',
      );
    }
    const isStream = Boolean(options?.stream);
    if (this.#rest.length > 0) {
      bytes = joinBytes([this.#rest, bytes], this.#rest.length + bytes.length);
      this.#rest = EMPTY;
    }
    if (isStream) bytes = this.#keepRest(bytes);
    let text = this.#convert(bytes, isStream);
    if (!this.#markSeen && text !== '') {
      this.#markSeen = true;
      if (!this.#ignoreMark && text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    }
    if (!isStream) this.#markSeen = false;
    return text;
  }

  #keepRest(bytes) {
    let count = 0;
    if (this.#encoding === 'utf-8') count = incompleteUtf8(bytes);
    else if (this.#encoding === 'utf-16le') count = bytes.length % 2;
    if (count === 0) return bytes;
    const offset = bytes.byteOffset + bytes.length - count;
    this.#rest = new SafeUint8Array(bytes.buffer.slice(offset, offset + count));
    return new SafeUint8Array(bytes.buffer, bytes.byteOffset, bytes.length - count);
  }

  #convert(bytes, isStream) {
    if (this.#encoding === 'windows-1252') return decode1252(bytes);
    if (this.#encoding === 'utf-8') {
      const text = native.utf8Decode(bytes, this.#fatal);
      if (text === null) throw invalidData('utf-8');
      return text;
    }
    const isCut = !isStream && bytes.length % 2 === 1;
    if (isCut && this.#fatal) throw invalidData('utf-16le');
    return decodeUtf16(bytes) + (isCut ? '\ufffd' : '');
  }
}

function invalidData(encoding) {
  return typeError(
    'ERR_ENCODING_INVALID_ENCODED_DATA',
    `The encoded data was not valid for encoding ${encoding}`,
  );
}

/** Base64 of a string whose characters are bytes. */
export function btoa(data) {
  const text = SafeString(data);
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
  const bytes = native.base64Decode(SafeString(data));
  if (bytes === null) {
    throw new DOMException(
      'The string to be decoded is not correctly encoded.',
      'InvalidCharacterError',
    );
  }
  return fromCodes(bytes);
}
