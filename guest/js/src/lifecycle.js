// Where one invocation stands: has it been answered, has the handler finished, is it over?
//
// A sandbox serves one invocation, so this is plain module state; the snapshot holds it as it
// is at the beginning. The answer goes out as soon as it is complete; the invocation is over
// when, besides that, the handler's promise has settled (decision R8).

import {
  PromiseConstructor,
  PromisePrototypeThen,
  ReflectApply,
  SafeError,
  isObject,
} from './primordials.js';
import { codedError, describe } from './errors.js';
import { native } from './native.js';

let answerBegun = false;
let answerEnded = false;
let handlerReturned = false;
let waits = 0;
let over = false;
let abortAnswer = null;

/** Whether an answer has begun; a second one is an error. */
export function isAnswerBegun() {
  return answerBegun;
}

/** Whether the answer is complete as far as this side is concerned. */
export function isAnswerEnded() {
  return answerEnded;
}

/** Answers whole, in one call to the host. */
export function answer(status, fields, body) {
  if (answerBegun) throw headersSent('send');
  answerBegun = true;
  native.respond(status, fields, body);
  answerEnded = true;
  if (handlerReturned) endIfDone();
}

/** Begins a streamed answer; the body to write to. `abort` is called if the handler fails. */
export function beginAnswer(status, fields, abort) {
  if (answerBegun) throw headersSent('send');
  answerBegun = true;
  abortAnswer = abort;
  return native.beginResponse(status, fields);
}

/** A streamed answer is complete. */
export function endAnswer() {
  answerEnded = true;
  abortAnswer = null;
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
  handlerReturned = true;
  endIfDone();
}

/** Holds the end of the invocation back until `release` is called as often. */
export function hold() {
  waits++;
}

/** See `hold`. */
export function release() {
  waits--;
  endIfDone();
}

function endIfDone() {
  if (answerEnded && handlerReturned && waits === 0 && !over) {
    over = true;
    native.done();
  }
}

/** Nothing caught this: reports it and ends the invocation. */
export function fail(thrown) {
  if (over) return;
  over = true;
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
  if (abortAnswer !== null) {
    const abort = abortAnswer;
    abortAnswer = null;
    abort();
  }
  native.fail(name, message, stack);
  native.done();
}

/** The request's body cannot be read as what it says it is; the client's fault. */
export function refuseBody(message) {
  over = true;
  report('BodyInvalid', message, '');
}

/** Nothing runs and nothing is awaited, yet the invocation is not over. */
export function idle() {
  if (over) return;
  over = true;
  if (answerEnded) {
    native.done();
  } else if (answerBegun) {
    report('Error', 'The function stopped before its response was complete', '');
  } else if (handlerReturned) {
    native.respond(204, '', undefined);
    native.done();
  } else {
    report('Error', 'The function ended without a response: its promise never settled', '');
  }
}
