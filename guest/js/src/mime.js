// From file extensions to content types (the `mime` package's table of standard types).

import mime from 'mime/lite';
import {
  StringPrototypeEndsWith,
  StringPrototypeIndexOf,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
} from './primordials.js';

// The three that nearly every answer is, so that they need no look-up.
const JSON_TYPE = 'application/json; charset=utf-8';
const HTML_TYPE = 'text/html; charset=utf-8';
const TEXT_TYPE = 'text/plain; charset=utf-8';

/** The media type of an extension (`json`, `.js`) or a file name; undefined if not known. */
export function mimeType(extension) {
  const name = StringPrototypeStartsWith(extension, '.')
    ? StringPrototypeSlice(extension, 1)
    : extension;
  return mime.getType(name) ?? undefined;
}

/** A content type with its charset, if it is text and does not say one. */
export function withCharset(type) {
  if (type === JSON_TYPE || type === HTML_TYPE || type === TEXT_TYPE) return type;
  if (type === 'application/json') return JSON_TYPE;
  if (type === 'text/html') return HTML_TYPE;
  if (type === 'text/plain') return TEXT_TYPE;
  if (StringPrototypeIndexOf(type, 'charset') >= 0) return type;
  const isText =
    StringPrototypeStartsWith(type, 'text/') ||
    StringPrototypeEndsWith(type, '+json') ||
    StringPrototypeEndsWith(type, '+xml') ||
    type === 'application/xml' ||
    type === 'application/javascript';
  return isText ? type + '; charset=utf-8' : type;
}

/** The whole content type for what is given to `res.type`: a media type or an extension. */
export function contentType(type) {
  if (type === 'json') return JSON_TYPE;
  if (type === 'html') return HTML_TYPE;
  if (type === 'text' || type === 'txt') return TEXT_TYPE;
  if (StringPrototypeIndexOf(type, '/') >= 0) return withCharset(type);
  return withCharset(mimeType(type) ?? 'application/octet-stream');
}

export { HTML_TYPE, JSON_TYPE, TEXT_TYPE };
