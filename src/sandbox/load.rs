//! Loading a deployment into a copy of the engine snapshot, and taking its own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::guest::{GuestPre, Sandbox};
use super::{Engine, Outcome, snapshot};
use crate::error::Code;
use crate::host::{Budget, Grants, LoadOutcome, LoadSettings, Loading, LogEntry, Refusal, State};
use crate::limits::{LOAD_FUEL_MAX, LOAD_WALL_MS_MAX, Limits, SNAPSHOT_BYTES_MAX};

/// A deployment that was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// Its snapshot: what its memory has beyond the engine snapshot.
    pub snapshot: Vec<u8>,
    /// Why it is evaluated per request, if it is.
    pub per_request: Option<String>,
    /// What its top level logged.
    pub log: Vec<LogEntry>,
}

/// Why a deployment cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The code is to blame.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// Loading it exceeds a limit.
    #[error("{0}")]
    Exceeded(String),
    /// The server is to blame.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl Engine {
    /// Loads the deployment whose files are in `files`.
    ///
    /// Its top level is evaluated once. If that touches what a snapshot would freeze, it is
    /// loaded again with its modules only compiled.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(
        &self,
        files: PathBuf,
        mut settings: LoadSettings,
        limits: Limits,
    ) -> Result<Loaded, LoadError> {
        let first = self.load_once(&files, settings.clone(), limits).await?;
        let (what, place, modules) = match first.outcome {
            LoadOutcome::Loaded => return first.loaded(self, None),
            LoadOutcome::Refused(refusal) => return Err(LoadError::Refused(refusal)),
            LoadOutcome::Impure {
                what,
                place,
                modules,
            } => (what, place, modules),
        };
        settings.per_request = true;
        settings.modules = modules;
        let second = self.load_once(&files, settings, limits).await?;
        match second.outcome {
            LoadOutcome::Loaded => {
                let reason = if place.is_empty() {
                    what
                } else {
                    format!("{what} at {place}")
                };
                // What the first attempt logged will be logged by every invocation.
                second.loaded(self, Some(reason))
            }
            LoadOutcome::Refused(refusal) => Err(LoadError::Refused(refusal)),
            LoadOutcome::Impure { .. } => {
                Err(anyhow!("a deferred load touched the outside").into())
            }
        }
    }

    async fn load_once(
        &self,
        files: &std::path::Path,
        settings: LoadSettings,
        limits: Limits,
    ) -> Result<Attempt, LoadError> {
        let engine = self.clone();
        let base = tokio::task::spawn_blocking(move || engine.base()).await;
        let base = base.context("mapping the engine snapshot panicked")??;
        let grants = Grants {
            files: Some(files.to_owned()),
            ..Grants::default()
        };
        let budget = Budget::new(limits, self.base_bytes().max(SNAPSHOT_BYTES_MAX));
        let state = State::for_loading(grants, budget, Loading::new(settings));
        let sandbox = base.another(state, LOAD_FUEL_MAX).await;
        let Sandbox {
            mut store, guest, ..
        } = sandbox.map_err(anyhow::Error::from)?;
        let run = async {
            let handed = store.data().handed().clone();
            let load = guest.call_load(&mut store);
            self.turns().run(self.loads(), &handed, load).await
        };
        let limit = Duration::from_millis(LOAD_WALL_MS_MAX);
        match tokio::time::timeout(limit, run).await {
            Err(_elapsed) => {
                let seconds = LOAD_WALL_MS_MAX / 1000;
                let detail = format!("loading took longer than {seconds} seconds");
                return Err(LoadError::Exceeded(detail));
            }
            Ok(Err(error)) => {
                let outcome = Outcome::of_trap(&error, store.data());
                return Err(exceeded(outcome));
            }
            Ok(Ok(())) => {}
        }
        let log = store.data_mut().take_log();
        let loading = store.data_mut().take_loading().unwrap_or_default();
        let outcome = loading
            .outcome
            .context("the guest did not say what loading came to")?;
        if let LoadOutcome::Refused(refusal) = &outcome
            && refusal.message.ends_with("out of memory")
            && store.data().usage().memory_refused
        {
            return Err(exceeded(Outcome::MemoryExceeded));
        }
        Ok(Attempt {
            outcome,
            snapshot: loading.snapshot,
            log,
        })
    }
}

struct Attempt {
    outcome: LoadOutcome,
    snapshot: Option<(u32, Vec<u8>)>,
    log: Vec<LogEntry>,
}

impl Attempt {
    fn loaded(self, engine: &Engine, per_request: Option<String>) -> Result<Loaded, LoadError> {
        let (address, memory) = self
            .snapshot
            .context("the guest did not hand over its memory")?;
        if memory.len() > SNAPSHOT_BYTES_MAX {
            return Err(LoadError::Exceeded(format!(
                "the loaded modules take {} bytes of memory, more than {SNAPSHOT_BYTES_MAX}",
                memory.len()
            )));
        }
        Ok(Loaded {
            snapshot: engine.overlay(address, &memory)?.encode(),
            per_request,
            log: self.log,
        })
    }
}

fn exceeded(outcome: Outcome) -> LoadError {
    let what = match outcome.code() {
        Some(Code::CpuExceeded) => "the CPU limit for loading",
        Some(Code::MemoryExceeded) => "its memory limit",
        Some(Code::StackExceeded) => "the stack",
        Some(_) | None => {
            return LoadError::Internal(anyhow!("the guest crashed while loading: {outcome:?}"));
        }
    };
    LoadError::Exceeded(format!("the module used up {what} while it was loaded"))
}

/// Builds the engine snapshot: one blank guest compiles the JavaScript layer, another evaluates it.
pub(super) async fn prepare(blank: &GuestPre, layer: &[u8]) -> Result<Vec<u8>> {
    let state = blank_state(Loading::of_layer(layer.to_vec()));
    let Sandbox {
        mut store, guest, ..
    } = blank.another(state, LOAD_FUEL_MAX).await?;
    guest.call_compile(&mut store).await?;
    let compiled = store.data_mut().take_loading().unwrap_or_default();
    drop((store, guest));

    let state = blank_state(Loading::of_layer(compiled.layer));
    let Sandbox {
        mut store, guest, ..
    } = blank.another(state, LOAD_FUEL_MAX).await?;
    let prepared = guest.call_prepare(&mut store).await;
    for entry in store.data_mut().take_log() {
        tracing::warn!(
            message = entry.message,
            "the guest said while it was prepared"
        );
    }
    prepared?;
    let loading = store.data_mut().take_loading().unwrap_or_default();
    let (address, memory) = loading.snapshot.context("no engine snapshot")?;
    Ok(snapshot::encode(address, &memory))
}

fn blank_state(loading: Loading) -> State {
    State::for_loading(
        Grants::default(),
        Budget::new(Limits::DEFAULT, SNAPSHOT_BYTES_MAX),
        loading,
    )
}
