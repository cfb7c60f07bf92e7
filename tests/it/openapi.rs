//! The OpenAPI document: complete in itself, and true of what the server answers.

use std::collections::BTreeSet;

use crate::server::{Answer, Server};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const FUNCTION: &str = "module.exports = (req, res) => { console.log('hi'); res.send('ok') };";
const OF_TENANT: &str = "/api/v1/tenants/default/functions";

/// The document, to hold answers against.
pub struct Document(pub Value);

impl Document {
    pub async fn of(server: &Server) -> Self {
        let answer = Answer::of(server.request(Method::GET, "/api/v1/openapi.json")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        Self(answer.json())
    }

    /// Every operation, with its method in lower case and its path.
    pub fn operations(&self) -> Vec<(String, String, &Value)> {
        let paths = self.0["paths"].as_object().unwrap();
        let mut found = Vec::new();
        for (path, item) in paths {
            for (method, operation) in item.as_object().unwrap() {
                found.push((method.clone(), path.clone(), operation));
            }
        }
        found
    }

    /// Sends a request to the control plane and holds the answer against the document.
    pub async fn check(&self, server: &Server, method: Method, path: &str) -> Answer {
        self.check_request(server.request(method, path)).await
    }

    pub async fn check_request(&self, request: RequestBuilder) -> Answer {
        let built = request.try_clone().unwrap().build().unwrap();
        let (method, path) = (built.method().clone(), built.url().path().to_owned());
        let answer = Answer::of(request).await;
        self.hold(&method, &path, &answer);
        answer
    }

    fn hold(&self, method: &Method, path: &str, answer: &Answer) {
        let operation = self.find(method, path);
        let what = format!("{method} {path}: {} {}", answer.status, answer.text());
        let responses = &operation["responses"];
        let response = &responses[answer.status.to_string()];
        if response.is_null() && responses["default"].is_object() {
            // Whatever a function says.
            return;
        }
        assert!(response.is_object(), "no such answer is described: {what}");
        let Some(content) = response["content"].as_object() else {
            assert!(answer.body.is_empty(), "no body is described: {what}");
            return;
        };
        let kind = answer.header("content-type").unwrap_or_default();
        let media = content.get(kind);
        let media = media.unwrap_or_else(|| panic!("{kind} is not described: {what}"));
        if !kind.ends_with("json") {
            return;
        }
        let mut schema = media["schema"].clone();
        schema["components"] = self.0["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let body = answer.json();
        let faults: Vec<String> = validator
            .iter_errors(&body)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{what}\n{}", faults.join("\n"));
    }

    fn find(&self, method: &Method, path: &str) -> &Value {
        let path = path.strip_prefix("/api/v1").unwrap();
        let method = method.as_str().to_ascii_lowercase();
        let fits = |template: &str| {
            let (wanted, given) = (template.split('/'), path.split('/'));
            wanted.clone().count() == given.clone().count()
                && wanted
                    .zip(given)
                    .all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
        };
        let paths = self.0["paths"].as_object().unwrap();
        let mut found = paths.iter().filter(|(template, _)| fits(template));
        found
            .find_map(|(_, item)| item.get(&method))
            .unwrap_or_else(|| panic!("{method} {path} is not in the document"))
    }
}

/// Every `$ref` in a document.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str().filter(|_| name == "$ref") {
                    Some(reference) => drop(found.insert(reference)),
                    None => references(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_complete_in_itself() {
    let server = Server::start().await;
    let document = Document::of(&server).await;
    assert_eq!(document.0["openapi"], "3.1.0");
    let mut referred = BTreeSet::new();
    references(&document.0, &mut referred);
    for reference in referred {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.0.pointer(pointer).is_some(), "{reference}");
    }
    let mut ids = BTreeSet::new();
    for (method, path, operation) in document.operations() {
        let what = format!("{method} {path}");
        let id = operation["operationId"].as_str();
        assert!(
            ids.insert(id.expect(&what)),
            "{what}: its id is not its own"
        );
        assert!(operation["tags"][0].is_string(), "{what}");
        assert!(operation["summary"].is_string(), "{what}");
        let parameters = operation["parameters"].as_array();
        let named: BTreeSet<&str> = parameters
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let in_path: BTreeSet<&str> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        assert_eq!(named, in_path, "{what}");
        for status in ["400", "401", "403", "404", "500", "503"] {
            assert!(
                operation["responses"][status].is_object(),
                "{what}: {status}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answers_of_the_control_plane_are_as_the_document_says() {
    let server = Server::start().await;
    let document = Document::of(&server).await;
    let function = format!("{OF_TENANT}/f");
    let versions = format!("{function}/versions");
    let deploy = |name: &str, source: &str, settings: Value| {
        let request = server.deploy_request("default", name, "index.js", source, &settings);
        document.check_request(request)
    };
    let asleep = deploy("asleep", FUNCTION, json!({"activate": false})).await;
    assert_eq!(asleep.status, 201);
    assert_eq!(
        deploy("f", FUNCTION, json!({"route": "/:id"})).await.status,
        201
    );
    let second = format!("console.log('loading'); Date.now(); {FUNCTION}");
    assert_eq!(deploy("f", &second, json!({})).await.status, 201);
    assert_eq!(deploy("f", "module.exports =", json!({})).await.status, 422);
    assert_eq!(deploy("f", FUNCTION, json!({"x": 1})).await.status, 400);
    Answer::of(server.invoke("f")).await.expect(200, "ok");
    server.log("f").await;
    for (method, path, status) in [
        (Method::GET, "/api/v1/status".to_owned(), 200),
        (Method::GET, OF_TENANT.to_owned(), 200),
        (Method::GET, "/api/v1/tenants/-/functions".to_owned(), 400),
        (Method::GET, function.clone(), 200),
        (Method::GET, format!("{OF_TENANT}/none"), 404),
        (Method::GET, versions.clone(), 200),
        (Method::GET, format!("{function}/logs"), 200),
        (Method::GET, format!("{function}/logs?limit=x"), 400),
        (
            Method::GET,
            format!("{function}/logs?search=level:info"),
            200,
        ),
        (Method::GET, format!("{function}/logs/stream?after=x"), 400),
        (Method::GET, format!("{function}/invocations"), 200),
        (Method::GET, format!("{function}/invocations?limit=x"), 400),
        (Method::GET, format!("{function}/invocations/x"), 400),
        (
            Method::GET,
            "/api/v1/tenants/default/invocations".to_owned(),
            200,
        ),
        (Method::GET, format!("{function}/retention"), 200),
        (Method::PUT, format!("{function}/retention"), 400),
        (Method::POST, format!("{versions}/1/activate"), 200),
        (Method::POST, format!("{versions}/9/activate"), 404),
        (Method::DELETE, format!("{versions}/1"), 409),
        (Method::DELETE, format!("{versions}/2"), 204),
        (Method::DELETE, function.clone(), 204),
    ] {
        let answer = document.check(&server, method.clone(), &path).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
}
