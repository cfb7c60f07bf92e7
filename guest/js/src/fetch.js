// `fetch`: requests to the outside, within the tenant's network grant.

import { PromiseConstructor, PromisePrototypeThen, SafeTypeError } from './primordials.js';
import { offAbort, onAbort } from './abort.js';
import { pump, takeBody, writeBody } from './body.js';
import { nativeError } from './errors.js';
import { headersToText } from './headers.js';
import { native, touch } from './native.js';
import { Request, requestSignal, responseFromNative } from './web-message.js';

/** What the host takes as a body: null, a string, bytes, or the number of a body to write to. */
function contentOf(source) {
  if (source === null) return null;
  if (source.kind === 'text') return source.text;
  if (source.kind === 'bytes') return source.bytes;
  if (source.kind === 'incoming') return native.bodyBytes();
  return native.newBody();
}

/** Writes a stream to the body that the host sends. */
function upload(source, body, failed) {
  const pumping = pump(source, (chunk) => writeBody(body, chunk));
  PromisePrototypeThen(
    pumping,
    () => native.bodyClose(body),
    (error) => {
      native.bodyAbort(body);
      failed(error);
    },
  );
}

function failure(error) {
  return new SafeTypeError('fetch failed', { cause: nativeError(error) });
}

function begin(request, resolve, reject) {
  const signal = requestSignal(request);
  if (signal !== null && signal.aborted) {
    reject(signal.reason);
    return;
  }
  const { method, url, redirect } = request;
  const source = takeBody(request);
  const content = contentOf(source);
  let operation = 0;
  const aborted = () => {
    native.cancel(operation);
    if (typeof content === 'number') native.bodyAbort(content);
    reject(signal.reason);
  };
  const settled = () => {
    operation = 0;
    if (signal !== null) offAbort(signal, aborted);
  };
  operation = native.fetch(
    method,
    url,
    headersToText(request.headers),
    content,
    redirect,
    (answer) => {
      settled();
      resolve(responseFromNative(answer, signal));
    },
    (error) => {
      settled();
      reject(failure(error));
    },
  );
  if (signal !== null) onAbort(signal, aborted);
  if (typeof content !== 'number') return;
  upload(source, content, (error) => {
    if (operation !== 0) native.cancel(operation);
    settled();
    reject(error);
  });
}

/** The global `fetch`. */
export function fetch(input, init = undefined) {
  return new PromiseConstructor((resolve, reject) => {
    touch('fetch()');
    begin(new Request(input, init), resolve, reject);
  });
}
