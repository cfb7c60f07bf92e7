//! The promises of the document "Best Practices", line by line: `s1_NN` tests the line S1-NN of
//! `docs/seed-lines.md`.

use std::sync::Arc;
use std::time::Duration;

use ampoule::clock;
use ampoule::store::Store;
use axum::http::HeaderMap;
use axum::routing::any;
use axum::{Json, Router};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::fetch::Upstream;
use crate::process::{Running, ampoule};
use crate::samples::{
    assert_streamed, deploy, deploy_with, get, post, read, stored, stored_keys, with_json,
};
use crate::server::{Answer, Options, Server};

/// Nobody listens there.
const DOWN: &str = "http://127.0.0.1:1";

/// Stops the server, and tells which of its keys there would still be some seconds later.
async fn keys_later(server: Server, seconds: [u64; 2]) -> [Vec<String>; 2] {
    let data = server.stop().await;
    let path = data.path().join("data/ampoule.redb");
    seconds.map(|later| {
        let clock = move || clock::now_ms() + later * 1000;
        let store = Store::open_with_clock(&path, Arc::new(clock)).unwrap();
        let namespace = store.namespace(&"default".parse().unwrap());
        let keys = namespace.list("", None, 1000).unwrap().keys;
        drop(namespace);
        store.close();
        keys
    })
}

/// The messages of the sample's log, each of which is JSON.
async fn logged_json(server: &Server, last: &str) -> Vec<Value> {
    let lines = server.log_with("sample", last).await;
    let messages = lines.iter().map(|line| line["message"].as_str().unwrap());
    messages
        .map(|text| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_01_a_route_parameter_names_the_user() {
    let server = Server::start().await;
    deploy_with(&server, "S1-7-11", json!({ "route": "/users/:userId" })).await;
    let answer = Answer::of(server.invoke("sample/users/42?x=1")).await;
    answer.expect(200, r#"{"user":{"id":"42","name":"user 42"}}"#);
    let answer = Answer::of(server.invoke("sample/users/a%20b")).await;
    answer.expect(200, r#"{"user":{"id":"a b","name":"user a b"}}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_02_a_cache_in_a_module_does_not_persist() {
    let server = Server::start().await;
    deploy(&server, "S1-20-24").await;
    let first = post(&server, "?key=a", r#"{"value":1}"#).await;
    first.expect(200, r#"{"a":1}"#);
    let second = post(&server, "?key=b", r#"{"value":2}"#).await;
    second.expect(200, r#"{"b":2}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_03_a_value_is_stored_and_a_missing_key_is_refused() {
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
async fn s1_04_a_job_is_queued_under_a_random_uuid() {
    let server = Server::start().await;
    deploy(&server, "S1-33-40").await;
    let queued = r#"{"message":"Job queued","status":"processing"}"#;
    post(&server, "", r#"{"n":1}"#).await.expect(202, queued);
    let keys = stored_keys(&server);
    let [key] = keys.as_slice() else {
        panic!("{keys:?}")
    };
    let uuid = key.strip_prefix("job:").unwrap();
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = uuid.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        14 => byte == b'4',
        19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
        _ => is_hex(byte),
    });
    assert!(uuid.len() == 36 && fits, "{uuid}");
    assert_eq!(stored(&server, key).as_deref(), Some(r#"{"n":1}"#));
    post(&server, "", r#"{"n":2}"#).await.expect(202, queued);
    assert_eq!(stored_keys(&server).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_05_a_caught_error_is_answered_and_logged_with_its_stack() {
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
async fn s1_06_input_is_validated() {
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

#[tokio::test(flavor = "multi_thread")]
async fn s1_07_whatever_fails_upstream_the_cache_answers() {
    let server = Server::start().await;
    let routes = Router::new().route("/data", any(|| async { Json(json!({ "live": 1 })) }));
    let up = Upstream::start(routes).await;
    let broken = Upstream::saying("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nno way").await;
    let upstream = |url: &str| json!({ "env": { "UPSTREAM": url } });
    deploy_with(&server, "S1-77-92", upstream(&up.url(""))).await;
    get(&server).await.expect(200, r#"{"live":1}"#);
    let unavailable = r#"{"error":"Service temporarily unavailable"}"#;
    let cache = "module.exports = async (req, res) => {
        if (req.query.v) await kv.set('cached:data', { v: Number(req.query.v) });
        else await kv.delete('cached:data');
        res.end();
    };";
    server.deploy("cache", cache).await;
    // A label of a name has 63 characters at most: there can be no such host.
    let nameless = format!("http://{}.example", "a".repeat(64));
    for down in [DOWN, &nameless, &server.url(""), &broken.url("")] {
        deploy_with(&server, "S1-77-92", upstream(down)).await;
        Answer::of(server.invoke("cache")).await.expect(200, "");
        get(&server).await.expect(503, unavailable);
        Answer::of(server.invoke("cache?v=1")).await.expect(200, "");
        get(&server)
            .await
            .expect(200, r#"{"v":1,"fromCache":true}"#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_08_what_is_logged_can_be_read_and_secrets_are_in_no_answer() {
    let server = Server::start().await;
    let settings = json!({ "env": { "API_KEY": "key-4711" } });
    deploy_with(&server, "S1-96-103", settings.clone()).await;
    let body = r#"{"email":"ada@example.com","password":"hidden"}"#;
    let before = clock::now_ms();
    let answer = post(&server, "", body).await.expect(200, "");
    assert!(!format!("{answer:?}").contains("key-4711"));
    let lines = server.log_with("sample", "User login attempt:").await;
    let line = lines.last().unwrap()["message"].as_str().unwrap();
    assert!(line.contains("ada@example.com"), "{line}");
    assert!(!line.contains("[object Object]"), "{line}");
    let (_, time) = line.split_once("timestamp: ").unwrap();
    let digits: String = time.chars().take_while(char::is_ascii_digit).collect();
    let time: u64 = digits.parse().unwrap();
    assert!((before..=clock::now_ms()).contains(&time), "{line}");
    let source = "module.exports = () => { throw new Error(process.env.API_KEY); };";
    server.deploy_with("throws", source, settings).await;
    let answer = Answer::of(server.invoke("throws")).await;
    let answer = answer.expect_problem(500, "function_threw");
    assert!(!format!("{answer:?}").contains("key-4711"));
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_09_a_key_of_the_environment_reaches_the_service_that_it_is_for() {
    let server = Server::start().await;
    let told = any(|headers: HeaderMap| async move {
        Json(json!(headers["authorization"].to_str().unwrap()))
    });
    let upstream = Upstream::start(Router::new().route("/data", told)).await;
    let url = upstream.url("");
    deploy_with(&server, "S1-106-113", json!({ "env": { "UPSTREAM": url } })).await;
    let unset = r#"{"error":"Configuration error"}"#;
    get(&server).await.expect(500, unset);
    let settings = json!({ "env": { "UPSTREAM": url, "API_KEY": "key-4711" } });
    deploy_with(&server, "S1-106-113", settings).await;
    get(&server).await.expect(200, r#""Bearer key-4711""#);
}

async fn from(server: &Server, forwarded_for: &str) -> Answer {
    let request = server.invoke("sample");
    Answer::of(request.header("x-forwarded-for", forwarded_for)).await
}

const LIMITED: &str = r#"{"error":"Too many requests","retryAfter":60}"#;

#[tokio::test(flavor = "multi_thread")]
async fn s1_10_the_hundred_and_first_request_of_a_minute_is_refused() {
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
async fn s1_10_counts_anew_when_the_window_has_passed() {
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
async fn s1_11_nobody_escapes_the_limit_by_a_forged_header() {
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

/// Posts a body with a signature, or with none.
async fn signed(server: &Server, body: &str, signature: Option<&str>) -> Answer {
    let mut request = with_json(server.post("sample"), body);
    if let Some(signature) = signature {
        request = request.header("x-signature", signature);
    }
    Answer::of(request).await
}

/// A server with the webhook sample and its secret.
async fn webhook() -> Server {
    let server = Server::start().await;
    let settings = json!({ "env": { "WEBHOOK_SECRET": "s3cret" } });
    deploy_with(&server, "S1-132-149", settings).await;
    server
}

/// HMAC-SHA-256 of `{"a":1}` with the secret.
const SIGNATURE: &str = "5910e62016ef5034272c926c27071992a465c2335cecf41851bda071577f4f6d";

#[tokio::test(flavor = "multi_thread")]
async fn s1_12_a_webhook_with_its_signature_is_taken() {
    let server = webhook().await;
    let answer = signed(&server, r#"{"a":1}"#, Some(SIGNATURE)).await;
    answer.expect(200, r#"{"success":true}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_13_a_webhook_with_another_signature_is_refused() {
    let server = webhook().await;
    for (body, signature) in [
        (r#"{"a":1}"#, "0".repeat(64)),
        (r#"{"a":2}"#, SIGNATURE.to_owned()),
        (r#"{"a":1}"#, SIGNATURE.to_uppercase()),
    ] {
        let answer = signed(&server, body, Some(&signature)).await;
        answer.expect(401, r#"{"error":"Invalid signature"}"#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_14_a_signature_of_another_length_throws() {
    let server = webhook().await;
    let answer = signed(&server, r#"{"a":1}"#, Some("abc")).await;
    answer.expect_problem(500, "function_threw");
    let log = server.log_with("sample", "Uncaught").await;
    let message = log.last().unwrap()["message"].as_str().unwrap();
    assert!(message.contains("RangeError"), "{message}");
    let code = "ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH";
    assert!(message.contains(code), "{message}");
    let answer = signed(&server, r#"{"a":1}"#, Some(SIGNATURE)).await;
    answer.expect(200, r#"{"success":true}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_15_neither_signature_nor_secret_may_be_missing() {
    let server = webhook().await;
    let answer = signed(&server, r#"{"a":1}"#, None).await;
    answer.expect_problem(500, "function_threw");
    let log = server.log_with("sample", "ERR_INVALID_ARG_TYPE").await;
    let message = log.last().unwrap()["message"].as_str().unwrap();
    assert!(message.contains("TypeError"), "{message}");
    deploy(&server, "S1-132-149").await;
    let answer = signed(&server, r#"{"a":1}"#, Some(SIGNATURE)).await;
    answer.expect_problem(500, "function_threw");
    let count = |log: &[Value]| {
        let messages = log.iter().filter_map(|line| line["message"].as_str());
        messages
            .filter(|text| text.contains("ERR_INVALID_ARG_TYPE"))
            .count()
    };
    server.until_idle().await;
    assert_eq!(count(&server.log("sample").await), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_16_a_body_is_signed_in_its_own_order_and_spelling() {
    let server = webhook().await;
    // What Node signs: HMAC-SHA-256 of JSON.stringify(JSON.parse(body)).
    for (body, signature) in [
        (
            r#"{"a":1}"#,
            "5910e62016ef5034272c926c27071992a465c2335cecf41851bda071577f4f6d",
        ),
        (
            r#"{ "b": 1, "a": 2 }"#,
            "71856c78b8eab43efd5ff17dab1f90f5e6388dc9019672adde948e9c7b1b8c78",
        ),
        (
            r#"{"z":{"b":[1,{"y":null,"x":"é ☃ \ud83d\ude00"}]},"10":1,"2":2,"a":1e21,"t":1.50}"#,
            "20f33026f25245dd6e07426bfade2c0e9646081b9acdd2ba8b52ccf916b93d4f",
        ),
        (
            "[]",
            "920fbe8da6e51cf8315bd3ce5b63be1439ac418df0cd2abbf6e304e43b71eff9",
        ),
    ] {
        let answer = signed(&server, body, Some(signature)).await;
        answer.expect(200, r#"{"success":true}"#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_17_what_is_expensive_is_cached_for_five_minutes() {
    let server = Server::start().await;
    deploy(&server, "S1-153-164").await;
    let other = async |path: &str| Answer::of(server.invoke(&format!("sample{path}"))).await;
    let (made, cached) = (
        r#"{"n":7,"fromCache":false}"#,
        r#"{"n":7,"fromCache":true}"#,
    );
    other("/a?x=1").await.expect(200, made);
    other("/a?x=2").await.expect(200, cached);
    other("/b").await.expect(200, made);
    assert_eq!(stored_keys(&server), ["cache:/a", "cache:/b"]);
    let ages = "module.exports = async (req, res) => {
        await kv.set('cache:/a', await kv.get('cache:/a'), { ttlMs: 1 });
        res.end();
    };";
    server.deploy("ages", ages).await;
    Answer::of(server.invoke("ages")).await.expect(200, "");
    tokio::time::sleep(Duration::from_millis(20)).await;
    other("/a").await.expect(200, made);
    let [before, after] = keys_later(server, [290, 301]).await;
    assert_eq!(before, ["cache:/a", "cache:/b"]);
    assert!(after.is_empty(), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_18_a_relative_url_is_rejected_as_in_node() {
    let server = Server::start().await;
    deploy(&server, "S1-167-172").await;
    get(&server).await.expect_problem(500, "function_threw");
    server.log_with("sample", "ERR_INVALID_URL").await;
    let source = "module.exports = async (req, res) => {
        const error = await fetch('/api/user/1').catch((error) => error);
        res.json([error instanceof TypeError, error.code ?? error.cause?.code]);
    };";
    server.deploy("f", source).await;
    let answer = Answer::of(server.invoke("f")).await;
    answer.expect(200, r#"[true,"ERR_INVALID_URL"]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_19_items_are_streamed_as_a_json_array() {
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

#[tokio::test(flavor = "multi_thread")]
async fn s1_20_a_map_finds_what_an_array_finds() {
    let server = Server::start().await;
    deploy(&server, "S1-190-191").await;
    get(&server).await.expect(200, "null");
    deploy(&server, "S1-193-194").await;
    get(&server).await.expect(200, r#"{"id":2,"name":"Bob"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_21_structured_lines_are_in_the_log_as_json() {
    let server = Server::start().await;
    deploy(&server, "S1-198-225").await;
    post(&server, "/a?x=1", "{}")
        .await
        .expect(200, r#"{"n":42}"#);
    let lines = logged_json(&server, "Request processed").await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0]["message"], "Request received");
    let asked = (&lines[0]["method"], &lines[0]["path"]);
    assert_eq!(asked, (&json!("POST"), &json!("/a")));
    assert_eq!(
        (&lines[1]["level"], &lines[1]["duration"]),
        (&json!("info"), &json!(123))
    );
    assert!(lines.iter().all(|line| line["timestamp"].is_u64()));
    let failed = r#"{"error":"the disk is full"}"#;
    post(&server, "", r#"{"fail":true}"#)
        .await
        .expect(500, failed);
    let lines = logged_json(&server, "Request failed").await;
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(
        (&lines[3]["level"], &lines[3]["error"]),
        (&json!("error"), &json!("the disk is full"))
    );
    let stack = lines[3]["stack"].as_str().unwrap();
    assert!(stack.contains("processRequest"), "{stack}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_22_metrics_are_kept_for_an_hour_also_of_what_fails() {
    let server = Server::start().await;
    deploy(&server, "S1-228-250").await;
    let before = clock::now_ms();
    post(&server, "", "{}").await.expect(200, r#"{"n":42}"#);
    let failed = post(&server, "", r#"{"fail":true}"#).await;
    failed.expect_problem(500, "function_threw");
    let after = clock::now_ms();
    let keys = stored_keys(&server);
    let names = ["error", "latency", "success"];
    assert_eq!(keys.len(), names.len(), "{keys:?}");
    for (key, name) in keys.iter().zip(names) {
        let bucket = key.strip_prefix(&format!("metrics:requests.{name}:"));
        let bucket: u64 = bucket.unwrap().parse().unwrap();
        assert_eq!(bucket % 300_000, 0, "{key}");
        assert!((before - 300_000..=after).contains(&bucket), "{key}");
        let value = stored(&server, key).unwrap();
        assert!(name == "latency" || value == "1", "{key}: {value}");
    }
    let [almost, over] = keys_later(server, [3590, 3601]).await;
    assert_eq!(almost, keys);
    assert!(over.is_empty(), "{over:?}");
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
async fn s1_23_helper_functions_work_in_one_file() {
    let server = Server::start().await;
    deploy(&server, "S1-254-270").await;
    assert_helpers_work(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_23_helper_functions_work_in_a_file_of_their_own() {
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
async fn s1_24_a_payment_is_stored_once_its_webhook_is_verified() {
    let server = Server::start().await;
    deploy(&server, "S1-273-295").await;
    let body = r#"{"amount":12.5,"currency":"EUR","orderId":"o-1"}"#;
    let refused = r#"{"error":"Invalid signature"}"#;
    signed(&server, body, None).await.expect(401, refused);
    assert!(stored_keys(&server).is_empty());
    let before = clock::now_ms();
    let taken = r#"{"success":true}"#;
    signed(&server, body, Some("good")).await.expect(200, taken);
    let order: Value = serde_json::from_str(&stored(&server, "order:o-1").unwrap()).unwrap();
    let paid_at = order["paidAt"].as_u64().unwrap();
    assert!((before..=clock::now_ms()).contains(&paid_at), "{order}");
    let expected = json!({
        "status": "paid", "amount": 12.5, "currency": "EUR", "paidAt": paid_at
    });
    assert_eq!(order, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_25_a_function_can_be_tried_before_it_is_deployed() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let source = "module.exports = (req, res) => res.json({ tried: req.query.x });";
    std::fs::write(folder.path().join("index.js"), source).unwrap();
    let mut command = ampoule(&["dev", "--listen", "127.0.0.1:0", "--name", "tried"]);
    let command = command.arg(folder.path()).env("TMPDIR", temporary.path());
    let running = Running::spawn(command, None);
    let shown = running.out.shows("Ctrl-C ends").await;
    let (_, url) = shown.split_once("curl ").unwrap();
    let url = url.split_whitespace().find(|word| word.contains("http://"));
    let url = url.unwrap().trim_matches(['\'', '"']);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = Answer::of(client.get(format!("{url}?x=1"))).await;
    answer.expect(200, r#"{"tried":"1"}"#);
    running.signal(Signal::INT);
    running.ended().await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_26_edge_cases_are_handled() {
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

#[tokio::test(flavor = "multi_thread")]
async fn s1_27_typescript_runs_with_its_types_stripped() {
    let server = Server::start().await;
    let source = read("S1-318-328/function.ts");
    let files = [("index.ts", source.as_str())];
    let deployed = server.deploy_files("sample", &files, json!({})).await;
    assert_eq!(deployed.status, 201, "{}", deployed.text());
    post(&server, "", r#"{"email":"a@b","name":"Ada"}"#)
        .await
        .expect(204, "");
    // What cannot be compiled is refused now, and the version before goes on.
    let files = [("index.ts", "const x: = 1;\nmodule.exports = () => {};")];
    let refused = server.deploy_files("sample", &files, json!({})).await;
    assert_eq!(refused.status / 100, 4, "{}", refused.text());
    assert!(refused.text().contains("index.ts"), "{}", refused.text());
    post(&server, "", "{}").await.expect(204, "");
}
