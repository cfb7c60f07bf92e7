// One invocation: from the host's request to the handler, and what becomes of it.

import { PromisePrototypeThen } from './primordials.js';
import { installBindings } from './binding.js';
import { BodyInvalid } from './content.js';
import { fail, refuseBody, whenSettled } from './lifecycle.js';
import { runJob } from './job.js';
import { loadEntry } from './load.js';
import { native } from './native.js';
import { readBody, request } from './request.js';
import { response } from './response.js';
import { state } from './state.js';
import { callWebHandler } from './web-handler.js';

const { done, listen } = native;
const promiseThen = Promise.prototype.then;

// Made one after the other, so that they lie side by side in memory (state.js says why).

const settled = function () {
  state.handlerReturned = true;
  if (state.answerEnded && state.waits === 0 && !state.over) {
    state.over = true;
    done();
  }
};

const failed = function (error) {
  fail(error);
};

/** The hook `invoke`: never throws. */
export const invoke = function (
  method,
  target,
  fields,
  peer,
  bodyLength,
  isSecure,
  isJson,
) {
  state.method = method;
  state.target = target;
  state.fields = fields;
  state.peer = peer;
  state.bodyLength = bodyLength;
  state.isSecure = isSecure;
  state.isJson = isJson;
  const { expressHandler } = state;
  if (expressHandler === null) {
    begin();
    return;
  }
  try {
    if (bodyLength > 0) readBody();
    const result = expressHandler(request, response);
    if (result === undefined || result === response) settled();
    else if (
      result === null ||
      result.then !== promiseThen ||
      !listen(result, settled, failed)
    ) {
      whenSettled(result, settled, failed);
    }
  } catch (error) {
    failOrRefuse(error);
  }
};

/** For handlers in the web's style, other kinds of functions, and deployments that are evaluated per request. */
function begin() {
  try {
    if (state.kind === 'event') installBindings();
    if (state.webHandler !== null) {
      callWebHandler(state.webHandler);
      return;
    }
    if (state.job !== null) {
      runJob();
      return;
    }
    const loading = loadEntry();
    if (loading === undefined) run();
    else PromisePrototypeThen(PromisePrototypeThen(loading, run), undefined, fail);
  } catch (error) {
    failOrRefuse(error);
  }
}

function run() {
  const { expressHandler, webHandler } = state;
  if (webHandler !== null) {
    callWebHandler(webHandler);
    return;
  }
  try {
    if (state.job !== null) {
      runJob();
      return;
    }
    if (state.bodyLength > 0) readBody();
    whenSettled(expressHandler(request, response), settled, failed);
  } catch (error) {
    failOrRefuse(error);
  }
}

function failOrRefuse(error) {
  if (error instanceof BodyInvalid) refuseBody(error.message);
  else fail(error);
}
