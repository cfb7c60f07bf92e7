// DER (X.690) and PEM (RFC 7468), as far as keys need them. Values are arrays of bytes.

import { Buffer } from '../../buffer.js';
import { join, slice } from './common.js';

export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const NULL = 0x05;
export const OID = 0x06;
export const SEQUENCE = 0x30;
/** The tag of the context-specific, constructed element with this number. */
export const context = (number) => 0xa0 + number;

/** Object identifiers by name, as the hexadecimal digits of their content. */
export const OIDS = {
  __proto__: null,
  rsa: '2a864886f70d010101',
  'rsa-pss': '2a864886f70d01010a',
  ec: '2a8648ce3d0201',
  ed25519: '2b6570',
  x25519: '2b656e',
  'P-256': '2a8648ce3d030107',
  'P-384': '2b81040022',
  'P-521': '2b81040023',
  pbes2: '2a864886f70d01050d',
  pbkdf2: '2a864886f70d01050c',
  scrypt: '2b06010401da47040b',
  'hmac-sha1': '2a864886f70d0207',
  'hmac-sha224': '2a864886f70d0208',
  'hmac-sha256': '2a864886f70d0209',
  'hmac-sha384': '2a864886f70d020a',
  'hmac-sha512': '2a864886f70d020b',
  'aes-128-cbc': '608648016503040102',
  'aes-192-cbc': '608648016503040116',
  'aes-256-cbc': '60864801650304012a',
};

const NAMES = { __proto__: null };
for (const name of Object.keys(OIDS)) NAMES[OIDS[name]] = name;

/** One element with its content. */
export function element(tag, ...parts) {
  const content = join(...parts);
  const { length } = content;
  let head = [tag, length];
  if (length > 0xffff) head = [tag, 0x83, length >> 16, (length >> 8) & 255, length & 255];
  else if (length > 0xff) head = [tag, 0x82, length >> 8, length & 255];
  else if (length > 0x7f) head = [tag, 0x81, length];
  return join(head, content);
}

export const sequence = (...parts) => element(SEQUENCE, ...parts);
export const octets = (bytes) => element(OCTET_STRING, bytes);
export const bits = (bytes) => element(BIT_STRING, [0], bytes);
export const nothing = () => element(NULL);
export const oid = (name) => element(OID, Buffer.from(OIDS[name], 'hex'));

/** A number that is not negative, of big-endian bytes. */
export function integer(bytes) {
  const trimmed = trim(bytes);
  return element(INTEGER, trimmed.length === 0 || trimmed[0] > 0x7f ? [0] : [], trimmed);
}

/** A small number. */
export function smallInteger(value) {
  return integer([value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]);
}

/** Bytes without zeros before them. */
export function trim(bytes) {
  let start = 0;
  while (start < bytes.length && bytes[start] === 0) start++;
  return Uint8Array.from(bytes).subarray(start);
}

/** Bytes with zeros before them, up to a length; undefined if there are more. */
export function padTo(bytes, length) {
  const trimmed = trim(bytes);
  if (trimmed.length > length) return undefined;
  return join(new Uint8Array(length - trimmed.length), trimmed);
}

/** What is thrown for bytes that are not what was expected; never reaches a user. */
export class Malformed extends Error {}

/** Reads elements one after the other. */
export class Reader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  /** Whether all has been read. */
  get isDone() {
    return this.#at >= this.#bytes.length;
  }

  /** The tag of the next element; undefined at the end. */
  get tag() {
    return this.#bytes[this.#at];
  }

  #byte() {
    if (this.isDone) throw new Malformed();
    return this.#bytes[this.#at++];
  }

  #length() {
    const first = this.#byte();
    if (first < 0x80) return first;
    let length = 0;
    if (first === 0x80 || first > 0x84) throw new Malformed();
    for (let i = 0x80; i < first; i++) length = length * 256 + this.#byte();
    return length;
  }

  /** The content of the next element, which has this tag. */
  read(tag) {
    if (this.tag !== tag) throw new Malformed();
    this.#at++;
    const length = this.#length();
    const start = this.#at;
    if (start + length > this.#bytes.length) throw new Malformed();
    this.#at += length;
    return slice(this.#bytes, start, this.#at);
  }

  /** A reader of the content of the next element. */
  enter(tag = SEQUENCE) {
    return new Reader(this.read(tag));
  }

  /** The content of the next element if it has this tag. */
  maybe(tag) {
    return this.tag === tag ? this.read(tag) : undefined;
  }

  /** A number without zeros before it. */
  integer() {
    return trim(this.read(INTEGER));
  }

  /** A number as such. */
  small() {
    return this.integer().reduce((value, byte) => value * 256 + byte, 0);
  }

  /** The name of an object identifier, or its digits if it has none here. */
  oid() {
    const digits = Buffer.from(this.read(OID)).toString('hex');
    return NAMES[digits] ?? digits;
  }

  /** The bytes of a bit string. */
  bits() {
    const content = this.read(BIT_STRING);
    if (content[0] !== 0) throw new Malformed();
    return content.subarray(1);
  }

  /** Passes over the next element. */
  skip() {
    this.read(this.tag);
  }
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*(?:-(?!----END )[^-]*)*)-----END \1-----/g;

/** The blocks of a PEM text: label, headers and bytes. */
export function pemBlocks(text) {
  return [...text.matchAll(BLOCK)].map(([, label, content]) => {
    const headers = { __proto__: null };
    let body = content;
    if (/^\s*[\w-]+:/.test(content)) {
      const end = /\r?\n\r?\n/.exec(content);
      const head = end === null ? content : content.slice(0, end.index);
      body = end === null ? '' : content.slice(end.index);
      for (const [, name, value] of head.matchAll(/([\w-]+): *(.*)/g)) {
        headers[name.toLowerCase()] = value.trim();
      }
    }
    const isBase64 = /^[A-Za-z0-9+/=\s]*$/.test(body);
    return { label, headers, bytes: isBase64 ? Buffer.from(body, 'base64') : undefined };
  });
}

/** A PEM block. */
export function toPem(label, bytes, headers = '') {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${headers}${lines.join('\n')}\n-----END ${label}-----\n`;
}
