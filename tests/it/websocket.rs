//! `WebSocket` and `ws` as functions see them, against real servers on loopback.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use tokio_util::task::TaskTracker;

use crate::server::{Answer, PATIENCE, Server};

/// Largest message, in bytes.
const MESSAGE_MAX: usize = 1 << 20;

type Connection = WebSocketStream<TcpStream>;
type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A server that functions connect to; it ends with the test. What it says is for the test.
pub(crate) struct Peer {
    address: SocketAddr,
    heard: mpsc::Receiver<String>,
    serving: JoinHandle<()>,
}

type Tell = mpsc::Sender<String>;

impl Peer {
    /// Hands every TCP connection to `serve`.
    async fn raw(serve: impl Fn(TcpStream, Tell) -> Served + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heard) = mpsc::channel(64);
        let tasks = TaskTracker::new();
        let serving = tasks.clone().spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tasks.spawn(serve(stream, tell.clone()));
            }
        });
        Self {
            address,
            heard,
            serving,
        }
    }

    /// Hands every WebSocket to `serve`. It chooses the subprotocol `second` if that is offered.
    async fn start<F, S>(serve: F) -> Self
    where
        F: Fn(Connection, Tell) -> S + Send + Sync + Clone + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        Self::raw(move |stream, tell| {
            let serve = serve.clone();
            Box::pin(async move {
                let connection = accept_hdr_async(stream, choose).await.unwrap();
                serve(connection, tell).await;
            })
        })
        .await
    }

    /// Sends back what it gets; tells how the connection ended.
    pub(crate) async fn echo() -> Self {
        Self::start(|mut connection, tell| async move {
            loop {
                let message = connection.next().await;
                match message {
                    Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                        connection.send(message).await.unwrap();
                    }
                    Some(Ok(Message::Close(frame))) => {
                        let _ = connection.flush().await;
                        return tell.send(closing(frame)).await.unwrap();
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return tell.send("broken off".into()).await.unwrap(),
                }
            }
        })
        .await
    }

    /// Sends these bytes once the handshake is done, and tells what closing frame it gets.
    async fn sending(bytes: Vec<u8>) -> Self {
        Self::start(move |mut connection, tell| {
            let bytes = bytes.clone();
            async move {
                let _ = connection.get_mut().write_all(&bytes).await;
                let end = loop {
                    match connection.next().await {
                        Some(Ok(Message::Close(frame))) => break closing(frame),
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => break "broken off".to_owned(),
                    }
                };
                let _ = connection.flush().await;
                tell.send(end).await.unwrap();
            }
        })
        .await
    }

    /// Answers the handshake with these bytes.
    async fn answering(answer: &'static str) -> Self {
        Self::raw(move |mut stream, _| {
            Box::pin(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            })
        })
        .await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/chat?room=1", self.address)
    }

    async fn hears(&mut self) -> String {
        let heard = tokio::time::timeout(PATIENCE, self.heard.recv()).await;
        heard.expect("the peer hears something").unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[allow(clippy::result_large_err, reason = "the library's type")]
fn choose(
    request: &Request,
    mut response: Response,
) -> Result<Response, tungstenite::handshake::server::ErrorResponse> {
    let name = "sec-websocket-protocol";
    if let Some(offered) = request.headers().get(name)
        && offered.to_str().unwrap().contains("second")
    {
        let chosen = "second".parse().unwrap();
        response.headers_mut().insert(name, chosen);
    }
    Ok(response)
}

fn closing(frame: Option<CloseFrame>) -> String {
    frame.map_or_else(
        || "no code".to_owned(),
        |frame| format!("{} {}", u16::from(frame.code), frame.reason),
    )
}

/// What every function here begins with: `talk(ws)` notes events, `end` is when it is closed.
const PRELUDE: &str = "
const talk = (ws, log) => {
    ws.addEventListener('open', () => log.push('open'));
    ws.addEventListener('error', (e) => log.push(['error', e.error.code, e.message]));
    ws.addEventListener('close', (e) => log.push(['close', e.code, e.reason, e.wasClean]));
    return new Promise((end) => ws.addEventListener('close', end));
};
const { URL_OF_PEER: url } = process.env;
";

/// Deploys the body of an async handler, with the peer's address in `url`.
async fn deploy(server: &Server, url: &str, body: &str, settings: Value) {
    let source =
        format!("{PRELUDE}module.exports = async (req, res) => {{ const log = []; {body} }};");
    let mut settings = settings;
    settings["env"] = json!({ "URL_OF_PEER": url });
    server.deploy_with("f", &source, settings).await;
}

/// What such a handler answers with.
async fn run(url: &str, body: &str) -> Value {
    let server = Server::start().await;
    deploy(&server, url, body, json!({})).await;
    let answer = Answer::of(server.invoke("f")).await;
    let log = server.log_text("f").await;
    assert_eq!(answer.status, 200, "{} {log}", answer.text());
    answer.json()
}

/// The events of a socket that is only opened.
async fn events(url: &str) -> Value {
    run(url, "await talk(new WebSocket(url), log); res.json(log);").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_comes_back_from_an_echo_server() {
    let mut peer = Peer::echo().await;
    let body = "const ws = new WebSocket(url);
        const before = ws.readyState;
        ws.onopen = () => ws.send('hello ☃');
        ws.onmessage = (event) => {
            res.json([before, event.data, ws.readyState, ws.url === url, event.origin.slice(0, 5)]);
            ws.close(3001, 'thank you');
        };
        await talk(ws, log);";
    let said = run(&peer.url(), body).await;
    assert_eq!(said, json!([0, "hello ☃", 1, true, "ws://"]));
    assert_eq!(peer.hears().await, "3001 thank you");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_53_a_client_connection_is_created() {
    let peer = Peer::echo().await;
    let server = Server::start().await;
    let source = include_str!("../samples/S0-53-54/function.js");
    server.deploy("f", source).await;
    let request = server.invoke("f").query(&[("url", peer.url())]);
    Answer::of(request).await.expect(200, "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_and_text_of_every_size_come_back_as_they_were() {
    let peer = Peer::echo().await;
    let body = "const ws = new WebSocket(url);
        ws.binaryType = 'arraybuffer';
        await new Promise((open) => { ws.onopen = open; });
        const back = () => new Promise((got) => { ws.onmessage = (e) => got(e.data); });
        for (const size of [0, 1, 125, 126, 65535, 65536, 1048576]) {
            const bytes = new Uint8Array(size).map((_, i) => i * 7 + size);
            ws.send(bytes);
            const got = new Uint8Array(await back());
            if (Buffer.compare(got, bytes) !== 0) throw new Error('bytes ' + size);
            ws.send('a'.repeat(size));
            if (await back() !== 'a'.repeat(size)) throw new Error('text ' + size);
        }
        ws.send('\\0é☃😀\\ud800');
        const odd = await back();
        ws.binaryType = 'blob';
        ws.send(new Blob(['x', new Uint8Array([255])]));
        const blob = await back();
        res.json([odd, blob instanceof Blob, [...await blob.bytes()], ws.bufferedAmount]);";
    let said = run(&peer.url(), body).await;
    assert_eq!(said, json!(["\0é☃😀\u{fffd}", true, [120, 255], 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_arrive_in_order_however_slow_the_server_reads() {
    let peer = Peer::start(|mut connection, _| async move {
        let mut bytes = 0;
        let mut order = Vec::new();
        while let Some(Ok(message)) = connection.next().await {
            match message {
                Message::Binary(data) => {
                    order.push(data[0]);
                    bytes += data.len();
                }
                Message::Text(_) => {
                    let sorted = order.is_sorted();
                    let count = order.len();
                    let told = format!("{count} {bytes} {sorted}");
                    connection.send(Message::text(told)).await.unwrap();
                }
                _ => {}
            }
        }
    })
    .await;
    let body = "const ws = new WebSocket(url);
        await new Promise((open) => { ws.onopen = open; });
        const bytes = new Uint8Array(1 << 20);
        for (let i = 0; i < 12; i++) { bytes[0] = i; ws.send(bytes); }
        ws.send('how many?');
        const waiting = ws.bufferedAmount;
        const { data } = await new Promise((got) => { ws.onmessage = got; });
        res.json([waiting > 0, data, ws.bufferedAmount]);";
    let said = run(&peer.url(), body).await;
    assert_eq!(said, json!([true, "12 12582912 true", 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_chooses_one_of_the_subprotocols() {
    let peer = Peer::echo().await;
    let body = "const a = new WebSocket(url, ['first', 'second']);
        await new Promise((open) => { a.onopen = open; });
        const b = new WebSocket(url);
        await new Promise((open) => { b.onopen = open; });
        const c = new WebSocket(url, 'third');
        await talk(c, log);
        res.json([a.protocol, b.protocol, log]);";
    let said = run(&peer.url(), body).await;
    let message = "the server's answer is not usable: it does not choose one of the subprotocols";
    let failed = json!([["error", "protocol", message], ["close", 1006, "", false]]);
    assert_eq!(said, json!(["second", "", failed]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_says_why() {
    for (frame, code, reason) in [
        (Some((4001, "enough")), 4001, "enough"),
        (Some((1001, "")), 1001, ""),
        (None, 1005, ""),
    ] {
        let peer = Peer::start(move |mut connection, tell| async move {
            let frame = frame.map(|(code, reason)| CloseFrame {
                code: CloseCode::from(code),
                reason: reason.into(),
            });
            connection.send(Message::text("last")).await.unwrap();
            connection.close(frame).await.unwrap();
            // Our answer completes the handshake.
            let clean = matches!(connection.next().await, Some(Ok(Message::Close(_))));
            tell.send(clean.to_string()).await.unwrap();
        })
        .await;
        let mut peer = peer;
        let body = "const ws = new WebSocket(url);
            ws.onmessage = (e) => log.push(e.data);
            await talk(ws, log);
            ws.send('unheard');
            res.json([log, ws.readyState, ws.bufferedAmount]);";
        let said = run(&peer.url(), body).await;
        let log = json!(["open", "last", ["close", code, reason, true]]);
        assert_eq!(said, json!([log, 3, 7]));
        assert_eq!(peer.hears().await, "true");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_closes_tells_the_server_why() {
    for (call, told, code) in [
        ("ws.close()", "no code", json!([1005, ""])),
        ("ws.close(1000)", "1000 ", json!([1000, ""])),
        ("ws.close(4999, 'é')", "4999 é", json!([4999, "é"])),
    ] {
        let mut peer = Peer::echo().await;
        let body = format!(
            "const ws = new WebSocket(url); ws.onopen = () => {{ {call}; }};
            await talk(ws, log); const [, code, reason, clean] = log[1];
            res.json([code, reason, clean]);"
        );
        let said = run(&peer.url(), &body).await;
        assert_eq!(peer.hears().await, told);
        // The peer's library answers with a frame of its own; a clean end is what counts.
        assert_eq!(said[2], true, "{said}");
        assert!(said[0] == code[0] || said[0] == 1000, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_become_a_connection_is_an_error_and_1006() {
    let closed = json!(["close", 1006, "", false]);
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("ws://{}/", gone.local_addr().unwrap());
    drop(gone);
    let message = "cannot connect to 127.0.0.1: the connection was refused";
    let refused = json!([["error", "connect", message], closed]);
    assert_eq!(events(&url).await, refused);
    for (answer, code, message) in [
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "upgrade",
            "Unexpected server response: 404",
        ),
        (
            "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
            "upgrade",
            "Unexpected server response: 302",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "upgrade",
            "Unexpected server response: 200",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
            sec-websocket-accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
            "protocol",
            "the server's answer is not usable: it is not a WebSocket handshake",
        ),
        (
            "SSH-2.0-nonsense\r\n\r\n",
            "protocol",
            "the server's answer is not usable: it is not a WebSocket handshake",
        ),
        (
            "",
            "protocol",
            "the server's answer is not usable: the connection broke off before the answer",
        ),
    ] {
        let peer = Peer::answering(answer).await;
        let expected = json!([["error", code, message], closed]);
        assert_eq!(events(&peer.url()).await, expected, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_off_ends_with_1006() {
    let peer = Peer::start(|connection, _| async move { drop(connection) }).await;
    let expected = json!(["open", ["close", 1006, "", false]]);
    assert_eq!(events(&peer.url()).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stalls_costs_no_more_than_the_time_limit() {
    let silent = Peer::raw(|stream, _| {
        Box::pin(async move {
            let _stream = stream;
            std::future::pending::<()>().await;
        })
    })
    .await;
    let mute = Peer::start(|connection, _| async move {
        let _connection = connection;
        std::future::pending::<()>().await;
    })
    .await;
    for peer in [silent, mute] {
        let server = Server::start().await;
        let body = "await talk(new WebSocket(url), log);";
        let limits = json!({ "limits": { "wall_ms": 300 } });
        deploy(&server, &peer.url(), body, limits).await;
        let answer = Answer::of(server.invoke("f")).await;
        answer.expect_problem(504, "wall_exceeded");
        server.until_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_breaks_the_protocol_is_told_so() {
    let masked = [0x81, 0x81, 1, 2, 3, 4, b'x' ^ 1].to_vec();
    let not_utf8 = [0x81, 0x01, 0xff].to_vec();
    let reserved = [0xf1, 0x00].to_vec();
    for (bytes, told) in [(masked, "1002"), (not_utf8, "1007"), (reserved, "1002")] {
        let mut peer = Peer::sending(bytes).await;
        let said = events(&peer.url()).await;
        assert_eq!(said[1][1], "protocol", "{said}");
        assert_eq!(said[2], json!(["close", 1006, "", false]));
        assert!(peer.hears().await.starts_with(told));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_have_a_largest_size_either_way() {
    // The size is stated in a frame's head; nothing has to follow.
    let mut stated = vec![0x82, 127];
    stated.extend((1_u64 << 40).to_be_bytes());
    let mut one_more = vec![0x82, 127];
    one_more.extend((MESSAGE_MAX as u64 + 1).to_be_bytes());
    one_more.extend(vec![0; MESSAGE_MAX + 1]);
    // Two frames that are too large together.
    let mut parts = vec![0x02, 127];
    parts.extend((MESSAGE_MAX as u64).to_be_bytes());
    parts.extend(vec![0; MESSAGE_MAX]);
    parts.extend([0x80, 1, 0]);
    for bytes in [stated, one_more, parts] {
        let mut peer = Peer::sending(bytes).await;
        let said = events(&peer.url()).await;
        assert_eq!(said[1][1], "message_too_large", "{said}");
        assert_eq!(said[2], json!(["close", 1006, "", false]));
        let told = peer.hears().await;
        assert!(told.starts_with("1009") || told == "broken off", "{told}");
    }
    let peer = Peer::echo().await;
    let body = "const ws = new WebSocket(url);
        await new Promise((open) => { ws.onopen = open; });
        for (const data of [new Uint8Array(1048577), 'é'.repeat(524289)]) {
            try { ws.send(data); } catch (e) { log.push([e.name, e.code, ws.readyState]); }
        }
        ws.send('still open');
        const { data } = await new Promise((got) => { ws.onmessage = got; });
        res.json([log, data]);";
    let refused = json!(["RangeError", "message_too_large", 1]);
    let said = run(&peer.url(), body).await;
    assert_eq!(said, json!([[refused, refused], "still open"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_has_sixteen_sockets_open_at_most() {
    let peer = Peer::echo().await;
    let body = "const open = () => new Promise((settle) => {
            const ws = new WebSocket(url);
            ws.onopen = () => settle(ws);
            ws.onerror = (e) => settle(e.error.code);
        });
        const all = await Promise.all(Array.from({ length: 17 }, open));
        const codes = all.filter((ws) => typeof ws === 'string');
        const first = all.find((ws) => typeof ws !== 'string');
        first.close();
        await new Promise((end) => { first.onclose = end; });
        const another = await open();
        const onceMore = await open();
        res.json([codes, another.readyState, onceMore]);";
    let said = run(&peer.url(), body).await;
    assert_eq!(said, json!([["sockets_exceeded"], 1, "sockets_exceeded"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_count_as_subrequests() {
    let peer = Peer::echo().await;
    let server = Server::start().await;
    let body = "for (let i = 0; i < 3; i++) {
            const ws = new WebSocket(url);
            ws.onopen = () => ws.close();
            await talk(ws, log);
        }
        res.json(log.filter(([kind]) => kind === 'error').map(([, code]) => code));";
    let limits = json!({ "limits": { "subrequests": 2 } });
    deploy(&server, &peer.url(), body, limits).await;
    let answer = Answer::of(server.invoke("f")).await;
    answer.expect(200, r#"["subrequests_exceeded"]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_itself_is_out_of_reach() {
    let server = Server::start().await;
    let port = server.address.port();
    for url in [
        format!("ws://127.0.0.1:{port}/"),
        format!("wss://127.0.0.1:{port}/"),
        format!("ws://0.0.0.0:{port}/"),
        format!("ws://[::ffff:127.0.0.1]:{port}/"),
    ] {
        let body = "await talk(new WebSocket(url), log); res.json(log);";
        deploy(&server, &url, body, json!({})).await;
        let said = Answer::of(server.invoke("f")).await.json();
        assert_eq!(said[0][1], "denied", "{url}: {said}");
        assert_eq!(said[1], json!(["close", 1006, "", false]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_socket_is_closed_when_the_invocation_ends() {
    let open = "const ws = new WebSocket(url);
        await new Promise((open) => { ws.onopen = open; });";
    for (rest, status) in [
        ("res.send('done');", 200),
        ("throw new Error('mine');", 500),
        ("await new Promise(() => {});", 504),
    ] {
        let mut peer = Peer::echo().await;
        let server = Server::start().await;
        let limits = json!({ "limits": { "wall_ms": 2000 } });
        deploy(&server, &peer.url(), &format!("{open}{rest}"), limits).await;
        let answer = Answer::of(server.invoke("f")).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(peer.hears().await, "1001 ", "{rest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_the_invocation_ends_arrives() {
    let mut peer = Peer::start(|mut connection, tell| async move {
        let mut heard = Vec::new();
        while let Some(Ok(Message::Text(text))) = connection.next().await {
            heard.push(text.to_string());
        }
        tell.send(heard.join(",")).await.unwrap();
    })
    .await;
    let body = "const ws = new WebSocket(url);
        await new Promise((open) => { ws.onopen = open; });
        ws.send('a'); ws.send('b'); ws.send('c');
        res.json('done');";
    run(&peer.url(), body).await;
    assert_eq!(peer.hears().await, "a,b,c");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_at_the_top_level_makes_a_deployment_per_request() {
    let peer = Peer::echo().await;
    let server = Server::start().await;
    let source = "const ws = new WebSocket(process.env.URL_OF_PEER);
        module.exports = (req, res) => {
            ws.onopen = () => ws.send('x');
            ws.onmessage = (e) => res.send(e.data);
        };";
    let settings = json!({ "env": { "URL_OF_PEER": peer.url() } });
    let deployed = server.deploy_with("f", source, settings).await;
    assert_eq!(deployed["evaluation"], "per_request", "{deployed}");
    let reason = deployed["evaluation_reason"].as_str().unwrap();
    assert!(reason.contains("new WebSocket()"), "{reason}");
    Answer::of(server.invoke("f")).await.expect(200, "x");
    // Its mere name does not.
    let source = "class Mine extends WebSocket {}
        module.exports = (req, res) => res.send(Mine.name + WebSocket.CLOSED);";
    let deployed = server.deploy("g", source).await;
    assert_eq!(deployed["evaluation"], "snapshot", "{deployed}");
    Answer::of(server.invoke("g")).await.expect(200, "Mine3");
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_answered_while_the_function_waits() {
    let mut peer = Peer::start(|mut connection, tell| async move {
        connection
            .send(Message::Ping("are you there".into()))
            .await
            .unwrap();
        let Some(Ok(Message::Pong(data))) = connection.next().await else {
            panic!("no pong");
        };
        tell.send(String::from_utf8(data.to_vec()).unwrap())
            .await
            .unwrap();
        let _ = connection.close(None).await;
        while let Some(Ok(_)) = connection.next().await {}
    })
    .await;
    let said = events(&peer.url()).await;
    assert_eq!(said, json!(["open", ["close", 1005, "", true]]));
    assert_eq!(peer.hears().await, "are you there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_ws_works_where_the_package_is_not_brought_along() {
    let mut peer = Peer::echo().await;
    let body = "const WebSocket = require('ws');
        const ws = new WebSocket(url, 'second', { headers: { 'x-a': '1' } });
        ws.on('open', () => { ws.send('text'); ws.send(Buffer.from([1, 2])); ws.ping('p'); });
        ws.on('message', (data, isBinary) => 
            log.push([Buffer.isBuffer(data), data.length, isBinary]));
        ws.on('pong', (data) => { log.push(data.toString()); ws.close(1000, 'done'); });
        const code = await new Promise((end) => ws.on('close', end));
        res.json([log.sort(), code, ws.protocol, ws.readyState === WebSocket.CLOSED]);";
    let said = run(&peer.url(), body).await;
    let log = json!(["p", [true, 2, true], [true, 4, false]]);
    let mut found = said[0].as_array().unwrap().clone();
    found.sort_by_key(ToString::to_string);
    let mut wanted = log.as_array().unwrap().clone();
    wanted.sort_by_key(ToString::to_string);
    assert_eq!(found, wanted);
    assert_eq!(
        (&said[1], &said[2], &said[3]),
        (&json!(1000), &json!("second"), &json!(true))
    );
    assert_eq!(peer.hears().await, "1000 done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_named_ws_comes_first() {
    let server = Server::start().await;
    let index = "module.exports = (req, res) => res.json([require('ws')])";
    let files = [
        ("index.js", index),
        ("node_modules/ws/index.js", "module.exports = 'theirs'"),
    ];
    let answer = server.deploy_files("f", &files, json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let answer = Answer::of(server.invoke("f")).await;
    answer.expect(200, r#"["theirs"]"#);
}
