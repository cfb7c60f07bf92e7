// DOMException (Web IDL), for what the web's APIs throw.

import { ObjectCreate, ObjectDefineProperty, ObjectKeys, SafeError } from './primordials.js';
import { asInterface } from './webidl.js';

const CODES = ObjectCreate(null);
const NAMES = [
  'IndexSizeError',
  '',
  'HierarchyRequestError',
  'WrongDocumentError',
  'InvalidCharacterError',
  '',
  'NoModificationAllowedError',
  'NotFoundError',
  'NotSupportedError',
  'InUseAttributeError',
  'InvalidStateError',
  'SyntaxError',
  'InvalidModificationError',
  'NamespaceError',
  'InvalidAccessError',
  '',
  'TypeMismatchError',
  'SecurityError',
  'NetworkError',
  'AbortError',
  'URLMismatchError',
  'QuotaExceededError',
  'TimeoutError',
  'InvalidNodeTypeError',
  'DataCloneError',
];
for (let i = 0; i < NAMES.length; i++) if (NAMES[i] !== '') CODES[NAMES[i]] = i + 1;

/** `DOMException`. */
export class DOMException extends SafeError {
  #name;

  constructor(message = '', options = 'Error') {
    const isObject = options !== null && typeof options === 'object';
    super(`${message}`);
    this.#name = isObject ? `${options.name ?? 'Error'}` : `${options}`;
    if (isObject && 'cause' in options) {
      ObjectDefineProperty(this, 'cause', {
        configurable: true,
        value: options.cause,
        writable: true,
      });
    }
  }

  get name() {
    return #name in this ? this.#name : 'Error';
  }

  /** A copy for `structuredClone`; undefined if it is something else. */
  static copy(value) {
    if (!(#name in value)) return undefined;
    const copy = new DOMException(value.message, value.#name);
    ObjectDefineProperty(copy, 'stack', {
      configurable: true,
      value: value.stack,
      writable: true,
    });
    return copy;
  }

  get code() {
    return CODES[this.name] ?? 0;
  }
}

/** See `DOMException.copy`. */
export const domExceptionCopy = DOMException.copy;
delete DOMException.copy;

asInterface(DOMException, 'DOMException');
for (const name of ObjectKeys(CODES)) {
  const constant = name
    .replace(/Error$/, '')
    .replace(/(?!^)([A-Z])(?=[a-z])/g, '_$1')
    .toUpperCase();
  const value = { enumerable: true, value: CODES[name] };
  ObjectDefineProperty(DOMException, `${constant}_ERR`, value);
  ObjectDefineProperty(DOMException.prototype, `${constant}_ERR`, value);
}
