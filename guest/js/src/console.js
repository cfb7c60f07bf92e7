// `console`: formatted as Node does, one call one entry of the log.

import { formatWithOptions, inspect } from 'node-inspect-extracted';
import {
  ArrayIsArray,
  ArrayPrototypeSlice,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeHas,
  MapPrototypeSet,
  MathFloor,
  NumberPrototypeToFixed,
  ReflectApply,
  SafeError,
  SafeMap,
  SafeString,
  StringPrototypeIndexOf,
  StringPrototypePadStart,
  StringPrototypeRepeat,
  StringPrototypeReplaceAll,
  StringPrototypeSlice,
} from './primordials.js';
import { native, touch } from './native.js';
import { table } from './table.js';

const TRACE = 0;
const DEBUG = 1;
const INFO = 2;
const WARN = 3;
const ERROR = 4;
/** Spaces a group indents by. */
const INDENT = 2;

const noColors = {};

const { inspectPlain } = native;

/** The arguments of `console.log` as one text. */
export function format(...args) {
  return plainText(args) ?? ReflectApply(formatWithOptions, undefined, [noColors, ...args]);
}

/**
 * As `formatWithOptions`, if there is nothing to fill in and nothing but plain values, which is what
 * most lines are made of; else undefined.
 */
function plainText(args) {
  const { length } = args;
  if (length === 0) return '';
  const first = args[0];
  if (length > 1 && typeof first === 'string' && StringPrototypeIndexOf(first, '%') >= 0) {
    return undefined;
  }
  let text = plainValue(first);
  for (let i = 1; i < length && text !== undefined; i++) {
    const more = plainValue(args[i]);
    text = more === undefined ? undefined : text + ' ' + more;
  }
  return text;
}

function plainValue(value) {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
      return value === 0 && 1 / value < 0 ? '-0' : '' + value;
    case 'boolean':
    case 'undefined':
      return '' + value;
    case 'object':
      return value === null ? 'null' : inspectPlain(value);
    default:
      return undefined;
  }
}

const pad = (number, width) => StringPrototypePadStart(SafeString(number), width, '0');

/** A time as Node tells it: `5.25ms`, `1.250s`, `1:05.000 (m:ss.mmm)`. */
export function duration(ms) {
  if (ms < 1000) return `${+NumberPrototypeToFixed(ms, 3)}ms`;
  if (ms < 60000) return `${NumberPrototypeToFixed(ms / 1000, 3)}s`;
  const seconds = pad(NumberPrototypeToFixed((ms % 60000) / 1000, 3), 6);
  const minutes = MathFloor(ms / 60000);
  if (minutes < 60) return `${minutes}:${seconds} (m:ss.mmm)`;
  return `${MathFloor(minutes / 60)}:${pad(minutes % 60, 2)}:${seconds} (h:mm:ss.mmm)`;
}

/**
 * The methods of a console. `write(level, text)` takes what they say; `inspection` is how values
 * are shown.
 */
export function consoleMethods(write, inspection = noColors, indentBy = INDENT) {
  let depth = 0;
  const counts = new SafeMap();
  const timers = new SafeMap();

  const say = (level, text) => {
    if (depth > 0) {
      const indent = StringPrototypeRepeat(' ', depth * indentBy);
      text = indent + StringPrototypeReplaceAll(text, '\n', `\n${indent}`);
    }
    write(level, text);
  };

  const formatted = (args) => {
    // Colours are for values.
    const text = inspection === noColors ? plainText(args) : undefined;
    return text ?? ReflectApply(formatWithOptions, undefined, [inspection, ...args]);
  };

  const elapsed = (label, method) => {
    const start = MapPrototypeGet(timers, label);
    if (start !== undefined) return duration(native.now() - start);
    say(WARN, `No such label '${label}' for console.${method}()`);
    return undefined;
  };

  /** A method that says its arguments at a level. */
  const logger =
    (level) =>
    (...args) =>
      say(level, formatted(args));
  const log = logger(INFO);

  const console = {
    log,
    info: log,
    debug: logger(DEBUG),
    warn: logger(WARN),
    error: logger(ERROR),

    trace(...args) {
      const error = new SafeError(formatted(args));
      error.name = 'Trace';
      const stack = `${error.stack}`;
      const end = StringPrototypeIndexOf(stack, '\n');
      const head = error.message === '' ? 'Trace' : `Trace: ${error.message}`;
      say(TRACE, end < 0 ? head : head + StringPrototypeSlice(stack, end));
    },

    assert(condition, ...args) {
      if (condition) return;
      args[0] = `Assertion failed${args.length === 0 ? '' : `: ${args[0]}`}`;
      say(ERROR, formatted(args));
    },

    dir(value, options) {
      say(INFO, inspect(value, { customInspect: false, ...inspection, ...options }));
    },

    dirxml: log,

    table(data, columns) {
      if (data === null || typeof data !== 'object') return log(data);
      const chosen = ArrayIsArray(columns) ? ArrayPrototypeSlice(columns) : undefined;
      return say(INFO, table(data, chosen));
    },

    group(...args) {
      if (args.length > 0) ReflectApply(log, undefined, args);
      depth++;
    },

    groupEnd() {
      if (depth > 0) depth--;
    },

    count(label = 'default') {
      const key = `${label}`;
      const count = (MapPrototypeGet(counts, key) ?? 0) + 1;
      MapPrototypeSet(counts, key, count);
      say(INFO, `${key}: ${count}`);
    },

    countReset(label = 'default') {
      if (MapPrototypeDelete(counts, `${label}`)) return;
      say(WARN, `Count for '${label}' does not exist`);
    },

    time(label = 'default') {
      touch('console.time()');
      if (MapPrototypeHas(timers, `${label}`)) {
        say(WARN, `Label '${label}' already exists for console.time()`);
        return;
      }
      MapPrototypeSet(timers, `${label}`, native.now());
    },

    timeLog(label = 'default', ...args) {
      const text = elapsed(`${label}`, 'timeLog');
      if (text === undefined) return;
      say(INFO, `${label}: ${text}${args.length > 0 ? ` ${formatted(args)}` : ''}`);
    },

    timeEnd(label = 'default') {
      const text = elapsed(`${label}`, 'timeEnd');
      if (text === undefined) return;
      MapPrototypeDelete(timers, `${label}`);
      say(INFO, `${label}: ${text}`);
    },

    clear() {},
    profile() {},
    profileEnd() {},
    timeStamp() {},
  };
  console.groupCollapsed = console.group;
  return console;
}

/** The global `console`. */
export const console = consoleMethods((level, text) => native.log(level, text));
