// `structuredClone` (HTML standard), for what exists here. Transfers are copies.

import { ObjectPrototypeToString } from './primordials.js';
import { DOMException } from './dom-exception.js';

const ERRORS = { __proto__: null };
for (const type of [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
]) {
  ERRORS[type.name] = type;
}

/** A deep copy; cycles stay cycles, prototypes are lost, functions are refused. */
export function structuredClone(value) {
  if (arguments.length === 0) throw new TypeError("The 'value' argument must be specified");
  return clone(value, new Map());
}

function refuse(value) {
  const what = typeof value === 'function' ? `${value}` : Object.prototype.toString.call(value);
  throw new DOMException(`${what} could not be cloned.`, 'DataCloneError');
}

function clone(value, seen) {
  if (typeof value === 'symbol' || typeof value === 'function') refuse(value);
  if (value === null || typeof value !== 'object') return value;
  const earlier = seen.get(value);
  if (earlier !== undefined) return earlier;
  const copy = empty(value, seen);
  seen.set(value, copy);
  fill(copy, value, seen);
  return copy;
}

function empty(value, seen) {
  if (Array.isArray(value)) return new Array(value.length);
  if (value instanceof Date) return new Date(value.getTime());
  if (value instanceof RegExp) return new RegExp(value.source, value.flags);
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (ArrayBuffer.isView(value)) return view(value, seen);
  if (value instanceof Error) return error(value, seen);
  const isBoxed = value instanceof Boolean || value instanceof Number || value instanceof String;
  if (isBoxed || value instanceof BigInt) return Object(value.valueOf());
  const kind = ObjectPrototypeToString(value);
  const isPlain = kind === '[object Object]' || kind === '[object Arguments]';
  if (!isPlain) refuse(value);
  return {};
}

function view(value, seen) {
  const buffer = clone(value.buffer, seen);
  if (value instanceof DataView) return new DataView(buffer, value.byteOffset, value.byteLength);
  const Type = TYPES[tagOf(value)];
  return new Type(buffer, value.byteOffset, value.length);
}

const tagOf = (value) => ObjectPrototypeToString(value).slice(8, -1);
const TYPES = { __proto__: null };
for (const type of [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
]) {
  TYPES[type.name] = type;
}

function error(value, seen) {
  const Type = ERRORS[value.name] ?? Error;
  const copy = new Type(value.message);
  Object.defineProperty(copy, 'stack', { configurable: true, value: value.stack, writable: true });
  if ('cause' in value) {
    const cause = clone(value.cause, seen);
    Object.defineProperty(copy, 'cause', { configurable: true, value: cause, writable: true });
  }
  return copy;
}

function fill(copy, value, seen) {
  if (copy instanceof Map) {
    for (const [key, entry] of value) copy.set(clone(key, seen), clone(entry, seen));
  } else if (copy instanceof Set) {
    for (const entry of value) copy.add(clone(entry, seen));
  } else if (Array.isArray(copy) || Object.getPrototypeOf(copy) === Object.prototype) {
    for (const key of Object.keys(value)) {
      Object.defineProperty(copy, key, {
        configurable: true,
        enumerable: true,
        value: clone(value[key], seen),
        writable: true,
      });
    }
  }
}
