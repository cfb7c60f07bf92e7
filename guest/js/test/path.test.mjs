// `node:path` in the layer, compared with Node itself.

import test from 'node:test';
import { same } from './compare.mjs';

const BODY = (kind) => `
  const t = (f) => { try { return f() } catch (e) { return show(e) } };
  const path = require('path').${kind};
  const out = [];
  const parts = ['', '.', '..', 'a', 'b.txt', 'C:', 'C:\\\\', 'c:/x', 'C:x', '\\\\\\\\srv\\\\share', '\\\\\\\\srv\\\\share\\\\d', '//srv/share/', '/', '\\\\', '/a/b', '\\\\a\\\\..\\\\b', 'a//b/', './x/../y', '.hidden', 'a.b.c', '..\\\\..\\\\up', 'D:\\\\q\\\\..\\\\..\\\\r', 'x.', '/.x/y.js/'];
  for (const a of parts) {
    out.push([a, ...['normalize', 'isAbsolute', 'dirname', 'basename', 'extname', 'parse'].map((name) => t(() => path[name](a))), t(() => path.basename(a, '.txt')), t(() => path.format(path.parse(a)))]);
    for (const b of parts) {
      out.push([a, b, t(() => path.join(a, b)), ${kind === 'posix' ? "t(() => path.resolve('/cwd', a, b)), t(() => path.relative('/cwd/' + a, '/cwd/' + b))" : "t(() => path.resolve('C:\\\\\\\\cwd', a, b)), t(() => path.relative('C:\\\\\\\\cwd\\\\\\\\x', path.resolve('C:\\\\\\\\', b)))"}]);
    }
  }
  for (const bad of [undefined, null, 5, {}]) for (const name of ['normalize', 'join', 'resolve', 'dirname', 'basename', 'extname', 'parse', 'isAbsolute', 'format', 'relative']) out.push([name, t(() => path[name](bad))]);
  for (const o of [{}, { dir: 'd', base: 'b' }, { root: '/', name: 'n', ext: 'e' }, { dir: '/', root: '/', name: 'n', ext: '.e' }]) out.push(path.format(o));
  out.push(path.sep, path.delimiter, Object.keys(path).filter((k) => k !== '_makeLong' && k !== 'matchesGlob').sort());
  return out;`;

test('posix', async () => {
  await same(BODY('posix'));
});

test('win32', async () => {
  await same(BODY('win32'));
});
