//! Functions and clients that mean harm: each ends its own invocation, and nothing else.

use std::time::{Duration, Instant};

use crate::server::{Answer, PATIENCE, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Enough for any honest handler, and used up in well under a second.
const LITTLE_FUEL: u64 = 300_000_000;

/// A handler that answers `calm` when asked to, and else does `body`.
fn handler(body: &str) -> String {
    format!(
        "module.exports = async (req, res) => {{
            if (req.query.calm) return res.send('calm');
            {body}
        }};"
    )
}

async fn deploy_bystander(server: &Server) {
    server.deploy("bystander", &handler("")).await;
}

/// The same function and another one work as if nothing had been, and nothing is left running.
async fn assert_unharmed(server: &Server, function: &str) {
    server.until_idle().await;
    for _ in 0..3 {
        for name in [function, "bystander"] {
            let answer = Answer::of(server.invoke(&format!("{name}?calm=1"))).await;
            answer.expect(200, "calm");
        }
    }
}

/// Does `body` in an invocation that must end with this problem, then looks around.
async fn assert_ends(server: &Server, body: &str, limits: Value, status: u16, code: &str) {
    let settings = json!({ "limits": limits });
    server.deploy_with("bad", &handler(body), settings).await;
    let answer = Answer::of(server.invoke("bad")).await;
    let problem = answer.expect_problem(status, code).json();
    let log = server.log_text("bad").await;
    assert!(
        log.contains(code) || code == "function_threw",
        "{body}: {log}"
    );
    assert_eq!(problem["origin"], "function", "{body}");
    assert_unharmed(server, "bad").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_work_ends_when_its_fuel_is_used_up() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    for body in [
        "while (true) {}",
        "const again = () => Promise.resolve().then(again); await again();
         await new Promise(() => {});",
        "for (;;) await null;",
        "const again = () => queueMicrotask(again); again();",
        "const again = () => process.nextTick(again); again();",
        "res.send(String(/^(a+)+$/.test('a'.repeat(40) + 'b')));",
        "const numbers = Array.from({ length: 1e5 }, (_, i) => (i * 7919) % 100003);
         numbers.sort((a, b) => { for (let i = 0; i < 1e4; i++); return a - b; });",
        "for (;;) await kv.get('nothing');",
        "for (;;) { try { await kv.get(''); } catch {} }",
        "for (;;) try { while (true) {} } finally { continue; }",
        "new Function('while (true) {}')();",
        "JSON.stringify({ toJSON() { while (true) {} } });",
    ] {
        let limits = json!({ "fuel": LITTLE_FUEL });
        assert_ends(&server, body, limits, 504, "cpu_exceeded").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_waiting_ends_when_its_time_is_over() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    for body in [
        "for (;;) await kv.get('nothing');",
        "await new Promise((resolve) => setTimeout(resolve, 1e9));",
        "setInterval(() => {}, 1); await new Promise(() => {});",
        "while (true) {}",
    ] {
        let begun = Instant::now();
        let limits = json!({ "wall_ms": 200 });
        assert_ends(&server, body, limits, 504, "wall_exceeded").await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_that_nothing_can_settle_ends_at_once() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    let body = "await new Promise(() => {});";
    assert_ends(&server, body, json!({}), 500, "function_threw").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recursion_without_end_exceeds_the_stack_alone() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    for body in [
        "const f = (n) => 1 + f(n + 1); res.send(String(f(0)));",
        "const o = {}; Object.defineProperty(o, 'x', { get() { return o.x; } }); o.x;",
        "class A { toString() { return `${this}`; } } `${new A()}`;",
    ] {
        assert_ends(&server, body, json!({}), 500, "stack_exceeded").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_can_catch_its_own_recursion() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => {
        let depth = 0;
        const dive = () => { depth++; dive(); };
        try { dive(); } catch (error) { res.json([error.name, error.message, depth > 100]); }
    };";
    server.deploy("dive", source).await;
    let answer = Answer::of(server.invoke("dive")).await;
    answer.expect(
        200,
        r#"["RangeError","Maximum call stack size exceeded",true]"#,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_without_bound_is_refused() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    for body in [
        "const all = []; for (;;) all.push(new Uint8Array(65536));",
        "const all = []; for (;;) all.push({ a: all.length });",
        "const all = new Map(); for (;;) all.set(all.size, 'x'.repeat(1000));",
        "new Uint8Array(2 ** 30);",
        "const text = 'x'.repeat(2 ** 29); res.send(String(text.length));",
        "let text = '0123456789abcdef'; while (text.length < 2 ** 29) text += text;
         res.send(String(text.charCodeAt(7)));",
        "const all = []; const more = async () => { all.push('x'.repeat(1e5)); await more(); };
         for (;;) { all.push(Buffer.alloc(1e5)); await null; }",
    ] {
        let limits = json!({ "memory_bytes": 32 << 20 });
        assert_ends(&server, body, limits, 507, "memory_exceeded").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_string_of_a_gigabyte_is_an_exception() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    for body in [
        "res.send(String('x'.repeat(2 ** 30).length));",
        "let text = '0123456789abcdef'; for (;;) text += text;",
    ] {
        assert_ends(&server, body, json!({}), 500, "function_threw").await;
    }
    let caught = "try { 'x'.repeat(2 ** 30); } catch (error) { res.send(error.name); }";
    server.deploy("caught", &handler(caught)).await;
    let answer = Answer::of(server.invoke("caught")).await;
    answer.expect(200, "RangeError");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_ten_megabytes_is_parsed_within_the_limits() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    let body = "res.json({ length: req.body.length, last: req.body.at(-1) });";
    server.deploy("parse", &handler(body)).await;
    let names: Vec<String> = (0..1_100_000).map(|i| format!("{i:06}")).collect();
    for (text, length) in [
        (json!(names).to_string(), 1_100_000),
        (format!("[{}7]", "7,".repeat((5 << 20) - 3)), (5 << 20) - 2),
    ] {
        assert!((9 << 20..=10 << 20).contains(&text.len()), "{}", text.len());
        let request = server
            .post("parse")
            .header("content-type", "application/json")
            .body(text);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["length"], length);
    }
    assert_unharmed(&server, "parse").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_hostile_to_parsers_harms_its_invocation_alone() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    server
        .deploy("parse", &handler("res.json(Array.isArray(req.body));"))
        .await;
    let post = |text: String| {
        let request = server
            .post("parse")
            .header("content-type", "application/json");
        request.body(text)
    };
    // More objects than fit in memory: that is the function's limit, not a malformed body.
    let many = format!("[{}{{}}]", "{},".repeat(3_400_000));
    let answer = Answer::of(post(many)).await;
    answer.expect_problem(507, "memory_exceeded");
    assert_unharmed(&server, "parse").await;
    // Nested deeper than any stack.
    let nested = format!("{}{}", "[".repeat(2_000_000), "]".repeat(2_000_000));
    let answer = Answer::of(post(nested)).await;
    answer.expect_problem(500, "stack_exceeded");
    assert_unharmed(&server, "parse").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_that_load_without_end_are_refused_and_nothing_is_deployed() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    for source in [
        "while (true) {}",
        "const all = []; for (;;) all.push(new Uint8Array(65536));",
        "const f = () => f() + 1; f();",
    ] {
        let request = server.deploy_request("default", "slow", "index.js", source, &json!({}));
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 422, "{source}: {}", answer.text());
        let code = answer.json()["code"].clone();
        let is_stack = source.contains("f()") && code == "load_threw";
        assert!(
            code == "load_exceeded" || is_stack,
            "{source}: {}",
            answer.text()
        );
        let answer = Answer::of(server.invoke("slow")).await;
        answer.expect_problem(404, "function_not_found");
        let answer = Answer::of(server.invoke("bystander?calm=1")).await;
        answer.expect(200, "calm");
    }
}

/// Counts in kv for as long as it runs.
const COUNTING: &str = "for (let n = 1; ; n++) { await kv.set('n', n); await sleep(1); }";

const PEEK: &str = "module.exports = async (req, res) => {
    await kv.set('fence', 1);
    res.json(await kv.get('n'));
};";

async fn peek(server: &Server) -> Value {
    let answer = Answer::of(server.invoke("peek")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Sends a request by hand; the connection is the caller's to drop.
async fn send(server: &Server, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn until_counting(server: &Server) {
    let begun = Instant::now();
    while peek(server).await.is_null() {
        assert!(begun.elapsed() < PATIENCE, "the function never began");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Nothing runs any more, and what ran writes nothing any more.
async fn assert_stopped(server: &Server) {
    server.until_idle().await;
    let last = peek(server).await;
    for _ in 0..30 {
        assert_eq!(peek(server).await, last);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_before_the_answer_ends_its_invocation() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    server.deploy("peek", PEEK).await;
    server.deploy("counts", &handler(COUNTING)).await;
    let stream = send(&server, "GET /invoke/counts HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until_counting(&server).await;
    drop(stream);
    assert_stopped(&server).await;
    assert_unharmed(&server, "counts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_in_the_middle_of_a_stream_ends_its_invocation() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    server.deploy("peek", PEEK).await;
    let body = format!("res.write('begun'); {COUNTING}");
    server.deploy("counts", &handler(&body)).await;
    let mut stream = send(&server, "GET /invoke/counts HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut head = [0; 16];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK\r");
    until_counting(&server).await;
    drop(stream);
    assert_stopped(&server).await;
    assert_unharmed(&server, "counts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_ends_an_endless_loop() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    server.deploy("peek", PEEK).await;
    let limits = json!({ "limits": { "fuel": 1_000_000_000_000_u64, "wall_ms": 300_000 } });
    let body = "await kv.set('n', 1); while (true) {}";
    server.deploy_with("spins", &handler(body), limits).await;
    let stream = send(&server, "GET /invoke/spins HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until_counting(&server).await;
    drop(stream);
    assert_stopped(&server).await;
    assert_unharmed(&server, "spins").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hang_up_all_the_time_leave_nothing_behind() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    let body = "res.write('begun'); await sleep(1e8);";
    server.deploy("waits", &handler(body)).await;
    // Several times as many as may run at once.
    for _ in 0..4 {
        let mut streams = Vec::new();
        for _ in 0..90 {
            let request = "GET /invoke/waits HTTP/1.1\r\nhost: a\r\n\r\n";
            let mut stream = send(&server, request).await;
            let mut head = [0; 16];
            stream.read_exact(&mut head).await.unwrap();
            assert_eq!(&head, b"HTTP/1.1 200 OK\r");
            streams.push(stream);
        }
        drop(streams);
        server.until_idle().await;
    }
    assert_unharmed(&server, "waits").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_half_a_body_runs_nothing() {
    let server = Server::start().await;
    deploy_bystander(&server).await;
    server.deploy("peek", PEEK).await;
    let body = "console.log('ran'); await kv.set('n', 1); res.send('ran');";
    server.deploy("writes", &handler(body)).await;
    for (head, sent) in [
        ("content-length: 100", "only this"),
        ("transfer-encoding: chunked", "9\r\nonly this\r\n"),
        ("transfer-encoding: chunked", "ff\r\nonly this"),
    ] {
        let request = format!("POST /invoke/writes HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n{sent}");
        for is_polite in [true, false] {
            let mut stream = send(&server, &request).await;
            if is_polite {
                // The client still listens: it is told, or at least not kept waiting.
                stream.shutdown().await.unwrap();
                let mut answer = String::new();
                let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer));
                let _ = read.await.expect("the connection ends");
                let is_problem = answer.starts_with("HTTP/1.1 400 ");
                assert!(answer.is_empty() || is_problem, "{answer}");
                let names_it = answer.contains("\"code\":\"body_incomplete\"");
                assert!(answer.is_empty() || names_it, "{answer}");
            }
            drop(stream);
            server.until_idle().await;
        }
    }
    assert!(peek(&server).await.is_null());
    assert_eq!(server.log_text("writes").await, "");
    assert_unharmed(&server, "writes").await;
}
