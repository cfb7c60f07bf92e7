// Writes tests/properties/<area>.json: inputs of a fixed seed, and what Node.js gives for each.
//
//     node test/properties/generate.mjs [area…]
//
// tests/it/properties.rs holds real sandboxes against them, and needs no Node.js for that.

import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { inputs } from './inputs.mjs';
import { tolerated } from './tolerated.mjs';

const folder = new URL('../../../../tests/properties/', import.meta.url);
const { areas, run } = createRequire(import.meta.url)('../../../../tests/properties/areas.js');
const SEED = 2026;
/** Fewer where each takes many turns. */
const COUNTS = { pipes: 60, readable: 150, texts: 60, url: 600, writable: 100 };
const chosen = process.argv.length > 2 ? process.argv.slice(2) : areas;

for (const area of chosen) {
  const cases = [];
  for (const input of inputs(area, COUNTS[area] ?? 250, SEED)) {
    const expected = await run(area, input);
    if (!tolerated(area, input, expected)) cases.push([input, expected]);
  }
  const lines = cases.map((entry) => ascii(JSON.stringify(entry)));
  writeFileSync(new URL(`${area}.json`, folder), `[\n${lines.join(',\n')}\n]\n`);
}

/** Escaped, so that the files look the same everywhere. */
function ascii(text) {
  return text.replace(/[^\x20-\x7e]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
