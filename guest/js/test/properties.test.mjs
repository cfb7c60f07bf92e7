// The same generated inputs through the layer and through Node.js; see tests/properties/areas.js.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import test from 'node:test';
import { run } from './harness.mjs';
import { inputs } from './properties/inputs.mjs';
import { tolerated } from './properties/tolerated.mjs';

const source = readFileSync(new URL('../../../tests/properties/areas.js', import.meta.url), 'utf8');
const node = createRequire(import.meta.url)('../../../tests/properties/areas.js');
const COUNT = Number(process.env.PROPERTY_RUNS ?? 120);
const SEED = Number(process.env.PROPERTY_SEED ?? 20);

const handler = `
  const { mismatches } = require('./areas.js');
  module.exports = async (req, res) => res.json(await mismatches(req.body.area, req.body.cases));`;

for (const area of node.areas) {
  const name = `${area}: ${COUNT} inputs of seed ${SEED} give what Node.js gives`;
  test(name, async () => {
    const cases = [];
    for (const input of inputs(area, COUNT, SEED)) {
      const expected = await node.run(area, input);
      if (!tolerated(area, input, expected)) cases.push([input, expected]);
    }
    assert.ok(cases.length > COUNT / 2, 'most inputs are compared');
    const answer = await run(
      { 'index.js': handler, 'areas.js': source },
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ area, cases }),
      },
    );
    assert.equal(answer.failure, undefined);
    assert.deepEqual(JSON.parse(answer.body), { count: 0, shown: [] });
  });
}
