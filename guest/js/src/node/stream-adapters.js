// The ways between Node's streams and the web's. Each keeps the other side's back-pressure and
// hands on its end, its error and its being given up.

import Stream from 'readable-stream/lib/stream.js';
import { Buffer } from '../buffer.js';
import { codedError, typeError } from '../errors.js';
import { process } from '../process.js';
import { CountQueuingStrategy, ReadableStream, WritableStream } from '../streams.js';

const { Duplex, Readable, Writable, finished } = Stream;

function abortError() {
  const error = codedError('ABORT_ERR', 'The operation was aborted');
  error.name = 'AbortError';
  return error;
}

function wrongType(name, kind) {
  return typeError(
    'ERR_INVALID_ARG_TYPE',
    `The "${name}" argument must be an instance of ${kind}.`,
  );
}

function checkOptions(options) {
  if (options === null || typeof options !== 'object') throw wrongType('options', 'Object');
}

/** Runs a callback outside of a promise's job: what it throws is uncaught, and not swallowed. */
function after(promise, fulfilled, rejected) {
  promise.then(
    (value) => process.nextTick(fulfilled, value),
    (error) => process.nextTick(rejected, error),
  );
}

function readableStrategy(stream, options) {
  if (options?.strategy) return options.strategy;
  const { readableHighWaterMark: highWaterMark } = stream;
  if (stream.readableObjectMode) return new CountQueuingStrategy({ highWaterMark });
  return { highWaterMark };
}

/** `Readable.toWeb`. */
export function readableToWeb(stream, options = {}) {
  if (typeof stream?._readableState !== 'object') {
    throw wrongType('streamReadable', 'stream.Readable');
  }
  checkOptions(options);
  if (Stream.isDestroyed(stream) || !Stream.isReadable(stream)) {
    const empty = new ReadableStream();
    empty.cancel();
    return empty;
  }
  const isObjects = stream.readableObjectMode;
  let controller;
  let isCancelled = false;

  function onData(chunk) {
    const isBytes = Buffer.isBuffer(chunk) && !isObjects;
    controller.enqueue(isBytes ? new Uint8Array(chunk) : chunk);
    if (controller.desiredSize <= 0) stream.pause();
  }

  const forget = finished(stream, (error) => {
    forget();
    // A stream that is destroyed again later must not bring the invocation down.
    stream.on('error', () => {});
    const isEarly = error?.code === 'ERR_STREAM_PREMATURE_CLOSE';
    if (isCancelled) return;
    if (error) controller.error(isEarly ? abortError() : error);
    else controller.close();
  });

  stream.pause();
  return new ReadableStream(
    {
      start(given) {
        controller = given;
        stream.on('data', onData);
        stream.pause();
      },
      pull() {
        stream.resume();
      },
      cancel(reason) {
        isCancelled = true;
        stream.destroy(reason ?? undefined);
      },
    },
    readableStrategy(stream, options),
  );
}

/** `Readable.fromWeb`. */
export function readableFromWeb(source, options = {}) {
  if (!(source instanceof ReadableStream)) throw wrongType('readableStream', 'ReadableStream');
  checkOptions(options);
  const reader = source.getReader();
  let isClosed = false;
  const { encoding, highWaterMark, objectMode = false, signal } = options;
  const readable = new Readable({
    objectMode,
    highWaterMark,
    encoding,
    signal,
    read() {
      after(
        reader.read(),
        ({ done, value }) => readable.push(done ? null : value),
        (error) => readable.destroy(error),
      );
    },
    destroy(error, callback) {
      const done = () => callback(error);
      if (isClosed) done();
      else after(reader.cancel(error), done, done);
    },
  });
  after(
    reader.closed,
    () => {
      isClosed = true;
    },
    (error) => {
      isClosed = true;
      readable.destroy(error);
    },
  );
  return readable;
}

function writableStrategy(stream) {
  const { writableHighWaterMark: highWaterMark } = stream;
  if (stream.writableObjectMode) return new CountQueuingStrategy({ highWaterMark });
  return { highWaterMark };
}

/** `Writable.toWeb`. */
export function writableToWeb(stream) {
  if (typeof stream?._writableState !== 'object') {
    throw wrongType('streamWritable', 'stream.Writable');
  }
  if (Stream.isDestroyed(stream) || !Stream.isWritable(stream)) {
    const closed = new WritableStream();
    closed.close();
    return closed;
  }
  let controller;
  let drained = null;
  let closing = null;

  stream.on('drain', () => {
    const waiting = drained;
    drained = null;
    waiting?.resolve();
  });

  function settle(waiting, error) {
    if (error) waiting?.reject(error);
    else waiting?.resolve();
  }

  const forget = finished(stream, (error) => {
    forget();
    stream.on('error', () => {});
    const isEarly = error?.code === 'ERR_STREAM_PREMATURE_CLOSE';
    const reason = isEarly ? abortError() : error;
    const isExpected = closing !== null;
    settle(drained, reason);
    settle(closing, reason);
    drained = null;
    closing = null;
    // Ended by somebody else, the web's stream cannot be written to any more.
    if (reason || !isExpected) controller.error(reason ?? abortError());
  });

  const waiting = () => {
    const result = {};
    result.promise = new Promise((resolve, reject) => Object.assign(result, { resolve, reject }));
    return result;
  };

  return new WritableStream(
    {
      start(given) {
        controller = given;
      },
      write(chunk) {
        const goesOn = stream.write(chunk);
        if (goesOn && !stream.writableNeedDrain) return undefined;
        drained ??= waiting();
        return drained.promise;
      },
      abort(reason) {
        stream.destroy(reason);
      },
      close() {
        if (Stream.isDestroyed(stream) || stream.writableFinished) return undefined;
        closing = waiting();
        stream.end();
        return closing.promise;
      },
    },
    writableStrategy(stream),
  );
}

/** The methods of a Node stream that write to a web stream's writer. */
function writing(writer, state) {
  return {
    write(chunk, _encoding, callback) {
      after(
        writer.ready.then(() => writer.write(chunk)),
        () => callback(),
        callback,
      );
    },
    writev(chunks, callback) {
      const all = chunks.map(({ chunk }) => writer.ready.then(() => writer.write(chunk)));
      after(Promise.all(all), () => callback(), callback);
    },
    final(callback) {
      if (state.isClosed) {
        callback();
        return;
      }
      after(writer.close(), () => callback(), callback);
    },
  };
}

/** Ends a Node stream with its web stream. */
function watch(writer, state, stream) {
  after(
    writer.closed,
    () => {
      state.isClosed = true;
      if (!stream.writableEnded) stream.destroy(prematureClose());
    },
    (error) => {
      state.isClosed = true;
      stream.destroy(error);
    },
  );
}

function prematureClose() {
  return codedError('ERR_STREAM_PREMATURE_CLOSE', 'Premature close');
}

/** `Writable.fromWeb`. */
export function writableFromWeb(target, options = {}) {
  if (!(target instanceof WritableStream)) throw wrongType('writableStream', 'WritableStream');
  checkOptions(options);
  const writer = target.getWriter();
  const state = { isClosed: false };
  const { decodeStrings = true, highWaterMark, objectMode = false, signal } = options;
  const writable = new Writable({
    ...writing(writer, state),
    decodeStrings,
    highWaterMark,
    objectMode,
    signal,
    destroy(error, callback) {
      const done = () => callback(error);
      if (state.isClosed) done();
      else if (error === null) after(writer.close(), done, done);
      else after(writer.abort(error), done, done);
    },
  });
  watch(writer, state, writable);
  return writable;
}

/** `Duplex.toWeb`. */
export function duplexToWeb(duplex) {
  if (typeof duplex?._writableState !== 'object' || typeof duplex._readableState !== 'object') {
    throw wrongType('duplex', 'stream.Duplex');
  }
  return { readable: readableToWeb(duplex), writable: writableToWeb(duplex) };
}

/** `Duplex.fromWeb`. */
export function duplexFromWeb(pair, options = {}) {
  if (!(pair?.readable instanceof ReadableStream))
    throw wrongType('pair.readable', 'ReadableStream');
  if (!(pair.writable instanceof WritableStream))
    throw wrongType('pair.writable', 'WritableStream');
  checkOptions(options);
  const writer = pair.writable.getWriter();
  const reader = pair.readable.getReader();
  const state = { isClosed: false };
  let isReadClosed = false;
  const { allowHalfOpen = false, decodeStrings = true, encoding, highWaterMark } = options;
  const { objectMode = false, signal } = options;
  const duplex = new Duplex({
    ...writing(writer, state),
    allowHalfOpen,
    decodeStrings,
    encoding,
    highWaterMark,
    readableObjectMode: objectMode,
    writableObjectMode: objectMode,
    signal,
    read() {
      after(
        reader.read(),
        ({ done, value }) => duplex.push(done ? null : value),
        (error) => duplex.destroy(error),
      );
    },
    destroy(error, callback) {
      const done = () => callback(error);
      const ends = [];
      if (!state.isClosed) ends.push(error === null ? writer.close() : writer.abort(error));
      if (!isReadClosed) ends.push(reader.cancel(error));
      after(Promise.all(ends), done, done);
    },
  });
  watch(writer, state, duplex);
  after(
    reader.closed,
    () => {
      isReadClosed = true;
    },
    (error) => {
      isReadClosed = true;
      duplex.destroy(error);
    },
  );
  return duplex;
}
