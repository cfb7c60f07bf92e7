// `assert.AssertionError`, and the messages that it makes when it is given none.

import { inspect } from 'node-inspect-extracted';
import { ObjectDefineProperty, ObjectGetPrototypeOf, isObject } from '../primordials.js';
import { invalidArgType } from './validate.js';

/** Values that together are no longer than this are shown beside each other. */
const SHORT = 12;
/** A value no longer than this stands in the line of the message. */
const VERY_SHORT = 5;
/** What a line may have for the place of the difference to be shown below it. */
const LINE = 80;
/** Equal lines around a difference that are shown. */
const CONTEXT = 2;
/** Most lines of each side that are compared line by line. */
const LINES_MAX = 1000;

const HEADS = {
  __proto__: null,
  deepStrictEqual: 'Expected values to be strictly deep-equal:',
  strictEqual: 'Expected values to be strictly equal:',
  sameObject: 'Expected "actual" to be reference-equal to "expected":',
  deepEqual: 'Expected values to be loosely deep-equal:',
  notDeepStrictEqual: 'Expected "actual" not to be strictly deep-equal to:',
  notStrictEqual: 'Expected "actual" to be strictly unequal to:',
  notSameObject: 'Expected "actual" not to be reference-equal to "expected":',
  notDeepEqual: 'Expected "actual" not to be loosely deep-equal to:',
  notIdentical: 'Values have same structure but are not reference-equal:',
  notDeepEqualUnequal: 'Expected values not to be loosely deep-equal:',
};

function shown(value) {
  return inspect(value, {
    breakLength: Infinity,
    compact: false,
    customInspect: false,
    depth: 1000,
    getters: true,
    maxArrayLength: Infinity,
    showHidden: false,
    showProxy: false,
    sorted: true,
  });
}

const withoutComma = (line) => (line.endsWith(',') ? line.slice(0, -1) : line);

/** Steps from one list of lines to another: `[' ' | '+' | '-', line]`. */
function steps(actual, expected) {
  const same = (i, j) => withoutComma(actual[i]) === withoutComma(expected[j]);
  const width = expected.length + 1;
  // How long the longest common rest is, by the place in both.
  const common = new Uint32Array((actual.length + 1) * width);
  for (let i = actual.length - 1; i >= 0; i--) {
    for (let j = expected.length - 1; j >= 0; j--) {
      const skip = Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
      common[i * width + j] = same(i, j) ? common[(i + 1) * width + j + 1] + 1 : skip;
    }
  }
  const all = [];
  let [i, j] = [0, 0];
  while (i < actual.length || j < expected.length) {
    const here = common[i * width + j];
    if (i < actual.length && j < expected.length && same(i, j)) {
      // The line with its comma, if there is one on either side.
      all.push([' ', actual[i].length > expected[j].length ? actual[i] : expected[j]]);
      i++;
      j++;
    } else if (
      i < actual.length &&
      (j === expected.length || common[(i + 1) * width + j] === here)
    ) {
      all.push(['+', actual[i++]]);
    } else {
      all.push(['-', expected[j++]]);
    }
  }
  return all;
}

/** The steps as text; long runs of equal lines are cut. */
function told(all) {
  const lines = [];
  let isCut = false;
  for (let at = 0; at < all.length;) {
    if (all[at][0] !== ' ') {
      lines.push(`${all[at][0]} ${all[at][1]}`);
      at++;
      continue;
    }
    let end = at;
    while (end < all.length && all[end][0] === ' ') end++;
    const run = all.slice(at, end).map(([, line]) => `  ${line}`);
    const isLast = end === all.length;
    if (run.length > (isLast ? 2 * CONTEXT : 2 * CONTEXT + 1)) {
      isCut = true;
      const first = isLast ? CONTEXT - 1 : CONTEXT;
      lines.push(...run.slice(0, first), '...', ...run.slice(first - 2 * CONTEXT));
    } else {
      lines.push(...run);
    }
    at = end;
  }
  return { text: lines.join('\n'), isCut };
}

const isReference = (value) => isObject(value);

function difference(actual, expected, operator, message) {
  const [before, after] = [shown(actual), shown(expected)];
  const areReferences = isReference(actual) && isReference(expected);
  const arePlain = !isReference(actual) && !isReference(expected);
  let head = HEADS[operator];
  if (operator === 'strictEqual' && areReferences) {
    if (before === after) return `${message ?? HEADS.notIdentical}\n\n${before}\n`;
    head = HEADS.sameObject;
  }
  head = message ?? head;
  const [left, right] = [before.split('\n'), after.split('\n')];
  const areLines = left.length === 1 && right.length === 1 && before !== after;
  const isZero = actual === 0 && expected === 0;
  if (areLines && arePlain && !isZero && before.length + after.length <= SHORT) {
    return `${head}\n\n${before} !== ${after}\n`;
  }
  let mark = '';
  if (areLines && before.length + after.length < LINE) {
    let at = 0;
    while (before[at] === after[at]) at++;
    if (at > 2) mark = `\n  ${' '.repeat(at)}^`;
  }
  if (left.length > LINES_MAX || right.length > LINES_MAX) {
    return `${head}\n\n${left.slice(0, 50).join('\n')}\n...`;
  }
  const { text, isCut } = told(steps(left, right));
  return `${head}\n+ actual - expected${isCut ? ' ... Lines skipped' : ''}\n\n${text}${mark}`;
}

function notEqual(actual, expected, operator) {
  if (operator === 'notDeepEqual') {
    const [before, after] = [cut(shown(actual), 512), cut(shown(expected), 512)];
    if (before === after) return `${HEADS.notDeepEqual}\n\n${before}`;
    return `${HEADS.notDeepEqualUnequal}\n\n${before}\n\nshould not loosely deep-equal\n\n${after}`;
  }
  const isSame = operator === 'notStrictEqual' && isReference(actual);
  const head = HEADS[isSame ? 'notSameObject' : operator];
  const text = shown(actual);
  if (text.includes('\n')) return `${head}\n\n${text}\n`;
  return text.length > VERY_SHORT ? `${head}\n\n${text}` : `${head} ${text}`;
}

const cut = (text, max) => (text.length > max ? `${text.slice(0, max)}...` : text);

/** An error without its stack, which would differ where nothing else does. */
function withoutStack(error) {
  const copy = Object.assign(Object.create(ObjectGetPrototypeOf(error)), error);
  ObjectDefineProperty(copy, 'message', { value: error.message });
  if (error.name !== copy.name) copy.name = error.name;
  return ObjectDefineProperty(copy, 'stack', { value: '' });
}

/** The message for a comparison that failed. */
function messageOf(actual, expected, operator) {
  if (actual instanceof Error && expected instanceof Error) {
    [actual, expected] = [withoutStack(actual), withoutStack(expected)];
  }
  if (operator === 'deepStrictEqual' || operator === 'strictEqual') {
    return difference(actual, expected, operator);
  }
  if (operator in HEADS && operator.startsWith('not')) return notEqual(actual, expected, operator);
  const [before, after] = [cut(shown(actual), 512), cut(shown(expected), 512)];
  if (operator === 'deepEqual') {
    return `${HEADS.deepEqual}\n\n${before}\n\nshould loosely deep-equal\n\n${after}`;
  }
  return `${before} ${operator} ${after}`;
}

/** `AssertionError`. */
export class AssertionError extends Error {
  constructor(options) {
    if (!isObject(options) || typeof options === 'function') {
      throw invalidArgType('options', 'Object', options);
    }
    const { message, operator, actual, expected } = options;
    const hasDiff = operator === 'deepStrictEqual' || operator === 'strictEqual';
    if (message === undefined || message === null) super(messageOf(actual, expected, operator));
    else super(hasDiff ? difference(actual, expected, operator, `${message}`) : `${message}`);
    this.generatedMessage = !message;
    ObjectDefineProperty(this, 'name', {
      configurable: true,
      enumerable: false,
      value: 'AssertionError',
      writable: true,
    });
    this.code = 'ERR_ASSERTION';
    this.actual = actual;
    this.expected = expected;
    this.operator = operator;
  }

  toString() {
    return `${this.name} [${this.code}]: ${this.message}`;
  }
}

/** What a class or validation function is called, for messages. */
export function className(value) {
  return isObject(value) ? (ObjectGetPrototypeOf(value)?.constructor?.name ?? 'Object') : '';
}
