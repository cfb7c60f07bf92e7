// Bindings: functions of the platform that event functions call by name, as globals.
//
// They are put in place when an invocation begins, and never while a snapshot is in the making: so
// what a tenant binds takes effect at once, and comes before a global of the same name.

import {
  JSONParse,
  JSONStringify,
  ObjectDefineProperty,
  PromiseConstructor,
  PromisePrototypeThen,
  isObject,
} from './primordials.js';
import { codedError, nativeError } from './errors.js';
import { hold, release } from './lifecycle.js';
import { native } from './native.js';

const settled = new PromiseConstructor((resolve) => resolve());

/** Makes the bindings of this invocation globals. */
export function installBindings() {
  const names = native.bindingNames();
  for (let i = 0; i < names.length; i++) {
    ObjectDefineProperty(globalThis, names[i], {
      configurable: true,
      enumerable: true,
      value: bindingOf(names[i]),
      writable: true,
    });
  }
}

/**
 * The function behind a name. It answers a promise; what it begins is carried out before the
 * invocation ends, whether anyone waits for it or not.
 */
function bindingOf(name) {
  const call = (...args) =>
    new PromiseConstructor((resolve, reject) => {
      const succeed = (text) => {
        try {
          resolve(resultOf(name, text));
        } catch (error) {
          reject(error);
        }
        letGo();
      };
      const fail = (failure) => {
        reject(nativeError(failure));
        letGo();
      };
      native.bindingCall(name, JSONStringify(args), succeed, fail);
      hold();
    });
  ObjectDefineProperty(call, 'name', { configurable: true, value: name });
  return call;
}

/** Whoever waits for the call goes first, and may begin more. */
function letGo() {
  PromisePrototypeThen(settled, release);
}

function resultOf(name, text) {
  if (text === '') return undefined;
  let answer;
  try {
    answer = JSONParse(text);
  } catch {
    throw failed(name, 'is not JSON');
  }
  if (!isObject(answer)) throw failed(name, 'is not an object');
  const { error } = answer;
  if (error === undefined || error === null) return answer.result;
  throw failed(name, typeof error === 'string' ? 'is an error: ' + error : 'is an error');
}

const failed = (name, what) => codedError('binding_failed', `${name}: the platform's answer ${what}`);
