// Node's `util`.

import {
  format,
  formatWithOptions,
  inspect,
  stripVTControlCharacters,
} from 'node-inspect-extracted';
import {
  ObjectDefineProperties,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptors,
  ObjectGetPrototypeOf,
  ObjectPrototypeToString,
  ObjectSetPrototypeOf,
  PromiseConstructor,
  PromisePrototypeThen,
  ReflectApply,
  TypedArrayTag,
  isObject,
} from './primordials.js';
import { console } from './console.js';
import { isDeepStrictEqual } from './deep-equal.js';
import { TextDecoder, TextEncoder } from './encoding.js';
import { codedError, typeError } from './errors.js';
import { nextTick } from './process.js';

const CUSTOM = Symbol.for('nodejs.util.promisify.custom');

function checkFunction(name, value) {
  if (typeof value === 'function') return;
  throw typeError('ERR_INVALID_ARG_TYPE', `The "${name}" argument must be of type function.`);
}

/** A function with a callback as one that answers a promise. */
export function promisify(original) {
  checkFunction('original', original);
  const custom = original[CUSTOM];
  if (custom) {
    checkFunction('util.promisify.custom', custom);
    return custom;
  }
  function promisified(...args) {
    return new PromiseConstructor((resolve, reject) => {
      const settle = (error, value) => (error ? reject(error) : resolve(value));
      ReflectApply(original, this, [...args, settle]);
    });
  }
  ObjectSetPrototypeOf(promisified, ObjectGetPrototypeOf(original));
  ObjectDefineProperty(promisified, CUSTOM, { configurable: true, value: promisified });
  return ObjectDefineProperties(promisified, ObjectGetOwnPropertyDescriptors(original));
}
promisify.custom = CUSTOM;

/** The opposite of `promisify`. */
export function callbackify(original) {
  checkFunction('original', original);
  return function callbackified(...args) {
    const callback = args.pop();
    checkFunction('last argument', callback);
    PromisePrototypeThen(
      ReflectApply(original, this, args),
      (value) => nextTick(callback, null, value),
      (error) => nextTick(callback, error ?? codedError('ERR_FALSY_VALUE_REJECTION', `${error}`)),
    );
  };
}

/** Lets a constructor inherit from another, as before `class`. */
export function inherits(constructor, parent) {
  checkFunction('ctor', constructor);
  checkFunction('superCtor', parent);
  ObjectDefineProperty(constructor, 'super_', {
    configurable: true,
    value: parent,
    writable: true,
  });
  ObjectSetPrototypeOf(constructor.prototype, parent.prototype);
}

/** A function that warns once when it is called. */
export function deprecate(original, message, code) {
  let isWarned = false;
  return function deprecated(...args) {
    if (!isWarned) {
      isWarned = true;
      console.warn(`DeprecationWarning: ${code ? `[${code}] ` : ''}${message}`);
    }
    return new.target
      ? Reflect.construct(original, args, new.target)
      : ReflectApply(original, this, args);
  };
}

/** Node's opt-in logging; there is no NODE_DEBUG here, so it is always off. */
export function debuglog() {
  const log = () => {};
  log.enabled = false;
  return log;
}

const tag = (value) => ObjectPrototypeToString(value).slice(8, -1);
const isTagged = (name) => (value) => isObject(value) && tag(value) === name;
const isTyped = (name) => (value) => ArrayBuffer.isView(value) && TypedArrayTag(value) === name;

/** `util.types`. */
export const types = {
  isAnyArrayBuffer: isTagged('ArrayBuffer'),
  isArrayBuffer: isTagged('ArrayBuffer'),
  isArrayBufferView: ArrayBuffer.isView,
  isArgumentsObject: isTagged('Arguments'),
  isAsyncFunction: (value) => typeof value === 'function' && tag(value) === 'AsyncFunction',
  isBoxedPrimitive: (value) =>
    isObject(value) && ['Number', 'String', 'Boolean', 'BigInt', 'Symbol'].includes(tag(value)),
  isDataView: (value) => ArrayBuffer.isView(value) && TypedArrayTag(value) === undefined,
  isDate: (value) => value instanceof Date,
  isGeneratorFunction: (value) =>
    typeof value === 'function' && tag(value).endsWith('GeneratorFunction'),
  isGeneratorObject: isTagged('Generator'),
  isMap: (value) => value instanceof Map,
  isMapIterator: isTagged('Map Iterator'),
  isNativeError: (value) => value instanceof Error,
  isPromise: (value) => value instanceof Promise,
  isProxy: () => false,
  isRegExp: (value) => value instanceof RegExp,
  isSet: (value) => value instanceof Set,
  isSetIterator: isTagged('Set Iterator'),
  isSharedArrayBuffer: () => false,
  isSymbolObject: isTagged('Symbol'),
  isTypedArray: (value) => ArrayBuffer.isView(value) && TypedArrayTag(value) !== undefined,
  isWeakMap: (value) => value instanceof WeakMap,
  isWeakSet: (value) => value instanceof WeakSet,
};
for (const name of [
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
]) {
  types[`is${name}`] = isTyped(name);
}

/** `require('util')`. */
export const util = {
  callbackify,
  debug: debuglog,
  debuglog,
  deprecate,
  format,
  formatWithOptions,
  inherits,
  inspect,
  isArray: Array.isArray,
  isDeepStrictEqual,
  promisify,
  stripVTControlCharacters,
  toUSVString: (text) => `${text}`.toWellFormed?.() ?? `${text}`,
  types,
  TextDecoder,
  TextEncoder,
};
