//! The promises of the document "Serverless Function Runtime", line by line: `s3_NN` tests the
//! line S3-NN of `docs/seed-lines.md`.
//!
//! The platform that its program binds is a small server of the test; the two functions are the
//! document's, as they are written, with every limit at its default.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::events::{call, call_for, deploy, deploy_with};
use crate::fetch::Upstream;
use crate::samples::read;
use crate::server::{Answer, Server};

const WEBHOOK: &str = "S3-112-119";
const LOOKUP: &str = "S3-128-132";

/// The platform of the document: `fetch`, `db_query` and `log`.
pub(crate) struct Platform {
    upstream: Upstream,
    /// The bodies of all calls, in the order of arrival.
    calls: Arc<Mutex<Vec<Value>>>,
}

impl Platform {
    pub(crate) async fn start() -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&calls);
        let answer = move |Json(call): Json<Value>| {
            let kept = Arc::clone(&kept);
            async move {
                let result = result(&call);
                kept.lock().unwrap().push(call);
                Json(result)
            }
        };
        let upstream = Upstream::start(Router::new().route("/", post(answer))).await;
        Self { upstream, calls }
    }

    /// Binds its functions for a tenant.
    pub(crate) async fn bind(&self, server: &Server, tenant: &str, names: &[&str]) {
        for name in names {
            bind(server, tenant, name, &self.upstream.url("/")).await;
        }
    }

    /// The arguments of all calls of one function.
    fn arguments(&self, name: &str) -> Vec<Value> {
        let calls = self.calls.lock().unwrap();
        let of = calls.iter().filter(|call| call["binding"] == name);
        of.map(|call| call["arguments"].clone()).collect()
    }
}

fn result(call: &Value) -> Value {
    match call["binding"].as_str().unwrap() {
        "fetch" => {
            let url = call["arguments"][0].as_str().unwrap();
            json!({ "result": { "status": 200, "data": format!("Response from {url}") } })
        }
        "db_query" => json!({ "result": [
            { "id": 1, "name": "Alice" }, { "id": 2, "name": "Bob" },
        ] }),
        "log" => json!({ "result": null }),
        name => json!({ "error": { "message": format!("no {name}") } }),
    }
}

pub(crate) async fn bind(server: &Server, tenant: &str, name: &str, url: &str) {
    bind_with(server, tenant, name, json!({ "url": url })).await;
}

pub(crate) async fn bind_with(server: &Server, tenant: &str, name: &str, binding: Value) {
    let path = format!("/api/v1/tenants/{tenant}/bindings/{name}");
    let request = server.request(Method::PUT, &path).body(binding.to_string());
    let answer = Answer::of(request).await;
    assert!([200, 201].contains(&answer.status), "{}", answer.text());
}

async fn deploy_sample(server: &Server, tenant: &str, function: &str, sample: &str) {
    let source = read(&format!("{sample}/function.js"));
    assert!(source.starts_with('\n') && source.ends_with("}\n"));
    let settings = json!({ "kind": "event" });
    server.deploy_for(tenant, function, &source, settings).await;
}

/// Everything that the document's program sets up.
async fn program() -> (Server, Platform) {
    let (server, platform) = (Server::start().await, Platform::start().await);
    for tenant in ["tenant-a", "tenant-b"] {
        let names = ["fetch", "db_query", "log"];
        platform.bind(&server, tenant, &names).await;
    }
    deploy_sample(&server, "tenant-a", "process-webhook", WEBHOOK).await;
    deploy_sample(&server, "tenant-b", "user-lookup", LOOKUP).await;
    (server, platform)
}

async fn invoke(server: &Server, tenant: &str, function: &str, event: &Value) -> Value {
    let answer = Answer::of(call_for(server, tenant, function, event.to_string())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn webhook(server: &Server, url: &str) -> Value {
    invoke(
        server,
        "tenant-a",
        "process-webhook",
        &json!({ "url": url }),
    )
    .await
}

async fn lookup(server: &Server, id: u64) -> Value {
    invoke(server, "tenant-b", "user-lookup", &json!({ "userId": id })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_01_functions_are_deployed_as_the_document_writes_them() {
    let (server, _platform) = program().await;
    for (tenant, function) in [("tenant-a", "process-webhook"), ("tenant-b", "user-lookup")] {
        let path = format!("/api/v1/tenants/{tenant}/functions/{function}");
        let version = Answer::of(server.request(Method::GET, &path)).await.json();
        assert_eq!(version["kind"], "event");
        assert_eq!(version["evaluation"], "snapshot");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_02_a_webhook_is_processed_with_the_platforms_fetch() {
    let (server, platform) = program().await;
    for path in ["data", "other"] {
        let url = format!("https://api.example.com/{path}");
        let result = webhook(&server, &url).await["result"].to_string();
        let expected = format!(r#"{{"status":200,"data":"Response from {url}"}}"#);
        assert_eq!(result, expected);
    }
    let urls = [
        "https://api.example.com/data",
        "https://api.example.com/other",
    ];
    assert_eq!(platform.arguments("fetch"), urls.map(|url| json!([url])));
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_03_users_are_looked_up_with_the_platforms_database() {
    let (server, platform) = program().await;
    let result = lookup(&server, 1).await["result"].to_string();
    assert_eq!(result, r#"[{"id":1,"name":"Alice"}]"#);
    assert_eq!(
        platform.arguments("db_query"),
        [json!(["SELECT * FROM users"])]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_04_the_platforms_log_has_one_line_for_each_call() {
    let (server, platform) = program().await;
    webhook(&server, "https://api.example.com/data").await;
    // Nobody waits for `log`, and yet it has happened when the answer is there.
    let line = json!(["Processing webhook for tenant A"]);
    assert_eq!(platform.arguments("log"), std::slice::from_ref(&line));
    webhook(&server, "https://api.example.com/other").await;
    lookup(&server, 1).await;
    let other = json!(["Looking up users for tenant B"]);
    assert_eq!(platform.arguments("log"), [line.clone(), line, other]);
    // What is written to the console is in the answer of its own call.
    deploy(
        &server,
        "hello",
        "(event) => { console.log('hello', event.n); }",
    )
    .await;
    let logs = call(&server, "hello", r#"{"n":1}"#).await.json()["logs"].clone();
    assert_eq!(logs.as_array().unwrap().len(), 1);
    assert_eq!(logs[0]["message"], "hello 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_05_the_first_call_is_cold_and_the_next_is_warm() {
    let (server, _platform) = program().await;
    assert_eq!(webhook(&server, "https://a/").await["cold"], true);
    assert_eq!(webhook(&server, "https://b/").await["cold"], false);
    assert_eq!(lookup(&server, 1).await["cold"], true);
    assert_eq!(lookup(&server, 2).await["cold"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_06_what_does_not_exist_is_not_found_by_its_full_name() {
    let (server, _platform) = program().await;
    let answer = Answer::of(call_for(&server, "tenant-a", "nope", "{}")).await;
    let answer = answer.expect_problem(404, "function_not_found");
    assert_eq!(answer.json()["detail"], "Function not found: tenant-a:nope");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_07_functions_of_one_name_are_each_tenants_own() {
    let server = Server::start().await;
    for tenant in ["tenant-a", "tenant-b"] {
        let source = format!("() => '{tenant}'");
        let settings = json!({ "kind": "event" });
        server
            .deploy_for(tenant, "same", &source, settings.clone())
            .await;
        let only = format!("only-{tenant}");
        server.deploy_for(tenant, &only, &source, settings).await;
    }
    for (tenant, other) in [("tenant-a", "tenant-b"), ("tenant-b", "tenant-a")] {
        let result = invoke(&server, tenant, "same", &json!({})).await["result"].clone();
        assert_eq!(result, tenant);
        let others = Answer::of(call_for(&server, tenant, &format!("only-{other}"), "{}")).await;
        others.expect_problem(404, "function_not_found");
        let path = format!("/api/v1/tenants/{tenant}/functions");
        let listed = Answer::of(server.request(Method::GET, &path)).await.text();
        assert!(!listed.contains(&format!("only-{other}")), "{listed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_08_five_seconds_and_five_mebibytes_unless_the_function_says_otherwise() {
    let server = Server::start().await;
    let version = deploy(&server, "spin", "() => { while (true) {} }").await;
    assert_eq!(version["limits"]["wall_ms"], 5000);
    assert_eq!(version["limits"]["memory_bytes"], 5 << 20);
    let wait = "() => new Promise((resolve) => setTimeout(resolve, 60000))";
    deploy(&server, "wait", wait).await;
    let begun = ampoule::clock::monotonic();
    let answers = join_all(["spin", "wait"].map(|name| call(&server, name, "{}"))).await;
    let elapsed = begun.elapsed();
    for answer in answers {
        answer.expect_problem(504, "wall_exceeded");
    }
    assert!(elapsed >= Duration::from_millis(4900), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(30), "{elapsed:?}");
    let limits = json!({ "limits": { "wall_ms": 100 } });
    deploy_with(&server, "brief", wait, limits).await;
    let begun = ampoule::clock::monotonic();
    call(&server, "brief", "{}")
        .await
        .expect_problem(504, "wall_exceeded");
    assert!(begun.elapsed() < Duration::from_millis(4900));
    // Of five mebibytes a function can use most.
    let fill = "(n) => { const kept = []; for (let i = 0; i < n; i++) kept.push(new Uint8Array(65536).fill(i)); return kept.length; }";
    deploy(&server, "fill", fill).await;
    assert_eq!(call(&server, "fill", "64").await.json()["result"], 64);
    call(&server, "fill", "200")
        .await
        .expect_problem(507, "memory_exceeded");
    let limits = json!({ "limits": { "memory_bytes": 20 << 20 } });
    deploy_with(&server, "fill", fill, limits).await;
    assert_eq!(call(&server, "fill", "200").await.json()["result"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_09_a_function_that_allocates_without_end_fails_alone() {
    let (server, _platform) = program().await;
    for source in [
        "() => { const kept = []; while (true) kept.push(new Array(1000).fill('x')); }",
        "async () => { const kept = []; while (true) { kept.push({ n: kept.length }); await null; } }",
        "() => { const kept = []; const grow = () => { kept.push({}); return grow2(); }; \
         const grow2 = () => Promise.resolve().then(grow); return grow(); }",
    ] {
        deploy(&server, "hungry", source).await;
        let calls = [call(&server, "hungry", "{}"), call(&server, "hungry", "{}")];
        let (hungry, fine) = tokio::join!(join_all(calls), webhook(&server, "https://a/"));
        for answer in hungry {
            answer.expect_problem(507, "memory_exceeded");
        }
        assert_eq!(fine["result"]["status"], 200);
    }
    assert_eq!(lookup(&server, 2).await["result"][0]["name"], "Bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_10_an_event_is_a_copy() {
    let server = Server::start().await;
    let source = "const kept = [];\nmodule.exports = (event) => { kept.push(event.n); event.n = -1; \
                  event.more = kept; globalThis.count = (globalThis.count ?? 0) + 1; \
                  return [kept.length, globalThis.count, event.n]; };";
    deploy(&server, "keep", source).await;
    for n in 0..3 {
        let event = json!({ "n": n });
        let result = invoke(&server, "default", "keep", &event).await["result"].clone();
        assert_eq!(result, json!([1, 1, -1]));
        assert_eq!(event["n"], n);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_11_calls_of_the_platform_overlap_in_time() {
    let server = Server::start().await;
    // None is answered before all three have arrived.
    let barrier = Arc::new(Barrier::new(3));
    let answer = move |Json(call): Json<Value>| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            Json(json!({ "result": call["arguments"][0] }))
        }
    };
    let upstream = Upstream::start(Router::new().route("/", post(answer))).await;
    bind(&server, "default", "meet", &upstream.url("/")).await;
    let source = "() => Promise.all([meet('a'), meet('b'), meet('c')])";
    deploy(&server, "all", source).await;
    let answer = call(&server, "all", "{}").await;
    assert_eq!(
        answer.json()["result"],
        json!(["a", "b", "c"]),
        "{}",
        answer.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_12_an_error_of_the_platform_can_be_caught() {
    let server = Server::start().await;
    let answer =
        || async { Json(json!({ "error": { "message": "division by zero", "code": "E_ZERO" } })) };
    let upstream = Upstream::start(Router::new().route("/", post(answer))).await;
    bind(&server, "default", "divide", &upstream.url("/")).await;
    let source = "async () => { try { await divide(1, 0); } catch (error) { \
                  return [error instanceof Error, error.message, error.code]; } }";
    deploy(&server, "catch", source).await;
    let caught = call(&server, "catch", "{}").await.json()["result"].clone();
    assert_eq!(caught, json!([true, "division by zero", "E_ZERO"]));
    deploy(&server, "uncaught", "() => divide(1, 0)").await;
    let answer = call(&server, "uncaught", "{}").await;
    let answer = answer.expect_problem(500, "function_threw");
    assert_eq!(answer.json()["exception"]["message"], "division by zero");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_13_only_what_is_bound_is_visible() {
    let (server, platform) = (Server::start().await, Platform::start().await);
    platform.bind(&server, "tenant-a", &["log", "fetch"]).await;
    deploy_sample(&server, "tenant-a", "user-lookup", LOOKUP).await;
    let answer = Answer::of(call_for(&server, "tenant-a", "user-lookup", "{}")).await;
    let answer = answer.expect_problem(500, "function_threw");
    let exception = &answer.json()["exception"];
    assert_eq!(exception["name"], "ReferenceError");
    assert!(
        exception["message"].as_str().unwrap().contains("db_query"),
        "{exception}"
    );
    assert!(
        exception["place"]
            .as_str()
            .unwrap()
            .starts_with("index.js:4:"),
        "{exception}"
    );
    // Another tenant's bindings are not this one's, and neither are they a request function's.
    let seen = "() => [typeof log, typeof db_query]";
    let settings = json!({ "kind": "event" });
    server.deploy_for("tenant-b", "seen", seen, settings).await;
    let result = invoke(&server, "tenant-b", "seen", &json!({})).await["result"].clone();
    assert_eq!(result, json!(["undefined", "undefined"]));
    let seen = "module.exports = (req, res) => res.json(typeof log)";
    server
        .deploy_for("tenant-a", "request", seen, json!({}))
        .await;
    let answer = Answer::of(server.invoke_for("tenant-a", "request")).await;
    answer.expect(200, r#""undefined""#);
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_14_what_is_warm_is_let_go_when_nobody_calls() {
    let (server, _platform) = program().await;
    webhook(&server, "https://a/").await;
    lookup(&server, 1).await;
    assert_eq!(server.app.images.evict_idle(Duration::from_secs(3600)), 0);
    assert_eq!(webhook(&server, "https://a/").await["cold"], false);
    // Everything that was not called in the last moment, which is everything.
    let evicted = server.app.images.evict_idle(Duration::ZERO);
    assert_eq!((evicted, server.app.images.len()), (2, 0));
    assert_eq!(webhook(&server, "https://a/").await["cold"], true);
    assert_eq!(webhook(&server, "https://a/").await["cold"], false);
    // The end of the server is the end of all; what was deployed stays.
    let data = server.stop().await;
    let options = crate::server::Options {
        data: Some(data),
        ..Default::default()
    };
    let server = Server::with(options).await;
    assert_eq!(server.app.images.len(), 0);
    assert_eq!(lookup(&server, 1).await["cold"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_15_a_cold_start_is_a_copy_of_what_was_initialised_before() {
    let server = Server::start().await;
    // A second's work at the top level is done once, when the function is deployed.
    let source = "let sum = 0; for (let i = 0; i < 3e6; i++) sum += i % 7;\n\
                  module.exports = () => sum;";
    deploy(&server, "ready", source).await;
    let first = call(&server, "ready", "{}").await.json();
    assert_eq!(
        (&first["cold"], &first["result"]),
        (&json!(true), &json!(8_999_994))
    );
    let second = call(&server, "ready", "{}").await.json();
    let fuel = |answer: &Value| answer["cost"]["fuel"].as_u64().unwrap();
    // Whatever the machine: a cold start runs no more than a warm one.
    assert!(fuel(&first) <= fuel(&second) * 11 / 10, "{first} {second}");
    assert!(fuel(&first) < 5_000_000, "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_16_code_is_checked_when_it_is_deployed() {
    let server = Server::start().await;
    let settings = json!({ "kind": "event" });
    let refused = async |source: &str| {
        let request = server.deploy_request("default", "f", "index.js", source, &settings);
        Answer::of(request).await
    };
    let answer = refused("async (event) => {\n  return event.;\n}\n").await;
    let answer = answer.expect_problem(422, "syntax_error");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("index.js:2:"), "{detail}");
    refused("42").await.expect_problem(422, "handler_missing");
    refused("require('./none')")
        .await
        .expect_problem(422, "module_not_found");
    let large = format!("() => 1 // {}", "x".repeat(50 << 20));
    refused(&large)
        .await
        .expect_problem(413, "archive_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_18_the_next_call_after_a_redeployment_runs_the_new_code() {
    let server = Server::start().await;
    for version in 1..=5 {
        deploy(&server, "f", &format!("() => {version}")).await;
        for cold in [true, false] {
            let answer = call(&server, "f", "{}").await.json();
            assert_eq!(
                (&answer["result"], &answer["cold"]),
                (&json!(version), &json!(cold))
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_19_invocations_that_overlap_each_answer_for_their_own_event() {
    let server = Server::start().await;
    // All 64 are in the middle of their function at the same time.
    let barrier = Arc::new(Barrier::new(64));
    let arrived = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&arrived);
    let answer = move |Json(call): Json<Value>| {
        let (barrier, counted) = (Arc::clone(&barrier), Arc::clone(&counted));
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
            barrier.wait().await;
            let url = call["arguments"][0].as_str().unwrap();
            Json(json!({ "result": { "status": 200, "data": format!("Response from {url}") } }))
        }
    };
    let upstream = Upstream::start(Router::new().route("/", post(answer))).await;
    bind(&server, "tenant-a", "fetch", &upstream.url("/")).await;
    let platform = Platform::start().await;
    platform.bind(&server, "tenant-a", &["log"]).await;
    deploy_sample(&server, "tenant-a", "process-webhook", WEBHOOK).await;
    let urls: Vec<String> = (0..64)
        .map(|n| format!("https://api.example.com/{n}"))
        .collect();
    let answers = join_all(urls.iter().map(|url| webhook(&server, url))).await;
    assert_eq!(arrived.load(Ordering::Relaxed), 64);
    for (url, answer) in urls.iter().zip(answers) {
        assert_eq!(answer["result"]["data"], format!("Response from {url}"));
    }
    assert_eq!(platform.arguments("log").len(), 64);
}
