//! The memory in which a guest counts what it executes (ADR 0034): for `cargo xtask guest --train` alone.

use std::fs::OpenOptions;
use std::io;

use rustix::mm::{MapFlags, ProtFlags, mmap};
use wasmtime::LinearMemory;

use super::region::Region;

/// Its size, in bytes, by which it is told from the memory of a sandbox; `guest/link/src/count.rs` asks
/// for as many pages.
pub(super) const BYTES: usize = 97 << 16;
/// Beside the guest that counts.
const FILE: &str = concat!(env!("AMPOULE_COUNTING_GUEST"), "/.counters");

/// Counters of 64 bits, in a file that all sandboxes of all servers add to.
pub(super) struct Counters(Region);

impl Counters {
    pub(super) fn open() -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(FILE)?;
        file.set_len(BYTES as u64)?;
        let region = Region::reserve()?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        #[expect(unsafe_code, reason = "a mapping is replaced")]
        // SAFETY: the addresses are the region's own, and more than that are reserved.
        unsafe { mmap(region.start().cast(), BYTES, access, flags, &file, 0) }?;
        Ok(Self(region))
    }
}

#[expect(unsafe_code, reason = "the region holds an address")]
// SAFETY: the region is as it was made until it is dropped.
unsafe impl Sync for Counters {}

#[expect(unsafe_code, reason = "wasmtime relies on what is answered")]
// SAFETY: it is mapped as long as the region is there, at one address, and does not grow.
unsafe impl LinearMemory for Counters {
    fn byte_size(&self) -> usize {
        BYTES
    }

    fn byte_capacity(&self) -> usize {
        BYTES
    }

    fn grow_to(&mut self, _bytes: usize) -> wasmtime::Result<()> {
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.0.start()
    }
}
