// Node's `string_decoder`: text from bytes that come in pieces.

import {
  ArrayBufferIsView,
  SafeString,
  StringPrototypeCharCodeAt,
  StringPrototypeSlice,
  StringPrototypeToLowerCase,
} from '../primordials.js';
import { Buffer } from '../buffer.js';
import { TextDecoder } from '../encoding.js';
import { typeError } from '../errors.js';
import { wrongType } from '../webidl.js';

const NAMES = {
  __proto__: null,
  '': 'utf8',
  utf8: 'utf8',
  'utf-8': 'utf8',
  ucs2: 'utf16le',
  'ucs-2': 'utf16le',
  utf16le: 'utf16le',
  'utf-16le': 'utf16le',
  latin1: 'latin1',
  binary: 'latin1',
  ascii: 'ascii',
  base64: 'base64',
  base64url: 'base64url',
  hex: 'hex',
};
const STATE = Symbol('state');

/** Bytes of which so many make a whole: the rest waits for more. */
class Grouped {
  #rest = Buffer.alloc(0);

  constructor(encoding, size) {
    this.encoding = encoding;
    this.size = size;
  }

  write(bytes) {
    const all = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes;
    let whole = all.length - (all.length % this.size);
    let text = all.toString(this.encoding, 0, whole);
    if (this.encoding === 'utf16le' && whole > 0) {
      // The first half of a surrogate pair waits, too.
      const last = StringPrototypeCharCodeAt(text, text.length - 1);
      if (last >= 0xd800 && last <= 0xdbff) {
        text = StringPrototypeSlice(text, 0, -1);
        whole -= 2;
      }
    }
    this.#rest = Buffer.from(all.subarray(whole));
    return text;
  }

  end() {
    const text = this.#rest.toString(this.encoding);
    this.#rest = Buffer.alloc(0);
    return text;
  }
}

/** UTF-8 has a decoder of the platform. */
class Utf8 {
  #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  write(bytes) {
    return this.#decoder.decode(bytes, { stream: true });
  }

  end() {
    return this.#decoder.decode();
  }
}

const SIZES = { __proto__: null, utf16le: 2, base64: 3, base64url: 3 };

/** `StringDecoder`. */
export function StringDecoder(encoding) {
  const given = encoding === undefined || encoding === null ? '' : SafeString(encoding);
  const name = NAMES[StringPrototypeToLowerCase(given)];
  if (name === undefined) throw typeError('ERR_UNKNOWN_ENCODING', `Unknown encoding: ${given}`);
  this.encoding = name;
  const value = name === 'utf8' ? new Utf8() : new Grouped(name, SIZES[name] ?? 1);
  Object.defineProperty(this, STATE, { value });
}

StringDecoder.prototype.write = function write(buffer) {
  if (typeof buffer === 'string') return buffer;
  if (!ArrayBufferIsView(buffer)) {
    throw wrongType('buf', 'an instance of Buffer, TypedArray, or DataView', buffer);
  }
  return this[STATE].write(Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength));
};

StringDecoder.prototype.end = function end(buffer) {
  const text = buffer === undefined ? '' : this.write(buffer);
  return text + this[STATE].end();
};

export default { StringDecoder };
