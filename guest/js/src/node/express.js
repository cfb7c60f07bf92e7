// What Express's `req` and `res` have and few handlers ask for: negotiation, conditional
// requests, signed cookies, files. Loaded when one of them is first used.

import { create as contentDisposition } from 'content-disposition';
import EventEmitter from 'events';
import isFreshFor from 'fresh';
import Negotiator from 'negotiator';
import parseRange from 'range-parser';
import { append as varyWith } from 'vary';
import {
  ArrayIsArray,
  JSONParse,
  JSONStringify,
  ObjectCreate,
  ObjectKeys,
  RegExpPrototypeExec,
  SafeString,
  append,
} from '../primordials.js';
import { pump, takeBody } from '../body.js';
import { builtin } from '../builtins.js';
import { Buffer } from '../buffer.js';
import { codedError, typeError } from '../errors.js';
import { readFields } from '../fields.js';
import { headersToText } from '../headers.js';
import { fail, guarded, hold, release } from '../lifecycle.js';
import { contentType, mimeType } from '../mime.js';
import { state } from '../state.js';
import { isResponse } from '../web-message.js';

const flat = (given) => (given.length === 1 && ArrayIsArray(given[0]) ? given[0] : given);

// `req`

/** Of the types given, the one that the client likes best, as it was given; false for none. */
function accepts(request, given) {
  const types = flat(given);
  const negotiator = new Negotiator(request);
  if (types.length === 0) return negotiator.mediaTypes();
  if (request.headers.accept === undefined) return types[0];
  const full = [];
  const asGiven = ObjectCreate(null);
  for (const type of types) {
    const name = type.includes('/') ? type : mimeType(type);
    if (name === undefined) continue;
    append(full, name);
    asGiven[name] ??= type;
  }
  const [best] = negotiator.mediaTypes(full);
  return best === undefined ? false : asGiven[best];
}

/** `charsets` or `languages`. */
function acceptsAny(request, kind, given) {
  const wanted = flat(given);
  const negotiator = new Negotiator(request);
  if (wanted.length === 0) return negotiator[kind]();
  return negotiator[kind](wanted)[0] ?? false;
}

function acceptsEncodings(request, given) {
  const wanted = flat(given);
  const negotiator = new Negotiator(request);
  if (wanted.length === 0) return negotiator.encodings();
  return negotiator.encodings(wanted, { preferred: ['br', 'gzip'] })[0] ?? false;
}

function range(request, size, options) {
  const header = request.get('range');
  return header === undefined ? undefined : parseRange(size, header, options);
}

function param(request, name, fallback) {
  const { params, body, query } = request;
  if (params?.[name] !== undefined && Object.hasOwn(params, name)) return params[name];
  if (body?.[name] !== undefined) return body[name];
  if (query?.[name] !== undefined) return query[name];
  return fallback;
}

function distinct(rawHeaders) {
  const table = ObjectCreate(null);
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i].toLowerCase();
    table[name] ??= [];
    append(table[name], rawHeaders[i + 1]);
  }
  return table;
}

// Whoever sends a request can write `x-forwarded-for`. The host takes its last entry for the
// peer if it stands behind a proxy, and that is all that can be relied on.
function ips(request, peer) {
  const header = request.headers['x-forwarded-for'];
  if (header === undefined) return [];
  return header.slice(header.lastIndexOf(',') + 1).trim() === peer ? [peer] : [];
}

const IPV4 = /^\d+\.\d+\.\d+\.\d+$/;

function subdomains(hostname) {
  if (!hostname || hostname.startsWith('[') || RegExpPrototypeExec(IPV4, hostname) !== null) {
    return [];
  }
  return hostname.split('.').reverse().slice(2);
}

/** Whether what the client has already is what would be sent. */
function isFresh(request) {
  const { method, res } = request;
  if ((method !== 'GET' && method !== 'HEAD') || !res) return false;
  const status = res.statusCode;
  if ((status < 200 || status >= 300) && status !== 304) return false;
  return isFreshFor(request.headers, {
    etag: res.getHeader('etag'),
    'last-modified': res.getHeader('last-modified'),
  });
}

/** `req.socket`: what can be said of a connection that belongs to the host. */
function socket({ isSecure, peer }) {
  const made = new EventEmitter();
  const self = () => made;
  const family = peer.includes(':') ? 'IPv6' : 'IPv4';
  return Object.assign(made, {
    address: () => ({ address: '127.0.0.1', family: 'IPv4', port: 0 }),
    authorized: false,
    cork() {},
    destroy: self,
    destroyed: false,
    destroySoon: self,
    encrypted: isSecure,
    end: self,
    localAddress: '127.0.0.1',
    localPort: 0,
    pause: self,
    readable: true,
    ref: self,
    remoteAddress: peer,
    remoteFamily: family,
    remotePort: 0,
    resume: self,
    server: null,
    setKeepAlive: self,
    setNoDelay: self,
    setTimeout: self,
    uncork() {},
    unref: self,
    writable: true,
  });
}

// Signed cookies, as `cookie-signature` makes them: `value.` and the HMAC-SHA256 in Base64.

function sign(value, secret) {
  const { createHmac } = builtin('crypto');
  const mac = createHmac('sha256', secret).update(value).digest('base64');
  return value + '.' + mac.replace(/=+$/, '');
}

function unsign(signed, secrets) {
  const { timingSafeEqual } = builtin('crypto');
  const dot = signed.lastIndexOf('.');
  const value = signed.slice(2, dot);
  const given = Buffer.from(signed.slice(2));
  for (const secret of secrets) {
    const expected = Buffer.from(sign(value, secret));
    if (expected.length === given.length && timingSafeEqual(expected, given)) return value;
  }
  return false;
}

function secretsOf(request) {
  const { secret } = request;
  if (secret === undefined || secret === null) return [];
  return ArrayIsArray(secret) ? secret : [secret];
}

function jsonCookie(text) {
  if (typeof text !== 'string' || !text.startsWith('j:')) return text;
  try {
    return JSONParse(text.slice(2));
  } catch {
    return text;
  }
}

/** `req.signedCookies`, by `req.secret`; those whose signature is wrong are false. */
function unsigned(request) {
  const secrets = secretsOf(request);
  const found = ObjectCreate(null);
  const { cookies } = request;
  for (const name of ObjectKeys(cookies)) {
    const text = cookies[name];
    if (typeof text !== 'string' || !text.startsWith('s:')) continue;
    found[name] = jsonCookie(unsign(text, secrets));
    delete cookies[name];
  }
  return found;
}

function signedValue(request, text) {
  const [secret] = secretsOf(request);
  if (secret === undefined) {
    throw new Error('cookieParser("secret") required for signed cookies');
  }
  return 's:' + sign(text, secret);
}

// `res`

function vary(response, field) {
  const earlier = response.getHeader('vary') ?? '';
  const text = ArrayIsArray(earlier) ? earlier.join(', ') : SafeString(earlier);
  const all = varyWith(text, field);
  if (all) response.setHeader('vary', all);
}

function links(response, given) {
  const earlier = response.getHeader('link');
  const parts = earlier === undefined ? [] : [].concat(earlier);
  for (const rel of ObjectKeys(given)) {
    for (const url of [].concat(given[rel])) append(parts, `<${url}>; rel="${rel}"`);
  }
  response.setHeader('link', parts.join(', '));
}

function attachment(response, name) {
  if (name !== undefined) {
    const dot = name.lastIndexOf('.');
    if (dot >= 0) response.type(name.slice(dot));
  }
  response.setHeader('content-disposition', disposition(name));
}

function disposition(name) {
  return contentDisposition(name === undefined ? undefined : baseName(name));
}

const baseName = (path) => path.slice(path.lastIndexOf('/') + 1);

function statusError(status, message) {
  const error = codedError(undefined, message);
  delete error.code;
  error.status = status;
  error.statusCode = status;
  error.expose = status < 500;
  return error;
}

function format(response, choices) {
  const request = response.req;
  const names = ObjectKeys(choices).filter((name) => name !== 'default');
  const chosen = names.length > 0 ? accepts(request, names) : false;
  vary(response, 'Accept');
  const { next } = request;
  if (chosen) {
    response.setHeader('content-type', contentType(chosen));
    choices[chosen](request, response, next);
  } else if (choices.default) {
    choices.default(request, response, next);
  } else {
    const error = statusError(406, 'Not Acceptable');
    error.types = names.map((name) => mimeType(name) ?? name);
    if (typeof next !== 'function') throw error;
    next(error);
  }
  return response;
}

const CALLBACK = /[^[\]\w$.]/g;

function jsonp(response, value) {
  const { query } = response.req;
  const given = query?.callback;
  const callback = ArrayIsArray(given) ? given[0] : given;
  let text = JSONStringify(value);
  if (typeof callback !== 'string' || callback === '') {
    if (!response.hasHeader('content-type')) {
      response.setHeader('x-content-type-options', 'nosniff');
      response.setHeader('content-type', 'application/json; charset=utf-8');
    }
    return response.send(text ?? '');
  }
  const name = callback.replace(CALLBACK, '');
  // JSON allows these two where JavaScript did not always.
  text = text === undefined ? '' : text.replace(/\u2028/g, '\\u2028').replace(/\u2029/g, '\\u2029');
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('content-type', 'text/javascript; charset=utf-8');
  // The comment keeps the answer from being taken for anything but a script.
  return response.send(`/**/ typeof ${name} === 'function' && ${name}(${text});`);
}

// Files of the deployment

const UP = /(?:^|[\\/])\.\.(?:[\\/]|$)/;

/** The absolute path of a file to send. Throws what Express throws. */
function filePath(given, options) {
  if (typeof given !== 'string' || given === '') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'path must be a string to res.sendFile');
  }
  const { root } = options;
  if (root === undefined || root === null) {
    if (!given.startsWith('/')) {
      throw typeError(
        'ERR_INVALID_ARG_VALUE',
        'path must be absolute or specify root to res.sendFile',
      );
    }
    if (UP.test(given)) throw statusError(403, 'Forbidden');
    return given;
  }
  if (given.includes('\0')) throw statusError(400, 'Bad Request');
  if (UP.test(given)) throw statusError(403, 'Forbidden');
  const path = builtin('path');
  return path.resolve(path.join(SafeString(root), given));
}

function checkDotFiles(path, options) {
  const { dotfiles = 'ignore', root } = options;
  if (dotfiles === 'allow') return;
  const shown =
    root === undefined || root === null ? baseName(path) : path.slice(SafeString(root).length);
  const isHidden = shown.split('/').some((part) => part.length > 1 && part.startsWith('.'));
  if (isHidden) throw statusError(dotfiles === 'deny' ? 403 : 404, 'Not Found');
}

const STATUS_OF = { __proto__: null, ENOENT: 404, ENOTDIR: 404, ENAMETOOLONG: 404, EACCES: 403 };

function fileStats(path) {
  try {
    const stats = builtin('fs').statSync(path);
    if (stats.isDirectory()) {
      const error = codedError('EISDIR', 'EISDIR, read');
      error.status = 404;
      error.statusCode = 404;
      throw error;
    }
    return stats;
  } catch (error) {
    error.status ??= STATUS_OF[error.code] ?? 500;
    error.statusCode ??= error.status;
    throw error;
  }
}

function milliseconds(text) {
  if (typeof text !== 'string') return +text;
  const found = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d|w|y)?\w*$/.exec(text.trim());
  if (found === null) return NaN;
  const units = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5, y: 31557600000 };
  return found[1] * units[found[2] ?? 'ms'];
}

function setFileFields(response, path, stats, options) {
  const { acceptRanges = true, cacheControl = true, etag = true, headers, immutable } = options;
  const { lastModified = true, maxAge = 0 } = options;
  for (const name of ObjectKeys(headers ?? {})) response.setHeader(name, headers[name]);
  const setDefault = (name, value) => {
    if (!response.hasHeader(name)) response.setHeader(name, value);
  };
  if (acceptRanges) setDefault('accept-ranges', 'bytes');
  if (cacheControl) {
    const ms = milliseconds(maxAge);
    const seconds = ms > 0 ? Math.floor(Math.min(ms, 31536000000) / 1000) : 0;
    setDefault('cache-control', `public, max-age=${seconds}${immutable ? ', immutable' : ''}`);
  }
  const mtime = Math.floor(+stats.mtimeMs);
  if (lastModified) setDefault('last-modified', new Date(mtime).toUTCString());
  if (etag) setDefault('etag', `W/"${stats.size.toString(16)}-${mtime.toString(16)}"`);
  if (!response.hasHeader('content-type'))
    response.setHeader('content-type', contentType(extension(path)));
}

function extension(path) {
  const name = baseName(path);
  const dot = name.lastIndexOf('.');
  return dot > 0 ? name.slice(dot) : 'bin';
}

/** Whether the client asks for the file only as it was once, and it is not that any more. */
function isPreconditionFailed(request, response) {
  const { 'if-match': match, 'if-unmodified-since': since } = request.headers;
  if (match !== undefined) {
    const etag = response.getHeader('etag');
    const bare = (tag) => tag.trim().replace(/^W\//, '');
    const isThere = match === '*' || match.split(',').some((tag) => bare(tag) === bare(etag ?? ''));
    return etag === undefined || !isThere;
  }
  if (since === undefined) return false;
  const limit = Date.parse(since);
  return !Number.isNaN(limit) && Date.parse(response.getHeader('last-modified')) > limit;
}

function isRangeFresh(request, response) {
  const condition = request.headers['if-range'];
  if (condition === undefined) return true;
  if (condition.includes('"')) return condition === response.getHeader('etag');
  return Date.parse(response.getHeader('last-modified')) <= Date.parse(condition);
}

/** The part to send, `{start, end}` (the end not included); null where the answer is 416. */
function partOf(request, response, size, options) {
  const whole = { start: 0, end: size };
  const header = request.headers.range;
  if (options.acceptRanges === false || header === undefined) return whole;
  if (!/^ *bytes=/.test(header) || !isRangeFresh(request, response)) return whole;
  const ranges = parseRange(size, header, { combine: true });
  if (ranges === -1) return null;
  // What is malformed is as good as not there; several parts are answered with the whole.
  if (ranges === -2 || ranges.length !== 1) return whole;
  const { start, end } = ranges[0];
  response.statusCode = 206;
  response.setHeader('content-range', `bytes ${start}-${end}/${size}`);
  return { start, end: end + 1 };
}

/** Files up to this size are sent whole, larger ones in pieces of it. */
const PIECE_BYTES = 1 << 20;

function readPart(path, start, end) {
  const fs = builtin('fs');
  const file = fs.openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(end - start);
    let length = 0;
    while (length < bytes.length) {
      const count = fs.readSync(file, bytes, length, bytes.length - length, start + length);
      if (count === 0) break;
      length += count;
    }
    return bytes.subarray(0, length);
  } finally {
    fs.closeSync(file);
  }
}

function sendPart(response, path, { start, end }, done) {
  if (end - start <= PIECE_BYTES) {
    response.end(readPart(path, start, end));
    done();
    return;
  }
  // The end of the invocation has to wait for it.
  hold();
  let at = start;
  const next = () => {
    const to = Math.min(at + PIECE_BYTES, end);
    const bytes = readPart(path, at, to);
    at = to;
    response.write(bytes, undefined, () => {
      if (at < end) next();
      else finish();
    });
  };
  const finish = () => {
    response.end();
    release();
    done();
  };
  next();
}

function answerFile(response, path, options, done) {
  const request = response.req;
  checkDotFiles(path, options);
  const stats = fileStats(path);
  setFileFields(response, path, stats, options);
  if (isPreconditionFailed(request, response)) throw statusError(412, 'Precondition Failed');
  if (isFresh(request)) {
    for (const name of ['content-encoding', 'content-language', 'content-range', 'content-type']) {
      response.removeHeader(name);
    }
    response.statusCode = 304;
    response.end();
    done();
    return;
  }
  const part = partOf(request, response, stats.size, options);
  if (part === null) {
    response.setHeader('content-range', `bytes */${stats.size}`);
    throw statusError(416, 'Range Not Satisfiable');
  }
  response.setHeader('content-length', part.end - part.start);
  if (request.method !== 'HEAD') {
    sendPart(response, path, part, done);
    return;
  }
  response.end();
  done();
}

const FILE_FIELDS = ['accept-ranges', 'cache-control', 'content-length', 'content-type', 'etag'];

/** What becomes of a file that cannot be sent, and nobody asked to be told. */
function refuseFile(response, error) {
  const { next } = response.req;
  if (typeof next === 'function') {
    // Express leaves a folder to those that come next.
    next(error.code === 'EISDIR' ? undefined : error);
    return;
  }
  if (response.headersSent) {
    fail(error);
    return;
  }
  if (error.status === undefined || error.status >= 500) throw error;
  for (const name of [...FILE_FIELDS, 'last-modified', 'content-disposition']) {
    response.removeHeader(name);
  }
  response.sendStatus(error.status);
}

/** `res.sendFile(path, options, callback)`. */
function sendFile(response, given, optionsOrCallback, callback) {
  const isShort = typeof optionsOrCallback === 'function';
  const options = (isShort ? undefined : optionsOrCallback) ?? {};
  const told = isShort ? optionsOrCallback : callback;
  let path;
  try {
    path = filePath(given, options);
  } catch (error) {
    if (error.status === undefined) throw error;
    if (told === undefined) refuseFile(response, error);
    else guarded(told, error);
    return;
  }
  const later = builtin('process').nextTick;
  try {
    answerFile(response, path, options, () => {
      if (told !== undefined) later(told);
    });
  } catch (error) {
    if (told === undefined) refuseFile(response, error);
    else later(told, error);
  }
}

/** `res.download(path, name, options, callback)`. */
function download(response, path, ...rest) {
  const callback = rest.find((one) => typeof one === 'function');
  const name = typeof rest[0] === 'string' ? rest[0] : undefined;
  const options = rest.find((one) => one !== null && typeof one === 'object') ?? {};
  const fields = { 'content-disposition': disposition(name ?? path) };
  for (const field of ObjectKeys(options.headers ?? {})) {
    if (field.toLowerCase() !== 'content-disposition') fields[field] = options.headers[field];
  }
  const isBelow = options.root !== undefined && options.root !== null;
  const whole = isBelow ? path : builtin('path').resolve('/app', path);
  sendFile(response, whole, { ...options, headers: fields }, callback);
}

// Of an answer that is passed on, these spoke of the connection it came over.
const CONNECTION_FIELDS = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Answers with what `fetch` (or `http.get`) brought: status, headers and body. */
async function pipeFrom(response, source) {
  const isWeb = isResponse(source);
  const isStream = typeof source?.pipe === 'function';
  if (!isWeb && !isStream) {
    throw typeError('ERR_INVALID_ARG_TYPE', 'res.pipeFrom needs a Response or a readable stream');
  }
  const status = isWeb ? source.status : source.statusCode;
  if (status !== undefined && status !== null) response.status(status);
  const put = (name, value) => {
    if (!CONNECTION_FIELDS.has(name.toLowerCase())) response.append(name, value);
  };
  if (isWeb) {
    readFields(headersToText(source.headers), put);
  } else {
    const raw = source.rawHeaders ?? [];
    for (let i = 0; i < raw.length; i += 2) put(raw[i], raw[i + 1]);
  }
  hold();
  try {
    await (isWeb ? pipeBody(response, source) : pipeStream(response, source));
  } finally {
    release();
  }
  return response;
}

async function pipeBody(response, source) {
  const body = takeBody(source);
  if (body === null) {
    response.end();
  } else if (body.kind === 'text' || body.kind === 'bytes') {
    response.end(body.kind === 'text' ? body.text : body.bytes);
  } else {
    try {
      await pump(body, (chunk) => new Promise((done) => response.write(chunk, undefined, done)));
    } catch (error) {
      if (state.answerBegun) response.destroy();
      throw error;
    }
    response.end();
  }
}

function pipeStream(response, source) {
  return new Promise((resolve, reject) => {
    source.on('error', (error) => {
      if (state.answerBegun) response.destroy();
      reject(error);
    });
    response.on('finish', resolve);
    source.pipe(response);
  });
}

export default {
  accepts,
  acceptsAny,
  acceptsEncodings,
  attachment,
  distinct,
  download,
  format,
  ips,
  isFresh,
  jsonp,
  links,
  param,
  pipeFrom,
  range,
  sendFile,
  signedValue,
  socket,
  subdomains,
  unsigned,
  vary,
};
