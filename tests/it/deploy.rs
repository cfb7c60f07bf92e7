//! The control plane: what may be deployed, by whom, and what becomes of versions.

use std::io::{Cursor, Write};
use std::time::{Duration, Instant};

use crate::server::{Answer, Options, Server};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tar::{EntryType, Header};
use zip::write::{SimpleFileOptions, ZipWriter};

const INDEX: &[u8] = b"const lib = require('./lib/a');\n\
    module.exports = (req, res) => res.send(lib.name);\n";
const LIB: &[u8] = b"exports.name = 'from the archive';\n";

pub(crate) const FUNCTION: &str = "/api/v1/tenants/default/functions/f";

/// One entry of a tar, with its name and link as they are.
pub(crate) fn tar_entry(kind: EntryType, name: &str, link: &str, data: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    let fields = header.as_old_mut();
    fields.name[..name.len()].copy_from_slice(name.as_bytes());
    fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(data.len() as u64);
    header.set_cksum();
    let mut entry = header.as_bytes().to_vec();
    entry.extend(data);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

fn tar_file(name: &str, data: &[u8]) -> Vec<u8> {
    tar_entry(EntryType::Regular, name, "", data)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Entries, and a good function before them.
pub(crate) fn tar_gz(entries: &[Vec<u8>]) -> Vec<u8> {
    let good = [tar_file("index.js", INDEX), tar_file("lib/a.js", LIB)].concat();
    gzip(&[good, entries.concat(), vec![0; 1024]].concat())
}

/// The same as a zip, with more that `add` adds.
fn zip_of(add: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data) in [("index.js", INDEX), ("lib/a.js", LIB)] {
        writer
            .start_file(name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(data).unwrap();
    }
    add(&mut writer);
    writer.finish().unwrap().into_inner()
}

pub(crate) async fn upload(server: &Server, content_type: &str, bytes: Vec<u8>) -> Answer {
    let request = server
        .request(Method::PUT, FUNCTION)
        .header("content-type", content_type)
        .body(bytes);
    Answer::of(request).await
}

async fn call(server: &Server, method: Method, path: &str) -> Answer {
    Answer::of(server.request(method, path)).await
}

/// Nothing of a refused upload is there.
async fn assert_nothing_stored(server: &Server) {
    for path in [FUNCTION, &format!("{FUNCTION}/versions")] {
        let answer = call(server, Method::GET, path).await;
        answer.expect_problem(404, "function_not_found");
    }
    let answer = Answer::of(server.invoke("f")).await;
    answer.expect_problem(404, "function_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn good_archives_are_deployed() {
    let server = Server::start().await;
    let mut again = false;
    for (content_type, bytes) in [
        ("application/gzip", tar_gz(&[])),
        ("application/x-gzip", tar_gz(&[])),
        ("application/zip", zip_of(|_| {})),
    ] {
        let deployed = upload(&server, content_type, bytes).await;
        // However they are packed, they are the same files.
        let status = if again { 200 } else { 201 };
        assert_eq!(
            deployed.status,
            status,
            "{content_type}: {}",
            deployed.text()
        );
        again = true;
        let deployed = deployed.json();
        assert_eq!(deployed["files"], 2);
        assert_eq!(deployed["source_bytes"], INDEX.len() + LIB.len());
        assert_eq!(deployed["entry"], "index.js");
        let answer = Answer::of(server.invoke("f")).await;
        answer.expect(200, "from the archive");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_that_lead_outside_are_refused_and_nothing_is_stored() {
    let server = Server::start().await;
    let link = |kind, target: &str| tar_entry(kind, "link.js", target, b"");
    let entries = [
        tar_file("../evil.js", b"evil"),
        tar_file("lib/../../evil.js", b"evil"),
        tar_file("/etc/evil.js", b"evil"),
        tar_file("C:/evil.js", b"evil"),
        tar_file("..\\evil.js", b"evil"),
        link(EntryType::Symlink, "/etc/passwd"),
        link(EntryType::Symlink, "index.js"),
        link(EntryType::Link, "/etc/passwd"),
        link(EntryType::Link, "index.js"),
        link(EntryType::Fifo, ""),
        link(EntryType::Char, ""),
        tar_file("index.js", b"twice"),
    ];
    for entry in entries {
        let name = String::from_utf8_lossy(&entry[..100]).into_owned();
        let answer = upload(&server, "application/gzip", tar_gz(&[entry])).await;
        assert_eq!(answer.status, 400, "{name}");
        answer.expect_problem(400, "archive_invalid");
        assert_nothing_stored(&server).await;
    }
    let options = SimpleFileOptions::default;
    for name in [
        "../evil.js",
        "a/../../evil.js",
        "/etc/evil.js",
        "..\\evil.js",
    ] {
        // The writer may mend names; the wrong one is put in afterwards, of the same length.
        let innocent = "i".repeat(name.len());
        let mut bytes = zip_of(|zip| {
            zip.start_file(innocent.as_str(), options()).unwrap();
            zip.write_all(b"evil").unwrap();
        });
        let mut replaced = 0;
        for at in 0..bytes.len() - innocent.len() {
            if bytes[at..].starts_with(innocent.as_bytes()) {
                bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
                replaced += 1;
            }
        }
        assert_eq!(replaced, 2, "in both headers");
        let answer = upload(&server, "application/zip", bytes).await;
        answer.expect_problem(400, "archive_invalid");
        assert_nothing_stored(&server).await;
    }
    let symlink = zip_of(|zip| {
        zip.add_symlink("link.js", "/etc/passwd", options())
            .unwrap();
    });
    let answer = upload(&server, "application/zip", symlink).await;
    answer.expect_problem(400, "archive_invalid");
    assert_nothing_stored(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_archives_are_refused_and_nothing_is_stored() {
    let server = Server::start().await;
    let whole = tar_gz(&[]);
    let zipped = zip_of(|_| {});
    for (content_type, bytes) in [
        ("application/gzip", whole[..whole.len() / 2].to_vec()),
        ("application/gzip", zipped.clone()),
        ("application/gzip", b"not an archive".to_vec()),
        ("application/gzip", Vec::new()),
        ("application/gzip", gzip(&[0; 1024])),
        ("application/zip", zipped[..zipped.len() / 2].to_vec()),
        ("application/zip", whole.clone()),
        ("application/zip", Vec::new()),
    ] {
        let answer = upload(&server, content_type, bytes).await;
        answer.expect_problem(400, "archive_invalid");
        assert_nothing_stored(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_are_refused_and_nothing_is_stored() {
    let server = Server::start().await;
    let zeros = vec![0; 201 << 20];
    let in_tar = tar_gz(&[tar_file("bomb.bin", &zeros)]);
    assert!(in_tar.len() < 4 << 20, "{}", in_tar.len());
    let in_zip = zip_of(|zip| {
        zip.start_file("bomb.bin", SimpleFileOptions::default())
            .unwrap();
        zip.write_all(&zeros).unwrap();
    });
    assert!(in_zip.len() < 4 << 20, "{}", in_zip.len());
    drop(zeros);
    let many: Vec<_> = (0..20_001)
        .map(|i| tar_file(&format!("many/{i}"), b""))
        .collect();
    for (content_type, bytes) in [
        ("application/gzip", in_tar),
        ("application/zip", in_zip),
        ("application/gzip", tar_gz(&many)),
        ("application/gzip", vec![0; (50 << 20) + 1]),
        ("application/javascript", vec![b' '; (50 << 20) + 1]),
    ] {
        let answer = upload(&server, content_type, bytes).await;
        answer.expect_problem(413, "archive_too_large");
        assert_nothing_stored(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_archive_leaves_the_version_before_alone() {
    let server = Server::start().await;
    let deployed = upload(&server, "application/gzip", tar_gz(&[])).await;
    assert_eq!(deployed.status, 201);
    let evil = tar_gz(&[tar_file("../evil.js", b"")]);
    let answer = upload(&server, "application/gzip", evil).await;
    answer.expect_problem(400, "archive_invalid");
    let answer = Answer::of(server.invoke("f")).await;
    answer.expect(200, "from the archive");
    let shown = call(&server, Method::GET, FUNCTION).await.json();
    assert_eq!(shown["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_says_what_it_is() {
    let server = Server::start().await;
    for content_type in ["text/plain", "application/json", "multipart/form-data"] {
        let answer = upload(&server, content_type, INDEX.to_vec()).await;
        answer.expect_problem(400, "body_invalid");
    }
    for filename in [
        "index.coffee",
        "a/index.js",
        "..%2findex.js",
        ".js",
        "%00.js",
        "",
    ] {
        let source = "module.exports = () => {};";
        let request = server.deploy_request("default", "f", filename, source, &json!({}));
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 400, "{filename}: {}", answer.text());
    }
    let latin1 = b"module.exports = (req, res) => res.send('\xe9');".to_vec();
    let answer = upload(&server, "application/javascript", latin1).await;
    answer.expect_problem(400, "archive_invalid");
    for (tenant, function) in [
        ("default", "-"),
        ("UPPER%20", "f"),
        ("a", "x%2fy"),
        ("a", "f%00"),
    ] {
        let source = "module.exports = () => {};";
        let request = server.deploy_request(tenant, function, "index.js", source, &json!({}));
        let answer = Answer::of(request).await;
        answer.expect_problem(400, "invalid_name");
    }
    assert_nothing_stored(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_entry_is_found_or_named() {
    let server = Server::start().await;
    let says = |text: &str| format!("module.exports = (req, res) => res.send('{text}');");
    let (a, b, c) = (says("a"), says("b"), says("c"));
    let module = "export default (req, res) => res.send('module');";
    type Files<'a> = Vec<(&'a str, &'a str)>;
    let cases: Vec<(Files<'_>, Value, &str, &str)> = vec![
        (
            vec![("index.js", &a), ("b.js", &b)],
            json!({}),
            "index.js",
            "a",
        ),
        (
            vec![("index.mjs", module), ("b.js", &b)],
            json!({}),
            "index.mjs",
            "module",
        ),
        (vec![("index.cjs", &c)], json!({}), "index.cjs", "c"),
        (
            vec![("index.js", &a), ("index.mjs", module)],
            json!({}),
            "index.js",
            "a",
        ),
        (
            vec![
                ("index.js", &a),
                ("src/b.js", &b),
                ("package.json", r#"{"main":"./src/b.js"}"#),
            ],
            json!({}),
            "src/b.js",
            "b",
        ),
        (
            vec![("src/index.js", &b), ("package.json", r#"{"main":"src"}"#)],
            json!({}),
            "src/index.js",
            "b",
        ),
        (
            vec![
                ("index.js", module),
                ("package.json", r#"{"type":"module"}"#),
            ],
            json!({}),
            "index.js",
            "module",
        ),
        (
            vec![("index.js", &a), ("b.js", &b)],
            json!({ "entry": "./b.js" }),
            "b.js",
            "b",
        ),
    ];
    for (files, settings, entry, answer) in cases {
        let deployed = server.deploy_files("f", &files, settings).await;
        assert_eq!(deployed.status, 201, "{files:?}: {}", deployed.text());
        assert_eq!(deployed.json()["entry"], entry, "{files:?}");
        Answer::of(server.invoke("f")).await.expect(200, answer);
    }
    let files = [("main.js", a.as_str())];
    for settings in [
        json!({}),
        json!({ "entry": "missing.js" }),
        json!({ "entry": "../main.js" }),
    ] {
        let answer = server.deploy_files("g", &files, settings).await;
        answer.expect_problem(422, "entry_not_found");
    }
}

const TELLS_X: &str = "module.exports = (req, res) => res.send(`${process.env.X}`);";

async fn invoke_x(server: &Server, expected: &str) {
    Answer::of(server.invoke("f")).await.expect(200, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_activated_rolled_back_and_deleted_with_their_environment() {
    let server = Server::start().await;
    for x in ["1", "2", "3"] {
        let settings = json!({ "env": { "X": x } });
        let deployed = server.deploy_with("f", TELLS_X, settings).await;
        assert_eq!(deployed["version"].to_string(), x);
        assert_eq!(deployed["active"], true);
        assert_eq!(deployed["env"], json!(["X"]));
        invoke_x(&server, x).await;
    }
    let version = |n: u32, rest: &str| format!("{FUNCTION}/versions/{n}{rest}");
    let activated = call(&server, Method::POST, &version(1, "/activate")).await;
    assert_eq!(activated.status, 200);
    assert_eq!(activated.json()["version"], 1);
    invoke_x(&server, "1").await;
    let versions = call(&server, Method::GET, &format!("{FUNCTION}/versions")).await;
    let listed: Vec<_> = versions.json()["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["version"].as_u64().unwrap(), one["active"] == true))
        .collect();
    assert_eq!(listed, [(3, false), (2, false), (1, true)]);
    let answer = call(&server, Method::DELETE, &version(1, "")).await;
    answer.expect_problem(409, "version_active");
    let answer = call(&server, Method::DELETE, &version(2, "")).await;
    assert_eq!(answer.status, 204);
    for (method, path) in [
        (Method::DELETE, version(2, "")),
        (Method::POST, version(2, "/activate")),
        (Method::POST, version(9, "/activate")),
    ] {
        let answer = call(&server, method, &path).await;
        answer.expect_problem(404, "version_not_found");
    }
    invoke_x(&server, "1").await;
    // Numbers are never used again, and deploying need not activate.
    let settings = json!({ "env": { "X": "4" }, "activate": false });
    let deployed = server.deploy_with("f", TELLS_X, settings).await;
    assert_eq!(
        (&deployed["version"], &deployed["active"]),
        (&json!(4), &json!(false))
    );
    invoke_x(&server, "1").await;
    call(&server, Method::POST, &version(4, "/activate")).await;
    invoke_x(&server, "4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_function_is_gone_and_its_keys_stay() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => res.json(await kv.increment('n'));";
    server.deploy("f", source).await;
    Answer::of(server.invoke("f")).await.expect(200, "1");
    let answer = call(&server, Method::DELETE, FUNCTION).await;
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    assert_nothing_stored(&server).await;
    let answer = call(&server, Method::DELETE, FUNCTION).await;
    answer.expect_problem(404, "function_not_found");
    server.deploy("f", source).await;
    Answer::of(server.invoke("f")).await.expect(200, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_the_active_one_survive_a_restart() {
    let server = Server::start().await;
    for x in ["1", "2"] {
        server
            .deploy_with("f", TELLS_X, json!({ "env": { "X": x } }))
            .await;
    }
    let path = format!("{FUNCTION}/versions/1/activate");
    assert_eq!(call(&server, Method::POST, &path).await.status, 200);
    let data = server.stop().await;
    let server = Server::with(Options {
        data: Some(data),
        ..Options::default()
    })
    .await;
    invoke_x(&server, "1").await;
    let path = format!("{FUNCTION}/versions/2/activate");
    assert_eq!(call(&server, Method::POST, &path).await.status, 200);
    invoke_x(&server, "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_checked_before_anything_else() {
    let server = Server::start().await;
    let many: serde_json::Map<String, Value> =
        (0..257).map(|i| (format!("V{i}"), json!(""))).collect();
    let large = "x".repeat(64 << 10);
    for settings in [
        json!({ "env": { "1X": "" } }),
        json!({ "env": { "": "" } }),
        json!({ "env": { "A B": "" } }),
        json!({ "env": { "A=": "" } }),
        json!({ "env": { "X": 1 } }),
        json!({ "env": many }),
        json!({ "route": "users/:id" }),
        json!({ "route": format!("/{}", "x".repeat(512)) }),
        json!({ "limits": { "fuel": 0 } }),
        json!({ "unknown": true }),
        json!({ "activate": "yes" }),
        json!([]),
        json!("text"),
    ] {
        let request = server.deploy_request("default", "f", "index.js", TELLS_X, &settings);
        let answer = Answer::of(request).await;
        answer.expect_problem(400, "settings_invalid");
        assert_nothing_stored(&server).await;
    }
    // Larger than a header section may be: refused, one way or the other.
    let settings = json!({ "env": { "X": large } });
    let request = server.deploy_request("default", "f", "index.js", TELLS_X, &settings);
    let answer = Answer::of(request).await;
    assert!(matches!(answer.status, 400 | 431), "{}", answer.text());
    assert_nothing_stored(&server).await;
    let request = server
        .request(Method::PUT, FUNCTION)
        .header("content-type", "application/javascript")
        .header("x-ampoule-settings", "{not json")
        .body(TELLS_X);
    let answer = Answer::of(request).await;
    answer.expect_problem(400, "settings_invalid");
    assert_nothing_stored(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_may_be_anything_that_json_can_say() {
    let server = Server::start().await;
    let settings = "%7B%22env%22%3A%7B%22X%22%3A%22gr%C3%BC%C3%9Fe%20%25%22%7D%7D";
    let request = server
        .request(Method::PUT, FUNCTION)
        .header("content-type", "application/javascript")
        .header("x-ampoule-settings", settings)
        .body(TELLS_X);
    assert_eq!(Answer::of(request).await.status, 201);
    invoke_x(&server, "grüße %").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_fills_the_parameters() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => res.json([req.params, req.path]);";
    let settings = json!({ "route": "/users/:userId/items/:item" });
    let deployed = server.deploy_with("f", source, settings).await;
    assert_eq!(deployed["route"], "/users/:userId/items/:item");
    Answer::of(server.invoke("f/users/4%202/items/x?q=1"))
        .await
        .expect(
            200,
            r#"[{"userId":"4 2","item":"x"},"/users/4%202/items/x"]"#,
        );
    Answer::of(server.invoke("f/other"))
        .await
        .expect(200, r#"[{},"/other"]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_only_this_machine_reaches_the_control_plane() {
    let server = Server::start().await;
    server
        .deploy("f", "module.exports = (req, res) => res.send('fine');")
        .await;
    let foreign = [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1.evil.example"),
        ("origin", "http://localhost.evil.example:4000"),
        ("host", "evil.example"),
        ("host", "evil.example:4000"),
        ("host", "127.0.0.1.evil.example"),
        ("host", "localhost.evil.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    let requests = [
        (Method::GET, "/api/v1/status".to_owned()),
        (Method::GET, FUNCTION.to_owned()),
        (Method::PUT, FUNCTION.to_owned()),
        (Method::POST, format!("{FUNCTION}/versions/1/activate")),
        (Method::DELETE, FUNCTION.to_owned()),
        (Method::GET, format!("{FUNCTION}/logs")),
        (Method::OPTIONS, FUNCTION.to_owned()),
        (Method::GET, "/api/v1/nothing".to_owned()),
    ];
    for (name, value) in foreign {
        for (method, path) in &requests {
            let request = server
                .request(method.clone(), path)
                .header("content-type", "application/javascript")
                .header(name, value);
            let answer = Answer::of(request).await;
            assert_eq!(answer.status, 403, "{method} {path} with {name}: {value}");
            let answer = answer.expect_problem(403, "foreign_origin");
            assert!(answer.header("access-control-allow-origin").is_none());
        }
        // Functions are open: they decide themselves.
        let answer = Answer::of(server.invoke("f").header(name, value)).await;
        answer.expect(200, "fine");
    }
    let port = server.address.port();
    for (name, value) in [
        ("origin", format!("http://localhost:{port}")),
        ("origin", format!("http://127.0.0.1:{port}")),
        ("host", format!("localhost:{port}")),
        ("host", format!("[::1]:{port}")),
        ("sec-fetch-site", "same-origin".to_owned()),
        ("sec-fetch-site", "none".to_owned()),
    ] {
        let request = server
            .request(Method::GET, "/api/v1/status")
            .header(name, &value);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 200, "{name}: {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_only_the_key_opens_the_control_plane() {
    let server = Server::with(Options {
        key: Some("the-right-key".to_owned()),
        ..Options::default()
    })
    .await;
    let put = || {
        server
            .request(Method::PUT, FUNCTION)
            .header("content-type", "application/javascript")
            .body("module.exports = (req, res) => res.send('fine');")
    };
    let refused = [
        None,
        Some("Bearer wrong"),
        Some("Bearer the-right-keys"),
        Some("Bearer the-right-ke"),
        Some("Bearer "),
        Some("Basic the-right-key"),
        Some("the-right-key"),
    ];
    for value in refused {
        for request in [put(), server.request(Method::GET, "/api/v1/status")] {
            let request = match value {
                Some(value) => request.header("authorization", value),
                None => request,
            };
            let answer = Answer::of(request).await;
            let answer = answer.expect_problem(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(!answer.text().contains("the-right-key"));
        }
    }
    let path = "/api/v1/status?key=the-right-key";
    let answer = call(&server, Method::GET, path).await;
    answer.expect_problem(401, "unauthorized");
    // The key is all that counts: also from elsewhere.
    let request = put()
        .header("authorization", "Bearer the-right-key")
        .header("host", "ampoule.example");
    assert_eq!(Answer::of(request).await.status, 201);
    Answer::of(server.invoke("f")).await.expect(200, "fine");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(call(&server, Method::GET, path).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_takes_all_the_time_it_can_does_not_starve_another() {
    let server = Server::start().await;
    let hungry = "module.exports = (req, res) => { res.write('begun'); while (true) {} };";
    let limits = json!({ "limits": { "fuel": 1_000_000_000_000_u64, "wall_ms": 300_000 } });
    server.deploy_for("hungry", "f", hungry, limits).await;
    let quick = "module.exports = (req, res) => res.send('quick');";
    server.deploy_for("modest", "f", quick, json!({})).await;
    // More than there are processors, and each of them would go on for minutes.
    let begun = (0..8).map(|_| async {
        let mut response = server.invoke_for("hungry", "f").send().await.unwrap();
        // What a loop writes before it begins may stay in the sandbox; its head does not.
        assert_eq!(response.status(), 200);
        let _ = tokio::time::timeout(Duration::from_millis(1), response.chunk()).await;
        response
    });
    let hogs = join_all(begun).await;
    let running = server.status().await["invocations"]["running"].as_u64();
    assert!(running.unwrap() >= 8, "they are still at it: {running:?}");
    let begun = Instant::now();
    for _ in 0..20 {
        let answer = Answer::of(server.invoke_for("modest", "f")).await;
        answer.expect(200, "quick");
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(hogs);
    server.until_idle().await;
}
