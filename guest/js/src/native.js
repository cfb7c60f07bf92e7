// The door to the host: `__native`, taken from the global object before anyone else sees it.

/** The host's functions (see natives.rs in the guest). */
export const native = globalThis.__native;
delete globalThis.__native;

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
