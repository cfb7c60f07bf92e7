//! For tests: a server that answers what the test says, and a terminal that keeps what it shows.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::output::{Sink, Terminal};
use super::{Cli, problem::CliError, run_on};
use clap::Parser;

/// A request as the fake server saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

type Body = BoxBody<Bytes, io::Error>;
/// An answer; an error closes the connection without one.
pub(super) type Answer = io::Result<Response<Body>>;
type Handler = dyn Fn(&Seen) -> Answer + Send + Sync;

/// A whole answer with the given content type.
pub(super) fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Answer {
    let body = Full::new(body.into())
        .map_err(|never| match never {})
        .boxed();
    let builder = Response::builder()
        .status(status)
        .header("content-type", content_type);
    Ok(builder
        .header("x-ampoule-invocation", INVOCATION)
        .body(body)
        .unwrap())
}

/// The invocation that every answer names.
pub(super) const INVOCATION: &str = "01JD3W6T5V7N9QKX2M4R8ZB1CE";

/// A JSON answer.
pub(super) fn json(status: u16, value: &Value) -> Answer {
    answer(status, "application/json", value.to_string())
}

/// A problem as the platform makes it.
pub(super) fn problem(status: u16, code: &str, title: &str, detail: &str) -> Answer {
    let body = serde_json::json!({
        "type": format!("/errors/{code}"), "title": title, "status": status, "detail": detail,
        "code": code, "origin": "function", "message": detail, "invocation": INVOCATION,
    });
    answer(status, "application/problem+json", body.to_string())
}

/// An answer whose body is what the test sends; dropping the sender ends it, an error breaks it.
pub(super) fn streamed(chunks: mpsc::Receiver<io::Result<&'static str>>) -> Answer {
    let frames = stream::unfold(chunks, async |mut chunks| {
        let chunk = chunks.recv().await?;
        Some((
            chunk.map(|text| Frame::data(Bytes::from_static(text.as_bytes()))),
            chunks,
        ))
    });
    let body = BodyExt::boxed(StreamBody::new(frames));
    Ok(Response::builder()
        .header("content-type", "text/plain")
        .body(body)
        .unwrap())
}

/// A server on a port of its own; it stops when it is dropped.
pub(super) struct Fake {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: CancellationToken,
}

impl Fake {
    /// Starts a server that answers every request with `handler`.
    pub(super) async fn start(handler: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, stop) = (Arc::default(), CancellationToken::new());
        let accepted = accept(listener, Arc::new(handler), Arc::clone(&seen), stop.clone());
        TaskTracker::new().spawn(stop.clone().run_until_cancelled_owned(accepted));
        Self {
            address,
            seen,
            stop,
        }
    }

    /// The requests so far, oldest first.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request so far.
    pub(super) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.into_iter().next().unwrap()
    }

    /// The address for `--url`.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs a command line against this server.
    pub(super) async fn run(&self, arguments: &[&str]) -> Ran {
        let screen = Screen::default();
        let ended = self.run_on(arguments, &screen).await;
        screen.ran(ended)
    }

    /// Runs a command line against this server, on a screen that the test can watch.
    pub(super) async fn run_on(&self, arguments: &[&str], screen: &Screen) -> Result<u8, CliError> {
        let url = self.url();
        let last = ["--url", &url];
        let whole = ["ampoule"].iter().chain(arguments).chain(&last);
        let cli = Cli::try_parse_from(whole).unwrap_or_else(|error| panic!("{error}"));
        run_on(&cli.command, &mut screen.terminal()).await
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(
    listener: TcpListener,
    handler: Arc<Handler>,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let served = serve(stream, Arc::clone(&handler), Arc::clone(&seen));
        tasks.spawn(stop.clone().run_until_cancelled_owned(served));
    }
}

async fn serve(stream: TcpStream, handler: Arc<Handler>, seen: Arc<Mutex<Vec<Seen>>>) {
    let service = service_fn(async |request: Request<Incoming>| {
        let (parts, body) = request.into_parts();
        let request = Seen {
            method: parts.method.to_string(),
            target: parts.uri.to_string(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        };
        seen.lock().unwrap().push(request.clone());
        handler(&request)
    });
    let http = hyper::server::conn::http1::Builder::new();
    // A client that goes away, or an answer that breaks off on purpose, is part of a test.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

/// What a command showed and how it ended.
#[derive(Debug)]
pub(super) struct Ran {
    /// What the process would exit with.
    pub(super) exit: u8,
    pub(super) out: String,
    /// With the report of the error, if there was one.
    pub(super) err: String,
}

/// A terminal without a person in front of it.
#[derive(Clone, Default)]
pub(super) struct Screen {
    out: Page,
    err: Page,
}

impl Screen {
    pub(super) fn terminal(&self) -> Terminal {
        Terminal {
            out: Sink::new(Box::new(self.out.clone()), false),
            err: Sink::new(Box::new(self.err.clone()), false),
        }
    }

    /// Waits until stdout holds `text`.
    pub(super) async fn shows(&self, text: &str) {
        loop {
            let written = self.out.0.written.notified();
            if self.out.text().contains(text) {
                return;
            }
            written.await;
        }
    }

    /// What is on stderr by now.
    pub(super) fn err(&self) -> String {
        self.err.text()
    }

    /// The end of a command, as the process would show it.
    pub(super) fn ran(&self, ended: Result<u8, CliError>) -> Ran {
        let exit = match ended {
            Ok(number) => number,
            Err(error) => {
                error.report_to(&mut self.terminal().err).unwrap();
                error.exit_number()
            }
        };
        let (out, err) = (self.out.text(), self.err.text());
        Ran { exit, out, err }
    }
}

#[derive(Clone, Default)]
struct Page(Arc<Written>);

#[derive(Default)]
struct Written {
    bytes: Mutex<Vec<u8>>,
    written: Notify,
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.bytes.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.bytes.lock().unwrap().extend_from_slice(bytes);
        self.0.written.notify_one();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
