// `req`: what an Express handler reads.
//
// There is one request in a sandbox, so `req` is made before the snapshot and its parts are read
// from the host's text only when asked for. A request that asks for nothing costs nothing.

import {
  ArrayIsArray,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectKeys,
  RegExpPrototypeExec,
  StringPrototypeEndsWith,
  StringPrototypeIndexOf,
  StringPrototypeLastIndexOf,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  StringPrototypeToLowerCase,
  append,
  decodeURIComponent,
} from './primordials.js';
import { parseCookie } from 'cookie';
import { pathToRegexp } from 'path-to-regexp';
import { asBuffer } from './buffer.js';
import { mediaType, readContent } from './content.js';
import { typeError } from './errors.js';
import { fieldTable, findField, readFields } from './fields.js';
import { mimeType } from './mime.js';
import { native } from './native.js';
import { parse as parseQuery } from './querystring.js';
import { state } from './state.js';

let route = null;

/** Fills `req.params` from a pattern such as `/users/:userId`; null for none. */
export function setRoute(pattern) {
  route = pattern === null ? null : pathToRegexp(pattern);
}

/** Reads `req.body` before the handler runs. Throws `BodyInvalid`. */
export function readBody() {
  body = readContent(findField(state.fields, 'content-type'));
  isBodySet = true;
}

let body;
let isBodySet = false;

function queryStart() {
  const at = StringPrototypeIndexOf(state.target, '?');
  return at < 0 ? state.target.length : at;
}

function decodeParam(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function routeParams(path) {
  const params = ObjectCreate(null);
  if (route === null) return params;
  const found = RegExpPrototypeExec(route.regexp, path);
  if (found === null) return params;
  for (let i = 0; i < route.keys.length; i++) {
    const value = found[i + 1];
    if (value === undefined) continue;
    const { name, type } = route.keys[i];
    params[name] = type === 'wildcard' ? wildcardParts(value) : decodeParam(value);
  }
  return params;
}

function wildcardParts(value) {
  const parts = [];
  let start = 0;
  for (;;) {
    const end = StringPrototypeIndexOf(value, '/', start);
    const part = StringPrototypeSlice(value, start, end < 0 ? value.length : end);
    append(parts, decodeParam(part));
    if (end < 0) return parts;
    start = end + 1;
  }
}

/** Whether `type` (`json`, `text/*`, `application/json`) covers the media type `actual`. */
function covers(type, actual) {
  if (StringPrototypeStartsWith(type, '+')) return StringPrototypeEndsWith(actual, type);
  let wanted = type;
  if (type === 'urlencoded') wanted = 'application/x-www-form-urlencoded';
  else if (type === 'multipart') wanted = 'multipart/*';
  else if (StringPrototypeIndexOf(type, '/') < 0) wanted = mediaType(mimeType(type) ?? '');
  if (wanted === '*/*' || wanted === actual) return true;
  const slash = StringPrototypeIndexOf(actual, '/');
  if (StringPrototypeEndsWith(wanted, '/*')) {
    return StringPrototypeSlice(wanted, 0, -1) === StringPrototypeSlice(actual, 0, slash + 1);
  }
  if (StringPrototypeStartsWith(wanted, '*/')) {
    return StringPrototypeSlice(wanted, 1) === StringPrototypeSlice(actual, slash);
  }
  return false;
}

/** A getter that computes once and can be assigned to, as properties of Express's `req` can. */
function lazy(name, compute) {
  let value;
  let isSet = false;
  return {
    configurable: true,
    enumerable: true,
    get() {
      if (!isSet) {
        value = compute();
        isSet = true;
      }
      return value;
    },
    set(given) {
      value = given;
      isSet = true;
    },
  };
}

/** `req`. */
class IncomingMessage {
  get(name) {
    if (typeof name !== 'string' || name === '') {
      throw typeError('ERR_INVALID_ARG_TYPE', 'name argument is required to req.get');
    }
    const lower = StringPrototypeToLowerCase(name);
    if (lower === 'referer' || lower === 'referrer') {
      return this.headers.referrer ?? this.headers.referer;
    }
    return this.headers[lower];
  }

  header(name) {
    return this.get(name);
  }

  is(types, ...more) {
    const given = this.headers['content-type'];
    const isEmpty = state.bodyLength === 0 && this.headers['content-length'] === undefined;
    if (given === undefined) return isEmpty ? null : false;
    const actual = mediaType(given);
    const wanted = ArrayIsArray(types) ? types : [types, ...more];
    if (wanted.length === 0 || wanted[0] === undefined) return actual;
    for (let i = 0; i < wanted.length; i++) {
      if (!covers(wanted[i], actual)) continue;
      const isPattern =
        StringPrototypeIndexOf(wanted[i], '*') >= 0 || StringPrototypeStartsWith(wanted[i], '+');
      return isPattern ? actual : wanted[i];
    }
    return false;
  }
}

const properties = {
  method: () => state.method,
  url: () => state.target,
  originalUrl: () => state.target,
  baseUrl: () => '',
  path: () => StringPrototypeSlice(state.target, 0, queryStart()),
  query: () => parseQuery(StringPrototypeSlice(state.target, queryStart() + 1)),
  params: () => routeParams(StringPrototypeSlice(state.target, 0, queryStart())),
  headers: () => fieldTable(state.fields),
  rawHeaders() {
    const list = [];
    readFields(state.fields, (name, value) => {
      append(list, name);
      append(list, value);
    });
    return list;
  },
  httpVersion: () => '1.1',
  body: () => (isBodySet ? body : {}),
  rawBody: () => asBuffer(native.bodyBytes()),
  cookies() {
    const text = findField(state.fields, 'cookie');
    return text === '' ? ObjectCreate(null) : parseCookie(text);
  },
  signedCookies: () => ObjectCreate(null),
  ip: () => state.peer,
  ips: () => [],
  protocol: () => (state.isSecure ? 'https' : 'http'),
  secure: () => state.isSecure,
  host: () => findField(state.fields, 'host') || undefined,
  hostname: () => withoutPort(findField(state.fields, 'host')) || undefined,
  subdomains: () => [],
  xhr: () =>
    StringPrototypeToLowerCase(findField(state.fields, 'x-requested-with')) === 'xmlhttprequest',
  fresh: () => false,
  stale: () => true,
  complete: () => true,
  aborted: () => false,
};

function withoutPort(host) {
  const colon = StringPrototypeLastIndexOf(host, ':');
  // The colons of an IPv6 address are within brackets.
  const bracket = StringPrototypeLastIndexOf(host, ']');
  return colon > bracket ? StringPrototypeSlice(host, 0, colon) : host;
}

const names = ObjectKeys(properties);
for (let i = 0; i < names.length; i++) {
  ObjectDefineProperty(IncomingMessage.prototype, names[i], lazy(names[i], properties[names[i]]));
}

export { IncomingMessage };

/** The request of this sandbox. */
export const request = new IncomingMessage();
