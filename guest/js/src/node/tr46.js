// In place of the package `tr46`: the host knows the tables of domain names.

import { native } from '../native.js';

const HOSTNAME = 5;
// None of these may be in a domain, and some would make the host see another part in it.
const FORBIDDEN = /[\0-\x20#%/:<>?@[\\\]^|\x7f]/;

/** A domain in ASCII, or null. */
export function toASCII(domain) {
  if (domain === '' || FORBIDDEN.test(domain)) return null;
  const parts = native.urlParse(`http://${domain}/`, undefined);
  return parts === null ? null : parts[HOSTNAME];
}
