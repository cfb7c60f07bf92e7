//! Compressed answers.

use super::*;

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = async_compression::tokio::bufread::BrotliEncoder::new(bytes);
    let mut packed = Vec::new();
    encoder.read_to_end(&mut packed).await.unwrap();
    packed
}

async fn encoded(codings: &str, body: Vec<u8>) -> Upstream {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: {codings}\r\ncontent-length: {length}\r\n\r\n"
    );
    Upstream::fixed([head.into_bytes(), body].concat()).await
}

#[tokio::test]
async fn compressed_answers_are_decompressed() {
    let fetcher = Fetcher::new();
    let plain = b"hello ".repeat(50_000);
    let cases = [
        ("gzip", gzip(&plain, true)),
        ("X-GZIP", gzip(&plain, true)),
        (
            "gzip",
            [gzip(&plain[..100], true), gzip(&plain[100..], true)].concat(),
        ),
        ("deflate", zlib(&plain)),
        ("deflate", deflate(&plain)),
        ("br", brotli(&plain).await),
        ("identity", plain.clone()),
        ("br, gzip", gzip(&brotli(&plain).await, true)),
        (
            "deflate\r\ncontent-encoding: gzip",
            gzip(&zlib(&plain), true),
        ),
        ("unknown", plain.clone()),
    ];
    for (codings, body) in cases {
        let upstream = encoded(codings, body.clone()).await;
        let mut answer = fetcher.get(&upstream.url("/")).await.unwrap();
        let same = body == plain;
        assert_eq!(
            header(&answer, "content-encoding").is_some(),
            same,
            "{codings}"
        );
        assert_eq!(
            header(&answer, "content-length").is_some(),
            same,
            "{codings}"
        );
        assert!(read(&mut answer.body).await.unwrap() == plain, "{codings}");
        // The function may want it as it is.
        let mut asked = request("GET", &upstream.url("/"));
        asked.decompress = false;
        let mut answer = fetcher.send(asked).await.unwrap();
        assert!(header(&answer, "content-encoding").is_some(), "{codings}");
        assert!(read(&mut answer.body).await.unwrap() == body, "{codings}");
    }
    for coding in ["gzip", "br", "deflate", "gzip, br"] {
        let mut answer = fetcher
            .get(&encoded(coding, vec![]).await.url("/"))
            .await
            .unwrap();
        assert_eq!(text(&mut answer).await, "");
    }
    let error = fetcher
        .get(&encoded("gzip,gzip,gzip,gzip,gzip", vec![]).await.url("/"))
        .await;
    assert_eq!(
        error.unwrap_err(),
        Error::Protocol("it is compressed too many times")
    );
}

#[tokio::test]
async fn damaged_compression_is_an_error() {
    let fetcher = Fetcher::new();
    let plain = b"hello".repeat(1000);
    let whole = gzip(&plain, true);
    let mut wrong = whole.clone();
    let at = wrong.len() - 6;
    wrong[at] ^= 1;
    let cases = [
        ("gzip", b"not gzip at all".to_vec()),
        ("gzip", whole[..whole.len() - 4].to_vec()),
        ("gzip", wrong),
        ("deflate", zlib(&plain)[..10].to_vec()),
        ("br", b"\xff\xff\xff\xff".to_vec()),
    ];
    for (coding, body) in cases {
        let mut answer = fetcher
            .get(&encoded(coding, body).await.url("/"))
            .await
            .unwrap();
        let error = read(&mut answer.body).await.unwrap_err();
        assert_eq!(
            error,
            Error::Body("the answer's body cannot be decompressed"),
            "{coding}"
        );
    }
    let cut = [
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 900\r\n\r\n",
        &whole[..20],
    ]
    .concat();
    let mut answer = fetcher
        .get(&Upstream::fixed(cut).await.url("/"))
        .await
        .unwrap();
    let error = read(&mut answer.body).await.unwrap_err();
    assert_eq!(
        error,
        Error::Body("the answer's body broke off before its end")
    );
}

#[tokio::test]
async fn a_compressed_stream_is_not_held_back() {
    let (sender, receiver) = mpsc::channel::<Vec<u8>>(1);
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    let upstream = Upstream::raw(move |mut stream| {
        let receiver = Arc::clone(&receiver);
        async move {
            let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
            stream.write_all(head).await.unwrap();
            while let Some(bytes) = receiver.lock().await.recv().await {
                stream.write_all(&bytes).await.unwrap();
            }
        }
    })
    .await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut answer = Fetcher::new().get(&upstream.url("/")).await.unwrap();
    for n in 0..3 {
        write!(encoder, "event {n}").unwrap();
        encoder.flush().unwrap();
        sender
            .send(std::mem::take(encoder.get_mut()))
            .await
            .unwrap();
        let chunk = soon(answer.body.chunk()).await.unwrap().unwrap();
        assert_eq!(chunk, format!("event {n}"));
    }
    sender.send(encoder.finish().unwrap()).await.unwrap();
    drop(sender);
    assert_eq!(soon(answer.body.chunk()).await, None);
}
