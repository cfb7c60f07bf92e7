// Node's `assert`.

import { inspect } from 'node-inspect-extracted';
import { ObjectAssign, ObjectKeys, ReflectApply, isObject } from './primordials.js';
import { isDeepEqual, isDeepStrictEqual } from './deep-equal.js';
import { AssertionError } from './node/assertion-error.js';
import { unsupported } from './node/unsupported.js';
import { invalidArgType, invalidArgValue, nodeError } from './node/validate.js';
import { received } from './webidl.js';

export { AssertionError };

/** Throws what says that `actual` is not as it should be. */
function failed(actual, expected, message, operator) {
  if (message instanceof Error) throw message;
  throw new AssertionError({ message, actual, expected, operator });
}

/** A comparison of two values. */
function comparison(operator, isMet) {
  return (...args) => {
    if (args.length < 2) {
      const text = 'The "actual" and "expected" arguments must be specified';
      throw nodeError(TypeError, 'ERR_MISSING_ARGS', text);
    }
    const [actual, expected, message] = args;
    if (!isMet(actual, expected)) failed(actual, expected, message, operator);
  };
}

function ok(...args) {
  const [value, message] = args;
  if (value) return;
  if (args.length === 0) {
    throw generated(value, true, '==', 'No value argument passed to `assert.ok()`');
  }
  failed(value, true, message, '==');
}

/** `assert(value)`. */
export function assert(...args) {
  ReflectApply(ok, undefined, args);
}

function regexpText(value, pattern, isWanted) {
  const text = isWanted
    ? 'The input did not match the regular expression'
    : 'The input was expected to not match the regular expression';
  return `${text} ${inspect(pattern)}. Input:\n\n${inspect(value)}\n`;
}

/** An error with a message of our own that counts as generated. */
function generated(actual, expected, operator, text) {
  const error = new AssertionError({ message: text, actual, expected, operator });
  error.generatedMessage = true;
  return error;
}

function matching(operator, isWanted) {
  return (text, pattern, message) => {
    if (!(pattern instanceof RegExp)) throw invalidArgType('regexp', 'RegExp', pattern);
    if (typeof text === 'string' && (pattern.exec(text) !== null) === isWanted) return;
    if (message !== undefined) failed(text, pattern, message, operator);
    const told =
      typeof text === 'string'
        ? regexpText(text, pattern, isWanted)
        : `The "string" argument must be of type string.${received(text)}`;
    throw generated(text, pattern, operator, told);
  };
}

/** What a failed comparison with an object of properties shows: those properties. */
class Comparison {
  constructor(source, keys, actual) {
    for (const key of keys) {
      if (!(key in source)) continue;
      const isMatch =
        actual !== undefined &&
        typeof actual[key] === 'string' &&
        source[key] instanceof RegExp &&
        source[key].exec(actual[key]) !== null;
      this[key] = isMatch ? actual[key] : source[key];
    }
  }
}

function checkProperties(actual, expected, message, operator) {
  if (!isObject(actual)) {
    const error = new AssertionError({ actual, expected, message, operator: 'deepStrictEqual' });
    throw ObjectAssign(error, { operator });
  }
  const keys = ObjectKeys(expected);
  if (expected instanceof Error) keys.push('name', 'message');
  else if (keys.length === 0) {
    throw invalidArgValue('error', expected, 'may not be an empty object');
  }
  for (const key of keys) {
    const wanted = expected[key];
    const isPattern = wanted instanceof RegExp && typeof actual[key] === 'string';
    if (isPattern && wanted.exec(actual[key]) !== null) continue;
    if (key in actual && isDeepStrictEqual(actual[key], wanted)) continue;
    if (message !== undefined) failed(actual, expected, message, operator);
    const error = new AssertionError({
      actual: new Comparison(actual, keys),
      expected: new Comparison(expected, keys, actual),
      operator: 'deepStrictEqual',
    });
    throw ObjectAssign(error, { actual, expected, operator });
  }
}

const isErrorClass = (value) => Object.prototype.isPrototypeOf.call(Error, value);

function checkWithFunction(actual, expected, message, operator) {
  if (expected.prototype !== undefined && actual instanceof expected) return;
  if (isErrorClass(expected)) {
    if (message !== undefined) failed(actual, expected, message, operator);
    let text = `The error is expected to be an instance of "${expected.name}". Received `;
    if (actual instanceof Error) text += `"${actual.name}"\n\nError message:\n\n${actual.message}`;
    else text += `"${inspect(actual, { depth: -1 })}"`;
    throw generated(actual, expected, operator, text);
  }
  const answer = ReflectApply(expected, {}, [actual]);
  if (answer === true) return;
  if (message !== undefined) failed(actual, expected, message, operator);
  const name = expected.name ? `"${expected.name}" ` : '';
  let text = `The ${name}validation function is expected to return "true". Received ${inspect(answer)}`;
  if (actual instanceof Error) text += `\n\nCaught error:\n\n${actual}`;
  throw generated(actual, expected, operator, text);
}

/** Whether what was thrown is what was expected of it; throws if not. */
function checkExpected(actual, expected, message, operator) {
  if (typeof expected === 'function') {
    checkWithFunction(actual, expected, message, operator);
  } else if (expected instanceof RegExp) {
    if (expected.exec(`${actual}`) !== null) return;
    if (message !== undefined) failed(actual, expected, message, operator);
    throw generated(actual, expected, operator, regexpText(`${actual}`, expected, true));
  } else {
    checkProperties(actual, expected, message, operator);
  }
}

function ambiguous(what) {
  const text = `The "error/message" argument is ambiguous. ${what} is identical to the message.`;
  return nodeError(TypeError, 'ERR_AMBIGUOUS_ARGUMENT', text);
}

/** `throws` and `rejects`, once it is known what was thrown, if anything: `{error}`. */
function expectThrown(operator, thrown, expected, message, count) {
  if (typeof expected === 'string') {
    if (count > 2) {
      throw invalidArgType('error', ['Object', 'Error', 'function', 'RegExp'], expected);
    }
    if (thrown !== undefined) {
      const { error } = thrown;
      if (isObject(error) && error.message === expected) {
        throw ambiguous(`The error message "${error.message}"`);
      }
      if (error === expected) throw ambiguous(`The error "${error}"`);
    }
    [message, expected] = [expected, undefined];
  } else if (expected !== undefined && expected !== null && !isObject(expected)) {
    throw invalidArgType('error', ['function', 'Error', 'RegExp', 'Object'], expected);
  }
  if (thrown === undefined) {
    const name = expected?.name ? ` (${expected.name})` : '';
    const what = operator === 'rejects' ? 'rejection' : 'exception';
    const end = message ? `: ${message}` : '.';
    failed(undefined, expected, `Missing expected ${what}${name}${end}`, operator);
  }
  if (expected) checkExpected(thrown.error, expected, message, operator);
}

/** `doesNotThrow` and `doesNotReject`. */
function expectNothing(operator, thrown, expected, message) {
  if (thrown === undefined) return;
  const { error } = thrown;
  if (typeof expected === 'string') [message, expected] = [expected, undefined];
  if (expected && !isExpected(error, expected)) throw error;
  const what = operator === 'doesNotReject' ? 'rejection' : 'exception';
  const end = message ? `: ${message}` : '.';
  const text = `Got unwanted ${what}${end}\nActual message: "${error?.message}"`;
  failed(error, expected, text, operator);
}

function isExpected(error, expected) {
  if (expected instanceof RegExp) return expected.exec(`${error}`) !== null;
  if (typeof expected !== 'function') {
    throw invalidArgType('expected', ['Function', 'RegExp'], expected);
  }
  if (expected.prototype !== undefined && error instanceof expected) return true;
  return !isErrorClass(expected) && ReflectApply(expected, {}, [error]) === true;
}

/** What `work` throws, as `{error}`; undefined if it does not. */
function attempt(work) {
  if (typeof work !== 'function') throw invalidArgType('fn', 'function', work);
  try {
    work();
    return undefined;
  } catch (error) {
    return { error };
  }
}

const isPromise = (value) => isObject(value) && typeof value.then === 'function';

async function attemptPromise(work) {
  let promise = work;
  if (typeof work === 'function') {
    promise = work();
    if (!isPromise(promise)) {
      const given = received(promise).replace(' Received ', '');
      throw nodeError(
        TypeError,
        'ERR_INVALID_RETURN_VALUE',
        `Expected instance of Promise to be returned from the "promiseFn" function but got ${given}.`,
      );
    }
  } else if (!isPromise(work)) {
    throw invalidArgType('promiseFn', ['function', 'Promise'], work);
  }
  try {
    await promise;
    return undefined;
  } catch (error) {
    return { error };
  }
}

function ifError(value) {
  if (value === null || value === undefined) return;
  let text = 'ifError got unwanted exception: ';
  if (isObject(value) && typeof value.message === 'string') {
    text +=
      value.message.length === 0 && value.constructor ? value.constructor.name : value.message;
  } else {
    text += inspect(value);
  }
  const error = new AssertionError({
    actual: value,
    expected: null,
    message: text,
    operator: 'ifError',
  });
  throw ObjectAssign(error, { generatedMessage: false });
}

function fail(message) {
  if (message instanceof Error) throw message;
  const error = new AssertionError({ message: message ?? 'Failed', operator: 'fail' });
  throw ObjectAssign(error, { generatedMessage: message === undefined });
}

const looselyEqual = (a, b) => a == b || (a !== a && b !== b);

ObjectAssign(assert, {
  fail,
  AssertionError,
  ok,
  equal: comparison('==', looselyEqual),
  notEqual: comparison('!=', (a, b) => !looselyEqual(a, b)),
  deepEqual: comparison('deepEqual', isDeepEqual),
  notDeepEqual: comparison('notDeepEqual', (a, b) => !isDeepEqual(a, b)),
  deepStrictEqual: comparison('deepStrictEqual', isDeepStrictEqual),
  notDeepStrictEqual: comparison('notDeepStrictEqual', (a, b) => !isDeepStrictEqual(a, b)),
  strictEqual: comparison('strictEqual', Object.is),
  notStrictEqual: comparison('notStrictEqual', (a, b) => !Object.is(a, b)),
  throws(...args) {
    const [work, expected, message] = args;
    expectThrown('throws', attempt(work), expected, message, args.length);
  },
  async rejects(...args) {
    const [work, expected, message] = args;
    expectThrown('rejects', await attemptPromise(work), expected, message, args.length);
  },
  doesNotThrow(work, expected, message) {
    expectNothing('doesNotThrow', attempt(work), expected, message);
  },
  async doesNotReject(work, expected, message) {
    expectNothing('doesNotReject', await attemptPromise(work), expected, message);
  },
  ifError,
  match: matching('match', true),
  doesNotMatch: matching('doesNotMatch', false),
  CallTracker: unsupported('assert', 'CallTracker', 'it is deprecated in Node'),
});

/** `assert.strict`: the plain names compare strictly. */
export const strict = ObjectAssign((...args) => ReflectApply(ok, undefined, args), assert, {
  equal: assert.strictEqual,
  notEqual: assert.notStrictEqual,
  deepEqual: assert.deepStrictEqual,
  notDeepEqual: assert.notDeepStrictEqual,
});
strict.strict = strict;
assert.strict = strict;
