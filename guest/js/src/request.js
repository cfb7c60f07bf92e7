// `req`: what an Express handler reads.
//
// There is one request in a sandbox, so `req` is made before the snapshot and its parts are read
// from the host's text only when asked for. A request that asks for nothing costs nothing.

import {
  ArrayIsArray,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectGetPrototypeOf,
  ObjectKeys,
  ObjectSetPrototypeOf,
  ReflectApply,
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
import { builtin } from './builtins.js';
import { mediaType, readContent, readJson } from './content.js';
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

/** From so many bytes on, JSON is worth looking at before it is read. */
const LATER_FROM = 512;

/**
 * Looks at the body before the handler runs, and reads it, unless it is a longer JSON, which is read
 * when somebody asks for it. Throws `BodyInvalid`.
 */
export function readBody() {
  if (state.isJson && state.bodyLength >= LATER_FROM && native.bodyIsJson()) {
    state.bodyStage = 1;
    return;
  }
  state.body = state.isJson ? readJson() : readContent(findField(state.fields, 'content-type'));
  state.bodyStage = 2;
}

function bodyOf() {
  const { bodyStage } = state;
  if (bodyStage === 2) return state.body;
  state.body = bodyStage === 1 ? readJson() : {};
  state.bodyStage = 2;
  return state.body;
}

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

/**
 * A getter that computes once and can be assigned to, as properties of Express's `req` can. It is
 * that of this sandbox's request; other messages have properties of their own.
 */
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
      if (this !== request) {
        ObjectDefineProperty(this, name, own(given));
        return;
      }
      value = given;
      isSet = true;
    },
  };
}

const own = (value) => ({ configurable: true, enumerable: true, value, writable: true });

/** What Express has and few ask for; made when it is first needed. */
const more = () => builtin('internal/express');

/** `req`, and what `http.IncomingMessage` is. */
export function IncomingMessage(socket) {
  becomeStream();
  initMessage(this, socket);
}

/** Makes a message of its own: nothing of it is that of this sandbox's request. */
function initMessage(message, socket) {
  const { Readable } = builtin('stream');
  ReflectApply(Readable, message, [{ autoDestroy: false }]);
  for (let i = 0; i < names.length; i++) {
    if (names[i] in plain) ObjectDefineProperty(message, names[i], own(plain[names[i]]()));
  }
  ObjectDefineProperty(message, 'socket', own(socket ?? null));
  message._read = () => {};
}

/** The properties of a message that is not this sandbox's request, as Node has them at first. */
const plain = {
  __proto__: null,
  aborted: () => false,
  body: () => undefined,
  client: () => null,
  complete: () => false,
  headers: () => ({}),
  httpVersion: () => null,
  httpVersionMajor: () => null,
  httpVersionMinor: () => null,
  method: () => null,
  rawHeaders: () => [],
  rawTrailers: () => [],
  statusCode: () => null,
  statusMessage: () => null,
  trailers: () => ({}),
  upgrade: () => null,
  url: () => '',
};

const methods = {
  get(name) {
    if (typeof name !== 'string' || name === '') {
      throw typeError('ERR_INVALID_ARG_TYPE', 'name argument is required to req.get');
    }
    const lower = StringPrototypeToLowerCase(name);
    if (lower === 'referer' || lower === 'referrer') {
      return this.headers.referrer ?? this.headers.referer;
    }
    return this.headers[lower];
  },

  header(name) {
    return this.get(name);
  },

  is(types, ...rest) {
    const given = this.headers['content-type'];
    const isEmpty = state.bodyLength === 0 && this.headers['content-length'] === undefined;
    if (given === undefined) return isEmpty ? null : false;
    const actual = mediaType(given);
    const wanted = ArrayIsArray(types) ? types : [types, ...rest];
    if (wanted.length === 0 || wanted[0] === undefined) return actual;
    for (let i = 0; i < wanted.length; i++) {
      if (!covers(wanted[i], actual)) continue;
      const isPattern =
        StringPrototypeIndexOf(wanted[i], '*') >= 0 || StringPrototypeStartsWith(wanted[i], '+');
      return isPattern ? actual : wanted[i];
    }
    return false;
  },

  accepts(...types) {
    return more().accepts(this, types);
  },

  acceptsCharsets(...charsets) {
    return more().acceptsAny(this, 'charsets', charsets);
  },

  acceptsEncodings(...encodings) {
    return more().acceptsEncodings(this, encodings);
  },

  acceptsLanguages(...languages) {
    return more().acceptsAny(this, 'languages', languages);
  },

  range(size, options) {
    return more().range(this, size, options);
  },

  /** The first of route parameter, query and body; Express 4 had it. */
  param(name, fallback) {
    return more().param(this, name, fallback);
  },

  setTimeout() {
    return this;
  },
};

const pathOf = (url) => {
  const at = StringPrototypeIndexOf(url, '?');
  return at < 0 ? url : StringPrototypeSlice(url, 0, at);
};

const properties = {
  method: () => state.method,
  url: () => state.target,
  originalUrl: () => state.target,
  baseUrl: () => '',
  query: () => parseQuery(StringPrototypeSlice(state.target, queryStart() + 1)),
  params: () => routeParams(StringPrototypeSlice(state.target, 0, queryStart())),
  headers() {
    const table = fieldTable(state.fields);
    // The host takes away what was between it and the client; body parsers ask for one of both.
    if (state.bodyLength > 0 && table['content-length'] === undefined) {
      table['transfer-encoding'] = 'chunked';
    }
    return table;
  },
  rawHeaders() {
    const list = [];
    readFields(state.fields, (name, value) => {
      append(list, name);
      append(list, value);
    });
    return list;
  },
  headersDistinct: () => more().distinct(request.rawHeaders),
  httpVersion: () => '1.1',
  httpVersionMajor: () => 1,
  httpVersionMinor: () => 1,
  body: bodyOf,
  rawBody: () => asBuffer(native.bodyBytes()),
  cookies() {
    // An application of Express has its own way: `cookie-parser` does nothing where cookies are.
    if (ObjectGetPrototypeOf(request) !== IncomingMessage.prototype) return undefined;
    const text = findField(state.fields, 'cookie');
    return text === '' ? ObjectCreate(null) : parseCookie(text, COOKIES);
  },
  signedCookies() {
    if (ObjectGetPrototypeOf(request) !== IncomingMessage.prototype) return undefined;
    return request.secret === undefined ? ObjectCreate(null) : more().unsigned(request);
  },
  ip: () => state.peer,
  ips: () => more().ips(request, state.peer),
  protocol: () => (state.isSecure ? 'https' : 'http'),
  secure: () => state.isSecure,
  host: () => findField(state.fields, 'host') || undefined,
  hostname: () => withoutPort(findField(state.fields, 'host')) || undefined,
  subdomains: () => more().subdomains(request.hostname),
  xhr: () =>
    StringPrototypeToLowerCase(findField(state.fields, 'x-requested-with')) === 'xmlhttprequest',
  complete: () => true,
  aborted: () => false,
  trailers: () => ({}),
  rawTrailers: () => [],
  trailersDistinct: () => ({}),
  upgrade: () => false,
  statusCode: () => null,
  statusMessage: () => null,
  client: () => request.socket,
  connection: () => request.socket,
  socket: () => more().socket(state),
  res: () => answering,
};

/** Quotes around a value are not part of it; what cannot be decoded stays as it is. */
const COOKIES = {
  decode(text) {
    const isQuoted =
      text.length > 1 && StringPrototypeStartsWith(text, '"') && StringPrototypeEndsWith(text, '"');
    return decodeParam(isQuoted ? StringPrototypeSlice(text, 1, -1) : text);
  },
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

// Every request with a body has one; its value lies with what else is written (state.js).
ObjectDefineProperty(IncomingMessage.prototype, 'body', {
  configurable: true,
  enumerable: true,
  get: bodyOf,
  set(given) {
    if (this !== request) {
      ObjectDefineProperty(this, 'body', own(given));
      return;
    }
    state.body = given;
    state.bodyStage = 2;
  },
});

const methodNames = ObjectKeys(methods);
for (let i = 0; i < methodNames.length; i++) {
  ObjectDefineProperty(IncomingMessage.prototype, methodNames[i], {
    configurable: true,
    value: methods[methodNames[i]],
    writable: true,
  });
}

/** A property that is computed at every look, since it depends on what can change. */
function derive(name, compute) {
  ObjectDefineProperty(IncomingMessage.prototype, name, {
    configurable: true,
    enumerable: true,
    get() {
      return compute(this);
    },
    set(value) {
      ObjectDefineProperty(this, name, own(value));
    },
  });
}

// A router that mounts another takes the front off `url`.
derive('path', (message) => pathOf(message.url));
derive('fresh', (message) => more().isFresh(message));
derive('stale', (message) => !message.fresh);

// Streams. What makes `req` one of Node's readable streams is large, and few handlers want it:
// these stand in for the stream's members until the first of them is used.

const STREAM_MEMBERS = [
  'addListener',
  'asIndexedPairs',
  'closed',
  'compose',
  'destroy',
  'destroyed',
  'drop',
  'emit',
  'errored',
  'eventNames',
  'every',
  'filter',
  'find',
  'flatMap',
  'forEach',
  'getMaxListeners',
  'isPaused',
  'iterator',
  'listenerCount',
  'listeners',
  'map',
  'off',
  'on',
  'once',
  'pause',
  'pipe',
  'prependListener',
  'prependOnceListener',
  'push',
  'rawListeners',
  'read',
  'readable',
  'readableAborted',
  'readableDidRead',
  'readableEncoding',
  'readableEnded',
  'readableFlowing',
  'readableHighWaterMark',
  'readableLength',
  'readableObjectMode',
  'reduce',
  'removeAllListeners',
  'removeListener',
  'resume',
  'setEncoding',
  'setMaxListeners',
  'some',
  'take',
  'toArray',
  'unpipe',
  'unshift',
  'wrap',
  Symbol.asyncIterator,
];

let isStream = false;

function standIn(name) {
  ObjectDefineProperty(IncomingMessage.prototype, name, {
    configurable: true,
    enumerable: false,
    get() {
      becomeStream();
      return this[name];
    },
    set(value) {
      becomeStream();
      if (this !== IncomingMessage.prototype) this[name] = value;
    },
  });
}

for (let i = 0; i < STREAM_MEMBERS.length; i++) standIn(STREAM_MEMBERS[i]);

/** Bytes that `req` hands over at a time. */
const CHUNK_BYTES = 65536;

/** Makes messages what they are in Node: streams that can be read. */
export function becomeStream() {
  if (isStream) return;
  isStream = true;
  const { Readable } = builtin('stream');
  for (let i = 0; i < STREAM_MEMBERS.length; i++) {
    delete IncomingMessage.prototype[STREAM_MEMBERS[i]];
  }
  ObjectSetPrototypeOf(IncomingMessage.prototype, Readable.prototype);
  ObjectSetPrototypeOf(IncomingMessage, Readable);
  let bytes;
  let at = 0;
  const read = () => {
    bytes ??= asBuffer(state.bodyLength > 0 ? native.bodyBytes() : native.utf8Encode(''));
    const end = at + CHUNK_BYTES < bytes.length ? at + CHUNK_BYTES : bytes.length;
    if (at < end) request.push(bytes.subarray(at, end));
    at = end;
    if (at === bytes.length) request.push(null);
  };
  ReflectApply(Readable, request, [{ autoDestroy: false, read }]);
}

let answering;

/** Sets `req.res`. */
export function setResponse(response) {
  answering = response;
}

/** The request of this sandbox. */
export const request = ObjectCreate(IncomingMessage.prototype);
