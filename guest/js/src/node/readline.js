// `node:readline`: lines of a stream. There is no terminal to ask.

import { builtin } from '../builtins.js';
import { invalidArgType } from './validate.js';
import { unsupported } from './unsupported.js';

const LINE_END = /\r\n|[\n\r\u2028\u2029]/;

let made;

function makeInterface() {
  const { EventEmitter } = builtin('events');
  const { StringDecoder } = builtin('string_decoder');

  return class Interface extends EventEmitter {
    #decoder = new StringDecoder('utf8');
    #rest = '';
    #input;
    #onData = (chunk) => this.#take(typeof chunk === 'string' ? chunk : this.#decoder.write(chunk));
    #onEnd = () => {
      this.#take(this.#decoder.end());
      if (this.#rest !== '') this.emit('line', this.#rest.replace(/\r$/, ''));
      this.#rest = '';
      this.close();
    };

    constructor(input) {
      super();
      if (typeof input?.on !== 'function') throw invalidArgType('input', 'Stream', input);
      this.#input = input;
      this.line = '';
      this.terminal = false;
      this.closed = false;
      input.on('data', this.#onData);
      input.on('end', this.#onEnd);
      input.on('error', (error) => this.emit('error', error));
    }

    #take(text) {
      let all = this.#rest + text;
      // A carriage return at the end may be half of a line's end.
      const isHalf = all.endsWith('\r');
      if (isHalf) all = all.slice(0, -1);
      const lines = all.split(LINE_END);
      this.#rest = lines.pop() + (isHalf ? '\r' : '');
      for (const line of lines) if (!this.closed) this.emit('line', line);
    }

    close() {
      if (this.closed) return;
      this.closed = true;
      this.#input.removeListener('data', this.#onData);
      this.#input.removeListener('end', this.#onEnd);
      this.#input.pause?.();
      this.emit('close');
    }

    pause() {
      this.#input.pause?.();
      this.emit('pause');
      return this;
    }

    resume() {
      this.#input.resume?.();
      this.emit('resume');
      return this;
    }

    setPrompt() {}

    getPrompt() {
      return '> ';
    }

    prompt() {}

    write() {}

    [Symbol.asyncIterator]() {
      return linesOf(this);
    }
  };
}

/** The lines that a reader emits, one by one; it is closed when nobody wants more. */
async function* linesOf(reader) {
  const waiting = [];
  let wake = () => {};
  let failure;
  reader.on('line', (line) => {
    waiting.push(line);
    wake();
  });
  reader.on('close', () => wake());
  reader.on('error', (error) => {
    failure = error;
    wake();
  });
  try {
    for (;;) {
      while (waiting.length > 0) yield waiting.shift();
      if (failure !== undefined) throw failure;
      if (reader.closed) return;
      await new Promise((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    reader.close();
  }
}

function interfaceClass() {
  made ??= makeInterface();
  return made;
}

function createInterface(input, ...more) {
  const options = typeof input?.on === 'function' ? { input, output: more[0] } : input;
  const reader = new (interfaceClass())(options?.input);
  reader.question = unsupported('readline', 'question', 'a function has no terminal');
  return reader;
}

const done = (callback) => {
  if (typeof callback === 'function') callback();
  return true;
};

/** `node:readline/promises`. */
export const promises = {
  get Interface() {
    return interfaceClass();
  },
  Readline: unsupported('readline', 'Readline', 'a function has no terminal'),
  createInterface,
};

export default {
  get Interface() {
    return interfaceClass();
  },
  clearLine: (stream, direction, callback) => done(callback),
  clearScreenDown: (stream, callback) => done(callback),
  createInterface,
  cursorTo: (stream, x, y, callback) => done(typeof y === 'function' ? y : callback),
  emitKeypressEvents() {},
  moveCursor: (stream, x, y, callback) => done(callback),
  promises,
};
