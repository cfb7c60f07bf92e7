//! What one sandbox has: grants, budget, operations in progress, its request and its answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use wasmtime::ResourceLimiter;

use super::bodies::Bodies;
use super::cache::CacheGrant;
use super::deployment::Loading;
use super::fetch::SubrequestOutcomes;
use super::invocation::{Failure, Promised, Request, Responder};
use super::logging::LogBuffer;
use super::operations::Operations;
use super::wasi::Wasi;
use super::websocket::Sockets;
use crate::limits::Limits;
use crate::outbound::{Client, NetworkGrant};
use crate::store::Namespace;
use crate::trace::Carried;

/// Memory that is granted beyond the limit once it was reached: the engine needs some to make the
/// exception that says so.
const LAST_WORDS_BYTES: usize = 256 << 10;

/// What an invocation may reach. What is absent does not exist for it; by default that is everything.
#[derive(Clone, Default)]
pub struct Grants {
    /// The tenant's own keys.
    pub kv: Option<Namespace>,
    /// Requests and WebSockets to the outside.
    pub network: Option<(Arc<Client>, NetworkGrant)>,
    /// Functions of the platform.
    pub bindings: Option<crate::binding::Grant>,
    /// The cache of the workspace, while this invocation holds it.
    pub cache: Option<CacheGrant>,
    /// The folder that stands at `/app`, opened for reading.
    pub files: Option<PathBuf>,
    /// What the tenant uses over time.
    pub meter: Option<Arc<dyn Meter>>,
}

/// What a tenant uses over time, beyond one invocation; its quotas are behind it.
pub trait Meter: Send + Sync {
    /// Takes one outbound request.
    ///
    /// # Errors
    /// What the function gets to read when the quota is used up.
    fn take_subrequest(&self) -> Result<(), String>;

    /// Counts fuel that was used, also by what was broken off.
    fn spend_fuel(&self, fuel: u64);
}

/// What is left of an invocation's limits.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// The limits themselves.
    pub limits: Limits,
    /// Memory that the image itself takes, not counted against the limit, in bytes.
    pub image_bytes: usize,
    /// Subrequests left.
    pub subrequests: u32,
    /// Response bytes left.
    pub response_bytes: u64,
}

impl Budget {
    /// A whole budget.
    pub fn new(limits: Limits, image_bytes: usize) -> Self {
        Self {
            limits,
            image_bytes,
            subrequests: limits.subrequests,
            response_bytes: limits.response_body_bytes,
        }
    }
}

/// What an invocation used, counted as it goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls of host functions that begin work or move data.
    pub host_calls: u64,
    /// Subrequests begun.
    pub subrequests: u32,
    /// Highest size of the guest's memory, in bytes.
    pub memory_bytes: usize,
    /// Whether memory was refused.
    pub memory_refused: bool,
    /// Whether a chunk of the response was refused.
    pub response_refused: bool,
    /// The status of the answer that was begun.
    pub status: Option<u16>,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
    /// Commands to kv.
    pub kv_operations: u64,
    /// How those ended that have ended.
    pub subrequest_outcomes: SubrequestOutcomes,
}

/// Whether a guest handed something out that somebody may be waiting for: an answer, a part of one,
/// work that it began. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Handed(Arc<AtomicBool>);

impl Handed {
    /// Something was handed out.
    pub fn set(&self) {
        // Set and read on the thread that polls the guest; whoever polls it next is told by tokio.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it did since the last time it was forgotten.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What was handed out by now has been seen to.
    pub fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The data of a sandbox's store.
pub struct State {
    pub(super) grants: Grants,
    pub(super) budget: Budget,
    pub(super) usage: Usage,
    pub(super) operations: Operations,
    pub(super) bodies: Bodies,
    pub(super) sockets: Sockets,
    pub(super) request: Request,
    pub(super) content: Bytes,
    pub(super) responder: Option<Responder>,
    pub(super) failure: Option<Failure>,
    pub(super) promised: Promised,
    handed: Handed,
    pub(super) log: LogBuffer,
    pub(super) loading: Option<Loading>,
    pub(super) wasi: Wasi,
    /// The trace that subrequests carry on.
    pub(super) trace: Carried,
}

impl State {
    /// The state of an invocation.
    pub fn for_invocation(
        grants: Grants,
        budget: Budget,
        request: Request,
        content: Bytes,
        responder: Responder,
        promised: Promised,
        log: LogBuffer,
    ) -> Self {
        Self {
            request,
            content,
            responder: Some(responder),
            promised,
            log,
            ..Self::bare(grants, budget)
        }
    }

    /// The state of a load; it has no request, and answers nothing.
    pub fn for_loading(grants: Grants, budget: Budget, loading: Loading) -> Self {
        Self {
            loading: Some(loading),
            ..Self::bare(grants, budget)
        }
    }

    /// The state of a sandbox that is used by nobody: it may reach nothing.
    pub fn vacant() -> Self {
        Self::bare(Grants::default(), Budget::new(Limits::DEFAULT, 0))
    }

    fn bare(grants: Grants, budget: Budget) -> Self {
        Self {
            wasi: Wasi::new(grants.files.clone()),
            grants,
            budget,
            usage: Usage::default(),
            operations: Operations::default(),
            bodies: Bodies::default(),
            sockets: Sockets::default(),
            request: Request::default(),
            content: Bytes::new(),
            responder: None,
            failure: None,
            promised: Promised::default(),
            handed: Handed::default(),
            log: LogBuffer::new(budget.limits.log_bytes),
            loading: None,
            trace: Carried::default(),
        }
    }

    /// Counts a call of a host function that begins work or moves data.
    pub(super) fn count_host_call(&mut self) {
        self.usage.host_calls += 1;
        self.handed.set();
    }

    /// Whether the guest handed something out, as it runs.
    pub fn handed(&self) -> &Handed {
        &self.handed
    }

    /// Counts fuel that this invocation used.
    pub fn spend_fuel(&self, fuel: u64) {
        if let Some(meter) = &self.grants.meter {
            meter.spend_fuel(fuel);
        }
    }

    /// Notes the size of the guest's memory before anything ran, in bytes.
    pub fn begin_with(&mut self, memory_bytes: usize) {
        self.usage.memory_bytes = memory_bytes;
    }

    /// Whether the guest has got handles of what the host has, which the sandbox counts.
    pub fn has_made_handles(&self) -> bool {
        self.wasi.has_made_handles()
    }

    /// Has subrequests carry this trace on.
    pub fn carry(&mut self, trace: Carried) {
        self.trace = trace;
    }

    /// What was used so far.
    pub fn usage(&self) -> Usage {
        let (limits, left) = (&self.budget.limits, &self.budget);
        Usage {
            response_bytes: limits
                .response_body_bytes
                .saturating_sub(left.response_bytes),
            ..self.usage
        }
    }

    /// Whether an answer was begun.
    pub fn has_answered(&self) -> bool {
        self.responder.is_none()
    }

    /// The exception that nothing caught, once.
    pub fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// What was logged since the last time this was asked.
    pub fn take_log(&mut self) -> Vec<super::LogEntry> {
        self.log.take()
    }

    /// What loading came to, once.
    pub fn take_loading(&mut self) -> Option<Loading> {
        self.loading.take()
    }

    /// Waits until some operation in progress has ended; `None` if there is none.
    ///
    /// # Cancel safety
    /// Safe: an operation that has ended is reported by the next call.
    pub async fn next_operation(&mut self) -> Option<u32> {
        self.operations.next().await
    }

    /// Breaks off a response in progress, so that its reader does not take it for whole.
    pub fn abort_bodies(&mut self) {
        self.bodies.abort_all();
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let limit = usize::try_from(self.budget.limits.memory_bytes).unwrap_or(usize::MAX);
        let spare = if self.usage.memory_refused {
            LAST_WORDS_BYTES
        } else {
            0
        };
        let most = self.budget.image_bytes.saturating_add(limit);
        let allowed = desired <= most.saturating_add(spare)
            && maximum.is_none_or(|maximum| desired <= maximum);
        if allowed {
            self.usage.memory_bytes = desired;
        } else {
            self.usage.memory_refused = true;
        }
        Ok(allowed)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.usage.memory_refused = true;
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The engine's one table has its size from the start.
        Ok(current == 0 || desired <= current)
    }
}
