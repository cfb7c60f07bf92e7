//! The samples of the documents that Ampoule goes by, as written, with the answers they promise.
//!
//! Each folder in `tests/samples` is named after a document and its lines: `seed.txt` holds
//! those lines, `function.js` (or `.ts`) the same with what the sample takes for granted. What
//! each of them has to do is tested in `s0.rs`, `s1.rs` and `s3.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use axum::Router;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::fetch::{Gate, Upstream};
use crate::server::{Answer, Server};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

pub(crate) fn read(path: &str) -> String {
    let path = folder().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The file that holds a sample's function.
fn file_of(sample: &str) -> &'static str {
    let is_typed = folder().join(sample).join("function.ts").exists();
    if is_typed {
        "function.ts"
    } else {
        "function.js"
    }
}

/// Deploys a sample under the name `sample`.
pub(crate) async fn deploy(server: &Server, sample: &str) {
    deploy_with(server, sample, json!({})).await;
}

pub(crate) async fn deploy_with(server: &Server, sample: &str, settings: Value) {
    let source = read(&format!("{sample}/function.js"));
    server.deploy_with("sample", &source, settings).await;
}

pub(crate) fn with_json(request: RequestBuilder, body: &str) -> RequestBuilder {
    let request = request.header("content-type", "application/json");
    request.body(body.to_owned())
}

/// Posts JSON to the sample: `post(&server, "?key=a", body)`.
pub(crate) async fn post(server: &Server, rest: &str, body: &str) -> Answer {
    Answer::of(with_json(server.post(&format!("sample{rest}")), body)).await
}

pub(crate) async fn get(server: &Server) -> Answer {
    Answer::of(server.invoke("sample")).await
}

/// What the tenant's kv holds under a key, as JSON text.
pub(crate) fn stored(server: &Server, key: &str) -> Option<String> {
    let tenant = "default".parse().unwrap();
    let value = server.app.store.namespace(&tenant).get(key).unwrap();
    value.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

pub(crate) fn stored_keys(server: &Server) -> Vec<String> {
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
        let function = read(&format!("{name}/{}", file_of(&name)));
        assert!(function.contains(&seed), "{name}: not as written");
        samples += 1;
    }
    assert_eq!(samples, 43);
    let seed = read("S1-254-270/seed.txt");
    let at = seed.find("// index.js\n").unwrap();
    for (file, lines) in [("helpers.js", &seed[..at]), ("index.js", &seed[at..])] {
        let text = read(&format!("S1-254-270/two-files/{file}"));
        assert!(text.contains(lines), "{file}: not as written");
    }
}

/// The sample streams: its first item arrives while the second is held back.
pub(crate) async fn assert_streamed(server: &Server, sample: &str, first: &str, whole: &str) {
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
async fn a_handler_that_never_answers_gives_204() {
    let server = Server::start().await;
    deploy(&server, "S1-13-16").await;
    get(&server).await.expect(204, "");
}
