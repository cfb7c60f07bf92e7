//! Bindings: functions of the platform that event functions call by name, over HTTP.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Redirect;
use axum::routing::{any, post};
use reqwest::Method;
use serde_json::{Value, json};

use crate::events::{call, call_for, deploy, deploy_with};
use crate::fetch::{Gate, Upstream};
use crate::openapi::Document;
use crate::s3::{bind, bind_with};
use crate::secrets::{holding, on};
use crate::server::{Answer, Server};

const BINDINGS: &str = "/api/v1/tenants/default/bindings";

/// A platform that answers its arguments, and keeps what it was sent.
struct Echo {
    upstream: Upstream,
    seen: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

impl Echo {
    async fn start() -> Self {
        let seen: Arc<Mutex<Vec<(HeaderMap, Value)>>> = Arc::default();
        let kept = Arc::clone(&seen);
        let answer = move |headers: HeaderMap, body: String| {
            let call: Value = serde_json::from_str(&body).unwrap();
            let answer = json!({ "result": call["arguments"] }).to_string();
            kept.lock().unwrap().push((headers, call));
            async move { answer }
        };
        let upstream = Upstream::start(Router::new().route("/", any(answer))).await;
        Self { upstream, seen }
    }

    fn url(&self) -> String {
        self.upstream.url("/")
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// What `try { … }` around a call came to.
fn catching(call: &str) -> String {
    format!(
        "async (event) => {{ try {{ return await {call}; }} \
         catch (error) {{ return [error.code, error.message]; }} }}"
    )
}

async fn result(server: &Server, function: &str, event: &str) -> Value {
    let answer = call(server, function, event).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["result"].clone()
}

async fn put(server: &Server, name: &str, binding: &Value) -> Answer {
    let path = format!("{BINDINGS}/{name}");
    let request = server.request(Method::PUT, &path);
    Answer::of(request.body(binding.to_string())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_is_told_who_calls_and_with_what() {
    let (server, echo) = (Server::start().await, Echo::start().await);
    let headers = json!({ "authorization": "Bearer s3cret" });
    let binding = json!({ "url": echo.url(), "method": "PUT", "headers": headers });
    bind_with(&server, "default", "echo", binding).await;
    let source = "async () => await echo('a', { b: [1, null] })";
    deploy(&server, "f", source).await;
    let answer = call(&server, "f", "{}").await;
    assert_eq!(answer.json()["result"], json!(["a", { "b": [1, null] }]));
    assert_eq!(answer.json()["cost"]["subrequests"], 1);
    let (headers, body) = echo.seen.lock().unwrap()[0].clone();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["authorization"], "Bearer s3cret");
    assert_eq!(
        body,
        json!({
            "binding": "echo", "tenant": "default", "function": "f",
            "invocation": answer.json()["invocation"],
            "arguments": ["a", { "b": [1, null] }],
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bindings_are_written_listed_and_deleted_and_secrets_stay_secret() {
    let server = Server::start().await;
    let binding = json!({
        "url": "https://platform.example/db", "headers": { "x-key": "s3cret" },
        "parameters": [{ "type": "string" }], "description": "rows", "functions": ["f"],
    });
    assert_eq!(put(&server, "db", &binding).await.status, 201);
    let answer = put(&server, "db", &binding).await;
    assert_eq!(answer.status, 200);
    let mut shown = answer.json();
    assert!(shown["updated_ms"].as_u64().unwrap() > 0);
    shown.as_object_mut().unwrap().remove("updated_ms");
    assert_eq!(
        shown,
        json!({
            "tenant": "default", "name": "db", "url": "https://platform.example/db",
            "method": "POST", "headers": ["x-key"], "parameters": [{ "type": "string" }],
            "timeout_ms": 5000, "description": "rows", "functions": ["f"],
        })
    );
    let of = |method: Method, path: &str| Answer::of(server.request(method, path));
    let one = format!("{BINDINGS}/db");
    for path in [BINDINGS, &one] {
        let text = of(Method::GET, path).await.text();
        assert!(
            text.contains("platform.example") && !text.contains("s3cret"),
            "{text}"
        );
    }
    // Another tenant has none of it.
    let other = "/api/v1/tenants/other/bindings";
    of(Method::GET, other)
        .await
        .expect(200, r#"{"bindings":[]}"#);
    for method in [Method::GET, Method::DELETE] {
        let answer = of(method, &format!("{other}/db")).await;
        answer.expect_problem(404, "binding_not_found");
    }
    of(Method::DELETE, &one).await.expect(204, "");
    of(Method::GET, &one)
        .await
        .expect_problem(404, "binding_not_found");
    of(Method::DELETE, &one)
        .await
        .expect_problem(404, "binding_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_values_of_headers_are_sealed_and_open_after_a_restart() {
    const VALUE: &str = "s3cret-71c0d5aa93be";
    let echo = Echo::start().await;
    let server = Server::start().await;
    let binding = json!({ "url": echo.url(), "headers": { "x-key": VALUE } });
    put(&server, "db", &binding).await.expect_status(201);
    deploy(&server, "f", &catching("db()")).await;
    let mut data = server.stop().await;
    for _start in 0..2 {
        assert_eq!(holding(data.path(), VALUE), [] as [String; 0]);
        let server = on(&data).await;
        assert_eq!(result(&server, "f", "{}").await, json!([]));
        let (headers, _) = echo.seen.lock().unwrap().pop().unwrap();
        assert_eq!(headers["x-key"], VALUE);
        data = server.stop().await;
    }
    // Another key does not open them: the call fails, and says what to do.
    let key = data.path().join("data").join("master.key");
    std::fs::write(key, "1".repeat(64)).unwrap();
    let server = on(&data).await;
    let said = result(&server, "f", "{}").await.to_string();
    assert!(said.contains("write the binding again"), "{said}");
    assert_eq!(echo.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_binding_cannot_be_is_refused_without_its_secrets() {
    let server = Server::start().await;
    let fine = json!({ "url": "http://platform.example/" });
    for name in ["while", "a-b", "1a", "undefined", &"a".repeat(65)] {
        put(&server, name, &fine)
            .await
            .expect_problem(400, "binding_invalid");
    }
    let headers = json!({ "host": "s3cret.example" });
    for bad in [
        json!([]),
        json!({}),
        json!({ "url": "/relative" }),
        json!({ "url": "http://u:s3cret@a/" }),
        json!({ "url": "http://a/", "unknown": 1 }),
        json!({ "url": "http://a/", "method": "GET" }),
        json!({ "url": "http://a/", "headers": headers }),
        json!({ "url": "http://a/", "timeout_ms": 60_001 }),
        json!({ "url": "http://a/", "parameters": { "$ref": "#" } }),
        json!({ "url": "http://a/", "functions": [] }),
        json!({ "url": "http://a/", "functions": ["not a name"] }),
    ] {
        let answer = put(&server, "b", &bad).await;
        let answer = answer.expect_problem(400, "binding_invalid");
        assert!(!answer.text().contains("s3cret"), "{}", answer.text());
    }
    let request = server
        .request(Method::PUT, &format!("{BINDINGS}/b"))
        .body("{");
    Answer::of(request)
        .await
        .expect_problem(400, "binding_invalid");
    let large = json!({ "url": "http://a/", "description": "x".repeat(64 << 10) });
    put(&server, "b", &large)
        .await
        .expect_problem(413, "body_too_large");
    let listed = Answer::of(server.request(Method::GET, BINDINGS)).await;
    listed.expect(200, r#"{"bindings":[]}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_are_checked_before_anything_is_sent() {
    let (server, echo) = (Server::start().await, Echo::start().await);
    let schema = json!([{ "type": "string", "minLength": 1 }, { "type": "integer", "default": 7 }]);
    let binding = json!({ "url": echo.url(), "parameters": schema });
    bind_with(&server, "default", "q", binding).await;
    deploy(&server, "f", &catching("q(...event)")).await;
    for (event, reason) in [
        ("[]", "q: argument 1 is missing"),
        ("[1]", "q: argument 1: "),
        (r#"[""]"#, "q: argument 1: "),
        (r#"["a",1.5]"#, "q: argument 2: "),
        (r#"["a",1,2]"#, "q: at most 2 arguments"),
    ] {
        let refused = result(&server, "f", event).await;
        assert_eq!(refused[0], "arguments_invalid", "{refused}");
        assert!(
            refused[1].as_str().unwrap().starts_with(reason),
            "{refused}"
        );
    }
    assert_eq!(echo.count(), 0);
    assert_eq!(result(&server, "f", r#"["a"]"#).await, json!(["a", 7]));
    assert_eq!(echo.count(), 1);
    // Long ones are checked too, elsewhere.
    let long = "x".repeat(10_000);
    let refused = result(&server, "f", &json!([long, "1"]).to_string()).await;
    assert_eq!(refused[0], "arguments_invalid", "{refused}");
    assert_eq!(
        result(&server, "f", &json!([long]).to_string()).await,
        json!([long, 7])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_and_answers_have_a_size() {
    let server = Server::start().await;
    let answer = |body: String| async move {
        let call: Value = serde_json::from_str(&body).unwrap();
        let len = call["arguments"][0].as_u64().unwrap_or(0);
        let fill = "x".repeat(usize::try_from(len).unwrap());
        format!(r#"{{"result":"{fill}"}}"#)
    };
    let upstream = Upstream::start(Router::new().route("/", post(answer))).await;
    bind(&server, "default", "fill", &upstream.url("/")).await;
    let limits = json!({ "limits": { "memory_bytes": 64 << 20 } });
    let source = format!("{}.length", "(await fill(event))");
    deploy_with(&server, "out", &catching(&source), limits.clone()).await;
    let most = (1 << 20) - r#"{"result":""}"#.len();
    assert_eq!(result(&server, "out", &most.to_string()).await, most);
    let refused = result(&server, "out", &(most + 1).to_string()).await;
    assert_eq!(refused[0], "result_too_large");
    let source = "(await fill(0, 'x'.repeat(event))).length";
    deploy_with(&server, "in", &catching(source), limits).await;
    let most = (256 << 10) - r#"[0,""]"#.len();
    assert_eq!(result(&server, "in", &most.to_string()).await, 0);
    let refused = result(&server, "in", &(most + 1).to_string()).await;
    assert_eq!(refused[0], "arguments_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_takes_effect_with_the_next_invocation() {
    let (server, echo) = (Server::start().await, Echo::start().await);
    let source = "async () => typeof one === 'undefined' ? typeof two : await one(1)";
    deploy(&server, "f", source).await;
    assert_eq!(result(&server, "f", "{}").await, "undefined");
    bind(&server, "default", "one", &echo.url()).await;
    assert_eq!(result(&server, "f", "{}").await, json!([1]));
    let other =
        Upstream::saying("HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"result\":\"2\"}").await;
    bind(&server, "default", "one", &other.url("/")).await;
    assert_eq!(result(&server, "f", "{}").await, "2");
    let path = format!("{BINDINGS}/one");
    Answer::of(server.request(Method::DELETE, &path))
        .await
        .expect(204, "");
    assert_eq!(result(&server, "f", "{}").await, "undefined");
    // After a restart they are what they were.
    bind(&server, "default", "one", &echo.url()).await;
    let data = server.stop().await;
    let options = crate::server::Options {
        data: Some(data),
        ..Default::default()
    };
    let server = Server::with(options).await;
    assert_eq!(result(&server, "f", "{}").await, json!([1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_may_be_kept_to_some_functions() {
    let (server, echo) = (Server::start().await, Echo::start().await);
    let binding = json!({ "url": echo.url(), "functions": ["trusted"] });
    bind_with(&server, "default", "secret", binding).await;
    for function in ["trusted", "other"] {
        deploy(&server, function, "() => typeof secret").await;
    }
    assert_eq!(result(&server, "trusted", "{}").await, "function");
    assert_eq!(result(&server, "other", "{}").await, "undefined");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_reaches_no_further_than_its_tenant() {
    let server = Server::start().await;
    // The service's own address, and names for it.
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{}/api/v1/status", server.address.port());
        bind(&server, "default", "own", &url).await;
        deploy(&server, "f", &catching("own()")).await;
        let refused = result(&server, "f", "{}").await;
        assert_eq!(refused[0], "denied", "{host}: {refused}");
    }
    // Nor does a redirect take the headers along to it.
    let own = server.url("/api/v1/status");
    let route = any(move || async move { Redirect::temporary(&own) });
    let upstream = Upstream::start(Router::new().route("/", route)).await;
    bind(&server, "default", "own", &upstream.url("/")).await;
    let refused = result(&server, "f", "{}").await;
    assert_eq!(refused[0], "redirect", "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_fails_is_an_error_that_can_be_caught() {
    let server = Server::start().await;
    let routes = Router::new()
        .route(
            "/500",
            any(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "s3cret") }),
        )
        .route("/text", any(|| async { "not JSON" }))
        .route("/bytes", any(|| async { vec![0xff_u8] }))
        .route("/empty", any(|| async { StatusCode::NO_CONTENT }))
        .route(
            "/refused",
            any(|| async {
                let body = r#"{"error":{"message":"no such table","code":"E_TABLE"}}"#;
                (StatusCode::BAD_REQUEST, body)
            }),
        );
    let upstream = Upstream::start(routes).await;
    deploy(&server, "f", &catching("platform()")).await;
    for (path, expected) in [
        (
            "/500",
            json!(["binding_failed", "platform: the platform answered 500"]),
        ),
        (
            "/text",
            json!([
                "binding_failed",
                "platform: the platform's answer is not JSON"
            ]),
        ),
        (
            "/bytes",
            json!(["binding_failed", "platform: the answer is not UTF-8 text"]),
        ),
        ("/empty", Value::Null),
        ("/refused", json!(["E_TABLE", "no such table"])),
    ] {
        bind(&server, "default", "platform", &upstream.url(path)).await;
        assert_eq!(result(&server, "f", "{}").await, expected, "{path}");
    }
    bind(&server, "default", "platform", "http://127.0.0.1:1/").await;
    assert_eq!(result(&server, "f", "{}").await[0], "connect");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_has_a_time_of_its_own_and_ends_with_its_invocation() {
    let server = Server::start().await;
    let gate = Gate::new();
    let upstream = Upstream::start(Router::new().route("/gate", gate.route())).await;
    let binding = json!({ "url": upstream.url("/gate"), "timeout_ms": 50 });
    bind_with(&server, "default", "slow", binding).await;
    deploy(&server, "f", &catching("slow()")).await;
    let refused = result(&server, "f", "{}").await;
    assert_eq!(refused, json!(["timeout", "slow did not answer in 50 ms"]));
    let binding = json!({ "url": upstream.url("/gate"), "timeout_ms": 60_000 });
    bind_with(&server, "default", "slow", binding).await;
    let limits = json!({ "limits": { "wall_ms": 300 } });
    deploy_with(&server, "f", "() => slow()", limits).await;
    call(&server, "f", "{}")
        .await
        .expect_problem(504, "wall_exceeded");
    gate.abandoned(2).await;
    server.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_count_as_subrequests() {
    let (server, echo) = (Server::start().await, Echo::start().await);
    bind(&server, "default", "echo", &echo.url()).await;
    let source = "async (n) => { const all = []; for (let i = 0; i < n; i++) all.push(echo(i)); \
                  const ended = await Promise.allSettled(all); \
                  return ended.map((one) => one.reason?.code ?? one.value[0]); }";
    let limits = json!({ "limits": { "subrequests": 3 } });
    deploy_with(&server, "f", source, limits).await;
    assert_eq!(result(&server, "f", "3").await, json!([0, 1, 2]));
    let ended = result(&server, "f", "5").await;
    assert_eq!(
        ended,
        json!([0, 1, 2, "subrequests_exceeded", "subrequests_exceeded"])
    );
    assert_eq!(echo.count(), 6);
    // However many at once: they queue, and all of them are answered.
    let limits = json!({ "limits": { "subrequests": 1000, "memory_bytes": 64 << 20 } });
    deploy_with(&server, "f", source, limits).await;
    let ended = result(&server, "f", "400").await;
    assert_eq!(ended, json!((0..400).collect::<Vec<u32>>()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_and_nobody_waits_for_is_in_the_log() {
    let server = Server::start().await;
    bind(&server, "default", "log", "http://127.0.0.1:1/").await;
    deploy(&server, "f", "() => { log('x'); return 1; }").await;
    assert_eq!(result(&server, "f", "{}").await, 1);
    let log = server.log_text("f").await;
    assert!(log.contains("cannot connect"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_function_is_loaded_there_are_no_bindings() {
    let (server, echo) = (Server::start().await, Echo::start().await);
    bind(&server, "default", "early", &echo.url()).await;
    let source = "const before = typeof early;\nmodule.exports = () => [before, typeof early];";
    deploy(&server, "f", source).await;
    assert_eq!(
        result(&server, "f", "{}").await,
        json!(["undefined", "function"])
    );
    // What is evaluated in every invocation has them from the beginning.
    deploy(&server, "f", &format!("Date.now();\n{source}")).await;
    assert_eq!(
        result(&server, "f", "{}").await,
        json!(["function", "function"])
    );
    assert_eq!(echo.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_cannot_call_what_it_was_not_given() {
    let (server, echo) = (Server::start().await, Echo::start().await);
    bind(&server, "other", "theirs", &echo.url()).await;
    bind(&server, "default", "ours", &echo.url()).await;
    // Putting one's own function in the place of a binding, or keeping it, changes nothing.
    let source = "async () => { const kept = ours; globalThis.ours = () => 'mine'; \
                  delete globalThis.ours; return [await kept(1), typeof ours, typeof theirs]; }";
    deploy(&server, "f", source).await;
    for _ in 0..2 {
        let expected = json!([[1], "undefined", "undefined"]);
        assert_eq!(result(&server, "f", "{}").await, expected);
    }
    let settings = json!({ "kind": "event" });
    server
        .deploy_for("other", "f", "() => typeof ours", settings)
        .await;
    let answer = Answer::of(call_for(&server, "other", "f", "{}")).await;
    assert_eq!(answer.json()["result"], "undefined");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_about_events_and_bindings_are_as_the_document_says() {
    let server = Server::start().await;
    let document = Document::of(&server).await;
    let one = format!("{BINDINGS}/log");
    let written = json!({ "url": "http://127.0.0.1:1/", "parameters": [{}], "functions": ["f"] });
    for (binding, status) in [(&written, 201), (&written, 200), (&json!({}), 400)] {
        let request = server.request(Method::PUT, &one).body(binding.to_string());
        assert_eq!(document.check_request(request).await.status, status);
    }
    deploy(
        &server,
        "f",
        "(event) => { console.log(1); return event.a.b; }",
    )
    .await;
    server
        .deploy("r", "module.exports = (req, res) => res.send()")
        .await;
    let calls = "/api/v1/tenants/default/functions";
    for (method, path, body, status) in [
        (Method::GET, BINDINGS.to_owned(), "", 200),
        (Method::GET, one.clone(), "", 200),
        (Method::DELETE, one.clone(), "", 204),
        (Method::GET, one.clone(), "", 404),
        (
            Method::POST,
            format!("{calls}/f/invoke"),
            r#"{"a":{"b":[1]}}"#,
            200,
        ),
        (Method::POST, format!("{calls}/f/invoke"), "{}", 500),
        (Method::POST, format!("{calls}/f/invoke"), "{", 400),
        (Method::POST, format!("{calls}/none/invoke"), "{}", 404),
        (Method::POST, format!("{calls}/r/invoke"), "{}", 409),
    ] {
        let request = server.request(method.clone(), &path).body(body);
        let answer = document.check_request(request).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
}
