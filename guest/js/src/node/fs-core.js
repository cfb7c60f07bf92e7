// Files as `node:fs` sees them: paths, what is there, open files. Everything here is synchronous
// and throws what Node would throw; `fs.js` and `fs-promises.js` give it its other two forms.
//
// Only `/app` exists, and nothing in it ever changes, so nothing needs to stay open between two
// calls: a file descriptor is a path and a position.

import {
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeSet,
  SafeMap,
  SafeUint8Array,
  StringPrototypeCharCodeAt,
  StringPrototypeEndsWith,
  StringPrototypeIndexOf,
  StringPrototypeStartsWith,
  TypedArraySet,
} from '../primordials.js';
import { Buffer, asBuffer } from '../buffer.js';
import { viewBytes } from '../encoding.js';
import { native } from '../native.js';
import { fileURLToPath } from '../node-url.js';
import { URL } from '../url.js';
import { constants } from './fs-constants.js';
import { systemError } from './system-errors.js';
import {
  invalidArgType,
  invalidArgValue,
  nodeError,
  outOfRange,
  validateInteger,
} from './validate.js';

/** Where relative paths begin. */
const FOLDER = '/app';
/** Most files that may be open at once. */
const OPEN_MAX = 1024;
const FD_MAX = 2147483647;

/** Kinds of what a path leads to, as `UV_DIRENT_*`. */
export const FILE = 1;
export const FOLDER_KIND = 2;

/** A path as it was given, as a string. */
export function toPath(value, name = 'path') {
  let path = value;
  if (value instanceof URL) path = fileURLToPath(value);
  else if (typeof value !== 'string') {
    if (!(value instanceof SafeUint8Array)) {
      throw invalidArgType(name, ['string', 'Buffer', 'URL'], value);
    }
    path = native.utf8Decode(value, false);
  }
  if (StringPrototypeIndexOf(path, '\0') >= 0) {
    throw invalidArgValue(name, value, 'must be a string, Uint8Array, or URL without null bytes');
  }
  return path;
}

/** A path without `.`, `..` and doubled slashes, from the root. */
export function absolute(path) {
  const parts = [];
  const whole = StringPrototypeStartsWith(path, '/') ? path : `${FOLDER}/${path}`;
  for (const part of whole.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** `[kind, size, accessed ms, modified ms, changed ms]`, or the name of an errno. */
function look(path) {
  if (path === '') return 'ENOENT';
  const found = native.fsStat(absolute(path));
  if (typeof found === 'string') return found;
  return found[0] !== FOLDER_KIND && StringPrototypeEndsWith(path, '/') ? 'ENOTDIR' : found;
}

/** What is at a path; throws as a system call of this name would. */
export function lookAt(path, syscall) {
  const found = look(path);
  if (typeof found === 'string') throw systemError(found, syscall, path);
  return found;
}

/** Whether there is anything at a path. */
export function isThere(path) {
  return typeof look(path) !== 'string';
}

/** Whether there is a folder at a path. */
export function isFolder(path) {
  const found = look(path);
  return typeof found !== 'string' && found[0] === FOLDER_KIND;
}

/** Names and kinds in a folder, by name: `[[name, kind], …]`. */
export function entriesOf(path, syscall = 'scandir') {
  if (lookAt(path, syscall)[0] !== FOLDER_KIND) throw systemError('ENOTDIR', syscall, path);
  const flat = native.fsList(absolute(path));
  if (typeof flat === 'string') throw systemError(flat, syscall, path);
  const entries = [];
  for (let i = 0; i < flat.length; i += 2) entries.push([flat[i], flat[i + 1]]);
  return entries.sort((a, b) => (a[0] < b[0] ? -1 : 1));
}

/** At most `length` bytes of a file, as a `Uint8Array`. */
function readBytes(path, offset, length) {
  const bytes = native.fsRead(absolute(path), offset, length);
  if (typeof bytes === 'string') throw systemError(bytes, 'read');
  return bytes;
}

const NAMED_FLAGS = {
  __proto__: null,
  r: constants.O_RDONLY,
  rs: constants.O_RDONLY | constants.O_SYNC,
  'r+': constants.O_RDWR,
  'rs+': constants.O_RDWR | constants.O_SYNC,
};
for (const [name, more] of [
  ['w', constants.O_TRUNC],
  ['wx', constants.O_TRUNC | constants.O_EXCL],
  ['a', constants.O_APPEND],
  ['ax', constants.O_APPEND | constants.O_EXCL],
  ['as', constants.O_APPEND | constants.O_SYNC],
]) {
  NAMED_FLAGS[name] = constants.O_WRONLY | constants.O_CREAT | more;
  NAMED_FLAGS[`${name}+`] = constants.O_RDWR | constants.O_CREAT | more;
}
NAMED_FLAGS.sr = NAMED_FLAGS.rs;
NAMED_FLAGS['sr+'] = NAMED_FLAGS['rs+'];
NAMED_FLAGS.xw = NAMED_FLAGS.wx;
NAMED_FLAGS['xw+'] = NAMED_FLAGS['wx+'];
NAMED_FLAGS.xa = NAMED_FLAGS.ax;
NAMED_FLAGS['xa+'] = NAMED_FLAGS['ax+'];
NAMED_FLAGS.sa = NAMED_FLAGS.as;
NAMED_FLAGS['sa+'] = NAMED_FLAGS['as+'];

/** The flags of `open` as a number. */
export function toFlags(flags = 'r') {
  if (typeof flags === 'number') {
    validateInteger(flags, 'flags', -2147483648, FD_MAX);
    return flags;
  }
  if (flags === null) return constants.O_RDONLY;
  const known = typeof flags === 'string' ? NAMED_FLAGS[flags] : undefined;
  if (known === undefined) throw invalidArgValue('flags', flags);
  return known;
}

const WRITING =
  constants.O_WRONLY |
  constants.O_RDWR |
  constants.O_CREAT |
  constants.O_TRUNC |
  constants.O_APPEND;

const open = new SafeMap();

/** Opens a file or folder for reading: a number. */
export function openFile(path, flags) {
  if ((flags & WRITING) !== 0) {
    if ((flags & constants.O_CREAT) === 0) lookAt(path, 'open');
    throw systemError('EROFS', 'open', path);
  }
  const found = lookAt(path, 'open');
  const isFile = found[0] !== FOLDER_KIND;
  if (isFile && (flags & constants.O_DIRECTORY) !== 0) throw systemError('ENOTDIR', 'open', path);
  if (open.size >= OPEN_MAX) throw systemError('EMFILE', 'open', path);
  let fd = 3;
  while (open.has(fd)) fd++;
  MapPrototypeSet(open, fd, { path: absolute(path), position: 0, size: found[1], isFile });
  return fd;
}

export function checkFd(fd) {
  if (typeof fd !== 'number') throw invalidArgType('fd', 'number', fd);
  validateInteger(fd, 'fd', 0, FD_MAX);
}

/** The open file of a number. */
export function openedAs(fd, syscall) {
  checkFd(fd);
  const file = MapPrototypeGet(open, fd);
  if (file === undefined) throw systemError('EBADF', syscall);
  return file;
}

export function closeFile(fd) {
  openedAs(fd, 'close');
  MapPrototypeDelete(open, fd);
}

/** Reads into a view, from `position` or where the file stands; how many bytes. */
export function readInto(fd, view, position) {
  checkFd(fd);
  // Nothing is ever typed into this process.
  if (fd === 0) return 0;
  const file = openedAs(fd, 'read');
  if (!file.isFile) throw systemError('EISDIR', 'read');
  const isHere = position === null || position === undefined || position < 0;
  const at = isHere ? file.position : Number(position);
  const bytes = at >= file.size ? [] : readBytes(file.path, at, view.length);
  TypedArraySet(view, bytes);
  if (isHere) file.position += bytes.length;
  return bytes.length;
}

/** What is left of an open file. */
export function readRest(fd) {
  checkFd(fd);
  if (fd === 0) return Buffer.alloc(0);
  const file = openedAs(fd, 'read');
  if (!file.isFile) throw systemError('EISDIR', 'read');
  const bytes = readBytes(file.path, file.position, file.size);
  file.position += bytes.length;
  return asBuffer(bytes);
}

/** A whole file. */
export function readWhole(path, flags) {
  if ((flags & WRITING) !== 0) openFile(path, flags);
  const found = lookAt(path, 'open');
  if (found[0] === FOLDER_KIND) throw systemError('EISDIR', 'read');
  return asBuffer(readBytes(path, 0, found[1]));
}

/** The view of `buffer` that `read` fills, after Node's checks. */
export function target(buffer, offset, length) {
  if (!ArrayBuffer.isView(buffer)) {
    throw invalidArgType('buffer', ['Buffer', 'TypedArray', 'DataView'], buffer);
  }
  const bytes = viewBytes(buffer);
  const from = offset ?? 0;
  validateInteger(from, 'offset', 0);
  const count = length ?? bytes.length - from;
  if (count === 0) return bytes.subarray(0, 0);
  if (bytes.length === 0) {
    throw invalidArgValue('buffer', buffer, 'is empty and cannot be written');
  }
  validateInteger(count, 'length');
  if (count > bytes.length - from) throw outOfRange('length', `<= ${bytes.length - from}`, count);
  if (count < 0) throw outOfRange('length', '>= 0', count);
  return bytes.subarray(from, from + count);
}

/** A number made of a path: the same for the same file. */
export function inodeOf(path) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < path.length; i++) {
    hash = Math.imul(hash ^ StringPrototypeCharCodeAt(path, i), 0x01000193);
  }
  return (hash >>> 0) + 2;
}

/** The mode of `access`. */
export function checkMode(mode) {
  if (mode === undefined || mode === null) return constants.F_OK;
  if (typeof mode !== 'number') {
    throw nodeError(TypeError, 'ERR_INVALID_ARG_TYPE', 'mode must be int32 or null/undefined');
  }
  if (!(mode >= 0 && mode <= 7)) {
    throw nodeError(RangeError, 'ERR_OUT_OF_RANGE', 'mode is out of range: >= 0 && <= 7');
  }
  return mode;
}
