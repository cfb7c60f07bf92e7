// Hash, Hmac, Cipheriv and the like are streams in Node, and hardly ever used as such. Here they
// become streams when something asks for a stream's methods, and not before: loading and setting
// up a stream costs more than most hashes.

import { builtin } from '../../builtins.js';

const MEMBERS = [
  '_events',
  '_readableState',
  '_writableState',
  'addListener',
  'closed',
  'cork',
  'destroy',
  'destroyed',
  'emit',
  'end',
  'errored',
  'eventNames',
  'getMaxListeners',
  'isPaused',
  'listenerCount',
  'listeners',
  'off',
  'on',
  'once',
  'pause',
  'pipe',
  'prependListener',
  'prependOnceListener',
  'push',
  'rawListeners',
  'read',
  'readable',
  'readableEnded',
  'readableFlowing',
  'readableHighWaterMark',
  'readableLength',
  'readableObjectMode',
  'removeAllListeners',
  'removeListener',
  'resume',
  'setDefaultEncoding',
  'setEncoding',
  'setMaxListeners',
  'uncork',
  'unpipe',
  'unshift',
  'writable',
  'writableEnded',
  'writableFinished',
  'writableHighWaterMark',
  'writableLength',
  'writableObjectMode',
  'write',
  Symbol.asyncIterator,
];

let Transform;

/** The base class of what can be a `Transform`, with `_options` for its constructor. */
export class LazyStream {
  _options = undefined;
}

/** Makes every `LazyStream` inherit from `Transform`. */
function becomeStreams() {
  ({ Transform } = builtin('stream'));
  const proto = LazyStream.prototype;
  for (const name of MEMBERS) delete proto[name];
  Object.setPrototypeOf(proto, Transform.prototype);
  for (const name of ['_readableState', '_writableState']) {
    Object.defineProperty(proto, name, {
      configurable: true,
      get() {
        if (this === proto || !(this instanceof LazyStream)) return undefined;
        begin(this);
        return this[name];
      },
      set(value) {
        Object.defineProperty(this, name, { configurable: true, value, writable: true });
      },
    });
  }
}

/** Runs the constructor of `Transform` for an object that exists already. */
function begin(stream) {
  for (const name of ['_readableState', '_writableState']) {
    Object.defineProperty(stream, name, { configurable: true, value: undefined, writable: true });
  }
  const methods = [stream._transform, stream._flush];
  Transform.call(stream, stream._options);
  [stream._transform, stream._flush] = methods;
}

for (const name of MEMBERS) {
  Object.defineProperty(LazyStream.prototype, name, {
    configurable: true,
    get() {
      if (this === LazyStream.prototype) return undefined;
      becomeStreams();
      return this[name];
    },
    set(value) {
      Object.defineProperty(this, name, { configurable: true, value, writable: true });
    },
  });
}
