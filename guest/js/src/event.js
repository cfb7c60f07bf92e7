// Events (DOM standard): Event and its kinds, EventTarget, and `on…` properties.

import {
  ArrayPrototypeSlice,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeSet,
  ObjectDefineProperty,
  ObjectFreeze,
  ReflectApply,
  SafeMap,
  append,
  isObject,
} from './primordials.js';
import { codedError } from './errors.js';
import { fail } from './lifecycle.js';
import { native } from './native.js';
import { asInterface, constants, domText, wrongType, invalidThis, missingArgs } from './webidl.js';

const CUSTOM_INSPECT = Symbol.for('nodejs.util.inspect.custom');
const NONE = 0;
const AT_TARGET = 2;

function checkOptions(options) {
  if (options === undefined || options === null || isObject(options)) return options ?? undefined;
  throw wrongType('options', 'of type object', options);
}

/** `Event`. There is no tree of targets, so nothing captures or bubbles. */
export class Event {
  #type;
  #bubbles;
  #cancelable;
  #composed;
  #defaultPrevented = false;
  #isStopped = false;
  #isStoppedAtOnce = false;
  #isPassive = false;
  #isDispatched = false;
  #target = null;
  #isTrusted = false;
  #time;

  constructor(type, options = undefined) {
    if (arguments.length === 0) throw missingArgs('type');
    const given = checkOptions(options);
    this.#bubbles = Boolean(given?.bubbles);
    this.#cancelable = Boolean(given?.cancelable);
    this.#composed = Boolean(given?.composed);
    this.#type = domText(type);
  }

  get type() {
    return check(this).#type;
  }

  get target() {
    return check(this).#target;
  }

  get currentTarget() {
    return check(this).#isDispatched ? this.#target : null;
  }

  get srcElement() {
    return check(this).#target;
  }

  get bubbles() {
    return check(this).#bubbles;
  }

  get cancelable() {
    return check(this).#cancelable;
  }

  get composed() {
    return check(this).#composed;
  }

  get defaultPrevented() {
    return check(this).#cancelable && this.#defaultPrevented;
  }

  get returnValue() {
    return !this.defaultPrevented;
  }

  set returnValue(value) {
    if (!value) this.preventDefault();
  }

  get isTrusted() {
    return check(this).#isTrusted;
  }

  get eventPhase() {
    return check(this).#isDispatched ? AT_TARGET : NONE;
  }

  get cancelBubble() {
    return check(this).#isStopped;
  }

  set cancelBubble(value) {
    if (value) this.stopPropagation();
  }

  /** Milliseconds since `performance.timeOrigin`; taken when first asked for. */
  get timeStamp() {
    check(this).#time ??= native.now();
    return this.#time;
  }

  composedPath() {
    return check(this).#isDispatched ? [this.#target] : [];
  }

  preventDefault() {
    if (!check(this).#isPassive) this.#defaultPrevented = true;
  }

  stopPropagation() {
    check(this).#isStopped = true;
  }

  stopImmediatePropagation() {
    check(this).#isStopped = true;
    this.#isStoppedAtOnce = true;
  }

  initEvent(type, bubbles = false, cancelable = false) {
    if (arguments.length === 0) throw missingArgs('type');
    if (check(this).#isDispatched) return;
    this.#type = domText(type);
    this.#bubbles = Boolean(bubbles);
    this.#cancelable = Boolean(cancelable);
    this.#defaultPrevented = false;
    this.#isStopped = false;
    this.#isStoppedAtOnce = false;
    this.#target = null;
  }

  [CUSTOM_INSPECT](depth, options, inspect) {
    const { type, defaultPrevented, cancelable, timeStamp } = this;
    const shown = inspect({ type, defaultPrevented, cancelable, timeStamp }, options);
    return `${this.constructor?.name ?? 'Event'} ${shown}`;
  }

  static check(event) {
    if (!isObject(event) || !(#type in event)) throw invalidThis('Event');
    return event;
  }

  static isEvent(value) {
    return isObject(value) && #type in value;
  }

  /** Begins the dispatch; false if it is going on already. */
  static begin(event, target) {
    if (event.#isDispatched) return false;
    event.#target = target;
    event.#isDispatched = true;
    return true;
  }

  static end(event) {
    event.#isDispatched = false;
    event.#isStopped = false;
    event.#isStoppedAtOnce = false;
    return !(event.#cancelable && event.#defaultPrevented);
  }

  static isOver(event) {
    return event.#isStoppedAtOnce;
  }

  static setPassive(event, isPassive) {
    event.#isPassive = isPassive;
  }

  static trust(event) {
    event.#isTrusted = true;
    return event;
  }
}

const { begin, check, end, isEvent, isOver, setPassive, trust } = Event;
for (const name of ['begin', 'check', 'end', 'isEvent', 'isOver', 'setPassive', 'trust']) {
  delete Event[name];
}

/** Marks an event as the platform's own. */
export { trust };

/** `CustomEvent`. */
export class CustomEvent extends Event {
  #detail;

  constructor(type, options = undefined) {
    if (arguments.length === 0) throw missingArgs('type');
    super(type, options);
    this.#detail = options?.detail ?? null;
  }

  get detail() {
    return this.#detail;
  }
}

/** `MessageEvent`. */
export class MessageEvent extends Event {
  #data;
  #origin;
  #lastEventId;
  #source;
  #ports;

  constructor(type, options = undefined) {
    if (arguments.length === 0) throw missingArgs('type');
    super(type, options);
    this.#data = options?.data ?? null;
    this.#origin = options?.origin === undefined ? '' : domText(options.origin);
    this.#lastEventId = options?.lastEventId === undefined ? '' : domText(options.lastEventId);
    this.#source = options?.source ?? null;
    this.#ports = ObjectFreeze(options?.ports === undefined ? [] : [...options.ports]);
  }

  get data() {
    return this.#data;
  }

  get origin() {
    return this.#origin;
  }

  get lastEventId() {
    return this.#lastEventId;
  }

  get source() {
    return this.#source;
  }

  get ports() {
    return this.#ports;
  }
}

/** `ErrorEvent`. */
export class ErrorEvent extends Event {
  #message;
  #filename;
  #lineno;
  #colno;
  #error;

  constructor(type, options = undefined) {
    if (arguments.length === 0) throw missingArgs('type');
    super(type, options);
    this.#message = options?.message === undefined ? '' : domText(options.message);
    this.#filename = options?.filename === undefined ? '' : domText(options.filename);
    this.#lineno = options?.lineno === undefined ? 0 : options.lineno >>> 0;
    this.#colno = options?.colno === undefined ? 0 : options.colno >>> 0;
    this.#error = options?.error;
  }

  get message() {
    return this.#message;
  }

  get filename() {
    return this.#filename;
  }

  get lineno() {
    return this.#lineno;
  }

  get colno() {
    return this.#colno;
  }

  get error() {
    return this.#error;
  }
}

/** `PromiseRejectionEvent`. */
export class PromiseRejectionEvent extends Event {
  #promise;
  #reason;

  constructor(type, options) {
    if (arguments.length < 2) throw missingArgs('type', 'options');
    super(type, options);
    if (!isObject(options?.promise))
      throw wrongType('promise', 'of type object', options?.promise);
    this.#promise = options.promise;
    this.#reason = options.reason;
  }

  get promise() {
    return this.#promise;
  }

  get reason() {
    return this.#reason;
  }
}

function isListener(listener) {
  if (listener === null || listener === undefined) return false;
  if (isObject(listener)) return true;
  throw wrongType('listener', 'an instance of EventListener', listener);
}

const captures = (options) => Boolean(isObject(options) ? options.capture : options);

/** `EventTarget`. */
export class EventTarget {
  /** Lists of listeners by type, made when there are any. */
  #listeners = null;
  /** The values of `on…` properties by type. */
  #handlers = null;

  addEventListener(type, listener, options = undefined) {
    checkTarget(this);
    if (arguments.length < 2) throw missingArgs('type', 'listener');
    const capture = captures(options);
    const once = isObject(options) && Boolean(options.once);
    const passive = isObject(options) && Boolean(options.passive);
    const signal = isObject(options) ? options.signal : undefined;
    if (signal !== undefined && typeof signal?.aborted !== 'boolean') {
      throw wrongType('options.signal', 'an instance of AbortSignal', signal);
    }
    if (!isListener(listener) || signal?.aborted) return;
    const key = domText(type);
    this.#listeners ??= new SafeMap();
    const list = MapPrototypeGet(this.#listeners, key) ?? [];
    for (let i = 0; i < list.length; i++) {
      if (list[i].listener === listener && list[i].capture === capture) return;
    }
    append(list, { listener, capture, once, passive, isRemoved: false });
    MapPrototypeSet(this.#listeners, key, list);
    signal?.addEventListener('abort', () => this.removeEventListener(key, listener, capture), {
      once: true,
    });
  }

  removeEventListener(type, listener, options = undefined) {
    checkTarget(this);
    if (arguments.length < 2) throw missingArgs('type', 'listener');
    if (!isListener(listener)) return;
    const key = domText(type);
    const list = this.#listeners === null ? undefined : MapPrototypeGet(this.#listeners, key);
    if (list === undefined) return;
    const capture = captures(options);
    const rest = [];
    for (let i = 0; i < list.length; i++) {
      const isIt = list[i].listener === listener && list[i].capture === capture;
      if (isIt) list[i].isRemoved = true;
      else append(rest, list[i]);
    }
    if (rest.length === 0) MapPrototypeDelete(this.#listeners, key);
    else MapPrototypeSet(this.#listeners, key, rest);
  }

  dispatchEvent(event) {
    checkTarget(this);
    if (arguments.length === 0) throw missingArgs('event');
    if (!isEvent(event)) throw wrongType('event', 'an instance of Event', event);
    if (!begin(event, this)) {
      throw codedError(
        'ERR_EVENT_RECURSION',
        `The event "${event.type}" is already being dispatched`,
      );
    }
    const listeners = this.#listeners;
    const given = listeners === null ? undefined : MapPrototypeGet(listeners, event.type);
    const list = given === undefined ? [] : ArrayPrototypeSlice(given);
    for (let i = 0; i < list.length && !isOver(event); i++) {
      const entry = list[i];
      if (entry.isRemoved) continue;
      if (entry.once) this.removeEventListener(event.type, entry.listener, entry.capture);
      setPassive(event, entry.passive);
      this.#call(entry.listener, event);
      setPassive(event, false);
    }
    return end(event);
  }

  #call(listener, event) {
    try {
      if (typeof listener === 'function') ReflectApply(listener, this, [event]);
      else listener.handleEvent(event);
    } catch (error) {
      // As in Node: what a listener throws is an uncaught exception.
      fail(error);
    }
  }

  [CUSTOM_INSPECT](depth, options, inspect) {
    return `${this.constructor?.name ?? 'EventTarget'} ${inspect({ ...this }, options)}`;
  }

  static check(target) {
    if (!isObject(target) || !(#listeners in target)) throw invalidThis('EventTarget');
  }

  static handler(target, type) {
    checkTarget(target);
    const handlers = target.#handlers;
    return (handlers === null ? null : MapPrototypeGet(handlers, type)?.value) ?? null;
  }

  static setHandler(target, type, value) {
    checkTarget(target);
    target.#handlers ??= new SafeMap();
    const earlier = MapPrototypeGet(target.#handlers, type);
    if (!isObject(value)) {
      if (earlier === undefined) return;
      target.removeEventListener(type, earlier.listener);
      MapPrototypeDelete(target.#handlers, type);
      return;
    }
    if (earlier !== undefined) {
      // It keeps its place among the listeners.
      earlier.value = value;
      return;
    }
    const entry = { listener: null, value };
    entry.listener = (event) => {
      if (typeof entry.value !== 'function') return;
      if (ReflectApply(entry.value, target, [event]) === false) event.preventDefault();
    };
    MapPrototypeSet(target.#handlers, type, entry);
    target.addEventListener(type, entry.listener);
  }
}

const { check: checkTarget, handler, setHandler } = EventTarget;
for (const name of ['check', 'handler', 'setHandler']) delete EventTarget[name];

/** Defines an `on…` property for each type on a class that extends `EventTarget`. */
export function defineHandlers(Class, ...types) {
  for (const type of types) {
    const name = `on${type}`;
    const accessor = {
      get [name]() {
        return handler(this, type);
      },
      set [name](value) {
        setHandler(this, type, value);
      },
    };
    const { get, set } = Object.getOwnPropertyDescriptor(accessor, name);
    ObjectDefineProperty(Class.prototype, name, { configurable: true, enumerable: true, get, set });
  }
}

asInterface(Event, 'Event');
constants(Event, { NONE, CAPTURING_PHASE: 1, AT_TARGET, BUBBLING_PHASE: 3 });
asInterface(CustomEvent, 'CustomEvent');
asInterface(MessageEvent, 'MessageEvent');
asInterface(ErrorEvent, 'ErrorEvent');
asInterface(PromiseRejectionEvent, 'PromiseRejectionEvent');
asInterface(EventTarget, 'EventTarget');
