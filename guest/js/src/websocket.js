// The global `WebSocket` (WebSockets standard), a client. Made at its first use: see globals.js.

import {
  MathMin,
  MathRound,
  RegExpPrototypeExec,
  TypedArrayBuffer,
  append,
  isObject,
} from './primordials.js';
import { Blob, blobBytes } from './blob.js';
import { DOMException } from './dom-exception.js';
import { utf8Length, viewBytes } from './encoding.js';
import { Event, ErrorEvent, EventTarget, MessageEvent, defineHandlers, trust } from './event.js';
import { Headers, headersToText } from './headers.js';
import { native } from './native.js';
import { percentDecode } from './querystring.js';
import { URL } from './url.js';
import {
  Connection,
  MESSAGE_BYTES_MAX,
  messageBytes,
  messageTooLarge,
  parseUrl,
} from './websocket-connection.js';
import { asInterface, constants, missingArgs } from './webidl.js';

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
/** Longest reason in a closing frame, in bytes. */
const REASON_BYTES_MAX = 123;
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

const syntaxError = (message) => new DOMException(message, 'SyntaxError');

/** `CloseEvent`. */
export class CloseEvent extends Event {
  #wasClean;
  #code;
  #reason;

  constructor(type, options = undefined) {
    if (arguments.length === 0) throw missingArgs('type');
    super(type, options);
    this.#wasClean = Boolean(options?.wasClean);
    this.#code = options?.code === undefined ? 0 : options.code & 0xffff;
    this.#reason = options?.reason === undefined ? '' : `${options.reason}`;
  }

  get wasClean() {
    return this.#wasClean;
  }

  get code() {
    return this.#code;
  }

  get reason() {
    return this.#reason;
  }
}

/** Where `new WebSocket(url)` leads; throws what the standard says. */
function checkUrl(given) {
  const parsed = parseUrl(`${given}`);
  if (parsed.problem === undefined) return parsed;
  if (parsed.problem === 'invalid') throw syntaxError(`Invalid URL: ${given}`);
  if (parsed.problem === 'fragment') throw syntaxError('Got fragment');
  throw syntaxError(`Expected a ws: or wss: protocol, got ${parsed.scheme}`);
}

/** Subprotocols as a list; throws unless they are tokens, each there once. */
export function checkProtocols(given) {
  const list = [];
  const seen = { __proto__: null };
  const all = typeof given === 'string' ? [given] : given;
  for (const one of all) {
    const name = `${one}`;
    if (RegExpPrototypeExec(TOKEN, name) === null || seen[name] === true) {
      throw syntaxError('Invalid Sec-WebSocket-Protocol value');
    }
    seen[name] = true;
    append(list, name);
  }
  return list;
}

/** Header lines for the handshake: those given, and credentials that the URL holds. */
export function handshakeFields(given, { user, password }) {
  const headers = new Headers(given ?? undefined);
  if ((user !== '' || password !== '') && !headers.has('authorization')) {
    const decode = (text) => native.utf8Decode(percentDecode(text), false);
    const pair = native.utf8Encode(`${decode(user)}:${decode(password)}`);
    headers.set('authorization', `Basic ${native.base64Encode(pair)}`);
  }
  return headersToText(headers);
}

/** A URL without user name and password, which the host does not take. */
export function withoutCredentials({ url, user, password }) {
  if (user === '' && password === '') return url;
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return bare.href;
}

/** What Node's third way of calling the constructor allows: `{protocols, headers}`. */
function checkOptions(given) {
  const isOptions = isObject(given) && given[Symbol.iterator] === undefined;
  return isOptions ? given : { protocols: given };
}

/** `WebSocket`. */
export class WebSocket extends EventTarget {
  #url;
  #originText;
  #connection;
  #protocol = '';
  #state = CONNECTING;
  #binaryType = 'blob';
  /** Bytes that were sent when nothing could be any more. */
  #lost = 0;

  constructor(url, protocols = []) {
    super();
    if (arguments.length === 0) throw missingArgs('url');
    const parsed = checkUrl(url);
    const options = checkOptions(protocols);
    const names = checkProtocols(options.protocols ?? []);
    this.#url = parsed.url;
    const fields = handshakeFields(options.headers, parsed);
    this.#connection = new Connection(withoutCredentials(parsed), names, fields, {
      opened: (protocol) => {
        this.#protocol = protocol;
        this.#state = OPEN;
        this.#fire(new Event('open'));
      },
      received: (kind, data) => this.#received(kind, data),
      closing: () => {
        this.#state = CLOSING;
      },
      closed: (code, reason, wasClean, error) => {
        this.#state = CLOSED;
        if (error !== undefined) {
          this.#fire(new ErrorEvent('error', { error, message: error.message }));
        }
        this.#fire(new CloseEvent('close', { code, reason, wasClean }));
      },
    });
  }

  get url() {
    return this.#url;
  }

  get readyState() {
    return this.#state;
  }

  get bufferedAmount() {
    return this.#connection.buffered + this.#lost;
  }

  get extensions() {
    return '';
  }

  get protocol() {
    return this.#protocol;
  }

  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(value) {
    if (value === 'blob' || value === 'arraybuffer') this.#binaryType = value;
  }

  send(data) {
    if (arguments.length === 0) throw missingArgs('data');
    if (this.#state === CONNECTING) {
      throw new DOMException('Sent before connected.', 'InvalidStateError');
    }
    const bytes = data instanceof Blob ? blobBytes(data) : viewBytes(data);
    const payload = bytes ?? `${data}`;
    const length = messageBytes(payload);
    if (this.#state !== OPEN) {
      this.#lost += length;
      return;
    }
    if (length > MESSAGE_BYTES_MAX) throw messageTooLarge();
    this.#connection.send(bytes === undefined ? 'text' : 'binary', payload);
  }

  close(code = undefined, reason = undefined) {
    const number = code === undefined ? undefined : clamp(code);
    if (number !== undefined && number !== 1000 && (number < 3000 || number > 4999)) {
      throw new DOMException('invalid code', 'InvalidAccessError');
    }
    const text = reason === undefined ? '' : `${reason}`;
    const length = utf8Length(text);
    if (length > REASON_BYTES_MAX) {
      throw syntaxError(`Reason must be less than ${REASON_BYTES_MAX} bytes; received ${length}`);
    }
    if (this.#state === CLOSING || this.#state === CLOSED) return;
    this.#state = CLOSING;
    this.#connection.close(number ?? (text === '' ? undefined : 1000), text);
  }

  #received(kind, data) {
    if (this.#state !== OPEN || kind === 'ping' || kind === 'pong') return;
    let content = data;
    if (kind === 'binary') {
      content = this.#binaryType === 'blob' ? new Blob([data]) : TypedArrayBuffer(data);
    }
    this.#fire(new MessageEvent('message', { data: content, origin: this.#origin() }));
  }

  #origin() {
    this.#originText ??= new URL(this.#url).origin;
    return this.#originText;
  }

  #fire(event) {
    this.dispatchEvent(trust(event));
  }
}

/** Web IDL's `[Clamp] unsigned short`. */
function clamp(value) {
  const number = +value;
  if (!(number > 0)) return 0;
  return MathMin(MathRound(number), 65535);
}

asInterface(CloseEvent, 'CloseEvent');
asInterface(WebSocket, 'WebSocket');
defineHandlers(WebSocket, 'open', 'message', 'error', 'close');
constants(WebSocket, { CONNECTING, OPEN, CLOSING, CLOSED });
export default { CloseEvent, WebSocket };
