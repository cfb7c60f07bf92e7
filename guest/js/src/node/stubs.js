// Modules of Node's that have nothing to do in a sandbox. They load, because packages ask for them
// at their top, and what they would do is refused.

import { console } from '../console.js';
import { allUnsupported, unsupported } from './unsupported.js';

/** `node:inspector`. */
export const inspector = {
  open: unsupported('inspector', 'open', 'a function cannot be debugged'),
  close() {},
  url: () => undefined,
  waitForDebugger: unsupported('inspector', 'waitForDebugger', 'a function cannot be debugged'),
  console,
  Session: unsupported('inspector', 'Session', 'a function cannot be debugged'),
  Network: {},
};

/** `node:repl`. */
export const repl = {
  ...allUnsupported('repl', ['start', 'REPLServer', 'Recoverable'], 'a function has no terminal'),
  REPL_MODE_SLOPPY: Symbol('repl-sloppy'),
  REPL_MODE_STRICT: Symbol('repl-strict'),
};

/** `node:wasi`. */
export const wasi = allUnsupported('wasi', ['WASI'], 'there is no WebAssembly in a function');

/** `node:trace_events`. */
export const traceEvents = {
  createTracing: unsupported('trace_events', 'createTracing', 'nothing is traced'),
  getEnabledCategories: () => undefined,
};

/** `node:domain`. */
export const domain = {
  active: null,
  ...allUnsupported('domain', ['create', 'createDomain', 'Domain'], 'use try, catch and await'),
};
