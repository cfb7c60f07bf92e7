//! Bodies that are sent and read piece by piece, and who waits for whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::any;
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::fetch::{Gate, Upstream};
use crate::server::{Answer, PATIENCE, Server};

/// Ways to answer `first;`, wait for the gate, and answer `last`.
const WAYS: [(&str, &str, &str); 7] = [
    (
        "write",
        "index.js",
        "module.exports = async (req, res) => {
            res.write('first;');
            await fetch(process.env.URL + '/gate');
            res.end('last');
        };",
    ),
    (
        "callback",
        "index.js",
        "module.exports = (req, res) => {
            res.type('text/plain').write('first;');
            fetch(process.env.URL + '/gate').then(() => { res.write('last'); res.end(); });
        };",
    ),
    (
        "generator",
        "index.js",
        "async function* items() {
            yield 'first;';
            await fetch(process.env.URL + '/gate');
            yield 'last';
        }
        module.exports = async (req, res) => {
            for await (const item of items()) res.write(item);
            res.end();
        };",
    ),
    (
        "web_stream",
        "index.mjs",
        "const encoder = new TextEncoder();
        export default { fetch(request, env) {
            let count = 0;
            return new Response(new ReadableStream({ async pull(controller) {
                if (count++ === 0) return controller.enqueue(encoder.encode('first;'));
                await fetch(env.URL + '/gate');
                controller.enqueue(encoder.encode('last'));
                controller.close();
            } }));
        } };",
    ),
    (
        "web_generator",
        "index.mjs",
        "const encoder = new TextEncoder();
        export default { fetch(request, env) {
            async function* items() {
                yield encoder.encode('first;');
                await fetch(env.URL + '/gate');
                yield encoder.encode('last');
            }
            return new Response(items());
        } };",
    ),
    (
        "web_transform",
        "index.mjs",
        "const encoder = new TextEncoder();
        export default { fetch(request, env, ctx) {
            const { readable, writable } = new TransformStream();
            ctx.waitUntil((async () => {
                const writer = writable.getWriter();
                await writer.write(encoder.encode('first;'));
                await fetch(env.URL + '/gate');
                await writer.write(encoder.encode('last'));
                await writer.close();
            })());
            return new Response(readable);
        } };",
    ),
    (
        "passed_on",
        "index.mjs",
        "export default { fetch: (request, env) => fetch(env.URL + '/drip') };",
    ),
];

/// `/gate` waits to be let through; `/drip` answers `first;`, waits there, and ends.
fn gated(gate: &Gate) -> Router {
    let held = gate.clone();
    let drip = move || async move {
        let rest = stream::once(async move {
            held.pass().await;
            Bytes::from("last")
        });
        let chunks = stream::iter([Bytes::from("first;")]).chain(rest);
        Body::from_stream(chunks.map(Ok::<_, std::io::Error>))
    };
    Router::new()
        .route("/gate", gate.route())
        .route("/drip", any(drip))
}

/// Deploys a file whose `URL` is the upstream.
async fn deploy(server: &Server, name: &str, filename: &str, source: &str, upstream: &Upstream) {
    let settings = json!({ "env": { "URL": upstream.url("") } });
    let request = server.deploy_request("default", name, filename, source, &settings);
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, 201, "{name}: {}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_piece_arrives_before_the_last_is_made() {
    let server = Server::start().await;
    for (name, filename, source) in WAYS {
        let gate = Gate::new();
        let upstream = Upstream::start(gated(&gate)).await;
        deploy(&server, name, filename, source, &upstream).await;
        let mut response = server.invoke(name).send().await.unwrap();
        assert_eq!(response.status(), 200, "{name}");
        let headers = response.headers();
        assert!(!headers.contains_key("content-length"), "{name}");
        assert_eq!(headers["transfer-encoding"], "chunked", "{name}");
        let first = response.chunk().await.unwrap().unwrap();
        assert_eq!(first, "first;", "{name}");
        // Nothing has let the function get any further.
        gate.arrived(1).await;
        gate.open();
        assert_eq!(response.text().await.unwrap(), "last", "{name}");
        assert_eq!(gate.count(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed_headers_arrive_before_any_body() {
    let server = Server::start().await;
    let gate = Gate::new();
    let upstream = Upstream::start(gated(&gate)).await;
    let source = "module.exports = async (req, res) => {
        res.status(202).set('x-early', 'yes').flushHeaders();
        await fetch(process.env.URL + '/gate');
        res.end('body');
    };";
    deploy(&server, "flush", "index.js", source, &upstream).await;
    let response = server.invoke("flush").send().await.unwrap();
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["x-early"], "yes");
    gate.open();
    assert_eq!(response.text().await.unwrap(), "body");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_has_the_headers_and_no_body() {
    let server = Server::start().await;
    let gate = Gate::new();
    let upstream = Upstream::start(gated(&gate)).await;
    let whole = "module.exports = (req, res) => res.set('x-method', req.method).send('whole');";
    deploy(&server, "whole", "index.js", whole, &upstream).await;
    let head = Answer::of(server.request(Method::HEAD, "/invoke/whole")).await;
    let head = head.expect(200, "");
    assert_eq!(head.header("content-length"), Some("5"));
    assert_eq!(head.header("x-method"), Some("HEAD"));
    assert_eq!(
        head.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    // A streamed answer: the function goes on to its end without anybody to read it.
    let streamed = "module.exports = async (req, res) => {
        res.type('text/plain');
        for (let i = 0; i < 64; i++) {
            if (!res.write('x'.repeat(65536))) await new Promise((go) => res.once('drain', go));
        }
        await fetch(process.env.URL + '/gate');
        res.end();
    };";
    deploy(&server, "streamed", "index.js", streamed, &upstream).await;
    let head = Answer::of(server.request(Method::HEAD, "/invoke/streamed")).await;
    let head = head.expect(200, "");
    assert_eq!(
        head.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    gate.arrived(1).await;
    gate.open();
}

/// Pieces of one MiB, each announced to the upstream before it is written.
const PIECES: usize = 64;

/// Ways to produce all pieces, none sooner than the one before has found room.
const PRODUCERS: [(&str, &str, &str); 3] = [
    (
        "drain",
        "index.js",
        "const piece = Buffer.alloc(1 << 20, 120);
        module.exports = async (req, res) => {
            for (let i = 0; i < 64; i++) {
                await fetch(process.env.URL + '/tick');
                if (!res.write(piece)) await new Promise((go) => res.once('drain', go));
            }
            res.end();
        };",
    ),
    (
        "pull",
        "index.mjs",
        "const piece = new Uint8Array(1 << 20).fill(120);
        export default { fetch(request, env) {
            let count = 0;
            return new Response(new ReadableStream({ async pull(controller) {
                if (count++ === 64) return controller.close();
                await fetch(env.URL + '/tick');
                controller.enqueue(piece.slice());
            } }));
        } };",
    ),
    (
        "generator",
        "index.mjs",
        "const piece = new Uint8Array(1 << 20).fill(120);
        export default { fetch(request, env) {
            async function* pieces() {
                for (let i = 0; i < 64; i++) {
                    await fetch(env.URL + '/tick');
                    yield piece.slice();
                }
            }
            return new Response(pieces());
        } };",
    ),
];

/// Waits until a counter has stood still for a while; what it stands at.
async fn standstill(counter: &AtomicUsize) -> usize {
    let still = async {
        let mut last = counter.load(Ordering::SeqCst);
        let mut since = 0;
        while since < 10 || last == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = counter.load(Ordering::SeqCst);
            since = if now == last { since + 1 } else { 0 };
            last = now;
        }
        last
    };
    let waited = tokio::time::timeout(PATIENCE, still).await;
    waited.expect("it comes to a standstill")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_stops_the_producer() {
    let server = Server::start().await;
    let ticks = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ticks);
    let tick = move || async move {
        counter.fetch_add(1, Ordering::SeqCst);
    };
    let upstream = Upstream::start(Router::new().route("/tick", any(tick))).await;
    for (name, filename, source) in PRODUCERS {
        ticks.store(0, Ordering::SeqCst);
        let settings = json!({
            "env": { "URL": upstream.url("") },
            "limits": { "subrequests": 100 }
        });
        let request = server.deploy_request("default", name, filename, source, &settings);
        assert_eq!(Answer::of(request).await.status, 201, "{name}");
        let response = server.invoke(name).send().await.unwrap();
        assert_eq!(response.status(), 200, "{name}");
        let made = standstill(&ticks).await;
        // What is not stopped makes them all; some fit into the buffers on the way.
        assert!(made < PIECES / 2, "{name}: {made} pieces for nobody");
        let mut body = response.bytes_stream();
        let mut bytes = 0;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.unwrap();
            assert!(chunk.iter().all(|byte| *byte == b'x'), "{name}");
            bytes += chunk.len();
        }
        assert_eq!(bytes, PIECES << 20, "{name}");
        assert_eq!(ticks.load(Ordering::SeqCst), PIECES, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_ends_the_invocation() {
    let server = Server::start().await;
    for (name, filename, source) in WAYS {
        let gate = Gate::new();
        let upstream = Upstream::start(gated(&gate)).await;
        deploy(&server, name, filename, source, &upstream).await;
        let mut response = server.invoke(name).send().await.unwrap();
        let first = response.chunk().await.unwrap().unwrap();
        assert_eq!(first, "first;", "{name}");
        gate.arrived(1).await;
        drop(response);
        if source.contains("waitUntil") {
            // What is promised goes on, and notices when it writes.
            gate.open();
            continue;
        }
        // Its subrequest goes with it, though nobody has let it through.
        gate.abandoned(1).await;
    }
    let running = async {
        while server.app.dispatch.counts().running > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, running).await;
    waited.expect("every invocation ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_fails_halfway_is_not_taken_for_whole() {
    let server = Server::start().await;
    let ways = [
        (
            "thrown",
            "index.js",
            "module.exports = async (req, res) => {
                res.write('first;');
                await fetch(process.env.URL + '/gate');
                throw new Error('halfway');
            };",
        ),
        (
            "errored",
            "index.mjs",
            "const encoder = new TextEncoder();
            export default { fetch(request, env) {
                let count = 0;
                return new Response(new ReadableStream({ async pull(controller) {
                    if (count++ === 0) return controller.enqueue(encoder.encode('first;'));
                    await fetch(env.URL + '/gate');
                    controller.error(new Error('halfway'));
                } }));
            } };",
        ),
        (
            "forgotten",
            "index.js",
            "module.exports = async (req, res) => {
                res.write('first;');
                await fetch(process.env.URL + '/gate');
                console.error('halfway');
            };",
        ),
    ];
    for (name, filename, source) in ways {
        let gate = Gate::new();
        let upstream = Upstream::start(gated(&gate)).await;
        deploy(&server, name, filename, source, &upstream).await;
        let mut response = server.invoke(name).send().await.unwrap();
        let first = response.chunk().await.unwrap().unwrap();
        assert_eq!(first, "first;", "{name}");
        gate.open();
        let rest = response.text().await;
        assert!(rest.is_err(), "{name}: {rest:?}");
        server.log_with(name, "halfway").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_and_text_are_written_as_they_are() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => {
        res.write(Buffer.from([0, 255, 128]));
        res.write(new Uint8Array([1, 2, 3, 4]).subarray(1, 3));
        res.write('é');
        res.write('ff00', 'hex');
        res.write('');
        res.write('é', 'latin1');
        res.end(Buffer.from([7]));
    };";
    server.deploy("bytes", source).await;
    let answer = Answer::of(server.invoke("bytes")).await;
    let expected = [0, 255, 128, 2, 3, 0xc3, 0xa9, 0xff, 0, 0xe9, 7];
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, &expected[..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_writes_arrive_whole_and_in_order() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => {
        for (let i = 0; i < 20000; i++) res.write(`${i},`);
        res.end('end');
    };";
    server.deploy("many", source).await;
    let answer = Answer::of(server.invoke("many")).await;
    let mut expected: String = (0..20_000).map(|number| format!("{number},")).collect();
    expected.push_str("end");
    answer.expect(200, &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_after_the_end_is_an_error_that_can_be_caught() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        res.write('a');
        try { res.set('x-late', '1'); } catch (error) { res.write(`,${error.code}`); }
        res.end();
        try { res.write('b'); } catch (error) { console.log(error.code); }
    };";
    server.deploy("late", source).await;
    let answer = Answer::of(server.invoke("late")).await;
    let answer = answer.expect(200, "a,ERR_HTTP_HEADERS_SENT");
    assert!(answer.header("x-late").is_none());
    // The invocation goes on after its answer.
    server.log_with("late", "ERR_STREAM_WRITE_AFTER_END").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_stream_is_an_empty_answer() {
    let server = Server::start().await;
    let source = "export default { fetch: () => new Response(
        new ReadableStream({ start: (controller) => controller.close() })) };";
    let request = server.deploy_request("default", "empty", "index.mjs", source, &json!({}));
    assert_eq!(Answer::of(request).await.status, 201);
    Answer::of(server.invoke("empty")).await.expect(200, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_body_can_be_read_as_a_stream() {
    let server = Server::start().await;
    let source = "export default { async fetch(request) {
        switch (new URL(request.url).pathname) {
            case '/echo':
                return new Response(request.body);
            case '/upper': {
                const upper = new TransformStream({ transform(chunk, controller) {
                    controller.enqueue(chunk.map((b) => (b > 96 && b < 123 ? b - 32 : b)));
                } });
                return new Response(request.body.pipeThrough(upper));
            }
            default: {
                let bytes = 0;
                for await (const chunk of request.body) bytes += chunk.length;
                return Response.json({ bytes, used: request.bodyUsed });
            }
        }
    } };";
    let request = server.deploy_request("default", "reads", "index.mjs", source, &json!({}));
    assert_eq!(Answer::of(request).await.status, 201);
    let pattern: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let send = |path: &str, body: Vec<u8>| server.post(&format!("reads/{path}")).body(body);
    let echo = Answer::of(send("echo", pattern.clone())).await;
    assert!(echo.body == pattern, "{} bytes differ", echo.body.len());
    let upper = Answer::of(send("upper", b"Hello, stream".to_vec())).await;
    upper.expect(200, "HELLO, STREAM");
    let count = Answer::of(send("count", pattern)).await.json();
    let expected: Value = json!({ "bytes": 3_000_000, "used": true });
    assert_eq!(count, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_body_is_passed_on_to_an_upstream() {
    let received = |body: Bytes| async move { body.len().to_string() };
    let upstream = Upstream::start(
        Router::new()
            .route("/count", any(received))
            .layer(axum::extract::DefaultBodyLimit::disable()),
    )
    .await;
    let server = Server::start().await;
    let source = "export default { fetch: (request, env) => fetch(env.URL + '/count', {
        method: 'POST', body: request.body, duplex: 'half' }) };";
    deploy(&server, "proxy", "index.mjs", source, &upstream).await;
    let request = server.post("proxy").body(vec![7_u8; 3_000_000]);
    Answer::of(request).await.expect(200, "3000000");
}
