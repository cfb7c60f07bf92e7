// `node:fs/promises`.

import { ReflectApply, isObject } from '../primordials.js';
import { Blob } from '../blob.js';
import { Buffer } from '../buffer.js';
import { builtin } from '../builtins.js';
import { codedError } from '../errors.js';
import { constants } from './fs-constants.js';
import { sync } from './fs-sync.js';
import { validateAbortSignal } from './validate.js';

/** Throws if `options.signal` has been aborted. */
export function checkSignal(options) {
  const signal = isObject(options) ? options.signal : undefined;
  validateAbortSignal(signal, 'options.signal');
  if (!signal?.aborted) return;
  const error = codedError('ABORT_ERR', 'The operation was aborted');
  error.name = 'AbortError';
  error.cause = signal.reason;
  throw error;
}

/** The number of an open file, or the path that was given. */
function fileOrPath(file) {
  return file instanceof FileHandle ? file.fd : file;
}

/** What `open` answers. */
export class FileHandle {
  #fd;
  #listeners;

  constructor(fd) {
    this.#fd = fd;
  }

  get fd() {
    return this.#fd;
  }

  getAsyncId() {
    return 0;
  }

  async close() {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    sync.close(fd);
    this.#listeners?.emit('close');
  }

  async read(buffer, offset, length, position) {
    if (!ArrayBuffer.isView(buffer)) {
      const options = buffer ?? {};
      buffer = options.buffer ?? Buffer.alloc(16384);
      ({ offset, length, position } = options);
    } else if (isObject(offset)) {
      ({ offset, length, position } = offset);
    }
    const bytesRead = sync.read(this.#open(), buffer, offset, length, position);
    return { bytesRead, buffer };
  }

  async readv(buffers, position) {
    return { bytesRead: sync.readv(this.#open(), buffers, position), buffers };
  }

  async readFile(options) {
    checkSignal(options);
    return sync.readFile(this.#open(), options);
  }

  readLines(options) {
    const input = this.createReadStream(options);
    return builtin('readline').createInterface({ input, crlfDelay: Infinity });
  }

  readableWebStream() {
    return builtin('stream').Readable.toWeb(this.createReadStream({ autoClose: false }));
  }

  createReadStream(options) {
    return builtin('fs').createReadStream(undefined, { ...options, fd: this });
  }

  createWriteStream(options) {
    return builtin('fs').createWriteStream(undefined, { ...options, fd: this });
  }

  async stat(options) {
    return sync.fstat(this.#open(), options);
  }

  async write(buffer, ...more) {
    return { bytesWritten: sync.write(this.#open(), buffer, ...more), buffer };
  }

  async writev(buffers, position) {
    return { bytesWritten: sync.writev(this.#open(), buffers, position), buffers };
  }

  async writeFile(data, options) {
    return sync.writeFile(this.#open(), data, options);
  }

  async appendFile(data, options) {
    return sync.writeFile(this.#open(), data, options);
  }

  async chmod(mode) {
    return sync.fchmod(this.#open(), mode);
  }

  async chown(uid, gid) {
    return sync.fchown(this.#open(), uid, gid);
  }

  async utimes(accessed, modified) {
    return sync.futimes(this.#open(), accessed, modified);
  }

  async truncate(length) {
    return sync.ftruncate(this.#open(), length);
  }

  async sync() {
    return sync.fsync(this.#open());
  }

  async datasync() {
    return sync.fdatasync(this.#open());
  }

  #open() {
    if (this.#fd < 0) {
      throw Object.assign(codedError('EBADF', 'file closed'), { syscall: 'read' });
    }
    return this.#fd;
  }

  #events() {
    return (this.#listeners ??= new (builtin('events').EventEmitter)());
  }

  on(name, listener) {
    this.#events().on(name, listener);
    return this;
  }

  once(name, listener) {
    this.#events().once(name, listener);
    return this;
  }

  off(name, listener) {
    this.#events().off(name, listener);
    return this;
  }
}
FileHandle.prototype.addListener = FileHandle.prototype.on;
FileHandle.prototype.removeListener = FileHandle.prototype.off;
FileHandle.prototype[Symbol.asyncDispose] = FileHandle.prototype.close;

const promises = {
  async open(path, flags, mode) {
    return new FileHandle(sync.open(path, flags, mode));
  },

  async readFile(path, options) {
    checkSignal(options);
    return sync.readFile(fileOrPath(path), options);
  },

  async writeFile(path, data, options) {
    checkSignal(options);
    const isStream = isObject(data) && !ArrayBuffer.isView(data) && data[Symbol.asyncIterator];
    return sync.writeFile(fileOrPath(path), isStream ? '' : data, options);
  },

  async appendFile(path, data, options) {
    return sync.appendFile(fileOrPath(path), data, options);
  },

  async *watch() {
    throw unwatchable('watch');
  },
};

/** Files never change here, so waiting for it would wait for ever. */
export function unwatchable(name) {
  const text = `fs.${name}() is not available in Ampoule: the files of a deployment never change`;
  return codedError('ENOTSUP', text);
}

for (const name of [
  'access',
  'copyFile',
  'cp',
  'opendir',
  'rename',
  'truncate',
  'rm',
  'rmdir',
  'mkdir',
  'readdir',
  'readlink',
  'symlink',
  'lstat',
  'stat',
  'statfs',
  'link',
  'unlink',
  'chmod',
  'lchmod',
  'lchown',
  'chown',
  'utimes',
  'lutimes',
  'realpath',
  'mkdtemp',
]) {
  const work = sync[name];
  promises[name] = {
    async [name](...args) {
      return ReflectApply(work, undefined, args);
    },
  }[name];
}
promises.constants = constants;

/** `fs.openAsBlob`. */
export async function openAsBlob(path, options) {
  return new Blob([sync.readFile(path)], options);
}

export default promises;
