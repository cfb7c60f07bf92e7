// Events and their cancellation (DOM standard): Event, EventTarget, AbortController, AbortSignal.

import {
  ArrayPrototypeSlice,
  MapPrototypeGet,
  MapPrototypeSet,
  ObjectDefineProperty,
  SafeMap,
  append,
  isObject,
} from './primordials.js';
import { DOMException } from './dom-exception.js';
import { typeError } from './errors.js';
import { fail } from './lifecycle.js';
import { touch } from './native.js';
import { setTimeout } from './timers.js';

const now = Date.now;

/** `Event`. There is no tree of targets, so nothing captures or bubbles. */
export class Event {
  #type;
  #bubbles;
  #cancelable;
  #composed;
  #defaultPrevented = false;
  #stopped = false;
  #target = null;
  #isTrusted = false;
  #time;

  constructor(type, options = undefined) {
    if (arguments.length === 0) {
      throw typeError('ERR_MISSING_ARGS', 'The "type" argument must be specified');
    }
    this.#type = `${type}`;
    this.#bubbles = Boolean(options?.bubbles);
    this.#cancelable = Boolean(options?.cancelable);
    this.#composed = Boolean(options?.composed);
  }

  get type() {
    return this.#type;
  }

  get target() {
    return this.#target;
  }

  get currentTarget() {
    return this.#target;
  }

  get srcElement() {
    return this.#target;
  }

  get bubbles() {
    return this.#bubbles;
  }

  get cancelable() {
    return this.#cancelable;
  }

  get composed() {
    return this.#composed;
  }

  get defaultPrevented() {
    return this.#defaultPrevented;
  }

  get returnValue() {
    return !this.#defaultPrevented;
  }

  get isTrusted() {
    return this.#isTrusted;
  }

  get eventPhase() {
    return 0;
  }

  get cancelBubble() {
    return this.#stopped;
  }

  get timeStamp() {
    this.#time ??= now();
    return this.#time;
  }

  composedPath() {
    return this.#target === null ? [] : [this.#target];
  }

  preventDefault() {
    if (this.#cancelable) this.#defaultPrevented = true;
  }

  stopPropagation() {}

  stopImmediatePropagation() {
    this.#stopped = true;
  }

  static aim(event, target) {
    event.#target = target;
  }

  static trust(event) {
    event.#isTrusted = true;
    return event;
  }
}

const { aim, trust } = Event;
delete Event.aim;
delete Event.trust;

/** `CustomEvent`. */
export class CustomEvent extends Event {
  #detail;

  constructor(type, options = undefined) {
    super(type, options);
    this.#detail = options?.detail ?? null;
  }

  get detail() {
    return this.#detail;
  }
}

/** `EventTarget`. */
export class EventTarget {
  #listeners = new SafeMap();
  #handlers = new SafeMap();

  addEventListener(type, listener, options = undefined) {
    if (listener === null || listener === undefined) return;
    const once = isObject(options) && Boolean(options.once);
    const signal = isObject(options) ? options.signal : undefined;
    if (signal?.aborted) return;
    const list = MapPrototypeGet(this.#listeners, type) ?? [];
    for (let i = 0; i < list.length; i++) if (list[i].listener === listener) return;
    append(list, { listener, once, isRemoved: false });
    MapPrototypeSet(this.#listeners, type, list);
    signal?.addEventListener('abort', () => this.removeEventListener(type, listener), {
      once: true,
    });
  }

  removeEventListener(type, listener) {
    const list = MapPrototypeGet(this.#listeners, type);
    if (list === undefined) return;
    const rest = [];
    for (let i = 0; i < list.length; i++) {
      if (list[i].listener === listener) list[i].isRemoved = true;
      else append(rest, list[i]);
    }
    MapPrototypeSet(this.#listeners, type, rest);
  }

  dispatchEvent(event) {
    if (!(event instanceof Event)) {
      throw typeError('ERR_INVALID_ARG_TYPE', 'The "event" argument must be an instance of Event.');
    }
    aim(event, this);
    const { type } = event;
    const list = ArrayPrototypeSlice(MapPrototypeGet(this.#listeners, type) ?? []);
    for (let i = 0; i < list.length && !event.cancelBubble; i++) {
      const entry = list[i];
      if (entry.isRemoved) continue;
      if (entry.once) this.removeEventListener(type, entry.listener);
      this.#call(entry.listener, event);
    }
    return !event.defaultPrevented;
  }

  #call(listener, event) {
    try {
      if (typeof listener === 'function') listener.call(this, event);
      else listener.handleEvent(event);
    } catch (error) {
      // As in Node: what a listener throws is an uncaught exception.
      fail(error);
    }
  }

  static handler(target, type) {
    return MapPrototypeGet(target.#handlers, type)?.value ?? null;
  }

  static setHandler(target, type, value) {
    const earlier = MapPrototypeGet(target.#handlers, type);
    if (earlier !== undefined) target.removeEventListener(type, earlier.listener);
    if (typeof value !== 'function') {
      MapPrototypeSet(target.#handlers, type, undefined);
      return;
    }
    const listener = (event) => value.call(target, event);
    MapPrototypeSet(target.#handlers, type, { listener, value });
    target.addEventListener(type, listener);
  }
}

const { handler, setHandler } = EventTarget;
delete EventTarget.handler;
delete EventTarget.setHandler;

const KEY = Symbol('create');

/** `AbortSignal`. */
export class AbortSignal extends EventTarget {
  #isAborted = false;
  #reason = undefined;
  #algorithms = [];

  constructor(key) {
    if (key !== KEY) throw typeError('ERR_ILLEGAL_CONSTRUCTOR', 'Illegal constructor');
    super();
  }

  get aborted() {
    return this.#isAborted;
  }

  get reason() {
    return this.#reason;
  }

  get onabort() {
    return handler(this, 'abort');
  }

  set onabort(value) {
    setHandler(this, 'abort', value);
  }

  throwIfAborted() {
    if (this.#isAborted) throw this.#reason;
  }

  static abort(reason = undefined) {
    const signal = new AbortSignal(KEY);
    abort(signal, reason);
    return signal;
  }

  static timeout(delay) {
    touch('AbortSignal.timeout()');
    const signal = new AbortSignal(KEY);
    const expire = () =>
      abort(signal, new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
    setTimeout(expire, delay).unref();
    return signal;
  }

  static any(signals) {
    const joint = new AbortSignal(KEY);
    const all = [...signals];
    for (const signal of all) {
      if (signal.aborted) {
        abort(joint, signal.reason);
        return joint;
      }
    }
    for (const signal of all) onAbort(signal, () => abort(joint, signal.reason));
    return joint;
  }

  static trigger(signal, reason) {
    if (signal.#isAborted) return;
    signal.#isAborted = true;
    signal.#reason =
      reason === undefined ? new DOMException('This operation was aborted', 'AbortError') : reason;
    const algorithms = signal.#algorithms;
    signal.#algorithms = [];
    for (let i = 0; i < algorithms.length; i++) algorithms[i]();
    signal.dispatchEvent(trust(new Event('abort')));
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

  static isSignal(value) {
    return isObject(value) && #isAborted in value;
  }
}

const { isSignal: isAbortSignal, trigger: abort, unwatch: offAbort, watch: onAbort } = AbortSignal;
delete AbortSignal.isSignal;
delete AbortSignal.trigger;
delete AbortSignal.unwatch;
delete AbortSignal.watch;

/** `isAbortSignal(value)`; `onAbort(signal, f)` and `offAbort(signal, f)`: before any listener. */
export { isAbortSignal, offAbort, onAbort };

/** `AbortController`. */
export class AbortController {
  #signal = new AbortSignal(KEY);

  get signal() {
    return this.#signal;
  }

  abort(reason = undefined) {
    abort(this.#signal, reason);
  }
}

for (const constructor of [Event, CustomEvent, EventTarget, AbortSignal, AbortController]) {
  ObjectDefineProperty(constructor.prototype, Symbol.toStringTag, {
    configurable: true,
    value: constructor.name,
  });
}
