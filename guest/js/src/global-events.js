// The global object as a target of events, for `reportError` and its `error` event.

import { ReflectApply, isObject } from './primordials.js';
import { console } from './console.js';
import { ErrorEvent, EventTarget, trust } from './event.js';
import { guarded } from './lifecycle.js';
import { missingArgs } from './webidl.js';

const { error: log } = console;
let target = null;

/** Made when the first listener comes; the global object stays an ordinary one. */
const listening = () => (target ??= new EventTarget());

export function addEventListener(type, listener, options = undefined) {
  if (arguments.length < 2) throw missingArgs('type', 'listener');
  listening().addEventListener(type, listener, options);
}

export function removeEventListener(type, listener, options = undefined) {
  if (arguments.length < 2) throw missingArgs('type', 'listener');
  if (target !== null) target.removeEventListener(type, listener, options);
}

export function dispatchEvent(event) {
  return listening().dispatchEvent(event);
}

/** Tells `onerror` and listeners of an error; it is logged unless one of them says otherwise. */
export function reportError(error) {
  if (arguments.length === 0) throw missingArgs('error');
  const message = isObject(error) ? `${error.message ?? ''}` : `${String(error)}`;
  const event = trust(new ErrorEvent('error', { cancelable: true, error, message }));
  const { onerror } = globalThis;
  if (typeof onerror === 'function') {
    guarded(() => {
      const answer = ReflectApply(onerror, globalThis, [message, '', 0, 0, error]);
      if (answer === true) event.preventDefault();
    });
  }
  if (target !== null) target.dispatchEvent(event);
  if (!event.defaultPrevented) log('Uncaught', error);
}
