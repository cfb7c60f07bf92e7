// `node-fetch`, in the manner of its version 2: the platform's `fetch`, with bodies that are
// Node's streams.

import { ObjectDefineProperty, isObject } from '../primordials.js';
import { Blob, File } from '../blob.js';
import { Buffer } from '../buffer.js';
import { fetch as platformFetch } from '../fetch.js';
import { Headers } from '../headers.js';
import { clearTimeout, setTimeout } from '../timers.js';
import { AbortController } from '../abort.js';
import { Request, Response } from '../web-message.js';
import Stream from './stream.js';

const { PassThrough, Readable } = Stream;

/** A failure on the way: `type` is `system`, or says which limit was passed. */
class FetchError extends Error {
  constructor(message, type, cause) {
    super(message);
    this.name = 'FetchError';
    this.type = type;
    if (cause) {
      this.code = cause.code;
      this.errno = cause.code;
    }
  }
}

/** What `signal` makes of a request. */
class AbortError extends Error {
  constructor(message = 'The user aborted a request.') {
    super(message);
    this.name = 'AbortError';
    this.type = 'aborted';
  }
}

const isRedirect = (status) => [301, 302, 303, 307, 308].includes(status);

const isNodeStream = (value) => isObject(value) && typeof value.pipe === 'function';

async function* bytesOf(stream) {
  for await (const chunk of stream) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}

/** `init` as the platform takes it, and what gives the request up. */
function translate(init) {
  const given = { ...init };
  const controller = new AbortController();
  let timer;
  if (given.timeout > 0) {
    timer = setTimeout(() => controller.abort('timeout'), given.timeout);
  }
  const { signal } = given;
  if (signal?.aborted) controller.abort();
  else signal?.addEventListener('abort', () => controller.abort(), { once: true });
  given.signal = controller.signal;
  const { body } = given;
  if (isNodeStream(body)) {
    const headers = new Headers(given.headers);
    if (typeof body.getHeaders === 'function') {
      const own = body.getHeaders();
      for (const name of Object.keys(own)) if (!headers.has(name)) headers.set(name, own[name]);
    }
    given.headers = headers;
    given.duplex = 'half';
    given.body = bytesOf(
      body[Symbol.asyncIterator] === undefined ? body.pipe(new PassThrough()) : body,
    );
  }
  for (const name of ['agent', 'compress', 'follow', 'size', 'timeout']) delete given[name];
  return { given, stop: () => clearTimeout(timer) };
}

function raw() {
  const table = {};
  for (const [name, value] of this) (table[name] ??= []).push(value);
  return table;
}

/** Gives an answer what version 2 has: a stream of Node's as its body, and `headers.raw()`. */
function dress(response) {
  let stream;
  const web = Response.prototype;
  ObjectDefineProperty(response, 'body', {
    configurable: true,
    enumerable: true,
    get() {
      if (stream === undefined) {
        const body = Reflect.get(web, 'body', response);
        stream = body === null ? Readable.from([]) : Readable.fromWeb(body);
      }
      return stream;
    },
  });
  ObjectDefineProperty(response.headers, 'raw', { configurable: true, value: raw });
  return response;
}

/** `fetch`. */
async function fetch(input, init) {
  const url = isObject(input) && 'url' in input ? input.url : `${input}`;
  const { given, stop } = translate(init);
  try {
    return dress(await platformFetch(input, given));
  } catch (error) {
    if (given.signal.aborted) {
      if (given.signal.reason !== 'timeout') throw new AbortError();
      throw new FetchError(`network timeout at: ${url}`, 'request-timeout');
    }
    if (error.cause === undefined) throw error;
    const message = `request to ${url} failed, reason: ${error.cause.message}`;
    throw new FetchError(message, 'system', error.cause);
  } finally {
    stop();
  }
}

const isClass = { __esModule: true, default: fetch };
export default Object.assign(fetch, isClass, {
  AbortError,
  Blob,
  FetchError,
  File,
  Headers,
  Request,
  Response,
  isRedirect,
});
