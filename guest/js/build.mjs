// Bundles src/ and the packages it uses into dist/guest.js: one classic script, the same bytes
// on every machine. QuickJS evaluates it once, before the engine snapshot is taken.

import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';

const inRoot = (path) => fileURLToPath(new URL(path, import.meta.url));

// readable-stream asks for packages with a slash at the end, which `alias` does not take.
const withSlash = {
  name: 'with slash',
  setup({ onResolve }) {
    onResolve({ filter: /^process\/$/ }, () => ({ path: inRoot('src/process.js') }));
    onResolve({ filter: /^string_decoder\/$/ }, () => ({
      path: inRoot('src/node/string-decoder.js'),
    }));
  },
};

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
  plugins: [urlEncoding, withSlash],
  define: { global: 'globalThis' },
  alias: {
    // Packages that ask for Node's `buffer` get ours; ours asks for the package by another name.
    buffer: inRoot('src/buffer.js'),
    // What the package of Node's streams takes from outside is ours.
    'abort-controller': inRoot('src/abort.js'),
    events: inRoot('src/node/events.js'),
    'npm-buffer': inRoot('node_modules/buffer/index.js'),
    tr46: inRoot('src/node/tr46.js'),
  },
});
