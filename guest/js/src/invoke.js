// One invocation: from the host's request to the handler, and what becomes of it.

import { PromisePrototypeThen } from './primordials.js';
import { BodyInvalid } from './content.js';
import { fail, handlerDone, refuseBody, whenSettled } from './lifecycle.js';
import { loadEntry, loadedHandler } from './load.js';
import { readBody, request, setRequest } from './request.js';
import { response } from './response.js';
import { callWebHandler } from './web-handler.js';

/** The hook `invoke`: never throws. */
export function invoke(method, target, fields, peer, bodyLength, isSecure) {
  try {
    setRequest(method, target, fields, peer, bodyLength, isSecure);
    if (loadedHandler() !== null) {
      run();
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
  const { kind, call, target } = loadedHandler();
  if (kind === 'web') {
    callWebHandler(call, target);
    return;
  }
  try {
    callExpressHandler(call);
  } catch (error) {
    failOrRefuse(error);
  }
}

function callExpressHandler(handler) {
  readBody();
  const result = handler(request, response);
  if (result === response) handlerDone();
  else whenSettled(result, handlerDone, fail);
}

function failOrRefuse(error) {
  if (error instanceof BodyInvalid) refuseBody(error.message);
  else fail(error);
}
