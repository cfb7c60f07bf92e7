// Invocations that are no HTTP requests: of an event function, or of one in a workspace
// (workspace.js). The body
// is the input as JSON, and the answer is the JSON text of the result.

import {
  SafeTypeError,
} from './primordials.js';
import { readJson } from './content.js';
import { codedError } from './errors.js';
import { answer, fail, handlerDone, refuseResult, whenSettled } from './lifecycle.js';
import { native } from './native.js';
import { state } from './state.js';

/** What an event function's entry exports, as a job: from target and event to the result. */
export function eventJob(exported, isNamespace) {
  const whole = isNamespace ? exported.default : exported;
  const handler = typeof whole === 'function' ? whole : whole?.default;
  if (typeof handler !== 'function') {
    throw codedError(
      'HANDLER_MISSING',
      'An event function must be an expression such as async (event) => {...}, ' +
        'or a module that exports a function',
    );
  }
  return (target, event) => handler(event);
}

/** Carries out the invocation. Throws `BodyInvalid`, and what the job throws at once. */
export function runJob() {
  const input = state.bodyLength > 0 ? readJson() : {};
  whenSettled(state.job(state.target, input), finish, fail);
}

function finish(result) {
  let text;
  try {
    text = resultText(result);
  } catch (error) {
    // BigInt and circles; what a `toJSON` of the function's own throws is told as usual.
    if (error instanceof SafeTypeError) refuseResult(error.message);
    else fail(error);
    return;
  }
  if (text === undefined) {
    refuseResult('it is a ' + typeof result);
    return;
  }
  answer(200, '', text);
  handlerDone();
}

/** The JSON text of a result; undefined if there is none. */
function resultText(result) {
  if (result === undefined) return 'null';
  return native.jsonText(result);
}
