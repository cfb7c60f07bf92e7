// `fs.ReadStream`, and `fs.WriteStream`, which only ever fails. Made at first use, because they
// need the whole of `node:stream`.

import { asBuffer } from '../buffer.js';
import { builtin } from '../builtins.js';
import { closeFile, openFile, readInto, toFlags, toPath } from './fs-core.js';
import { nextTick } from '../process.js';
import { sync, toOptions } from './fs-sync.js';
import { outOfRange, validateInteger } from './validate.js';

const CHUNK = 65536;

/** Everything that may be wrong with the arguments, found before there is a stream. */
function checked(path, given) {
  const options = toOptions(given, {});
  const { fd, start, end } = options;
  if (start !== undefined) validateInteger(start, 'start', 0);
  if (end !== undefined && end !== Infinity) validateInteger(end, 'end', 0);
  if (start !== undefined && end !== undefined && start > end) {
    throw outOfRange('start', `<= "end" (here: ${end})`, start);
  }
  const isOpen = fd !== undefined && fd !== null;
  return {
    ...options,
    fd: isOpen ? (typeof fd === 'object' ? fd.fd : fd) : null,
    path: isOpen && path === undefined ? undefined : toPath(path),
  };
}

function makeReadStream({ Readable }) {
  class ReadStream extends Readable {
    constructor(path, given) {
      const options = checked(path, given);
      super({
        highWaterMark: options.highWaterMark ?? CHUNK,
        encoding: options.encoding,
        autoDestroy: options.autoClose ?? true,
        emitClose: options.emitClose ?? true,
        signal: options.signal,
      });
      this.fd = options.fd;
      this.path = options.path;
      this.flags = options.flags ?? 'r';
      this.mode = options.mode ?? 0o666;
      this.start = options.start;
      this.end = options.end ?? Infinity;
      this.pos = options.start;
      this.bytesRead = 0;
      this.autoClose = options.autoClose ?? true;
    }

    get pending() {
      return this.fd === null;
    }

    _construct(callback) {
      try {
        if (this.fd === null) {
          this.fd = openFile(this.path, toFlags(this.flags));
          this.emit('open', this.fd);
          this.emit('ready');
        }
      } catch (error) {
        callback(error);
        return;
      }
      callback();
    }

    _read(size) {
      // Not at once, so that one chunk is taken before the next is there.
      nextTick(() => this.#readNow(size));
    }

    #readNow(size) {
      if (this.destroyed) return;
      const left = this.pos === undefined ? this.end + 1 - this.bytesRead : this.end + 1 - this.pos;
      const bytes = asBuffer(new Uint8Array(Math.max(0, Math.min(size, left, CHUNK))));
      try {
        const count = bytes.length === 0 ? 0 : readInto(this.fd, bytes, this.pos);
        this.bytesRead += count;
        if (this.pos !== undefined) this.pos += count;
        this.push(count === 0 ? null : bytes.subarray(0, count));
      } catch (error) {
        this.destroy(error);
      }
    }

    _destroy(error, callback) {
      const { fd } = this;
      this.fd = null;
      try {
        if (fd !== null && fd > 2) closeFile(fd);
      } catch (failure) {
        callback(error ?? failure);
        return;
      }
      callback(error);
    }

    close(callback) {
      if (typeof callback === 'function') this.once('close', () => callback());
      this.destroy();
    }
  }
  return ReadStream;
}

function makeWriteStream({ Writable }) {
  class WriteStream extends Writable {
    constructor(path, given) {
      const options = checked(path, given);
      super({ decodeStrings: true, signal: options.signal });
      this.fd = options.fd;
      this.path = options.path;
      this.flags = options.flags ?? 'w';
      this.bytesWritten = 0;
    }

    get pending() {
      return this.fd === null;
    }

    _construct(callback) {
      try {
        if (this.fd === null) this.fd = openFile(this.path, toFlags(this.flags));
        callback();
      } catch (error) {
        callback(error);
      }
    }

    _write(chunk, encoding, callback) {
      try {
        this.bytesWritten += sync.write(this.fd, chunk);
        callback();
      } catch (error) {
        callback(error);
      }
    }

    close(callback) {
      if (typeof callback === 'function') this.once('close', () => callback());
      this.end();
    }
  }
  return WriteStream;
}

let made;

/** `{ ReadStream, WriteStream }`; both may be called without `new`. */
export function streams() {
  if (made !== undefined) return made;
  const stream = builtin('stream');
  made = {
    ReadStream: callable(makeReadStream(stream)),
    WriteStream: callable(makeWriteStream(stream)),
  };
  return made;
}

function callable(Kind) {
  return new Proxy(Kind, { apply: (target, self, args) => new target(...args) });
}
