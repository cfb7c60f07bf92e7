//! Event functions: what they are called with, what they answer, and what they may use.

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::{Answer, Server};

/// Deploys an event function of the tenant `default`.
pub(crate) async fn deploy(server: &Server, function: &str, source: &str) -> Value {
    deploy_with(server, function, source, json!({})).await
}

/// [`deploy`] with more settings.
pub(crate) async fn deploy_with(
    server: &Server,
    function: &str,
    source: &str,
    mut settings: Value,
) -> Value {
    settings["kind"] = json!("event");
    server.deploy_with(function, source, settings).await
}

/// A call of a tenant's event function with this text as its event.
pub(crate) fn call_for(
    server: &Server,
    tenant: &str,
    function: &str,
    event: impl Into<String>,
) -> RequestBuilder {
    let path = format!("/api/v1/tenants/{tenant}/functions/{function}/invoke");
    let request = server.request(Method::POST, &path);
    request
        .header("content-type", "application/json")
        .body(event.into())
}

/// A call of an event function of the tenant `default`.
pub(crate) async fn call(server: &Server, function: &str, event: impl Into<String>) -> Answer {
    Answer::of(call_for(server, "default", function, event)).await
}

/// The same, which has to succeed: the result alone, as the answer has it.
async fn result_text(server: &Server, function: &str, event: &str) -> String {
    let answer = call(server, function, event).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let result = text
        .strip_prefix(r#"{"result":"#)
        .expect("it begins with the result");
    let end = result.find(r#","logs":["#).expect("the logs follow");
    result[..end].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_is_the_event_and_the_answer_has_the_result() {
    let server = Server::start().await;
    let version = deploy(
        &server,
        "greet",
        "async (event) => { console.warn('hi', event.name); return { hello: event.name }; }",
    )
    .await;
    assert_eq!(version["kind"], "event");
    assert_eq!(version["limits"]["wall_ms"], 5000);
    assert_eq!(version["limits"]["memory_bytes"], 5 << 20);
    let answer = call(&server, "greet", r#"{"name":"World"}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "result",
            "logs",
            "duration_ms",
            "cost",
            "cold",
            "invocation"
        ]
    );
    assert_eq!(body["result"], json!({ "hello": "World" }));
    assert_eq!(body["logs"][0]["level"], "warn");
    assert_eq!(body["logs"][0]["message"], "hi World");
    assert!(body["duration_ms"].as_f64().unwrap() > 0.0);
    assert!(body["cost"]["fuel"].as_u64().unwrap() > 0);
    let invocation = answer.header("x-ampoule-invocation").unwrap();
    assert_eq!(body["invocation"], invocation);
    let stored = server.log("greet").await;
    assert_eq!(stored[0]["message"], "hi World");
    assert_eq!(stored[0]["invocation"], invocation);
}

#[tokio::test(flavor = "multi_thread")]
async fn event_and_result_keep_the_order_of_keys_and_their_values() {
    let server = Server::start().await;
    deploy(&server, "echo", "async (event) => event").await;
    for text in [
        r#"{"z":1,"a":{"c":[],"b":null},"":"é😀\n"}"#,
        r#"[1.5,1e+21,-7,true,"x"]"#,
        r#""text""#,
        "null",
        "0",
        r#"{"constructor":1,"toJSON":2}"#,
    ] {
        assert_eq!(result_text(&server, "echo", text).await, text);
    }
    // Without a body there is an event all the same.
    assert_eq!(result_text(&server, "echo", "").await, "{}");
    let own = "(event) => [Object.keys(event), event.__proto__ === Object.prototype]";
    deploy(&server, "own", own).await;
    let result = result_text(&server, "own", r#"{"__proto__":1,"x":2}"#).await;
    assert_eq!(result, r#"[["__proto__","x"],false]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_json_cannot_say_is_null_or_an_error_and_never_a_crash() {
    let server = Server::start().await;
    for (source, result) in [
        ("() => {}", "null"),
        ("() => [undefined, NaN, () => 1]", "[null,null,null]"),
        ("() => ({ a: undefined })", "{}"),
        ("() => new Date(0)", r#""1970-01-01T00:00:00.000Z""#),
    ] {
        deploy(&server, "f", source).await;
        assert_eq!(result_text(&server, "f", "{}").await, result, "{source}");
    }
    for (source, says) in [
        ("() => 1n", "bigint"),
        ("() => { const a = []; a[0] = a; return a; }", "circular"),
        ("() => Symbol('x')", "symbol"),
        ("() => () => 1", "function"),
    ] {
        deploy(&server, "f", source).await;
        let answer = call(&server, "f", "{}").await;
        let answer = answer.expect_problem(500, "result_invalid");
        let detail = answer.json()["detail"].as_str().unwrap().to_lowercase();
        assert!(detail.contains(says), "{source}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_and_events_have_a_depth() {
    let server = Server::start().await;
    let nest = "(n) => { let a = 0; for (let i = 0; i < n; i++) a = [a]; return a; }";
    deploy(&server, "nest", nest).await;
    let deepest = format!("{}0{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(result_text(&server, "nest", "100").await, deepest);
    let answer = call(&server, "nest", "101").await;
    answer.expect_problem(500, "result_invalid");
    deploy(&server, "echo", "(event) => event").await;
    assert_eq!(result_text(&server, "echo", &deepest).await, deepest);
    let answer = call(&server, "echo", format!("[{deepest}]")).await;
    answer.expect_problem(400, "body_invalid");
    // However deep: what is refused is not even looked at by the function.
    let answer = call(&server, "nest", "1000000").await;
    assert!(answer.status >= 500, "{}", answer.text());
    assert_eq!(result_text(&server, "nest", "1").await, "[0]");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_and_events_have_a_size() {
    let server = Server::start().await;
    let limits = json!({ "limits": { "response_body_bytes": 1000, "request_body_bytes": 1000 } });
    deploy_with(&server, "fill", "(n) => 'x'.repeat(n)", limits.clone()).await;
    assert_eq!(result_text(&server, "fill", "998").await.len(), 1000);
    let answer = call(&server, "fill", "999").await;
    answer.expect_problem(500, "response_too_large");
    deploy_with(&server, "len", "(text) => text.length", limits).await;
    let text = |len: usize| format!(r#""{}""#, "x".repeat(len - 2));
    assert_eq!(result_text(&server, "len", &text(1000)).await, "998");
    let answer = call(&server, "len", text(1001)).await;
    answer.expect_problem(413, "body_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_no_json_is_refused() {
    let server = Server::start().await;
    deploy(&server, "echo", "(event) => event").await;
    for text in ["{", "undefined", "{'a':1}", "1 2", "\u{feff}\u{feff}1"] {
        let answer = call(&server, "echo", text).await;
        answer.expect_problem(400, "body_invalid");
    }
    let path = "/api/v1/tenants/default/functions/echo/invoke";
    let request = server
        .request(Method::POST, path)
        .body(vec![b'"', 0xff, b'"']);
    Answer::of(request)
        .await
        .expect_problem(400, "body_invalid");
    // A content type is nobody's business: there is only one that it can be.
    let request = server.request(Method::POST, path).body("[1]");
    assert_eq!(Answer::of(request).await.json()["result"], json!([1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_owns_a_function_sees_what_it_threw_and_where() {
    let server = Server::start().await;
    let source = "\nasync (event) => {\n  const o = {};\n  o.missing.x = event;\n}\n";
    deploy(&server, "f", source).await;
    let answer = call(&server, "f", "{}")
        .await
        .expect_problem(500, "function_threw");
    let exception = &answer.json()["exception"];
    assert_eq!(exception["name"], "TypeError");
    assert!(exception["message"].as_str().unwrap().contains("undefined"));
    assert!(
        exception["place"]
            .as_str()
            .unwrap()
            .starts_with("index.js:4:")
    );
    let log = server.log_text("f").await;
    assert!(
        log.contains("Uncaught TypeError") && log.contains("    at "),
        "{log}"
    );

    deploy(&server, "f", "() => { throw 'just text' }").await;
    let answer = call(&server, "f", "{}")
        .await
        .expect_problem(500, "function_threw");
    assert_eq!(answer.json()["exception"]["name"], "");
    assert_eq!(answer.json()["exception"]["message"], "'just text'");

    let typed =
        "type E = { a?: { b: number } };\nexport default (event: E): number =>\n  event.a!.b;";
    let settings = json!({ "kind": "event" });
    let request = server.deploy_request("default", "typed", "index.ts", typed, &settings);
    assert_eq!(Answer::of(request).await.status, 201);
    let answer = call(&server, "typed", "{}")
        .await
        .expect_problem(500, "function_threw");
    let place = answer.json()["exception"]["place"].clone();
    assert!(
        place.as_str().unwrap().starts_with("index.ts:3:"),
        "{place}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_may_be_an_expression_or_a_module() {
    let server = Server::start().await;
    for (file, source) in [
        (
            "index.js",
            "\n// what it does\nasync (event) => {\n  return event.x + 1;\n}\n// end; really\n",
        ),
        ("index.js", "(event) => event.x + 1;\n"),
        ("index.js", "async function (event) { return event.x + 1; }"),
        (
            "index.js",
            "const one = 1;\nmodule.exports = (event) => event.x + one;",
        ),
        ("index.mjs", "export default async (event) => event.x + 1;"),
        (
            "index.ts",
            "async (event: { x: number }): Promise<number> => event.x + 1",
        ),
        (
            "index.ts",
            "export default (event: { x: number }) => event.x + 1;",
        ),
        // What touches the clock at its top level is evaluated in every invocation.
        ("index.js", "(Date.now(), (event) => event.x + 1)"),
    ] {
        let settings = json!({ "kind": "event" });
        let request = server.deploy_request("default", "f", file, source, &settings);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 201, "{source}: {}", answer.text());
        assert_eq!(
            result_text(&server, "f", r#"{"x":1}"#).await,
            "2",
            "{source}"
        );
    }
    for (source, code) in [
        ("({ a: 1 })", "handler_missing"),
        ("module.exports = { fetch() {} };", "handler_missing"),
        ("async (event) => { const = 1; }", "syntax_error"),
    ] {
        let settings = json!({ "kind": "event" });
        let request = server.deploy_request("default", "f", "index.js", source, &settings);
        Answer::of(request).await.expect_problem(422, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_called_in_its_own_way() {
    let server = Server::start().await;
    deploy(&server, "event", "() => 1").await;
    server
        .deploy(
            "request",
            "module.exports = (req, res) => res.json(req.method)",
        )
        .await;
    // To the outside there is no such function, whatever the method.
    for method in [Method::POST, Method::from_bytes(b"EVENT").unwrap()] {
        let answer = Answer::of(server.request(method, "/invoke/event")).await;
        let answer = answer.expect_problem(404, "function_not_found");
        assert_eq!(answer.json()["detail"], "Function not found: default:event");
    }
    let answer = call(&server, "request", "{}").await;
    let answer = answer.expect_problem(409, "kind_mismatch");
    assert!(
        answer.text().contains("of the kind request"),
        "{}",
        answer.text()
    );
    let request = server.deploy_request(
        "default",
        "w",
        "index.js",
        "x",
        &json!({
            "kind": "workspace",
        }),
    );
    Answer::of(request)
        .await
        .expect_problem(400, "settings_invalid");
    let settings = json!({ "kind": "event", "route": "/a" });
    let request = server.deploy_request("default", "e", "index.js", "() => 1", &settings);
    Answer::of(request)
        .await
        .expect_problem(400, "settings_invalid");
    // The next version may be of another kind.
    server
        .deploy("event", "module.exports = (req, res) => res.json('now')")
        .await;
    Answer::of(server.invoke("event"))
        .await
        .expect(200, r#""now""#);
    call(&server, "event", "{}")
        .await
        .expect_problem(409, "kind_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_called_before_it_is_active() {
    let server = Server::start().await;
    deploy(&server, "f", "() => 1").await;
    let settings = json!({ "activate": false });
    let source = "(event) => { console.log('new'); return event.x * 2; }";
    deploy_with(&server, "f", source, settings).await;
    let call_version = |version: u64| {
        let path = format!("/api/v1/tenants/default/functions/f/versions/{version}/invoke");
        Answer::of(server.request(Method::POST, &path).body(r#"{"x":21}"#))
    };
    let tested = call_version(2).await.expect_status(200);
    assert_eq!(tested.json()["result"], 42);
    assert_eq!(tested.json()["logs"][0]["message"], "new");
    assert_eq!(tested.header("x-ampoule-version"), Some("2"));
    let active = call(&server, "f", "{}").await;
    assert_eq!(active.json()["result"], 1);
    assert_eq!(active.header("x-ampoule-version"), Some("1"));
    // A trial is recorded as one.
    server.app.store.logs().flush().await;
    let path = "/api/v1/tenants/default/functions/f/invocations";
    let records = Answer::of(server.request(Method::GET, path)).await.json();
    let kinds = [0, 1].map(|at| records["invocations"][at]["kind"].clone());
    assert_eq!(kinds, [json!("event"), json!("test")]);
    let absent = call_version(3).await;
    absent.expect_problem(404, "version_not_found");
    server
        .deploy("f", "module.exports = (req, res) => res.end()")
        .await;
    let of_requests = call_version(3).await;
    of_requests.expect_problem(409, "kind_mismatch");
    // The other way round as well.
    let path = "/api/v1/tenants/default/functions/f/versions/2/test/";
    let of_events = Answer::of(server.request(Method::POST, path)).await;
    of_events.expect_problem(409, "kind_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_rate_is_used_up_calls_none_of_its_functions() {
    let server = Server::start().await;
    deploy(&server, "f", "() => 1").await;
    let quotas = json!({ "quotas": { "requests_per_minute": 1 } });
    let request = server.request(Method::PATCH, "/api/v1/tenants/default");
    let changed = Answer::of(request.body(quotas.to_string())).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(result_text(&server, "f", "{}").await, "1");
    let path = "/api/v1/tenants/default/functions/f/versions/1/invoke";
    for request in [
        call_for(&server, "default", "f", "{}"),
        server.request(Method::POST, path),
    ] {
        let refused = Answer::of(request).await;
        let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&after), "{after}");
        refused.expect_problem(429, "rate_limited");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_sees_nothing_of_the_request_that_called_it() {
    let server = Server::start().await;
    let source = "async (event, ...more) => [more.length, typeof req, typeof res]";
    deploy(&server, "f", source).await;
    let request = call_for(&server, "default", "f", "{}").header("x-secret", "s3cret");
    let answer = Answer::of(request).await;
    assert_eq!(
        answer.json()["result"],
        json!([0, "undefined", "undefined"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_overlap_keep_to_their_own_logs() {
    let server = Server::start().await;
    let source = "async (n) => { console.log('a', n); await new Promise((r) => setTimeout(r, 5)); \
                  console.log('b', n); return n; }";
    deploy(&server, "f", source).await;
    let calls = (0..16).map(|n| call(&server, "f", n.to_string()));
    for (n, answer) in join_all(calls).await.into_iter().enumerate() {
        let body = answer.json();
        assert_eq!(body["result"], n);
        let logs: Vec<&str> = body["logs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["message"].as_str().unwrap())
            .collect();
        assert_eq!(logs, [format!("a {n}"), format!("b {n}")]);
    }
}
