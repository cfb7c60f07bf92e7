// `node:timers/promises`.

import { ObjectDefineProperty, PromiseConstructor, ReflectApply } from '../primordials.js';
import { codedError } from '../errors.js';
import * as timers from '../timers.js';
import {
  validateAbortSignal,
  validateBoolean,
  validateNumber,
  validateObject,
} from './validate.js';

/** What a promise is rejected with when its signal is aborted. */
export function abortError(signal) {
  const error = codedError('ABORT_ERR', 'The operation was aborted');
  error.name = 'AbortError';
  error.cause = signal?.reason;
  return error;
}

function check(options) {
  validateObject(options, 'options');
  validateAbortSignal(options.signal, 'options.signal');
  if (options.ref !== undefined) validateBoolean(options.ref, 'options.ref');
}

/** A promise of `value`, when a timer that `start` makes has run; `signal` gives it up. */
async function waitFor(start, stop, value, options) {
  check(options);
  const { signal } = options;
  if (signal?.aborted) throw abortError(signal);
  return new PromiseConstructor((resolve, reject) => {
    const timer = start(() => {
      signal?.removeEventListener('abort', giveUp);
      resolve(value);
    });
    function giveUp() {
      stop(timer);
      reject(abortError(signal));
    }
    signal?.addEventListener('abort', giveUp, { once: true });
  });
}

async function setTimeout(delay, value, options = {}) {
  if (delay !== undefined) validateNumber(delay, 'delay');
  const start = (done) => timers.setTimeout(done, delay);
  return waitFor(start, timers.clearTimeout, value, options);
}

async function setImmediate(value, options = {}) {
  return waitFor(timers.setImmediate, timers.clearImmediate, value, options);
}

async function* setInterval(delay, value, options = {}) {
  check(options);
  const { signal } = options;
  if (signal?.aborted) throw abortError(signal);
  let due = 0;
  let wake = () => {};
  const timer = timers.setInterval(() => {
    due++;
    wake();
  }, delay);
  const onAbort = () => wake();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    for (;;) {
      for (; due > 0; due--) yield value;
      if (signal?.aborted) throw abortError(signal);
      await new PromiseConstructor((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    timers.clearInterval(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

const scheduler = {
  wait: (delay, options) => ReflectApply(setTimeout, undefined, [delay, undefined, options]),
  yield: () => setImmediate(),
};

const CUSTOM = Symbol.for('nodejs.util.promisify.custom');
for (const [callbacks, promises] of [
  [timers.setTimeout, setTimeout],
  [timers.setImmediate, setImmediate],
]) {
  ObjectDefineProperty(callbacks, CUSTOM, { configurable: true, value: promises });
}

export default { setTimeout, setImmediate, setInterval, scheduler };
