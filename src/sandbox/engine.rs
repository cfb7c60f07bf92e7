//! The one engine of a server: wasmtime's configuration, and the guest compiled once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, Module, OptLevel, PoolingAllocationConfig,
};

use crate::host::{self, State};
use crate::limits::{Limits, SNAPSHOT_BYTES_MAX};

/// The world with all code of the guest; it imports the image as a core module.
const COMPONENT: &[u8] = include_bytes!("../../guest/artifact/component.wasm");
/// The guest's memory before anything ran.
const BLANK: &[u8] = include_bytes!("../../guest/artifact/image.wasm");
/// The guest's JavaScript layer, as source.
const LAYER: &[u8] = include_bytes!("../../guest/artifact/guest.js");

/// Memory of the guest that is neither image nor the function's own: stack and alignment.
const MEMORY_SLACK_BYTES: usize = 2 << 20;
/// Native stack of a guest. QuickJS stops recursion long before, at 768 KiB of its own stack.
const WASM_STACK_BYTES: usize = 4 << 20;
const FIBER_STACK_BYTES: usize = WASM_STACK_BYTES + (512 << 10);
/// Memory of a used slot that stays mapped for the next sandbox.
const KEEP_RESIDENT_BYTES: usize = 4 << 20;
/// Size of an instance's own data; the engine has some 800 functions.
const INSTANCE_BYTES_MAX: usize = 1 << 20;
/// How often making an image's file is tried.
const FILE_TRIES: usize = 10;
/// Entries of the engine's one table.
const TABLE_ELEMENTS_MAX: usize = 10_000;

/// What an engine is made for.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Sandboxes that may exist at once.
    pub sandboxes: u32,
    /// Folder of compiled code, made if missing; whoever can write to it owns the server.
    pub cache: PathBuf,
    /// Why the page scan must not be used, if so (see [`super::paging`]).
    pub objection: Option<String>,
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
    engine: wasmtime::Engine,
    linker: Linker<State>,
    component: Component,
    /// The guest with its JavaScript runtime built: where every load starts from.
    base: Option<host::AmpoulePre<State>>,
    base_bytes: usize,
    reset: Reset,
    key: String,
}

impl Engine {
    /// Compiles the guest, or takes it from the cache, and builds the engine snapshot.
    ///
    /// # Errors
    /// If wasmtime refuses the configuration on this machine, or the cache cannot be written.
    pub async fn new(config: &EngineConfig) -> Result<Self> {
        let reset = choose_reset(config.objection.as_deref());
        let engine = wasmtime::Engine::new(&wasmtime_config(config, &reset))?;
        let key = key(&engine);
        let cache = Cache {
            folder: &config.cache,
            key: &key,
        };
        let component = cache.component(&engine)?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker)?;
        let mut inner = Inner {
            engine,
            linker,
            component,
            base: None,
            base_bytes: 0,
            reset,
            key: key.clone(),
        };
        let base = match cache.read("base.wasm") {
            Some(base) => base,
            None => {
                let base = super::load::prepare(&inner.image(BLANK)?, &inner.engine, LAYER).await?;
                cache.write("base.wasm", &base)?;
                base
            }
        };
        inner.base_bytes = base.len();
        inner.base = Some(inner.image(&base)?);
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// How used memory is made fresh, for start-up messages and the status page.
    pub fn reset(&self) -> &Reset {
        &self.inner.reset
    }

    /// Changes with everything that snapshots depend on: a snapshot taken by an engine with
    /// another key must not be used.
    pub fn key(&self) -> &str {
        &self.inner.key
    }

    /// Size of the engine snapshot, in bytes.
    pub fn base_bytes(&self) -> usize {
        self.inner.base_bytes
    }

    pub(super) fn base(&self) -> Result<&host::AmpoulePre<State>> {
        self.inner.base.as_ref().context("an engine without a base")
    }

    pub(super) fn pre(&self, image: &[u8]) -> Result<host::AmpoulePre<State>> {
        self.inner.image(image)
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.engine
    }
}

impl Inner {
    /// Everything that can be decided before the first sandbox of an image.
    fn image(&self, image: &[u8]) -> Result<host::AmpoulePre<State>> {
        let module = Module::new(&self.engine, image)?;
        make_file(&module)?;
        let mut linker = self.linker.clone();
        linker.root().module("image", &module)?;
        Ok(host::AmpoulePre::new(
            linker.instantiate_pre(&self.component)?,
        )?)
    }
}

/// Makes the file in memory that an image is mapped from; left alone, wasmtime makes it in the
/// first instantiation, where a failure would be an invocation's.
///
/// Sealing the file fails with EBUSY when the kernel has one of its pages in hand for another
/// purpose, which happens under load. It waits a while before it says so; so do we, by asking again.
fn make_file(image: &Module) -> Result<()> {
    for _ in 1..FILE_TRIES {
        match image.initialize_copy_on_write_image() {
            Ok(()) => return Ok(()),
            Err(error) => tracing::info!(%error, "making an image's file once more"),
        }
    }
    Ok(image.initialize_copy_on_write_image()?)
}

fn choose_reset(objection: Option<&str>) -> Reset {
    if !PoolingAllocationConfig::is_pagemap_scan_available() {
        return Reset {
            pagemap_scan: false,
            reason: "the kernel has no PAGEMAP_SCAN (Linux 6.7 has)".into(),
        };
    }
    match objection {
        Some(reason) => Reset {
            pagemap_scan: false,
            reason: reason.to_owned(),
        },
        None => Reset {
            pagemap_scan: true,
            reason: "the kernel has PAGEMAP_SCAN, no swap is active, and no pages are moved".into(),
        },
    }
}

fn wasmtime_config(config: &EngineConfig, reset: &Reset) -> Config {
    let largest = usize::try_from(Limits::MAX.memory_bytes).unwrap_or(usize::MAX);
    let mut pool = PoolingAllocationConfig::new();
    // A component of three core instances: image, scratch allocator, engine.
    pool.total_component_instances(config.sandboxes)
        .total_core_instances(config.sandboxes * 3)
        .total_memories(config.sandboxes)
        .total_tables(config.sandboxes)
        .total_stacks(config.sandboxes)
        .max_core_instances_per_component(3)
        .max_memories_per_component(1)
        .max_tables_per_component(1)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .max_component_instance_size(INSTANCE_BYTES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(largest + SNAPSHOT_BYTES_MAX + MEMORY_SLACK_BYTES)
        .max_unused_warm_slots(config.sandboxes)
        .pagemap_scan(if reset.pagemap_scan {
            Enabled::Yes
        } else {
            Enabled::No
        })
        // Without the scan, keeping memory means copying all of it every time.
        .linear_memory_keep_resident(if reset.pagemap_scan {
            KEEP_RESIDENT_BYTES
        } else {
            0
        })
        .table_keep_resident(TABLE_ELEMENTS_MAX * size_of::<usize>())
        .async_stack_keep_resident(FIBER_STACK_BYTES);
    let mut wasmtime = Config::new();
    wasmtime
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        // An image is a file in memory, mapped copy-on-write into each sandbox.
        .memory_init_cow(true)
        .memory_guaranteed_dense_image_size(SNAPSHOT_BYTES_MAX as u64)
        // Fuel is the deterministic cost of an invocation, and its CPU limit.
        .consume_fuel(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        // A stack never leaves the host's hands: Wasm cannot read what it did not write.
        .async_stack_zeroing(false)
        // Host calls overlap through operations, not through concurrent tasks (ADR 0003).
        .concurrency_support(false);
    wasmtime
}

/// What compiled code and snapshots depend on.
fn key(engine: &wasmtime::Engine) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let mut digest = Sha256::new();
    digest.update(hasher.finish().to_le_bytes());
    for part in [COMPONENT, BLANK, LAYER] {
        digest.update(Sha256::digest(part));
    }
    digest.finalize()[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Compiled code on disk, named by key.
struct Cache<'a> {
    folder: &'a Path,
    key: &'a str,
}

impl Cache<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}-{name}", self.key))
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(name)).ok()
    }

    /// Writes through a temporary file, so that no reader meets half of one.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        std::fs::create_dir_all(self.folder)
            .with_context(|| format!("cannot make the cache folder {}", self.folder.display()))?;
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        std::fs::write(&temporary, bytes)
            .and_then(|()| std::fs::rename(&temporary, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn component(&self, engine: &wasmtime::Engine) -> Result<Component> {
        let path = self.path("engine.cwasm");
        if path.exists() {
            // SAFETY: the file is one that `write` put there, and the cache folder belongs to
            // the server, as `EngineConfig::cache` says. A file of another version is refused.
            #[expect(unsafe_code, reason = "compiled code is trusted as this program is")]
            let loaded = unsafe { Component::deserialize_file(engine, &path) };
            match loaded {
                Ok(component) => return Ok(component),
                Err(error) => tracing::warn!(%error, "compiled engine is not usable"),
            }
        }
        tracing::info!("compiling the engine, once");
        let compiled = engine.precompile_component(COMPONENT)?;
        self.write("engine.cwasm", &compiled)?;
        // SAFETY: wasmtime compiled it just now.
        #[expect(unsafe_code, reason = "as above")]
        Ok(unsafe { Component::deserialize(engine, &compiled)? })
    }
}

#[cfg(test)]
mod tests;
