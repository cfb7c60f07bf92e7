// What of `process` needs the other modules, which need `process` themselves.

import {
  ObjectDefineProperty,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
} from '../primordials.js';
import { builtin, isBuiltin } from '../builtins.js';
import { native } from '../native.js';
import { process } from '../process.js';
import { validateString } from './validate.js';

process.getBuiltinModule = function getBuiltinModule(id) {
  validateString(id, 'id');
  const name = StringPrototypeStartsWith(id, 'node:') ? StringPrototypeSlice(id, 5) : id;
  return isBuiltin(id) && native.isAllowed(name) ? builtin(name) : undefined;
};

let stdin;

// Nothing is ever typed; made at first use, because it needs all of `node:stream`.
ObjectDefineProperty(process, 'stdin', {
  configurable: true,
  enumerable: true,
  get() {
    if (stdin === undefined) {
      const { Readable } = builtin('stream');
      stdin = Object.assign(Readable.from([]), { fd: 0, isTTY: false });
    }
    return stdin;
  },
});

export default process;
