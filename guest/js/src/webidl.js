// What Web IDL asks of every interface: enumerable members, a name for `toString`, iterators with a
// prototype of their own, and errors that Node's users know.

import {
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetPrototypeOf,
  ObjectSetPrototypeOf,
  ReflectOwnKeys,
  SafeString,
  SafeTypeError,
  StringPrototypeIsWellFormed,
  StringPrototypeSlice,
  StringPrototypeToWellFormed,
  isObject,
} from './primordials.js';
import { inspect } from 'node-inspect-extracted';
import { typeError } from './errors.js';

const BUILT_IN = { __proto__: null, constructor: true, length: true, name: true, prototype: true };

function enumerate(object) {
  for (const key of ReflectOwnKeys(object)) {
    if (typeof key === 'symbol' || BUILT_IN[key] === true) continue;
    const property = ObjectGetOwnPropertyDescriptor(object, key);
    if (property.configurable) ObjectDefineProperty(object, key, { ...property, enumerable: true });
  }
}

/** Gives a class the shape of an interface. The name is told, because bundlers change that. */
export function asInterface(Class, name) {
  ObjectDefineProperty(Class, 'name', { configurable: true, value: name });
  enumerate(Class.prototype);
  enumerate(Class);
  ObjectDefineProperty(Class.prototype, Symbol.toStringTag, { configurable: true, value: name });
}

/** Defines constants on a class and its prototype. */
export function constants(Class, values) {
  for (const name of ReflectOwnKeys(values)) {
    const property = { enumerable: true, value: values[name] };
    ObjectDefineProperty(Class, name, property);
    ObjectDefineProperty(Class.prototype, name, property);
  }
}

/** The error of a method that was called on something else. */
export function invalidThis(name) {
  return typeError('ERR_INVALID_THIS', 'Value of "this" must be of type ' + name);
}

/** The error of arguments that are not there. */
export function missingArgs(...names) {
  const quoted = names.map((name) => `"${name}"`).join(' and ');
  return typeError(
    'ERR_MISSING_ARGS',
    `The ${quoted} argument${names.length > 1 ? 's' : ''} must be specified`,
  );
}

/** What an argument was, as Node says it at the end of ERR_INVALID_ARG_TYPE. */
export function received(value) {
  if (value === null || value === undefined) return ` Received ${value}`;
  if (typeof value === 'function') return ` Received function ${value.name}`;
  if (typeof value === 'object') {
    const { name } = value.constructor ?? {};
    return name ? ` Received an instance of ${name}` : ` Received ${inspect(value, { depth: -1 })}`;
  }
  let shown = inspect(value);
  if (shown.length > 28) shown = `${StringPrototypeSlice(shown, 0, 25)}...`;
  return ` Received type ${typeof value} (${shown})`;
}

/** Node's ERR_INVALID_ARG_TYPE: `wrongType('size', 'of type number', '1')`, or `'options.size'`. */
export function wrongType(name, expected, value) {
  const kind = name.includes('.') ? 'property' : 'argument';
  return typeError(
    'ERR_INVALID_ARG_TYPE',
    `The "${name}" ${kind} must be ${expected}.${received(value)}`,
  );
}

/** Checks that a method of the Fetch standard was given enough, with the error that Node has. */
export function checkCount(method, given, wanted) {
  if (given >= wanted) return;
  const present = given === 1 ? '1 is' : `${given} are`;
  throw new SafeTypeError(
    `${method}: ${wanted} argument${wanted > 1 ? 's' : ''} required, but only ${present} present.`,
  );
}

/** A value as a string (`DOMString`); unlike for `String`, a symbol is an error. */
export function domText(value) {
  if (typeof value === 'symbol') {
    throw new SafeTypeError('Cannot convert a Symbol value to a string');
  }
  return SafeString(value);
}

/** A string without lone surrogates (`USVString`). */
export function scalarText(value) {
  const text = typeof value === 'string' ? value : domText(value);
  return StringPrototypeIsWellFormed(text) ? text : StringPrototypeToWellFormed(text);
}

const IteratorPrototype = ObjectGetPrototypeOf(ObjectGetPrototypeOf([][Symbol.iterator]()));

/**
 * A maker of iterators over what has pairs: `make(target, kind)`, where kind is `entries`, `keys`
 * or `values`. `pairAt(target, index)` answers a pair, or undefined at the end.
 */
export function pairIterators(name, pairAt) {
  class PairIterator {
    #target;
    #kind;
    #index = 0;

    constructor(target, kind) {
      this.#target = target;
      this.#kind = kind;
    }

    next() {
      if (!isObject(this) || !(#target in this)) throw invalidThis(`${name}Iterator`);
      const pair = pairAt(this.#target, this.#index++);
      if (pair === undefined) return { value: undefined, done: true };
      if (this.#kind === 'entries') return { value: [pair[0], pair[1]], done: false };
      return { value: this.#kind === 'keys' ? pair[0] : pair[1], done: false };
    }
  }
  const proto = PairIterator.prototype;
  delete proto.constructor;
  ObjectSetPrototypeOf(proto, IteratorPrototype);
  asInterface(PairIterator, `${name} Iterator`);
  return (target, kind) => new PairIterator(target, kind);
}
