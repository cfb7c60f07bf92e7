// What the same program does with the same input, here and in Node.js.
//
// Each area is a function from an input to a result, both JSON, written against the globals alone.
// Node's own results are the expectation (guest/js/test/properties/generate.mjs); the layer's come
// from guest/js/test/properties.test.mjs, and the sandbox's from tests/it/properties.rs.

'use strict';

/** What an error is known by. */
function blame(error) {
  const { name, code } = error;
  return typeof code === 'string' && code.startsWith('ERR_') ? `${name} ${code}` : name;
}

function attempt(work) {
  try {
    return work();
  } catch (error) {
    return { throws: blame(error) };
  }
}

async function settled(work) {
  try {
    return await work();
  } catch (error) {
    return { throws: error instanceof Error || error?.name ? blame(error) : show(error) };
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const tagOf = (value) => Object.prototype.toString.call(value).slice(8, -1);

/** A value as text, with types, holes and cycles. */
function show(value, seen = new Map()) {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (Object.is(value, -0)) return '-0';
  if (value === null || typeof value !== 'object') return String(value);
  if (seen.has(value)) return `#${seen.get(value)}`;
  seen.set(value, seen.size);
  return showObject(value, seen);
}

function showObject(value, seen) {
  const tag = tagOf(value);
  const each = (list) => list.map((entry) => show(entry, seen)).join(',');
  if (value instanceof Date) return `Date(${value.getTime()})`;
  if (value instanceof RegExp) return `${value}@${value.lastIndex}`;
  if (value instanceof Map) return `Map{${each([...value].flat(1))}}`;
  if (value instanceof Set) return `Set{${each([...value])}}`;
  if (value instanceof ArrayBuffer) return `ArrayBuffer(${hex(new Uint8Array(value))})`;
  if (ArrayBuffer.isView(value)) {
    return `${tag}(${value.byteOffset},${value.byteLength},${show(value.buffer, seen)})`;
  }
  if (value instanceof Error) {
    const cause = 'cause' in value ? `,${show(value.cause, seen)}` : '';
    const prototype = Object.getPrototypeOf(value).name;
    return `${prototype}(${show(value.message)}${cause}${Object.keys(value).join()})`;
  }
  if (['Boolean', 'Number', 'String', 'BigInt'].includes(tag))
    return `Boxed(${show(value.valueOf())})`;
  const keys = Object.keys(value).map((key) => `${JSON.stringify(key)}:${show(value[key], seen)}`);
  if (Array.isArray(value)) return `Array(${value.length}){${keys.join(',')}}`;
  return `${Object.getPrototypeOf(value) === Object.prototype ? '' : 'odd '}{${keys.join(',')}}`;
}

const PARTS = [
  'href',
  'origin',
  'protocol',
  'username',
  'password',
  'host',
  'hostname',
  'port',
  'pathname',
  'search',
  'hash',
];

/** `{ input, base, sets }`: parses, then sets parts one after the other. */
function url({ input, base, sets }) {
  return attempt(() => {
    const made = new URL(input, base);
    const parts = PARTS.map((part) => made[part]);
    const hrefs = sets.map(([part, value]) => {
      const failure = attempt(() => void (made[part] = value));
      return failure === undefined ? made.href : failure;
    });
    return [parts, ...hrefs, URL.canParse(input, base), [...made.searchParams].length];
  });
}

function search({ init, ops }) {
  return attempt(() => {
    const params = new URLSearchParams(init);
    const answers = ops.map(([op, ...args]) =>
      attempt(() => params[op](...args.map((arg) => (arg === null ? undefined : arg))) ?? null),
    );
    return [String(params), [...params], params.size, answers];
  });
}

function headers({ init, ops }) {
  return attempt(() => {
    const made = new Headers(init);
    const answers = ops.map(([op, ...args]) => attempt(() => made[op](...args) ?? null));
    return [[...made], [...made.keys()], made.getSetCookie(), answers];
  });
}

/** `{ label, fatal, ignoreBOM, chunks }`: decodes the chunks as a stream. */
function decoder({ label, fatal, ignoreBOM, chunks }) {
  return attempt(() => {
    const made = new TextDecoder(label, { fatal, ignoreBOM });
    const texts = [];
    const failure = attempt(() => {
      chunks.forEach((bytes, i) => {
        const stream = i + 1 < chunks.length;
        texts.push(made.decode(Uint8Array.from(bytes), { stream }));
      });
    });
    return [made.encoding, made.fatal, made.ignoreBOM, texts, failure ?? null];
  });
}

function encoder({ text, size }) {
  const made = new TextEncoder();
  const target = new Uint8Array(size).fill(0x2e);
  const { read, written } = made.encodeInto(text, target);
  return [hex(made.encode(text)), read, written, hex(target)];
}

/** `{ text, units }`: `text` for `atob`, the numbers in `units` as characters for `btoa`. */
function base64({ text, units }) {
  const binary = String.fromCharCode(...units);
  return [attempt(() => atob(text)), attempt(() => btoa(binary))];
}

function build(nodes, index, made) {
  if (made.has(index)) return made.get(index);
  const { kind, value, refs = [] } = nodes[index];
  const make = BUILDERS[kind];
  const object = make(
    value,
    refs,
    (ref) => build(nodes, ref % nodes.length, made),
    (it) => {
      made.set(index, it);
      return it;
    },
  );
  made.set(index, object);
  return object;
}

const bytesOf = (value) => Uint8Array.from(value, (byte) => byte & 255).buffer;
const VIEWS = ['Uint8Array', 'Int16Array', 'Float64Array', 'DataView', 'BigInt64Array'];
const ERRORS = ['Error', 'RangeError', 'TypeError', 'SyntaxError', 'EvalError'];

/** Makers of the nodes of a graph: `(value, refs, get, keep)`. */
const BUILDERS = {
  primitive: (value) => value[0],
  undefined: () => undefined,
  bigint: (value) => BigInt(value),
  number: (value) => [-0, NaN, Infinity, -Infinity][value % 4],
  date: (value) => new Date(value),
  regexp: (value) => Object.assign(value % 2 ? /a[b/]\n/ : /(?<x>y)/giu, { lastIndex: 1 }),
  boxed: (value) => Object([1.5, 'text', true, 5n][value % 4]),
  buffer: (value) => bytesOf(value),
  view: ([which, ...bytes]) => {
    const buffer = bytesOf([...bytes, ...new Array(40).fill(7)]).slice(0, 32);
    return new globalThis[VIEWS[which % VIEWS.length]](buffer, 8, 2);
  },
  error: ([which, message], refs, get, keep) => {
    const error = keep(new globalThis[ERRORS[which % ERRORS.length]](message));
    error.extra = 1;
    return error;
  },
  array: (value, refs, get, keep) => {
    const list = keep([]);
    refs.forEach((ref, i) => (list[i * (1 + (value % 2))] = get(ref)));
    return list;
  },
  object: (value, refs, get, keep) => {
    const object = keep({});
    refs.forEach((ref, i) => (object[`${value}${i}`] = get(ref)));
    return object;
  },
  instance: (value, refs, get, keep) => {
    class Point {
      #secret = 1;
      get getter() {
        return this.#secret;
      }
      get [Symbol.toStringTag]() {
        return 'Point';
      }
    }
    const point = keep(new Point());
    refs.forEach((ref, i) => (point[i] = get(ref)));
    return point;
  },
  map: (value, refs, get, keep) => {
    const map = keep(new Map());
    refs.forEach((ref, i) => map.set(i % 2 ? i : get(ref), get(ref)));
    return map;
  },
  set: (value, refs, get, keep) => {
    const set = keep(new Set());
    refs.forEach((ref) => set.add(get(ref)));
    return set;
  },
  odd: (value) =>
    [
      () => 1,
      Symbol('s'),
      new WeakMap(),
      Promise.resolve(1),
      (function* () {})(),
      new Map().entries(),
      Object(Symbol('s')),
      new WeakSet(),
    ][value % 8],
};

function clone({ nodes }) {
  const graph = build(nodes, 0, new Map());
  return attempt(() => show(structuredClone(graph)));
}

/** `{ parts, slices, type }`: a blob of parts, and slices of slices of it. */
async function blob({ parts, slices, type }) {
  const given = parts.map((part) => (typeof part === 'string' ? part : Uint8Array.from(part)));
  let made = new Blob(given, { type });
  const shown = [];
  for (const args of slices) {
    made = made.slice(...args.map((arg) => (arg === null ? undefined : arg)));
    shown.push([made.size, made.type, await made.text(), hex(await made.arrayBuffer())]);
  }
  const file = new File([made, ...given], 'na/me.txt', { type, lastModified: 57 });
  let streamed = '';
  for await (const chunk of file.stream()) streamed += hex(chunk);
  return [shown, file.name, file.lastModified, file.size, file.type, streamed];
}

async function showForm(form) {
  const shown = [];
  for (const [name, value] of form) {
    if (typeof value === 'string') shown.push([name, value]);
    else shown.push([name, value.name, value.type, hex(await value.arrayBuffer())]);
  }
  return shown;
}

/** `{ entries, ops }`: there and back as multipart, and what the form itself answers. */
async function form({ entries, ops }) {
  const made = new FormData();
  for (const [name, value, file, type] of entries) {
    if (file === undefined) made.append(name, value);
    else made.append(name, new Blob([value], { type }), file);
  }
  const answers = [];
  for (const [op, ...args] of ops) {
    const answer = attempt(() => made[op](...args) ?? null);
    answers.push(
      answer instanceof Blob ? answer.name : Array.isArray(answer) ? answer.length : answer,
    );
  }
  const response = new Response(made);
  const kind = response.headers.get('content-type').replace(/=.*/, '');
  return settled(async () => [
    answers,
    kind,
    await showForm(made),
    await showForm(await response.formData()),
  ]);
}

/** `{ body, type }`: a body as it is, read as a form. */
function multipart({ body, type }) {
  return settled(async () =>
    showForm(await new Response(body, { headers: { 'content-type': type } }).formData()),
  );
}

/** Which of several mistakes is told first is not compared. */
async function messages(input) {
  const result = await settled(() => exchange(input));
  return result.throws === undefined ? result : 'throws';
}

async function exchange({ kind, init, body }) {
  const options = { ...init };
  if (body !== null) options.body = body;
  if (kind === 'response') {
    delete options.body;
    const made = new Response(body, options);
    const copy = made.clone();
    const facts = [made.status, made.statusText, made.ok, made.type, made.url, made.redirected];
    return [facts, [...made.headers], await made.text(), made.bodyUsed, await copy.text()];
  }
  const made = new Request('http://Example.com/a b?c#d', options);
  const copy = new Request(made.clone());
  const { method, url: target, redirect, mode, credentials, cache, integrity, keepalive } = copy;
  const facts = [method, target, redirect, mode, credentials, cache, integrity, keepalive];
  return [facts, copy.referrer, [...copy.headers], await copy.text(), made.bodyUsed];
}

/** `{ bytes, text, encoding, numbers, ops }` on `Buffer`. */
function buffer({ bytes, text, encoding, ops }) {
  const made = Buffer.from(bytes);
  const coded = attempt(() => {
    const from = Buffer.from(text, encoding);
    return [hex(from), made.toString(encoding), Buffer.byteLength(text, encoding)];
  });
  const answers = ops.map(([op, ...args]) =>
    attempt(() => {
      const given = args.map((arg) => {
        if (arg === null) return undefined;
        return Array.isArray(arg) ? Buffer.from(arg) : arg;
      });
      if (/Big/.test(op) && op.startsWith('write')) given[0] = BigInt(given[0]);
      const answer = made[op](...given);
      return answer instanceof Uint8Array ? hex(answer) : show(answer);
    }),
  );
  return [coded, answers, hex(made)];
}

/** Whether something throws; what the errors of streams are called besides is nobody's promise. */
function throws(work) {
  const answer = attempt(() => void work());
  return answer === undefined ? 'done' : answer.throws.split(' ')[0];
}

/** A log of what happens to promises, by the turn in which it does. */
function recorder() {
  const log = [];
  let step = 0;
  return {
    log,
    note: (...what) => log.push(`${step} ${what.join(' ')}`),
    watch(name, promise) {
      promise.then(
        (value) => log.push(`${step} ${name} ${show(value)}`),
        (error) => log.push(`${step} ${name} rejected ${error?.name ?? show(error)}`),
      );
    },
    async next() {
      await turn();
      step++;
    },
    // Within a turn the order of independent promises is nobody's promise.
    sorted: () => log.sort((a, b) => parseInt(a, 10) - parseInt(b, 10) || (a < b ? -1 : 1)),
  };
}

/** `{ type, highWaterMark, ops }`: a readable stream, driven from both of its sides. */
async function readable({ type, highWaterMark, ops }) {
  const { note, watch, next, sorted } = recorder();
  let controller;
  const source = {
    start: (given) => void (controller = given),
    pull: () => note('pull'),
    cancel: (reason) => note('cancel', show(reason)),
  };
  if (type === 'bytes') source.type = 'bytes';
  let stream = new ReadableStream(source, { highWaterMark });
  let reader = null;
  let count = 0;
  const steps = {
    enqueue: (n) => controller.enqueue(type === 'bytes' ? new Uint8Array(n).fill(n) : n),
    close: () => controller.close(),
    error: () => controller.error(new RangeError('broken')),
    read: () => {
      reader ??= stream.getReader();
      watch(`read ${count++}`, reader.read());
    },
    readInto: (n) => {
      reader ??= stream.getReader({ mode: 'byob' });
      watch(`read ${count++}`, reader.read(new Uint8Array(n)));
    },
    release: () => {
      reader?.releaseLock();
      reader = null;
    },
    cancel: (n) => watch('cancelled', reader === null ? stream.cancel(n) : reader.cancel(n)),
    tee: () => {
      const [one, two] = stream.tee();
      stream = one;
      const other = two.getReader();
      for (let i = 0; i < 3; i++) watch(`other ${i}`, other.read());
    },
  };
  await next();
  for (const [op, n] of ops) {
    const answer = throws(() => steps[op](n));
    note(op, answer, controller.desiredSize, stream.locked);
    await next();
  }
  return sorted();
}

/** `{ highWaterMark, ops }`: a writable stream whose sink is slow. */
async function writable({ highWaterMark, ops }) {
  const { note, watch, next, sorted } = recorder();
  const waiting = [];
  let controller;
  const sink = {
    start: (given) => void (controller = given),
    write: (chunk) => {
      note('sink', show(chunk));
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    close: () => note('sink closed'),
    abort: (reason) => note('sink aborted', show(reason)),
  };
  const writer = new WritableStream(sink, { highWaterMark }).getWriter();
  writer.closed.catch(() => {});
  let count = 0;
  const steps = {
    write: (n) => watch(`write ${count++}`, writer.write(n)),
    done: () => waiting.shift()?.resolve(),
    fail: () => waiting.shift()?.reject(new RangeError('sink')),
    ready: () => watch(`ready ${count++}`, writer.ready),
    close: () => watch(`close ${count++}`, writer.close()),
    abort: (n) => watch(`abort ${count++}`, writer.abort(n)),
    error: (n) => controller.error(n),
  };
  await next();
  for (const [op, n] of ops) {
    const answer = throws(() => steps[op](n));
    note(op, answer, show(attempt(() => writer.desiredSize)));
    await next();
  }
  writer.ready.catch(() => {});
  return sorted();
}

/** `{ chunks, steps, hwm }`: chunks through a row of transforms, made with `from`. */
async function pipes({ chunks, steps, highWaterMark, stop }) {
  const ended = [];
  async function* produce() {
    try {
      for (const chunk of chunks) yield chunk;
    } finally {
      ended.push('finally');
    }
  }
  const makers = {
    double: () => (chunk, out) => out.enqueue(chunk * 2),
    twice: () => (chunk, out) => [out.enqueue(chunk), out.enqueue(chunk)],
    odd: () => (chunk, out) => chunk % 2 === 1 && out.enqueue(chunk),
    throws: () => (chunk, out) => {
      if (chunk > 40) throw new RangeError('too big');
      out.enqueue(chunk);
    },
    stop: () => (chunk, out) => (chunk > 30 ? out.terminate() : out.enqueue(chunk)),
  };
  let stream = ReadableStream.from(produce());
  for (const step of steps) {
    const transform = makers[step]();
    const flush = (out) => out.enqueue(1);
    stream = stream.pipeThrough(new TransformStream({ transform, flush }, { highWaterMark }));
  }
  const taken = [];
  let result = 'waits';
  const reading = settled(async () => {
    for await (const chunk of stream) {
      taken.push(chunk);
      if (taken.length === stop) break;
    }
    return 'end';
  });
  reading.then((end) => (result = end));
  for (let i = 0; i < 50 && result === 'waits'; i++) await turn();
  for (let i = 0; i < 3; i++) await turn();
  return [taken, result, ended];
}

/** `{ chunks }`: text through an encoder and a decoder stream. */
async function texts({ chunks, label, fatal }) {
  const bytes = [];
  for await (const chunk of ReadableStream.from(chunks).pipeThrough(new TextEncoderStream())) {
    bytes.push(...chunk);
  }
  const parts = bytes.map((byte) => Uint8Array.of(byte));
  const decoded = await settled(async () => {
    let text = '';
    const decode = new TextDecoderStream(label, { fatal });
    for await (const chunk of ReadableStream.from(parts).pipeThrough(decode)) text += chunk;
    return text;
  });
  return [hex(bytes), decoded];
}

const areas = {
  base64,
  blob,
  buffer,
  clone,
  decoder,
  encoder,
  form,
  headers,
  messages,
  multipart,
  pipes,
  readable,
  search,
  texts,
  url,
  writable,
};

/** The result of one input, as JSON has it. */
async function run(area, input) {
  return JSON.parse(JSON.stringify(await areas[area](input)) ?? 'null');
}

/** Cases, `[input, expected]`, whose results differ; at most `max` of them, the shortest first. */
async function mismatches(area, cases, max = 10) {
  const found = [];
  for (const [input, expected] of cases) {
    let actual;
    try {
      actual = await run(area, input);
    } catch (error) {
      actual = { escaped: `${error?.stack}` };
    }
    if (JSON.stringify(actual) !== JSON.stringify(expected))
      found.push({ input, expected, actual });
  }
  const size = (entry) => JSON.stringify(entry.input).length;
  return { count: found.length, shown: found.sort((a, b) => size(a) - size(b)).slice(0, max) };
}

module.exports = { areas: Object.keys(areas), mismatches, run };
