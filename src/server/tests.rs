//! Connections to a router of the test's own: how they begin, go wrong and end.

use axum::extract::Request as AxumRequest;
use axum::routing::{any, post};
use axum::{Extension, Router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::http::Peer;

/// Connections to a router of the test's own.
struct Fixture {
    address: SocketAddr,
    stop: CancellationToken,
    closing: CancellationToken,
    cut: CancellationToken,
    tasks: TaskTracker,
    accepting: JoinHandle<()>,
}

impl Fixture {
    async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Connections {
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        let stop = CancellationToken::new();
        let (tasks, stopped) = (connections.tasks.clone(), stop.clone());
        let (closing, cut) = (connections.closing.clone(), connections.cut.clone());
        let accepting = TaskTracker::new().spawn(async move {
            let accepted = connections.accept(&listener, router.into());
            stopped.run_until_cancelled(accepted).await;
        });
        Self {
            address,
            stop,
            closing,
            cut,
            tasks,
            accepting,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and answers all that comes back until the server closes.
    async fn talk(&self, sent: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        read_all(stream).await
    }

    /// Stops accepting, and waits until no connection is left.
    async fn end(self) {
        self.stop.cancel();
        self.accepting.await.unwrap();
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn read_all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset ends it as well.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

fn routes() -> Router {
    Router::new()
        .route(
            "/peer",
            any(async |Extension(peer): Extension<Peer>| peer.0.to_string()),
        )
        .route(
            "/panic",
            any(async || -> &'static str { panic!("on purpose") }),
        )
        .route("/fine", any(async || "fine"))
        .route(
            "/length",
            post(async |body: axum::body::Bytes| body.len().to_string()),
        )
        .route(
            "/version",
            any(async |request: AxumRequest| format!("{:?}", request.version())),
        )
}

#[tokio::test]
async fn a_request_knows_its_peer() {
    let fixture = Fixture::start(routes()).await;
    let request = "GET /peer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = fixture.talk(request).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("127.0.0.1"),
        "{answer}"
    );
    fixture.end().await;
}

#[tokio::test]
async fn a_panic_ends_its_request_alone() {
    let fixture = Fixture::start(routes()).await;
    let requests = "GET /panic HTTP/1.1\r\nhost: x\r\n\r\n\
        GET /fine HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answers = fixture.talk(requests).await;
    assert!(answers.starts_with("HTTP/1.1 500 "), "{answers}");
    assert!(
        answers.contains("/errors/internal") && answers.ends_with("fine"),
        "{answers}"
    );
    assert!(!answers.contains("on purpose"));
    fixture.end().await;
}

#[tokio::test]
async fn http2_is_told_by_its_first_bytes_however_they_come() {
    let fixture = Fixture::start(routes()).await;
    for pause_after in [3, 24] {
        let mut stream = fixture.connect().await;
        let (first, rest) = HTTP2_PREFACE.split_at(pause_after);
        stream.write_all(first).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(rest).await.unwrap();
        // An empty SETTINGS frame; the server's own comes back.
        stream
            .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
            .await
            .unwrap();
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(head[3], 4, "a SETTINGS frame");
    }
    let almost = "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n";
    let answer = fixture.talk(almost).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{answer}"
    );
    fixture.end().await;
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let fixture = Fixture::start(routes()).await;
    let answer = fixture
        .talk("\u{16}\u{3}\u{1} not http at all\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    fixture.end().await;
}

#[tokio::test]
async fn stopping_closes_idle_connections_and_finishes_the_others() {
    let fixture = Fixture::start(routes()).await;
    let silent = fixture.connect().await;
    let mut idle = fixture.connect().await;
    idle.write_all(b"GET /fine HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut begun = [0; 12];
    idle.read_exact(&mut begun).await.unwrap();
    let mut busy = fixture.connect().await;
    let head = "POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n";
    busy.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    fixture.closing.cancel();
    assert_eq!(read_all(silent).await, "");
    assert!(read_all(idle).await.ends_with("fine"));
    busy.write_all(b"abc").await.unwrap();
    let answer = read_all(busy).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with('3'),
        "{answer}"
    );
    fixture.end().await;
}

/// A router whose first request never ends, and what resolves when that is dropped.
fn endless() -> (Router, tokio::sync::oneshot::Receiver<()>) {
    let (held, dropped) = tokio::sync::oneshot::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(Some(held)));
    let handler = move || {
        let held = held.lock().unwrap().take();
        async move {
            std::future::pending::<()>().await;
            drop(held);
        }
    };
    (Router::new().route("/", any(handler)), dropped)
}

#[tokio::test]
async fn cutting_off_drops_what_does_not_end() {
    let (router, dropped) = endless();
    let fixture = Fixture::start(router).await;
    let mut stream = fixture.connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    fixture.cut.cancel();
    assert!(dropped.await.is_err());
    assert_eq!(read_all(stream).await, "");
    fixture.end().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_request() {
    let (router, dropped) = endless();
    let fixture = Fixture::start(router).await;
    let mut stream = fixture.connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(stream);
    assert!(dropped.await.is_err());
    fixture.end().await;
}
