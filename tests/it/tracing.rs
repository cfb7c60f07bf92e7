//! Traces: which one an invocation belongs to, what its subrequests carry on, and what is exported.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ampoule::config::Observe;
use ampoule::trace::{Sampler, TraceConfig};

use crate::server::{Answer, Options, PATIENCE, Server};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const SOURCE: &str = "module.exports = async (req, res) => {
    const headers = req.query.own ? { traceparent: req.query.own } : {};
    const answer = await fetch(req.query.url, { headers });
    res.send(await answer.text());
}";

/// A server that keeps the requests it gets, whole, and answers 200 with the head of each.
struct Peer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Peer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                let mut chunk = [0; 4096];
                let head = loop {
                    let count = stream.read(&mut chunk).unwrap_or(0);
                    request.extend_from_slice(&chunk[..count]);
                    let end = request.windows(4).position(|part| part == b"\r\n\r\n");
                    if let Some(end) = end {
                        break String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
                    }
                    if count == 0 {
                        break String::new();
                    }
                };
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |length| length.trim().parse::<usize>().unwrap());
                while request.len() < head.len() + 4 + length {
                    let count = stream.read(&mut chunk).unwrap_or(0);
                    request.extend_from_slice(&chunk[..count]);
                    if count == 0 {
                        break;
                    }
                }
                kept.lock().unwrap().push(request);
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{head}",
                    head.len()
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, seen }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Everything that was sent to it.
    fn all(&self) -> Vec<u8> {
        self.seen.lock().unwrap().concat()
    }

    fn has(&self, part: &[u8]) -> bool {
        self.all().windows(part.len()).any(|found| found == part)
    }

    /// Waits until it was sent this.
    async fn gets(&self, part: &[u8]) {
        let sent = async {
            while !self.has(part) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let sent = tokio::time::timeout(PATIENCE, sent).await;
        sent.unwrap_or_else(|_| panic!("{} is exported", String::from_utf8_lossy(part)));
    }
}

async fn traced(collector: &Peer, sampler: &str) -> Server {
    let observe = Observe {
        traces: Some(TraceConfig {
            endpoint: format!("{}v1/traces", collector.url()),
            service: "the-service".to_owned(),
            sampler: Sampler::parse(sampler, None).unwrap(),
        }),
        ..Observe::default()
    };
    Server::with(Options {
        observe,
        ..Options::default()
    })
    .await
}

/// The `traceparent` that a subrequest arrived with.
fn carried(head: &str) -> Option<&str> {
    head.lines()
        .find_map(|line| line.strip_prefix("traceparent: "))
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[tokio::test]
async fn spans_of_request_load_invocation_and_subrequest_are_exported() {
    let (collector, peer) = (Peer::start(), Peer::start());
    let server = traced(&collector, "parentbased_always_on").await;
    server.deploy("f", SOURCE).await;
    let request = server
        .invoke(&format!("f?url={}&token=hidden", peer.url()))
        .header("traceparent", PARENT)
        .header("tracestate", "vendor=1");
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-trace-id"), Some(TRACE));
    let head = answer.text();
    let sent = carried(&head).expect("the subrequest carries the trace");
    assert!(
        sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-01"),
        "{sent}"
    );
    assert!(
        !sent.contains("00f067aa0ba902b7"),
        "its parent is ours: {sent}"
    );
    assert!(head.contains("tracestate: vendor=1"), "{head}");
    for name in [
        "invoke f",
        "load",
        "invocation",
        "subrequest",
        "the-service",
    ] {
        collector.gets(name.as_bytes()).await;
    }
    assert!(collector.has(b"POST /v1/traces HTTP/1.1"));
    assert!(collector.has(&bytes_of(TRACE)), "the trace's id");
    assert!(
        collector.has(&bytes_of("00f067aa0ba902b7")),
        "the caller's span"
    );
    assert!(
        collector.has(&bytes_of(&sent[36..52])),
        "the span that the subrequest was told"
    );
    assert!(!collector.has(b"hidden"), "queries are not told");
    let lines = server.log("f").await;
    assert!(lines.is_empty());
    let records = server.request(
        reqwest::Method::GET,
        "/api/v1/tenants/default/functions/f/invocations",
    );
    let records = Answer::of(records).await.json();
    assert_eq!(records["invocations"][0]["trace_id"], TRACE);
}

#[tokio::test]
async fn a_function_may_say_itself_what_its_subrequests_carry() {
    let (collector, peer) = (Peer::start(), Peer::start());
    let server = traced(&collector, "always_on").await;
    server.deploy("f", SOURCE).await;
    let target = format!("f?url={}&own=mine", peer.url());
    let answer = Answer::of(server.invoke(&target).header("traceparent", PARENT)).await;
    assert_eq!(carried(&answer.text()), Some("mine"));
}

#[tokio::test]
async fn a_trace_that_the_caller_does_not_record_is_passed_on_and_not_exported() {
    let (collector, peer) = (Peer::start(), Peer::start());
    let server = traced(&collector, "parentbased_always_on").await;
    server.deploy("f", SOURCE).await;
    let target = format!("f?url={}", peer.url());
    let unsampled = PARENT.replace("-01", "-00");
    let request = server.invoke(&target).header("traceparent", &unsampled);
    let answer = Answer::of(request).await;
    assert_eq!(carried(&answer.text()), Some(unsampled.as_str()));
    // Spans leave in order: once these are there, the others would be.
    Answer::of(server.invoke(&target)).await;
    collector.gets(b"invoke f").await;
    server.stop().await;
    assert!(!collector.has(&bytes_of(TRACE)));
}

#[tokio::test]
async fn without_a_collector_a_caller_s_trace_goes_through_and_none_is_begun() {
    let peer = Peer::start();
    let server = Server::start().await;
    server.deploy("f", SOURCE).await;
    let target = format!("f?url={}", peer.url());
    let through = Answer::of(server.invoke(&target).header("traceparent", PARENT)).await;
    assert_eq!(carried(&through.text()), Some(PARENT));
    assert_eq!(through.header("x-trace-id"), Some(TRACE));
    let begun = Answer::of(server.invoke(&target)).await;
    assert_eq!(carried(&begun.text()), None);
    let id = begun.header("x-trace-id").unwrap();
    assert!(id.len() == 32 && id != TRACE, "{id}");
    let invalid = server.invoke(&target).header("traceparent", "nonsense");
    assert_eq!(carried(&Answer::of(invalid).await.text()), None);
}

#[tokio::test]
async fn what_is_left_is_exported_when_the_server_stops() {
    let collector = Peer::start();
    let server = traced(&collector, "always_on").await;
    server
        .deploy("f", "module.exports = (req, res) => res.end()")
        .await;
    Answer::of(server.invoke("f")).await;
    server.stop().await;
    assert!(
        collector.has(b"invoke f"),
        "exported before the server has stopped"
    );
}

#[tokio::test]
async fn a_collector_that_is_gone_costs_spans_and_nothing_else() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = collector.local_addr().unwrap();
    drop(collector);
    let observe = Observe {
        traces: Some(TraceConfig {
            endpoint: format!("http://{address}/v1/traces"),
            service: "s".to_owned(),
            sampler: Sampler::parse("always_on", None).unwrap(),
        }),
        ..Observe::default()
    };
    let server = Server::with(Options {
        observe,
        ..Options::default()
    })
    .await;
    server
        .deploy("f", "module.exports = (req, res) => res.end()")
        .await;
    for _ in 0..5 {
        assert_eq!(Answer::of(server.invoke("f")).await.status, 200);
    }
    let counted = async {
        while server.app.dispatch.spans_dropped() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let counted = tokio::time::timeout(PATIENCE, counted).await;
    counted.expect("dropped spans are counted");
}
