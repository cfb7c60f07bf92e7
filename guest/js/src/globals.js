// What user code finds on the global object.

import events from 'events';
import {
  ObjectCreate,
  ObjectDefineProperty,
  ObjectKeys,
  PromisePrototypeThen,
  PromiseResolve,
} from './primordials.js';
import { AbortController, AbortSignal } from './abort.js';
import { waitUntil } from './background.js';
import { Blob, File } from './blob.js';
import { Buffer } from './buffer.js';
import { builtin } from './builtins.js';
import { refuseToClone, structuredClone } from './clone.js';
import { console } from './console.js';
import { Crypto, crypto } from './crypto.js';
import { DOMException } from './dom-exception.js';
import { TextDecoder, TextEncoder, atob, btoa } from './encoding.js';
import { typeError } from './errors.js';
import {
  CustomEvent,
  ErrorEvent,
  Event,
  EventTarget,
  MessageEvent,
  PromiseRejectionEvent,
} from './event.js';
import { fetch } from './fetch.js';
import { FormData } from './form-data.js';
import {
  addEventListener,
  dispatchEvent,
  removeEventListener,
  reportError,
} from './global-events.js';
import { Headers } from './headers.js';
import { kv } from './kv.js';
import { guarded } from './lifecycle.js';
import { restoreName } from './names.js';
import { native } from './native.js';
import { MessageChannel, MessagePort } from './message-channel.js';
import { Navigator, navigator } from './navigator.js';
import {
  Performance,
  PerformanceEntry,
  PerformanceMark,
  PerformanceMeasure,
  performance,
} from './performance.js';
import { process } from './process.js';
import * as streams from './streams.js';
import { TextDecoderStream, TextEncoderStream } from './text-streams.js';
import * as timers from './timers.js';
import { URL, URLSearchParams, setOddParser } from './url.js';
import { Request, Response } from './web-message.js';

const SETTLED = PromiseResolve(undefined);

function queueMicrotask(callback) {
  if (typeof callback !== 'function') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'The "callback" argument must be of type function.');
  }
  PromisePrototypeThen(SETTLED, () => guarded(callback));
}

const globals = {
  ...streams,
  ...timers,
  AbortController,
  AbortSignal,
  Blob,
  Buffer,
  Crypto,
  CustomEvent,
  DOMException,
  ErrorEvent,
  Event,
  EventTarget,
  EventEmitter: events,
  File,
  FormData,
  Headers,
  MessageChannel,
  MessageEvent,
  MessagePort,
  Navigator,
  Performance,
  PerformanceEntry,
  PerformanceMark,
  PerformanceMeasure,
  PromiseRejectionEvent,
  Request,
  Response,
  TextDecoder,
  TextDecoderStream,
  TextEncoder,
  TextEncoderStream,
  URL,
  URLSearchParams,
  addEventListener,
  atob,
  btoa,
  console,
  crypto,
  dispatchEvent,
  fetch,
  global: globalThis,
  kv,
  navigator,
  onerror: null,
  onrejectionhandled: null,
  onunhandledrejection: null,
  performance,
  process,
  queueMicrotask,
  removeEventListener,
  reportError,
  self: globalThis,
  structuredClone,
  waitUntil,
};

// What a loop over the global object sees, as in Node.
const ENUMERABLE = ObjectCreate(null);
for (const name of [
  'atob',
  'btoa',
  'clearImmediate',
  'clearInterval',
  'clearTimeout',
  'crypto',
  'fetch',
  'global',
  'navigator',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'setInterval',
  'setTimeout',
  'structuredClone',
]) {
  ENUMERABLE[name] = true;
}

// Of the platform's classes, only these have something that can be copied.
const isPlatformClass = (value) =>
  typeof value === 'function' &&
  value.prototype?.[Symbol.toStringTag] !== undefined &&
  value !== Blob &&
  value !== File &&
  value !== DOMException;

/** Globals whose making is put off until somebody asks: their names and the modules they are in. */
const lazy = {
  CloseEvent: 'internal/websocket',
  CompressionStream: 'internal/compression-streams',
  DecompressionStream: 'internal/compression-streams',
  Router: 'internal/router',
  URLPattern: 'internal/url-pattern',
  WebSocket: 'internal/websocket',
  CryptoKey: 'internal/webcrypto',
  SubtleCrypto: 'internal/webcrypto',
};

function installLazy(name) {
  const define = (value) =>
    ObjectDefineProperty(globalThis, name, {
      configurable: true,
      enumerable: false,
      value,
      writable: true,
    });
  ObjectDefineProperty(globalThis, name, {
    configurable: true,
    enumerable: false,
    get() {
      const value = builtin(lazy[name])[name];
      define(value);
      return value;
    },
    set: define,
  });
}

/** Puts the globals in place, and takes away what would reach out of the sandbox. */
export function install() {
  for (const name of ObjectKeys(globals)) {
    const value = globals[name];
    restoreName(value, name);
    ObjectDefineProperty(globalThis, name, {
      configurable: true,
      enumerable: ENUMERABLE[name] === true,
      value,
      writable: true,
    });
  }
  for (const name of ObjectKeys(lazy)) installLazy(name);
  setOddParser(() => builtin('internal/url-parser'));
  refuseToClone(
    ObjectKeys(globals)
      .map((name) => globals[name])
      .filter(isPlatformClass),
  );
  ObjectDefineProperty(Math, 'random', {
    configurable: true,
    value: function random() {
      return native.randomFloat();
    },
    writable: true,
  });
  // Memory that two sandboxes could share, and waiting on it, do not exist here.
  delete globalThis.SharedArrayBuffer;
  delete globalThis.Atomics;
  delete globalThis.Javy;
}
