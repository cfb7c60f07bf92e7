// `node:url`.

import { builtin } from '../builtins.js';
import { fileURLToPath, pathToFileURL, urlToHttpOptions } from '../node-url.js';
import { URL, URLSearchParams } from '../url.js';
import { Url, domainToASCII, format, parse, resolve, resolveObject } from './url-legacy.js';

/** A host in Unicode, where `node:punycode` is there to decode it. */
function domainToUnicode(domain) {
  const ascii = domainToASCII(domain);
  if (!ascii.includes('xn--')) return ascii;
  return builtin('punycode').toUnicode(ascii);
}

export default {
  Url,
  parse,
  resolve,
  resolveObject,
  format,
  URL,
  URLSearchParams,
  domainToASCII,
  domainToUnicode,
  pathToFileURL,
  fileURLToPath,
  urlToHttpOptions,
};
