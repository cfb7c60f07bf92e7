// Our DOMException as the global one, before packages look for it.

import { ObjectDefineProperty } from './primordials.js';
import { DOMException } from './dom-exception.js';

ObjectDefineProperty(globalThis, 'DOMException', {
  configurable: true,
  value: DOMException,
  writable: true,
});
