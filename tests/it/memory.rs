//! What sandboxes leave in memory: nothing, whether the kernel is asked what they wrote or not.

use serde_json::json;

use crate::server::{Answer, Options, Server};

/// Writes a letter all over its memory, in every way that makes the engine take some; `NUMBER`
/// makes each of them another deployment.
const WRITES: &str = "module.exports = async (req, res) => {
        const kept = [];
        for (let i = 0; i < 100; i++) {
            const bytes = new Uint8Array(65536).fill(0x73);
            kept.push(bytes, 's'.repeat(100000) + i, Array(1000).fill('ss' + i), { ['s' + i]: i });
        }
        await kv.get('sss');
        res.json([kept.length, NUMBER]);
    };";

/// Takes memory in every way that there is and looks for the letter, natively.
const LOOKS: &str = "module.exports = (req, res) => {
        const found = [];
        const look = (name, bytes) => {
            if (bytes.indexOf(0x73) >= 0 || bytes.indexOf(0) !== 0) found.push(name);
        };
        for (const size of [16, 100, 1000, 8192, 65536, 1 << 20, 16 << 20]) {
            for (let i = 0; i < (size > 65536 ? 3 : 100); i++) {
                look('array ' + size, new Uint8Array(size));
                look('buffer ' + size, new Uint8Array(new ArrayBuffer(size)));
                look('unsafe ' + size, new Uint8Array(Buffer.allocUnsafe(size).buffer));
                look('slow ' + size, new Uint8Array(Buffer.allocUnsafeSlow(size).buffer));
            }
        }
        res.json([found, NUMBER]);
    };";

/// More deployments than there are sandboxes, so that each of them gets what others used.
///
/// This is what tenants can see; that every byte of reused memory is as it was, is shown below
/// JavaScript by the tests of `src/sandbox/memory.rs`.
async fn assert_nothing_is_found(pagemap_scan: bool) {
    let server = Server::with(Options {
        pagemap_scan,
        max_concurrent: 1,
        max_concurrent_per_tenant: 1,
        ..Options::default()
    })
    .await;
    let engine = server.status().await["engine"].clone();
    let reason = engine["reason"].as_str().unwrap();
    let is_missing = reason.contains("no PAGEMAP_SCAN");
    assert_eq!(
        engine["pagemap_scan"],
        pagemap_scan && !is_missing,
        "{reason}"
    );
    for number in 0..20 {
        for (tenant, source) in [("writer", WRITES), ("looker", LOOKS)] {
            let source = source.replace("NUMBER", &number.to_string());
            let name = format!("f{number}");
            server.deploy_for(tenant, &name, &source, json!({})).await;
        }
    }
    for number in 0..20 {
        let target = format!("f{number}");
        server.until_idle().await;
        let written = Answer::of(server.invoke_for("writer", &target)).await;
        written.expect(200, &format!("[400,{number}]"));
    }
    for number in 0..20 {
        let target = format!("f{number}");
        server.until_idle().await;
        let looked = Answer::of(server.invoke_for("looker", &target)).await;
        looked.expect(200, &format!("[[],{number}]"));
        server.until_idle().await;
        let written = Answer::of(server.invoke_for("writer", &target)).await;
        written.expect(200, &format!("[400,{number}]"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tenant_finds_what_another_wrote_with_the_scan() {
    assert_nothing_is_found(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tenant_finds_what_another_wrote_without_the_scan() {
    assert_nothing_is_found(false).await;
}

/// Answers the same for the same event, and leaves behind whatever it can: values of every size,
/// functions, changes to what all code uses, promises that nobody waits for, and handles of files.
const LEAVES: &str = "
    const kept = [];
    let calls = 0;
    module.exports = async (event) => {
        calls++;
        for (let i = 0; i < event.times; i++) {
            kept.push(new Uint8Array(event.bytes).fill(0x73), { ['s' + i]: () => kept }, 's'.repeat(i));
        }
        Object.prototype['left' + event.times] = event.bytes;
        globalThis['left' + event.bytes] = kept;
        if (event.waits) await kv.get('none');
        if (event.reads) require('fs').readFileSync('/app/index.js');
        if (event.forgets) { kv.get('none').then(() => kept.push('late')); setTimeout(() => {}, 60000); }
        if (event.throws) throw new Error('as it was told');
        return { calls, kept: kept.length };
    };";

/// Events that leave more and less, and what waits or fails.
fn events() -> Vec<serde_json::Value> {
    vec![
        json!({ "times": 1, "bytes": 10 }),
        json!({ "times": 300, "bytes": 1000 }),
        json!({ "times": 3, "bytes": 10, "waits": true }),
        json!({ "times": 2, "bytes": 100_000 }),
        json!({ "times": 2, "bytes": 10, "throws": true }),
        json!({ "times": 4, "bytes": 2_000_000 }),
        json!({ "times": 1, "bytes": 10, "reads": true }),
        json!({ "times": 1, "bytes": 20, "forgets": true }),
    ]
}

/// The same event takes the same steps, to the instruction, in a new sandbox, in one that was used by
/// another event, and in one that has memory of its own: so there is nothing in it that makes a
/// difference.
#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_was_used_takes_the_steps_of_a_new_one() {
    let server = Server::start().await;
    let settings = json!({ "kind": "event", "limits": { "memory_bytes": 64 << 20 } });
    server.deploy_with("leaves", LEAVES, settings).await;
    let events = events();
    let mut steps = vec![Vec::new(); events.len()];
    // Each follows each, often enough for memory of its own.
    for round in 0..24 {
        for at in 0..events.len() {
            let at = (at * (2 * (round % 4) + 1) + round) % events.len();
            steps[at].push(steps_of(&server, &events[at]).await);
        }
    }
    for (event, steps) in events.iter().zip(steps) {
        let first = steps[0];
        assert!(steps.iter().all(|one| *one == first), "{event}: {steps:?}");
    }
}

/// What it took, or nothing for an event that fails.
async fn steps_of(server: &Server, event: &serde_json::Value) -> Option<u64> {
    let answer = crate::events::call(server, "leaves", event.to_string()).await;
    if event["throws"] == true {
        answer.expect_problem(500, "function_threw");
        return None;
    }
    let body = answer.json();
    let kept = 3 * event["times"].as_u64().unwrap();
    assert_eq!(
        body["result"],
        json!({ "calls": 1, "kept": kept }),
        "{body}"
    );
    Some(body["cost"]["fuel"].as_u64().unwrap())
}

/// More functions with memory of their own than there are sandboxes: each call takes the one of another.
#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_that_are_kept_make_room_for_other_functions() {
    let server = Server::with(Options {
        max_concurrent: 1,
        max_concurrent_per_tenant: 1,
        ..Options::default()
    })
    .await;
    const FUNCTIONS: usize = 40;
    for number in 0..FUNCTIONS {
        // So large that it has memory of its own from the start.
        let source = format!(
            "const text = '{}'; let calls = 0;
            module.exports = (req, res) => res.json([{number}, text.length, ++calls]);",
            number.to_string().repeat(200_000)
        );
        server.deploy(&format!("f{number}"), &source).await;
    }
    for _round in 0..3 {
        for number in 0..FUNCTIONS {
            server.until_idle().await;
            let answer = Answer::of(server.invoke(&format!("f{number}"))).await;
            let length = 200_000 * number.to_string().len();
            answer.expect(200, &format!("[{number},{length},1]"));
        }
    }
}
