// `node:console`: the global one, and the class of consoles that write to streams.

import { ObjectDefineProperty, isObject } from '../primordials.js';
import { console, consoleMethods } from '../console.js';
import { process } from '../process.js';
import { nodeError } from './validate.js';

/** From this level on, a console writes to its stream for errors, as in Node. */
const WARN = 3;
const TRACE = 0;

function checkStream(stream, name) {
  if (typeof stream?.write === 'function') return;
  const text = `Console expects a writable stream instance for ${name}`;
  throw nodeError(TypeError, 'ERR_CONSOLE_WRITABLE_STREAM', text);
}

/** `console.Console`. */
export function Console(first, second, ignoreErrors = true) {
  const isOptions = isObject(first) && typeof first.write !== 'function';
  const options = isOptions ? first : { stdout: first, stderr: second, ignoreErrors };
  const { stdout, stderr = stdout, inspectOptions = {}, groupIndentation } = options;
  checkStream(stdout, 'stdout');
  checkStream(stderr, 'stderr');
  const colors = options.colorMode === true ? { colors: true } : {};
  const write = (level, text) => {
    const stream = level >= WARN || level === TRACE ? stderr : stdout;
    try {
      stream.write(`${text}\n`);
    } catch (error) {
      if (options.ignoreErrors === false) throw error;
    }
  };
  const methods = consoleMethods(write, { ...inspectOptions, ...colors }, groupIndentation);
  const target = new.target === undefined ? Object.create(Console.prototype) : this;
  for (const name of Object.keys(methods)) {
    // A method of a class that extends this one stays.
    if (target[name] === undefined) target[name] = methods[name];
  }
  target._stdout = stdout;
  target._stderr = stderr;
  return target;
}

// Some packages write past `console`, to what is behind it.
for (const [name, value] of [
  ['_stdout', process.stdout],
  ['_stderr', process.stderr],
]) {
  ObjectDefineProperty(console, name, { configurable: true, value, writable: true });
}
console.Console = Console;

export default console;
