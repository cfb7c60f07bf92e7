// `process`: what of it makes sense in a sandbox. The environment can be read and not changed.

import {
  ArrayPrototypePush,
  MathFloor,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectFreeze,
  PromisePrototypeThen,
  PromiseResolve,
  ReflectApply,
  SafeProxy,
  SafeString,
} from './primordials.js';
import { codedError } from './errors.js';
import { guarded } from './lifecycle.js';
import { native, touch } from './native.js';

/** The Node.js whose behaviour we follow. */
const VERSION = '20.19.0';

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
function output(level) {
  let partial = '';
  const flush = () => {
    if (partial !== '') native.log(level, partial);
    partial = '';
  };
  return {
    isTTY: false,
    fd: level === 4 ? 2 : 1,
    writable: true,
    columns: 80,
    write(chunk, encoding, callback) {
      // What has no end of line yet waits for it, but no longer than the running code.
      const isWaiting = partial !== '';
      partial += SafeString(chunk);
      const end = partial.lastIndexOf('\n');
      if (end >= 0) {
        native.log(level, partial.slice(0, end));
        partial = partial.slice(end + 1);
      }
      if (partial !== '' && !isWaiting) nextTick(flush);
      const done = typeof encoding === 'function' ? encoding : callback;
      if (typeof done === 'function') nextTick(done);
      return true;
    },
    end() {},
    on() {
      return this;
    },
    once() {
      return this;
    },
    emit: () => false,
    removeListener() {
      return this;
    },
  };
}

const SETTLED = PromiseResolve(undefined);

function run(callback, args) {
  ReflectApply(callback, undefined, args);
}

/** Runs a callback when the running code is finished, before any timer. */
export function nextTick(callback, ...args) {
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

function self() {
  return process;
}

/** `process`. */
export const process = {
  env,
  version: `v${VERSION}`,
  versions: ObjectFreeze({ node: VERSION, ampoule: '0.1.0', quickjs: 'ng', v8: '0.0.0' }),
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
  features: ObjectFreeze({ inspector: false, ipv6: true, tls: true, uv: false }),
  config: ObjectFreeze({ target_defaults: {}, variables: {} }),
  stdout: output(2),
  stderr: output(4),
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
  memoryUsage: Object.assign(noUsage, { rss: () => 0 }),
  cpuUsage: () => ({ user: 0, system: 0 }),
  resourceUsage: () => ObjectCreate(null),
  emitWarning(warning) {
    native.log(3, SafeString(warning?.message ?? warning));
  },
  emit: () => false,
  listeners: () => [],
  listenerCount: () => 0,
  eventNames: () => [],
  setMaxListeners: self,
  getMaxListeners: () => 10,
};

const names = ['on', 'once', 'off', 'addListener', 'removeListener', 'removeAllListeners'];
ArrayPrototypePush(names, 'prependListener', 'prependOnceListener');
for (const name of names) process[name] = self;
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
]) {
  process[name] = refused(name);
}
ObjectDefineProperty(process, Symbol.toStringTag, { configurable: true, value: 'process' });
