//! Every redirect case of the Fetch standard.

use super::*;

#[tokio::test]
async fn methods_and_bodies_change_at_redirects_as_fetch_says() {
    let upstream = Upstream::serve(redirecting()).await;
    let fetcher = Fetcher::new();
    let cases = [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (301, "PUT", "PUT"),
        (302, "PATCH", "PATCH"),
        (303, "PUT", "GET"),
        (303, "DELETE", "GET"),
        (307, "DELETE", "DELETE"),
        (301, "GET", "GET"),
        (303, "GET", "GET"),
        (303, "HEAD", "HEAD"),
    ];
    for (status, method, expected) in cases {
        let url = upstream.url(&format!("/status/{status}/end"));
        let headers = [
            ("content-type", "text/plain"),
            ("content-language", "de"),
            ("x-own", "1"),
        ];
        let mut asked = with_headers(request(method, &url), &headers);
        let bodiless = matches!(method, "GET" | "HEAD");
        if !bodiless {
            asked.body = RequestBody::Whole(Bytes::from_static(b"hello"));
        }
        let mut answer = fetcher.send(asked).await.unwrap();
        let case = format!("{status} {method}");
        assert_eq!(answer.url, upstream.url("/end"), "{case}");
        assert!(answer.redirected, "{case}");
        let told = text(&mut answer).await;
        if method == "HEAD" {
            assert_eq!(told, "");
            continue;
        }
        assert!(
            told.starts_with(&format!("{expected} /end\n")),
            "{case}: {told}"
        );
        let kept = !bodiless && expected == method;
        assert_eq!(told.ends_with("\n\nhello"), kept, "{case}: {told}");
        assert_eq!(
            told.contains("content-language"),
            kept || bodiless,
            "{case}: {told}"
        );
        assert_eq!(
            told.contains("content-type"),
            kept || bodiless,
            "{case}: {told}"
        );
        assert!(told.contains("x-own: 1"), "{case}: {told}");
    }
}

#[tokio::test]
async fn a_streamed_body_is_not_sent_twice() {
    let upstream = Upstream::serve(redirecting()).await;
    let fetcher = Fetcher::new();
    for (status, allowed) in [
        (301, false),
        (302, false),
        (303, true),
        (307, false),
        (308, false),
    ] {
        let (sender, receiver) = mpsc::channel(1);
        let mut asked = request("POST", &upstream.url(&format!("/status/{status}/end")));
        asked.body = RequestBody::Stream(receiver);
        sender.send(Ok(Bytes::from_static(b"chunk"))).await.unwrap();
        drop(sender);
        match fetcher.send(asked).await {
            Ok(mut answer) => {
                assert!(allowed, "{status}");
                assert!(text(&mut answer).await.starts_with("GET /end\n"));
            }
            Err(error) => {
                assert!(
                    !allowed && matches!(error, Error::RedirectRefused(_)),
                    "{status}: {error}"
                );
            }
        }
    }
}

#[tokio::test]
async fn redirects_end_after_twenty() {
    let upstream = Upstream::serve(redirecting()).await;
    let fetcher = Fetcher::new();
    let chain = |length: usize| upstream.url(&("/status/302".repeat(length) + "/end"));
    let answer = fetcher.get(&chain(20)).await.unwrap();
    assert_eq!((answer.status, answer.url), (200, upstream.url("/end")));
    assert_eq!(
        fetcher.get(&chain(21)).await.unwrap_err(),
        Error::TooManyRedirects
    );
    let endless = upstream.url("/status/307/x?to=/status/307/x");
    // The location has no query, so the second hop leads to `/x`.
    assert_eq!(fetcher.get(&endless).await.unwrap().status, 200);
    let circle =
        Upstream::fixed("HTTP/1.1 308 x\r\nlocation: ?\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(
        fetcher.get(&circle.url("/")).await.unwrap_err(),
        Error::TooManyRedirects
    );
}

#[tokio::test]
async fn credentials_stay_with_the_origin_they_were_for() {
    let first = Upstream::serve(redirecting()).await;
    let second = Upstream::serve(Router::new().fallback(echo)).await;
    let fetcher = Fetcher::new();
    let secrets = [
        ("authorization", "Bearer secret"),
        ("cookie", "id=1"),
        ("x-own", "1"),
    ];
    let same = with_headers(request("GET", &first.url("/status/302/end")), &secrets);
    let told = text(&mut fetcher.send(same).await.unwrap()).await;
    assert!(told.contains("authorization: Bearer secret\n") && told.contains("cookie: id=1"));
    let url = first.url(&format!("/status/302/x?to={}", second.url("/other")));
    let mut answer = fetcher
        .send(with_headers(request("GET", &url), &secrets))
        .await
        .unwrap();
    let told = text(&mut answer).await;
    assert!(
        !told.contains("authorization") && !told.contains("cookie"),
        "{told}"
    );
    assert!(told.contains("x-own: 1") && told.contains(&format!("host: {}", second.address)));
    assert_eq!(answer.url, second.url("/other"));
}

#[tokio::test]
async fn redirects_are_refused_or_passed_on_when_asked() {
    let upstream = Upstream::serve(redirecting()).await;
    let fetcher = Fetcher::new();
    let mut asked = request("GET", &upstream.url("/status/302/end"));
    asked.redirect = Redirect::Error;
    let error = fetcher.send(asked).await.unwrap_err();
    assert_eq!(
        error,
        Error::RedirectRefused("the server answered with a redirect")
    );
    let mut asked = request("GET", &upstream.url("/end"));
    asked.redirect = Redirect::Error;
    assert_eq!(fetcher.send(asked).await.unwrap().status, 200);
    let mut asked = request("GET", &upstream.url("/status/302/end"));
    asked.redirect = Redirect::Manual;
    let mut answer = fetcher.send(asked).await.unwrap();
    assert_eq!((answer.status, answer.redirected), (302, false));
    assert_eq!(header(&answer, "location"), Some("/end"));
    assert_eq!(text(&mut answer).await, "body of the redirect");
    // Without a location, or with a status that is not about one, it is an answer as any other.
    let mut answer = fetcher.get(&upstream.url("/bare")).await.unwrap();
    assert_eq!(
        (answer.status, text(&mut answer).await.as_str()),
        (302, "no location")
    );
    assert_eq!(
        fetcher
            .get(&upstream.url("/status/300/x"))
            .await
            .unwrap()
            .status,
        300
    );
    for to in [
        "file:///etc/passwd",
        "http://user:pass@host/",
        "http://[",
        "javascript:1",
    ] {
        let url = upstream.url(&format!("/status/302/x?to={to}"));
        let error = fetcher.get(&url).await.unwrap_err();
        assert!(matches!(error, Error::RedirectRefused(_)), "{to}: {error}");
    }
}
