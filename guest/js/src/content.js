// The request's body as `req.body`: read inside the guest, so that key order and number text
// survive (decision R10).

import {
  JSONParse,
  SafeRangeError,
  SafeSyntaxError,
  StringPrototypeCharCodeAt,
  StringPrototypeEndsWith,
  StringPrototypeIndexOf,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  StringPrototypeToLowerCase,
  StringPrototypeTrim,
} from './primordials.js';
import { asBuffer } from './buffer.js';
import { decoderFor } from './encoding.js';
import { findField } from './fields.js';
import { native } from './native.js';
import { parse as parseQuery } from './querystring.js';
import { state } from './state.js';

/** A body that is not what its content type says. */
export class BodyInvalid {
  constructor(message) {
    this.message = message;
  }
}

/** `type/subtype` of a content type, in lower case. */
export function mediaType(contentType) {
  const end = StringPrototypeIndexOf(contentType, ';');
  const type = end < 0 ? contentType : StringPrototypeSlice(contentType, 0, end);
  return StringPrototypeToLowerCase(StringPrototypeTrim(type));
}

/** The `charset` of a content type in lower case, or ''. */
export function charset(contentType) {
  const lower = StringPrototypeToLowerCase(contentType);
  const at = StringPrototypeIndexOf(lower, 'charset=');
  if (at < 0) return '';
  let value = StringPrototypeSlice(lower, at + 8);
  const end = StringPrototypeIndexOf(value, ';');
  if (end >= 0) value = StringPrototypeSlice(value, 0, end);
  value = StringPrototypeTrim(value);
  const isQuoted = StringPrototypeStartsWith(value, '"') && StringPrototypeEndsWith(value, '"');
  return isQuoted ? StringPrototypeSlice(value, 1, -1) : value;
}

/** The whole body, by content type. Throws `BodyInvalid`. */
export function readContent(contentType) {
  try {
    return readAs(contentType);
  } catch (error) {
    // What is compressed is for the function, or a body parser of its own, to undo.
    if (!(error instanceof BodyInvalid) || !isEncoded()) throw error;
    return asBuffer(native.bodyBytes());
  }
}

function isEncoded() {
  const coding = findField(state.fields, 'content-encoding');
  return coding !== '' && StringPrototypeToLowerCase(coding) !== 'identity';
}

function readAs(contentType) {
  const type = mediaType(contentType);
  if (type === 'application/json' || StringPrototypeEndsWith(type, '+json')) {
    return json(text(contentType));
  }
  if (type === 'application/x-www-form-urlencoded') return parseQuery(text(contentType));
  if (StringPrototypeStartsWith(type, 'text/')) return text(contentType);
  return asBuffer(native.bodyBytes());
}

/** The whole body as JSON in UTF-8. Throws `BodyInvalid`. */
export function readJson() {
  let value;
  try {
    value = native.bodyJson();
  } catch (error) {
    throw notJson(error);
  }
  if (value === undefined) throw notUtf8();
  return value;
}

function json(source) {
  try {
    return JSONParse(source);
  } catch (error) {
    throw notJson(error);
  }
}

// For want of memory it is not the client's fault. Of stack there is plenty where a body is read.
function notJson(error) {
  if (error instanceof SafeRangeError) {
    return new BodyInvalid('The request body is nested too deeply');
  }
  if (!(error instanceof SafeSyntaxError)) return error;
  return new BodyInvalid('The request body is not valid JSON: ' + error.message);
}

const notUtf8 = () => new BodyInvalid('The request body is not valid UTF-8');

function text(contentType) {
  const name = charset(contentType);
  if (name !== '' && name !== 'utf-8' && name !== 'utf8' && name !== 'us-ascii') {
    const decode = decoderFor(name);
    if (decode === undefined) throw new BodyInvalid('The charset "' + name + '" is not supported');
    return decode(native.bodyBytes());
  }
  return utf8Text();
}

function utf8Text() {
  const source = native.bodyText();
  if (source === undefined) throw notUtf8();
  const hasMark = source !== '' && StringPrototypeCharCodeAt(source, 0) === 0xfeff;
  return hasMark ? StringPrototypeSlice(source, 1) : source;
}
