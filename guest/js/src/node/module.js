// `node:module`: how CommonJS files are loaded, as far as programs may look into it.

import { StringPrototypeStartsWith, isObject } from '../primordials.js';
import { builtinNames, isBuiltin } from '../builtins.js';
import { Module, cache, makeRequire, requireFrom, searchPaths } from '../modules.js';
import { native } from '../native.js';
import { fileURLToPath } from '../node-url.js';
import { URL } from '../url.js';
import { unsupported } from './unsupported.js';
import { invalidArgValue } from './validate.js';

/** The path of what `createRequire` was given. */
function toFile(given) {
  const isUrl = given instanceof URL || (typeof given === 'string' && /^file:/.test(given));
  if (isUrl) return fileURLToPath(given);
  if (typeof given === 'string' && StringPrototypeStartsWith(given, '/')) return given;
  const wanted = 'must be a file URL object, file URL string, or absolute path string';
  throw invalidArgValue('filename', given, wanted);
}

function createRequire(file) {
  return makeRequire(new Module(toFile(file), null));
}

const asker = (parent) => (isObject(parent) && parent.filename ? parent : { filename: '/app/_' });

/** `Module._load`: `require` on behalf of another module. */
function load(specifier, parent) {
  return requireFrom(asker(parent), specifier);
}

function resolveFilename(specifier, parent) {
  const [found, kind] = native.resolve(`${specifier}`, asker(parent).filename, 'require');
  return kind === 'builtin' && StringPrototypeStartsWith(specifier, 'node:') ? specifier : found;
}

const WRAPPER = ['(function (exports, require, module, __filename, __dirname) { ', '\n});'];
const WHY = 'modules are loaded in one way only';

/** Makes `Module` what `require('module')` answers. */
export function moduleExports() {
  return Object.assign(Module, {
    Module,
    _cache: cache,
    _extensions: { __proto__: null, '.js': load, '.json': load, '.node': load },
    _load: load,
    _nodeModulePaths: searchPaths,
    _pathCache: { __proto__: null },
    _resolveFilename: resolveFilename,
    builtinModules: builtinNames().sort(),
    createRequire,
    findSourceMap: () => undefined,
    globalPaths: [],
    isBuiltin: (name) => isBuiltin(`${name}`),
    register: unsupported('module', 'register', WHY),
    runMain: unsupported('module', 'runMain', WHY),
    SourceMap: unsupported('module', 'SourceMap', WHY),
    syncBuiltinESMExports() {},
    wrap: (script) => WRAPPER[0] + script + WRAPPER[1],
    wrapper: WRAPPER,
  });
}
