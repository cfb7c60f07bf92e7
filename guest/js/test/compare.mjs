// Runs the same code in Node and in the layer, and compares what it returns, as JSON.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { run } from './harness.mjs';

const AsyncFunction = (async () => {}).constructor;
const require = createRequire(import.meta.url);

/** What `body`, the inside of an async function, returns in the layer. */
export async function inLayer(body, options) {
  const source = `
    const show = (error) => [error.name, error.code, error.message];
    module.exports = async (req, res) => {
      res.json({ v: await (async () => { ${body}\n })() });
    };`;
  const { body: text, failure } = await run(source, {}, options);
  assert.equal(failure, undefined, JSON.stringify(failure));
  return JSON.parse(text).v;
}

/** What it returns in Node. */
export async function inNode(body) {
  const show = (error) => [error.name, error.code, error.message];
  const value = await new AsyncFunction('require', 'show', body)(require, show);
  return JSON.parse(JSON.stringify({ v: value })).v;
}

/** Asserts that both return the same; answers it. */
export async function same(body) {
  const [here, there] = [await inLayer(body), await inNode(body)];
  assert.deepEqual(here, there);
  return here;
}
