// Node's `querystring`: also how `req.query` and urlencoded bodies are read.

import {
  ArrayIsArray,
  ObjectCreate,
  ObjectKeys,
  NumberIsFinite,
  SafeString,
  StringPrototypeIndexOf,
  StringPrototypeReplaceAll,
  StringPrototypeSlice,
  append,
  decodeURIComponent,
  encodeURIComponent,
} from './primordials.js';
import { native } from './native.js';

/** Keys beyond this many are dropped, as in Node. */
const KEYS_MAX = 1000;

/** Undoes percent-encoding; what is not valid UTF-8 becomes U+FFFD, as in Node. */
export function unescape(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return native.utf8Decode(percentDecode(text), false);
  }
}

/** The bytes that percent-encoded text stands for. */
export function percentDecode(text) {
  const bytes = native.utf8Encode(text);
  let length = 0;
  for (let i = 0; i < bytes.length; i++, length++) {
    const high = bytes[i] === 37 ? hexDigit(bytes[i + 1]) : -1;
    const low = high < 0 ? -1 : hexDigit(bytes[i + 2]);
    bytes[length] = low < 0 ? bytes[i] : high * 16 + low;
    if (low >= 0) i += 2;
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset, length);
}

function hexDigit(code) {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** Percent-encodes for a query. */
export function escape(text) {
  return encodeURIComponent(typeof text === 'string' ? text : SafeString(text));
}

/**
 * `a=1&b=2` as an object without a prototype; a key that comes twice has a list of values.
 * `options`: `maxKeys` (1000; 0 for no limit), `decodeURIComponent`.
 */
export function parse(text, separator, equals, options) {
  if (typeof text !== 'string' || text === '') return ObjectCreate(null);
  if (separator === undefined && equals === undefined && options === undefined) {
    const plain = native.queryTable(text);
    if (plain !== undefined) return plain;
  }
  const table = ObjectCreate(null);
  const sep = separator ? `${separator}` : '&';
  const eq = equals ? `${equals}` : '=';
  const most = typeof options?.maxKeys === 'number' ? options.maxKeys : KEYS_MAX;
  const decode = options?.decodeURIComponent ?? unescape;
  let count = 0;
  let start = 0;
  while (start <= text.length) {
    let end = StringPrototypeIndexOf(text, sep, start);
    if (end < 0) end = text.length;
    if (end > start) {
      if (most > 0 && ++count > most) break;
      pair(table, StringPrototypeSlice(text, start, end), eq, decode);
    }
    start = end + sep.length;
  }
  return table;
}

function pair(table, part, eq, decode) {
  const at = StringPrototypeIndexOf(part, eq);
  const key = decoded(at < 0 ? part : StringPrototypeSlice(part, 0, at), decode);
  const value = at < 0 ? '' : decoded(StringPrototypeSlice(part, at + eq.length), decode);
  const earlier = table[key];
  if (earlier === undefined) table[key] = value;
  else if (typeof earlier === 'string') table[key] = [earlier, value];
  else append(earlier, value);
}

function decoded(text, decode) {
  if (StringPrototypeIndexOf(text, '+') >= 0) text = StringPrototypeReplaceAll(text, '+', ' ');
  return StringPrototypeIndexOf(text, '%') < 0 ? text : decode(text);
}

function primitive(value) {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return NumberIsFinite(value) ? `${value}` : '';
  return typeof value === 'bigint' || typeof value === 'boolean' ? `${value}` : '';
}

/** An object as `a=1&b=2`. */
export function stringify(object, separator, equals, options) {
  if (object === null || typeof object !== 'object') return '';
  const sep = separator || '&';
  const eq = equals || '=';
  const encode = options?.encodeURIComponent ?? escape;
  const keys = ObjectKeys(object);
  let text = '';
  for (let i = 0; i < keys.length; i++) {
    const value = object[keys[i]];
    const values = ArrayIsArray(value) ? value : [value];
    for (let j = 0; j < values.length; j++) {
      if (text !== '') text += sep;
      text += encode(keys[i]) + eq + encode(primitive(values[j]));
    }
  }
  return text;
}

export { parse as decode, stringify as encode };
export default { parse, stringify, escape, unescape, decode: parse, encode: stringify };
