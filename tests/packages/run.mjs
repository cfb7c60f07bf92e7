// Runs every case of `cases` twice, in Node and in a function, and compares what comes of it.
//
// A case exports one of three things: a function, whose result is compared as JSON; `handler` and
// `requests`, an Express-style application and what is asked of it; `fetch` and `requests`, the same
// for a handler of web requests. Each case is deployed with the packages that it uses and theirs,
// and no others. Usage, in a folder with `cases` and an installed `node_modules`:
//
//   node run.mjs --server BINARY --page docs/packages.md [--check] [CASE…]

import { execFile, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

// Both sides have the same clock and the same settings.
process.env.TZ = 'UTC';
process.env.NODE_ENV = 'production';
// Nothing is asked for but what listens on this machine.
for (const name of Object.keys(process.env)) if (/_proxy$/i.test(name)) delete process.env[name];

const here = dirname(fileURLToPath(import.meta.url));
const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { server: { type: 'string' }, page: { type: 'string' }, check: { type: 'boolean' } },
});
const lock = JSON.parse(readFileSync(join(here, 'package-lock.json'), 'utf8')).packages;
/** Why a case is known to fail, by its name. */
const known = JSON.parse(readFileSync(join(here, 'known.json'), 'utf8'));

/** The longest that a request may take, in milliseconds. */
const PATIENCE_MS = 60_000;
/** Files that no program loads: types, maps, pages, and what is made for other uses. */
const NOT_LOADED = /\.(?:d\.[cm]?ts|map|md|markdown|flow|ts|tsx|html|css|png|svg)$/i;

/** What HTTP clients talk to. */
async function upstream(request, response) {
  let body = '';
  for await (const chunk of request) body += chunk;
  const { method, url, headers } = request;
  const [path, detail] = url.split('?')[0].split('/').slice(1);
  if (path === 'status') {
    response.writeHead(Number(detail), { 'content-type': 'text/plain' }).end(`status ${detail}`);
  } else if (path === 'redirect') {
    response.writeHead(302, { location: '/echo?redirected' }).end();
  } else if (path === 'bytes') {
    response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(Buffer.from([0, 255, 128]));
  } else if (path === 'gzip') {
    const head = { 'content-type': 'text/plain', 'content-encoding': 'gzip' };
    response.writeHead(200, head).end(gzipSync('unpacked text'));
  } else {
    const own = headers['x-own'];
    const told = { method, url, type: headers['content-type'], own, added: headers['x-added'], body };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(told));
  }
}

/** Listens on a free port of the loopback address; answers the server and its URL. */
async function listen(handler) {
  const server = createServer(handler);
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

/** The package that a specifier names, or nothing for a file or a builtin. */
function packageOf(specifier) {
  const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
  return lock[`node_modules/${name}`] === undefined ? undefined : name;
}

/** The packages that a case loads itself. */
function packagesOf(file) {
  const source = readFileSync(join(here, 'cases', file), 'utf8');
  const named = source.matchAll(/(?:require\(|from |import )'([^'.][^']*)'/g);
  return [...new Set([...named].map((match) => packageOf(match[1])))].filter(Boolean);
}

/** Where `name` is found from the folder `from`, both as the lock file writes them. */
function found(from, name) {
  for (let folder = from; folder !== ''; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (lock[`${folder}/node_modules/${name}`] !== undefined) return `${folder}/node_modules/${name}`;
  }
  return lock[`node_modules/${name}`] === undefined ? undefined : `node_modules/${name}`;
}

/** The folders of packages and of all that they depend on. */
function closure(names) {
  const folders = new Set();
  const visit = (path) => {
    if (path === undefined || folders.has(path)) return;
    folders.add(path);
    const { dependencies, optionalDependencies, peerDependencies } = lock[path];
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      visit(found(path, name));
    }
  };
  names.forEach((name) => visit(`node_modules/${name}`));
  return [...folders].filter((folder) => existsSync(join(here, folder)));
}

/** What the entry of a case's function is. */
function entryOf(file, kind) {
  if (kind === 'handler') return ['index.js', `module.exports = require('./cases/${file}').handler;\n`];
  if (kind === 'fetch') {
    return ['index.mjs', `import found from './cases/${file}';\nexport default { fetch: (request, env, context) => found.fetch(request, env, context) };\n`];
  }
  const answer = '(req, res) => res.json(await run({ upstream: process.env.UPSTREAM }))';
  if (extname(file) === '.mjs') return ['index.mjs', `import run from './cases/${file}';\nexport default async ${answer};\n`];
  return ['index.js', `const run = require('./cases/${file}');\nmodule.exports = async ${answer};\n`];
}

/** Writes the folder that is deployed for a case. */
function pack(folder, file, kind) {
  mkdirSync(join(folder, 'cases'), { recursive: true });
  cpSync(join(here, 'cases', file), join(folder, 'cases', file));
  cpSync(join(here, 'keys.js'), join(folder, 'keys.js'));
  const [name, text] = entryOf(file, kind);
  writeFileSync(join(folder, name), text);
  for (const path of closure(packagesOf(file))) {
    const from = join(here, path);
    const inner = join(from, 'node_modules');
    const filter = (source) => source !== inner && !NOT_LOADED.test(source);
    cpSync(from, join(folder, path), { recursive: true, filter });
  }
}

/** Asks for each of a case's requests below `url`; answers what is to be compared. */
async function ask(url, { requests, headers: more = [] }) {
  const answers = [];
  for (const { path, method = 'GET', headers = {}, json, form, body } of requests) {
    const kind = json === undefined ? 'application/x-www-form-urlencoded' : 'application/json';
    const typed = json ?? form;
    const init = { method, redirect: 'manual', signal: AbortSignal.timeout(PATIENCE_MS) };
    init.headers = typed === undefined ? headers : { 'content-type': kind, ...headers };
    init.body = json === undefined ? form ?? body : JSON.stringify(json);
    const response = await fetch(url + path, init);
    const names = ['content-type', 'location', 'etag', 'allow', 'x-first', 'x-list', 'x-after', 'x-seen', ...more];
    const fields = names.flatMap((name) => (response.headers.has(name) ? [[name, response.headers.get(name)]] : []));
    answers.push([method, path, response.status, fields, response.headers.getSetCookie(), await response.text()]);
  }
  return answers.map((answer) => JSON.stringify(answer)).join('\n');
}

const asIs = (text) => JSON.stringify(JSON.parse(text), null, 1);

/** What a case gives in Node, and what kind of case it is. */
async function inNode(file, url) {
  const module = await import(pathToFileURL(join(here, 'cases', file)));
  const found = module.default;
  if (typeof found === 'function' && found.requests === undefined) {
    return ['value', asIs(JSON.stringify(await found({ upstream: url }))), found];
  }
  if (found.handler !== undefined) {
    const { server, url: own } = await listen(found.handler);
    const answers = await ask(own, found);
    server.closeAllConnections();
    server.close();
    return ['handler', answers, found];
  }
  const { server, url: own } = await listen((request, response) => bridge(found.fetch, request, response));
  const answers = await ask(own, found);
  server.closeAllConnections();
  server.close();
  return ['fetch', answers, found];
}

/** Answers a request of Node with a handler of web requests. */
async function bridge(handle, request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { method, url, headers } = request;
  const init = { method, headers: Object.entries(headers), body: chunks.length > 0 ? Buffer.concat(chunks) : undefined };
  const answer = await handle(new Request(`http://${headers.host}${url}`, init), {}, {});
  const fields = [...answer.headers].filter(([name]) => name !== 'set-cookie');
  response.writeHead(answer.status, [...fields, ...answer.headers.getSetCookie().map((value) => ['set-cookie', value])].flat());
  response.end(Buffer.from(await answer.arrayBuffer()));
}

/** Starts the server in a folder; answers its process and its URL. */
async function serve(folder) {
  const given = ['serve', '--listen', '127.0.0.1:0', '--data', join(folder, 'data'), '--cache', resolve(here, '..', 'packages-cache')];
  const child = spawn(options.server, given, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, RUST_LOG: 'error' } });
  for await (const line of createInterface(child.stdout)) {
    const [, url] = line.match(/^listening on (\S+)/) ?? [];
    if (url !== undefined) return { child, url };
  }
  throw new Error('the server does not listen');
}

/** What a case gives in a function. */
async function inFunction(name, file, [kind, , found], folder, server, url) {
  pack(folder, file, kind);
  const environment = ['--env', 'NODE_ENV=production', '--env', `UPSTREAM=${url}`];
  await promisify(execFile)(options.server, ['deploy', folder, '--name', name, ...environment], {
    env: { ...process.env, AMPOULE_URL: server },
  });
  rmSync(folder, { recursive: true });
  if (kind !== 'value') return ask(`${server}/invoke/${name}`, found);
  const response = await fetch(`${server}/invoke/${name}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
  const text = await response.text();
  if (response.status !== 200) {
    const logs = await promisify(execFile)(options.server, ['logs', name], { env: { ...process.env, AMPOULE_URL: server } });
    throw new Error(`${text}\n${logs.stdout.slice(-2000)}`);
  }
  return asIs(text);
}

/** The first lines in which two texts differ. */
function difference(expected, actual) {
  const [left, right] = [expected.split('\n'), actual.split('\n')];
  const at = left.findIndex((line, i) => line !== right[i]);
  return `line ${at}\n  in Node:       ${left[at]}\n  in a function: ${right[at]}`;
}

/** Runs one case; answers what went wrong, or nothing. */
async function attempt(name, file, server, url, scratch) {
  // What does not work in Node is no case.
  const expected = await inNode(file, url);
  try {
    const actual = await inFunction(name, file, expected, join(scratch, name), server, url);
    return actual === expected[1] ? undefined : difference(expected[1], actual);
  } catch (error) {
    return `${error.stderr ?? ''}${error.stderr ? '' : error.message}`.trim();
  }
}

/** The name of a case's function. */
const nameOf = (file) => basename(file, extname(file)).toLowerCase().replace(/[^a-z0-9]+/g, '-');

/** The page on all results. */
function page(results) {
  const passed = results.filter(({ fault }) => fault === undefined);
  const rows = results.map(({ name, packages, fault }) => {
    const listed = packages.map((one) => `${one} ${lock[`node_modules/${one}`].version}`);
    return `| ${listed.join(', ')} | ${fault === undefined ? 'the same as in Node' : known[name]} |`;
  });
  const count = new Set(passed.flatMap(({ packages }) => packages)).size;
  return `# npm packages that are known to work

\`cargo xtask packages\` runs each of these in Node and in a function, from \`tests/packages/cases\`, and compares
the results. It writes this page, and fails when the page does not say what is.

Packages of pure JavaScript are deployed in \`node_modules\`, as they are published. ${count} packages in ${passed.length} of
${results.length} cases give the same as in Node; the others say why not.

| packages | result |
|---|---|
${rows.join('\n')}
`;
}

async function main() {
  const begun = Date.now();
  const files = readdirSync(join(here, 'cases')).sort();
  const chosen = files.filter((file) => wanted.length === 0 || wanted.includes(nameOf(file)));
  const scratch = mkdtempSync(join(tmpdir(), 'ampoule-packages-'));
  const { server: own, url } = await listen(upstream);
  const { child, url: server } = await serve(scratch);
  const results = [];
  try {
    const queue = [...chosen];
    const work = async () => {
      for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
        const name = nameOf(file);
        const started = Date.now();
        const fault = await attempt(name, file, server, url, scratch);
        results.push({ name, packages: packagesOf(file), fault });
        const word = fault === undefined ? 'ok' : known[name] === undefined ? 'FAILED' : 'known to fail';
        const took = String(Date.now() - started).padStart(6);
        console.log(`${word.padEnd(14)}${took} ms  ${name}${word === 'FAILED' ? `: ${fault}` : ''}`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, work));
  } finally {
    child.kill();
    own.closeAllConnections();
    own.close();
    rmSync(scratch, { recursive: true, force: true });
  }
  report(results.sort((a, b) => (a.name < b.name ? -1 : 1)), chosen.length === files.length, begun);
}

/** Says how it went, and writes or checks the page. */
function report(results, isAll, begun) {
  const failed = results.filter(({ name, fault }) => fault !== undefined && known[name] === undefined);
  const mended = results.filter(({ name, fault }) => fault === undefined && known[name] !== undefined);
  const same = results.filter(({ fault }) => fault === undefined).length;
  console.log(`${same} of ${results.length} cases are the same in Node and in a function (${Math.round((Date.now() - begun) / 1000)} s)`);
  if (failed.length > 0) console.error(`failed: ${failed.map(({ name }) => name).join(', ')}`);
  if (mended.length > 0) console.error(`work now, take them out of known.json: ${mended.map(({ name }) => name).join(', ')}`);
  process.exitCode = failed.length + mended.length > 0 ? 1 : 0;
  if (process.exitCode !== 0 || !isAll || options.page === undefined) return;
  const text = page(results);
  if (!options.check) {
    writeFileSync(options.page, text);
  } else if (readFileSync(options.page, 'utf8') !== text) {
    console.error(`${options.page} does not say what is: run cargo xtask packages`);
    process.exitCode = 1;
  }
}

await main();
// Packages may keep timers or sockets of their own.
process.exit();
