// `waitUntil`: work that is promised, and goes on after the answer.

import { console } from './console.js';
import { hold, release, whenSettled } from './lifecycle.js';
import { native, touch } from './native.js';
import { state } from './state.js';

const log = console.error;
/** The level of an error, as the host counts levels. */
const ERROR = 4;

/**
 * Keeps the invocation alive until a promise settles: after the answer, and when the client has
 * gone away. What it is rejected with is in the log and changes nothing else.
 */
export function waitUntil(promise) {
  touch('waitUntil()');
  if (!state.promised) {
    state.promised = true;
    native.promised();
  }
  hold();
  try {
    whenSettled(promise, settled, rejected);
  } catch (error) {
    // A `then` that cannot be read.
    rejected(error);
  }
}

function settled() {
  release();
}

function rejected(error) {
  try {
    log('waitUntil:', error);
  } catch {
    native.log(ERROR, 'waitUntil: rejected with what cannot be shown');
  }
  release();
}
