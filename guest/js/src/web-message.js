// `Request` and `Response` (Fetch standard).

import {
  NumberIsInteger,
  ObjectCreate,
  ObjectKeys,
  SafeRangeError,
  SafeString,
  SafeTypeError,
  StringPrototypeToUpperCase,
  isObject,
} from './primordials.js';
import { AbortController, AbortSignal, isAbortSignal } from './abort.js';
import {
  Body,
  INCOMING,
  NativeBody,
  asBodyInterface,
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
import { native } from './native.js';
import { hasCredentials, invalidUrl, normalUrl } from './url.js';
import { domText } from './webidl.js';

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

function checkTarget(input) {
  const url = checkUrl(input);
  if (!hasCredentials(url)) return url;
  throw new SafeTypeError(
    `Request cannot be constructed from a URL that includes credentials: ${input}`,
  );
}

/** The options that nothing here acts on, besides `redirect`: their values, the default first. */
const CHOICES = {
  __proto__: null,
  cache: ['default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached'],
  credentials: ['same-origin', 'omit', 'include'],
  mode: ['cors', 'same-origin', 'no-cors'],
  redirect: ['follow', 'error', 'manual'],
  referrerPolicy: [
    '',
    'no-referrer',
    'no-referrer-when-downgrade',
    'same-origin',
    'origin',
    'strict-origin',
    'origin-when-cross-origin',
    'strict-origin-when-cross-origin',
    'unsafe-url',
  ],
};

function checkChoice(name, given) {
  const value = domText(given);
  if (CHOICES[name].includes(value)) return value;
  throw new SafeTypeError(
    `Request constructor: ${value} is not an accepted type. ` +
      `Expected one of ${CHOICES[name].join(', ')}.`,
  );
}

/** What `init` says besides method, headers, body and signal, over what was said before. */
function checkSettings(given, earlier) {
  let settings = earlier;
  const change = (name, value) => {
    settings = { ...settings, [name]: value };
  };
  for (const name of ObjectKeys(CHOICES)) {
    if (given[name] !== undefined) change(name, checkChoice(name, given[name]));
  }
  if (given.integrity !== undefined) change('integrity', domText(given.integrity));
  if (given.keepalive !== undefined) change('keepalive', Boolean(given.keepalive));
  if (given.referrer !== undefined) change('referrer', checkReferrer(domText(given.referrer)));
  if (given.window !== undefined && given.window !== null) {
    throw new SafeTypeError(`'window' option '${given.window}' must be null`);
  }
  if (given.duplex !== undefined && given.duplex !== 'half') {
    throw new SafeTypeError(
      `Request constructor: ${given.duplex} is not an accepted type. Expected one of half.`,
    );
  }
  if (settings?.cache === 'only-if-cached' && settings.mode !== 'same-origin') {
    throw new SafeTypeError("'only-if-cached' can be set only with 'same-origin' mode");
  }
  return settings;
}

function checkReferrer(referrer) {
  if (referrer === '') return '';
  const url = normalUrl(referrer);
  if (url === null) throw new SafeTypeError(`Referrer "${referrer}" is not a valid URL.`);
  return 'about:client';
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
  /** What the options say besides, or null if they are all as usual. */
  #settings = null;
  /** The signal that stops the request, or null. */
  #source = null;
  /** What `signal` answers: one that follows the source. */
  #signal = null;
  #incoming = null;

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
    if (init !== undefined && init !== null && !isObject(init)) {
      throw new SafeTypeError('Request constructor: the second argument is not an object.');
    }
    const given = init ?? ObjectCreate(null);
    if (from !== null) this.#copy(from);
    else this.#url = checkTarget(input);
    if (init !== undefined && init !== null) this.#settings = checkSettings(given, this.#settings);
    if (given.method !== undefined) this.#method = checkMethod(given.method);
    const isSimple = this.#method === 'GET' || this.#method === 'HEAD' || this.#method === 'POST';
    if (this.#settings?.mode === 'no-cors' && !isSimple) {
      throw new SafeTypeError(`'${this.#method} is unsupported in no-cors mode.`);
    }
    if (given.signal !== undefined) this.#source = checkSignal(given.signal);
    if (given.headers !== undefined) this.#headers = new Headers(given.headers);
    this.#headers ??= new Headers();
    this.#setContent(from, given);
  }

  #copy(from) {
    this.#url = from.url;
    this.#method = from.#method;
    this.#settings = from.#settings;
    this.#source = from.#source ?? from.#signal;
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
    return this.#settings?.redirect ?? 'follow';
  }

  get signal() {
    this.#signal ??= this.#source === null ? newSignal() : AbortSignal.any([this.#source]);
    return this.#signal;
  }

  get duplex() {
    return 'half';
  }

  get destination() {
    return '';
  }

  get referrer() {
    return this.#settings?.referrer ?? 'about:client';
  }

  get referrerPolicy() {
    return this.#settings?.referrerPolicy ?? '';
  }

  get mode() {
    return this.#settings?.mode ?? 'cors';
  }

  get credentials() {
    return this.#settings?.credentials ?? 'same-origin';
  }

  get cache() {
    return this.#settings?.cache ?? 'default';
  }

  get integrity() {
    return this.#settings?.integrity ?? '';
  }

  get keepalive() {
    return this.#settings?.keepalive ?? false;
  }

  get isReloadNavigation() {
    return false;
  }

  get isHistoryNavigation() {
    return false;
  }

  clone() {
    const source = shareBody(this);
    const clone = new Request(INTERNAL, { method: this.#method, bodyLength: 0 });
    clone.#incoming = null;
    clone.#copy(this);
    setBody(clone, source);
    return clone;
  }

  /** The signal, if there is one. */
  static signal(request) {
    return request.#source ?? request.#signal;
  }
}

const newSignal = () => new AbortController().signal;

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
      if (!isObject(init)) {
        throw new SafeTypeError('Response constructor: the second argument is not an object.');
      }
      this.#status = checkStatus(init.status);
      if (init.statusText !== undefined) {
        const text = domText(init.statusText);
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
    const response = new Response(null, { status, headers: { location: target } });
    freezeHeaders(response.#headers);
    return response;
  }

  static json(data, init = undefined) {
    const text = native.jsonText(data);
    if (text === undefined) throw new SafeTypeError('Value is not JSON serializable');
    const { source } = extractBody(text);
    const response = new Response(null, init);
    if (isNullBodyStatus(response.#status)) {
      throw new SafeTypeError(
        `Response constructor: Invalid response status code ${response.#status}`,
      );
    }
    setBody(response, source);
    setDefaultHeader(response.headers, 'content-type', 'application/json');
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

asBodyInterface(Request, 'Request');
asBodyInterface(Response, 'Response');
