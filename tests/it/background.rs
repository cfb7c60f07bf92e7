//! Work that goes on after the answer: what keeps an invocation alive, what does not, and what
//! happens to it at limits, when the client goes away, and when the server stops.

use std::time::Duration;

use axum::Router;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpStream;

use crate::fetch::{Gate, Upstream};
use crate::server::{Answer, Options, PATIENCE, Server};

/// A server, an upstream that waits at `/gate`, and its gate.
struct Behind {
    server: Server,
    gate: Gate,
    upstream: Upstream,
}

impl Behind {
    async fn start() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let gate = Gate::new();
        let upstream = Upstream::start(Router::new().route("/gate", gate.route())).await;
        Self {
            server: Server::with(options).await,
            gate,
            upstream,
        }
    }

    /// Deploys a file; `process.env.GATE` answers when it is let through.
    async fn deploy(&self, name: &str, filename: &str, source: &str, limits: serde_json::Value) {
        let env = json!({ "GATE": self.upstream.url("/gate") });
        let settings = json!({ "env": env, "limits": limits });
        let server = &self.server;
        let request = server.deploy_request("default", name, filename, source, &settings);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 201, "{name}: {}", answer.text());
    }

    async fn messages(&self, name: &str) -> Vec<String> {
        let lines = self.server.log(name).await;
        let messages = lines.iter().map(|line| line["message"].as_str().unwrap());
        messages.map(str::to_owned).collect()
    }
}

/// The same for each way of writing a function.
const WAYS: [(&str, &str, &str); 2] = [
    (
        "express",
        "index.js",
        "module.exports = (req, res) => {
            waitUntil(fetch(process.env.GATE).then(async (answer) => {
                console.log(await answer.text());
                await kv.set('done', true);
            }));
            res.json({ status: 'processing' });
        };",
    ),
    (
        "web",
        "index.mjs",
        "export default { async fetch(request, env, ctx) {
            ctx.waitUntil((async () => {
                const answer = await fetch(env.GATE);
                console.log(await answer.text());
                await kv.set('done', true);
            })());
            return Response.json({ status: 'processing' });
        } };",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn promised_work_goes_on_after_the_answer_and_holds_its_place() {
    let options = Options {
        max_concurrent_per_tenant: 1,
        ..Options::default()
    };
    let behind = Behind::with(options).await;
    for (count, (name, filename, source)) in (1..).zip(WAYS) {
        behind.deploy(name, filename, source, json!({})).await;
        let answer = Answer::of(behind.server.invoke(name)).await;
        answer.expect(200, r#"{"status":"processing"}"#);
        behind.gate.arrived(count).await;
        // The place of the invocation is taken until the work is done.
        let refused = Answer::of(behind.server.invoke(name)).await;
        refused.expect_problem(429, "tenant_busy");
        behind.gate.open();
        behind.server.until_idle().await;
        assert_eq!(behind.messages(name).await, ["let through"], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_promised_ends_with_the_handler() {
    let behind = Behind::start().await;
    let source = "module.exports = (req, res) => {
        setTimeout(() => console.log('too late'), 5);
        fetch(process.env.GATE).then(() => console.log('too late'));
        res.end('now');
    };";
    behind.deploy("loose", "index.js", source, json!({})).await;
    Answer::of(behind.server.invoke("loose"))
        .await
        .expect(200, "now");
    behind.server.until_idle().await;
    assert!(behind.messages("loose").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_promises_are_waited_for_and_more_may_come_late() {
    let behind = Behind::start().await;
    let source = "module.exports = (req, res) => {
        for (const name of ['a', 'b']) waitUntil(sleep(5).then(() => kv.set(name, 1)));
        waitUntil(sleep(20).then(() => {
            waitUntil(fetch(process.env.GATE).then(() => {
                waitUntil(kv.increment('late').then(() => console.log('all done')));
            }));
        }));
        res.end('now');
    };";
    behind
        .deploy("several", "index.js", source, json!({}))
        .await;
    Answer::of(behind.server.invoke("several"))
        .await
        .expect(200, "now");
    behind.gate.arrived(1).await;
    behind.gate.open();
    behind.server.until_idle().await;
    assert_eq!(behind.messages("several").await, ["all done"]);
    let reads = "module.exports = async (req, res) =>
        res.json([await kv.get('a'), await kv.get('b'), await kv.get('late')]);";
    behind.deploy("reads", "index.js", reads, json!({})).await;
    Answer::of(behind.server.invoke("reads"))
        .await
        .expect(200, "[1,1,1]");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_in_it_is_in_the_log_with_its_place_and_changes_no_answer() {
    let behind = Behind::start().await;
    // TypeScript, so that places are those of the source and not of what runs.
    let source = "interface Order { id: number }

module.exports = (req: any, res: any) => {
    const order: Order = { id: 7 };
    waitUntil((async () => {
        await sleep(1);
        throw new Error('order ' + order.id + ' failed');
    })());
    waitUntil(sleep(5).then(() => console.log('the others go on')));
    res.status(201).json(order);
};";
    behind.deploy("orders", "index.ts", source, json!({})).await;
    Answer::of(behind.server.invoke("orders"))
        .await
        .expect(201, r#"{"id":7}"#);
    behind.server.until_idle().await;
    let messages = behind.messages("orders").await;
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages[0].starts_with("waitUntil: Error: order 7 failed"),
        "{messages:?}"
    );
    assert!(messages[0].contains("index.ts:7:"), "{messages:?}");
    assert_eq!(messages[1], "the others go on");
    // It was answered and came to its end: no failure of the function.
    assert_eq!(behind.server.status().await["invocations"]["failed"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_catches_ends_it_and_the_answer_stands() {
    let behind = Behind::start().await;
    let source = "module.exports = (req, res) => {
        waitUntil(new Promise(() => {
            setTimeout(() => { throw new TypeError('in the background'); }, 5);
        }));
        waitUntil(fetch(process.env.GATE));
        res.end('fine');
    };";
    behind.deploy("throws", "index.js", source, json!({})).await;
    Answer::of(behind.server.invoke("throws"))
        .await
        .expect(200, "fine");
    behind.server.until_idle().await;
    let messages = behind.messages("throws").await;
    assert!(
        messages[0].starts_with("Uncaught TypeError: in the background"),
        "{messages:?}"
    );
    assert_eq!(behind.server.status().await["invocations"]["failed"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_limit_ends_it_with_a_line_in_the_log() {
    let behind = Behind::start().await;
    let limits = json!({ "wall_ms": 300 });
    let (_, filename, source) = WAYS[0];
    behind.deploy("slow", filename, source, limits).await;
    let answer = Answer::of(behind.server.invoke("slow")).await;
    answer.expect(200, r#"{"status":"processing"}"#);
    behind.gate.abandoned(1).await;
    behind.server.until_idle().await;
    let messages = behind.messages("slow").await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].starts_with("wall_exceeded: "), "{messages:?}");
    assert_eq!(behind.server.status().await["invocations"]["failed"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_subrequests_count_with_the_others() {
    let behind = Behind::start().await;
    let source = "module.exports = async (req, res) => {
        await fetch(process.env.GATE);
        waitUntil((async () => {
            await fetch(process.env.GATE);
            await fetch(process.env.GATE);
        })());
        res.end('now');
    };";
    behind
        .deploy("counts", "index.js", source, json!({ "subrequests": 2 }))
        .await;
    behind.gate.open();
    behind.gate.open();
    Answer::of(behind.server.invoke("counts"))
        .await
        .expect(200, "now");
    behind.server.until_idle().await;
    let messages = behind.messages("counts").await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    let is_refused = messages[0].starts_with("waitUntil: ") && messages[0].contains("subrequests");
    assert!(is_refused, "{messages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_that_never_settles_is_not_waited_for_without_end() {
    let behind = Behind::start().await;
    let source = "module.exports = (req, res) => {
        waitUntil(new Promise(() => {}));
        res.end('now');
    };";
    behind.deploy("never", "index.js", source, json!({})).await;
    Answer::of(behind.server.invoke("never"))
        .await
        .expect(200, "now");
    behind.server.until_idle().await;
    let messages = behind.messages("never").await;
    assert!(
        messages[0].starts_with("waitUntil: the function has stopped"),
        "{messages:?}"
    );
}

/// A client that sends a request and goes away without waiting for the answer.
async fn hang_up_early(server: &Server, name: &str, gate: &Gate, count: usize) {
    use tokio::io::AsyncWriteExt as _;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("GET /invoke/{name} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    gate.arrived(count).await;
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_before_the_answer_does_not_end_promised_work() {
    let behind = Behind::start().await;
    let handler = |promises: &str| {
        format!(
            "module.exports = async (req, res) => {{
                {promises}(fetch(process.env.GATE).then(() => console.log('done')));
                await sleep(600);
                res.end('nobody reads this');
            }};"
        )
    };
    behind
        .deploy("promises", "index.js", &handler("waitUntil"), json!({}))
        .await;
    hang_up_early(&behind.server, "promises", &behind.gate, 1).await;
    // Whoever promised nothing is ended, and its subrequest with it.
    behind
        .deploy("loose", "index.js", &handler("void "), json!({}))
        .await;
    hang_up_early(&behind.server, "loose", &behind.gate, 2).await;
    behind.gate.abandoned(1).await;
    behind.gate.open();
    behind.server.until_idle().await;
    assert_eq!(behind.messages("promises").await, ["done"]);
    assert!(behind.messages("loose").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_during_the_answer_does_not_end_promised_work() {
    let behind = Behind::start().await;
    let express = "module.exports = async (req, res) => {
        waitUntil(fetch(process.env.GATE).then(() => console.log('done')));
        let isOpen = true;
        res.on('close', () => { isOpen = false; });
        while (isOpen) { res.write('tick;'); await sleep(5); }
        console.log('closed', res.write('more'));
    };";
    let web = "export default { fetch(request, env, ctx) {
        ctx.waitUntil(fetch(env.GATE).then(() => console.log('done')));
        return new Response(new ReadableStream({
            async pull(controller) {
                await sleep(5);
                controller.enqueue(new TextEncoder().encode('tick;'));
            },
            cancel() { console.log('closed', false); },
        }));
    } };";
    let ways = [("express", "index.js", express), ("web", "index.mjs", web)];
    for (count, (name, filename, source)) in (1..).zip(ways) {
        behind.deploy(name, filename, source, json!({})).await;
        let mut response = behind.server.invoke(name).send().await.unwrap();
        let first = response.chunk().await.unwrap().unwrap();
        assert!(first.starts_with(b"tick;"));
        behind.gate.arrived(count).await;
        drop(response);
        // Nothing tells when the server has noticed. Whichever comes first, the promised work is
        // done, and the stream ends because nobody takes it.
        behind.gate.open();
        behind.server.until_idle().await;
        let mut messages = behind.messages(name).await;
        messages.sort();
        assert_eq!(messages, ["closed false", "done"], "{name}");
    }
    assert_eq!(behind.server.status().await["invocations"]["failed"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_waits_for_it() {
    let behind = Behind::start().await;
    let (name, filename, source) = WAYS[0];
    behind.deploy(name, filename, source, json!({})).await;
    let answer = Answer::of(behind.server.invoke(name)).await;
    answer.expect(200, r#"{"status":"processing"}"#);
    behind.gate.arrived(1).await;
    let stopping = tokio::spawn(behind.server.stop());
    tokio::task::yield_now().await;
    assert!(!stopping.is_finished());
    behind.gate.open();
    let options = Options {
        data: Some(stopping.await.unwrap()),
        ..Options::default()
    };
    let server = Server::with(options).await;
    assert_eq!(server.log_text(name).await, "let through");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_schedule_is_over_when_its_promised_work_is() {
    let behind = Behind::start().await;
    let (name, filename, source) = WAYS[0];
    behind.deploy(name, filename, source, json!({})).await;
    let path = format!("/api/v1/tenants/default/functions/{name}/schedules/s");
    let wanted = json!({ "cron": "0 0 1 1 *" });
    let put = behind
        .server
        .request(Method::PUT, &path)
        .body(wanted.to_string());
    assert_eq!(Answer::of(put).await.status, 201);
    let run = behind.server.request(Method::POST, &format!("{path}/run"));
    assert_eq!(Answer::of(run).await.status, 202);
    behind.gate.arrived(1).await;
    let show = || async {
        Answer::of(behind.server.request(Method::GET, &path))
            .await
            .json()
    };
    assert_eq!(show().await["last_run"]["state"], "running");
    behind.gate.open();
    let over = async {
        while show().await["last_run"]["state"] != "succeeded" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, over)
        .await
        .expect("the run succeeds");
}
