//! Workspaces beyond what their document says (`s4.rs`): merging, kinds, keys, and the cache under
//! hostile hands.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::{Answer, Options, Server};

const WORKSPACE: &str = "/v2/functions/test";

fn send(server: &Server, method: Method, path: &str, body: &Value) -> RequestBuilder {
    server
        .request(method, path)
        .header("content-type", "application/json")
        .body(body.to_string())
}

/// Makes the workspace `test` of bodies.
async fn make(server: &Server, functions: &[(&str, &str)]) {
    let functions: serde_json::Map<String, Value> = functions
        .iter()
        .map(|(name, code)| ((*name).to_owned(), json!({ "code": code })))
        .collect();
    let definition = json!({ "functions": functions });
    let answer = Answer::of(send(server, Method::PUT, WORKSPACE, &definition)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn run(server: &Server, function: &str) -> Answer {
    let path = format!("{WORKSPACE}/run/{function}");
    Answer::of(send(server, Method::POST, &path, &json!({}))).await
}

async fn result(server: &Server, function: &str) -> Value {
    let answer = run(server, function).await;
    assert_eq!(answer.status, 200, "{function}: {}", answer.text());
    answer.json()["result"].clone()
}

#[tokio::test]
async fn a_patch_is_merged_and_post_and_put_replace() {
    let server = Server::start().await;
    make(&server, &[("a", "return 1"), ("b", "return 2")]).await;
    let patch = json!({ "functions": {
        "a": { "parameters": { "x": { "default": 5 } } }, "b": null, "c": { "code": "return a()" },
    }});
    let answer = Answer::of(send(&server, Method::PATCH, WORKSPACE, &patch)).await;
    let whole = json!({ "functions": {
        "a": { "code": "return 1", "parameters": { "x": { "default": 5 } } },
        "c": { "code": "return a()" },
    }});
    assert_eq!((answer.status, answer.text()), (200, whole.to_string()));
    assert_eq!(result(&server, "c").await, 1);
    assert_eq!(run(&server, "b").await.status, 404);
    let only = json!({ "functions": { "d": { "code": "return 4" } } });
    for method in [Method::POST, Method::PUT] {
        let answer = Answer::of(send(&server, method, WORKSPACE, &only)).await;
        assert_eq!((answer.status, answer.text()), (200, only.to_string()));
        assert_eq!(run(&server, "a").await.status, 404);
    }
    for patch in [
        json!(1),
        json!({ "functions": null }),
        json!({ "functions": { "e": {} } }),
    ] {
        let answer = Answer::of(send(&server, Method::PATCH, WORKSPACE, &patch)).await;
        answer.expect_problem(400, "workspace_invalid");
    }
    let many = (0..10).map(|at| {
        let patch = json!({ "functions": { format!("m{at}"): { "code": "" } } });
        Answer::of(send(&server, Method::PATCH, WORKSPACE, &patch))
    });
    futures_util::future::join_all(many).await;
    let shown = Answer::of(server.request(Method::GET, WORKSPACE)).await;
    let count = shown.json()["functions"].as_object().unwrap().len();
    assert_eq!(count, 11, "no patch is lost: {}", shown.text());
}

#[tokio::test]
async fn workspaces_have_versions_and_a_log_like_other_functions() {
    let server = Server::start().await;
    make(&server, &[("f", "console.log('one'); return 1")]).await;
    make(&server, &[("f", "return 2")]).await;
    assert_eq!(result(&server, "f").await, 2);
    let path = "/api/v1/tenants/default/functions/test/versions/1/activate";
    let back = Answer::of(server.request(Method::POST, path)).await;
    assert_eq!(back.status, 200, "{}", back.text());
    assert_eq!(result(&server, "f").await, 1);
    let lines = server.log_with("test", "one").await;
    assert_eq!(lines.len(), 1);
    let shown = Answer::of(server.request(Method::GET, WORKSPACE)).await;
    assert!(shown.text().contains("return 1"), "{}", shown.text());
}

#[tokio::test]
async fn a_workspace_and_a_function_of_another_kind_do_not_share_a_name() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => res.send('mine');";
    server.deploy("test", source).await;
    let definition = json!({ "functions": {} });
    for method in [Method::POST, Method::PUT] {
        let answer = Answer::of(send(&server, method, WORKSPACE, &definition)).await;
        answer.expect_problem(409, "kind_mismatch");
    }
    let answer = Answer::of(send(&server, Method::PATCH, WORKSPACE, &definition)).await;
    answer.expect_problem(404, "function_not_found");
    run(&server, "f")
        .await
        .expect_problem(404, "function_not_found");
    Answer::of(server.invoke("test")).await.expect(200, "mine");
    let settings = json!({ "kind": "workspace" });
    let refused = server.deploy_request("default", "other", "index.js", source, &settings);
    Answer::of(refused)
        .await
        .expect_problem(400, "settings_invalid");
}

#[tokio::test]
async fn whoever_may_not_use_the_control_plane_may_not_use_workspaces() {
    let server = Server::with(Options {
        key: Some("the-key".to_owned()),
        ..Options::default()
    })
    .await;
    let definition = json!({ "functions": { "f": { "code": "return 1" } } });
    let path = format!("{WORKSPACE}/run/f");
    for (method, path) in [
        (Method::POST, WORKSPACE),
        (Method::PUT, WORKSPACE),
        (Method::PATCH, WORKSPACE),
        (Method::GET, WORKSPACE),
        (Method::DELETE, WORKSPACE),
        (Method::POST, path.as_str()),
        (Method::GET, "/v2/functions/test/packages"),
        (Method::PUT, "/v2/functions/test/packages"),
        (Method::DELETE, "/v2/functions/test/packages"),
    ] {
        let answer = Answer::of(send(&server, method, path, &definition)).await;
        assert_eq!(answer.json()["error"], "unauthorized");
        answer.expect_problem(401, "unauthorized");
    }
    let made = send(&server, Method::POST, WORKSPACE, &definition).bearer_auth("the-key");
    assert_eq!(Answer::of(made).await.status, 200);
    let ran = send(&server, Method::POST, &path, &json!({})).bearer_auth("the-key");
    assert_eq!(Answer::of(ran).await.json()["result"], 1);
    let open = Server::start().await;
    let foreign = send(&open, Method::POST, WORKSPACE, &definition)
        .header("origin", "https://elsewhere.example");
    Answer::of(foreign)
        .await
        .expect_problem(403, "foreign_origin");
}

#[tokio::test]
async fn a_key_means_the_workspaces_of_its_own_tenant() {
    let server = Server::with(Options {
        key: Some("the-key".to_owned()),
        ..Options::default()
    })
    .await;
    let post = |path: &str, body: Value| {
        let request = send(&server, Method::POST, path, &body).bearer_auth("the-key");
        async { Answer::of(request).await }
    };
    let mut tokens = Vec::new();
    for (tenant, scope) in [
        ("a", "deploy"),
        ("a", "read"),
        ("a", "invoke"),
        ("b", "admin"),
    ] {
        if scope != "read" && scope != "invoke" {
            let made = post("/api/v1/tenants", json!({ "tenant": tenant })).await;
            assert_eq!(made.status, 201, "{}", made.text());
        }
        let body = json!({ "name": "k", "tenant": tenant, "scopes": [scope] });
        let made = post("/api/v1/keys", body).await.json();
        tokens.push(made["token"].as_str().unwrap().to_owned());
    }
    let [deploy, read, invoke, other] = tokens.as_slice() else {
        unreachable!("four keys were made");
    };
    let as_key = |key: &str, method: Method, path: &str, body: Value| {
        let request = send(&server, method, path, &body).bearer_auth(key);
        async { Answer::of(request).await }
    };
    let definition = json!({ "functions": { "f": { "code": "return 'of a'" } } });
    let made = as_key(deploy, Method::PUT, WORKSPACE, definition.clone()).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let run = format!("{WORKSPACE}/run/f");
    for (key, method, path, status) in [
        (deploy, Method::GET, WORKSPACE, 200),
        (deploy, Method::POST, run.as_str(), 200),
        (read, Method::GET, WORKSPACE, 200),
        (read, Method::PUT, WORKSPACE, 403),
        (read, Method::DELETE, WORKSPACE, 403),
        (read, Method::POST, run.as_str(), 403),
        (invoke, Method::POST, run.as_str(), 200),
        (invoke, Method::GET, WORKSPACE, 403),
        (invoke, Method::PUT, WORKSPACE, 403),
        (other, Method::GET, WORKSPACE, 404),
        (other, Method::POST, run.as_str(), 404),
        (other, Method::DELETE, WORKSPACE, 404),
    ] {
        let answer = as_key(key, method.clone(), path, definition.clone()).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
    let mine = json!({ "functions": { "f": { "code": "return 'of b'" } } });
    assert_eq!(
        as_key(other, Method::PUT, WORKSPACE, mine).await.status,
        200
    );
    for (key, result) in [(deploy, "of a"), (other, "of b")] {
        let ran = as_key(key, Method::POST, &run, json!({})).await;
        assert_eq!(ran.json()["result"], result);
    }
    let audit = as_key("the-key", Method::GET, "/api/v1/tenants/b/audit", json!({})).await;
    assert!(
        audit.text().contains("/v2/functions/test"),
        "{}",
        audit.text()
    );
}

#[tokio::test]
async fn the_cache_keeps_values_of_many_kinds() {
    let server = Server::start().await;
    let write = "cache.map = new Map([[1, { date: new Date(5) }]]); cache.self = cache; \
        cache.bytes = new Uint8Array([0, 255]); cache.buffer = Buffer.from('hé'); \
        cache.big = 2n ** 80n; cache.set = new Set(['a']); cache.error = new RangeError('r'); \
        cache.re = /x/gi; cache.none = undefined; cache.nan = NaN; cache.text = '\\ud800\\u0000é'; \
        let deep = null; for (let i = 0; i < 20000; i++) deep = [deep]; cache.deep = deep;";
    let read = "let depth = 0; for (let d = cache.deep; d; d = d[0]) depth++; \
        return [cache.map.get(1).date.getTime(), cache.self === cache, [...cache.bytes], \
        cache.buffer.toString(), String(cache.big), cache.set.has('a'), \
        cache.error instanceof RangeError, cache.re.flags, 'none' in cache, \
        Number.isNaN(cache.nan), cache.text.length, cache.text.codePointAt(2), depth]";
    make(&server, &[("write", write), ("read", read)]).await;
    assert_eq!(run(&server, "write").await.status, 200);
    let wanted = json!([
        5,
        true,
        [0, 255],
        "hé",
        "1208925819614629174706176",
        true,
        true,
        "gi",
        true,
        true,
        3,
        233,
        20000
    ]);
    assert_eq!(result(&server, "read").await, wanted);
}

#[tokio::test]
async fn what_the_cache_cannot_hold_leaves_it_as_it_was() {
    let server = Server::start().await;
    // Two bytes for the list around it, and some for the object and its key.
    let fill = |bytes: usize| format!("cache.x = 'a'.repeat({bytes}); return cache.x.length");
    let limit = 4 << 20;
    let functions = [
        ("set", "cache.x = 'kept'".to_owned()),
        ("read", "return String(cache.x).slice(0, 4)".to_owned()),
        ("fill", fill(limit - 100)),
        ("over", fill(limit)),
        ("far",
            "cache.x = new Array(3e6)".to_owned()),
        ("method", "cache.client = { get() {} }".to_owned()),
        ("getter", "Object.defineProperty(cache, 'g', { enumerable: true, get() { throw new Error('mine') } })".to_owned()),
        ("indirect", "return globalThis['ca' + 'che']".to_owned()),
        ("eat", "cache.x = 'no'; const a = []; while (true) a.push(new Array(1e6).fill(0))".to_owned()),
    ];
    let functions: Vec<(&str, &str)> = functions.iter().map(|(n, c)| (*n, c.as_str())).collect();
    make(&server, &functions).await;
    assert_eq!(run(&server, "set").await.status, 200);
    for (function, says) in [
        ("over", "more than 4194304 bytes"),
        ("far", "more than 4194304 bytes"),
        ("method", "cache[\"client\"] holds a function"),
        ("getter", "mine"),
        ("indirect", "only there for functions that name it"),
    ] {
        let answer = run(&server, function).await;
        assert_eq!(answer.status, 500, "{}", answer.text());
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(says), "{function}: {message}");
        assert_eq!(result(&server, "read").await, "kept", "{function}");
    }
    assert_eq!(run(&server, "eat").await.status, 507);
    assert_eq!(result(&server, "read").await, "kept");
    assert_eq!(result(&server, "fill").await, limit - 100);
    assert_eq!(result(&server, "read").await, "aaaa");
}

#[tokio::test]
async fn a_client_that_hangs_up_gives_the_cache_free() {
    let server = Server::start().await;
    let wait = "cache.n = 1; await new Promise((go) => setTimeout(go, 15000))";
    make(
        &server,
        &[("wait", wait), ("read", "return cache.n ?? null")],
    )
    .await;
    let path = format!("{WORKSPACE}/run/wait");
    let waiting = send(&server, Method::POST, &path, &json!({})).send();
    {
        let mut waiting = Box::pin(waiting);
        let running = async {
            while server.status().await["invocations"]["running"] == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = &mut waiting => panic!("it waits"),
            () = running => {}
        }
    }
    assert_eq!(result(&server, "read").await, json!(null));
}

#[tokio::test]
async fn runs_are_split_between_versions_and_stop_when_the_function_is_off() {
    let server = Server::start().await;
    for version in 1..=2 {
        let code = format!("cache.n = (cache.n || 0) + 1; return [{version}, cache.n];");
        make(&server, &[("count", &code)]).await;
    }
    let function = "/api/v1/tenants/default/functions/test";
    let split = json!({ "version": 1, "weight_percent": 50 });
    let path = format!("{function}/split");
    let answer = Answer::of(send(&server, Method::PUT, &path, &split)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Each version has a cache of its own.
    let mut runs = [0, 0];
    for _ in 0..200 {
        let answer = run(&server, "count").await;
        let version: usize = answer.header("x-ampoule-version").unwrap().parse().unwrap();
        runs[version - 1] += 1;
        let expected = json!([version, runs[version - 1]]);
        assert_eq!(answer.json()["result"], expected);
        if runs[0] > 0 && runs[1] > 0 {
            break;
        }
    }
    assert!(runs[0] > 0 && runs[1] > 0, "{runs:?}");
    let off = json!({ "enabled": false });
    let answer = Answer::of(send(&server, Method::PATCH, function, &off)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = run(&server, "count").await;
    answer.expect_problem(404, "function_not_found");
}

#[tokio::test]
async fn the_document_has_the_routes_with_their_own_prefix() {
    let server = Server::start().await;
    let answer = Answer::of(server.request(Method::GET, "/api/v1/openapi.json")).await;
    let document = answer.json();
    let paths = [
        (
            "/functions/{workspace}",
            ["post", "put", "patch", "get", "delete"].as_slice(),
        ),
        ("/functions/{workspace}/packages", &["get", "put", "delete"]),
        ("/functions/{workspace}/run/{function}", &["post"]),
    ];
    for (path, methods) in paths {
        for method in methods {
            let operation = &document["paths"][path][method];
            assert_eq!(operation["servers"][0]["url"], "/v2", "{method} {path}");
            assert!(operation["responses"]["404"].is_object(), "{method} {path}");
        }
    }
}
