// The samples of the seeds as written, with the bodies that acceptance.md expects.

import assert from 'node:assert/strict';
import test from 'node:test';
import { World, json, run } from './harness.mjs';

const counter = `
let counter = 0; // Reset on each invocation
module.exports = function(req, res) {
counter++;
res.json({ count: counter }); // Always returns 1
};`;

const kvCounter = `
module.exports = async function(req, res) {
let counter = await kv.get('counter') || 0;
counter++;
await kv.set('counter', counter);
res.json({ count: counter });
};`;

test('S0 138-142: a global counter is always 1, in one call to the host', async () => {
  for (let i = 0; i < 3; i++) {
    const result = await run(counter);
    assert.equal(result.body, '{"count":1}');
    assert.equal(result.headers['content-type'], 'application/json; charset=utf-8');
    assert.deepEqual(result.calls, ['respond']);
  }
});

test('S0 144-150: the kv counter counts', async () => {
  const world = new World();
  for (const count of [1, 2, 3]) {
    assert.equal((await run(kvCounter, {}, { world })).body, `{"count":${count}}`);
  }
});

test('S0 156-160: echoes the JSON body in its own order and number text', async () => {
  const source = `
const processRequest = b => b;
module.exports = function(req, res) {
const result = processRequest(req.body);
res.json(result);
};`;
  const body = '{"b":1,"a":[1,2.5,"é"],"big":1e+21}';
  assert.equal((await run(source, json(body))).body, body);
});

test('S0 162-168: external state accumulates', async () => {
  const source = `
const updateState = (s, b) => ({ ...(s || {}), ...b });
module.exports = async function(req, res) {
const state = await kv.get('state');
const newState = updateState(state, req.body);
await kv.set('state', newState);
res.json(newState);
};`;
  const world = new World();
  await run(source, json({ a: 1 }), { world });
  assert.equal((await run(source, json({ b: 2 }), { world })).body, '{"a":1,"b":2}');
});

test('S0 176-183: streams, trailing comma and all', async () => {
  const source = `
async function* getItems() { yield { a: 1 }; yield { a: 2 }; }
module.exports = async function(req, res) {
res.type('application/json');
res.write('[');
for await (const item of getItems()) {
res.write(JSON.stringify(item) + ',');
}
res.write(']');
res.end();
};`;
  const result = await run(source);
  assert.equal(result.body, '[{"a":1},{"a":2},]');
  assert.match(result.headers['content-type'], /^application\/json/);
  assert.equal(result.headers['content-length'], undefined);
  assert.equal(result.isClosed, true);
});

test('S1 7-11: a route parameter', async () => {
  const source = `
const getUser = async (id) => ({ id });
module.exports = async function(req, res) {
const userId = req.params.userId;
const user = await getUser(userId);
res.json({ user });
};`;
  const result = await run(source, { target: '/users/42?x=1' }, { route: '/users/:userId' });
  assert.equal(result.body, '{"user":{"id":"42"}}');
});

test('S1 20-24: the module-level cache does not persist', async () => {
  const source = `
let cache = {};
module.exports = function(req, res) {
cache[req.query.key] = req.body.value; // Won't persist
res.json(cache);
};`;
  const call = (key, value) => run(source, json({ value }, { target: `/?key=${key}` }));
  assert.equal((await call('a', 1)).body, '{"a":1}');
  assert.equal((await call('b', 2)).body, '{"b":2}');
});

test('S1 26-29: writes to kv; a missing key is refused', async () => {
  const source = `
module.exports = async function(req, res) {
await kv.set(req.query.key, req.body.value);
res.json({ success: true });
};`;
  const world = new World();
  const result = await run(source, json({ value: 5 }, { target: '/?key=k' }), { world });
  assert.equal(result.body, '{"success":true}');
  assert.equal(world.kv.get('k').text, '5');
  const refused = await run(source, json({ value: 5 }), { world });
  assert.equal(refused.failure.name, 'TypeError [ERR_INVALID_ARG_TYPE]');
  assert.deepEqual([...world.kv.keys()], ['k']);
});

test('S1 33-40: 202, and one job under a random UUID', async () => {
  const source = `
module.exports = async function(req, res) {
// Queue for processing
await kv.set(\`job:\${crypto.randomUUID()}\`, req.body);
res.status(202).json({
message: 'Job queued',
status: 'processing'
});
};`;
  const world = new World();
  const result = await run(source, json({ n: 1 }), { world });
  assert.equal(result.status, 202);
  assert.equal(result.body, '{"message":"Job queued","status":"processing"}');
  const [key] = world.kv.keys();
  assert.match(key, /^job:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(world.kv.get(key).text, '{"n":1}');
});

test('S1 44-55: success, and a caught error that is logged', async () => {
  const source = `
async function performOperation(b) { if (b.bad) throw new Error('no luck'); return b.n; }
module.exports = async function(req, res) {
try {
const result = await performOperation(req.body);
res.json({ success: true, result });
} catch (error) {
console.error('Operation failed:', error);
res.status(500).json({
error: 'Operation failed',
message: error.message
});
}
};`;
  assert.equal((await run(source, json({ n: 7 }))).body, '{"success":true,"result":7}');
  const bad = await run(source, json({ bad: 1 }));
  assert.equal(bad.status, 500);
  assert.equal(bad.body, '{"error":"Operation failed","message":"no luck"}');
  assert.equal(bad.logs.length, 1);
  assert.equal(bad.logs[0][0], 4);
  assert.match(bad.logs[0][1], /^Operation failed: Error: no luck\n {4}at performOperation/);
  assert.equal(bad.failure, undefined);
});

const validate = `
const createUser = async (u) => u;
module.exports = async function(req, res) {
// Validate required fields
const { email, name } = req.body;
if (!email || !email.includes('@')) {
return res.status(400).json({
error: 'Invalid email address'
});
}
if (!name || name.length < 2) {
return res.status(400).json({
error: 'Name must be at least 2 characters'
});
}
// Process valid input
const user = await createUser({ email, name });
res.json({ user });
};`;

test('S1 58-74: validates', async () => {
  const none = await run(validate, { method: 'POST' });
  assert.equal(none.status, 400);
  assert.equal(none.body, '{"error":"Invalid email address"}');
  assert.equal((await run(validate, json({}))).body, '{"error":"Invalid email address"}');
  const short = await run(validate, json({ email: 'a@b', name: 'x' }));
  assert.equal(short.status, 400);
  assert.equal(short.body, '{"error":"Name must be at least 2 characters"}');
  const good = await run(validate, json({ email: 'a@b', name: 'xy' }));
  assert.equal(good.body, '{"user":{"email":"a@b","name":"xy"}}');
});

test('S1 77-92: degrades gracefully', async () => {
  const source = `
module.exports = async function(req, res) {
try {
const data = await fetch('https://api.example.com/data');
res.json(await data.json());
} catch (error) {
// Fallback to cached data
const cached = await kv.get('cached:data');
if (cached) {
return res.json({ ...cached, fromCache: true });
}
// Last resort
res.status(503).json({
error: 'Service temporarily unavailable'
});
}
};`;
  const world = new World();
  const down = await run(source, {}, { world });
  assert.equal(down.status, 503);
  assert.equal(down.body, '{"error":"Service temporarily unavailable"}');
  world.kv.set('cached:data', { text: '{"v":1}', until: Infinity });
  assert.equal((await run(source, {}, { world })).body, '{"v":1,"fromCache":true}');
  world.upstream = () => ({ chunks: ['not json'] });
  assert.equal((await run(source, {}, { world })).body, '{"v":1,"fromCache":true}');
  world.upstream = () => ({ chunks: ['{"up":', 'true}'] });
  assert.equal((await run(source, {}, { world })).body, '{"up":true}');
});

test('S1 116-129: the rate limiter, in seconds', async () => {
  const source = `
module.exports = async function(req, res) {
const ip = req.ip;
const key = \`ratelimit:\${ip}\`;
const requests = await kv.get(key) || 0;
if (requests >= 100) {
return res.status(429).json({
error: 'Too many requests',
retryAfter: 60
});
}
await kv.set(key, requests + 1, 60); // 60 second window
// Process request
res.json({ success: true });
};`;
  const world = new World();
  const call = (peer) => run(source, { peer }, { world });
  for (let i = 0; i < 100; i++) {
    assert.equal((await call('10.0.0.1')).body, '{"success":true}');
  }
  const limited = await call('10.0.0.1');
  assert.equal(limited.status, 429);
  assert.equal(limited.body, '{"error":"Too many requests","retryAfter":60}');
  assert.equal((await call('10.0.0.2')).status, 200);
  assert.equal(world.kv.get('ratelimit:10.0.0.1').ttl, 60_000);
  world.ms += 60_000;
  assert.equal((await call('10.0.0.1')).status, 200);
  assert.equal(world.kv.get('ratelimit:10.0.0.1').text, '1');
});

test('S1 175-186: streams a whole JSON list', async () => {
  const source = (items) => `
async function* streamItems() { ${items.map((item) => `yield ${item};`).join(' ')} }
module.exports = async function(req, res) {
res.type('application/json');
res.write('[');
let first = true;
for await (const item of streamItems()) {
if (!first) res.write(',');
res.write(JSON.stringify(item));
first = false;
}
res.write(']');
res.end();
};`;
  assert.equal((await run(source(['{a:1}', '{a:2}']))).body, '[{"a":1},{"a":2}]');
  assert.equal((await run(source([]))).body, '[]');
});

const helpers = `
function validateEmail(email) {
return email && email.includes('@');
}
function sanitizeInput(input) {
return input.trim().substring(0, 1000);
}`;
const useHelpers = `
const processMessage = async () => {};
module.exports = async function(req, res) {
const { email, message } = req.body;
if (!validateEmail(email)) {
return res.status(400).json({ error: 'Invalid email' });
}
const sanitized = sanitizeInput(message);
await processMessage(email, sanitized);
res.json({ success: true });
};`;

test('S1 254-270: helpers in one file and in two', async () => {
  const files = {
    'index.js': `const { validateEmail, sanitizeInput } = require('./helpers');${useHelpers}`,
    'helpers.js': `${helpers}\nmodule.exports = { validateEmail, sanitizeInput };`,
  };
  for (const given of [helpers + useHelpers, files]) {
    const bad = await run(given, json({ email: 'x' }));
    assert.equal(bad.status, 400);
    assert.equal(bad.body, '{"error":"Invalid email"}');
    const good = await run(given, json({ email: 'a@b', message: ' hi ' }));
    assert.equal(good.body, '{"success":true}');
  }
});

test('S1 301-315: edge cases', async () => {
  const source = `
module.exports = async function(req, res) {
const { items } = req.body;
// Handle missing data
if (!items) {
return res.status(400).json({ error: 'items required' });
}
// Handle empty array
if (!Array.isArray(items) || items.length === 0) {
return res.json({ total: 0, items: [] });
}
// Handle invalid items
const valid = items.filter(item => item && item.price > 0);
const total = valid.reduce((sum, item) => sum + item.price, 0);
res.json({ total, items: valid });
};`;
  const missing = await run(source, json({}));
  assert.equal(missing.status, 400);
  assert.equal(missing.body, '{"error":"items required"}');
  assert.equal((await run(source, json({ items: [] }))).body, '{"total":0,"items":[]}');
  assert.equal((await run(source, json({ items: 'x' }))).body, '{"total":0,"items":[]}');
  const items = [{ price: 1 }, null, { price: -1 }, { price: 2.5 }, {}];
  const mixed = await run(source, json({ items }));
  assert.equal(mixed.body, '{"total":3.5,"items":[{"price":1},{"price":2.5}]}');
});
