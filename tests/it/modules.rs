//! Loading a deployment: which module a name leads to, and when its top level is evaluated.

use std::collections::BTreeSet;

use axum::Router;
use axum::routing::any;
use serde_json::{Value, json};

use crate::fetch::Upstream;
use crate::server::{Answer, Server};

type Files<'a> = &'a [(&'a str, &'a str)];

/// Deploys files under the name `f`; what the deployment was answered with.
async fn deploy(server: &Server, files: Files<'_>) -> Value {
    let answer = server.deploy_files("f", files, json!({})).await;
    // 200 for files that are deployed already.
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    answer.json()
}

/// Deploys files and answers what the function then says, as JSON.
async fn run(server: &Server, files: Files<'_>) -> Value {
    deploy(server, files).await;
    invoke(server).await
}

async fn invoke(server: &Server) -> Value {
    let answer = Answer::of(server.invoke("f")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// What the deployment of these files is refused with.
async fn refusal(server: &Server, files: Files<'_>, code: &str) -> String {
    let answer = server.deploy_files("f", files, json!({})).await;
    let problem = answer.expect_problem(422, code).json();
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn require_finds_files_folders_and_data() {
    let server = Server::start().await;
    let index = r"
        const found = [
            require('./lib'), require('./lib.js'), require('./folder'), require('./folder/'),
            require('./folder/deep/er'), require('./data'), require('./data.json').n,
            require('./with-main'), require('./both'), require('./both/'), require('./c.cjs'),
        ];
        module.exports = (req, res) => res.json(found);";
    let answer = run(
        &server,
        &[
            ("index.js", index),
            ("lib.js", "module.exports = 'lib';"),
            ("folder/index.js", "exports.name = 'folder';"),
            (
                "folder/deep/er.js",
                "module.exports = require('../../lib') + ' from deep';",
            ),
            ("data.json", r#"{"n":[1,{"é":null}]}"#),
            ("with-main/package.json", r#"{"main":"./lib/start"}"#),
            ("with-main/lib/start.js", "module.exports = 'main';"),
            ("with-main/index.js", "module.exports = 'not main';"),
            ("both.js", "module.exports = 'the file';"),
            ("both/index.js", "module.exports = 'the folder';"),
            ("c.cjs", "module.exports = 'cjs';"),
        ],
    )
    .await;
    let folder = json!({ "name": "folder" });
    let expected = json!([
        "lib", "lib", folder, folder, "lib from deep",
        { "n": [1, { "é": null }] }, [1, { "é": null }],
        "main", "the file", "the folder", "cjs"
    ]);
    assert_eq!(answer, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn require_finds_packages_by_main_and_by_exports() {
    let server = Server::start().await;
    let index = r"
        const attempt = (name) => {
            try { return require(name); } catch (error) { return error.code; }
        };
        const found = ['plain', 'plain/extra', '@scope/mapped', '@scope/mapped/sub',
            '@scope/mapped/features/one', '@scope/mapped/hidden', '@scope/mapped/lib/hidden.js',
            'single', 'sugar', '#internal', 'own/self'].map(attempt);
        module.exports = (req, res) => res.json([...found, require('./inner/user')]);";
    let mapped = r##"{"exports":{
        ".": {"browser": "./no.js", "import": "./no.js", "require": "./cjs.js"},
        "./sub": {"ampoule": "./ampoule.js", "default": "./no.js"},
        "./features/*": "./lib/*.js",
        "./hidden": null
    }}"##;
    let own = r##"{"name":"own","imports":{"#internal":"./inner/secret.js"},
        "exports":{"./self":"./inner/self.js"}}"##;
    let answer = run(
        &server,
        &[
            ("index.js", index),
            ("package.json", own),
            ("inner/secret.js", "module.exports = 'internal';"),
            ("inner/self.js", "module.exports = 'self';"),
            (
                "inner/user.js",
                "module.exports = require('plain') + ' nearer';",
            ),
            (
                "inner/node_modules/plain/index.js",
                "module.exports = 'inner plain';",
            ),
            ("node_modules/plain/package.json", r#"{"main":"dist/main"}"#),
            (
                "node_modules/plain/dist/main.js",
                "module.exports = 'plain';",
            ),
            (
                "node_modules/plain/extra.js",
                "module.exports = require('.') + ' extra';",
            ),
            ("node_modules/@scope/mapped/package.json", mapped),
            (
                "node_modules/@scope/mapped/no.js",
                "module.exports = 'wrong condition';",
            ),
            (
                "node_modules/@scope/mapped/cjs.js",
                "module.exports = 'mapped';",
            ),
            (
                "node_modules/@scope/mapped/ampoule.js",
                "module.exports = 'ampoule';",
            ),
            (
                "node_modules/@scope/mapped/lib/one.js",
                "module.exports = 'one';",
            ),
            (
                "node_modules/@scope/mapped/lib/hidden.js",
                "module.exports = 'hidden';",
            ),
            ("node_modules/single.js", "module.exports = 'single';"),
            (
                "node_modules/sugar/package.json",
                r#"{"exports":"./sweet.js"}"#,
            ),
            ("node_modules/sugar/sweet.js", "module.exports = 'sugar';"),
        ],
    )
    .await;
    let missing = "MODULE_NOT_FOUND";
    let expected = json!([
        "plain",
        "plain extra",
        "mapped",
        "ampoule",
        "one",
        missing,
        missing,
        "single",
        "sugar",
        "internal",
        "self",
        "inner plain nearer"
    ]);
    assert_eq!(answer, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn circular_requires_see_what_is_there_so_far() {
    let server = Server::start().await;
    // As in the documentation of Node.
    let a = "exports.done = false;
        const b = require('./b');
        exports.seen = b.done;
        exports.done = true;";
    let b = "exports.done = false;
        const a = require('./a');
        exports.seen = a.done;
        exports.done = true;";
    let index = "const a = require('./a'); const b = require('./b');
        module.exports = (req, res) => res.json({ a, b });";
    let answer = run(&server, &[("index.js", index), ("a.js", a), ("b.js", b)]).await;
    let expected = json!({
        "a": { "done": true, "seen": true },
        "b": { "done": true, "seen": false }
    });
    assert_eq!(answer, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_evaluated_once_and_knows_itself() {
    let server = Server::start().await;
    let lib = "globalThis.evaluated = (globalThis.evaluated ?? 0) + 1;
        module.exports = { __filename, __dirname, id: module.id, isMain: require.main === module,
            parent: module.parent.filename, that: this === exports };";
    let index = "const same = require('./deep/lib') === require('./deep/../deep/lib.js');
        module.exports = (req, res) => res.json([same && require('./deep/lib') !== undefined,
            globalThis.evaluated, require('./deep/lib'), require.resolve('./deep/lib'),
            require.main === module, module.loaded, __filename]);";
    let answer = run(&server, &[("index.js", index), ("deep/lib.js", lib)]).await;
    // Its exports were replaced before `that` was read, but the object is the same one.
    let lib = json!({
        "__filename": "/app/deep/lib.js", "__dirname": "/app/deep", "id": "/app/deep/lib.js",
        "isMain": false, "parent": "/app/index.js", "that": true
    });
    let expected = json!([
        true,
        1,
        lib,
        "/app/deep/lib.js",
        true,
        true,
        "/app/index.js"
    ]);
    assert_eq!(answer, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn built_in_modules_load_with_and_without_their_prefix() {
    let server = Server::start().await;
    let index = r"
        const names = ['assert', 'buffer', 'console', 'crypto', 'events', 'path', 'process',
            'querystring', 'string_decoder', 'timers', 'timers/promises', 'url', 'util'];
        const refused = ['child_process', 'cluster', 'worker_threads', 'v8', 'dgram',
            'no-such-builtin'];
        const different = names.filter((name) => require(name) !== require('node:' + name));
        const messages = refused.map((name) => {
            try { return require('node:' + name); } catch (error) { return error; }
        });
        module.exports = (req, res) => res.json({
            different,
            codes: messages.map((error) => error.code),
            named: refused.filter((name, i) => !messages[i].message.includes(name)),
            plain: ['child_process', 'worker_threads'].map((name) => {
                try { return require(name); } catch (error) { return error.code; }
            }),
            join: require('node:path').join('/a', '../b'),
            isShadowed: require('util') === require('node:util'),
        });";
    let shadow = "module.exports = 'a package of the same name';";
    let files = [("index.js", index), ("node_modules/util/index.js", shadow)];
    let answer = run(&server, &files).await;
    let missing = "MODULE_NOT_FOUND";
    let expected = json!({
        "different": [],
        "codes": [missing, missing, missing, missing, missing, "ERR_UNKNOWN_BUILTIN_MODULE"],
        "named": [],
        "plain": [missing, missing],
        "join": "/b",
        "isShadowed": true
    });
    assert_eq!(answer, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn es_modules_import_commonjs_data_and_built_ins() {
    let server = Server::start().await;
    let index = r"
        import cjs, { named, deep } from './lib.cjs';
        import * as everything from './lib.cjs';
        import data from './data.json' with { type: 'json' };
        import bare from './data.json';
        import { join } from 'node:path';
        import path from 'path';
        import fromPackage, { flavour } from 'dual';
        import { counter, increase } from './live.mjs';
        export { default as again } from './lib.cjs';
        increase();
        export default (req, res) => res.json({
            same: cjs === everything.default, named, deep, data, bare: bare === data,
            join: join('a', 'b'), path: path.join === join, fromPackage, flavour, counter,
        });";
    let files = [
        ("index.mjs", index),
        ("lib.cjs", "module.exports = { named: 1, deep: { er: 2 } };"),
        ("data.json", r#"{"n":1}"#),
        (
            "live.mjs",
            "export let counter = 1; export function increase() { counter++; }",
        ),
        (
            "node_modules/dual/package.json",
            r#"{"exports":{"require":"./r.js","import":"./i.mjs"}}"#,
        ),
        ("node_modules/dual/r.js", "module.exports = 'required';"),
        (
            "node_modules/dual/i.mjs",
            "export default 'imported'; export const flavour = 'sweet';",
        ),
    ];
    let answer = run(&server, &files).await;
    let expected = json!({
        "same": true, "named": 1, "deep": { "er": 2 }, "data": { "n": 1 }, "bare": true,
        "join": "a/b", "path": true, "fromPackage": "imported", "flavour": "sweet", "counter": 2
    });
    assert_eq!(answer, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn import_meta_says_where_a_module_is() {
    let server = Server::start().await;
    let index = "import { meta, created } from './deep/lib.mjs';
        export default (req, res) => res.json([import.meta.url, meta, created]);";
    let lib = "import { createRequire } from 'node:module';
        export const meta = [import.meta.url, import.meta.filename, import.meta.dirname];
        export const created = createRequire(import.meta.url)('../data.json');";
    let files = [
        ("index.mjs", index),
        ("deep/lib.mjs", lib),
        ("data.json", "[1]"),
    ];
    let answer = run(&server, &files).await;
    let meta = json!(["file:///app/deep/lib.mjs", "/app/deep/lib.mjs", "/app/deep"]);
    assert_eq!(answer, json!(["file:///app/index.mjs", meta, [1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn import_can_be_called_at_the_top_level_and_in_a_handler() {
    let server = Server::start().await;
    let lib = "export const name = 'lib'; export default 1;";
    let module = "const early = await import('./early.mjs');
        export default async (req, res) => {
            const late = await import('./late.mjs');
            const cjs = await import('./old.cjs');
            const missing = await import('./missing.mjs').catch((error) => error.code);
            res.json([early.name, late.name, late.default, cjs.default.name, missing,
                late === await import('./late.mjs')]);
        };";
    let script = "const early = import('./early.mjs');
        module.exports = async (req, res) => {
            const late = await import('./late.mjs');
            const cjs = await import('./old.cjs');
            const missing = await import('./missing.mjs').catch((error) => error.code);
            res.json([(await early).name, late.name, late.default, cjs.default.name, missing,
                late === await import('./late.mjs')]);
        };";
    let expected = json!(["lib", "lib", 1, "old", "ERR_MODULE_NOT_FOUND", true]);
    for (entry, source) in [("index.mjs", module), ("index.js", script)] {
        let files = [
            (entry, source),
            ("early.mjs", lib),
            ("late.mjs", lib),
            ("old.cjs", "exports.name = 'old';"),
        ];
        for _ in 0..2 {
            assert_eq!(run(&server, &files).await, expected, "{entry}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_may_be_required_in_the_handler_for_the_first_time() {
    let server = Server::start().await;
    let index = "module.exports = (req, res) => {
            const caught = (name) => {
                try { return require(name); } catch (error) { return error.code; }
            };
            res.json([require('./late').n, require('./late') === require('./late.js'),
                caught('./data.json'), caught('./missing'), caught('../../../etc/passwd'),
                caught('/etc/passwd')]);
        };";
    let files = [
        ("index.js", index),
        ("late.js", "exports.n = 1;"),
        ("data.json", "[2]"),
    ];
    let missing = "MODULE_NOT_FOUND";
    let expected = json!([1, true, [2], missing, missing, missing]);
    assert_eq!(run(&server, &files).await, expected);
    // The same where everything is evaluated per request.
    let impure = format!("const born = Date.now();\n{index}");
    let files = [("index.js", impure.as_str()), files[1], files[2]];
    let deployed = deploy(&server, &files).await;
    assert_eq!(deployed["evaluation"], "per_request");
    assert_eq!(invoke(&server).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_type_of_a_package_decides_what_its_js_files_are() {
    let server = Server::start().await;
    let module = "import { name } from './lib.js';
        import old from './old/index.js';
        export default (req, res) => res.json([name, old, typeof require]);";
    let files = [
        ("package.json", r#"{"type":"module"}"#),
        ("index.js", module),
        ("lib.js", "export const name = 'lib';"),
        ("old/package.json", r#"{"type":"commonjs"}"#),
        ("old/index.js", "module.exports = 'old';"),
    ];
    let expected = json!(["lib", "old", "undefined"]);
    assert_eq!(run(&server, &files).await, expected);
    // Where nothing is said, the source decides.
    let files = [
        ("index.js", module),
        ("lib.js", "export const name = 'lib';"),
        ("old/index.js", "module.exports = 'old';"),
    ];
    assert_eq!(run(&server, &files).await, expected);
    // CommonJS by its package, though it is written as a module.
    let files = [
        ("package.json", r#"{"type":"commonjs"}"#),
        ("index.js", "export default (req, res) => res.end();"),
    ];
    let detail = refusal(&server, &files, "syntax_error").await;
    assert!(detail.starts_with("index.js:1:"), "{detail}");
    // The entry that `package.json` names.
    let files = [
        ("package.json", r#"{"main":"src/start.js"}"#),
        (
            "src/start.js",
            "module.exports = (req, res) => res.json('started');",
        ),
        (
            "index.js",
            "module.exports = (req, res) => res.json('wrong');",
        ),
    ];
    assert_eq!(run(&server, &files).await, json!("started"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_required_says_why() {
    let server = Server::start().await;
    let index = r"
        const attempt = (name) => {
            try { return require(name); } catch (error) { return [error.code, error.message]; }
        };
        const names = ['./waits.mjs', './addon.node', './broken.json', './throws', './throws.mjs'];
        const found = names.map(attempt);
        module.exports = (req, res) => res.json(found);";
    let files = [
        ("index.js", index),
        ("waits.mjs", "await null; export default 1;"),
        ("throws.mjs", "import './throws.js';"),
        ("addon.node", "\u{7f}ELF"),
        ("broken.json", "{\"a\":"),
        (
            "throws.js",
            "throw Object.assign(new Error('own'), { code: 'OWN' });",
        ),
    ];
    let found = run(&server, &files).await;
    assert_eq!(found[0][0], "ERR_REQUIRE_ASYNC_MODULE");
    assert_eq!(found[1][0], "ERR_DLOPEN_FAILED");
    assert!(
        found[1][1].as_str().unwrap().contains("native addon"),
        "{found}"
    );
    assert!(
        found[2][1].as_str().unwrap().contains("broken.json"),
        "{found}"
    );
    assert_eq!(found[3], json!(["OWN", "own"]));
    assert_eq!(found[4], found[3]);
    assert_eq!(server.log_text("f").await, "");
}

/// As in Node 20.19, for a file that evaluates its top level at deploy and for one that does so
/// per request.
#[tokio::test(flavor = "multi_thread")]
async fn es_modules_can_be_required() {
    let server = Server::start().await;
    let index = r"
        const plain = require('./plain.mjs'), marked = require('./default.mjs');
        const again = require('./default.mjs'), own = require('own'), asked = require('asks');
        const same = (import('./plain.mjs')).then((namespace) => namespace.list === plain.list);
        module.exports = async (req, res) => {
            const counted = [plain.add(), plain.count, Object.keys(plain)];
            res.json([counted, marked, again === marked, own(2), asked, await same]);
        };";
    let plain = "export let count = 0; export const list = [];
        export function add() { return ++count; }";
    let asks =
        "const threads = require('worker_threads'), { spawn } = require('node:child_process');
        let refused; try { spawn('ls') } catch (error) { refused = error.code }
        module.exports = [threads.isMainThread, refused, require('cluster').isPrimary];";
    let files = |first: &str| {
        [
            ("index.js", format!("{first}{index}")),
            ("plain.mjs", plain.to_owned()),
            (
                "default.mjs",
                "export * from './plain.mjs'; export default 'd';".to_owned(),
            ),
            (
                "node_modules/own/package.json",
                r#"{ "type": "module", "exports": "./main.js" }"#.to_owned(),
            ),
            (
                "node_modules/own/main.js",
                "const twice = (n) => 2 * n; export { twice as 'module.exports' };".to_owned(),
            ),
            ("node_modules/asks/index.js", asks.to_owned()),
        ]
    };
    for first in ["", "const now = Date.now();"] {
        let files = files(first);
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, &**text)).collect();
        let answer = run(&server, &files).await;
        let keys = ["add", "count", "list"];
        let marked = json!({ "__esModule": true, "count": 1, "default": "d", "list": [] });
        let expected = json!([[1, 1, keys], marked, true, 4, [true, "ENOTSUP", true], true]);
        assert_eq!(answer, expected, "{first}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_module_is_refused_at_deploy_and_the_old_version_stays() {
    let server = Server::start().await;
    let files = [(
        "index.js",
        "module.exports = (req, res) => res.json('old');",
    )];
    assert_eq!(run(&server, &files).await, json!("old"));
    let required = "\nconst lodash = require('lodash');\nmodule.exports = () => {};";
    let detail = refusal(&server, &[("index.js", required)], "module_not_found").await;
    assert!(detail.contains("Cannot find module 'lodash'"), "{detail}");
    assert!(detail.starts_with("index.js:2:"), "{detail}");
    let files = [
        (
            "index.js",
            "require('./lib/user'); module.exports = () => {};",
        ),
        ("lib/user.js", "require('./gone');"),
    ];
    let detail = refusal(&server, &files, "module_not_found").await;
    assert!(detail.contains("./gone"), "{detail}");
    assert!(detail.starts_with("lib/user.js:1:"), "{detail}");
    for import in ["import './gone.mjs';", "import gone from 'gone';"] {
        let source = format!("{import}\nexport default () => {{}};");
        let files = [("index.mjs", source.as_str())];
        let detail = refusal(&server, &files, "module_not_found").await;
        assert!(detail.contains("gone"), "{detail}");
        assert!(detail.contains("index.mjs"), "{detail}");
    }
    assert_eq!(invoke(&server).await, json!("old"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_any_file_is_refused_with_its_place() {
    let server = Server::start().await;
    let index = "const lib = require('./lib');\nmodule.exports = () => {};";
    let broken = [("index.js", index), ("lib.js", "\n\nlet a = ;")];
    let detail = refusal(&server, &broken, "syntax_error").await;
    assert!(detail.starts_with("lib.js:3:"), "{detail}");
    let throwing = [
        ("index.js", index),
        ("lib.js", "\nthrow new RangeError('at load');"),
    ];
    let detail = refusal(&server, &throwing, "load_threw").await;
    assert!(detail.starts_with("lib.js:2:"), "{detail}");
    assert!(detail.contains("RangeError: at load"), "{detail}");
    let module = [
        ("index.mjs", "import './lib.mjs';"),
        ("lib.mjs", "let b = 1;\nlet b = 2;"),
    ];
    let detail = refusal(&server, &module, "syntax_error").await;
    assert!(detail.starts_with("lib.mjs:2:"), "{detail}");
    let handler = [("index.js", "module.exports = { handler() {} };")];
    refusal(&server, &handler, "handler_missing").await;
    let module = [("index.mjs", "export const other = 1;")];
    refusal(&server, &module, "handler_missing").await;
}

/// What the top level does, what it is called, and where: line 2 of `index.js`.
const IMPURE: [(&str, &str); 11] = [
    ("Date.now()", "Date.now()"),
    ("new Date().getTime()", "new Date()"),
    ("Math.random()", "Math.random()"),
    ("performance.now()", "performance.now()"),
    ("crypto.randomUUID()", "crypto.randomUUID()"),
    (
        "crypto.getRandomValues(new Uint8Array(4))[0]",
        "crypto.getRandomValues()",
    ),
    (
        "require('crypto').randomBytes(4)[0]",
        "crypto.randomBytes()",
    ),
    ("setTimeout(() => {}, 1) && 1", "setTimeout()"),
    ("kv.get('a') && 1", "kv.get()"),
    (
        "fetch('http://127.0.0.1:9/').catch(() => {}) && 1",
        "fetch()",
    ),
    (
        "process.hrtime.bigint().toString()",
        "process.hrtime.bigint()",
    ),
];

const HANDLER: &str = "module.exports = (req, res) => res.json(String(value).length > 0);";

#[tokio::test(flavor = "multi_thread")]
async fn a_top_level_that_touches_the_outside_is_evaluated_per_request() {
    let server = Server::start().await;
    let mut faults = Vec::new();
    for (expression, what) in IMPURE {
        let source = format!("// first line\nconst value = {expression};\n{HANDLER}");
        let deployed = deploy(&server, &[("index.js", &source)]).await;
        let reason = deployed["evaluation_reason"].as_str().unwrap_or_default();
        let begin = format!("{what} at index.js:2:");
        if deployed["evaluation"] != "per_request" || !reason.starts_with(&begin) {
            faults.push(format!(
                "{expression}: {} {reason:?}",
                deployed["evaluation"]
            ));
        }
        assert_eq!(invoke(&server).await, json!(true), "{expression}");
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_top_level_that_depends_on_its_source_alone_is_kept_as_a_snapshot() {
    let server = Server::start().await;
    let pure = "const table = Array.from({ length: 9 }, (_, i) => i * i);
        const day = new Date(2024, 1, 29, 12).getDate() + new Date('2024-02-29').getDate();
        const env = process.env.MISSING;
        const later = () => [Date.now(), Math.random(), kv.get('a'), fetch, setTimeout];
        queueMicrotask(() => table.push('microtask'));
        Promise.resolve().then(() => table.push('promise'));
        module.exports = (req, res) => res.json([table, day, env === undefined]);";
    let deployed = deploy(&server, &[("index.js", pure)]).await;
    assert_eq!(deployed["evaluation"], "snapshot", "{deployed}");
    assert_eq!(deployed["evaluation_reason"], Value::Null);
    let table = json!([0, 1, 4, 9, 16, 25, 36, 49, 64, "microtask", "promise"]);
    for _ in 0..2 {
        assert_eq!(invoke(&server).await, json!([table, 58, true]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_touched_counts_in_any_file_and_even_when_it_is_caught() {
    let server = Server::start().await;
    let index = "const { id } = require('./lib/id');
        module.exports = (req, res) => res.json(typeof id);";
    let files = [
        ("index.js", index),
        ("lib/id.js", "\n\nexports.id = Math.random();"),
    ];
    let deployed = deploy(&server, &files).await;
    let reason = deployed["evaluation_reason"].as_str().unwrap();
    assert!(
        reason.starts_with("Math.random() at lib/id.js:3:"),
        "{reason}"
    );
    assert_eq!(invoke(&server).await, json!("number"));
    let caught = "let id = 'none';
        try { id = Math.random(); } catch {}
        module.exports = (req, res) => res.json(typeof id);";
    let deployed = deploy(&server, &[("index.js", caught)]).await;
    assert_eq!(deployed["evaluation"], "per_request");
    assert_eq!(invoke(&server).await, json!("number"));
    let rejected = "let found = 'none';
        kv.get('key').then((value) => { found = value; }, () => { found = 'refused'; });
        module.exports = async (req, res) => { await kv.get('key'); res.json(found); };";
    let deployed = deploy(&server, &[("index.js", rejected)]).await;
    assert_eq!(deployed["evaluation"], "per_request");
    assert_eq!(invoke(&server).await, json!(null));
}

/// Deploys one file and collects what ten invocations answer.
async fn ten(server: &Server, files: Files<'_>) -> BTreeSet<String> {
    deploy(server, files).await;
    let mut answers = BTreeSet::new();
    for _ in 0..10 {
        answers.insert(invoke(server).await.to_string());
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn randomness_differs_from_invocation_to_invocation() {
    let server = Server::start().await;
    let lib = "module.exports = { number: Math.random() };";
    let top = "const lib = require('./lib');
        module.exports = (req, res) => res.json(lib.number === require('./lib').number
            ? lib.number : 'evaluated twice');";
    let answers = ten(&server, &[("index.js", top), ("lib.js", lib)]).await;
    assert_eq!(answers.len(), 10, "{answers:?}");
    assert!(answers.iter().all(|text| text.parse::<f64>().is_ok()));
    let module = "import crypto from 'node:crypto';
        const id = crypto.randomUUID();
        export default (req, res) => res.json(id);";
    let answers = ten(&server, &[("index.mjs", module)]).await;
    assert_eq!(answers.len(), 10, "{answers:?}");
    // A snapshot must not hold a generator that goes on from the same state every time.
    for call in [
        "Math.random()",
        "crypto.randomUUID()",
        "crypto.getRandomValues(new Uint8Array(8))",
    ] {
        let handler = format!("module.exports = (req, res) => res.json({call});");
        let answers = ten(&server, &[("index.js", &handler)]).await;
        assert_eq!(answers.len(), 10, "{call}: {answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_goes_on_between_invocations() {
    let server = Server::start().await;
    let top = "const born = Date.now();
        module.exports = (req, res) => res.json([born, Date.now(), new Date().getTime()]);";
    let deployed = deploy(&server, &[("index.js", top)]).await;
    let created = deployed["created_ms"].as_u64().unwrap();
    let mut last = created;
    for _ in 0..3 {
        let times = invoke(&server).await;
        for time in times.as_array().unwrap() {
            let time = time.as_u64().unwrap();
            assert!(
                time >= last && time < created + 600_000,
                "{times} after {last}"
            );
            last = time;
        }
        // The clock counts milliseconds.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        last += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_top_level_logs_is_in_the_answer_to_the_deployment() {
    let server = Server::start().await;
    let source = "console.log('loading', { n: 1 });
        console.warn('careful');
        module.exports = (req, res) => res.end('done');";
    let deployed = deploy(&server, &[("index.js", source)]).await;
    let log = deployed["log"].as_array().unwrap();
    assert_eq!(log.len(), 2, "{deployed}");
    assert_eq!(
        (&log[0]["level"], &log[1]["level"]),
        (&json!("info"), &json!("warn"))
    );
    assert_eq!(log[0]["message"], "loading { n: 1 }");
    assert!(log[0]["timestamp_ms"].as_u64().unwrap() > 0);
    Answer::of(server.invoke("f")).await.expect(200, "done");
    let lines = server.log("f").await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &lines {
        assert!(line["invocation"].as_str().unwrap_or_default().is_empty());
        assert_eq!(line["version"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_top_level_that_is_evaluated_per_request_logs_per_request() {
    let server = Server::start().await;
    let source = "console.log('loading');
        const born = Date.now();
        module.exports = (req, res) => res.end('done');";
    let deployed = deploy(&server, &[("index.js", source)]).await;
    assert_eq!(deployed["evaluation"], "per_request");
    assert_eq!(deployed["log"], json!([]));
    let mut ids = BTreeSet::new();
    for _ in 0..2 {
        let answer = Answer::of(server.invoke("f")).await;
        ids.insert(answer.header("x-ampoule-invocation").unwrap().to_owned());
        answer.expect(200, "done");
    }
    server.log_with("f", "loading").await;
    let lines = server.log("f").await;
    let logged: BTreeSet<String> = lines
        .iter()
        .map(|line| line["invocation"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((lines.len(), logged), (2, ids), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_es_module_may_await_the_outside_at_its_top_level() {
    let answered = any(|| async { "from upstream" });
    let upstream = Upstream::start(Router::new().fallback_service(answered)).await;
    let server = Server::start().await;
    let index = "import { text } from './upstream.mjs';
        import old from './old.cjs';
        const visits = await kv.increment('visits');
        await new Promise((go) => setTimeout(go, 1));
        let counter = 0;
        export default { fetch: (request, env) =>
            Response.json([text, visits, ++counter, old.n, env.URL === process.env.URL]) };";
    let files = [
        ("index.mjs", index),
        (
            "upstream.mjs",
            "export const text = await (await fetch(process.env.URL)).text();",
        ),
        ("old.cjs", "exports.n = require('./data.json').n;"),
        ("data.json", r#"{"n":7}"#),
    ];
    let settings = json!({ "env": { "URL": upstream.url("/") } });
    let deployed = server.deploy_files("f", &files, settings).await;
    assert_eq!(deployed.status, 201, "{}", deployed.text());
    let deployed = deployed.json();
    assert_eq!(deployed["evaluation"], "per_request");
    let reason = deployed["evaluation_reason"].as_str().unwrap();
    assert!(reason.starts_with("fetch() at upstream.mjs:1:"), "{reason}");
    for visits in 1..=3 {
        let expected = json!(["from upstream", visits, 1, 7, true]);
        assert_eq!(invoke(&server).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commonjs_that_is_evaluated_per_request_has_all_its_modules() {
    let server = Server::start().await;
    let index = "const born = Date.now();
        const lib = require('./lib');
        const plain = require('plain');
        let counter = 0;
        module.exports = async (req, res) => {
            const late = await import('./late.mjs');
            res.json([lib.n, plain, ++counter, late.default, require('./data.json')]);
        };";
    let files = [
        ("index.js", index),
        ("lib.js", "exports.n = require('./data').n + 1;"),
        ("data.json", r#"{"n":1}"#),
        ("late.mjs", "export default 'late';"),
        ("node_modules/plain/package.json", r#"{"main":"main.js"}"#),
        ("node_modules/plain/main.js", "module.exports = 'plain';"),
    ];
    let deployed = deploy(&server, &files).await;
    assert_eq!(deployed["evaluation"], "per_request");
    for _ in 0..3 {
        let expected = json!([2, "plain", 1, "late", { "n": 1 }]);
        assert_eq!(invoke(&server).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_top_level_that_throws_per_request_fails_that_invocation_alone() {
    let server = Server::start().await;
    let index = "const born = Date.now();
        const body = globalThis.fail ?? process.env.FAIL;
        if (body) throw new Error('at the top level');
        module.exports = (req, res) => res.json('fine');";
    let files = [("index.js", index)];
    let settings = json!({ "env": { "FAIL": "yes" } });
    let deployed = server.deploy_files("f", &files, settings).await;
    assert_eq!(deployed.status, 201, "{}", deployed.text());
    let answer = Answer::of(server.invoke("f")).await;
    answer.expect_problem(500, "function_threw");
    let log = server.log_text("f").await;
    assert!(log.contains("at the top level"), "{log}");
    assert!(log.contains("index.js:3:"), "{log}");
    assert_eq!(run(&server, &files).await, json!("fine"));
}
