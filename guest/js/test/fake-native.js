// The host's side of `__native`, for tests: a classic script evaluated in the realm of the bundle.
// `__control` is what the harness sees of it. Nothing settles by itself: the harness does it.

(function () {
  const outside = globalThis.__outside;
  delete globalThis.__outside;
  const { control } = outside;
  const { parse, stringify } = JSON;
  const Bytes = Uint8Array;
  const Promised = Promise;
  const { then } = Promise.prototype;
  const { apply } = Reflect;
  const Failure = Error;
  const { begin } = control;
  const impure = (what) => {
    if (!control.frozen) return;
    control.touched.push(what);
    throw new Failure(`${what} is not available while a snapshot is taken`);
  };
  const copy = (bytes) => {
    const fresh = new Bytes(bytes.length);
    for (let i = 0; i < bytes.length; i++) fresh[i] = bytes[i];
    return fresh;
  };
  const chunk = (given) => (typeof given === 'string' ? given : copy(given));
  const answered = () => {
    if (control.answer !== null) throw new Failure('the response was sent already');
  };
  const list = (json) => (json === 'null' ? null : parse(json));

  // The last two arguments are the callbacks.
  const kv = (kind, count) =>
    function () {
      impure('kv');
      const args = { length: count };
      for (let i = 0; i < count; i++) args[i] = arguments[i];
      return begin(kind, { args }, arguments[count], arguments[count + 1]);
    };

  globalThis.__native = {
    hooks: {},
    respond(status, fields, body) {
      control.calls.push('respond');
      answered();
      control.answer = {
        status,
        fields,
        body: body === undefined || typeof body === 'string' ? body : copy(body),
      };
    },
    beginResponse(status, fields) {
      control.calls.push('beginResponse');
      answered();
      const stream = control.newBody();
      control.answer = { status, fields, stream };
      return stream;
    },
    newBody() {
      impure('fetch()');
      return control.newBody();
    },
    bodyWrite(body, data, resolve, reject) {
      const target = control.bodies.get(body);
      target.chunks.push(chunk(data));
      return begin('bodyWrite', { body }, resolve, reject);
    },
    bodyRead: (body, max, resolve, reject) => begin('bodyRead', { body, max }, resolve, reject),
    bodyClose(body) {
      control.bodies.get(body).closed = true;
    },
    bodyAbort(body) {
      control.bodies.get(body).aborted = true;
    },
    fetch(method, url, fields, body, redirect, resolve, reject) {
      impure('fetch()');
      const request = { method, url, fields, body, redirect };
      return begin('fetch', { request }, resolve, reject);
    },
    websocketConnect(url, protocols, fields, resolve, reject) {
      impure('new WebSocket()');
      const request = { url, protocols, fields };
      return begin('wsConnect', { request }, resolve, reject);
    },
    websocketSend(socket, kind, data, resolve, reject) {
      const message = { kind, data: chunk(data) };
      return begin('wsSend', { socket, message }, resolve, reject);
    },
    websocketClose(socket, code, reason, resolve, reject) {
      return begin('wsSend', { socket, message: { kind: 'close', code, reason } }, resolve, reject);
    },
    websocketReceive: (socket, resolve, reject) => begin('wsReceive', { socket }, resolve, reject),
    websocketRelease(socket) {
      control.sockets.get(socket).released = true;
    },
    bindingNames: () => parse(outside.bindingNames()),
    bindingCall(name, text, resolve, reject) {
      impure('a binding');
      return begin('bindingCall', { name, text }, resolve, reject);
    },
    kvGet(key, refuse) {
      impure('kv');
      control.calls.push('kvGet');
      const { text, error } = control.kvRead(key);
      if (error !== undefined) return refuse(parse(error));
      if (text === null) return null;
      let value;
      try {
        value = parse(text);
      } catch {
        return refuse();
      }
      return value;
    },
    kvSet: kv('kvSet', 3),
    kvDelete: kv('kvDelete', 1),
    kvHas: kv('kvHas', 1),
    kvList: kv('kvList', 3),
    kvIncrement: kv('kvIncrement', 2),
    kvCompareAndSet: kv('kvCompareAndSet', 4),
    kvClear: kv('kvClear', 0),
    timer(delay, callback) {
      impure('a timer');
      return begin('timer', { at: outside.now() + delay }, callback);
    },
    cancel(operation) {
      control.calls.push('cancel');
      control.operations.delete(operation);
    },
    promised() {
      control.calls.push('promised');
    },
    log(level, text) {
      control.logs.push([level, text]);
    },
    now() {
      impure('the clock');
      return outside.now();
    },
    random(count) {
      impure('randomness');
      const bytes = new Bytes(count);
      for (let i = 0; i < count; i++) bytes[i] = outside.randomByte();
      return bytes;
    },
    randomFloat() {
      impure('Math.random()');
      return outside.randomByte() / 256;
    },
    crypto(operation, ...given) {
      const answer = outside.crypto(operation, given);
      return typeof answer === 'string' ? answer : copy(answer);
    },
    compileExpression: outside.compileExpression,
    compileScript: outside.compileScript,
    allowBuiltins: (names) => outside.allowBuiltins([...names]),
    isAllowed: outside.isAllowed,
    cacheRead() {
      impure('cache');
      return outside.cacheRead();
    },
    cacheWrite: outside.cacheWrite,
    cacheBytesMax: () => 10000,
    bodyText() {
      const text = outside.bodyText();
      return text === null ? undefined : text;
    },
    bodyIsJson() {
      const text = outside.bodyText(true);
      if (text === null) return false;
      try {
        parse(text);
        return true;
      } catch {
        return false;
      }
    },
    bodyJson() {
      const text = outside.bodyText(true);
      return text === null ? undefined : parse(text);
    },
    jsonText: (value) => stringify(value),
    // What these do not know is done in JavaScript.
    fieldName: () => undefined,
    fieldTable: () => undefined,
    fieldsText: () => undefined,
    putField: () => undefined,
    queryTable: () => undefined,
    inspectPlain: () => undefined,
    respondPlain: () => false,
    isFieldValue: () => undefined,
    bodyBytes: () => copy(outside.bodyBytes()),
    urlParse: (input, base) => list(outside.urlParse(input, base)),
    urlSet: (href, part, value) => list(outside.urlSet(href, part, value)),
    utf8Encode: (text) => copy(outside.utf8Encode(text)),
    utf8Decode: (bytes, fatal) => outside.utf8Decode(bytes, fatal),
    base64Encode: (bytes) => outside.base64Encode(bytes),
    base64Decode(text) {
      const bytes = outside.base64Decode(text);
      return bytes === null ? null : copy(bytes);
    },
    zlibOpen: outside.zlibOpen,
    brotliOpen: outside.brotliOpen,
    zlibStep() {
      const step = outside.zlibStep;
      return parse(step.apply(undefined, arguments));
    },
    zlibReset: outside.zlibReset,
    zlibLevel: outside.zlibLevel,
    zlibClose: outside.zlibClose,
    crc32: outside.crc32,
    asyncContext: outside.asyncContext,
    setAsyncContext: outside.setAsyncContext,
    resolve(specifier, from, asker) {
      const found = parse(outside.resolve(specifier, from, asker));
      if (found.error === undefined) return found;
      const error = new Failure(found.error);
      error.code = 'MODULE_NOT_FOUND';
      throw error;
    },
    fsStat: (path) => list(outside.fsStat(path)),
    fsList: (path) => list(outside.fsList(path)),
    fsRead(path, offset, length) {
      const bytes = outside.fsRead(path, offset, length);
      return typeof bytes === 'string' ? bytes : copy(bytes);
    },
    readText: (path) => outside.readText(path),
    compile: (source, path) => outside.compile(source, path),
    importModule: (path) => outside.importModule(path),
    fail(name, message, stack) {
      control.failures.push({ name, message, stack });
    },
    makeHot() {},
    listen(promise, fulfilled, rejected) {
      if (!(promise instanceof Promised)) return false;
      apply(then, promise, [fulfilled, rejected]);
      return true;
    },
    done() {
      control.done = true;
    },
    touched: impure,
  };
})();
