//! Connections: kept, refused, secured.

use super::*;

#[tokio::test]
async fn hosts_that_cannot_be_reached_say_so() {
    let fetcher = Fetcher::new();
    let (gone, listener) = Upstream::listen().await;
    drop(listener);
    let error = fetcher.get(&gone.url("/")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot connect to 127.0.0.1: the connection was refused"
    );
    // A label this long is no name, so no name server is asked.
    let host = format!("{}.test", "a".repeat(64));
    let error = fetcher.get(&format!("http://{host}/")).await.unwrap_err();
    assert_eq!(error, Error::Dns { host });
}

#[tokio::test]
async fn connections_are_kept_but_not_across_tenants() {
    let (told, mut heard) = mpsc::channel(16);
    let (upstream, listener) = Upstream::listen().await;
    let tasks = upstream.tasks.clone();
    upstream.tasks.spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let told = told.clone();
            tasks.spawn(async move {
                let mut stream = BufReader::new(stream);
                for request in 0.. {
                    let head = read_head(&mut stream).await;
                    if head.is_empty() {
                        return;
                    }
                    told.send((connection, request)).await.unwrap();
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    stream.write_all(answer).await.unwrap();
                    // The server gives up on the idle connection without a word.
                    if head.contains("/last") {
                        return;
                    }
                }
            });
        }
    });
    let client = Client::new(config(&[])).unwrap();
    let mut uses = Vec::new();
    for (name, path) in [
        ("a", "/"),
        ("a", "/"),
        ("b", "/"),
        ("a", "/last"),
        ("b", "/"),
        ("a", "/"),
    ] {
        let grant = client.grant(&tenant(name));
        let asked = request("POST", &upstream.url(path));
        let mut answer = soon(client.send(&grant, asked)).await.unwrap();
        assert_eq!(text(&mut answer).await, "ok");
        uses.push(soon(heard.recv()).await.unwrap());
        // Everything runs on this thread: now the connection's tasks see that the answer, or
        // the connection, is at its end.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(uses, [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0)]);
}

#[tokio::test]
async fn only_so_many_tenants_keep_connections() {
    let client = Client::new(config(&[])).unwrap();
    for n in 0..POOLS_MAX + 10 {
        let _ = client.grant(&tenant(&format!("t{n}")));
        let _ = client.grant(&tenant("t0"));
    }
    let grants = client.grants.read().unwrap();
    assert_eq!(grants.len(), POOLS_MAX);
    assert!(grants.contains_key(&tenant("t0")));
    assert!(!grants.contains_key(&tenant("t1")));
}

/// What accepts connections with a certificate for `localhost`, and the authority to trust for it.
pub(super) async fn secure_listener(
    protocols: &[&[u8]],
) -> (
    Upstream,
    TcpListener,
    tokio_rustls::TlsAcceptor,
    RootCertStore,
) {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(signed.cert.der().clone()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let (upstream, listener) = Upstream::listen().await;
    (upstream, listener, acceptor, roots)
}

/// A server with a certificate for `localhost`, and the authority to trust for it.
async fn secure(protocols: &[&[u8]]) -> (Upstream, RootCertStore) {
    let (upstream, listener, acceptor, roots) = secure_listener(protocols).await;
    let tasks = upstream.tasks.clone();
    let version = |request: AxumRequest| async move {
        let version = format!("{:?} {}", request.version(), request.uri());
        let body = axum::body::to_bytes(request.into_body(), 1 << 20)
            .await
            .unwrap();
        format!("{version} {}", body.len())
    };
    upstream.tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tasks.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = Router::new().fallback(version);
                let service = hyper_util::service::TowerToHyperService::new(service);
                let io = hyper_util::rt::TokioIo::new(stream);
                let executor = hyper_util::rt::TokioExecutor::new();
                let _ = hyper_util::server::conn::auto::Builder::new(executor)
                    .serve_connection(io, service)
                    .await;
            });
        }
    });
    (upstream, roots)
}

#[tokio::test]
async fn https_speaks_both_versions_of_http() {
    for (protocols, version) in [
        (&[&b"h2"[..], b"http/1.1"][..], "HTTP/2.0"),
        (&[b"http/1.1"], "HTTP/1.1"),
        (&[], "HTTP/1.1"),
    ] {
        let (upstream, roots) = secure(protocols).await;
        let client = Client::build(config_with(Arc::new(AllowAll)), roots).unwrap();
        let fetcher = Fetcher::of(client);
        let url = format!("https://localhost:{}/path", upstream.address.port());
        let mut asked = request("POST", &url);
        asked.body = RequestBody::Whole(vec![1; 100_000].into());
        let mut answer = fetcher.send(asked).await.unwrap();
        let path = if version == "HTTP/2.0" {
            url.as_str()
        } else {
            "/path"
        };
        assert_eq!(text(&mut answer).await, format!("{version} {path} 100000"));
        assert_eq!(
            answer.status_text,
            if version == "HTTP/2.0" { "" } else { "OK" }
        );
    }
}

#[tokio::test]
async fn connections_that_are_not_secure_are_refused() {
    let (upstream, roots) = secure(&[]).await;
    let port = upstream.address.port();
    let error = Fetcher::new()
        .get(&format!("https://localhost:{port}/"))
        .await
        .unwrap_err();
    let unknown =
        "no secure connection to localhost: the certificate is not from a known authority";
    assert_eq!(error.to_string(), unknown);
    let client = Client::build(config_with(Arc::new(AllowAll)), roots).unwrap();
    let fetcher = Fetcher::of(client);
    let error = fetcher
        .get(&format!("https://127.0.0.1:{port}/"))
        .await
        .unwrap_err();
    let name = "no secure connection to 127.0.0.1: the certificate is for another name";
    assert_eq!(error.to_string(), name);
    let plain = Upstream::serve(Router::new().fallback(echo)).await;
    let port = plain.address.port();
    let error = fetcher
        .get(&format!("https://localhost:{port}/"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Tls {
                reason: "the TLS handshake failed",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_handshake_that_never_ends_times_out() {
    let (silent, _listener) = Upstream::listen().await;
    let mut config = config(&[]);
    config.connect_timeout = Duration::from_millis(100);
    let fetcher = Fetcher::of(Client::new(config).unwrap());
    let url = format!("https://localhost:{}/", silent.address.port());
    let error = fetcher.get(&url).await.unwrap_err();
    assert_eq!(
        error,
        Error::Timeout {
            host: "localhost".into()
        }
    );
}
