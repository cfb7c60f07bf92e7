// Header sections as text: `name: value` lines, each ended by CR LF (RFC 9112).
//
// That is how they cross to the host and back: one string instead of dozens of objects, and
// nothing is taken apart unless somebody asks.
//
// The natives of quickjs/fields.c do what is common; they answer `undefined` where they do not.
//
// Here and elsewhere on the path of an answer strings are joined with `+`, because QuickJS lets a
// template literal call `String.prototype.concat`, which user code may have replaced.

import {
  ArrayIsArray,
  ObjectCreate,
  ObjectKeys,
  RegExpPrototypeExec,
  SafeString,
  StringPrototypeIndexOf,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  StringPrototypeToLowerCase,
  StringPrototypeTrim,
  append,
} from './primordials.js';
import { typeError } from './errors.js';
import { native } from './native.js';

// What neither a token (RFC 9110, section 5.6.2) nor a field's value may hold.
const NOT_TOKEN = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/;
const NOT_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

/** Whether a string is a token: a method or the name of a header field. */
export function isToken(text) {
  return typeof text === 'string' && text !== '' && RegExpPrototypeExec(NOT_TOKEN, text) === null;
}

/** Whether a string may be the value of a field: no CR, LF or NUL, nothing beyond Latin-1. */
export function isFieldValue(text) {
  return native.isFieldValue(text) ?? RegExpPrototypeExec(NOT_VALUE, text) === null;
}

/** The lower-case name of a field, checked. */
export function fieldName(name) {
  const lower = native.fieldName(name);
  if (lower !== undefined) return lower;
  if (!isToken(name)) {
    throw typeError(
      'ERR_INVALID_HTTP_TOKEN',
      'Header name must be a valid HTTP token ["' + SafeString(name) + '"]',
    );
  }
  return StringPrototypeToLowerCase(name);
}

/** The value of a field as a string or a list of strings, checked. */
export function fieldValue(name, value) {
  if (ArrayIsArray(value)) {
    const values = [];
    for (let i = 0; i < value.length; i++) append(values, oneValue(name, value[i]));
    return values;
  }
  return oneValue(name, value);
}

function oneValue(name, value) {
  if (value === undefined) {
    throw typeError(
      'ERR_HTTP_INVALID_HEADER_VALUE',
      'Invalid value "undefined" for header "' + name + '"',
    );
  }
  const text = typeof value === 'string' ? value : SafeString(value);
  if (!isFieldValue(text)) {
    throw typeError('ERR_INVALID_CHAR', 'Invalid character in header content ["' + name + '"]');
  }
  return text;
}

/** Sets a field in a table, in place of what has its name; its lower-case name. */
export function putField(table, name, value) {
  return native.putField(table, name, value) ?? putChecked(table, name, value);
}

/** As `putField`, for what takes more than a look. */
function putChecked(table, name, value) {
  const key = fieldName(name);
  table[key] = fieldValue(key, value);
  return key;
}

/** The text of a table from lower-case names to a value or a list of values. */
export function writeFields(table) {
  return native.fieldsText(table) ?? writeLists(table);
}

/** As `writeFields`, for lists of values too. */
function writeLists(table) {
  const names = ObjectKeys(table);
  let text = '';
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    const value = table[name];
    if (typeof value === 'string') {
      text += name + ': ' + value + '\r\n';
      continue;
    }
    for (let j = 0; j < value.length; j++) text += name + ': ' + value[j] + '\r\n';
  }
  return text;
}

/** Calls `each(name, value)` for every line, in order. */
export function readFields(text, each) {
  let start = 0;
  while (start < text.length) {
    let end = StringPrototypeIndexOf(text, '\r\n', start);
    if (end < 0) end = text.length;
    const colon = StringPrototypeIndexOf(text, ':', start);
    if (colon > start && colon < end) {
      const name = StringPrototypeSlice(text, start, colon);
      each(name, StringPrototypeTrim(StringPrototypeSlice(text, colon + 1, end)));
    }
    start = end + 2;
  }
}

/** The first value of one field, without reading the others; '' if it is not there. */
export function findField(text, name) {
  const line = name + ': ';
  let start = 0;
  if (!StringPrototypeStartsWith(text, line)) {
    start = StringPrototypeIndexOf(text, '\n' + line) + 1;
    if (start === 0) return '';
  }
  start += line.length;
  const end = StringPrototypeIndexOf(text, '\r\n', start);
  return StringPrototypeTrim(StringPrototypeSlice(text, start, end < 0 ? text.length : end));
}

// Of these, a second line is dropped, as in Node: joining them would make no sense.
const SINGLE = ObjectCreate(null);
for (const name of [
  'age',
  'authorization',
  'content-length',
  'content-type',
  'etag',
  'expires',
  'from',
  'host',
  'if-modified-since',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'referer',
  'retry-after',
  'server',
  'user-agent',
]) {
  SINGLE[name] = true;
}

/** The fields as Node's `req.headers`: lower-case names, repeated values joined. */
export function fieldTable(text) {
  return native.fieldTable(text) ?? joinedTable(text);
}

/** As `fieldTable`, for several fields with one name too. */
function joinedTable(text) {
  const table = ObjectCreate(null);
  readFields(text, (given, value) => {
    const name = StringPrototypeToLowerCase(given);
    const earlier = table[name];
    if (name === 'set-cookie') {
      if (earlier === undefined) table[name] = [value];
      else append(earlier, value);
    } else if (earlier === undefined) {
      table[name] = value;
    } else if (SINGLE[name] !== true) {
      table[name] = earlier + (name === 'cookie' ? '; ' : ', ') + value;
    }
  });
  return table;
}
