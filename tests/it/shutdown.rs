//! Draining: what a server that was told to stop still finishes, what it refuses, and what it
//! does not wait for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ampoule::app::App;
use ampoule::config::{Config, RawConfig, WorkspaceConfig};
use ampoule::limits::STORE_CACHE_MIB;
use ampoule::policies::Preset;
use ampoule::server::{HttpSettings, run};
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::process::Gate;
use crate::server::{Answer, Options, PATIENCE, Server, cache};

/// Writes a first part, asks the upstream, and ends with what that says.
const STREAMS: &str = "module.exports = async (req, res) => {
    res.write('first ');
    const answer = await fetch(req.query.gate);
    const text = await answer.text();
    await kv.set('last', text);
    console.log(`ended with ${text}`);
    res.end(text);
};";

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_server_is_healthy_but_not_ready_and_refuses_invocations() {
    let server = Server::start().await;
    server.deploy("streams", STREAMS).await;
    let ready = Answer::of(server.request(Method::GET, "/readyz")).await;
    ready.expect(200, "ok");
    server.app.start_draining();
    let ready = Answer::of(server.request(Method::GET, "/readyz")).await;
    let ready = ready.expect_problem(503, "shutting_down");
    assert!(ready.header("retry-after").is_some());
    let healthy = Answer::of(server.request(Method::GET, "/healthz")).await;
    healthy.expect(200, "ok");
    let refused = Answer::of(server.invoke("streams")).await;
    let refused = refused.expect_problem(503, "shutting_down");
    assert!(refused.header("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_answer_in_progress_is_finished_and_everything_is_stored() {
    let (server, gate) = (Server::start().await, Gate::new().await);
    server.deploy("streams", STREAMS).await;
    let request = server.invoke(&format!("streams?gate={}", gate.url()));
    let mut body = request.send().await.unwrap().bytes_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), "first ");
    let held = gate.arrival().await;
    let stopped = tokio::spawn(server.stop());
    // The answer comes while the server is stopping: it does not stop before.
    tokio::task::yield_now().await;
    assert!(!stopped.is_finished());
    held.release("last").await;
    assert_eq!(body.next().await.unwrap().unwrap(), "last");
    assert!(body.next().await.is_none());
    let data = stopped.await.unwrap();
    let server = Server::with(Options {
        data: Some(data),
        ..Options::default()
    })
    .await;
    assert!(server.log_text("streams").await.contains("ended with last"));
    let reads = "module.exports = async (req, res) => res.send(await kv.get('last'));";
    server.deploy("reads", reads).await;
    Answer::of(server.invoke("reads")).await.expect(200, "last");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_log_lines_is_no_reason_to_stay() {
    let server = Server::start().await;
    server.deploy("streams", STREAMS).await;
    let path = "/api/v1/tenants/default/functions/streams/logs?after=0&wait_ms=30000";
    let waiting = [(); 2].map(|()| tokio::spawn(server.request(Method::GET, path).send()));
    for _ in 0..20 {
        // Nothing tells that a request waits: by the time these are answered, both have come.
        let healthy = Answer::of(server.request(Method::GET, "/healthz")).await;
        healthy.expect(200, "ok");
        assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    }
    let asked = Instant::now();
    server.stop().await;
    for waiting in waiting {
        let answer = waiting.await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        let page: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(page["lines"], json!([]));
    }
    assert!(asked.elapsed() < Duration::from_secs(8), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_idle_are_no_reason_to_stay() {
    let server = Server::start().await;
    let mut silent = Vec::new();
    for _ in 0..5 {
        // Not a byte on these.
        silent.push(
            tokio::net::TcpStream::connect(server.address)
                .await
                .unwrap(),
        );
    }
    // Kept alive.
    let ready = Answer::of(server.request(Method::GET, "/readyz")).await;
    ready.expect(200, "ok");
    let asked = Instant::now();
    server.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(8), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_finish_in_time_is_cut_off() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::new().await);
    let config = Config::new(RawConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: folder.path().to_owned(),
        cache: Some(cache()),
        key: None,
        master_key: None,
        trust_proxy: false,
        max_concurrent: 10,
        max_concurrent_per_tenant: 10,
        store_cache_mib: STORE_CACHE_MIB,
        api_listen: None,
        network_policy: Preset::AllowAll,
        workspaces: WorkspaceConfig::default(),
    })
    .unwrap();
    // One that starts before, so that compiled code is there.
    Server::start().await.stop().await;
    let listener = tokio::net::TcpListener::bind(config.listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = App::open(&config, vec![address]).await.unwrap();
    let settings = HttpSettings {
        drain: Duration::from_millis(300),
        ..HttpSettings::default()
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(run(listener, Arc::clone(&app), settings, async {
        let _ = stopped.await;
    }));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let path = "api/v1/tenants/default/functions/streams";
    let request = client.put(format!("http://{address}/{path}"));
    let request = request.header("content-type", "application/javascript");
    let deployed = Answer::of(request.body(STREAMS)).await;
    assert_eq!(deployed.status, 201, "{}", deployed.text());
    let url = format!("http://{address}/invoke/streams?gate={}", gate.url());
    let mut body = client.get(url).send().await.unwrap().bytes_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), "first ");
    let held = gate.arrival().await;
    stop.send(()).unwrap();
    let ended = timeout(PATIENCE, serving).await.expect("it ends");
    ended.unwrap().unwrap();
    // The client sees that the answer is not whole, and the subrequest has ended too.
    assert!(body.next().await.unwrap().is_err());
    held.gone().await;
    assert_eq!(app.dispatch.counts().running, 0);
}
