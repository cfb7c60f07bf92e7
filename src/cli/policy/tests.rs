//! `ampoule policy` against a server that answers what the test says.

use serde_json::{Value, json};

use super::super::fake::{self, Fake};

fn document() -> Value {
    json!({ "rules": [
        { "action": "deny", "target": "*", "priority": 9, "description": "the rest" },
        { "action": "allow", "target": "*.example.com", "ports": [443, "8000-8100"],
          "protocols": ["https"], "priority": 1 },
    ], "default": "deny" })
}

#[tokio::test]
async fn a_policy_is_shown_in_the_order_in_which_it_is_asked() {
    let server = Fake::start(|_| fake::json(200, &document())).await;
    let ran = server.run(&["policy", "show"]).await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(
        lines[1].starts_with('1') && lines[1].contains("*.example.com"),
        "{}",
        ran.out
    );
    assert!(
        lines[1].contains("443, 8000-8100") && lines[1].contains("https"),
        "{}",
        ran.out
    );
    assert!(
        lines[2].starts_with('0') && lines[2].contains("all"),
        "{}",
        ran.out
    );
    assert!(
        lines[3].contains("the global network policy: deny"),
        "{}",
        ran.out
    );
    assert_eq!(server.only().target, "/api/v1/network-policy");
    let ran = server
        .run(&["policy", "show", "--tenant", "acme", "--json"])
        .await;
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), document());
    assert_eq!(
        server.seen()[1].target,
        "/api/v1/tenants/acme/network-policy"
    );
}

#[tokio::test]
async fn what_is_not_valid_is_not_sent() {
    let server = Fake::start(|_| fake::json(200, &document())).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.json");
    std::fs::write(
        &path,
        r#"{"rules":[{"action":"deny","target":"10.0.0.1/8"}],"default":"allow"}"#,
    )
    .unwrap();
    let file = path.to_str().unwrap();
    let ran = server.run(&["policy", "set", file]).await;
    assert_eq!(ran.exit, 2);
    assert!(
        ran.err.contains("rules[0].target") && ran.err.contains("10.0.0.0/8"),
        "{}",
        ran.err
    );
    assert!(server.seen().is_empty());
    std::fs::write(&path, document().to_string()).unwrap();
    let arguments = [
        "policy",
        "set",
        file,
        "--tenant",
        "acme",
        "--if-match",
        "\"0a\"",
    ];
    let ran = server.run(&arguments).await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    assert!(
        ran.out.contains("tenant acme has 2 rules now"),
        "{}",
        ran.out
    );
    let seen = server.only();
    assert_eq!(seen.method, "PUT");
    assert_eq!(seen.header("if-match"), Some("\"0a\""));
    assert_eq!(
        serde_json::from_slice::<Value>(&seen.body).unwrap(),
        document()
    );
}

#[tokio::test]
async fn a_preset_is_printed_or_put() {
    let server = Fake::start(|seen| fake::answer(200, "application/json", seen.body.clone())).await;
    let ran = server
        .run(&["policy", "preset", "public-only", "--print"])
        .await;
    let printed: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(server.seen().is_empty());
    let ran = server
        .run(&["policy", "preset", "public-only", "--json"])
        .await;
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), printed);
    assert!(printed["rules"].as_array().unwrap().len() > 20);
    let ran = server.run(&["policy", "remove"]).await;
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (0, "removed the global network policy\n")
    );
    assert_eq!(server.seen()[1].method, "DELETE");
}

#[tokio::test]
async fn a_test_tells_the_rule_and_exits_by_it() {
    let answer = |allowed: bool| {
        json!({ "allowed": allowed, "reason": "rules[3] of the global network policy denies it",
            "policy": "global", "rule_index": 3, "addresses": [
            { "address": "10.0.0.1", "allowed": allowed, "policy": "global", "rule_index": 3,
              "rule": { "action": "deny", "target": "10.0.0.0/8", "priority": 0 } },
        ] })
    };
    let server = Fake::start(move |_| fake::json(200, &answer(false))).await;
    let url = "http://internal.example/";
    let ran = server
        .run(&["policy", "test", url, "--address", "10.0.0.1"])
        .await;
    assert_eq!(ran.exit, 1);
    assert!(
        ran.out.starts_with("denied: rules[3] of the global"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("rules[3]: deny 10.0.0.0/8"), "{}", ran.out);
    let seen = server.only();
    assert_eq!(seen.target, "/api/v1/network-policy/test");
    let asked: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(asked, json!({ "url": url, "address": "10.0.0.1" }));
    let server = Fake::start(move |_| fake::json(200, &answer(true))).await;
    let ran = server.run(&["policy", "test", url, "--json"]).await;
    assert_eq!(ran.exit, 0);
}
