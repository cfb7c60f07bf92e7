// Handlers in the web's style: `export default { fetch(request, env, ctx) }`.

import {
  ObjectFreeze,
  PromisePrototypeThen,
  ReflectApply,
  SafeTypeError,
  isObject,
} from './primordials.js';
import { waitUntil } from './background.js';
import { pump, takeBody, writeBody } from './body.js';
import { headersFromText, headersToText } from './headers.js';
import {
  answer,
  beginAnswer,
  endAnswer,
  fail,
  handlerDone,
  whenSettled,
} from './lifecycle.js';
import { native } from './native.js';
import { environmentCopy } from './process.js';
import { state } from './state.js';
import { incomingRequest, isForeignResponse, isResponse } from './web-message.js';

/** `ctx`, the third argument of a handler. */
class ExecutionContext {
  /** See `waitUntil` in background.js. */
  waitUntil(promise) {
    waitUntil(promise);
  }

  /** There is nothing to pass through to; for programs that call it. */
  passThroughOnException() {}
}

/** Calls the handler and answers with its `Response`. */
export function callWebHandler({ call, target }) {
  const env = ObjectFreeze(environmentCopy());
  let result;
  try {
    const request = incomingRequest(state);
    result = ReflectApply(call, target, [request, env, new ExecutionContext()]);
  } catch (error) {
    fail(error);
    return;
  }
  whenSettled(result, finish, fail);
}

function finish(response) {
  try {
    send(response);
    handlerDone();
  } catch (error) {
    fail(error);
  }
}

// Of an answer that is passed on, these spoke of the connection it came over.
const CONNECTION_FIELDS = [
  'connection',
  'content-encoding',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

function fieldsOf(response) {
  const text = headersToText(response.headers);
  if (!isForeignResponse(response)) return text;
  const headers = headersFromText(text, false);
  for (let i = 0; i < CONNECTION_FIELDS.length; i++) headers.delete(CONNECTION_FIELDS[i]);
  return headersToText(headers);
}

function send(response) {
  if (!isResponse(response)) {
    const kind = isObject(response) ? 'an object' : `${typeof response}`;
    throw new SafeTypeError(`The fetch handler must answer a Response, not ${kind}`);
  }
  const { status } = response;
  if (status === 0) throw new SafeTypeError('The fetch handler answered Response.error()');
  const source = takeBody(response);
  const fields = fieldsOf(response);
  if (source === null) answer(status, fields, undefined);
  else if (source.kind === 'text') answer(status, fields, source.text);
  else if (source.kind === 'bytes') answer(status, fields, source.bytes);
  else if (source.kind === 'incoming') answer(status, fields, native.bodyBytes());
  else stream(status, fields, source);
}

/** Writes chunk by chunk; each waits until the client's side has room. */
function stream(status, fields, source) {
  const body = beginAnswer(status, fields, () => native.bodyAbort(body));
  let isGone = false;
  const refused = (code) => {
    isGone = code === 'closed';
  };
  const pumping = pump(source, (chunk) => writeBody(body, chunk, refused));
  PromisePrototypeThen(
    pumping,
    () => {
      native.bodyClose(body);
      endAnswer();
    },
    // Without its client the invocation goes on for what is promised alone.
    (error) => (isGone ? endAnswer() : fail(error)),
  );
}
