// Writes to a body of the host in order, with back-pressure.

import { ArrayPrototypeJoin, append } from './primordials.js';
import { joinBytes, utf8Length } from './encoding.js';
import { guarded } from './lifecycle.js';
import { native } from './native.js';

/** With more than this queued, `write` answers false. */
const QUEUE_BYTES_MAX = 16384;

/** One write is in progress at a time; what comes meanwhile is joined into the next. */
export class BodyWriter {
  #body;
  #events;
  #chunks = [];
  #callbacks = [];
  #isWriting = false;
  #needsDrain = false;
  #isClosed = false;

  /** Bytes that wait, the write in progress not counted. */
  queuedBytes = 0;
  /** Whether `end` was called. */
  isEnding = false;
  /** Whether it was broken off. */
  isAborted = false;
  /** Whether the other side broke it off. */
  isBroken = false;

  /** `events`: `onDrain()`; `onClose(isFinished)`, once. */
  constructor(body, events) {
    this.#body = body;
    this.#events = events;
  }

  /** Whether more may be written without waiting for `onDrain`. */
  write(chunk, callback) {
    if (this.#isClosed) return false;
    if (typeof callback === 'function') append(this.#callbacks, callback);
    if (chunk.length > 0) {
      append(this.#chunks, chunk);
      this.queuedBytes += typeof chunk === 'string' ? utf8Length(chunk) : chunk.length;
    }
    if (!this.#isWriting) this.#next();
    const hasRoom = this.queuedBytes <= QUEUE_BYTES_MAX;
    if (!hasRoom) this.#needsDrain = true;
    return hasRoom;
  }

  /** Closes the body when everything is written. */
  end() {
    this.isEnding = true;
    if (!this.#isWriting && !this.#isClosed) this.#next();
  }

  /** Breaks the body off. */
  abort() {
    if (this.#isClosed) return;
    native.bodyAbort(this.#body);
    this.isAborted = true;
    this.#close(false);
  }

  #next() {
    if (this.#chunks.length > 0) {
      this.#isWriting = true;
      const chunk = joinChunks(this.#chunks);
      const callbacks = this.#callbacks;
      this.#chunks = [];
      this.#callbacks = [];
      this.queuedBytes = 0;
      native.bodyWrite(
        this.#body,
        chunk,
        () => this.#written(callbacks),
        () => this.#broken(),
      );
      return;
    }
    this.#runCallbacks();
    if (this.isEnding) {
      native.bodyClose(this.#body);
      this.#close(true);
    }
  }

  #runCallbacks() {
    const callbacks = this.#callbacks;
    if (callbacks.length === 0) return;
    this.#callbacks = [];
    for (let i = 0; i < callbacks.length; i++) guarded(callbacks[i]);
  }

  #written(callbacks) {
    if (this.#isClosed) return;
    this.#isWriting = false;
    for (let i = 0; i < callbacks.length; i++) guarded(callbacks[i]);
    if (!this.#isWriting && !this.#isClosed) this.#next();
    if (this.#needsDrain && !this.isEnding && this.queuedBytes === 0) {
      this.#needsDrain = false;
      this.#events.onDrain();
    }
  }

  // The reader is gone, or the answer has become too large: nobody will see the rest.
  #broken() {
    if (this.#isClosed) return;
    this.isBroken = true;
    this.#close(false);
  }

  #close(isFinished) {
    this.#isClosed = true;
    this.#isWriting = false;
    this.#chunks = [];
    this.#callbacks = [];
    this.queuedBytes = 0;
    this.#events.onClose(isFinished);
  }
}

/** Several chunks as one: a string if all are strings, else bytes. */
function joinChunks(chunks) {
  if (chunks.length === 1) return chunks[0];
  let isText = true;
  for (let i = 0; i < chunks.length; i++) if (typeof chunks[i] !== 'string') isText = false;
  if (isText) return ArrayPrototypeJoin(chunks, '');
  const parts = [];
  let length = 0;
  for (let i = 0; i < chunks.length; i++) {
    const bytes = typeof chunks[i] === 'string' ? native.utf8Encode(chunks[i]) : chunks[i];
    append(parts, bytes);
    length += bytes.length;
  }
  return joinBytes(parts, length);
}
