//! Where names lead: what Node said about a tree of packages, and what a deployment of it says.
//! `tests/resolution/expect.mjs` has Node say it again.

use serde_json::{Map, Value, json};

use crate::server::{Answer, Server};

const TREE: &str = include_str!("../resolution/tree.json");
const EXPECTED: &str = include_str!("../resolution/expected.json");
const ASK: &str = include_str!("../resolution/ask.cjs");
const ENTRY: &str = "
    const ask = require('./ask.cjs');
    const { probes } = require('./tree.json');
    module.exports = async (req, res) => res.json(await ask(probes));";

#[tokio::test(flavor = "multi_thread")]
async fn names_lead_where_they_lead_in_node() {
    let server = Server::start().await;
    let tree: Map<String, Value> = serde_json::from_str(TREE).unwrap();
    let files = tree["files"].as_object().unwrap();
    let files = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str().unwrap()));
    let own = [("entry.cjs", ENTRY), ("ask.cjs", ASK), ("tree.json", TREE)];
    let files: Vec<(&str, &str)> = files.chain(own).collect();
    let settings = json!({ "entry": "entry.cjs" });
    let answer = server.deploy_files("f", &files, settings).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let answer = Answer::of(server.invoke("f")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answers = answer.json();
    let expected: Vec<Vec<Value>> = serde_json::from_str(EXPECTED).unwrap();
    let mut faults = Vec::new();
    for (probe, answer) in expected.iter().zip(answers.as_array().unwrap()) {
        if &probe[3] != answer {
            faults.push(format!("{probe:?}, but {answer}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(answers.as_array().unwrap().len(), expected.len());
}
