// `structuredClone` (HTML standard).
//
// What an object is, its internal slots say, not its prototype: each kind is asked for with a
// method of the language that throws for everything else.

import {
  ArrayBufferByteLength,
  ArrayBufferIsView,
  ArrayBufferSlice,
  ArrayIsArray,
  DataViewBuffer,
  DataViewByteLength,
  DataViewByteOffset,
  MapPrototypeSet,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetPrototypeOf,
  ObjectKeys,
  ObjectPrototypeToString,
  TypedArrayBuffer,
  TypedArrayByteOffset,
  TypedArrayTag,
  isObject,
  uncurryThis,
} from './primordials.js';
import { blobCopy } from './blob.js';
import { DOMException, domExceptionCopy } from './dom-exception.js';
import {
  ERRORS,
  VIEWS,
  dateTime,
  eachOfMap,
  eachOfSet,
  mapSize,
  regExpFlags,
  regExpSource,
  setAdd,
  setSize,
  slot,
  typedLength,
} from './slots.js';
import { missingArgs } from './webidl.js';

const BOXES = [Number, String, Boolean, BigInt, Symbol].map((type) => [
  type,
  uncurryThis(type.prototype.valueOf),
]);
const ObjectPrototype = Object.prototype;
const ObjectHasOwn = Object.hasOwn;
// Newer than the Node.js that the tests of this layer run in.
const transferBuffer =
  ArrayBuffer.prototype.transfer === undefined ? null : uncurryThis(ArrayBuffer.prototype.transfer);

// These hold what is not in their properties. So do the platform's own classes; see globals.js.
const refused = [Promise, WeakMap, WeakSet, WeakRef];
if (globalThis.FinalizationRegistry) refused.push(globalThis.FinalizationRegistry);
const iterators = [[].values(), new Map().keys(), new Set().keys(), ''[Symbol.iterator]()].map(
  ObjectGetPrototypeOf,
);
const GeneratorPrototype = ObjectGetPrototypeOf(function* () {}).prototype;
const AsyncGeneratorPrototype = ObjectGetPrototypeOf(async function* () {}).prototype;
iterators.push(GeneratorPrototype, AsyncGeneratorPrototype);

/** Says that objects of these classes cannot be cloned. */
export function refuseToClone(classes) {
  refused.push(...classes);
}

/** A deep copy; cycles stay cycles, prototypes are lost, functions are refused. */
export function structuredClone(value, options = undefined) {
  if (arguments.length === 0) throw missingArgs('value');
  const transfers = checkTransfers(options?.transfer);
  const seen = new Map();
  if (transferBuffer !== null) for (const buffer of transfers) seen.set(buffer, MOVED);
  const moved = new Set();
  const copy = clone(value, { seen, moved });
  for (const buffer of transfers) if (!moved.has(buffer)) transferBuffer?.(buffer);
  return copy;
}

const MOVED = { __proto__: null };

function checkTransfers(given) {
  if (given === undefined || given === null) return [];
  const transfers = [...given];
  for (let i = 0; i < transfers.length; i++) {
    if (!isBuffer(transfers[i])) {
      throw cloneError(`Value at index ${i} does not have a transferable type`);
    }
    if (transfers[i].detached) {
      throw cloneError('An ArrayBuffer is detached and could not be cloned.');
    }
    if (transfers.indexOf(transfers[i]) !== i) {
      throw cloneError(`ArrayBuffer at index ${i} is a duplicate of an earlier ArrayBuffer.`);
    }
  }
  return transfers;
}

const isBuffer = (value) => slot(ArrayBufferByteLength, value) !== undefined;

function cloneError(message) {
  return new DOMException(message, 'DataCloneError');
}

function refuse(value) {
  let what = '#<Object>';
  if (typeof value === 'symbol') what = value.toString();
  else if (typeof value === 'function') what = Function.prototype.toString.call(value);
  else {
    const { constructor } = value;
    if (typeof constructor === 'function' && constructor.name) what = `#<${constructor.name}>`;
  }
  throw cloneError(`${what} could not be cloned.`);
}

function clone(value, state) {
  if (typeof value === 'symbol' || typeof value === 'function') refuse(value);
  if (value === null || typeof value !== 'object') return value;
  const earlier = state.seen.get(value);
  if (earlier === MOVED) return move(value, state);
  if (earlier !== undefined) return earlier;
  // Most objects by far, without the questions that the others are asked.
  const isPlain = ObjectGetPrototypeOf(value) === ObjectPrototype || ArrayIsArray(value);
  if (isPlain) return propertiesOf(value, state);
  const copy = whole(value, state);
  if (copy === undefined) return container(value, state);
  state.seen.set(value, copy);
  return copy;
}

function move(buffer, { seen, moved }) {
  const copy = transferBuffer(buffer);
  moved.add(buffer);
  seen.set(buffer, copy);
  return copy;
}

/** A copy of what holds no other values, or whose values are part of making it. */
function whole(value, state) {
  if (ArrayBufferIsView(value)) return view(value, state);
  if (value instanceof Date) {
    const time = slot(dateTime, value);
    if (time !== undefined) return new Date(time);
  }
  if (value instanceof ArrayBuffer && isBuffer(value)) return bufferCopy(value);
  const tag = ObjectPrototypeToString(value);
  if (value instanceof RegExp && tag === '[object RegExp]') {
    return new RegExp(regExpSource(value), regExpFlags(value));
  }
  for (let i = 0; i < BOXES.length; i++) {
    if (!(value instanceof BOXES[i][0])) continue;
    const primitive = slot(BOXES[i][1], value);
    if (typeof primitive === 'symbol') refuse(value);
    if (primitive !== undefined) return Object(primitive);
  }
  if (value instanceof Error) {
    const copy = domExceptionCopy(value);
    if (copy !== undefined) return copy;
    if (tag === '[object Error]') return error(value, state);
  }
  return blobCopy(value);
}

function bufferCopy(buffer) {
  if (buffer.detached) throw cloneError('An ArrayBuffer is detached and could not be cloned.');
  return ArrayBufferSlice(buffer, 0);
}

function view(value, state) {
  if (TypedArrayTag(value) === undefined) {
    const offset = DataViewByteOffset(value);
    const length = DataViewByteLength(value);
    return new DataView(clone(DataViewBuffer(value), state), offset, length);
  }
  const offset = TypedArrayByteOffset(value);
  const length = typedLength(value);
  const buffer = clone(TypedArrayBuffer(value), state);
  return new VIEWS[TypedArrayTag(value)](buffer, offset, length);
}

function error(value, state) {
  const Type = ERRORS[`${value.name}`] ?? Error;
  const message = ObjectGetOwnPropertyDescriptor(value, 'message');
  const copy =
    message !== undefined && 'value' in message ? new Type(`${message.value}`) : new Type();
  state.seen.set(value, copy);
  define(copy, 'stack', `${value.stack}`);
  const cause = ObjectGetOwnPropertyDescriptor(value, 'cause');
  if (cause !== undefined && 'value' in cause) define(copy, 'cause', clone(cause.value, state));
  return copy;
}

function define(object, name, value) {
  ObjectDefineProperty(object, name, { configurable: true, value, writable: true });
}

/** A copy of what holds other values, which may lead back to it. */
function container(value, state) {
  if (value instanceof Map && slot(mapSize, value) !== undefined) return mapOf(value, state);
  if (value instanceof Set && slot(setSize, value) !== undefined) return setOf(value, state);
  if (isRefused(value)) refuse(value);
  return propertiesOf(value, state);
}

/** A plain object or an array with a value's own enumerable properties. */
function propertiesOf(value, state) {
  const copy = ArrayIsArray(value) ? new Array(value.length) : {};
  state.seen.set(value, copy);
  const keys = ObjectKeys(value);
  for (let i = 0; i < keys.length; i++) {
    // A getter may have taken a later property away.
    if (!ObjectHasOwn(value, keys[i])) continue;
    ObjectDefineProperty(copy, keys[i], {
      configurable: true,
      enumerable: true,
      value: clone(value[keys[i]], state),
      writable: true,
    });
  }
  return copy;
}

function mapOf(value, state) {
  const copy = new Map();
  state.seen.set(value, copy);
  const entries = [];
  eachOfMap(value, (entry, key) => entries.push(key, entry));
  for (let i = 0; i < entries.length; i += 2) {
    const key = clone(entries[i], state);
    MapPrototypeSet(copy, key, clone(entries[i + 1], state));
  }
  return copy;
}

function setOf(value, state) {
  const copy = new Set();
  state.seen.set(value, copy);
  const entries = [];
  eachOfSet(value, (entry) => entries.push(entry));
  for (let i = 0; i < entries.length; i++) setAdd(copy, clone(entries[i], state));
  return copy;
}

function isRefused(value) {
  for (let i = 0; i < refused.length; i++) if (value instanceof refused[i]) return true;
  for (
    let proto = ObjectGetPrototypeOf(value);
    isObject(proto);
    proto = ObjectGetPrototypeOf(proto)
  ) {
    for (let i = 0; i < iterators.length; i++) if (proto === iterators[i]) return true;
  }
  return false;
}
