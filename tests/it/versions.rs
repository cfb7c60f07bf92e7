//! Versions: what makes one, which of them answers, and what can be done with the others.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::openapi::Document;
use crate::server::{Answer, Options, Server};
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const FUNCTION: &str = "/api/v1/tenants/default/functions/f";

/// A function that answers `text` and the variable `X`.
fn source(text: &str) -> String {
    format!("module.exports = (req, res) => res.send('{text} ' + process.env.X);")
}

async fn deploy(server: &Server, text: &str, settings: Value) -> Answer {
    let source = source(text);
    Answer::of(server.deploy_request("default", "f", "index.js", &source, &settings)).await
}

fn number(answer: &Answer) -> u64 {
    let version = answer.json()["version"].as_u64();
    version.unwrap_or_else(|| panic!("{}", answer.text()))
}

async fn call(server: &Server, method: Method, path: &str) -> Answer {
    Answer::of(server.request(method, &format!("{FUNCTION}{path}"))).await
}

async fn send(server: &Server, method: Method, path: &str, body: Value) -> Answer {
    let request = server.request(method, &format!("{FUNCTION}{path}"));
    Answer::of(with_json(request, &body)).await
}

/// A request with a JSON body.
pub fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request
        .header("content-type", "application/json")
        .body(body.to_string())
}

async fn says(server: &Server) -> String {
    let answer = Answer::of(server.invoke("f")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

fn etag(answer: &Answer) -> String {
    answer.header("etag").expect("an ETag").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identical_upload_is_recognised() {
    let server = Server::start().await;
    let first = deploy(&server, "a", json!({"env": {"X": "1"}})).await;
    assert_eq!((first.status, number(&first)), (201, 1));
    let again = deploy(&server, "a", json!({"env": {"X": "1"}})).await;
    assert_eq!((again.status, number(&again)), (200, 1));
    assert_eq!(etag(&again), etag(&first));
    for (text, settings) in [
        ("b", json!({"env": {"X": "1"}})),
        ("a", json!({"env": {"X": "2"}})),
        ("a", json!({"env": {"X": "1"}, "route": "/:id"})),
        ("a", json!({"env": {"X": "1"}, "limits": {"wall_ms": 5000}})),
    ] {
        let other = deploy(&server, text, settings.clone()).await;
        assert_eq!(other.status, 201, "{text} {settings}");
    }
    // It is made active again, unless it is not to be.
    let inactive = json!({"env": {"X": "1"}, "activate": false});
    let found = deploy(&server, "a", inactive).await.json();
    assert_eq!(
        (&found["version"], &found["active"]),
        (&json!(1), &json!(false))
    );
    let found = deploy(&server, "a", json!({"env": {"X": "1"}}))
        .await
        .json();
    assert_eq!(
        (&found["version"], &found["active"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(says(&server).await, "a 1");
    let listed = call(&server, Method::GET, "/versions").await.json();
    assert_eq!(listed["versions"].as_array().unwrap().len(), 5);
    let digests = listed["versions"].as_array().unwrap().iter();
    let digests: Vec<&str> = digests.map(|one| one["digest"].as_str().unwrap()).collect();
    // 5: limits, 4: route, 3: another X only, 2: another file, 1.
    assert_eq!(digests[2], digests[4]);
    assert_eq!(digests.iter().collect::<BTreeSet<_>>().len(), 4);
    let text = listed.to_string();
    assert!(
        !text.contains("\"1\"") && !text.contains("\"2\""),
        "values are shown: {text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn identical_uploads_at_once_make_one_version() {
    let server = Server::start().await;
    let uploads = join_all((0..8).map(|_| deploy(&server, "a", json!({})))).await;
    let made = uploads.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1);
    assert!(uploads.iter().all(|answer| number(answer) == 1));
    assert_eq!(says(&server).await, "a undefined");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_uploaded_activated_rolled_back_and_deleted() {
    let server = Server::start().await;
    for text in ["a", "b", "c"] {
        let request = server
            .request(Method::PUT, &format!("{FUNCTION}?activate=false"))
            .header("content-type", "application/javascript")
            .body(source(text));
        let answer = Answer::of(request).await;
        assert_eq!(
            (answer.status, &answer.json()["active"]),
            (201, &json!(false))
        );
    }
    let answer = Answer::of(server.invoke("f")).await;
    answer.expect_problem(404, "function_not_found");
    let shown = call(&server, Method::GET, "").await.json();
    assert_eq!(
        (&shown["active_version"], &shown["versions"]),
        (&json!(null), &json!(3))
    );
    let back = call(&server, Method::POST, "/rollback").await;
    back.expect_problem(404, "version_not_found");
    for version in [1, 2, 3] {
        let path = format!("/versions/{version}/activate");
        assert_eq!(call(&server, Method::POST, &path).await.status, 200);
    }
    assert_eq!(
        call(&server, Method::GET, "").await.json()["previous_version"],
        2
    );
    let active = call(&server, Method::DELETE, "/versions/3").await;
    active.expect_problem(409, "version_active");
    for (version, text) in [(2, "b"), (1, "a")] {
        let back = call(&server, Method::POST, "/rollback").await;
        assert_eq!((back.status, number(&back)), (200, version));
        assert_eq!(back.json()["active"], true);
        assert_eq!(says(&server).await, format!("{text} undefined"));
    }
    let back = call(&server, Method::POST, "/rollback").await;
    back.expect_problem(404, "version_not_found");
    assert_eq!(
        call(&server, Method::DELETE, "/versions/3").await.status,
        204
    );
    let gone = call(&server, Method::GET, "/versions/3").await;
    gone.expect_problem(404, "version_not_found");
    assert_eq!(
        call(&server, Method::GET, "/versions/2").await.json()["active"],
        false
    );
    // The history is there after a restart.
    call(&server, Method::POST, "/versions/2/activate").await;
    let data = Some(server.stop().await);
    let options = Options {
        data,
        ..Options::default()
    };
    let server = Server::with(options).await;
    assert_eq!(says(&server).await, "b undefined");
    assert_eq!(number(&call(&server, Method::POST, "/rollback").await), 1);
    assert_eq!(says(&server).await, "a undefined");
}

/// S0-52: env is per version.
#[tokio::test(flavor = "multi_thread")]
async fn an_edited_environment_is_a_new_version_and_the_old_one_keeps_its_own() {
    let server = Server::start().await;
    let first = deploy(&server, "a", json!({"env": {"X": "1", "Y": "s3cret"}}))
        .await
        .json();
    let edited = send(
        &server,
        Method::PATCH,
        "/env",
        json!({"env": {"X": "2", "Z": "3"}}),
    )
    .await;
    assert_eq!(edited.status, 201, "{}", edited.text());
    let edited = edited.json();
    assert_eq!(
        (&edited["version"], &edited["active"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(edited["env"], json!(["X", "Y", "Z"]));
    assert_eq!(edited["digest"], first["digest"]);
    assert_eq!(says(&server).await, "a 2");
    let same = send(&server, Method::PATCH, "/env", json!({"env": {"X": "2"}})).await;
    assert_eq!((same.status, number(&same)), (200, 2));
    let back = call(&server, Method::POST, "/rollback").await;
    assert_eq!(number(&back), 1);
    assert_eq!(says(&server).await, "a 1");
    let gone = call(&server, Method::DELETE, "/env/X").await;
    assert_eq!((gone.status, number(&gone)), (201, 3));
    assert_eq!(says(&server).await, "a undefined");
    let replaced = send(&server, Method::PUT, "/env", json!({"env": {"X": "4"}})).await;
    assert_eq!(replaced.json()["env"], json!(["X"]));
    assert_eq!(says(&server).await, "a 4");
    // A version that is not active stays in the background.
    let other = send(
        &server,
        Method::PATCH,
        "/env?version=1",
        json!({"env": {"X": "5"}}),
    )
    .await;
    assert_eq!(
        (other.status, &other.json()["active"]),
        (201, &json!(false))
    );
    assert_eq!(says(&server).await, "a 4");
    let listed = call(&server, Method::GET, "/env?version=5").await;
    assert_eq!(
        listed.json(),
        json!({"version": 5, "env": ["X", "Y"], "secrets": []})
    );
    for answer in [
        call(&server, Method::GET, "").await,
        call(&server, Method::GET, "/env").await,
        call(&server, Method::GET, "/versions").await,
    ] {
        assert!(!answer.text().contains("s3cret"), "{}", answer.text());
    }
    for (body, status, code) in [
        (json!({"env": {"1X": "1"}}), 400, "settings_invalid"),
        (
            json!({"env": {"X": "v".repeat(70_000)}}),
            400,
            "settings_invalid",
        ),
        (json!({"env": {"X": 1}}), 400, "body_invalid"),
        (json!({"env": {}, "more": 1}), 400, "body_invalid"),
        (json!([]), 400, "body_invalid"),
        (
            json!({"env": {"X": "v".repeat(2 << 20)}}),
            413,
            "body_too_large",
        ),
    ] {
        let answer = send(&server, Method::PATCH, "/env", body).await;
        answer.expect_problem(status, code);
    }
    let missing = send(&server, Method::PUT, "/env?version=9", json!({"env": {}})).await;
    missing.expect_problem(404, "version_not_found");
    assert_eq!(says(&server).await, "a 4");
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_an_environment_at_once_all_count() {
    let server = Server::start().await;
    deploy(&server, "a", json!({})).await;
    let edits = ["A", "B", "C", "D"].map(|name| {
        let body = json!({"env": {name: "1"}});
        let server = &server;
        async move { send(server, Method::PATCH, "/env", body).await }
    });
    for answer in join_all(edits).await {
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    let listed = call(&server, Method::GET, "/env").await;
    assert_eq!(
        listed.json(),
        json!({"version": 5, "env": ["A", "B", "C", "D"], "secrets": []})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_that_need_a_variable_keep_the_version_that_has_it() {
    let server = Server::start().await;
    let source = "if (!process.env.X) throw new Error('X is missing');\n\
        module.exports = (req, res) => res.send(process.env.X);";
    server
        .deploy_with("f", source, json!({"env": {"X": "1"}}))
        .await;
    let refused = call(&server, Method::DELETE, "/env/X").await;
    refused.expect_problem(422, "load_threw");
    assert_eq!(says(&server).await, "1");
    let listed = call(&server, Method::GET, "/versions").await.json();
    assert_eq!(listed["versions"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_version_come_back_as_they_were_uploaded() {
    let server = Server::start().await;
    let binary = String::from_utf8((0..=127).collect()).unwrap();
    let files = [
        ("index.js", "module.exports = (req, res) => res.send('x');"),
        ("data/bytes.bin", binary.as_str()),
        ("empty.txt", ""),
        ("types.ts", "export const n: number = 1;\r\n"),
    ];
    let deployed = server.deploy_files("f", &files, json!({})).await;
    assert_eq!(deployed.status, 201, "{}", deployed.text());
    let answer = call(&server, Method::GET, "/versions/1/files").await;
    assert_eq!(answer.header("content-type"), Some("application/gzip"));
    let name = "attachment; filename=\"f-1.tar.gz\"";
    assert_eq!(answer.header("content-disposition"), Some(name));
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&answer.body[..]));
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        found.insert(path, text);
    }
    let sent = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    assert_eq!(found, BTreeMap::from(sent));
    // Uploaded again, they are the same version.
    let request = server
        .request(Method::PUT, FUNCTION)
        .header("content-type", "application/gzip")
        .body(answer.body);
    let again = Answer::of(request).await;
    assert_eq!((again.status, number(&again)), (200, 1));
    call(&server, Method::GET, "/versions/2/files")
        .await
        .expect_problem(404, "version_not_found");
}

fn with(request: RequestBuilder, name: &str, value: &str) -> RequestBuilder {
    request.header(name, value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_top_of_something_stale_is_refused() {
    let server = Server::start().await;
    let put = || {
        let settings = json!({});
        server.deploy_request("default", "f", "index.js", &source("a"), &settings)
    };
    let absent = Answer::of(with(put(), "if-match", "*")).await;
    absent.expect_problem(412, "precondition_failed");
    let made = Answer::of(with(put(), "if-none-match", "*")).await;
    assert_eq!(made.status, 201);
    let exists = Answer::of(with(put(), "if-none-match", "*")).await;
    exists.expect_problem(412, "precondition_failed");
    let stale = etag(&made);
    assert_eq!(etag(&call(&server, Method::GET, "").await), stale);
    let of_version = etag(&call(&server, Method::GET, "/versions/1").await);
    deploy(&server, "b", json!({})).await;
    let now = etag(&call(&server, Method::GET, "").await);
    assert_ne!(now, stale);
    assert_ne!(
        etag(&call(&server, Method::GET, "/versions/1").await),
        of_version
    );
    let request = |method: Method, path: &str| {
        let split = json!({"version": 1, "weight_percent": 10});
        let body = match path {
            "" if method == Method::PATCH => json!({"description": "x"}),
            "/split" => split,
            "/env" => json!({"env": {"X": "1"}}),
            _ => json!(null),
        };
        let request = server.request(method, &format!("{FUNCTION}{path}"));
        if body.is_null() {
            request
        } else {
            with_json(request, &body)
        }
    };
    let changes = [
        (Method::PATCH, ""),
        (Method::PUT, "/split"),
        (Method::DELETE, "/split"),
        (Method::PATCH, "/env"),
        (Method::POST, "/rollback"),
        (Method::POST, "/versions/2/activate"),
        (Method::DELETE, "/versions/1"),
        (Method::DELETE, ""),
    ];
    for (method, path) in &changes {
        let what = format!("{method} {path}");
        let answer = Answer::of(with(request(method.clone(), path), "if-match", &stale)).await;
        assert_eq!(answer.status, 412, "{what}: {}", answer.text());
        let weak = format!("W/{now}");
        let answer = Answer::of(with(request(method.clone(), path), "if-match", &weak)).await;
        assert_eq!(answer.status, 412, "{what}: {}", answer.text());
        let answer = Answer::of(with(request(method.clone(), path), "if-match", "f1")).await;
        answer.expect_problem(400, "bad_request");
    }
    assert_eq!(
        etag(&call(&server, Method::GET, "").await),
        now,
        "nothing has changed"
    );
    for (method, path) in &changes {
        let what = format!("{method} {path}");
        let now = etag(&call(&server, Method::GET, "").await);
        let both = format!("\"other\", {now}");
        let answer = Answer::of(with(request(method.clone(), path), "if-match", &both)).await;
        assert!(answer.status < 300, "{what}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_has_already_is_not_sent_again() {
    let server = Server::start().await;
    deploy(&server, "a", json!({})).await;
    for path in ["", "/versions/1", "/versions/1/files"] {
        let tag = etag(&call(&server, Method::GET, path).await);
        let request = server.request(Method::GET, &format!("{FUNCTION}{path}"));
        let answer = Answer::of(with(request, "if-none-match", &format!("W/{tag}"))).await;
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{path}");
        let request = server.request(Method::GET, &format!("{FUNCTION}{path}"));
        let answer = Answer::of(with(request, "if-none-match", "\"other\"")).await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

/// S1-25: a way to test-invoke before activation exists.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_tested_before_it_is_active_by_those_with_a_key_only() {
    let options = Options {
        key: Some("s3cret-key".to_owned()),
        ..Options::default()
    };
    let server = Server::with(options).await;
    let key = |request: RequestBuilder| request.bearer_auth("s3cret-key");
    let source = |n: u32| {
        format!(
            "module.exports = (req, res) => res.set('x-ampoule-version', '77').json({{ n: {n}, \
             url: req.originalUrl ?? req.url, method: req.method, body: req.body, \
             auth: req.headers.authorization ?? null, all: Object.values(req.headers) }});"
        )
    };
    for n in [1, 2] {
        let settings = json!({"activate": n == 1});
        let source = source(n);
        let request = server.deploy_request("default", "f", "index.js", &source, &settings);
        assert_eq!(Answer::of(key(request)).await.status, 201);
    }
    let test = |method: Method, rest: &str| {
        server.request(method, &format!("{FUNCTION}/versions/2/test{rest}"))
    };
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let answer = Answer::of(test(method, "/a")).await;
        answer.expect_problem(401, "unauthorized");
    }
    let request = key(test(Method::POST, "/a%2Fb/c?q=1&r=/d"));
    let request = with_json(request, &json!({"x": 1}));
    let answer = Answer::of(request).await;
    assert_eq!(answer.header("x-ampoule-version"), Some("2"));
    assert!(answer.header("x-ampoule-invocation").is_some());
    let seen = answer.json();
    assert_eq!((&seen["n"], &seen["method"]), (&json!(2), &json!("POST")));
    assert_eq!(seen["url"], "/a%2Fb/c?q=1&r=/d");
    assert_eq!(seen["body"], json!({"x": 1}));
    assert_eq!(seen["auth"], json!(null));
    assert!(!seen.to_string().contains("s3cret-key"));
    let request = key(test(Method::GET, "")).header("x-ampoule-test-authorization", "Basic eA==");
    let seen = Answer::of(request).await.json();
    assert_eq!(
        (&seen["url"], &seen["auth"]),
        (&json!("/"), &json!("Basic eA=="))
    );
    assert_eq!(seen["all"].to_string().matches("eA==").count(), 1);
    // The name still leads to the other one, whatever a caller says.
    for target in ["f", "f/versions/2/test", "f?version=2"] {
        let request = with(server.invoke(target), "x-ampoule-version", "2");
        let answer = Answer::of(request).await;
        assert_eq!(answer.json()["n"], 1);
        assert_eq!(answer.header("x-ampoule-version"), Some("1"));
    }
    let missing = format!("{FUNCTION}/versions/3/test/");
    let answer = Answer::of(key(server.request(Method::GET, &missing))).await;
    answer.expect_problem(404, "version_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_sends_its_share_to_the_other_version_until_an_activation() {
    let server = Server::start().await;
    deploy(&server, "a", json!({})).await;
    deploy(&server, "b", json!({})).await;
    let split = |version: u64, weight: u64| {
        let body = json!({"version": version, "weight_percent": weight});
        let server = &server;
        async move { send(server, Method::PUT, "/split", body).await }
    };
    for (version, weight) in [(1, 0), (1, 100), (2, 50)] {
        split(version, weight)
            .await
            .expect_problem(400, "body_invalid");
    }
    split(1, 256).await.expect_problem(400, "body_invalid");
    split(9, 50).await.expect_problem(404, "version_not_found");
    let shown = split(1, 30).await.json();
    assert_eq!(shown["split"], json!({"version": 1, "weight_percent": 30}));
    let taking_part = call(&server, Method::DELETE, "/versions/1").await;
    taking_part.expect_problem(409, "version_active");
    let count = |times: usize| {
        let server = &server;
        async move {
            let mut of_first = 0;
            for _ in 0..times {
                let answer = Answer::of(server.invoke("f")).await;
                let version = answer.header("x-ampoule-version").unwrap();
                let expected = if version == "1" {
                    "a undefined"
                } else {
                    "b undefined"
                };
                assert_eq!(answer.text(), expected);
                of_first += usize::from(version == "1");
            }
            of_first
        }
    };
    // Of 400 with a share of 30 percent, fewer than 60 or more than 180 come by chance once in
    // more than 10^10 runs.
    let of_first = count(400).await;
    assert!((60..180).contains(&of_first), "{of_first} of 400");
    assert_eq!(
        call(&server, Method::DELETE, "/split").await.json()["split"],
        json!(null)
    );
    assert_eq!(count(50).await, 0);
    for (path, always_first) in [("/versions/2/activate", false), ("/rollback", true)] {
        split(1, 99).await;
        assert_eq!(call(&server, Method::POST, path).await.status, 200);
        assert_eq!(
            call(&server, Method::GET, "").await.json()["split"],
            json!(null)
        );
        assert_eq!(count(50).await, if always_first { 50 } else { 0 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_function_answers_as_if_it_were_not_there() {
    let server = Server::start().await;
    deploy(&server, "a", json!({})).await;
    let unknown = Answer::of(server.invoke("g")).await.json();
    let changed = send(
        &server,
        Method::PATCH,
        "",
        json!({"enabled": false, "description": "sums up orders"}),
    );
    let changed = changed.await.json();
    assert_eq!(
        (&changed["enabled"], &changed["active_version"]),
        (&json!(false), &json!(1))
    );
    let answer = Answer::of(server.invoke("f")).await;
    assert_eq!(answer.header("x-ampoule-version"), None);
    let answer = answer.expect_problem(404, "function_not_found").json();
    let detail = |problem: &Value| problem["detail"].as_str().unwrap().replace(":f", ":g");
    assert_eq!(detail(&answer), detail(&unknown));
    let tested = call(&server, Method::GET, "/versions/1/test/").await;
    assert_eq!(tested.text(), "a undefined");
    deploy(&server, "b", json!({})).await;
    let answer = Answer::of(server.invoke("f")).await;
    answer.expect_problem(404, "function_not_found");
    let data = Some(server.stop().await);
    let options = Options {
        data,
        ..Options::default()
    };
    let server = Server::with(options).await;
    let answer = Answer::of(server.invoke("f")).await;
    answer.expect_problem(404, "function_not_found");
    let changed = send(&server, Method::PATCH, "", json!({"enabled": true}))
        .await
        .json();
    assert_eq!(changed["description"], "sums up orders");
    assert_eq!(says(&server).await, "b undefined");
    for (body, code) in [
        (json!({"description": "x".repeat(4097)}), "body_invalid"),
        (json!({"active": false}), "body_invalid"),
        (json!({"enabled": "no"}), "body_invalid"),
    ] {
        let answer = send(&server, Method::PATCH, "", body).await;
        answer.expect_problem(400, code);
    }
    let most = json!({"description": "x".repeat(4096)});
    assert_eq!(send(&server, Method::PATCH, "", most).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_come_in_pages() {
    let server = Server::start().await;
    for text in ["a", "b", "c"] {
        deploy(&server, text, json!({})).await;
        let source = source(text);
        let name = format!("f{text}");
        server.deploy(&name, &source).await;
    }
    for (path, things, key) in [
        ("/api/v1/tenants/default/functions", "functions", "name"),
        (&format!("{FUNCTION}/versions"), "versions", "version"),
    ] {
        let whole = Answer::of(server.request(Method::GET, path)).await.json();
        assert_eq!(whole["cursor"], json!(null));
        let all = whole[things].as_array().unwrap().iter();
        let all: Vec<Value> = all.map(|one| one[key].clone()).collect();
        let (mut paged, mut query) = (Vec::new(), "?limit=2".to_owned());
        loop {
            let page = Answer::of(server.request(Method::GET, &format!("{path}{query}"))).await;
            let page = page.json();
            let some = page[things].as_array().unwrap();
            assert!(some.len() <= 2);
            paged.extend(some.iter().map(|one| one[key].clone()));
            let Some(cursor) = page["cursor"].as_str() else {
                break;
            };
            query = format!("?limit=2&cursor={cursor}");
        }
        assert_eq!(paged, all);
        for bad in ["limit=0", "limit=1001", "limit=x", "cursor=-"] {
            let answer = Answer::of(server.request(Method::GET, &format!("{path}?{bad}"))).await;
            answer.expect_problem(400, "bad_request");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_versions_answer_is_as_the_document_says() {
    let server = Server::start().await;
    let document = Document::of(&server).await;
    deploy(&server, "a", json!({})).await;
    deploy(&server, "b", json!({})).await;
    let split = json!({"version": 1, "weight_percent": 10});
    let env = json!({"env": {"X": "1"}});
    for (method, path, body, status) in [
        (Method::GET, "", json!(null), 200),
        (Method::GET, "/versions/1", json!(null), 200),
        (Method::GET, "/versions?limit=1", json!(null), 200),
        (Method::GET, "/versions/1/files", json!(null), 200),
        (
            Method::PATCH,
            "",
            json!({"description": "d", "enabled": true}),
            200,
        ),
        (Method::PATCH, "", json!({"x": 1}), 400),
        (Method::PUT, "/split", split.clone(), 200),
        (Method::GET, "", json!(null), 200),
        (Method::DELETE, "/versions/1", json!(null), 409),
        (Method::DELETE, "/split", json!(null), 200),
        (Method::PUT, "/split", json!({}), 400),
        (Method::POST, "/rollback", json!(null), 200),
        (Method::POST, "/rollback", json!(null), 404),
        (Method::GET, "/env", json!(null), 200),
        (Method::PATCH, "/env", env.clone(), 201),
        (Method::PUT, "/env", env, 200),
        (Method::DELETE, "/env/X", json!(null), 200),
        (Method::GET, "/versions/1/test/x", json!(null), 200),
        (Method::POST, "/versions/2/activate", json!(null), 200),
    ] {
        let what = format!("{method} {path}");
        let request = server.request(method, &format!("{FUNCTION}{path}"));
        let request = if body.is_null() {
            request
        } else {
            with_json(request, &body)
        };
        let answer = document.check_request(request).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
    }
    let tag = etag(&call(&server, Method::GET, "").await);
    let request = with(server.request(Method::GET, FUNCTION), "if-none-match", &tag);
    assert_eq!(document.check_request(request).await.status, 304);
    let request = with(
        server.request(Method::DELETE, FUNCTION),
        "if-match",
        "\"x\"",
    );
    assert_eq!(document.check_request(request).await.status, 412);
}

/// One file in the code, one that is read, and a variable: all three say which version it is.
async fn deploy_whole(server: &Server, n: u32) -> u64 {
    let code = format!(
        "const fs = require('fs');\n\
         module.exports = async (req, res) => {{\n\
           const file = fs.readFileSync('/app/which.txt', 'utf8');\n\
           await new Promise((done) => setTimeout(done, {n}));\n\
           const late = require('./late');\n\
           res.json({{ code: '{n}', env: process.env.WHICH, file, late }});\n\
         }};"
    );
    let (late, which) = (format!("module.exports = '{n}';"), n.to_string());
    let files = [
        ("index.js", code.as_str()),
        ("late.js", late.as_str()),
        ("which.txt", which.as_str()),
    ];
    let settings = json!({"activate": false, "env": {"WHICH": which}});
    let deployed = server.deploy_files("f", &files, settings).await;
    assert_eq!(deployed.status, 201, "{}", deployed.text());
    number(&deployed)
}

/// What invocations under load have seen.
#[derive(Default)]
struct Seen {
    done: AtomicBool,
    answers: AtomicUsize,
    versions: std::sync::Mutex<BTreeSet<String>>,
}

async fn keep_asking(server: Arc<Server>, seen: Arc<Seen>) {
    while !seen.done.load(Ordering::Relaxed) {
        let answer = Answer::of(server.invoke("f")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let said = answer.json();
        let version = answer.header("x-ampoule-version").unwrap();
        for part in ["code", "env", "file", "late"] {
            assert_eq!(said[part], version, "a mixture of versions: {said}");
        }
        seen.versions.lock().unwrap().insert(version.to_owned());
        seen.answers.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn activating_and_rolling_back_under_load_loses_and_mixes_nothing() {
    let server = Arc::new(Server::start().await);
    for n in 1..=4 {
        assert_eq!(deploy_whole(&server, n).await, u64::from(n));
    }
    call(&server, Method::POST, "/versions/1/activate").await;
    let seen = Arc::new(Seen::default());
    let asking: Vec<_> = (0..16)
        .map(|_| tokio::spawn(keep_asking(Arc::clone(&server), Arc::clone(&seen))))
        .collect();
    for round in 0..40_u64 {
        let before = seen.answers.load(Ordering::Relaxed);
        let (path, body) = match round % 4 {
            0 => ("/rollback".to_owned(), json!(null)),
            1 => (
                "/split".to_owned(),
                json!({"version": 4, "weight_percent": 50}),
            ),
            _ => (format!("/versions/{}/activate", 1 + round % 3), json!(null)),
        };
        let answer = match body.is_null() {
            true => call(&server, Method::POST, &path).await,
            false => send(&server, Method::PUT, &path, body).await,
        };
        assert!(
            answer.status == 200 || round == 0,
            "{path}: {}",
            answer.text()
        );
        // What is acknowledged is in force: a request that begins now sees it.
        if round % 4 > 1 {
            let answer = Answer::of(server.invoke("f")).await;
            let expected = (1 + round % 3).to_string();
            assert_eq!(answer.header("x-ampoule-version"), Some(expected.as_str()));
        }
        while seen.answers.load(Ordering::Relaxed) < before + 8 {
            assert!(!asking.iter().any(tokio::task::JoinHandle::is_finished));
            tokio::task::yield_now().await;
        }
    }
    seen.done.store(true, Ordering::Relaxed);
    for task in join_all(asking).await {
        task.unwrap();
    }
    let seen = seen.versions.lock().unwrap().len();
    assert_eq!(seen, 4, "every version answered at some time");
}
