// `mime-types`, over the table that `res.type` uses.

import standard from 'mime/types/standard.js';
import { ObjectCreate, ObjectKeys, SafeString, append } from '../primordials.js';

/** Media types to their extensions, the usual one first, and the other way round. */
const extensions = ObjectCreate(null);
const types = ObjectCreate(null);
for (const type of ObjectKeys(standard)) {
  for (const given of standard[type]) {
    // A star marks an extension that belongs to another type first.
    const isSecond = given.startsWith('*');
    const name = isSecond ? given.slice(1) : given;
    extensions[type] ??= [];
    append(extensions[type], name);
    if (!isSecond) types[name] = type;
  }
}

const TYPE = /^\s*([^;\s]*)(?:;|\s|$)/;
const TEXT = /^text\//i;
const JSON_LIKE = /^application\/(?:json|javascript|manifest\+json|.*\+json)$/i;

function bare(text) {
  const found = typeof text === 'string' && text !== '' ? TYPE.exec(text) : null;
  return found === null || found[1] === '' ? undefined : found[1].toLowerCase();
}

/** The usual charset of a media type; false if it has none. */
function charset(text) {
  const type = bare(text);
  if (type === undefined) return false;
  return TEXT.test(type) || JSON_LIKE.test(type) ? 'UTF-8' : false;
}

/** The usual extension of a media type; false if it is not known. */
function extension(text) {
  const type = bare(text);
  return type === undefined ? false : (extensions[type]?.[0] ?? false);
}

/** The media type of a path or an extension; false if it is not known. */
function lookup(path) {
  if (typeof path !== 'string' || path === '') return false;
  const name = `x.${path}`.split('/').pop();
  const dot = name.lastIndexOf('.');
  return types[name.slice(dot + 1).toLowerCase()] ?? false;
}

/** A media type with its charset, of an extension or a media type. */
function contentType(text) {
  if (typeof text !== 'string' || text === '') return false;
  const type = text.includes('/') ? text : lookup(text);
  if (!type) return false;
  if (type.includes('charset')) return type;
  const found = charset(type);
  return found === false ? type : `${type}; charset=${SafeString(found).toLowerCase()}`;
}

export default {
  charset,
  charsets: { lookup: charset },
  contentType,
  extension,
  extensions,
  lookup,
  types,
};
