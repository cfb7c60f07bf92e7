//! The memory of sandboxes: where it lies, and how it is made as new (ADR 0028).
//!
//! A sandbox's memory is a private mapping of its image's [`Contents`], in a [`Region`] of addresses
//! that is used again and again. When an invocation is over, the pages that were written to are put
//! back; which these are, the kernel is asked only if there was a page fault.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anyhow::{Context as _, ensure};
use memmap2::Mmap;
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use self::pages::Watch;
use self::region::Region;

#[cfg(feature = "counting-guest")]
mod counters;
mod pages;
mod region;
mod stacks;

pub(super) use self::pages::is_scan_available;
pub(super) use self::stacks::{StackRange, Stacks};

/// A page of WebAssembly.
const WASM_PAGE: usize = 64 << 10;
/// Regions that are kept with their contents mapped while no sandbox uses them, of one image.
const SPARE_MAX: usize = 32;

/// The regions of an engine's sandboxes, which is how many of those there can be.
#[derive(Debug)]
pub(super) struct Pool {
    is_scanned: bool,
    /// Regions where nothing is mapped.
    blank: Mutex<Vec<Region>>,
    /// Who may keep others that no sandbox uses: the next one to be asked first.
    keepers: Mutex<VecDeque<Weak<dyn Keeper>>>,
}

/// Somebody who may keep regions that no sandbox uses.
pub(super) trait Keeper: Send + Sync + std::fmt::Debug {
    /// Gives one of them back to the pool, if there is one; for when there is no other.
    fn make_room(&self) -> bool;

    /// Gives those back that nobody needed since the last time.
    fn rest(&self);
}

impl Pool {
    /// For so many sandboxes at once; with `is_scanned` the kernel is asked which pages were written to.
    ///
    /// # Errors
    /// If there are not so many addresses.
    pub(super) fn new(sandboxes: u32, is_scanned: bool) -> io::Result<Self> {
        let blank = (0..sandboxes).map(|_| Region::reserve());
        Ok(Self {
            is_scanned,
            blank: Mutex::new(blank.collect::<io::Result<_>>()?),
            keepers: Mutex::default(),
        })
    }

    /// Asks this one as well when there are no regions left.
    pub(super) fn add_keeper(&self, keeper: Weak<dyn Keeper>) {
        let mut keepers = lock(&self.keepers);
        keepers.retain(|keeper| keeper.strong_count() > 0);
        keepers.push_back(keeper);
    }

    /// A region where nothing is mapped.
    fn blank(&self) -> io::Result<Region> {
        // Others may take what was given back, so all are asked twice.
        let mut left = 2 * lock(&self.keepers).len() + 1;
        loop {
            if let Some(region) = lock(&self.blank).pop() {
                return Ok(region);
            }
            if left == 0 {
                return Err(io::Error::other("all sandboxes are in use"));
            }
            left -= 1;
            let next = self.next_keeper();
            if let Some(keeper) = next.and_then(|keeper| keeper.upgrade()) {
                keeper.make_room();
            }
        }
    }

    /// Each in turn.
    fn next_keeper(&self) -> Option<Weak<dyn Keeper>> {
        let mut keepers = lock(&self.keepers);
        let turn = keepers.len().min(1);
        keepers.rotate_left(turn);
        keepers.back().cloned()
    }

    /// Has everybody give back what nobody needed since the last time.
    pub(super) fn rest(&self) {
        let keepers = lock(&self.keepers).clone();
        for keeper in keepers.iter().filter_map(Weak::upgrade) {
            keeper.rest();
        }
    }

    /// Takes a region back of which nothing is to be kept.
    fn put_back(&self, mut region: Region) {
        match region.unmap() {
            Ok(()) => lock(&self.blank).push(region),
            Err(error) => lose(region, &error),
        }
    }
}

/// Drops a region whose contents could not be put back: nobody gets to see it any more.
fn lose(region: Region, error: &io::Error) {
    tracing::warn!(%error, "the memory of a sandbox is given up");
    drop(region);
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the memories of an image's sandboxes begin with: a file, and zeros behind it.
#[derive(Debug)]
pub(super) struct Contents {
    pool: Arc<Pool>,
    file: File,
    /// The file, to put pages back from.
    memory: Mmap,
    bytes: usize,
    /// Regions with this mapped and nothing else in them.
    spare: Mutex<Vec<Region>>,
    /// Whether nobody needs those any more.
    is_closed: AtomicBool,
}

impl Contents {
    /// A file that is not written to any more, which the caller vouches for, as the beginning of memories
    /// of `bytes`.
    ///
    /// # Errors
    /// If the file is larger than the memory or no whole number of pages, or cannot be mapped.
    pub(super) fn new(pool: &Arc<Pool>, file: File, bytes: usize) -> anyhow::Result<Self> {
        #[expect(unsafe_code, reason = "the file is not written to while it is mapped")]
        // SAFETY: the caller says so.
        let memory = unsafe { Mmap::map(&file) }.context("cannot map an image")?;
        ensure!(memory.len() <= bytes, "an image larger than its memory");
        let page = rustix::param::page_size();
        ensure!(
            memory.len().is_multiple_of(page) && bytes.is_multiple_of(WASM_PAGE),
            "an image that is cut off within a page"
        );
        Ok(Self {
            pool: Arc::clone(pool),
            file,
            memory,
            bytes,
            spare: Mutex::default(),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Size of the memories, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The regions of the engine.
    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    fn file(&self) -> &File {
        &self.file
    }

    fn file_bytes(&self) -> usize {
        self.memory.len()
    }

    fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// Gives a region back that no sandbox uses, if there is one.
    pub(super) fn make_room(&self) -> bool {
        let region = lock(&self.spare).pop();
        region.map(|region| self.pool.put_back(region)).is_some()
    }

    /// Nobody makes sandboxes of this any more: what those have that are left goes back to the pool.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        while self.make_room() {}
    }

    /// A region with this mapped in it.
    fn region(&self) -> io::Result<Region> {
        if let Some(region) = lock(&self.spare).pop() {
            return Ok(region);
        }
        let mut region = self.pool.blank()?;
        match region.map(self) {
            Ok(()) => Ok(region),
            Err(error) => {
                lose(region, &error);
                Err(io::Error::other("the memory of a sandbox cannot be mapped"))
            }
        }
    }

    /// Takes back a region that was made as new.
    fn put_back(&self, region: Region) {
        let mut spare = lock(&self.spare);
        if spare.len() < SPARE_MAX {
            spare.push(region);
        } else {
            drop(spare);
            self.pool.put_back(region);
        }
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        while self.make_room() {}
    }
}

/// The memory of one sandbox.
#[derive(Debug)]
pub(super) struct Memory {
    contents: Arc<Contents>,
    start: usize,
    /// Its size at this moment, in bytes.
    bytes: AtomicUsize,
    watch: Watch,
    /// Whether nothing is to be kept of it.
    is_done: AtomicBool,
    region: Mutex<Option<Region>>,
}

impl Memory {
    fn new(contents: Arc<Contents>) -> io::Result<Self> {
        let region = contents.region()?;
        let memory = Self {
            start: region.start().expose_provenance(),
            bytes: AtomicUsize::new(region.bytes()),
            watch: Watch::default(),
            is_done: AtomicBool::new(false),
            region: Mutex::new(Some(region)),
            contents,
        };
        memory.watch.begin();
        Ok(memory)
    }

    /// Size that it began with, in bytes.
    pub(super) fn initial_bytes(&self) -> usize {
        self.contents.bytes()
    }

    /// Whether it was made as new on this thread.
    pub(super) fn is_from_here(&self) -> bool {
        self.watch.is_from_here()
    }

    /// To be said when it is handed out, as new.
    pub(super) fn begin(&self) {
        self.watch.begin();
    }

    /// To be said on whichever thread the guest is about to run on.
    pub(super) fn enter(&self) {
        self.watch.enter();
    }

    /// Whether pages may have become its own since it was handed out.
    pub(super) fn has_changed(&self) -> bool {
        !self.watch.is_unchanged()
    }

    /// Has its region go back to the pool, and not to its image, once it is dropped.
    pub(super) fn discard(&self) {
        self.is_done.store(true, Ordering::Relaxed);
    }

    /// Makes it as new for another invocation of the guest that it belongs to; false if that cannot be,
    /// because it has grown or the system refuses. `has_changed` is what was answered when the guest
    /// had returned. Nobody may read or write it meanwhile.
    pub(super) fn renew(&self, has_changed: bool) -> bool {
        if self.bytes.load(Ordering::Relaxed) != self.contents.bytes() {
            return false;
        }
        let is_renewed = self.reset(has_changed);
        self.watch.begin();
        is_renewed
    }

    /// Puts back what it began with.
    fn reset(&self, has_changed: bool) -> bool {
        let mut region = lock(&self.region);
        let Some(region) = &mut *region else {
            return false;
        };
        let is_scanned = self.contents.pool.is_scanned;
        let done = region.reset(&self.contents, is_scanned, !has_changed);
        if let Err(error) = &done {
            // Wasmtime knows the addresses, so they stay reserved as long as this does.
            tracing::warn!(%error, "the memory of a sandbox cannot be made as new");
        }
        done.is_ok()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let contents = &self.contents;
        let is_done =
            self.is_done.load(Ordering::Relaxed) || contents.is_closed.load(Ordering::Relaxed);
        let is_reset = !is_done && self.reset(true);
        match lock(&self.region).take() {
            Some(region) if is_reset => contents.put_back(region),
            Some(region) => contents.pool.put_back(region),
            None => {}
        }
    }
}

/// A sandbox's memory as wasmtime has it.
struct Linear(Arc<Memory>);

#[expect(unsafe_code, reason = "wasmtime relies on these addresses")]
// SAFETY: the region is this memory's own until it is dropped, does not move, and beyond what is
// accessible there are as many addresses that are not as `Memories` was asked for.
unsafe impl LinearMemory for Linear {
    fn byte_size(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    fn byte_capacity(&self) -> usize {
        MEMORY_BYTES_MAX
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        let mut region = lock(&self.0.region);
        let region = region.as_mut().ok_or_else(|| io::Error::other("lost"))?;
        region.grow(new_size)?;
        self.0.bytes.store(new_size, Ordering::Relaxed);
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.0.start)
    }
}

/// What a guest can address, in bytes.
pub(super) const MEMORY_BYTES_MAX: usize = 4 << 30;
/// What is never accessible, on either side of it, in bytes: compiled code relies on it.
pub(super) const GUARD_BYTES: usize = 32 << 20;

thread_local! {
    /// What the next memory made on this thread begins with, and then the memory.
    static NEXT: RefCell<Next> = const { RefCell::new(Next::Nothing) };
}

#[derive(Debug)]
enum Next {
    Nothing,
    Wanted(Arc<Contents>),
    Made(Arc<Memory>),
}

/// Has memories that are made within `work`, on this thread, begin with these contents; answers
/// the one that was.
pub(super) fn beginning_with<T>(
    contents: &Arc<Contents>,
    work: impl FnOnce() -> T,
) -> (T, Option<Arc<Memory>>) {
    NEXT.replace(Next::Wanted(Arc::clone(contents)));
    let done = work();
    match NEXT.replace(Next::Nothing) {
        Next::Made(memory) => (done, Some(memory)),
        Next::Nothing | Next::Wanted(_) => (done, None),
    }
}

/// Gives each sandbox its memory.
pub(super) struct Memories;

#[expect(unsafe_code, reason = "wasmtime relies on what is made")]
// SAFETY: see `Linear`. That a memory does not begin with zeros is what this is for: the modules that
// they are made for have no data of their own.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        #[cfg(feature = "counting-guest")]
        if minimum == counters::BYTES {
            let counters = counters::Counters::open().map_err(|error| error.to_string())?;
            return Ok(Box::new(counters));
        }
        let Next::Wanted(contents) = NEXT.replace(Next::Nothing) else {
            return Err("a memory that nobody asked for".to_owned());
        };
        let is_reserved =
            reserved_size_in_bytes <= Some(MEMORY_BYTES_MAX) && guard_size_in_bytes <= GUARD_BYTES;
        if minimum != contents.bytes() || !is_reserved {
            return Err("a memory of another size than its contents".to_owned());
        }
        let memory = Memory::new(contents).map_err(|error| error.to_string())?;
        let memory = Arc::new(memory);
        NEXT.replace(Next::Made(Arc::clone(&memory)));
        Ok(Box::new(Linear(memory)))
    }
}

#[cfg(test)]
mod tests;
