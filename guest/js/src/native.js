// The door to the host: `__native`, taken from the global object before anyone else sees it.

import { JSONStringify } from './primordials.js';

/** The host's functions (see natives.rs in the guest). */
export const native = globalThis.__native;
delete globalThis.__native;

const { plainJson } = native;

/** The JSON text of a value, `undefined` if it has none; plain data is quickest (ADR 0009). */
export function jsonText(value) {
  return plainJson(value) ?? JSONStringify(value);
}

let loading = false;

/** Notes whether the top level of the user's modules is being evaluated for a snapshot. */
export function setLoading(value) {
  loading = value;
}

/**
 * Says that user code is about to depend on more than its source. While a snapshot is in the
 * making this throws, and the deployment is evaluated per request instead.
 */
export function touch(what) {
  if (loading) native.touched(what);
}
