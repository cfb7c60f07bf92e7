//! WASI as linked: clocks, randomness, and one folder for reading. Nothing else exists.
//!
//! Contexts are made when they are first asked for, so that a request that uses none of them
//! pays for none.

use std::path::PathBuf;
use std::time::Duration;

use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock, WasiClocks, WasiClocksCtxView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::{clocks, filesystem, random};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use super::State;
use crate::clock;

/// Where the deployment's files stand for the guest.
const ROOT: &str = "/app";
/// Most random bytes of one call.
const RANDOM_BYTES_MAX: u64 = 65_536;

/// The WASI of one sandbox.
pub(super) struct Wasi {
    files: Option<PathBuf>,
    /// Clocks and randomness.
    plain: Option<Box<WasiCtx>>,
    /// The folder, and the table of what is open in it.
    filesystem: Option<Box<(WasiCtx, ResourceTable)>>,
    table: ResourceTable,
}

impl Wasi {
    pub(super) fn new(files: Option<PathBuf>) -> Self {
        Self {
            files,
            plain: None,
            filesystem: None,
            table: ResourceTable::new(),
        }
    }

    /// Whether the guest has got a handle. Clocks and randomness have none that it could ask for; of
    /// files it has them whenever it looks.
    pub(super) fn has_made_handles(&self) -> bool {
        self.filesystem.is_some() || !self.table.is_empty()
    }

    fn plain(&mut self) -> (&mut WasiCtx, &mut ResourceTable) {
        let plain = self.plain.get_or_insert_with(|| {
            let mut builder = WasiCtxBuilder::new();
            builder
                .wall_clock(CoarseClock)
                .monotonic_clock(CoarseClock)
                .max_random_size(RANDOM_BYTES_MAX);
            Box::new(builder.build())
        });
        (plain, &mut self.table)
    }

    fn filesystem(&mut self) -> &mut (WasiCtx, ResourceTable) {
        let files = self.files.as_deref();
        self.filesystem.get_or_insert_with(|| {
            let mut builder = WasiCtxBuilder::new();
            // Reads are of small local files and short; a thread hop would cost more.
            builder.allow_blocking_current_thread(true);
            if let Some(files) = files
                && let Err(error) = builder.preopened_dir(files, ROOT, FsPerms::ReadOnly)
            {
                // The guest then finds no files; the cause is ours to know.
                tracing::error!(%error, "cannot open a deployment's files");
            }
            Box::new((builder.build(), ResourceTable::new()))
        })
    }
}

/// Both clocks, in whole milliseconds: fine enough for programs, too coarse to time a cache.
struct CoarseClock;

impl HostWallClock for CoarseClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(clock::now_ms())
    }
}

impl HostMonotonicClock for CoarseClock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        clock::uptime_ms() * 1_000_000
    }
}

/// Links the interfaces of `wasi:` that `wit/world.wit` names.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    fn clocks(state: &mut State) -> WasiClocksCtxView<'_> {
        let (ctx, table) = state.wasi.plain();
        WasiClocksCtxView {
            ctx: ctx.clocks(),
            table,
        }
    }
    fn files(state: &mut State) -> WasiFilesystemCtxView<'_> {
        let (ctx, table) = state.wasi.filesystem();
        WasiFilesystemCtxView {
            ctx: ctx.filesystem(),
            table,
        }
    }
    clocks::wall_clock::add_to_linker::<State, WasiClocks>(linker, clocks)?;
    clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(linker, clocks)?;
    random::random::add_to_linker::<State, WasiRandom>(linker, |state| {
        state.wasi.plain().0.random()
    })?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(linker, files)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(linker, files)
}
