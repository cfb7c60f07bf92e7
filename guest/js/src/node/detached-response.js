// Responses that packages make for themselves (`light-my-request` under `fastify.inject`,
// `serverless-http`), to give an application a request that came from elsewhere. They share the
// class of `res`, and nothing else: what they are told goes to the socket they are assigned.

import EventEmitter from 'events';
import codes from 'statuses/codes.json';
import {
  ArrayIsArray,
  ObjectAssign,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  ReflectApply,
  SafeString,
  append,
} from '../primordials.js';
import { Buffer } from '../buffer.js';
import { codedError, rangeError } from '../errors.js';
import { fieldName, fieldValue } from '../fields.js';
import { headersSent } from '../lifecycle.js';
import { nextTick } from '../process.js';
import { ServerResponse, response, setWriteHeadOfOthers } from '../response.js';

/** What each of them knows. */
const states = new WeakMap();
const of = (self) => states.get(self);

const plain = ServerResponse.prototype;

function bytesOf(chunk, encoding) {
  if (typeof chunk === 'string') {
    return Buffer.from(chunk, typeof encoding === 'string' ? encoding : 'utf8');
  }
  if (chunk instanceof Uint8Array) return Buffer.from(chunk);
  throw codedError(
    'ERR_INVALID_ARG_TYPE',
    'The "chunk" argument must be of type string or an instance of Buffer or Uint8Array.',
    TypeError,
  );
}

function setField(state, name, value) {
  if (state.head) throw headersSent('set');
  const key = fieldName(name);
  state.fields[key] = { name, value: fieldValue(key, value) };
}

const isBodiless = ({ method, statusCode }) =>
  method === 'HEAD' || statusCode === 204 || statusCode === 304;

/** The head as HTTP/1.1 has it on the wire. */
function writeHeadText(self, state) {
  const message = self.statusMessage || codes[state.statusCode] || 'unknown';
  let text = `HTTP/1.1 ${state.statusCode} ${message}\r\n`;
  for (const key of ObjectKeys(state.fields)) {
    const { name, value } = state.fields[key];
    for (const one of ArrayIsArray(value) ? value : [value]) text += `${name}: ${one}\r\n`;
  }
  if (self.sendDate && state.fields.date === undefined) {
    text += `Date: ${new Date().toUTCString()}\r\n`;
  }
  const hasLength = state.fields['content-length'] !== undefined;
  const isFramed = hasLength || state.fields['transfer-encoding'] !== undefined;
  if (!isFramed && !isBodiless(state) && self.useChunkedEncodingByDefault) {
    state.isChunked = true;
    text += 'Transfer-Encoding: chunked\r\n';
  }
  return text + 'Connection: close\r\n\r\n';
}

/** Hands bytes to the socket, or keeps them until there is one. */
function send(state, bytes, callback) {
  if (state.socket === null) append(state.waiting, [bytes, callback]);
  else if (callback === undefined) state.socket.write(bytes);
  else state.socket.write(bytes, callback);
}

function sendHead(self, state) {
  if (!state.head) self.writeHead(state.statusCode);
  if (state.isHeadSent) return;
  state.isHeadSent = true;
  send(state, Buffer.from(state.head, 'latin1'));
}

const methods = {
  setHeader(name, value) {
    setField(of(this), name, value);
    return this;
  },

  setHeaders(headers) {
    for (const [name, value] of headers) this.setHeader(name, value);
    return this;
  },

  appendHeader(name, value) {
    const earlier = this.getHeader(name);
    return this.setHeader(name, earlier === undefined ? value : [].concat(earlier, value));
  },

  getHeader(name) {
    return of(this).fields[fieldName(name)]?.value;
  },

  getHeaders() {
    const { fields } = of(this);
    const table = ObjectCreate(null);
    for (const key of ObjectKeys(fields)) table[key] = fields[key].value;
    return table;
  },

  getHeaderNames() {
    return ObjectKeys(of(this).fields);
  },

  getRawHeaderNames() {
    const { fields } = of(this);
    return ObjectKeys(fields).map((key) => fields[key].name);
  },

  hasHeader(name) {
    return of(this).fields[fieldName(name)] !== undefined;
  },

  removeHeader(name) {
    const state = of(this);
    if (state.head) throw headersSent('remove');
    delete state.fields[fieldName(name)];
  },

  flushHeaders() {
    sendHead(this, of(this));
  },

  write(chunk, encoding, callback) {
    const state = of(this);
    const done = typeof encoding === 'function' ? encoding : callback;
    const bytes = bytesOf(chunk, encoding);
    if (state.isEnded) {
      const error = codedError('ERR_STREAM_WRITE_AFTER_END', 'write after end');
      nextTick(() => this.emit('error', error));
      return false;
    }
    sendHead(this, state);
    if (bytes.length === 0 || isBodiless(state)) {
      if (done !== undefined) nextTick(done);
      return true;
    }
    if (state.isChunked) send(state, Buffer.from(`${bytes.length.toString(16)}\r\n`));
    send(state, bytes, done);
    if (state.isChunked) send(state, Buffer.from('\r\n'));
    return true;
  },

  end(chunk, encoding, callback) {
    // Not `this.end`, which may be a subclass's that calls this one.
    if (typeof chunk === 'function') {
      return ReflectApply(methods.end, this, [undefined, undefined, chunk]);
    }
    if (typeof encoding === 'function') {
      return ReflectApply(methods.end, this, [chunk, undefined, encoding]);
    }
    const state = of(this);
    if (state.isEnded) return this;
    const bytes = chunk === undefined || chunk === null ? undefined : bytesOf(chunk, encoding);
    if (!state.head && state.fields['content-length'] === undefined) {
      if (!isBodiless(state)) setField(state, 'Content-Length', SafeString(bytes?.length ?? 0));
    }
    if (bytes !== undefined) ReflectApply(methods.write, this, [bytes]);
    sendHead(this, state);
    if (state.isChunked) send(state, Buffer.from('0\r\n\r\n'));
    state.isEnded = true;
    if (typeof callback === 'function') this.once('finish', callback);
    nextTick(() => {
      state.isFinished = true;
      this.emit('finish');
    });
    return this;
  },

  destroy(error) {
    const state = of(this);
    if (state.isDestroyed) return this;
    state.isDestroyed = true;
    state.socket?.destroy?.(error);
    nextTick(() => this.emit('close'));
    return this;
  },

  assignSocket(socket) {
    const state = of(this);
    state.socket = socket;
    this.emit('socket', socket);
    const { waiting } = state;
    state.waiting = [];
    for (const [bytes, callback] of waiting) send(state, bytes, callback);
  },

  detachSocket() {
    of(this).socket = null;
  },

  _implicitHeader() {
    this.writeHead(of(this).statusCode);
  },
};

function writeHead(status, messageOrHeaders, headers) {
  const state = of(this);
  if (state === undefined) throw new TypeError('writeHead was called on something else');
  if (state.head) throw headersSent('write');
  if (!(status >= 100 && status <= 999)) {
    throw rangeError('ERR_HTTP_INVALID_STATUS_CODE', `Invalid status code: ${status}`);
  }
  state.statusCode = status | 0;
  if (typeof messageOrHeaders === 'string') this.statusMessage = messageOrHeaders;
  const given = typeof messageOrHeaders === 'object' ? messageOrHeaders : headers;
  if (ArrayIsArray(given)) {
    const pairs = given.flat();
    for (let i = 0; i + 1 < pairs.length; i += 2) this.appendHeader(pairs[i], pairs[i + 1]);
  } else {
    for (const name of ObjectKeys(given ?? {})) setField(state, name, given[name]);
  }
  state.head = writeHeadText(this, state);
  if (isBodiless(state)) this._hasBody = false;
  return this;
}

const getters = {
  _closed: (state) => state.isDestroyed,
  _header: (state) => state.head,
  _headerSent: (state) => state.isHeadSent,
  closed: (state) => state.isDestroyed,
  connection: (state) => state.socket,
  destroyed: (state) => state.isDestroyed,
  finished: (state) => state.isEnded,
  headersSent: (state) => Boolean(state.head),
  req: (state) => state.req,
  socket: (state) => state.socket,
  statusCode: (state) => state.statusCode,
  writable: (state) => !state.isEnded,
  writableEnded: (state) => state.isEnded,
  writableFinished: (state) => state.isFinished,
  writableLength: () => 0,
};

const setters = {
  __proto__: null,
  _header: 'head',
  connection: 'socket',
  req: 'req',
  socket: 'socket',
  statusCode: 'statusCode',
};

/** Lets the members of the class tell these responses from `res`; not before there is one. */
function split() {
  setWriteHeadOfOthers(writeHead);
  for (const name of ObjectKeys(methods)) {
    const original = plain[name];
    const own = methods[name];
    plain[name] = function (...args) {
      return ReflectApply(states.has(this) ? own : original, this, args);
    };
  }
  for (const name of ObjectKeys(getters)) {
    const original = ObjectGetOwnPropertyDescriptor(plain, name);
    ObjectDefineProperty(plain, name, {
      configurable: true,
      get() {
        const state = of(this);
        return state === undefined ? ReflectApply(original.get, this, []) : getters[name](state);
      },
      set(value) {
        const state = of(this);
        if (state === undefined) original.set?.call(this, value);
        else if (setters[name] !== undefined) state[setters[name]] = value;
        else ObjectDefineProperty(this, name, { configurable: true, value, writable: true });
      },
    });
  }
}

let isSplit = false;

/** Makes `self` a response of its own, to `request`. */
export function detach(self, request) {
  if (self === response) return;
  if (!isSplit) split();
  isSplit = true;
  states.set(self, {
    fields: ObjectCreate(null),
    /** The head as text once it stands; packages put '' there for none. */
    head: null,
    isChunked: false,
    isDestroyed: false,
    isEnded: false,
    isFinished: false,
    isHeadSent: false,
    method: request?.method,
    req: request,
    socket: null,
    statusCode: 200,
    waiting: [],
  });
  ReflectApply(EventEmitter, self, []);
  // `_hasBody` is what Node's own has, and `light-my-request` looks at it.
  ObjectAssign(self, { statusMessage: '', _hasBody: request?.method !== 'HEAD' });
}
