//! What is asked of the server about tenants, and what is shown.

use serde_json::{Value, json};

use super::super::fake::{self, Fake};

#[tokio::test]
async fn quotas_are_set_one_by_one_and_taken_away() {
    let answer = json!({ "tenant": "acme", "quotas": { "functions": 20 } });
    let server = Fake::start(move |_| fake::json(200, &answer)).await;
    let ran = server
        .run(&[
            "tenants",
            "set",
            "acme",
            "--functions",
            "2_0",
            "--kv-bytes",
            "none",
        ])
        .await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    assert_eq!(ran.out, "tenant acme has the quotas functions=20\n");
    let seen = server.only();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("PATCH", "/api/v1/tenants/acme")
    );
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(
        body,
        json!({ "quotas": { "functions": 20, "kv_bytes": null } })
    );
}

#[tokio::test]
async fn a_tenant_is_deleted_only_when_that_is_meant() {
    let server = Fake::start(|_| fake::answer(204, "application/json", "")).await;
    let ran = server.run(&["tenants", "delete", "acme"]).await;
    assert_eq!(ran.exit, 2);
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    assert!(server.seen().is_empty());
    let ran = server.run(&["tenants", "delete", "acme", "--yes"]).await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    assert_eq!(server.only().target, "/api/v1/tenants/acme");
}

#[tokio::test]
async fn use_stands_beside_the_quota() {
    let answer = json!({
        "tenant": "acme", "quotas": { "functions": 20 }, "usage": { "functions": 3, "fuel": 7 },
    });
    let server = Fake::start(move |_| fake::json(200, &answer)).await;
    let ran = server.run(&["tenants", "show", "acme"]).await;
    let line = |label: &str| {
        let line = ran
            .out
            .lines()
            .find(|line| line.starts_with(label))
            .unwrap();
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(line("functions"), ["functions", "3", "20"]);
    assert_eq!(line("bytes in kv"), ["bytes", "in", "kv", "none"]);
}
