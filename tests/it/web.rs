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

/// Answers are written by a way of its own as long as they are plain data.
#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_sent_is_what_stringify_says() {
    let server = Server::start().await;
    let source = r#"
        let seed = 1;
        const next = (n) => (seed = (seed * 48271) % 2147483647) % n;
        const texts = ['', 'Ada', 'é\xff', '"\\\\/\b\f\n\r\t\x00\x1f\x7f', '\u2028€', '\ud800', '😀',
            'x'.repeat(300) + 'y'.repeat(700), '0', '-1', '4294967294', 'toJSON', '__proto__', 'length'];
        const numbers = [0, -0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 2 ** 32, 1e21, 1.5, 5e-324, NaN, -Infinity];
        const others = [null, true, false, undefined, Symbol('s'), () => 1, new Date(0), new Map([[1, 2]]),
            new String('s'), new Number(1), Object(true), /x/, new Error('e'), new Uint8Array(2), [1, , 3],
            Object.create({ inherited: 1 }), Object.create(null), new Proxy({ a: 1 }, {}), new (class A { b = 1 })(),
            { toJSON: () => 'own' }, { get a() { return 'got' } }, Object.defineProperty({}, 'h', { value: 1 }),
            { [Symbol('k')]: 1, b: 2 }, { 2: 'b', 1: 'a', x: 0, '-0': 1 }, Object.assign([1, 2], { x: 1 })];
        const key = () => (next(9) === 0 ? `${next(5)}` : texts[next(texts.length)] || 'k' + next(9));
        function value(depth) {
            const kind = next(depth > 4 ? 3 : 6);
            if (kind === 0) return texts[next(texts.length)];
            if (kind === 1) return numbers[next(numbers.length)];
            if (kind === 2) return others[next(others.length)];
            if (kind === 3) return Array.from({ length: next(5) }, () => value(depth + 1));
            const object = {};
            for (let i = next(6); i > 0; i--) object[key()] = value(depth + 1);
            if (next(5) === 0) for (const name of Object.keys(object)) if (next(2)) delete object[name];
            return object;
        }
        const deep = (n) => { let all = n; for (let i = 0; i < n; i++) all = i % 2 ? [all] : { all }; return all };
        async function differs(value) {
            let [expected, actual] = ['threw', 'threw'];
            try { expected = JSON.stringify(value) } catch {}
            if (expected === undefined) return false;
            try { actual = await Response.json(value).text() } catch {}
            return actual !== expected;
        }
        module.exports = async (req, res) => {
            const told = { tried: 0, different: [], refused: [] };
            const values = [...others, ...texts, ...numbers, deep(31), deep(32), deep(33), deep(200)];
            for (let i = 0; i < 3000; i++) values.push(value(0));
            for (const one of values) {
                told.tried++;
                if (await differs(one)) told.different.push(JSON.stringify(one));
            }
            const cycle = { list: [] };
            cycle.list.push(cycle);
            for (const one of [cycle, { n: 1n }, undefined, { get a() { throw new RangeError() } }]) {
                try { Response.json(one); told.refused.push('') } catch (error) { told.refused.push(error.name) }
            }
            for (const prototype of [Object.prototype, Array.prototype]) {
                prototype.toJSON = () => 'inherited';
                told.refused.push(await Response.json(prototype === Object.prototype ? { a: 1 } : [1]).text());
                delete prototype.toJSON;
            }
            res.json(told);
        };"#;
    server.deploy("compares", source).await;
    let answer = Answer::of(server.invoke("compares")).await;
    assert_eq!(answer.status, 200, "{}", server.log_text("compares").await);
    let told = answer.json();
    let expected = json!({
        "tried": 3055,
        "different": [],
        "refused": ["TypeError", "TypeError", "TypeError", "RangeError", "\"inherited\"", "\"inherited\""],
    });
    assert_eq!(told, expected);
}
