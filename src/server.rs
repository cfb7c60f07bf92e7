//! Connections: accepting, bounding and ending them; and the order of shutdown.
//!
//! The caller binds the address and says when to stop. Every task has an owner that is waited
//! for, every connection a permit, and no peer can hold one by doing nothing: request heads have
//! a time limit, and so have writes that a client does not take.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Body;
use futures_util::FutureExt;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::idle::about_to_sleep;
use self::stall::StallGuard;
use crate::app::App;
pub use crate::http::HttpSettings;
use crate::http::{Http, Paths, answer_to_panic};
use crate::{heap, limits};

mod idle;
mod stall;

/// Most connections at once on one address; the next one waits to be accepted.
const CONNECTIONS_MAX: usize = 10_000;
/// How long a client may take to send a request's head, idling before it included.
const HEAD_READ: Duration = Duration::from_secs(30);
/// How long a client may take nothing of what is being sent to it.
const WRITE_STALL: Duration = Duration::from_secs(60);
/// How often an otherwise silent HTTP/2 client is asked for a sign of life, and how long for.
const PING: Duration = Duration::from_secs(30);
/// Requests that one HTTP/2 connection may have in progress.
const STREAMS_MAX: u32 = 100;
/// What is left for answers and tasks once time is over, so that they end in order.
const LAST_MOMENT: Duration = Duration::from_secs(2);
/// How long not to accept when accepting failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What an HTTP/2 connection begins with.
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Where a server listens.
#[derive(Debug)]
pub struct Listeners {
    /// For functions, and for the control plane unless that has one of its own.
    pub functions: TcpListener,
    /// For the control plane alone.
    pub api: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(functions: TcpListener) -> Self {
        Self {
            functions,
            api: None,
        }
    }
}

/// Serves until `stop` resolves and everything in progress has ended; then closes the app.
///
/// # Errors
/// When the listener has no address. Whatever happens to a connection ends that one alone.
pub async fn run(
    listeners: impl Into<Listeners>,
    app: Arc<App>,
    settings: HttpSettings,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let listeners = listeners.into();
    let control_plane = listeners.api.as_ref().unwrap_or(&listeners.functions);
    let address = control_plane
        .local_addr()
        .context("the listener has no address")?;
    let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
    let http = Http::new(
        Arc::clone(&app),
        &settings,
        address,
        tasks.clone(),
        closing.clone(),
    );
    let connections = Connections {
        tasks,
        closing,
        cut: CancellationToken::new(),
    };
    match &listeners.api {
        None => {
            let accepting = connections.accept(&listeners.functions, Paths::all(http));
            tokio::select! { () = accepting => {} () = stop => {} }
        }
        Some(api) => {
            let functions = Paths::functions(Arc::clone(&http));
            let accepting = connections.accept(&listeners.functions, functions);
            let accepting_api = connections.accept(api, Paths::api(http));
            tokio::select! { () = accepting => {} () = accepting_api => {} () = stop => {} }
        }
    }
    shut_down(listeners, connections, &app, settings.drain).await;
    Ok(())
}

/// The order of shutdown.
async fn shut_down(listeners: Listeners, connections: Connections, app: &App, drain: Duration) {
    tracing::info!("stopping: requests in progress are finished");
    // 1. Say so: `/readyz` answers 503 from here on, on the connections that there are.
    app.start_draining();
    // 2. No new connections.
    drop(listeners);
    // 3. Each connection ends with the request that it is at; long polls answer at once.
    connections.closing.cancel();
    connections.tasks.close();
    // 4. Time for them, and for what functions do after their answers.
    let ended = async {
        connections.tasks.wait().await;
        app.drained().await;
    };
    if timeout(drain, ended).await.is_err() {
        let left = connections.tasks.len();
        tracing::warn!(left, "what did not finish in time is cut off");
        // 5. Cut off what is left. Dropping a request ends its invocation.
        connections.cut.cancel();
        // What goes on after its client has gone is dropped with the runtime.
        let _ = timeout(LAST_MOMENT, connections.tasks.wait()).await;
    }
    // 6. Nothing runs any more: the store commits what waits and closes its file.
    app.close().await;
    tracing::info!("stopped");
}

/// All connections of a server.
struct Connections {
    /// Owns every connection and what goes on behind them.
    tasks: TaskTracker,
    /// Cancelled: connections end with the request that they are at.
    closing: CancellationToken,
    /// Cancelled: connections end now.
    cut: CancellationToken,
}

impl Connections {
    /// Accepts connections for ever. Each listener has places of its own, so that a flood on one
    /// leaves the other reachable.
    async fn accept(&self, listener: &TcpListener, paths: Paths) {
        // What was needed to make the paths, and everything else that is there by now.
        heap::give_back();
        let paths = Arc::new(paths);
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                let permit = permit.expect("the semaphore is never closed");
                listener.accept().await.map(|accepted| (accepted, permit))
            };
            match accepted.await {
                Ok(((stream, peer), permit)) => {
                    let served = self.serve(stream, peer, Arc::clone(&paths));
                    // A token of its own: all of them are looked at each time that a connection is.
                    let cut = self.cut.child_token();
                    self.tasks.spawn(async move {
                        cut.run_until_cancelled_owned(served).await;
                        drop(permit);
                    });
                }
                // The client gave up while it waited.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves one connection to its end.
    fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        paths: Arc<Paths>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let closing = self.closing.child_token();
        let executor = Tracked(self.tasks.clone());
        async move {
            // Without it small chunks of a streamed answer would wait for each other.
            let _ = stream.set_nodelay(true);
            let first = timeout(HEAD_READ, is_http2(&stream));
            let Some(Ok(Ok(is_http2))) = closing.run_until_cancelled(first).await else {
                return;
            };
            let service =
                service_fn(move |request| respond(Arc::clone(&paths), peer.ip(), request));
            let stream = TokioIo::new(StallGuard::new(stream, WRITE_STALL));
            let ended = if is_http2 {
                let connection = http2(executor).serve_connection(stream, service);
                // It takes more room, which those of HTTP/1 need not have.
                Box::pin(to_its_end(connection, &closing)).await
            } else {
                to_its_end(http1().serve_connection(stream, service), &closing).await
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, %error, "a connection ended early");
            }
        }
    }
}

/// Serves a connection until its client or the server closes it; the latter after what is in progress.
async fn to_its_end<C: GracefulConnection>(
    connection: C,
    closing: &CancellationToken,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// How HTTP/1 is spoken. With 100 headers or fewer, as hyper has it, it finds them without memory of
/// their own.
fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .half_close(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_READ);
    builder
}

/// How HTTP/2 is spoken.
fn http2(executor: Tracked) -> http2::Builder<Tracked> {
    let head_bytes = limits::FIELDS_BYTES_MAX + limits::TARGET_BYTES_MAX;
    // A little more than is allowed, so that the answer to too much is a problem of ours.
    let head_bytes = u32::try_from(head_bytes * 2).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(head_bytes);
    builder
}

/// Whether a client speaks HTTP/2, as its first bytes tell. They are left to be read.
///
/// Without a time limit: the caller has one.
async fn is_http2(stream: &TcpStream) -> std::io::Result<bool> {
    let mut first = [0; HTTP2_PREFACE.len()];
    loop {
        let count = stream.peek(&mut first).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if first[..count] != HTTP2_PREFACE[..count] {
            return Ok(false);
        }
        if count == first.len() {
            return Ok(true);
        }
        // There is no waiting for more bytes than have come: look again.
        sleep(Duration::from_millis(5)).await;
    }
}

/// Answers one request, whatever its handler does.
async fn respond(
    paths: Arc<Paths>,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    // Most requests have no body, and need no place for one.
    let request = request.map(|body| match body.is_end_stream() {
        true => Body::empty(),
        false => Body::new(body),
    });
    let answered = AssertUnwindSafe(paths.answer(peer, request)).catch_unwind();
    let answered = answered.await;
    idle::answered();
    Ok(match answered {
        Ok(answer) => answer,
        Err(panic) => answer_to_panic(panic.as_ref()),
    })
}

/// Runs hyper's tasks in the server's own tracker.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

#[cfg(test)]
mod tests;
