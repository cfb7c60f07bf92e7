// `require`: CommonJS and JSON files, each loaded once in an invocation.
//
// The host side resolves (`native.resolve` does what Node does) and reads; ES modules are loaded
// by QuickJS through the host side as well, which asks `requireForImport` for CommonJS files.

import {
  JSONParse,
  JSONStringify,
  ObjectCreate,
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  ReflectApply,
  StringPrototypeCharCodeAt,
  StringPrototypeIndexOf,
  StringPrototypeLastIndexOf,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  StringPrototypeTrim,
  append,
} from './primordials.js';
import { builtin } from './builtins.js';
import { codedError, typeError } from './errors.js';
import { native } from './native.js';

/** Loaded modules by path: what `require.cache` is. */
const cache = ObjectCreate(null);
/** Compiled, not yet run: a function for a CommonJS file, the text of a JSON file. */
const compiled = ObjectCreate(null);
/** Every path whose loading has begun. */
const seen = ObjectCreate(null);
/** What `require` answered for ES modules, by path. */
const namespaces = ObjectCreate(null);
let main;
/** The entry of an event function, which may be one expression; or undefined. */
let expressionEntry;

/** A CommonJS module. */
class Module {
  constructor(path, parent) {
    this.id = parent === undefined ? '.' : path;
    this.path = StringPrototypeSlice(path, 0, StringPrototypeLastIndexOf(path, '/'));
    this.exports = {};
    this.filename = path;
    this.loaded = false;
    this.children = [];
    this.paths = searchPaths(this.path);
    this.parent = parent ?? null;
    if (parent) append(parent.children, this);
  }

  require(specifier) {
    return requireFrom(this, specifier);
  }
}

function searchPaths(folder) {
  const paths = [];
  let at = folder;
  for (;;) {
    if (StringPrototypeSlice(at, -13) !== '/node_modules') append(paths, at + '/node_modules');
    const slash = StringPrototypeLastIndexOf(at, '/');
    if (slash < 0) return paths;
    at = StringPrototypeSlice(at, 0, slash);
  }
}

function checkSpecifier(specifier) {
  if (typeof specifier !== 'string') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'The "id" argument must be of type string.');
  }
  if (specifier === '') {
    throw typeError('ERR_INVALID_ARG_VALUE', "The argument 'id' must be a non-empty string.");
  }
}

function requireFrom(module, specifier) {
  checkSpecifier(specifier);
  const found = native.resolve(specifier, module.filename, 'require');
  return found[1] === 'builtin' ? builtin(found[0]) : load(found[0], found[1], module);
}

function load(path, format, parent) {
  const earlier = cache[path];
  if (earlier !== undefined) return earlier.exports;
  if (format === 'module') return requireEsModule(path);
  if (format === 'addon') throw isAddon(path);
  const module = new Module(path, parent);
  if (parent === undefined) main = module;
  cache[path] = module;
  seen[path] = true;
  let isWhole = false;
  try {
    evaluate(module, path, format);
    isWhole = true;
  } finally {
    if (!isWhole) delete cache[path];
  }
  module.loaded = true;
  return module.exports;
}

/**
 * Loads an ES module for `require`, as Node 20.19 does: its namespace, or what it exports by the
 * name `module.exports`. A namespace with a default says `__esModule`, as compilers expect.
 */
function requireEsModule(path) {
  const earlier = namespaces[path];
  if (earlier !== undefined) return earlier;
  const from = JSONStringify(path);
  let namespace = evaluateNow(`import * as all from ${from}; export { all };`, path).all;
  const own = ObjectGetOwnPropertyDescriptor(namespace, 'module.exports');
  if (own !== undefined) namespace = own.value;
  else if (needsMark(namespace)) {
    const marked = `export * from ${from}; export { default } from ${from}; export const __esModule = true;`;
    namespace = evaluateNow(marked, path);
  }
  namespaces[path] = namespace;
  return namespace;
}

const evaluateNow = (source, path) => native.evaluateModule(source, path + '#require');

function needsMark(namespace) {
  return (
    ObjectGetOwnPropertyDescriptor(namespace, 'default') !== undefined &&
    ObjectGetOwnPropertyDescriptor(namespace, '__esModule') === undefined
  );
}

function isAddon(path) {
  return codedError('ERR_DLOPEN_FAILED', `${path} is a native addon, which cannot run in Ampoule`);
}

function evaluate(module, path, format) {
  const source = compiled[path] ?? compile(path, format);
  if (typeof source === 'string') {
    module.exports = parseJson(source, path);
    return;
  }
  const { exports, path: folder } = module;
  const given = [exports, makeRequire(module), module, path, folder];
  const value = ReflectApply(source, exports, given);
  if (path === expressionEntry && typeof value === 'function') module.exports = value;
}

function compile(path, format) {
  const source = withoutMark(native.readText(path));
  if (format === 'json') return source;
  if (path === expressionEntry) {
    const expression = compileExpression(source, path);
    if (expression !== undefined) return expression;
  }
  return native.compile(withoutShebang(source), path);
}

/** Compiles a source that is one expression, with a semicolon after it or without. */
function compileExpression(source, path) {
  const compiled = native.compileExpression(source, path);
  if (compiled !== undefined) return compiled;
  const end = finalSemicolon(source);
  if (end < 0) return undefined;
  // A blank in its place keeps the columns.
  const bare = StringPrototypeSlice(source, 0, end) + ' ' + StringPrototypeSlice(source, end + 1);
  return native.compileExpression(bare, path);
}

/** Where the semicolon is that only space and comments follow; -1 for none. */
function finalSemicolon(source) {
  let at = source.length;
  // Comments may have semicolons too, but not many.
  for (let tries = 0; tries < 16 && at > 0; tries++) {
    at = StringPrototypeLastIndexOf(source, ';', at - 1);
    if (at < 0) return -1;
    if (isBlank(source, at + 1)) return at;
  }
  return -1;
}

/** Whether there is nothing but space and comments from `from` on. */
function isBlank(source, from) {
  let at = from;
  while (at < source.length) {
    if (StringPrototypeTrim(source[at]) === '') at++;
    else if (StringPrototypeStartsWith(source, '//', at)) at = after(source, '\n', at);
    else if (StringPrototypeStartsWith(source, '/*', at)) at = after(source, '*/', at + 2);
    else return false;
  }
  return true;
}

function after(source, end, from) {
  const at = StringPrototypeIndexOf(source, end, from);
  return at < 0 ? source.length : at + end.length;
}

/** Lets the entry be one expression whose value is a function, instead of a module. */
export function setExpressionEntry(path) {
  expressionEntry = path;
}

function withoutMark(source) {
  const hasMark = source !== '' && StringPrototypeCharCodeAt(source, 0) === 0xfeff;
  return hasMark ? StringPrototypeSlice(source, 1) : source;
}

// A comment of the same line keeps the line numbers.
function withoutShebang(source) {
  return StringPrototypeStartsWith(source, '#!') ? '//' + source : source;
}

function parseJson(source, path) {
  try {
    return JSONParse(source);
  } catch (error) {
    error.message = `${path}: ${error.message}`;
    throw error;
  }
}

function makeRequire(module) {
  function require(specifier) {
    return requireFrom(module, specifier);
  }
  require.resolve = function resolve(specifier) {
    checkSpecifier(specifier);
    return native.resolve(specifier, module.filename, 'require')[0];
  };
  require.resolve.paths = () => module.paths;
  require.main = main;
  require.cache = cache;
  return require;
}

/** Loads the entry file; its exports. */
export function requireMain(path, format) {
  return load(path, format, undefined);
}

/** The exports of a CommonJS or JSON file that an ES module imports. */
export function requireForImport(path) {
  const isJson = StringPrototypeSlice(path, -5) === '.json';
  return load(path, isJson ? 'json' : 'commonjs', null);
}

/** Compiles files for later, without running them. */
export function precompile(paths) {
  for (let i = 0; i < paths.length; i++) {
    const isJson = StringPrototypeSlice(paths[i], -5) === '.json';
    compiled[paths[i]] = compile(paths[i], isJson ? 'json' : 'commonjs');
  }
}

/** The files whose loading has begun, those that threw among them. */
export function loadedFiles() {
  return ObjectKeys(seen);
}

export { Module, cache, makeRequire, requireFrom, searchPaths };
