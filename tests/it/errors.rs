//! What is wrong with a function is told where it helps: at deploy, to the caller, in the log.

use crate::server::{Answer, Server};
use serde_json::json;

const GOOD: &str = "module.exports = (req, res) => res.send('good');";

/// The version that was deployed before still answers, and is the only one.
async fn assert_still_good(server: &Server, function: &str) {
    let answer = Answer::of(server.invoke(function)).await;
    answer.expect(200, "good");
    let path = format!("/api/v1/tenants/default/functions/{function}/versions");
    let versions = Answer::of(server.request(reqwest::Method::GET, &path)).await;
    assert_eq!(versions.json()["versions"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_syntax_error_is_refused_with_its_place_and_the_old_version_stays() {
    let server = Server::start().await;
    server.deploy("f", GOOD).await;
    for (filename, source, place) in [
        (
            "index.js",
            "const a = 1;\nmodule.exports = (req, res) => {\n  res.send(];\n};\n",
            "index.js:3:12: ",
        ),
        (
            "index.js",
            "module.exports = (req, res) => { res.send(]; };",
            "index.js:1:43: ",
        ),
        ("index.js", "const a = ;", "index.js:1:11: "),
        (
            "index.js",
            "#!/usr/bin/env node\nlet a = 1;\n  let = = 2;",
            "index.js:3:",
        ),
        (
            "index.js",
            "const a = 1;\nconst b = 2;\nconst a = 3;\n",
            "index.js:3:",
        ),
        ("index.js", "exports.x = 'never closed", "index.js:1:"),
        ("index.js", "module.exports = () => {\n\n", "index.js:3:"),
        (
            "index.mjs",
            "import 'path';\n\nexport default (req, res) => {\n  res.send(];\n};\n",
            "index.mjs:4:12: ",
        ),
        ("index.mjs", "export default = 1;", "index.mjs:1:"),
        ("index.cjs", "let x = 1;\n  x ++ y;\n", "index.cjs:2:8: "),
    ] {
        let request = server.deploy_request("default", "f", filename, source, &json!({}));
        let answer = Answer::of(request)
            .await
            .expect_problem(422, "syntax_error");
        let problem = answer.json();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(place), "{detail} is not at {place}");
        assert_eq!(problem["message"], problem["detail"]);
        assert_eq!(problem["origin"], "caller");
        assert_still_good(&server, "f").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_syntax_error_in_another_file_names_that_file() {
    let server = Server::start().await;
    server.deploy("f", GOOD).await;
    let broken = "exports.help = () => {\n  return 1;\n};\n  const x = );\n";
    let cases: [(&[(&str, &str)], &str); 3] = [
        (
            &[
                (
                    "index.js",
                    "const { help } = require('./lib/broken');\nmodule.exports = help;",
                ),
                ("lib/broken.js", broken),
            ],
            "lib/broken.js:4:13: ",
        ),
        (
            &[
                (
                    "index.mjs",
                    "import { help } from './lib/broken.mjs';\nexport default help;",
                ),
                (
                    "lib/broken.mjs",
                    "export const help = () => {\n  return 1;\n};\n  const x = );\n",
                ),
            ],
            "lib/broken.mjs:4:13: ",
        ),
        (
            &[
                (
                    "index.mjs",
                    "import broken from 'broken';\nexport default broken.help;",
                ),
                ("node_modules/broken/package.json", r#"{"main":"main.js"}"#),
                ("node_modules/broken/main.js", broken),
            ],
            "node_modules/broken/main.js:4:13: ",
        ),
    ];
    for (files, place) in cases {
        let answer = server.deploy_files("f", files, json!({})).await;
        let problem = answer.expect_problem(422, "syntax_error").json();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(place), "{detail} is not at {place}");
        assert_still_good(&server, "f").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_is_wrong_with_a_module_is_refused_too() {
    let server = Server::start().await;
    server.deploy("f", GOOD).await;
    for (filename, source, code, place) in [
        (
            "index.js",
            "const a = 1;\nconst b = require('./missing');\n",
            "module_not_found",
            "index.js:2:",
        ),
        (
            "index.js",
            "require('child_process');",
            "module_not_found",
            "index.js:1:",
        ),
        (
            "index.mjs",
            "import './missing.mjs';",
            "module_not_found",
            "",
        ),
        (
            "index.js",
            "module.exports = { a: 1 };",
            "handler_missing",
            "",
        ),
        ("index.mjs", "export const a = 1;", "handler_missing", ""),
        (
            "index.js",
            "function setUp() {\n  throw new Error('cannot start');\n}\nsetUp();\n",
            "load_threw",
            "index.js:2:",
        ),
        (
            "index.js",
            "module.exports = () => {};\nJSON.parse('{');\n",
            "load_threw",
            "index.js:2:",
        ),
        (
            "index.mjs",
            "export default () => {};\nawait new Promise(() => {});",
            "load_threw",
            "",
        ),
    ] {
        let request = server.deploy_request("default", "f", filename, source, &json!({}));
        let problem = Answer::of(request).await.expect_problem(422, code).json();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(place), "{detail} is not at {place}");
        assert_still_good(&server, "f").await;
    }
}

/// What a caller must never see.
const SECRET: &str = "secret-4711";

/// Invokes a function that throws; its problem's detail, and the log.
async fn thrown(server: &Server, function: &str) -> (String, Vec<serde_json::Value>) {
    let answer = Answer::of(server.invoke(function)).await;
    let answer = answer.expect_problem(500, "function_threw");
    let text = answer.text();
    for leak in [SECRET, "stack", "    at ", "/app"] {
        assert!(!text.contains(leak), "{leak:?} in {text}");
    }
    let problem = answer.json();
    let id = answer.header("x-ampoule-invocation").unwrap();
    assert_eq!(problem["invocation"], id);
    assert_eq!(problem["instance"], format!("/invocations/{id}"));
    assert_eq!(problem["origin"], "function");
    assert_eq!(problem["message"], problem["detail"]);
    let log = server.log(function).await;
    for line in &log {
        assert_eq!(line["invocation"], id, "{line}");
    }
    (problem["detail"].as_str().unwrap().to_owned(), log)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throw_is_a_problem_and_its_stack_and_the_lines_before_it_are_in_the_log() {
    let server = Server::start().await;
    let source = "const helper = 1;

module.exports = (req, res) => {
  console.log('before', { a: helper });
  console.warn('careful');
  throw new TypeError('secret-4711');
};
";
    server.deploy("f", source).await;
    let (detail, log) = thrown(&server, "f").await;
    assert_eq!(detail, "uncaught TypeError at index.js:6:13");
    let lines: Vec<(&str, &str)> = log
        .iter()
        .map(|line| {
            (
                line["level"].as_str().unwrap(),
                line["message"].as_str().unwrap(),
            )
        })
        .collect();
    let last = "Uncaught TypeError: secret-4711\n    at /app/index.js:6:13";
    assert_eq!(
        lines,
        [
            ("info", "before { a: 1 }"),
            ("warn", "careful"),
            ("error", last)
        ]
    );
    assert_eq!(log[2]["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throw_after_an_await_and_in_other_files_keeps_the_lines_of_the_source() {
    let server = Server::start().await;
    let deployed = server
        .deploy_files(
            "f",
            &[
                (
                    "index.js",
                    "'use strict';
const { check } = require('./lib/check');
module.exports = async function handle(req, res) {
  console.log('begin');
  await kv.get('nothing');
  await new Promise((resolve) => setTimeout(resolve, 1));
  console.log('checking');
  check(undefined);
};
",
                ),
                (
                    "lib/check.js",
                    "// Line 1.
exports.check = function check(order) {
  // Line 3.
  return order.total;
};
",
                ),
            ],
            json!({}),
        )
        .await;
    assert_eq!(deployed.status, 201, "{}", deployed.text());
    let (detail, log) = thrown(&server, "f").await;
    assert_eq!(detail, "uncaught TypeError at lib/check.js:4:16");
    let messages: Vec<&str> = log
        .iter()
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    assert_eq!(messages[..2], ["begin", "checking"]);
    let stack: Vec<&str> = messages[2].lines().collect();
    assert!(stack[0].starts_with("Uncaught TypeError: "), "{stack:?}");
    assert_eq!(stack[1], "    at check (/app/lib/check.js:4:16)");
    assert!(
        stack[2].starts_with("    at handle (/app/index.js:8:"),
        "{stack:?}"
    );
    assert_eq!(stack.len(), 3, "only the user's own frames: {stack:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_function_that_throws_is_told_the_same_way() {
    let server = Server::start().await;
    for (name, filename, source, detail) in [
        (
            "module",
            "index.mjs",
            "\nexport default async (req, res) => {\n  await null;\n  \
             throw new RangeError('secret-4711');\n};",
            "uncaught RangeError at index.mjs:4:13",
        ),
        (
            "web",
            "index.mjs",
            "export default {\n  async fetch(request) {\n    \
             throw new Error('secret-4711');\n  },\n};",
            "uncaught Error at index.mjs:3:15",
        ),
        (
            "per-request",
            "index.js",
            "const now = Date.now();\nmodule.exports = () => {\n  \
             throw new Error('secret-4711');\n};",
            "uncaught Error at index.js:3:13",
        ),
        (
            "timer",
            "index.js",
            "module.exports = (req, res) => {\n  setTimeout(() => {\n    \
             throw new Error('secret-4711');\n  }, 1);\n};",
            "uncaught Error at index.js:3:15",
        ),
        (
            "first-line",
            "index.js",
            "module.exports = () => { throw new Error('secret-4711'); };",
            "uncaught Error at index.js:1:36",
        ),
    ] {
        let request = server.deploy_request("default", name, filename, source, &json!({}));
        let deployed = Answer::of(request).await;
        assert_eq!(deployed.status, 201, "{name}: {}", deployed.text());
        let (told, log) = thrown(&server, name).await;
        assert_eq!(told, detail, "{name}");
        let message = log.last().unwrap()["message"].as_str().unwrap();
        assert!(message.contains(SECRET), "{name}: {message}");
        let (_, place) = detail.split_once(" at ").unwrap();
        assert!(
            message.contains(&format!("/app/{place}")),
            "{name}: {message}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_thrown_is_told_without_being_trusted() {
    let server = Server::start().await;
    for (name, thrown_value, logged) in [
        ("text", "'secret-4711'", "Uncaught 'secret-4711'"),
        ("null", "null", "Uncaught null"),
        ("undefined", "undefined", "Uncaught undefined"),
        ("number", "4711", "Uncaught 4711"),
        (
            "object",
            "{ message: 'secret-4711' }",
            "Uncaught { message: 'secret-4711' }",
        ),
        ("proxy", "new Proxy({}, { get() { throw 1; } })", "Uncaught"),
        ("symbol", "Symbol('secret-4711')", "Uncaught"),
        (
            "named",
            "Object.assign(new Error('x'), { name: '\\r\\n<b>secret-4711' })",
            "Uncaught",
        ),
        (
            "large",
            "new Error('secret-4711'.repeat(100000))",
            "secret-4711",
        ),
        (
            "getters",
            "Object.create(Error.prototype, { message: { get() { throw 1; } },
             stack: { get() { return { toString: null }; } } })",
            "Uncaught",
        ),
    ] {
        let source = format!("module.exports = (req, res) => {{ throw {thrown_value}; }};");
        server.deploy(name, &source).await;
        let answer = Answer::of(server.invoke(name)).await;
        let answer = answer.expect_problem(500, "function_threw");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("uncaught "), "{name}: {detail}");
        assert!(detail.len() < 200, "{name}: {detail}");
        assert!(!detail.contains(['<', '\r', '\n']), "{name}: {detail}");
        if name != "named" {
            assert!(!answer.text().contains(SECRET), "{name}: {}", answer.text());
        }
        let log = server.log_text(name).await;
        assert!(log.contains(logged), "{name}: {log}");
        assert!(log.len() <= 48 << 10, "{name}: {}", log.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_the_environment_are_in_no_problem() {
    let server = Server::start().await;
    let source = "module.exports = () => {
        const key = process.env.API_KEY; class Own extends Error {}
        throw new Own(`cannot use ${key}`);
    };";
    let settings = json!({ "env": { "API_KEY": SECRET } });
    let deployed = server.deploy_with("f", source, settings).await;
    assert!(!deployed.to_string().contains(SECRET), "{deployed}");
    assert_eq!(deployed["env"], json!(["API_KEY"]));
    thrown(&server, "f").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_throws_after_its_answer_keeps_it_and_is_logged() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
  res.json({ done: true });
  await null;
  throw new Error('too late');
};";
    server.deploy("late", source).await;
    let answer = Answer::of(server.invoke("late")).await;
    answer.expect(200, r#"{"done":true}"#);
    server.until_idle().await;
    let log = server.log_text("late").await;
    assert!(log.contains("too late\n    at "), "{log}");
    assert!(log.contains("/app/index.js:4:"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_throws_half_way_is_not_taken_for_whole() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        res.write('half');
        await sleep(1);
        throw new Error('secret-4711');
    };";
    server.deploy("half", source).await;
    let response = server.invoke("half").send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.bytes().await.expect_err("the body breaks off");
    server.until_idle().await;
    let log = server.log_text("half").await;
    assert!(log.contains("Uncaught Error: secret-4711"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_that_nobody_handles_is_logged_and_does_no_harm() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => {
  Promise.reject(new Error('lost'));
  res.send('fine');
};";
    server.deploy("loses", source).await;
    let answer = Answer::of(server.invoke("loses")).await;
    answer.expect(200, "fine");
    server.until_idle().await;
    let log = server.log_text("loses").await;
    assert!(
        log.contains("Unhandled promise rejection: Error: lost"),
        "{log}"
    );
    assert!(log.contains("/app/index.js:2:"), "{log}");
}
