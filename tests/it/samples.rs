//! The samples of the documents that Ampoule goes by, as written, with the answers they promise.
//!
//! Each folder in `tests/samples` is named after a document and its lines: `seed.txt` holds
//! those lines, `function.js` the same with what the sample takes for granted.

use std::fs;
use std::path::{Path, PathBuf};

use axum::Router;
use futures_util::StreamExt;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::fetch::{Gate, Upstream};
use crate::server::{Answer, Options, Server};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

fn read(path: &str) -> String {
    let path = folder().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Deploys a sample under the name `sample`.
async fn deploy(server: &Server, sample: &str) {
    deploy_with(server, sample, json!({})).await;
}

async fn deploy_with(server: &Server, sample: &str, settings: Value) {
    let source = read(&format!("{sample}/function.js"));
    server.deploy_with("sample", &source, settings).await;
}

fn with_json(request: RequestBuilder, body: &str) -> RequestBuilder {
    let request = request.header("content-type", "application/json");
    request.body(body.to_owned())
}

/// Posts JSON to the sample: `post(&server, "?key=a", body)`.
async fn post(server: &Server, rest: &str, body: &str) -> Answer {
    Answer::of(with_json(server.post(&format!("sample{rest}")), body)).await
}

async fn get(server: &Server) -> Answer {
    Answer::of(server.invoke("sample")).await
}

/// What the tenant's kv holds under a key, as JSON text.
fn stored(server: &Server, key: &str) -> Option<String> {
    let tenant = "default".parse().unwrap();
    let value = server.app.store.namespace(&tenant).get(key).unwrap();
    value.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn stored_keys(server: &Server) -> Vec<String> {
    let tenant = "default".parse().unwrap();
    let namespace = server.app.store.namespace(&tenant);
    namespace.list("", None, 1000).unwrap().keys
}

#[test]
fn every_fixture_holds_the_lines_of_its_document_as_they_are_written() {
    let mut samples = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let mut numbers = name.split('-').skip(1).map(|text| text.parse::<usize>());
        let first = numbers.next().unwrap().unwrap();
        let last = numbers.next().unwrap().unwrap();
        let seed = read(&format!("{name}/seed.txt"));
        assert_eq!(seed.lines().count(), last - first + 1, "{name}");
        let function = read(&format!("{name}/function.js"));
        assert!(function.contains(&seed), "{name}: not as written");
        samples += 1;
    }
    assert_eq!(samples, 16);
    let seed = read("S1-254-270/seed.txt");
    let at = seed.find("// index.js\n").unwrap();
    for (file, lines) in [("helpers.js", &seed[..at]), ("index.js", &seed[at..])] {
        let text = read(&format!("S1-254-270/two-files/{file}"));
        assert!(text.contains(lines), "{file}: not as written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_138_a_global_counter_is_always_1() {
    let server = Server::start().await;
    deploy(&server, "S0-138-142").await;
    for _ in 0..100 {
        get(&server).await.expect(200, r#"{"count":1}"#);
    }
    let answers = futures_util::stream::iter(0..100)
        .map(|_| get(&server))
        .buffer_unordered(20)
        .collect::<Vec<_>>()
        .await;
    for answer in answers {
        answer.expect(200, r#"{"count":1}"#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_144_a_counter_in_kv_counts() {
    let server = Server::start().await;
    deploy(&server, "S0-144-150").await;
    for count in 1..=3 {
        get(&server)
            .await
            .expect(200, &format!(r#"{{"count":{count}}}"#));
    }
    // Nothing makes its read and write one: updates may be lost, but none may fail.
    let answers = futures_util::stream::iter(0..20)
        .map(|_| get(&server))
        .buffer_unordered(20)
        .collect::<Vec<_>>()
        .await;
    for answer in answers {
        assert_eq!(answer.status, 200);
        let count = answer.json()["count"].as_u64().unwrap();
        assert!((4..=23).contains(&count), "{count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_156_a_json_body_comes_back_in_its_own_order() {
    let server = Server::start().await;
    deploy(&server, "S0-156-160").await;
    let body = r#"{"b":1,"a":[1,2.5,null,"é"],"big":1e+21,"":{"z":true}}"#;
    let answer = post(&server, "", body).await.expect(200, body);
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    get(&server).await.expect(200, "{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_162_state_in_kv_accumulates_and_survives_a_restart() {
    let server = Server::start().await;
    deploy(&server, "S0-162-168").await;
    let first = post(&server, "", r#"{"a":1}"#).await;
    first.expect(200, r#"{"a":1}"#);
    let second = post(&server, "", r#"{"b":2}"#).await;
    second.expect(200, r#"{"a":1,"b":2}"#);
    let data = Some(server.stop().await);
    let server = Server::with(Options {
        data,
        ..Options::default()
    })
    .await;
    let third = post(&server, "", r#"{"a":3}"#).await;
    third.expect(200, r#"{"a":3,"b":2}"#);
}

/// The sample streams: its first item arrives while the second is held back.
async fn assert_streamed(server: &Server, sample: &str, first: &str, whole: &str) {
    let gate = Gate::new();
    let upstream = Upstream::start(Router::new().route("/gate", gate.route())).await;
    let settings = json!({ "env": { "GATE": upstream.url("/gate") } });
    deploy_with(server, sample, settings).await;
    let mut response = server.invoke("sample").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("content-length"));
    let mut text = String::new();
    while !text.contains(first) {
        let chunk = response.chunk().await.unwrap().expect("more to come");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    gate.arrived(1).await;
    assert!(!text.contains(r#"{"a":2}"#), "{text}");
    gate.open();
    text.push_str(&response.text().await.unwrap());
    assert_eq!(text, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_176_items_are_streamed_with_the_trailing_comma_of_the_sample() {
    let server = Server::start().await;
    deploy(&server, "S0-176-183").await;
    let answer = get(&server).await.expect(200, r#"[{"a":1},{"a":2},]"#);
    assert!(answer.header("content-length").is_none());
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("application/json"), "{kind}");
    assert_streamed(&server, "S0-176-183", r#"{"a":1}"#, r#"[{"a":1},{"a":2},]"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_7_a_route_parameter_names_the_user() {
    let server = Server::start().await;
    deploy_with(&server, "S1-7-11", json!({ "route": "/users/:userId" })).await;
    let answer = Answer::of(server.invoke("sample/users/42?x=1")).await;
    answer.expect(200, r#"{"user":{"id":"42","name":"user 42"}}"#);
    let answer = Answer::of(server.invoke("sample/users/a%20b")).await;
    answer.expect(200, r#"{"user":{"id":"a b","name":"user a b"}}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_13_a_handler_that_never_answers_gives_204() {
    let server = Server::start().await;
    deploy(&server, "S1-13-16").await;
    get(&server).await.expect(204, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_20_a_cache_in_a_module_does_not_persist() {
    let server = Server::start().await;
    deploy(&server, "S1-20-24").await;
    let first = post(&server, "?key=a", r#"{"value":1}"#).await;
    first.expect(200, r#"{"a":1}"#);
    let second = post(&server, "?key=b", r#"{"value":2}"#).await;
    second.expect(200, r#"{"b":2}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_26_a_value_is_stored_and_a_missing_key_is_refused() {
    let server = Server::start().await;
    deploy(&server, "S1-26-29").await;
    let answer = post(&server, "?key=color", r#"{"value":{"b":1,"a":"é"}}"#).await;
    answer.expect(200, r#"{"success":true}"#);
    assert_eq!(stored(&server, "color").unwrap(), r#"{"b":1,"a":"é"}"#);
    let answer = post(&server, "", r#"{"value":2}"#).await;
    answer.expect_problem(500, "function_threw");
    assert_eq!(stored_keys(&server), ["color"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_44_a_caught_error_is_answered_and_logged_with_its_stack() {
    let server = Server::start().await;
    deploy(&server, "S1-44-55").await;
    let answer = post(&server, "", r#"{"n":21}"#).await;
    answer.expect(200, r#"{"success":true,"result":42}"#);
    assert!(server.log("sample").await.is_empty());
    let answer = post(&server, "", r#"{"fail":true}"#).await;
    answer.expect(
        500,
        r#"{"error":"Operation failed","message":"the disk is full"}"#,
    );
    let log = server.log_with("sample", "Operation failed").await;
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(log[0]["level"], "error");
    let message = log[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("Operation failed: Error: the disk is full"),
        "{message}"
    );
    assert!(message.contains("at performOperation"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_58_input_is_validated() {
    let server = Server::start().await;
    deploy(&server, "S1-58-74").await;
    let no_address = r#"{"error":"Invalid email address"}"#;
    get(&server).await.expect(400, no_address);
    let cases = [
        ("{}", 400, no_address),
        (r#"{"email":"nobody","name":"Ada"}"#, 400, no_address),
        (
            r#"{"email":"a@b","name":"x"}"#,
            400,
            r#"{"error":"Name must be at least 2 characters"}"#,
        ),
        (
            r#"{"email":"a@b","name":"Ada"}"#,
            200,
            r#"{"user":{"id":1,"email":"a@b","name":"Ada"}}"#,
        ),
    ];
    for (body, status, expected) in cases {
        post(&server, "", body).await.expect(status, expected);
    }
}

async fn from(server: &Server, forwarded_for: &str) -> Answer {
    let request = server.invoke("sample");
    Answer::of(request.header("x-forwarded-for", forwarded_for)).await
}

const LIMITED: &str = r#"{"error":"Too many requests","retryAfter":60}"#;

#[tokio::test(flavor = "multi_thread")]
async fn s1_116_the_hundred_and_first_request_of_a_minute_is_refused() {
    let server = Server::with(Options {
        trust_proxy: true,
        ..Options::default()
    })
    .await;
    deploy(&server, "S1-116-129").await;
    for _ in 0..100 {
        let answer = from(&server, "192.0.2.1").await;
        answer.expect(200, r#"{"success":true}"#);
    }
    // The window is 60 seconds long; were it 60 milliseconds, it would be over now.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    from(&server, "192.0.2.1").await.expect(429, LIMITED);
    let other = from(&server, "192.0.2.2").await;
    other.expect(200, r#"{"success":true}"#);
    assert_eq!(stored(&server, "ratelimit:192.0.2.1").unwrap(), "100");
    assert_eq!(stored(&server, "ratelimit:192.0.2.2").unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_116_counts_anew_when_the_window_has_passed() {
    let server = Server::start().await;
    deploy(&server, "S1-116-129").await;
    let window = "module.exports = async (req, res) => {
        await kv.set('ratelimit:127.0.0.1', 100, { ttlMs: Number(req.query.ms) });
        res.end();
    };";
    server.deploy("window", window).await;
    Answer::of(server.invoke("window?ms=60000"))
        .await
        .expect(200, "");
    get(&server).await.expect(429, LIMITED);
    Answer::of(server.invoke("window?ms=1"))
        .await
        .expect(200, "");
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    get(&server).await.expect(200, r#"{"success":true}"#);
    assert_eq!(stored(&server, "ratelimit:127.0.0.1").unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_116_nobody_escapes_the_limit_by_a_forged_header() {
    let server = Server::start().await;
    deploy(&server, "S1-116-129").await;
    for forged in ["192.0.2.1", "192.0.2.2"] {
        from(&server, forged)
            .await
            .expect(200, r#"{"success":true}"#);
    }
    assert_eq!(stored_keys(&server), ["ratelimit:127.0.0.1"]);
    assert_eq!(stored(&server, "ratelimit:127.0.0.1").unwrap(), "2");
}

/// Posts a body to the webhook, with a signature if there is one.
async fn webhook(server: &Server, body: &str, signature: Option<&str>) -> Answer {
    let mut request = with_json(server.post("sample"), body);
    if let Some(signature) = signature {
        request = request.header("x-signature", signature);
    }
    Answer::of(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_132_a_webhook_is_taken_with_the_right_signature_only() {
    let server = Server::start().await;
    let settings = json!({ "env": { "WEBHOOK_SECRET": "s3cret" } });
    deploy_with(&server, "S1-132-149", settings).await;
    // HMAC-SHA256 with `s3cret` of the bodies as `JSON.stringify` writes them.
    let signed = [
        (
            r#"{"a":1}"#,
            "5910e62016ef5034272c926c27071992a465c2335cecf41851bda071577f4f6d",
        ),
        (
            r#"{"z":1,"a":{"y":[1,2,{"x":null}],"b":"é €"}}"#,
            "39d9fcb29681935163a7b488f81e55353ca55c2fb4132b7e2fc4c6c8757ed06f",
        ),
        (
            r#"{"b":1,"a":2}"#,
            "71856c78b8eab43efd5ff17dab1f90f5e6388dc9019672adde948e9c7b1b8c78",
        ),
        (
            r#"{"n": 1e21, "m" : 1.50}"#,
            "0d76421e499d8ec590b6fb8e8a5d8012c87030399ffd7ee61a4e829cc6254f37",
        ),
    ];
    for (body, signature) in signed {
        let answer = webhook(&server, body, Some(signature)).await;
        answer.expect(200, r#"{"success":true}"#);
    }
    let zeros = "0".repeat(64);
    let answer = webhook(&server, r#"{"a":1}"#, Some(&zeros)).await;
    answer.expect(401, r#"{"error":"Invalid signature"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_132_what_cannot_be_compared_is_an_error() {
    let server = Server::start().await;
    let settings = json!({ "env": { "WEBHOOK_SECRET": "s3cret" } });
    deploy_with(&server, "S1-132-149", settings).await;
    for (signature, kind) in [(Some("abc"), "RangeError"), (None, "TypeError")] {
        let answer = webhook(&server, r#"{"a":1}"#, signature).await;
        let problem = answer.expect_problem(500, "function_threw").json();
        assert!(
            problem["detail"].as_str().unwrap().contains(kind),
            "{problem}"
        );
    }
    server
        .log_with("sample", "Input buffers must have the same byte length")
        .await;
    deploy(&server, "S1-132-149").await;
    let answer = webhook(&server, r#"{"a":1}"#, Some("abc")).await;
    let problem = answer.expect_problem(500, "function_threw").json();
    assert!(
        problem["detail"].as_str().unwrap().contains("TypeError"),
        "{problem}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_175_items_are_streamed_as_a_json_array() {
    let server = Server::start().await;
    deploy(&server, "S1-175-186").await;
    let answer = get(&server).await.expect(200, r#"[{"a":1},{"a":2}]"#);
    assert!(answer.header("content-length").is_none());
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("application/json"), "{kind}");
    let none = json!({ "env": { "ITEMS": "[]" } });
    deploy_with(&server, "S1-175-186", none).await;
    get(&server).await.expect(200, "[]");
    assert_streamed(&server, "S1-175-186", r#"{"a":1}"#, r#"[{"a":1},{"a":2}]"#).await;
}

async fn assert_helpers_work(server: &Server) {
    for body in ["{}", r#"{"email":"nobody","message":"hi"}"#] {
        let answer = post(server, "", body).await;
        answer.expect(400, r#"{"error":"Invalid email"}"#);
    }
    let long = "x".repeat(1200);
    let body = json!({ "email": "a@b", "message": format!("  {long}  ") });
    let answer = post(server, "", &body.to_string()).await;
    answer.expect(200, r#"{"success":true}"#);
    let message = stored(server, "message").unwrap();
    let expected = json!({ "email": "a@b", "text": &long[..1000] });
    assert_eq!(message, expected.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_254_helper_functions_work_in_one_file() {
    let server = Server::start().await;
    deploy(&server, "S1-254-270").await;
    assert_helpers_work(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_254_helper_functions_work_in_a_file_of_their_own() {
    let server = Server::start().await;
    let index = read("S1-254-270/two-files/index.js");
    let helpers = read("S1-254-270/two-files/helpers.js");
    let files = [("index.js", index.as_str()), ("helpers.js", &helpers)];
    let deployed = server.deploy_files("sample", &files, json!({})).await;
    assert_eq!(deployed.status, 201, "{}", deployed.text());
    assert_eq!(deployed.json()["files"], 2);
    assert_helpers_work(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_301_edge_cases_are_handled() {
    let server = Server::start().await;
    deploy(&server, "S1-301-315").await;
    let required = r#"{"error":"items required"}"#;
    let nothing = r#"{"total":0,"items":[]}"#;
    let mixed = r#"{"items":[{"price":1},null,{"price":-2},{"price":2.5},{},"x"]}"#;
    let cases = [
        ("{}", 400, required),
        (r#"{"items":null}"#, 400, required),
        (r#"{"items":[]}"#, 200, nothing),
        (r#"{"items":"many"}"#, 200, nothing),
        (
            mixed,
            200,
            r#"{"total":3.5,"items":[{"price":1},{"price":2.5}]}"#,
        ),
    ];
    for (body, status, expected) in cases {
        post(&server, "", body).await.expect(status, expected);
    }
}
