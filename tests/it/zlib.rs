//! Compression in a real sandbox: there and back, against native zlib, and against bombs.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use serde_json::{Value, json};

use crate::server::{Answer, Server};

/// Answers what the function says, as JSON.
async fn run(source: &str) -> Value {
    let server = Server::start().await;
    server.deploy("f", source).await;
    let answer = Answer::of(server.invoke("f")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Bytes that compress, but not to nothing.
fn sample(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes = Vec::with_capacity(len);
    for index in 0..len {
        if index % 7 == 0 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        }
        bytes.push((state >> 24) as u8 & 0x3f);
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_goes_there_and_back_at_once_and_by_streams() {
    let found = run(r"
        const zlib = require('zlib');
        const { pipeline } = require('stream/promises');
        const { Readable } = require('stream');
        const kinds = [['gzip', 'gunzip'], ['deflate', 'inflate'], ['deflateRaw', 'inflateRaw'],
            ['gzip', 'unzip'], ['deflate', 'unzip'], ['brotliCompress', 'brotliDecompress']];
        const capital = (name) => name[0].toUpperCase() + name.slice(1);
        const text = (n) => Array.from({ length: n }, (_, i) => (i * i % 97).toString(36)).join('');
        module.exports = async (req, res) => {
            const wrong = [];
            for (const [there, back] of kinds) {
                for (const size of [0, 1, 1000, 100000]) {
                    const input = Buffer.from(text(size));
                    const params = there === 'brotliCompress' ? { params: { 1: 5 } } : {};
                    const packed = zlib[there + 'Sync'](input, params);
                    if (!zlib[back + 'Sync'](packed).equals(input)) wrong.push([there, size, 'sync']);
                    const later = await new Promise((done, failed) =>
                        zlib[back](packed, (error, out) => error ? failed(error) : done(out)));
                    if (!later.equals(input)) wrong.push([there, size, 'callback']);
                    const parts = [];
                    await pipeline(Readable.from([input.subarray(0, 10), input.subarray(10)]),
                        zlib['create' + capital(there)]({ ...params, chunkSize: 64 }),
                        zlib['create' + capital(back)](),
                        async (source) => { for await (const part of source) parts.push(part); });
                    if (!Buffer.concat(parts).equals(input)) wrong.push([there, size, 'stream']);
                }
            }
            for (const level of [-1, 0, 1, 6, 9]) for (const strategy of [0, 1, 2, 3, 4]) {
                const input = text(30000);
                const packed = zlib.deflateSync(input, { level, strategy, memLevel: 1 });
                if (zlib.inflateSync(packed).toString() !== input) wrong.push([level, strategy]);
            }
            res.json(wrong);
        };")
    .await;
    assert_eq!(found, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn native_zlib_reads_what_the_sandbox_writes_and_the_other_way_round() {
    let server = Server::start().await;
    server
        .deploy(
            "f",
            r"
            const zlib = require('zlib');
            const names = ['gzip', 'deflate', 'deflateRaw', 'gunzip', 'inflate', 'inflateRaw'];
            module.exports = (req, res) => res.send(zlib[names[req.query.n] + 'Sync'](req.rawBody));",
        )
        .await;
    let plain = sample(300_000);
    let send = async |n: usize, body: Vec<u8>| {
        let request = server.post(&format!("f?n={n}"));
        let request = request.header("content-type", "application/octet-stream");
        let answer = Answer::of(request.body(body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.body.to_vec()
    };
    let mut out = Vec::new();
    let packed = send(0, plain.clone()).await;
    GzDecoder::new(&packed[..]).read_to_end(&mut out).unwrap();
    assert!(out == plain && packed.len() < plain.len());
    out.clear();
    let packed = send(1, plain.clone()).await;
    ZlibDecoder::new(&packed[..]).read_to_end(&mut out).unwrap();
    assert!(out == plain);
    out.clear();
    let packed = send(2, plain.clone()).await;
    DeflateDecoder::new(&packed[..])
        .read_to_end(&mut out)
        .unwrap();
    assert!(out == plain);

    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(&plain).unwrap();
    assert!(send(3, gz.finish().unwrap()).await == plain);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&plain).unwrap();
    assert!(send(4, zlib.finish().unwrap()).await == plain);
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
    raw.write_all(&plain).unwrap();
    assert!(send(5, raw.finish().unwrap()).await == plain);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_codes_of_node() {
    let found = run(r"
        const zlib = require('zlib');
        const gz = zlib.gzipSync('hello'.repeat(100));
        const flipped = Buffer.from(gz);
        flipped[gz.length - 6] ^= 1;
        const dictionary = Buffer.from('hello');
        const packed = zlib.deflateSync('hello hello', { dictionary });
        const attempt = (work) => {
            try { return String(work()); } catch (e) { return [e.code, e.errno ?? 0, e.message]; }
        };
        module.exports = (req, res) => res.json([
            () => zlib.gunzipSync(Buffer.from('xx')),
            () => zlib.gunzipSync(gz.subarray(0, 15)),
            () => zlib.gunzipSync(Buffer.alloc(0)),
            () => zlib.gunzipSync(flipped),
            () => zlib.inflateRawSync(Buffer.from([0xff, 0xff])),
            () => zlib.inflateSync(packed),
            () => zlib.inflateSync(packed, { dictionary: Buffer.from('no') }),
            () => zlib.inflateSync(packed, { dictionary }),
            () => zlib.gunzipSync(Buffer.concat([zlib.gzipSync('one'), zlib.gzipSync('two')])),
            () => zlib.brotliDecompressSync(Buffer.from([0xff, 1, 2, 3])),
            () => zlib.brotliDecompressSync(Buffer.from('hello world, not brotli')),
            () => zlib.brotliDecompressSync(zlib.brotliCompressSync('hello').subarray(0, 4)),
            () => zlib.inflateSync(zlib.deflateSync(Buffer.alloc(1e6)), { maxOutputLength: 1000 }),
            () => zlib.crc32('hello'),
        ].map(attempt));")
    .await;
    assert_eq!(
        found,
        json!([
            ["Z_DATA_ERROR", -3, "incorrect header check"],
            ["Z_BUF_ERROR", -5, "unexpected end of file"],
            ["Z_BUF_ERROR", -5, "unexpected end of file"],
            ["Z_DATA_ERROR", -3, "incorrect data check"],
            ["Z_DATA_ERROR", -3, "invalid block type"],
            ["Z_NEED_DICT", 2, "Missing dictionary"],
            ["Z_NEED_DICT", 2, "Bad dictionary"],
            "hello hello",
            "onetwo",
            ["ERR__ERROR_FORMAT_PADDING_2", -15, "Decompression failed"],
            ["ERR__ERROR_FORMAT_CL_SPACE", -6, "Decompression failed"],
            ["Z_BUF_ERROR", -5, "unexpected end of file"],
            [
                "ERR_BUFFER_TOO_LARGE",
                0,
                "Cannot create a Buffer larger than 1000 bytes"
            ],
            "907060870",
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_streams_go_there_and_back() {
    let found = run(r"
        const zlib = require('zlib');
        module.exports = async (req, res) => {
            const found = [];
            for (const format of ['gzip', 'deflate', 'deflate-raw']) {
                const blob = new Blob(['a'.repeat(70000), 'b']);
                const packed = blob.stream().pipeThrough(new CompressionStream(format));
                const back = packed.pipeThrough(new DecompressionStream(format));
                found.push((await new Response(back).text()).length);
            }
            const cut = new Blob([zlib.gzipSync('x').subarray(0, 9)]).stream();
            await new Response(cut.pipeThrough(new DecompressionStream('gzip'))).text()
                .catch((e) => found.push(e.name, e.code));
            const more = new Blob([zlib.gzipSync('x'), new Uint8Array(1)]).stream();
            await new Response(more.pipeThrough(new DecompressionStream('gzip'))).text()
                .catch((e) => found.push(e.name));
            res.json(found);
        };")
    .await;
    assert_eq!(
        found,
        json!([
            70_001,
            70_001,
            70_001,
            "TypeError",
            "Z_BUF_ERROR",
            "TypeError"
        ])
    );
}

/// What a bomb takes is the invocation's own, and ends nothing but that.
#[tokio::test(flavor = "multi_thread")]
async fn a_decompression_bomb_ends_its_own_invocation_only() {
    let server = Server::start().await;
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..512 {
        bomb.write_all(&zeros).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    server
        .deploy(
            "f",
            r"const zlib = require('zlib');
            module.exports = (req, res) => res.json(zlib.gunzipSync(req.rawBody).length);",
        )
        .await;
    let send = async |body: Vec<u8>| {
        let request = server.post("f");
        let request = request.header("content-type", "application/octet-stream");
        Answer::of(request.body(body)).await
    };
    send(bomb).await.expect_problem(507, "memory_exceeded");
    let mut small = GzEncoder::new(Vec::new(), Compression::fast());
    small.write_all(b"small").unwrap();
    send(small.finish().unwrap()).await.expect(200, "5");
}

/// Hands the natives' streams to code that misuses them.
#[tokio::test(flavor = "multi_thread")]
async fn misused_streams_fail_and_leave_the_sandbox_whole() {
    let found = run(r"
        const zlib = require('zlib');
        const attempt = (work) => { try { return String(work()); } catch (e) { return e.code ?? e.name; } };
        module.exports = (req, res) => {
            const gz = zlib.createGzip();
            const handle = gz._handle;
            const bytes = new Uint8Array(100000);
            // Input and output in the same buffer, and places outside of it.
            handle.writeSync(4, bytes, 0, 100000, bytes, 0, 100000);
            attempt(() => handle.writeSync(4, bytes, 4294967290, 10, bytes, 99999999, 5));
            attempt(() => handle.writeSync(4, bytes, -1, 10, bytes, -1, 5));
            attempt(() => handle.writeSync(4, {}, 0, 10, 'text', 0, 5));
            const closed = zlib.createInflate();
            const inflate = closed._handle;
            inflate.close();
            const many = () => {
                for (let i = 0; i < 2000; i++) zlib.createDeflate({ memLevel: 1, windowBits: 9 })
                    ._handle.writeSync(0, bytes, 0, 1, bytes, 0, 50);
            };
            res.json([
                attempt(() => inflate.writeSync(0, bytes, 0, 1, bytes, 0, 1)),
                attempt(many),
                attempt(() => gz._handle.writeSync(99, bytes, 0, 1, bytes, 0, 9)),
            ]);
        };")
    .await;
    assert_eq!(found[0], json!("ERR_ZLIB_INITIALIZATION_FAILED"));
    assert_eq!(found[1], json!("ERR_ZLIB_INITIALIZATION_FAILED"));
}
