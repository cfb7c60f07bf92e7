//! `node:fs` in real sandboxes: the deployment's files can be read, nothing can be written, and
//! nothing else is there.

use serde_json::{Value, json};

use crate::server::{Answer, Server};

type Files<'a> = &'a [(&'a str, &'a str)];

/// What a function with these files answers to one request, as JSON.
async fn run(server: &Server, files: Files<'_>) -> Value {
    let answer = server.deploy_files("f", files, json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let answer = Answer::of(server.invoke("f")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_deployment_are_read_in_all_three_forms() {
    let server = Server::start().await;
    let index = r"
        const fs = require('fs'), path = require('path');
        const early = fs.readFileSync(path.join(__dirname, 'data.txt'), 'utf8');
        module.exports = async (req, res) => {
            const file = path.join(__dirname, 'data.txt');
            const late = await new Promise((done) => fs.readFile(file, 'utf8', (e, v) => done([e, v])));
            const stat = fs.statSync(file);
            res.json({
                early, late, promised: await fs.promises.readFile('data.txt', 'utf8'),
                isBuffer: Buffer.isBuffer(fs.readFileSync(file)),
                names: fs.readdirSync(__dirname), all: fs.readdirSync('.', { recursive: true }),
                kinds: fs.readdirSync('/app', { withFileTypes: true }).map((d) => d.isDirectory()),
                stat: [stat.isFile(), stat.isDirectory(), stat.size, stat.mtime instanceof Date],
                there: [fs.existsSync(file), fs.existsSync('none')],
                exists: await new Promise((done) => fs.exists(file, (...args) => done(args))),
                real: fs.realpathSync('sub/../data.txt'), size: fs.readFileSync('large.txt').length,
            });
        };";
    let large = "x".repeat(3_000_000);
    let answer = run(
        &server,
        &[
            ("index.js", index),
            ("data.txt", "hellö\n"),
            ("large.txt", &large),
            ("sub/deep/a.txt", "a"),
        ],
    )
    .await;
    let expected = json!({
        "early": "hellö\n", "late": [null, "hellö\n"], "promised": "hellö\n", "isBuffer": true,
        "names": ["data.txt", "index.js", "large.txt", "sub"],
        "all": ["data.txt", "index.js", "large.txt", "sub", "sub/deep", "sub/deep/a.txt"],
        "kinds": [false, false, false, true],
        "stat": [true, false, 7, true], "there": [true, false], "exists": [true],
        "real": "/app/data.txt", "size": 3_000_000
    });
    assert_eq!(answer, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_files_and_streams_read_ranges() {
    let server = Server::start().await;
    let index = r"
        const fs = require('fs');
        const gather = async (stream) => {
            const chunks = [];
            for await (const chunk of stream) chunks.push(chunk);
            return Buffer.concat(chunks);
        };
        module.exports = async (req, res) => {
            const fd = fs.openSync('large.txt');
            const buffer = Buffer.alloc(4);
            const counts = [fs.readSync(fd, buffer, 0, 4, 2), String(buffer), fs.readSync(fd, buffer),
                String(buffer), fs.readSync(fd, buffer, 0, 4, 1e9), fs.fstatSync(fd).size];
            fs.closeSync(fd);
            const handle = await fs.promises.open('large.txt');
            const half = (await handle.read(Buffer.alloc(3), 0, 3, 10)).buffer.toString();
            await handle.close();
            const whole = await gather(fs.createReadStream('large.txt'));
            const part = await gather(fs.createReadStream('large.txt', { start: 10, end: 19 }));
            const missing = await gather(fs.createReadStream('none')).catch((e) => e.code);
            const entries = [];
            for await (const entry of await fs.promises.opendir('.')) entries.push(entry.name);
            res.json({ counts, half, whole: whole.length, part: String(part), missing, entries });
        };";
    let large = "0123456789".repeat(20_000);
    let answer = run(&server, &[("index.js", index), ("large.txt", &large)]).await;
    let expected = json!({
        "counts": [4, "2345", 4, "0123", 0, 200_000], "half": "012", "whole": 200_000,
        "part": "0123456789", "missing": "ENOENT", "entries": ["index.js", "large.txt"]
    });
    assert_eq!(answer, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_would_change_a_file_is_refused_and_changes_nothing() {
    let server = Server::start().await;
    let index = r"
        const fs = require('fs');
        const writers = {
            writeFile: ['/data.txt', 'content'], appendFile: ['data.txt', 'x'], mkdir: ['new'],
            unlink: ['data.txt'], rm: ['data.txt'], rmdir: ['sub'], chmod: ['data.txt', 0o777],
            rename: ['data.txt', 'b'], copyFile: ['data.txt', 'b'], truncate: ['data.txt'],
            open: ['data.txt', 'w'], symlink: ['data.txt', 'b'], utimes: ['data.txt', 1, 1],
        };
        const told = (error) => [error.code, error.errno];
        module.exports = async (req, res) => {
            const wrong = [];
            for (const [name, args] of Object.entries(writers)) {
                const errors = [];
                try { fs[name + 'Sync'](...args); } catch (error) { errors.push(told(error)); }
                await fs.promises[name](...args).catch((error) => errors.push(told(error)));
                errors.push(told(await new Promise((done) => fs[name](...args, done))));
                if (errors.join() !== 'EROFS,-30,EROFS,-30,EROFS,-30') wrong.push([name, errors]);
            }
            const stream = fs.createWriteStream('/out.txt');
            const streamed = await new Promise((done) => stream.on('error', (e) => done(e.code)));
            let message;
            try { fs.writeFileSync('/data.txt', 'content'); } catch (error) { message = error.message; }
            res.json({ wrong, streamed, message, data: fs.readFileSync('data.txt', 'utf8') });
        };";
    let files = [
        ("index.js", index),
        ("data.txt", "kept"),
        ("sub/a.txt", "a"),
    ];
    let answer = run(&server, &files).await;
    let expected = json!({
        "wrong": [], "streamed": "EROFS", "data": "kept",
        "message": "EROFS: read-only file system, open '/data.txt'"
    });
    assert_eq!(answer, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_of_the_deployment_is_there() {
    let server = Server::start().await;
    server
        .deploy_files(
            "other",
            &[
                ("index.js", "module.exports = () => 1"),
                ("secret.txt", "s"),
            ],
            json!({}),
        )
        .await;
    let index = r"
        const fs = require('fs');
        const paths = ['/etc/passwd', '/proc', '/proc/self/environ', '/', '..', '../..', '../other',
            '/app/../etc/passwd', '../../../../etc/passwd', './../app/../etc', '/dev/null', '/tmp',
            '//etc/passwd', '/app/../../proc/1/status', 'data.txt/../../etc/passwd', '/apples'];
        const code = (work) => { try { work(); return 'there'; } catch (e) { return e.code; } };
        module.exports = (req, res) => res.json(paths.filter((path) => [
            code(() => fs.readFileSync(path)), code(() => fs.statSync(path)),
            code(() => fs.readdirSync(path)), code(() => fs.openSync(path)),
        ].some((each) => each !== 'ENOENT') || fs.existsSync(path)));";
    let answer = run(&server, &[("index.js", index), ("data.txt", "d")]).await;
    assert_eq!(answer, json!([]));
}
