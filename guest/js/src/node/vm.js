// `node:vm`: code that runs in the one context there is. Other contexts are refused: they would
// look like isolation and be none.

import { allUnsupported } from './unsupported.js';
import { invalidArgType, validateString } from './validate.js';

const evaluate = globalThis.eval;
const WHY = 'there is one context only; each invocation is a sandbox already';

/** A script; it is compiled when it runs, so that is when a syntax error shows. */
class Script {
  #code;

  constructor(code, options) {
    this.#code = `${code}`;
    if (options !== undefined && typeof options !== 'string' && typeof options !== 'object') {
      throw invalidArgType('options', 'Object', options);
    }
  }

  runInThisContext() {
    return evaluate(this.#code);
  }

  createCachedData() {
    return new Uint8Array(0);
  }
}
Object.assign(Script.prototype, allUnsupported('vm', ['runInContext', 'runInNewContext'], WHY));

function runInThisContext(code) {
  validateString(code, 'code');
  return evaluate(code);
}

function compileFunction(code, params = []) {
  validateString(code, 'code');
  return new Function(...params, code);
}

export default {
  Script,
  createScript: (code, options) => new Script(code, options),
  runInThisContext,
  compileFunction,
  isContext: () => false,
  constants: { __proto__: null },
  ...allUnsupported(
    'vm',
    ['createContext', 'runInContext', 'runInNewContext', 'measureMemory'],
    WHY,
  ),
};
