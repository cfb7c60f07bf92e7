// Bundles src/ and the packages it uses into dist/guest.js: one classic script, the same bytes
// on every machine. QuickJS evaluates it once, before the engine snapshot is taken.

import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';

const inRoot = (path) => fileURLToPath(new URL(path, import.meta.url));

/** `whatwg-url` gets its encoder from us. */
const urlEncoding = {
  name: 'url-encoding',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/encoding$/ }, ({ importer }) =>
      importer.includes('whatwg-url') ? { path: inRoot('src/node/url-encoding.js') } : undefined,
    );
  },
};

await build({
  absWorkingDir: inRoot('.'),
  entryPoints: ['src/main.js'],
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
  // QuickJS has no Atomics in WebAssembly, and node-inspect-extracted looks into it at the start;
  // globals.js takes it away again.
  banner: { js: 'globalThis.Atomics ??= {};' },
  logLevel: 'warning',
  // Every free `Map`, `Symbol` … in the bundle means the one captured at the beginning.
  inject: ['src/captured.js'],
  alias: {
    // Packages that ask for Node's `buffer` get ours; ours asks for the package by another name.
    buffer: inRoot('src/buffer.js'),
    'npm-buffer': inRoot('node_modules/buffer/index.js'),
    tr46: inRoot('src/node/tr46.js'),
  },
  plugins: [urlEncoding],
});
