//! Node's built-in modules in real sandboxes: `process`, `os`, `util`, `assert`, `events`, and
//! those that load and refuse.

use serde_json::{Value, json};

use crate::server::{Answer, Server};

async fn run_with(server: &Server, source: &str, settings: Value) -> Value {
    server.deploy_with("f", source, settings).await;
    let answer = Answer::of(server.invoke("f")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn run(server: &Server, source: &str) -> Value {
    run_with(server, source, json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn process_tells_what_it_is_and_refuses_to_change_anything() {
    let server = Server::start().await;
    let source = r"
        'use strict';
        const told = (work) => { try { return work(); } catch (e) { return [e.code, e.message]; } };
        module.exports = (req, res) => {
            process.env.API_KEY = 'new-key';
            delete process.env.API_KEY;
            Object.assign(process.env, { API_KEY: 'x', OTHER: 'y' });
            Object.defineProperty(process.env, 'API_KEY', { value: 'z' });
            process.env = {};
            class Writer { write() { process.env.API_KEY = 'class'; } }
            new Writer().write();
            const names = ['exit', 'abort', 'kill', 'chdir', 'setuid', 'setgid', 'dlopen', 'send'];
            res.json({
                env: [process.env.API_KEY, process.env.OTHER === undefined, Object.keys(process.env)],
                version: /^v20\.\d+\.\d+$/.test(process.version), cwd: process.cwd(),
                text: [typeof process.platform, typeof process.arch, typeof process.title],
                ids: [process.pid, process.getuid(), process.getgid()],
                refused: names.map((name) => told(() => process[name](0))),
                umask: [typeof process.umask(), told(() => process.umask(0))[0]],
                time: [typeof process.uptime(), process.hrtime().length, typeof process.hrtime.bigint()],
                emitter: process instanceof require('events'),
                on: process.on('uncaughtException', () => {}) === process,
                builtin: process.getBuiltinModule('fs') === require('fs'),
            });
        };";
    let answer = run_with(&server, source, json!({ "env": { "API_KEY": "key" } })).await;
    let refused = |name: &str| json!(["EACCES", format!("{name}: operation not permitted")]);
    let names = [
        "exit", "abort", "kill", "chdir", "setuid", "setgid", "dlopen", "send",
    ];
    let expected = json!({
        "env": ["key", true, ["API_KEY"]], "version": true, "cwd": "/app",
        "text": ["string", "string", "string"], "ids": [1, 1000, 1000],
        "refused": names.map(refused), "umask": ["number", "EACCES"],
        "time": ["number", 2, "bigint"], "emitter": true, "on": true, "builtin": true
    });
    assert_eq!(answer, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_that_are_not_of_a_sandbox_load_or_are_refused() {
    let server = Server::start().await;
    let source = r"
        const told = (work) => { try { work(); return 'done'; } catch (e) { return e.code; } };
        const loadable = ['net', 'tls', 'tty', 'vm', 'http2', 'inspector', 'repl', 'wasi', 'dns',
            'trace_events', 'domain', 'readline', 'perf_hooks', 'constants', 'os', 'module'];
        const refused = ['child_process', 'cluster', 'worker_threads', 'v8', 'dgram'];
        const net = require('net'), dns = require('dns'), tls = require('node:tls');
        module.exports = async (req, res) => res.json({
            loaded: loadable.filter((name) => told(() => require(name)) !== 'done'
                || require(name) !== require(`node:${name}`)),
            refused: refused.map((name) => [told(() => require(name)), told(() => require(`node:${name}`))]),
            imported: await Promise.all(refused.map((name) => import(`node:${name}`).catch((e) => e.code))),
            used: [() => net.createServer(), () => net.connect(80), () => new net.Socket(),
                () => tls.connect(443), () => require('vm').createContext({}),
                () => require('http2').connect('https://a.example')].map(told),
            addresses: [net.isIP('1.2.3.4'), net.isIP('::1'), net.isIP('a.example')],
            looked: [await dns.promises.lookup('a.example').catch((e) => e.code),
                (await dns.promises.lookup('127.0.0.1')).family],
            named: require('module').builtinModules.includes('fs'),
            required: require('module').createRequire('/app/x.js')('path') === require('path'),
        });";
    let missing = "MODULE_NOT_FOUND";
    let expected = json!({
        "loaded": [], "refused": vec![[missing, missing]; 5], "imported": vec![missing; 5],
        "used": vec!["ENOTSUP"; 6], "addresses": [4, 6, 0], "looked": ["ENOTSUP", 4],
        "named": true, "required": true
    });
    assert_eq!(run(&server, source).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn util_assert_and_events_behave_as_in_node() {
    let server = Server::start().await;
    let source = r"
        const util = require('util'), assert = require('assert');
        const { EventEmitter, once } = require('events');
        const told = (work) => { try { work(); return 'done'; } catch (e) { return e.message; } };
        module.exports = async (req, res) => {
            const emitter = new EventEmitter();
            setTimeout(() => emitter.emit('a', 1), 1);
            const { types } = util;
            res.json({
                shown: util.inspect({ a: [1, { b: new Map([['k', new Set([1n])]]) }], f() {}, d: new Date(0) }),
                classes: util.inspect(new (class Foo { x = 1; })()),
                bytes: util.inspect(Buffer.from('hi')), proxy: util.inspect(new Proxy({ a: 1 }, {})),
                format: util.format('%s %d %j', 'a', 1.5, { b: 1 }),
                types: [types.isDate(new Date()), types.isDate(Object.create(Date.prototype)),
                    types.isRegExp(/x/), types.isMap(new Map()), types.isNativeError(new TypeError()),
                    types.isAsyncFunction(async () => {}), types.isGeneratorObject((function* () {})()),
                    types.isTypedArray(new Uint8Array()), types.isNumberObject(Object(1)),
                    types.isPromise(Promise.resolve()), types.isArgumentsObject((function () { return arguments; })())],
                equal: told(() => assert.strictEqual(1, 2)),
                deep: told(() => assert.deepStrictEqual({ a: 1, b: [1, 2] }, { a: 1, b: [1, 3] })),
                once: await once(emitter, 'a'),
                parsed: util.parseArgs({ args: ['--x', '1'], options: { x: { type: 'string' } } }).values,
                names: [Buffer.name, URL.name, EventEmitter.name, Blob.name],
            });
        };";
    let expected = json!({
        "shown": "{\n  a: [ 1, { b: [Map] } ],\n  f: [Function: f],\n  d: 1970-01-01T00:00:00.000Z\n}",
        "classes": "Foo { x: 1 }", "bytes": "<Buffer 68 69>", "proxy": "{ a: 1 }",
        "format": "a 1.5 {\"b\":1}",
        "types": [true, false, true, true, true, true, true, true, true, true, true],
        "equal": "Expected values to be strictly equal:\n\n1 !== 2\n",
        "deep": "Expected values to be strictly deep-equal:\n+ actual - expected\n\n  {\n    a: 1,\n    \
                 b: [\n      1,\n+     2\n-     3\n    ]\n  }",
        "once": [1], "parsed": { "x": "1" }, "names": ["Buffer", "URL", "EventEmitter", "Blob"]
    });
    assert_eq!(run(&server, source).await, expected);
}
