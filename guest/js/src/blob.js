// `Blob` and `File` (File API), kept in memory.

import {
  ObjectDefineProperty,
  SafeTypeError,
  StringPrototypeToLowerCase,
  TypedArraySlice,
  append,
  isObject,
} from './primordials.js';
import { joinBytes, viewBytes } from './encoding.js';
import { native } from './native.js';
import { ReadableStream } from './streams.js';

const now = Date.now;

function checkType(type) {
  const text = type === undefined ? '' : `${type}`;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 || code > 126) return '';
  }
  return StringPrototypeToLowerCase(text);
}

/** `Blob`. */
export class Blob {
  #bytes;
  #type;

  constructor(parts = [], options = undefined) {
    if (!isObject(parts) || parts[Symbol.iterator] === undefined) {
      throw new SafeTypeError('The "sources" argument must be a sequence');
    }
    const chunks = [];
    let length = 0;
    for (const part of parts) {
      let bytes = viewBytes(part);
      if (bytes === undefined && isObject(part) && #bytes in part) bytes = part.#bytes;
      bytes ??= native.utf8Encode(`${part}`);
      append(chunks, bytes);
      length += bytes.length;
    }
    const joined = joinBytes(chunks, length);
    this.#bytes = chunks.length === 1 ? new Uint8Array(joined) : joined;
    this.#type = checkType(options?.type);
  }

  get size() {
    return this.#bytes.length;
  }

  get type() {
    return this.#type;
  }

  slice(start = 0, end = this.#bytes.length, type = '') {
    return new Blob([TypedArraySlice(this.#bytes, start, end)], { type });
  }

  async text() {
    return native.utf8Decode(this.#bytes, false);
  }

  async bytes() {
    return TypedArraySlice(this.#bytes);
  }

  async arrayBuffer() {
    return TypedArraySlice(this.#bytes).buffer;
  }

  stream() {
    const bytes = TypedArraySlice(this.#bytes);
    return new ReadableStream({
      type: 'bytes',
      start(controller) {
        if (bytes.length > 0) controller.enqueue(bytes);
        controller.close();
      },
    });
  }

  static bytes(blob) {
    return blob.#bytes;
  }
}

/** The bytes of a blob, not copied. */
export const blobBytes = Blob.bytes;
delete Blob.bytes;

/** `File`. */
export class File extends Blob {
  #name;
  #lastModified;

  constructor(parts, name, options = undefined) {
    super(parts, options);
    this.#name = `${name}`;
    this.#lastModified = options?.lastModified ?? now();
  }

  get name() {
    return this.#name;
  }

  get lastModified() {
    return this.#lastModified;
  }
}

for (const constructor of [Blob, File]) {
  ObjectDefineProperty(constructor.prototype, Symbol.toStringTag, {
    configurable: true,
    value: constructor.name,
  });
}
