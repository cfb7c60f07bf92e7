// Node's `url` module: what it has for file URLs and HTTP. `node/url.js` has the rest.

import {
  RegExpPrototypeExec,
  StringPrototypeEndsWith,
  StringPrototypeStartsWith,
  decodeURIComponent,
} from './primordials.js';
import { typeError } from './errors.js';
import { invalidArgType } from './node/validate.js';
import { URL } from './url.js';

/** A file URL as a path. */
export function fileURLToPath(url) {
  if (typeof url !== 'string' && !(url instanceof URL)) {
    throw invalidArgType('path', ['string', 'URL'], url);
  }
  const parsed = url instanceof URL ? url : new URL(url);
  if (parsed.protocol !== 'file:') {
    throw typeError('ERR_INVALID_URL_SCHEME', 'The URL must be of scheme file');
  }
  if (parsed.hostname !== '') {
    const text = 'File URL host must be "localhost" or empty on linux';
    throw typeError('ERR_INVALID_FILE_URL_HOST', text);
  }
  if (RegExpPrototypeExec(/%2f/i, parsed.pathname) !== null) {
    const text = 'File URL path must not include encoded / characters';
    throw typeError('ERR_INVALID_FILE_URL_PATH', text);
  }
  return decodeURIComponent(parsed.pathname);
}

/** A path as a file URL; relative ones begin at `/app`. */
export function pathToFileURL(path) {
  if (typeof path !== 'string') throw invalidArgType('path', 'string', path);
  const parts = [];
  const whole = StringPrototypeStartsWith(path, '/') ? path : `/app/${path}`;
  for (const part of whole.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  const end = StringPrototypeEndsWith(path, '/') && parts.length > 0 ? '/' : '';
  const url = new URL('file:///');
  url.pathname = `/${parts.join('/')}${end}`
    .replaceAll('%', '%25')
    .replaceAll('\\', '%5C')
    .replaceAll('\n', '%0A')
    .replaceAll('\r', '%0D')
    .replaceAll('\t', '%09')
    .replaceAll('?', '%3F')
    .replaceAll('#', '%23');
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
