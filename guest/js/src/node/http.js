// Node's `http`: the client, over the host's subrequests. There is no server: the platform is it.

import EventEmitter from 'events';
import codes from 'statuses/codes.json';
import {
  ArrayIsArray,
  ObjectAssign,
  ObjectCreate,
  ObjectKeys,
  ObjectSetPrototypeOf,
  SafeString,
  append,
  isObject,
} from '../primordials.js';
import { NativeBody } from '../body.js';
import { Buffer } from '../buffer.js';
import { joinBytes } from '../encoding.js';
import { codedError, nativeError, typeError } from '../errors.js';
import { fieldName, fieldTable, fieldValue, isToken, readFields, writeFields } from '../fields.js';
import { native, touch } from '../native.js';
import { urlToHttpOptions } from '../node-url.js';
import { nextTick } from '../process.js';
import { IncomingMessage } from '../request.js';
import { ServerResponse as PlatformResponse } from '../response.js';
import { clearTimeout, setTimeout } from '../timers.js';
import { URL } from '../url.js';
import METHODS from './methods.js';
import { detach } from './detached-response.js';
import Stream from './stream.js';

const { Writable } = Stream;

const STATUS_CODES = { ...codes };

function notSupported(what) {
  return codedError('ENOTSUP', `${what} is not supported in Ampoule`);
}

// What the host calls a failure, as Node would.
const CODES = {
  __proto__: null,
  body: 'ECONNRESET',
  closed: 'ECONNRESET',
  connect: 'ECONNREFUSED',
  denied: 'EACCES',
  dns: 'ENOTFOUND',
  invalid_url: 'ERR_INVALID_URL',
  protocol: 'EPROTO',
  redirect: 'EPROTO',
  timeout: 'ETIMEDOUT',
  tls: 'EPROTO',
};

function networkError(failure, { host, port }) {
  const code = CODES[failure.code] ?? failure.code;
  const place = port === '' ? host : `${host}:${port}`;
  let message = `${code}: ${failure.message}`;
  let syscall = 'connect';
  if (failure.code === 'dns') {
    message = `getaddrinfo ENOTFOUND ${host}`;
    syscall = 'getaddrinfo';
  } else if (failure.code === 'connect') {
    message = `connect ECONNREFUSED ${place}`;
  }
  const error = codedError(code, message);
  error.cause = nativeError(failure);
  if (failure.code === 'dns' || failure.code === 'connect') {
    ObjectAssign(error, { errno: failure.code === 'dns' ? -3008 : -111, syscall });
    if (failure.code === 'dns') error.hostname = host;
    else ObjectAssign(error, { address: host, port: +port });
  }
  return error;
}

const reset = (message) => codedError('ECONNRESET', message);

function validateHeaderName(name, label) {
  if (isToken(name)) return;
  throw typeError(
    'ERR_INVALID_HTTP_TOKEN',
    `${label || 'Header name'} must be a valid HTTP token ["${name}"]`,
  );
}

function validateHeaderValue(name, value) {
  fieldValue(name, value);
}

/** Accepted for its options; the host keeps connections by itself. */
class Agent extends EventEmitter {
  constructor(options) {
    super();
    this.options = { path: null, noDelay: true, ...options };
    this.defaultPort = 80;
    this.protocol = 'http:';
    this.requests = ObjectCreate(null);
    this.sockets = ObjectCreate(null);
    this.freeSockets = ObjectCreate(null);
    this.keepAliveMsecs = this.options.keepAliveMsecs ?? 1000;
    this.keepAlive = this.options.keepAlive ?? false;
    this.maxSockets = this.options.maxSockets ?? Infinity;
    this.maxFreeSockets = this.options.maxFreeSockets ?? 256;
    this.scheduling = this.options.scheduling ?? 'lifo';
    this.maxTotalSockets = this.options.maxTotalSockets ?? Infinity;
    this.totalSocketCount = 0;
  }

  addRequest() {}

  createConnection() {
    throw notSupported('agent.createConnection()');
  }

  createSocket() {
    throw notSupported('agent.createSocket()');
  }

  keepSocketAlive() {
    return true;
  }

  reuseSocket() {}

  destroy() {}

  getName(options = {}) {
    const { host = 'localhost', localAddress = '', port = '' } = options;
    return `${host}:${port}:${localAddress}`;
  }
}
Agent.defaultMaxSockets = Infinity;

const globalAgent = new Agent({ keepAlive: true, scheduling: 'lifo', timeout: 5000 });

/** Agents that would send a request elsewhere: leaving them out would be wrong. */
function isProxy(agent) {
  return (
    isObject(agent) && (agent.proxy !== undefined || typeof agent.getProxyForUrl === 'function')
  );
}

/** What stands for the connection, which belongs to the host. */
function makeSocket(isEncrypted) {
  const socket = new EventEmitter();
  const self = () => socket;
  return ObjectAssign(socket, {
    address: () => ({}),
    authorized: isEncrypted,
    bytesRead: 0,
    bytesWritten: 0,
    connecting: false,
    cork() {},
    destroy: self,
    destroyed: false,
    encrypted: isEncrypted,
    end: self,
    getPeerCertificate: () => ({}),
    localAddress: '127.0.0.1',
    pause: self,
    readable: true,
    ref: self,
    resume: self,
    setKeepAlive: self,
    setNoDelay: self,
    setTimeout: self,
    uncork() {},
    unref: self,
    writable: true,
  });
}

/** The answer to a request: what `'response'` brings. */
class ClientMessage extends IncomingMessage {
  #body;
  #isReading = false;

  constructor(socket, answer, request) {
    super(socket);
    this._readableState.autoDestroy = true;
    this.statusCode = answer.status;
    this.statusMessage = answer.statusText;
    this.httpVersion = '1.1';
    this.httpVersionMajor = 1;
    this.httpVersionMinor = 1;
    this.headers = fieldTable(answer.fields);
    this.rawHeaders = [];
    readFields(answer.fields, (name, value) => {
      append(this.rawHeaders, name);
      append(this.rawHeaders, value);
    });
    this.req = request;
    this.#body = answer.body === 0 ? null : new NativeBody(answer.body, null);
    // Own, because the base gives every message one that does nothing.
    this._read = () => this.#read();
  }

  #read() {
    if (this.#isReading) return;
    if (this.#body === null) {
      this.#finish();
      return;
    }
    this.#isReading = true;
    this.#body.read().then(
      (chunk) => {
        this.#isReading = false;
        this.req._active();
        if (this.destroyed) return;
        if (chunk.length === 0) this.#finish();
        else this.push(asChunk(chunk));
      },
      (error) => {
        this.#isReading = false;
        this.#body = null;
        const failure = reset('aborted');
        failure.cause = error.cause ?? error;
        this.destroy(failure);
      },
    );
  }

  #finish() {
    this.#body = null;
    this.complete = true;
    this.push(null);
  }

  _destroy(error, callback) {
    let shown = error;
    if (!this.readableEnded || !this.complete) {
      this.aborted = true;
      this.#body?.cancel();
      this.#body = null;
      this.emit('aborted');
      shown ??= this.complete ? null : reset('aborted');
    }
    this.req._answered();
    if (this.listenerCount('error') === 0) shown = null;
    nextTick(callback, shown);
  }

  _dump() {
    this.resume();
  }

  setTimeout(ms, callback) {
    this.req.setTimeout(ms, callback);
    return this;
  }
}

const asChunk = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const UNESCAPED = /[^\u0021-\u00ff]/;

function optionsOf(input, given) {
  if (typeof input === 'string') return { ...urlToHttpOptions(new URL(input)), ...given };
  if (input instanceof URL || (isObject(input) && input.href && input.searchParams)) {
    return { ...urlToHttpOptions(input), ...given };
  }
  return { ...input, ...given };
}

/** Bytes that are kept to be sent whole; with more the body is streamed. */
const WHOLE_BYTES_MAX = 65536;

const BODILESS = ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'];

/** A request on its way out. */
class ClientRequest extends Writable {
  #fields = ObjectCreate(null);
  #names = ObjectCreate(null);
  #chunks = [];
  #bytes = 0;
  /** What the host calls the operation; 0 when there is none. */
  #operation = 0;
  /** The host's body that is written to, if the body is streamed. */
  #upload = 0;
  #isStarted = false;
  #isAnswered = false;
  #timer = undefined;
  #timeout = 0;
  #signal = null;
  #onAbort = null;

  constructor(input, given, callback) {
    super({ autoDestroy: false, decodeStrings: true });
    touch('http.request()');
    const options = optionsOf(input, given);
    const agent =
      options.agent === false
        ? new Agent()
        : (options.agent ?? options._defaultAgent ?? globalAgent);
    const expected = agent.protocol ?? options._defaultAgent?.protocol ?? 'http:';
    this.protocol = options.protocol ?? options._defaultAgent?.protocol ?? expected;
    this.#check(options, agent, expected);
    this.agent = agent;
    this.method = (options.method ?? 'GET').toUpperCase();
    this.path = options.path || '/';
    this.host = SafeString(options.hostname || options.host || 'localhost');
    const usual = this.protocol === 'https:' ? 443 : 80;
    this.port = options.port ?? options.defaultPort ?? agent.defaultPort ?? usual;
    if (+this.port === usual) this.port = '';
    this.aborted = false;
    this.reusedSocket = false;
    this.maxHeadersCount = null;
    this.shouldKeepAlive = true;
    this.res = null;
    this.socket = null;
    this.#setFields(options);
    if (typeof callback === 'function') this.once('response', callback);
    if (options.timeout !== undefined) this.setTimeout(options.timeout);
    if (options.signal) this.#follow(options.signal);
    nextTick(() => this.#connect());
  }

  #check(options, agent, expected) {
    if (this.protocol !== expected) {
      throw typeError(
        'ERR_INVALID_PROTOCOL',
        `Protocol "${this.protocol}" not supported. Expected "${expected}"`,
      );
    }
    const { method, path, socketPath } = options;
    if (path && UNESCAPED.test(SafeString(path))) {
      throw typeError('ERR_UNESCAPED_CHARACTERS', 'Request path contains unescaped characters');
    }
    if (method !== undefined && method !== null && typeof method !== 'string') {
      throw typeError(
        'ERR_INVALID_ARG_TYPE',
        'The "options.method" property must be of type string.',
      );
    }
    if (method && !isToken(method)) {
      throw typeError('ERR_INVALID_HTTP_TOKEN', `Method must be a valid HTTP token ["${method}"]`);
    }
    if (socketPath) throw notSupported('http.request() to a socket path');
    if (isProxy(agent)) throw notSupported('http.request() through a proxy agent');
    if (options.cert || options.key || options.pfx) {
      throw notSupported('https.request() with a client certificate');
    }
  }

  #setFields({ auth, headers, setHost = true }) {
    if (ArrayIsArray(headers)) {
      const isFlat = !ArrayIsArray(headers[0]);
      const step = isFlat ? 2 : 1;
      for (let i = 0; i < headers.length; i += step) {
        const [name, value] = isFlat ? [headers[i], headers[i + 1]] : headers[i];
        this.appendHeader(name, value);
      }
    } else if (isObject(headers)) {
      for (const name of ObjectKeys(headers)) this.setHeader(name, headers[name]);
    }
    if (auth && !this.hasHeader('authorization')) {
      this.setHeader('Authorization', `Basic ${Buffer.from(SafeString(auth)).toString('base64')}`);
    }
    if (setHost && !this.hasHeader('host')) this.setHeader('Host', this.#place());
  }

  #place() {
    const { host, port } = this;
    const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
    return port === '' ? name : `${name}:${port}`;
  }

  #follow(signal) {
    this.#signal = signal;
    this.#onAbort = () => {
      const error = codedError('ABORT_ERR', 'The operation was aborted');
      error.name = 'AbortError';
      error.cause = signal.reason;
      this.destroy(error);
    };
    if (signal.aborted) nextTick(this.#onAbort);
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  #connect() {
    if (this.destroyed || this.socket !== null) return;
    this.socket = makeSocket(this.protocol === 'https:');
    this.emit('socket', this.socket);
    if (/100-continue/i.test(this.getHeader('expect') ?? '')) this.emit('continue');
  }

  // Headers

  get headersSent() {
    return this.#isStarted;
  }

  get _header() {
    return this.#isStarted ? writeFields(this.#fields) : null;
  }

  get finished() {
    return this.writableEnded;
  }

  get connection() {
    return this.socket;
  }

  #checkUnsent(what) {
    if (!this.#isStarted) return;
    throw codedError(
      'ERR_HTTP_HEADERS_SENT',
      `Cannot ${what} headers after they are sent to the client`,
    );
  }

  setHeader(name, value) {
    this.#checkUnsent('set');
    const key = fieldName(name);
    this.#fields[key] = fieldValue(key, value);
    this.#names[key] = name;
    return this;
  }

  setHeaders(headers) {
    for (const [name, value] of headers) this.setHeader(name, value);
    return this;
  }

  appendHeader(name, value) {
    const earlier = this.getHeader(name);
    return this.setHeader(name, earlier === undefined ? value : [].concat(earlier, value));
  }

  getHeader(name) {
    return this.#fields[fieldName(name)];
  }

  getHeaders() {
    return ObjectAssign(ObjectCreate(null), this.#fields);
  }

  getHeaderNames() {
    return ObjectKeys(this.#fields);
  }

  getRawHeaderNames() {
    return ObjectKeys(this.#fields).map((key) => this.#names[key]);
  }

  hasHeader(name) {
    return this.#fields[fieldName(name)] !== undefined;
  }

  removeHeader(name) {
    this.#checkUnsent('remove');
    delete this.#fields[fieldName(name)];
  }

  flushHeaders() {
    if (this.#isStarted || this.destroyed) return;
    const isBodiless =
      BODILESS.includes(this.method) &&
      !this.hasHeader('content-length') &&
      !this.hasHeader('transfer-encoding');
    if (isBodiless) this.#start(null);
    else this.#startUpload();
  }

  // Sending

  #url() {
    return `${this.protocol}//${this.#place()}${this.path}`;
  }

  #start(content) {
    this.#isStarted = true;
    this._active();
    this.#operation = native.fetch(
      this.method,
      this.#url(),
      writeFields(this.#fields),
      content,
      'manual',
      (answer) => this.#answer(answer),
      (failure) => {
        this.#operation = 0;
        this.destroy(networkError(failure, this));
      },
    );
  }

  #startUpload() {
    this.#upload = native.newBody();
    this.#start(this.#upload);
  }

  _write(chunk, _encoding, callback) {
    if (this.#upload === 0 && this.#isStarted) {
      callback();
      return;
    }
    if (this.#upload === 0) {
      append(this.#chunks, chunk);
      this.#bytes += chunk.length;
      if (this.#bytes <= WHOLE_BYTES_MAX) {
        callback();
        return;
      }
      this.#startUpload();
      this.#send(this.#kept(), callback);
      return;
    }
    this.#send(chunk, callback);
  }

  #kept() {
    const bytes =
      this.#chunks.length === 1 ? this.#chunks[0] : joinBytes(this.#chunks, this.#bytes);
    this.#chunks = [];
    this.#bytes = 0;
    return bytes;
  }

  /** A peer that wants no more of the body may answer all the same. */
  #send(chunk, callback) {
    native.bodyWrite(
      this.#upload,
      chunk,
      () => {
        this._active();
        callback();
      },
      () => callback(),
    );
  }

  _final(callback) {
    if (!this.#isStarted) {
      const isEmpty = this.#bytes === 0 && BODILESS.includes(this.method);
      this.#start(isEmpty ? null : this.#kept());
    } else if (this.#upload !== 0) {
      native.bodyClose(this.#upload);
    }
    callback();
  }

  // Receiving

  #answer(answer) {
    this.#operation = 0;
    if (this.destroyed) return;
    this.#isAnswered = true;
    this._active();
    this.#connect();
    const response = new ClientMessage(this.socket, answer, this);
    this.res = response;
    if (!this.emit('response', response)) response.resume();
  }

  /** The answer has come to its end, one way or the other. */
  _answered() {
    this.#stopTimer();
    if (!this.destroyed) super.destroy();
  }

  /** Something happened: the time without it begins anew. */
  _active() {
    if (this.#timeout === 0) return;
    this.#stopTimer();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.emit('timeout');
      this.socket?.emit('timeout');
    }, this.#timeout);
  }

  #stopTimer() {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  setTimeout(ms, callback) {
    const time = +ms;
    if (typeof callback === 'function') this.once('timeout', callback);
    this.#stopTimer();
    this.#timeout = time > 0 ? time : 0;
    this.timeout = this.#timeout;
    this._active();
    return this;
  }

  clearTimeout(callback) {
    this.setTimeout(0, callback);
  }

  abort() {
    if (this.aborted) return;
    this.aborted = true;
    nextTick(() => this.emit('abort'));
    this.destroy();
  }

  _destroy(error, callback) {
    this.#stopTimer();
    if (this.#onAbort !== null) this.#signal.removeEventListener('abort', this.#onAbort);
    if (this.#operation !== 0) native.cancel(this.#operation);
    this.#operation = 0;
    if (this.#upload !== 0 && !this.writableFinished) native.bodyAbort(this.#upload);
    let shown = error;
    if (!this.#isAnswered) shown ??= reset('socket hang up');
    else if (this.res.complete !== true && !this.res.destroyed) this.res.destroy(error);
    if (this.#isAnswered && this.res.destroyed && error === null) shown = null;
    callback(shown);
  }

  setNoDelay() {}
  setSocketKeepAlive() {}
  onSocket() {}
}

/** `http.ServerResponse`: the class of `res`, and of responses that packages make themselves. */
function ServerResponse(request) {
  detach(this, request);
}
ServerResponse.prototype = PlatformResponse.prototype;
ObjectSetPrototypeOf(ServerResponse, EventEmitter);

/**
 * `http.Server`, so that programs which make one load: it emits what is emitted on it, such as the
 * `request` by which frameworks are given requests, and cannot listen.
 */
class Server extends EventEmitter {
  constructor(options, listener) {
    super();
    const onRequest = typeof options === 'function' ? options : listener;
    if (onRequest !== undefined) this.on('request', onRequest);
    this.listening = false;
    this.maxHeadersCount = null;
    this.maxRequestsPerSocket = 0;
    this.timeout = 0;
    this.keepAliveTimeout = 5000;
    this.headersTimeout = 60000;
    this.requestTimeout = 300000;
  }

  listen() {
    throw codedError(
      'ENOTSUP',
      'server.listen() is not supported in Ampoule: functions cannot listen; ' +
        'export a handler (module.exports = (req, res) => …) instead',
    );
  }

  address() {
    return null;
  }

  close(callback) {
    if (typeof callback === 'function') {
      nextTick(callback, codedError('ERR_SERVER_NOT_RUNNING', 'Server is not running.'));
    }
    return this;
  }

  setTimeout(timeout) {
    if (typeof timeout === 'number') this.timeout = timeout;
    return this;
  }

  ref() {
    return this;
  }

  unref() {
    return this;
  }

  closeAllConnections() {}
  closeIdleConnections() {}
}

function createServer(options, listener) {
  return new Server(options, listener);
}

function splitArguments(input, options, callback) {
  return typeof options === 'function' ? [input, undefined, options] : [input, options, callback];
}

function request(...args) {
  return new ClientRequest(...splitArguments(...args));
}

function get(...args) {
  const made = request(...args);
  made.end();
  return made;
}

/** `https`, which is the same with other defaults. */
export function secure() {
  class SecureAgent extends Agent {
    constructor(options) {
      super(options);
      this.defaultPort = 443;
      this.protocol = 'https:';
      this.maxCachedSessions = 100;
    }
  }
  const agent = new SecureAgent({ keepAlive: true, scheduling: 'lifo', timeout: 5000 });
  const start = (...args) => {
    const [input, options, callback] = splitArguments(...args);
    const whole = optionsOf(input, options);
    return new ClientRequest({ ...whole, _defaultAgent: agent }, undefined, callback);
  };
  return {
    Agent: callable(SecureAgent),
    Server: callable(Server),
    createServer,
    get(...args) {
      const made = start(...args);
      made.end();
      return made;
    },
    globalAgent: agent,
    request: start,
  };
}

/** A class that may be called without `new`, as Node's older ones. */
function callable(Class) {
  return new Proxy(Class, { apply: (_target, _self, args) => new Class(...args) });
}

export default {
  Agent: callable(Agent),
  ClientRequest,
  IncomingMessage,
  METHODS,
  OutgoingMessage: ServerResponse,
  STATUS_CODES,
  Server: callable(Server),
  ServerResponse,
  createServer,
  get,
  globalAgent,
  maxHeaderSize: 16384,
  request,
  setMaxIdleHTTPParsers() {},
  validateHeaderName,
  validateHeaderValue,
};
