//! What a sandbox takes besides the function in it, and when each stage of an invocation is over.
//!
//! For the benches alone: nothing of a server calls this, and what a server calls knows nothing of
//! it. [`Image::staged`] does what [`Image::invoke`] does, in the same order; `benches/cost.rs`
//! holds the sum of its stages against the time of the other.

use std::time::Instant;

use wasmtime::Store;

use super::guest::Guest;
use super::{Image, Invocation, invoke};
use crate::clock;
use crate::host::State;

/// When a stage was over.
#[derive(Debug, Clone, Copy)]
pub struct Stages {
    /// The invocation began.
    pub begun: Instant,
    /// The store is there, with the request in it.
    pub stored: Instant,
    /// The sandbox is there.
    pub instantiated: Instant,
    /// The guest will not be called again.
    pub ran: Instant,
    /// The sandbox is gone.
    pub dropped: Instant,
}

impl Image {
    /// Makes a sandbox, calls `calls` times an export that does nothing, and drops it all. The
    /// invocation is only what the store needs, and is not answered.
    ///
    /// # Errors
    /// When there is no room for a sandbox.
    pub async fn empty(&self, invocation: Invocation, calls: u32) -> wasmtime::Result<Stages> {
        let call = async |guest: &Guest, store: &mut Store<State>| {
            for _ in 0..calls {
                // An overlay without parts: nothing is lowered, and nothing is copied.
                guest.call_apply_overlay(&mut *store, &[]).await?;
            }
            Ok(())
        };
        self.stages(invocation, call).await
    }

    /// Runs an invocation and says when its stages were over. `watch` gets the store when the
    /// sandbox is there, before the guest is called.
    ///
    /// # Errors
    /// When the guest traps. There is no deadline.
    pub async fn staged(
        &self,
        invocation: Invocation,
        watch: impl FnOnce(&mut Store<State>),
    ) -> wasmtime::Result<Stages> {
        let share = invocation.share.clone();
        let run = async |guest: &Guest, store: &mut Store<State>| {
            watch(store);
            invoke::run(guest, store, (self.inner.engine.turns(), &share)).await
        };
        self.stages(invocation, run).await
    }

    async fn stages(
        &self,
        invocation: Invocation,
        work: impl AsyncFnOnce(&Guest, &mut Store<State>) -> wasmtime::Result<()>,
    ) -> wasmtime::Result<Stages> {
        let begun = clock::monotonic();
        let fuel = invocation.limits.fuel;
        let (mut store, _meter) = self.store(invocation)?;
        let stored = clock::monotonic();
        let (guest, of) = self.instantiate(&mut store, fuel).await?;
        let instantiated = clock::monotonic();
        work(&guest, &mut store).await?;
        let ran = clock::monotonic();
        invoke::end(self, &store, of);
        drop(store);
        Ok(Stages {
            begun,
            stored,
            instantiated,
            ran,
            dropped: clock::monotonic(),
        })
    }
}
