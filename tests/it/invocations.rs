//! Records of invocations: what is written down, how it is found, and how long it is kept.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, PATIENCE, Server};

const BASE: &str = "/api/v1/tenants/default/functions";

/// Reads `path` below the function's, everything written so far included.
async fn read(server: &Server, path: &str) -> Answer {
    server.app.store.logs().flush().await;
    Answer::of(server.request(Method::GET, path)).await
}

async fn list(server: &Server, function: &str, query: &str) -> Vec<Value> {
    let path = format!("{BASE}/{function}/invocations?{query}");
    let answer = read(server, &path).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json()["invocations"].as_array().unwrap().clone()
}

/// The one record of a function, once it is there.
async fn only(server: &Server, function: &str) -> Value {
    let found = async {
        loop {
            let records = list(server, function, "").await;
            if let [record] = &records[..] {
                return record.clone();
            }
            assert!(records.is_empty(), "{records:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.expect("the invocation is recorded")
}

fn encoded(query: &str) -> String {
    let pairs = url::form_urlencoded::byte_serialize(query.as_bytes());
    pairs.collect()
}

#[tokio::test]
async fn an_answer_that_cannot_be_passed_on_is_recorded_as_a_failure() {
    let server = Server::start().await;
    let nest = "(n) => { let a = 0; for (let i = 0; i < n; i++) a = [a]; return a; }";
    crate::events::deploy(&server, "nest", nest).await;
    let answer = crate::events::call(&server, "nest", "101").await;
    answer.expect_problem(500, "result_invalid");
    // No length at all, and headers that are too large, of an answer that is whole and of one that
    // is not.
    let length = "res.set('content-length', 'soon');";
    let large = "res.set('x-large', 'x'.repeat(70000));";
    let whole = "res.end('x');";
    let streamed = "res.write('x'); setTimeout(() => res.end(), 5);";
    for (name, sets, sends) in [
        ("whole", length, whole),
        ("streamed", length, streamed),
        ("whole-large", large, whole),
        ("streamed-large", large, streamed),
    ] {
        let source = format!("module.exports = (req, res) => {{ {sets} {sends} }};");
        server.deploy(name, &source).await;
        let answer = Answer::of(server.invoke(name)).await;
        answer.expect_problem(500, "response_invalid");
    }
    for (name, code) in [
        ("nest", "result_invalid"),
        ("whole", "response_invalid"),
        ("streamed", "response_invalid"),
        ("whole-large", "response_invalid"),
        ("streamed-large", "response_invalid"),
    ] {
        let record = only(&server, name).await;
        for (field, expected) in [
            ("outcome", json!("error")),
            ("code", json!(code)),
            ("status", json!(500)),
            ("lines", json!(1)),
        ] {
            assert_eq!(record[field], expected, "{name}: {field}: {record}");
        }
        let line = server.log_with(name, code).await.pop().unwrap();
        assert_eq!(line["level"], "error", "{line}");
    }
    assert_eq!(server.status().await["invocations"]["failed"], 5);
}

#[tokio::test]
async fn a_request_is_recorded_with_what_it_asked_and_what_it_cost() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        console.log('one'); console.warn('two');
        await kv.set('k', 1);
        res.status(201).send('made');
    }";
    server.deploy("f", source).await;
    let request = server
        .post("f/items/7?size=2&token=hidden")
        .header("user-agent", "tests/1")
        .body("12345");
    let answer = Answer::of(request).await.expect(201, "made");
    let id = answer.header("x-ampoule-invocation").unwrap().to_owned();
    let record = only(&server, "f").await;
    assert_eq!(record["id"], id);
    assert_eq!(record["trace_id"], answer.header("x-trace-id").unwrap());
    for (field, expected) in [
        ("function", json!("f")),
        ("version", json!(1)),
        ("kind", json!("request")),
        ("method", json!("POST")),
        ("target", json!("/items/7?size=2&token=[redacted]")),
        ("status", json!(201)),
        ("outcome", json!("success")),
        ("code", Value::Null),
        ("error", Value::Null),
        ("client", json!("127.0.0.1")),
        ("user_agent", json!("tests/1")),
        ("lines", json!(2)),
    ] {
        assert_eq!(record[field], expected, "{field}: {record}");
    }
    let cost = &record["cost"];
    assert!(cost["fuel"].as_u64().unwrap() > 1000, "{cost}");
    assert_eq!(cost["request_bytes"], 5);
    assert_eq!(cost["response_bytes"], 4);
    assert_eq!(cost["kv_operations"], 1);
    assert_eq!(cost["subrequests"], 0);
    assert!(record["duration_ms"].as_f64().unwrap() > 0.0);
    for path in [
        format!("{BASE}/f/invocations/{id}"),
        format!("/api/v1/tenants/default/invocations/{id}"),
    ] {
        let detail = read(&server, &path).await.json();
        assert_eq!(detail["id"], id);
        let log = detail["log"].as_array().unwrap();
        let lines: Vec<_> = log
            .iter()
            .map(|line| {
                (
                    line["level"].as_str().unwrap(),
                    line["message"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(lines, [("info", "one"), ("warn", "two")]);
    }
}

#[tokio::test]
async fn an_exception_is_recorded_with_its_stack_and_the_lines_before_it() {
    let server = Server::start().await;
    let source = "module.exports = () => {\n  console.log('before');\n  null.x;\n};";
    server.deploy("f", source).await;
    Answer::of(server.invoke("f"))
        .await
        .expect_problem(500, "function_threw");
    let record = only(&server, "f").await;
    assert_eq!(record["outcome"], "error");
    assert_eq!(record["code"], "function_threw");
    assert_eq!(record["status"], 500);
    assert_eq!(record["error"]["name"], "TypeError");
    let stack = record["error"]["stack"].as_str().unwrap();
    assert!(stack.contains("/app/index.js:3"), "{stack}");
    let path = format!("{BASE}/f/invocations/{}", record["id"].as_str().unwrap());
    let detail = read(&server, &path).await.json();
    assert_eq!(detail["log"][0]["message"], "before");
    assert_eq!(detail["lines"], 2);
}

#[tokio::test]
async fn stacks_of_typescript_name_the_source_as_it_was_written() {
    let server = Server::start().await;
    let source =
        "interface A { a: string }\n\nexport default (): A => {\n  throw new Error('x');\n};";
    let request = server.deploy_request("default", "f", "index.ts", source, &json!({}));
    assert_eq!(Answer::of(request).await.status, 201);
    Answer::of(server.invoke("f"))
        .await
        .expect_problem(500, "function_threw");
    let record = only(&server, "f").await;
    let stack = record["error"]["stack"].as_str().unwrap();
    assert!(stack.contains("/app/index.ts:4"), "{stack}");
}

#[tokio::test]
async fn every_way_to_end_is_recorded_once() {
    let server = Server::start().await;
    let cases = [
        (
            "spin",
            "for (;;);",
            json!({"fuel": 50_000_000}),
            "cpu_exceeded",
            504,
        ),
        (
            "sleep",
            "await new Promise(() => setTimeout(() => {}, 60000))",
            json!({"wall_ms": 100}),
            "wall_exceeded",
            504,
        ),
        (
            "large",
            "res.send('x'.repeat(100))",
            json!({"response_body_bytes": 50}),
            "response_too_large",
            500,
        ),
    ];
    for (name, body, limits, code, status) in cases {
        let source = format!("module.exports = async (req, res) => {{ {body} }}");
        server
            .deploy_with(name, &source, json!({ "limits": limits }))
            .await;
        Answer::of(server.invoke(name))
            .await
            .expect_problem(status, code);
        let record = only(&server, name).await;
        assert_eq!(record["outcome"], "error", "{name}");
        assert_eq!(record["code"], code, "{name}");
        assert_eq!(record["status"], status, "{name}");
        assert!(record["cost"]["fuel"].as_u64().unwrap() > 0, "{name}");
    }
}

#[tokio::test]
async fn a_body_that_is_refused_is_recorded_without_a_run() {
    let server = Server::start().await;
    let settings = json!({"limits": {"request_body_bytes": 4}});
    server
        .deploy_with("f", "module.exports = (req, res) => res.end()", settings)
        .await;
    Answer::of(server.post("f").body("12345"))
        .await
        .expect_problem(413, "body_too_large");
    let record = only(&server, "f").await;
    assert_eq!(record["code"], "body_too_large");
    assert_eq!(record["status"], 413);
    assert_eq!(record["cost"]["fuel"], 0);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_a_record_with_what_was_used() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        console.log('begun');
        await fetch(req.query.url).catch(() => {});
        await new Promise((done) => setTimeout(done, 60000));
    }";
    server.deploy("f", source).await;
    let request = server.invoke("f?url=http://127.0.0.1:9/").send();
    let gone = tokio::time::timeout(Duration::from_millis(500), request).await;
    assert!(gone.is_err(), "it does not answer");
    let record = only(&server, "f").await;
    assert_eq!(record["outcome"], "cancelled");
    assert_eq!(record["status"], Value::Null);
    assert_eq!(record["code"], Value::Null);
    assert_eq!(record["lines"], 1);
    assert!(record["cost"]["fuel"].as_u64().unwrap() > 0, "{record}");
    assert_eq!(record["cost"]["subrequests"], 1);
}

#[tokio::test]
async fn a_request_that_is_not_admitted_has_no_record() {
    let server = Server::start().await;
    let answer = Answer::of(server.invoke("none")).await;
    let id = answer.header("x-ampoule-invocation").unwrap().to_owned();
    answer.expect_problem(404, "function_not_found");
    let path = format!("/api/v1/tenants/default/invocations/{id}");
    read(&server, &path)
        .await
        .expect_problem(404, "invocation_not_found");
}

#[tokio::test]
async fn filters_and_searches_find_what_they_say() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => {
        console.log('hello ' + req.query.name);
        if (req.query.name === 'bad') { console.error('it broke'); throw new RangeError('no'); }
        res.status(req.query.name === 'odd' ? 404 : 200).end();
    }";
    server.deploy("f", source).await;
    for name in ["ada", "bad", "odd"] {
        Answer::of(server.invoke(&format!("f/p/{name}?name={name}"))).await;
    }
    let names = async |query: &str| {
        let records = list(&server, "f", query).await;
        let mut names: Vec<_> = records
            .iter()
            .map(|record| record["target"].as_str().unwrap()[3..6].to_owned())
            .collect();
        names.reverse();
        names.join(" ")
    };
    assert_eq!(names("").await, "ada bad odd");
    assert_eq!(names("outcome=all").await, "ada bad odd");
    for (query, expected) in [
        ("outcome=success", "ada odd"),
        ("outcome=error", "bad"),
        ("outcome=cancelled", ""),
        ("code=function_threw", "bad"),
        ("status=404", "odd"),
        ("status=500", "bad"),
        ("version=1", "ada bad odd"),
        ("version=2", ""),
        ("kind=request", "ada bad odd"),
        ("kind=event", ""),
        ("min_duration_ms=60000", ""),
        ("from_ms=0&to_ms=9999999999999", "ada bad odd"),
        ("to_ms=5", ""),
        ("outcome=error&status=404", ""),
    ] {
        assert_eq!(names(query).await, expected, "{query}");
    }
    for (search, expected) in [
        ("hello", "ada bad odd"),
        ("\"hello bad\"", "bad"),
        ("level:error", "bad"),
        ("NOT level:error", "ada odd"),
        ("status:>=400 AND outcome:success", "odd"),
        ("path:/p/a*", "ada"),
        ("(path:*ada OR path:*odd) -status:404", "ada"),
        ("error:rangeerror", "bad"),
        ("duration_ms:>=0 method:GET", "ada bad odd"),
        ("function:g", ""),
    ] {
        let query = format!("search={}", encoded(search));
        assert_eq!(names(&query).await, expected, "{search}");
    }
}

#[tokio::test]
async fn what_a_search_cannot_mean_is_refused() {
    let server = Server::start().await;
    server.deploy("f", "module.exports = () => {}").await;
    for query in [
        format!("search={}", encoded("(a")),
        format!("search={}", encoded("size:3")),
        format!("search={}", "a".repeat(1025)),
        format!("search={}", encoded(&"(".repeat(500))),
        "cursor=nonsense".to_owned(),
        "limit=x".to_owned(),
        "status=-1".to_owned(),
        "outcome=maybe".to_owned(),
        "unknown=1".to_owned(),
    ] {
        let path = format!("{BASE}/f/invocations?{query}");
        read(&server, &path)
            .await
            .expect_problem(400, "bad_request");
    }
    read(&server, &format!("{BASE}/f/invocations/nonsense"))
        .await
        .expect_problem(400, "bad_request");
    read(&server, &format!("{BASE}/none/invocations"))
        .await
        .expect_problem(404, "function_not_found");
}

#[tokio::test]
async fn pages_of_a_tenant_cover_all_functions_and_no_other_tenant() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => res.end()";
    for tenant in ["a", "b"] {
        for name in ["f", "g"] {
            server.deploy_for(tenant, name, source, json!({})).await;
            for _ in 0..2 {
                Answer::of(server.invoke_for(tenant, name)).await;
            }
        }
    }
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let path = format!("/api/v1/tenants/a/invocations?limit=1{cursor}");
        let page = read(&server, &path).await.json();
        let records = page["invocations"].as_array().unwrap();
        seen.extend(records.iter().map(|record| record["function"].clone()));
        let Some(next) = page["cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["g", "g", "f", "f"]);
    let foreign = read(&server, "/api/v1/tenants/b/invocations").await.json();
    let id = foreign["invocations"][0]["id"].as_str().unwrap();
    for path in [
        format!("/api/v1/tenants/a/invocations/{id}"),
        format!("/api/v1/tenants/a/functions/g/invocations/{id}"),
    ] {
        read(&server, &path)
            .await
            .expect_problem(404, "invocation_not_found");
    }
}

#[tokio::test]
async fn long_targets_and_agents_are_cut_in_the_record() {
    let server = Server::start().await;
    server
        .deploy("f", "module.exports = (req, res) => res.end()")
        .await;
    let request = server
        .invoke(&format!("f/{}", "p".repeat(5000)))
        .header("user-agent", "u".repeat(5000));
    assert_eq!(Answer::of(request).await.status, 200);
    let record = only(&server, "f").await;
    assert_eq!(record["target"].as_str().unwrap().len(), 2048);
    assert_eq!(record["user_agent"].as_str().unwrap().len(), 256);
}

#[tokio::test]
async fn retention_is_set_shown_and_kept_to() {
    let server = Server::start().await;
    server
        .deploy("f", "module.exports = (req, res) => res.end()")
        .await;
    let path = format!("{BASE}/f/retention");
    let shown = read(&server, &path).await.json();
    let default = json!({"keep_ms": 604_800_000, "keep_count": 10_000,
        "set": {"keep_ms": null, "keep_count": null}});
    assert_eq!(shown, default);
    for _ in 0..5 {
        Answer::of(server.invoke("f")).await;
    }
    assert_eq!(list(&server, "f", "").await.len(), 5);
    let put = async |body: &str| {
        let request = server.request(Method::PUT, &path).body(body.to_owned());
        Answer::of(request).await
    };
    let set = put(r#"{"keep_count": 2}"#).await;
    assert_eq!(set.json()["keep_count"], 2);
    assert_eq!(set.json()["set"]["keep_count"], 2);
    assert_eq!(set.json()["keep_ms"], 604_800_000);
    let trimmed = async {
        while list(&server, "f", "").await.len() > 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let trimmed = tokio::time::timeout(PATIENCE, trimmed).await;
    trimmed.expect("what is too much is deleted");
    for body in [
        r#"{"keep_count": 0}"#,
        r#"{"keep_count": 1000001}"#,
        r#"{"keep_ms": 315360000001}"#,
    ] {
        put(body).await.expect_problem(400, "bad_request");
    }
    for body in [r#"{"keep": 1}"#, r#"{"keep_ms": -1}"#, "[]", ""] {
        put(body).await.expect_problem(400, "body_invalid");
    }
    put(&format!("{{{}}}", " ".repeat(5000)))
        .await
        .expect_problem(413, "body_too_large");
    assert_eq!(put("{}").await.json(), default);
    let none = server
        .request(Method::PUT, &format!("{BASE}/none/retention"))
        .body("{}");
    Answer::of(none)
        .await
        .expect_problem(404, "function_not_found");
}

#[tokio::test]
async fn a_deleted_function_leaves_no_records() {
    let server = Server::start().await;
    server
        .deploy("f", "module.exports = (req, res) => res.end()")
        .await;
    Answer::of(server.invoke("f")).await;
    assert_eq!(list(&server, "f", "").await.len(), 1);
    let deleted = server.request(Method::DELETE, &format!("{BASE}/f"));
    assert_eq!(Answer::of(deleted).await.status, 204);
    let left = read(&server, "/api/v1/tenants/default/invocations").await;
    assert_eq!(left.json()["invocations"], json!([]));
}

#[tokio::test]
async fn records_outlive_a_restart() {
    let server = Server::start().await;
    server
        .deploy("f", "module.exports = (req, res) => res.end()")
        .await;
    Answer::of(server.invoke("f")).await;
    let data = Some(server.stop().await);
    let server = Server::with(crate::server::Options {
        data,
        ..Default::default()
    })
    .await;
    assert_eq!(list(&server, "f", "").await.len(), 1);
}
