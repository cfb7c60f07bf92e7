// One WebSocket connection, below both of its faces: the web's `WebSocket` and the class of `ws`.
//
// The host frames, masks and answers pings. Here messages wait in order until the host has room
// for them, so that what a slow server is sent counts against this function's memory.

import {
  ArrayPrototypeShift,
  PromisePrototypeThen,
  PromiseResolve,
  SafeRangeError,
  StringPrototypeSlice,
  TypedArraySlice,
  append,
} from './primordials.js';
import { utf8Length } from './encoding.js';
import { codedError, nativeError } from './errors.js';
import { guarded } from './lifecycle.js';
import { native, touch } from './native.js';
import { clearTimeout, setTimeout } from './timers.js';

/** Largest message, in bytes; see wit/websocket.wit. */
export const MESSAGE_BYTES_MAX = 1 << 20;
/** Sends that the host has at once: more of them leave before the invocation ends. */
const SENDS_MAX = 8;
/** Bytes that the host has at once, but for a single message. */
const SENDING_BYTES_MAX = 1 << 20;
/** How long a server may take to answer our closing frame. */
const CLOSE_MS = 10_000;
/** A closing frame without a code. */
const NO_CODE = 1005;
/** There was no closing frame. */
const ABNORMAL = 1006;

const HREF = 0;
const PROTOCOL = 1;
const USERNAME = 2;
const PASSWORD = 3;
const HASH = 9;

/**
 * Takes a URL to pieces: `{url, credentials}`, or `{problem}`: 'invalid', 'scheme' or 'fragment'.
 * `http` and `https` become `ws` and `wss`.
 */
export function parseUrl(text) {
  let parts = native.urlParse(text, undefined);
  if (parts === null) return { problem: 'invalid' };
  if (parts[PROTOCOL] === 'http:' || parts[PROTOCOL] === 'https:') {
    parts = native.urlParse(`ws${StringPrototypeSlice(parts[HREF], 4)}`, undefined);
  }
  if (parts[PROTOCOL] !== 'ws:' && parts[PROTOCOL] !== 'wss:') {
    return { problem: 'scheme', scheme: parts[PROTOCOL] };
  }
  if (parts[HASH] !== '' || parts[HREF][parts[HREF].length - 1] === '#') {
    return { problem: 'fragment' };
  }
  return { url: parts[HREF], user: parts[USERNAME], password: parts[PASSWORD] };
}

/** Bytes in a message, as it is sent. */
export function messageBytes(data) {
  return typeof data === 'string' ? utf8Length(data) : data.length;
}

/** The error of a message that is larger than may be sent. */
export function messageTooLarge() {
  return codedError(
    'message_too_large',
    `a WebSocket message has at most ${MESSAGE_BYTES_MAX} bytes`,
    SafeRangeError,
  );
}

/**
 * Connects, and tells `owner` what happens: `opened(protocol)`; `received(kind, data)` with the
 * kinds `text`, `binary`, `ping` and `pong`; `closing(code, reason)` when the server begins to
 * close; in the end `closed(code, reason, wasClean, error)`, once, the error or undefined.
 */
export class Connection {
  #owner;
  /** The host's number for the open socket; 0 before and after. */
  #socket = 0;
  /** The host's operation that connects or receives; 0 for none. */
  #waiting = 0;
  #queue = [];
  #sends = 0;
  #sendingBytes = 0;
  #isClosing = false;
  #isOver = false;
  #isPaused = false;
  #timer = null;

  /** Bytes of text and binary messages that have not left yet. */
  buffered = 0;

  constructor(url, protocols, fields, owner) {
    touch('new WebSocket()');
    this.#owner = owner;
    this.#waiting = native.websocketConnect(
      url,
      protocols,
      fields,
      ({ socket, protocol }) => {
        this.#waiting = 0;
        this.#socket = socket;
        guarded(() => owner.opened(protocol));
        this.#receive();
      },
      (error) => this.#end(ABNORMAL, '', false, nativeError(error)),
    );
  }

  /** Sends a message of a kind; `done(error)` when it has left, or cannot. */
  send(kind, data, done) {
    if (this.#isClosing || this.#isOver) {
      if (done) done(codedError('closed', 'the connection is closed'));
      return;
    }
    const bytes = messageBytes(data);
    if (kind === 'text' || kind === 'binary') this.buffered += bytes;
    const isNext = this.#queue.length === 0 && this.#hasRoom(bytes);
    // What waits must not change with the buffer that it was taken from.
    const kept = isNext || typeof data === 'string' ? data : TypedArraySlice(data);
    append(this.#queue, { kind, data: kept, bytes, done });
    this.#pump();
  }

  /** Begins the closing handshake; what was sent before still goes out. */
  close(code = NO_CODE, reason = '') {
    if (this.#isClosing || this.#isOver) return;
    this.#isClosing = true;
    if (this.#socket === 0) {
      this.terminate(
        codedError('closed', 'WebSocket was closed before the connection was established'),
      );
      return;
    }
    append(this.#queue, { kind: 'close', code, reason, bytes: 0 });
    this.#pump();
  }

  /** Gives the connection up. The owner is told soon, not now. */
  terminate(error = undefined) {
    if (this.#isOver) return;
    this.#isClosing = true;
    this.#stop();
    PromisePrototypeThen(PromiseResolve(undefined), () => {
      this.#end(ABNORMAL, '', false, error);
    });
  }

  /** Takes in nothing more until `resume` is called, but for what is on its way already. */
  pause() {
    this.#isPaused = true;
  }

  /** See `pause`. */
  resume() {
    this.#isPaused = false;
    this.#receive();
  }

  #hasRoom(bytes) {
    if (this.#sends === 0) return true;
    return this.#sends < SENDS_MAX && this.#sendingBytes + bytes <= SENDING_BYTES_MAX;
  }

  #pump() {
    const queue = this.#queue;
    while (this.#socket !== 0 && queue.length > 0 && this.#hasRoom(queue[0].bytes)) {
      const message = ArrayPrototypeShift(queue);
      this.#sends++;
      this.#sendingBytes += message.bytes;
      const left = () => this.#left(message, undefined);
      const failed = (error) => this.#left(message, nativeError(error));
      if (message.kind === 'close') {
        native.websocketClose(this.#socket, message.code, message.reason, left, failed);
      } else {
        native.websocketSend(this.#socket, message.kind, message.data, left, failed);
      }
    }
  }

  #left(message, error) {
    const { kind, bytes, done } = message;
    this.#sends--;
    this.#sendingBytes -= bytes;
    if (kind === 'text' || kind === 'binary') this.buffered -= bytes;
    if (kind === 'close' && !this.#isOver) {
      this.#timer = setTimeout(() => this.#end(ABNORMAL, '', false, undefined), CLOSE_MS);
    }
    if (done) guarded(() => done(error));
    this.#pump();
  }

  #receive() {
    if (this.#isPaused || this.#socket === 0 || this.#waiting !== 0) return;
    this.#waiting = native.websocketReceive(
      this.#socket,
      (message) => {
        this.#waiting = 0;
        if (message.kind === 'close') {
          if (!this.#isClosing) this.#owner.closing(message.code, message.reason);
          this.#end(message.code, message.reason, true, undefined);
          return;
        }
        guarded(() => this.#owner.received(message.kind, message.data));
        this.#receive();
      },
      (error) => {
        this.#waiting = 0;
        // That the server went away without a word is not an error, as in browsers and `ws`.
        const isSilent = error.code === 'closed';
        this.#end(ABNORMAL, '', false, isSilent ? undefined : nativeError(error));
      },
    );
  }

  /** Lets go of everything that the host has for this connection. */
  #stop() {
    if (this.#waiting !== 0) native.cancel(this.#waiting);
    this.#waiting = 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#socket !== 0) native.websocketRelease(this.#socket);
    this.#socket = 0;
  }

  #end(code, reason, wasClean, error) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isClosing = true;
    this.#stop();
    const queue = this.#queue;
    this.#queue = [];
    for (let i = 0; i < queue.length; i++) {
      const { done } = queue[i];
      if (done) guarded(() => done(codedError('closed', 'the connection is closed')));
    }
    guarded(() => this.#owner.closed(code, reason, wasClean, error));
  }
}
