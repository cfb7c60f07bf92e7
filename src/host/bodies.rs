//! Interface `bodies`: streams of bytes in and out of a sandbox.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::{Mutex, mpsc};
use wasmtime::bail;

use super::State;
use super::bindings::ampoule::host::bodies;
use super::fetch::note_blocked;
use super::logging::LogBuffer;
use super::operations::{Outcome, Work};
use crate::limits::{BODY_CHUNK_BYTES_MAX, BODY_QUEUE_LEN};
use crate::outbound::{self, Interrupted};

/// Most streams of one invocation.
const BODIES_MAX: usize = 256;

/// A response's body on its way to the client.
///
/// An error is its last item, and means: break the connection off, this is not all.
#[derive(Debug)]
pub struct ResponseBody {
    chunks: mpsc::Receiver<Bytes>,
    whole: Arc<AtomicBool>,
    state: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// There may be more.
    Open,
    /// It broke off; whoever reads it has had a moment for what came before.
    Breaking,
    Ended,
}

impl Stream for ResponseBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.state == Reading::Ended {
            return Poll::Ready(None);
        }
        if let Some(chunk) = std::task::ready!(self.chunks.poll_recv(context)) {
            return Poll::Ready(Some(Ok(chunk)));
        }
        if self.whole.load(Ordering::Acquire) {
            self.state = Reading::Ended;
            return Poll::Ready(None);
        }
        if self.state == Reading::Open {
            // An error drops what the connection has buffered, head included; it flushes while
            // there is nothing to do.
            self.state = Reading::Breaking;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.state = Reading::Ended;
        let broken = io::Error::other("the function's response broke off");
        Poll::Ready(Some(Err(broken)))
    }
}

/// The two ends of a response's body. It is whole if the flag is set before the sender is dropped.
fn response_channel() -> (mpsc::Sender<Bytes>, Arc<AtomicBool>, ResponseBody) {
    let (sender, chunks) = mpsc::channel(BODY_QUEUE_LEN);
    let whole = Arc::new(AtomicBool::new(false));
    let reader = ResponseBody {
        chunks,
        whole: Arc::clone(&whole),
        state: Reading::Open,
    };
    (sender, whole, reader)
}

enum Body {
    /// The response, from us to the client.
    Response {
        chunks: mpsc::Sender<Bytes>,
        whole: Arc<AtomicBool>,
    },
    /// The body of a subrequest, from us to its server.
    Upload(mpsc::Sender<Result<Bytes, Interrupted>>),
    /// The body of a subrequest's answer.
    Download(Arc<Mutex<Download>>),
}

struct Download {
    body: outbound::Body,
    /// What is left of a chunk that was longer than a read.
    rest: Bytes,
}

/// The streams of one invocation.
#[derive(Default)]
pub(super) struct Bodies {
    last: u32,
    open: HashMap<u32, Body>,
    /// Readers of uploads that no subrequest has taken yet.
    uploads: HashMap<u32, mpsc::Receiver<Result<Bytes, Interrupted>>>,
}

impl Bodies {
    fn add(&mut self, body: Body) -> wasmtime::Result<u32> {
        if self.open.len() >= BODIES_MAX {
            return Err(TooMany.into());
        }
        self.last += 1;
        self.open.insert(self.last, body);
        Ok(self.last)
    }

    /// A new response body: what the guest writes to, and what the client reads.
    pub(super) fn response(&mut self) -> wasmtime::Result<(u32, ResponseBody)> {
        let (chunks, whole, reader) = response_channel();
        let body = self.add(Body::Response { chunks, whole })?;
        Ok((body, reader))
    }

    /// The body of a subrequest's answer.
    pub(super) fn download(&mut self, body: outbound::Body) -> wasmtime::Result<u32> {
        let rest = Bytes::new();
        self.add(Body::Download(Arc::new(Mutex::new(Download {
            body,
            rest,
        }))))
    }

    /// Takes the reading end of an upload; none if it has one already.
    pub(super) fn take_upload(
        &mut self,
        body: u32,
    ) -> Option<mpsc::Receiver<Result<Bytes, Interrupted>>> {
        self.uploads.remove(&body)
    }

    pub(super) fn abort_all(&mut self) {
        self.open.clear();
        self.uploads.clear();
    }
}

/// The guest has more streams open than it may.
#[derive(Debug, thiserror::Error)]
#[error("more than {BODIES_MAX} bodies open")]
pub(crate) struct TooMany;

fn refused(error: bodies::Error) -> Work {
    Box::pin(async { Outcome::Written(Err(error)) })
}

impl bodies::Host for State {
    fn create(&mut self) -> wasmtime::Result<u32> {
        let (sender, receiver) = mpsc::channel(BODY_QUEUE_LEN);
        let body = self.bodies.add(Body::Upload(sender))?;
        self.bodies.uploads.insert(body, receiver);
        Ok(body)
    }

    fn begin_read(&mut self, body: u32, max: u32) -> wasmtime::Result<u32> {
        self.count_host_call();
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        if max == 0 || max > BODY_CHUNK_BYTES_MAX {
            bail!("a read must be of 1 to {BODY_CHUNK_BYTES_MAX} bytes");
        }
        let work: Work = match self.bodies.open.get(&body) {
            Some(Body::Download(body)) => {
                let (body, log) = (Arc::clone(body), self.log.clone());
                Box::pin(async move { Outcome::Read(read(&body, max, &log).await) })
            }
            Some(Body::Response { .. } | Body::Upload(_)) | None => {
                Box::pin(async { Outcome::Read(Err(bodies::Error::Closed)) })
            }
        };
        self.operations.begin(work)
    }

    fn finish_read(&mut self, operation: u32) -> wasmtime::Result<Result<Vec<u8>, bodies::Error>> {
        match self.operations.take(operation)? {
            Outcome::Read(result) => Ok(result.map(|bytes| bytes.to_vec())),
            _ => bail!("operation {operation} is not a read"),
        }
    }

    fn begin_write(&mut self, body: u32, chunk: Vec<u8>) -> wasmtime::Result<u32> {
        self.count_host_call();
        let chunk = Bytes::from(chunk);
        let work: Work = match self.bodies.open.get(&body) {
            Some(Body::Response { chunks, .. }) => {
                let bytes = chunk.len() as u64;
                if bytes > self.budget.response_bytes {
                    self.usage.response_refused = true;
                    refused(bodies::Error::TooLarge)
                } else {
                    self.budget.response_bytes -= bytes;
                    let chunks = chunks.clone();
                    Box::pin(async move {
                        let sent = chunks.send(chunk).await;
                        Outcome::Written(sent.map_err(|_| bodies::Error::Closed))
                    })
                }
            }
            Some(Body::Upload(chunks)) => {
                let chunks = chunks.clone();
                Box::pin(async move {
                    let sent = chunks.send(Ok(chunk)).await;
                    Outcome::Written(sent.map_err(|_| bodies::Error::Closed))
                })
            }
            Some(Body::Download(_)) | None => refused(bodies::Error::Closed),
        };
        self.operations.begin(work)
    }

    fn finish_write(&mut self, operation: u32) -> wasmtime::Result<Result<(), bodies::Error>> {
        match self.operations.take(operation)? {
            Outcome::Written(result) => Ok(result),
            _ => bail!("operation {operation} is not a write"),
        }
    }

    fn close(&mut self, body: u32) -> wasmtime::Result<()> {
        if let Some(Body::Response { whole, .. }) = self.bodies.open.remove(&body) {
            whole.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn abort(&mut self, body: u32) -> wasmtime::Result<()> {
        if let Some(Body::Upload(chunks)) = self.bodies.open.remove(&body) {
            // A full queue has a writer waiting; dropping the channel then breaks it off as well.
            let _ = chunks.try_send(Err(Interrupted));
        }
        Ok(())
    }
}

async fn read(
    download: &Mutex<Download>,
    max: usize,
    log: &LogBuffer,
) -> Result<Bytes, bodies::Error> {
    let mut download = download.lock().await;
    if download.rest.is_empty() {
        match download.body.chunk().await {
            None => return Ok(Bytes::new()),
            Some(Ok(chunk)) => download.rest = chunk,
            Some(Err(error)) => {
                note_blocked(log, &error);
                return Err(bodies::Error::Failed(error.to_string()));
            }
        }
    }
    let len = max.min(download.rest.len());
    Ok(download.rest.split_to(len))
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use futures_util::stream::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn what_came_before_a_break_can_be_flushed_first() {
        let (sender, _whole, mut reader) = response_channel();
        sender.send(Bytes::from_static(b"half")).await.unwrap();
        drop(sender);
        let chunk = reader.next().await.unwrap().unwrap();
        assert_eq!(chunk, "half");
        assert!(poll!(reader.next()).is_pending());
        assert!(reader.next().await.unwrap().is_err());
        assert!(reader.next().await.is_none());
    }
}
