//! API keys: what each is good for, and that no route forgets to ask.

use crate::openapi::Document;
use crate::server::{Answer, Options, Server, WithJson as _};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const ROOT: &str = "the-key-of-the-operator";
const FUNCTION: &str = "module.exports = (req, res) => res.send('ok');";

/// A server with a key, and a function of the tenant `a`.
async fn start() -> Server {
    let server = Server::with(Options {
        key: Some(ROOT.to_owned()),
        ..Options::default()
    })
    .await;
    let deploy = server.deploy_request("a", "f", "index.js", FUNCTION, &json!({}));
    let answer = Answer::of(deploy.bearer_auth(ROOT)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    server
}

/// Makes a key, with what the operator may do; answers its token and id.
async fn key(server: &Server, body: Value) -> (String, String) {
    let request = server.request(Method::POST, "/api/v1/keys").json(&body);
    let answer = Answer::of(request.bearer_auth(ROOT)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let made = answer.json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("token"), text("id"))
}

async fn token(server: &Server, tenant: Option<&str>, scopes: &[&str]) -> String {
    let body = json!({ "name": "a key", "tenant": tenant, "scopes": scopes });
    key(server, body).await.0
}

fn get(server: &Server, path: &str, token: &str) -> RequestBuilder {
    server
        .request(Method::GET, &format!("/api/v1{path}"))
        .bearer_auth(token)
}

fn now_ms() -> u64 {
    ampoule::clock::now_ms()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_never_again() {
    let server = start().await;
    let body = json!({ "name": "ci", "tenant": "a", "scopes": ["deploy"] });
    let (token, id) = key(&server, body).await;
    assert!(token.starts_with(&format!("amp_{id}_")), "{token}");
    let secret = token.rsplit('_').next().unwrap().to_owned();
    let listed = Answer::of(get(&server, "/keys", ROOT)).await;
    let shown = Answer::of(get(&server, &format!("/keys/{id}"), ROOT)).await;
    let of_tenant = Answer::of(get(&server, &format!("/tenants/a/keys/{id}"), ROOT)).await;
    for answer in [&listed, &shown, &of_tenant] {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains(&id));
        assert!(!answer.text().contains(&secret[..16]), "{}", answer.text());
    }
    let digest = sha2_hex(&secret);
    assert!(!listed.text().contains(&digest[..16]));
    assert_eq!(shown.json(), of_tenant.json());
    assert_eq!(shown.json()["created_by"], "root");
    assert_eq!(shown.json()["last_used_ms"], Value::Null);
    Answer::of(get(&server, "/tenants/a/functions", &token))
        .await
        .expect_status(200);
    let used = Answer::of(get(&server, &format!("/keys/{id}"), ROOT))
        .await
        .json();
    assert!(
        used["last_used_ms"].as_u64().unwrap() > now_ms() - 60_000,
        "{used}"
    );
}

fn sha2_hex(secret: &str) -> String {
    use sha2::Digest as _;
    let bytes = (0..32).map(|at| u8::from_str_radix(&secret[2 * at..2 * at + 2], 16).unwrap());
    let digest = sha2::Sha256::digest(bytes.collect::<Vec<u8>>());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_does_what_it_says_and_no_more() {
    let server = start().await;
    let deploy = |token: &str| {
        let request = server.deploy_request("a", "f", "index.js", FUNCTION, &json!({}));
        request.bearer_auth(token)
    };
    let make_key = |token: &str| {
        let body = json!({ "name": "another", "scopes": ["read"] });
        let request = server
            .request(Method::POST, "/api/v1/tenants/a/keys")
            .json(&body);
        request.bearer_auth(token)
    };
    for (scopes, reads, deploys, administers) in [
        (&["read"][..], 200, 403, 403),
        (&["deploy"], 200, 201, 403),
        (&["admin"], 200, 201, 201),
        (&["invoke"], 403, 403, 403),
        (&["read", "invoke"], 200, 403, 403),
    ] {
        for tenant in [Some("a"), None] {
            let token = token(&server, tenant, scopes).await;
            let what = format!("{scopes:?} {tenant:?}");
            for path in ["/tenants/a/functions", "/tenants/a", "/tenants/a/audit"] {
                let answer = Answer::of(get(&server, path, &token)).await;
                assert_eq!(answer.status, reads, "{what} {path}");
            }
            // A question with a body is one all the same.
            let preview = server.request(Method::POST, "/api/v1/tenants/a/schedules/preview");
            let preview = preview
                .bearer_auth(&token)
                .json(&json!({ "cron": "0 * * * *" }));
            assert_eq!(Answer::of(preview).await.status, reads, "{what}");
            // What is deployed already is answered with 200.
            let status = match Answer::of(deploy(&token)).await.status {
                200 => 201,
                other => other,
            };
            assert_eq!(status, deploys, "{what}");
            assert_eq!(
                Answer::of(make_key(&token)).await.status,
                administers,
                "{what}"
            );
            let is_server_admin = tenant.is_none() && scopes.contains(&"admin");
            let status = if is_server_admin { 200 } else { 403 };
            for path in ["/status", "/keys", "/tenants", "/audit", "/openapi.json"] {
                let answer = Answer::of(get(&server, path, &token)).await;
                assert_eq!(answer.status, status, "{what} {path}");
            }
            let body = json!({ "quotas": { "functions": 1000 } });
            let quota = server
                .request(Method::PATCH, "/api/v1/tenants/a")
                .json(&body);
            let answer = Answer::of(quota.bearer_auth(&token)).await;
            assert_eq!(answer.status, status, "{what} changes quotas");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_tenant_sees_nothing_of_another() {
    let server = start().await;
    let b = server
        .request(Method::POST, "/api/v1/tenants")
        .bearer_auth(ROOT);
    Answer::of(b.json(&json!({ "tenant": "b" })))
        .await
        .expect_status(201);
    let of_b = token(&server, Some("b"), &["admin"]).await;
    let mut bodies = Vec::new();
    for tenant in ["a", "nobody", "..", "b.", "%41", "B"] {
        let path = format!("/tenants/{tenant}/functions");
        let answer = Answer::of(get(&server, &path, &of_b)).await;
        let text = answer.text().replace(&format!("/{tenant}/"), "/X/");
        answer.expect_problem(404, "not_found");
        if tenant.len() == 1 || tenant == "nobody" {
            bodies.push(text);
        }
    }
    bodies.dedup();
    assert_eq!(
        bodies.len(),
        1,
        "what is there reads like what is not: {bodies:?}"
    );
    Answer::of(get(&server, "/tenants/b/functions", &of_b))
        .await
        .expect_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_and_an_expired_one_are_refused_at_once() {
    let server = start().await;
    let (first, id) = key(
        &server,
        json!({ "name": "1", "tenant": "a", "scopes": ["read"] }),
    )
    .await;
    let path = "/tenants/a/functions";
    Answer::of(get(&server, path, &first))
        .await
        .expect_status(200);
    let revoke = server.request(Method::DELETE, &format!("/api/v1/tenants/a/keys/{id}"));
    Answer::of(revoke.bearer_auth(ROOT))
        .await
        .expect_status(204);
    Answer::of(get(&server, path, &first))
        .await
        .expect_problem(401, "unauthorized");
    let again = server.request(Method::DELETE, &format!("/api/v1/keys/{id}"));
    Answer::of(again.bearer_auth(ROOT))
        .await
        .expect_problem(404, "key_not_found");

    let expires_ms = now_ms() + 1500;
    let body = json!({ "name": "2", "tenant": "a", "scopes": ["read"], "expires_ms": expires_ms });
    let (second, _) = key(&server, body).await;
    let mut was_good = false;
    loop {
        let before_ms = now_ms();
        let status = Answer::of(get(&server, path, &second)).await.status;
        if status == 401 {
            assert!(now_ms() >= expires_ms);
            break;
        }
        assert!(before_ms < expires_ms && status == 200, "{status}");
        was_good = true;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(was_good);
    let refused = Answer::of(get(&server, path, &second)).await;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    refused.expect_problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_nearly_a_key_is_none() {
    let server = start().await;
    let good = token(&server, Some("a"), &["read"]).await;
    let other = token(&server, Some("a"), &["read"]).await;
    let (id, secret) = (&good[4..30], &other[31..]);
    let path = "/api/v1/tenants/a/functions";
    for bad in [
        format!("amp_{id}_{secret}"),
        good[..good.len() - 1].to_owned(),
        format!("{good}0"),
        format!("AMP{}", &good[3..]),
        "amp_".to_owned(),
        "amp_".repeat(2000),
    ] {
        let answer = Answer::of(server.request(Method::GET, path).bearer_auth(&bad)).await;
        assert_eq!(answer.status, 401, "{bad}");
        assert!(!answer.text().contains(secret), "{}", answer.text());
    }
    let basic = server
        .request(Method::GET, path)
        .basic_auth("amp", Some(&good));
    Answer::of(basic).await.expect_problem(401, "unauthorized");
    let twice = server
        .request(Method::GET, path)
        .bearer_auth(&good)
        .bearer_auth(&good);
    Answer::of(twice).await.expect_problem(401, "unauthorized");
    let in_query = server.request(Method::GET, &format!("{path}?key={good}"));
    Answer::of(in_query)
        .await
        .expect_problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_keys_are_checked() {
    let server = start().await;
    let now_ms = now_ms();
    for body in [
        json!({ "name": "", "scopes": ["read"] }),
        json!({ "name": "x".repeat(201), "scopes": ["read"] }),
        json!({ "name": "a\nb", "scopes": ["read"] }),
        json!({ "name": "x", "scopes": [] }),
        json!({ "name": "x", "scopes": ["root"] }),
        json!({ "name": "x", "scopes": ["read"], "expires_ms": now_ms }),
        json!({ "name": "x", "scopes": ["read"], "more": 1 }),
        json!({ "name": "x", "scopes": ["invoke"], "function": "f" }),
        json!({ "name": "x", "scopes": ["deploy"], "tenant": "a", "function": "f" }),
        json!({ "name": "x", "scopes": ["read"], "tenant": "no/name" }),
        json!(["x"]),
    ] {
        let request = server.request(Method::POST, "/api/v1/keys").json(&body);
        let answer = Answer::of(request.bearer_auth(ROOT)).await;
        answer.expect_problem(400, "body_invalid");
    }
    let nobody = json!({ "name": "x", "scopes": ["read"], "tenant": "nobody" });
    let request = server.request(Method::POST, "/api/v1/keys").json(&nobody);
    Answer::of(request.bearer_auth(ROOT))
        .await
        .expect_problem(404, "tenant_not_found");
    let large = server
        .request(Method::POST, "/api/v1/keys")
        .body(vec![b'{'; (64 << 10) + 1]);
    Answer::of(large.bearer_auth(ROOT))
        .await
        .expect_problem(413, "body_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_work_without_a_key_of_the_server_too() {
    let server = Server::start().await;
    server.deploy_for("a", "f", FUNCTION, json!({})).await;
    let body = json!({ "name": "x", "tenant": "a", "scopes": ["read"] });
    let request = server.request(Method::POST, "/api/v1/keys").json(&body);
    let made = Answer::of(request).await.json();
    let token = made["token"].as_str().unwrap();
    assert_eq!(made["created_by"], "loopback");
    // Whoever shows a key is that key, and not this machine.
    Answer::of(get(&server, "/tenants/a/functions", token))
        .await
        .expect_status(200);
    Answer::of(get(&server, "/status", token))
        .await
        .expect_problem(403, "forbidden");
    let wrong = format!("{}{}", &token[..31], "0".repeat(64));
    Answer::of(get(&server, "/status", &wrong))
        .await
        .expect_problem(401, "unauthorized");
    server.status().await;
    // Foreign pages are refused, unless they know a key.
    let page = server.request(Method::GET, "/api/v1/tenants/a/functions");
    let page = page.header("origin", "http://evil.example");
    Answer::of(page).await.expect_problem(403, "foreign_origin");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_keys_have_pages() {
    let server = start().await;
    for _ in 0..5 {
        token(&server, Some("a"), &["read"]).await;
    }
    token(&server, None, &["read"]).await;
    let mut ids = Vec::new();
    let mut path = "/tenants/a/keys?limit=2".to_owned();
    loop {
        let page = Answer::of(get(&server, &path, ROOT)).await.json();
        let keys = page["keys"].as_array().unwrap();
        assert!(keys.len() <= 2);
        ids.extend(
            keys.iter()
                .map(|key| key["id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["cursor"].as_str() else {
            break;
        };
        path = format!("/tenants/a/keys?limit=2&cursor={cursor}");
    }
    let mut sorted = ids.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((ids.len(), &ids), (5, &sorted));
    for bad in ["limit=0", "limit=1001", "limit=x", "cursor=x", "more=1"] {
        let answer = Answer::of(get(&server, &format!("/keys?{bad}"), ROOT)).await;
        answer.expect_problem(400, "bad_request");
    }
}

/// Everybody who may do less than all, each with the statuses that they may be answered with for
/// something in the tenant `a`. Inside of other tenants and outside of all, nobody gets further.
async fn strangers(server: &Server) -> Vec<(String, Option<String>, Vec<u16>)> {
    let (revoked, id) = key(
        server,
        json!({ "name": "r", "tenant": "a", "scopes": ["admin"] }),
    )
    .await;
    let revoke = server.request(Method::DELETE, &format!("/api/v1/keys/{id}"));
    Answer::of(revoke.bearer_auth(ROOT))
        .await
        .expect_status(204);
    let expires_ms = now_ms() + 300;
    let expired = json!({ "name": "e", "scopes": ["admin"], "expires_ms": expires_ms });
    let (expired, _) = key(server, expired).await;
    while now_ms() <= expires_ms {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let one = json!({ "name": "i", "tenant": "a", "scopes": ["invoke"], "function": "other" });
    let of_another = token(server, Some("b"), &["admin"]).await;
    let bound = key(server, one).await.0;
    let unknown = format!("amp_01JD4W2Q6ZK8T3V5X7Y9B1C0DE_{}", "0".repeat(64));
    vec![
        ("no key".into(), None, vec![401]),
        ("a wrong key".into(), Some("wrong".into()), vec![401]),
        ("an unknown key".into(), Some(unknown), vec![401]),
        ("a revoked key".into(), Some(revoked), vec![401]),
        ("an expired key".into(), Some(expired), vec![401]),
        (
            "a key of another tenant".into(),
            Some(of_another),
            vec![403, 404],
        ),
        ("a key for another function".into(), Some(bound), vec![403]),
    ]
}

/// A path of the document with names in the places of its parameters, below `prefix`.
fn filled(prefix: &str, path: &str) -> String {
    let path = path.replace("{tenant}", "a").replace("{function}", "f");
    let path = path.replace("{version}", "1");
    // Whatever else a path names: the guard asks before anybody looks for it.
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { "x" } else { part });
    format!("{prefix}{}", parts.collect::<Vec<_>>().join("/"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_everybody_who_may_not_use_it() {
    let server = start().await;
    let b = server
        .request(Method::POST, "/api/v1/tenants")
        .bearer_auth(ROOT);
    Answer::of(b.json(&json!({ "tenant": "b" })))
        .await
        .expect_status(201);
    let document = Answer::of(get(&server, "/openapi.json", ROOT)).await.json();
    let document = Document(document);
    let strangers = strangers(&server).await;
    let mut lesser = Vec::new();
    for scope in ["read", "deploy", "invoke"] {
        lesser.push((scope, token(&server, Some("a"), &[scope]).await));
    }
    let mut operations = document.operations();
    let json = Value::Null;
    operations.push(("get".into(), "/openapi.json".into(), &json));
    assert!(operations.len() > 15);
    for (method, path, operation) in operations {
        // Paths of workspaces name no tenant: every key means its own.
        let prefix = operation["servers"][0]["url"].as_str();
        let prefix = prefix.unwrap_or("/api/v1");
        let is_workspace = prefix == "/v2";
        let upper: Method = method.to_uppercase().parse().unwrap();
        let send = |token: Option<&str>| {
            let request = server.request(upper.clone(), &filled(prefix, &path));
            match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            }
        };
        let in_tenant = path.starts_with("/tenants/{tenant}") || is_workspace;
        for (who, token, statuses) in &strangers {
            let answer = Answer::of(send(token.as_deref())).await;
            let what = format!("{who}: {method} {path}: {}", answer.status);
            if who == "a key of another tenant" && is_workspace {
                assert!([400, 404].contains(&answer.status), "{what}");
                continue;
            }
            assert!(statuses.contains(&answer.status), "{what}");
            if who == "a key of another tenant" {
                assert_eq!(answer.status, if in_tenant { 404 } else { 403 }, "{what}");
                let code = if in_tenant { "not_found" } else { "forbidden" };
                assert_eq!(answer.json()["code"], code, "{what}");
            }
        }
        let changes = method != "get" && !path.ends_with("/schedules/preview");
        let invokes = (path.ends_with("/invoke") && !path.contains("/versions/"))
            || path.ends_with("/run/{function}");
        let keys = path.starts_with("/tenants/{tenant}/keys");
        let tenant_itself = path == "/tenants/{tenant}" && changes;
        for (scope, token) in &lesser {
            let may = in_tenant
                && !keys
                && !tenant_itself
                && match *scope {
                    "read" => !changes && !invokes,
                    "invoke" => invokes,
                    _ => true,
                };
            if may {
                continue;
            }
            let answer = Answer::of(send(Some(token))).await;
            assert_eq!(answer.status, 403, "{scope}: {method} {path}");
            assert_eq!(
                answer.json()["code"],
                "forbidden",
                "{scope}: {method} {path}"
            );
        }
    }
    let answer = Answer::of(server.request(Method::GET, "/api/v1/nothing/here")).await;
    answer.expect_problem(401, "unauthorized");
    // And all that changed nothing.
    let shown = Answer::of(get(&server, "/tenants/a/functions/f", ROOT))
        .await
        .json();
    assert_eq!(shown["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_requires_a_key_is_called_with_one_and_never_sees_it() {
    let server = start().await;
    let source = "module.exports = (req, res) => res.json([req.headers['x-api-key'] ?? null, \
                  req.headers.authorization ?? null]);";
    for (function, requires_key) in [("closed", true), ("open", false)] {
        let settings = json!({ "requires_key": requires_key });
        let deploy = server.deploy_request("a", function, "index.js", source, &settings);
        let deployed = Answer::of(deploy.bearer_auth(ROOT))
            .await
            .expect_status(201);
        assert_eq!(deployed.json()["requires_key"], requires_key);
    }
    let bound = |function: &str| json!({ "name": "i", "tenant": "a", "scopes": ["invoke"], "function": function });
    let (good, id) = key(&server, bound("closed")).await;
    let (other, _) = key(&server, bound("open")).await;
    let read = token(&server, Some("a"), &["read"]).await;
    let of_b = {
        let b = server
            .request(Method::POST, "/api/v1/tenants")
            .bearer_auth(ROOT);
        Answer::of(b.json(&json!({ "tenant": "b" })))
            .await
            .expect_status(201);
        token(&server, Some("b"), &["invoke"]).await
    };
    let call = |function: &str| server.invoke_for("a", function);
    let missing = Answer::of(call("closed")).await;
    assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
    missing.expect_problem(401, "unauthorized");
    for wrong in [&other, &read, &of_b, "nonsense", "amp_x", ROOT] {
        let bearer = call("closed").bearer_auth(wrong);
        Answer::of(bearer).await.expect_problem(403, "forbidden");
        let header = call("closed").header("x-api-key", wrong);
        Answer::of(header).await.expect_problem(403, "forbidden");
    }
    for function in ["closed", "open"] {
        Answer::of(call(function).bearer_auth(&good))
            .await
            .expect(200, "[null,null]");
        let both = call(function).header("x-api-key", &good).bearer_auth("own");
        Answer::of(both).await.expect(200, "[null,\"Bearer own\"]");
    }
    let own = call("open").header("x-api-key", "own").bearer_auth("own");
    Answer::of(own)
        .await
        .expect(200, "[\"own\",\"Bearer own\"]");
    let revoke = server.request(Method::DELETE, &format!("/api/v1/keys/{id}"));
    Answer::of(revoke.bearer_auth(ROOT))
        .await
        .expect_status(204);
    Answer::of(call("closed").bearer_auth(&good))
        .await
        .expect_problem(403, "forbidden");
}
