//! Tenants: made, changed and deleted; and what their quotas refuse.

use crate::server::{Answer, Server, WithJson as _};
use reqwest::Method;
use serde_json::{Value, json};

const FUNCTION: &str = "module.exports = (req, res) => res.send('ok');";

async fn create(server: &Server, body: Value) -> Answer {
    Answer::of(server.request(Method::POST, "/api/v1/tenants").json(&body)).await
}

async fn change(server: &Server, tenant: &str, body: Value) -> Answer {
    let path = format!("/api/v1/tenants/{tenant}");
    Answer::of(server.request(Method::PATCH, &path).json(&body)).await
}

async fn show(server: &Server, tenant: &str) -> Answer {
    let path = format!("/api/v1/tenants/{tenant}");
    Answer::of(server.request(Method::GET, &path)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_made_by_name_or_by_a_deploy() {
    let server = Server::start().await;
    show(&server, "acme")
        .await
        .expect_problem(404, "tenant_not_found");
    let body = json!({ "tenant": "acme", "display_name": "Acme", "quotas": { "functions": 2 } });
    let made = create(&server, body.clone())
        .await
        .expect_status(201)
        .json();
    assert_eq!(made["quotas"], json!({ "functions": 2 }));
    create(&server, body)
        .await
        .expect_problem(409, "tenant_exists");
    server.deploy_for("other", "f", FUNCTION, json!({})).await;
    let listed = Answer::of(server.request(Method::GET, "/api/v1/tenants"))
        .await
        .json();
    let names: Vec<_> = listed["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["tenant"])
        .collect();
    assert_eq!(names, ["acme", "other"]);
    let page = Answer::of(server.request(Method::GET, "/api/v1/tenants?limit=1"))
        .await
        .json();
    assert_eq!(page["cursor"], "acme");
    let page = server.request(Method::GET, "/api/v1/tenants?limit=1&cursor=acme");
    assert_eq!(
        Answer::of(page).await.json()["tenants"][0]["tenant"],
        "other"
    );

    let changes = json!({ "display_name": null, "quotas": { "functions": null, "kv_bytes": 5 } });
    let changed = change(&server, "acme", changes)
        .await
        .expect_status(200)
        .json();
    assert_eq!(changed["quotas"], json!({ "kv_bytes": 5 }));
    assert_eq!(changed["display_name"], Value::Null);
    for bad in [
        json!({ "quotas": { "kv_bytes": -1 } }),
        json!({ "quotas": { "nonsense": 1 } }),
        json!({ "display_name": "" }),
        json!({ "tenant": "other" }),
    ] {
        change(&server, "acme", bad)
            .await
            .expect_problem(400, "body_invalid");
    }
    change(&server, "nobody", json!({}))
        .await
        .expect_problem(404, "tenant_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn use_is_counted() {
    let server = Server::start().await;
    let source =
        "module.exports = async (req, res) => { await kv.set('ab', 'cd'); res.send('ok'); };";
    server.deploy_for("a", "f", source, json!({})).await;
    for _ in 0..3 {
        Answer::of(server.invoke_for("a", "f"))
            .await
            .expect(200, "ok");
    }
    server.until_idle().await;
    let usage = show(&server, "a").await.json()["usage"].clone();
    assert_eq!(usage["functions"], 1);
    // The key, and the JSON text of the value.
    assert_eq!(usage["kv_bytes"], 6);
    assert_eq!(
        (&usage["invocations"], &usage["running"]),
        (&json!(3), &json!(0))
    );
    assert!(usage["fuel"].as_u64().unwrap() > 3000, "{usage}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_functions_than_the_quota_but_new_versions_of_them() {
    let server = Server::start().await;
    create(
        &server,
        json!({ "tenant": "a", "quotas": { "functions": 2 } }),
    )
    .await
    .expect_status(201);
    let deploy = async |function: &str| {
        let request = server.deploy_request("a", function, "index.js", FUNCTION, &json!({}));
        Answer::of(request).await
    };
    deploy("one").await.expect_status(201);
    deploy("two").await.expect_status(201);
    deploy("three").await.expect_problem(409, "quota_exceeded");
    let changed = format!("{FUNCTION}\n// changed");
    let request = server.deploy_request("a", "two", "index.js", &changed, &json!({}));
    Answer::of(request).await.expect_status(201);
    Answer::of(server.invoke_for("a", "three"))
        .await
        .expect_problem(404, "function_not_found");
    change(&server, "a", json!({ "quotas": { "functions": 3 } }))
        .await
        .expect_status(200);
    deploy("three").await.expect_status(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_beyond_the_quota_of_kv_are_refused_and_can_be_caught() {
    let server = Server::start().await;
    create(
        &server,
        json!({ "tenant": "a", "quotas": { "kv_bytes": 1000 } }),
    )
    .await
    .expect_status(201);
    let source = "module.exports = async (req, res) => {
        const text = 'x'.repeat(Number(req.query.n));
        try { await kv.set(req.query.k, text); res.send('ok'); }
        catch (error) { res.status(500).send(error.code); }
    };";
    server.deploy_for("a", "f", source, json!({})).await;
    Answer::of(server.invoke_for("a", "f?k=a&n=997"))
        .await
        .expect(200, "ok");
    Answer::of(server.invoke_for("a", "f?k=b&n=0"))
        .await
        .expect(500, "quota_exceeded");
    Answer::of(server.invoke_for("a", "f?k=a&n=996"))
        .await
        .expect(200, "ok");
    let other = "module.exports = async (req, res) => { await kv.set('k', 'v'); res.send('ok'); };";
    server.deploy_for("b", "f", other, json!({})).await;
    Answer::of(server.invoke_for("b", "f"))
        .await
        .expect(200, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_17_requests_beyond_the_rate_of_a_tenant_are_refused() {
    let server = Server::start().await;
    server.deploy_for("a", "f", FUNCTION, json!({})).await;
    server.deploy_for("b", "f", FUNCTION, json!({})).await;
    Answer::of(server.invoke_for("a", "f"))
        .await
        .expect(200, "ok");
    change(
        &server,
        "a",
        json!({ "quotas": { "requests_per_minute": 3 } }),
    )
    .await
    .expect_status(200);
    for _ in 0..3 {
        Answer::of(server.invoke_for("a", "f"))
            .await
            .expect(200, "ok");
    }
    let refused = Answer::of(server.invoke_for("a", "f")).await;
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&after), "{after}");
    refused.expect_problem(429, "rate_limited");
    Answer::of(server.invoke_for("b", "f"))
        .await
        .expect(200, "ok");
    // Another tenant's change does not fill the bucket again.
    change(&server, "b", json!({ "display_name": "B" }))
        .await
        .expect_status(200);
    Answer::of(server.invoke_for("a", "f"))
        .await
        .expect_problem(429, "rate_limited");
    let usage = show(&server, "a").await.json()["usage"].clone();
    assert_eq!(
        (&usage["invocations"], &usage["refused"]),
        (&json!(4), &json!(2))
    );
    change(
        &server,
        "a",
        json!({ "quotas": { "requests_per_minute": null } }),
    )
    .await
    .expect_status(200);
    Answer::of(server.invoke_for("a", "f"))
        .await
        .expect(200, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn fuel_beyond_the_rate_closes_the_tenant_also_when_nobody_waited_for_the_end() {
    let server = Server::start().await;
    create(
        &server,
        json!({ "tenant": "a", "quotas": { "fuel_per_minute": 1000 } }),
    )
    .await
    .expect_status(201);
    server.deploy_for("a", "f", FUNCTION, json!({})).await;
    // Any invocation takes more than that.
    Answer::of(server.invoke_for("a", "f"))
        .await
        .expect(200, "ok");
    server.until_idle().await;
    let refused = Answer::of(server.invoke_for("a", "f")).await;
    assert!(
        refused
            .header("retry-after")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 1
    );
    refused.expect_problem(429, "rate_limited");

    create(
        &server,
        json!({ "tenant": "b", "quotas": { "fuel_per_minute": 1000 } }),
    )
    .await
    .expect_status(201);
    server
        .deploy_for("b", "f", "module.exports = () => { for (;;); };", json!({}))
        .await;
    let gone = server
        .invoke_for("b", "f")
        .timeout(std::time::Duration::from_millis(300))
        .send();
    assert!(gone.await.is_err());
    server.until_idle().await;
    Answer::of(server.invoke_for("b", "f"))
        .await
        .expect_problem(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_invocations_at_once_than_the_quota() {
    let server = Server::start().await;
    create(
        &server,
        json!({ "tenant": "a", "quotas": { "concurrent": 1 } }),
    )
    .await
    .expect_status(201);
    let source = "module.exports = async (req, res) => {
        res.write('begun'); await new Promise((done) => setTimeout(done, 60000)); res.end();
    };";
    server
        .deploy_for("a", "f", source, json!({ "limits": { "wall_ms": 60000 } }))
        .await;
    let mut first = server.invoke_for("a", "f").send().await.unwrap();
    assert_eq!(first.chunk().await.unwrap().unwrap(), "begun");
    Answer::of(server.invoke_for("a", "f"))
        .await
        .expect_problem(429, "tenant_busy");
    drop(first);
    server.until_idle().await;
    let mut again = server.invoke_for("a", "f").send().await.unwrap();
    assert_eq!(again.chunk().await.unwrap().unwrap(), "begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn subrequests_beyond_the_rate_are_rejected_and_can_be_caught() {
    let server = Server::start().await;
    create(
        &server,
        json!({ "tenant": "a", "quotas": { "subrequests_per_minute": 1 } }),
    )
    .await
    .expect_status(201);
    let source = "module.exports = async (req, res) => {
        const codes = [];
        for (let i = 0; i < 2; i++) {
            try { await fetch('http://127.0.0.1:1/'); } catch (error) { codes.push(error.cause?.code ?? error.code); }
        }
        res.json(codes);
    };";
    server.deploy_for("a", "f", source, json!({})).await;
    let codes = Answer::of(server.invoke_for("a", "f"))
        .await
        .expect_status(200)
        .json();
    assert_eq!(codes[1], "rate_limited", "{codes}");
    assert_ne!(codes[0], "rate_limited", "{codes}");
    server.until_idle().await;
    assert_eq!(show(&server, "a").await.json()["usage"]["subrequests"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tenant_takes_all_with_it() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        console.log('seen'); const n = await kv.increment('n'); res.json(n);
    };";
    for tenant in ["a", "b"] {
        server.deploy_for(tenant, "f", source, json!({})).await;
        server.deploy_for(tenant, "g", source, json!({})).await;
        Answer::of(server.invoke_for(tenant, "f"))
            .await
            .expect(200, "1");
    }
    let body = json!({ "name": "k", "tenant": "a", "scopes": ["read"] });
    let made = Answer::of(server.request(Method::POST, "/api/v1/keys").json(&body))
        .await
        .json();
    let token = made["token"].as_str().unwrap().to_owned();
    let delete = || server.request(Method::DELETE, "/api/v1/tenants/a");
    Answer::of(delete()).await.expect_status(204);
    Answer::of(delete())
        .await
        .expect_problem(404, "tenant_not_found");
    show(&server, "a")
        .await
        .expect_problem(404, "tenant_not_found");
    Answer::of(server.invoke_for("a", "f"))
        .await
        .expect_problem(404, "function_not_found");
    let read = server.request(Method::GET, "/api/v1/tenants/a/functions");
    Answer::of(read.bearer_auth(&token))
        .await
        .expect_problem(401, "unauthorized");
    // Its successor begins with nothing, and the others have lost nothing.
    server.deploy_for("a", "f", source, json!({})).await;
    let shown = show(&server, "a").await.json();
    assert_eq!(
        (&shown["usage"]["functions"], &shown["usage"]["kv_bytes"]),
        (&json!(1), &json!(0))
    );
    let logs = server.request(Method::GET, "/api/v1/tenants/a/functions/f/logs");
    assert_eq!(Answer::of(logs).await.json()["lines"], json!([]));
    Answer::of(server.invoke_for("a", "f"))
        .await
        .expect(200, "1");
    Answer::of(server.invoke_for("b", "f"))
        .await
        .expect(200, "2");
}
