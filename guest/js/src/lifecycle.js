// The course of one invocation: has it been answered, has the handler finished, is it over?
//
// The answer goes out as soon as it is complete; the invocation is over when, besides that, the
// handler's promise has settled (decision R8).

import {
  PromiseConstructor,
  PromisePrototypeThen,
  ReflectApply,
  SafeError,
  isObject,
} from './primordials.js';
import { codedError, describe } from './errors.js';
import { native } from './native.js';
import { state } from './state.js';

const { done, fail: reportFailure, respond, respondPlain } = native;
/** The level of a warning, as the host counts levels. */
const WARN = 3;

/** Answers whole, in one call to the host. */
export function answer(status, fields, body) {
  if (state.answerBegun) throw headersSent('send');
  state.answerBegun = true;
  if (!respondPlain(status, fields, body)) respond(status, fields, body);
  state.answerEnded = true;
  if (state.handlerReturned) endIfDone();
}

/** Begins a streamed answer; the body to write to. `abort` is called if the handler fails. */
export function beginAnswer(status, fields, abort) {
  if (state.answerBegun) throw headersSent('send');
  state.answerBegun = true;
  state.abortAnswer = abort;
  return native.beginResponse(status, fields);
}

/** A streamed answer is complete. */
export function endAnswer() {
  state.answerEnded = true;
  state.abortAnswer = null;
  endIfDone();
}

/** Node's error for touching what was sent already. */
export function headersSent(what) {
  return codedError(
    'ERR_HTTP_HEADERS_SENT',
    'Cannot ' + what + ' headers after they are sent to the client',
    SafeError,
  );
}

/** The handler has returned, and its promise, if there is one, is fulfilled. */
export function handlerDone() {
  state.handlerReturned = true;
  endIfDone();
}

/** Holds the end of the invocation back until `release` is called as often. */
export function hold() {
  state.waits++;
}

/** See `hold`. */
export function release() {
  state.waits--;
  endIfDone();
}

/** Tells the host when the invocation is over. */
export function endIfDone() {
  if (state.answerEnded && state.handlerReturned && state.waits === 0 && !state.over) {
    state.over = true;
    done();
  }
}

/** Nothing caught this: reports it and ends the invocation. */
export function fail(thrown) {
  if (state.over) return;
  state.over = true;
  const told = describe(thrown);
  report(told.name, told.message, told.stack);
}

/**
 * Calls `done(value)` or `failed(error)` when what a handler answered has settled: at once for
 * what is not a promise.
 */
export function whenSettled(result, done, failed) {
  if (!isObject(result)) {
    done(result);
    return;
  }
  let promise = result;
  if (!(result instanceof PromiseConstructor)) {
    const { then } = result;
    if (typeof then !== 'function') {
      done(result);
      return;
    }
    promise = new PromiseConstructor((resolve) => resolve(result));
  }
  PromisePrototypeThen(promise, done, failed);
}

/** Runs user code that the host called back; what it throws ends the invocation. */
export function guarded(work, ...args) {
  try {
    ReflectApply(work, undefined, args);
  } catch (error) {
    fail(error);
  }
}

function report(name, message, stack) {
  if (state.abortAnswer !== null) {
    const abort = state.abortAnswer;
    state.abortAnswer = null;
    abort();
  }
  reportFailure(name, message, stack);
  done();
}

/** The request's body cannot be read as what it says it is; the client's fault. */
export function refuseBody(message) {
  state.over = true;
  report('BodyInvalid', message, '');
}

/** The result has no JSON form. */
export function refuseResult(message) {
  state.over = true;
  report('ResultInvalid', 'the result has no JSON form: ' + message, '');
}

/** Nothing runs and nothing is awaited, yet the invocation is not state.over. */
export function idle() {
  if (state.over) return;
  state.over = true;
  if (state.promised && state.waits > 0) {
    native.log(WARN, 'waitUntil: the function has stopped, and not all promises have settled');
  }
  if (state.answerEnded) {
    done();
  } else if (state.answerBegun) {
    report('Error', 'The function stopped before its response was complete', '');
  } else if (state.handlerReturned) {
    respond(204, '', undefined);
    done();
  } else {
    report('Error', 'The function ended without a response: its promise never settled', '');
  }
}
