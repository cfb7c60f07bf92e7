//! The C library's heap: what goes back to the system of what the server frees.

/// Size from which on a block is a mapping of its own, in bytes; `M_MMAP_THRESHOLD` of mallopt(3).
/// Buffers of the store and of bodies are smaller: a mapping comes with a page fault for each page.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OWN_MAPPING_BYTES: libc::c_int = 4 << 20;

/// How much may be free at the heap's end, in bytes; `M_TRIM_THRESHOLD` of mallopt(3). To set the other
/// leaves this at 128 KiB, where it is twice the other otherwise.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const FREE_BYTES: libc::c_int = 2 * OWN_MAPPING_BYTES;

/// Has every large block go back to the system when it is freed.
///
/// The C library begins like this, and stops: after the first such block it keeps all up to its
/// size, and from a snapshot of 5 MB on its way to an image, of which there are several copies for a
/// moment, 20 MB stayed for good. To be called before there are threads.
pub fn give_large_blocks_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (parameter, bytes) in [
        (libc::M_MMAP_THRESHOLD, OWN_MAPPING_BYTES),
        (libc::M_TRIM_THRESHOLD, FREE_BYTES),
    ] {
        #[expect(unsafe_code, reason = "a function of the C library that sets a number")]
        // SAFETY: no other thread allocates yet, as the caller sees to.
        let _is_set = unsafe { libc::mallopt(parameter, bytes) };
    }
}

/// Gives back to the system what is free, which the C library would keep: compiling takes some 200 MB,
/// and starting leaves 8 MB, in blocks that are too small for a mapping of their own.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[expect(
            unsafe_code,
            reason = "a function of the C library that always may be called"
        )]
        // SAFETY: it only looks at what is free.
        let _some_was = unsafe { libc::malloc_trim(0) };
    }
}
