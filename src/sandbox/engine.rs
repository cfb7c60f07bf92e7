//! The one engine of a server: wasmtime's configuration, and the guest compiled once.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::Result;
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Module, OptLevel};

use self::cache::{Base, Cache};
use super::guest::{GuestPre, Shape};
use super::memory::{Contents, Memories, Pool, Stacks};
use super::overlay::Overlay;
use super::turns::{Share, Turns};
use super::{image, memory, memory_file, snapshot};
use crate::host::{self, State};
use crate::limits::{OVERLAY_BYTES_MAX, OWN_IMAGES_MAX};

mod cache;

/// A file of the guest, by its name.
#[cfg(not(feature = "counting-guest"))]
macro_rules! artifact {
    ($name:literal) => {
        include_bytes!(concat!("../../guest/artifact/", $name))
    };
}
/// The same of a guest that counts what it executes, which is never part of a server that serves.
#[cfg(feature = "counting-guest")]
macro_rules! artifact {
    ($name:literal) => {
        include_bytes!(concat!(env!("AMPOULE_COUNTING_GUEST"), "/", $name))
    };
}

/// The world with all code of the guest; it imports the image as a core module.
const COMPONENT: &[u8] = artifact!("component.wasm");
/// The guest's memory before anything ran.
const BLANK: &[u8] = artifact!("image.wasm");
/// Names the other three by their digests, so that nobody has to read them all at every start.
const MANIFEST: &[u8] = artifact!("manifest.json");
/// The guest's JavaScript layer, as source.
const LAYER: &[u8] = artifact!("guest.js");

/// Native stack of a guest. QuickJS stops recursion long before, at 768 KiB of its own stack.
const WASM_STACK_BYTES: usize = 4 << 20;
const FIBER_STACK_BYTES: usize = WASM_STACK_BYTES + (512 << 10);
/// The engine snapshot in the cache.
const BASE_FILE: &str = "base.wasm";
/// Memory beyond the engine snapshot in which overlays are applied, in bytes: what loading a small
/// function takes, and the overlay itself while it is applied.
const FLOOR_SPARE_BYTES: usize = 1 << 20;
/// Alignment of the place where an overlay is put, in bytes.
const STAGE_ALIGN: usize = 16;
/// What an engine is made for.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Sandboxes that may exist at once.
    pub sandboxes: u32,
    /// Folder of compiled code, made if missing; whoever can write to it owns the server.
    pub cache: PathBuf,
    /// Whether the kernel is asked which pages were written to, if it can be.
    pub pagemap_scan: bool,
}

/// How used memory is made fresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// Whether the kernel is asked which pages were written.
    pub pagemap_scan: bool,
    /// Why, or why not.
    pub reason: String,
}

/// The engine: shared by every function of every tenant.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    compiled: Compiled,
    cache: Cache,
    base: Base,
    /// Size of the engine snapshot, in bytes.
    base_bytes: usize,
    /// The floor of each domain that is in use.
    floors: Mutex<HashMap<Domain, Weak<Floor>>>,
    /// Invocations so far.
    ticks: AtomicU64,
    turns: Turns,
    /// Of what is loaded.
    loads: Share,
    /// Images with memory of their own because they are used often, the oldest first.
    own: Mutex<VecDeque<Weak<image::Inner>>>,
    reset: Reset,
}

/// Those whose sandboxes may be given memory that another of them has used, reset page by page. A
/// sandbox of another domain gets its memory mapped anew.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Domain(Arc<str>);

impl Domain {
    /// The domain of this name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }
}

/// Where overlays are applied: the engine snapshot with [`FLOOR_SPARE_BYTES`] behind it.
pub(super) type Floor = GuestPre;

/// What all images have in common.
struct Compiled {
    engine: wasmtime::Engine,
    linker: Linker<State>,
    component: Component,
    pool: Arc<Pool>,
    /// By the size of the memory, in bytes.
    shapes: Mutex<HashMap<usize, Shape>>,
}

impl Engine {
    /// Compiles the guest, or takes it from the cache, and builds the engine snapshot.
    ///
    /// # Errors
    /// If wasmtime refuses the configuration on this machine, or the cache cannot be written.
    pub async fn new(config: &EngineConfig) -> Result<Self> {
        let reset = choose_reset(config.pagemap_scan);
        let engine = wasmtime::Engine::new(&wasmtime_config())?;
        let cache = Cache::new(config.cache.clone(), key(&engine));
        let component = cache.component(&engine)?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker)?;
        let compiled = Compiled {
            engine,
            linker,
            component,
            pool: Arc::new(Pool::new(config.sandboxes, reset.pagemap_scan)?),
            shapes: Mutex::default(),
        };
        let image = match cache.read(BASE_FILE) {
            Some(image) => image,
            None => {
                let blank = compiled.image(&snapshot::decode(BLANK)?)?;
                let image = super::load::prepare(&blank, LAYER).await?;
                cache.write(BASE_FILE, &image)?;
                image
            }
        };
        Ok(Self {
            inner: Arc::new(Inner {
                base: cache.base(&image)?,
                base_bytes: image.len(),
                compiled,
                cache,
                floors: Mutex::default(),
                ticks: AtomicU64::new(0),
                turns: Turns::new(),
                loads: Share::new(),
                own: Mutex::default(),
                reset,
            }),
        })
    }

    /// Who computes.
    pub(super) fn turns(&self) -> &Turns {
        &self.inner.turns
    }

    /// The part that loading has in it.
    pub(super) fn loads(&self) -> &Share {
        &self.inner.loads
    }

    /// How used memory is made fresh, for start-up messages and the status page.
    pub fn reset(&self) -> &Reset {
        &self.inner.reset
    }

    /// Changes with everything that snapshots depend on: a snapshot taken by an engine with
    /// another key must not be used.
    pub fn key(&self) -> &str {
        self.inner.cache.key()
    }

    /// Size of the engine snapshot, in bytes.
    pub fn base_bytes(&self) -> usize {
        self.inner.base_bytes
    }

    /// The engine snapshot as an image of its own, so that its memory is mapped anew: nothing
    /// that another load left is even reset. Blocks for a millisecond or two.
    ///
    /// # Errors
    /// If the cache cannot be read nor written.
    pub(super) fn base(&self) -> Result<Arc<GuestPre>> {
        self.inner.mapped(0)
    }

    /// Where overlays of a domain are applied. Blocks for a millisecond or two the first time.
    ///
    /// # Errors
    /// As [`Engine::base`].
    pub(super) fn floor(&self, domain: &Domain) -> Result<Arc<Floor>> {
        let mut floors = self
            .inner
            .floors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(floor) = floors.get(domain).and_then(Weak::upgrade) {
            return Ok(floor);
        }
        floors.retain(|_, floor| floor.strong_count() > 0);
        let floor = self.inner.mapped(FLOOR_SPARE_BYTES)?;
        floors.insert(domain.clone(), Arc::downgrade(&floor));
        Ok(floor)
    }

    /// What a memory that begins at `address` has beyond the engine snapshot.
    ///
    /// # Errors
    /// As [`Base::map`].
    pub(super) fn overlay(&self, address: u32, memory: &[u8]) -> Result<Overlay> {
        let address = usize::try_from(address).unwrap_or(usize::MAX);
        Ok(Overlay::between(&self.inner.base.map()?, address, memory))
    }

    /// Whether an overlay can be applied to the floor, and is small enough that it should.
    pub(super) fn has_room_for(&self, overlay: &Overlay) -> bool {
        // It is put behind the deployment's memory before it is applied.
        let bytes = overlay.memory_bytes() + overlay.parts().len() + STAGE_ALIGN;
        overlay.parts().len() <= OVERLAY_BYTES_MAX && bytes <= self.floor_bytes()
    }

    /// Size of the memory that sandboxes with this overlay start with, in bytes: the same whether
    /// it is applied or mapped, so that a function has the same limits and fuel either way.
    pub(super) fn memory_bytes(&self, overlay: &Overlay) -> usize {
        overlay.memory_bytes().max(self.floor_bytes())
    }

    fn floor_bytes(&self) -> usize {
        self.inner.base.bytes() + FLOOR_SPARE_BYTES
    }

    /// An image with the whole memory of a deployment. Blocks.
    pub(super) fn own_image(&self, overlay: &Overlay) -> Result<Arc<GuestPre>> {
        let memory = overlay.apply(&self.inner.base.map()?, self.floor_bytes());
        self.inner.compiled.image(&memory)
    }

    /// The number of this invocation, among all that the engine has seen.
    pub(super) fn tick(&self) -> u64 {
        self.inner.ticks.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that an image has memory of its own; the one that has it longest may lose it.
    pub(super) fn keep_own(&self, image: &Arc<image::Inner>) {
        let mut own = self
            .inner
            .own
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        own.retain(|other| other.strong_count() > 0);
        own.push_back(Arc::downgrade(image));
        let is_full = own.len() > OWN_IMAGES_MAX;
        let oldest = own.pop_front_if(|_| is_full);
        // Its sandboxes go with it, and nobody is to wait for that.
        drop(own);
        if let Some(oldest) = oldest.and_then(|oldest| oldest.upgrade()) {
            oldest.drop_own();
        }
    }

    /// Lets go of sandboxes that nobody needed since the last time.
    pub fn rest(&self) {
        self.inner.compiled.pool.rest();
    }
}

impl Inner {
    /// The engine snapshot with `spare` zeros behind it, mapped from a file in the cache. Each call
    /// makes another image, although all have their bytes in common.
    fn mapped(&self, spare: usize) -> Result<Arc<GuestPre>> {
        let bytes = self.base.bytes() + spare;
        self.compiled.ready(self.base.file()?, bytes)
    }
}

impl Compiled {
    /// Makes an image with this memory ready, mapped from a file in memory.
    fn image(&self, memory: &[u8]) -> Result<Arc<GuestPre>> {
        let file = memory_file::holding("ampoule-image", memory)?;
        self.ready(file, memory.len())
    }

    /// Everything that can be decided before the first sandbox of an image.
    fn ready(&self, file: File, bytes: usize) -> Result<Arc<GuestPre>> {
        let bytes = bytes.next_multiple_of(snapshot::WASM_PAGE);
        let contents = Contents::new(&self.pool, file, bytes)?;
        Ok(GuestPre::new(self.shape(bytes)?, contents))
    }

    /// The guest with a memory of this size, whose contents come from elsewhere.
    fn shape(&self, bytes: usize) -> Result<Shape> {
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = shapes.get(&bytes) {
            return Ok(shape.clone());
        }
        let memory = Module::new(&self.engine, snapshot::blank(bytes))?;
        let mut linker = self.linker.clone();
        linker.root().module("image", &memory)?;
        let shape = Shape::new(linker.instantiate_pre(&self.component)?)?;
        shapes.insert(bytes, shape.clone());
        Ok(shape)
    }
}

fn choose_reset(is_wanted: bool) -> Reset {
    let (pagemap_scan, reason) = match (memory::is_scan_available(), is_wanted) {
        (true, true) => (true, "the kernel has PAGEMAP_SCAN"),
        (true, false) => (false, "it was not asked for"),
        (false, _) => (false, "the kernel has no PAGEMAP_SCAN (Linux 6.7 has)"),
    };
    Reset {
        pagemap_scan,
        reason: reason.into(),
    }
}

fn wasmtime_config() -> Config {
    let mut wasmtime = Config::new();
    wasmtime
        // Where memories and stacks lie, and what is in them, is decided here (ADR 0028).
        .memory_reservation(memory::MEMORY_BYTES_MAX as u64)
        .memory_guard_size(memory::GUARD_BYTES as u64)
        .with_host_memory(Arc::new(Memories))
        .with_host_stack(Arc::new(Stacks::default()))
        // Fuel is the deterministic cost of an invocation, and its CPU limit.
        .consume_fuel(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        // A stack never leaves the host's hands: Wasm cannot read what it did not write.
        .async_stack_zeroing(false)
        // The guest is ours, and says what it seldom executes (ADR 0034).
        .wasm_branch_hinting(true)
        // Host calls overlap through operations, not through concurrent tasks (ADR 0003).
        .concurrency_support(false);
    wasmtime
}

/// An engine that compiles for the other and runs nothing. What compiling needs, it keeps for the next
/// time, and there is none: so it is dropped, and the memory with it.
fn compiler() -> Result<wasmtime::Engine> {
    Ok(wasmtime::Engine::new(&wasmtime_config())?)
}

/// What compiled code and snapshots depend on.
fn key(engine: &wasmtime::Engine) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let mut digest = Sha256::new();
    digest.update(hasher.finish().to_le_bytes());
    digest.update(MANIFEST);
    digest.finalize()[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests;
