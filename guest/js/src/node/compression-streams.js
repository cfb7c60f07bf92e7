// `CompressionStream` and `DecompressionStream` (Compression standard), over the natives of
// compression.rs.

import { ObjectDefineProperty } from '../primordials.js';
import { viewBytes } from '../encoding.js';
import { codedError, typeError } from '../errors.js';
import { native } from '../native.js';
import { TransformStream } from '../streams.js';
import { constants } from './zlib-options.js';
import { received } from '../webidl.js';

const { DEFLATE, DEFLATERAW, GUNZIP, GZIP, INFLATE, INFLATERAW } = constants;
const { Z_FINISH, Z_NO_FLUSH } = constants;
const COMPRESS = { __proto__: null, deflate: DEFLATE, 'deflate-raw': DEFLATERAW, gzip: GZIP };
const DECOMPRESS = { __proto__: null, deflate: INFLATE, 'deflate-raw': INFLATERAW, gzip: GUNZIP };
const CHUNK_BYTES = 16384;
const EMPTY = new Uint8Array(0);

function broken(message, cause) {
  return Object.assign(typeError(cause?.code, message), { cause });
}

/** A transformer that moves chunks through a stream of the host. */
class Codec {
  #id = 0;
  #mode;
  #output = new Uint8Array(CHUNK_BYTES);
  #hasEnded = false;

  constructor(mode) {
    this.#mode = mode;
  }

  transform(chunk, controller) {
    const bytes = viewBytes(chunk);
    if (bytes === undefined) {
      throw typeError(
        'ERR_INVALID_ARG_TYPE',
        'The "chunk" argument must be an instance of ArrayBuffer or ArrayBufferView.' +
          received(chunk),
      );
    }
    if (bytes.length === 0) return;
    if (this.#hasEnded) {
      this.#close();
      throw broken('Trailing data after the end of the compressed stream');
    }
    this.#run(bytes, Z_NO_FLUSH, controller);
  }

  flush(controller) {
    if (!this.#hasEnded) this.#run(EMPTY, Z_FINISH, controller);
    this.#close();
  }

  cancel() {
    this.#close();
  }

  #close() {
    if (this.#id > 0) native.zlibClose(this.#id);
    this.#id = -1;
  }

  #run(bytes, flush, controller) {
    if (this.#id === 0) this.#id = native.zlibOpen(this.#mode, -1, 15, 8, 0, undefined);
    let from = 0;
    for (;;) {
      const output = this.#output;
      const answer = native.zlibStep(this.#id, flush, bytes, from, bytes.length, output);
      from += answer[0];
      this.#emit(answer[1], controller);
      if (answer.length > 3) {
        this.#close();
        throw broken(answer[5], codedError(answer[4], answer[5]));
      }
      this.#hasEnded = answer[2];
      if (answer[1] < CHUNK_BYTES) break;
    }
    if (from < bytes.length) {
      this.#close();
      throw broken('Trailing data after the end of the compressed stream');
    }
  }

  /** Hands out a copy, because whoever gets it may transfer its buffer. */
  #emit(length, controller) {
    if (length > 0) controller.enqueue(this.#output.slice(0, length));
  }
}

function formatMode(modes, format) {
  const mode = modes[format];
  if (mode !== undefined) return mode;
  const name = typeof format === 'string' ? `'${format}'` : format;
  throw typeError(
    'ERR_INVALID_ARG_VALUE',
    `The argument 'format' must be one of: 'deflate', 'deflate-raw', 'gzip'. Received ${name}`,
  );
}

function streamOf(mode) {
  const codec = new Codec(mode);
  return new TransformStream({
    transform: (chunk, controller) => codec.transform(chunk, controller),
    flush: (controller) => codec.flush(controller),
    cancel: () => codec.cancel(),
  });
}

/** `CompressionStream`. */
export class CompressionStream {
  #stream;

  constructor(format) {
    this.#stream = streamOf(formatMode(COMPRESS, format));
  }

  get readable() {
    return this.#stream.readable;
  }

  get writable() {
    return this.#stream.writable;
  }
}

/** `DecompressionStream`. What is not the format errors both sides with a `TypeError`. */
export class DecompressionStream {
  #stream;

  constructor(format) {
    this.#stream = streamOf(formatMode(DECOMPRESS, format));
  }

  get readable() {
    return this.#stream.readable;
  }

  get writable() {
    return this.#stream.writable;
  }
}

for (const constructor of [CompressionStream, DecompressionStream]) {
  const { prototype } = constructor;
  for (const name of ['readable', 'writable']) {
    ObjectDefineProperty(prototype, name, { enumerable: true });
  }
  ObjectDefineProperty(prototype, Symbol.toStringTag, {
    configurable: true,
    value: constructor.name,
  });
}
