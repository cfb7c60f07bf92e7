//! The web's interfaces in real sandboxes, beyond what `properties` holds against Node.js.

use serde_json::json;

use crate::server::{Answer, Server};

/// Deploys a handler and answers what it says, as JSON.
async fn run(server: &Server, name: &str, body: &str) -> serde_json::Value {
    let source = format!(
        "module.exports = async (req, res) => res.json(await (async () => {{ {body} }})());"
    );
    server.deploy(name, &source).await;
    let answer = Answer::of(server.invoke(name)).await;
    assert_eq!(answer.status, 200, "{}", server.log_text(name).await);
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_interface_of_the_minimum_common_api_is_there() {
    let server = Server::start().await;
    let missing = run(
        &server,
        "names",
        r"
        const names = `AbortController AbortSignal Blob ByteLengthQueuingStrategy
            CountQueuingStrategy Crypto CustomEvent DOMException ErrorEvent Event EventTarget File
            FormData Headers MessageChannel MessageEvent MessagePort Performance
            PromiseRejectionEvent ReadableByteStreamController ReadableStream
            ReadableStreamBYOBReader ReadableStreamBYOBRequest ReadableStreamDefaultController
            ReadableStreamDefaultReader Request Response TextDecoder TextDecoderStream TextEncoder
            TextEncoderStream TransformStream TransformStreamDefaultController URL URLPattern
            URLSearchParams WritableStream WritableStreamDefaultController
            WritableStreamDefaultWriter`.split(/\s+/);
        const functions = `atob btoa clearInterval clearTimeout fetch queueMicrotask reportError
            setInterval setTimeout structuredClone`.split(/\s+/);
        return [
            ...names.filter((name) => globalThis[name]?.prototype[Symbol.toStringTag] !== name
                || globalThis[name].name !== name),
            ...functions.filter((name) => typeof globalThis[name] !== 'function'),
            ...['console', 'crypto', 'navigator', 'performance', 'self', 'onerror']
                .filter((name) => !(name in globalThis)),
            ...['WebAssembly', 'SharedArrayBuffer', 'Atomics'].filter((name) => name in globalThis),
        ];",
    )
    .await;
    assert_eq!(missing, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buffer_that_is_transferred_is_detached() {
    let server = Server::start().await;
    let told = run(
        &server,
        "transfer",
        r"
        const bytes = new Uint8Array([1, 2, 3]);
        const copy = structuredClone({ bytes, same: bytes.buffer }, { transfer: [bytes.buffer] });
        const names = [];
        for (const work of [() => structuredClone(bytes), () => structuredClone(new Headers()),
            () => structuredClone(1, { transfer: [1] }),
            () => structuredClone(1, { transfer: [copy.same, copy.same] })])
            try { work(); names.push('none'); } catch (error) { names.push(error.name); }
        return [bytes.length, [...copy.bytes], copy.same === copy.bytes.buffer, names];",
    )
    .await;
    let refused = "DataCloneError";
    let names = json!([refused, refused, refused, refused]);
    assert_eq!(told, json!([0, [1, 2, 3], true, names]));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_patterns_marks_and_reports_work_in_a_sandbox() {
    let server = Server::start().await;
    let told = run(
        &server,
        "various",
        r"
        const { port1, port2 } = new MessageChannel();
        const message = new Promise((resolve) => { port2.onmessage = (e) => resolve(e.data); });
        port1.postMessage({ n: 1 });
        const pattern = new URLPattern({ pathname: '/users/:id(\\d+)' });
        const mark = performance.mark('a', { startTime: 5 });
        addEventListener('error', (event) => event.error === 'taken' && event.preventDefault());
        reportError('taken');
        reportError(new TypeError('told'));
        return [await message, pattern.exec('https://a/users/42').pathname.groups,
            performance.measure('m', { start: 'a', duration: 2 }).duration, mark.startTime];",
    )
    .await;
    assert_eq!(told, json!([{ "n": 1 }, { "id": "42" }, 2, 5]));
    server.log_with("various", "told").await;
    let log = server.log_text("various").await;
    assert!(log.starts_with("Uncaught TypeError: told"), "{log}");
    assert!(!log.contains("taken"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multipart_upload_is_read_as_a_form() {
    let server = Server::start().await;
    let source = r"export default { async fetch(request) {
        const form = await request.formData();
        const file = form.get('file');
        const bytes = await file.bytes();
        return Response.json([form.get('text'), file.name, file.type, bytes.length, bytes[999]]);
    } }";
    server.deploy("upload", source).await;
    let mut body =
        b"--X\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\n\xc3\xa9\r\n".to_vec();
    body.extend(b"--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.bin\"\r\n");
    body.extend(b"Content-Type: application/x-test\r\n\r\n");
    body.extend((0..=250_u8).cycle().take(100_000));
    body.extend(b"\r\n--X--\r\n");
    let request = server
        .post("upload")
        .header("content-type", "multipart/form-data; boundary=X")
        .body(body);
    let told = Answer::of(request).await.json();
    assert_eq!(
        told,
        json!(["é", "f.bin", "application/x-test", 100_000, 999 % 251])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn making_the_webs_objects_at_the_top_level_leaves_the_snapshot_alone() {
    let server = Server::start().await;
    let source = r"
        const made = [new Headers([['a', 'b']]), new URL('http://a/b?c'), new Blob(['text']),
            new URLPattern('/:a', 'http://a'), new MessageChannel(), new EventTarget(),
            new AbortController(), new FormData(), new TextDecoder('utf-16be'),
            structuredClone({ a: new Map() }), new Response('text'), new Event('a'),
            new File([], 'name', { lastModified: 1 }), new TextEncoderStream()];
        module.exports = async (req, res) => res.json([made.length, await made[10].text()]);";
    let deployed = server.deploy("top", source).await;
    assert_eq!(deployed["evaluation"], "snapshot", "{deployed}");
    for _ in 0..2 {
        let told = Answer::of(server.invoke("top")).await.json();
        assert_eq!(told, json!([14, "text"]));
    }
}
