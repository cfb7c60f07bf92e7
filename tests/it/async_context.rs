//! `AsyncLocalStorage` in a real sandbox, where QuickJS itself carries the context.

use serde_json::{Value, json};

use crate::server::{Answer, Server};

/// Answers what the function says, as JSON.
async fn run(source: &str) -> Value {
    let server = Server::start().await;
    server.deploy("f", source).await;
    let answer = Answer::of(server.invoke("f")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_follows_every_kind_of_step_of_two_chains_at_a_time() {
    let found = run(r"
        const { AsyncLocalStorage } = require('node:async_hooks');
        const als = new AsyncLocalStorage();
        const other = new AsyncLocalStorage();
        const seen = [];
        const note = (what) => seen.push([what, als.getStore() ?? null, other.getStore() ?? null]);
        const wait = (ms) => new Promise((done) => setTimeout(done, ms));
        const work = async (name) => {
            note('sync');
            await null; note('await');
            await wait(name === 'a' ? 3 : 1); note('timer');
            await new Promise((done) => setImmediate(() => { note('immediate'); done(); }));
            await new Promise((done) => process.nextTick(() => { note('tick'); done(); }));
            await new Promise((done) => queueMicrotask(() => { note('microtask'); done(); }));
            await Promise.all([wait(1).then(() => note('then')), 1]);
            await Promise.reject(new Error('x')).catch(() => note('catch'));
            await wait(1).finally(() => note('finally'));
            for await (const x of (async function* () { yield 1; await wait(1); yield 2; })()) note('loop');
            await { then(resolve) { note('thenable'); resolve(); } };
            await kv.set('key-' + name, name); note('kv');
            await fetch('http://127.0.0.1:1/').catch(() => note('fetch'));
            await other.run('inner', async () => { await wait(1); note('nested'); });
            note('end');
            return name;
        };
        module.exports = async (req, res) => {
            const ended = await Promise.all([als.run('A', work, 'a'), als.run('B', work, 'b')]);
            note('outside');
            res.json({ ended, seen });
        };")
    .await;
    assert_eq!(found["ended"], json!(["a", "b"]));
    let seen = found["seen"].as_array().unwrap();
    let of = |store: Value| -> Vec<&str> {
        let those = seen.iter().filter(|entry| entry[1] == store);
        those.map(|entry| entry[0].as_str().unwrap()).collect()
    };
    let steps = [
        "sync",
        "await",
        "timer",
        "immediate",
        "tick",
        "microtask",
        "then",
        "catch",
        "finally",
        "loop",
        "loop",
        "thenable",
        "kv",
        "fetch",
        "nested",
        "end",
    ];
    assert_eq!(of(json!("A")), steps);
    assert_eq!(of(json!("B")), steps);
    assert_eq!(of(Value::Null), ["outside"]);
    for entry in seen {
        let inner = if entry[0] == "nested" {
            json!("inner")
        } else {
            Value::Null
        };
        assert_eq!(entry[2], inner, "{entry}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invocations_share_no_store_and_a_burst_of_promises_keeps_none() {
    let server = Server::start().await;
    server
        .deploy(
            "f",
            r"
            const { AsyncLocalStorage } = require('async_hooks');
            const als = new AsyncLocalStorage();
            module.exports = async (req, res) => {
                const before = als.getStore() ?? null;
                als.enterWith({ of: req.query.n });
                // Each round's store is garbage when the round is over.
                for (let i = 0; i < 20000; i++) {
                    await als.run({ i, room: new Uint8Array(10000) }, async () => { await null; });
                }
                res.json([before, als.getStore().of]);
            };",
        )
        .await;
    for n in ["1", "2"] {
        let answer = Answer::of(server.invoke(&format!("f?n={n}"))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json(), json!([null, n]));
    }
}
