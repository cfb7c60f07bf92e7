// `node:fs`: the deployment's files, for reading, in Node's three forms.

import { ObjectDefineProperty, ReflectApply } from '../primordials.js';
import { nextTick } from '../process.js';
import { constants } from './fs-constants.js';
import promises, { checkSignal, openAsBlob, unwatchable } from './fs-promises.js';
import { Dir, Dirent, Stats } from './fs-stats.js';
import { streams } from './fs-streams.js';
import { sync } from './fs-sync.js';
import { validateFunction } from './validate.js';

const CUSTOM = Symbol.for('nodejs.util.promisify.custom');

/** What callbacks get besides the error and the result. */
const EXTRA = { __proto__: null, read: 'buffer', readv: 'buffers', write: 'buffer' };
EXTRA.writev = 'buffers';

const fs = {};

/**
 * The form with a callback. The work is done at once; only its outcome waits for the running code
 * to finish. Wrong arguments throw, as in Node, and what went wrong with the file does not.
 */
function withCallback(name) {
  const work = sync[name];
  return function (...args) {
    const callback = args.length > 1 ? args.pop() : undefined;
    validateFunction(callback, 'cb');
    let result;
    try {
      if (name === 'readFile' || name === 'writeFile') checkSignal(args[args.length - 1]);
      result = ReflectApply(work, undefined, args);
    } catch (error) {
      if (error.errno === undefined && error.name !== 'AbortError') throw error;
      nextTick(callback, error);
      return;
    }
    if (EXTRA[name] !== undefined) nextTick(callback, null, result, args[1]);
    else if (result === undefined) nextTick(callback, null);
    else nextTick(callback, null, result);
  };
}

for (const name of Object.keys(sync)) {
  fs[name] = withCallback(name);
  fs[`${name}Sync`] = sync[name];
  for (const form of [name, `${name}Sync`]) {
    ObjectDefineProperty(fs[form], 'name', { configurable: true, value: form });
  }
}

for (const name of Object.keys(EXTRA)) {
  const counted = name.startsWith('read') ? 'bytesRead' : 'bytesWritten';
  ObjectDefineProperty(fs[name], CUSTOM, {
    configurable: true,
    value: async (...args) => ({
      [counted]: ReflectApply(sync[name], undefined, args),
      [EXTRA[name]]: args[1],
    }),
  });
}

fs.exists = function exists(path, callback) {
  validateFunction(callback, 'cb');
  nextTick(callback, sync.exists(path));
};
ObjectDefineProperty(fs.exists, CUSTOM, { value: async (path) => sync.exists(path) });

function nativeForm(form) {
  return function native(...args) {
    return ReflectApply(form, undefined, args);
  };
}
fs.realpath.native = nativeForm(fs.realpath);
fs.realpathSync.native = nativeForm(fs.realpathSync);

Object.assign(fs, {
  createReadStream: (path, options) => new (streams().ReadStream)(path, options),
  createWriteStream: (path, options) => new (streams().WriteStream)(path, options),
  openAsBlob,
  unwatchFile() {},
  watch() {
    throw unwatchable('watch');
  },
  watchFile() {
    throw unwatchable('watchFile');
  },
  _toUnixTimestamp: (time) => (time instanceof Date ? time.getTime() / 1000 : Number(time)),
  Dir,
  Dirent,
  Stats,
  // As on Linux.
  lchmod: undefined,
  lchmodSync: undefined,
  F_OK: constants.F_OK,
  R_OK: constants.R_OK,
  W_OK: constants.W_OK,
  X_OK: constants.X_OK,
  constants,
  promises,
});

/** Classes that need `node:stream` are made when they are asked for, and may be replaced. */
for (const [name, kind] of [
  ['ReadStream', 'ReadStream'],
  ['WriteStream', 'WriteStream'],
  ['FileReadStream', 'ReadStream'],
  ['FileWriteStream', 'WriteStream'],
]) {
  ObjectDefineProperty(fs, name, {
    configurable: true,
    enumerable: true,
    get: () => streams()[kind],
    set(value) {
      ObjectDefineProperty(fs, name, { configurable: true, value, writable: true });
    },
  });
}

export default fs;
