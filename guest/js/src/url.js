// URL and URLSearchParams (URL standard). Parsing is the host side's; the query is ours.

import {
  ArrayPrototypeSort,
  ObjectDefineProperty,
  StringPrototypeCharCodeAt,
  StringPrototypeIndexOf,
  StringPrototypeReplaceAll,
  StringPrototypeSlice,
  append,
  isObject,
  StringFromCharCode,
} from './primordials.js';
import { inspect } from 'node-inspect-extracted';
import { typeError } from './errors.js';
import { native } from './native.js';
import { percentDecode } from './querystring.js';

// Places in what `native.urlParse` answers.
const HREF = 0;
const PROTOCOL = 1;
const USERNAME = 2;
const PASSWORD = 3;
const HOST = 4;
const HOSTNAME = 5;
const PORT = 6;
const PATHNAME = 7;
const SEARCH = 8;
const HASH = 9;
const ORIGIN = 10;

const CUSTOM_INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** The error of a URL that cannot be parsed, as Node's. */
export function invalidUrl(input, base) {
  const error = typeError('ERR_INVALID_URL', 'Invalid URL');
  error.input = input;
  if (base !== undefined) error.base = base;
  return error;
}

/** A URL in its normal form, or null. */
export function normalUrl(input) {
  const parts = native.urlParse(input, undefined);
  return parts === null ? null : parts[HREF];
}

function missing(name) {
  return typeError('ERR_MISSING_ARGS', `The "${name}" argument must be specified`);
}

function decode(text) {
  if (StringPrototypeIndexOf(text, '+') >= 0) text = StringPrototypeReplaceAll(text, '+', ' ');
  if (StringPrototypeIndexOf(text, '%') < 0) return text;
  return native.utf8Decode(percentDecode(text), false);
}

const HEX = '0123456789ABCDEF';

/** Whether a byte stands for itself in a form-urlencoded text. */
function isPlain(byte) {
  return (
    (byte >= 97 && byte <= 122) ||
    (byte >= 65 && byte <= 90) ||
    (byte >= 48 && byte <= 57) ||
    byte === 42 ||
    byte === 45 ||
    byte === 46 ||
    byte === 95
  );
}

function encode(text) {
  let start = 0;
  while (start < text.length && isPlain(StringPrototypeCharCodeAt(text, start))) start++;
  if (start === text.length) return text;
  const bytes = native.utf8Encode(StringPrototypeSlice(text, start));
  let encoded = StringPrototypeSlice(text, 0, start);
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (isPlain(byte)) encoded += StringFromCharCode(byte);
    else encoded += byte === 32 ? '+' : `%${HEX[byte >> 4]}${HEX[byte & 15]}`;
  }
  return encoded;
}

function parsePairs(text) {
  const pairs = [];
  let start = text[0] === '?' ? 1 : 0;
  while (start < text.length) {
    let end = StringPrototypeIndexOf(text, '&', start);
    if (end < 0) end = text.length;
    if (end > start) {
      const part = StringPrototypeSlice(text, start, end);
      const at = StringPrototypeIndexOf(part, '=');
      const name = at < 0 ? part : StringPrototypeSlice(part, 0, at);
      const value = at < 0 ? '' : StringPrototypeSlice(part, at + 1);
      append(pairs, [decode(name), decode(value)]);
    }
    start = end + 1;
  }
  return pairs;
}

function pairsOf(init) {
  if (!isObject(init)) return parsePairs(`${init}`);
  const pairs = [];
  const method = init[Symbol.iterator];
  if (method === undefined || method === null) {
    for (const name of Object.keys(init)) append(pairs, [`${name}`, `${init[name]}`]);
    return pairs;
  }
  for (const pair of init) {
    const both = isObject(pair) ? [...pair] : [];
    if (both.length !== 2) {
      throw typeError(
        'ERR_INVALID_TUPLE',
        'Each query pair must be an iterable [name, value] tuple',
      );
    }
    append(pairs, [`${both[0]}`, `${both[1]}`]);
  }
  return pairs;
}

/** `URLSearchParams`. */
export class URLSearchParams {
  #pairs = [];
  #changed = null;

  constructor(init = undefined) {
    if (init !== undefined && init !== null) this.#pairs = pairsOf(init);
  }

  /** The parameters of a URL, which is told when they change. */
  static linked(search, changed) {
    const params = new URLSearchParams();
    params.#pairs = parsePairs(search);
    params.#changed = changed;
    return params;
  }

  /** The URL's query was set. */
  static relink(params, search) {
    params.#pairs = parsePairs(search);
  }

  #update() {
    if (this.#changed !== null) this.#changed(this.toString());
  }

  get size() {
    return this.#pairs.length;
  }

  append(name, value) {
    if (arguments.length < 2) throw missing('value');
    append(this.#pairs, [`${name}`, `${value}`]);
    this.#update();
  }

  delete(name, value) {
    if (arguments.length < 1) throw missing('name');
    const key = `${name}`;
    const wanted = value === undefined ? undefined : `${value}`;
    const rest = [];
    for (let i = 0; i < this.#pairs.length; i++) {
      const pair = this.#pairs[i];
      const isMatch = pair[0] === key && (wanted === undefined || pair[1] === wanted);
      if (!isMatch) append(rest, pair);
    }
    this.#pairs = rest;
    this.#update();
  }

  get(name) {
    if (arguments.length < 1) throw missing('name');
    const key = `${name}`;
    for (let i = 0; i < this.#pairs.length; i++) {
      if (this.#pairs[i][0] === key) return this.#pairs[i][1];
    }
    return null;
  }

  getAll(name) {
    if (arguments.length < 1) throw missing('name');
    const key = `${name}`;
    const values = [];
    for (let i = 0; i < this.#pairs.length; i++) {
      if (this.#pairs[i][0] === key) append(values, this.#pairs[i][1]);
    }
    return values;
  }

  has(name, value) {
    if (arguments.length < 1) throw missing('name');
    const values = this.getAll(name);
    return value === undefined ? values.length > 0 : values.includes(`${value}`);
  }

  set(name, value) {
    if (arguments.length < 2) throw missing('value');
    const key = `${name}`;
    const pairs = [];
    let isSet = false;
    for (let i = 0; i < this.#pairs.length; i++) {
      if (this.#pairs[i][0] !== key) append(pairs, this.#pairs[i]);
      else if (!isSet) {
        append(pairs, [key, `${value}`]);
        isSet = true;
      }
    }
    if (!isSet) append(pairs, [key, `${value}`]);
    this.#pairs = pairs;
    this.#update();
  }

  sort() {
    ArrayPrototypeSort(this.#pairs, (a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    this.#update();
  }

  forEach(callback, thisArg) {
    if (typeof callback !== 'function') {
      throw typeError('ERR_INVALID_ARG_TYPE', 'The "callback" argument must be of type function.');
    }
    for (const [name, value] of this) callback.call(thisArg, value, name, this);
  }

  *entries() {
    for (let i = 0; i < this.#pairs.length; i++) yield [this.#pairs[i][0], this.#pairs[i][1]];
  }

  *keys() {
    for (let i = 0; i < this.#pairs.length; i++) yield this.#pairs[i][0];
  }

  *values() {
    for (let i = 0; i < this.#pairs.length; i++) yield this.#pairs[i][1];
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  toString() {
    let text = '';
    for (let i = 0; i < this.#pairs.length; i++) {
      if (i > 0) text += '&';
      text += `${encode(this.#pairs[i][0])}=${encode(this.#pairs[i][1])}`;
    }
    return text;
  }

  [CUSTOM_INSPECT](depth, options) {
    if (this.#pairs.length === 0) return 'URLSearchParams {}';
    const pairs = this.#pairs.map(
      ([name, value]) => `${inspect(name, options)} => ${inspect(value, options)}`,
    );
    return `URLSearchParams { ${pairs.join(', ')} }`;
  }
}

const { linked, relink } = URLSearchParams;
delete URLSearchParams.linked;
delete URLSearchParams.relink;

/** `URL`. */
export class URL {
  #parts;
  #params = null;

  constructor(input, base = undefined) {
    if (arguments.length === 0) throw missing('url');
    const text = `${input}`;
    const baseText = base === undefined ? undefined : `${base}`;
    const parts = native.urlParse(text, baseText);
    if (parts === null) throw invalidUrl(text, baseText);
    this.#parts = parts;
  }

  static canParse(input, base = undefined) {
    const baseText = base === undefined ? undefined : `${base}`;
    return native.urlParse(`${input}`, baseText) !== null;
  }

  static parse(input, base = undefined) {
    try {
      return new URL(input, base);
    } catch {
      return null;
    }
  }

  #set(part, value) {
    const parts = native.urlSet(this.#parts[HREF], part, `${value}`);
    if (parts === null) {
      if (part === 'href') throw invalidUrl(`${value}`);
      return;
    }
    this.#parts = parts;
    const isQuery = part === 'search' || part === 'href';
    if (this.#params !== null && isQuery) relink(this.#params, parts[SEARCH]);
  }

  get href() {
    return this.#parts[HREF];
  }

  set href(value) {
    this.#set('href', value);
  }

  get origin() {
    return this.#parts[ORIGIN];
  }

  get protocol() {
    return this.#parts[PROTOCOL];
  }

  set protocol(value) {
    this.#set('protocol', value);
  }

  get username() {
    return this.#parts[USERNAME];
  }

  set username(value) {
    this.#set('username', value);
  }

  get password() {
    return this.#parts[PASSWORD];
  }

  set password(value) {
    this.#set('password', value);
  }

  get host() {
    return this.#parts[HOST];
  }

  set host(value) {
    this.#set('host', value);
  }

  get hostname() {
    return this.#parts[HOSTNAME];
  }

  set hostname(value) {
    this.#set('hostname', value);
  }

  get port() {
    return this.#parts[PORT];
  }

  set port(value) {
    this.#set('port', value);
  }

  get pathname() {
    return this.#parts[PATHNAME];
  }

  set pathname(value) {
    this.#set('pathname', value);
  }

  get search() {
    return this.#parts[SEARCH];
  }

  set search(value) {
    this.#set('search', value);
  }

  get searchParams() {
    this.#params ??= linked(this.#parts[SEARCH], (search) => {
      this.#parts = native.urlSet(this.#parts[HREF], 'search', search);
    });
    return this.#params;
  }

  get hash() {
    return this.#parts[HASH];
  }

  set hash(value) {
    this.#set('hash', value);
  }

  toString() {
    return this.#parts[HREF];
  }

  toJSON() {
    return this.#parts[HREF];
  }

  [CUSTOM_INSPECT](depth, options) {
    const shown = {};
    for (const name of [
      'href',
      'origin',
      'protocol',
      'username',
      'password',
      'host',
      'hostname',
      'port',
      'pathname',
      'search',
      'searchParams',
      'hash',
    ]) {
      shown[name] = this[name];
    }
    return `URL ${inspect(shown, options)}`;
  }
}

for (const [constructor, name] of [
  [URL, 'URL'],
  [URLSearchParams, 'URLSearchParams'],
]) {
  ObjectDefineProperty(constructor.prototype, Symbol.toStringTag, {
    configurable: true,
    value: name,
  });
}
