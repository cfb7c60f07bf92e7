//! What a sandbox takes besides the function in it, and when each stage of an invocation is over.
//!
//! For the benches alone: nothing of a server calls this, and what a server calls knows nothing of
//! it. [`Image::staged`] does what [`Image::invoke`] does, in the same order; `benches/cost.rs`
//! holds the sum of its stages against the time of the other.

use std::time::Instant;

use wasmtime::Store;

use super::guest::Sandbox;
use super::{Image, Invocation, invoke};
use crate::clock;
use crate::host::State;

/// When a stage was over.
#[derive(Debug, Clone, Copy)]
pub struct Stages {
    /// The invocation began.
    pub begun: Instant,
    /// The sandbox is there, with the request in it.
    pub made: Instant,
    /// The guest will not be called again.
    pub ran: Instant,
    /// The sandbox is as new, or gone.
    pub over: Instant,
}

impl Image {
    /// Makes a sandbox from nothing, calls `calls` times an export that does nothing, and drops it all.
    /// The invocation is only what the store needs, and is not answered.
    ///
    /// # Errors
    /// When there is no room for a sandbox.
    pub async fn empty(&self, invocation: Invocation, calls: u32) -> wasmtime::Result<Stages> {
        let begun = clock::monotonic();
        let fuel = invocation.limits.fuel;
        let (state, _meter) = self.state(invocation);
        let place = self.place();
        let Sandbox {
            mut store, guest, ..
        } = place.pre().another(state, fuel).await?;
        let made = clock::monotonic();
        for _ in 0..calls {
            // An overlay without parts: nothing is lowered, and nothing is copied.
            guest.call_apply_overlay(&mut store, &[]).await?;
        }
        let ran = clock::monotonic();
        drop((store, guest));
        Ok(Stages {
            begun,
            made,
            ran,
            over: clock::monotonic(),
        })
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
        let (share, fuel) = (invocation.share.clone(), invocation.limits.fuel);
        let begun = clock::monotonic();
        let (mut metered, place) = self.begin(invocation).await?;
        let gone = || wasmtime::format_err!("a sandbox that is not there");
        let sandbox = metered.sandbox().ok_or_else(gone)?;
        self.complete(sandbox, &place, fuel).await?;
        let Sandbox { store, guest, .. } = sandbox;
        let made = clock::monotonic();
        watch(store);
        invoke::run(guest, store, (self.inner.engine.turns(), &share)).await?;
        let ran = clock::monotonic();
        metered.keep(&place);
        Ok(Stages {
            begun,
            made,
            ran,
            over: clock::monotonic(),
        })
    }
}
