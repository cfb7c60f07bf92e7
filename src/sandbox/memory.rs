//! The memory of sandboxes: where it lies, and how it is made as new (ADR 0028).
//!
//! A sandbox's memory is a private mapping of its image's [`Contents`], in a [`Region`] of addresses
//! that is used again and again. When an invocation is over, the pages that were written to are put
//! back; which these are, the kernel is asked only if there was a page fault.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anyhow::{Context as _, ensure};
use memmap2::Mmap;
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use self::pages::Watch;
use self::region::{Reach, Region};

mod pages;
mod region;
mod stacks;

pub(super) use self::pages::is_scan_available;
pub(super) use self::stacks::Stacks;

/// A page of WebAssembly.
const WASM_PAGE: usize = 64 << 10;
/// Regions that are kept with their contents mapped while no sandbox uses them, of one image.
const SPARE_MAX: usize = 32;

/// The regions of an engine's sandboxes, which is how many of those there can be.
#[derive(Debug)]
pub(super) struct Pool {
    regions_max: usize,
    is_scanned: bool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Regions that are reserved.
    regions: usize,
    /// Those of them where nothing is mapped.
    blank: Vec<Region>,
    /// Who may have regions to spare, the oldest first.
    keepers: Vec<Weak<dyn Keeper>>,
}

/// Somebody who may hold regions that no sandbox uses.
pub(super) trait Keeper: Send + Sync + std::fmt::Debug {
    /// Gives one of them back, if there is one; for when there is no other.
    fn give_back(&self) -> Option<Spare>;
}

/// A region that is given back.
#[derive(Debug)]
pub(super) struct Spare(Region);

impl Pool {
    /// For so many sandboxes at once; with `is_scanned` the kernel is asked which pages were written to.
    pub(super) fn new(regions_max: u32, is_scanned: bool) -> Self {
        Self {
            regions_max: usize::try_from(regions_max).unwrap_or(usize::MAX),
            is_scanned,
            inner: Mutex::default(),
        }
    }

    /// Asks this one as well when there are no regions left.
    pub(super) fn add_keeper(&self, keeper: Weak<dyn Keeper>) {
        let mut inner = lock(&self.inner);
        inner.keepers.retain(|keeper| keeper.strong_count() > 0);
        inner.keepers.push(keeper);
    }

    /// A region where nothing is mapped.
    fn blank(&self, reach: Reach) -> io::Result<Region> {
        let keepers = {
            let mut inner = lock(&self.inner);
            if let Some(region) = inner.blank.pop() {
                return Ok(region);
            }
            if inner.regions < self.regions_max {
                let region = Region::reserve(reach)?;
                inner.regions += 1;
                return Ok(region);
            }
            inner.keepers.clone()
        };
        // Not under the lock: what is given back may have to be taken from a sandbox that is dropped.
        for keeper in keepers {
            let spare = keeper.upgrade().and_then(|keeper| keeper.give_back());
            if let Some(Spare(mut region)) = spare {
                match region.unmap() {
                    Ok(()) => return Ok(region),
                    Err(error) => self.lose(region, &error),
                }
            }
        }
        Err(io::Error::other("all sandboxes are in use"))
    }

    /// Takes a region back that nothing is to be kept of.
    fn put_back(&self, mut region: Region) {
        match region.unmap() {
            Ok(()) => lock(&self.inner).blank.push(region),
            Err(error) => self.lose(region, &error),
        }
    }

    /// Drops a region whose contents could not be put back: nobody gets to see it any more.
    fn lose(&self, region: Region, error: &io::Error) {
        tracing::warn!(%error, "the memory of a sandbox is given up");
        drop(region);
        lock(&self.inner).regions -= 1;
    }
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
}

impl Contents {
    /// A file that is not written to any more, as the beginning of memories of `bytes`.
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

    /// Gives back a region that no sandbox uses, if there is one.
    pub(super) fn give_back(&self) -> Option<Spare> {
        lock(&self.spare).pop().map(Spare)
    }

    /// A region with this mapped in it.
    fn region(&self, reach: Reach) -> io::Result<Region> {
        if let Some(region) = lock(&self.spare).pop() {
            return Ok(region);
        }
        let mut region = self.pool.blank(reach)?;
        match region.map(self) {
            Ok(()) => Ok(region),
            Err(error) => {
                self.pool.lose(region, &error);
                Err(error)
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
        for region in std::mem::take(&mut *lock(&self.spare)) {
            self.pool.put_back(region);
        }
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
    /// Absent once it was lost.
    region: Mutex<Option<Region>>,
}

impl Memory {
    fn new(contents: Arc<Contents>, reach: Reach) -> io::Result<Self> {
        let region = contents.region(reach)?;
        let memory = Self {
            start: region.start().expose_provenance(),
            bytes: AtomicUsize::new(region.bytes()),
            watch: Watch::default(),
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

    /// To be said on whichever thread the guest is about to run on.
    pub(super) fn enter(&self) {
        self.watch.enter();
    }

    /// Makes it as new for another invocation of the guest that it belongs to; false if that cannot be,
    /// because it has grown or the system refuses. Nobody may read or write it meanwhile.
    pub(super) fn renew(&self) -> bool {
        if self.bytes.load(Ordering::Relaxed) != self.contents.bytes() {
            return false;
        }
        let is_renewed = self.reset(self.watch.is_unchanged());
        self.watch.begin();
        is_renewed
    }

    /// Puts back what it began with; without that the region is lost.
    fn reset(&self, is_unchanged: bool) -> bool {
        let mut region = lock(&self.region);
        let Some(inner) = &mut *region else {
            return false;
        };
        let pool = &self.contents.pool;
        let done = inner.reset(&self.contents, pool.is_scanned, is_unchanged);
        let Err(error) = done else { return true };
        // Wasmtime knows the addresses, so they stay reserved as long as this does.
        tracing::warn!(%error, "the memory of a sandbox cannot be made as new");
        false
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let is_reset = self.reset(false);
        let region = lock(&self.region).take();
        match region {
            Some(region) if is_reset => self.contents.put_back(region),
            Some(region) => {
                let error = io::Error::other("it could not be made as new");
                self.contents.pool.lose(region, &error);
            }
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

/// What a guest can address.
const MEMORY_BYTES_MAX: usize = 4 << 30;

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
        let Next::Wanted(contents) = NEXT.replace(Next::Nothing) else {
            return Err("a memory that nobody asked for".to_owned());
        };
        if minimum != contents.bytes() || reserved_size_in_bytes > Some(MEMORY_BYTES_MAX) {
            return Err("a memory of another size than its contents".to_owned());
        }
        let reach = Reach {
            memory: MEMORY_BYTES_MAX,
            guard: guard_size_in_bytes,
        };
        let memory = Memory::new(contents, reach).map_err(|error| error.to_string())?;
        let memory = Arc::new(memory);
        NEXT.replace(Next::Made(Arc::clone(&memory)));
        Ok(Box::new(Linear(memory)))
    }
}

#[cfg(test)]
mod tests;
