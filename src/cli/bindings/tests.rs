//! `ampoule bindings`.

use serde_json::{Value, json};

use crate::cli::fake::{Fake, answer, json, problem};

fn binding(name: &str) -> Value {
    json!({
        "tenant": "default", "name": name, "url": "https://p.example/x", "method": "POST",
        "headers": ["authorization"], "parameters": null, "timeout_ms": 5000,
        "description": "", "functions": null, "updated_ms": 1000,
    })
}

#[tokio::test]
async fn what_is_given_is_sent_and_nothing_else() {
    let server = Fake::start(|_| json(201, &binding("log"))).await;
    let ran = server
        .run(&["bindings", "set", "log", "https://p.example/x"])
        .await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    assert!(
        ran.out.contains("log leads to https://p.example/x"),
        "{}",
        ran.out
    );
    let seen = server.only();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("PUT", "/api/v1/tenants/default/bindings/log")
    );
    assert_eq!(seen.body, r#"{"url":"https://p.example/x"}"#);
}

#[tokio::test]
async fn everything_can_be_given() {
    let server = Fake::start(|_| json(200, &binding("db"))).await;
    let ran = server
        .run(&[
            "bindings",
            "set",
            "db",
            "https://p.example/x",
            "--tenant",
            "acme",
            "-X",
            "put",
            "-H",
            "Authorization: Bearer a:b",
            "--parameters",
            r#"[{"type":"string"}]"#,
            "--timeout-ms",
            "100",
            "--description",
            "rows",
            "--function",
            "f",
            "--function",
            "g",
            "--json",
        ])
        .await;
    assert_eq!(ran.out, format!("{}\n", binding("db")));
    let seen = server.only();
    assert_eq!(seen.target, "/api/v1/tenants/acme/bindings/db");
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(
        body,
        json!({
            "url": "https://p.example/x", "method": "PUT",
            "headers": { "authorization": "Bearer a:b" }, "parameters": [{ "type": "string" }],
            "timeout_ms": 100, "description": "rows", "functions": ["f", "g"],
        })
    );
}

#[tokio::test]
async fn bindings_are_listed_as_a_table() {
    let listed = json!({ "bindings": [binding("db_query"), binding("log")] });
    let server = Fake::start(move |_| json(200, &listed)).await;
    let ran = server.run(&["bindings", "list"]).await;
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("NAME"), "{}", ran.out);
    assert!(
        lines[1].starts_with("db_query  POST    https://p.example/x"),
        "{}",
        ran.out
    );
    let empty = Fake::start(|_| json(200, &json!({ "bindings": [] }))).await;
    let ran = empty.run(&["bindings", "list", "-t", "acme"]).await;
    assert!(
        ran.err.contains("bindings set NAME ADDRESS --tenant acme"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn deleting_needs_a_yes() {
    let server = Fake::start(|_| answer(204, "text/plain", "")).await;
    let ran = server.run(&["bindings", "delete", "log"]).await;
    assert_eq!(ran.exit, 2);
    assert!(server.seen().is_empty());
    let ran = server.run(&["bindings", "delete", "log", "--yes"]).await;
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (0, "deleted the binding log\n")
    );
    assert_eq!(server.only().method, "DELETE");
}

#[tokio::test]
async fn what_does_not_exist_is_told_with_what_to_do() {
    let server =
        Fake::start(|_| problem(404, "binding_not_found", "There is no such binding", "x")).await;
    let ran = server.run(&["bindings", "show", "log"]).await;
    assert_eq!(ran.exit, 1);
    assert!(ran.err.contains("ampoule bindings list") || ran.err.contains("binding_not_found"));
}
