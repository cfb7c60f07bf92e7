//! The web's interfaces in real sandboxes, on generated inputs, against what Node.js answers.
//!
//! `tests/properties/<area>.json` holds the inputs and Node's answers; `guest/js/test/properties`
//! made them, and the same inputs go through the JavaScript layer by itself there.

use std::path::Path;

use serde_json::{Value, json};

use crate::server::{Answer, Server};

/// Checks the area that the query names; answers what differs.
const INDEX: &str = r"
    const { mismatches } = require('./areas.js');
    module.exports = async (req, res) => {
        const cases = JSON.parse(req.rawBody.toString());
        res.json(await mismatches(req.query.area, cases, 20));
    };";

async fn deployed() -> Server {
    let server = Server::start().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/properties");
    let areas = std::fs::read_to_string(folder.join("areas.js")).unwrap();
    let files = [("index.js", INDEX), ("areas.js", areas.as_str())];
    let answer = server.deploy_files("properties", &files, json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    server
}

/// Holds the sandbox against Node's answers for each of these areas.
async fn check(areas: &[&str]) {
    let server = deployed().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/properties");
    let mut different = Vec::new();
    for area in areas {
        let cases = std::fs::read(folder.join(format!("{area}.json"))).unwrap();
        let request = server
            .post(&format!("properties?area={area}"))
            .header("content-type", "application/octet-stream")
            .body(cases);
        let answer = Answer::of(request).await;
        assert_eq!(
            answer.status,
            200,
            "{area}: {}",
            server.log_text("properties").await
        );
        let found: Value = answer.json();
        if found["count"] != 0 {
            different.push(format!("{area}: {found:#}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_are_taken_apart_as_in_node() {
    check(&["url", "search"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_encoded_and_decoded_as_in_node() {
    check(&["base64", "decoder", "encoder", "texts"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_responses_and_forms_are_as_in_node() {
    check(&["blob", "buffer", "form", "headers", "messages", "multipart"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_cloned_as_in_node() {
    check(&["clone"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_go_the_way_they_go_in_node() {
    check(&["pipes", "readable", "writable"]).await;
}
