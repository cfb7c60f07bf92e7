//! The audit log: every change is in it, whoever made it and whatever came of it.

use crate::server::{Answer, Options, Server, WithJson as _};
use reqwest::Method;
use serde_json::{Value, json};

const ROOT: &str = "the-key-of-the-operator";
const FUNCTION: &str = "module.exports = (req, res) => res.send('ok');";

async fn entries(server: &Server, path: &str) -> Vec<Value> {
    let request = server.request(Method::GET, &format!("/api/v1{path}"));
    let answer = Answer::of(request.bearer_auth(ROOT))
        .await
        .expect_status(200);
    answer.json()["entries"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changed_what_and_what_came_of_it() {
    let options = Options {
        key: Some(ROOT.to_owned()),
        ..Options::default()
    };
    let server = Server::with(options.clone()).await;
    let deploy = |source: &str, token: &str| {
        let request = server.deploy_request("a", "f", "index.js", source, &json!({}));
        request.bearer_auth(token)
    };
    let deployed = Answer::of(deploy(FUNCTION, ROOT)).await.expect_status(201);
    let id = deployed.header("x-request-id").unwrap().to_owned();
    let body = json!({ "name": "ci", "tenant": "a", "scopes": ["read"] });
    let made = server
        .request(Method::POST, "/api/v1/keys")
        .json(&body)
        .bearer_auth(ROOT);
    let made = Answer::of(made).await.expect_status(201).json();
    let token = made["token"].as_str().unwrap().to_owned();
    Answer::of(deploy(FUNCTION, &token))
        .await
        .expect_problem(403, "forbidden");
    Answer::of(deploy("exports.x = (", ROOT))
        .await
        .expect_problem(422, "syntax_error");
    let wrong = deploy(FUNCTION, "wrong");
    Answer::of(wrong).await.expect_problem(401, "unauthorized");

    let all = entries(&server, "/audit").await;
    let told: Vec<_> = all
        .iter()
        .map(|entry| {
            (
                entry["actor"].as_str().unwrap(),
                entry["status"].as_u64().unwrap(),
            )
        })
        .collect();
    let key = made["id"].as_str().unwrap();
    // Newest first; who shows no valid key fills no log.
    assert_eq!(
        told,
        [("root", 422), (key, 403), ("root", 201), ("root", 201)]
    );
    assert_eq!(all[0]["code"], "syntax_error");
    assert_eq!(all[1]["actor_name"], "ci");
    let first = &all[3];
    assert_eq!(first["request"], id);
    assert_eq!(
        first["action"],
        "PUT /api/v1/tenants/{tenant}/functions/{function}"
    );
    assert_eq!(first["target"], "/api/v1/tenants/a/functions/f");
    assert_eq!(first["tenant"], "a");
    assert_eq!(first["peer"], "127.0.0.1");
    assert!(first["timestamp_ms"].as_u64().unwrap() > 1_700_000_000_000);
    let text = Value::from(all.clone()).to_string();
    for secret in [ROOT, token.rsplit('_').next().unwrap()] {
        assert!(!text.contains(secret), "{text}");
    }
    // The tenant sees what names it, which the key that was made for it did not.
    let of_tenant = entries(&server, "/tenants/a/audit").await;
    assert_eq!(of_tenant.len(), 3);

    let data = server.stop().await;
    let server = Server::with(Options {
        data: Some(data),
        ..options
    })
    .await;
    assert_eq!(entries(&server, "/audit").await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_read_page_by_page() {
    let server = Server::start().await;
    for number in 0..5 {
        let body = json!({ "tenant": format!("t{number}") });
        let request = server.request(Method::POST, "/api/v1/tenants").json(&body);
        Answer::of(request).await.expect_status(201);
    }
    let page = async |query: &str| {
        let path = format!("/api/v1/audit{query}");
        Answer::of(server.request(Method::GET, &path)).await
    };
    let first = page("?limit=3").await.json();
    assert_eq!(first["entries"].as_array().unwrap().len(), 3);
    let cursor = first["cursor"].as_str().unwrap();
    let rest = page(&format!("?limit=3&cursor={cursor}")).await.json();
    assert_eq!(rest["entries"].as_array().unwrap().len(), 2);
    assert_eq!(rest["cursor"], Value::Null);
    assert_eq!(rest["entries"][0]["actor"], "loopback");
    for bad in ["?cursor=x", "?limit=0", "?limit=1001", "?cursor=-1"] {
        page(bad).await.expect_problem(400, "bad_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_the_control_plane_has_an_id_of_its_own() {
    let server = Server::start().await;
    let mut ids = std::collections::BTreeSet::new();
    for path in [
        "/api/v1/status",
        "/api/v1/nothing",
        "/api/v1/tenants/a/functions/f",
    ] {
        for method in [Method::GET, Method::DELETE, Method::TRACE] {
            let request = server.request(method, path).header("x-request-id", "mine");
            let answer = Answer::of(request).await;
            let id = answer.header("x-request-id").unwrap();
            assert_eq!(id.len(), 26);
            assert!(ids.insert(id.to_owned()), "{id} twice");
        }
    }
}
