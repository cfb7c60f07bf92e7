//! Addresses for the memory of one sandbox, and what is mapped there.

use std::ffi::c_void;
use std::io;
use std::ops::Range;

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap,
};

use super::{Contents, GUARD_BYTES, MEMORY_BYTES_MAX, pages};

/// Pages that a memory had written to and that stay its own for the next use, in bytes: the first of
/// them. The others go back to the system.
const KEEP_BYTES: usize = 4 << 20;

/// Addresses that nobody else uses: first and last a part that is never accessible, between them the
/// memory. Dropping it gives them back.
#[derive(Debug)]
pub(super) struct Region {
    whole: *mut c_void,
    whole_bytes: usize,
    /// Where the memory begins.
    start: *mut c_void,
    /// Bytes from there that are accessible.
    bytes: usize,
    /// Pages of the contents that were written to, by their addresses. All others are as the file
    /// behind them has them, or zero.
    own: Vec<Range<usize>>,
    /// Whether the system refused something, so that it is not known what is mapped.
    is_lost: bool,
}

#[expect(unsafe_code, reason = "the pointers are addresses of its own")]
// SAFETY: nothing about a mapping belongs to one thread.
unsafe impl Send for Region {}

impl Region {
    /// Addresses where nothing is accessible.
    pub(super) fn reserve() -> io::Result<Self> {
        let whole_bytes = GUARD_BYTES + MEMORY_BYTES_MAX + GUARD_BYTES;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        #[expect(unsafe_code, reason = "a mapping is made")]
        // SAFETY: the kernel chooses addresses that nobody uses.
        let whole = unsafe {
            mmap_anonymous(std::ptr::null_mut(), whole_bytes, ProtFlags::empty(), flags)
        }?;
        let region = Self {
            whole,
            whole_bytes,
            start: whole.wrapping_byte_add(GUARD_BYTES),
            bytes: 0,
            own: Vec::new(),
            is_lost: false,
        };
        one_page_at_a_time(region.whole, region.whole_bytes)?;
        Ok(region)
    }

    /// Where the memory begins.
    pub(super) fn start(&self) -> *mut u8 {
        self.start.cast()
    }

    /// Bytes that are accessible.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Maps contents where nothing is accessible.
    pub(super) fn map(&mut self, contents: &Contents) -> io::Result<()> {
        debug_assert_eq!(self.bytes, 0, "something is mapped");
        let file_bytes = contents.file_bytes();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        self.bytes = contents.bytes();
        if file_bytes > 0 {
            #[expect(unsafe_code, reason = "a mapping is replaced")]
            // SAFETY: contents are no larger than what was reserved, which is this region's own.
            unsafe { mmap(self.start, file_bytes, access, flags, contents.file(), 0) }?;
        }
        self.allow(file_bytes, contents.bytes())?;
        one_page_at_a_time(self.start, contents.bytes())
    }

    /// Makes more of it accessible: zeros, up to `bytes` from the start.
    pub(super) fn grow(&mut self, bytes: usize) -> io::Result<()> {
        // What is accessible is never more than is known of.
        let old = std::mem::replace(&mut self.bytes, bytes);
        self.allow(old, bytes)
    }

    fn allow(&self, from: usize, to: usize) -> io::Result<()> {
        if from >= to {
            return Ok(());
        }
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        #[expect(unsafe_code, reason = "access to a mapping is allowed")]
        // SAFETY: it is this region's own, and nothing lies there yet.
        unsafe { mprotect(self.start.wrapping_byte_add(from), to - from, access) }?;
        Ok(())
    }

    /// Makes everything from `bytes` on inaccessible, and forgets what was there.
    fn forbid(&mut self, bytes: usize) -> io::Result<()> {
        if self.is_lost {
            return Err(io::Error::other("it is not known what is mapped"));
        }
        if bytes >= self.bytes {
            return Ok(());
        }
        let (at, length) = (self.start.wrapping_byte_add(bytes), self.bytes - bytes);
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        #[expect(unsafe_code, reason = "a mapping is replaced")]
        // SAFETY: it is this region's own, and whoever had it is done with it.
        let forbidden = unsafe { mmap_anonymous(at, length, ProtFlags::empty(), flags) };
        self.is_lost |= forbidden.is_err();
        forbidden?;
        self.bytes = bytes;
        one_page_at_a_time(at, length)
    }

    /// Makes nothing accessible, and forgets what was there.
    pub(super) fn unmap(&mut self) -> io::Result<()> {
        self.own.clear();
        self.forbid(0)
    }

    /// Puts back what is mapped as `contents` have it. With `is_unchanged` no other page was written
    /// to since the last time than those that had been by then; without `is_scanned` the kernel is not
    /// asked which were.
    pub(super) fn reset(
        &mut self,
        contents: &Contents,
        is_scanned: bool,
        is_unchanged: bool,
    ) -> io::Result<()> {
        self.forbid(contents.bytes())?;
        if !is_scanned {
            self.own.clear();
            return self.forget(0);
        }
        if !is_unchanged {
            let start = self.start.expose_provenance();
            let all = start..start + self.bytes;
            let keep = KEEP_BYTES / rustix::param::page_size();
            let seen = pages::own(all, keep, &mut self.own)?;
            self.forget(seen - start)?;
        }
        for range in &self.own {
            self.put_back(contents, range);
        }
        Ok(())
    }

    /// Puts back a range of pages by copying.
    fn put_back(&self, contents: &Contents, range: &Range<usize>) {
        let from = range.start - self.start.addr();
        let memory = contents.memory();
        let (from, to) = (from, from + range.len());
        let copied = from.min(memory.len())..to.min(memory.len());
        let source = &memory[copied.clone()];
        let at = self.start().wrapping_byte_add(from);
        #[expect(unsafe_code, reason = "memory is written that wasmtime knows of")]
        // SAFETY: the range was found within what is mapped, and whoever had it is done with it.
        unsafe {
            at.copy_from_nonoverlapping(source.as_ptr(), source.len());
            at.wrapping_byte_add(source.len())
                .write_bytes(0, range.len() - source.len());
        }
    }

    /// Gives pages back to the system, from the byte `from` on; they come back as the contents are.
    fn forget(&self, from: usize) -> io::Result<()> {
        if from >= self.bytes {
            return Ok(());
        }
        let at = self.start.wrapping_byte_add(from);
        #[expect(unsafe_code, reason = "memory is given back")]
        // SAFETY: it is this region's own, and whoever had it is done with it.
        unsafe { madvise(at, self.bytes - from, Advice::LinuxDontNeed) }?;
        Ok(())
    }
}

/// Has no huge page put there, which would make pages writable that nobody has written to, without a
/// fault, and take 2 MiB for a few bytes; nor pages that are the same made one, behind which it could
/// not be told any more whose they were.
pub(super) fn one_page_at_a_time(start: *mut c_void, bytes: usize) -> io::Result<()> {
    for advice in [Advice::LinuxNoHugepage, Advice::LinuxUnmergeable] {
        #[expect(unsafe_code, reason = "advice on a mapping")]
        // SAFETY: it changes no contents.
        let advised = unsafe { madvise(start, bytes, advice) };
        match advised {
            // A kernel that does not do such things.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.is_lost {
            // Somebody else may have what was there, so nothing of it is touched.
            return;
        }
        #[expect(unsafe_code, reason = "a mapping is given back")]
        // SAFETY: it is this region's own, and nobody has it any more.
        let done = unsafe { munmap(self.whole, self.whole_bytes) };
        if let Err(error) = done {
            tracing::error!(%error, "the memory of a sandbox cannot be given back");
        }
    }
}
