// URL and URLSearchParams (URL standard). Parsing is the host side's; the query is ours.

import {
  ArrayPrototypeSort,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ReflectApply,
  ReflectOwnKeys,
  StringPrototypeCharCodeAt,
  StringPrototypeIndexOf,
  RegExpPrototypeExec,
  StringPrototypeReplaceAll,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  append,
  isObject,
  StringFromCharCode,
} from './primordials.js';
import { inspect } from 'node-inspect-extracted';
import { typeError } from './errors.js';
import { native } from './native.js';
import { percentDecode } from './querystring.js';
import { asInterface, invalidThis, missingArgs, pairIterators, scalarText } from './webidl.js';

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

/** Has odd URLs read by the standard's own parser (internal/url-parser). */
let oddParser = null;
export function setOddParser(make) {
  oddParser = make;
}

const SCHEME = /^[\0-\x20]*([a-z][a-z0-9+.-]*):/i;
const SPECIAL = /^(?:https?|wss?|ftp)$/i;
const DRIVE = /[/\\][a-z][:|](?:[/\\?#]|$)/i;
const INVISIBLE = /[\t\n\r]/;

const hasDrive = (text) => RegExpPrototypeExec(DRIVE, text) !== null;

/**
 * Whether the host's parser reads a URL as the standard does. Of schemes like `foo:` and `file:` it
 * has ideas of its own, and of what looks like a drive (`/C:/`) anywhere.
 */
function isCommon(text, base) {
  if (base === undefined && StringPrototypeStartsWith(text, 'http')) {
    // Nearly every URL: no second colon, so neither port nor drive.
    const at = StringPrototypeIndexOf(text, '://');
    const isPlain = (at === 4 || at === 5) && StringPrototypeIndexOf(text, ':', at + 1) < 0;
    if (isPlain && StringPrototypeIndexOf(text, '|') < 0) return at === 4 || text[4] === 's';
  }
  const scheme = RegExpPrototypeExec(SCHEME, text);
  if (scheme !== null) return RegExpPrototypeExec(SPECIAL, scheme[1]) !== null && !hasDrive(text);
  if (base === undefined) return RegExpPrototypeExec(INVISIBLE, text) === null;
  return isCommon(base, undefined) && !hasDrive(text) && !hasDrive(base);
}

/** The parts of a URL, or null. */
function parse(text, base) {
  return isCommon(text, base) ? native.urlParse(text, base) : oddParser().parse(text, base);
}

/** The parts of a URL, one of them set; null if that is no URL. */
function setIn(href, part, value) {
  if (part === 'href') return parse(value, undefined);
  const isOdd = part === 'protocol' || !isCommon(href, undefined) || hasDrive('/' + value);
  return isOdd ? oddParser().set(href, part, value) : native.urlSet(href, part, value);
}

/** A URL in its normal form, or null. */
export function normalUrl(input) {
  const parts = parse(input, undefined);
  return parts === null ? null : parts[HREF];
}

/** Whether a URL in its normal form has a user name or a password. */
export function hasCredentials(href) {
  if (StringPrototypeIndexOf(href, '@') < 0) return false;
  const parts = parse(href, undefined);
  return parts !== null && (parts[USERNAME] !== '' || parts[PASSWORD] !== '');
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
  if (!isObject(init)) return parsePairs(scalarText(init));
  const pairs = [];
  const method = init[Symbol.iterator];
  if (method === undefined || method === null) {
    recordPairs(init, pairs);
    return pairs;
  }
  if (typeof method !== 'function') {
    throw typeError('ERR_ARG_NOT_ITERABLE', 'Query pairs must be iterable');
  }
  for (const pair of init) {
    if (!isObject(pair) || typeof pair[Symbol.iterator] !== 'function') throw notTuple();
    const both = [...pair];
    if (both.length !== 2) throw notTuple();
    append(pairs, [scalarText(both[0]), scalarText(both[1])]);
  }
  return pairs;
}

/** A record's enumerable properties; names that become the same are one, the last. */
function recordPairs(init, pairs) {
  const places = ObjectCreate(null);
  for (const key of ReflectOwnKeys(init)) {
    if (ObjectGetOwnPropertyDescriptor(init, key)?.enumerable !== true) continue;
    const name = scalarText(key);
    const value = scalarText(init[key]);
    if (places[name] !== undefined) pairs[places[name]][1] = value;
    else {
      places[name] = pairs.length;
      append(pairs, [name, value]);
    }
  }
}

function notTuple() {
  return typeError('ERR_INVALID_TUPLE', 'Each query pair must be an iterable [name, value] tuple');
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

  /** The pair at a place, for iterators, which see every change. */
  static pairAt(params, index) {
    return params.#pairs[index];
  }

  static check(params) {
    if (!isObject(params) || !(#pairs in params)) throw invalidThis('URLSearchParams');
  }

  #update() {
    if (this.#changed !== null) this.#changed(write(this.#pairs));
  }

  get size() {
    check(this);
    return this.#pairs.length;
  }

  append(name, value) {
    check(this);
    if (arguments.length < 2) throw missingArgs('name', 'value');
    append(this.#pairs, [scalarText(name), scalarText(value)]);
    this.#update();
  }

  delete(name, value = undefined) {
    check(this);
    if (arguments.length < 1) throw missingArgs('name');
    const key = scalarText(name);
    const wanted = value === undefined ? undefined : scalarText(value);
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
    check(this);
    if (arguments.length < 1) throw missingArgs('name');
    const key = scalarText(name);
    for (let i = 0; i < this.#pairs.length; i++) {
      if (this.#pairs[i][0] === key) return this.#pairs[i][1];
    }
    return null;
  }

  getAll(name) {
    check(this);
    if (arguments.length < 1) throw missingArgs('name');
    const key = scalarText(name);
    const values = [];
    for (let i = 0; i < this.#pairs.length; i++) {
      if (this.#pairs[i][0] === key) append(values, this.#pairs[i][1]);
    }
    return values;
  }

  has(name, value = undefined) {
    check(this);
    if (arguments.length < 1) throw missingArgs('name');
    const key = scalarText(name);
    const wanted = value === undefined ? undefined : scalarText(value);
    for (let i = 0; i < this.#pairs.length; i++) {
      const pair = this.#pairs[i];
      if (pair[0] === key && (wanted === undefined || pair[1] === wanted)) return true;
    }
    return false;
  }

  set(name, value) {
    check(this);
    if (arguments.length < 2) throw missingArgs('name', 'value');
    const key = scalarText(name);
    const text = scalarText(value);
    const pairs = [];
    let isSet = false;
    for (let i = 0; i < this.#pairs.length; i++) {
      if (this.#pairs[i][0] !== key) append(pairs, this.#pairs[i]);
      else if (!isSet) {
        append(pairs, [key, text]);
        isSet = true;
      }
    }
    if (!isSet) append(pairs, [key, text]);
    this.#pairs = pairs;
    this.#update();
  }

  sort() {
    check(this);
    ArrayPrototypeSort(this.#pairs, (a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    this.#update();
  }

  forEach(callback, thisArg = undefined) {
    check(this);
    if (typeof callback !== 'function') {
      throw typeError('ERR_INVALID_ARG_TYPE', 'The "callback" argument must be of type function.');
    }
    for (let i = 0; i < this.#pairs.length; i++) {
      ReflectApply(callback, thisArg, [this.#pairs[i][1], this.#pairs[i][0], this]);
    }
  }

  entries() {
    check(this);
    return iterate(this, 'entries');
  }

  keys() {
    check(this);
    return iterate(this, 'keys');
  }

  values() {
    check(this);
    return iterate(this, 'values');
  }

  toString() {
    check(this);
    return write(this.#pairs);
  }

  [CUSTOM_INSPECT](depth, options) {
    if (this.#pairs.length === 0) return 'URLSearchParams {}';
    const pairs = this.#pairs.map(
      ([name, value]) => `${inspect(name, options)} => ${inspect(value, options)}`,
    );
    return `URLSearchParams { ${pairs.join(', ')} }`;
  }
}

function write(pairs) {
  let text = '';
  for (let i = 0; i < pairs.length; i++) {
    if (i > 0) text += '&';
    text += encode(pairs[i][0]) + '=' + encode(pairs[i][1]);
  }
  return text;
}

const { check, linked, pairAt, relink } = URLSearchParams;
for (const name of ['check', 'linked', 'pairAt', 'relink']) delete URLSearchParams[name];
const iterate = pairIterators('URLSearchParams', pairAt);
ObjectDefineProperty(URLSearchParams.prototype, Symbol.iterator, {
  configurable: true,
  value: URLSearchParams.prototype.entries,
  writable: true,
});

/** `URL`. */
export class URL {
  #parts;
  #params = null;

  constructor(input, base = undefined) {
    if (arguments.length === 0) throw missingArgs('url');
    const text = `${input}`;
    const baseText = base === undefined ? undefined : `${base}`;
    const parts = parse(text, baseText);
    if (parts === null) throw invalidUrl(text, baseText);
    this.#parts = parts;
  }

  static canParse(input, base = undefined) {
    if (arguments.length === 0) throw missingArgs('url');
    const baseText = base === undefined ? undefined : `${base}`;
    return parse(`${input}`, baseText) !== null;
  }

  static parse(input, base = undefined) {
    if (arguments.length === 0) throw missingArgs('url');
    return URL.canParse(input, base) ? new URL(input, base) : null;
  }

  static partsOf(url) {
    if (!isObject(url) || !(#parts in url)) throw invalidThis('URL');
    return url.#parts;
  }

  static setPart(url, part, value) {
    const text = `${value}`;
    const parts = setIn(partsOf(url)[HREF], part, text);
    if (parts === null) {
      if (part === 'href') throw invalidUrl(text);
      return;
    }
    url.#parts = parts;
    const isQuery = part === 'search' || part === 'href';
    if (url.#params !== null && isQuery) relink(url.#params, parts[SEARCH]);
  }

  get href() {
    return partsOf(this)[HREF];
  }

  set href(value) {
    setPart(this, 'href', value);
  }

  get origin() {
    return partsOf(this)[ORIGIN];
  }

  get protocol() {
    return partsOf(this)[PROTOCOL];
  }

  set protocol(value) {
    setPart(this, 'protocol', value);
  }

  get username() {
    return partsOf(this)[USERNAME];
  }

  set username(value) {
    setPart(this, 'username', value);
  }

  get password() {
    return partsOf(this)[PASSWORD];
  }

  set password(value) {
    setPart(this, 'password', value);
  }

  get host() {
    return partsOf(this)[HOST];
  }

  set host(value) {
    setPart(this, 'host', value);
  }

  get hostname() {
    return partsOf(this)[HOSTNAME];
  }

  set hostname(value) {
    setPart(this, 'hostname', value);
  }

  get port() {
    return partsOf(this)[PORT];
  }

  set port(value) {
    setPart(this, 'port', value);
  }

  get pathname() {
    return partsOf(this)[PATHNAME];
  }

  set pathname(value) {
    setPart(this, 'pathname', value);
  }

  get search() {
    return partsOf(this)[SEARCH];
  }

  set search(value) {
    setPart(this, 'search', value);
  }

  get searchParams() {
    partsOf(this);
    this.#params ??= linked(this.#parts[SEARCH], (search) => {
      this.#parts = setIn(this.#parts[HREF], 'search', search);
    });
    return this.#params;
  }

  get hash() {
    return partsOf(this)[HASH];
  }

  set hash(value) {
    setPart(this, 'hash', value);
  }

  toString() {
    return partsOf(this)[HREF];
  }

  toJSON() {
    return partsOf(this)[HREF];
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

const { partsOf, setPart } = URL;
delete URL.partsOf;
delete URL.setPart;

asInterface(URL, 'URL');
asInterface(URLSearchParams, 'URLSearchParams');
