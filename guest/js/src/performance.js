// `performance`: milliseconds, no finer (a fine clock is a tool for reading other tenants).

import { ArrayPrototypeSort, ObjectFreeze, append, isObject } from './primordials.js';
import { structuredClone } from './clone.js';
import { DOMException } from './dom-exception.js';
import { typeError } from './errors.js';
import { EventTarget } from './event.js';
import { native, touch } from './native.js';
import { asInterface, domText, wrongType, invalidThis, missingArgs } from './webidl.js';

const CUSTOM_INSPECT = Symbol.for('nodejs.util.inspect.custom');
/** Most entries that are kept; later ones are answered and forgotten. */
const ENTRIES_MAX = 10000;
const KEY = Symbol('create');
const now = Date.now;
let origin;

/** `PerformanceEntry`. */
export class PerformanceEntry {
  #name;
  #type;
  #start;
  #duration;
  #detail;

  constructor(key, name, type, start, duration, detail) {
    if (key !== KEY) throw typeError('ERR_ILLEGAL_CONSTRUCTOR', 'Illegal constructor');
    this.#name = name;
    this.#type = type;
    this.#start = start;
    this.#duration = duration;
    this.#detail = detail;
  }

  get name() {
    return this.#name;
  }

  get entryType() {
    return this.#type;
  }

  get startTime() {
    return this.#start;
  }

  get duration() {
    return this.#duration;
  }

  toJSON() {
    const { name, entryType, startTime, duration } = this;
    const plain = { name, entryType, startTime, duration };
    return entryType === 'mark' || entryType === 'measure'
      ? { ...plain, detail: this.#detail }
      : plain;
  }

  [CUSTOM_INSPECT](depth, options, inspect) {
    return `${this.constructor.name} ${inspect(this.toJSON(), options)}`;
  }

  static detail(entry) {
    return entry.#detail;
  }
}

const { detail } = PerformanceEntry;
delete PerformanceEntry.detail;

/** A copy of what a caller wants kept with an entry. */
function detailOf(options) {
  const given = options?.detail;
  return given === undefined || given === null ? null : structuredClone(given);
}

/** `PerformanceMark`. */
export class PerformanceMark extends PerformanceEntry {
  constructor(name, options = undefined) {
    if (arguments.length === 0) throw missingArgs('name');
    const start = options?.startTime ?? native.now();
    if (typeof start !== 'number') throw wrongType('startTime', 'of type number', start);
    if (start < 0) {
      throw typeError('ERR_PERFORMANCE_INVALID_TIMESTAMP', `${start} is not a valid timestamp`);
    }
    super(KEY, domText(name), 'mark', start, 0, detailOf(options));
  }

  get detail() {
    return detail(this);
  }
}

/** `PerformanceMeasure`. */
export class PerformanceMeasure extends PerformanceEntry {
  get detail() {
    return detail(this);
  }
}

/** `Performance`. */
export class Performance extends EventTarget {
  #entries = [];

  constructor(key) {
    if (key !== KEY) throw typeError('ERR_ILLEGAL_CONSTRUCTOR', 'Illegal constructor');
    super();
  }

  now() {
    if (!isObject(this) || !(#entries in this)) throw invalidThis('Performance');
    touch('performance.now()');
    return native.now();
  }

  get timeOrigin() {
    if (!isObject(this) || !(#entries in this)) throw invalidThis('Performance');
    touch('performance.timeOrigin');
    origin ??= now() - native.now();
    return origin;
  }

  mark(name, options = undefined) {
    if (arguments.length === 0) throw missingArgs('name');
    touch('performance.mark()');
    const mark = new PerformanceMark(name, options);
    this.#keep(mark);
    return mark;
  }

  measure(name, startOrOptions = undefined, endMark = undefined) {
    if (arguments.length === 0) throw missingArgs('name');
    touch('performance.measure()');
    const options = isObject(startOrOptions) ? startOrOptions : { start: startOrOptions };
    const { start, duration } = this.#span(options, endMark ?? options.end);
    const text = domText(name);
    const measure = new PerformanceMeasure(
      KEY,
      text,
      'measure',
      start,
      duration,
      detailOf(options),
    );
    this.#keep(measure);
    return measure;
  }

  /** Begin and duration of a measure, of which any two say the third. */
  #span(options, endMark) {
    const { duration } = options;
    let start = options.start === undefined ? undefined : this.#timeOf(options.start);
    let end = endMark === undefined ? undefined : this.#timeOf(endMark);
    if (end === undefined) {
      end = start !== undefined && duration !== undefined ? start + duration : native.now();
    }
    if (start === undefined) start = duration === undefined ? 0 : end - duration;
    return { start, duration: end - start };
  }

  #timeOf(given) {
    if (typeof given === 'number') return given;
    const name = domText(given);
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i];
      if (entry.entryType === 'mark' && entry.name === name) return entry.startTime;
    }
    throw new DOMException(`The "${name}" performance mark has not been set`, 'SyntaxError');
  }

  #keep(entry) {
    if (this.#entries.length < ENTRIES_MAX) append(this.#entries, entry);
  }

  #select(name, type) {
    const chosen = [];
    for (let i = 0; i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      const isWanted = name === undefined || entry.name === name;
      if (isWanted && (type === undefined || entry.entryType === type)) append(chosen, entry);
    }
    return ArrayPrototypeSort(chosen, (a, b) => a.startTime - b.startTime);
  }

  getEntries() {
    return this.#select();
  }

  getEntriesByName(name, type = undefined) {
    if (arguments.length === 0) throw missingArgs('name');
    return this.#select(domText(name), type === undefined ? undefined : domText(type));
  }

  getEntriesByType(type) {
    if (arguments.length === 0) throw missingArgs('type');
    return this.#select(undefined, domText(type));
  }

  clearMarks(name = undefined) {
    this.#clear('mark', name);
  }

  clearMeasures(name = undefined) {
    this.#clear('measure', name);
  }

  #clear(type, name) {
    const kept = [];
    for (let i = 0; i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      const isIt = entry.entryType === type && (name === undefined || entry.name === `${name}`);
      if (!isIt) append(kept, entry);
    }
    this.#entries = kept;
  }

  clearResourceTimings() {}

  setResourceTimingBufferSize() {}

  toJSON() {
    return { timeOrigin: this.timeOrigin };
  }
}

asInterface(PerformanceEntry, 'PerformanceEntry');
asInterface(PerformanceMark, 'PerformanceMark');
asInterface(PerformanceMeasure, 'PerformanceMeasure');
asInterface(Performance, 'Performance');

/** The kinds of entries that there are. */
export const entryTypes = ObjectFreeze(['mark', 'measure']);

/** The global `performance`. */
export const performance = new Performance(KEY);
