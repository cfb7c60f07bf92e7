//! What one function or tenant does stays there: no state, key, file or tampering gets across.

use std::sync::Arc;

use crate::server::{Answer, Options, Server};
use serde_json::json;

async fn get(server: &Server, tenant: &str, target: &str) -> Answer {
    Answer::of(server.invoke_for(tenant, target)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_do_not_see_each_others_functions() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => res.send('for a alone');";
    server.deploy_for("a", "private", source, json!({})).await;
    get(&server, "a", "private")
        .await
        .expect(200, "for a alone");
    let missing = get(&server, "b", "private").await;
    missing.expect_problem(404, "function_not_found");
    let missing = Answer::of(server.invoke("private")).await;
    missing.expect_problem(404, "function_not_found");
    let list = |tenant: &str| {
        let path = format!("/api/v1/tenants/{tenant}/functions");
        Answer::of(server.request(reqwest::Method::GET, &path))
    };
    assert_eq!(
        list("b").await.json(),
        json!({ "functions": [], "cursor": null })
    );
    let functions = list("a").await.json();
    assert_eq!(functions["functions"].as_array().unwrap().len(), 1);
    // The same name is another function for another tenant.
    let source = "module.exports = (req, res) => res.send('of b');";
    server.deploy_for("b", "private", source, json!({})).await;
    get(&server, "a", "private")
        .await
        .expect(200, "for a alone");
    get(&server, "b", "private").await.expect(200, "of b");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_cannot_lead_into_another_tenant() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => res.send('for a alone');";
    server.deploy_for("a", "private", source, json!({})).await;
    for target in [
        "/invoke/@b%2f..%2fa/private",
        "/invoke/@b/..%2f@a%2fprivate",
        "/invoke/@/private",
        "/invoke/@a%00/private",
        "/invoke/%40a%2Fprivate",
    ] {
        let answer = Answer::of(server.request(reqwest::Method::GET, target)).await;
        assert!(
            matches!(answer.status, 400 | 404),
            "{target}: {}",
            answer.text()
        );
        assert!(!answer.text().contains("for a alone"), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_do_not_see_each_others_keys() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        const { set, key } = req.query;
        if (set) await kv.set(key, set);
        if (req.query.clear) await kv.clear();
        res.json([await kv.get(key), await kv.has(key), (await kv.list('')).keys]);
    };";
    for tenant in ["a", "ab", "b"] {
        server.deploy_for(tenant, "store", source, json!({})).await;
    }
    get(&server, "a", "store?key=b:k&set=mine")
        .await
        .expect(200, r#"["mine",true,["b:k"]]"#);
    for (tenant, key) in [("b", "b:k"), ("b", "k"), ("ab", ":k"), ("ab", "b:k")] {
        get(&server, tenant, &format!("store?key={key}"))
            .await
            .expect(200, "[null,false,[]]");
    }
    // Other functions of the same tenant share its namespace; clearing one's own is all one can.
    server.deploy_for("a", "other", source, json!({})).await;
    get(&server, "a", "other?key=b:k")
        .await
        .expect(200, r#"["mine",true,["b:k"]]"#);
    get(&server, "b", "store?key=k&clear=1")
        .await
        .expect(200, "[null,false,[]]");
    get(&server, "a", "store?key=b:k")
        .await
        .expect(200, r#"["mine",true,["b:k"]]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_sees_its_own_environment_only_and_cannot_change_it() {
    let server = Server::start().await;
    let source = "'use strict';
        module.exports = (req, res) => {
            const before = { ...process.env };
            process.env.OWN = 'changed';
            process.env.NEW = 'new';
            delete process.env.OWN;
            Object.assign(process.env, { OWN: 'assigned' });
            Object.defineProperty(process.env, 'OWN', { value: 'defined' });
            class A { static { process.env.OWN = 'in a class'; } }
            res.json([before, { ...process.env }, process.env.OWN, typeof process.env.NEW]);
        };";
    let own = json!({ "env": { "OWN": "1" } });
    server.deploy_for("a", "own", source, own).await;
    server.deploy_for("a", "bare", source, json!({})).await;
    server.deploy_for("b", "own", source, json!({})).await;
    for _ in 0..3 {
        get(&server, "a", "own")
            .await
            .expect(200, r#"[{"OWN":"1"},{"OWN":"1"},"1","undefined"]"#);
        for (tenant, function) in [("a", "bare"), ("b", "own")] {
            get(&server, tenant, function)
                .await
                .expect(200, r#"[{},{},null,"undefined"]"#);
        }
    }
}

/// Overwrites what other code, and the platform's, might rely on.
pub(crate) const POISON: &str = "
    const P = Promise;
    for (const name of ['status', 'content-type', 'then', 'name', 'message']) {
        Reflect.defineProperty(Object.prototype, name, {
            configurable: true, get() { return undefined; }, set() { throw new Error(name); },
        });
    }
    for (const name of ['Promise', 'Buffer', 'console', 'Response', 'setTimeout', 'Uint8Array']) {
        globalThis[name] = undefined;
    }
    Object.prototype.polluted = 'yes';
    Array.prototype.polluted = 'yes';
    JSON.stringify = () => 'forged';
    JSON.parse = () => 'forged';
    Array.prototype.push = () => { throw new Error('push'); };
    Array.prototype.join = () => 'forged';
    Array.prototype[Symbol.iterator] = () => { throw new Error('iterator'); };
    P.prototype.then = () => { throw new Error('then'); };
    P.prototype.catch = () => { throw new Error('catch'); };
    P.resolve = () => { throw new Error('resolve'); };
    Function.prototype.call = () => { throw new Error('call'); };
    Function.prototype.apply = () => { throw new Error('apply'); };
    String.prototype.split = () => ['forged'];
    String.prototype.toLowerCase = () => 'forged';
    RegExp.prototype.exec = () => null;
    Map.prototype.get = () => 'forged';
    Object.keys = () => ['forged'];
    Object.defineProperty = () => { throw new Error('defineProperty'); };
    Reflect.ownKeys = () => ['forged'];
    Date.now = () => 0;
    Error.prepareStackTrace = () => { throw new Error('stack'); };
    globalThis.leaked = 'yes';";

/// What is left of the poison in a new sandbox; `[]` if nothing is.
pub(crate) const TRACES: &str = "
    const traces = [];
    if ({}.polluted || [].polluted || typeof leaked !== 'undefined') traces.push('fields');
    if (JSON.stringify({ a: [1] }) !== '{\"a\":[1]}') traces.push('JSON');
    if ([..._two()].join() !== '1,2' || 'A-B'.toLowerCase().split('-').length !== 2) {
        traces.push('methods');
    }
    if (Date.now() === 0 || Object.keys({ a: 1 })[0] !== 'a') traces.push('statics');
    if (Object.getOwnPropertyDescriptor(Object.prototype, 'status')) traces.push('setters');
    if (typeof Promise !== 'function' || typeof Buffer !== 'function') traces.push('globals');
    function _two() { const all = []; all.push(1, 2); return all; }";

#[tokio::test(flavor = "multi_thread")]
async fn tampering_neither_corrupts_the_answer_nor_reaches_the_next_invocation() {
    let server = Server::start().await;
    let express = format!(
        "module.exports = async (req, res) => {{
            if (req.query.poison === undefined) {{ {TRACES} return res.json(traces); }}
            const {{ stringify }} = JSON;
            {POISON}
            await kv.set('k', 1);
            res.status(201).set('x-own', 'kept').type('json');
            res.send(stringify({{ k: await kv.get('k'), body: req.body, host: req.get('x-in') }}));
        }};"
    );
    server.deploy("express", &express).await;
    let clean = format!("module.exports = (req, res) => {{ {TRACES} res.json(traces); }};");
    server.deploy("clean", &clean).await;
    server.deploy_for("b", "clean", &clean, json!({})).await;
    for _ in 0..5 {
        let request = server
            .post("express?poison")
            .header("content-type", "application/json")
            .header("x-in", "sent")
            .body(r#"{"a":[1,{"b":2}]}"#);
        let answer = Answer::of(request).await;
        let answer = answer.expect(201, r#"{"k":1,"body":{"a":[1,{"b":2}]},"host":"sent"}"#);
        assert_eq!(answer.header("x-own"), Some("kept"));
        let kind = answer.header("content-type").unwrap();
        assert!(kind.starts_with("application/json"), "{kind}");
        for target in ["express", "clean"] {
            Answer::of(server.invoke(target)).await.expect(200, "[]");
        }
        get(&server, "b", "clean").await.expect(200, "[]");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tampering_does_not_silence_a_throw() {
    let server = Server::start().await;
    let source = format!(
        "module.exports = async () => {{
            const Own = Error;
            {POISON}
            throw new Own('secret-4711');
        }};"
    );
    server.deploy("f", &source).await;
    let answer = Answer::of(server.invoke("f")).await;
    let answer = answer.expect_problem(500, "function_threw");
    assert!(!answer.text().contains("secret-4711"));
    assert!(server.log_text("f").await.contains("secret-4711"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tampering_at_the_top_level_stays_in_its_deployment() {
    let server = Server::start().await;
    let source = "Object.prototype.polluted = 'yes'; JSON.stringify = () => '\"forged\"';
        globalThis.leaked = 'yes';
        module.exports = (req, res) => res.json({ a: 1 });";
    server.deploy("poisoned", source).await;
    let answer = Answer::of(server.invoke("poisoned")).await;
    assert_eq!(answer.status, 200);
    let clean = format!("module.exports = (req, res) => {{ {TRACES} res.json(traces); }};");
    server.deploy("clean", &clean).await;
    Answer::of(server.invoke("clean")).await.expect(200, "[]");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_shared_memory_and_no_way_to_the_host() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => {
        const world = Function('return this')();
        const names = ['Atomics', 'SharedArrayBuffer', 'WebAssembly', '__native', 'std', 'os',
            'Deno', 'Bun', 'Javy', 'importScripts', 'Worker'];
        const process_ = ['binding', 'dlopen', '_linkedBinding'].filter((name) => {
            try { process[name]('fs'); return true; } catch { return false; }
        });
        res.json([names.filter((name) => name in world || name in globalThis), process_]);
    };";
    server.deploy("f", source).await;
    Answer::of(server.invoke("f")).await.expect(200, "[[],[]]");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_of_the_deployment_can_be_loaded() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::with(Options {
        data: Some(Arc::clone(&data)),
        ..Options::default()
    })
    .await;
    let secret = data.path().join("secret.json");
    std::fs::write(&secret, r#"{"secret":4711}"#).unwrap();
    let other = server
        .deploy_files(
            "other",
            &[
                (
                    "index.js",
                    "module.exports = (req, res) => res.json(require('./lib.json'));",
                ),
                ("lib.json", r#"{"secret":4711}"#),
            ],
            json!({}),
        )
        .await;
    let other = other.json()["deployment"].as_str().unwrap().to_owned();
    let outside = secret.display();
    let folder = data.path().join("data/files").join(&other);
    assert!(folder.join("lib.json").exists(), "{}", folder.display());
    let source = "const tries = (specifier) => {
            try { return JSON.stringify(require(specifier)); } catch (error) { return error.code; }
        };
        module.exports = async (req, res) => {
            const { specifier } = req.body;
            const imported = await import(specifier).then((all) => JSON.stringify(all.default),
                (error) => error.code);
            res.json([tries(specifier), imported]);
        };";
    let own = [("index.js", source), ("own.json", r#"{"own":1}"#)];
    let deployed = server.deploy_files("f", &own, json!({})).await;
    assert_eq!(deployed.status, 201, "{}", deployed.text());
    let tries = async |specifier: &str| {
        let request = server
            .post("f")
            .header("content-type", "application/json")
            .body(json!({ "specifier": specifier }).to_string());
        Answer::of(request).await
    };
    for specifier in ["./own.json", "/app/own.json"] {
        let found = tries(specifier).await;
        found.expect(200, r#"["{\"own\":1}","{\"own\":1}"]"#);
    }
    for specifier in [
        outside.to_string(),
        format!("../..{outside}"),
        format!("./../../../../..{outside}"),
        format!("file://{outside}"),
        format!("{}/lib.json", folder.display()),
        format!("../{other}/lib.json"),
        format!("./../{other}/lib.json"),
        format!("/app/../{other}/lib.json"),
        "../../etc/passwd".to_owned(),
        "/etc/passwd".to_owned(),
        "/proc/self/environ".to_owned(),
        "..".to_owned(),
        "/".to_owned(),
    ] {
        let answer = tries(&specifier).await;
        let missing = r#"["MODULE_NOT_FOUND","ERR_MODULE_NOT_FOUND"]"#;
        assert_eq!(answer.text(), missing, "{specifier}");
    }
    // The other function itself does see its file.
    let answer = Answer::of(server.invoke("other")).await;
    answer.expect(200, r#"{"secret":4711}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_module_loads_late_is_as_fresh_as_the_rest() {
    let server = Server::start().await;
    let files = [
        (
            "index.js",
            "module.exports = (req, res) => {
                const lib = require('./lib');
                lib.count++;
                res.json([lib.count, require('./lib') === lib]);
            };",
        ),
        ("lib.js", "exports.count = 0;"),
    ];
    let deployed = server.deploy_files("f", &files, json!({})).await;
    assert_eq!(deployed.status, 201, "{}", deployed.text());
    for _ in 0..20 {
        Answer::of(server.invoke("f")).await.expect(200, "[1,true]");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_does_not_outlive_its_invocation() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        setTimeout(() => kv.set('late', 1), 20);
        res.send('sent');
    };";
    server.deploy("sets", source).await;
    Answer::of(server.invoke("sets")).await.expect(200, "sent");
    let source = "module.exports = async (req, res) => {
        await sleep(200);
        res.json(await kv.get('late'));
    };";
    server.deploy("looks", source).await;
    Answer::of(server.invoke("looks")).await.expect(200, "null");
}

/// Functions of different sizes, called so that some get memory of their own and some do not, in
/// the same few sandboxes.
#[tokio::test(flavor = "multi_thread")]
async fn functions_that_take_turns_in_a_sandbox_find_their_own_memory_alone() {
    let server = Server::with(Options {
        max_concurrent: 2,
        ..Options::default()
    })
    .await;
    // Of megabytes the last one: too many to be laid over the engine's memory.
    let lengths = [1, 10, 500, 3_000, 30_000];
    for (number, length) in lengths.iter().enumerate() {
        let source = format!(
            "const all = Array.from({{ length: {length} }}, (_, at) => ({{ at, of: {number} }}));
             let calls = 0;
             module.exports = (req, res) => {{
                 const wrong = all.findIndex((one, at) => one.at !== at || one.of !== {number});
                 for (const one of all) one.of = 'spoilt';
                 calls += 1;
                 globalThis.left ??= 'by {number}';
                 res.send([wrong, all.length, calls, left].join());
             }};"
        );
        server.deploy(&format!("f{number}"), &source).await;
    }
    for turn in 0..400 {
        // The first is called often, the others now and then.
        let number = if turn % 2 == 0 { 0 } else { turn % 5 };
        let answer = Answer::of(server.invoke(&format!("f{number}"))).await;
        answer.expect(200, &format!("-1,{},1,by {number}", lengths[number]));
    }
}
