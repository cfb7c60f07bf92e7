//! Interface `operations`: host work in progress within one invocation.
//!
//! Operations are futures that the sandbox's driver polls; nothing is spawned, so dropping the
//! sandbox drops its work. Each is polled once when it begins: what is ready at once costs no
//! scheduling, and a kv write is on its way even if nobody waits for it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use wasmtime::bail;

use super::State;
use super::bindings::ampoule::host::{bodies, kv, operations, websocket};
use super::websocket::Opened;
use crate::binding::Refused;
use crate::limits;
use crate::outbound;

/// What an operation came to.
pub(super) enum Outcome {
    /// A wait: nothing to take.
    Waited,
    /// A kv command.
    Kv(Result<kv::Reply, kv::Error>),
    /// A read from a body.
    Read(Result<Bytes, bodies::Error>),
    /// A write to a body.
    Written(Result<(), bodies::Error>),
    /// A subrequest.
    Fetched(Result<outbound::Response, (String, String)>),
    /// A call of a binding.
    Called(Result<String, Refused>),
    /// A WebSocket that was asked for and is not even tried.
    ConnectRefused(websocket::Error),
    /// A new WebSocket.
    Connected(Result<Opened, outbound::Error>),
    /// A message to a WebSocket.
    Sent(Result<(), outbound::Error>),
    /// A message from a WebSocket.
    Received(Result<outbound::Message, outbound::Error>),
}

pub(super) type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;
type InProgress = Pin<Box<dyn Future<Output = (u32, Option<Outcome>)> + Send>>;

/// The operations of one invocation.
#[derive(Default)]
pub(super) struct Operations {
    last: u32,
    in_progress: FuturesUnordered<InProgress>,
    handles: HashMap<u32, AbortHandle>,
    ready: VecDeque<u32>,
    outcomes: HashMap<u32, Outcome>,
    cancelled: HashSet<u32>,
}

impl Operations {
    /// Begins work. Traps the guest when it has too much in progress: the JavaScript layer
    /// queues long before.
    pub(super) fn begin(&mut self, mut work: Work) -> wasmtime::Result<u32> {
        if self.handles.len() + self.outcomes.len() >= limits::OPERATIONS_MAX {
            return Err(TooMany.into());
        }
        self.last += 1;
        let operation = self.last;
        if let Poll::Ready(outcome) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.end(operation, outcome);
            return Ok(operation);
        }
        let (handle, registration) = AbortHandle::new_pair();
        self.handles.insert(operation, handle);
        let work = Abortable::new(work, registration);
        self.in_progress
            .push(Box::pin(work.map(move |ended| (operation, ended.ok()))));
        Ok(operation)
    }

    fn end(&mut self, operation: u32, outcome: Outcome) {
        self.outcomes.insert(operation, outcome);
        self.ready.push_back(operation);
    }

    /// The next operation that has ended; `None` when nothing is in progress.
    pub(super) async fn next(&mut self) -> Option<u32> {
        loop {
            while let Some(operation) = self.ready.pop_front() {
                if !self.cancelled.remove(&operation) {
                    if let Some(Outcome::Waited) = self.outcomes.get(&operation) {
                        self.outcomes.remove(&operation);
                    }
                    return Some(operation);
                }
                self.outcomes.remove(&operation);
            }
            match self.in_progress.next().await {
                None => return None,
                Some((operation, outcome)) => {
                    self.handles.remove(&operation);
                    if let Some(outcome) = outcome {
                        self.end(operation, outcome);
                    }
                }
            }
        }
    }

    /// Takes the outcome of an ended operation.
    pub(super) fn take(&mut self, operation: u32) -> wasmtime::Result<Outcome> {
        match self.outcomes.remove(&operation) {
            Some(outcome) => Ok(outcome),
            None => bail!("operation {operation} has no outcome to take"),
        }
    }

    fn cancel(&mut self, operation: u32) {
        if let Some(handle) = self.handles.remove(&operation) {
            handle.abort();
        } else if self.outcomes.contains_key(&operation) {
            self.cancelled.insert(operation);
        }
    }
}

/// The guest has more operations in progress than it may.
#[derive(Debug, thiserror::Error)]
#[error("more than {} host operations in progress", limits::OPERATIONS_MAX)]
pub(crate) struct TooMany;

impl operations::Host for State {
    fn begin_wait(&mut self, delay: u32) -> wasmtime::Result<u32> {
        self.count_host_call();
        let delay = Duration::from_millis(u64::from(delay.min(i32::MAX.unsigned_abs())));
        let work = async move {
            tokio::time::sleep(delay).await;
            Outcome::Waited
        };
        self.operations.begin(Box::pin(work))
    }

    fn cancel(&mut self, operation: u32) -> wasmtime::Result<()> {
        self.operations.cancel(operation);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
