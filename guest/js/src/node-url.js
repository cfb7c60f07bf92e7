// Node's `url` module: what it has besides `URL` and `URLSearchParams`.

import {
  SafeString,
  StringPrototypeReplaceAll,
  decodeURIComponent,
  isObject,
} from './primordials.js';
import { typeError } from './errors.js';
import { native } from './native.js';
import { unescape } from './querystring.js';
import { URL, URLSearchParams } from './url.js';

/** A file URL as a path. */
export function fileURLToPath(url) {
  const parsed = url instanceof URL ? url : new URL(SafeString(url));
  if (parsed.protocol !== 'file:') {
    throw typeError('ERR_INVALID_URL_SCHEME', 'The URL must be of scheme file');
  }
  return decodeURIComponent(parsed.pathname);
}

/** An absolute path as a file URL. */
export function pathToFileURL(path) {
  const url = new URL('file:///');
  url.pathname = StringPrototypeReplaceAll(SafeString(path), '%', '%25');
  return url;
}

/** A URL as the options of `http.request`. */
export function urlToHttpOptions(url) {
  const { protocol, hostname, hash, search, pathname, href, port, username, password } = url;
  return {
    protocol,
    hostname,
    hash,
    search,
    pathname,
    path: `${pathname}${search}`,
    href,
    ...(port === '' ? {} : { port: Number(port) }),
    ...(username || password
      ? { auth: `${decodeURIComponent(username)}:${decodeURIComponent(password)}` }
      : {}),
  };
}

/** Node's older way to take a URL to pieces. */
export function parse(input, parseQuery = false) {
  const isAbsolute = native.urlParse(`${input}`, undefined) !== null;
  const url = new URL(input, 'http://relative.invalid');
  const query = url.search === '' ? null : url.search.slice(1);
  const part = (text) => (isAbsolute && text !== '' ? text : null);
  const user = url.username ? `${url.username}${url.password ? `:${url.password}` : ''}` : '';
  return {
    protocol: part(url.protocol),
    slashes: isAbsolute ? true : null,
    auth: part(unescape(user)),
    host: part(url.host),
    port: part(url.port),
    hostname: part(url.hostname),
    hash: url.hash === '' ? null : url.hash,
    search: url.search === '' ? (parseQuery ? '' : null) : url.search,
    query: parseQuery ? queryTable(query ?? '') : query,
    pathname: url.pathname,
    path: `${url.pathname}${url.search}`,
    href: isAbsolute ? url.href : `${url.pathname}${url.search}${url.hash}`,
  };
}

function queryTable(query) {
  const table = Object.create(null);
  for (const [name, value] of new URLSearchParams(query)) {
    if (table[name] === undefined) table[name] = value;
    else table[name] = [].concat(table[name], value);
  }
  return table;
}

/** The pieces of `parse`, or a `URL`, as text. */
export function format(given) {
  if (typeof given === 'string') return parse(given).href;
  if (given instanceof URL) return given.href;
  const { auth, hash = '', pathname = '', protocol = '', query, search } = given;
  const scheme = protocol === '' || protocol === null ? '' : `${protocol}`.replace(/:?$/, ':');
  const host = given.host ?? `${given.hostname ?? ''}${given.port ? `:${given.port}` : ''}`;
  const authority = host ? `//${auth ? `${auth}@` : ''}${host}` : '';
  const params = isObject(query)
    ? new URLSearchParams(
        Object.entries(query).flatMap(([name, value]) =>
          [].concat(value).map((one) => [name, one]),
        ),
      ).toString()
    : query;
  const tail = search ?? (params ? `?${params}` : '');
  const path = host && pathname && !`${pathname}`.startsWith('/') ? `/${pathname}` : pathname;
  return `${scheme}${authority}${path ?? ''}${tail}${hash ?? ''}`;
}

/** A reference resolved against a base; both may be relative. */
export function resolve(from, to) {
  const base = new URL(from, 'resolve://relative');
  const url = new URL(to, base);
  if (url.protocol !== 'resolve:') return url.href;
  return `${url.pathname}${url.search}${url.hash}`;
}
