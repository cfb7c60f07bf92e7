// The web's interfaces beyond what test/properties.test.mjs holds against Node.js.

import assert from 'node:assert/strict';
import test from 'node:test';
import { run } from './harness.mjs';

const evaluate = async (body, request = {}) => {
  const source = `module.exports = async (req, res) => {
    res.json({ v: await (async () => { ${body} })() });
  };`;
  const { body: text, failure, logs } = await run(source, request);
  assert.equal(failure, undefined);
  return request.wantsLogs ? [JSON.parse(text).v, logs] : JSON.parse(text).v;
};
/** Name, code and message of what each of these expressions throws. */
const refusals = (...expressions) =>
  evaluate(`const all = [${expressions.map((text) => `async () => ${text}`).join(', ')}];
    const told = [];
    for (const one of all) {
      try { await one(); told.push('nothing'); }
      catch (e) { told.push([e.name, e.code, e.message].filter((x) => x !== undefined).join(' | ')); }
    }
    return told;`);

const INTERFACES = `AbortController AbortSignal Blob ByteLengthQueuingStrategy CountQueuingStrategy
  Crypto CustomEvent DOMException ErrorEvent Event EventTarget File FormData Headers MessageChannel
  MessageEvent MessagePort Performance PerformanceEntry PerformanceMark PerformanceMeasure
  PromiseRejectionEvent ReadableByteStreamController ReadableStream ReadableStreamBYOBReader
  ReadableStreamBYOBRequest ReadableStreamDefaultController ReadableStreamDefaultReader Request
  Response TextDecoder TextDecoderStream TextEncoder TextEncoderStream TransformStream
  TransformStreamDefaultController URL URLPattern URLSearchParams WritableStream
  WritableStreamDefaultController WritableStreamDefaultWriter`.split(/\s+/);

test('the interfaces of the minimum common API are there, named and tagged', async () => {
  const wrong = await evaluate(`
    return ${JSON.stringify(INTERFACES)}.filter((name) => {
      const found = globalThis[name];
      const described = Object.getOwnPropertyDescriptor(globalThis, name);
      return typeof found !== 'function' || found.name !== name || described.enumerable ||
        found.prototype[Symbol.toStringTag] !== name;
    });`);
  assert.deepEqual(wrong, []);
});

test('their members are enumerable, and their iterators have a prototype of their own', async () => {
  assert.deepEqual(
    await evaluate(`
      const keys = (object) => { const all = []; for (const key in object) all.push(key); return all; };
      const tag = (object) => Object.prototype.toString.call(object);
      return [keys(new Headers()).includes('append'), keys(new URL('http://a')).includes('href'),
        keys(new Request('http://a')).includes('json'), keys(new Blob()).includes('size'),
        Object.getPrototypeOf(Request.prototype) === Object.prototype,
        tag(new Headers().keys()), tag(new URLSearchParams().values()), tag(new FormData().entries()),
        Headers.prototype[Symbol.iterator] === Headers.prototype.entries,
        typeof new Headers().entries().map];`),
    [
      ...[true, true, true, true, true],
      ...['[object Headers Iterator]', '[object URLSearchParams Iterator]'],
      ...['[object FormData Iterator]', true],
      // V8 of Node 20 has no iterator helpers; QuickJS has.
      'undefined',
    ],
  );
});

test('calls on the wrong object and without arguments are told as in Node', async () => {
  assert.deepEqual(
    await refusals(
      'URL.prototype.href',
      'URLSearchParams.prototype.get.call({}, 1)',
      'new URLSearchParams().append("a")',
      'new TextDecoder("nope")',
      'new TextEncoder().encodeInto("a", [])',
      'new AbortSignal()',
      'AbortSignal.timeout(-1)',
      'AbortSignal.any([1])',
      'new Event()',
      'new EventTarget().addEventListener("a", 1)',
      'new EventTarget().dispatchEvent({})',
      'new Headers().get()',
      'new Blob("text")',
      'new File([])',
      'structuredClone()',
      'btoa()',
      'btoa("\\u1234")',
      'queueMicrotask(1)',
    ),
    [
      'TypeError | ERR_INVALID_THIS | Value of "this" must be of type URL',
      'TypeError | ERR_INVALID_THIS | Value of "this" must be of type URLSearchParams',
      'TypeError | ERR_MISSING_ARGS | The "name" and "value" arguments must be specified',
      'RangeError | ERR_ENCODING_NOT_SUPPORTED | The "nope" encoding is not supported',
      'TypeError | ERR_INVALID_ARG_TYPE | The "dest" argument must be an instance of Uint8Array.' +
        ' Received an instance of Array',
      'TypeError | ERR_ILLEGAL_CONSTRUCTOR | Illegal constructor',
      'RangeError | ERR_OUT_OF_RANGE | The value of "delay" is out of range. It must be >= 0 && <=' +
        ' 4294967295. Received -1',
      'TypeError | ERR_INVALID_ARG_TYPE | The "signals[0]" argument must be an instance of' +
        ' AbortSignal. Received type number (1)',
      'TypeError | ERR_MISSING_ARGS | The "type" argument must be specified',
      'TypeError | ERR_INVALID_ARG_TYPE | The "listener" argument must be an instance of' +
        ' EventListener. Received type number (1)',
      'TypeError | ERR_INVALID_ARG_TYPE | The "event" argument must be an instance of Event.' +
        ' Received an instance of Object',
      'TypeError | Headers.get: 1 argument required, but only 0 are present.',
      'TypeError | ERR_INVALID_ARG_TYPE | The "sources" argument must be a sequence.' +
        " Received type string ('text')",
      'TypeError | ERR_MISSING_ARGS | The "fileBits" and "fileName" arguments must be specified',
      'TypeError | ERR_MISSING_ARGS | The "value" argument must be specified',
      'TypeError | ERR_MISSING_ARGS | The "data" argument must be specified',
      'InvalidCharacterError | 5 | Invalid character',
      'TypeError | ERR_INVALID_ARG_TYPE | The "callback" argument must be of type function.',
    ],
  );
});

test('events: options, phases, handlers and their kinds', async () => {
  assert.deepEqual(
    await evaluate(`
      const seen = []; const target = new EventTarget(); const stop = new AbortController();
      target.addEventListener('a', () => seen.push('signal'), { signal: stop.signal });
      target.addEventListener('a', (e) => { e.preventDefault(); seen.push('passive'); },
        { passive: true });
      target.addEventListener('a', () => seen.push('capture'), true);
      const one = new Event('a', { cancelable: true });
      target.addEventListener('a', (e) => seen.push([e.eventPhase, e.currentTarget === target,
        e.composedPath().length]), { once: true });
      const first = target.dispatchEvent(one); stop.abort();
      target.addEventListener('a', (e) => e.stopImmediatePropagation());
      target.addEventListener('a', () => seen.push('never'));
      target.dispatchEvent(one);
      const signal = new AbortController(); const order = [];
      signal.signal.onabort = () => order.push('replaced');
      signal.signal.addEventListener('abort', () => order.push('second'));
      signal.signal.onabort = () => order.push('first');
      signal.abort();
      const m = new MessageEvent('message', { data: 1, origin: 'o', ports: [] });
      const e = new ErrorEvent('error', { message: 'm', error: 5, lineno: 3 });
      const r = new PromiseRejectionEvent('x', { promise: Promise.resolve(), reason: 'why' });
      return [seen, first, one.currentTarget, one.eventPhase, Event.AT_TARGET, order,
        [m.data, m.origin, m.lastEventId, m.ports.length], [e.message, e.error, e.lineno, e.colno],
        r.reason, target.dispatchEvent(new Event('nobody'))];`),
    [
      ['signal', 'passive', 'capture', [2, true, 1], 'passive', 'capture'],
      ...[true, null, 0, 2],
      ['first', 'second'],
      [1, 'o', '', 0],
      ['m', 5, 3, 0],
      'why',
      true,
    ],
  );
});

test('joint abort signals follow their sources, all before anybody hears of it', async () => {
  assert.deepEqual(
    await evaluate(`
      const a = new AbortController(); const b = new AbortController(); const seen = [];
      const any = AbortSignal.any([AbortSignal.any([a.signal]), b.signal]);
      a.signal.addEventListener('abort', () => seen.push(['a', any.aborted]));
      any.addEventListener('abort', () => seen.push(['any', any.reason]));
      a.abort('why'); b.abort('late');
      const done = AbortSignal.any([b.signal, a.signal]);
      return [seen, any.reason, done.aborted, done.reason, AbortSignal.any([]).aborted,
        new Request('http://a', { signal: a.signal }).signal !== a.signal,
        new Request('http://a', { signal: a.signal }).signal.reason];`),
    [
      [
        ['a', true],
        ['any', 'why'],
      ],
      'why',
      true,
      'late',
      false,
      true,
      'why',
    ],
  );
});

test('messages go through a channel, cloned and in order', async () => {
  assert.deepEqual(
    await evaluate(`
      const { port1, port2 } = new MessageChannel(); const seen = [];
      const sent = { list: [1] };
      port1.postMessage(sent); sent.list.push(2); port1.postMessage('second');
      return new Promise((resolve) => {
        port2.onmessage = ({ data }) => { seen.push(data); if (data === 'end') resolve(seen); };
        port1.postMessage('end'); seen.push('posted');
      });`),
    ['posted', { list: [1] }, 'second', 'end'],
  );
});

test('performance: marks, measures and their kinds', async () => {
  assert.deepEqual(
    await evaluate(`
      const a = performance.mark('a', { detail: { n: 1 } }); await sleep(5);
      const b = performance.mark('b', { startTime: a.startTime + 7 });
      const m = performance.measure('m', 'a', 'b');
      const n = performance.measure('n', { start: 'a', duration: 3 });
      let missing; try { performance.measure('x', 'none') } catch (e) { missing = e.name }
      const names = performance.getEntries().map((e) => e.entryType + ' ' + e.name);
      performance.clearMarks('a'); performance.clearMeasures();
      return [a.detail.n, m.duration, n.duration, missing, names,
        performance.getEntriesByType('mark').length, performance.getEntriesByName('m').length,
        m instanceof PerformanceEntry, Number.isInteger(performance.now()),
        performance.timeOrigin > 0, Object.keys(a.toJSON())];`),
    [
      ...[1, 7, 3, 'SyntaxError'],
      ['mark a', 'measure m', 'measure n', 'mark b'],
      ...[1, 0, true, true, true],
      ['name', 'entryType', 'startTime', 'duration', 'detail'],
    ],
  );
});

test('reportError tells listeners, and logs what none of them takes', async () => {
  const [seen, logs] = await evaluate(
    `
      const seen = [];
      globalThis.onerror = (message) => { seen.push(message); };
      const listener = (e) => { seen.push(e.error.message); e.preventDefault(); };
      addEventListener('error', listener); reportError(new Error('one'));
      removeEventListener('error', listener); reportError(new TypeError('two'));
      return seen;`,
    { wantsLogs: true },
  );
  assert.deepEqual(seen, ['one', 'one', 'two']);
  assert.equal(logs.length, 1);
  assert.match(logs[0][1], /^Uncaught TypeError: two/);
});

test('URLPattern is made when it is first asked for', async () => {
  assert.deepEqual(
    await evaluate(`
      const lazy = Object.getOwnPropertyDescriptor(globalThis, 'URLPattern').get !== undefined;
      const p = new URLPattern({ pathname: '/users/:id(\\\\d+)/*' });
      const found = p.exec('https://x.y/users/42/a/b');
      return [lazy, found.pathname.groups, p.test('https://x.y/users/a/'),
        Object.getOwnPropertyDescriptor(globalThis, 'URLPattern').value === URLPattern,
        require('module').builtinModules.some((name) => name.startsWith('internal/'))];`),
    [true, { 0: 'a/b', id: '42' }, false, true, false],
  );
});

test('what a platform object holds is not cloned silently', async () => {
  assert.deepEqual(
    await evaluate(`
      const refused = [];
      for (const value of [new Headers(), new URL('http://a'), new Response(), new EventTarget(),
        new ReadableStream(), new TextDecoder(), new FormData(), new AbortController().signal])
        try { structuredClone(value); refused.push(value.constructor.name) }
        catch (e) { refused.push(e.name) }
      const blob = structuredClone(new Blob(['text'], { type: 'a/b' }));
      const file = structuredClone({ f: new File(['x'], 'n', { lastModified: 5 }) }).f;
      const error = structuredClone(new DOMException('m', 'AbortError'));
      return [new Set(refused).size, refused[0], await blob.text(), blob.type, file.name,
        file.lastModified, file instanceof File, error.name, error.code];`),
    [1, 'DataCloneError', 'text', 'a/b', 'n', 5, true, 'AbortError', 20],
  );
});

test('a form sent by fetch is multipart, and a request that is one can be read', async () => {
  const source = `export default { async fetch(request) {
    const form = await request.formData();
    const file = form.get('file');
    return Response.json([...form.keys(), form.get('a'), file.name, file.type, await file.text()]);
  } }`;
  const body =
    '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--B\r\nContent-Disposition: ' +
    'form-data; name="file"; filename="f.txt"\r\nContent-Type: text/x\r\n\r\nline\r\n\r\n--B--\r\n';
  const { body: text } = await run(
    { 'index.mjs': source },
    { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=B' }, body },
  );
  assert.deepEqual(JSON.parse(text), ['a', 'file', '1', 'f.txt', 'text/x', 'line\r\n']);
});
