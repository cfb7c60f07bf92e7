//! The promises of the document "VM Limitations", line by line: `s0_NN` tests the line S0-NN of
//! `docs/seed-lines.md`.

use std::time::{Duration, Instant};

use axum::routing::any;
use axum::{Json, Router};
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tar::EntryType;
use tokio_util::task::TaskTracker;

use crate::deploy;
use crate::fetch::{Gate, Upstream};
use crate::isolation::{POISON, TRACES};
use crate::samples::{self, assert_streamed, get, post, stored};
use crate::server::{Answer, Options, Server};

/// What the bodies of handlers below may use.
const TOOLS: &str = "
    const path = require('path');
    const told = ({ code, errno, syscall, path }) => ({ code, errno, syscall, path });
    const tries = async (work) => {
        try { await work(); return 'done'; } catch (error) { return error.code ?? String(error); }
    };
    const all = async (works) => {
        const codes = {};
        for (const [name, work] of Object.entries(works)) codes[name] = await tries(work);
        return codes;
    };";

/// What `body` returns in a handler, as JSON. Its folder has `data.txt` and `sub/more.txt`.
async fn run(server: &Server, body: &str) -> Value {
    run_with(server, body, json!({})).await
}

async fn run_with(server: &Server, body: &str, settings: Value) -> Value {
    let index = format!(
        "{TOOLS}
        module.exports = async (req, res) => res.json(await (async () => {{ {body} }})());"
    );
    let files = [
        ("index.js", index.as_str()),
        ("data.txt", "content"),
        ("sub/more.txt", "more"),
    ];
    let deployed = server.deploy_files("f", &files, settings).await;
    // 200 for files that are deployed already.
    let is_deployed = matches!(deployed.status, 200 | 201);
    assert!(is_deployed, "{}", deployed.text());
    again(server).await
}

/// What the function of [`run`] returns now.
async fn again(server: &Server) -> Value {
    let answer = Answer::of(server.invoke("f")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Every field of this object has this code.
fn assert_all(codes: &Value, expected: &str) {
    let codes = codes.as_object().unwrap();
    assert!(!codes.is_empty());
    for (name, code) in codes {
        assert_eq!(code, expected, "{name}: {codes:?}");
    }
}

/// A server whose function `sample` is a sample that fails, with what it logs.
async fn assert_sample_throws(sample: &str, logged: &str) {
    let server = Server::start().await;
    samples::deploy(&server, sample).await;
    let answer = get(&server).await;
    answer.expect_problem(500, "function_threw");
    server.log_with("sample", logged).await;
}

// File system

#[tokio::test(flavor = "multi_thread")]
async fn s0_01_write_file_sync_is_refused() {
    let server = Server::start().await;
    let body = "const fs = require('fs');
        try { fs.writeFileSync('/data.txt', 'content'); } catch (error) {
            return { ...told(error), message: error.message, isError: error instanceof Error };
        }";
    let expected = json!({
        "code": "EROFS", "errno": -30, "syscall": "open", "path": "/data.txt",
        "message": "EROFS: read-only file system, open '/data.txt'", "isError": true
    });
    assert_eq!(run(&server, body).await, expected);
    assert_sample_throws("S0-18-21", "EROFS").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_02_write_file_is_refused_by_callback_and_by_promise() {
    let server = Server::start().await;
    let body = "const fs = require('fs');
        const called = await new Promise((resolve) => fs.writeFile('/data.txt', 'x', resolve));
        const rejected = await fs.promises.writeFile('/data.txt', 'x').catch((error) => error);
        const imported = await require('fs/promises').writeFile('/data.txt', 'x').catch((e) => e);
        return [told(called), told(rejected), told(imported)];";
    let one = json!({ "code": "EROFS", "errno": -30, "syscall": "open", "path": "/data.txt" });
    assert_eq!(run(&server, body).await, json!([one, one, one]));
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_03_folders_cannot_be_made() {
    let server = Server::start().await;
    let body = "const fs = require('fs');
        return all({
            mkdirSync: () => fs.mkdirSync('/app/new'),
            recursive: () => fs.mkdirSync('/app/new/deep', { recursive: true }),
            mkdir: () => new Promise((resolve, reject) => {
                fs.mkdir('/app/new', (error) => error ? reject(error) : resolve());
            }),
            promises: () => fs.promises.mkdir('/app/new'),
            mkdtempSync: () => fs.mkdtempSync('/app/new-'),
        });";
    assert_all(&run(&server, body).await, "EROFS");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_04_files_cannot_be_deleted() {
    let server = Server::start().await;
    let body = "const fs = require('fs');
        const codes = await all({
            unlinkSync: () => fs.unlinkSync('/app/data.txt'),
            unlink: () => new Promise((resolve, reject) => {
                fs.unlink('/app/data.txt', (error) => error ? reject(error) : resolve());
            }),
            promises: () => fs.promises.unlink('/app/data.txt'),
            rmSync: () => fs.rmSync('/app/data.txt'),
            rm: () => fs.promises.rm('/app/sub', { recursive: true }),
            rmdirSync: () => fs.rmdirSync('/app/sub'),
        });
        const missing = await tries(() => fs.rmSync('/app/missing'));
        return { codes, missing, kept: fs.readFileSync('/app/data.txt', 'utf8') };";
    let said = run(&server, body).await;
    assert_all(&said["codes"], "EROFS");
    let missing = said["missing"].as_str().unwrap();
    assert!(["EROFS", "ENOENT"].contains(&missing), "{said}");
    assert_eq!(said["kept"], "content");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_05_nothing_else_about_files_can_be_changed() {
    let server = Server::start().await;
    let body = "const fs = require('fs');
        const file = '/app/data.txt';
        return all({
            chmodSync: () => fs.chmodSync(file, 0o777),
            chmod: () => new Promise((resolve, reject) => {
                fs.chmod(file, 0o777, (error) => error ? reject(error) : resolve());
            }),
            chownSync: () => fs.chownSync(file, 1, 1),
            appendFileSync: () => fs.appendFileSync(file, 'more'),
            renameSync: () => fs.renameSync(file, '/app/other.txt'),
            copyFileSync: () => fs.copyFileSync(file, '/app/other.txt'),
            truncateSync: () => fs.truncateSync(file, 0),
            openSync: () => fs.openSync(file, 'w'),
            append: () => fs.promises.open(file, 'a'),
            symlinkSync: () => fs.symlinkSync(file, '/app/link'),
            utimesSync: () => fs.utimesSync(file, 1, 1),
            createWriteStream: () => new Promise((resolve, reject) => {
                fs.createWriteStream(file).on('error', reject).on('finish', resolve).end('x');
            }),
        });";
    assert_all(&run(&server, body).await, "EROFS");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_06_a_file_of_the_package_is_read() {
    let server = Server::start().await;
    let body = "const fs = require('fs');
        const bytes = fs.readFileSync(path.join(__dirname, 'data.txt'));
        return [fs.readFileSync(path.join(__dirname, 'data.txt'), 'utf8'),
            Buffer.isBuffer(bytes), bytes.toString('hex'), __dirname];";
    let expected = json!(["content", true, "636f6e74656e74", "/app"]);
    assert_eq!(run(&server, body).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_07_read_file_calls_back() {
    let server = Server::start().await;
    let body = "const fs = require('fs');
        const read = (...given) => new Promise((resolve) => {
            fs.readFile(...given, (error, data) => resolve([error?.code ?? error, data ?? null]));
        });
        return [await read('/app/data.txt', 'utf8'), await read('/app/missing', 'utf8'),
            Buffer.isBuffer((await read('/app/data.txt'))[1]),
            await fs.promises.readFile('/app/data.txt', 'utf8')];";
    let expected = json!([[null, "content"], ["ENOENT", null], true, "content"]);
    assert_eq!(run(&server, body).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_08_readdir_lists_the_files_of_the_package() {
    let server = Server::start().await;
    let body = "const fs = require('fs');
        const names = await new Promise((resolve, reject) => {
            fs.readdir(__dirname, (error, names) => error ? reject(error) : resolve(names));
        });
        return [names.sort(), fs.readdirSync('/app/sub'), await fs.promises.readdir('sub')];";
    let expected = json!([["data.txt", "index.js", "sub"], ["more.txt"], ["more.txt"]]);
    assert_eq!(run(&server, body).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_09_stat_tells_files_from_folders() {
    let server = Server::start().await;
    let body = "const fs = require('fs');
        const tell = (stats) => [stats.isFile(), stats.isDirectory(), stats.size,
            stats.mtime instanceof Date && !isNaN(stats.mtime)];
        const called = await new Promise((resolve, reject) => {
            fs.stat('/app/data.txt', (error, stats) => error ? reject(error) : resolve(stats));
        });
        const folder = tell(fs.statSync('/app/sub'));
        return [tell(called), tell(fs.statSync('/app/data.txt')), folder[0], folder[1], folder[3],
            await tries(() => fs.statSync('/app/missing'))];";
    let file = json!([true, false, 7, true]);
    let expected = json!([file, file, false, true, true, "ENOENT"]);
    assert_eq!(run(&server, body).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_10_exists_calls_back_with_one_argument() {
    let server = Server::start().await;
    let body = "const fs = require('fs');
        const exists = (file) => new Promise((resolve) => {
            fs.exists(file, (...given) => resolve(given));
        });
        return [await exists('/app/data.txt'), await exists('/app/missing'),
            fs.existsSync('/app/data.txt'), fs.existsSync('/etc/passwd')];";
    let expected = json!([[true], [false], true, false]);
    assert_eq!(run(&server, body).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_11_nothing_outside_of_the_package_is_visible() {
    let data = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let options = Options {
        data: Some(std::sync::Arc::clone(&data)),
        ..Options::default()
    };
    let server = Server::with(options).await;
    let other = server.deploy("other", "module.exports = () => {};").await;
    let other = other["deployment"].as_str().unwrap().to_owned();
    let secret = data.path().join("secret.txt");
    std::fs::write(&secret, "secret").unwrap();
    let paths = json!([
        "/etc/passwd",
        "/proc/self/environ",
        "/proc/1/cmdline",
        "/dev/null",
        "/tmp",
        "../../etc/passwd",
        "/app/../etc/passwd",
        "/app/sub/../../../../../../etc/passwd",
        "file:///etc/passwd",
        secret,
        format!("/app/../../../../../../../..{}", secret.display()),
        data.path().join("data/files").join(&other).join("index.js"),
        format!("../{other}/index.js"),
        format!("/app/../{other}/index.js"),
    ]);
    let body = format!(
        "const fs = require('fs');
        const found = [];
        for (const file of {paths}) {{
            const given = file.startsWith('file:') ? new URL(file) : file;
            const codes = Object.values(await all({{
                readFileSync: () => fs.readFileSync(given), statSync: () => fs.statSync(given),
                readFile: () => fs.promises.readFile(given), access: () => fs.accessSync(given),
                readdirSync: () => fs.readdirSync(given), lstatSync: () => fs.lstatSync(given),
            }}));
            const hidden = codes.every((code) => code === 'ENOENT' || code === 'EACCES');
            if (!hidden || fs.existsSync(given)) found.push([file, codes]);
        }}
        return found;"
    );
    assert_eq!(run(&server, &body).await, json!([]));
    for (kind, link) in [
        (EntryType::Symlink, "/etc/passwd"),
        (EntryType::Symlink, "../../secret.txt"),
        (EntryType::Link, "/etc/passwd"),
    ] {
        let entry = deploy::tar_entry(kind, "link.txt", link, b"");
        let archive = deploy::tar_gz(&[entry]);
        let answer = deploy::upload(&server, "application/gzip", archive).await;
        assert_eq!(answer.status / 100, 4, "{link}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_12_kv_keeps_what_files_cannot() {
    let server = Server::start().await;
    let body = "const kept = await kv.get('data');
        await kv.set('data', 'content');
        return [kept, await kv.get('data') === 'content'];";
    assert_eq!(run(&server, body).await, json!([null, true]));
    assert_eq!(again(&server).await, json!(["content", true]));
}

// Process

#[tokio::test(flavor = "multi_thread")]
async fn s0_13_the_environment_has_what_is_configured() {
    let server = Server::start().await;
    let settings = json!({ "env": { "X": "configured", "EMPTY": "" } });
    let body = "const { env } = process;
        return [env.X, env.EMPTY, env.MISSING === undefined, 'MISSING' in env, Object.keys(env)];";
    let said = run_with(&server, body, settings).await;
    let expected = json!(["configured", "", true, false, ["EMPTY", "X"]]);
    assert_eq!(said, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_14_process_says_what_it_runs_on() {
    let server = Server::start().await;
    let settings = json!({ "env": { "X": "1" } });
    samples::deploy_with(&server, "S0-26-30", settings).await;
    let said = get(&server).await.json();
    assert_eq!(said[0], "1");
    let version = said[1].as_str().unwrap().strip_prefix("v20.").unwrap();
    let numbers = version.split('.').map(str::parse::<u32>);
    assert_eq!(numbers.filter(Result::is_ok).count(), 2, "{said}");
    assert!(!said[2].as_str().unwrap().is_empty(), "{said}");
    assert!(!said[3].as_str().unwrap().is_empty(), "{said}");
    assert_eq!(said[4], "/app");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_15_exit_stops_nothing() {
    let server = Server::start().await;
    let body = "let caught;
        try { process.exit(1); } catch (error) { caught = error; }
        return [caught instanceof Error, caught.code, caught.message];";
    let expected = json!([true, "EACCES", "exit: operation not permitted"]);
    assert_eq!(run(&server, body).await, expected);
    // Uncaught, it is an exception like any other; the server goes on.
    assert_sample_throws("S0-32-35", "exit: operation not permitted").await;
    assert_eq!(again(&server).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_16_nor_does_anything_else_that_reaches_for_the_process() {
    let server = Server::start().await;
    let body = "return all({
            kill: () => process.kill(1), own: () => process.kill(process.pid, 'SIGTERM'),
            chdir: () => process.chdir('/'), setuid: () => process.setuid(0),
            setgid: () => process.setgid(0), abort: () => process.abort(),
            dlopen: () => process.dlopen({}, '/app/x.node'),
        });";
    assert_all(&run(&server, body).await, "EACCES");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_17_writes_to_the_environment_have_no_effect_and_do_not_throw() {
    let server = Server::start().await;
    let settings = json!({ "env": { "API_KEY": "old-key" } });
    samples::deploy_with(&server, "S0-129-132", settings.clone()).await;
    get(&server).await.expect(200, r#"["old-key","old-key"]"#);
    let body = "'use strict';
        process.env.API_KEY = 'new-key';
        process.env.NEW = 'new';
        const { env } = process;
        const deleted = delete env.API_KEY;
        Object.assign(env, { API_KEY: 'assigned', OTHER: '1' });
        Object.defineProperty(env, 'API_KEY', { value: 'defined', configurable: true });
        class Settings {
            static { process.env.API_KEY = 'static'; }
            constructor() { process.env.API_KEY = 'constructed'; }
        }
        new Settings();
        return [{ ...env }, deleted];";
    let said = run_with(&server, body, settings).await;
    assert_eq!(said, json!([{ "API_KEY": "old-key" }, true]));
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_18_what_is_written_to_the_environment_is_not_seen_by_the_next_invocation() {
    let server = Server::start().await;
    let body = "const before = { ...process.env };
        process.env.X = 'changed'; process.env.NEW = 'new'; globalThis.kept = 'kept';
        return [before, typeof process.env.NEW, process.env.X];";
    let settings = json!({ "env": { "X": "1" } });
    let expected = json!([{ "X": "1" }, "undefined", "1"]);
    assert_eq!(run_with(&server, body, settings).await, expected);
    assert_eq!(again(&server).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_19_modules_that_reach_for_the_system_are_not_found() {
    let server = Server::start().await;
    let body = "const names = ['child_process', 'cluster', 'worker_threads', 'v8', 'dgram'];
        const codes = {};
        for (const name of names.flatMap((name) => [name, `node:${name}`])) {
            codes[`require ${name}`] = await tries(() => require(name));
            const imported = await tries(() => import(name));
            codes[`import ${name}`] = imported.replace(/^ERR_/, '');
        }
        return codes;";
    assert_all(&run(&server, body).await, "MODULE_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_20_os_tells_nothing_about_the_host() {
    let server = Server::start().await;
    let body = "const os = require('os');
        return [os.EOL, os.platform(), os.type(), os.arch() === process.arch,
            os.cpus().length <= 1, typeof os.totalmem(), os.hostname()];";
    let said = run(&server, body).await;
    let known = said.as_array().unwrap();
    let expected = json!(["\n", "linux", "Linux", true, true, "number"]);
    assert_eq!(json!(known[..6]), expected);
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    assert!(own.trim() != said[6] || own.trim() == "localhost", "{said}");
}

// Network

#[tokio::test(flavor = "multi_thread")]
async fn s0_21_no_http_server_can_be_made() {
    let server = Server::start().await;
    let body = "return all({
            http: () => require('http').createServer().listen(3000),
            https: () => require('https').createServer({}).listen(3000),
        });";
    assert_all(&run(&server, body).await, "ENOTSUP");
    assert_sample_throws("S0-44-46", "ENOTSUP").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_22_no_tcp_server_can_be_made() {
    let server = Server::start().await;
    let body = "return all({
            net: () => require('net').createServer().listen(8080),
            tls: () => require('tls').createServer({}).listen(8080),
        });";
    assert_all(&run(&server, body).await, "ENOTSUP");
    assert_sample_throws("S0-47-49", "ENOTSUP").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_23_fetch_answers_with_a_response() {
    let server = Server::start().await;
    let said = any(|| async { Json(json!({ "n": 1 })) });
    let upstream = Upstream::start(Router::new().route("/data", said)).await;
    let body = "const response = await fetch(process.env.URL);
        const other = await fetch(process.env.URL);
        const missing = await fetch(process.env.URL + '/missing');
        return [response.status, response.ok, await response.json(), await other.text(),
            missing.status, missing.ok];";
    let settings = json!({ "env": { "URL": upstream.url("/data") } });
    let said = run_with(&server, body, settings).await;
    assert_eq!(
        said,
        json!([200, true, { "n": 1 }, "{\"n\":1}", 404, false])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_25_without_a_policy_any_outbound_call_is_allowed() {
    let server = Server::start().await;
    let ports = join_all((0..3).map(|_| Upstream::saying("HTTP/1.1 204 Fine\r\n\r\n"))).await;
    let urls: Vec<_> = ports.iter().map(|port| port.url("/")).collect();
    let body = format!(
        "const statuses = [];
        for (const url of {}) statuses.push((await fetch(url)).status);
        return statuses;",
        json!(urls)
    );
    assert_eq!(run(&server, &body).await, json!([204, 204, 204]));
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_31_a_call_that_is_refused_rejects_and_harms_nothing_else() {
    let server = Server::start().await;
    // Without any policy the service's own address is refused.
    let body = "const error = await fetch(process.env.URL).catch((error) => error);
        return [error instanceof TypeError, error.cause.code];";
    let settings = json!({ "env": { "URL": server.url("/healthz") } });
    let said = run_with(&server, body, settings).await;
    assert_eq!(said, json!([true, "denied"]));
    assert_eq!(again(&server).await, said);
}

// Modules

#[tokio::test(flavor = "multi_thread")]
async fn s0_32_packages_of_pure_javascript_load_and_native_ones_say_why_not() {
    let server = Server::start().await;
    let index = "const pure = require('pure');
        let refused;
        try { require('native'); } catch (error) { refused = [error.code, error.message]; }
        module.exports = (req, res) => res.json([pure.twice(21), refused]);";
    let files = [
        ("index.js", index),
        (
            "node_modules/pure/package.json",
            r#"{"main":"lib/pure.js"}"#,
        ),
        (
            "node_modules/pure/lib/pure.js",
            "exports.twice = (n) => require('./n').times * n;",
        ),
        ("node_modules/pure/lib/n.js", "exports.times = 2;"),
        (
            "node_modules/native/index.js",
            "module.exports = require('./build/Release/native.node');",
        ),
        ("node_modules/native/build/Release/native.node", "\u{7f}ELF"),
    ];
    let deployed = server.deploy_files("f", &files, json!({})).await;
    assert_eq!(deployed.status, 201, "{}", deployed.text());
    let said = again(&server).await;
    assert_eq!(said[0], 42);
    assert_eq!(said[1][0], "ERR_DLOPEN_FAILED");
    let message = said[1][1].as_str().unwrap();
    assert!(message.contains("native addon"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_33_every_module_of_the_list_loads_with_and_without_its_prefix() {
    let server = Server::start().await;
    let body = "const missing = [];
        for (const name of ['assert', 'buffer', 'console', 'crypto', 'dns', 'events', 'fs', 'http',
            'https', 'net', 'path', 'process', 'punycode', 'stream', 'string_decoder', 'timers',
            'timers/promises', 'tls', 'url', 'util', 'zlib']) {
            const loaded = await tries(() => {
                const module = require(name);
                if (module === undefined) throw 'nothing';
                if (require(`node:${name}`) !== module) throw 'another';
            });
            const imported = await tries(() => import(`node:${name}`));
            if (loaded !== 'done' || imported !== 'done') missing.push([name, loaded, imported]);
        }
        // These have no prefix in Node.
        for (const name of ['mime-types', 'node-fetch', 'ws']) {
            const loaded = await tries(() => require(name));
            if (loaded !== 'done') missing.push([name, loaded]);
        }
        return missing;";
    assert_eq!(run(&server, body).await, json!([]));
}

// Limits

#[tokio::test(flavor = "multi_thread")]
async fn s0_34_a_sleep_of_sixty_seconds_is_ended_after_thirty() {
    let server = Server::start().await;
    samples::deploy(&server, "S0-80-84").await;
    run(&server, "return 1;").await;
    let begun = Instant::now();
    let sleeping = async {
        let answer = get(&server).await;
        answer.expect_problem(504, "wall_exceeded");
        begun.elapsed()
    };
    let others = async {
        for _ in 0..20 {
            assert_eq!(again(&server).await, 1);
        }
    };
    let (took, ()) = tokio::join!(sleeping, others);
    assert!(took >= Duration::from_millis(29_900), "{took:?}");
    assert!(took < Duration::from_secs(45), "{took:?}");
    assert_eq!(again(&server).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_35_whatever_goes_on_without_end_is_ended() {
    let server = Server::start().await;
    for body in [
        "while (true) {}",
        "const again = () => Promise.resolve().then(again); await again(); for (;;) await null;",
        "for (;;) await kv.get('nothing');",
        "return /^(a+)+$/.test('a'.repeat(40) + 'b');",
        "const numbers = Array.from({ length: 1e5 }, (_, i) => (i * 7919) % 100003);
         return numbers.sort((a, b) => { for (let i = 0; i < 1e4; i++); return a - b; });",
    ] {
        let source = format!("module.exports = async () => {{ {body} }};");
        let settings = json!({ "limits": { "fuel": 300_000_000 } });
        server.deploy_with("endless", &source, settings).await;
        let answer = Answer::of(server.invoke("endless")).await;
        answer.expect_problem(504, "cpu_exceeded");
        assert_eq!(run(&server, "return 1;").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_36_memory_is_256_mib_and_whoever_exceeds_it_fails_alone() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => {
        const bytes = new Uint8Array(Number(req.query.mib) * 2 ** 20);
        bytes.fill(1);
        res.json(bytes.length / 2 ** 20);
    };";
    let deployed = server.deploy("hungry", source).await;
    assert_eq!(deployed["limits"]["memory_bytes"], 256 << 20);
    run(&server, "return 1;").await;
    for _ in 0..2 {
        let answer = Answer::of(server.invoke("hungry?mib=240")).await;
        answer.expect(200, "240");
        let answer = Answer::of(server.invoke("hungry?mib=288")).await;
        answer.expect_problem(507, "memory_exceeded");
        assert_eq!(again(&server).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_37_an_array_of_ten_million_ends_well_or_cleanly() {
    let server = Server::start().await;
    samples::deploy(&server, "S0-92-96").await;
    let answer = get(&server).await;
    match answer.status {
        200 => drop(answer.expect(200, "null")),
        _ => drop(answer.expect_problem(507, "memory_exceeded")),
    }
    assert_eq!(run(&server, "return 1;").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_38_what_kv_holds_is_answered() {
    let server = Server::start().await;
    let body = "await kv.set('data', { b: [1, 'é'], a: null }); return null;";
    run(&server, body).await;
    let source = "module.exports = async (req, res) => {
        const data = await kv.get('data');
        res.json(data);
    };";
    server.deploy("reads", source).await;
    let answer = Answer::of(server.invoke("reads")).await;
    answer.expect(200, r#"{"b":[1,"é"],"a":null}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_39_a_tenant_that_needs_much_cpu_does_not_starve_another() {
    let server = Server::start().await;
    let hungry = "module.exports = (req, res) => { res.write('begun'); while (true) {} };";
    let limits = json!({ "limits": { "fuel": 1_000_000_000_000_u64, "wall_ms": 300_000 } });
    server.deploy_for("hungry", "f", hungry, limits).await;
    run(&server, "return 1;").await;
    let begun = (0..4).map(|_| server.invoke_for("hungry", "f").send());
    let hogs = join_all(begun).await;
    assert!(hogs.iter().all(|hog| hog.as_ref().unwrap().status() == 200));
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(again(&server).await, 1);
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(hogs);
    server.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_40_the_client_has_its_answer_before_the_work_is_done() {
    let server = Server::start().await;
    let gate = Gate::new();
    let upstream = Upstream::start(Router::new().route("/gate", gate.route())).await;
    let source = "module.exports = async (req, res) => {
        res.json({ status: 'processing' });
        await fetch(process.env.GATE);
        await kv.set('done', true);
    };";
    let settings = json!({ "env": { "GATE": upstream.url("/gate") } });
    server.deploy_with("sample", source, settings).await;
    get(&server).await.expect(200, r#"{"status":"processing"}"#);
    gate.arrived(1).await;
    assert_eq!(stored(&server, "done"), None);
    gate.open();
    server.until_idle().await;
    assert_eq!(stored(&server, "done").as_deref(), Some("true"));
}

// Timing

#[tokio::test(flavor = "multi_thread")]
async fn s0_41_a_timer_never_runs_in_a_later_invocation() {
    let server = Server::start().await;
    samples::deploy(&server, "S0-106-109").await;
    get(&server).await.expect(200, "sent");
    // Nothing is left of the invocation that could run it.
    server.until_idle().await;
    assert!(server.log("sample").await.is_empty());
    let source = "module.exports = async (req, res) => {
        if (req.query.looks) return res.json([await sleep(200), await kv.get('late')]);
        setTimeout(() => kv.set('late', 1), 20);
        res.json([]);
    };";
    server.deploy("f", source).await;
    Answer::of(server.invoke("f")).await.expect(200, "[]");
    let answer = Answer::of(server.invoke("f?looks=1")).await;
    answer.expect(200, "[null,null]");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_42_a_timer_runs_while_its_invocation_goes_on() {
    let server = Server::start().await;
    samples::deploy(&server, "S0-106-109").await;
    let answer = Answer::of(server.invoke("sample?ms=6000")).await;
    answer.expect(200, "sent");
    let text = "This runs only during current invocation";
    assert_eq!(server.log_with("sample", text).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_44_the_clock_is_the_wall_clock_in_whole_milliseconds() {
    let server = Server::start().await;
    samples::deploy(&server, "S0-113-119").await;
    let before = ampoule::clock::now_ms();
    let said = get(&server).await.json();
    let after = ampoule::clock::now_ms();
    for time in [&said[0], &said[1]] {
        let time = time.as_u64().expect("whole milliseconds");
        assert!((before..=after).contains(&time), "{before} {said} {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_45_console_time_writes_its_label_and_milliseconds() {
    let server = Server::start().await;
    samples::deploy(&server, "S0-113-119").await;
    get(&server).await;
    let log = server.log_with("sample", "operation: ").await;
    let message = log[0]["message"].as_str().unwrap();
    let time = message.strip_prefix("operation: ").unwrap();
    let number = time
        .strip_suffix("ms")
        .unwrap_or_else(|| panic!("{message}"));
    assert!(number.parse::<f64>().unwrap() >= 0.0, "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_46_no_clock_is_finer_than_a_millisecond() {
    let server = Server::start().await;
    let body = "const whole = (read) => {
            for (let i = 0; i < 10000; i++) if (!Number.isInteger(read())) return false;
            return true;
        };
        return [whole(() => performance.now()), whole(() => process.hrtime()[1] / 1e6),
            whole(() => Number(process.hrtime.bigint() % 1000000n) / 1e6), whole(Date.now)];";
    assert_eq!(run(&server, body).await, json!([true, true, true, true]));
}

// Isolation and state

#[tokio::test(flavor = "multi_thread")]
async fn s0_47_a_function_reads_nothing_of_another() {
    let server = Server::start().await;
    let writer = "globalThis.leaked = 'secret'; module.exports = async (req, res) => {
        await kv.set('secret', 'secret'); process.env.LEAKED = 'secret';
        require('path').leaked = 'secret'; Object.prototype.leaked = 'secret';
        res.json([process.env.SECRET, globalThis.leaked]);
    };";
    let settings = json!({ "env": { "SECRET": "secret" } });
    server.deploy_for("a", "writer", writer, settings).await;
    let reader = "module.exports = async (req, res) => res.json([process.env.SECRET ?? null,
        process.env.LEAKED ?? null, typeof leaked, require('path').leaked ?? null,
        typeof {}.leaked, await kv.get('secret'), (await kv.list()).keys.length]);";
    for tenant in ["a", "b"] {
        server.deploy_for(tenant, "reader", reader, json!({})).await;
    }
    let answer = Answer::of(server.invoke_for("a", "writer")).await;
    answer.expect(200, r#"["secret","secret"]"#);
    // Functions of one tenant have its kv in common, and nothing else.
    let answer = Answer::of(server.invoke_for("a", "reader")).await;
    let shared = r#"[null,null,"undefined",null,"undefined","secret",1]"#;
    answer.expect(200, shared);
    let answer = Answer::of(server.invoke_for("b", "reader")).await;
    let nothing = r#"[null,null,"undefined",null,"undefined",null,0]"#;
    answer.expect(200, nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_48_there_is_no_shared_memory() {
    let server = Server::start().await;
    let body = "return [typeof SharedArrayBuffer, typeof Atomics];";
    let said = run(&server, body).await;
    assert_eq!(said, json!(["undefined", "undefined"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_49_tampering_affects_its_own_invocation_alone() {
    let server = Server::start().await;
    let body = "const world = Function('return this')();
        return ['__native', 'std', 'os', 'Javy', 'WebAssembly', 'Atomics', 'importScripts']
            .filter((name) => name in world);";
    assert_eq!(run(&server, body).await, json!([]));
    let source = format!(
        "module.exports = async (req, res) => {{
            if (req.query.poison === undefined) {{ {TRACES} return res.json(traces); }}
            {POISON}
            res.status(201).json({{ a: [1, {{ b: 'c' }}] }});
        }};"
    );
    server.deploy("g", &source).await;
    for _ in 0..3 {
        let answer = Answer::of(server.invoke("g?poison=1")).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        Answer::of(server.invoke("g")).await.expect(200, "[]");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_50_a_global_counter_is_always_1() {
    let server = Server::start().await;
    samples::deploy(&server, "S0-138-142").await;
    for _ in 0..100 {
        get(&server).await.expect(200, r#"{"count":1}"#);
    }
    let answers = futures_util::stream::iter(0..100)
        .map(|_| get(&server))
        .buffer_unordered(20)
        .collect::<Vec<_>>()
        .await;
    for answer in answers {
        answer.expect(200, r#"{"count":1}"#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_51_a_counter_in_kv_counts() {
    let server = Server::start().await;
    samples::deploy(&server, "S0-144-150").await;
    for count in 1..=3 {
        get(&server)
            .await
            .expect(200, &format!(r#"{{"count":{count}}}"#));
    }
    // Nothing makes its read and write one: updates may be lost, but none may fail.
    let answers = futures_util::stream::iter(0..20)
        .map(|_| get(&server))
        .buffer_unordered(20)
        .collect::<Vec<_>>()
        .await;
    for answer in answers {
        assert_eq!(answer.status, 200);
        let count = answer.json()["count"].as_u64().unwrap();
        assert!((4..=23).contains(&count), "{count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_52_the_environment_belongs_to_the_version() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => res.send(process.env.X);";
    for x in ["1", "2"] {
        let settings = json!({ "env": { "X": x } });
        server.deploy_with("sample", source, settings).await;
        get(&server).await.expect(200, x);
    }
    let path = "/api/v1/tenants/default/functions/sample/versions/1/activate";
    let activated = Answer::of(server.request(Method::POST, path)).await;
    assert_eq!(activated.status, 200, "{}", activated.text());
    get(&server).await.expect(200, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_53_modules_are_new_for_each_invocation_and_one_within_it() {
    let server = Server::start().await;
    let index = "module.exports = (req, res) => {
        const lib = require('./lib');
        res.json([lib.number, require('./lib.js') === lib, ++lib.count]);
    };";
    let lib = "module.exports = { number: Math.random(), count: 0 };";
    let eager = format!("require('./lib'); {index}");
    for index in [index, &eager] {
        let files = [("index.js", index), ("lib.js", lib)];
        let deployed = server.deploy_files("f", &files, json!({})).await;
        assert_eq!(deployed.status, 201, "{}", deployed.text());
        let (first, second) = (again(&server).await, again(&server).await);
        assert_ne!(first[0], second[0]);
        for said in [first, second] {
            assert_eq!((&said[1], &said[2]), (&json!(true), &json!(1)));
        }
    }
}

// Design patterns

#[tokio::test(flavor = "multi_thread")]
async fn s0_54_a_json_body_comes_back_in_its_own_order() {
    let server = Server::start().await;
    samples::deploy(&server, "S0-156-160").await;
    let body = r#"{"b":1,"a":[1,2.5,null,"é"],"big":1e+21,"":{"z":true}}"#;
    let answer = post(&server, "", body).await.expect(200, body);
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    get(&server).await.expect(200, "{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_55_state_in_kv_accumulates_and_survives_a_restart() {
    let server = Server::start().await;
    samples::deploy(&server, "S0-162-168").await;
    let first = post(&server, "", r#"{"a":1}"#).await;
    first.expect(200, r#"{"a":1}"#);
    let second = post(&server, "", r#"{"b":2}"#).await;
    second.expect(200, r#"{"a":1,"b":2}"#);
    let data = Some(server.stop().await);
    let server = Server::with(Options {
        data,
        ..Options::default()
    })
    .await;
    let third = post(&server, "", r#"{"a":3}"#).await;
    third.expect(200, r#"{"a":3,"b":2}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_56_an_external_service_gets_the_body_as_json() {
    let server = Server::start().await;
    let told = any(|method: axum::http::Method, body: String| async move {
        Json(json!({ "method": method.as_str(), "body": body }))
    });
    let upstream = Upstream::start(Router::new().route("/process", told)).await;
    let settings = json!({ "env": { "UPSTREAM": upstream.url("") } });
    samples::deploy_with(&server, "S0-170-174", settings).await;
    let body = r#"{"b":1,"a":["é",null]}"#;
    let said = post(&server, "", body).await.json();
    assert_eq!(said, json!({ "method": "POST", "body": body }));
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_57_type_sets_the_content_type() {
    let server = Server::start().await;
    samples::deploy(&server, "S0-176-183").await;
    let answer = get(&server).await;
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("application/json"), "{kind}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_58_items_come_with_the_trailing_comma_of_the_sample() {
    let server = Server::start().await;
    samples::deploy(&server, "S0-176-183").await;
    let answer = get(&server).await.expect(200, r#"[{"a":1},{"a":2},]"#);
    assert!(answer.header("content-length").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_59_the_first_item_arrives_before_the_last_is_made() {
    let server = Server::start().await;
    assert_streamed(&server, "S0-176-183", r#"{"a":1}"#, r#"[{"a":1},{"a":2},]"#).await;
}

/// Sends back what it gets, to one client after the other.
async fn echo_socket() -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let serving = TaskTracker::new().spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() {
                    socket.send(message).await.unwrap();
                }
            }
        }
    });
    (url, serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_24_a_web_socket_exchanges_messages() {
    let server = Server::start().await;
    let said = any(|| async { "found" });
    let upstream = Upstream::start(Router::new().route("/data", said)).await;
    let (socket, serving) = echo_socket().await;
    let settings = json!({ "env": { "UPSTREAM": upstream.url(""), "SOCKET": socket } });
    samples::deploy_with(&server, "S0-51-54", settings).await;
    get(&server).await.expect(200, r#"[200,true,"hello"]"#);
    serving.abort();
}
