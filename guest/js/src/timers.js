// Timers: in order of their deadlines, then of their creation; one wait of the host at a time.
//
// Each callback runs in a turn of its own, so that the promise jobs of one run before the next.

import {
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeSet,
  MathCeil,
  NumberIsFinite,
  PromiseConstructor,
  SafeMap,
  append,
} from './primordials.js';
import { current, runIn } from './async-context.js';
import { typeError } from './errors.js';
import { guarded } from './lifecycle.js';
import { native, touch } from './native.js';

const DELAY_MAX = 2147483647;

let nextId = 1;
/** Active timers by number, for `clearTimeout(Number(timer))`. */
const byId = new SafeMap();
/** A heap: the earliest at 0, each knowing its place. */
const heap = [];
const immediates = [];
let firstImmediate = 0;
let armed = 0;
let armedFor = 0;

function isBefore(a, b) {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.order < b.order);
}

function put(place, timer) {
  heap[place] = timer;
  timer.place = place;
}

function up(place, timer) {
  while (place > 0) {
    const parent = (place - 1) >> 1;
    if (!isBefore(timer, heap[parent])) break;
    put(place, heap[parent]);
    place = parent;
  }
  put(place, timer);
}

function down(place, timer) {
  for (;;) {
    let child = 2 * place + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
    if (!isBefore(heap[child], timer)) break;
    put(place, heap[child]);
    place = child;
  }
  put(place, timer);
}

let order = 0;

function schedule(state) {
  state.order = ++order;
  state.deadline = native.now() + state.delay;
  append(heap, state);
  up(heap.length - 1, state);
}

function unschedule(state) {
  const { place } = state;
  if (place < 0) return;
  state.place = -1;
  const last = heap[heap.length - 1];
  heap.length--;
  if (last === state) return;
  if (place > 0 && isBefore(last, heap[(place - 1) >> 1])) up(place, last);
  else down(place, last);
}

/** Makes the host's wait fit the earliest deadline. */
function arm() {
  const hasImmediates = firstImmediate < immediates.length;
  if (!hasImmediates && heap.length === 0) {
    disarm();
    return;
  }
  const at = hasImmediates ? 0 : heap[0].deadline;
  if (armed !== 0 && armedFor === at) return;
  disarm();
  armedFor = at;
  const delay = hasImmediates ? 0 : MathCeil(at - native.now());
  armed = native.timer(delay > 0 ? delay : 0, ring);
}

function disarm() {
  if (armed === 0) return;
  native.cancel(armed);
  armed = 0;
}

function ring() {
  armed = 0;
  const now = heap.length > 0 ? native.now() : 0;
  if (heap.length > 0 && heap[0].deadline <= now) runTimer(heap[0]);
  else if (firstImmediate < immediates.length) runImmediate();
  arm();
}

function runTimer(state) {
  unschedule(state);
  if (!state.repeats) MapPrototypeDelete(byId, state.id);
  guarded(run, state);
  if (state.repeats && state.isActive && state.place < 0) schedule(state);
}

function run(state) {
  runIn(state.context, state.callback, state.timer, state.args);
}

function runImmediate() {
  const state = immediates[firstImmediate];
  immediates[firstImmediate++] = undefined;
  if (firstImmediate === immediates.length) {
    firstImmediate = 0;
    immediates.length = 0;
  }
  if (state.isActive) {
    state.isActive = false;
    guarded(run, state);
  }
}

function checkCallback(callback) {
  if (typeof callback !== 'function') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'The "callback" argument must be of type function.');
  }
}

/** What `setTimeout` and `setInterval` answer. */
class Timeout {
  #state;

  constructor(callback, delay, args, repeats) {
    const given = +delay;
    const isFit = NumberIsFinite(given) && given >= 1 && given <= DELAY_MAX;
    this.#state = {
      args,
      callback,
      context: current(),
      deadline: 0,
      delay: isFit ? given : 1,
      id: nextId++,
      isActive: true,
      isRef: true,
      order: 0,
      place: -1,
      repeats,
      timer: this,
    };
    MapPrototypeSet(byId, this.#state.id, this);
    schedule(this.#state);
    arm();
  }

  ref() {
    this.#state.isRef = true;
    return this;
  }

  unref() {
    this.#state.isRef = false;
    return this;
  }

  hasRef() {
    return this.#state.isRef;
  }

  refresh() {
    if (this.#state.isActive) {
      unschedule(this.#state);
      MapPrototypeSet(byId, this.#state.id, this);
      schedule(this.#state);
      arm();
    }
    return this;
  }

  close() {
    stop(this);
    return this;
  }

  [Symbol.toPrimitive]() {
    return this.#state.id;
  }

  [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() {
    stop(this);
  }

  static stop(timer) {
    if (!(#state in timer)) return;
    const state = timer.#state;
    state.isActive = false;
    MapPrototypeDelete(byId, state.id);
    unschedule(state);
    arm();
  }
}

const { stop } = Timeout;
delete Timeout.stop;

/** What `setImmediate` answers. */
class Immediate {
  #state;

  constructor(callback, args) {
    this.#state = { args, callback, context: current(), isActive: true, timer: this };
    append(immediates, this.#state);
    arm();
  }

  ref() {
    return this;
  }

  unref() {
    return this;
  }

  hasRef() {
    return true;
  }

  static stop(immediate) {
    if (#state in immediate) immediate.#state.isActive = false;
  }
}

const { stop: stopImmediate } = Immediate;
delete Immediate.stop;

export function setTimeout(callback, delay, ...args) {
  checkCallback(callback);
  touch('setTimeout()');
  return new Timeout(callback, delay, args, false);
}

export function setInterval(callback, delay, ...args) {
  checkCallback(callback);
  touch('setInterval()');
  return new Timeout(callback, delay, args, true);
}

export function setImmediate(callback, ...args) {
  checkCallback(callback);
  touch('setImmediate()');
  return new Immediate(callback, args);
}

export function clearTimeout(timer) {
  if (timer !== null && typeof timer === 'object') {
    stop(timer);
    return;
  }
  const found = MapPrototypeGet(byId, +timer);
  if (found !== undefined) stop(found);
}

export { clearTimeout as clearInterval };

export function clearImmediate(immediate) {
  if (immediate !== null && typeof immediate === 'object') stopImmediate(immediate);
}

/** A promise for `ms` milliseconds from now. */
export function sleep(ms) {
  touch('sleep()');
  return new PromiseConstructor((resolve) => {
    new Timeout(resolve, ms, [], false);
  });
}
