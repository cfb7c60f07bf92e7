// A sandbox for tests: the bundle in a realm of its own, a fake host, and a clock that jumps.
//
// `deploy` loads files as the host does; `invoke` makes a new realm for every invocation, which
// is what copying the snapshot amounts to. Host work settles one operation at a time, in the
// order in which it began; when nothing else is left, the clock jumps to the earliest timer.

import { AsyncLocalStorage } from 'node:async_hooks';
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import vm from 'node:vm';
import zlib from 'node:zlib';
import { operate } from './native-crypto.mjs';

const bundle = new vm.Script(readFileSync(new URL('../dist/guest.js', import.meta.url), 'utf8'), {
  filename: 'ampoule:guest',
});
const native = new vm.Script(readFileSync(new URL('fake-native.js', import.meta.url), 'utf8'));

const BUILTINS = [
  'assert',
  'async_hooks',
  'buffer',
  'child_process',
  'cluster',
  'console',
  'crypto',
  'dgram',
  'diagnostics_channel',
  'events',
  'fs',
  'fs/promises',
  'module',
  'net',
  'path',
  'process',
  'punycode',
  'querystring',
  'readline',
  'readline/promises',
  'stream',
  'stream/consumers',
  'stream/promises',
  'stream/web',
  'string_decoder',
  'timers',
  'timers/promises',
  'tls',
  'url',
  'util',
  'node-fetch',
  'mime-types',
  'http',
  'https',
  'util/types',
  'v8',
  'worker_threads',
  'zlib',
  ...builtinModules,
];

/** What outlives an invocation: the clock and the tenant's kv. */
export class World {
  ms = 1_000_000;
  kv = new Map();
  /** Functions of the platform: from the arguments to `{value}`, the text of the answer, or `{error}`. */
  bindings = {};
  /** Answers subrequests: a function from the request to an answer or `{error}`. */
  upstream = () => ({ error: { code: 'connect', message: 'connection refused' } });

  /**
   * Takes WebSockets: from the request to `{error}`, or what the server does: `{protocol, messages,
   * answer}`, the last from a message to a list of messages (`{kind, data}`, or `{error}`).
   */
  websocket = () => ({ error: { code: 'connect', message: 'connection refused' } });

  /** The text of the workspace's cache; null if the invocation does not hold it. */
  cache = '';

  live(key) {
    const entry = this.kv.get(key);
    if (entry !== undefined && entry.until <= this.ms) this.kv.delete(key);
    return this.kv.get(key);
  }

  /** What the host answers for a key: its text, null without one, or the JSON text of an error. */
  kvRead(key) {
    return { text: this.live(key)?.text ?? null };
  }
}

const parts = (url) => [
  url.href,
  url.protocol,
  url.username,
  url.password,
  url.host,
  url.hostname,
  url.port,
  url.pathname,
  url.search,
  url.hash,
  url.origin,
];

/** As text.rs says. */
function saysJson(fields) {
  const types = [...fields.matchAll(/^content-type: (.*)\r$/gm)];
  const isCoded = /^content-encoding:/m.test(fields);
  return types.length === 1 && types[0][1] === 'application/json' && !isCoded;
}

function outside(sandbox) {
  const { files, world } = sandbox;
  return {
    now: () => world.ms,
    randomByte: () => Math.floor(Math.random() * 256),
    crypto: operate,
    bodyText(withoutMark = false) {
      try {
        const how = { fatal: true, ignoreBOM: !withoutMark };
        return new TextDecoder('utf-8', how).decode(sandbox.content);
      } catch {
        return null;
      }
    },
    bodyBytes: () => sandbox.content,
    urlParse(input, base) {
      // Not `canParse`, which says no to domains beyond ASCII in Node 20.
      try {
        return JSON.stringify(parts(new URL(input, base)));
      } catch {
        return 'null';
      }
    },
    urlSet(href, part, value) {
      const url = new URL(href);
      try {
        url[part] = value;
      } catch {
        return 'null';
      }
      return JSON.stringify(parts(url));
    },
    utf8Encode: (text) => new TextEncoder().encode(text),
    utf8Decode(bytes, fatal) {
      try {
        return new TextDecoder('utf-8', { fatal, ignoreBOM: true }).decode(bytes);
      } catch {
        return null;
      }
    },
    base64Encode: (bytes) => Buffer.from(bytes).toString('base64'),
    base64Decode(text) {
      try {
        return new Uint8Array(Buffer.from(atob(text), 'latin1'));
      } catch {
        return null;
      }
    },
    ...compression(),
    asyncContext: () => sandbox.asyncContext.getStore(),
    setAsyncContext: (context) => sandbox.asyncContext.enterWith(context),
    resolve: (specifier, from) => JSON.stringify(resolve(files, specifier, from)),
    fsStat: (file) => JSON.stringify(look(files, file)),
    fsList: (file) => JSON.stringify(entries(files, file)),
    fsRead: (file, offset, length) => Buffer.from(files[file]).subarray(offset, offset + length),
    readText: (file) => files[file],
    compile: (source, file) => sandbox.compile(source, file),
    bindingNames: () => JSON.stringify(Object.keys(world.bindings).sort()),
    compileExpression: (source, file) => sandbox.compileExpression(source, file),
    importModule: (file) => sandbox.importModule(file),
    compileScript: (source, filename) =>
      vm.runInContext(source, sandbox.context, { filename, lineOffset: -3 }),
    allowBuiltins(names) {
      sandbox.allowed = names;
    },
    isAllowed: (name) => sandbox.allowed?.includes(name.split('/')[0]) ?? true,
    cacheRead: () => sandbox.world.cache,
    cacheWrite(text) {
      sandbox.world.cache = text;
    },
  };
}

/** What `fsStat` says of a path: `[kind, size, atime, mtime, ctime]`, or an errno. */
function look(files, file) {
  const times = [0, 1_700_000_000_000, 0];
  if (files[file] !== undefined) return [1, Buffer.byteLength(files[file]), ...times];
  const all = Object.keys(files);
  if (all.some((name) => file.startsWith(`${name}/`))) return 'ENOTDIR';
  return all.some((name) => name.startsWith(`${file}/`)) ? [2, 4096, ...times] : 'ENOENT';
}

function entries(files, folder) {
  const found = new Map();
  for (const name of Object.keys(files)) {
    if (!name.startsWith(`${folder}/`)) continue;
    const [first, ...more] = name.slice(folder.length + 1).split('/');
    found.set(first, more.length > 0 ? 2 : 1);
  }
  return [...found].flat();
}

const MODES = ['Deflate', 'Inflate', 'Gzip', 'Gunzip', 'DeflateRaw', 'InflateRaw', 'Unzip'];

/** The natives of compression.rs, by Node's own. */
function compression() {
  const open = new Map();
  let next = 1;
  const keep = (make) => {
    const entry = { stream: make(), failure: null };
    entry.stream._handle.onerror = (message, errno, code) => {
      entry.failure = [errno, code, message];
    };
    open.set(next, entry);
    return next++;
  };
  return {
    zlibOpen(mode, level, windowBits, memLevel, strategy, dictionary) {
      const options = { level, windowBits, memLevel, strategy, dictionary };
      return keep(() => new zlib[MODES[mode - 1]](options));
    },
    brotliOpen(encode, list) {
      const params = {};
      for (let i = 0; i < list.length; i += 2) params[list[i]] = list[i + 1];
      return keep(() => new zlib[encode ? 'BrotliCompress' : 'BrotliDecompress']({ params }));
    },
    zlibStep(id, flush, input, from, to, output) {
      const entry = open.get(id);
      const { _handle: handle, _writeState: left } = entry.stream;
      const space = output.length;
      handle.writeSync(flush, input, from, to - from, output, 0, space);
      const answer = [to - from - left[1], space - left[0]];
      // Node does not say; this is all that the tests need.
      answer.push(left[0] > 0 && (left[1] > 0 || flush === 4));
      const result = JSON.stringify([...answer, ...(entry.failure ?? [])]);
      entry.failure = null;
      return result;
    },
    zlibReset: (id) => open.get(id).stream.reset(),
    zlibLevel(id, level) {
      const entry = open.get(id);
      entry.stream._handle.params(level, 0);
      return true;
    },
    zlibClose(id) {
      open.get(id)?.stream.close();
      open.delete(id);
    },
    crc32: (bytes, earlier) => zlib.crc32(bytes, earlier),
  };
}

/** What the fake host knows. It lives out here, where hostile code cannot touch it. */
function newControl() {
  const control = {
    answer: null,
    bodies: new Map(),
    calls: [],
    done: false,
    failures: [],
    frozen: false,
    logs: [],
    nextBody: 1,
    nextOperation: 1,
    operations: new Map(),
    sockets: new Map(),
    touched: [],
    newBody() {
      const body = control.nextBody++;
      control.bodies.set(body, { chunks: [], closed: false, aborted: false });
      return body;
    },
    begin(kind, details, resolve, reject) {
      const id = control.nextOperation++;
      control.calls.push(kind);
      control.operations.set(id, { ...details, kind, id, resolve, reject });
      return id;
    },
  };
  return control;
}

function resolve(files, specifier, from) {
  const name = specifier.replace(/^node:/, '');
  if (specifier.startsWith('node:') || BUILTINS.includes(name)) return [name, 'builtin'];
  if (name === 'ws' && files['/app/node_modules/ws/index.js'] === undefined)
    return ['ws', 'builtin'];
  const isPath = specifier.startsWith('.') || specifier.startsWith('/');
  const folder = isPath ? path.dirname(from) : '/app/node_modules';
  const base = path.resolve(folder, specifier);
  for (const file of [base, `${base}.js`, `${base}.json`, `${base}/index.js`]) {
    if (files[file] === undefined) continue;
    if (file.endsWith('.json')) return [file, 'json'];
    if (file.endsWith('.node')) return [file, 'addon'];
    return [file, file.endsWith('.mjs') ? 'module' : 'commonjs'];
  }
  return { error: `Cannot find module '${specifier}'\nRequire stack:\n- ${from}` };
}

/** One sandbox: one deployment loaded, ready for one invocation. */
export class Sandbox {
  content = new Uint8Array(0);
  turns = [];
  /** What QuickJS carries along with promises (see context.rs). */
  asyncContext = new AsyncLocalStorage();

  constructor(files, { world = new World(), env = {}, route = null, kind = 'request' } = {}) {
    const given = typeof files === 'string' ? { 'index.js': files } : files;
    this.entry = Object.keys(given)[0];
    this.files = Object.fromEntries(
      Object.entries(given).map(([name, source]) => [`/app/${name}`, source]),
    );
    this.world = world;
    this.env = env;
    this.route = route;
    this.kind = kind;
    this.context = vm.createContext(Object.create(null));
    this.control = newControl();
    this.control.kvRead = (key) => this.world.kvRead(key);
    this.context.__outside = { ...outside(this), control: this.control };
    native.runInContext(this.context);
    const host = vm.runInContext('__native', this.context);
    this.hooks = host.hooks;
    bundle.runInContext(this.context);
    this.control.frozen = true;
    this.parse = vm.runInContext('{ const { parse } = JSON; (text) => parse(text) }', this.context);
    this.makeBytes = vm.runInContext(
      '{ const Bytes = Uint8Array; (length) => new Bytes(length) }',
      this.context,
    );
  }

  compile(source, file) {
    const head = '(function (exports, require, module, __filename, __dirname) {';
    return vm.runInContext(`${head}${source}\n})`, this.context, {
      columnOffset: -head.length,
      filename: file,
    });
  }

  compileExpression(source, file) {
    try {
      return this.compile(`return (${source}\n)`, file);
    } catch (error) {
      if (error.name !== 'SyntaxError') throw error;
      return undefined;
    }
  }

  /** ES modules as far as the tests need them: `export default` and top-level await. */
  importModule(file) {
    const source = this.files[file].replace('export default', '__exports.default =');
    const head = '(async function (__exports) {';
    const run = vm.runInContext(`${head}${source}\n; return __exports })`, this.context, {
      filename: file,
    });
    return run(vm.runInContext('({ __proto__: null })', this.context));
  }

  /** Loads the deployment; throws what loading threw. `deferred` lists the files to compile. */
  async load(deferred) {
    if (deferred !== undefined) this.control.frozen = false;
    const pairs = vm.runInContext(JSON.stringify(Object.entries(this.env)), this.context);
    await this.hooks.load(
      `/app/${this.entry}`,
      pairs,
      this.route,
      deferred !== undefined,
      deferred ?? [],
      this.kind,
    );
    this.control.frozen = false;
    return this;
  }

  /** Begins the invocation, and lets the jobs run. */
  async start({
    method = 'GET',
    target = '/',
    headers = {},
    body,
    peer = '127.0.0.1',
    secure = false,
  } = {}) {
    if (body !== undefined) {
      this.content = typeof body === 'string' ? new TextEncoder().encode(body) : body;
    }
    const fields = Object.entries({ host: 'localhost:4000', ...headers })
      .flatMap(([name, value]) => [].concat(value).map((one) => `${name}: ${one}\r\n`))
      .join('');
    const isJson = this.content.length > 0 && saysJson(fields);
    this.asyncContext.run(undefined, () =>
      this.hooks.invoke(method, target, fields, peer, this.content.length, secure, isJson),
    );
    await nextTurn();
    return this;
  }

  /** Operations in progress, in the order in which they began. */
  get pending() {
    return [...this.control.operations.values()];
  }

  /** Settles one operation. False if there is none. */
  async step() {
    const isReady = ({ kind, socket }) =>
      kind !== 'timer' &&
      (kind !== 'wsReceive' || this.control.sockets.get(socket).inbox.length > 0);
    const [operation] = this.pending.filter(isReady);
    const timers = this.pending.filter(({ kind }) => kind === 'timer');
    const next = operation ?? timers.sort((a, b) => a.at - b.at)[0];
    if (next === undefined) return false;
    await this.settle(next);
    return true;
  }

  /** Settles this operation as the world says, or as `outcome` says. */
  async settle(operation, outcome = this.outcome(operation)) {
    this.control.operations.delete(operation.id);
    this.asyncContext.run(undefined, () => {
      if (outcome.error) operation.reject(this.inside(outcome.error));
      else operation.resolve(outcome.value);
    });
    await nextTurn();
  }

  inside(value) {
    return this.parse(JSON.stringify(value));
  }

  outcome(operation) {
    if (operation.kind.startsWith('kv')) return this.kv(operation.kind, Array.from(operation.args));
    switch (operation.kind) {
      case 'timer':
        this.world.ms = Math.max(this.world.ms, operation.at);
        return {};
      case 'bindingCall':
        return this.world.bindings[operation.name](JSON.parse(operation.text));
      case 'fetch':
        return this.subrequest(operation.request);
      case 'wsConnect':
        return this.socket(operation.request);
      case 'wsSend': {
        const socket = this.control.sockets.get(operation.socket);
        socket.sent.push(operation.message);
        socket.inbox.push(...(socket.answer(operation.message) ?? []));
        return {};
      }
      case 'wsReceive': {
        const message = this.control.sockets.get(operation.socket).inbox.shift();
        if (message.error) return message;
        const { data, ...rest } = message;
        const value = this.inside(rest);
        if (data !== undefined) value.data = typeof data === 'string' ? data : this.bytes(data);
        return { value };
      }
      case 'bodyRead': {
        const chunk = this.control.bodies.get(operation.body).chunks.shift() ?? '';
        return { value: this.bytes(chunk) };
      }
      default:
        return {};
    }
  }

  bytes(chunk) {
    const buffer = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    const bytes = this.makeBytes(buffer.length);
    for (let i = 0; i < buffer.length; i++) bytes[i] = buffer[i];
    return bytes;
  }

  subrequest(request) {
    const given = this.world.upstream(request);
    if (given.error) return given;
    const { status = 200, headers = {}, chunks = [] } = given;
    const body = this.control.newBody();
    this.control.bodies.get(body).chunks.push(...chunks);
    const fields = Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
    const value = {
      status,
      statusText: given.statusText ?? 'OK',
      fields,
      url: given.url ?? request.url,
      redirected: given.redirected ?? false,
      body: chunks.length === 0 ? 0 : body,
    };
    return { value: this.inside(value) };
  }

  socket(request) {
    const given = this.world.websocket(request);
    if (given.error) return given;
    const { messages = [], answer = () => [], protocol = '' } = given;
    const socket = this.control.sockets.size + 1;
    this.control.sockets.set(socket, { inbox: [...messages], answer, released: false, sent: [] });
    return { value: this.inside({ socket, protocol }) };
  }

  kv(kind, args) {
    const { world } = this;
    const [key] = args;
    switch (kind) {
      case 'kvHas':
        return { value: world.live(key) !== undefined };
      case 'kvSet': {
        const [, text, ttl] = args;
        world.kv.set(key, { text, ttl, until: ttl === 0 ? Infinity : world.ms + ttl });
        return { value: true };
      }
      case 'kvDelete':
        return { value: world.live(key) !== undefined && world.kv.delete(key) };
      case 'kvIncrement': {
        const sum = Number(world.live(key)?.text ?? 0) + args[1];
        world.kv.set(key, { text: `${sum}`, until: Infinity });
        return { value: sum };
      }
      case 'kvCompareAndSet': {
        const [, expected, text] = args;
        if ((world.live(key)?.text ?? null) !== expected) return { value: false };
        if (text === null) world.kv.delete(key);
        else world.kv.set(key, { text, until: Infinity });
        return { value: true };
      }
      case 'kvList': {
        const [prefix, after, limit] = args;
        const all = [...world.kv.keys()].filter((k) => k.startsWith(prefix) && k > (after ?? ''));
        const keys = all.sort().slice(0, limit);
        const cursor = all.length > limit ? keys.at(-1) : null;
        return { value: this.inside({ keys, cursor }) };
      }
      case 'kvClear': {
        const { size } = world.kv;
        world.kv.clear();
        return { value: size };
      }
      default:
        throw new Error(kind);
    }
  }

  /** Runs to the end of the invocation, and tells what came of it. */
  async finish() {
    for (let steps = 0; !this.control.done; steps++) {
      if (steps > 10_000) throw new Error('the invocation does not end');
      if (await this.step()) continue;
      if (this.control.done) break;
      this.hooks.idle();
      await nextTurn();
    }
    return this.result();
  }

  result() {
    const { answer, failures, logs, calls } = this.control;
    const stream = answer === null ? undefined : this.control.bodies.get(answer.stream);
    const body = stream === undefined ? answer?.body : join(stream.chunks);
    return {
      status: answer?.status,
      headers: parseFields(answer?.fields ?? ''),
      body: body === undefined || typeof body === 'string' ? body : Buffer.from(body).toString(),
      bytes: body,
      chunks: stream && [...stream.chunks],
      isClosed: stream?.closed,
      isAborted: stream?.aborted,
      failure: failures[0] && { ...failures[0] },
      failures: failures.length,
      logs: Array.from(logs, (entry) => [...entry]),
      calls: [...calls],
    };
  }
}

function join(chunks) {
  return Buffer.concat(chunks.map((chunk) => Buffer.from(chunk))).toString();
}

function parseFields(text) {
  const headers = {};
  for (const line of text.split('\r\n')) {
    if (line === '') continue;
    const [, name, value] = /^([^:]+): (.*)$/.exec(line);
    headers[name] = headers[name] === undefined ? value : [].concat(headers[name], value);
  }
  return headers;
}

/** Loads, invokes and finishes. */
export async function run(files, request, options) {
  const sandbox = await new Sandbox(files, options).load();
  await sandbox.start(request);
  return sandbox.finish();
}

/** A JSON body and its content type. */
export function json(value, more) {
  const isText = typeof value === 'string' || value instanceof Uint8Array;
  const body = isText ? value : JSON.stringify(value);
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body, ...more };
}
