// Node's `diagnostics_channel`: named channels, and the five of a traced operation.

import {
  ArrayPrototypeSlice,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeSet,
  ObjectKeys,
  PromiseConstructor,
  PromisePrototypeThen,
  PromiseReject,
  PromiseResolve,
  ReflectApply,
  SafeMap,
  append,
} from '../primordials.js';
import { nextTick } from '../process.js';
import { checkFunction } from './zlib-options.js';
import { wrongType } from '../webidl.js';

const channels = new SafeMap();

/** `Channel`: made by `channel(name)` only. */
class Channel {
  #subscribers = [];
  #stores = new SafeMap();

  constructor(name) {
    this.name = name;
  }

  get hasSubscribers() {
    return this.#subscribers.length > 0 || this.#stores.size > 0;
  }

  subscribe(subscription) {
    checkFunction('subscription', subscription);
    // A new list each time, so that one that is being published to stays as it is.
    this.#subscribers = ArrayPrototypeSlice(this.#subscribers);
    append(this.#subscribers, subscription);
  }

  unsubscribe(subscription) {
    const at = this.#subscribers.indexOf(subscription);
    if (at < 0) return false;
    this.#subscribers = this.#subscribers.filter((_one, index) => index !== at);
    return true;
  }

  publish(data) {
    const list = this.#subscribers;
    for (let i = 0; i < list.length; i++) uncaught(list[i], this, [data, this.name]);
  }

  bindStore(store, transform) {
    MapPrototypeSet(this.#stores, store, transform);
  }

  unbindStore(store) {
    return MapPrototypeDelete(this.#stores, store);
  }

  runStores(data, work, self, ...args) {
    let run = () => {
      this.publish(data);
      return ReflectApply(work, self, args);
    };
    for (const [store, transform] of this.#stores) {
      const inner = run;
      run = () => {
        let value = data;
        if (transform !== undefined) {
          const failed = uncaught(() => (value = transform(data)), undefined, []);
          if (failed) return inner();
        }
        return store.run(value, inner);
      };
    }
    return run();
  }
}

/** Calls; what is thrown ends the invocation, but not the caller. True if something was. */
function uncaught(work, self, args) {
  try {
    ReflectApply(work, self, args);
    return false;
  } catch (error) {
    nextTick(() => {
      throw error;
    });
    return true;
  }
}

function channel(name) {
  const known = MapPrototypeGet(channels, name);
  if (known !== undefined) return known;
  if (typeof name !== 'string' && typeof name !== 'symbol') {
    throw wrongType('channel', 'of type string or an instance of Symbol', name);
  }
  const made = new Channel(name);
  MapPrototypeSet(channels, name, made);
  return made;
}

const PARTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'];

/** `TracingChannel`: made by `tracingChannel(name)` only. */
class TracingChannel {
  constructor(given) {
    for (const part of PARTS) {
      const found = typeof given === 'string' ? channel(`tracing:${given}:${part}`) : given?.[part];
      if (!(found instanceof Channel))
        throw wrongType(`nameOrChannels.${part}`, 'an instance of Channel', found);
      this[part] = found;
    }
  }

  get hasSubscribers() {
    return PARTS.some((part) => this[part].hasSubscribers);
  }

  subscribe(handlers) {
    for (const part of PARTS) if (handlers[part]) this[part].subscribe(handlers[part]);
  }

  unsubscribe(handlers) {
    let isDone = true;
    for (const part of ObjectKeys(handlers)) {
      if (PARTS.includes(part) && !this[part].unsubscribe(handlers[part])) isDone = false;
    }
    return isDone;
  }

  traceSync(work, context = {}, self = undefined, ...args) {
    return this.start.runStores(context, () => {
      try {
        const result = ReflectApply(work, self, args);
        context.result = result;
        return result;
      } catch (error) {
        context.error = error;
        this.error.publish(context);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }

  tracePromise(work, context = {}, self = undefined, ...args) {
    const settled = (name, value) => {
      context[name] = value;
      if (name === 'error') this.error.publish(context);
      this.asyncStart.publish(context);
      this.asyncEnd.publish(context);
    };
    return this.start.runStores(context, () => {
      try {
        const result = ReflectApply(work, self, args);
        const promise = result instanceof PromiseConstructor ? result : PromiseResolve(result);
        return PromisePrototypeThen(
          promise,
          (value) => {
            settled('result', value);
            return value;
          },
          (error) => {
            settled('error', error);
            return PromiseReject(error);
          },
        );
      } catch (error) {
        context.error = error;
        this.error.publish(context);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }

  traceCallback(work, position = -1, context = {}, self = undefined, ...args) {
    const at = position < 0 ? args.length + position : position;
    const callback = args[at];
    checkFunction('callback', callback);
    const trace = this;
    args[at] = function (error, result) {
      if (error) {
        context.error = error;
        trace.error.publish(context);
      } else {
        context.result = result;
      }
      return trace.asyncStart.runStores(context, () => {
        try {
          return ReflectApply(callback, this, arguments);
        } finally {
          trace.asyncEnd.publish(context);
        }
      });
    };
    return this.start.runStores(context, () => {
      try {
        return ReflectApply(work, self, args);
      } catch (error) {
        context.error = error;
        this.error.publish(context);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }
}

export default {
  channel,
  hasSubscribers: (name) => MapPrototypeGet(channels, name)?.hasSubscribers ?? false,
  subscribe: (name, subscription) => channel(name).subscribe(subscription),
  unsubscribe: (name, subscription) => channel(name).unsubscribe(subscription),
  tracingChannel: (nameOrChannels) => new TracingChannel(nameOrChannels),
  Channel,
};
