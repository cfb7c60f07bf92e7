//! What goes on behind an answer, and without a client.
//!
//! A client that goes away ends its invocation, because nobody wants the answer any more. It does
//! not once the function has promised work (`waitUntil`): then the invocation goes on until that
//! is done or a limit is reached, and what it still writes to its client is refused as closed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::account::Account;
use crate::host::{Head, Promised, ResponseBody};
use crate::sandbox::Finished;

/// An invocation that has ended, and its account, which writes the record when it is dropped.
pub(super) type Ran = (Finished, Box<Account>);

/// An invocation that is polled where its answer is waited for.
///
/// Dropping it ends the invocation, unless that promised work: then it goes on as a task.
pub(super) struct Attended {
    running: Option<BoxFuture<'static, Ran>>,
    head: Option<oneshot::Receiver<Head>>,
    promised: Promised,
    tasks: TaskTracker,
}

impl Attended {
    pub(super) fn new(
        running: BoxFuture<'static, Ran>,
        head: oneshot::Receiver<Head>,
        promised: Promised,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            running: Some(running),
            head: Some(head),
            promised,
            tasks,
        }
    }

    /// Runs until the invocation ends, or answers and goes on, whichever is first. Once.
    pub(super) async fn progress(&mut self) -> Result<Ran, Head> {
        let (Some(running), Some(head)) = (&mut self.running, &mut self.head) else {
            return std::future::pending().await;
        };
        let progress = tokio::select! {
            biased;
            ran = running => Ok(ran),
            Ok(head) = head => Err(head),
        };
        if progress.is_ok() {
            self.running = None;
        }
        progress
    }

    /// The answer of an invocation that has ended, if it gave one.
    pub(super) fn take_head(&mut self) -> Option<Head> {
        self.head.take()?.try_recv().ok()
    }

    /// What is left of an invocation that has answered becomes a task, until its client hangs up.
    pub(super) fn go_on(mut self) -> HangUp {
        let gone = CancellationToken::new();
        if let Some(running) = self.running.take() {
            let gone = gone.clone();
            self.tasks.spawn(async move {
                tokio::select! {
                    _ran = running => {}
                    () = gone.cancelled() => {}
                }
            });
        }
        HangUp {
            gone: gone.drop_guard(),
            promised: self.promised.clone(),
        }
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        // Outside of the runtime nothing goes on anyway.
        if let (true, Ok(runtime)) = (self.promised.is_set(), Handle::try_current()) {
            self.tasks
                .spawn_on(async move { drop(running.await) }, &runtime);
        }
    }
}

/// Waits for an answer and reads it to its end, for nobody; its status, if there is one.
pub(super) async fn read_away(head: oneshot::Receiver<Head>) -> Option<u16> {
    let head = head.await.ok()?;
    if let Err(mut body) = head.body {
        // A streamed answer goes on as it is read.
        while let Some(Ok(_)) = body.next().await {}
    }
    Some(head.status)
}

/// What a client's going away does to an invocation that goes on after its answer. Dropping it
/// ends the invocation.
#[derive(Debug)]
pub(super) struct HangUp {
    gone: DropGuard,
    promised: Promised,
}

impl HangUp {
    /// The client has all that it wanted: its going away means nothing.
    pub(super) fn disarm(self) {
        self.gone.disarm();
    }
}

/// A body that is still being written; an error means that it broke off.
#[derive(Debug)]
pub struct BodyStream {
    body: ResponseBody,
    /// Disarmed at the end of the body.
    hang_up: Option<HangUp>,
}

impl BodyStream {
    pub(super) fn new(body: ResponseBody, hang_up: Option<HangUp>) -> Self {
        Self { body, hang_up }
    }
}

impl Stream for BodyStream {
    type Item = io::Result<bytes::Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(Pin::new(&mut self.body).poll_next(context));
        if next.is_none()
            && let Some(hang_up) = self.hang_up.take()
        {
            hang_up.disarm();
        }
        Poll::Ready(next)
    }
}

impl Drop for BodyStream {
    fn drop(&mut self) {
        let promised = |hang_up: &mut HangUp| hang_up.promised.is_set();
        if let Some(hang_up) = self.hang_up.take_if(promised) {
            hang_up.disarm();
        }
    }
}
