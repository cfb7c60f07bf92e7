// The asynchronous context: one value that follows the flow of execution. Promises carry it by
// themselves (see context.rs); what calls back without a promise takes it along with `current`
// and `runIn`. Only `node:async_hooks` gives it a value, so nobody else pays for it.

import { ReflectApply } from './primordials.js';
import { native } from './native.js';

let isUsed = false;

/** The context that counts now; undefined as long as nobody has made one. */
export function current() {
  return isUsed ? native.asyncContext() : undefined;
}

/** Makes a context count until the running job or callback ends. */
export function enter(context) {
  isUsed = true;
  native.setAsyncContext(context);
}

/** Calls a function in a context, and answers what it answers. */
export function runIn(context, work, self, args) {
  if (!isUsed) return ReflectApply(work, self, args);
  const before = native.asyncContext();
  native.setAsyncContext(context);
  try {
    return ReflectApply(work, self, args);
  } finally {
    native.setAsyncContext(before);
  }
}
