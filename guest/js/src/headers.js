// `Headers` (Fetch standard).

import {
  ArrayIsArray,
  ArrayPrototypeJoin,
  ArrayPrototypeSort,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  ReflectOwnKeys,
  SafeString,
  SafeTypeError,
  StringPrototypeCharCodeAt,
  StringPrototypeSlice,
  StringPrototypeToLowerCase,
  append,
  isObject,
} from './primordials.js';
import { isFieldValue, isToken, readFields, writeFields } from './fields.js';

const CUSTOM_INSPECT = Symbol.for('nodejs.util.inspect.custom');

function checkName(name) {
  const text = typeof name === 'string' ? name : SafeString(name);
  if (!isToken(text)) throw new SafeTypeError(`Headers: "${text}" is an invalid header name.`);
  return StringPrototypeToLowerCase(text);
}

const isSpace = (code) => code === 32 || code === 9 || code === 13 || code === 10;

/** Takes white space off both ends, as the standard normalises values. */
function checkValue(value) {
  let text = typeof value === 'string' ? value : SafeString(value);
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
    return this.#read();
  }

  append(name, value) {
    const key = checkName(name);
    add(this.#change(), key, checkValue(value));
  }

  delete(name) {
    const key = checkName(name);
    delete this.#change()[key];
  }

  get(name) {
    const value = this.#read()[checkName(name)];
    if (value === undefined) return null;
    return ArrayIsArray(value) ? ArrayPrototypeJoin(value, ', ') : value;
  }

  getSetCookie() {
    return [...(this.#read()['set-cookie'] ?? [])];
  }

  has(name) {
    return this.#read()[checkName(name)] !== undefined;
  }

  set(name, value) {
    const key = checkName(name);
    const text = checkValue(value);
    this.#change()[key] = key === 'set-cookie' ? [text] : text;
  }

  forEach(callback, thisArg) {
    if (typeof callback !== 'function') {
      throw new SafeTypeError('Headers.forEach: the callback must be a function.');
    }
    for (const [name, value] of this) callback.call(thisArg, value, name, this);
  }

  *entries() {
    const table = this.#read();
    const names = ArrayPrototypeSort(ObjectKeys(table));
    for (let i = 0; i < names.length; i++) {
      const value = table[names[i]];
      if (!ArrayIsArray(value)) {
        yield [names[i], value];
        continue;
      }
      for (let j = 0; j < value.length; j++) yield [names[i], value[j]];
    }
  }

  *keys() {
    for (const [name] of this.entries()) yield name;
  }

  *values() {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator]() {
    return this.entries();
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
    if (table[name] === undefined) table[name] = value;
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

const { copy, freeze, fromText, isHeaders, setDefault, toText } = Headers;
for (const name of ['copy', 'freeze', 'fromText', 'isHeaders', 'setDefault', 'toText']) {
  delete Headers[name];
}

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
  } else {
    table[name] = earlier === undefined ? value : earlier + ', ' + value;
  }
}

function fill(headers, init) {
  if (init[Symbol.iterator] === undefined) {
    const names = ReflectOwnKeys(init);
    for (let i = 0; i < names.length; i++) {
      const property = ObjectGetOwnPropertyDescriptor(init, names[i]);
      if (property.enumerable) headers.append(names[i], init[names[i]]);
    }
    return;
  }
  for (const pair of init) {
    const both = isObject(pair) ? [...pair] : [];
    if (both.length !== 2) {
      throw new SafeTypeError('Headers: each pair must be a list of name and value.');
    }
    headers.append(both[0], both[1]);
  }
}

ObjectDefineProperty(Headers.prototype, Symbol.toStringTag, {
  configurable: true,
  value: 'Headers',
});
