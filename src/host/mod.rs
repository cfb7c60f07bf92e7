//! The host interfaces of `wit/`: one file per interface, on top of one [`State`] per sandbox.
//!
//! Every host function, in this order: checks sizes before it allocates, takes from the budget,
//! acts, records. A function never names a tenant: what it may reach is in its [`Grants`].
//! Bad input is an answer; a call that only a broken guest makes is a trap.

mod binding;
mod bodies;
mod cache;
mod deployment;
mod fetch;
mod invocation;
mod kv;
mod logging;
mod operations;
mod state;
mod wasi;
mod websocket;

use wasmtime::component::{HasSelf, Linker};

pub use bodies::ResponseBody;
pub use cache::CacheGrant;
pub use deployment::{LoadOutcome, LoadSettings, Loading, Refusal};
pub use fetch::{SUBREQUEST_OUTCOMES, SubrequestOutcomes};
pub use invocation::{Failure, Head, Promised, Request, Responder};
pub use logging::{LogBuffer, LogEntry};
pub use state::{Budget, Grants, Handed, Meter, State, Usage};

pub(crate) use bindings::AmpoulePre;

#[allow(clippy::all, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "ampoule",
        imports: { default: trappable },
        exports: { default: async },
    });
}

/// Links every host interface, and of WASI what `wit/world.wit` names. Once per engine.
///
/// # Errors
/// Only if an interface is linked twice, which is a mistake in this crate.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    bindings::Ampoule::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    invocation::link(linker)?;
    wasi::link(linker)
}

/// Whether a trap means that the guest had too much in progress.
pub fn is_too_many(error: &wasmtime::Error) -> bool {
    error.is::<operations::TooMany>() || error.is::<bodies::TooMany>()
}
