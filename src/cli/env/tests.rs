//! The commands of `env`: what they send, and what they say.

use serde_json::{Value, json};

use crate::cli::fake::{self, Fake};

const ENV: &str = "/api/v1/tenants/acme/functions/shop/env";

fn version(active: bool) -> Value {
    json!({ "version": 4, "active": active, "env": ["A"] })
}

async fn run(server: &Fake, arguments: &[&str]) -> fake::Ran {
    let whole = [&["env"], arguments, &["--tenant", "acme"]].concat();
    server.run(&whole).await
}

#[tokio::test]
async fn names_are_listed_a_line_each() {
    let server = Fake::start(|_| fake::json(200, &json!({"version": 1, "env": ["A", "B"]}))).await;
    let ran = run(&server, &["list", "shop"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (0, "A\nB\n"));
    assert_eq!(server.only().target, ENV);
    let ran = run(&server, &["list", "shop", "--version", "3", "--json"]).await;
    assert_eq!(ran.out, "{\"version\":1,\"env\":[\"A\",\"B\"]}\n");
    assert_eq!(server.seen()[1].target, format!("{ENV}?version=3"));
    let server = Fake::start(|_| {
        let answer = json!({"version": 1, "env": ["A"], "secrets": ["KEY"]});
        fake::json(200, &answer)
    });
    let ran = run(&server.await, &["list", "shop"]).await;
    assert_eq!(ran.out, "A\nKEY (secret)\n");
    let server = Fake::start(|_| fake::json(200, &json!({"version": 7, "env": []}))).await;
    let ran = run(&server, &["list", "shop"]).await;
    assert_eq!(ran.err, "version 7 has no environment variables\n");
}

#[tokio::test]
async fn set_merges_and_with_replace_takes_the_place_of_all() {
    let server = Fake::start(|_| fake::json(201, &version(true))).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    std::fs::write(&file, "A=file\nB='two words'\n").unwrap();
    let file = file.to_str().unwrap();
    let ran = run(&server, &["set", "shop", "A=1=2", "--env-file", file]).await;
    assert_eq!(ran.out, "shop version 4 is active, with this environment\n");
    let ran = run(&server, &["set", "shop", "A=", "--replace"]).await;
    assert_eq!(ran.exit, 0);
    let ran = run(&server, &["unset", "shop", "A", "B"]).await;
    assert_eq!(ran.exit, 0);
    let sent: Vec<(String, Value)> = server
        .seen()
        .into_iter()
        .map(|seen| (seen.method, serde_json::from_slice(&seen.body).unwrap()))
        .collect();
    let nulls = json!({"A": null, "B": null});
    let expected = [
        ("PATCH", json!({"env": {"A": "1=2", "B": "two words"}})),
        ("PUT", json!({"env": {"A": ""}})),
        ("PATCH", json!({"env": nulls, "secrets": nulls})),
    ];
    assert_eq!(
        sent,
        expected.map(|(method, body)| (method.to_owned(), body))
    );
}

#[tokio::test]
async fn a_revision_that_is_not_active_says_how_to_activate_it() {
    let server = Fake::start(|_| fake::json(201, &version(false))).await;
    let ran = run(&server, &["set", "shop", "A=1"]).await;
    assert!(
        ran.out
            .ends_with("next  ampoule activate shop 4 --tenant acme\n"),
        "{}",
        ran.out
    );
    let ran = run(&server, &["set", "shop"]).await;
    assert_eq!(ran.exit, 2);
    assert!(ran.err.contains("NAME=VALUE"), "{}", ran.err);
}

#[tokio::test]
async fn a_secret_comes_from_the_environment_and_not_from_the_command_line() {
    let server = Fake::start(|_| fake::json(201, &version(true))).await;
    // Every process has this one.
    let ran = run(&server, &["set", "shop", "--secret", "PATH"]).await;
    assert_eq!(ran.exit, 0);
    let sent: Value = serde_json::from_slice(&server.only().body).unwrap();
    let path = std::env::var("PATH").unwrap();
    assert_eq!(sent, json!({"env": {}, "secrets": {"PATH": path}}));
    let ran = run(
        &server,
        &["set", "shop", "--secret", "AMPOULE_TEST_NOT_SET"],
    )
    .await;
    assert_eq!(ran.exit, 2);
    assert!(ran.err.contains("export AMPOULE_TEST_NOT_SET first"));
    assert_eq!(server.seen().len(), 1);
}
