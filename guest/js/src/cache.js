// `cache`: the object that the functions of a workspace share, also across invocations.
//
// The host hands it out to one invocation at a time, and only to those whose function, or one that
// it can call, names it (ADR 0012). It is made from its text at the first touch, and becomes text
// again when the function has ended, if anybody touched it.

import { ObjectDefineProperty } from './primordials.js';
import { codedError } from './errors.js';
import { fromText, toText } from './keep.js';
import { native } from './native.js';

let isOpen = false;
/** What it was when this invocation began, as text; empty for nothing yet. */
let before = '';
let value;

function open() {
  if (isOpen) return;
  const text = native.cacheRead();
  if (text === null) {
    throw codedError(
      'ERR_CACHE_NOT_HELD',
      'cache is only there for functions that name it: write `cache`, not another way to it',
    );
  }
  before = text;
  value = text === '' ? {} : fromText(text);
  isOpen = true;
}

/** Makes the global `cache`. */
export function installCache() {
  ObjectDefineProperty(globalThis, 'cache', {
    configurable: false,
    enumerable: false,
    get() {
      open();
      return value;
    },
    set(given) {
      open();
      value = given;
    },
  });
}

/** Hands the cache back as it is now. Throws for what cannot be kept; it then stays as it was. */
export function saveCache() {
  if (!isOpen) return;
  const text = toText(value, native.cacheBytesMax());
  if (text !== before) native.cacheWrite(text);
}
