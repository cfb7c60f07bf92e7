//! Requests and answers whose form the OpenAPI document has to know: what the fuzzer found.

use crate::openapi::Document;
use crate::server::{Answer, Server};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const FUNCTION: &str = "module.exports = (req, res) => { console.log('hi'); res.send('ok'); };";
const OF_F: &str = "/api/v1/tenants/default/functions/f";

fn send(server: &Server, method: Method, path: &str, body: &Value) -> RequestBuilder {
    server.request(method, path).body(body.to_string())
}

async fn with_function() -> (Server, Document) {
    let server = Server::start().await;
    let request = server.deploy_request("default", "f", "index.js", FUNCTION, &json!({}));
    assert_eq!(Answer::of(request).await.status, 201);
    let document = Document::of(&server).await;
    (server, document)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_not_taken_for_an_object_inside_of_another() {
    let (server, document) = with_function().await;
    let tenants = "/api/v1/tenants";
    let made = send(&server, Method::POST, tenants, &json!({"tenant": "acme"}));
    assert_eq!(document.check_request(made).await.status, 201);
    let schedule = format!("{OF_F}/schedules/s");
    let cron = "30 2 * * *";
    for (method, path, body) in [
        (Method::POST, tenants, json!({"tenant": "b", "quotas": [1]})),
        (
            Method::PATCH,
            "/api/v1/tenants/acme",
            json!({"quotas": [1]}),
        ),
        (Method::PUT, &schedule, json!({"cron": cron, "missed": []})),
        (Method::PUT, &schedule, json!({"cron": cron, "retries": []})),
        (
            Method::POST,
            "/api/v1/network-policy/test",
            json!(["http://127.0.0.1/", null, null, null, null]),
        ),
    ] {
        let answer = document.check_request(send(&server, method, path, &body));
        let answer = answer.await;
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_numbers_may_be_written_with_a_fraction_of_nothing() {
    let (server, document) = with_function().await;
    let path = format!("{OF_F}/retention");
    let put = |body: Value| send(&server, Method::PUT, &path, &body);
    let answer = document
        .check_request(put(json!({"keep_ms": 5000.0})))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["keep_ms"], 5000);
    for wrong in [json!(5000.5), json!(-5000.0), json!(1e300)] {
        let answer = document.check_request(put(json!({"keep_ms": wrong}))).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_ids_and_statuses_are_what_they_can_be_and_nothing_else() {
    let (server, document) = with_function().await;
    Answer::of(server.invoke("f")).await.expect(200, "ok");
    let list = format!("{OF_F}/invocations");
    let lines = server.log_with("f", "hi").await;
    let id = lines[0]["invocation"].as_str().unwrap();
    let small = id.to_ascii_lowercase();
    for (path, status) in [
        (format!("{list}/{id}"), 200),
        (format!("{list}/{small}"), 400),
        (format!("{list}?cursor={id}"), 200),
        (format!("{list}?cursor={small}"), 400),
        (format!("{OF_F}/logs?after=1"), 200),
        (format!("{OF_F}/logs?after=%2B1"), 400),
        (format!("{OF_F}/versions?cursor=%2B1"), 400),
        ("/api/v1/audit?cursor=%2B1".to_owned(), 400),
        (format!("{list}?status=100"), 200),
        (format!("{list}?status=99"), 400),
    ] {
        let answer = document.check(&server, Method::GET, &path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_any_json_is_answered_as_the_document_says() {
    let (server, document) = with_function().await;
    let path = format!("{OF_F}/schedules/s");
    for payload in [json!("text"), json!([1, 2]), json!({"a": 1}), json!(true)] {
        let body = json!({"cron": "30 2 * * *", "payload": payload});
        let answer = document.check_request(send(&server, Method::PUT, &path, &body));
        let answer = answer.await;
        assert!(answer.status < 300, "{payload}: {}", answer.text());
        assert_eq!(answer.json()["payload"], payload);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_of_a_server_without_a_key_asks_for_none() {
    let (_server, document) = with_function().await;
    assert_eq!(document.0["security"], json!([{}, {"key": []}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_says_how_far_numbers_go_and_that_headers_are_never_null() {
    let (_server, document) = with_function().await;
    let mut headers = 0;
    for (method, path, operation) in document.operations() {
        let parameters = operation["parameters"].as_array();
        for parameter in parameters.into_iter().flatten() {
            let (schema, what) = (&parameter["schema"], format!("{method} {path} {parameter}"));
            if parameter["in"] == "header" {
                headers += 1;
                assert_eq!(schema["type"], "string", "{what}");
            }
            if schema["type"] == "integer" {
                assert!(schema["maximum"].is_u64(), "{what}");
            }
        }
    }
    assert!(headers > 0);
    let version = &document.0["components"]["schemas"]["Version"]["properties"]["version"];
    assert_eq!(version["maximum"], u64::MAX);
}
