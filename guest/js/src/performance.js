// `performance`: milliseconds, no finer (a fine clock is a tool for reading other tenants).

import { ObjectDefineProperty } from './primordials.js';
import { native, touch } from './native.js';

const now = Date.now;
let origin;

class Performance {
  now() {
    touch('performance.now()');
    return native.now();
  }

  get timeOrigin() {
    touch('performance.timeOrigin');
    origin ??= now() - native.now();
    return origin;
  }

  toJSON() {
    return { timeOrigin: this.timeOrigin };
  }
}

ObjectDefineProperty(Performance.prototype, Symbol.toStringTag, {
  configurable: true,
  value: 'Performance',
});

/** The global `performance`. */
export const performance = new Performance();
export { Performance };
