// What a module has only so that programs load: calling it fails, and says why.

import { ObjectDefineProperty } from '../primordials.js';
import { codedError } from '../errors.js';

/** The error for something that a sandbox does not have. */
export function notSupported(what, why) {
  return codedError('ENOTSUP', `${what} is not available in Ampoule: ${why}`);
}

/** A function, which may also be called with `new` or extended, that throws. */
export function unsupported(module, name, why) {
  function refused() {
    throw notSupported(`${module}.${name}`, why);
  }
  return ObjectDefineProperty(refused, 'name', { configurable: true, value: name });
}

/** An object of such functions. */
export function allUnsupported(module, names, why) {
  const refused = {};
  for (const name of names) refused[name] = unsupported(module, name, why);
  return refused;
}
