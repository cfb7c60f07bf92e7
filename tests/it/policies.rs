//! Network policies: what functions may connect to, decided on the address that is dialled.
//!
//! Names resolve to what the test says. The addresses are of the loopback interface, where some
//! stand for public ones and others for private ones.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ampoule::policies::Preset;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::fetch::{Gate, Upstream};
use crate::server::{Answer, Options, Server};
use crate::websocket::Peer;

const CALL: &str = include_str!("../functions/fetch_call.js");
const GLOBAL: &str = "/api/v1/network-policy";
const OF_DEFAULT: &str = "/api/v1/tenants/default/network-policy";

/// What names resolve to. The answers of a name are given in turn, the last one for ever.
#[derive(Clone, Default)]
struct Names {
    answers: Arc<Mutex<HashMap<String, Vec<Vec<IpAddr>>>>>,
    asked: Arc<AtomicUsize>,
}

impl Names {
    fn with(self, name: &str, answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers = answers.iter().map(parse).collect();
        self.answers.lock().unwrap().insert(name.into(), answers);
        self
    }

    /// A server that resolves by these, with the function `call`.
    async fn server(&self) -> Server {
        let names = self.clone();
        let resolver = move |host: &str| {
            names.asked.fetch_add(1, Ordering::SeqCst);
            let mut answers = names.answers.lock().unwrap();
            match answers.get_mut(host) {
                Some(answers) if answers.len() > 1 => answers.remove(0),
                Some(answers) => answers[0].clone(),
                None => Vec::new(),
            }
        };
        let server = Server::with(Options {
            resolver: Some(Arc::new(resolver)),
            ..Options::default()
        })
        .await;
        server.deploy("call", CALL).await;
        server
    }
}

/// A web server whose answers say on which of its connections they came, and that keeps these.
struct Site {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Site {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = TaskTracker::new();
        let serving = tasks.clone().spawn(async move {
            for number in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                tasks.spawn(async move {
                    let mut head = Vec::new();
                    while let Ok(byte) = stream.read_u8().await {
                        head.push(byte);
                        if !head.ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        head.clear();
                        let body = format!("connection {number}");
                        let length = body.len();
                        let answer =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, serving }
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/", self.address.port())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn send(server: &Server, method: Method, path: &str, body: &Value) -> Answer {
    Answer::of(server.request(method, path).body(body.to_string())).await
}

async fn put(server: &Server, path: &str, rules: Value, default: &str) {
    let policy = json!({ "rules": rules, "default": default });
    let answer = send(server, Method::PUT, path, &policy).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn remove(server: &Server, path: &str) {
    let answer = Answer::of(server.request(Method::DELETE, path)).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// What the function `call` says of a subrequest.
async fn call(server: &Server, url: &str) -> Value {
    let request = server
        .post("call")
        .header("content-type", "application/json")
        .body(json!({ "url": url }).to_string());
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn expect_allowed(server: &Server, url: &str) {
    let said = call(server, url).await;
    assert_eq!(said["status"], 200, "{url}: {said}");
}

/// Expects the rejection that tells a refused connection from others; answers its message.
async fn expect_denied(server: &Server, url: &str) -> String {
    let said = call(server, url).await;
    assert_eq!(said["code"], "denied", "{url}: {said}");
    assert_eq!(said["isTypeError"], true, "{url}: {said}");
    said["reason"].as_str().unwrap().to_owned()
}

async fn test(server: &Server, path: &str, question: Value) -> Value {
    let answer = send(server, Method::POST, &format!("{path}/test"), &question).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_26_a_policy_by_domain_lets_these_through_and_no_others() {
    let site = Site::start().await;
    let names = Names::default()
        .with("api.example.test", &[&["127.0.0.1"]])
        .with("a.b.example.test", &[&["127.0.0.1"]])
        .with("example.test", &[&["127.0.0.1"]])
        .with("api.example.test.evil.test", &[&["127.0.0.1"]]);
    let server = names.server().await;
    let rules = json!([{ "action": "allow", "target": "*.Example.TEST." }]);
    put(&server, OF_DEFAULT, rules, "deny").await;
    expect_allowed(&server, &site.url("api.example.test")).await;
    expect_allowed(&server, &site.url("A.B.example.test")).await;
    for host in ["example.test", "api.example.test.evil.test", "127.0.0.1"] {
        let message = expect_denied(&server, &site.url(host)).await;
        assert!(
            message.contains("the default of the tenant's network policy"),
            "{message}"
        );
    }
    let port = site.address.port();
    let line = format!(
        "Network policy blocked connection to example.test:{port} (resolved to 127.0.0.1): \
         the default of the tenant's network policy denies it"
    );
    let lines = server.log_with("call", &line).await;
    let logged = lines
        .iter()
        .find(|logged| logged["message"] == line.as_str());
    assert_eq!(logged.unwrap()["level"], "warn");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_27_a_policy_by_address_holds_for_names_that_resolve_to_it() {
    let site = Site::start().await;
    let names = Names::default()
        .with("public.test", &[&["127.0.0.1"]])
        .with("private.test", &[&["127.0.0.2"]])
        .with(
            "both.test",
            &[&["127.0.0.2", "127.0.0.1", "::ffff:127.0.0.3"]],
        )
        .with("mapped.test", &[&["::ffff:127.0.0.2"]])
        .with("translated.test", &[&["64:ff9b::7f00:2", "2002:7f00:2::1"]]);
    let server = names.server().await;
    let rules = json!([
        { "action": "deny", "target": "127.0.0.2/31", "description": "stands for private" },
        { "action": "allow", "target": "*.test" },
    ]);
    put(&server, GLOBAL, rules, "allow").await;
    expect_allowed(&server, &site.url("public.test")).await;
    // Of several addresses those that are allowed are dialled.
    expect_allowed(&server, &site.url("both.test")).await;
    for host in [
        "private.test",
        "mapped.test",
        "translated.test",
        "127.0.0.2",
        "[::ffff:7f00:3]",
    ] {
        let message = expect_denied(&server, &site.url(host)).await;
        assert!(
            message.contains("rules[0] of the global network policy"),
            "{message}"
        );
        let told = message.replace(host, "");
        assert!(
            !told.contains("127.0"),
            "an address is told to the function: {message}"
        );
    }
    let rules = json!([{ "action": "deny", "target": "127.0.0.1" }]);
    put(&server, OF_DEFAULT, rules, "allow").await;
    // A rule of the global policy that allows comes first, too.
    expect_allowed(&server, &site.url("public.test")).await;
    expect_denied(&server, &site.url("127.0.0.1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_27_addresses_in_odd_forms_are_addresses() {
    let site = Site::start().await;
    let server = Names::default().server().await;
    let hosts = [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "0x7f000001",
        "127.0.0.1.",
        "０x7f.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "0.0.0.0",
        "[::]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
    ];
    expect_allowed(&server, &site.url("0x7f.1")).await;
    let rules = json!([{ "action": "deny", "target": "127.0.0.0/8" }]);
    put(&server, GLOBAL, rules, "allow").await;
    for host in hosts {
        expect_denied(&server, &site.url(host)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_28_a_policy_by_port_and_range_of_ports() {
    let (one, other) = (Site::start().await, Site::start().await);
    let server = Names::default().server().await;
    let port = one.address.port();
    let rules = json!([{ "action": "allow", "target": "*", "ports": [port] }]);
    put(&server, OF_DEFAULT, rules, "deny").await;
    expect_allowed(&server, &one.url("127.0.0.1")).await;
    expect_denied(&server, &other.url("127.0.0.1")).await;
    let range = format!("{port}-{port}");
    let rules = json!([{ "action": "deny", "target": "127.0.0.1", "ports": [1, range] }]);
    put(&server, OF_DEFAULT, rules, "allow").await;
    expect_denied(&server, &one.url("127.0.0.1")).await;
    expect_allowed(&server, &other.url("127.0.0.1")).await;
}

/// Opens a WebSocket, sends `hello`, and tells what comes of it.
const SOCKET: &str = "module.exports = async (req, res) => {
    const said = [];
    const socket = new WebSocket(req.body.url);
    await new Promise((resolve) => {
        socket.onopen = () => socket.send('hello');
        socket.onmessage = async ({ data }) => {
            said.push(data);
            if (!req.body.gate) return socket.close(1000);
            if (said.length > 1) return;
            await fetch(req.body.gate);
            socket.send('again');
        };
        socket.onerror = ({ error, message }) => said.push([error?.code, message]);
        socket.onclose = ({ code }) => { said.push(code); resolve(); };
    });
    res.json(said);
};";

async fn socket(server: &Server, body: &Value) -> Value {
    let request = server
        .post("socket")
        .header("content-type", "application/json")
        .body(body.to_string());
    Answer::of(request).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_29_a_policy_by_protocol_tells_web_sockets_from_requests() {
    let (site, peer) = (Site::start().await, Peer::echo().await);
    let server = Names::default().server().await;
    server.deploy("socket", SOCKET).await;
    let only =
        |protocol: &str| json!([{ "action": "allow", "target": "*", "protocols": [protocol] }]);
    put(&server, GLOBAL, only("ws"), "deny").await;
    expect_denied(&server, &site.url("127.0.0.1")).await;
    let asked = json!({ "url": peer.url() });
    assert_eq!(socket(&server, &asked).await, json!(["hello", 1000]));
    for protocol in ["http", "wss"] {
        put(&server, GLOBAL, only(protocol), "deny").await;
        let said = socket(&server, &asked).await;
        assert_eq!(said[0][0], "denied", "{said}");
        assert_eq!(said[1], 1006, "{said}");
        server
            .log_with("socket", "Network policy blocked connection to 127.0.0.1:")
            .await;
    }
    put(&server, GLOBAL, only("https"), "deny").await;
    expect_denied(&server, &site.url("127.0.0.1")).await;
    // It is dialled, and nobody listens there any more.
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let secure = format!("https://{}/", gone.local_addr().unwrap());
    drop(gone);
    assert_eq!(call(&server, &secure).await["code"], "connect");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_30_a_redirect_is_decided_on_like_any_connection() {
    let names = Names::default()
        .with("public.test", &[&["127.0.0.1"]])
        .with("private.test", &[&["127.0.0.2"]]);
    let server = names.server().await;
    let rules = json!([{ "action": "deny", "target": "127.0.0.2" }]);
    put(&server, GLOBAL, rules, "allow").await;
    let target = Site::start().await;
    for (to, allowed) in [
        (target.url("public.test"), true),
        (target.url("private.test"), false),
        (target.url("127.0.0.2"), false),
        (target.url("[::ffff:127.0.0.2]"), false),
        (target.url("2130706434"), false),
    ] {
        let routes = axum::Router::new().fallback(move || {
            let to = to.clone();
            async move {
                (
                    axum::http::StatusCode::TEMPORARY_REDIRECT,
                    [("location", to)],
                )
            }
        });
        let upstream = Upstream::start(routes).await;
        let url = upstream.url("/").replace("127.0.0.1", "public.test");
        match allowed {
            true => expect_allowed(&server, &url).await,
            false => assert!(expect_denied(&server, &url).await.contains("rules[0]")),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_30_a_name_is_decided_on_at_every_resolution_and_not_resolved_in_between() {
    let closing = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    let upstream = Upstream::saying(closing).await;
    // Public first, private from then on.
    let answers: &[&[&str]] = &[&["127.0.0.1"], &["127.0.0.2"]];
    let names = Names::default().with("rebinding.test", answers);
    let server = names.server().await;
    let rules = json!([{ "action": "deny", "target": "127.0.0.2" }]);
    put(&server, GLOBAL, rules, "allow").await;
    let url = upstream.url("/").replace("127.0.0.1", "rebinding.test");
    expect_allowed(&server, &url).await;
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    expect_denied(&server, &url).await;
    assert_eq!(names.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_30_an_edit_is_in_force_at_once_also_for_connections_that_are_kept() {
    let site = Site::start().await;
    let server = Names::default().server().await;
    let url = site.url("127.0.0.1");
    let body = async || call(&server, &url).await["body"].clone();
    assert_eq!(body().await, "connection 0");
    // The connection is kept: with a policy that allows it, it is used again.
    assert_eq!(body().await, "connection 0");
    for path in [GLOBAL, OF_DEFAULT] {
        put(
            &server,
            path,
            json!([{ "action": "deny", "target": "127.0.0.1" }]),
            "allow",
        )
        .await;
        expect_denied(&server, &url).await;
        put(&server, path, json!([]), "deny").await;
        expect_denied(&server, &url).await;
        remove(&server, path).await;
        expect_allowed(&server, &url).await;
    }
    // Another tenant's policy is no business of this one's.
    let before = body().await;
    put(
        &server,
        "/api/v1/tenants/other/network-policy",
        json!([]),
        "deny",
    )
    .await;
    assert_eq!(body().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_30_an_edit_is_in_force_for_invocations_that_run_already() {
    let (site, peer, gate) = (Site::start().await, Peer::echo().await, Gate::new());
    let routes = axum::Router::new().fallback_service(gate.route());
    let waiting = Upstream::start(routes).await;
    let server = Names::default().server().await;
    server.deploy("socket", SOCKET).await;
    let source = "module.exports = async (req, res) => {
        const said = [];
        for (const url of req.body) {
            await fetch(url).then((answer) => said.push(answer.status), (error) => said.push(error.cause.code));
        }
        res.json(said);
    };";
    server.deploy("three", source).await;
    let url = site.url("127.0.0.1");
    let three = server
        .post("three")
        .header("content-type", "application/json")
        .body(json!([url, waiting.url("/"), url]).to_string());
    let asked = json!({ "url": peer.url(), "gate": waiting.url("/") });
    let edit = async {
        gate.arrived(2).await;
        let ports = [site.address.port(), peer.address().port()];
        put(
            &server,
            GLOBAL,
            json!([{ "action": "deny", "target": "*", "ports": ports }]),
            "allow",
        )
        .await;
        gate.open();
        gate.open();
    };
    let (three, said, ()) = tokio::join!(Answer::of(three), socket(&server, &asked), edit);
    assert_eq!(three.json(), json!([200, 200, "denied"]));
    // The open WebSocket is broken off when the next message would pass.
    assert_eq!(said[0], "hello", "{said}");
    assert_eq!(said[said.as_array().unwrap().len() - 1], 1006, "{said}");
    server
        .log_with("socket", "Network policy blocked connection to 127.0.0.1:")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_31_a_connection_that_a_policy_refuses_can_be_caught_and_the_function_goes_on() {
    let site = Site::start().await;
    let server = Names::default().server().await;
    put(&server, GLOBAL, json!([]), "deny").await;
    let source = "const http = require('http');
    module.exports = async (req, res) => {
        const { url } = req.body;
        const said = [];
        try { await fetch(url); } catch (error) { said.push(error.name, error.cause.code); }
        await new Promise((resolve) => http.get(url, resolve).on('error', (error) => {
            said.push(error.code, error.cause.code);
            resolve();
        }));
        await kv.set('goes', 'on');
        res.json([...said, await kv.get('goes')]);
    };";
    server.deploy("f", source).await;
    for _ in 0..2 {
        let request = server
            .post("f")
            .header("content-type", "application/json")
            .body(json!({ "url": site.url("127.0.0.1") }).to_string());
        let said = Answer::of(request).await.json();
        assert_eq!(
            said,
            json!(["TypeError", "denied", "EACCES", "denied", "on"])
        );
    }
    let log = server.log_text("f").await;
    assert_eq!(log.matches("Network policy blocked").count(), 4, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_policy_opens_the_way_to_the_service_itself() {
    let server = Names::default()
        .with("self.test", &[&["127.0.0.1"]])
        .server()
        .await;
    let all = json!([{ "action": "allow", "target": "*" }]);
    put(&server, GLOBAL, all.clone(), "allow").await;
    put(&server, OF_DEFAULT, all, "allow").await;
    let port = server.address.port();
    for host in ["127.0.0.1", "self.test", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        let url = format!("http://{host}:{port}/healthz");
        let message = expect_denied(&server, &url).await;
        assert!(message.contains("this service itself"), "{message}");
        let answer = test(&server, OF_DEFAULT, json!({ "url": url })).await;
        assert_eq!(
            (&answer["allowed"], &answer["policy"]),
            (&json!(false), &json!("service"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_server_may_begin_with_public_addresses_only() {
    let site = Site::start().await;
    let options = Options {
        network_policy: Preset::PublicOnly,
        ..Options::default()
    };
    let server = Server::with(options.clone()).await;
    server.deploy("call", CALL).await;
    expect_denied(&server, &site.url("127.0.0.1")).await;
    expect_denied(&server, "http://169.254.169.254/latest/meta-data/").await;
    let shown = Answer::of(server.request(Method::GET, GLOBAL)).await.json();
    let targets: Vec<_> = shown["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["target"])
        .collect();
    assert!(targets.contains(&&json!("169.254.0.0/16")), "{shown}");
    // What is stored replaces it, and is there after a restart.
    put(&server, GLOBAL, json!([]), "allow").await;
    expect_allowed(&server, &site.url("127.0.0.1")).await;
    put(
        &server,
        OF_DEFAULT,
        json!([{ "action": "deny", "target": "127.0.0.1" }]),
        "allow",
    )
    .await;
    let data = server.stop().await;
    let server = Server::with(Options {
        data: Some(data),
        ..options
    })
    .await;
    let message = expect_denied(&server, &site.url("127.0.0.1")).await;
    assert!(message.contains("rules[0] of the tenant's"), "{message}");
    remove(&server, OF_DEFAULT).await;
    expect_allowed(&server, &site.url("127.0.0.1")).await;
    remove(&server, GLOBAL).await;
    expect_denied(&server, &site.url("127.0.0.1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_names_the_rule_for_every_address() {
    let names = Names::default().with("both.test", &[&["127.0.0.2", "127.0.0.1", "127.0.0.3"]]);
    let server = names.server().await;
    let rules = json!([
        { "action": "allow", "target": "other.test" },
        { "action": "deny", "target": "127.0.0.2", "description": "why" },
    ]);
    put(&server, GLOBAL, rules, "allow").await;
    put(
        &server,
        OF_DEFAULT,
        json!([{ "action": "allow", "target": "127.0.0.1", "ports": [443] }]),
        "deny",
    )
    .await;
    let answer = test(
        &server,
        OF_DEFAULT,
        json!({ "url": "https://both.test/a?b" }),
    )
    .await;
    assert_eq!(
        (&answer["host"], &answer["port"]),
        (&json!("both.test"), &json!(443))
    );
    assert_eq!(
        (&answer["allowed"], &answer["protocol"]),
        (&json!(true), &json!("https"))
    );
    assert_eq!(
        (&answer["policy"], &answer["rule_index"]),
        (&json!("tenant"), &json!(0))
    );
    let addresses = &answer["addresses"];
    assert_eq!(addresses[0]["policy"], "global");
    assert_eq!(addresses[0]["rule"]["description"], "why");
    assert_eq!(addresses[0]["allowed"], false);
    assert_eq!(
        (&addresses[1]["policy"], &addresses[1]["allowed"]),
        (&json!("tenant"), &json!(true))
    );
    assert_eq!(
        (&addresses[2]["policy"], &addresses[2]["rule"]),
        (&json!("default"), &json!(null))
    );
    // Without the tenant its policy is not asked; with an address nothing is resolved.
    let asked = names.asked.load(Ordering::SeqCst);
    let question =
        json!({ "host": "Other.TEST", "port": 8080, "protocol": "ws", "address": "127.0.0.2" });
    let answer = test(&server, GLOBAL, question).await;
    assert_eq!(
        (&answer["policy"], &answer["rule_index"]),
        (&json!("global"), &json!(0))
    );
    assert_eq!(names.asked.load(Ordering::SeqCst), asked);
    let answer = test(&server, GLOBAL, json!({ "host": "::ffff:127.0.0.2" })).await;
    assert_eq!(
        (&answer["rule_index"], &answer["allowed"]),
        (&json!(1), &json!(false))
    );
    let answer = test(&server, GLOBAL, json!({ "url": "http://nowhere.test/" })).await;
    assert_eq!(
        (&answer["allowed"], &answer["addresses"]),
        (&json!(false), &json!([]))
    );
    assert!(
        answer["reason"]
            .as_str()
            .unwrap()
            .contains("cannot be resolved"),
        "{answer}"
    );
    for wrong in [
        json!({}),
        json!({ "url": "http://a.test/", "host": "a.test" }),
        json!({ "url": "ftp://a.test/" }),
        json!({ "url": "http://user:word@a.test/" }),
        json!({ "url": "a.test" }),
        json!({ "host": "a.test/b" }),
        json!({ "host": "a.test", "port": 70000 }),
        json!({ "host": "a.test", "address": "x" }),
        json!({ "host": "a.test", "more": 1 }),
        json!(["http://a.test/"]),
    ] {
        let answer = send(&server, Method::POST, &format!("{GLOBAL}/test"), &wrong).await;
        answer.expect_problem(400, "bad_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_policy_is_refused_and_changes_nothing() {
    let server = Server::start().await;
    let good =
        json!({ "rules": [{ "action": "deny", "target": "10.0.0.0/8" }], "default": "allow" });
    let first = send(&server, Method::PUT, OF_DEFAULT, &good).await;
    let tag = first.header("etag").unwrap().to_owned();
    for (wrong, told) in [
        (
            json!({ "rules": [good["rules"][0], { "action": "deny" }], "default": "allow" }),
            "rules[1].target",
        ),
        (json!({ "rules": [] }), "default"),
        (
            json!({ "rules": [{ "action": "deny", "target": "a", "ttl": 1 }], "default": "deny" }),
            "rules[0]",
        ),
        (json!("public-only"), "object"),
    ] {
        let answer = send(&server, Method::PUT, OF_DEFAULT, &wrong).await;
        let answer = answer.expect_problem(400, "policy_invalid");
        assert!(answer.text().contains(told), "{}", answer.text());
    }
    let rules = vec![json!({ "action": "deny", "target": "*" }); 257];
    let many = json!({ "rules": rules, "default": "allow" });
    let answer = send(&server, Method::PUT, OF_DEFAULT, &many).await;
    answer.expect_problem(400, "policy_invalid");
    let large = json!("x".repeat(300 << 10));
    let answer = send(&server, Method::PUT, OF_DEFAULT, &large).await;
    answer.expect_problem(413, "body_too_large");
    let shown = Answer::of(server.request(Method::GET, OF_DEFAULT)).await;
    assert_eq!(shown.header("etag"), Some(tag.as_str()));
    let mut expected = good;
    expected["rules"][0]["priority"] = json!(0);
    assert_eq!(shown.json(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_overwrites_a_policy_that_they_have_not_seen() {
    let server = Server::start().await;
    let put_if = async |tag: &str, default: &str| {
        let policy = json!({ "rules": [], "default": default });
        let request = server.request(Method::PUT, GLOBAL).header("if-match", tag);
        Answer::of(request.body(policy.to_string())).await
    };
    let shown = Answer::of(server.request(Method::GET, GLOBAL)).await;
    let preset = shown.header("etag").unwrap().to_owned();
    // Nothing is stored yet; what is in force has a tag all the same.
    put_if("*", "deny")
        .await
        .expect_problem(412, "precondition_failed");
    let stored = put_if(&preset, "deny").await;
    assert_eq!(stored.status, 200);
    put_if(&preset, "allow")
        .await
        .expect_problem(412, "precondition_failed");
    put_if("nonsense", "allow")
        .await
        .expect_problem(400, "bad_request");
    let tag = stored.header("etag").unwrap();
    let delete = |tag: &str| {
        server
            .request(Method::DELETE, GLOBAL)
            .header("if-match", tag)
    };
    Answer::of(delete(&preset))
        .await
        .expect_problem(412, "precondition_failed");
    assert_eq!(
        put_if(&format!("\"other\", {tag}"), "deny").await.status,
        200
    );
    assert_eq!(Answer::of(delete(tag)).await.status, 204);
    // Weak tags match nothing here, and whoever wants to be the first may say so.
    let weak = format!("W/{preset}");
    put_if(&weak, "deny")
        .await
        .expect_problem(412, "precondition_failed");
    let policy = json!({ "rules": [], "default": "deny" }).to_string();
    for status in [200, 412] {
        let request = server.request(Method::PUT, GLOBAL);
        let request = request.header("if-none-match", "*").body(policy.clone());
        assert_eq!(Answer::of(request).await.status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policies_are_in_the_openapi_document() {
    let server = Server::start().await;
    let document = Answer::of(server.request(Method::GET, "/api/v1/openapi.json"))
        .await
        .json();
    for path in ["/network-policy", "/tenants/{tenant}/network-policy"] {
        for method in ["get", "put", "delete"] {
            assert!(
                document["paths"][path][method].is_object(),
                "{method} {path}"
            );
        }
        assert!(
            document["paths"][format!("{path}/test")]["post"].is_object(),
            "{path}"
        );
    }
    let rule = &document["components"]["schemas"]["NetworkRule"];
    assert_eq!(rule["required"], json!(["action", "target"]), "{rule}");
}
