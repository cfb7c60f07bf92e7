// Errors: making them, describing them, and stack traces that look like Node's.

import { inspect } from 'node-inspect-extracted';
import {
  ArrayPrototypeJoin,
  ObjectDefineProperty,
  ObjectGetPrototypeOf,
  ObjectKeys,
  SafeError,
  SafeRangeError,
  SafeString,
  SafeSyntaxError,
  SafeTypeError,
  StringPrototypeIndexOf,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  append,
  isObject,
  uncurryThis,
} from './primordials.js';

/** The name that this bundle has in stack traces. */
const SELF = 'ampoule:guest';
const FRAME = '    at ';

/** An `Error` with a `code`, as Node's are. */
export function codedError(code, message, Kind = SafeError) {
  const error = new Kind(message);
  error.code = code;
  return error;
}

/** A `TypeError` with a `code`. */
export function typeError(code, message) {
  return codedError(code, message, SafeTypeError);
}

/** A `RangeError` with a `code`. */
export function rangeError(code, message) {
  return codedError(code, message, SafeRangeError);
}

/** What the host rejects with, `{code, message}`, as an `Error`. */
export function nativeError(failure) {
  return codedError(failure.code, failure.message);
}

/**
 * Name, message and stack of what a function threw; never throws itself. What is no error has no
 * name, and is told as `console.log` would.
 */
export function describe(thrown) {
  if (!isObject(thrown) || (property(thrown, 'stack') === '' && !property(thrown, 'name'))) {
    return { name: '', message: inspected(thrown), stack: '' };
  }
  const name = property(thrown, 'name') || 'Error';
  const code = property(thrown, 'code');
  return {
    name: StringPrototypeStartsWith(code, 'E') ? name + ' [' + code + ']' : name,
    message: property(thrown, 'message'),
    stack: frames(property(thrown, 'stack')),
  };
}

function property(object, name) {
  try {
    const value = object[name];
    return value === undefined ? '' : text(value);
  } catch {
    return '';
  }
}

function inspected(value) {
  try {
    return inspect(value);
  } catch {
    return text(value);
  }
}

function text(value) {
  try {
    return SafeString(value);
  } catch {
    return '[unreadable]';
  }
}

/** A stack without its first lines, which repeat name and message. */
function frames(stack) {
  if (StringPrototypeStartsWith(stack, FRAME)) return stack;
  const at = StringPrototypeIndexOf(stack, '\n' + FRAME);
  return at < 0 ? '' : StringPrototypeSlice(stack, at + 1);
}

/** Tells the host where a syntax error is. */
function locate(error, fileName, lineNumber, columnNumber) {
  const place = { fileName, lineNumber, columnNumber };
  const names = ObjectKeys(place);
  for (let i = 0; i < names.length; i++) {
    const value = place[names[i]];
    ObjectDefineProperty(error, names[i], { configurable: true, value, writable: true });
  }
}

// QuickJS leaves name and message out of `error.stack`, and shows the platform's own frames.
// Node's programs print `error.stack` alone and expect to see all three.
function installStackTraces() {
  let CallSite;
  SafeError.prepareStackTrace = (_error, sites) => {
    CallSite = ObjectGetPrototypeOf(sites[0]);
    return '';
  };
  void new SafeError().stack;
  const fileName = uncurryThis(CallSite.getFileName);
  const functionName = uncurryThis(CallSite.getFunctionName);
  const line = uncurryThis(CallSite.getLineNumber);
  const column = uncurryThis(CallSite.getColumnNumber);
  const isNative = uncurryThis(CallSite.isNative);

  const calledFunction = uncurryThis(CallSite.getFunction);
  completeCallSites(CallSite);

  const frame = (site) => {
    const name = functionName(site);
    const place = fileName(site) + ':' + line(site) + ':' + column(site);
    return name && name !== '<anonymous>' ? FRAME + name + ' (' + place + ')' : FRAME + place;
  };

  SafeError.prepareStackTrace = function prepareStackTrace(error, sites) {
    const name = property(error, 'name') || 'Error';
    const message = property(error, 'message');
    // Where the parser stopped comes first, as a site without a function.
    if (sites.length > 0 && calledFunction(sites[0]) === null && error instanceof SafeSyntaxError) {
      locate(error, fileName(sites[0]), line(sites[0]), column(sites[0]));
    }
    const lines = [message === '' ? name : name + ': ' + message];
    for (let i = 0; i < sites.length; i++) {
      if (isNative(sites[i]) || fileName(sites[i]) === SELF) continue;
      append(lines, frame(sites[i]));
    }
    return ArrayPrototypeJoin(lines, '\n');
  };
}

/** Adds what V8's call sites have besides: packages (`depd`, under Express) call it. */
function completeCallSites(CallSite) {
  const answers = {
    getEvalOrigin: undefined,
    getMethodName: null,
    getPromiseIndex: null,
    getThis: undefined,
    getTypeName: null,
    isAsync: false,
    isConstructor: false,
    isEval: false,
    isPromiseAll: false,
    isToplevel: true,
  };
  const names = ObjectKeys(answers);
  for (let i = 0; i < names.length; i++) {
    const value = answers[names[i]];
    if (CallSite[names[i]] !== undefined) continue;
    ObjectDefineProperty(CallSite, names[i], {
      configurable: true,
      value: () => value,
      writable: true,
    });
  }
}

// V8, where the tests run, has its own.
if (!StringPrototypeStartsWith(new SafeError('x').stack ?? '', 'Error')) installStackTraces();
