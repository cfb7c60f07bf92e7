//! One invocation: a fresh sandbox from an image, run to its one outcome.

use bytes::Bytes;
use tokio::time::Instant;
use wasmtime::Store;

use super::{Image, Outcome};
use crate::host::{Budget, Grants, LogBuffer, Request, Responder, State, Usage};
use crate::limits::{FUEL_SLICE, Limits};

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
    /// When it must be over.
    pub deadline: Instant,
    /// Where the answer goes.
    pub responder: Responder,
    /// Where its log goes.
    pub log: LogBuffer,
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
    pub async fn invoke(&self, mut invocation: Invocation) -> Finished {
        let inner = &*self.inner;
        invocation.grants.files.clone_from(&inner.files);
        let limits = invocation.limits;
        let deadline = invocation.deadline;
        let state = State::for_invocation(
            invocation.grants,
            Budget::new(limits, inner.memory_bytes),
            invocation.request,
            invocation.content,
            invocation.responder,
            invocation.log,
        );
        let store = match new_store(inner.engine.wasmtime(), state, limits.fuel) {
            Ok(store) => store,
            Err(error) => return unborn(&error),
        };
        let mut metered = Metered {
            store,
            fuel_max: limits.fuel,
        };
        let run =
            tokio::time::timeout_at(deadline, drive(self, &mut metered.store, limits.fuel)).await;
        let fuel = metered.fuel();
        let store = &mut metered.store;
        let outcome = match run {
            Err(_elapsed) => Outcome::WallExceeded,
            Ok(Ok(())) => Outcome::of_completed(store.data_mut()),
            Ok(Err(error)) => Outcome::of_trap(&error, store.data()),
        };
        Finished {
            image_bytes: inner.memory_bytes,
            ..finish(store.data_mut(), outcome, fuel)
        }
    }
}

/// A store whose fuel is counted however its invocation ends: also when it is dropped.
struct Metered {
    store: Store<State>,
    fuel_max: u64,
}

impl Metered {
    fn fuel(&self) -> u64 {
        self.fuel_max
            .saturating_sub(self.store.get_fuel().unwrap_or(0))
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.store.data().spend_fuel(self.fuel());
    }
}

async fn drive(image: &Image, store: &mut Store<State>, fuel: u64) -> wasmtime::Result<()> {
    let guest = image.instantiate(&mut *store, fuel).await?;
    let mut waiting = guest.call_start(&mut *store).await?;
    while waiting {
        let Some(ended) = store.data_mut().next_operation().await else {
            break;
        };
        waiting = guest.call_resume(&mut *store, ended).await?;
    }
    Ok(())
}

fn finish(state: &mut State, outcome: Outcome, fuel: u64) -> Finished {
    if outcome != Outcome::Completed {
        state.abort_bodies();
    }
    Finished {
        answered: state.has_answered(),
        usage: state.usage(),
        outcome,
        fuel,
        image_bytes: 0,
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
