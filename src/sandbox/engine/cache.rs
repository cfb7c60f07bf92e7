//! What an engine keeps on disk: compiled code, and the engine snapshot.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use memmap2::Mmap;
use wasmtime::component::Component;

use super::COMPONENT;
use crate::heap;
use crate::sandbox::snapshot;

/// The memory that the engine snapshot defines, as it is.
const BASE_MEMORY: &str = "base.memory";

/// Compiled code on disk, named by key.
pub(super) struct Cache {
    folder: PathBuf,
    key: String,
}

impl Cache {
    /// What is in `folder` under this key.
    pub(super) fn new(folder: PathBuf, key: String) -> Self {
        Self { folder, key }
    }

    /// Changes with everything that compiled code and snapshots depend on.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}-{name}", self.key))
    }

    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(name)).ok()
    }

    /// Writes through a temporary file, so that no reader meets half of one.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make the cache folder {}", self.folder.display()))?;
        // A name of its own: others may be writing the same file.
        let write = || {
            let mut draft = tempfile::NamedTempFile::new_in(&self.folder)?;
            draft.write_all(bytes)?;
            draft.persist(&path).map_err(|error| error.error)
        };
        write()
            .map(drop)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn component(&self, engine: &wasmtime::Engine) -> Result<Component> {
        let path = self.path("engine.cwasm");
        // SAFETY: the file is one that `write` put there, and the cache folder belongs to
        // the server, as `EngineConfig::cache` says. A file of another version is refused.
        #[expect(unsafe_code, reason = "compiled code is trusted as this program is")]
        let load = || unsafe { Component::deserialize_file(engine, &path) };
        self.load_or_compile("engine.cwasm", load, || {
            tracing::info!("compiling the engine, once");
            Ok(super::compiler()?.precompile_component(COMPONENT)?)
        })
    }

    /// The memory that the engine snapshot defines, in a file of its own.
    pub(super) fn base(&self, image: &[u8]) -> Result<Base> {
        let path = self.path(BASE_MEMORY);
        let bytes = snapshot::memory_bytes(image)?;
        let is_there = |found: std::fs::Metadata| found.len() == bytes as u64;
        if !std::fs::metadata(&path).is_ok_and(is_there) {
            self.write(BASE_MEMORY, &snapshot::decode(image)?)?;
        }
        let file = File::open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Base { file, bytes })
    }

    fn load_or_compile<T>(
        &self,
        name: &str,
        load: impl Fn() -> wasmtime::Result<T>,
        compile: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<T> {
        if self.path(name).exists() {
            match load() {
                Ok(loaded) => return Ok(loaded),
                Err(error) => tracing::warn!(%error, name, "what was compiled is not usable"),
            }
        }
        self.write(name, &compile()?)?;
        heap::give_back();
        Ok(load()?)
    }
}

/// The memory of a guest with its JavaScript runtime built, which overlays are made against. It is in a
/// file, because only deploys need it, and functions that get memory of their own.
pub(super) struct Base {
    file: File,
    bytes: usize,
}

impl Base {
    /// Its size, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The file, opened once more.
    ///
    /// # Errors
    /// If the process has too many files open.
    pub(super) fn file(&self) -> Result<File> {
        let file = self.file.try_clone();
        file.context("cannot open the engine snapshot once more")
    }

    /// The memory, for as long as it is looked at.
    ///
    /// # Errors
    /// If the system maps no more files, or somebody cut the file off.
    pub(super) fn map(&self) -> Result<Mmap> {
        // SAFETY: the file is one that `Cache::write` put there, and nobody changes it: who writes
        // another puts it in its place, and the cache folder belongs to the server.
        #[expect(unsafe_code, reason = "the file is not written to while it is mapped")]
        let memory = unsafe { Mmap::map(&self.file) };
        let memory = memory.context("cannot map the engine snapshot")?;
        anyhow::ensure!(
            memory.len() == self.bytes,
            "the engine snapshot was cut off"
        );
        Ok(memory)
    }
}
