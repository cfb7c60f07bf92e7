// Node's `zlib`: streams over the natives of compression.rs, and all of a buffer at once.

import {
  ArrayBufferIsView,
  MathMax,
  MathMin,
  ObjectDefineProperty,
  ObjectSetPrototypeOf,
  ReflectApply,
  append,
} from '../primordials.js';
import { Buffer, kMaxLength } from '../buffer.js';
import { codedError } from '../errors.js';
import { native } from '../native.js';
import { nextTick } from '../process.js';
import stream from './stream.js';
import {
  brotliParameters,
  checkDictionary,
  checkFunction,
  checkRange,
  closed,
  codes,
  constants,
  tooLarge,
} from './zlib-options.js';
import { wrongType } from '../webidl.js';

const { Transform, finished } = stream;

const {
  BROTLI_DECODE,
  BROTLI_ENCODE,
  BROTLI_OPERATION_EMIT_METADATA,
  BROTLI_OPERATION_FINISH,
  BROTLI_OPERATION_FLUSH,
  BROTLI_OPERATION_PROCESS,
  DEFLATE,
  DEFLATERAW,
  GUNZIP,
  GZIP,
  INFLATE,
  INFLATERAW,
  UNZIP,
  Z_BLOCK,
  Z_DEFAULT_CHUNK,
  Z_FINISH,
  Z_FULL_FLUSH,
  Z_NO_FLUSH,
  Z_SYNC_FLUSH,
} = constants;

/** Output of the synchronous functions grows by chunks of up to this size. */
const CHUNK_BYTES_MAX = 1 << 20;
const EMPTY = Buffer.alloc(0);
/** On a buffer of no length that asks for a flush: of which kind. */
const FLUSH = Symbol('flush');
const FAILED = Symbol('failed');
/** How far each kind of flush goes, by its number. */
const FLUSHINESS = [0, 2, 3, 4, 5, 1];

/** A stream of the host, opened when it is first used; the shape is that of Node's binding. */
class Handle {
  #open;
  #id = 0;
  #result;
  onerror = () => {};
  ended = false;

  constructor(open, result) {
    this.#open = open;
    this.#result = result;
  }

  #opened() {
    if (this.#id === 0) {
      try {
        this.#id = this.#open();
      } catch (error) {
        throw codedError('ERR_ZLIB_INITIALIZATION_FAILED', error.message);
      }
    }
    return this.#id;
  }

  /** One step; how much is left of input and output is then in the stream's `_writeState`. */
  writeSync(flush, input, from, length, output, at, space) {
    const id = this.#opened();
    const target = space === output.length ? output : output.subarray(at, at + space);
    const answer = native.zlibStep(id, flush, input ?? EMPTY, from, from + length, target);
    this.#result[0] = space - answer[1];
    this.#result[1] = length - answer[0];
    this.ended = answer[2];
    if (answer.length > 3) this.onerror(answer[5], answer[3], answer[4]);
  }

  params(level) {
    if (!native.zlibLevel(this.#opened(), level)) {
      this.onerror('Failed to set parameters', -2, 'Z_STREAM_ERROR');
    }
  }

  reset() {
    if (this.#id !== 0) native.zlibReset(this.#id);
  }

  close() {
    if (this.#id !== 0) native.zlibClose(this.#id);
    this.#id = 0;
    this.#open = () => {
      throw closed();
    };
  }
}

/** What all streams have in common. `defaults`: flush, finishFlush and fullFlush. */
function ZlibBase(options, mode, open, defaults) {
  const given = options ?? {};
  const most = mode >= BROTLI_DECODE ? BROTLI_OPERATION_EMIT_METADATA : Z_BLOCK;
  this._chunkSize = checkRange('options.chunkSize', given.chunkSize, 64, Infinity, Z_DEFAULT_CHUNK);
  this._defaultFlushFlag = checkRange('options.flush', given.flush, 0, most, defaults.flush);
  this._finishFlushFlag = checkRange(
    'options.finishFlush',
    given.finishFlush,
    0,
    most,
    defaults.finishFlush,
  );
  this._maxOutputLength = checkRange(
    'options.maxOutputLength',
    given.maxOutputLength,
    1,
    kMaxLength,
    kMaxLength,
  );
  const ofBytes = { encoding: null, objectMode: false, writableObjectMode: false };
  const isOther = given.encoding || given.objectMode || given.writableObjectMode;
  ReflectApply(Transform, this, [{ autoDestroy: true, ...given, ...(isOther ? ofBytes : {}) }]);
  this[FAILED] = null;
  this.bytesWritten = 0;
  this._writeState = new Uint32Array(2);
  this._handle = new Handle(open, this._writeState);
  this._handle.onerror = (message, errno, code) => {
    const error = codedError(code, message);
    error.errno = errno;
    delete error.code;
    error.code = code;
    this[FAILED] = error;
    this.destroy(error);
  };
  this._outBuffer = null;
  this._outOffset = 0;
  this._defaultFullFlushFlag = defaults.fullFlush;
  this._info = given.info;
}
inherit(ZlibBase, Transform);

function inherit(constructor, parent) {
  ObjectSetPrototypeOf(constructor.prototype, parent.prototype);
  ObjectSetPrototypeOf(constructor, parent);
}

ObjectDefineProperty(ZlibBase.prototype, '_closed', {
  configurable: true,
  enumerable: true,
  get() {
    return !this._handle;
  },
});

ObjectDefineProperty(ZlibBase.prototype, 'bytesRead', {
  configurable: true,
  enumerable: true,
  get() {
    return this.bytesWritten;
  },
  set(value) {
    this.bytesWritten = value;
  },
});

ZlibBase.prototype.reset = function reset() {
  if (!this._handle) throw closed();
  this._handle.reset();
};

ZlibBase.prototype._flush = function _flush(callback) {
  this._transform(EMPTY, '', callback);
};

ZlibBase.prototype.flush = function flush(kind, callback) {
  if (typeof kind === 'function' || (kind === undefined && callback === undefined)) {
    callback = kind;
    kind = this._defaultFullFlushFlag;
  }
  if (this.writableFinished) {
    if (callback) nextTick(callback);
  } else if (this.writableEnded) {
    if (callback) this.once('end', callback);
  } else {
    const mark = Buffer.alloc(0);
    mark[FLUSH] = kind;
    this.write(mark, '', callback);
  }
};

ZlibBase.prototype.close = function close(callback) {
  if (callback) finished(this, callback);
  this.destroy();
};

ZlibBase.prototype._destroy = function _destroy(error, callback) {
  this._handle?.close();
  this._handle = null;
  callback(error);
};

ZlibBase.prototype._transform = function _transform(chunk, _encoding, callback) {
  let flush = this._defaultFlushFlag;
  if (typeof chunk[FLUSH] === 'number') {
    flush = chunk[FLUSH];
  } else if (this.writableEnded && this.writableLength === chunk.byteLength) {
    // The last of all: further than the kind that was asked for, if that is possible.
    const last = this._finishFlushFlag;
    if (FLUSHINESS[last] > FLUSHINESS[flush]) flush = last;
  }
  this._processChunk(chunk, flush, callback);
};

/** With a callback, pushes the output; without, answers it. */
ZlibBase.prototype._processChunk = function _processChunk(chunk, flush, callback) {
  if (typeof callback !== 'function') return processSync(this, chunk, flush);
  if (!this._handle) nextTick(callback);
  else pushOutput(this, chunk, flush, 0, callback);
  return undefined;
};

/** Steps on until the input is used up, or whoever reads has enough for now. */
function pushOutput(self, chunk, flush, start, callback) {
  let from = start;
  for (;;) {
    if (self.destroyed) {
      callback();
      return;
    }
    self._outBuffer ??= Buffer.allocUnsafe(self._chunkSize);
    const at = self._outOffset;
    const space = self._chunkSize - at;
    const length = chunk.byteLength - from;
    self._handle.writeSync(flush, chunk, from, length, self._outBuffer, at, space);
    if (self[FAILED] !== null) return;
    const left = self._writeState[1];
    const spaceLeft = self._writeState[0];
    self.bytesWritten += length - left;
    from += length - left;
    const goesOn = takeOutput(self, at, space - spaceLeft);
    if (self.destroyed) {
      callback();
      return;
    }
    if (spaceLeft > 0) {
      // With space left over, input that is left over comes after the end of the stream.
      if (left > 0) self.push(null);
      callback();
      return;
    }
    if (!goesOn) {
      self._read = () => {
        delete self._read;
        pushOutput(self, chunk, flush, from, callback);
      };
      return;
    }
  }
}

/** Pushes what a step has written. Whether more may be pushed now. */
function takeOutput(self, at, length) {
  if (length === 0) return true;
  const output = self._outBuffer.subarray(at, at + length);
  self._outOffset = at + length;
  if (self._outOffset >= self._chunkSize) {
    self._outBuffer = null;
    self._outOffset = 0;
  }
  return self.push(output);
}

function processSync(self, chunk, flush) {
  if (!self._handle) throw closed();
  const outputs = [];
  let total = 0;
  let from = 0;
  // Here an error is thrown, so it is no event that somebody has to listen to.
  self.on('error', () => {});
  let size = self._chunkSize;
  for (;;) {
    const output = Buffer.allocUnsafe(size);
    const length = chunk.byteLength - from;
    self._handle.writeSync(flush, chunk, from, length, output, 0, size);
    if (self[FAILED] !== null) throw self[FAILED];
    const [spaceLeft, left] = self._writeState;
    from += length - left;
    if (size > spaceLeft) append(outputs, output.subarray(0, size - spaceLeft));
    total += size - spaceLeft;
    if (total > self._maxOutputLength) {
      self._handle.close();
      self._handle = null;
      throw tooLarge(self._maxOutputLength);
    }
    if (spaceLeft > 0) break;
    size = MathMax(self._chunkSize, MathMin(2 * size, CHUNK_BYTES_MAX));
  }
  self.bytesWritten = from;
  return outputs.length === 1 ? outputs[0] : Buffer.concat(outputs, total);
}

function windowBits(value, mode) {
  const isSaid = mode === INFLATE || mode === GUNZIP || mode === UNZIP;
  // 0: as the header says.
  if (isSaid && (value === undefined || value === null || value === 0)) return 0;
  return checkRange('options.windowBits', value ?? undefined, mode === GZIP ? 9 : 8, 15, 15);
}

const ZLIB_DEFAULTS = { flush: Z_NO_FLUSH, finishFlush: Z_FINISH, fullFlush: Z_FULL_FLUSH };

function Zlib(options, mode) {
  const bits = windowBits(options?.windowBits, mode);
  const level = checkRange('options.level', options?.level, -1, 9, -1);
  const memLevel = checkRange('options.memLevel', options?.memLevel, 1, 9, 8);
  const strategy = checkRange('options.strategy', options?.strategy, 0, 4, 0);
  const dictionary = checkDictionary(options?.dictionary);
  const open = () => native.zlibOpen(mode, level, bits, memLevel, strategy, dictionary);
  ReflectApply(ZlibBase, this, [options, mode, open, ZLIB_DEFAULTS]);
  this._level = level;
  this._strategy = strategy;
}
inherit(Zlib, ZlibBase);

Zlib.prototype.params = function params(level, strategy, callback) {
  checkRange('level', level, -1, 9);
  checkRange('strategy', strategy, 0, 4);
  if (this._level === level && this._strategy === strategy) {
    nextTick(callback);
    return;
  }
  if (this._strategy !== strategy) {
    throw codedError('ENOTSUP', 'params(): the strategy of a stream cannot be changed in Ampoule');
  }
  this.flush(Z_SYNC_FLUSH, () => {
    if (!this._handle) throw closed();
    this._handle.params(level);
    if (this.destroyed) return;
    this._level = level;
    if (callback) callback();
  });
};

const BROTLI_DEFAULTS = {
  flush: BROTLI_OPERATION_PROCESS,
  finishFlush: BROTLI_OPERATION_FINISH,
  fullFlush: BROTLI_OPERATION_FLUSH,
};

function Brotli(options, mode) {
  const parameters = brotliParameters(options?.params);
  const open = () => native.brotliOpen(mode === BROTLI_ENCODE, parameters);
  ReflectApply(ZlibBase, this, [options, mode, open, BROTLI_DEFAULTS]);
}
inherit(Brotli, ZlibBase);

/** A constructor that may be called without `new`, as Node's may. */
function streamClass(parent, mode, name) {
  const constructor = {
    [name]: function (options) {
      if (!(this instanceof constructor)) return new constructor(options);
      ReflectApply(parent, this, [options, mode]);
      return undefined;
    },
  }[name];
  inherit(constructor, parent);
  return constructor;
}

const classes = {
  Deflate: streamClass(Zlib, DEFLATE, 'Deflate'),
  Inflate: streamClass(Zlib, INFLATE, 'Inflate'),
  Gzip: streamClass(Zlib, GZIP, 'Gzip'),
  Gunzip: streamClass(Zlib, GUNZIP, 'Gunzip'),
  DeflateRaw: streamClass(Zlib, DEFLATERAW, 'DeflateRaw'),
  InflateRaw: streamClass(Zlib, INFLATERAW, 'InflateRaw'),
  Unzip: streamClass(Zlib, UNZIP, 'Unzip'),
  BrotliCompress: streamClass(Brotli, BROTLI_ENCODE, 'BrotliCompress'),
  BrotliDecompress: streamClass(Brotli, BROTLI_DECODE, 'BrotliDecompress'),
};

const BYTES = 'of type string or an instance of Buffer, TypedArray, DataView, or ArrayBuffer';
const CHUNK = 'of type string or an instance of Buffer, TypedArray, or DataView';

/** The bytes of what is to be compressed, not copied. */
function inputBytes(value, name, expected) {
  if (typeof value === 'string') return Buffer.from(value);
  if (ArrayBufferIsView(value)) {
    if (value instanceof Uint8Array) return value;
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  throw wrongType(name, expected, value);
}

/** What `gzip(input)` and its kin answer at once; the stream is closed again in any case. */
function atOnce(Class, input, options) {
  const engine = new Class(options);
  try {
    const result = processSync(engine, input, engine._finishFlushFlag);
    return options?.info ? { buffer: result, engine } : result;
  } finally {
    engine._handle?.close();
    engine._handle = null;
  }
}

function syncFunction(Class, name) {
  const make = {
    [name]: (input, options) => atOnce(Class, inputBytes(input, 'buffer', BYTES), options),
  };
  return make[name];
}

function asyncFunction(Class, name) {
  const make = {
    [name](input, options, callback) {
      if (typeof options === 'function') {
        callback = options;
        options = {};
      }
      checkFunction('callback', callback);
      const bytes = inputBytes(input, 'chunk', CHUNK);
      // Wrong options throw here and now; wrong bytes are the callback's.
      new Class(options).destroy();
      nextTick(() => {
        let result;
        try {
          result = atOnce(Class, bytes, options);
        } catch (error) {
          callback(error);
          return;
        }
        callback(null, result);
      });
    },
  };
  return make[name];
}

function crc32(data, value = 0) {
  const isBytes = typeof data === 'string' || ArrayBufferIsView(data);
  const expected = 'of type string or an instance of Buffer, TypedArray, or DataView';
  if (!isBytes) throw wrongType('data', expected, data);
  if (typeof value !== 'number') throw wrongType('value', 'of type number', value);
  checkRange('value', value, 0, 0xffffffff);
  return native.crc32(inputBytes(data), value);
}

const zlib = { crc32, ...classes };
for (const [name, Class] of Object.entries({
  deflate: classes.Deflate,
  gzip: classes.Gzip,
  deflateRaw: classes.DeflateRaw,
  unzip: classes.Unzip,
  inflate: classes.Inflate,
  gunzip: classes.Gunzip,
  inflateRaw: classes.InflateRaw,
  brotliCompress: classes.BrotliCompress,
  brotliDecompress: classes.BrotliDecompress,
})) {
  zlib[name] = asyncFunction(Class, name);
  zlib[`${name}Sync`] = syncFunction(Class, `${name}Sync`);
}
for (const [name, Class] of Object.entries(classes)) {
  zlib[`create${name}`] = (options) => new Class(options);
}
for (const [name, value] of [
  ['constants', constants],
  ['codes', codes],
]) {
  ObjectDefineProperty(zlib, name, { enumerable: true, value });
}
// Node still has the constants of zlib itself on the module, if out of sight.
for (const name of Object.keys(constants)) {
  if (name.startsWith('BROTLI')) continue;
  ObjectDefineProperty(zlib, name, { enumerable: false, value: constants[name] });
}

export default zlib;
