// `node:fs`: reading as in Node, on the same files; writing refused.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { inNode } from './compare.mjs';
import { run } from './harness.mjs';

const FILES = {
  'data.txt': 'hello\nwörld\n',
  'empty.txt': '',
  'sub/a.txt': 'a',
  'sub/deep/b.json': '{"b":1}',
  'sub/deep/c.txt': 'c'.repeat(200_000),
};
const old = process.cwd();
let folder;

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ampoule-fs-'));
  for (const [name, text] of Object.entries(FILES)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  process.chdir(folder);
});

after(() => {
  process.chdir(old);
  rmSync(folder, { recursive: true });
});

const HELP = `
  const fs = require('fs');
  const told = (e) => [e.name, e.code, e.message, e.errno, e.syscall, e.path, e.dest];
  const t = (f) => { try { return f() } catch (e) { return told(e) } };
  const cb = (f) => new Promise((r) => f((...a) => r(a.map((x) => x instanceof Error ? told(x) : x))));
  const p = (promise) => promise.catch(told);
`;

async function inLayer(body) {
  const source = `module.exports = async (req, res) => {
    res.json({ v: await (async () => { ${HELP}${body}\n })() });
  };`;
  const files = { 'index.js': source, ...FILES };
  const { body: text, failure } = await run(files, {});
  assert.equal(failure, undefined, JSON.stringify(failure));
  return JSON.parse(text).v;
}

async function same(body) {
  const here = await inLayer(body);
  assert.deepEqual(here, await inNode(HELP + body));
  return here;
}

test('readFile in all forms and encodings', async () => {
  await same(`
    const out = [];
    for (const options of [undefined, null, 'utf8', 'hex', 'latin1', { encoding: 'base64' },
        { flag: 'r' }, { encoding: 'utf8', flag: 'rs' }, {}]) {
      out.push(t(() => fs.readFileSync('data.txt', options)));
      out.push(await cb((f) => fs.readFile('data.txt', options, f)));
      out.push(await p(fs.promises.readFile('data.txt', options)));
    }
    out.push(await cb((f) => fs.readFile('empty.txt', f)));
    out.push(fs.readFileSync(Buffer.from('data.txt'), 'utf8'));
    out.push(fs.readFileSync(require('url').pathToFileURL(require('path').resolve('data.txt')), 'utf8'));
    out.push(fs.readFileSync('./sub/../sub//a.txt', 'utf8'), fs.readFileSync('sub/deep/c.txt').length);
    return out;`);
});

test('what is not there, and what is something else', async () => {
  await same(`
    const out = [];
    for (const path of ['none', 'sub', 'data.txt/x', 'data.txt/', '', '/none/at/all', '../../none']) {
      for (const name of ['readFile', 'stat', 'lstat', 'readdir', 'access', 'open', 'opendir']) {
        if (path === 'sub' && name !== 'readFile') continue;
        if (name !== 'opendir') out.push(t(() => fs[name + 'Sync'](path)));
        out.push(await cb((f) => fs[name](path, f)));
        out.push(await p(fs.promises[name](path)));
      }
      out.push(fs.existsSync(path), await cb((f) => fs.exists(path, f)));
      out.push(await require('util').promisify(fs.exists)(path));
    }
    out.push(t(() => fs.realpathSync('/none/at/all')), await cb((f) => fs.realpath('/none/at', f)));
    out.push(t(() => fs.readlinkSync('data.txt')), await cb((f) => fs.readlink('data.txt', f)));
    out.push(fs.statSync('none', { throwIfNoEntry: false }) === undefined);
    return out;`);
});

test('wrong arguments', async () => {
  await same(`
    const out = [];
    const odd = [undefined, null, 5, {}, [], true, 'a\\0b', () => {}];
    for (const value of odd) {
      out.push(t(() => fs.readFileSync(value === 5 ? {} : value)), t(() => fs.statSync(value)));
      out.push(t(() => fs.readdirSync(value)), t(() => fs.openSync(value)));
      out.push(t(() => fs.accessSync(value)), fs.existsSync(value));
      out.push(await p(fs.promises.stat(value)), await p(fs.promises.readdir(value)));
      out.push(t(() => fs.mkdirSync(value)), t(() => fs.unlinkSync(value)));
      out.push(t(() => fs.renameSync(value, 'x')), t(() => fs.renameSync('x', value)));
            // Some other values crash Node itself.
      if (value === undefined) out.push(t(() => fs.closeSync(value)));
    }
    for (const flags of ['q', '', {}, 'rw']) out.push(t(() => fs.openSync('data.txt', flags)));
    for (const encoding of ['q', 'utf9']) out.push(t(() => fs.readFileSync('data.txt', encoding)));
    out.push(t(() => fs.readFileSync('data.txt', 5)), t(() => fs.accessSync('data.txt', 9)));
    out.push(t(() => fs.accessSync('data.txt', 'x')), t(() => fs.writeFileSync('x')));
    out.push(t(() => fs.writeFileSync('x', {})), t(() => fs.chmodSync('x')), t(() => fs.readFile('x')));
    out.push(t(() => fs.exists('x')), t(() => fs.stat('x')), t(() => fs.readFile('x', 'utf8')));
    out.push(t(() => fs.closeSync(9999)), t(() => fs.readSync(9999, Buffer.alloc(1))));
    out.push(t(() => fs.fstatSync(-1)), t(() => fs.fstatSync(1.5)));
    return out;`);
});

test('readdir, opendir, recursive, withFileTypes', async () => {
  await same(`
    const shown = (all) => all.map((d) => [d.name, d.path, d.parentPath, d.isFile(), d.isDirectory(), d.isSymbolicLink()]);
    const out = [];
    const names = (all) => all.filter((n) => !String(n).includes('index.js'));
    out.push(names(fs.readdirSync('.')), names(fs.readdirSync('.', { recursive: true })));
    out.push(await cb((f) => fs.readdir('sub', f)), await p(fs.promises.readdir('sub', { recursive: true })));
    out.push(shown(fs.readdirSync('sub', { withFileTypes: true })));
    out.push(shown(fs.readdirSync('sub', { withFileTypes: true, recursive: true })));
    out.push(fs.readdirSync('sub', 'buffer'), fs.readdirSync('sub', { encoding: 'hex' }));
    const dir = await fs.promises.opendir('sub');
    const all = [];
    for await (const d of dir) all.push(d);
    out.push(shown(all).sort((a, b) => a[0] < b[0] ? -1 : 1), dir.path, t(() => dir.readSync()));
    const again = fs.opendirSync('sub');
    out.push([again.readSync() !== null, again.readSync() !== null, again.readSync()], t(() => again.closeSync()), t(() => again.closeSync()));
    return out;`);
});

test('stat', async () => {
  await same(`
    const shown = (s) => [s.isFile(), s.isDirectory(), s.isSymbolicLink(), s.isFIFO(), s.isSocket(),
      s.isBlockDevice(), s.isCharacterDevice(), s.isFile() ? Number(s.size) : 0, s.mtime instanceof Date,
      Number(s.mtimeMs) > 1e12, s.mode & 0o444, Object.keys(s), s.constructor.name];
    const big = fs.statSync('data.txt', { bigint: true });
    return [shown(fs.statSync('data.txt')), shown(fs.lstatSync('sub')), shown(await fs.promises.stat('sub/')),
      (await cb((f) => fs.stat('data.txt', f)))[0], typeof big.size, typeof big.mtimeNs, Object.keys(big),
      fs.statSync('data.txt') instanceof fs.Stats];`);
});

test('open files', async () => {
  await same(`
    const out = [];
    const fd = fs.openSync('data.txt', 'r');
    const buffer = Buffer.alloc(8, '.');
    out.push(fd > 2, fs.readSync(fd, buffer, 0, 3), String(buffer), fs.readSync(fd, buffer, 2, 4, 0), String(buffer));
    out.push(fs.readSync(fd, buffer, { length: 2, position: 6 }), String(buffer));
    out.push(await cb((f) => fs.read(fd, buffer, 0, 8, null, f)), fs.fstatSync(fd).size);
    out.push(await require('util').promisify(fs.read)(fd, buffer, 0, 2, 0));
    const [a, b] = [Buffer.alloc(2), Buffer.alloc(20)];
    out.push(fs.readvSync(fd, [a, b], 0), String(a), String(b), fs.readSync(fd, buffer));
    out.push(t(() => fs.readSync(fd, 'x')), t(() => fs.readSync(fd, Buffer.alloc(3), 5, 3)));
    out.push(t(() => fs.readSync(fd, Buffer.alloc(3), 1, 3)), t(() => fs.readSync(fd, Buffer.alloc(3), 1, -1)));
    out.push(t(() => fs.writeSync(fd, 'x')), t(() => fs.ftruncateSync(fd)), t(() => fs.fsyncSync(fd)));
    out.push(fs.closeSync(fd), t(() => fs.closeSync(fd)), t(() => fs.readSync(fd, buffer)));
    const dir = fs.openSync('sub');
    out.push(t(() => fs.readSync(dir, buffer)), t(() => fs.readFileSync(dir)), fs.closeSync(dir));
    const handle = await fs.promises.open('data.txt');
    out.push(typeof handle.fd, (await handle.read(Buffer.alloc(4), 0, 4)).bytesRead, await handle.readFile('utf8'));
    out.push((await handle.stat()).size, (await handle.read({ position: 0, length: 3 })).bytesRead);
    const lines = [];
    await handle.close();
    out.push(handle.fd, await p(handle.stat().catch((e) => { throw Object.assign(new Error(), { code: e.code }) })));
    return out;`);
});

test('streams', async () => {
  await same(`
    const out = [];
    const read = async (...args) => {
      const chunks = [];
      const s = fs.createReadStream(...args);
      s.on('open', () => chunks.push('open'));
      s.on('close', () => chunks.push('close'));
      try { for await (const c of s) chunks.push(c.length > 100 ? c.length : String(c)); }
      catch (e) { chunks.push(told(e)); }
      return [chunks, s.bytesRead, s.path, s.flags, s.start, s.pending];
    };
    out.push(await read('data.txt'), await read('data.txt', 'utf8'), await read('empty.txt'));
    out.push(await read('data.txt', { start: 2, end: 5 }), await read('data.txt', { end: 3, highWaterMark: 2 }));
    out.push(await read('sub/deep/c.txt'), await read('none'), await read('sub'));
    out.push(t(() => fs.createReadStream('data.txt', { start: 5, end: 2 })), t(() => fs.createReadStream(5)));
    out.push(fs.createReadStream('data.txt').on('error', () => {}) instanceof fs.ReadStream);
    const lines = [];
    const rl = require('readline').createInterface({ input: fs.createReadStream('data.txt'), crlfDelay: Infinity });
    for await (const line of rl) lines.push(line);
    const handle = await fs.promises.open('data.txt');
    for await (const line of handle.readLines()) lines.push(line);
    out.push(lines);
    return out;`);
});

test('abort and the like', async () => {
  await same(`
    const signal = AbortSignal.abort();
    const short = (e) => [e.name, e.code, e.message];
    return [await fs.promises.readFile('data.txt', { signal }).catch(short),
      await new Promise((r) => fs.readFile('data.txt', { signal }, (e) => r(short(e)))),
      await (await fs.openAsBlob('data.txt', { type: 'text/x' })).text(),
      (await fs.openAsBlob('data.txt', { type: 'text/x' })).type,
      fs.accessSync('data.txt') === undefined, fs.constants.O_RDONLY, fs.R_OK,
      await cb((f) => fs.access('data.txt', fs.constants.R_OK, f)),
      fs.mkdirSync('sub', { recursive: true }) === undefined, t(() => fs.mkdirSync('sub')),
      t(() => fs.rmSync('none')), fs.rmSync('none', { force: true }) === undefined];`);
});

test('there is what Node has', async () => {
  const names = await inNode(`
    const fs = require('fs');
    return [Object.keys(fs), Object.keys(fs.promises), Object.entries(fs.constants)];`);
  const here = await inLayer(`
    return [Object.keys(fs), Object.keys(fs.promises), Object.entries(fs.constants)];`);
  assert.deepEqual(here[0].sort(), names[0].sort());
  assert.deepEqual(here[1].sort(), names[1].sort());
  assert.deepEqual(here[2], names[2]);
});

const WRITERS = {
  writeFile: ["'/data.txt', 'content'", 'open', '/data.txt'],
  appendFile: ["'/data.txt', 'content'", 'open', '/data.txt'],
  mkdir: ["'/new'", 'mkdir', '/new'],
  mkdtemp: ["'/tmp/x-'", 'mkdtemp', '/tmp/x-XXXXXX'],
  unlink: ["'data.txt'", 'unlink', 'data.txt'],
  rm: ["'data.txt'", 'unlink', 'data.txt'],
  rmdir: ["'sub'", 'rmdir', 'sub'],
  chmod: ["'data.txt', 0o777", 'chmod', 'data.txt'],
  chown: ["'data.txt', 1, 1", 'chown', 'data.txt'],
  lchown: ["'data.txt', 1, 1", 'lchown', 'data.txt'],
  utimes: ["'data.txt', 1, 1", 'utime', 'data.txt'],
  lutimes: ["'data.txt', 1, 1", 'lutime', 'data.txt'],
  truncate: ["'data.txt'", 'open', 'data.txt'],
  rename: ["'data.txt', 'b'", 'rename', 'data.txt', 'b'],
  copyFile: ["'data.txt', 'b'", 'copyfile', 'data.txt', 'b'],
  cp: ["'data.txt', 'b'", 'copyfile', 'data.txt', 'b'],
  link: ["'data.txt', 'b'", 'link', 'data.txt', 'b'],
  symlink: ["'data.txt', 'b'", 'symlink', 'data.txt', 'b'],
  open: ["'data.txt', 'w'", 'open', 'data.txt'],
  access: ["'data.txt', fs.constants.W_OK", 'access', 'data.txt'],
};

for (const [name, [args, syscall, first, dest]] of Object.entries(WRITERS)) {
  test(`${name} is refused in all three forms`, async () => {
    const more = dest === undefined ? '' : ` -> '${dest}'`;
    const message = `EROFS: read-only file system, ${syscall} '${first}'${more}`;
    const error = ['Error', 'EROFS', message, -30, syscall, first, dest ?? null];
    const told = await inLayer(`
      return [t(() => fs.${name}Sync(${args})), (await cb((f) => fs.${name}(${args}, f)))[0],
        await p(fs.promises.${name}(${args}))];`);
    assert.deepEqual(told, [error, error, error]);
  });
}

test('streams and watches that cannot be', async () => {
  const told = await inLayer(`
    const s = fs.createWriteStream('/out.txt');
    const error = await new Promise((r) => s.on('error', r));
    const watch = (async () => { for await (const x of fs.promises.watch('data.txt')); })();
    return [told(error), t(() => fs.watch('data.txt'))[1], t(() => fs.watchFile('data.txt', () => {}))[1],
      (await p(watch))[1], t(() => fs.readFileSync('/etc/passwd'))[1], t(() => fs.readdirSync('/'))[1],
      t(() => fs.readFileSync('/proc/self/environ'))[1], t(() => fs.readFileSync('../../etc/passwd'))[1]];`);
  assert.deepEqual(told[0].slice(0, 3), [
    'Error',
    'EROFS',
    "EROFS: read-only file system, open '/out.txt'",
  ]);
  assert.deepEqual(told.slice(1), ['ENOTSUP', 'ENOTSUP', 'ENOTSUP', ...Array(4).fill('ENOENT')]);
});
