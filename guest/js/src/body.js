// Bodies of `Request` and `Response` (Fetch standard), and the bodies of the host behind them.
//
// A body keeps what it was made from; a stream is made only when somebody wants one.

import {
  ArrayBufferSlice,
  JSONParse,
  ObjectDefineProperties,
  ObjectGetOwnPropertyDescriptors,
  ObjectSetPrototypeOf,
  PromiseConstructor,
  PromisePrototypeThen,
  PromiseReject,
  PromiseResolve,
  SafeTypeError,
  StringPrototypeCharCodeAt,
  StringPrototypeSlice,
  TypedArraySlice,
  append,
  isObject,
} from './primordials.js';
import { offAbort, onAbort } from './abort.js';
import { Blob, blobBytes, isBlob } from './blob.js';
import { Buffer, asBuffer } from './buffer.js';
import { joinBytes, viewBytes } from './encoding.js';
import { nativeError } from './errors.js';
import { isFormData, readForm, writeMultipart } from './form-data.js';
import { native } from './native.js';
import { ReadableStream } from './streams.js';
import { URLSearchParams } from './url.js';
import { asInterface, domText } from './webidl.js';

/** Bytes to ask the host for at a time. */
const CHUNK_BYTES = 65536;

/** A body of the host, read from its beginning to its end, once. */
export class NativeBody {
  #id;
  #signal;
  #reading = null;
  #error = null;
  #aborted = () => this.#abort();

  constructor(id, signal) {
    this.#id = id;
    this.#signal = signal;
    if (signal !== null) onAbort(signal, this.#aborted);
  }

  /** A promise of the next chunk; an empty one is the end. */
  read() {
    if (this.#error !== null) return PromiseReject(this.#error);
    return new PromiseConstructor((resolve, reject) => {
      const operation = native.bodyRead(
        this.#id,
        CHUNK_BYTES,
        (chunk) => {
          this.#reading = null;
          if (chunk.length === 0) this.#forgetSignal();
          resolve(chunk);
        },
        (failure) => {
          this.#reading = null;
          this.#error = new SafeTypeError('terminated', { cause: nativeError(failure) });
          this.#forgetSignal();
          reject(this.#error);
        },
      );
      this.#reading = { operation, reject };
    });
  }

  /** Nothing more is wanted. */
  cancel() {
    this.#forgetSignal();
    native.bodyClose(this.#id);
  }

  #forgetSignal() {
    if (this.#signal !== null) offAbort(this.#signal, this.#aborted);
    this.#signal = null;
  }

  #abort() {
    this.#error = this.#signal.reason;
    const reading = this.#reading;
    if (reading !== null) {
      native.cancel(reading.operation);
      reading.reject(this.#error);
    }
    native.bodyAbort(this.#id);
  }
}

/** The incoming request's body, which the host holds whole. */
export const INCOMING = { kind: 'incoming' };

async function readAll(source) {
  const chunks = [];
  let length = 0;
  for (;;) {
    const chunk = await source.read();
    if (chunk.length === 0) return joinBytes(chunks, length);
    append(chunks, chunk);
    length += chunk.length;
  }
}

async function readStream(stream) {
  const reader = stream.getReader();
  const chunks = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return joinBytes(chunks, length);
    const bytes = checkChunk(value);
    append(chunks, bytes);
    length += bytes.length;
  }
}

/** A chunk of a body's stream: it has to be bytes. */
export function checkChunk(chunk) {
  const bytes = viewBytes(chunk);
  if (bytes === undefined) throw new SafeTypeError('Received non-Uint8Array chunk');
  return bytes;
}

/** What a body was given as, and the content type that comes with it, or null. */
export function extractBody(init) {
  if (typeof init === 'string') return { source: { kind: 'text', text: init }, type: TEXT };
  const bytes = viewBytes(init);
  if (bytes !== undefined) {
    return { source: { kind: 'bytes', bytes: TypedArraySlice(asPlain(bytes)) }, type: null };
  }
  if (init instanceof ReadableStream) {
    if (init.locked || isDisturbed(init)) {
      throw new SafeTypeError('Response body object should not be disturbed or locked');
    }
    return { source: { kind: 'stream', stream: init }, type: null };
  }
  if (init instanceof URLSearchParams) {
    return { source: { kind: 'text', text: init.toString() }, type: FORM };
  }
  if (isBlob(init)) {
    return { source: { kind: 'bytes', bytes: blobBytes(init) }, type: init.type || null };
  }
  if (isFormData(init)) {
    const { bytes: form, type } = writeMultipart(init);
    return { source: { kind: 'bytes', bytes: form }, type };
  }
  if (isObject(init) && init[Symbol.asyncIterator] !== undefined) {
    return { source: { kind: 'stream', stream: ReadableStream.from(init) }, type: null };
  }
  return { source: { kind: 'text', text: domText(init) }, type: TEXT };
}

const TEXT = 'text/plain;charset=UTF-8';
const FORM = 'application/x-www-form-urlencoded;charset=UTF-8';

/** Bytes without the class `Buffer`, whose `slice` does not copy. */
function asPlain(bytes) {
  if (!(bytes instanceof Buffer)) return bytes;
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function withoutMark(text) {
  const hasMark = text !== '' && StringPrototypeCharCodeAt(text, 0) === 0xfeff;
  return hasMark ? StringPrototypeSlice(text, 1) : text;
}

const decode = (bytes) => withoutMark(native.utf8Decode(bytes, false));

/** A stream over a source of any other kind. */
function streamOf(source) {
  if (source.kind === 'native') {
    const { body } = source;
    return new ReadableStream(
      {
        type: 'bytes',
        async pull(controller) {
          const chunk = await body.read();
          if (chunk.length > 0) {
            controller.enqueue(chunk);
            return;
          }
          controller.close();
          controller.byobRequest?.respond(0);
        },
        cancel: () => body.cancel(),
      },
      { highWaterMark: 0 },
    );
  }
  return new ReadableStream(
    {
      type: 'bytes',
      pull(controller) {
        const bytes = wholeBytes(source);
        if (bytes.length > 0) controller.enqueue(bytes);
        controller.close();
        controller.byobRequest?.respond(0);
      },
    },
    { highWaterMark: 0 },
  );
}

/** The bytes of a source that is whole, as a copy of its own. */
function wholeBytes(source) {
  if (source.kind === 'text') return native.utf8Encode(source.text);
  if (source.kind === 'incoming') return native.bodyBytes();
  return TypedArraySlice(source.bytes);
}

/** What `Request` and `Response` have in common. */
export class Body {
  #source = null;
  #stream = null;
  #used = false;

  get body() {
    if (this.#source === null) return null;
    this.#stream ??= this.#source.kind === 'stream' ? this.#source.stream : streamOf(this.#source);
    return this.#stream;
  }

  get bodyUsed() {
    if (this.#used) return true;
    return this.#stream !== null && isDisturbed(this.#stream);
  }

  async text() {
    const source = this.#take();
    if (source === null) return '';
    if (source.kind === 'text') return withoutMark(source.text.toWellFormed?.() ?? source.text);
    if (source.kind === 'incoming') {
      const text = native.bodyText();
      if (text !== undefined) return withoutMark(text);
    }
    return decode(await bytesOf(source));
  }

  async json() {
    return JSONParse(await this.text());
  }

  async bytes() {
    const source = this.#take();
    return source === null ? new Uint8Array(0) : await bytesOf(source);
  }

  async arrayBuffer() {
    const bytes = await this.bytes();
    const { buffer, byteLength, byteOffset } = bytes;
    if (byteOffset === 0 && byteLength === buffer.byteLength) return buffer;
    return ArrayBufferSlice(buffer, byteOffset, byteOffset + byteLength);
  }

  /** As node-fetch has it. */
  async buffer() {
    return asBuffer(await this.bytes());
  }

  async blob() {
    const type = this.headers.get('content-type') ?? '';
    return new Blob([await this.bytes()], { type });
  }

  async formData() {
    const type = this.headers.get('content-type');
    return readForm(await this.bytes(), type);
  }

  #take() {
    if (this.bodyUsed || (this.#stream !== null && this.#stream.locked)) {
      throw new SafeTypeError('Body is unusable: Body has already been read');
    }
    if (this.#source === null) return null;
    this.#used = true;
    return this.#stream === null ? this.#source : { kind: 'stream', stream: this.#stream };
  }

  static set(body, source) {
    body.#source = source;
  }

  /** Whether there is a body. */
  static has(body) {
    return body.#source !== null;
  }

  /** The source, which is used up by that; throws if it was used before. */
  static take(body) {
    return body.#take();
  }

  /** The source for a second body of the same content. */
  static share(body) {
    if (body.bodyUsed || (body.#stream !== null && body.#stream.locked)) {
      throw new SafeTypeError('Body.clone: Body has already been consumed.');
    }
    const source = body.#source;
    const isWhole = source === null || (source.kind !== 'stream' && source.kind !== 'native');
    if (isWhole && body.#stream === null) return source;
    const both = body.body.tee();
    body.#source = { kind: 'stream', stream: both[0] };
    body.#stream = null;
    return { kind: 'stream', stream: both[1] };
  }
}

const { has: hasBody, set: setBody, share: shareBody, take: takeBody } = Body;
for (const name of ['has', 'set', 'share', 'take']) delete Body[name];
export { hasBody, setBody, shareBody, takeBody };

function bytesOf(source) {
  if (source.kind === 'native') return readAll(source.body);
  if (source.kind === 'stream') return readStream(source.stream);
  return PromiseResolve(wholeBytes(source));
}

/** Whether anything was read from a stream or it was cancelled. */
function isDisturbed(stream) {
  // The flag that the streams package keeps for exactly this (`[[disturbed]]`).
  return stream._disturbed === true;
}

/**
 * Hands a source's chunks to `write`, which answers a promise for "go on", or a rejected one for
 * "nobody listens any more". Resolves at the end; rejects with what the source failed with.
 */
export async function pump(source, write) {
  const read = reader(source);
  for (;;) {
    const chunk = await read.next();
    if (chunk === null) return;
    try {
      await write(chunk);
    } catch (error) {
      PromisePrototypeThen(PromiseResolve(read.cancel(error)), undefined, () => {});
      return;
    }
  }
}

function reader(source) {
  if (source.kind === 'native') {
    const { body } = source;
    return {
      async next() {
        const chunk = await body.read();
        return chunk.length === 0 ? null : chunk;
      },
      cancel: () => body.cancel(),
    };
  }
  const stream = source.stream.getReader();
  return {
    async next() {
      for (;;) {
        const { done, value } = await stream.read();
        if (done) return null;
        const bytes = checkChunk(value);
        if (bytes.length > 0) return bytes;
      }
    },
    cancel: (reason) => stream.cancel(reason),
  };
}

/** A write to a body of the host, as a promise. `refused`: called with the host's code, if any. */
export function writeBody(id, chunk, refused) {
  return new PromiseConstructor((resolve, reject) => {
    native.bodyWrite(
      id,
      chunk,
      () => resolve(),
      (failure) => {
        if (refused !== undefined) refused(failure.code);
        reject(nativeError(failure));
      },
    );
  });
}

/**
 * Makes an interface of a class that extends `Body`, whose members become its own: to programs the
 * mixin is no class.
 */
export function asBodyInterface(Class, name) {
  const members = ObjectGetOwnPropertyDescriptors(Body.prototype);
  delete members.constructor;
  ObjectDefineProperties(Class.prototype, members);
  ObjectSetPrototypeOf(Class.prototype, ObjectPrototype);
  asInterface(Class, name);
}

const ObjectPrototype = Object.prototype;
