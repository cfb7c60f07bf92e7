//! Secrets of functions: in the function, and nowhere else.

use std::path::Path;
use std::sync::Arc;

use crate::server::{Answer, Options, Server, WithJson};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

const SECRET: &str = "s3cret-4f9c1b7e2a6d8053";
const FUNCTION: &str = "
    const atTheTop = process.env.API_KEY;
    module.exports = (req, res) => res.json([atTheTop, process.env.API_KEY, process.env.PLAIN]);";

fn settings() -> serde_json::Value {
    json!({ "env": { "PLAIN": "plain" }, "secrets": { "API_KEY": SECRET } })
}

async fn answers(server: &Server) {
    let body = json!([SECRET, SECRET, "plain"]).to_string();
    Answer::of(server.invoke("f")).await.expect(200, &body);
}

/// Every file below a folder that holds a text.
pub(crate) fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            if bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

async fn stopped_with_a_secret() -> Arc<TempDir> {
    let server = Server::start().await;
    server.deploy_with("f", FUNCTION, settings()).await;
    answers(&server).await;
    server.stop().await
}

pub(crate) async fn on(data: &Arc<TempDir>) -> Server {
    Server::with(Options {
        data: Some(Arc::clone(data)),
        ..Options::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_the_environment_and_in_no_file() {
    let data = stopped_with_a_secret().await;
    assert_eq!(holding(data.path(), SECRET), [] as [String; 0]);
    // The search does find what is not sealed.
    assert_ne!(holding(data.path(), "atTheTop"), [] as [String; 0]);
    let server = on(&data).await;
    answers(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_gone_or_damaged_is_made_again_and_sealed() {
    let data = stopped_with_a_secret().await;
    let snapshots = data.path().join("data").join("snapshots");
    for damage in [true, false] {
        for entry in std::fs::read_dir(&snapshots).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(path.extension().unwrap(), "sealed");
            if damage {
                let mut bytes = std::fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(&path, bytes).unwrap();
            } else {
                std::fs::remove_file(&path).unwrap();
            }
        }
        let server = on(&data).await;
        answers(&server).await;
        server.stop().await;
        assert_eq!(holding(data.path(), SECRET), [] as [String; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_master_key_nothing_opens() {
    let data = stopped_with_a_secret().await;
    let key = data.path().join("data").join("master.key");
    std::fs::write(&key, "0".repeat(64)).unwrap();
    let server = on(&data).await;
    let refused = Answer::of(server.invoke("f"))
        .await
        .expect_problem(500, "internal");
    assert!(!refused.text().contains(SECRET));
    // Whoever deploys again has said the secret again.
    server.deploy_with("f", FUNCTION, settings()).await;
    answers(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_shows_a_secret_but_its_name() {
    let server = Server::start().await;
    let deployed = server.deploy_with("f", FUNCTION, settings()).await;
    assert_eq!(deployed["secrets"], json!(["API_KEY"]));
    assert_eq!(deployed["env"], json!(["PLAIN"]));
    for path in ["functions", "functions/f", "functions/f/versions", "audit"] {
        let path = format!("/api/v1/tenants/default/{path}");
        let answer = Answer::of(server.request(Method::GET, &path)).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.text().contains(SECRET), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_checked_like_the_environment() {
    let server = Server::start().await;
    for bad in [
        json!({ "secrets": { "no-name": "x" } }),
        json!({ "secrets": { "A": "x" }, "env": { "A": "y" } }),
        json!({ "secrets": { "A": 1 } }),
        json!({ "requires_key": true, "kind": "event" }),
    ] {
        let request = server.deploy_request("default", "f", "index.js", FUNCTION, &bad);
        let answer = Answer::of(request)
            .await
            .expect_problem(400, "settings_invalid");
        assert!(!answer.text().contains("\"x\""), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_the_same_only_if_its_secrets_are() {
    let server = Server::start().await;
    let version = async |secret: &str, requires_key: bool| {
        let settings = json!({ "secrets": { "A": secret }, "requires_key": requires_key });
        server.deploy_with("f", FUNCTION, settings).await["version"].clone()
    };
    assert_eq!(version("one", false).await, 1);
    assert_eq!(version("one", false).await, 1);
    assert_eq!(version("two", false).await, 2);
    assert_eq!(version("two", true).await, 3);
    assert_eq!(version("one", false).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_the_environment_carries_secrets_along_and_may_change_them() {
    let server = Server::start().await;
    server.deploy_with("f", FUNCTION, settings()).await;
    let edit = async |method: Method, body: serde_json::Value| {
        let path = "/api/v1/tenants/default/functions/f/env";
        Answer::of(server.request(method, path).json(&body)).await
    };
    let seen = async || Answer::of(server.invoke("f")).await.json();
    let plain = json!({ "env": { "PLAIN": "other" } });
    for method in [Method::PATCH, Method::PUT] {
        edit(method, plain.clone()).await;
        assert_eq!(seen().await, json!([SECRET, SECRET, "other"]));
    }
    let other = "0ther-s3cret-8d1f";
    let edited = edit(
        Method::PATCH,
        json!({ "secrets": { "API_KEY": other, "B": "b" } }),
    );
    let edited = edited.await.expect_status(201);
    assert!(!edited.text().contains(other));
    assert_eq!(seen().await, json!([other, other, "other"]));
    let names = server.request(Method::GET, "/api/v1/tenants/default/functions/f/env");
    let names = Answer::of(names).await.json();
    assert_eq!(names["secrets"], json!(["API_KEY", "B"]));
    let twice = edit(Method::PATCH, json!({ "env": { "API_KEY": "x" } }));
    twice.await.expect_problem(400, "settings_invalid");
    let path = "/api/v1/tenants/default/functions/f/env/API_KEY";
    Answer::of(server.request(Method::DELETE, path))
        .await
        .expect_status(201);
    assert_eq!(seen().await, json!([null, null, "other"]));
    let data = server.stop().await;
    assert_eq!(holding(data.path(), other), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_logged_is_taken_out_of_the_log() {
    let source = "
        const key = process.env.API_KEY;
        console.log('top', key);
        module.exports = (req, res) => {
            console.log('plain', key, JSON.stringify({ key }), Buffer.from(key).toString('base64'));
            if (req.query.fail) throw new Error('cannot use ' + key);
            res.send('ok');
        };";
    let server = Server::start().await;
    let deployed = server.deploy_with("f", source, settings()).await;
    assert!(!deployed.to_string().contains(SECRET), "{deployed}");
    let target = format!("f?{SECRET}=1");
    Answer::of(server.invoke(&target)).await.expect_status(200);
    Answer::of(server.invoke("f?fail=1"))
        .await
        .expect_problem(500, "function_threw");
    server.log_with("f", "cannot use").await;
    let log = server.log_text("f").await;
    assert!(log.contains("top [redacted]"), "{log}");
    assert!(
        log.contains("plain [redacted] {\"key\":\"[redacted]\"} [redacted]"),
        "{log}"
    );
    assert!(log.contains("cannot use [redacted]"), "{log}");
    let records = server.request(Method::GET, "/api/v1/tenants/default/invocations");
    let records = Answer::of(records).await.expect_status(200);
    let data = server.stop().await;
    for text in [log, records.text()] {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert_eq!(holding(data.path(), SECRET), [] as [String; 0]);
}
