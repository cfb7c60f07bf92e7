// `node:perf_hooks`: the clock of `performance`, without what would observe it.

import { Performance, performance } from '../performance.js';
import { invalidArgType } from './validate.js';
import { unsupported } from './unsupported.js';

/** Takes subscriptions, and never has anything to tell. */
class PerformanceObserver {
  constructor(callback) {
    if (typeof callback !== 'function') throw invalidArgType('callback', 'function', callback);
  }

  static get supportedEntryTypes() {
    return [];
  }

  observe() {}

  disconnect() {}

  takeRecords() {
    return [];
  }
}

const perfHooks = {
  Performance,
  PerformanceObserver,
  PerformanceObserverEntryList: unsupported(
    'perf_hooks',
    'PerformanceObserverEntryList',
    'nothing is observed',
  ),
  performance,
  monitorEventLoopDelay: unsupported('perf_hooks', 'monitorEventLoopDelay', 'nothing measures it'),
  createHistogram: unsupported('perf_hooks', 'createHistogram', 'nothing fills it'),
  constants: { __proto__: null },
};

// Those of the Web, where there are any.
for (const name of ['PerformanceEntry', 'PerformanceMark', 'PerformanceMeasure']) {
  Object.defineProperty(perfHooks, name, {
    configurable: true,
    enumerable: true,
    get: () => globalThis[name],
  });
}

export default perfHooks;
