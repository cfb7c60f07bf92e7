// Node's `assert`.

import { inspect } from 'node-inspect-extracted';
import { isDeepEqual, isDeepStrictEqual } from './deep-equal.js';
import { typeError } from './errors.js';

/** `AssertionError`. */
export class AssertionError extends Error {
  constructor({ message, actual, expected, operator }) {
    super(message ?? `${inspect(actual)} ${operator} ${inspect(expected)}`);
    this.name = 'AssertionError';
    this.code = 'ERR_ASSERTION';
    this.generatedMessage = message === undefined;
    this.actual = actual;
    this.expected = expected;
    this.operator = operator;
  }
}

function check(isMet, actual, expected, message, operator) {
  if (isMet) return;
  if (message instanceof Error) throw message;
  throw new AssertionError({ message, actual, expected, operator });
}

/** Whether an error is what was expected of it. */
function matches(error, expected) {
  if (expected instanceof RegExp) return expected.test(`${error}`);
  if (typeof expected === 'object') {
    return Object.keys(expected).every((key) => {
      const wanted = expected[key];
      const isPattern = wanted instanceof RegExp && typeof error?.[key] === 'string';
      return isPattern ? wanted.test(error[key]) : isDeepStrictEqual(error?.[key], wanted);
    });
  }
  const isClass = expected.prototype !== undefined && error instanceof expected;
  if (isClass) return true;
  return isErrorClass(expected) ? false : expected.call({}, error) === true;
}

function isErrorClass(value) {
  return value === Error || value.prototype instanceof Error;
}

function checkThrown(thrown, expected, message) {
  const wanted = typeof expected === 'string' ? undefined : expected;
  const text = typeof expected === 'string' ? expected : message;
  if (thrown === undefined) {
    check(false, undefined, wanted, text ?? 'Missing expected exception.', 'throws');
  }
  if (wanted !== undefined && !matches(thrown.error, wanted)) {
    if (text !== undefined) check(false, thrown.error, wanted, text, 'throws');
    throw thrown.error;
  }
}

function attempt(work) {
  if (typeof work !== 'function') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'The "fn" argument must be of type function.');
  }
  try {
    work();
    return undefined;
  } catch (error) {
    return { error };
  }
}

async function attemptPromise(work) {
  try {
    await (typeof work === 'function' ? work() : work);
    return undefined;
  } catch (error) {
    return { error };
  }
}

/** `assert(value)`. */
export function assert(value, message) {
  check(value, value, true, message, '==');
}

Object.assign(assert, {
  AssertionError,
  ok: (value, message) => check(value, value, true, message, '=='),
  equal: (a, b, message) => check(a == b || (a !== a && b !== b), a, b, message, '=='),
  notEqual: (a, b, message) => check(a != b, a, b, message, '!='),
  strictEqual: (a, b, message) => check(Object.is(a, b), a, b, message, 'strictEqual'),
  notStrictEqual: (a, b, message) => check(!Object.is(a, b), a, b, message, 'notStrictEqual'),
  deepEqual: (a, b, message) => check(isDeepEqual(a, b), a, b, message, 'deepEqual'),
  notDeepEqual: (a, b, message) => check(!isDeepEqual(a, b), a, b, message, 'notDeepEqual'),
  deepStrictEqual: (a, b, message) =>
    check(isDeepStrictEqual(a, b), a, b, message, 'deepStrictEqual'),
  notDeepStrictEqual: (a, b, message) =>
    check(!isDeepStrictEqual(a, b), a, b, message, 'notDeepStrictEqual'),
  match: (text, pattern, message) => check(pattern.test(text), text, pattern, message, 'match'),
  doesNotMatch: (text, pattern, message) =>
    check(!pattern.test(text), text, pattern, message, 'doesNotMatch'),
  fail: (message = 'Failed') => check(false, undefined, undefined, message, 'fail'),
  ifError(value) {
    if (value !== null && value !== undefined) throw value;
  },
  throws: (work, expected, message) => checkThrown(attempt(work), expected, message),
  doesNotThrow(work, message) {
    const thrown = attempt(work);
    if (thrown !== undefined) check(false, thrown.error, undefined, message, 'doesNotThrow');
  },
  rejects: async (work, expected, message) =>
    checkThrown(await attemptPromise(work), expected, message),
  async doesNotReject(work, message) {
    const thrown = await attemptPromise(work);
    if (thrown !== undefined) check(false, thrown.error, undefined, message, 'doesNotReject');
  },
});

/** `assert.strict`: the plain names compare strictly. */
export const strict = Object.assign((value, message) => assert(value, message), assert, {
  equal: assert.strictEqual,
  notEqual: assert.notStrictEqual,
  deepEqual: assert.deepStrictEqual,
  notDeepEqual: assert.notDeepStrictEqual,
});
strict.strict = strict;
assert.strict = strict;
