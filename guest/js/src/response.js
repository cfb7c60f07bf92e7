// `res`: what an Express handler answers with.
//
// A whole answer is one call to the host. The first `write` makes it a streamed one: one write is
// in progress at a time, what is written meanwhile queues here and goes out joined (stream.js).

import { EventEmitter } from 'events';
import { stringifySetCookie } from 'cookie';
import codes from 'statuses/codes.json';
import {
  ArrayIsArray,
  ArrayPrototypeJoin,
  JSONStringify,
  NumberIsInteger,
  NumberIsNaN,
  ObjectAssign,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectKeys,
  PromisePrototypeThen,
  PromiseResolve,
  ReflectApply,
  RegExpPrototypeExec,
  SafeString,
  SafeUint8Array,
  StringPrototypeIndexOf,
  StringPrototypeReplaceAll,
  StringPrototypeSlice,
  TypedArrayBuffer,
  TypedArrayByteLength,
  TypedArrayByteOffset,
  append,
  encodeURI,
  isObject,
} from './primordials.js';
import { BodyWriter } from './body-writer.js';
import { Buffer, asBuffer } from './buffer.js';
import { builtin } from './builtins.js';
import { utf8Length, viewBytes } from './encoding.js';
import { codedError, rangeError, typeError } from './errors.js';
import { fieldName, fieldValue, putField, writeFields } from './fields.js';
import {
  answer,
  beginAnswer,
  endAnswer,
  endIfDone,
  fail,
  guarded,
  headersSent,
  hold,
  release,
} from './lifecycle.js';
import { HTML_TYPE, JSON_TYPE, TEXT_TYPE, contentType, withCharset } from './mime.js';
import { native } from './native.js';
import { request, setResponse } from './request.js';
import { state } from './state.js';

// The header section of the commonest answers, ready made.
const JSON_FIELDS = `content-type: ${JSON_TYPE}\r\n`;
const HTML_FIELDS = `content-type: ${HTML_TYPE}\r\n`;
const TEXT_FIELDS = `content-type: ${TEXT_TYPE}\r\n`;

/** Lower-case names to a value or a list of values. */
const fields = ObjectCreate(null);
let writer = null;
/** `writeHead` was called: the header section stands, though it has not gone out. */
let isHeadWritten = false;
/** What a program put in the place of `writeHead`, to be called before the headers go out. */
let ownWriteHead = null;

/** What Express has and few ask for; made when it is first needed. */
const more = () => builtin('internal/express');

const { jsonText, respond, respondPlain } = native;
const SETTLED = PromiseResolve(undefined);

function checkStatus(code) {
  if (!NumberIsInteger(code) || code < 200 || code > 599) {
    throw rangeError('ERR_HTTP_INVALID_STATUS_CODE', 'Invalid status code: ' + SafeString(code));
  }
  return code;
}

/** Sets a field; its lower-case name. */
function setField(name, value) {
  if (state.answerBegun || isHeadWritten) throw headersSent('set');
  state.hasFields = true;
  return putField(fields, name, value);
}

function appendField(name, value) {
  if (state.answerBegun || isHeadWritten) throw headersSent('append');
  const key = fieldName(name);
  const more = fieldValue(key, value);
  const earlier = fields[key];
  state.hasFields = true;
  if (earlier === undefined) {
    fields[key] = more;
    return;
  }
  const all = ArrayIsArray(earlier) ? earlier : [earlier];
  if (ArrayIsArray(more)) for (let i = 0; i < more.length; i++) append(all, more[i]);
  else append(all, more);
  fields[key] = key === 'set-cookie' ? all : ArrayPrototypeJoin(all, ', ');
}

function bodilessFields() {
  delete fields['content-type'];
  delete fields['content-length'];
  return writeFields(fields);
}

// Node emits these after the call that caused them has returned.
function announce(isFinished) {
  hold();
  PromisePrototypeThen(SETTLED, () => {
    guarded(() => {
      if (isFinished) response.emit('finish');
      response.emit('close');
    });
    release();
  });
}

/** Lets a program that replaced `writeHead` (as `on-headers` does) have its say. */
function callWriteHead() {
  if (ownWriteHead === null || isHeadWritten) return;
  ReflectApply(ownWriteHead, response, [state.statusCode]);
  isHeadWritten = true;
}

function begin() {
  callWriteHead();
  const status = checkStatus(state.statusCode);
  const isBodiless = status === 204 || status === 304;
  const text = isBodiless ? bodilessFields() : writeFields(fields);
  writer = new BodyWriter(
    beginAnswer(status, text, () => writer.abort()),
    {
      onDrain: () => guarded(() => response.emit('drain')),
      onClose(isFinished) {
        endAnswer();
        if (response._eventsCount > 0) announce(isFinished);
      },
    },
  );
}

/** The client has gone away. As in Node, what is written then is nobody's concern. */
function isBroken() {
  return writer !== null && writer.isBroken;
}

/** A chunk as a string or bytes; other text encodings than UTF-8 become bytes. */
function chunkOf(chunk, encoding) {
  if (typeof chunk === 'string') {
    const isUtf8 = encoding === undefined || encoding === 'utf8' || encoding === 'utf-8';
    return isUtf8 || typeof encoding !== 'string' ? chunk : Buffer.from(chunk, encoding);
  }
  const bytes = viewBytes(chunk);
  if (bytes !== undefined) return bytes;
  throw typeError(
    'ERR_INVALID_ARG_TYPE',
    'The "chunk" argument must be of type string or an instance of Buffer or Uint8Array.',
  );
}

function whenDone(callback) {
  if (typeof callback === 'function') PromisePrototypeThen(SETTLED, () => guarded(callback));
}

/**
 * Sends the whole answer; `type` and `typeFields` (the same as a header section) fill in for a
 * content type that was not set.
 */
const sendWhole = function (body, type, typeFields) {
  if (state.answerBegun) throw headersSent('set');
  if (response.end !== end) {
    sendHooked(body, type);
    return;
  }
  let text = typeFields;
  if (state.hasFields) {
    if (ownWriteHead !== null) {
      sendHooked(body, type);
      return;
    }
    if (fields['content-type'] === undefined && type !== '') fields['content-type'] = type;
    if (fields.etag !== undefined || fields['last-modified'] !== undefined) checkFresh();
    text = writeFields(fields);
  }
  if (state.statusCode !== 200) {
    finishWhole(body, text);
    return;
  }
  state.answerBegun = true;
  if (!respondPlain(200, text, body)) respond(200, text, body);
  state.answerEnded = true;
  if (state.handlerReturned) endIfDone();
  if (response._eventsCount > 0) announce(true);
};

/** What the client has already is not sent again. */
function checkFresh() {
  if (request.fresh) state.statusCode = 304;
}

/** `sendWhole` for text, whose type gets a charset. */
function sendText(text, type, typeFields) {
  if (state.hasFields && !state.answerBegun) addCharset();
  sendWhole(text, type, typeFields);
}

/** Has the content type, if there is one, say the charset. */
function addCharset() {
  const type = fields['content-type'];
  if (typeof type === 'string') fields['content-type'] = withCharset(type);
}

/** `sendWhole` through what a program put in the place of `end` or `writeHead`. */
function sendHooked(body, type) {
  if (fields.etag !== undefined || fields['last-modified'] !== undefined) checkFresh();
  if (type !== '' && fields['content-type'] === undefined) fields['content-type'] = type;
  state.hasFields = true;
  if (body !== undefined && fields['content-length'] === undefined) {
    const length = typeof body === 'string' ? utf8Length(body) : body.length;
    fields['content-length'] = SafeString(length);
  }
  const chunk = isObject(body) ? bufferOf(body) : body;
  response.end(chunk, typeof body === 'string' ? 'utf8' : undefined);
}

/** The same memory as a `Buffer`; what was given stays what it is. */
function bufferOf(bytes) {
  const length = TypedArrayByteLength(bytes);
  return asBuffer(new SafeUint8Array(TypedArrayBuffer(bytes), TypedArrayByteOffset(bytes), length));
}

/** Sends the whole answer as it is, but for what the status forbids. */
function finishWhole(body, text) {
  const status = checkStatus(state.statusCode);
  if (status === 204 || status === 304) answer(status, bodilessFields(), undefined);
  else answer(status, text, status === 205 ? undefined : body);
  if (response._eventsCount > 0) announce(true);
}

/** `res`. */
class ServerResponse extends EventEmitter {
  get statusCode() {
    return state.statusCode;
  }

  set statusCode(code) {
    state.statusCode = code;
  }

  get headersSent() {
    return state.answerBegun || isHeadWritten;
  }

  // Names of Node's own that packages look at.

  get _header() {
    return this.headersSent ? writeFields(fields) : null;
  }

  get _headerSent() {
    return state.answerBegun;
  }

  get _headers() {
    return this.getHeaders();
  }

  get _closed() {
    return state.answerEnded;
  }

  _implicitHeader() {
    this.writeHead(state.statusCode);
  }

  get writableEnded() {
    return state.answerEnded || (writer !== null && writer.isEnding);
  }

  get finished() {
    return this.writableEnded;
  }

  get writableFinished() {
    return state.answerEnded;
  }

  get writableLength() {
    return writer === null ? 0 : writer.queuedBytes;
  }

  get writableHighWaterMark() {
    return 16384;
  }

  get destroyed() {
    return state.answerEnded;
  }

  get writable() {
    return !this.writableEnded;
  }

  get writableNeedDrain() {
    return writer !== null && writer.queuedBytes > 16384;
  }

  get writableCorked() {
    return 0;
  }

  get writableObjectMode() {
    return false;
  }

  get writableAborted() {
    return writer !== null && writer.isAborted;
  }

  get errored() {
    return null;
  }

  get closed() {
    return state.answerEnded;
  }

  get req() {
    return request;
  }

  // Express sets it, to the same.
  set req(_given) {}

  get socket() {
    return request.socket;
  }

  set socket(_given) {}

  get connection() {
    return request.socket;
  }

  set connection(_given) {}

  status(code) {
    state.statusCode = checkStatus(code);
    return this;
  }

  sendStatus(code) {
    this.status(code);
    const text = codes[code] ?? SafeString(code);
    this.type('txt');
    return this.send(text);
  }

  // Headers

  setHeader(name, value) {
    if (state.answerBegun || isHeadWritten) throw headersSent('set');
    state.hasFields = true;
    putField(fields, name, value);
    return this;
  }

  set(name, value) {
    if (name !== null && typeof name === 'object') {
      const names = ObjectKeys(name);
      for (let i = 0; i < names.length; i++) this.set(names[i], name[names[i]]);
      return this;
    }
    if (setField(name, value) === 'content-type') addCharset();
    return this;
  }

  header(name, value) {
    return this.set(name, value);
  }

  setHeaders(headers) {
    for (const [name, value] of headers) setField(name, value);
    return this;
  }

  get(name) {
    return this.getHeader(name);
  }

  getHeader(name) {
    return fields[fieldName(name)];
  }

  getHeaders() {
    return ObjectAssign(ObjectCreate(null), fields);
  }

  getHeaderNames() {
    return ObjectKeys(fields);
  }

  getRawHeaderNames() {
    return ObjectKeys(fields);
  }

  hasHeader(name) {
    return fields[fieldName(name)] !== undefined;
  }

  removeHeader(name) {
    if (state.answerBegun || isHeadWritten) throw headersSent('remove');
    delete fields[fieldName(name)];
  }

  append(name, value) {
    appendField(name, value);
    return this;
  }

  appendHeader(name, value) {
    appendField(name, value);
    return this;
  }

  type(type) {
    setField('content-type', contentType(typeof type === 'string' ? type : SafeString(type)));
    return this;
  }

  contentType(type) {
    return this.type(type);
  }

  vary(name) {
    more().vary(this, name);
    return this;
  }

  links(given) {
    more().links(this, given);
    return this;
  }

  location(url) {
    const isBack = url === 'back';
    const target = isBack ? (request.get('referrer') ?? '/') : SafeString(url);
    setField('location', encodeTarget(target));
    return this;
  }

  cookie(name, value, options) {
    const text = typeof value === 'object' ? 'j:' + JSONStringify(value) : SafeString(value);
    const given = { ...options };
    given.path ??= '/';
    if (given.maxAge === null) delete given.maxAge;
    if (given.maxAge !== undefined) {
      const ms = +given.maxAge;
      given.maxAge = Math.floor(ms / 1000);
      if (!NumberIsNaN(ms)) given.expires = new Date(Date.now() + ms);
    }
    if (typeof given.expires === 'number') given.expires = new Date(given.expires);
    const isSigned = given.signed;
    delete given.signed;
    const shown = isSigned ? more().signedValue(request, text) : text;
    appendField('set-cookie', stringifySetCookie(name, shown, given));
    return this;
  }

  clearCookie(name, options) {
    const given = { path: '/', ...options, expires: new Date(0), maxAge: 0 };
    delete given.signed;
    appendField('set-cookie', stringifySetCookie(name, '', given));
    return this;
  }

  get writeHead() {
    return isOurs(this) ? (ownWriteHead ?? writeHead) : writeHead;
  }

  set writeHead(given) {
    if (!isOurs(this)) {
      // A class that extends this one, or a response of its own (node/detached-response.js).
      ObjectDefineProperty(this, 'writeHead', { configurable: true, value: given, writable: true });
      return;
    }
    ownWriteHead = given === writeHead ? null : given;
    // Off the shortest way.
    state.hasFields = true;
  }

  flushHeaders() {
    if (!state.answerBegun) begin();
  }

  // Bodies

  json(value) {
    const text = jsonText(value);
    if (this.send !== send) return this.#sendReplaced(text);
    sendWhole(text, JSON_TYPE, JSON_FIELDS);
    return this;
  }

  /** As in Express, `json` goes through a `send` that was put in the place of ours. */
  #sendReplaced(text) {
    if (fields['content-type'] === undefined) setField('content-type', JSON_TYPE);
    return this.send(text ?? '');
  }

  jsonp(value) {
    return more().jsonp(this, value);
  }

  format(choices) {
    return more().format(this, choices);
  }

  attachment(name) {
    more().attachment(this, name === undefined ? undefined : SafeString(name));
    return this;
  }

  sendFile(path, options, callback) {
    more().sendFile(this, path, options, callback);
  }

  download(path, name, options, callback) {
    more().download(this, path, name, options, callback);
  }

  /** Answers with what `fetch` brought; a promise of the end. */
  pipeFrom(source) {
    return more().pipeFrom(this, source);
  }

  render() {
    throw codedError(
      'ERR_METHOD_NOT_IMPLEMENTED',
      'res.render() is not supported: there are no view engines; use res.send() with a template',
    );
  }

  send(body) {
    switch (typeof body) {
      case 'string':
        sendText(body, HTML_TYPE, HTML_FIELDS);
        return this;
      case 'undefined':
        if (state.statusCode === 200) state.statusCode = 204;
        delete fields['content-type'];
        sendWhole(undefined, '', '');
        return this;
      case 'object': {
        if (body === null) {
          sendText('', TEXT_TYPE, TEXT_FIELDS);
          return this;
        }
        const bytes = viewBytes(body);
        if (bytes === undefined) return this.json(body);
        const type = 'application/octet-stream';
        sendWhole(bytes, type, 'content-type: ' + type + '\r\n');
        return this;
      }
      default:
        sendText(SafeString(body), TEXT_TYPE, TEXT_FIELDS);
        return this;
    }
  }

  redirect(statusOrUrl, url) {
    const hasStatus = typeof statusOrUrl === 'number';
    const status = hasStatus ? statusOrUrl : 302;
    this.status(status).location(hasStatus ? url : statusOrUrl);
    const target = escapeHtml(fields.location);
    const phrase = codes[status] ?? 'Redirect';
    fields['content-type'] = HTML_TYPE;
    const link = '<a href="' + target + '">' + target + '</a>';
    const body = '<p>' + phrase + '. Redirecting to ' + link + '</p>';
    sendWhole(body, HTML_TYPE, HTML_FIELDS);
  }

  write(chunk, encoding, callback) {
    const isShort = typeof encoding === 'function';
    const part = chunkOf(chunk, isShort ? undefined : encoding);
    if (isBroken()) return false;
    if (this.writableEnded) throw codedError('ERR_STREAM_WRITE_AFTER_END', 'write after end');
    if (!state.answerBegun) begin();
    return writer.write(part, isShort ? encoding : callback);
  }

  end(chunk, encoding, callback) {
    if (typeof chunk === 'function') return ReflectApply(end, this, [undefined, undefined, chunk]);
    if (typeof encoding === 'function')
      return ReflectApply(end, this, [chunk, undefined, encoding]);
    const hasChunk = chunk !== undefined && chunk !== null;
    const part = hasChunk ? chunkOf(chunk, encoding) : undefined;
    if (this.writableEnded) {
      if (hasChunk && !isBroken()) throw codedError('ERR_STREAM_WRITE_AFTER_END', 'write after end');
      return this;
    }
    if (!state.answerBegun) {
      if (ownWriteHead !== null) callWriteHead();
      const text = state.hasFields ? writeFields(fields) : '';
      if (state.statusCode !== 200) {
        finishWhole(part, text);
      } else {
        state.answerBegun = true;
        if (!respondPlain(200, text, part)) respond(200, text, part);
        state.answerEnded = true;
        if (state.handlerReturned) endIfDone();
        if (response._eventsCount > 0) announce(true);
      }
    } else {
      if (hasChunk) writer.write(part);
      writer.end();
    }
    whenDone(callback);
    return this;
  }

  destroy(error) {
    if (writer !== null && !state.answerEnded) writer.abort();
    if (error && !state.answerBegun) fail(error);
    return this;
  }

  // Node's, without a meaning here.
  cork() {}
  uncork() {}
  addTrailers() {}
  writeContinue() {}
  writeProcessing() {}
  assignSocket() {}
  detachSocket() {}
  writeEarlyHints(_hints, callback) {
    whenDone(callback);
  }
  setTimeout() {
    return this;
  }
}

const { end, send } = ServerResponse.prototype;

/** Whether it is `res`, or the class that it is of. */
const isOurs = (self) => self === response || self === ServerResponse.prototype;

let writeHeadOfOthers = null;

/** What `writeHead` does for responses other than `res`, once there are any. */
export function setWriteHeadOfOthers(work) {
  writeHeadOfOthers = work;
}

function writeHead(status, messageOrHeaders, headers) {
  if (this !== response && writeHeadOfOthers !== null) {
    return ReflectApply(writeHeadOfOthers, this, [status, messageOrHeaders, headers]);
  }
  if (state.answerBegun || isHeadWritten) throw headersSent('write');
  state.statusCode = checkStatus(status);
  const given = typeof messageOrHeaders === 'object' ? messageOrHeaders : headers;
  if (typeof messageOrHeaders === 'string') response.statusMessage = messageOrHeaders;
  if (ArrayIsArray(given)) writeList(given);
  else if (given) {
    const names = ObjectKeys(given);
    for (let i = 0; i < names.length; i++) setField(names[i], given[names[i]]);
  }
  isHeadWritten = true;
  state.hasFields = true;
  return response;
}

/** Names and values in turn, or pairs of them. A name that is there already is replaced once. */
function writeList(given) {
  const pairs = [];
  if (ArrayIsArray(given[0])) {
    for (let i = 0; i < given.length; i++) append(pairs, given[i]);
  } else {
    if (given.length % 2 !== 0) {
      throw typeError(
        'ERR_INVALID_ARG_VALUE',
        "The argument 'headers' is invalid. Received an array of odd length",
      );
    }
    for (let i = 0; i < given.length; i += 2) append(pairs, [given[i], given[i + 1]]);
  }
  for (let i = 0; i < pairs.length; i++) delete fields[fieldName(pairs[i][0])];
  for (let i = 0; i < pairs.length; i++) appendField(pairs[i][0], pairs[i][1]);
}

const plain = ServerResponse.prototype;
plain.statusMessage = '';
plain.chunkedEncoding = false;
plain.sendDate = true;
plain.shouldKeepAlive = true;
plain.strictContentLength = false;
plain.useChunkedEncodingByDefault = true;
// By these, packages know a response of a server.
plain._defaultKeepAlive = true;
plain._removedConnection = false;
plain._removedContLen = false;
plain._removedTE = false;
plain._sent100 = false;
plain.sendfile = plain.sendFile;

const HEX = /^[0-9a-f]{2}/i;

/** What is encoded already stays so; a `%` that encodes nothing is encoded. */
function encodeTarget(url) {
  let encoded;
  try {
    encoded = encodeURI(url);
  } catch {
    return url;
  }
  let text = '';
  let start = 0;
  for (;;) {
    const at = StringPrototypeIndexOf(encoded, '%25', start);
    if (at < 0) return text + StringPrototypeSlice(encoded, start);
    const isEscape =
      RegExpPrototypeExec(HEX, StringPrototypeSlice(encoded, at + 3, at + 5)) !== null;
    text += StringPrototypeSlice(encoded, start, at) + (isEscape ? '%' : '%25');
    start = at + 3;
  }
}

function escapeHtml(text) {
  let safe = StringPrototypeReplaceAll(text, '&', '&amp;');
  safe = StringPrototypeReplaceAll(safe, '<', '&lt;');
  safe = StringPrototypeReplaceAll(safe, '>', '&gt;');
  return StringPrototypeReplaceAll(StringPrototypeReplaceAll(safe, '"', '&quot;'), "'", '&#39;');
}

export { ServerResponse };

/** The response of this sandbox. */
export const response = new ServerResponse();
response.locals = ObjectCreate(null);
setResponse(response);
