// Writes what Node answers to every probe of `tree.json` into `expected.json`:
//
//   node tests/resolution/expect.mjs
//
// `tests/it/resolution.rs` asks the same of a deployment. A file `x.js` of the tree that is empty
// becomes one that exports its own path, as CommonJS or as an ES module.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const here = import.meta.dirname;
const tree = JSON.parse(readFileSync(join(here, 'tree.json'), 'utf8'));
const root = mkdtempSync(join(tmpdir(), 'resolution-'));
try {
  for (const [path, text] of Object.entries(tree.files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), typeof text === 'string' ? text : JSON.stringify(text));
  }
  writeFileSync(join(root, 'ask.cjs'), readFileSync(join(here, 'ask.cjs')));
  const { default: ask } = await import(pathToFileURL(join(root, 'ask.cjs')));
  const answers = await ask(tree.probes);
  const lines = tree.probes.map((probe, i) => JSON.stringify([...probe, answers[i]]));
  writeFileSync(join(here, 'expected.json'), `[\n  ${lines.join(',\n  ')}\n]\n`);
} finally {
  rmSync(root, { recursive: true });
}
