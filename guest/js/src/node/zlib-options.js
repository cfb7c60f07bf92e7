// What `node:zlib` is told: its constants, and the checks of its options, in Node's words.

import {
  ArrayBufferIsView,
  NumberIsFinite,
  NumberIsNaN,
  ObjectDefineProperty,
  ObjectKeys,
} from '../primordials.js';
import { codedError, rangeError, typeError } from '../errors.js';
import { inspect } from 'node-inspect-extracted';
import { wrongType } from '../webidl.js';

const DECODER_ERRORS = {
  FORMAT_EXUBERANT_NIBBLE: -1,
  FORMAT_RESERVED: -2,
  FORMAT_EXUBERANT_META_NIBBLE: -3,
  FORMAT_SIMPLE_HUFFMAN_ALPHABET: -4,
  FORMAT_SIMPLE_HUFFMAN_SAME: -5,
  FORMAT_CL_SPACE: -6,
  FORMAT_HUFFMAN_SPACE: -7,
  FORMAT_CONTEXT_MAP_REPEAT: -8,
  FORMAT_BLOCK_LENGTH_1: -9,
  FORMAT_BLOCK_LENGTH_2: -10,
  FORMAT_TRANSFORM: -11,
  FORMAT_DICTIONARY: -12,
  FORMAT_WINDOW_BITS: -13,
  FORMAT_PADDING_1: -14,
  FORMAT_PADDING_2: -15,
  FORMAT_DISTANCE: -16,
  DICTIONARY_NOT_SET: -19,
  INVALID_ARGUMENTS: -20,
  ALLOC_CONTEXT_MODES: -21,
  ALLOC_TREE_GROUPS: -22,
  ALLOC_CONTEXT_MAP: -25,
  ALLOC_RING_BUFFER_1: -26,
  ALLOC_RING_BUFFER_2: -27,
  ALLOC_BLOCK_TYPE_TREES: -30,
  UNREACHABLE: -31,
};

/** `zlib.constants`. */
export const constants = {
  __proto__: null,
  Z_NO_FLUSH: 0,
  Z_PARTIAL_FLUSH: 1,
  Z_SYNC_FLUSH: 2,
  Z_FULL_FLUSH: 3,
  Z_FINISH: 4,
  Z_BLOCK: 5,
  Z_OK: 0,
  Z_STREAM_END: 1,
  Z_NEED_DICT: 2,
  Z_ERRNO: -1,
  Z_STREAM_ERROR: -2,
  Z_DATA_ERROR: -3,
  Z_MEM_ERROR: -4,
  Z_BUF_ERROR: -5,
  Z_VERSION_ERROR: -6,
  Z_NO_COMPRESSION: 0,
  Z_BEST_SPEED: 1,
  Z_BEST_COMPRESSION: 9,
  Z_DEFAULT_COMPRESSION: -1,
  Z_FILTERED: 1,
  Z_HUFFMAN_ONLY: 2,
  Z_RLE: 3,
  Z_FIXED: 4,
  Z_DEFAULT_STRATEGY: 0,
  ZLIB_VERNUM: 0x1310,
  DEFLATE: 1,
  INFLATE: 2,
  GZIP: 3,
  GUNZIP: 4,
  DEFLATERAW: 5,
  INFLATERAW: 6,
  UNZIP: 7,
  BROTLI_DECODE: 8,
  BROTLI_ENCODE: 9,
  Z_MIN_WINDOWBITS: 8,
  Z_MAX_WINDOWBITS: 15,
  Z_DEFAULT_WINDOWBITS: 15,
  Z_MIN_CHUNK: 64,
  Z_MAX_CHUNK: Infinity,
  Z_DEFAULT_CHUNK: 16384,
  Z_MIN_MEMLEVEL: 1,
  Z_MAX_MEMLEVEL: 9,
  Z_DEFAULT_MEMLEVEL: 8,
  Z_MIN_LEVEL: -1,
  Z_MAX_LEVEL: 9,
  Z_DEFAULT_LEVEL: -1,
  BROTLI_OPERATION_PROCESS: 0,
  BROTLI_OPERATION_FLUSH: 1,
  BROTLI_OPERATION_FINISH: 2,
  BROTLI_OPERATION_EMIT_METADATA: 3,
  BROTLI_PARAM_MODE: 0,
  BROTLI_MODE_GENERIC: 0,
  BROTLI_MODE_TEXT: 1,
  BROTLI_MODE_FONT: 2,
  BROTLI_DEFAULT_MODE: 0,
  BROTLI_PARAM_QUALITY: 1,
  BROTLI_MIN_QUALITY: 0,
  BROTLI_MAX_QUALITY: 11,
  BROTLI_DEFAULT_QUALITY: 11,
  BROTLI_PARAM_LGWIN: 2,
  BROTLI_MIN_WINDOW_BITS: 10,
  BROTLI_MAX_WINDOW_BITS: 24,
  BROTLI_LARGE_MAX_WINDOW_BITS: 30,
  BROTLI_DEFAULT_WINDOW: 22,
  BROTLI_PARAM_LGBLOCK: 3,
  BROTLI_MIN_INPUT_BLOCK_BITS: 16,
  BROTLI_MAX_INPUT_BLOCK_BITS: 24,
  BROTLI_PARAM_DISABLE_LITERAL_CONTEXT_MODELING: 4,
  BROTLI_PARAM_SIZE_HINT: 5,
  BROTLI_PARAM_LARGE_WINDOW: 6,
  BROTLI_PARAM_NPOSTFIX: 7,
  BROTLI_PARAM_NDIRECT: 8,
  BROTLI_DECODER_RESULT_ERROR: 0,
  BROTLI_DECODER_RESULT_SUCCESS: 1,
  BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT: 2,
  BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT: 3,
  BROTLI_DECODER_PARAM_DISABLE_RING_BUFFER_REALLOCATION: 0,
  BROTLI_DECODER_PARAM_LARGE_WINDOW: 1,
  BROTLI_DECODER_NO_ERROR: 0,
  BROTLI_DECODER_SUCCESS: 1,
  BROTLI_DECODER_NEEDS_MORE_INPUT: 2,
  BROTLI_DECODER_NEEDS_MORE_OUTPUT: 3,
};
for (const name of ObjectKeys(DECODER_ERRORS)) {
  constants[`BROTLI_DECODER_ERROR_${name}`] = DECODER_ERRORS[name];
}
for (const name of ObjectKeys(constants)) {
  ObjectDefineProperty(constants, name, { configurable: false, writable: false });
}

/** `zlib.codes`: from name to number and back. */
export const codes = {};
for (const name of [
  'Z_OK',
  'Z_STREAM_END',
  'Z_NEED_DICT',
  'Z_ERRNO',
  'Z_STREAM_ERROR',
  'Z_DATA_ERROR',
  'Z_MEM_ERROR',
  'Z_BUF_ERROR',
  'Z_VERSION_ERROR',
]) {
  codes[name] = constants[name];
  codes[constants[name]] = name;
}
Object.freeze(codes);

function outOfRange(name, range, value) {
  return rangeError(
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be ${range}. Received ${inspect(value)}`,
  );
}

/** A number within a range; the default for undefined and NaN. */
export function checkRange(name, value, least, most, otherwise) {
  if (value === undefined) return otherwise;
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  if (NumberIsNaN(value)) return otherwise;
  if (!NumberIsFinite(value)) throw outOfRange(name, 'a finite number', value);
  if (value < least || value > most) {
    const isOpen = most === Infinity;
    throw outOfRange(name, isOpen ? `>= ${least}` : `>= ${least} and <= ${most}`, value);
  }
  return value;
}

export function checkFunction(name, value) {
  if (typeof value !== 'function') throw wrongType(name, 'of type function', value);
}

const { BROTLI_PARAM_NDIRECT: PARAM_MAX } = constants;

/** `params` of Brotli as a flat list of numbers and values. */
export function brotliParameters(params) {
  const list = [];
  if (!params) return list;
  for (const name of ObjectKeys(params)) {
    const key = +name;
    if (NumberIsNaN(key) || key < 0 || key > PARAM_MAX) {
      throw rangeError('ERR_BROTLI_INVALID_PARAM', `${name} is not a valid Brotli parameter`);
    }
    const value = params[name];
    if (typeof value !== 'number' && typeof value !== 'boolean') {
      throw wrongType('options.params[key]', 'of type number', value);
    }
    list.push(key, value >>> 0);
  }
  return list;
}

/** The dictionary's bytes, or undefined. */
export function checkDictionary(value) {
  if (value === undefined) return undefined;
  if (ArrayBufferIsView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  const expected = 'an instance of Buffer, TypedArray, DataView, or ArrayBuffer';
  throw wrongType('options.dictionary', expected, value);
}

/** Node's error for more output than was asked for. */
export function tooLarge(most) {
  return rangeError('ERR_BUFFER_TOO_LARGE', `Cannot create a Buffer larger than ${most} bytes`);
}

/** Node's error for a stream that was closed. */
export function closed() {
  return codedError('ERR_INTERNAL_ASSERTION', 'zlib binding closed');
}
