//! What is asked of the server about keys, and what is shown.

use serde_json::{Value, json};

use super::super::fake::{self, Fake};
use super::parse_time;

const ID: &str = "01JD4W2Q6ZK8T3V5X7Y9B1C0DE";

#[tokio::test]
async fn a_new_key_is_alone_on_stdout() {
    let answer = json!({ "id": ID, "token": format!("amp_{ID}_00") });
    let server = Fake::start(move |_| fake::json(201, &answer)).await;
    let ran = server
        .run(&[
            "keys",
            "create",
            "ci",
            "--tenant",
            "acme",
            "--scope",
            "deploy",
            "--expires",
            "2h",
        ])
        .await;
    assert_eq!((ran.exit, ran.out), (0, format!("amp_{ID}_00\n")));
    assert!(
        ran.err.contains(&format!("ampoule keys revoke {ID}")),
        "{}",
        ran.err
    );
    let seen = server.only();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/api/v1/tenants/acme/keys")
    );
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(
        (&body["name"], &body["scopes"]),
        (&json!("ci"), &json!(["deploy"]))
    );
    assert!(body["expires_ms"].as_u64().unwrap() > crate::clock::now_ms() + 7_000_000);
}

#[tokio::test]
async fn keys_are_listed_from_all_pages_and_revoked_by_id() {
    let server = Fake::start(|seen| {
        if seen.method == "DELETE" {
            return fake::answer(204, "application/json", "");
        }
        let key = |name: &str| {
            json!({ "id": ID, "name": name, "tenant": null, "scopes": ["read"], "function": null,
                "created_ms": 1, "created_by": "root", "expires_ms": 1, "last_used_ms": null })
        };
        let page = if seen.target.contains("cursor") {
            json!({ "keys": [key("second\u{1b}")] })
        } else {
            json!({ "keys": [key("first")], "cursor": ID })
        };
        fake::json(200, &page)
    })
    .await;
    let ran = server.run(&["keys", "list"]).await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    for shown in ["first", "second", "expired", "all", "never"] {
        assert!(ran.out.contains(shown), "{}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}'));
    let ran = server.run(&["keys", "revoke", ID]).await;
    assert_eq!((ran.exit, ran.out), (0, format!("revoked {ID}\n")));
    assert_eq!(
        server.seen().last().unwrap().target,
        format!("/api/v1/keys/{ID}")
    );
}

#[test]
fn times_have_units() {
    assert_eq!(parse_time("90d"), Ok(90 * 86_400_000));
    assert_eq!(parse_time("5m"), Ok(300_000));
    for bad in ["", "5", "d", "0d", "-1d", "5w", "99999999999999999999d"] {
        assert!(parse_time(bad).is_err(), "{bad}");
    }
}
