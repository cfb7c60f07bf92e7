// MessageChannel and MessagePort (HTML standard), within one sandbox.
//
// A message is cloned when it is sent and arrives in a turn of its own, as a timer would.

import { ArrayPrototypeShift, append, isObject } from './primordials.js';
import { structuredClone } from './clone.js';
import { typeError } from './errors.js';
import { Event, EventTarget, MessageEvent, defineHandlers, trust } from './event.js';
import { setImmediate } from './timers.js';
import { asInterface, invalidThis, missingArgs } from './webidl.js';

const KEY = Symbol('create');

/** `MessagePort`. */
export class MessagePort extends EventTarget {
  #peer = null;
  #queue = [];
  #isStarted = false;
  #isClosed = false;
  #isScheduled = false;

  constructor(key) {
    if (key !== KEY) throw typeError('ERR_CONSTRUCT_CALL_INVALID', 'Constructor cannot be called');
    super();
  }

  postMessage(message, options = undefined) {
    if (!isObject(this) || !(#queue in this)) throw invalidThis('MessagePort');
    if (arguments.length === 0) throw missingArgs('message');
    const isList = isObject(options) && options[Symbol.iterator] !== undefined;
    const data = structuredClone(message, isList ? { transfer: options } : options);
    const peer = this.#peer;
    if (this.#isClosed || peer === null || peer.#isClosed) return;
    append(peer.#queue, data);
    peer.#schedule();
  }

  start() {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#schedule();
  }

  close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const peer = this.#peer;
    setImmediate(() => {
      this.dispatchEvent(trust(new Event('close')));
      if (peer !== null && !peer.#isClosed) peer.close();
    });
  }

  ref() {}

  unref() {}

  hasRef() {
    return false;
  }

  #schedule() {
    if (!this.#isStarted || this.#isScheduled || this.#queue.length === 0) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#isClosed || this.#queue.length === 0) return;
      const data = ArrayPrototypeShift(this.#queue);
      this.#schedule();
      this.dispatchEvent(trust(new MessageEvent('message', { data })));
    });
  }

  static entangle(a, b) {
    a.#peer = b;
    b.#peer = a;
  }
}

const { entangle } = MessagePort;
delete MessagePort.entangle;

asInterface(MessagePort, 'MessagePort');
defineHandlers(MessagePort, 'message', 'messageerror', 'close');

// Asking for messages in this way begins their delivery.
const { get, set } = Object.getOwnPropertyDescriptor(MessagePort.prototype, 'onmessage');
Object.defineProperty(MessagePort.prototype, 'onmessage', {
  get,
  set(value) {
    Reflect.apply(set, this, [value]);
    if (isObject(value)) this.start();
  },
});

/** `MessageChannel`. */
export class MessageChannel {
  #port1 = new MessagePort(KEY);
  #port2 = new MessagePort(KEY);

  constructor() {
    entangle(this.#port1, this.#port2);
  }

  get port1() {
    return this.#port1;
  }

  get port2() {
    return this.#port2;
  }
}

asInterface(MessageChannel, 'MessageChannel');
