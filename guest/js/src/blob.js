// `Blob` and `File` (File API), kept in memory. Slices share the bytes, which never change.

import {
  MathMax,
  MathMin,
  NumberIsNaN,
  ObjectSetPrototypeOf,
  RegExpPrototypeExec,
  SafeUint8Array,
  StringPrototypeReplace,
  StringPrototypeToLowerCase,
  TypedArraySlice,
  TypedArraySubarray,
  append,
  isObject,
} from './primordials.js';
import { joinBytes, viewBytes } from './encoding.js';
import { native } from './native.js';
import { ReadableStream } from './streams.js';
import {
  asInterface,
  domText,
  wrongType,
  invalidThis,
  missingArgs,
  scalarText,
} from './webidl.js';

const now = Date.now;
/** How many bytes a chunk of `stream()` has at most. */
const CHUNK_BYTES = 65536;
const NOT_TYPE = /[^\x20-\x7e]/;
const LINE_ENDING = /\r\n?/g;
const EMPTY = new SafeUint8Array(0);

function checkType(given) {
  const text = given === undefined ? '' : domText(given);
  return RegExpPrototypeExec(NOT_TYPE, text) === null ? StringPrototypeToLowerCase(text) : '';
}

function checkParts(parts) {
  if (parts === undefined) return [];
  if (isObject(parts) && typeof parts[Symbol.iterator] === 'function') return parts;
  throw wrongType('sources', 'a sequence', parts);
}

function checkEndings(options) {
  if (options !== undefined && options !== null && !isObject(options)) {
    throw wrongType('options', 'of type object', options);
  }
  const endings = options?.endings;
  if (endings === undefined || domText(endings) === 'transparent') return false;
  if (domText(endings) === 'native') return true;
  throw wrongType('options.endings', "one of 'transparent', 'native'", endings);
}

/** An index as `slice` takes it: negative ones count from the end. */
function place(given, size, fallback) {
  if (given === undefined) return fallback;
  let index = +given;
  if (NumberIsNaN(index)) index = 0;
  index = Math.trunc(index);
  return index < 0 ? MathMax(size + index, 0) : MathMin(index, size);
}

/** `Blob`. */
export class Blob {
  #bytes = EMPTY;
  #type = '';

  constructor(parts = undefined, options = undefined) {
    const given = checkParts(parts);
    const isNative = checkEndings(options);
    const chunks = [];
    let length = 0;
    let isOwn = true;
    for (const part of given) {
      const view = viewBytes(part);
      const chunk = view ?? bytesOf(part, isNative);
      isOwn = view === undefined;
      append(chunks, chunk);
      length += chunk.length;
    }
    const bytes = joinBytes(chunks, length);
    // A single chunk was not copied; if it is the caller's, it may change.
    this.#bytes = chunks.length === 1 && !isOwn ? TypedArraySlice(asPlain(bytes)) : bytes;
    this.#type = checkType(options?.type);
  }

  get size() {
    return check(this).#bytes.length;
  }

  get type() {
    return check(this).#type;
  }

  slice(start = 0, end = undefined, type = '') {
    const size = check(this).#bytes.length;
    const from = place(start, size, 0);
    const to = MathMax(place(end, size, size), from);
    return make(TypedArraySubarray(this.#bytes, from, to), checkType(type));
  }

  async text() {
    const text = native.utf8Decode(check(this).#bytes, false);
    return text !== '' && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }

  async bytes() {
    return TypedArraySlice(check(this).#bytes);
  }

  async arrayBuffer() {
    return TypedArraySlice(check(this).#bytes).buffer;
  }

  stream() {
    const bytes = check(this).#bytes;
    let at = 0;
    return new ReadableStream(
      {
        type: 'bytes',
        pull(controller) {
          const chunk = TypedArraySlice(bytes, at, at + CHUNK_BYTES);
          at += chunk.length;
          if (chunk.length > 0) controller.enqueue(chunk);
          if (at < bytes.length) return;
          controller.close();
          controller.byobRequest?.respond(0);
        },
      },
      { highWaterMark: 0 },
    );
  }

  static bytes(blob) {
    return blob.#bytes;
  }

  static check(blob) {
    if (!isBlob(blob)) throw invalidThis('Blob');
    return blob;
  }

  static isBlob(value) {
    return isObject(value) && #bytes in value;
  }

  /** A blob over bytes that nobody changes. */
  static make(bytes, type) {
    const blob = new Blob();
    blob.#bytes = bytes;
    blob.#type = type;
    return blob;
  }

  /** Gives a new blob another one's content. */
  static adopt(blob, from) {
    blob.#bytes = from.#bytes;
    blob.#type = from.#type;
  }
}

const { adopt, bytes: blobBytes, check, isBlob, make } = Blob;
for (const name of ['adopt', 'bytes', 'check', 'isBlob', 'make']) delete Blob[name];

/** `blobBytes(blob)`: its bytes, not copied; `blobOf(bytes, type)`: a blob that keeps them. */
export { blobBytes, isBlob, make as blobOf };

function asPlain(bytes) {
  return new SafeUint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bytesOf(part, isNative) {
  if (isBlob(part)) return blobBytes(part);
  const text = scalarText(part);
  return native.utf8Encode(isNative ? StringPrototypeReplace(text, LINE_ENDING, '\n') : text);
}

/** `File`. */
export class File extends Blob {
  #name = '';
  #lastModified = 0;

  constructor(parts, name, options = undefined) {
    if (arguments.length < 2) throw missingArgs('fileBits', 'fileName');
    super(checkParts(parts ?? null), options);
    this.#name = scalarText(name);
    const given = options?.lastModified;
    this.#lastModified = given === undefined ? now() : Math.trunc(+given) || 0;
  }

  get name() {
    return checkFile(this).#name;
  }

  get lastModified() {
    return checkFile(this).#lastModified;
  }

  get webkitRelativePath() {
    checkFile(this);
    return '';
  }

  static check(file) {
    if (!isFile(file)) throw invalidThis('File');
    return file;
  }

  static isFile(value) {
    return isObject(value) && #lastModified in value;
  }
}

const { check: checkFile, isFile } = File;
delete File.check;
delete File.isFile;
export { isFile };

/** A blob as a file of that name. */
export function fileOf(blob, name, lastModified = now()) {
  const file = new File([], name, { lastModified });
  adopt(file, blob);
  return file;
}

/** A copy for `structuredClone`; undefined if it is something else. */
export function blobCopy(value) {
  if (!isBlob(value)) return undefined;
  if (isFile(value)) return fileOf(value, value.name, value.lastModified);
  return ObjectSetPrototypeOf(make(blobBytes(value), value.type), Blob.prototype);
}

asInterface(Blob, 'Blob');
asInterface(File, 'File');
