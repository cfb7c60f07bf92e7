// What user code finds on the global object.

import events from 'events';
import {
  ObjectDefineProperty,
  ObjectFreeze,
  ObjectKeys,
  PromisePrototypeThen,
  PromiseResolve,
} from './primordials.js';
import { AbortController, AbortSignal, CustomEvent, Event, EventTarget } from './abort.js';
import { Blob, File } from './blob.js';
import { Buffer } from './buffer.js';
import { builtin } from './builtins.js';
import { structuredClone } from './clone.js';
import { console } from './console.js';
import { Crypto, crypto } from './crypto.js';
import { DOMException } from './dom-exception.js';
import { TextDecoder, TextEncoder, atob, btoa } from './encoding.js';
import { typeError } from './errors.js';
import { fetch } from './fetch.js';
import { Headers } from './headers.js';
import { kv } from './kv.js';
import { guarded } from './lifecycle.js';
import { native } from './native.js';
import { Performance, performance } from './performance.js';
import { process } from './process.js';
import * as streams from './streams.js';
import * as timers from './timers.js';
import { URL, URLSearchParams } from './url.js';
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
  Event,
  EventTarget,
  EventEmitter: events,
  File,
  Headers,
  Performance,
  Request,
  Response,
  TextDecoder,
  TextEncoder,
  URL,
  URLSearchParams,
  atob,
  btoa,
  console,
  crypto,
  fetch,
  global: globalThis,
  kv,
  navigator: ObjectFreeze({ userAgent: 'Ampoule/0.1', language: 'en-US', hardwareConcurrency: 1 }),
  performance,
  process,
  queueMicrotask,
  self: globalThis,
  structuredClone,
};

/** Globals whose making is put off until somebody asks: their names and the modules they are in. */
const lazy = {
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
    ObjectDefineProperty(globalThis, name, {
      configurable: true,
      enumerable: false,
      value,
      writable: true,
    });
  }
  for (const name of ObjectKeys(lazy)) installLazy(name);
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
