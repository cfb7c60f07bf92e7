//! What goes out, and what is refused before anything does.

use super::*;

#[tokio::test]
async fn a_request_arrives_as_it_was_asked_for() {
    let upstream = Upstream::serve(Router::new().fallback(echo)).await;
    let fetcher = Fetcher::new();
    let mut asked = with_headers(
        request("POST", &upstream.url("/a%20b?q=1#fragment")),
        &[
            ("X-Twice", "1"),
            ("x-twice", "2"),
            ("Host", "evil"),
            ("Content-Length", "999"),
            ("Transfer-Encoding", "gzip"),
            ("Connection", "x-twice"),
            ("Keep-Alive", "1"),
            ("TE", "trailers"),
            ("Trailer", "x"),
            ("Upgrade", "h2c"),
            ("Expect", "100-continue"),
            ("Proxy-Authorization", "x"),
            ("Proxy-Connection", "x"),
            ("Authorization", "Bearer t"),
            ("Cookie", "a=b"),
        ],
    );
    asked.body = RequestBody::Whole(Bytes::from_static(b"hello"));
    let mut answer = fetcher.send(asked).await.unwrap();
    let expected = format!(
        "POST /a%20b\naccept-encoding: gzip, deflate, br\naccept: */*\n\
         authorization: Bearer t\ncontent-length: 5\ncookie: a=b\nhost: {}\n\
         user-agent: test/1\nx-twice: 1\nx-twice: 2\n\nhello",
        upstream.address
    );
    assert_eq!(text(&mut answer).await, expected);
    assert_eq!((answer.status, answer.status_text.as_str()), (200, "OK"));
    assert_eq!(answer.url, upstream.url("/a%20b?q=1"));
    assert!(!answer.redirected);
    // The function's own values win, and an absent body has a length where one is usual.
    let own = [
        ("User-Agent", "mine"),
        ("accept", "a/b"),
        ("accept-encoding", "br"),
    ];
    let asked = with_headers(request("PUT", &upstream.url("/")), &own);
    let told = text(&mut fetcher.send(asked).await.unwrap()).await;
    assert!(
        told.contains("accept-encoding: br\naccept: a/b\ncontent-length: 0\n"),
        "{told}"
    );
    assert!(told.contains("user-agent: mine\n"), "{told}");
    let mut asked = request("DELETE", &upstream.url("/"));
    asked.decompress = false;
    let told = text(&mut fetcher.send(asked).await.unwrap()).await;
    assert!(
        !told.contains("content-length") && !told.contains("accept-encoding"),
        "{told}"
    );
}

#[tokio::test]
async fn requests_that_fetch_does_not_allow_are_refused() {
    let fetcher = Fetcher::new();
    let urls = [
        ("", "it is not absolute"),
        ("/path", "it is not absolute"),
        ("http://", "it has no host"),
        ("http://[::1", "it cannot be parsed"),
        ("http://a b/", "it cannot be parsed"),
        ("http://user@host/", "it holds a user name or password"),
        ("http://:secret@host/", "it holds a user name or password"),
    ];
    for (url, reason) in urls {
        let error = fetcher.get(url).await.unwrap_err();
        assert!(
            matches!(error, Error::InvalidUrl(text) if text == reason),
            "{url}: {error}"
        );
    }
    let long = format!("http://host/{}", "a".repeat(70_000));
    assert!(matches!(
        fetcher.get(&long).await,
        Err(Error::InvalidUrl(_))
    ));
    for url in [
        "file:///etc/passwd",
        "ftp://host/",
        "data:,x",
        "ws://host/",
        "unix:/x",
    ] {
        assert_eq!(
            fetcher.get(url).await.unwrap_err(),
            Error::UnsupportedScheme,
            "{url}"
        );
    }
    let url = "http://127.0.0.1:1/";
    let mut asked = vec![
        request("CONNECT", url),
        request("trace", url),
        request("Track", url),
        request("A B", url),
        request("", url),
        with_headers(request("GET", url), &[("a b", "1")]),
        with_headers(request("GET", url), &[("a", "1\r\nb: 2")]),
        with_headers(
            request("GET", url),
            &[("a", &"x".repeat(limits::FIELDS_BYTES_MAX))],
        ),
    ];
    for method in ["GET", "HEAD"] {
        let mut with_body = request(method, url);
        with_body.body = RequestBody::Whole(Bytes::new());
        asked.push(with_body);
    }
    for asked in asked {
        let error = fetcher.send(asked).await.unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)), "{error}");
    }
}

#[tokio::test]
async fn a_request_body_that_breaks_off_is_not_taken_for_whole() {
    let (told, mut heard) = mpsc::channel(1);
    let upstream = Upstream::raw(move |mut stream| {
        let told = told.clone();
        async move {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            told.send(rest).await.unwrap();
        }
    })
    .await;
    let (sender, receiver) = mpsc::channel(1);
    let mut asked = request("POST", &upstream.url("/"));
    asked.body = RequestBody::Stream(receiver);
    let fetcher = Fetcher::new();
    let send = fetcher.send(asked);
    let feed = async {
        sender.send(Ok(Bytes::from_static(b"half"))).await.unwrap();
        sender.send(Err(Interrupted)).await.unwrap();
    };
    let (answer, ()) = tokio::join!(send, feed);
    assert_eq!(
        answer.unwrap_err(),
        Error::Body("the request body broke off")
    );
    let rest = soon(heard.recv()).await.unwrap();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
}

#[test]
fn a_user_agent_that_is_no_header_is_refused() {
    let mut config = config(&[]);
    config.user_agent = "a\r\nb".into();
    assert!(matches!(Client::new(config), Err(Error::InvalidRequest(_))));
}
