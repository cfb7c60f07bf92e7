// TextEncoderStream and TextDecoderStream (Encoding standard).

import { StringPrototypeCharCodeAt, StringPrototypeSlice, isObject } from './primordials.js';
import { TextDecoder, TextEncoder } from './encoding.js';
import { TransformStream } from './streams.js';
import { asInterface, domText, invalidThis } from './webidl.js';

/** `TextEncoderStream`: strings in, UTF-8 out. A surrogate pair may come in two chunks. */
export class TextEncoderStream {
  #transform;

  constructor() {
    const encoder = new TextEncoder();
    let high = '';
    this.#transform = new TransformStream({
      transform(chunk, controller) {
        let text = high + domText(chunk);
        high = '';
        const last = text === '' ? 0 : StringPrototypeCharCodeAt(text, text.length - 1);
        if (last >= 0xd800 && last < 0xdc00) {
          high = StringPrototypeSlice(text, -1);
          text = StringPrototypeSlice(text, 0, -1);
        }
        if (text !== '') controller.enqueue(encoder.encode(text));
      },
      flush(controller) {
        if (high !== '') controller.enqueue(encoder.encode(high));
      },
    });
  }

  get encoding() {
    checkEncoder(this);
    return 'utf-8';
  }

  get readable() {
    return checkEncoder(this).readable;
  }

  get writable() {
    return checkEncoder(this).writable;
  }

  static check(stream) {
    if (!isObject(stream) || !(#transform in stream)) throw invalidThis('TextEncoderStream');
    return stream.#transform;
  }
}

const { check: checkEncoder } = TextEncoderStream;
delete TextEncoderStream.check;

/** `TextDecoderStream`: bytes in, strings out; labels and options as for `TextDecoder`. */
export class TextDecoderStream {
  #decoder;
  #transform;

  constructor(label = 'utf-8', options = undefined) {
    const decoder = new TextDecoder(label, options);
    this.#decoder = decoder;
    this.#transform = new TransformStream({
      transform(chunk, controller) {
        const text = decoder.decode(chunk, { stream: true });
        if (text !== '') controller.enqueue(text);
      },
      flush(controller) {
        const text = decoder.decode();
        if (text !== '') controller.enqueue(text);
      },
    });
  }

  get encoding() {
    return checkDecoder(this).#decoder.encoding;
  }

  get fatal() {
    return checkDecoder(this).#decoder.fatal;
  }

  get ignoreBOM() {
    return checkDecoder(this).#decoder.ignoreBOM;
  }

  get readable() {
    return checkDecoder(this).#transform.readable;
  }

  get writable() {
    return checkDecoder(this).#transform.writable;
  }

  static check(stream) {
    if (!isObject(stream) || !(#decoder in stream)) throw invalidThis('TextDecoderStream');
    return stream;
  }
}

const { check: checkDecoder } = TextDecoderStream;
delete TextDecoderStream.check;

asInterface(TextEncoderStream, 'TextEncoderStream');
asInterface(TextDecoderStream, 'TextDecoderStream');
