//! Every limit, just below and just above: below nothing happens, above its own code.

use std::time::{Duration, Instant};

use crate::server::{Answer, Options, Server};
use futures_util::{StreamExt, stream};
use reqwest::Response;
use serde_json::{Value, json};

/// Deploys a function with one limit.
async fn deploy(server: &Server, source: &str, limit: &str, value: u64) {
    let settings = json!({ "limits": { limit: value } });
    server.deploy_with("f", source, settings).await;
}

async fn get(server: &Server, target: &str) -> Answer {
    Answer::of(server.invoke(target)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fuel_is_counted_to_the_instruction() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => {
        for (let i = 0; i < 1000; i++);
        res.send('done');
    };";
    let (mut too_little, mut enough) = (1_000, 10_000_000);
    while enough - too_little > 1 {
        let middle = u64::midpoint(too_little, enough);
        deploy(&server, source, "fuel", middle).await;
        match get(&server, "f").await.status {
            200 => enough = middle,
            _ => too_little = middle,
        }
    }
    for _ in 0..5 {
        deploy(&server, source, "fuel", too_little).await;
        get(&server, "f").await.expect_problem(504, "cpu_exceeded");
        deploy(&server, source, "fuel", enough).await;
        get(&server, "f").await.expect(200, "done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_counted_waiting_included() {
    let server = Server::start().await;
    let source =
        "module.exports = async (req, res) => { await sleep(+req.query.ms); res.send('done'); };";
    deploy(&server, source, "wall_ms", 1000).await;
    let begun = Instant::now();
    get(&server, "f?ms=100").await.expect(200, "done");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    let begun = Instant::now();
    let answer = get(&server, "f?ms=60000").await;
    answer.expect_problem(504, "wall_exceeded");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_counted_on_top_of_the_snapshot() {
    let server = Server::start().await;
    // A snapshot of several megabytes, which the limit does not count.
    let source = "const own = new Uint8Array(8 << 20).fill(7);
        module.exports = (req, res) => {
            const bytes = new Uint8Array(+req.query.mib << 20);
            res.send(String(bytes.length + own[5]));
        };";
    deploy(&server, source, "memory_bytes", 16 << 20).await;
    get(&server, "f?mib=15").await.expect(200, "15728647");
    // A snapshot has some room of its own; it cannot be as much as this.
    let answer = get(&server, "f?mib=20").await;
    answer.expect_problem(507, "memory_exceeded");
    get(&server, "f?mib=15").await.expect(200, "15728647");
    deploy(&server, source, "memory_bytes", 21 << 20).await;
    get(&server, "f?mib=20").await.expect(200, "20971527");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_body_may_have_its_limit_and_no_byte_more() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        await kv.increment('ran'); res.send(String(req.rawBody.length));
    };";
    deploy(&server, source, "request_body_bytes", 1000).await;
    let whole = |bytes: usize| server.post("f").body(vec![b'x'; bytes]);
    let chunked = |bytes: usize| {
        let chunks: Vec<_> = vec![b'x'; bytes].chunks(100).map(<[u8]>::to_vec).collect();
        let chunks = stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
        server.post("f").body(reqwest::Body::wrap_stream(chunks))
    };
    Answer::of(whole(1000)).await.expect(200, "1000");
    Answer::of(chunked(1000)).await.expect(200, "1000");
    let too_large = [
        whole(1001),
        chunked(1001),
        whole(1_000_000),
        chunked(1_000_000),
    ];
    for request in too_large {
        let answer = Answer::of(request).await;
        let answer = answer.expect_problem(413, "body_too_large");
        assert_eq!(answer.json()["origin"], "caller");
    }
    // What was refused never ran.
    let source = "module.exports = async (req, res) => res.json(await kv.get('ran'));";
    server.deploy("ran", source).await;
    get(&server, "ran").await.expect(200, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_response_may_have_its_limit_and_no_byte_more() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => res.send('x'.repeat(+req.query.n));";
    deploy(&server, source, "response_body_bytes", 1000).await;
    get(&server, "f?n=1000")
        .await
        .expect(200, &"x".repeat(1000));
    let answer = get(&server, "f?n=1001").await;
    answer.expect_problem(500, "response_too_large");
    assert!(server.log_text("f").await.contains("response_too_large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_response_may_have_its_limit_and_no_byte_more() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        for (let i = 0; i < +req.query.n; i++) { res.write('x'.repeat(100)); await sleep(1); }
        res.end();
    };";
    deploy(&server, source, "response_body_bytes", 1000).await;
    get(&server, "f?n=10").await.expect(200, &"x".repeat(1000));
    assert_eq!(server.log_text("f").await, "");
    let response = server.invoke("f?n=11").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.bytes_stream();
    let mut received = 0;
    let mut broke_off = false;
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => received += chunk.len(),
            Err(_) => broke_off = true,
        }
    }
    assert!(broke_off, "the client takes it for whole");
    assert!(received <= 1000, "{received}");
    server.until_idle().await;
    let log = server.log_text("f").await;
    assert!(log.contains("response_too_large"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn subrequests_beyond_the_limit_are_rejected_and_can_be_caught() {
    let server = Server::start().await;
    // Nobody listens there; what counts is that each attempt is one.
    let source = "module.exports = async (req, res) => {
        const codes = [];
        for (let i = 0; i < +req.query.n; i++) {
            await fetch('http://127.0.0.1:1/').catch((error) => codes.push(error.cause.code));
        }
        res.json(codes);
    };";
    deploy(&server, source, "subrequests", 3).await;
    get(&server, "f?n=3")
        .await
        .expect(200, r#"["connect","connect","connect"]"#);
    get(&server, "f?n=4").await.expect(
        200,
        r#"["connect","connect","connect","subrequests_exceeded"]"#,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn log_text_beyond_the_limit_is_dropped_and_that_is_said_once() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => {
        for (let i = 0; i < +req.query.n; i++) console.log('0123456789');
        res.send('done');
    };";
    deploy(&server, source, "log_bytes", 100).await;
    get(&server, "f?n=10").await.expect(200, "done");
    let log = server.log_text("f").await;
    assert_eq!(log, ["0123456789"; 10].join("\n"));
    get(&server, "f?n=1000").await.expect(200, "done");
    let log = server.log("f").await;
    assert_eq!(log.len(), 21, "{log:?}");
    assert_eq!(log[20]["level"], "warn");
    let last = log[20]["message"].as_str().unwrap();
    assert!(last.starts_with("log_exceeded: "), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_an_invocation_ended_is_logged_even_when_its_log_is_full() {
    let server = Server::start().await;
    let source = "module.exports = () => {
        for (let i = 0; i < 100; i++) console.log('0123456789');
        throw new Error('at last');
    };";
    deploy(&server, source, "log_bytes", 100).await;
    get(&server, "f")
        .await
        .expect_problem(500, "function_threw");
    let log = server.log("f").await;
    let last = log.last().unwrap()["message"].as_str().unwrap();
    assert!(
        last.starts_with("Uncaught Error: at last\n    at "),
        "{last}"
    );
    assert_eq!(log.len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_and_their_number_are_bounded() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => {
        console.log('x'.repeat(100000));
        for (let i = 0; i < 20000; i++) console.log('');
        res.send('done');
    };";
    server.deploy("f", source).await;
    get(&server, "f").await.expect(200, "done");
    let log = server.log("f").await;
    let longest = log
        .iter()
        .map(|line| line["message"].as_str().unwrap().len());
    assert!(longest.max().unwrap() <= 16 << 10);
    let last = log.last().unwrap()["message"].as_str().unwrap();
    assert!(last.starts_with("log_exceeded: "), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn host_calls_beyond_those_in_progress_wait_for_their_turn() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        const all = Array.from({ length: +req.query.n }, () => kv.get('nothing'));
        res.json((await Promise.all(all)).length);
    };";
    server.deploy("f", source).await;
    get(&server, "f?n=256").await.expect(200, "256");
    get(&server, "f?n=257").await.expect(200, "257");
    get(&server, "f?n=5000").await.expect(200, "5000");
}

/// A function that answers at once and goes on until its client leaves.
const HOLDING: &str = "module.exports = async (req, res) => {
    if (req.query.hold === undefined) return res.send('passed');
    res.write('held');
    await sleep(1e8);
};";

/// Begins an invocation that runs for as long as the answer is kept.
async fn hold(server: &Server, tenant: &str) -> Response {
    let target = server.invoke_for(tenant, "holding?hold");
    let mut response = target.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.chunk().await.unwrap().unwrap(), "held");
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_may_run_so_many_at_once_and_then_is_busy_alone() {
    let server = Server::with(Options {
        max_concurrent_per_tenant: 2,
        ..Options::default()
    })
    .await;
    for tenant in ["a", "b"] {
        server
            .deploy_for(tenant, "holding", HOLDING, json!({}))
            .await;
    }
    let first = hold(&server, "a").await;
    Answer::of(server.invoke_for("a", "holding"))
        .await
        .expect(200, "passed");
    let second = hold(&server, "a").await;
    let busy = Answer::of(server.invoke_for("a", "holding")).await;
    let busy = busy.expect_problem(429, "tenant_busy");
    let seconds: u32 = busy.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds > 0);
    assert_eq!(busy.json()["origin"], "caller");
    // Another tenant does not notice.
    Answer::of(server.invoke_for("b", "holding"))
        .await
        .expect(200, "passed");
    drop((first, second));
    server.until_idle().await;
    Answer::of(server.invoke_for("a", "holding"))
        .await
        .expect(200, "passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tenants_together_may_run_so_many_at_once() {
    let server = Server::with(Options {
        max_concurrent: 2,
        max_concurrent_per_tenant: 2,
        ..Options::default()
    })
    .await;
    for tenant in ["a", "b", "c"] {
        server
            .deploy_for(tenant, "holding", HOLDING, json!({}))
            .await;
    }
    let first = hold(&server, "a").await;
    Answer::of(server.invoke_for("c", "holding"))
        .await
        .expect(200, "passed");
    let second = hold(&server, "b").await;
    let busy = Answer::of(server.invoke_for("c", "holding")).await;
    let busy = busy.expect_problem(503, "server_busy");
    let seconds: u32 = busy.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds > 0);
    assert_eq!(busy.json()["origin"], "platform");
    drop((first, second));
    server.until_idle().await;
    Answer::of(server.invoke_for("c", "holding"))
        .await
        .expect(200, "passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_accepted_up_to_the_maximum() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => res.send('fine');";
    for (limit, max) in [
        ("fuel", 1_000_000_000_000_u64),
        ("wall_ms", 300_000),
        ("memory_bytes", 512 << 20),
        ("request_body_bytes", 100 << 20),
        ("response_body_bytes", 1 << 30),
        ("subrequests", 1000),
        ("log_bytes", 16 << 20),
    ] {
        let settings = |value: Value| json!({ "limits": { limit: value } });
        let deployed = server.deploy_with("f", source, settings(json!(max))).await;
        assert_eq!(deployed["limits"][limit], max);
        get(&server, "f").await.expect(200, "fine");
        for wrong in [json!(max + 1), json!(0), json!(-1), json!(1.5), json!("1")] {
            let settings = settings(wrong);
            let request = server.deploy_request("default", "f", "index.js", source, &settings);
            let answer = Answer::of(request).await;
            let problem = answer.expect_problem(400, "settings_invalid").json();
            let detail = problem["detail"].as_str().unwrap();
            if settings["limits"][limit] == max + 1 {
                assert!(detail.contains(limit), "{detail}");
            }
        }
    }
    let settings = json!({ "limits": { "fuell": 1 } });
    let request = server.deploy_request("default", "f", "index.js", source, &settings);
    Answer::of(request)
        .await
        .expect_problem(400, "settings_invalid");
}
