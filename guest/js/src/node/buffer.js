// `node:buffer`: what it has besides `Buffer` itself.

import { Blob, File } from '../blob.js';
import * as core from '../buffer.js';
import { atob, btoa, viewBytes } from '../encoding.js';
import { native } from '../native.js';
import { invalidArgType, nodeError } from './validate.js';

const { Buffer, INSPECT_MAX_BYTES, SlowBuffer, kMaxLength } = core;
/** As many units as QuickJS puts into one string. */
const kStringMaxLength = 0x3fffffff;

function bytesOf(input) {
  const bytes = viewBytes(input);
  if (bytes === undefined) {
    throw invalidArgType('input', ['ArrayBuffer', 'Buffer', 'TypedArray'], input);
  }
  return bytes;
}

function isUtf8(input) {
  return native.utf8Decode(bytesOf(input), true) !== null;
}

function isAscii(input) {
  return bytesOf(input).every((byte) => byte < 128);
}

const NAMES = {
  __proto__: null,
  utf8: 'utf8',
  'utf-8': 'utf8',
  ucs2: 'utf16le',
  'ucs-2': 'utf16le',
  utf16le: 'utf16le',
  'utf-16le': 'utf16le',
  latin1: 'latin1',
  binary: 'latin1',
  ascii: 'ascii',
};

/** The same text in another encoding; what that does not have becomes `?`. */
function transcode(source, from, to) {
  if (!(source instanceof Uint8Array)) {
    throw invalidArgType('source', ['Buffer', 'Uint8Array'], source);
  }
  const [before, after] = [from, to].map((name) => NAMES[`${name}`.toLowerCase()]);
  if (before === undefined || after === undefined) {
    const code = 'U_ILLEGAL_ARGUMENT_ERROR';
    throw nodeError(Error, code, `Unable to transcode Buffer [${code}]`);
  }
  const text = Buffer.prototype.toString.call(source, before);
  if (after !== 'latin1' && after !== 'ascii') return Buffer.from(text, after);
  const max = after === 'ascii' ? 0x7f : 0xff;
  return Buffer.from([...text].map((c) => (c.codePointAt(0) > max ? 63 : c.codePointAt(0))));
}

export default {
  Buffer,
  SlowBuffer,
  transcode,
  isUtf8,
  isAscii,
  kMaxLength,
  kStringMaxLength,
  btoa,
  atob,
  constants: { MAX_LENGTH: kMaxLength, MAX_STRING_LENGTH: kStringMaxLength },
  INSPECT_MAX_BYTES,
  Blob,
  resolveObjectURL: () => undefined,
  File,
};
