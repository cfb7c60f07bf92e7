//! Request bodies: read whole, within a bound of bytes and of time.
//!
//! A body that nobody wants is read a little further and thrown away. Closing a connection on
//! which a client is still sending resets it, and the client may lose the answer that tells it
//! why.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::EXPECT;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::dispatch::ReadBody;
use crate::error::{Code, Error};
use crate::limits;

/// Most bytes taken from the allocator because of what a client merely announced.
const RESERVED_BYTES_MAX: u64 = 1 << 20;
/// How long a body that nobody wants is read further.
const LINGER: Duration = Duration::from_secs(10);

/// The way to read the whole body of a request with these headers, see [`Unread`]. Nothing is
/// allocated for a request without one, which most are.
pub(super) fn reader(headers: &HeaderMap, body: Body, tasks: &TaskTracker) -> ReadBody {
    if body.is_end_stream() {
        return Box::new(|_bytes_max| Box::pin(NoBody));
    }
    let body = Unread::new(headers, body, tasks.clone());
    Box::new(|bytes_max| body.read(bytes_max).boxed())
}

/// Reads the body of a request without one. It has no size, so that a box of it has none either.
struct NoBody;

impl Future for NoBody {
    type Output = Result<Bytes, Error>;

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(Bytes::new()))
    }
}

/// A request body that nothing was read of yet.
pub(super) struct Unread {
    body: Option<Body>,
    /// The client sends nothing before it is told to, which reading does.
    is_held_back: bool,
    tasks: TaskTracker,
}

impl Unread {
    /// The body of a request with these headers; `tasks` owns the reading of unwanted rests.
    pub(super) fn new(headers: &HeaderMap, body: Body, tasks: TaskTracker) -> Self {
        let is_held_back = headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        Self {
            body: Some(body),
            is_held_back,
            tasks,
        }
    }

    /// Reads the whole body, of at most `bytes_max`.
    ///
    /// # Errors
    /// `body_too_large`, before anything is read if the client announces it;
    /// `request_timeout` after [`limits::REQUEST_READ_MS`]; `body_incomplete` if the client
    /// stops before the end.
    pub(super) async fn read(self, bytes_max: u64) -> Result<Bytes, Error> {
        self.read_within(bytes_max, Duration::from_millis(limits::REQUEST_READ_MS))
            .await
    }

    async fn read_within(mut self, bytes_max: u64, time: Duration) -> Result<Bytes, Error> {
        let announced = self.body.as_ref().and_then(|body| body.size_hint().exact());
        if let Some(bytes) = announced.filter(|bytes| *bytes > bytes_max) {
            return Err(too_large(bytes_max, &format!("{bytes} are announced")));
        }
        let Some(body) = &mut self.body else {
            return Ok(Bytes::new());
        };
        self.is_held_back = false;
        let outcome = timeout(time, collect(body, bytes_max, announced)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let seconds = time.as_secs();
            let detail = format!("the request body did not arrive within {seconds} s");
            Err(Error::new(Code::RequestTimeout, detail))
        });
        let is_wanted_no_more = matches!(&outcome, Err(error) if error.code == Code::BodyTooLarge);
        if !is_wanted_no_more {
            self.body = None;
        }
        outcome
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else { return };
        if self.is_held_back || body.is_end_stream() {
            return;
        }
        // Outside of the runtime there is no connection left either.
        if let Ok(runtime) = Handle::try_current() {
            self.tasks.spawn_on(discard(body), &runtime);
        }
    }
}

async fn collect(body: &mut Body, bytes_max: u64, announced: Option<u64>) -> Result<Bytes, Error> {
    let first = next(body).await?;
    if announced.is_some_and(|bytes| bytes == len(&first)) {
        return Ok(first);
    }
    let reserved = announced.unwrap_or(0).min(RESERVED_BYTES_MAX);
    let mut whole = BytesMut::with_capacity(usize::try_from(reserved).unwrap_or(0));
    let mut chunk = first;
    while !chunk.is_empty() {
        if len(&whole) + len(&chunk) > bytes_max {
            return Err(too_large(bytes_max, "it is longer"));
        }
        whole.extend_from_slice(&chunk);
        chunk = next(body).await?;
    }
    Ok(whole.freeze())
}

/// The next bytes of a body; none at its end.
async fn next(body: &mut Body) -> Result<Bytes, Error> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| Error {
            code: Code::BodyIncomplete,
            detail: "the request body broke off before its end".to_owned(),
            source: Some(Box::new(source)),
        })?;
        // Trailers are not for functions.
        if let Ok(bytes) = frame.into_data()
            && !bytes.is_empty()
        {
            return Ok(bytes);
        }
    }
    Ok(Bytes::new())
}

async fn discard(mut body: Body) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    // Whether the time was enough or not: there is nothing more to do.
    let _ = timeout(LINGER, rest).await;
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn too_large(bytes_max: u64, why: &str) -> Error {
    let detail = format!("the request body may have {bytes_max} bytes; {why}");
    Error::new(Code::BodyTooLarge, detail)
}

#[cfg(test)]
mod tests;
