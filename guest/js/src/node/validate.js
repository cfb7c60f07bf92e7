// Node's checks of arguments: the same codes, and the same texts.

import { inspect } from 'node-inspect-extracted';
import {
  ArrayIsArray,
  NumberIsFinite,
  NumberIsInteger,
  SafeRangeError,
  SafeTypeError,
  StringPrototypeSlice,
  isObject,
} from '../primordials.js';
import { received } from '../webidl.js';

/** An error whose `code` its stack shows, as Node's own have. */
function nodeError(Kind, code, message) {
  const error = new Kind(message);
  error.code = code;
  return error;
}

const KINDS = ['string', 'function', 'number', 'object', 'boolean', 'bigint', 'symbol'];

function listed(words) {
  if (words.length < 3) return words.join(' or ');
  return `${words.slice(0, -1).join(', ')}, or ${words[words.length - 1]}`;
}

/** `ERR_INVALID_ARG_TYPE`; `expected` names types and classes. */
export function invalidArgType(name, expected, value) {
  const all = ArrayIsArray(expected) ? expected : [expected];
  const types = all.filter((one) => KINDS.includes(one) || one === 'Object' || one === 'Function');
  const classes = all.filter((one) => !types.includes(one) && /^[A-Z]/.test(one));
  const others = all.filter((one) => !types.includes(one) && !classes.includes(one));
  const words = [];
  let lower = types.map((one) => one.toLowerCase());
  // Beside classes, any object at all counts as one of them.
  if (classes.length > 0 && lower.includes('object')) {
    lower = lower.filter((one) => one !== 'object');
    classes.push('Object');
  }
  if (lower.length > 0) {
    words.push(`${lower.length > 1 ? 'one of type' : 'of type'} ${listed(lower)}`);
  }
  if (classes.length > 0) words.push(`an instance of ${listed(classes)}`);
  if (others.length > 0) words.push(others.length > 1 ? `one of ${listed(others)}` : others[0]);
  const kind = name.endsWith(' argument') ? name : argument(name);
  return nodeError(
    SafeTypeError,
    'ERR_INVALID_ARG_TYPE',
    `The ${kind} must be ${words.join(' or ')}.${received(value)}`,
  );
}

const argument = (name) => `"${name}" ${name.includes('.') ? 'property' : 'argument'}`;

/** `ERR_INVALID_ARG_VALUE`. */
export function invalidArgValue(name, value, reason = 'is invalid') {
  let text = inspect(value);
  if (text.length > 128) text = `${StringPrototypeSlice(text, 0, 128)}...`;
  const kind = name.includes('.') ? 'property' : 'argument';
  return nodeError(
    SafeTypeError,
    'ERR_INVALID_ARG_VALUE',
    `The ${kind} '${name}' ${reason}. Received ${text}`,
  );
}

/** `ERR_OUT_OF_RANGE`. */
export function outOfRange(name, range, value) {
  let text;
  if (NumberIsInteger(value) && Math.abs(value) > 2 ** 32) text = grouped(`${value}`);
  else if (typeof value === 'bigint') text = `${grouped(`${value}`)}n`;
  else text = inspect(value);
  return nodeError(
    SafeRangeError,
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be ${range}. Received ${text}`,
  );
}

function grouped(digits) {
  return digits.replace(/\B(?=(\d{3})+$)/g, '_');
}

/** A coded error of another kind. */
export { nodeError };

export function validateFunction(value, name) {
  if (typeof value !== 'function') throw invalidArgType(name, 'function', value);
}

export function validateString(value, name) {
  if (typeof value !== 'string') throw invalidArgType(name, 'string', value);
}

export function validateBoolean(value, name) {
  if (typeof value !== 'boolean') throw invalidArgType(name, 'boolean', value);
}

export function validateNumber(value, name) {
  if (typeof value !== 'number') throw invalidArgType(name, 'number', value);
}

/** A whole number between two bounds. */
export function validateInteger(
  value,
  name,
  min = Number.MIN_SAFE_INTEGER,
  max = Number.MAX_SAFE_INTEGER,
) {
  if (typeof value !== 'number') throw invalidArgType(name, 'number', value);
  if (!NumberIsFinite(value) || !NumberIsInteger(value)) {
    throw outOfRange(name, 'an integer', value);
  }
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value);
}

/** An object that is no list and no function. */
export function validateObject(value, name) {
  if (!isObject(value) || typeof value === 'function' || ArrayIsArray(value)) {
    throw invalidArgType(name, 'Object', value);
  }
}

export function validateOneOf(value, name, allowed) {
  if (allowed.includes(value)) return;
  const names = allowed.map((one) => (typeof one === 'string' ? `'${one}'` : `${one}`));
  throw invalidArgValue(name, value, `must be one of: ${names.join(', ')}`);
}

export function validateAbortSignal(signal, name) {
  if (signal !== undefined && (!isObject(signal) || !('aborted' in signal))) {
    throw invalidArgType(name, 'AbortSignal', signal);
  }
}
