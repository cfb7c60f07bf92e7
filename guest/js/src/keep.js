// Values as text and back: what the cache of a workspace is between two invocations.
//
// Like a structured clone it keeps cycles, shared objects, maps, sets, dates and bytes. Unlike one
// it loses nothing in silence: what would come back as something else is refused, with the key
// that it is below. The text is a JSON list: what the root is, then every value once, in which
// other values are named by their places. Neither way recurses, so depth costs no stack.

import {
  ArrayBufferByteLength,
  ArrayBufferIsView,
  ArrayIsArray,
  DataViewBuffer,
  DataViewByteLength,
  DataViewByteOffset,
  JSONParse,
  JSONStringify,
  MapPrototypeGet,
  MapPrototypeSet,
  NumberIsNaN,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetPrototypeOf,
  ObjectKeys,
  SafeArrayBuffer,
  SafeMap,
  SafeString,
  SafeUint8Array,
  TypedArrayBuffer,
  TypedArrayByteOffset,
  TypedArraySet,
  TypedArrayTag,
  append,
} from './primordials.js';
import { Buffer } from './buffer.js';
import { typeError } from './errors.js';
import { native } from './native.js';
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

const NativeMap = Map;
const NativeSet = Set;
const NativeDate = Date;
const NativeRegExp = RegExp;
const NativeDataView = DataView;
const ToBigInt = BigInt;

const PLAIN = Object.prototype;
/** Prototypes of what is kept by what it holds; an object with another one is of some class. */
const KNOWN = new SafeMap();
for (const type of [Map, Set, Date, RegExp, ArrayBuffer, DataView]) {
  MapPrototypeSet(KNOWN, type.prototype, type.name);
}
for (const name of ObjectKeys(VIEWS)) MapPrototypeSet(KNOWN, VIEWS[name].prototype, name);
MapPrototypeSet(KNOWN, Buffer.prototype, 'Buffer');
for (const name of ObjectKeys(ERRORS)) MapPrototypeSet(KNOWN, ERRORS[name].prototype, 'Error');

// What has no place, because JSON has no word for it.
const UNDEFINED = -1;
const HOLE = -2;
const NAN = -3;
const INFINITY = -4;
const MINUS_INFINITY = -5;
const MINUS_ZERO = -6;

function numberOf(value) {
  if (NumberIsNaN(value)) return NAN;
  if (value === Infinity) return INFINITY;
  if (value === -Infinity) return MINUS_INFINITY;
  return value === 0 && 1 / value < 0 ? MINUS_ZERO : 0;
}

function refused(key, what) {
  const where = key === undefined ? 'cache' : `cache[${JSONStringify(key)}]`;
  const message = `${where} holds ${what}, which cannot be kept between invocations`;
  return typeError('ERR_CACHE_VALUE', message);
}

class Writer {
  constructor(bytesMax) {
    this.nodes = [0];
    this.places = new SafeMap();
    /** Objects that were given a place and are not written yet: object, place, key. */
    this.work = [];
    /** An estimate from below, so that what is far too large ends before it is a text. */
    this.bytesLeft = bytesMax;
    this.bytesMax = bytesMax;
  }

  take(bytes) {
    this.bytesLeft -= bytes;
    if (this.bytesLeft < 0) throw tooLarge(this.bytesMax);
  }

  /** The place of a value, which is written later if it is an object. */
  place(value, key) {
    if (value === undefined) return UNDEFINED;
    if (typeof value === 'number') {
      const special = numberOf(value);
      if (special < 0) return special;
    }
    const earlier = MapPrototypeGet(this.places, value);
    if (earlier !== undefined) return earlier;
    const place = this.nodes.length;
    append(this.nodes, this.primitive(value, key));
    MapPrototypeSet(this.places, value, place);
    if (value !== null && typeof value === 'object') append(this.work, [value, place, key]);
    return place;
  }

  primitive(value, key) {
    switch (typeof value) {
      case 'string':
        this.take(value.length);
        return value;
      case 'number':
      case 'boolean':
        this.take(1);
        return value;
      case 'bigint':
        return ['B', SafeString(value)];
      case 'symbol':
        throw refused(key, 'a symbol');
      case 'function':
        throw refused(key, 'a function');
      default:
        return null;
    }
  }

  write(root) {
    this.nodes[0] = this.place(root, undefined);
    for (let at = 0; at < this.work.length; at++) {
      const next = this.work[at];
      this.work[at] = undefined;
      this.nodes[next[1]] = this.object(next[0], next[2], next[1] === 1);
    }
    return JSONStringify(this.nodes);
  }

  object(value, key, isRoot) {
    this.take(4);
    if (ArrayIsArray(value)) return this.array(value, key);
    const proto = ObjectGetPrototypeOf(value);
    if (proto === PLAIN) return this.properties(['O'], value, key, isRoot);
    if (proto === null) return this.properties(['N'], value, key, isRoot);
    const kind = MapPrototypeGet(KNOWN, proto);
    const written = kind === undefined ? undefined : this.known(kind, value, key);
    if (written === undefined) throw refused(key, whatIs(value));
    return written;
  }

  array(value, key) {
    this.take(2 * value.length);
    const node = ['A'];
    for (let i = 0; i < value.length; i++) {
      const own = ObjectGetOwnPropertyDescriptor(value, i);
      append(node, own === undefined ? HOLE : this.place(value[i], key));
    }
    return node;
  }

  properties(node, value, key, isRoot) {
    const keys = ObjectKeys(value);
    for (let i = 0; i < keys.length; i++) {
      this.take(keys[i].length + 4);
      append(node, keys[i]);
      append(node, this.place(value[keys[i]], isRoot ? keys[i] : key));
    }
    return node;
  }

  /** What an object of a built-in class holds; undefined if it only pretends to be of one. */
  known(kind, value, key) {
    if (kind === 'Map' && slot(mapSize, value) !== undefined) {
      const node = ['M'];
      eachOfMap(value, (entry, name) => {
        append(node, this.place(name, key));
        append(node, this.place(entry, key));
      });
      return node;
    }
    if (kind === 'Set' && slot(setSize, value) !== undefined) {
      const node = ['S'];
      eachOfSet(value, (entry) => append(node, this.place(entry, key)));
      return node;
    }
    if (kind === 'Date') {
      const time = slot(dateTime, value);
      return time === undefined ? undefined : ['D', NumberIsNaN(time) ? null : time];
    }
    if (kind === 'RegExp' && slot(regExpFlags, value) !== undefined) {
      return ['R', regExpSource(value), regExpFlags(value)];
    }
    if (kind === 'Error') return this.error(value, key);
    if (kind === 'ArrayBuffer') return this.buffer(value);
    return ArrayBufferIsView(value) ? this.view(kind, value, key) : undefined;
  }

  buffer(value) {
    const length = slot(ArrayBufferByteLength, value);
    if (length === undefined) return undefined;
    this.take(length);
    return ['X', native.base64Encode(new SafeUint8Array(value))];
  }

  view(kind, value, key) {
    if (TypedArrayTag(value) === undefined) {
      const buffer = this.place(DataViewBuffer(value), key);
      return ['V', 'DataView', buffer, DataViewByteOffset(value), DataViewByteLength(value)];
    }
    const length = typedLength(value);
    if (kind === 'Buffer') {
      // Its memory may be a slice of a pool that it shares with others.
      this.take(length);
      const copy = new SafeUint8Array(length);
      TypedArraySet(copy, value);
      return ['F', native.base64Encode(copy)];
    }
    const buffer = this.place(TypedArrayBuffer(value), key);
    return ['V', kind, buffer, TypedArrayByteOffset(value), length];
  }

  error(value, key) {
    const name = MapPrototypeGet(ERROR_NAMES, ObjectGetPrototypeOf(value));
    const node = ['E', name];
    const told = ['message', 'stack', 'cause'];
    for (let i = 0; i < told.length; i++) {
      const own = ObjectGetOwnPropertyDescriptor(value, told[i]);
      if (own === undefined || !('value' in own)) continue;
      append(node, told[i]);
      append(node, this.place(own.value, key));
    }
    return this.properties(node, value, key, false);
  }
}

const ERROR_NAMES = new SafeMap();
for (const name of ObjectKeys(ERRORS)) {
  MapPrototypeSet(ERROR_NAMES, ERRORS[name].prototype, name);
}

function whatIs(value) {
  const type = slot((object) => object.constructor, value);
  const name = typeof type === 'function' ? slot((object) => object.name, type) : undefined;
  return typeof name === 'string' && name !== '' ? `a ${name}` : 'an object of a class';
}

function tooLarge(bytesMax) {
  return typeError('ERR_CACHE_SIZE', `cache would have more than ${bytesMax} bytes`);
}

/**
 * A value as text.
 *
 * Throws for what cannot be kept, naming the key of the root that it is below, and for more than
 * about `bytesMax` characters.
 */
export function toText(value, bytesMax) {
  const text = new Writer(bytesMax).write(value);
  if (text.length > bytesMax) throw tooLarge(bytesMax);
  return text;
}

/** The value that became `text`. */
export function fromText(text) {
  const nodes = JSONParse(text);
  const made = [undefined];
  for (let i = 1; i < nodes.length; i++) append(made, shell(nodes[i]));
  for (let i = 1; i < nodes.length; i++) {
    const node = nodes[i];
    if (ArrayIsArray(node) && node[0] === 'V') made[i] = viewOf(node, made);
  }
  const value = (place) => (place < 0 ? special(place) : made[place]);
  for (let i = 1; i < nodes.length; i++) {
    if (ArrayIsArray(nodes[i])) fill(made[i], nodes[i], value);
  }
  return value(nodes[0]);
}

function special(place) {
  switch (place) {
    case NAN:
      return NaN;
    case INFINITY:
      return Infinity;
    case MINUS_INFINITY:
      return -Infinity;
    case MINUS_ZERO:
      return -0;
    default:
      return undefined;
  }
}

/** What a value is before the values in it are there. */
function shell(node) {
  if (!ArrayIsArray(node)) return node;
  switch (node[0]) {
    case 'A':
      return [];
    case 'N':
      return ObjectCreate(null);
    case 'M':
      return new NativeMap();
    case 'S':
      return new NativeSet();
    case 'D':
      return new NativeDate(node[1] ?? NaN);
    case 'R':
      return new NativeRegExp(node[1], node[2]);
    case 'B':
      return ToBigInt(node[1]);
    case 'X':
      return bytesOf(node[1]);
    case 'F':
      return Buffer.from(bytesOf(node[1]));
    case 'E':
      return new ERRORS[node[1]]();
    default:
      return {};
  }
}

/** The bytes in a buffer of their own. */
function bytesOf(base64) {
  const bytes = native.base64Decode(base64);
  const buffer = new SafeArrayBuffer(bytes.length);
  TypedArraySet(new SafeUint8Array(buffer), bytes);
  return buffer;
}

function viewOf(node, made) {
  const View = node[1] === 'DataView' ? NativeDataView : VIEWS[node[1]];
  return new View(made[node[2]], node[3], node[4]);
}

function fill(made, node, value) {
  switch (node[0]) {
    case 'A':
      made.length = node.length - 1;
      for (let i = 1; i < node.length; i++) {
        if (node[i] !== HOLE) define(made, i - 1, value(node[i]), true);
      }
      break;
    case 'O':
    case 'N':
      for (let i = 1; i < node.length; i += 2) define(made, node[i], value(node[i + 1]), true);
      break;
    case 'M':
      for (let i = 1; i < node.length; i += 2) {
        MapPrototypeSet(made, value(node[i]), value(node[i + 1]));
      }
      break;
    case 'S':
      for (let i = 1; i < node.length; i++) setAdd(made, value(node[i]));
      break;
    case 'E':
      for (let i = 2; i < node.length; i += 2) {
        const isOwn = node[i] === 'message' || node[i] === 'stack' || node[i] === 'cause';
        define(made, node[i], value(node[i + 1]), !isOwn);
      }
      break;
    default:
  }
}

function define(object, name, value, enumerable) {
  ObjectDefineProperty(object, name, { configurable: true, enumerable, value, writable: true });
}
