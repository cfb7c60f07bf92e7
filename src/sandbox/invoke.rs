//! One invocation: a fresh sandbox from an image, run to its one outcome.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::time::Instant;
use wasmtime::Store;

use super::guest::{Guest, Sandbox};
use super::image::Place;
use super::turns::{Share, Turns};
use super::{Image, Outcome};
use crate::host::{Budget, Grants, LogBuffer, Promised, Request, Responder, State, Usage};
use crate::limits::Limits;
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
pub(super) struct Metered {
    /// Present until it is taken back.
    sandbox: Option<Sandbox>,
    fuel: u64,
    image_bytes: usize,
    meter: Meter,
}

impl Metered {
    pub(super) fn sandbox(&mut self) -> Option<&mut Sandbox> {
        self.sandbox.as_mut()
    }

    fn spent(&self) -> Spent {
        let Some(Sandbox { store, .. }) = &self.sandbox else {
            return self.meter.read();
        };
        Spent {
            fuel: self.fuel.saturating_sub(store.get_fuel().unwrap_or(0)),
            usage: store.data().usage(),
            image_bytes: self.image_bytes,
        }
    }

    fn note(&self) {
        let Some(Sandbox { store, .. }) = &self.sandbox else {
            return;
        };
        let spent = self.spent();
        store.data().spend_fuel(spent.fuel);
        // Nobody else writes on this meter.
        let _ = self.meter.shared.set(spent);
    }

    /// The guest has returned from its last call: the sandbox is made as new for others.
    pub(super) fn keep(mut self, place: &Place) {
        self.note();
        if let Some(sandbox) = self.sandbox.take() {
            place.pre().keep(sandbox);
        }
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.note();
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
        let limits = invocation.limits;
        let deadline = invocation.deadline;
        let share = invocation.share.clone();
        let (mut metered, place) = match self.begin(invocation).await {
            Ok(begun) => begun,
            Err(error) => return unborn(&error),
        };
        let Some(sandbox) = metered.sandbox() else {
            return unborn(&wasmtime::format_err!("a sandbox that is not there"));
        };
        let run = drive(self, sandbox, (&place, limits.fuel), &share);
        let run = tokio::time::timeout_at(deadline, run).await;
        let store = &mut sandbox.store;
        let has_returned = matches!(run, Ok(Ok(())));
        let outcome = match run {
            Err(_elapsed) => Outcome::WallExceeded,
            Ok(Ok(())) => Outcome::of_completed(store.data_mut()),
            Ok(Err(error)) => Outcome::of_trap(&error, store.data()),
        };
        let state = store.data_mut();
        if outcome != Outcome::Completed {
            state.abort_bodies();
        }
        let answered = state.has_answered();
        let Spent {
            fuel,
            usage,
            image_bytes,
        } = metered.spent();
        if has_returned {
            metered.keep(&place);
        }
        Finished {
            outcome,
            answered,
            fuel,
            usage,
            image_bytes,
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

    /// A sandbox with what an invocation brings along, and where it is to be taken back.
    pub(super) async fn begin(&self, invocation: Invocation) -> wasmtime::Result<(Metered, Place)> {
        let fuel = invocation.limits.fuel;
        let (state, meter) = self.state(invocation);
        self.count();
        let place = self.place();
        let sandbox = place.pre().sandbox(state, fuel).await?;
        let metered = Metered {
            sandbox: Some(sandbox),
            fuel,
            image_bytes: self.inner.memory_bytes,
            meter,
        };
        Ok((metered, place))
    }

    /// What an invocation brings along, and the meter to be written on.
    pub(super) fn state(&self, mut invocation: Invocation) -> (State, Meter) {
        let inner = &*self.inner;
        invocation.grants.files.clone_from(&inner.files);
        let mut state = State::for_invocation(
            invocation.grants,
            Budget::new(invocation.limits, inner.memory_bytes),
            invocation.request,
            invocation.content,
            invocation.responder,
            invocation.promised,
            invocation.log,
        );
        state.carry(invocation.trace);
        (state, invocation.meter)
    }
}

/// Runs the guest to its end.
async fn drive(
    image: &Image,
    sandbox: &mut Sandbox,
    (place, fuel): (&Place, u64),
    share: &Share,
) -> wasmtime::Result<()> {
    image.complete(sandbox, place, fuel).await?;
    let Sandbox { store, guest, .. } = sandbox;
    run(guest, store, (image.inner.engine.turns(), share)).await
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

fn unborn(error: &wasmtime::Error) -> Finished {
    Finished {
        outcome: Outcome::Crashed(format!("{error:#}")),
        answered: false,
        fuel: 0,
        usage: Usage::default(),
        image_bytes: 0,
    }
}
