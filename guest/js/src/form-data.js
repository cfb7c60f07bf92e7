// `FormData` (XHR standard), and its two forms as a body: multipart/form-data and urlencoded.

import {
  ObjectDefineProperty,
  ReflectApply,
  RegExpPrototypeExec,
  SafeTypeError,
  SafeUint8Array,
  StringPrototypeIndexOf,
  StringPrototypeReplaceAll,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  StringPrototypeToLowerCase,
  StringPrototypeTrim,
  TypedArraySlice,
  TypedArraySubarray,
  append,
  isObject,
  uncurryThis,
} from './primordials.js';
import { inspect } from 'node-inspect-extracted';
import { blobBytes, blobOf, fileOf, isBlob, isFile } from './blob.js';
import { joinBytes } from './encoding.js';
import { native } from './native.js';
import { URLSearchParams } from './url.js';
import { asInterface, checkCount, domText, pairIterators, scalarText } from './webidl.js';

const CUSTOM_INSPECT = Symbol.for('nodejs.util.inspect.custom');
const indexOfByte = uncurryThis(SafeUint8Array.prototype.indexOf);
const CR = 13;
const LF = 10;
const DASH = 45;

/** An entry's value: a string, or a file; a name for it makes a blob or file a new file. */
function entryValue(value, count, filename, method) {
  if (!isBlob(value)) {
    if (count >= 3) {
      throw new SafeTypeError(`FormData.${method}: parameter 2 is not of type 'Blob'.`);
    }
    return scalarText(value);
  }
  if (isFile(value)) {
    return count < 3 ? value : fileOf(value, scalarText(filename), value.lastModified);
  }
  return fileOf(value, count < 3 ? 'blob' : scalarText(filename));
}

/** `FormData`. */
export class FormData {
  #entries = [];

  constructor(form = undefined) {
    if (form !== undefined) {
      throw new SafeTypeError(
        'FormData constructor: Argument 1 could not be converted to: undefined.',
      );
    }
  }

  append(name, value, filename = undefined) {
    checkCount('FormData.append', arguments.length, 2);
    const key = scalarText(name);
    append(this.#entries, [key, entryValue(value, arguments.length, filename, 'append')]);
  }

  delete(name) {
    checkCount('FormData.delete', arguments.length, 1);
    const key = scalarText(name);
    const rest = [];
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i++) if (entries[i][0] !== key) append(rest, entries[i]);
    this.#entries = rest;
  }

  get(name) {
    checkCount('FormData.get', arguments.length, 1);
    const key = scalarText(name);
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i++) if (entries[i][0] === key) return entries[i][1];
    return null;
  }

  getAll(name) {
    checkCount('FormData.getAll', arguments.length, 1);
    const key = scalarText(name);
    const values = [];
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i++) {
      if (entries[i][0] === key) append(values, entries[i][1]);
    }
    return values;
  }

  has(name) {
    checkCount('FormData.has', arguments.length, 1);
    return this.get(name) !== null;
  }

  set(name, value, filename = undefined) {
    checkCount('FormData.set', arguments.length, 2);
    const key = scalarText(name);
    const entry = [key, entryValue(value, arguments.length, filename, 'set')];
    const kept = [];
    let isSet = false;
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i++) {
      if (entries[i][0] !== key) append(kept, entries[i]);
      else if (!isSet) {
        append(kept, entry);
        isSet = true;
      }
    }
    if (!isSet) append(kept, entry);
    this.#entries = kept;
  }

  forEach(callback, thisArg = undefined) {
    checkCount('FormData.forEach', arguments.length, 1);
    if (typeof callback !== 'function') {
      throw new SafeTypeError('FormData.forEach: the callback must be a function.');
    }
    for (let i = 0; i < this.#entries.length; i++) {
      ReflectApply(callback, thisArg, [this.#entries[i][1], this.#entries[i][0], this]);
    }
  }

  entries() {
    void this.#entries;
    return iterate(this, 'entries');
  }

  keys() {
    void this.#entries;
    return iterate(this, 'keys');
  }

  values() {
    void this.#entries;
    return iterate(this, 'values');
  }

  [CUSTOM_INSPECT](depth, options) {
    const shown = {};
    for (const [name, value] of this.#entries) {
      shown[name] = name in shown ? [shown[name], value].flat() : value;
    }
    return `FormData ${inspect(shown, options)}`;
  }

  static pairAt(form, index) {
    return form.#entries[index];
  }

  static isForm(value) {
    return isObject(value) && #entries in value;
  }

  /** Adds what was read from a body. */
  static add(form, name, value) {
    append(form.#entries, [name, value]);
  }
}

const { add, isForm: isFormData, pairAt } = FormData;
for (const name of ['add', 'isForm', 'pairAt']) delete FormData[name];
const iterate = pairIterators('FormData', pairAt);
asInterface(FormData, 'FormData');
ObjectDefineProperty(FormData.prototype, Symbol.iterator, {
  configurable: true,
  value: FormData.prototype.entries,
  writable: true,
});
export { isFormData };

const LINE_END = /\r\n|\r|\n/g;
const withLines = (text) => text.replace(LINE_END, '\r\n');

function quoted(text) {
  const line = StringPrototypeReplaceAll(text, '\n', '%0A');
  return StringPrototypeReplaceAll(StringPrototypeReplaceAll(line, '\r', '%0D'), '"', '%22');
}

function newBoundary() {
  let digits = '';
  while (digits.length < 12) digits += Math.trunc(native.randomFloat() * 1e12);
  return '----formdata-ampoule-' + StringPrototypeSlice(digits, 0, 12);
}

/** A form as multipart/form-data: its bytes and its content type. */
export function writeMultipart(form) {
  const boundary = newBoundary();
  const chunks = [];
  let length = 0;
  const add = (chunk) => {
    append(chunks, chunk);
    length += chunk.length;
  };
  for (let i = 0; ; i++) {
    const pair = pairAt(form, i);
    if (pair === undefined) break;
    const [name, value] = pair;
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(withLines(name))}"`;
    if (typeof value === 'string') {
      add(native.utf8Encode(`${head}\r\n\r\n${withLines(value)}\r\n`));
      continue;
    }
    head += `; filename="${quoted(value.name)}"`;
    head += `\r\nContent-Type: ${value.type || 'application/octet-stream'}\r\n\r\n`;
    add(native.utf8Encode(head));
    add(blobBytes(value));
    add(native.utf8Encode('\r\n'));
  }
  add(native.utf8Encode(`--${boundary}--\r\n`));
  return { bytes: joinBytes(chunks, length), type: `multipart/form-data; boundary=${boundary}` };
}

const invalid = () => new SafeTypeError('Failed to parse body as FormData.');

/** Where one run of bytes begins in another, from a place on; -1 if it does not. */
function find(bytes, wanted, from) {
  for (;;) {
    const at = indexOfByte(bytes, wanted[0], from);
    if (at < 0 || at + wanted.length > bytes.length) return -1;
    let i = 1;
    while (i < wanted.length && bytes[at + i] === wanted[i]) i++;
    if (i === wanted.length) return at;
    from = at + 1;
  }
}

/**
 * The parts of a multipart body: `{ name, filename, type, bytes }`, with `filename` and `type` null
 * where a part does not say. Throws a TypeError for what is no multipart body.
 */
export function parseMultipart(bytes, boundary) {
  const delimiter = native.utf8Encode('\r\n--' + boundary);
  const parts = [];
  // The first delimiter needs no line before it.
  const first = TypedArraySubarray(delimiter, 2);
  let at = 0;
  while (bytes[at] === CR && bytes[at + 1] === LF) at += 2;
  if (find(TypedArraySubarray(bytes, 0, at + first.length), first, at) !== at) throw invalid();
  at += first.length;
  for (;;) {
    if (bytes[at] === DASH && bytes[at + 1] === DASH) {
      const isEnd = at + 2 === bytes.length || (bytes[at + 2] === CR && at + 4 === bytes.length);
      if (isEnd) return parts;
      throw invalid();
    }
    if (bytes[at] !== CR || bytes[at + 1] !== LF) throw invalid();
    const part = { name: null, filename: null, type: null, bytes: null };
    at = readHead(bytes, at + 2, part);
    const end = find(bytes, delimiter, at - 2);
    if (end < 0 || part.name === null) throw invalid();
    part.bytes = TypedArraySubarray(bytes, at, end < at ? at : end);
    append(parts, part);
    at = end + delimiter.length;
  }
}

/** Reads the header lines of a part; answers where its content begins. */
function readHead(bytes, at, part) {
  for (;;) {
    let end = at;
    do {
      end = indexOfByte(bytes, CR, end === at ? at : end + 1);
      if (end < 0) throw invalid();
    } while (bytes[end + 1] !== LF);
    if (end === at) return at + 2;
    const line = native.utf8Decode(TypedArraySubarray(bytes, at, end), false);
    const colon = StringPrototypeIndexOf(line, ':');
    if (colon < 1) throw invalid();
    const name = StringPrototypeToLowerCase(
      StringPrototypeTrim(StringPrototypeSlice(line, 0, colon)),
    );
    const value = StringPrototypeTrim(StringPrototypeSlice(line, colon + 1));
    if (name === 'content-type') part.type = value;
    else if (name === 'content-disposition') readDisposition(value, part);
    at = end + 2;
  }
}

const DISPOSITION = /^form-data[ \t]*;/i;
const NAME = /[;\s]name=("([^"]*)"|[^;\s]+)/i;
const FILENAME = /[;\s]filename=("([^"]*)"|[^;\s]+)/i;
const FILENAME_UTF8 = /[;\s]filename\*=utf-8'[^']*'([^;\s]+)/i;

function parameter(pattern, text) {
  const found = RegExpPrototypeExec(pattern, text);
  if (found === null) return null;
  const value = StringPrototypeReplaceAll(found[2] ?? found[1], '%22', '"');
  const line = StringPrototypeReplaceAll(
    StringPrototypeReplaceAll(value, '%0A', '\n'),
    '%0a',
    '\n',
  );
  return StringPrototypeReplaceAll(StringPrototypeReplaceAll(line, '%0D', '\r'), '%0d', '\r');
}

function readDisposition(value, part) {
  if (RegExpPrototypeExec(DISPOSITION, value) === null) throw invalid();
  part.name = parameter(NAME, value);
  part.filename = parameter(FILENAME, value);
  const encoded = RegExpPrototypeExec(FILENAME_UTF8, value);
  if (encoded === null) return;
  try {
    part.filename = decodeURIComponent(encoded[1]);
  } catch {
    throw invalid();
  }
}

const BOUNDARY = /;[ \t]*boundary=("([^"]*)"|[^;\s]+)/i;

/** The `boundary` of a content type, or null. */
export function boundaryOf(contentType) {
  const found = RegExpPrototypeExec(BOUNDARY, contentType);
  return found === null ? null : (found[2] ?? found[1]);
}

/** A body's bytes as a form, by its content type. */
export function readForm(bytes, contentType) {
  const form = new FormData();
  const type = StringPrototypeToLowerCase(domText(contentType ?? ''));
  if (StringPrototypeStartsWith(type, 'multipart/form-data')) {
    const boundary = boundaryOf(contentType);
    if (boundary === null) throw invalid();
    readParts(form, parseMultipart(bytes, boundary));
    return form;
  }
  if (StringPrototypeStartsWith(type, 'application/x-www-form-urlencoded')) {
    const pairs = new URLSearchParams('&' + native.utf8Decode(bytes, false));
    for (const [name, value] of pairs) add(form, name, value);
    return form;
  }
  throw new SafeTypeError(
    'Content-Type was not one of "multipart/form-data" or "application/x-www-form-urlencoded".',
  );
}

function readParts(form, parts) {
  for (let i = 0; i < parts.length; i++) {
    const { name, filename, type, bytes } = parts[i];
    if (filename === null) add(form, name, native.utf8Decode(bytes, false));
    else {
      const blob = blobOf(TypedArraySlice(bytes), StringPrototypeToLowerCase(type ?? 'text/plain'));
      add(form, name, fileOf(blob, filename));
    }
  }
}
