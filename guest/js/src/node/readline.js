// Node's `readline`, as far as it reads lines from a stream. There is no terminal to ask.

import events from 'events';
import { codedError } from '../errors.js';
import { nextTick } from '../process.js';
import { StringDecoder } from './string-decoder.js';

function noTerminal(name) {
  return codedError('ENOTSUP', `readline.${name}: there is no terminal in Ampoule`);
}

/** Lines of an input stream, as events or by `for await`. */
class Interface extends events {
  #decoder = new StringDecoder('utf8');
  #rest = '';
  #afterReturn = false;

  constructor(options) {
    super();
    const input = options?.input ?? options;
    if (typeof input?.on !== 'function') throw noTerminal('createInterface() without an input');
    this.input = input;
    this.output = options.output;
    this.terminal = false;
    this.closed = false;
    this.line = '';
    this.onData = (chunk) => this.#take(this.#decoder.write(chunk));
    this.onEnd = () => {
      this.#take(this.#decoder.end());
      if (this.#rest !== '') this.emit('line', this.#rest);
      this.#rest = '';
      this.close();
    };
    input.on('data', this.onData);
    input.on('end', this.onEnd);
    options.signal?.addEventListener('abort', () => this.close(), { once: true });
  }

  #take(text) {
    let whole = this.#rest + text;
    // The second half of an end of line that was cut in two.
    if (this.#afterReturn && whole.startsWith('\n')) whole = whole.slice(1);
    if (whole !== '') this.#afterReturn = false;
    const lines = whole.split(/\r\n|\n|\r/);
    this.#rest = lines.pop();
    if (this.#rest === '' && whole.endsWith('\r')) this.#afterReturn = true;
    for (const line of lines) this.emit('line', line);
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    this.input.removeListener('data', this.onData);
    this.input.removeListener('end', this.onEnd);
    this.input.pause?.();
    this.emit('close');
  }

  pause() {
    this.input.pause();
    this.emit('pause');
    return this;
  }

  resume() {
    this.input.resume();
    this.emit('resume');
    return this;
  }

  setPrompt() {}

  prompt() {}

  write() {
    throw noTerminal('write()');
  }

  question() {
    throw noTerminal('question()');
  }

  async *[Symbol.asyncIterator]() {
    const lines = [];
    let wake = () => {};
    let failure = null;
    const onLine = (line) => {
      lines.push(line);
      wake();
    };
    const onClose = () => wake();
    const onError = (error) => {
      failure = error;
      wake();
    };
    this.on('line', onLine);
    this.on('close', onClose);
    this.input.on('error', onError);
    try {
      for (;;) {
        while (lines.length > 0) yield lines.shift();
        if (failure !== null) throw failure;
        if (this.closed) return;
        await new Promise((resolve) => (wake = resolve));
      }
    } finally {
      this.input.removeListener('error', onError);
      this.close();
    }
  }
}

const done = (callback) => {
  if (typeof callback === 'function') nextTick(callback);
  return true;
};

const createInterface = (options) => new Interface(options);

/** `readline/promises`. */
export const promises = { Interface, createInterface };

export default {
  Interface,
  createInterface,
  clearLine: (_stream, _direction, callback) => done(callback),
  clearScreenDown: (_stream, callback) => done(callback),
  cursorTo: (_stream, _x, y, callback) => done(typeof y === 'function' ? y : callback),
  moveCursor: (_stream, _dx, _dy, callback) => done(callback),
  emitKeypressEvents() {},
  promises,
};
