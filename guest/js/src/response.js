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
  ObjectAssign,
  ObjectCreate,
  ObjectKeys,
  PromisePrototypeThen,
  PromiseResolve,
  SafeString,
  StringPrototypeReplaceAll,
  append,
  encodeURI,
} from './primordials.js';
import { BodyWriter } from './body-writer.js';
import { Buffer } from './buffer.js';
import { viewBytes } from './encoding.js';
import { codedError, rangeError, typeError } from './errors.js';
import { fieldName, fieldValue, writeFields } from './fields.js';
import {
  answer,
  beginAnswer,
  endAnswer,
  guarded,
  headersSent,
  hold,
  release,
} from './lifecycle.js';
import { HTML_TYPE, JSON_TYPE, TEXT_TYPE, contentType, withCharset } from './mime.js';
import { request } from './request.js';

// The header section of the commonest answers, ready made.
const JSON_FIELDS = `content-type: ${JSON_TYPE}\r\n`;
const HTML_FIELDS = `content-type: ${HTML_TYPE}\r\n`;
const TEXT_FIELDS = `content-type: ${TEXT_TYPE}\r\n`;

let fields = ObjectCreate(null);
let hasFields = false;
let statusCode = 200;
let sent = false;
let ended = false;
let writer = null;

const SETTLED = PromiseResolve(undefined);

function checkStatus(code) {
  if (!NumberIsInteger(code) || code < 200 || code > 599) {
    throw rangeError('ERR_HTTP_INVALID_STATUS_CODE', 'Invalid status code: ' + SafeString(code));
  }
  return code;
}

function setField(name, value) {
  if (sent) throw headersSent('set');
  const key = fieldName(name);
  fields[key] = fieldValue(key, value);
  hasFields = true;
}

function appendField(name, value) {
  if (sent) throw headersSent('append');
  const key = fieldName(name);
  const more = fieldValue(key, value);
  const earlier = fields[key];
  hasFields = true;
  if (earlier === undefined) {
    fields[key] = more;
    return;
  }
  const all = ArrayIsArray(earlier) ? earlier : [earlier];
  if (ArrayIsArray(more)) for (let i = 0; i < more.length; i++) append(all, more[i]);
  else append(all, more);
  fields[key] = key === 'set-cookie' ? all : ArrayPrototypeJoin(all, ', ');
}

/** Sends the whole answer. `type` fills in for a content type that was not set. */
function sendWhole(response, body, type, typeFields) {
  if (sent) throw headersSent('set');
  let text = typeFields;
  if (hasFields) {
    if (type !== '' && fields['content-type'] === undefined) fields['content-type'] = type;
    text = writeFields(fields);
  }
  const status = statusCode === 200 ? 200 : checkStatus(statusCode);
  if (status === 204 || status === 304) {
    text = bodilessFields();
    body = undefined;
  }
  sent = true;
  ended = true;
  answer(status, text, body);
  if (response._eventsCount > 0) announce(response, true);
}

function bodilessFields() {
  delete fields['content-type'];
  delete fields['content-length'];
  return writeFields(fields);
}

// Node emits these after the call that caused them has returned.
function announce(response, isFinished) {
  hold();
  PromisePrototypeThen(SETTLED, () => {
    guarded(() => {
      if (isFinished) response.emit('finish');
      response.emit('close');
    });
    release();
  });
}

function begin(response) {
  const status = checkStatus(statusCode);
  const isBodiless = status === 204 || status === 304;
  const text = isBodiless ? bodilessFields() : writeFields(fields);
  sent = true;
  writer = new BodyWriter(beginAnswer(status, text, () => writer.abort()), {
    onDrain: () => guarded(() => response.emit('drain')),
    onClose(isFinished) {
      ended = true;
      endAnswer();
      if (response._eventsCount > 0) announce(response, isFinished);
    },
  });
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

/** `res`. */
class ServerResponse extends EventEmitter {
  get statusCode() {
    return statusCode;
  }

  set statusCode(code) {
    statusCode = code;
  }

  get headersSent() {
    return sent;
  }

  get writableEnded() {
    return ended || (writer !== null && writer.isEnding);
  }

  get finished() {
    return this.writableEnded;
  }

  get writableFinished() {
    return ended;
  }

  get writableLength() {
    return writer === null ? 0 : writer.queuedBytes;
  }

  get writableHighWaterMark() {
    return 16384;
  }

  get destroyed() {
    return ended;
  }

  get writable() {
    return !this.writableEnded;
  }

  get req() {
    return request;
  }

  status(code) {
    statusCode = checkStatus(code);
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
    setField(name, value);
    return this;
  }

  set(name, value) {
    if (name !== null && typeof name === 'object') {
      const names = ObjectKeys(name);
      for (let i = 0; i < names.length; i++) this.set(names[i], name[names[i]]);
      return this;
    }
    setField(name, value);
    const type = fields['content-type'];
    if (typeof type === 'string') fields['content-type'] = withCharset(type);
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

  hasHeader(name) {
    return fields[fieldName(name)] !== undefined;
  }

  removeHeader(name) {
    if (sent) throw headersSent('remove');
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
    setField('content-type', contentType(SafeString(type)));
    return this;
  }

  contentType(type) {
    return this.type(type);
  }

  vary(name) {
    const names = ArrayIsArray(name) ? ArrayPrototypeJoin(name, ', ') : SafeString(name);
    appendField('vary', names);
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
    const given = { path: '/', ...options };
    if (typeof given.maxAge === 'number') {
      given.expires = new Date(Date.now() + given.maxAge);
      given.maxAge = Math.floor(given.maxAge / 1000);
    }
    const { encode, signed: _signed, ...attributes } = given;
    appendField('set-cookie', stringifySetCookie(name, text, { ...attributes, encode }));
    return this;
  }

  clearCookie(name, options) {
    const given = { path: '/', ...options, expires: new Date(0), maxAge: 0 };
    appendField('set-cookie', stringifySetCookie(name, '', given));
    return this;
  }

  writeHead(status, messageOrHeaders, headers) {
    if (sent) throw headersSent('write');
    this.status(status);
    const given = typeof messageOrHeaders === 'object' ? messageOrHeaders : headers;
    if (ArrayIsArray(given)) {
      for (let i = 0; i + 1 < given.length; i += 2) appendField(given[i], given[i + 1]);
    } else if (given) {
      const names = ObjectKeys(given);
      for (let i = 0; i < names.length; i++) setField(names[i], given[names[i]]);
    }
    return this;
  }

  flushHeaders() {
    if (!sent) begin(this);
  }

  // Bodies

  json(value) {
    const text = JSONStringify(value);
    sendWhole(this, text, JSON_TYPE, JSON_FIELDS);
    return this;
  }

  send(body) {
    switch (typeof body) {
      case 'string':
        return this.#sendText(body, HTML_TYPE, HTML_FIELDS);
      case 'undefined':
        if (statusCode === 200) statusCode = 204;
        delete fields['content-type'];
        sendWhole(this, undefined, '', '');
        return this;
      case 'object': {
        if (body === null) return this.#sendText('', TEXT_TYPE, TEXT_FIELDS);
        const bytes = viewBytes(body);
        if (bytes === undefined) return this.json(body);
        const type = 'application/octet-stream';
        sendWhole(this, bytes, type, 'content-type: ' + type + '\r\n');
        return this;
      }
      default:
        return this.#sendText(SafeString(body), TEXT_TYPE, TEXT_FIELDS);
    }
  }

  #sendText(text, type, typeFields) {
    const given = fields['content-type'];
    if (typeof given === 'string' && !sent) fields['content-type'] = withCharset(given);
    sendWhole(this, text, type, typeFields);
    return this;
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
    sendWhole(this, body, HTML_TYPE, HTML_FIELDS);
  }

  write(chunk, encoding, callback) {
    const isShort = typeof encoding === 'function';
    const part = chunkOf(chunk, isShort ? undefined : encoding);
    if (this.writableEnded) throw codedError('ERR_STREAM_WRITE_AFTER_END', 'write after end');
    if (!sent) begin(this);
    return writer.write(part, isShort ? encoding : callback);
  }

  end(chunk, encoding, callback) {
    if (typeof chunk === 'function') return this.end(undefined, undefined, chunk);
    if (typeof encoding === 'function') return this.end(chunk, undefined, encoding);
    const hasChunk = chunk !== undefined && chunk !== null;
    const part = hasChunk ? chunkOf(chunk, encoding) : undefined;
    if (this.writableEnded) {
      if (hasChunk) throw codedError('ERR_STREAM_WRITE_AFTER_END', 'write after end');
      return this;
    }
    if (!sent) {
      sendWhole(this, part, '', '');
    } else {
      if (hasChunk) writer.write(part);
      writer.end();
    }
    whenDone(callback);
    return this;
  }

  destroy() {
    if (writer !== null && !ended) writer.abort();
    return this;
  }

  // Node's, without a meaning here.
  cork() {}
  uncork() {}
  addTrailers() {}
  writeContinue() {}
  setTimeout() {
    return this;
  }
}

ServerResponse.prototype.statusMessage = '';

function encodeTarget(url) {
  try {
    // What is encoded already stays so.
    return StringPrototypeReplaceAll(encodeURI(url), '%25', '%');
  } catch {
    return url;
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
