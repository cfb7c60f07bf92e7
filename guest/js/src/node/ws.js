// `ws` as far as it is a client, for deployments that do not bring the package themselves.
//
// Same names, events and errors as version 8 of the package; the host does what is its socket's.

import EventEmitter from 'events';
import {
  ArrayIsArray,
  ArrayPrototypeJoin,
  ObjectAssign,
  ObjectDefineProperty,
  SafeError,
  SafeRangeError,
  SafeSyntaxError,
  SafeTypeError,
  TypedArrayBuffer,
  isObject,
} from '../primordials.js';
import { Blob, blobBytes } from '../blob.js';
import { Buffer, asBuffer } from '../buffer.js';
import { utf8Length, viewBytes } from '../encoding.js';
import { codedError } from '../errors.js';
import { native } from '../native.js';
import { clearTimeout, setTimeout } from '../timers.js';
import { checkProtocols, handshakeFields, withoutCredentials } from '../websocket.js';
import {
  Connection,
  MESSAGE_BYTES_MAX,
  messageBytes,
  messageTooLarge,
  parseUrl,
} from '../websocket-connection.js';

const STATES = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'];
const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3];
const BINARY_TYPES = ['nodebuffer', 'arraybuffer', 'fragments', 'blob'];
const CONTROL_BYTES_MAX = 125;

function checkAddress(address) {
  const parsed = parseUrl(`${isObject(address) && 'href' in address ? address.href : address}`);
  if (parsed.problem === undefined) return parsed;
  if (parsed.problem === 'invalid') throw new SafeSyntaxError(`Invalid URL: ${address}`);
  if (parsed.problem === 'fragment') {
    throw new SafeSyntaxError('The URL contains a fragment identifier');
  }
  const known = '"ws:", "wss:", "http:", "https:", or "ws+unix:"';
  throw new SafeSyntaxError(`The URL's protocol must be one of ${known}`);
}

function checkNames(protocols) {
  if (protocols === undefined || protocols === null) return [];
  const list = ArrayIsArray(protocols) ? protocols : [protocols];
  try {
    return checkProtocols(list);
  } catch {
    throw new SafeSyntaxError('An invalid or duplicated subprotocol was specified');
  }
}

function fieldsOf(options, parsed) {
  const given = { __proto__: null };
  if (options.origin !== undefined) given.origin = options.origin;
  const headers = options.headers ?? {};
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (value === undefined) continue;
    given[name] = ArrayIsArray(value) ? ArrayPrototypeJoin(value, ', ') : `${value}`;
  }
  const at = typeof options.auth === 'string' ? options.auth.indexOf(':') : -1;
  if (at < 0) return handshakeFields(given, parsed);
  const pair = {
    user: encodeURIComponent(options.auth.slice(0, at)),
    password: encodeURIComponent(options.auth.slice(at + 1)),
  };
  return handshakeFields(given, pair);
}

function toBytes(data) {
  if (data instanceof Blob) return blobBytes(data);
  return viewBytes(data) ?? Buffer.from(data);
}

function isCloseCode(code) {
  if (typeof code !== 'number') return false;
  const isAssigned =
    code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
  return isAssigned || (code >= 3000 && code <= 4999);
}

/** `WebSocket` of `ws`: a client. */
class WebSocket extends EventEmitter {
  #url;
  #connection;
  #state = CONNECTING;
  #protocol = '';
  #binaryType = 'nodebuffer';
  #isPaused = false;
  #maxPayload;
  #handshakeTimer = null;
  #lost = 0;
  #wasClean = false;

  constructor(address, protocols = undefined, options = undefined) {
    super();
    if (address === null) throw notSupported('new WebSocket(null)');
    if (isObject(protocols) && !ArrayIsArray(protocols)) {
      options = protocols;
      protocols = undefined;
    }
    const given = options ?? {};
    const version = given.protocolVersion ?? 13;
    if (version !== 8 && version !== 13) {
      throw new SafeRangeError(
        `Unsupported protocol version: ${version} (supported versions: 8, 13)`,
      );
    }
    const parsed = checkAddress(address);
    const names = checkNames(protocols);
    this.#url = parsed.url;
    this.#maxPayload = given.maxPayload > 0 ? given.maxPayload : MESSAGE_BYTES_MAX;
    const fields = fieldsOf(given, parsed);
    this.#connection = new Connection(withoutCredentials(parsed), names, fields, {
      opened: (protocol) => this.#opened(protocol),
      received: (kind, data) => this.#received(kind, data),
      closing: () => {
        this.#state = CLOSING;
      },
      closed: (code, reason, wasClean, error) => {
        this.#wasClean = wasClean;
        this.#closed(code, reason, error);
      },
    });
    if (given.handshakeTimeout > 0) {
      this.#handshakeTimer = setTimeout(() => {
        this.#state = CLOSING;
        this.#connection.terminate(new SafeError('Opening handshake has timed out'));
      }, given.handshakeTimeout);
    }
  }

  get url() {
    return this.#url;
  }

  get readyState() {
    return this.#state;
  }

  get protocol() {
    return this.#protocol;
  }

  get extensions() {
    return '';
  }

  get bufferedAmount() {
    return this.#connection.buffered + this.#lost;
  }

  get isPaused() {
    return this.#isPaused;
  }

  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(type) {
    if (BINARY_TYPES.includes(type)) this.#binaryType = type;
  }

  send(data, options = undefined, callback = undefined) {
    if (typeof options === 'function') {
      callback = options;
      options = undefined;
    }
    if (options?.fin === false) throw notSupported('send() of a fragment');
    let payload = typeof data === 'number' ? `${data}` : data || new Uint8Array(0);
    const isBinary = options?.binary ?? typeof payload !== 'string';
    if (isBinary || typeof payload !== 'string') payload = toBytes(payload);
    if (!isBinary && typeof payload !== 'string') payload = native.utf8Decode(payload, false);
    this.#send(isBinary ? 'binary' : 'text', payload, callback);
  }

  ping(data = undefined, mask = undefined, callback = undefined) {
    this.#control('ping', data, mask, callback);
  }

  pong(data = undefined, mask = undefined, callback = undefined) {
    this.#control('pong', data, mask, callback);
  }

  close(code = undefined, reason = undefined) {
    if (this.#state === CLOSING || this.#state === CLOSED) return;
    if (code !== undefined && !isCloseCode(code)) {
      throw new SafeTypeError('First argument must be a valid error code number');
    }
    const text = code === undefined || !reason ? '' : Buffer.from(reason).toString();
    if (utf8Length(text) > CONTROL_BYTES_MAX - 2) {
      throw new SafeRangeError('The message must not be greater than 123 bytes');
    }
    this.#state = CLOSING;
    this.#connection.close(code, text);
  }

  terminate() {
    if (this.#state === CONNECTING) {
      this.close();
    } else if (this.#state !== CLOSED) {
      this.#state = CLOSING;
      this.#connection.terminate();
    }
  }

  pause() {
    if (this.#state !== OPEN && this.#state !== CLOSING) return;
    this.#isPaused = true;
    this.#connection.pause();
  }

  resume() {
    if (this.#state !== OPEN && this.#state !== CLOSING) return;
    this.#isPaused = false;
    this.#connection.resume();
  }

  addEventListener(type, handler, options = {}) {
    for (const known of this.rawListeners(type)) if (known.listener === handler) return;
    const wrapped = (...args) => {
      if (options.once) this.removeListener(type, wrapped);
      const event = { type, target: this, ...this.#details(type, args) };
      if (typeof handler === 'function') handler.call(this, event);
      else handler.handleEvent(event);
    };
    wrapped.listener = handler;
    this.on(type, wrapped);
  }

  removeEventListener(type, handler) {
    // Another name for the same: the emitter looks for `listener` as well.
    this.removeListener(type, handler);
  }

  #details(type, args) {
    if (type === 'message') return { data: args[1] ? args[0] : args[0].toString() };
    if (type === 'error') return { error: args[0], message: args[0].message };
    if (type !== 'close') return {};
    return { code: args[0], reason: args[1].toString(), wasClean: this.#wasClean };
  }

  #send(kind, payload, callback) {
    if (this.#state === CONNECTING) throw notOpen(CONNECTING);
    const bytes = messageBytes(payload);
    if (this.#state !== OPEN) {
      this.#lost += bytes;
      if (callback) callback(notOpen(this.#state));
      return;
    }
    if (bytes > MESSAGE_BYTES_MAX) {
      if (!callback) throw messageTooLarge();
      callback(messageTooLarge());
      return;
    }
    this.#connection.send(kind, payload, callback && ((error) => callback(error)));
  }

  #control(kind, data, mask, callback) {
    if (typeof data === 'function') [data, callback] = [undefined, data];
    else if (typeof mask === 'function') callback = mask;
    const text = typeof data === 'number' ? `${data}` : data;
    const payload = toBytes(text || new Uint8Array(0));
    if (payload.length > CONTROL_BYTES_MAX) {
      throw new SafeRangeError('The data size must not be greater than 125 bytes');
    }
    this.#send(kind, payload, callback);
  }

  #opened(protocol) {
    this.#stopTimer();
    this.#protocol = protocol;
    this.#state = OPEN;
    this.emit('open');
  }

  #received(kind, data) {
    if (kind === 'ping' || kind === 'pong') {
      this.emit(kind, asBuffer(data));
      return;
    }
    const isBinary = kind === 'binary';
    const bytes = isBinary ? data : native.utf8Encode(data);
    if (bytes.length > this.#maxPayload) {
      const error = codedError(
        'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
        'Max payload size exceeded',
        SafeRangeError,
      );
      this.#state = CLOSING;
      this.#connection.close(1009);
      this.emit('error', error);
      return;
    }
    this.emit('message', isBinary ? this.#binary(bytes) : asBuffer(bytes), isBinary);
  }

  #binary(bytes) {
    if (this.#binaryType === 'arraybuffer') return TypedArrayBuffer(bytes);
    if (this.#binaryType === 'blob') return new Blob([bytes]);
    return this.#binaryType === 'fragments' ? [asBuffer(bytes)] : asBuffer(bytes);
  }

  #closed(code, reason, error) {
    this.#stopTimer();
    this.#state = CLOSED;
    if (error !== undefined) this.emit('error', error);
    this.emit('close', code, Buffer.from(reason));
  }

  #stopTimer() {
    if (this.#handshakeTimer !== null) clearTimeout(this.#handshakeTimer);
    this.#handshakeTimer = null;
  }
}

function notOpen(state) {
  return new SafeError(`WebSocket is not open: readyState ${state} (${STATES[state]})`);
}

function notSupported(what) {
  return codedError('ENOTSUP', `${what} is not supported in Ampoule: ws is a client only`);
}

for (let state = 0; state < STATES.length; state++) {
  const property = { enumerable: true, value: state };
  ObjectDefineProperty(WebSocket, STATES[state], property);
  ObjectDefineProperty(WebSocket.prototype, STATES[state], property);
}

for (const type of ['open', 'message', 'error', 'close']) {
  const handlers = new WeakMap();
  ObjectDefineProperty(WebSocket.prototype, `on${type}`, {
    configurable: true,
    enumerable: true,
    get() {
      return handlers.get(this) ?? null;
    },
    set(handler) {
      const earlier = handlers.get(this);
      if (earlier !== undefined) this.removeEventListener(type, earlier);
      handlers.delete(this);
      if (typeof handler !== 'function') return;
      handlers.set(this, handler);
      this.addEventListener(type, handler);
    },
  });
}

/** Servers need a socket that listens, which no function has. */
class WebSocketServer extends EventEmitter {
  constructor() {
    super();
    throw notSupported('WebSocketServer');
  }
}

function createWebSocketStream() {
  throw notSupported('createWebSocketStream()');
}

export default ObjectAssign(WebSocket, {
  Server: WebSocketServer,
  WebSocket,
  WebSocketServer,
  createWebSocketStream,
});
