// A workspace: functions that are written as bodies, call each other by name, and share `cache`.
//
// The entry is a list of them that the server made of what was uploaded, and that says for each
// what stands around its body. Everything is compiled when the workspace is loaded; no line of a
// body runs before an invocation.

import {
  ArrayIsArray,
  ArrayPrototypeJoin,
  FunctionPrototypeToString,
  JSONParse,
  MapPrototypeGet,
  MapPrototypeSet,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetPrototypeOf,
  ObjectKeys,
  PromisePrototypeThen,
  ReflectApply,
  SafeMap,
  SafeSyntaxError,
  SafeTypeError,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  append,
} from './primordials.js';
import { installCache, saveCache } from './cache.js';
import { codedError } from './errors.js';
import { Module, makeRequire } from './modules.js';
import { native } from './native.js';

const PLAIN = Object.prototype;

/** The functions of a workspace as a job (job.js): the target names one of them. */
export function workspaceJob(manifest) {
  if (!ArrayIsArray(manifest?.functions)) {
    throw codedError('HANDLER_MISSING', 'The entry of a workspace is made by the server');
  }
  native.allowBuiltins(manifest.builtins);
  installCache();
  const functions = new SafeMap();
  const { functions: all } = manifest;
  for (let i = 0; i < all.length; i++) {
    MapPrototypeSet(functions, all[i].name, { described: all[i], body: null, call: null });
  }
  for (let i = 0; i < all.length; i++) makeCallable(MapPrototypeGet(functions, all[i].name));
  for (let i = 0; i < all.length; i++) compile(MapPrototypeGet(functions, all[i].name), functions);
  return (target, parameters) => run(functions, StringPrototypeSlice(target, 1), parameters);
}

/** What siblings see: a function of any arguments. */
function makeCallable(one) {
  one.call = (...args) => ReflectApply(one.body, undefined, valuesOf(one.described, args));
  ObjectDefineProperty(one.call, 'name', { configurable: true, value: one.described.name });
}

/** Puts a function around the body, with what it names in scope. */
function compile(one, functions) {
  const { described } = one;
  const path = '/app/' + described.name;
  const { parameters, scope } = described;
  const names = [];
  for (let i = 0; i < parameters.length; i++) append(names, parameters[i].name);
  const source = native.readText('/app/' + described.file);
  // Three lines stand before the source's first one; `compileScript` counts them away.
  const body = `async function (${ArrayPrototypeJoin(names, ', ')}) {\n\n\n${source}\n}`;
  const around = `function (${ArrayPrototypeJoin(scope, ', ')}) {return ${body}}`;
  const given = [];
  for (let i = 0; i < scope.length; i++) {
    const sibling = MapPrototypeGet(functions, scope[i]);
    append(given, sibling === undefined ? requireOf(path) : sibling.call);
  }
  const outer = checked(native.compileScript(`(${around})`, path), around);
  one.body = checked(ReflectApply(outer, undefined, given), body);
  ObjectDefineProperty(one.body, 'name', { configurable: true, value: described.name });
}

/**
 * A function whose source is the whole of what it was made of. The server has seen to that already
 * (src/transform/body.rs), with another parser.
 */
function checked(value, source) {
  if (typeof value !== 'function' || FunctionPrototypeToString(value) !== source) {
    throw new SafeSyntaxError('the source closes the function that it is the body of');
  }
  return value;
}

/** `require` of a function, which says what to do about a package that is not there. */
function requireOf(path) {
  const inner = makeRequire(new Module(path, null));
  const outer = function require(specifier) {
    try {
      return inner(specifier);
    } catch (error) {
      const isMissing = `Cannot find module '${specifier}'\n`;
      if (error?.code === 'MODULE_NOT_FOUND' && StringPrototypeStartsWith(error.message, isMissing)) {
        throw codedError(
          'MODULE_NOT_FOUND',
          `Cannot find module '${specifier}': packages are not installed from a registry; ` +
            'upload node_modules with `ampoule workspaces packages`',
        );
      }
      throw error;
    }
  };
  outer.resolve = inner.resolve;
  outer.cache = inner.cache;
  return outer;
}

/** One plain object whose keys are all declared gives parameters by name; else by order. */
function valuesOf(described, args) {
  if (args.length === 1 && isNamed(args[0], described.parameters)) {
    return byName(described.parameters, args[0]);
  }
  const { parameters } = described;
  const values = [];
  for (let i = 0; i < parameters.length; i++) {
    append(values, args[i] === undefined ? defaultOf(parameters[i]) : args[i]);
  }
  return values;
}

function isNamed(value, parameters) {
  if (value === null || typeof value !== 'object') return false;
  const proto = ObjectGetPrototypeOf(value);
  if (proto !== PLAIN && proto !== null) return false;
  const keys = ObjectKeys(value);
  for (let i = 0; i < keys.length; i++) if (!isDeclared(keys[i], parameters)) return false;
  return keys.length > 0;
}

function isDeclared(name, parameters) {
  for (let i = 0; i < parameters.length; i++) if (parameters[i].name === name) return true;
  return false;
}

function byName(parameters, given) {
  const values = [];
  for (let i = 0; i < parameters.length; i++) {
    const own = ObjectGetOwnPropertyDescriptor(given, parameters[i].name);
    const value = own === undefined ? undefined : given[parameters[i].name];
    append(values, value === undefined ? defaultOf(parameters[i]) : value);
  }
  return values;
}

/** A default is text, so that every call gets a value of its own. */
function defaultOf(parameter) {
  return parameter.default === undefined ? undefined : JSONParse(parameter.default);
}

/** Runs one function; what it left in the cache is kept, whether it returned or threw. */
function run(functions, name, parameters) {
  const one = MapPrototypeGet(functions, name);
  if (one === undefined) throw new SafeTypeError(`The workspace has no function "${name}"`);
  const result = ReflectApply(one.body, undefined, byName(one.described.parameters, parameters));
  return PromisePrototypeThen(
    result,
    (value) => {
      saveCache();
      return value;
    },
    (error) => {
      saveAnyway();
      throw error;
    },
  );
}

/** What the function threw is what counts, also if its cache cannot be kept. */
function saveAnyway() {
  try {
    saveCache();
  } catch {
    // The cache stays as it was.
  }
}
