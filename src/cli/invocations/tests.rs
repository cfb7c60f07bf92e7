//! Invocations: what is asked for, page by page, and what is shown.

use serde_json::{Value, json};

use crate::cli::fake::{self, Fake, INVOCATION};

fn record(target: &str) -> Value {
    json!({
        "id": INVOCATION, "version": 3, "method": "GET", "target": target, "status": 500,
        "outcome": "error", "code": "function_threw", "started_ms": 1, "duration_ms": 1234.5,
        "client": "127.0.0.1", "user_agent": "curl/8", "trace_id": "ab", "cost": {"fuel": 7},
    })
}

#[tokio::test]
async fn pages_are_asked_for_until_there_are_enough() {
    let server = Fake::start(|seen| {
        let cursor = if seen.target.contains("cursor=") {
            Value::Null
        } else {
            json!("next")
        };
        fake::json(
            200,
            &json!({"invocations": [record("/a")], "cursor": cursor}),
        )
    })
    .await;
    let arguments = [
        "invocations",
        "hello",
        "--search",
        "status:>=500",
        "--outcome",
        "error",
    ];
    let ran = server.run(&arguments).await;
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out.lines().count(), 3, "{}", ran.out);
    assert!(
        ran.out.contains("function_threw") && ran.out.contains("1.23 s"),
        "{}",
        ran.out
    );
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    let first = "/api/v1/tenants/default/functions/hello/invocations?limit=50&outcome=error\
                 &search=status%3A%3E%3D500";
    assert_eq!(seen[0].target, first);
    assert!(seen[1].target.ends_with("&cursor=next") && seen[1].target.contains("limit=49"));
}

#[tokio::test]
async fn one_is_shown_with_its_log() {
    let server = Fake::start(|_| {
        let mut answer = record("/a\u{1b}[2J");
        answer["log"] = json!([{"timestamp_ms": 0, "level": "info", "message": "hi"}]);
        fake::json(200, &answer)
    })
    .await;
    let id = INVOCATION.to_lowercase();
    let ran = server.run(&["invocations", "hello", &id]).await;
    assert!(ran.out.contains("00:00:00.000  info   hi"), "{}", ran.out);
    assert!(
        ran.out.contains("function_threw, status 500"),
        "{}",
        ran.out
    );
    assert!(
        !ran.out.contains('\u{1b}'),
        "control characters are shown as text"
    );
    assert!(
        server
            .only()
            .target
            .ends_with(&format!("/invocations/{INVOCATION}"))
    );
}

#[tokio::test]
async fn setting_a_part_of_the_retention_leaves_the_rest() {
    let server = Fake::start(|_| {
        let set = json!({"keep_ms": null, "keep_count": 5});
        let answer = json!({"keep_ms": 86_400_000, "keep_count": 5, "set": set});
        fake::json(200, &answer)
    })
    .await;
    let ran = server.run(&["retention", "hello", "--days", "2"]).await;
    assert!(ran.out.contains("1.0 days, and 5 records"), "{}", ran.out);
    let seen = server.seen();
    assert_eq!((&*seen[0].method, &*seen[1].method), ("GET", "PUT"));
    let body: Value = serde_json::from_slice(&seen[1].body).unwrap();
    assert_eq!(body, json!({"keep_ms": 172_800_000_u64, "keep_count": 5}));
    let server = Fake::start(|_| fake::json(200, &json!({"set": {"keep_count": 5}}))).await;
    server.run(&["retention", "hello", "--default"]).await;
    let body: Value = serde_json::from_slice(&server.seen()[1].body).unwrap();
    assert_eq!(body, json!({"keep_ms": null, "keep_count": null}));
}
