//! Answers of all kinds, and those who stop listening.

use super::*;

#[tokio::test]
async fn bodies_stream_both_ways_at_once() {
    let echo = |request: AxumRequest| async {
        AxumBody::from_stream(request.into_body().into_data_stream())
    };
    let upstream = Upstream::serve(Router::new().fallback(echo)).await;
    let fetcher = Fetcher::new();
    let (sender, receiver) = mpsc::channel(1);
    let mut asked = request("POST", &upstream.url("/"));
    asked.body = RequestBody::Stream(receiver);
    sender.send(Ok(Bytes::from_static(b"0"))).await.unwrap();
    let mut answer = fetcher.send(asked).await.unwrap();
    // Each chunk comes back before the next is sent, and the last before the end is.
    assert_eq!(soon(answer.body.chunk()).await.unwrap().unwrap(), "0");
    for n in 1..5 {
        sender.send(Ok(Bytes::from(n.to_string()))).await.unwrap();
        assert_eq!(
            soon(answer.body.chunk()).await.unwrap().unwrap(),
            n.to_string()
        );
    }
    drop(sender);
    assert_eq!(soon(answer.body.chunk()).await, None);
    assert_eq!(soon(answer.body.chunk()).await, None);
}

#[tokio::test]
async fn large_bodies_come_whole_in_bounded_chunks_as_fast_as_they_are_read() {
    let size = 20 << 20;
    let answer = move || async move { vec![7_u8; size] };
    let upstream = Upstream::serve(Router::new().route("/", get(answer))).await;
    let mut answer = Fetcher::new().get(&upstream.url("/")).await.unwrap();
    assert_eq!(
        header(&answer, "content-length"),
        Some(size.to_string().as_str())
    );
    let mut total = 0;
    while let Some(chunk) = soon(answer.body.chunk()).await {
        let chunk = chunk.unwrap();
        assert!(!chunk.is_empty() && chunk.len() <= limits::BODY_CHUNK_BYTES_MAX);
        total += chunk.len();
    }
    assert_eq!(total, size);

    // A sender is stopped when nobody reads.
    let (told, mut heard) = mpsc::channel(1);
    let upstream = Upstream::raw(move |mut stream| {
        let told = told.clone();
        async move {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
            stream.write_all(head).await.unwrap();
            let write = async { while stream.write_all(&[0; 65536]).await.is_ok() {} };
            // Far longer than filling every buffer on the way takes.
            let stopped = tokio::time::timeout(Duration::from_millis(500), write)
                .await
                .is_err();
            told.send(stopped).await.unwrap();
        }
    })
    .await;
    let answer = Fetcher::new().get(&upstream.url("/")).await.unwrap();
    assert!(
        soon(heard.recv()).await.unwrap(),
        "the sender was never stopped"
    );
    drop(answer);
}

#[tokio::test]
async fn answers_are_understood_as_http_says() {
    let fetcher = Fetcher::new();
    let odd = "HTTP/1.1 299 Odd one\r\nX-Latin: caf\u{e9}\r\nset-cookie: a=1\r\n\
               Set-Cookie: b=2\r\n\r\nuntil the end";
    let latin: Vec<u8> = odd
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    let upstream = Upstream::fixed(latin).await;
    let mut answer = fetcher.get(&upstream.url("/")).await.unwrap();
    assert_eq!(
        (answer.status, answer.status_text.as_str()),
        (299, "Odd one")
    );
    assert_eq!(header(&answer, "x-latin"), Some("caf\u{e9}"));
    let cookies = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    assert_eq!(
        cookies.map(|(_, value)| &**value).collect::<Vec<_>>(),
        ["a=1", "b=2"]
    );
    assert_eq!(text(&mut answer).await, "until the end");
    for (head, status) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        (
            "HTTP/1.1 304 Not Modified\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\n",
            304,
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            200,
        ),
        ("HTTP/1.0 200 OK\r\n\r\n", 200),
    ] {
        let mut answer = fetcher
            .get(&Upstream::fixed(head).await.url("/"))
            .await
            .unwrap();
        assert_eq!(
            (answer.status, text(&mut answer).await.as_str()),
            (status, "")
        );
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 30\r\n\r\n";
    let upstream = Upstream::fixed(head).await;
    let mut answer = fetcher
        .send(request("HEAD", &upstream.url("/")))
        .await
        .unwrap();
    assert_eq!(header(&answer, "content-length"), Some("30"));
    assert_eq!(text(&mut answer).await, "");
}

#[tokio::test]
async fn answers_that_are_not_whole_are_errors() {
    let fetcher = Fetcher::new();
    let broken = [
        ("", "the connection broke off before the answer"),
        (
            "HTTP/1.1 200 OK\r\ncontent-le",
            "the connection broke off before the answer",
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n", "it is not HTTP"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "it is not HTTP",
        ),
        ("HTTP/1.1 200 OK\r\nbad header: 1\r\n\r\n", "it is not HTTP"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "it changes to another protocol",
        ),
    ];
    for (answer, reason) in broken {
        let error = fetcher
            .get(&Upstream::fixed(answer).await.url("/"))
            .await
            .unwrap_err();
        let fits = matches!(error, Error::Protocol(text) if text == reason);
        assert!(fits, "{answer:?}: {error}");
    }
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
    ] {
        let mut answer = fetcher
            .get(&Upstream::fixed(answer).await.url("/"))
            .await
            .unwrap();
        let error = read(&mut answer.body).await.unwrap_err();
        assert_eq!(
            error,
            Error::Body("the answer's body broke off before its end")
        );
        assert_eq!(soon(answer.body.chunk()).await, None);
    }
}

#[tokio::test]
async fn header_sections_are_bounded() {
    let fetcher = Fetcher::new();
    let answer = |bytes: usize| {
        let value = "x".repeat(bytes);
        format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-large: {value}\r\n\r\n")
    };
    let fits = Upstream::fixed(answer(limits::FIELDS_BYTES_MAX - 100)).await;
    let fitting = fetcher.get(&fits.url("/")).await.unwrap();
    assert_eq!(
        header(&fitting, "x-large").map(str::len),
        Some(limits::FIELDS_BYTES_MAX - 100)
    );
    let many: String = (0..FIELDS_MAX + 10)
        .map(|n| format!("h{n}: 1\r\n"))
        .collect();
    for answer in [
        answer(limits::FIELDS_BYTES_MAX),
        answer(10 << 20),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
    ] {
        let error = fetcher
            .get(&Upstream::fixed(answer).await.url("/"))
            .await
            .unwrap_err();
        assert_eq!(
            error,
            Error::Protocol("the header section of the answer is too large")
        );
    }
}

#[tokio::test]
async fn slow_headers_are_waited_for_and_dropping_the_request_hangs_up() {
    let (told, mut heard) = mpsc::channel(1);
    let (proceed, gate) = mpsc::channel::<()>(1);
    let gate = Arc::new(tokio::sync::Mutex::new(gate));
    let upstream = Upstream::raw(move |mut stream| {
        let (told, gate) = (told.clone(), Arc::clone(&gate));
        async move {
            for byte in b"HTTP/1.1 200 OK\r\nx-slow: 1\r\n" {
                stream.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            told.send("waiting").await.unwrap();
            let mut gate = gate.lock().await;
            let mut byte = [0; 1];
            tokio::select! {
                _ = gate.recv() => stream.write_all(b"content-length: 0\r\n\r\n").await.unwrap(),
                end = stream.read(&mut byte) => {
                    assert_eq!(end.unwrap_or(0), 0);
                    told.send("hung up").await.unwrap();
                }
            }
        }
    })
    .await;
    let fetcher = Fetcher::new();
    let url = upstream.url("/");
    let answer = async { fetcher.get(&url).await };
    let go = async {
        assert_eq!(soon(heard.recv()).await, Some("waiting"));
        proceed.send(()).await.unwrap();
    };
    let (answer, ()) = tokio::join!(answer, go);
    assert_eq!(header(&answer.unwrap(), "x-slow"), Some("1"));
    // A request that nobody waits for any more.
    tokio::select! {
        answer = fetcher.get(&url) => panic!("there is no answer yet: {answer:?}"),
        told = heard.recv() => assert_eq!(told, Some("waiting")),
    }
    assert_eq!(soon(heard.recv()).await, Some("hung up"));
}

#[tokio::test]
async fn dropping_a_body_hangs_up() {
    for encoding in ["", "content-encoding: gzip\r\n"] {
        let (told, mut heard) = mpsc::channel(1);
        let upstream = Upstream::raw(move |mut stream| {
            let told = told.clone();
            async move {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n{encoding}\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                stream
                    .write_all(&gzip(b"start", false)[..10])
                    .await
                    .unwrap();
                let end = stream.read(&mut [0; 1]).await;
                told.send(end.unwrap_or(0)).await.unwrap();
            }
        })
        .await;
        let fetcher = Fetcher::new();
        let mut answer = fetcher.get(&upstream.url("/")).await.unwrap();
        if encoding.is_empty() {
            assert!(soon(answer.body.chunk()).await.unwrap().is_ok());
        }
        assert!(heard.try_recv().is_err());
        drop(answer);
        assert_eq!(soon(heard.recv()).await, Some(0));
    }
}
