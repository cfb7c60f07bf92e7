// Cancellation (DOM standard): AbortController and AbortSignal.

import { ArrayIsArray, NumberIsInteger, append, isObject } from './primordials.js';
import { DOMException } from './dom-exception.js';
import { rangeError, typeError } from './errors.js';
import { CustomEvent, Event, EventTarget, defineHandlers, trust } from './event.js';
import { touch } from './native.js';
import { setTimeout } from './timers.js';
import { asInterface, wrongType, invalidThis } from './webidl.js';

const CUSTOM_INSPECT = Symbol.for('nodejs.util.inspect.custom');

const KEY = Symbol('create');

/** `AbortSignal`. */
export class AbortSignal extends EventTarget {
  #isAborted = false;
  #reason = undefined;
  #algorithms = [];
  /** The signals that a joint one depends on, none of which is joint itself. */
  #sources = null;
  /** The joint signals that depend on this one. */
  #dependents = null;

  constructor(key) {
    if (key !== KEY) throw typeError('ERR_ILLEGAL_CONSTRUCTOR', 'Illegal constructor');
    super();
  }

  get aborted() {
    return check(this).#isAborted;
  }

  get reason() {
    return check(this).#reason;
  }

  throwIfAborted() {
    if (check(this).#isAborted) throw this.#reason;
  }

  static abort(reason = undefined) {
    const signal = new AbortSignal(KEY);
    abort(signal, reason);
    return signal;
  }

  static timeout(delay) {
    checkDelay(delay);
    touch('AbortSignal.timeout()');
    const signal = new AbortSignal(KEY);
    const expire = () =>
      abort(signal, new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
    setTimeout(expire, delay).unref();
    return signal;
  }

  static any(signals) {
    if (!isObject(signals) || typeof signals[Symbol.iterator] !== 'function') {
      throw wrongType('signals', 'an instance of Array', signals);
    }
    const all = ArrayIsArray(signals) ? signals : [...signals];
    for (let i = 0; i < all.length; i++) {
      if (!isAbortSignal(all[i])) {
        throw wrongType(`signals[${i}]`, 'an instance of AbortSignal', all[i]);
      }
    }
    const joint = new AbortSignal(KEY);
    for (let i = 0; i < all.length; i++) {
      if (!all[i].#isAborted) continue;
      mark(joint, all[i].#reason);
      return joint;
    }
    joint.#sources = [];
    for (let i = 0; i < all.length; i++) {
      const sources = all[i].#sources ?? [all[i]];
      for (let j = 0; j < sources.length; j++) join(joint, sources[j]);
    }
    return joint;
  }

  /** Has a joint signal depend on another one. */
  static join(joint, source) {
    for (let i = 0; i < joint.#sources.length; i++) if (joint.#sources[i] === source) return;
    append(joint.#sources, source);
    source.#dependents ??= [];
    append(source.#dependents, joint);
  }

  static mark(signal, reason) {
    signal.#isAborted = true;
    signal.#reason = reason;
  }

  /** Runs what waits for the abort: the platform first, then listeners. */
  static announce(signal) {
    const algorithms = signal.#algorithms;
    signal.#algorithms = [];
    for (let i = 0; i < algorithms.length; i++) algorithms[i]();
    signal.dispatchEvent(trust(new Event('abort')));
  }

  static trigger(signal, reason) {
    if (signal.#isAborted) return;
    mark(
      signal,
      reason === undefined ? new DOMException('This operation was aborted', 'AbortError') : reason,
    );
    // All dependent signals are aborted before anybody hears of any.
    const dependents = [];
    const candidates = signal.#dependents ?? [];
    signal.#dependents = null;
    for (let i = 0; i < candidates.length; i++) {
      if (candidates[i].#isAborted) continue;
      mark(candidates[i], signal.#reason);
      append(dependents, candidates[i]);
    }
    announce(signal);
    for (let i = 0; i < dependents.length; i++) announce(dependents[i]);
  }

  static watch(signal, algorithm) {
    append(signal.#algorithms, algorithm);
  }

  static unwatch(signal, algorithm) {
    const rest = [];
    const algorithms = signal.#algorithms;
    for (let i = 0; i < algorithms.length; i++) {
      if (algorithms[i] !== algorithm) append(rest, algorithms[i]);
    }
    signal.#algorithms = rest;
  }

  [CUSTOM_INSPECT](depth, options, inspect) {
    return `AbortSignal ${inspect({ aborted: this.aborted }, options)}`;
  }

  static isSignal(value) {
    return isObject(value) && #isAborted in value;
  }

  static check(signal) {
    if (!isAbortSignal(signal)) throw invalidThis('AbortSignal');
    return signal;
  }
}

const {
  announce,
  check,
  isSignal: isAbortSignal,
  join,
  mark,
  trigger: abort,
  unwatch: offAbort,
  watch: onAbort,
} = AbortSignal;
for (const name of [
  'announce',
  'check',
  'isSignal',
  'join',
  'mark',
  'trigger',
  'unwatch',
  'watch',
]) {
  delete AbortSignal[name];
}

function checkDelay(delay) {
  if (typeof delay !== 'number') throw wrongType('delay', 'of type number', delay);
  if (NumberIsInteger(delay) && delay >= 0 && delay <= 4294967295) return;
  const wanted = NumberIsInteger(delay) ? '>= 0 && <= 4294967295' : 'an integer';
  throw rangeError(
    'ERR_OUT_OF_RANGE',
    `The value of "delay" is out of range. It must be ${wanted}. Received ${delay}`,
  );
}

/** `isAbortSignal(value)`; `onAbort(signal, f)` and `offAbort(signal, f)`: before any listener. */
export { isAbortSignal, offAbort, onAbort };

/** `AbortController`. */
export class AbortController {
  #signal = new AbortSignal(KEY);

  get signal() {
    if (!isObject(this) || !(#signal in this)) throw invalidThis('AbortController');
    return this.#signal;
  }

  abort(reason = undefined) {
    if (!isObject(this) || !(#signal in this)) throw invalidThis('AbortController');
    abort(this.#signal, reason);
  }

  [CUSTOM_INSPECT](depth, options, inspect) {
    return `AbortController ${inspect({ signal: this.signal }, options)}`;
  }
}

asInterface(AbortSignal, 'AbortSignal');
defineHandlers(AbortSignal, 'abort');
asInterface(AbortController, 'AbortController');

export { CustomEvent, Event, EventTarget };
