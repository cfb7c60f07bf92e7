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

/// Pairs that refer to each other and to what the snapshot holds, more than memory has room for.
const CYCLES: &str = r"
    const held = new Map();
    const shared = { name: 'shared' };
    module.exports = (req, res) => {
        for (let i = 0; i < 400_000; i++) {
            const one = { i, shared };
            const other = { one, of: held };
            one.other = other;
            held.set('last', one);
        }
        res.json({ size: held.size, last: held.get('last').other.one.i, name: shared.name });
    };";

#[tokio::test(flavor = "multi_thread")]
async fn cycles_are_collected_beside_what_the_snapshot_holds() {
    let server = Server::start().await;
    let limits = json!({"limits": {"memory_bytes": 48 << 20}});
    server.deploy_with("f", CYCLES, limits).await;
    for _ in 0..2 {
        let answer = Answer::of(server.post("f")).await;
        assert_eq!(answer.status, 200, "{}", server.log_text("f").await);
        let expected = json!({"size": 1, "last": 399_999, "name": "shared"});
        assert_eq!(answer.json(), expected);
    }
}
