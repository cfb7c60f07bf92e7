// Web streams (Streams standard): the `web-streams-polyfill` package.

import './dom-exception-global.js';
import { TransformStreamDefaultController } from 'web-streams-polyfill';
import { ObjectDefineProperty, PromiseResolve } from './primordials.js';

export {
  ByteLengthQueuingStrategy,
  CountQueuingStrategy,
  ReadableByteStreamController,
  ReadableStream,
  ReadableStreamBYOBReader,
  ReadableStreamBYOBRequest,
  ReadableStreamDefaultController,
  ReadableStreamDefaultReader,
  TransformStream,
  TransformStreamDefaultController,
  WritableStream,
  WritableStreamDefaultController,
  WritableStreamDefaultWriter,
} from 'web-streams-polyfill';

// The package forgets a transformer when its readable side is cancelled, and then stumbles over a
// write that was under way, so that what is piped into it never hears of the end. Such a write
// brings its chunk to nobody instead.
const ALGORITHM = Symbol('transform');
const toNobody = () => PromiseResolve(undefined);
ObjectDefineProperty(TransformStreamDefaultController.prototype, '_transformAlgorithm', {
  configurable: true,
  enumerable: false,
  get() {
    return this[ALGORITHM] ?? toNobody;
  },
  set(algorithm) {
    this[ALGORITHM] = algorithm;
  },
});
