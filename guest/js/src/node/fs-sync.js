// The synchronous functions of `node:fs`. Reading works; whatever would change a file fails with
// EROFS, after the checks of arguments that Node makes.

import { ArrayBufferIsView } from '../primordials.js';
import { Buffer } from '../buffer.js';
import { viewBytes } from '../encoding.js';
import { codedError } from '../errors.js';
import { native } from '../native.js';
import { constants } from './fs-constants.js';
import {
  FOLDER_KIND,
  absolute,
  checkFd,
  checkMode,
  closeFile,
  isFolder,
  isThere,
  lookAt,
  openFile,
  openedAs,
  readInto,
  readRest,
  readWhole,
  target,
  toFlags,
  toPath,
} from './fs-core.js';
import { Dir, dirents, listed, statFs, statsOf } from './fs-stats.js';
import { systemError } from './system-errors.js';
import { invalidArgType, invalidArgValue, validateInteger } from './validate.js';

/** Options that may be an encoding alone. */
export function toOptions(given, defaults) {
  if (given === null || given === undefined || typeof given === 'function') return defaults;
  if (typeof given === 'string') given = { encoding: given };
  else if (typeof given !== 'object') throw invalidArgType('options', ['string', 'Object'], given);
  const { encoding } = given;
  if (encoding && encoding !== 'buffer' && !Buffer.isEncoding(encoding)) {
    throw invalidArgValue('encoding', encoding, 'is invalid encoding');
  }
  return { ...defaults, ...given };
}

const encoded = (buffer, encoding) =>
  encoding && encoding !== 'buffer' ? buffer.toString(encoding) : buffer;

/** A name in the encoding that was asked for. */
function named(text, encoding) {
  if (!encoding || encoding === 'utf8' || encoding === 'utf-8') return text;
  const bytes = Buffer.from(text);
  return encoding === 'buffer' ? bytes : bytes.toString(encoding);
}

function readOnly(syscall, path, dest) {
  throw systemError('EROFS', syscall, path, dest);
}

function checkData(data) {
  if (typeof data === 'string' || ArrayBufferIsView(data)) return;
  throw invalidArgType('data', ['string', 'Buffer', 'TypedArray', 'DataView'], data);
}

function toMode(mode, name = 'mode') {
  if (typeof mode === 'string' && /^[0-7]+$/.test(mode)) return;
  if (typeof mode !== 'number') throw invalidArgType(name, 'number', mode);
  validateInteger(mode, name, 0, 4294967295);
}

function checkOwner(uid, gid) {
  validateInteger(uid, 'uid', -1, 4294967295);
  validateInteger(gid, 'gid', -1, 4294967295);
}

function checkTime(time) {
  if (typeof time === 'number' || time instanceof Date || +time === Number(time)) return;
  throw invalidArgType('time', ['Date', 'Time in seconds'], time);
}

/** Text written to the standard streams: a line of the log. */
function writeOut(fd, bytes) {
  const text = native.utf8Decode(bytes, false);
  native.log(fd === 2 ? 4 : 2, text.endsWith('\n') ? text.slice(0, -1) : text);
  return bytes.length;
}

const isFd = (file) => typeof file === 'number';

const reading = {
  access(path, mode) {
    path = toPath(path);
    mode = checkMode(mode);
    const found = lookAt(path, 'access');
    if ((mode & constants.W_OK) !== 0) readOnly('access', path);
    if ((mode & constants.X_OK) !== 0 && found[0] !== FOLDER_KIND) {
      throw systemError('EACCES', 'access', path);
    }
  },

  close(fd) {
    closeFile(fd);
  },

  exists(path) {
    try {
      return isThere(toPath(path));
    } catch {
      return false;
    }
  },

  fstat(fd, options) {
    const { path } = openedAs(fd, 'fstat');
    return statsOf(lookAt(path, 'fstat'), path, options?.bigint);
  },

  lstat(path, options) {
    return statOf(path, options, 'lstat');
  },

  open(path, flags, mode) {
    path = toPath(path);
    const wanted = toFlags(flags);
    if (mode !== undefined && mode !== null) toMode(mode);
    return openFile(path, wanted);
  },

  opendir(path, options) {
    path = toPath(path);
    return new Dir(path, toOptions(options, {}).recursive === true);
  },

  read(fd, buffer, offset, length, position) {
    if (offset !== null && typeof offset === 'object') ({ offset, length, position } = offset);
    checkFd(fd);
    return readInto(fd, target(buffer, offset, length), position);
  },

  readdir(path, options) {
    const { encoding, withFileTypes, recursive } = toOptions(options, {});
    path = toPath(path);
    if (withFileTypes) {
      const all = dirents(path, recursive, 'scandir');
      for (const one of all) one.name = named(one.name, encoding);
      return all;
    }
    return listed(path, recursive, 'scandir').map(([name]) => named(name, encoding));
  },

  readFile(path, options) {
    const { encoding, flag } = toOptions(options, { flag: 'r' });
    if (isFd(path)) return encoded(readRest(path), encoding);
    path = toPath(path);
    return encoded(readWhole(path, toFlags(flag)), encoding);
  },

  readlink(path, options) {
    toOptions(options, {});
    path = toPath(path);
    lookAt(path, 'readlink');
    throw systemError('EINVAL', 'readlink', path);
  },

  readv(fd, buffers, position) {
    checkFd(fd);
    if (!Array.isArray(buffers) || !buffers.every(ArrayBufferIsView)) {
      throw invalidArgType('buffers', 'ArrayBufferView[]', buffers);
    }
    let total = 0;
    for (const buffer of buffers) {
      const view = viewBytes(buffer);
      const at = typeof position === 'number' ? position + total : null;
      const count = readInto(fd, view, at);
      total += count;
      if (count < view.length) break;
    }
    return total;
  },

  realpath(path, options) {
    const { encoding } = toOptions(options, {});
    const whole = absolute(toPath(path));
    // Node looks at one folder after another, and tells the first that is not there.
    const parts = whole.split('/');
    for (let i = 2; i <= parts.length; i++) {
      const folder = parts.slice(0, i).join('/');
      if (i === parts.length || !isFolder(folder)) lookAt(folder, 'lstat');
    }
    return named(whole, encoding);
  },

  stat(path, options) {
    return statOf(path, options, 'stat');
  },

  statfs(path, options) {
    path = toPath(path);
    lookAt(path, 'statfs');
    return statFs(options?.bigint);
  },
};

function statOf(path, options, syscall) {
  path = toPath(path);
  if (options?.throwIfNoEntry === false && !isThere(path)) return undefined;
  return statsOf(lookAt(path, syscall), path, options?.bigint);
}

/** Functions of a path that only fail, and what they check before they do. */
const refused = {
  chmod: ['chmod', toMode],
  lchmod: ['lchmod', toMode],
  chown: ['chown', checkOwner],
  lchown: ['lchown', checkOwner],
  unlink: ['unlink'],
  rmdir: ['rmdir'],
  utimes: ['utime', checkTimes],
  lutimes: ['lutime', checkTimes],
};

function checkTimes(accessed, modified) {
  checkTime(accessed);
  checkTime(modified);
}

const writing = {
  appendFile(path, data) {
    if (!isFd(path)) path = toPath(path);
    checkData(data);
    if (isFd(path)) return void writing.write(path, data);
    return readOnly('open', path);
  },

  copyFile(from, to, mode) {
    from = toPath(from, 'src');
    to = toPath(to, 'dest');
    if (mode !== undefined && mode !== null) validateInteger(mode, 'mode', 0, 7);
    readOnly('copyfile', from, to);
  },

  cp(from, to) {
    from = toPath(from, 'src');
    to = toPath(to, 'dest');
    lookAt(from, 'lstat');
    readOnly(isFolder(from) ? 'mkdir' : 'copyfile', from, to);
  },

  fchmod(fd, mode) {
    openedAs(fd, 'fchmod');
    toMode(mode);
    readOnly('fchmod');
  },

  fchown(fd, uid, gid) {
    openedAs(fd, 'fchown');
    checkOwner(uid, gid);
    readOnly('fchown');
  },

  fdatasync(fd) {
    openedAs(fd, 'fdatasync');
  },

  fsync(fd) {
    openedAs(fd, 'fsync');
  },

  ftruncate(fd) {
    openedAs(fd, 'ftruncate');
    throw systemError('EINVAL', 'ftruncate');
  },

  futimes(fd, accessed, modified) {
    openedAs(fd, 'futime');
    checkTimes(accessed, modified);
    readOnly('futime');
  },

  link(from, to) {
    from = toPath(from, 'existingPath');
    readOnly('link', from, toPath(to, 'newPath'));
  },

  mkdir(path, options) {
    path = toPath(path);
    const isRecursive = options?.recursive === true;
    if (isThere(path)) {
      if (isRecursive && isFolder(path)) return undefined;
      throw systemError('EEXIST', 'mkdir', path);
    }
    return readOnly('mkdir', path);
  },

  mkdtemp(prefix, options) {
    toOptions(options, {});
    readOnly('mkdtemp', `${toPath(prefix, 'prefix')}XXXXXX`);
  },

  rename(from, to) {
    from = toPath(from, 'oldPath');
    readOnly('rename', from, toPath(to, 'newPath'));
  },

  rm(path, options) {
    path = toPath(path);
    if (options?.force && !isThere(path)) return;
    const [kind] = lookAt(path, 'lstat');
    if (kind === FOLDER_KIND && !options?.recursive) {
      const text = `Path is a directory: rm returned EISDIR (is a directory) ${path}`;
      throw Object.assign(codedError('ERR_FS_EISDIR', text), {
        name: 'SystemError',
        errno: 21,
        syscall: 'rm',
        path,
      });
    }
    readOnly(kind === FOLDER_KIND ? 'rmdir' : 'unlink', path);
  },

  symlink(to, path) {
    to = toPath(to, 'target');
    readOnly('symlink', to, toPath(path));
  },

  truncate(path) {
    if (isFd(path)) return writing.ftruncate(path);
    return readOnly('open', toPath(path));
  },

  write(fd, buffer, offset, length) {
    checkFd(fd);
    let bytes;
    if (typeof buffer === 'string') {
      bytes = Buffer.from(buffer, typeof length === 'string' ? length : 'utf8');
    } else {
      if (!ArrayBufferIsView(buffer)) {
        throw invalidArgType('buffer', ['string', 'Buffer', 'TypedArray', 'DataView'], buffer);
      }
      if (offset !== null && typeof offset === 'object') ({ offset, length } = offset);
      bytes = target(buffer, offset, length);
    }
    if (fd === 1 || fd === 2) return writeOut(fd, bytes);
    openedAs(fd, 'write');
    throw systemError('EBADF', 'write');
  },

  writeFile(path, data) {
    if (!isFd(path)) path = toPath(path);
    checkData(data);
    if (isFd(path)) return void writing.write(path, data);
    return readOnly('open', path);
  },

  writev(fd, buffers) {
    let total = 0;
    for (const buffer of buffers) total += writing.write(fd, buffer);
    return total;
  },
};

for (const name of Object.keys(refused)) {
  const [syscall, check] = refused[name];
  writing[name] = (path, ...more) => {
    path = toPath(path);
    check?.(...more);
    readOnly(syscall, path);
  };
}

/** All of them by the name of the callback form: `sync.readFile` is `readFileSync`. */
export const sync = { __proto__: null, ...reading, ...writing };
