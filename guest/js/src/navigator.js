// `navigator`: who runs the program, and nothing about the machine.

import { ObjectFreeze } from './primordials.js';
import { typeError } from './errors.js';
import { asInterface } from './webidl.js';

const KEY = Symbol('create');

/** `Navigator`. */
export class Navigator {
  constructor(key) {
    if (key !== KEY) throw typeError('ERR_ILLEGAL_CONSTRUCTOR', 'Illegal constructor');
  }

  get userAgent() {
    return 'Ampoule/0.1';
  }

  get language() {
    return 'en-US';
  }

  get languages() {
    return LANGUAGES;
  }

  get hardwareConcurrency() {
    return 1;
  }

  get platform() {
    return 'linux';
  }
}

const LANGUAGES = ObjectFreeze(['en-US']);

asInterface(Navigator, 'Navigator');

/** The global `navigator`. */
export const navigator = new Navigator(KEY);
