// `process`: what of it makes sense in a sandbox. The environment can be read and not changed.

import EventEmitter from 'events';
import {
  MathFloor,
  ObjectAssign,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectFreeze,
  ObjectSetPrototypeOf,
  PromisePrototypeThen,
  PromiseResolve,
  ReflectApply,
  SafeError,
  SafeProxy,
  SafeString,
  StringPrototypeLastIndexOf,
  StringPrototypeSlice,
  isObject,
} from './primordials.js';
import { viewBytes } from './encoding.js';
import { codedError, typeError } from './errors.js';
import { guarded } from './lifecycle.js';
import { native, touch } from './native.js';

/** The Node.js whose behaviour we follow. */
const VERSION = '20.19.0';
/** The level of the log that warnings have. */
const WARN = 3;

// An ordinary object behind a proxy that says yes to every change and makes none, because a
// refused assignment would throw in strict code.
const variables = {};
const yes = () => true;
const env = new SafeProxy(variables, {
  set: yes,
  deleteProperty: yes,
  defineProperty: yes,
  setPrototypeOf: yes,
});

/** Sets the environment of this deployment, from pairs of name and value. */
export function setEnvironment(pairs) {
  for (let i = 0; i < pairs.length; i++) {
    ObjectDefineProperty(variables, pairs[i][0], {
      configurable: true,
      enumerable: true,
      value: pairs[i][1],
      writable: true,
    });
  }
}

/** The environment as a plain object of its own. */
export function environmentCopy() {
  return { ...variables };
}

function refused(name) {
  return function () {
    throw codedError('EACCES', `${name}: operation not permitted`);
  };
}

/** A stream whose lines are entries of the log. */
class Output extends EventEmitter {
  #level;
  #partial = '';
  #flush = () => {
    if (this.#partial !== '') native.log(this.#level, this.#partial);
    this.#partial = '';
  };

  constructor(level, fd) {
    super();
    this.#level = level;
    this.fd = fd;
    this.isTTY = false;
    this.writable = true;
    this.columns = 80;
  }

  write(chunk, encoding, callback) {
    // What has no end of line yet waits for it, but no longer than the running code.
    const isWaiting = this.#partial !== '';
    const bytes = viewBytes(chunk);
    this.#partial += bytes === undefined ? SafeString(chunk) : native.utf8Decode(bytes, false);
    const end = StringPrototypeLastIndexOf(this.#partial, '\n');
    if (end >= 0) {
      native.log(this.#level, StringPrototypeSlice(this.#partial, 0, end));
      this.#partial = StringPrototypeSlice(this.#partial, end + 1);
    }
    if (this.#partial !== '' && !isWaiting) nextTick(this.#flush);
    const done = typeof encoding === 'function' ? encoding : callback;
    if (typeof done === 'function') nextTick(done);
    return true;
  }

  end(chunk, encoding, callback) {
    const done = [chunk, encoding, callback].find((one) => typeof one === 'function');
    if (chunk !== undefined && chunk !== null && chunk !== done) this.write(chunk);
    if (done !== undefined) nextTick(done);
    return this;
  }

  cork() {}

  uncork() {}

  destroy() {
    return this;
  }

  getColorDepth() {
    return 1;
  }

  hasColors() {
    return false;
  }
}

const SETTLED = PromiseResolve(undefined);

function run(callback, args) {
  ReflectApply(callback, undefined, args);
}

/** Runs a callback when the running code is finished, before any timer. */
export function nextTick(callback, ...args) {
  if (typeof callback !== 'function') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'The "callback" argument must be of type function.');
  }
  PromisePrototypeThen(SETTLED, () => guarded(run, callback, args));
}

function hrtime(earlier) {
  touch('process.hrtime()');
  const now = native.now();
  let seconds = MathFloor(now / 1000);
  let nanos = MathFloor((now - seconds * 1000) * 1e6);
  if (earlier !== undefined) {
    seconds -= earlier[0];
    nanos -= earlier[1];
    if (nanos < 0) {
      seconds--;
      nanos += 1e9;
    }
  }
  return [seconds, nanos];
}

hrtime.bigint = function bigint() {
  touch('process.hrtime.bigint()');
  return BigInt(MathFloor(native.now() * 1e6));
};

const noUsage = () => ({ rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 });

const USAGE = [
  'userCPUTime',
  'systemCPUTime',
  'maxRSS',
  'sharedMemorySize',
  'unsharedDataSize',
  'unsharedStackSize',
  'minorPageFault',
  'majorPageFault',
  'swappedOut',
  'fsRead',
  'fsWrite',
  'ipcSent',
  'ipcReceived',
  'signalsCount',
  'voluntaryContextSwitches',
  'involuntaryContextSwitches',
];

function resourceUsage() {
  const usage = {};
  for (const name of USAGE) usage[name] = 0;
  return usage;
}

/** The warning as an `Error`, named and coded as it was asked for. */
function toWarning(warning, type, code) {
  let detail;
  if (isObject(type) && typeof type !== 'function') ({ type, code, detail } = type);
  if (typeof warning !== 'string' && !(warning instanceof SafeError)) {
    throw typeError(
      'ERR_INVALID_ARG_TYPE',
      'The "warning" argument must be of type string or an instance of Error.',
    );
  }
  if (warning instanceof SafeError) return warning;
  const made = new SafeError(warning);
  made.name = typeof type === 'string' ? type : 'Warning';
  if (typeof code === 'string') made.code = code;
  if (typeof detail === 'string') made.detail = detail;
  return made;
}

/** Logs a warning, and tells who listens for `'warning'`. */
function emitWarning(warning, type, code) {
  const made = toWarning(warning, type, code);
  if (made.name === 'DeprecationWarning' && process.noDeprecation) return;
  const mark = made.code === undefined ? '' : `[${made.code}] `;
  const detail = made.detail === undefined ? '' : `\n${made.detail}`;
  native.log(WARN, `(node:1) ${mark}${made.name}: ${made.message}${detail}`);
  nextTick(() => process.emit('warning', made));
}

/** `process`. */
export const process = ObjectSetPrototypeOf(
  {
    version: `v${VERSION}`,
    versions: ObjectFreeze({
      node: VERSION,
      ampoule: '0.1.0',
      quickjs: 'ng',
      v8: '0.0.0',
      modules: '115',
    }),
    release: ObjectFreeze({ name: 'node', lts: 'Iron' }),
    platform: 'linux',
    arch: 'wasm32',
    title: 'ampoule',
    pid: 1,
    ppid: 0,
    argv: ['/usr/bin/node', '/app/index.js'],
    argv0: 'node',
    execArgv: [],
    execPath: '/usr/bin/node',
    exitCode: undefined,
    debugPort: 9229,
    features: ObjectFreeze({
      inspector: false,
      debug: false,
      uv: false,
      ipv6: true,
      tls_alpn: true,
      tls_sni: true,
      tls_ocsp: false,
      tls: true,
      cached_builtins: true,
    }),
    config: ObjectFreeze({ target_defaults: ObjectFreeze({}), variables: ObjectFreeze({}) }),
    report: undefined,
    allowedNodeEnvironmentFlags: new Set(),
    stdout: new Output(2, 1),
    stderr: new Output(4, 2),
    cwd: () => '/app',
    umask: (mask) => (mask === undefined ? 0o22 : refused('umask')()),
    getuid: () => 1000,
    geteuid: () => 1000,
    getgid: () => 1000,
    getegid: () => 1000,
    getgroups: () => [1000],
    uptime() {
      touch('process.uptime()');
      return native.now() / 1000;
    },
    hrtime,
    nextTick,
    memoryUsage: ObjectAssign(noUsage, { rss: () => 0 }),
    constrainedMemory: () => 0,
    availableMemory: () => 0,
    cpuUsage: () => ({ user: 0, system: 0 }),
    resourceUsage,
    emitWarning,
    getActiveResourcesInfo: () => [],
    hasUncaughtExceptionCaptureCallback: () => false,
    setUncaughtExceptionCaptureCallback() {},
    setSourceMapsEnabled() {},
  },
  ObjectCreate(EventEmitter.prototype),
);

// `process.env = {…}` has no effect either.
ObjectDefineProperty(process, 'env', {
  configurable: false,
  enumerable: true,
  get: () => env,
  set() {},
});

for (const name of [
  'exit',
  'abort',
  'kill',
  'chdir',
  'setuid',
  'setgid',
  'seteuid',
  'setegid',
  'setgroups',
  'initgroups',
  'dlopen',
  'send',
  'disconnect',
  'reallyExit',
  'binding',
  'loadEnvFile',
]) {
  process[name] = refused(name);
}
ObjectDefineProperty(process, Symbol.toStringTag, { configurable: true, value: 'process' });
