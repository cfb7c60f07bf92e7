// `Headers` (Fetch standard).

import {
  ArrayIsArray,
  ArrayPrototypeJoin,
  ArrayPrototypeSort,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  ReflectApply,
  ReflectOwnKeys,
  SafeTypeError,
  StringPrototypeCharCodeAt,
  StringPrototypeSlice,
  StringPrototypeToLowerCase,
  append,
  isObject,
} from './primordials.js';
import { isFieldValue, isToken, readFields, writeFields } from './fields.js';
import { asInterface, checkCount, domText, pairIterators } from './webidl.js';

const CUSTOM_INSPECT = Symbol.for('nodejs.util.inspect.custom');

function checkName(name) {
  const text = typeof name === 'string' ? name : domText(name);
  if (!isToken(text)) throw new SafeTypeError(`Headers: "${text}" is an invalid header name.`);
  return StringPrototypeToLowerCase(text);
}

const isSpace = (code) => code === 32 || code === 9 || code === 13 || code === 10;

/** Takes white space off both ends, as the standard normalises values. */
function checkValue(value) {
  let text = typeof value === 'string' ? value : domText(value);
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(StringPrototypeCharCodeAt(text, start))) start++;
  while (end > start && isSpace(StringPrototypeCharCodeAt(text, end - 1))) end--;
  if (start > 0 || end < text.length) text = StringPrototypeSlice(text, start, end);
  if (!isFieldValue(text)) {
    throw new SafeTypeError(`Headers: "${text}" is an invalid header value.`);
  }
  return text;
}

/** `Headers`. */
export class Headers {
  /** Lower-case names to a value; `set-cookie` to a list of values. */
  #table = ObjectCreate(null);
  /** What the table is read from when it is first needed. */
  #text = '';
  #isFrozen = false;
  /** The pairs in the order of iteration, until something changes. */
  #sorted = null;

  constructor(init = undefined) {
    if (init === undefined) return;
    if (!isObject(init)) {
      throw new SafeTypeError('Headers: the initial value must be an object or a list of pairs.');
    }
    fill(this, init);
  }

  #read() {
    if (this.#text === '') return this.#table;
    const text = this.#text;
    this.#text = '';
    readFields(text, (name, value) => add(this.#table, StringPrototypeToLowerCase(name), value));
    return this.#table;
  }

  #change() {
    if (this.#isFrozen) throw new SafeTypeError('Headers: these headers are immutable.');
    this.#sorted = null;
    return this.#read();
  }

  append(name, value) {
    checkCount('Headers.append', arguments.length, 2);
    const key = checkName(name);
    add(this.#change(), key, checkValue(value));
  }

  delete(name) {
    checkCount('Headers.delete', arguments.length, 1);
    const key = checkName(name);
    delete this.#change()[key];
  }

  get(name) {
    checkCount('Headers.get', arguments.length, 1);
    const value = this.#read()[checkName(name)];
    if (value === undefined) return null;
    return ArrayIsArray(value) ? ArrayPrototypeJoin(value, ', ') : value;
  }

  getSetCookie() {
    return [...(this.#read()['set-cookie'] ?? [])];
  }

  has(name) {
    checkCount('Headers.has', arguments.length, 1);
    return this.#read()[checkName(name)] !== undefined;
  }

  set(name, value) {
    checkCount('Headers.set', arguments.length, 2);
    const key = checkName(name);
    const text = checkValue(value);
    this.#change()[key] = key === 'set-cookie' ? [text] : text;
  }

  forEach(callback, thisArg) {
    if (typeof callback !== 'function') {
      throw new SafeTypeError('Headers.forEach: the callback must be a function.');
    }
    for (let i = 0; ; i++) {
      const pair = pairAt(this, i);
      if (pair === undefined) return;
      ReflectApply(callback, thisArg, [pair[1], pair[0], this]);
    }
  }

  entries() {
    this.#read();
    return iterate(this, 'entries');
  }

  keys() {
    this.#read();
    return iterate(this, 'keys');
  }

  values() {
    this.#read();
    return iterate(this, 'values');
  }

  /** The pair at a place, for iterators, which see every change. */
  static pairAt(headers, index) {
    headers.#sorted ??= sortedPairs(headers.#read());
    return headers.#sorted[index];
  }

  [CUSTOM_INSPECT](depth, options, inspect) {
    return `Headers ${inspect({ ...this.#read() }, options)}`;
  }

  /** Headers read from a header section when somebody looks. */
  static fromText(text, isFrozen) {
    const headers = new Headers();
    headers.#text = text;
    headers.#isFrozen = isFrozen;
    return headers;
  }

  /** The header section. */
  static toText(headers) {
    return headers.#text === '' ? writeFields(headers.#table) : headers.#text;
  }

  /** Sets a field unless it is there already; the name is in lower case and valid. */
  static setDefault(headers, name, value) {
    const table = headers.#read();
    if (table[name] !== undefined) return;
    table[name] = value;
    headers.#sorted = null;
  }

  /** A copy that can be changed. */
  static copy(headers) {
    return fromText(toText(headers), false);
  }

  static freeze(headers) {
    headers.#isFrozen = true;
  }

  static isHeaders(value) {
    return isObject(value) && #table in value;
  }
}

const { copy, freeze, fromText, isHeaders, pairAt, setDefault, toText } = Headers;
for (const name of ['copy', 'freeze', 'fromText', 'isHeaders', 'pairAt', 'setDefault', 'toText']) {
  delete Headers[name];
}
const iterate = pairIterators('Headers', pairAt);

export {
  copy as copyHeaders,
  freeze as freezeHeaders,
  isHeaders,
  fromText as headersFromText,
  setDefault as setDefaultHeader,
  toText as headersToText,
};

function add(table, name, value) {
  const earlier = table[name];
  if (name === 'set-cookie') {
    if (earlier === undefined) table[name] = [value];
    else append(earlier, value);
  } else if (earlier === undefined) {
    table[name] = value;
  } else {
    table[name] = earlier + (name === 'cookie' ? '; ' : ', ') + value;
  }
}

function sortedPairs(table) {
  const pairs = [];
  const names = ArrayPrototypeSort(ObjectKeys(table));
  for (let i = 0; i < names.length; i++) {
    const value = table[names[i]];
    if (!ArrayIsArray(value)) append(pairs, [names[i], value]);
    else for (let j = 0; j < value.length; j++) append(pairs, [names[i], value[j]]);
  }
  return pairs;
}

function fill(headers, init) {
  const method = init[Symbol.iterator];
  if (method === undefined || method === null) {
    const names = ReflectOwnKeys(init);
    for (let i = 0; i < names.length; i++) {
      const property = ObjectGetOwnPropertyDescriptor(init, names[i]);
      if (property?.enumerable === true) headers.append(names[i], init[names[i]]);
    }
    return;
  }
  if (typeof method !== 'function') {
    throw new SafeTypeError('Headers: the initial value is not iterable.');
  }
  for (const pair of init) {
    const both = isObject(pair) && typeof pair[Symbol.iterator] === 'function' ? [...pair] : [];
    if (both.length !== 2) {
      throw new SafeTypeError('Headers: each pair must be a list of name and value.');
    }
    headers.append(both[0], both[1]);
  }
}

asInterface(Headers, 'Headers');
ObjectDefineProperty(Headers.prototype, Symbol.iterator, {
  configurable: true,
  value: Headers.prototype.entries,
  writable: true,
});
