//! `ampoule call`.

use serde_json::json;

use crate::cli::fake::{Fake, json, problem};

fn answer() -> serde_json::Value {
    json!({
        "result": { "z": 1, "a": [null] },
        "logs": [{ "level": "info", "message": "hi Ada", "timestamp_ms": 1000 }],
        "duration_ms": 1.25,
        "cost": { "fuel": 1, "memory_bytes": 0, "host_calls": 1, "subrequests": 0 },
        "cold": true,
        "invocation": "01JD3W6T5V7N9QKX2M4R8ZB1CE",
    })
}

#[tokio::test]
async fn the_result_is_printed_and_the_log_beside_it() {
    let server = Fake::start(|_| json(200, &answer())).await;
    let ran = server
        .run(&["call", "greet", "-d", r#"{"name":"Ada"}"#])
        .await;
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (0, "{\"z\":1,\"a\":[null]}\n")
    );
    assert!(ran.err.contains("hi Ada"), "{}", ran.err);
    let seen = server.only();
    assert_eq!(seen.method, "POST");
    assert_eq!(
        seen.target,
        "/api/v1/tenants/default/functions/greet/invoke"
    );
    assert_eq!(seen.body, r#"{"name":"Ada"}"#);
}

#[tokio::test]
async fn without_data_the_event_is_empty_and_json_shows_all() {
    let server = Fake::start(|_| json(200, &answer())).await;
    let ran = server
        .run(&["call", "greet", "--tenant", "acme", "--json"])
        .await;
    assert_eq!(ran.out, format!("{}\n", answer()));
    let seen = server.only();
    assert_eq!(seen.target, "/api/v1/tenants/acme/functions/greet/invoke");
    assert_eq!(seen.body, "{}");
}

#[tokio::test]
async fn a_version_is_called_by_its_number() {
    let server = Fake::start(|_| json(200, &answer())).await;
    let ran = server.run(&["call", "greet", "--version", "3"]).await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    let path = "/api/v1/tenants/default/functions/greet/versions/3/invoke";
    assert_eq!(server.only().target, path);
}

#[tokio::test]
async fn what_is_no_json_is_not_sent() {
    let server = Fake::start(|_| json(200, &answer())).await;
    let ran = server.run(&["call", "greet", "-d", "{name: 'Ada'}"]).await;
    assert_eq!(ran.exit, 2);
    assert!(ran.err.contains("the event is not JSON"), "{}", ran.err);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn what_was_thrown_is_told_with_its_place() {
    let server = Fake::start(|_| {
        let mut body = json!({
            "type": "/errors/function_threw", "title": "The function threw an exception",
            "status": 500, "detail": "uncaught TypeError at index.js:3:9",
            "code": "function_threw", "origin": "function",
        });
        body["exception"] = json!({
            "name": "TypeError", "message": "x is undefined", "place": "index.js:3:9",
        });
        json(500, &body)
    })
    .await;
    let ran = server.run(&["call", "greet"]).await;
    assert_eq!(ran.exit, 1);
    assert!(
        ran.err
            .contains("TypeError: x is undefined at index.js:3:9"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn a_function_of_another_kind_is_told_how_it_is_called() {
    let detail = "greet is of the kind request, not event";
    let server = Fake::start(move |_| problem(409, "kind_mismatch", "Another kind", detail)).await;
    let ran = server.run(&["call", "greet"]).await;
    assert_eq!(ran.exit, 1);
    assert!(ran.err.contains("ampoule invoke greet"), "{}", ran.err);
}
