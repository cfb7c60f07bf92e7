// `console`: formatted as Node does, one call one entry of the log.

import { formatWithOptions, inspect } from 'node-inspect-extracted';
import {
  ArrayIsArray,
  ArrayPrototypeSlice,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeSet,
  NumberPrototypeToFixed,
  ObjectKeys,
  ReflectApply,
  SafeError,
  SafeMap,
  StringPrototypeIndexOf,
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

let depth = 0;
const counts = new SafeMap();
const timers = new SafeMap();
const noColors = {};

/** The arguments of `console.log` as one text. */
export function format(...args) {
  if (args.length === 1 && typeof args[0] === 'string') return args[0];
  return ReflectApply(formatWithOptions, undefined, [noColors, ...args]);
}

function write(level, text) {
  if (depth > 0) {
    const indent = StringPrototypeRepeat(' ', depth * INDENT);
    text = indent + StringPrototypeReplaceAll(text, '\n', `\n${indent}`);
  }
  native.log(level, text);
}

function elapsed(label) {
  const start = MapPrototypeGet(timers, label);
  if (start === undefined) {
    write(WARN, `No such label '${label}' for console.timeEnd()`);
    return undefined;
  }
  return duration(native.now() - start);
}

function duration(ms) {
  if (ms < 1000) return `${NumberPrototypeToFixed(ms, 3)}ms`;
  return ms < 60000
    ? `${NumberPrototypeToFixed(ms / 1000, 3)}s`
    : `${NumberPrototypeToFixed(ms / 60000, 3)}m`;
}

/** A function that logs its arguments at a level. */
function logger(level) {
  return (...args) => write(level, ReflectApply(format, undefined, args));
}

const log = logger(INFO);

/** The global `console`. */
export const console = {
  log,
  info: log,
  debug: logger(DEBUG),
  warn: logger(WARN),
  error: logger(ERROR),

  trace(...args) {
    const error = new SafeError(ReflectApply(format, undefined, args));
    error.name = 'Trace';
    const stack = `${error.stack}`;
    const end = StringPrototypeIndexOf(stack, '\n');
    const head = error.message === '' ? 'Trace' : `Trace: ${error.message}`;
    write(TRACE, end < 0 ? head : head + StringPrototypeSlice(stack, end));
  },

  assert(condition, ...args) {
    if (condition) return;
    if (typeof args[0] === 'string') args[0] = `Assertion failed: ${args[0]}`;
    else args = ['Assertion failed', ...args];
    write(ERROR, ReflectApply(format, undefined, args));
  },

  dir(value, options) {
    write(INFO, inspect(value, { customInspect: false, ...options }));
  },

  dirxml: log,

  table(data, columns) {
    const isTabular = data !== null && typeof data === 'object' && ObjectKeys(data).length > 0;
    if (!isTabular) return log(data);
    const chosen = ArrayIsArray(columns) ? ArrayPrototypeSlice(columns) : undefined;
    return write(INFO, table(data, chosen));
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
    write(INFO, `${key}: ${count}`);
  },

  countReset(label = 'default') {
    MapPrototypeDelete(counts, `${label}`);
  },

  time(label = 'default') {
    touch('console.time()');
    MapPrototypeSet(timers, `${label}`, native.now());
  },

  timeLog(label = 'default', ...args) {
    const text = elapsed(`${label}`);
    if (text === undefined) return;
    const more = args.length > 0 ? ` ${ReflectApply(format, undefined, args)}` : '';
    write(INFO, `${label}: ${text}${more}`);
  },

  timeEnd(label = 'default') {
    const text = elapsed(`${label}`);
    if (text === undefined) return;
    MapPrototypeDelete(timers, `${label}`);
    write(INFO, `${label}: ${text}`);
  },

  clear() {},
};

console.groupCollapsed = console.group;
