// `kv`: the tenant's durable key-value store. Values are kept as JSON text.
//
// Times to live are seconds (decision R1): a number, or `{ttl}` in seconds, `{ttlMs}`, or
// `{expiresAt}` (milliseconds since the epoch, or a Date).

import {
  MathCeil,
  NumberIsFinite,
  ObjectFreeze,
  PromiseConstructor,
  PromiseReject,
  PromiseResolve,
  isObject,
  uncurryThis,
} from './primordials.js';
import { codedError, nativeError, typeError } from './errors.js';
import { native, touch } from './native.js';

const SafeDate = Date;
const DateNow = Date.now;
const DatePrototypeGetTime = uncurryThis(Date.prototype.getTime);

function checkKey(method, key) {
  if (typeof key !== 'string' || key === '') {
    throw typeError('ERR_INVALID_ARG_TYPE', `kv.${method}: key must be a non-empty string`);
  }
}

function valueText(method, value) {
  const text = native.jsonText(value);
  if (text === undefined) {
    throw typeError('ERR_INVALID_ARG_TYPE', `kv.${method}: value must be JSON-serialisable`);
  }
  return text;
}

function invalidTtl(method) {
  return typeError(
    'ERR_INVALID_ARG_VALUE',
    `kv.${method}: ttl must be a number of seconds, {ttl}, {ttlMs} or {expiresAt}`,
  );
}

/** Milliseconds, 0 for none. An expiry in the past is the shortest there is. */
function ttlMs(method, ttl) {
  if (ttl === undefined || ttl === null || ttl === 0) return 0;
  let ms;
  if (typeof ttl === 'number') {
    ms = ttl * 1000;
  } else if (!isObject(ttl)) {
    throw invalidTtl(method);
  } else if (ttl.expiresAt !== undefined && ttl.expiresAt !== null) {
    const { expiresAt } = ttl;
    const at = expiresAt instanceof SafeDate ? DatePrototypeGetTime(expiresAt) : expiresAt;
    ms = at - DateNow();
    if (typeof at === 'number' && ms < 1) ms = 1;
  } else if (ttl.ttlMs !== undefined && ttl.ttlMs !== null) {
    ms = ttl.ttlMs;
  } else {
    if (isObject(ttl.ttl)) throw invalidTtl(method);
    return ttlMs(method, ttl.ttl);
  }
  if (typeof ms !== 'number' || !NumberIsFinite(ms) || ms < 0) throw invalidTtl(method);
  return MathCeil(ms);
}

/** Why there is no value: what the host says, or nothing if what is stored is not JSON. */
function refuse(failure) {
  if (failure !== undefined) throw nativeError(failure);
  throw codedError('kv_not_json', 'kv.get: the stored value is not JSON');
}

/** Keys on a page unless it is said otherwise, and the most that may be asked for. */
const LIST_LIMIT = 100;
const LIST_LIMIT_MAX = 1000;

function listOptions(prefixOrOptions, more) {
  const isPrefix = typeof prefixOrOptions === 'string';
  const options = isPrefix ? more : prefixOrOptions;
  const prefix = (isPrefix ? prefixOrOptions : options?.prefix) ?? '';
  const cursor = options?.cursor ?? null;
  const limit = options?.limit ?? LIST_LIMIT;
  if (typeof prefix !== 'string') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'kv.list: prefix must be a string');
  }
  if (cursor !== null && typeof cursor !== 'string') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'kv.list: cursor must be a string');
  }
  if (typeof limit !== 'number' || !(limit >= 1 && limit <= LIST_LIMIT_MAX)) {
    throw typeError('ERR_INVALID_ARG_VALUE', 'kv.list: limit must be from 1 to 1000');
  }
  return { cursor, limit: limit | 0, prefix };
}

/**
 * A promise of a host call whose last arguments are the two callbacks. What `begin` throws
 * rejects it. It is resolved with plain values only, so `Promise.prototype.then` plays no part.
 */
function command(begin, convert) {
  return new PromiseConstructor((resolve, reject) => {
    const done = (result) => {
      if (convert === undefined) {
        resolve(result);
        return;
      }
      try {
        resolve(convert(result));
      } catch (error) {
        reject(error);
      }
    };
    begin(done, (failure) => reject(nativeError(failure)));
  });
}

/** `kv`. Every method answers a promise; wrong arguments reject it. */
export const kv = ObjectFreeze({
  get(key) {
    let value;
    try {
      checkKey('get', key);
      touch('kv.get()');
      value = native.kvGet(key, refuse);
    } catch (error) {
      return PromiseReject(error);
    }
    return PromiseResolve(value);
  },

  set(key, value, ttl) {
    return command(
      (resolve, reject) => {
        checkKey('set', key);
        const text = valueText('set', value);
        const ms = ttlMs('set', ttl);
        touch('kv.set()');
        native.kvSet(key, text, ms, resolve, reject);
      },
      () => true,
    );
  },

  delete(key) {
    return command((resolve, reject) => {
      checkKey('delete', key);
      touch('kv.delete()');
      native.kvDelete(key, resolve, reject);
    });
  },

  has(key) {
    return command((resolve, reject) => {
      checkKey('has', key);
      touch('kv.has()');
      native.kvHas(key, resolve, reject);
    });
  },

  list(prefixOrOptions, more) {
    return command((resolve, reject) => {
      const { cursor, limit, prefix } = listOptions(prefixOrOptions, more);
      touch('kv.list()');
      native.kvList(prefix, cursor, limit, resolve, reject);
    });
  },

  increment(key, by = 1) {
    return command((resolve, reject) => {
      checkKey('increment', key);
      if (typeof by !== 'number' || !NumberIsFinite(by)) {
        throw typeError('ERR_INVALID_ARG_TYPE', 'kv.increment: by must be a finite number');
      }
      touch('kv.increment()');
      native.kvIncrement(key, by, resolve, reject);
    });
  },

  /**
   * Writes `value` if the stored value is `expected` (null or undefined: if there is none); an
   * undefined `value` deletes. Resolves to whether that was so. Stored values are compared as
   * JSON text, so the order of keys counts.
   */
  compareAndSet(key, expected, value, ttl) {
    return command((resolve, reject) => {
      checkKey('compareAndSet', key);
      const isAbsent = expected === undefined || expected === null;
      const before = isAbsent ? null : valueText('compareAndSet', expected);
      const after = value === undefined ? null : valueText('compareAndSet', value);
      const ms = ttlMs('compareAndSet', ttl);
      touch('kv.compareAndSet()');
      native.kvCompareAndSet(key, before, after, ms, resolve, reject);
    });
  },

  clear() {
    return command((resolve, reject) => {
      touch('kv.clear()');
      native.kvClear(resolve, reject);
    });
  },
});
