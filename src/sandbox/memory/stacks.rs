//! Native stacks for guests to run on.

use std::cell::Cell;
use std::ffi::c_void;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap,
};
use wasmtime::{StackCreator, StackMemory};

use super::region::one_page_at_a_time;

/// Stacks that nobody uses, ready for whoever needs one next: the last one first, which is in the
/// processor's cache. What was on it is not wiped: WebAssembly reads only what it wrote.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Stacks {
    free: Arc<Mutex<Vec<Stack>>>,
}

/// Stacks that are kept; those beyond go back to the system.
const FREE_MAX: usize = 64;
/// What stays of a stack that was used, in bytes: more than most guests need.
const KEEP_BYTES: usize = 256 << 10;

thread_local! {
    /// The stack that was last given out on this thread, until somebody asked.
    static LAST: Cell<StackRange> = const { Cell::new(StackRange::NONE) };
}

/// Where a stack lies.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) struct StackRange {
    start: usize,
    end: usize,
}

impl StackRange {
    const NONE: Self = Self { start: 0, end: 0 };

    /// Runs something for the first time in a store, on this thread; answers the stack that it got, which
    /// the store has until it is dropped.
    pub(in crate::sandbox) fn of_first<T>(work: impl FnOnce() -> T) -> (T, Option<Self>) {
        LAST.set(Self::NONE);
        let done = work();
        let range = LAST.replace(Self::NONE);
        (done, (range.end > range.start).then_some(range))
    }

    /// Gives back to the system what few guests need. Whoever calls this has the store, in which nothing
    /// runs.
    pub(in crate::sandbox) fn give_back(&self) {
        let end = self.end.saturating_sub(KEEP_BYTES).max(self.start);
        let start = std::ptr::with_exposed_provenance_mut(self.start);
        #[expect(unsafe_code, reason = "memory is given back")]
        // SAFETY: nothing runs on this stack, so nobody reads what was there.
        let given = unsafe { madvise(start, end - self.start, Advice::LinuxDontNeed) };
        // It is only room.
        let _ = given;
    }
}

#[expect(unsafe_code, reason = "wasmtime relies on the guard below each stack")]
// SAFETY: a stack is a mapping of its own with a page below that is never accessible.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, _zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let free = lock(&self.free).pop();
        let stack = match free.filter(|stack| stack.bytes() == size) {
            Some(stack) => stack,
            None => Stack::new(size)?,
        };
        let Range { start, end } = stack.range();
        LAST.set(StackRange { start, end });
        Ok(Box::new(Used {
            stack: Some(stack),
            free: Arc::clone(&self.free),
        }))
    }
}

fn lock(free: &Mutex<Vec<Stack>>) -> std::sync::MutexGuard<'_, Vec<Stack>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stack in use.
struct Used {
    stack: Option<Stack>,
    free: Arc<Mutex<Vec<Stack>>>,
}

impl Used {
    fn range(&self) -> Range<usize> {
        self.stack.as_ref().map_or(0..0, Stack::range)
    }
}

#[expect(unsafe_code, reason = "wasmtime relies on these addresses")]
// SAFETY: they are the stack's own until this is dropped.
unsafe impl StackMemory for Used {
    fn top(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.range().end)
    }

    fn range(&self) -> Range<usize> {
        Used::range(self)
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let start = Used::range(self).start;
        let at = std::ptr::with_exposed_provenance_mut;
        at(start - rustix::param::page_size())..at(start)
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        let mut free = lock(&self.free);
        if free.len() < FREE_MAX {
            free.extend(self.stack.take());
        }
    }
}

/// A page that is never accessible, and above it the stack.
#[derive(Debug)]
struct Stack {
    whole: *mut c_void,
    whole_bytes: usize,
}

#[expect(unsafe_code, reason = "the pointer is an address of its own")]
// SAFETY: nothing about a mapping belongs to one thread.
unsafe impl Send for Stack {}
#[expect(unsafe_code, reason = "as above")]
// SAFETY: as above.
unsafe impl Sync for Stack {}

impl Stack {
    fn new(size: usize) -> io::Result<Self> {
        let guard = rustix::param::page_size();
        let whole_bytes = size + guard;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        #[expect(unsafe_code, reason = "a mapping is made")]
        // SAFETY: the kernel chooses addresses that nobody uses.
        let whole = unsafe {
            mmap_anonymous(std::ptr::null_mut(), whole_bytes, ProtFlags::empty(), flags)
        }?;
        let stack = Self { whole, whole_bytes };
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        #[expect(unsafe_code, reason = "access to a mapping is allowed")]
        // SAFETY: it is this stack's own.
        unsafe { mprotect(whole.wrapping_byte_add(guard), size, access) }?;
        one_page_at_a_time(whole, whole_bytes)?;
        Ok(stack)
    }

    fn range(&self) -> Range<usize> {
        let start = self.whole.expose_provenance();
        start + rustix::param::page_size()..start + self.whole_bytes
    }

    fn bytes(&self) -> usize {
        self.range().len()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "a mapping is given back")]
        // SAFETY: it is this stack's own, and nobody runs on it.
        let done = unsafe { munmap(self.whole, self.whole_bytes) };
        if let Err(error) = done {
            tracing::error!(%error, "a stack cannot be given back");
        }
    }
}
