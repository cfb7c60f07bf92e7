// Node's `async_hooks`: AsyncLocalStorage and AsyncResource in full; of the rest what can be said
// without watching every asynchronous step.
//
// A context is a list of storages, each followed by what it holds; it is never changed, only
// replaced.

import { ObjectDefineProperties, ReflectApply, append } from '../primordials.js';
import { current, enter, runIn } from '../async-context.js';
import { codedError, typeError } from '../errors.js';
import { checkFunction } from './zlib-options.js';
import { wrongType } from '../webidl.js';

/** The context without one storage, with another value for it if one is given. */
function changed(context, storage, ...value) {
  const list = [];
  if (context !== undefined) {
    for (let i = 0; i < context.length; i += 2) {
      if (context[i] === storage) continue;
      append(list, context[i]);
      append(list, context[i + 1]);
    }
  }
  if (value.length > 0) {
    append(list, storage);
    append(list, value[0]);
  }
  return list.length === 0 ? undefined : list;
}

/** Calls a function in a context; afterwards, the one from before counts again. */
function runNow(context, work, args) {
  const before = current();
  enter(context);
  try {
    return ReflectApply(work, null, args);
  } finally {
    enter(before);
  }
}

/** `AsyncLocalStorage`. */
class AsyncLocalStorage {
  #isEnabled = false;

  static bind(work) {
    return AsyncResource.bind(work);
  }

  static snapshot() {
    return AsyncResource.bind((work, ...args) => work(...args));
  }

  run(store, callback, ...args) {
    this.#isEnabled = true;
    return runNow(changed(current(), this, store), callback, args);
  }

  exit(callback, ...args) {
    if (!this.#isEnabled) return ReflectApply(callback, null, args);
    return runNow(changed(current(), this), callback, args);
  }

  enterWith(store) {
    this.#isEnabled = true;
    enter(changed(current(), this, store));
  }

  getStore() {
    if (!this.#isEnabled) return undefined;
    const context = current();
    if (context === undefined) return undefined;
    for (let i = 0; i < context.length; i += 2) if (context[i] === this) return context[i + 1];
    return undefined;
  }

  disable() {
    if (!this.#isEnabled) return;
    this.#isEnabled = false;
    enter(changed(current(), this));
  }
}

let lastId = 1;

/** `AsyncResource`: remembers the context in which it was made. */
class AsyncResource {
  #context = current();
  #id = ++lastId;
  #triggerId;

  constructor(type, options = {}) {
    if (typeof type !== 'string') throw wrongType('type', 'of type string', type);
    if (type === '') throw typeError('ERR_ASYNC_TYPE', 'Invalid name for async "type": ');
    this.#triggerId = typeof options === 'number' ? options : (options?.triggerAsyncId ?? 1);
    if (!Number.isSafeInteger(this.#triggerId) || this.#triggerId < -1) {
      throw codedError(
        'ERR_INVALID_ASYNC_ID',
        `Invalid triggerAsyncId value: ${this.#triggerId}`,
        RangeError,
      );
    }
  }

  runInAsyncScope(work, self, ...args) {
    return runIn(this.#context, work, self, args);
  }

  emitDestroy() {
    return this;
  }

  asyncId() {
    return this.#id;
  }

  triggerAsyncId() {
    return this.#triggerId;
  }

  bind(work, self) {
    checkFunction('fn', work);
    const resource = this;
    const bound = function (...args) {
      return runIn(resource.#context, work, self === undefined ? this : self, args);
    };
    return ObjectDefineProperties(bound, {
      length: { configurable: true, enumerable: false, value: work.length, writable: false },
      asyncResource: { configurable: true, enumerable: true, value: this, writable: true },
    });
  }

  static bind(work, type, self) {
    checkFunction('fn', work);
    return new AsyncResource(type || work.name || 'bound-anonymous-fn').bind(work, self);
  }
}

const HOOKS = ['init', 'before', 'after', 'destroy', 'promiseResolve'];

function createHook(hooks) {
  for (const name of HOOKS) {
    if (hooks[name] === undefined || typeof hooks[name] === 'function') continue;
    throw typeError('ERR_ASYNC_CALLBACK', `hook.${name} must be a function`);
  }
  return {
    enable() {
      throw codedError(
        'ERR_METHOD_NOT_IMPLEMENTED',
        'async_hooks: hooks are not called in Ampoule; use AsyncLocalStorage',
      );
    },
    disable() {
      return this;
    },
  };
}

const topLevel = {};

export default {
  AsyncLocalStorage,
  AsyncResource,
  createHook,
  executionAsyncId: () => 1,
  executionAsyncResource: () => topLevel,
  triggerAsyncId: () => 0,
  asyncWrapProviders: Object.freeze({ __proto__: null, NONE: 0 }),
};
