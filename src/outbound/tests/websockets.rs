//! WebSockets over TLS, and what is asked for at the beginning.

use super::*;

async fn open(fetcher: &Fetcher, asked: WebSocketRequest) -> Result<WebSocket, Error> {
    soon(fetcher.client.open_websocket(&fetcher.grant, asked)).await
}

fn asked(url: &str) -> WebSocketRequest {
    WebSocketRequest {
        url: url.into(),
        protocols: Vec::new(),
        headers: Vec::new(),
    }
}

/// Sends back the head of the handshake as a text message.
async fn tell_head<S>(stream: S)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    use futures_util::SinkExt;
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
    let mut head = String::new();
    #[allow(clippy::result_large_err, reason = "the library's type")]
    let note = |request: &Request, response: Response| {
        head = format!("{}\n", request.uri());
        for (name, value) in request.headers() {
            head += &format!("{name}: {}\n", value.to_str().unwrap());
        }
        Ok(response)
    };
    if let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, note).await {
        let _ = socket.send(head.into()).await;
    }
}

#[tokio::test]
async fn the_handshake_says_what_was_asked_for_and_nothing_that_is_ours() {
    let (upstream, listener) = Upstream::listen().await;
    upstream.tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        tell_head(stream).await;
    });
    let mut request = asked(&format!("http://{}/path?q=1#part", upstream.address));
    let pairs = [
        ("X-A", "1"),
        ("Host", "elsewhere.example"),
        ("Upgrade", "h2c"),
        ("Sec-WebSocket-Version", "8"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("Origin", "https://o.example"),
    ];
    let pair = |(name, value): (&str, &str)| (name.into(), value.into());
    request.headers = pairs.map(pair).into();
    let socket = open(&Fetcher::new(), request).await.unwrap();
    let Message::Text(head) = soon(socket.receive()).await.unwrap() else {
        panic!("no text");
    };
    let head = head.to_lowercase();
    for line in [
        "/path?q=1\n".to_owned(),
        format!("host: {}\n", upstream.address),
        "upgrade: websocket\n".to_owned(),
        "sec-websocket-version: 13\n".to_owned(),
        "user-agent: test/1\n".to_owned(),
        "origin: https://o.example\n".to_owned(),
        "x-a: 1\n".to_owned(),
    ] {
        assert!(head.contains(&line), "{line} in {head}");
    }
    assert!(!head.contains("deflate"), "{head}");
}

#[tokio::test]
async fn wss_offers_http_1_alone_and_checks_the_certificate() {
    let (upstream, listener, acceptor, roots) =
        connections::secure_listener(&[b"h2", b"http/1.1"]).await;
    let tasks = upstream.tasks.clone();
    upstream.tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tasks.spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
                    tell_head(stream).await;
                }
            });
        }
    });
    let port = upstream.address.port();
    let request = || asked(&format!("wss://localhost:{port}/"));
    let error = open(&Fetcher::new(), request()).await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error}");
    let client = Client::build(config_with(Arc::new(AllowAll)), roots).unwrap();
    let socket = open(&Fetcher::of(client), request()).await.unwrap();
    let message = soon(socket.receive()).await.unwrap();
    assert!(matches!(message, Message::Text(_)), "{message:?}");
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_before_anything_is_dialled() {
    let fetcher = Fetcher::new();
    for url in ["", "/x", "ftp://127.0.0.1/", "ws://a:b@127.0.0.1/", "ws://"] {
        let error = open(&fetcher, asked(url)).await.unwrap_err();
        assert!(matches!(error, Error::InvalidUrl(_)), "{url}: {error}");
    }
    for protocols in [vec!["a", "a"], vec![""], vec!["a b"], vec!["é"]] {
        let mut request = asked("ws://127.0.0.1:1/");
        request.protocols = protocols.iter().map(ToString::to_string).collect();
        let error = open(&fetcher, request).await.unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)), "{error}");
    }
}

#[tokio::test]
async fn a_socket_takes_no_more_than_its_queue_and_its_messages_have_bounds() {
    let (upstream, listener) = Upstream::listen().await;
    upstream.tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        std::future::pending::<()>().await;
    });
    let url = format!("ws://{}/", upstream.address);
    let socket = Arc::new(open(&Fetcher::new(), asked(&url)).await.unwrap());
    let largest = || Message::Binary(vec![0; limits::WEBSOCKET_MESSAGE_BYTES_MAX].into());
    let first = socket.send(largest()).unwrap();
    let second = socket.send(largest()).unwrap();
    let refused = |message| socket.send(message).err().unwrap();
    assert_eq!(refused(Message::Text("x".into())), Error::QueueFull);
    drop(second);
    assert!(socket.send(Message::Text("x".into())).is_ok());
    drop(first);
    let larger = vec![0; limits::WEBSOCKET_MESSAGE_BYTES_MAX + 1];
    assert_eq!(
        refused(Message::Binary(larger.into())),
        Error::MessageTooLarge
    );
    for message in [
        Message::Ping(vec![0; 126].into()),
        Message::Pong(vec![0; 126].into()),
        closing(1000, &"x".repeat(124)),
        closing(1005, "x"),
        closing(1006, ""),
        closing(0, ""),
        closing(5000, ""),
    ] {
        let error = refused(message);
        assert!(matches!(error, Error::InvalidMessage(_)), "{error}");
    }
    // What waits for a socket that is released ends.
    let waiting = Arc::clone(&socket);
    let received = tokio::join!(waiting.receive(), async { socket.release() }).0;
    assert_eq!(received, Err(Error::Closed));
}

fn closing(code: u16, reason: &str) -> Message {
    Message::Close(Closing {
        code,
        reason: reason.into(),
    })
}
