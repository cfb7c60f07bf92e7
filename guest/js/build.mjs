// Bundles src/ and the packages it uses into dist/guest.js: one classic script, the same bytes
// on every machine. QuickJS evaluates it once, before the engine snapshot is taken.

import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));
const inRoot = (path) => fileURLToPath(new URL(path, import.meta.url));

await build({
  absWorkingDir: root,
  entryPoints: ['src/main.js'],
  inject: [inRoot('src/captured.js')],
  outfile: 'dist/guest.js',
  bundle: true,
  format: 'iife',
  platform: 'neutral',
  mainFields: ['module', 'main'],
  target: 'es2022',
  charset: 'utf8',
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'eof',
  // Packages that ask for Node's `buffer` get ours, with the encodings that theirs lacks.
  alias: { buffer: inRoot('src/buffer.js') },
  plugins: [
    {
      name: 'own-buffer',
      setup(bundler) {
        // The alias above would send our own import of the package back to us.
        bundler.onResolve({ filter: /^npm-buffer$/ }, () => ({
          path: inRoot('node_modules/buffer/index.js'),
        }));
      },
    },
  ],
  logLevel: 'warning',
});
