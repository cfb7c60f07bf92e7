// Node's `stream`: the `readable-stream` package, and what it leaves to Node: the ways between
// Node's streams and the web's.

import Stream from 'readable-stream/lib/stream.js';
import { ArrayBufferIsView, ObjectDefineProperty, PromiseConstructor } from '../primordials.js';
import { Blob } from '../blob.js';
import { codedError } from '../errors.js';
import { process } from '../process.js';
import { ReadableStream, WritableStream } from '../streams.js';
import {
  duplexFromWeb,
  duplexToWeb,
  readableFromWeb,
  readableToWeb,
  writableFromWeb,
  writableToWeb,
} from './stream-adapters.js';

const { Duplex, Readable, Writable } = Stream;

Readable.fromWeb = readableFromWeb;
Readable.toWeb = readableToWeb;
Writable.fromWeb = writableFromWeb;
Writable.toWeb = writableToWeb;
Duplex.fromWeb = duplexFromWeb;
Duplex.toWeb = duplexToWeb;

// A blob has a method `stream`, which the package does not know to be one of ours.
const { from } = Duplex;
Duplex.from = (body) => from(body instanceof Blob ? body.arrayBuffer() : body);

const ASYNC_DISPOSE = Symbol.asyncDispose;
for (const { prototype } of [Readable, Writable]) {
  if (Object.hasOwn(prototype, ASYNC_DISPOSE)) continue;
  ObjectDefineProperty(prototype, ASYNC_DISPOSE, {
    configurable: true,
    value() {
      const error = this.destroyed ? null : codedError('ABORT_ERR', 'The operation was aborted');
      if (error !== null) {
        error.name = 'AbortError';
        this.destroy(error);
      }
      return new PromiseConstructor((resolve, reject) => {
        Stream.finished(this, (failed) => {
          if (failed && failed !== error) reject(failed);
          else resolve(null);
        });
      });
    },
    writable: true,
  });
}

/** Two streams, each reading what the other is written. */
function duplexPair(options) {
  const sides = [];
  const waiting = [null, null];
  const release = (index) => {
    const callback = waiting[index];
    waiting[index] = null;
    if (callback !== null) callback();
  };
  const make = (own) => {
    const other = 1 - own;
    return new Duplex({
      ...options,
      read: () => release(other),
      write(chunk, _encoding, callback) {
        if (chunk.length === 0) {
          process.nextTick(callback);
          return;
        }
        waiting[own] = callback;
        sides[other].push(chunk);
      },
      final(callback) {
        sides[other].on('end', callback);
        sides[other].push(null);
      },
    });
  };
  sides.push(make(0), make(1));
  return sides;
}

Stream.duplexPair = duplexPair;
Stream._isArrayBufferView = ArrayBufferIsView;

// What the package asks of web streams, by symbols of Node's: a promise of their end, and a way
// to break them off. The polyfill keeps the state in `_state`.
const CLOSED = Symbol.for('nodejs.webstream.isClosedPromise');
const ERROR = Symbol.for('nodejs.webstream.controllerErrorFunction');

function endOf(stream) {
  const settle = (resolve, reject) => {
    if (stream._state === 'closed') resolve();
    else if (stream._state === 'errored') reject(stream._storedError);
    else return false;
    return true;
  };
  const promise = new PromiseConstructor((resolve, reject) => {
    if (settle(resolve, reject)) return;
    let state = stream._state;
    ObjectDefineProperty(stream, '_state', {
      configurable: true,
      enumerable: true,
      get: () => state,
      set(value) {
        state = value;
        // The error is stored right after the state.
        if (value === 'closed' || value === 'errored') {
          process.nextTick(settle, resolve, reject);
        }
      },
    });
  });
  promise.catch(() => {});
  return { promise };
}

for (const { prototype } of [ReadableStream, WritableStream]) {
  ObjectDefineProperty(prototype, CLOSED, {
    configurable: true,
    get() {
      const value = endOf(this);
      ObjectDefineProperty(this, CLOSED, { value });
      return value;
    },
  });
  ObjectDefineProperty(prototype, ERROR, {
    configurable: true,
    value(error) {
      const controller = this._readableStreamController ?? this._writableStreamController;
      controller.error(error);
    },
  });
}

export default Stream;
