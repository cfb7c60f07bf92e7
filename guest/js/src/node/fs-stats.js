// What `node:fs` tells about files: Stats, Dirent, Dir, StatFs.

import { StringPrototypeLastIndexOf, StringPrototypeSlice } from '../primordials.js';
import { constants } from './fs-constants.js';
import { FOLDER_KIND, absolute, entriesOf, inodeOf } from './fs-core.js';
import { nodeError, validateFunction } from './validate.js';

/** Everyone may read, nobody may write. */
const FILE_MODE = constants.S_IFREG | 0o444;
const FOLDER_MODE = constants.S_IFDIR | 0o555;
const OWNER = 1000;
const BLOCK = 4096;
const SECTOR = 512;

class StatsBase {
  isDirectory() {
    return this.#is(constants.S_IFDIR);
  }

  isFile() {
    return this.#is(constants.S_IFREG);
  }

  isBlockDevice() {
    return this.#is(constants.S_IFBLK);
  }

  isCharacterDevice() {
    return this.#is(constants.S_IFCHR);
  }

  isSymbolicLink() {
    return this.#is(constants.S_IFLNK);
  }

  isFIFO() {
    return this.#is(constants.S_IFIFO);
  }

  isSocket() {
    return this.#is(constants.S_IFSOCK);
  }

  #is(kind) {
    return (Number(this.mode) & constants.S_IFMT) === kind;
  }
}

/** `fs.Stats`. */
export class Stats extends StatsBase {
  constructor(
    dev,
    mode,
    nlink,
    uid,
    gid,
    rdev,
    blksize,
    ino,
    size,
    blocks,
    atimeMs,
    mtimeMs,
    ctimeMs,
    birthtimeMs,
  ) {
    super();
    Object.assign(this, { dev, mode, nlink, uid, gid, rdev, blksize, ino, size, blocks });
    Object.assign(this, { atimeMs, mtimeMs, ctimeMs, birthtimeMs });
    this.atime = new Date(atimeMs);
    this.mtime = new Date(mtimeMs);
    this.ctime = new Date(ctimeMs);
    this.birthtime = new Date(birthtimeMs);
  }
}

class BigIntStats extends StatsBase {
  constructor(plain) {
    super();
    const times = ['atime', 'mtime', 'ctime', 'birthtime'];
    for (const name of Object.keys(plain)) {
      if (!times.includes(name)) this[name] = BigInt(plain[name]);
    }
    for (const name of times) this[`${name}Ns`] = this[`${name}Ms`] * 1000000n;
    for (const name of times) this[name] = plain[name];
  }
}

/** What `native.fsStat` answered, as `fs.stat` tells it. */
export function statsOf(found, path, isBig) {
  const [kind, size, atimeMs, mtimeMs, ctimeMs] = found;
  const mode = kind === FOLDER_KIND ? FOLDER_MODE : FILE_MODE;
  const blocks = Math.ceil(size / SECTOR);
  const ino = inodeOf(absolute(path));
  const device = [1, mode, 1, OWNER, OWNER, 0, BLOCK, ino, size, blocks];
  const stats = new Stats(...device, atimeMs, mtimeMs, ctimeMs, mtimeMs);
  return isBig ? new BigIntStats(stats) : stats;
}

class StatFs {
  constructor(fields) {
    Object.assign(this, fields);
  }
}

/** `fs.statfs`: a full disk, since nothing can be written. */
export function statFs(isBig) {
  const fields = { type: 0, bsize: BLOCK, blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 };
  if (isBig) for (const name of Object.keys(fields)) fields[name] = BigInt(fields[name]);
  return new StatFs(fields);
}

const KIND = Symbol('type');
const DISPOSE = Symbol.asyncDispose;

/** `fs.Dirent`. */
export class Dirent {
  constructor(name, type, path) {
    this.name = name;
    this.parentPath = path;
    this.path = path;
    this[KIND] = type;
  }

  isDirectory() {
    return this[KIND] === constants.UV_DIRENT_DIR;
  }

  isFile() {
    return this[KIND] === constants.UV_DIRENT_FILE;
  }

  isBlockDevice() {
    return this[KIND] === constants.UV_DIRENT_BLOCK;
  }

  isCharacterDevice() {
    return this[KIND] === constants.UV_DIRENT_CHAR;
  }

  isSymbolicLink() {
    return this[KIND] === constants.UV_DIRENT_LINK;
  }

  isFIFO() {
    return this[KIND] === constants.UV_DIRENT_FIFO;
  }

  isSocket() {
    return this[KIND] === constants.UV_DIRENT_SOCKET;
  }
}

/** Folder and name of a relative path, put under another folder. */
function below(path, name) {
  const slash = StringPrototypeLastIndexOf(name, '/');
  if (slash < 0) return [path, name];
  return [
    joined(path, StringPrototypeSlice(name, 0, slash)),
    StringPrototypeSlice(name, slash + 1),
  ];
}

function joined(path, name) {
  return path.endsWith('/') ? `${path}${name}` : `${path}/${name}`;
}

/** Names in a folder, relative to it; with those of the folders in it, one level after another. */
export function listed(path, isRecursive, syscall) {
  const all = [];
  const folders = [''];
  for (let i = 0; i < folders.length; i++) {
    const at = i === 0 ? path : joined(path, folders[i]);
    for (const [name, kind] of entriesOf(at, syscall)) {
      const relative = i === 0 ? name : `${folders[i]}/${name}`;
      all.push([relative, kind]);
      if (isRecursive && kind === FOLDER_KIND) folders.push(relative);
    }
  }
  return all;
}

/** The same as `Dirent`s. */
export function dirents(path, isRecursive, syscall) {
  return listed(path, isRecursive, syscall).map(([relative, kind]) => {
    const [folder, name] = below(path, relative);
    return new Dirent(name, kind, folder);
  });
}

function closedError() {
  return nodeError(Error, 'ERR_DIR_CLOSED', 'Directory handle was closed');
}

/** `fs.Dir`: a folder that is read entry by entry. */
export class Dir {
  #path;
  #entries;
  #next = 0;
  #isClosed = false;

  constructor(path, isRecursive) {
    this.#path = path;
    this.#entries = dirents(path, isRecursive, 'opendir');
  }

  get path() {
    return this.#path;
  }

  readSync() {
    if (this.#isClosed) throw closedError();
    return this.#entries[this.#next++] ?? null;
  }

  read(callback) {
    if (callback === undefined) return promised(() => this.readSync());
    validateFunction(callback, 'callback');
    calledBack(callback, () => this.readSync());
    return undefined;
  }

  closeSync() {
    if (this.#isClosed) throw closedError();
    this.#isClosed = true;
  }

  close(callback) {
    if (callback === undefined) return promised(() => this.closeSync());
    validateFunction(callback, 'callback');
    calledBack(callback, () => this.closeSync());
    return undefined;
  }

  async *entries() {
    try {
      for (let entry = this.readSync(); entry !== null; entry = this.readSync()) yield entry;
    } finally {
      if (!this.#isClosed) this.closeSync();
    }
  }

  [Symbol.asyncIterator]() {
    return this.entries();
  }

  async [DISPOSE]() {
    if (!this.#isClosed) this.closeSync();
  }
}

async function promised(work) {
  return work();
}

function calledBack(callback, work) {
  promised(work).then(
    (value) => callback(null, value),
    (error) => callback(error),
  );
}
