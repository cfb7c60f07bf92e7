// What objects of the language's own classes hold in their internal slots, whatever was done to
// their prototypes: for copying values and for keeping them.

import {
  ObjectGetOwnPropertyDescriptor,
  TypedArray,
  uncurryThis,
} from './primordials.js';

const getter = (proto, name) => uncurryThis(ObjectGetOwnPropertyDescriptor(proto, name).get);

export const mapSize = getter(Map.prototype, 'size');
export const setSize = getter(Set.prototype, 'size');
export const eachOfMap = uncurryThis(Map.prototype.forEach);
export const eachOfSet = uncurryThis(Set.prototype.forEach);
export const setAdd = uncurryThis(Set.prototype.add);
export const dateTime = uncurryThis(Date.prototype.getTime);
export const regExpSource = getter(RegExp.prototype, 'source');
export const regExpFlags = getter(RegExp.prototype, 'flags');
export const typedLength = getter(TypedArray.prototype, 'length');

const byName = (types) => {
  const named = { __proto__: null };
  for (const type of types) named[type.name] = type;
  return named;
};

/** The classes of errors by name. */
export const ERRORS = byName([
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
]);

/** The classes of typed arrays by name. */
export const VIEWS = byName([
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
]);
// Newer than the Node.js that the tests of this layer run in.
if (typeof globalThis.Float16Array === 'function') VIEWS.Float16Array = globalThis.Float16Array;

/** What an accessor of a built-in class says of a value, or undefined if it is not one. */
export function slot(read, value) {
  try {
    return read(value);
  } catch {
    return undefined;
  }
}
