// `Request` and `Response` (Fetch standard).

import {
  JSONStringify,
  NumberIsInteger,
  ObjectCreate,
  ObjectDefineProperty,
  SafeRangeError,
  SafeString,
  SafeTypeError,
  StringPrototypeToUpperCase,
  isObject,
} from './primordials.js';
import { AbortController, isAbortSignal } from './abort.js';
import {
  Body,
  INCOMING,
  NativeBody,
  extractBody,
  hasBody,
  setBody,
  shareBody,
  takeBody,
} from './body.js';
import { isFieldValue, isToken } from './fields.js';
import {
  Headers,
  copyHeaders,
  freezeHeaders,
  headersFromText,
  setDefaultHeader,
} from './headers.js';
import { invalidUrl, normalUrl } from './url.js';

const INTERNAL = Symbol('internal');

// Methods that are written in capitals whatever was given; others stay as they are.
const NORMAL = ObjectCreate(null);
for (const method of ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH']) {
  NORMAL[method] = true;
}

function checkMethod(given) {
  const method = SafeString(given);
  const upper = StringPrototypeToUpperCase(method);
  if (!isToken(method) || upper === 'CONNECT' || upper === 'TRACE' || upper === 'TRACK') {
    throw new SafeTypeError(`'${method}' is not a valid HTTP method.`);
  }
  return NORMAL[upper] === true ? upper : method;
}

function checkUrl(input) {
  const given = SafeString(input);
  const url = normalUrl(given);
  if (url !== null) return url;
  const cause = invalidUrl(given);
  const error = new SafeTypeError(`Failed to parse URL from ${given}`, { cause });
  error.code = cause.code;
  throw error;
}

function checkRedirect(mode) {
  if (mode === 'follow' || mode === 'error' || mode === 'manual') return mode;
  throw new SafeTypeError(`Request: "${mode}" is not a valid redirect mode.`);
}

function checkSignal(signal) {
  if (signal === null || signal === undefined) return null;
  if (isAbortSignal(signal)) return signal;
  throw new SafeTypeError('Request: signal must be an AbortSignal.');
}

/** `Request`. */
export class Request extends Body {
  #method = 'GET';
  #url = '';
  #headers = null;
  #redirect = 'follow';
  #signal = null;
  #incoming = null;
  #init;

  constructor(input, init = undefined) {
    super();
    if (input === INTERNAL) {
      this.#incoming = init;
      this.#method = init.method;
      if (init.bodyLength > 0) setBody(this, INCOMING);
      return;
    }
    if (arguments.length === 0) {
      throw new SafeTypeError('Request constructor: 1 argument required, but only 0 present.');
    }
    const from = isObject(input) && #method in input ? input : null;
    const given = init ?? ObjectCreate(null);
    this.#init = given;
    if (from !== null) this.#copy(from);
    else this.#url = checkUrl(input);
    if (given.method !== undefined) this.#method = checkMethod(given.method);
    if (given.redirect !== undefined) this.#redirect = checkRedirect(given.redirect);
    if (given.signal !== undefined) this.#signal = checkSignal(given.signal);
    if (given.headers !== undefined) this.#headers = new Headers(given.headers);
    this.#headers ??= new Headers();
    this.#setContent(from, given);
  }

  #copy(from) {
    this.#url = from.url;
    this.#method = from.#method;
    this.#redirect = from.#redirect;
    this.#signal = from.#signal;
    this.#headers = copyHeaders(from.headers);
  }

  #setContent(from, given) {
    const hasOwn = given.body !== undefined && given.body !== null;
    const hasContent = hasOwn || (from !== null && hasBody(from));
    if (hasContent && (this.#method === 'GET' || this.#method === 'HEAD')) {
      throw new SafeTypeError('Request with GET/HEAD method cannot have body.');
    }
    if (hasOwn) {
      const { source, type } = extractBody(given.body);
      if (source.kind === 'stream' && given.duplex === undefined) {
        throw new SafeTypeError('RequestInit: duplex option is required when sending a body.');
      }
      setBody(this, source);
      if (type !== null) setDefaultHeader(this.#headers, 'content-type', type);
    } else if (hasContent) {
      setBody(this, takeBody(from));
    }
  }

  get method() {
    return this.#method;
  }

  get url() {
    if (this.#url === '') this.#url = incomingUrl(this.#incoming);
    return this.#url;
  }

  get headers() {
    this.#headers ??= headersFromText(this.#incoming.fields, false);
    return this.#headers;
  }

  get redirect() {
    return this.#redirect;
  }

  get signal() {
    this.#signal ??= new AbortController().signal;
    return this.#signal;
  }

  get duplex() {
    return 'half';
  }

  get destination() {
    return '';
  }

  get referrer() {
    return 'about:client';
  }

  get referrerPolicy() {
    return '';
  }

  get mode() {
    return this.#init?.mode ?? 'cors';
  }

  get credentials() {
    return this.#init?.credentials ?? 'same-origin';
  }

  get cache() {
    return this.#init?.cache ?? 'default';
  }

  get integrity() {
    return this.#init?.integrity ?? '';
  }

  get keepalive() {
    return Boolean(this.#init?.keepalive);
  }

  clone() {
    const clone = new Request(this.url, {
      method: this.#method,
      headers: this.headers,
      redirect: this.#redirect,
      signal: this.#signal,
    });
    setBody(clone, shareBody(this));
    return clone;
  }

  /** The signal, if there is one. */
  static signal(request) {
    return request.#signal;
  }
}

const { signal: requestSignal } = Request;
delete Request.signal;
export { requestSignal };

function incomingUrl({ fields, isSecure, target }) {
  const scheme = isSecure ? 'https' : 'http';
  const host = headersFromText(fields, true).get('host') ?? 'localhost';
  return normalUrl(scheme + '://' + host + target) ?? scheme + '://localhost' + target;
}

/** The request that this sandbox was made for. */
export function incomingRequest(parts) {
  return new Request(INTERNAL, parts);
}

const isNullBodyStatus = (status) =>
  status === 101 || status === 103 || status === 204 || status === 205 || status === 304;

function checkStatus(given) {
  const status = given === undefined ? 200 : +given;
  if (NumberIsInteger(status) && status >= 200 && status <= 599) return status;
  throw new SafeRangeError('init["status"] must be in the range of 200 to 599, inclusive.');
}

/** `Response`. */
export class Response extends Body {
  #status = 200;
  #statusText = '';
  #headers = null;
  #url = '';
  #redirected = false;
  #type = 'default';
  #isForeign = false;

  constructor(body = null, init = undefined) {
    super();
    if (body === INTERNAL) {
      init(this);
      return;
    }
    if (init !== undefined && init !== null) {
      this.#status = checkStatus(init.status);
      if (init.statusText !== undefined) {
        const text = `${init.statusText}`;
        if (!isFieldValue(text)) throw new SafeTypeError('Invalid statusText');
        this.#statusText = text;
      }
      if (init.headers !== undefined) this.#headers = new Headers(init.headers);
    }
    if (body === null || body === undefined) return;
    const { source, type } = extractBody(body);
    if (isNullBodyStatus(this.#status)) {
      throw new SafeTypeError(`Response constructor: Invalid response status code ${this.#status}`);
    }
    setBody(this, source);
    if (type !== null) setDefaultHeader(this.headers, 'content-type', type);
  }

  get status() {
    return this.#status;
  }

  get statusText() {
    return this.#statusText;
  }

  get ok() {
    return this.#status >= 200 && this.#status <= 299;
  }

  get headers() {
    this.#headers ??= new Headers();
    return this.#headers;
  }

  get url() {
    return this.#url;
  }

  get redirected() {
    return this.#redirected;
  }

  get type() {
    return this.#type;
  }

  clone() {
    return new Response(INTERNAL, (clone) => {
      setBody(clone, shareBody(this));
      clone.#status = this.#status;
      clone.#statusText = this.#statusText;
      clone.#headers = copyHeaders(this.headers);
      clone.#url = this.#url;
      clone.#redirected = this.#redirected;
      clone.#type = this.#type;
      clone.#isForeign = this.#isForeign;
      if (this.#type !== 'default') freezeHeaders(clone.#headers);
    });
  }

  static error() {
    return new Response(INTERNAL, (response) => {
      response.#status = 0;
      response.#type = 'error';
      response.#headers = headersFromText('', true);
    });
  }

  static redirect(url, status = 302) {
    const target = checkUrl(url);
    if (![301, 302, 303, 307, 308].includes(status)) {
      throw new SafeRangeError(`Invalid status code ${status}`);
    }
    return new Response(null, { status, headers: { location: target } });
  }

  static json(data, init = undefined) {
    const text = JSONStringify(data);
    if (text === undefined) throw new SafeTypeError('Value is not JSON serializable');
    const response = new Response(text, init);
    if (init?.headers === undefined) response.headers.set('content-type', 'application/json');
    else if (!new Headers(init.headers).has('content-type')) {
      response.headers.set('content-type', 'application/json');
    }
    return response;
  }

  /** The answer to a subrequest, from what the host says of it. */
  static fromNative({ status, statusText, fields, url, redirected, body }, signal) {
    return new Response(INTERNAL, (response) => {
      response.#status = status;
      response.#statusText = statusText;
      response.#headers = headersFromText(fields, true);
      response.#url = url;
      response.#redirected = redirected;
      response.#type = 'basic';
      response.#isForeign = true;
      if (body !== 0) {
        setBody(response, { kind: 'native', body: new NativeBody(body, signal) });
      }
    });
  }

  static isResponse(value) {
    return isObject(value) && #status in value;
  }

  /** Whether it came from the network, so that its fields speak of another connection. */
  static isForeign(response) {
    return response.#isForeign;
  }
}

const { fromNative, isForeign, isResponse } = Response;
for (const name of ['fromNative', 'isForeign', 'isResponse']) delete Response[name];
export { fromNative as responseFromNative, isForeign as isForeignResponse, isResponse };

for (const constructor of [Request, Response]) {
  ObjectDefineProperty(constructor.prototype, Symbol.toStringTag, {
    configurable: true,
    value: constructor.name,
  });
}
