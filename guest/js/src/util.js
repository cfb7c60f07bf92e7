// Node's `util`.

import {
  format,
  formatWithOptions,
  inspect,
  stripVTControlCharacters,
} from 'node-inspect-extracted';
import {
  ObjectAssign,
  ObjectDefineProperties,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetOwnPropertyDescriptors,
  ObjectGetPrototypeOf,
  ObjectPrototypeToString,
  ObjectSetPrototypeOf,
  PromiseConstructor,
  PromisePrototypeThen,
  ReflectApply,
  StringPrototypeSlice,
  TypedArrayTag,
  isObject,
  uncurryThis,
} from './primordials.js';
import { AbortController } from './abort.js';
import { Buffer } from './buffer.js';
import { builtin } from './builtins.js';
import { console } from './console.js';
import { isDeepStrictEqual } from './deep-equal.js';
import { TextDecoder, TextEncoder } from './encoding.js';
import { codedError, typeError } from './errors.js';
import { MIMEParams, MIMEType } from './node/mime-type.js';
import { parseEnv } from './node/parse-env.js';
import { getSystemErrorMap } from './node/system-errors.js';
import {
  invalidArgType,
  outOfRange,
  validateAbortSignal,
  validateFunction,
  validateNumber,
  validateOneOf,
  validateString,
} from './node/validate.js';
import { nextTick, process } from './process.js';

const CUSTOM = Symbol.for('nodejs.util.promisify.custom');

/** A function with a callback as one that answers a promise. */
export function promisify(original) {
  validateFunction(original, 'original');
  const custom = original[CUSTOM];
  if (custom) {
    validateFunction(custom, 'util.promisify.custom');
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
  validateFunction(original, 'original');
  function callbackified(...args) {
    const callback = args.pop();
    validateFunction(callback, 'last argument');
    PromisePrototypeThen(
      ReflectApply(original, this, args),
      (value) => nextTick(ReflectApply, callback, this, [null, value]),
      (error) => nextTick(ReflectApply, callback, this, [error || falsy(error)]),
    );
  }
  const descriptors = ObjectGetOwnPropertyDescriptors(original);
  if (typeof descriptors.length?.value === 'number') descriptors.length.value++;
  if (typeof descriptors.name?.value === 'string') descriptors.name.value += 'Callbackified';
  delete descriptors.prototype;
  return ObjectDefineProperties(callbackified, descriptors);
}

function falsy(reason) {
  const text = 'Promise was rejected with falsy value';
  return ObjectAssign(codedError('ERR_FALSY_VALUE_REJECTION', text), { reason });
}

/** Lets a constructor inherit from another, as before `class`. */
export function inherits(constructor, parent) {
  if (constructor === undefined || constructor === null) {
    throw invalidArgType('ctor', 'function', constructor);
  }
  if (parent === undefined || parent === null) {
    throw invalidArgType('superCtor', 'function', parent);
  }
  if (parent.prototype === undefined) {
    throw invalidArgType('superCtor.prototype', 'Object', parent.prototype);
  }
  ObjectDefineProperty(constructor, 'super_', {
    configurable: true,
    value: parent,
    writable: true,
  });
  ObjectSetPrototypeOf(constructor.prototype, parent.prototype);
}

/** Codes that were warned of. */
const warned = new Set();

/** A function that warns once when it is called. */
export function deprecate(original, message, code) {
  if (code !== undefined) validateString(code, 'code');
  let isWarned = false;
  function deprecated(...args) {
    if (!isWarned) {
      isWarned = true;
      if (code === undefined || !warned.has(code)) {
        if (code !== undefined) warned.add(code);
        process.emitWarning(message, 'DeprecationWarning', code);
      }
    }
    return new.target
      ? Reflect.construct(original, args, new.target)
      : ReflectApply(original, this, args);
  }
  ObjectSetPrototypeOf(deprecated, original);
  if (original.prototype) deprecated.prototype = original.prototype;
  return deprecated;
}

/** Node's opt-in logging; there is no NODE_DEBUG here, so it is always off. */
export function debuglog() {
  const log = () => {};
  log.enabled = false;
  return log;
}

const tag = (value) => StringPrototypeSlice(ObjectPrototypeToString(value), 8, -1);
const isTagged = (name) => (value) => isObject(value) && tag(value) === name;
const isTyped = (name) => (value) => ArrayBuffer.isView(value) && TypedArrayTag(value) === name;

/** Whether a value is of a builtin class: `probe` throws on whatever is not. */
function isOf(probe) {
  return (value) => {
    if (!isObject(value)) return false;
    try {
      probe(value);
      return true;
    } catch {
      return false;
    }
  };
}

const getter = (Kind, name) =>
  uncurryThis(ObjectGetOwnPropertyDescriptor(Kind.prototype, name).get);
const boxed = {
  isNumberObject: isOf(uncurryThis(Number.prototype.valueOf)),
  isStringObject: isOf(uncurryThis(String.prototype.valueOf)),
  isBooleanObject: isOf(uncurryThis(Boolean.prototype.valueOf)),
  isBigIntObject: isOf(uncurryThis(BigInt.prototype.valueOf)),
  isSymbolObject: isOf(uncurryThis(Symbol.prototype.valueOf)),
};
const isWeakMap = uncurryThis(WeakMap.prototype.has);
const isWeakSet = uncurryThis(WeakSet.prototype.has);
const isArrayBuffer = isOf(getter(ArrayBuffer, 'byteLength'));

/** `util.types`. */
export const types = {
  isExternal: () => false,
  isAnyArrayBuffer: isArrayBuffer,
  isArrayBuffer,
  isArrayBufferView: ArrayBuffer.isView,
  isArgumentsObject: (value) =>
    isObject(value) && !(Symbol.toStringTag in value) && tag(value) === 'Arguments',
  isAsyncFunction: (value) =>
    typeof value === 'function' && ['AsyncFunction', 'AsyncGeneratorFunction'].includes(tag(value)),
  isBoxedPrimitive: (value) => Object.keys(boxed).some((name) => boxed[name](value)),
  ...boxed,
  isDataView: (value) => ArrayBuffer.isView(value) && TypedArrayTag(value) === undefined,
  isDate: isOf(uncurryThis(Date.prototype.getTime)),
  isGeneratorFunction: (value) =>
    typeof value === 'function' && tag(value).endsWith('GeneratorFunction'),
  isGeneratorObject: (value) =>
    ['Generator', 'AsyncGenerator'].some((name) => isTagged(name)(value)),
  isMap: isOf(getter(Map, 'size')),
  isMapIterator: isTagged('Map Iterator'),
  isModuleNamespaceObject: isTagged('Module'),
  isNativeError: (value) =>
    isObject(value) && !(Symbol.toStringTag in value) && tag(value) === 'Error',
  isPromise: (value) => value instanceof Promise,
  // A proxy cannot be told from its target here.
  isProxy: () => false,
  isRegExp: isOf(getter(RegExp, 'global')),
  isSet: isOf(getter(Set, 'size')),
  isSetIterator: isTagged('Set Iterator'),
  isSharedArrayBuffer: () => false,
  isTypedArray: (value) => ArrayBuffer.isView(value) && TypedArrayTag(value) !== undefined,
  isWeakMap: isOf((value) => isWeakMap(value, value)),
  isWeakSet: isOf((value) => isWeakSet(value, value)),
  isKeyObject: (value) => isA('KeyObject', value, builtin('crypto')),
  isCryptoKey: (value) => isA('CryptoKey', value, globalThis),
};

function isA(name, value, from) {
  const Kind = from[name];
  return typeof Kind === 'function' && value instanceof Kind;
}

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

/** Text in the colours of a terminal, when it would go to one. */
function styleText(style, text, { validateStream = true, stream = process.stdout } = {}) {
  validateString(text, 'text');
  const names = Array.isArray(style) ? style : [style];
  let [before, after] = ['', ''];
  for (const name of names) {
    const codes = inspect.colors[name];
    if (codes === undefined) validateOneOf(name, 'format', Object.keys(inspect.colors));
    before += `\u001b[${codes[0]}m`;
    after = `\u001b[${codes[1]}m${after}`;
  }
  // As in Node 20, a list of styles is not kept from what is no terminal.
  const isPlain = validateStream && !stream?.isTTY && !Array.isArray(style);
  return isPlain ? text : before + text + after;
}

function getSystemErrorName(number) {
  validateNumber(number, 'err');
  if (number >= 0 || !Number.isSafeInteger(number)) {
    throw outOfRange('err', 'a negative integer', number);
  }
  return getSystemErrorMap().get(number)?.[0] ?? `Unknown system error ${number}`;
}

function errnoException(number, syscall, original) {
  const code = getSystemErrorName(number);
  const error = new Error(`${syscall} ${code}${original ? ` ${original}` : ''}`);
  return ObjectAssign(error, { errno: number, code, syscall });
}

/** A promise for the abortion of a signal. */
async function aborted(signal, resource) {
  if (signal === undefined) throw invalidArgType('signal', 'AbortSignal', signal);
  validateAbortSignal(signal, 'signal');
  if (!isObject(resource)) throw invalidArgType('resource', 'object', resource);
  if (signal.aborted) return undefined;
  return new PromiseConstructor((resolve) => {
    signal.addEventListener('abort', resolve, { once: true });
  });
}

function exceptionWithHostPort(number, syscall, address, port) {
  const place = port ? `${address}:${port}` : address;
  const error = errnoException(number, syscall, place);
  return ObjectAssign(error, { address }, port ? { port } : {});
}

function extend(target, source) {
  if (source === null || typeof source !== 'object') return target;
  return ObjectAssign(target, source);
}

/** The package copies all of the language when it is loaded, so that waits for the first use. */
function parseArgs(config) {
  try {
    return require('@pkgjs/parseargs').parseArgs(config);
  } catch (error) {
    // The package throws its own kinds, Node a TypeError.
    if (error instanceof TypeError || error.code === undefined) throw error;
    throw typeError(error.code, error.message);
  }
}

/** Checks of types from before `util.types`. */
const old = {
  isArray: Array.isArray,
  isBoolean: (value) => typeof value === 'boolean',
  isBuffer: (value) => Buffer.isBuffer(value),
  isNull: (value) => value === null,
  isNullOrUndefined: (value) => value === null || value === undefined,
  isNumber: (value) => typeof value === 'number',
  isString: (value) => typeof value === 'string',
  isSymbol: (value) => typeof value === 'symbol',
  isUndefined: (value) => value === undefined,
  isRegExp: types.isRegExp,
  isObject: (value) => value !== null && typeof value === 'object',
  isDate: types.isDate,
  isError: (value) => types.isNativeError(value) || value instanceof Error,
  isFunction: (value) => typeof value === 'function',
  isPrimitive: (value) => !isObject(value),
};

const pad = (number) => `${number}`.padStart(2, '0');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function log(...args) {
  const now = new Date();
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(pad).join(':');
  console.log('%s - %s', `${now.getDate()} ${MONTHS[now.getMonth()]} ${time}`, format(...args));
}

// The package's own name for it is a short one.
ObjectDefineProperty(inspect, 'name', { configurable: true, value: 'inspect' });

/** `require('util')`. */
export const util = {
  _errnoException: errnoException,
  _exceptionWithHostPort: exceptionWithHostPort,
  _extend: extend,
  aborted,
  callbackify,
  debug: debuglog,
  debuglog,
  deprecate,
  format,
  formatWithOptions,
  getSystemErrorMap,
  getSystemErrorName,
  inherits,
  inspect,
  ...old,
  isDeepStrictEqual,
  log,
  parseArgs,
  parseEnv,
  promisify,
  stripVTControlCharacters(text) {
    validateString(text, 'str');
    return stripVTControlCharacters(text);
  },
  styleText,
  toUSVString: (text) => `${text}`.toWellFormed?.() ?? `${text}`,
  transferableAbortController: () => new AbortController(),
  transferableAbortSignal: (signal) => signal,
  types,
  MIMEParams,
  MIMEType,
  TextDecoder,
  TextEncoder,
};
