//! QuickJS has shorter ways for what is common (ADR 0022). They and the long ones have to agree.

use serde_json::json;

use crate::server::{Answer, Server};

const PATTERNS: &str = include_str!("../functions/regexp_both_ways.js");
const OPERATORS: &str = include_str!("../functions/operators_both_ways.js");
const COPIES: &str = include_str!("../functions/copies.js");

#[tokio::test(flavor = "multi_thread")]
async fn a_regular_expression_finds_the_same_on_all_ways() {
    let server = Server::start().await;
    server.deploy("f", PATTERNS).await;
    for seed in 1..=40 {
        let body = json!({"seed": seed, "count": 80}).to_string();
        let request = server.post("f").header("content-type", "application/json");
        let answer = Answer::of(request.body(body)).await;
        assert_eq!(answer.status, 200, "{}", server.log_text("f").await);
        assert_eq!(answer.json(), json!({"agreed": 80}), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_the_same_on_all_ways() {
    let server = Server::start().await;
    server.deploy("f", OPERATORS).await;
    let answer = Answer::of(server.post("f")).await;
    assert_eq!(answer.status, 200, "{}", server.log_text("f").await);
    let expected = json!({"values": 34, "operators": [], "elements": []});
    assert_eq!(answer.json(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_copied_moved_and_filled_whole() {
    let server = Server::start().await;
    server.deploy("f", COPIES).await;
    let answer = Answer::of(server.post("f")).await;
    assert_eq!(answer.status, 200, "{}", server.log_text("f").await);
    assert_eq!(answer.json(), json!({"different": []}));
}
