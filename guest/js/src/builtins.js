// The modules that `require` and `import` find without a file, and those that do not exist.

import events from 'events';
import path from 'path-browserify';
import stringDecoder from 'string_decoder';
import {
  ObjectCreate,
  ObjectKeys,
  PromiseConstructor,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
} from './primordials.js';
import { assert, strict } from './assert.js';
import * as buffer from './buffer.js';
import { console } from './console.js';
import { atob, btoa } from './encoding.js';
import crypto from './node/crypto.js';
import webcrypto from './node/crypto/subtle.js';
import { codedError } from './errors.js';
import { process } from './process.js';
import { performance } from './performance.js';
import querystring from './querystring.js';
import * as streams from './streams.js';
import * as timers from './timers.js';
import * as url from './node-url.js';
import { URL, URLSearchParams } from './url.js';
import { types, util } from './util.js';

/** Makers by name without `node:`; each is called once, when the module is first asked for. */
const makers = ObjectCreate(null);
const made = ObjectCreate(null);

/** Adds a builtin module. */
export function define(name, make) {
  makers[name] = make;
}

/** The names of all builtin modules. */
export function builtinNames() {
  return ObjectKeys(makers);
}

/** Whether a name, with `node:` or without, is that of a builtin module. */
export function isBuiltin(name) {
  const bare = StringPrototypeStartsWith(name, 'node:') ? StringPrototypeSlice(name, 5) : name;
  return makers[bare] !== undefined;
}

/** The exports of a builtin module. */
export function builtin(name) {
  if (made[name] !== undefined) return made[name];
  const make = makers[name];
  if (make === undefined) throw notAvailable(name);
  made[name] = make();
  return made[name];
}

function notAvailable(name) {
  return codedError(
    'MODULE_NOT_FOUND',
    `Cannot find module '${name}': this built-in module is not available in Ampoule`,
  );
}

/** A promise of what a timer with these arguments brings; `signal` gives it up. */
function waiting(start, stop) {
  return (delay, value, options) =>
    new PromiseConstructor((resolve, reject) => {
      const signal = options?.signal;
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const timer = start(() => resolve(value), delay);
      signal?.addEventListener(
        'abort',
        () => {
          stop(timer);
          reject(signal.reason);
        },
        { once: true },
      );
    });
}

async function* intervals(delay, value) {
  const wait = waiting(timers.setTimeout, timers.clearTimeout);
  for (;;) yield await wait(delay, value);
}

const timersPromises = () => {
  const wait = waiting(timers.setTimeout, timers.clearTimeout);
  const immediate = waiting((callback) => timers.setImmediate(callback), timers.clearImmediate);
  return {
    setTimeout: wait,
    setImmediate: (value, options) => immediate(0, value, options),
    setInterval: intervals,
    scheduler: { wait: (delay, options) => wait(delay, undefined, options) },
  };
};

define('assert', () => assert);
define('assert/strict', () => strict);
define('buffer', () => ({ ...buffer, constants: { MAX_LENGTH: buffer.kMaxLength }, atob, btoa }));
define('crypto', () => crypto);
define('internal/webcrypto', () => webcrypto);
define('console', () => console);
define('events', () => events);
define('perf_hooks', () => ({ performance }));
define('stream/web', () => ({ ...streams }));
define('url', () => ({ ...url, URL, URLSearchParams }));
define('path', () => path);
define('path/posix', () => path);
define('process', () => process);
define('querystring', () => querystring);
define('string_decoder', () => stringDecoder);
define('timers', () => ({ ...timers, promises: builtin('timers/promises') }));
define('timers/promises', timersPromises);
define('util', () => util);
define('util/types', () => types);
define('sys', () => util);
