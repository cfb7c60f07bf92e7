//! One invocation: a fresh sandbox from an image, run to its one outcome.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::time::Instant;
use wasmtime::Store;

use super::guest::Guest;
use super::turns::{Share, Turns};
use super::{Image, Outcome};
use crate::host::{Budget, Grants, LogBuffer, Promised, Request, Responder, State, Usage};
use crate::limits::{FUEL_SLICE, Limits};
use crate::trace::Carried;

/// What to run.
pub struct Invocation {
    /// The request.
    pub request: Request,
    /// Its whole body.
    pub content: Bytes,
    /// What the function may reach.
    pub grants: Grants,
    /// What it may use.
    pub limits: Limits,
    /// The tenant's part in the computing.
    pub share: Share,
    /// When it must be over.
    pub deadline: Instant,
    /// Where the answer goes.
    pub responder: Responder,
    /// Told when the function promises work that goes on without its client.
    pub promised: Promised,
    /// Where its log goes.
    pub log: LogBuffer,
    /// Where it is written what was used, however it ends.
    pub meter: Meter,
    /// The trace that its subrequests carry on.
    pub trace: Carried,
}

/// What an invocation used: known from its end on, also when it was dropped half-way.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    shared: Arc<OnceLock<Spent>>,
}

/// What an invocation used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// WebAssembly instructions, as wasmtime counts them.
    pub fuel: u64,
    /// What else it used.
    pub usage: Usage,
    /// Memory that it began with, in bytes: the image's.
    pub image_bytes: usize,
}

impl Meter {
    /// What was used; nothing for an invocation that has not begun or not ended.
    pub fn read(&self) -> Spent {
        self.shared.get().copied().unwrap_or_default()
    }
}

/// A sandbox that runs; its end is noted on the meter.
struct Metered {
    store: Store<State>,
    fuel: u64,
    image_bytes: usize,
    meter: Meter,
}

impl Metered {
    fn spent(&self) -> Spent {
        Spent {
            fuel: self.fuel.saturating_sub(self.store.get_fuel().unwrap_or(0)),
            usage: self.store.data().usage(),
            image_bytes: self.image_bytes,
        }
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        let spent = self.spent();
        self.store.data().spend_fuel(spent.fuel);
        // Nobody else writes on this meter.
        let _ = self.meter.shared.set(spent);
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether an answer was begun.
    pub answered: bool,
    /// WebAssembly instructions, as wasmtime counts them.
    pub fuel: u64,
    /// What else it used.
    pub usage: Usage,
    /// Memory that it began with, in bytes: the image's.
    pub image_bytes: usize,
}

impl Image {
    /// Runs one invocation in a sandbox of its own.
    ///
    /// # Cancel safety
    /// Dropping the future ends the invocation and frees the sandbox; kv writes that have begun
    /// are carried out.
    pub async fn invoke(&self, invocation: Invocation) -> Finished {
        let inner = &*self.inner;
        let limits = invocation.limits;
        let deadline = invocation.deadline;
        let share = invocation.share.clone();
        let (store, meter) = match self.store(invocation) {
            Ok(made) => made,
            Err(error) => return unborn(&error),
        };
        let mut sandbox = Metered {
            store,
            fuel: limits.fuel,
            image_bytes: inner.memory_bytes,
            meter,
        };
        let store = &mut sandbox.store;
        let run = tokio::time::timeout_at(deadline, drive(self, store, limits.fuel, &share)).await;
        let outcome = match run {
            Err(_elapsed) => Outcome::WallExceeded,
            Ok(Ok(())) => Outcome::of_completed(store.data_mut()),
            Ok(Err(error)) => Outcome::of_trap(&error, store.data()),
        };
        let Spent { fuel, usage, .. } = sandbox.spent();
        let state = sandbox.store.data_mut();
        if outcome != Outcome::Completed {
            state.abort_bodies();
        }
        Finished {
            answered: state.has_answered(),
            usage,
            outcome,
            fuel,
            image_bytes: inner.memory_bytes,
        }
    }

    /// For whoever has an invocation that ended, and passes its answer on now: waits until others of the
    /// same tenant that are about to end have come as far, so that their answers are written one right
    /// after the other (ADR 0024).
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub async fn catch_up(&self, share: &Share) {
        self.inner.engine.turns().catch_up(share).await;
    }

    /// A store with what an invocation brings along, and the meter to be written on.
    pub(super) fn store(
        &self,
        mut invocation: Invocation,
    ) -> wasmtime::Result<(Store<State>, Meter)> {
        let inner = &*self.inner;
        invocation.grants.files.clone_from(&inner.files);
        let limits = invocation.limits;
        let mut state = State::for_invocation(
            invocation.grants,
            Budget::new(limits, inner.memory_bytes),
            invocation.request,
            invocation.content,
            invocation.responder,
            invocation.promised,
            invocation.log,
        );
        state.carry(invocation.trace);
        let store = new_store(inner.engine.wasmtime(), state, limits.fuel)?;
        Ok((store, invocation.meter))
    }
}

/// Makes the sandbox and runs the guest to its end.
async fn drive(
    image: &Image,
    store: &mut Store<State>,
    fuel: u64,
    share: &Share,
) -> wasmtime::Result<()> {
    let (guest, of) = image.instantiate(&mut *store, fuel).await?;
    run(&guest, store, (image.inner.engine.turns(), share)).await?;
    end(image, store, of);
    Ok(())
}

/// Runs the guest to its end.
pub(super) async fn run(
    guest: &Guest,
    store: &mut Store<State>,
    (turns, share): (&Turns, &Share),
) -> wasmtime::Result<()> {
    let handed = store.data().handed().clone();
    let start = guest.call_start(&mut *store);
    let mut waiting = turns.run(share, &handed, start).await?;
    while waiting {
        let Some(ended) = store.data_mut().next_operation().await else {
            break;
        };
        let resume = guest.call_resume(&mut *store, ended);
        waiting = turns.run(share, &handed, resume).await?;
    }
    Ok(())
}

/// Notes that the guest is not called again: its memory is reset as soon as the store is dropped.
pub(super) fn end(image: &Image, store: &Store<State>, of: usize) {
    if let (Some(trim), Some(within)) = (image.inner.engine.trim(), store.data().within()) {
        trim.ended(within, of);
    }
}

fn unborn(error: &wasmtime::Error) -> Finished {
    Finished {
        outcome: Outcome::Crashed(format!("{error:#}")),
        answered: false,
        fuel: 0,
        usage: Usage::default(),
        image_bytes: 0,
    }
}

/// A store with its limits in force.
pub(super) fn new_store(
    engine: &wasmtime::Engine,
    state: State,
    fuel: u64,
) -> wasmtime::Result<Store<State>> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| state);
    store.set_fuel(fuel)?;
    store.fuel_async_yield_interval(Some(FUEL_SLICE))?;
    Ok(store)
}
