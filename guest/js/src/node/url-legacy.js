// The older half of `node:url`: `parse`, `format` and `resolve`, on parts instead of the URL
// standard.

import querystring from '../querystring.js';
import { URL } from '../url.js';
import { invalidArgType, nodeError, validateString } from './validate.js';

const PROTOCOL = /^[a-z0-9.+-]+:/i;
const PORT = /:(\d*)$/;
/** Where a host ends at the latest. */
const HOST_END = /[/?#]/;
/** What no host may hold; it ends before the first of these. */
const NOT_HOST = /[\t\n\r "%';<>\\^`{|}]/;
const HOSTNAME_MAX = 255;
const FORBIDDEN_HOST = /[\0\t\n\r #%/:<>?@[\\\]^|]/;
/** What is percent-encoded after the host. */
const ESCAPED = /[\t\n\r "'<>\\^`{|}]/g;

const SLASHED = new Set(
  ['http', 'https', 'ftp', 'gopher', 'file', 'ws', 'wss'].flatMap((name) => [name, `${name}:`]),
);
const HOSTLESS = new Set(['javascript', 'javascript:']);

const escapeOne = (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;

/** A host as ASCII; empty if it cannot be. */
export function domainToASCII(domain) {
  try {
    return new URL(`ws://${domain}`).hostname;
  } catch {
    return '';
  }
}

/** What `url.parse` answers. */
export class Url {
  constructor() {
    for (const name of PARTS) this[name] = null;
  }

  parse(input, parseQuery, slashesDenoteHost) {
    Object.assign(this, parse(input, parseQuery, slashesDenoteHost));
    return this;
  }

  format() {
    return formatParts(this);
  }

  resolve(relative) {
    return this.resolveObject(parse(relative, false, true)).format();
  }

  resolveObject(relative) {
    return resolved(this, typeof relative === 'string' ? parse(relative, false, true) : relative);
  }
}
const PARTS = ['protocol', 'slashes', 'auth', 'host', 'port', 'hostname'];
PARTS.push('hash', 'search', 'query', 'pathname', 'path', 'href');

/** Takes the authority from the front of `rest`; what is left. */
function takeHost(url, rest, input) {
  let end = rest.search(HOST_END);
  if (end < 0) end = rest.length;
  const at = rest.lastIndexOf('@', end - 1);
  const authority = rest.slice(0, end);
  let host = at < 0 ? authority : rest.slice(at + 1, end);
  if (at >= 0) url.auth = decodeURIComponent(rest.slice(0, at));
  const bad = host.search(NOT_HOST);
  let left = rest.slice(end);
  if (bad >= 0) {
    left = host.slice(bad) + left;
    host = host.slice(0, bad);
  }
  const port = PORT.exec(host);
  if (port !== null) {
    if (port[1] !== '') [, url.port] = port;
    host = host.slice(0, -port[0].length);
  }
  const isV6 = host.startsWith('[') && host.endsWith(']');
  let hostname = host.length > HOSTNAME_MAX ? '' : host.toLowerCase();
  const colon = isV6 ? -1 : hostname.indexOf(':');
  if (colon >= 0) {
    left = hostname.slice(colon) + left;
    hostname = hostname.slice(0, colon);
  }
  if (!isV6 && hostname !== '') {
    if (/[^\0-\x7f]/.test(hostname)) hostname = domainToASCII(hostname);
    if (hostname === '' || FORBIDDEN_HOST.test(hostname)) {
      throw Object.assign(nodeError(TypeError, 'ERR_INVALID_URL', 'Invalid URL'), { input });
    }
  }
  url.host = hostname + (url.port === null ? '' : `:${url.port}`);
  url.hostname = isV6 ? hostname.slice(1, -1) : hostname;
  return hostname !== '' && !/^[/?#]/.test(left) && left !== '' ? `/${left}` : left;
}

/** Node's older way to take a URL to pieces. */
export function parse(input, parseQuery = false, slashesDenoteHost = false) {
  if (input instanceof Url) return input;
  validateString(input, 'url');
  const url = new Url();
  let rest = input.trim();
  const question = rest.search(/[?#]/);
  const front = question < 0 ? rest : rest.slice(0, question);
  rest = front.replaceAll('\\', '/') + rest.slice(front.length);
  const protocol = PROTOCOL.exec(rest)?.[0].toLowerCase();
  if (protocol !== undefined) {
    url.protocol = protocol;
    rest = rest.slice(protocol.length);
  }
  const isHostless = HOSTLESS.has(protocol);
  const mayHaveHost =
    slashesDenoteHost || protocol !== undefined || /^\/\/[^@/]+@[^@/]+/.test(rest);
  if (mayHaveHost && rest.startsWith('//') && !isHostless) {
    url.slashes = true;
    rest = rest.slice(2);
  }
  if (!isHostless && (url.slashes || (protocol !== undefined && !SLASHED.has(protocol)))) {
    rest = takeHost(url, rest, input);
  }
  if (!isHostless) rest = rest.replace(ESCAPED, escapeOne);
  takeTail(url, rest, parseQuery);
  if (SLASHED.has(protocol) && url.hostname && !url.pathname) url.pathname = '/';
  if (url.pathname || url.search) url.path = (url.pathname ?? '') + (url.search ?? '');
  url.href = formatParts(url);
  return url;
}

function takeTail(url, rest, parseQuery) {
  const hash = rest.indexOf('#');
  if (hash >= 0) {
    url.hash = rest.slice(hash);
    rest = rest.slice(0, hash);
  }
  const question = rest.indexOf('?');
  if (question >= 0) {
    url.search = rest.slice(question);
    url.query = rest.slice(question + 1);
    if (parseQuery) url.query = querystring.parse(url.query);
    rest = rest.slice(0, question);
  } else if (parseQuery) {
    url.search = null;
    url.query = Object.create(null);
  }
  if (rest !== '') url.pathname = rest;
}

function hostOf(url, auth) {
  if (url.host) return auth + url.host;
  if (!url.hostname) return '';
  const isV6 = url.hostname.includes(':') && !url.hostname.startsWith('[');
  const name = isV6 ? `[${url.hostname}]` : url.hostname;
  return auth + name + (url.port ? `:${url.port}` : '');
}

function formatParts(url) {
  const given = url.auth;
  const auth = given ? `${encodeURIComponent(given).replace(/%3A/i, ':')}@` : '';
  let protocol = url.protocol ?? '';
  if (protocol !== '' && !protocol.endsWith(':')) protocol += ':';
  let host = hostOf(url, auth);
  let pathname = (url.pathname ?? '').replace(/[?#]/g, escapeOne);
  const { query } = url;
  const fromQuery = query !== null && typeof query === 'object' ? querystring.stringify(query) : '';
  let search = url.search || (fromQuery === '' ? '' : `?${fromQuery}`);
  let hash = url.hash ?? '';
  if (url.slashes || SLASHED.has(protocol)) {
    if (url.slashes || host !== '') {
      if (pathname !== '' && !pathname.startsWith('/')) pathname = `/${pathname}`;
      host = `//${host}`;
    } else if (protocol === 'file:') {
      host = '//';
    }
  }
  search = search.replaceAll('#', '%23');
  if (hash !== '' && !hash.startsWith('#')) hash = `#${hash}`;
  if (search !== '' && !search.startsWith('?')) search = `?${search}`;
  return protocol + host + pathname + search + hash;
}

const FORMATS = { fragment: true, unicode: false, search: true, auth: true };

/** The pieces of `parse`, or a `URL`, as text. */
export function format(given, options) {
  if (typeof given === 'string') return formatParts(parse(given));
  if (given === null || typeof given !== 'object') {
    throw invalidArgType('urlObject', ['Object', 'string'], given);
  }
  if (!(given instanceof URL)) return formatParts(given);
  const wanted = { ...FORMATS, ...options };
  const url = new URL(given.href);
  if (!wanted.fragment) url.hash = '';
  if (!wanted.search) url.search = '';
  if (!wanted.auth) [url.username, url.password] = ['', ''];
  return url.href;
}

/** A path without `.` and `..`; `isRooted` when it begins at the root. */
function normal(parts, isRooted) {
  const out = [];
  let above = 0;
  for (let i = parts.length - 1; i >= 0; i--) {
    const part = parts[i];
    if (part === '.') continue;
    if (part === '..') above++;
    else if (above > 0) above--;
    else out.unshift(part);
  }
  if (!isRooted) for (; above > 0; above--) out.unshift('..');
  return out;
}

const copyOf = (url) => Object.assign(new Url(), url);

function finish(url) {
  url.path = url.pathname || url.search ? (url.pathname ?? '') + (url.search ?? '') : null;
  url.href = formatParts(url);
  return url;
}

function withAuthority(base, relative) {
  for (const name of ['auth', 'host', 'port', 'hostname']) base[name] = relative[name];
}

function resolved(base, relative) {
  const url = copyOf(base);
  url.hash = relative.hash;
  if (relative.href === '') return finish(url);
  const isOther = relative.protocol !== null && relative.protocol !== url.protocol;
  if (relative.slashes || (isOther && !SLASHED.has(relative.protocol))) {
    const whole = copyOf(relative);
    whole.protocol = relative.protocol ?? url.protocol;
    const isSlashed = SLASHED.has(whole.protocol) && whole.hostname;
    const isSame = relative.protocol === url.protocol;
    const parts = (whole.pathname ?? '').split('/');
    if (!isSlashed) return finish(whole);
    if (!whole.pathname) whole.pathname = '/';
    else if (isSame) whole.pathname = rooted(parts.slice(1));
    return finish(whole);
  }
  if (isOther) url.protocol = relative.protocol;
  url.slashes = url.slashes || relative.slashes;
  if (relative.host) withAuthority(url, relative);
  const isAbsolute = Boolean(relative.pathname?.startsWith('/') || relative.host);
  if (!relative.pathname) {
    if (relative.search !== null) [url.search, url.query] = [relative.search, relative.query];
    return finish(url);
  }
  [url.search, url.query] = [relative.search, relative.query];
  const isRooted = isAbsolute || Boolean(url.pathname?.startsWith('/') || url.host);
  const front = isAbsolute ? [] : (url.pathname ?? '').split('/').slice(0, -1);
  const parts = [...front, ...relative.pathname.split('/')];
  if (isRooted && parts[0] === '') parts.shift();
  if (isRooted) url.pathname = rooted(parts);
  else url.pathname = ended(normal(parts, false), parts).join('/') || null;
  return finish(url);
}

/** A path that ends in a folder ends in a slash. */
function ended(out, parts) {
  const last = parts[parts.length - 1];
  if ((last === '.' || last === '..') && out[out.length - 1] !== '') out.push('');
  return out;
}

function rooted(parts) {
  const out = ended(normal(parts, true), parts);
  return `/${out.join('/')}`;
}

/** A reference resolved against a base; both may be relative. */
export function resolve(from, to) {
  return parse(from, false, true).resolve(to);
}

export function resolveObject(from, to) {
  return from ? parse(from, false, true).resolveObject(to) : to;
}
