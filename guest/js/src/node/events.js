// `node:events`. What an emitter keeps has Node's names (`_events`, `_eventsCount`,
// `_maxListeners`), because packages look at them and set them.

import { inspect } from 'node-inspect-extracted';
import {
  ArrayIsArray,
  ArrayPrototypeSlice,
  ObjectCreate,
  ObjectDefineProperty,
  PromiseConstructor,
  PromisePrototypeThen,
  ReflectApply,
  ReflectOwnKeys,
  SafeError,
  append,
  isObject,
} from '../primordials.js';
import { EventTarget } from '../abort.js';
import { codedError } from '../errors.js';
import { guarded } from '../lifecycle.js';
import { native } from '../native.js';
import {
  invalidArgType,
  nodeError,
  outOfRange,
  validateAbortSignal,
  validateBoolean,
  validateFunction,
  validateNumber,
} from './validate.js';

const CAPTURE = Symbol('kCapture');
const REJECTION = Symbol.for('nodejs.rejection');
const MONITOR = Symbol('events.errorMonitor');
/** The level of the log that warnings have. */
const WARN = 3;

const SETTLED = Promise.resolve();
let defaultMax = 10;
let captures = false;

function later(work) {
  PromisePrototypeThen(SETTLED, () => guarded(work));
}

/** What something is rejected with when its signal is aborted. */
function abortError(signal) {
  const error = codedError('ABORT_ERR', 'The operation was aborted');
  error.name = 'AbortError';
  error.cause = signal?.reason;
  return error;
}

function checkMax(count, name) {
  validateNumber(count, name);
  if (count < 0 || count !== count) throw outOfRange(name, '>= 0', count);
}

/** `EventEmitter`. A function, since programs call it without `new` on objects of their own. */
export function EventEmitter(options) {
  EventEmitter.init.call(this, options);
}

EventEmitter.init = function init(options) {
  if (this._events === undefined || this._events === Object.getPrototypeOf(this)._events) {
    this._events = ObjectCreate(null);
    this._eventsCount = 0;
  }
  this._maxListeners = this._maxListeners || undefined;
  if (options?.captureRejections !== undefined) {
    validateBoolean(options.captureRejections, 'options.captureRejections');
    this[CAPTURE] = options.captureRejections;
  } else if (captures) {
    this[CAPTURE] = true;
  }
};

const proto = EventEmitter.prototype;
proto._events = undefined;
proto._eventsCount = 0;
proto._maxListeners = undefined;
ObjectDefineProperty(proto, CAPTURE, { value: false, writable: true });

/** The listeners of one event as a list. */
function listOf(emitter, name) {
  const found = emitter._events?.[name];
  if (found === undefined) return [];
  return typeof found === 'function' ? [found] : found;
}

function unhandled(emitter, args) {
  const [error] = args;
  if (error instanceof SafeError) throw error;
  const text = `Unhandled error. (${typeof error === 'string' ? `'${error}'` : inspect(error)})`;
  const made = nodeError(SafeError, 'ERR_UNHANDLED_ERROR', text);
  made.context = error;
  throw made;
}

/** A promise that a listener answered may be rejected: that is an 'error' of the emitter. */
function watch(emitter, result, name, args) {
  if (!isObject(result) || typeof result.then !== 'function') return;
  const { then } = result;
  ReflectApply(then, result, [
    undefined,
    (error) =>
      later(() => {
        const handle = emitter[REJECTION];
        if (typeof handle === 'function') {
          ReflectApply(handle, emitter, [error, name, ...args]);
          return;
        }
        // So that a rejection of the 'error' listener itself does not go round for ever.
        const before = emitter[CAPTURE];
        try {
          emitter[CAPTURE] = false;
          emitter.emit('error', error);
        } finally {
          emitter[CAPTURE] = before;
        }
      }),
  ]);
}

proto.emit = function emit(name, ...args) {
  const events = this._events;
  if (name === 'error') {
    if (events?.[MONITOR] !== undefined) this.emit(MONITOR, ...args);
    if (events?.error === undefined) unhandled(this, args);
  }
  const found = events?.[name];
  if (found === undefined) return false;
  if (typeof found === 'function') {
    const result = ReflectApply(found, this, args);
    if (this[CAPTURE] && result !== undefined) watch(this, result, name, args);
    return true;
  }
  const list = ArrayPrototypeSlice(found);
  for (let i = 0; i < list.length; i++) {
    const result = ReflectApply(list[i], this, args);
    if (this[CAPTURE] && result !== undefined) watch(this, result, name, args);
  }
  return true;
};

function warnOfMany(emitter, name, list) {
  const max = emitter.getMaxListeners();
  if (max <= 0 || list.length <= max || list.warned) return;
  list.warned = true;
  const who = emitter.constructor?.name ?? 'Object';
  native.log(
    WARN,
    `(node:1) MaxListenersExceededWarning: Possible EventEmitter memory leak detected. ` +
      `${list.length} ${String(name)} listeners added to [${who}]. MaxListeners is ${max}. ` +
      'Use emitter.setMaxListeners() to increase limit',
  );
}

function add(emitter, name, listener, isFirst) {
  validateFunction(listener, 'listener');
  if (emitter._events === undefined) {
    emitter._events = ObjectCreate(null);
    emitter._eventsCount = 0;
  } else if (emitter._events.newListener !== undefined) {
    emitter.emit('newListener', name, listener.listener ?? listener);
  }
  const events = emitter._events;
  const found = events[name];
  if (found === undefined) {
    events[name] = listener;
    emitter._eventsCount++;
    return emitter;
  }
  const list = typeof found === 'function' ? [found] : found;
  if (isFirst) list.unshift(listener);
  else append(list, listener);
  events[name] = list;
  warnOfMany(emitter, name, list);
  return emitter;
}

proto.addListener = function addListener(name, listener) {
  return add(this, name, listener, false);
};
proto.on = proto.addListener;

proto.prependListener = function prependListener(name, listener) {
  return add(this, name, listener, true);
};

/** A listener that takes itself away when it is called. */
function onceOnly(emitter, name, listener) {
  validateFunction(listener, 'listener');
  let isDone = false;
  const wrapper = (...args) => {
    if (isDone) return undefined;
    isDone = true;
    emitter.removeListener(name, wrapper);
    return ReflectApply(listener, emitter, args);
  };
  wrapper.listener = listener;
  return ObjectDefineProperty(wrapper, 'name', { configurable: true, value: 'bound onceWrapper' });
}

proto.once = function once(name, listener) {
  return this.on(name, onceOnly(this, name, listener));
};

proto.prependOnceListener = function prependOnceListener(name, listener) {
  return this.prependListener(name, onceOnly(this, name, listener));
};

function forget(emitter, name) {
  delete emitter._events[name];
  if (--emitter._eventsCount === 0) emitter._events = ObjectCreate(null);
}

proto.removeListener = function removeListener(name, listener) {
  validateFunction(listener, 'listener');
  const events = this._events;
  const found = events?.[name];
  if (found === undefined) return this;
  const list = typeof found === 'function' ? [found] : found;
  let at = list.length - 1;
  while (at >= 0 && list[at] !== listener && list[at].listener !== listener) at--;
  if (at < 0) return this;
  const told = typeof found === 'function' ? (found.listener ?? listener) : listener;
  if (list.length === 1) {
    forget(this, name);
  } else {
    list.splice(at, 1);
    if (list.length === 1) [events[name]] = list;
  }
  if (events.removeListener !== undefined) this.emit('removeListener', name, told);
  return this;
};
proto.off = proto.removeListener;

proto.removeAllListeners = function removeAllListeners(name) {
  const events = this._events;
  if (events === undefined) return this;
  if (events.removeListener === undefined) {
    if (arguments.length === 0) {
      this._events = ObjectCreate(null);
      this._eventsCount = 0;
    } else if (events[name] !== undefined) {
      forget(this, name);
    }
    return this;
  }
  if (arguments.length === 0) {
    for (const key of ReflectOwnKeys(events)) {
      if (key !== 'removeListener') this.removeAllListeners(key);
    }
    this.removeAllListeners('removeListener');
    this._events = ObjectCreate(null);
    this._eventsCount = 0;
    return this;
  }
  const list = ArrayPrototypeSlice(listOf(this, name));
  for (let i = list.length - 1; i >= 0; i--) this.removeListener(name, list[i]);
  return this;
};

proto.listeners = function listeners(name) {
  return listOf(this, name).map((listener) => listener.listener ?? listener);
};

proto.rawListeners = function rawListeners(name) {
  return ArrayPrototypeSlice(listOf(this, name));
};

proto.listenerCount = function listenerCount(name, listener) {
  const list = listOf(this, name);
  if (listener === undefined || listener === null) return list.length;
  return list.filter((one) => one === listener || one.listener === listener).length;
};

proto.eventNames = function eventNames() {
  return this._eventsCount > 0 ? ReflectOwnKeys(this._events) : [];
};

proto.setMaxListeners = function setMaxListeners(count) {
  checkMax(count, 'setMaxListeners');
  this._maxListeners = count;
  return this;
};

proto.getMaxListeners = function getMaxListeners() {
  return this._maxListeners === undefined ? defaultMax : this._maxListeners;
};

const isEmitter = (value) => isObject(value) && typeof value.on === 'function';

/** Listens to an emitter or an event target; what takes the listener away again. */
function listen(source, name, listener, options) {
  if (isEmitter(source)) {
    if (options?.once) source.once(name, listener);
    else source.on(name, listener);
    return () => source.removeListener(name, listener);
  }
  if (typeof source?.addEventListener !== 'function') {
    throw invalidArgType('emitter', 'EventEmitter', source);
  }
  source.addEventListener(name, listener, options);
  return () => source.removeEventListener(name, listener);
}

/** `events.once`. */
export async function once(emitter, name, options = {}) {
  const { signal } = options;
  validateAbortSignal(signal, 'options.signal');
  if (signal?.aborted) throw abortError(signal);
  return new PromiseConstructor((resolve, reject) => {
    const undo = [];
    const settle = (how) => (value) => {
      for (const each of undo) each();
      how(value);
    };
    const done = settle(resolve);
    append(
      undo,
      listen(emitter, name, (...args) => done(args), { once: true }),
    );
    if (name !== 'error' && isEmitter(emitter)) {
      append(undo, listen(emitter, 'error', settle(reject), { once: true }));
    }
    if (signal) {
      const giveUp = settle(reject);
      append(
        undo,
        listen(signal, 'abort', () => giveUp(abortError(signal)), { once: true }),
      );
    }
  });
}

/** `events.on`: the events as an async iterator. */
export function on(emitter, name, options = {}) {
  const { signal, close = [] } = options;
  validateAbortSignal(signal, 'options.signal');
  if (signal?.aborted) throw abortError(signal);
  const ready = [];
  const asked = [];
  const undo = [];
  let failure;
  let isOver = false;
  const answer = (value, done) => ({ value, done });
  const end = () => {
    isOver = true;
    for (const each of undo) each();
    for (const { resolve } of asked.splice(0)) resolve(answer(undefined, true));
    return Promise.resolve(answer(undefined, true));
  };
  const fail = (error) => {
    const first = asked.shift();
    if (first === undefined) failure = { error };
    else first.reject(error);
    end();
  };
  const take = (...args) => {
    const first = asked.shift();
    if (first === undefined) ready.push(args);
    else first.resolve(answer(args, false));
  };
  undo.push(listen(emitter, name, take));
  if (name !== 'error' && isEmitter(emitter)) undo.push(listen(emitter, 'error', fail));
  for (const each of close) undo.push(listen(emitter, each, end));
  if (signal) undo.push(listen(signal, 'abort', () => fail(abortError(signal)), { once: true }));
  return {
    async next() {
      if (ready.length > 0) return answer(ready.shift(), false);
      if (failure !== undefined) {
        const { error } = failure;
        failure = undefined;
        throw error;
      }
      if (isOver) return answer(undefined, true);
      return new PromiseConstructor((resolve, reject) => asked.push({ resolve, reject }));
    },
    return: end,
    throw(error) {
      if (!(error instanceof SafeError)) {
        throw invalidArgType('EventEmitter.AsyncIterator', 'Error', error);
      }
      fail(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

export function getEventListeners(emitter, name) {
  if (typeof emitter?.listeners === 'function') return emitter.listeners(name);
  if (emitter instanceof EventTarget) {
    throw codedError('ENOTSUP', 'getEventListeners() of an EventTarget is not available');
  }
  throw invalidArgType('emitter', ['EventEmitter', 'EventTarget'], emitter);
}

export function getMaxListeners(emitter) {
  if (typeof emitter?.getMaxListeners === 'function') return emitter.getMaxListeners();
  if (emitter instanceof EventTarget) return defaultMax;
  throw invalidArgType('emitter', ['EventEmitter', 'EventTarget'], emitter);
}

export function setMaxListeners(count = defaultMax, ...emitters) {
  checkMax(count, 'setMaxListeners');
  if (emitters.length === 0) defaultMax = count;
  for (const emitter of emitters) {
    if (typeof emitter?.setMaxListeners === 'function') emitter.setMaxListeners(count);
    else if (!(emitter instanceof EventTarget)) {
      throw invalidArgType('eventTargets', ['EventEmitter', 'EventTarget'], emitter);
    }
  }
}

export function listenerCount(emitter, name) {
  if (typeof emitter.listenerCount === 'function') return emitter.listenerCount(name);
  return ReflectApply(proto.listenerCount, emitter, [name]);
}

/** Calls a listener when a signal is aborted; what it answers can be disposed of. */
export function addAbortListener(signal, listener) {
  if (signal === undefined) throw invalidArgType('signal', 'AbortSignal', signal);
  validateAbortSignal(signal, 'signal');
  validateFunction(listener, 'listener');
  let undo = () => {};
  if (signal.aborted) later(() => listener());
  else undo = listen(signal, 'abort', listener, { once: true });
  return { [Symbol.dispose]: () => undo() };
}

/** An emitter that is an async resource too; contexts follow promises here, not emitters. */
export class EventEmitterAsyncResource extends EventEmitter {
  get asyncId() {
    return 0;
  }

  get triggerAsyncId() {
    return 0;
  }

  emitDestroy() {}
}

Object.assign(EventEmitter, {
  addAbortListener,
  once,
  on,
  getEventListeners,
  getMaxListeners,
  EventEmitter,
  usingDomains: false,
  captureRejectionSymbol: REJECTION,
  EventEmitterAsyncResource,
  errorMonitor: MONITOR,
  setMaxListeners,
  listenerCount,
});
ObjectDefineProperty(EventEmitter, 'captureRejections', {
  enumerable: true,
  get: () => captures,
  set(value) {
    validateBoolean(value, 'EventEmitter.captureRejections');
    captures = value;
  },
});
ObjectDefineProperty(EventEmitter, 'defaultMaxListeners', {
  enumerable: true,
  get: () => defaultMax,
  set(value) {
    checkMax(value, 'defaultMaxListeners');
    defaultMax = value;
  },
});

export { MONITOR as errorMonitor, REJECTION as captureRejectionSymbol };
export default EventEmitter;
