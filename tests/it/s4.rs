//! "Custom Code" (S4), line by line: workspaces at `/v2/functions`. `docs/seed-lines.md` has the
//! table.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ampoule::config::WorkspaceConfig;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::process::{OF_WORKSPACES, Serving, ampoule, run as run_process};
use crate::server::{Answer, Options, Server, cache};

/// The definition of the document's first command, byte for byte.
const TEST: &str = r#"{
  "functions": {
    "hello": {
      "code": "return \"Hello \" + name;",
      "parameters": {
        "name": {
          "type": "string"
        }
      }
    }
  }
}"#;
/// The two functions of "Shared memory", as they are written there.
const FUNC_A: &str = "let counter = cache['counter']\ncounter = (counter || 0) + 1\ncache['counter'] = counter;\nreturn counter;";
const FUNC_B: &str = "let counter = cache['counter'];\nreturn \"Counter : \" + counter;";

fn put(server: &Server, workspace: &str, definition: &Value) -> RequestBuilder {
    let path = format!("/v2/functions/{workspace}");
    server
        .request(Method::POST, &path)
        .header("content-type", "application/json")
        .body(definition.to_string())
}

/// Makes a workspace of bodies.
async fn make(server: &Server, workspace: &str, functions: &[(&str, &str)]) {
    let functions: serde_json::Map<String, Value> = functions
        .iter()
        .map(|(name, code)| ((*name).to_owned(), json!({ "code": code })))
        .collect();
    let definition = json!({ "functions": functions });
    let answer = Answer::of(put(server, workspace, &definition)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn run_request(server: &Server, function: &str, parameters: &Value) -> RequestBuilder {
    let (workspace, function) = function.split_once('/').unwrap();
    let path = format!("/v2/functions/{workspace}/run/{function}");
    server
        .request(Method::POST, &path)
        .header("content-type", "application/json")
        .body(json!({ "parameters": parameters }).to_string())
}

async fn run(server: &Server, function: &str, parameters: Value) -> Answer {
    Answer::of(run_request(server, function, &parameters)).await
}

/// The result of a run that succeeds.
async fn result(server: &Server, function: &str, parameters: Value) -> Value {
    let answer = run(server, function, parameters).await;
    assert_eq!(answer.status, 200, "{function}: {}", answer.text());
    answer.json()["result"].clone()
}

/// An error in the form of this surface; its message.
fn told(answer: &Answer, status: u16, code: &str) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    let error = answer.json();
    assert_eq!(error["error"], code, "{error}");
    let members: Vec<&String> = error.as_object().unwrap().keys().collect();
    assert_eq!(members[..2], ["error", "message"], "{error}");
    error["message"].as_str().expect("a message").to_owned()
}

async fn with(config: WorkspaceConfig) -> Server {
    Server::with(Options {
        workspaces: config,
        ..Options::default()
    })
    .await
}

/// `ampoule serve` without a flag, in a folder of its own, on a free port.
fn serve_plain(folder: &std::path::Path) -> Command {
    let mut command = ampoule(&["serve"]);
    command.current_dir(folder).env("PORT", "0");
    command
}

/// Has the data folder find what the tests have compiled already.
fn with_compiled(data: &std::path::Path) {
    std::fs::create_dir_all(data).unwrap();
    std::os::unix::fs::symlink(cache(), data.join("cache")).unwrap();
}

#[tokio::test]
async fn s4_01_a_server_without_flags_answers_both_commands() {
    let help = run_process(&mut ampoule(&["serve", "--help"]))
        .await
        .expect(0);
    assert!(
        help.out.contains("[default: 127.0.0.1:4000]"),
        "{}",
        help.out
    );
    let folder = tempfile::tempdir().unwrap();
    with_compiled(&folder.path().join("data"));
    let serving = Serving::of(&mut serve_plain(folder.path())).await;
    let made = serving
        .request(Method::POST, "/v2/functions/test")
        .header("content-type", "application/json")
        .body(TEST);
    let answer = Answer::of(made).await;
    let written: Value = serde_json::from_str(TEST).unwrap();
    assert_eq!((answer.status, answer.json()), (200, written));
    let run = serving
        .request(Method::POST, "/v2/functions/test/run/hello")
        .header("content-type", "application/json")
        .body(r#"{ "parameters": { "name": "world" } }"#);
    let answer = Answer::of(run).await;
    assert_eq!(answer.json()["result"], "Hello world", "{}", answer.text());
    serving.stop().await.expect(0);
}

#[tokio::test]
async fn the_environment_says_how_workspaces_are_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("elsewhere");
    with_compiled(&data);
    let mut command = serve_plain(folder.path());
    let values = [
        "2000",
        "elsewhere",
        "2",
        "0",
        "url",
        "64MB",
        "http://127.0.0.1:9/",
        "http://127.0.0.1:9/",
        "1000",
        "1kb",
        "yes",
    ];
    for (name, value) in OF_WORKSPACES.iter().zip(values) {
        command.env(name, value);
    }
    let serving = Serving::of(&mut command).await;
    let functions = json!({ "functions": {
        "wait": { "code": "await new Promise((go) => setTimeout(go, 60000))" },
        "eat": { "code": "return new Array(9e6).fill(1).length" },
        "load": { "code": "return [typeof require('url'), require('util')]" },
        "count": { "code": FUNC_A },
    }});
    let post = |path: &str, body: String| serving.request(Method::POST, path).body(body);
    let made = Answer::of(post("/v2/functions/test", functions.to_string())).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let large = json!({ "functions": {}, "pad": "x".repeat(1024) }).to_string();
    told(
        &Answer::of(post("/v2/functions/large", large)).await,
        413,
        "body_too_large",
    );
    for (function, status, code) in [
        ("wait", 504, "wall_exceeded"),
        ("eat", 507, "memory_exceeded"),
        ("load", 500, "function_threw"),
    ] {
        let path = format!("/v2/functions/test/run/{function}");
        told(&Answer::of(post(&path, String::new())).await, status, code);
    }
    for _ in 0..2 {
        let path = "/v2/functions/test/run/count";
        let counted = Answer::of(post(path, String::new())).await;
        assert_eq!(
            counted.json()["result"],
            1,
            "a cache of no idle time is lost at once"
        );
    }
    assert!(data.join("ampoule.redb").is_file());
    let ended = serving.stop().await.expect(0);
    assert!(ended.err.contains("NPM_CONFIG_REGISTRY"), "{}", ended.err);
    assert!(
        !ended.err.contains("127.0.0.1:9"),
        "a value may be secret: {}",
        ended.err
    );
    for (name, value) in [
        ("FUNCTIONS_RUN_TIMEOUT", "0"),
        ("FUNCTIONS_RUN_TIMEOUT", "300001"),
        ("FUNCTIONS_RUN_TIMEOUT", "soon"),
        ("REQUEST_MAX_SIZE", "1 elephant"),
        ("REQUEST_MAX_SIZE", "1tb"),
        ("NODE_WORKER_MAX_OLD_GENERATION_SIZE_MB", "513"),
        ("FUNCTIONS_WORKERS_MAX_LRU", "0"),
        ("UPDATE_SCRIPTS_ON_STARTUP", "maybe"),
    ] {
        let mut command = serve_plain(folder.path());
        let refused = run_process(command.env(name, value)).await.expect(2);
        let has_name = refused.err.contains(name) || refused.err.contains(value);
        assert!(has_name, "{name}={value}: {}", refused.err);
    }
}

#[tokio::test]
async fn s4_02_the_first_command_gives_its_body_back() {
    let server = Server::start().await;
    let path = "/v2/functions/test";
    let sent = server
        .request(Method::POST, path)
        .header("content-type", "application/json")
        .body(TEST);
    let answer = Answer::of(sent).await;
    let written: Value = serde_json::from_str(TEST).unwrap();
    assert_eq!((answer.status, answer.text()), (200, written.to_string()));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let shown = Answer::of(server.request(Method::GET, path)).await;
    assert_eq!((shown.status, shown.text()), (200, written.to_string()));
    let odd = json!({ "z": 1, "functions": { "b": { "x": [1.0, 1e21], "code": "" }, "a": { "code": "" } }, "a": null });
    let answer = Answer::of(put(&server, "test", &odd)).await;
    assert_eq!((answer.status, answer.text()), (200, odd.to_string()));
}

#[tokio::test]
async fn s4_03_the_second_command_runs_the_function() {
    let server = Server::start().await;
    let definition: Value = serde_json::from_str(TEST).unwrap();
    Answer::of(put(&server, "test", &definition)).await;
    let answer = run(&server, "test/hello", json!({ "name": "world" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let text = answer.text();
    assert!(
        text.starts_with(r#"{"result":"Hello world","logs":[],"duration":"#),
        "{text}"
    );
    let body = answer.json();
    assert!(body["duration"].is_u64(), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 3);
}

#[tokio::test]
async fn s4_04_a_parameter_that_is_not_given_is_undefined() {
    let server = Server::start().await;
    let definition: Value = serde_json::from_str(TEST).unwrap();
    Answer::of(put(&server, "test", &definition)).await;
    for body in ["", "{}", r#"{"parameters":null}"#, r#"{"parameters":{}}"#] {
        let request = server
            .request(Method::POST, "/v2/functions/test/run/hello")
            .body(body);
        let answer = Answer::of(request).await;
        assert_eq!(answer.json()["result"], "Hello undefined", "{body:?}");
    }
    let wrong = run(&server, "test/hello", json!({ "name": 7 })).await;
    let message = told(&wrong, 400, "parameters_invalid");
    assert!(message.contains("\"name\" must be string"), "{message}");
    let wrong = run(&server, "test/hello", json!([1])).await;
    told(&wrong, 400, "parameters_invalid");
}

#[tokio::test]
async fn s4_05_defaults_are_used_when_parameters_are_left_out() {
    let server = Server::start().await;
    let definition = json!({ "functions": { "f": {
        "code": "list.push(name); return list;",
        "parameters": {
            "name": { "type": "string", "default": "nobody" },
            "list": { "type": "array", "default": [1, { "a": null }] },
        },
    }}});
    let answer = Answer::of(put(&server, "test", &definition)).await;
    assert_eq!(answer.status, 200);
    for _ in 0..2 {
        let all = result(&server, "test/f", json!({})).await;
        assert_eq!(all, json!([1, { "a": null }, "nobody"]));
    }
    let all = result(&server, "test/f", json!({ "list": [], "name": "" })).await;
    assert_eq!(all, json!([""]));
}

#[tokio::test]
async fn s4_06_parameters_that_are_not_declared_are_nothing() {
    let server = Server::start().await;
    let definition = json!({ "functions": { "f": {
        "code": "return [name, typeof other, typeof globalThis.other, arguments.length]",
        "parameters": { "name": {} },
    }}});
    Answer::of(put(&server, "test", &definition)).await;
    let given = json!({ "other": 1, "name": "n", "__proto__": { "x": 1 } });
    let seen = result(&server, "test/f", given).await;
    assert_eq!(seen, json!(["n", "undefined", "undefined", 1]));
}

#[tokio::test]
async fn s4_07_errors_have_a_code_and_a_message() {
    let server = with(WorkspaceConfig {
        request_bytes_max: 2000,
        ..WorkspaceConfig::default()
    })
    .await;
    make(&server, "test", &[("hello", "return 1")]).await;
    let cases = [
        ("test/nope", 404, "function_not_found"),
        ("nope/hello", 404, "function_not_found"),
        ("no%20name/hello", 400, "invalid_name"),
        ("test/toString", 404, "function_not_found"),
        ("test/%FF", 400, "invalid_name"),
    ];
    for (target, status, code) in cases {
        told(&run(&server, target, json!({})).await, status, code);
    }
    let path = "/v2/functions/nope";
    for method in [Method::GET, Method::DELETE] {
        told(
            &Answer::of(server.request(method, path)).await,
            404,
            "function_not_found",
        );
    }
    let patch = server.request(Method::PATCH, path).body("{}");
    told(&Answer::of(patch).await, 404, "function_not_found");
    for body in ["{", "[1", "", "\"x", "{} {}"] {
        let request = server
            .request(Method::POST, "/v2/functions/test")
            .body(body);
        told(&Answer::of(request).await, 400, "body_invalid");
    }
    let run = server
        .request(Method::POST, "/v2/functions/test/run/hello")
        .body("{");
    told(&Answer::of(run).await, 400, "body_invalid");
    let nothing = Answer::of(server.request(Method::GET, "/v2/nothing")).await;
    told(&nothing, 404, "not_found");
    let wrong = server.request(Method::GET, "/v2/functions/test/run/hello");
    told(&Answer::of(wrong).await, 405, "method_not_allowed");
    // The bound itself, and one byte more.
    for (extra, status) in [(0, 200), (1, 413)] {
        let empty = json!({ "functions": {}, "pad": "" }).to_string().len();
        let definition = json!({ "functions": {}, "pad": "x".repeat(2000 - empty + extra) });
        let answer = Answer::of(put(&server, "padded", &definition)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

#[tokio::test]
async fn s4_08_results_are_json_and_what_is_none_is_an_error() {
    let server = Server::start().await;
    let functions = [
        ("text", "return 'a\\u2028é'"),
        ("number", "return 1e21"),
        ("yes", "return true"),
        ("nothing", "return null"),
        ("object", "return { b: 1, a: [undefined], c: undefined }"),
        ("undefined", "return undefined"),
        ("none", ""),
        ("big", "return 1n"),
        ("circular", "const a = {}; a.a = a; return a"),
        ("function", "return () => 1"),
        (
            "deep",
            "let a = 0; for (let i = 0; i < 5000; i++) a = [a]; return a",
        ),
        ("throws", "console.log('before'); null.x"),
    ];
    make(&server, "test", &functions).await;
    for (function, text) in [
        ("text", "\"a\u{2028}é\""),
        ("number", "1e+21"),
        ("yes", "true"),
        ("nothing", "null"),
        ("object", r#"{"b":1,"a":[null]}"#),
        ("undefined", "null"),
        ("none", "null"),
    ] {
        let answer = run(&server, &format!("test/{function}"), json!({})).await;
        let wanted = format!("{{\"result\":{text},\"logs\":[],");
        assert!(answer.text().starts_with(&wanted), "{}", answer.text());
    }
    for function in ["big", "circular", "function", "deep"] {
        let answer = run(&server, &format!("test/{function}"), json!({})).await;
        told(&answer, 500, "result_invalid");
    }
    let threw = run(&server, "test/throws", json!({})).await;
    let message = told(&threw, 500, "function_threw");
    assert!(message.starts_with("TypeError: "), "{message}");
    assert!(message.contains(" at throws:1:"), "{message}");
    assert_eq!(threw.json()["logs"][0]["message"], "before");
}

#[tokio::test]
async fn s4_09_await_needs_no_async() {
    let server = Server::start().await;
    let code = "await new Promise((go) => setTimeout(go, 5)); \
                for await (const x of [1, 2]) console.log(x); return 'done'";
    make(&server, "test", &[("f", code)]).await;
    assert_eq!(result(&server, "test/f", json!({})).await, "done");
}

#[tokio::test]
async fn s4_10_functions_call_each_other() {
    let server = Server::start().await;
    let functions = [
        ("funcA", "return \"world\";"),
        ("funcB", "return \"hello \" + (await funcA());"),
    ];
    make(&server, "test", &functions).await;
    assert_eq!(
        result(&server, "test/funcB", json!({})).await,
        "hello world"
    );
    let definition = json!({ "functions": {
        "add": { "code": "return [a, b]", "parameters": { "a": {}, "b": { "default": 2 } } },
        "named": { "code": "return add({ b: 3, a: 1 })" },
        "ordered": { "code": "return add(1)" },
        "itself": { "code": "return n > 0 ? itself(n - 1) : 'end'", "parameters": { "n": {} } },
    }});
    Answer::of(put(&server, "more", &definition)).await;
    assert_eq!(
        result(&server, "more/named", json!({})).await,
        json!([1, 3])
    );
    assert_eq!(
        result(&server, "more/ordered", json!({})).await,
        json!([1, 2])
    );
    assert_eq!(
        result(&server, "more/itself", json!({ "n": 9 })).await,
        "end"
    );
}

#[tokio::test]
async fn s4_11_a_call_without_await_is_a_promise() {
    let server = Server::start().await;
    let functions = [
        ("funcA", "return \"world\";"),
        ("funcB", "return \"hello \" + funcA();"),
    ];
    make(&server, "test", &functions).await;
    let said = result(&server, "test/funcB", json!({})).await;
    assert_eq!(said, "hello [object Promise]");
}

#[tokio::test]
async fn s4_12_the_cache_is_shared_by_functions_and_runs() {
    let server = Server::start().await;
    make(&server, "test", &[("funcA", FUNC_A), ("funcB", FUNC_B)]).await;
    for count in 1..=3 {
        assert_eq!(result(&server, "test/funcA", json!({})).await, count);
    }
    assert_eq!(
        result(&server, "test/funcB", json!({})).await,
        "Counter : 3"
    );
    // A function that throws is over all the same; what it wrote counts.
    let functions = [
        (
            "add",
            "cache.n = (cache.n || 0) + 1; if (cache.n === 2) throw new Error('no')",
        ),
        ("read", "return cache.n"),
    ];
    make(&server, "throwing", &functions).await;
    for status in [200, 500, 200] {
        assert_eq!(run(&server, "throwing/add", json!({})).await.status, status);
    }
    assert_eq!(result(&server, "throwing/read", json!({})).await, 3);
}

#[tokio::test]
async fn s4_13_variables_do_not_survive_a_run() {
    let server = Server::start().await;
    let code = "const seen = [typeof a, typeof b, typeof globalThis.c, Array.prototype.d]; \
                var a = 1; b = 1; globalThis.c = 1; Array.prototype.d = 1; \
                require('url').kept = (require('url').kept || 0) + 1; \
                return [...seen, require('url').kept]";
    make(&server, "test", &[("f", code)]).await;
    for _ in 0..2 {
        let seen = result(&server, "test/f", json!({})).await;
        let undefined = "undefined";
        assert_eq!(seen, json!([undefined, undefined, undefined, null, 1]));
    }
}

#[tokio::test]
async fn s4_14_the_cache_is_that_of_one_workspace() {
    let server = Server::start().await;
    for workspace in ["one", "two"] {
        make(&server, workspace, &[("funcA", FUNC_A), ("funcB", FUNC_B)]).await;
    }
    assert_eq!(result(&server, "one/funcA", json!({})).await, 1);
    let other = result(&server, "two/funcB", json!({})).await;
    assert_eq!(other, "Counter : undefined");
    // Nor does another version of the code meet it.
    make(&server, "one", &[("funcB", FUNC_B)]).await;
    let later = result(&server, "one/funcB", json!({})).await;
    assert_eq!(later, "Counter : undefined");
}

#[tokio::test]
async fn s4_15_the_cache_is_lost_when_idle_or_pushed_out() {
    let idle = with(WorkspaceConfig {
        idle: Duration::ZERO,
        ..WorkspaceConfig::default()
    })
    .await;
    make(&idle, "test", &[("funcA", FUNC_A)]).await;
    for _ in 0..2 {
        assert_eq!(result(&idle, "test/funcA", json!({})).await, 1);
    }
    let few = with(WorkspaceConfig {
        kept_max: 2,
        ..WorkspaceConfig::default()
    })
    .await;
    for workspace in ["a", "b", "c"] {
        make(&few, workspace, &[("funcA", FUNC_A)]).await;
        assert_eq!(
            result(&few, &format!("{workspace}/funcA"), json!({})).await,
            1
        );
    }
    for (workspace, count) in [("c", 2), ("b", 2), ("a", 1)] {
        let counted = result(&few, &format!("{workspace}/funcA"), json!({})).await;
        assert_eq!(counted, count, "{workspace}");
    }
}

#[tokio::test]
async fn s4_16_runs_at_once_lose_no_count() {
    const RUNS: u64 = 40;
    let server = Server::start().await;
    let slow = "const n = cache.counter || 0; await new Promise((go) => setTimeout(go, 2)); \
                cache.counter = n + 1; return n + 1";
    make(&server, "test", &[("slow", slow), ("funcB", FUNC_B)]).await;
    let runs = (0..RUNS).map(|_| result(&server, "test/slow", json!({})));
    let mut counts: Vec<u64> = futures_util::future::join_all(runs)
        .await
        .iter()
        .map(|count| count.as_u64().unwrap())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=RUNS).collect::<Vec<_>>());
    let last = result(&server, "test/funcB", json!({})).await;
    assert_eq!(last, format!("Counter : {RUNS}"));
}

#[tokio::test]
async fn s4_17_a_run_answers_its_own_lines() {
    let server = Server::start().await;
    let code = "console.log('of', name); console.error({ a: 1 }); return await second(name);";
    let definition = json!({ "functions": {
        "f": { "code": code, "parameters": { "name": {} } },
        "second": { "code": "console.warn(name)", "parameters": { "name": {} } },
    }});
    Answer::of(put(&server, "test", &definition)).await;
    let runs = (0..8).map(|at| run(&server, "test/f", json!({ "name": at })));
    for (at, answer) in futures_util::future::join_all(runs)
        .await
        .iter()
        .enumerate()
    {
        let body = answer.json();
        let logs = body["logs"].as_array().unwrap();
        let lines: Vec<(&str, &str)> = logs
            .iter()
            .map(|line| {
                let members: Vec<&String> = line.as_object().unwrap().keys().collect();
                assert_eq!(members, ["level", "message", "timestamp"]);
                assert!(line["timestamp"].is_u64());
                let text = |name: &str| line[name].as_str().unwrap();
                (text("level"), text("message"))
            })
            .collect();
        let (first, third) = (format!("of {at}"), at.to_string());
        let wanted = [
            ("info", first.as_str()),
            ("error", "{ a: 1 }"),
            ("warn", &third),
        ];
        assert_eq!(lines, wanted);
    }
}

#[tokio::test]
async fn s4_18_nine_builtin_modules_can_be_loaded_and_the_list_changed() {
    let code = "const found = {}; \
        for (const name of names) { \
          try { found[name] = typeof require(name) } catch (e) { found[name] = e.code } \
        } return found";
    let definition = json!({ "functions": {
        "f": { "code": code, "parameters": { "names": {} } },
        "late": {
            "code": "try { return typeof (await import(name)).default } catch (e) { return e.code }",
            "parameters": { "name": {} },
        },
        "other": { "code": "return [typeof process.getBuiltinModule(name), typeof fs]",
                   "parameters": { "name": {} } },
    }});
    let server = Server::start().await;
    Answer::of(put(&server, "test", &definition)).await;
    let nine = [
        "http", "https", "url", "util", "zlib", "dns", "stream", "buffer", "crypto",
    ];
    let names: Vec<String> = nine
        .iter()
        .flat_map(|name| [(*name).to_owned(), format!("node:{name}")])
        .collect();
    let found = result(&server, "test/f", json!({ "names": names })).await;
    for name in &names {
        let kind = found[name].as_str().unwrap();
        assert!(kind == "object" || kind == "function", "{name}: {kind}");
    }
    let refused = [
        "fs",
        "node:fs",
        "fs/promises",
        "child_process",
        "net",
        "os",
        "vm",
        "worker_threads",
    ];
    let found = result(&server, "test/f", json!({ "names": refused })).await;
    for name in refused {
        assert_eq!(found[name], "MODULE_NOT_FOUND", "{name}");
        let late = result(&server, "test/late", json!({ "name": name })).await;
        assert_eq!(late, "MODULE_NOT_FOUND", "import of {name}");
    }
    let late = result(&server, "test/late", json!({ "name": "url" })).await;
    assert_eq!(late, "object");
    let other = result(&server, "test/other", json!({ "name": "fs" })).await;
    assert_eq!(other, json!(["undefined", "undefined"]));
    let server = with(WorkspaceConfig {
        builtins: vec!["fs".to_owned(), "child_process".to_owned()],
        ..WorkspaceConfig::default()
    })
    .await;
    Answer::of(put(&server, "test", &definition)).await;
    let names = ["fs", "fs/promises", "url", "child_process"];
    let found = result(&server, "test/f", json!({ "names": names })).await;
    let gone = "MODULE_NOT_FOUND";
    let wanted =
        json!({ "fs": "object", "fs/promises": "object", "url": gone, "child_process": gone });
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn s4_19_a_run_that_takes_too_long_is_ended_and_the_cache_is_as_before() {
    assert_eq!(WorkspaceConfig::default().run_timeout_ms, 20_000);
    let server = with(WorkspaceConfig {
        run_timeout_ms: 1500,
        ..WorkspaceConfig::default()
    })
    .await;
    let functions = [
        ("funcA", FUNC_A),
        ("loop", "cache.counter = 100; for (;;) {}"),
        (
            "wait",
            "cache.counter = 100; await new Promise(() => setTimeout(() => {}, 60000))",
        ),
        ("other", "return 'fine'"),
    ];
    make(&server, "test", &functions).await;
    assert_eq!(result(&server, "test/funcA", json!({})).await, 1);
    for function in ["loop", "wait"] {
        let ended = run(&server, &format!("test/{function}"), json!({})).await;
        told(&ended, 504, "wall_exceeded");
    }
    assert_eq!(result(&server, "test/other", json!({})).await, "fine");
    assert_eq!(result(&server, "test/funcA", json!({})).await, 2);
    // Whoever does not need the cache does not wait for it; who does, waits in its own time.
    let holding = run_request(&server, "test/wait", &json!({}));
    let (held, waited, other) = tokio::join!(
        Answer::of(holding),
        run(&server, "test/wait", json!({})),
        result(&server, "test/other", json!({})),
    );
    assert_eq!(other, "fine");
    told(&held, 504, "wall_exceeded");
    told(&waited, 504, "wall_exceeded");
    assert_eq!(result(&server, "test/funcA", json!({})).await, 3);
}

#[tokio::test]
async fn s4_20_a_run_that_takes_too_much_memory_is_ended() {
    assert_eq!(WorkspaceConfig::default().memory_bytes, 100 << 20);
    let server = Server::start().await;
    let functions = [
        (
            "eat",
            "const array = []; while(true) array.push(new Array(1e6).fill(\"test\"))",
        ),
        ("some", "return new Array(4e6).fill(1).length"),
    ];
    make(&server, "test", &functions).await;
    let ended = run(&server, "test/eat", json!({})).await;
    told(&ended, 507, "memory_exceeded");
    assert_eq!(result(&server, "test/some", json!({})).await, 4_000_000);
}

#[tokio::test]
async fn s4_21_workspaces_survive_a_restart_and_are_made_again_when_asked() {
    let read = ("read", "return typeof require('url')");
    let server = Server::start().await;
    make(&server, "test", &[("funcA", FUNC_A), read]).await;
    make(&server, "gone", &[("f", "return 1")]).await;
    let gone = server.request(Method::DELETE, "/v2/functions/gone");
    assert_eq!(Answer::of(gone).await.status, 204);
    let shown = Answer::of(server.request(Method::GET, "/v2/functions/test")).await;
    let data = server.stop().await;
    let versions = |server: &Server| {
        let path = "/api/v1/tenants/default/functions/test/versions";
        let request = server.request(Method::GET, path);
        async {
            Answer::of(request).await.json()["versions"]
                .as_array()
                .unwrap()
                .len()
        }
    };
    let start = |config: WorkspaceConfig| {
        let data = std::sync::Arc::clone(&data);
        async {
            let options = Options {
                workspaces: config,
                data: Some(data),
                ..Options::default()
            };
            Server::with(options).await
        }
    };
    let same = WorkspaceConfig {
        regenerate: true,
        ..WorkspaceConfig::default()
    };
    let server = start(same).await;
    let again = Answer::of(server.request(Method::GET, "/v2/functions/test")).await;
    assert_eq!(again.text(), shown.text());
    assert_eq!(result(&server, "test/funcA", json!({})).await, 1);
    assert_eq!(versions(&server).await, 1, "nothing had to be made again");
    let gone = Answer::of(server.request(Method::GET, "/v2/functions/gone")).await;
    told(&gone, 404, "function_not_found");
    server.stop().await;
    let other = WorkspaceConfig {
        builtins: Vec::new(),
        ..WorkspaceConfig::default()
    };
    let server = start(other.clone()).await;
    assert_eq!(result(&server, "test/read", json!({})).await, "object");
    server.stop().await;
    let server = start(WorkspaceConfig {
        regenerate: true,
        ..other
    })
    .await;
    assert_eq!(versions(&server).await, 2);
    told(
        &run(&server, "test/read", json!({})).await,
        500,
        "function_threw",
    );
}

#[tokio::test]
async fn s4_22_a_function_that_does_not_compile_is_named_and_changes_nothing() {
    let server = Server::start().await;
    make(
        &server,
        "test",
        &[("good", "return 1"), ("bad", "return 2")],
    )
    .await;
    let before = Answer::of(server.request(Method::GET, "/v2/functions/test")).await;
    for (code, place) in [
        ("const a = 1;\nlet b = ;", "bad:2:9"),
        ("return 1 }", "bad:1:10"),
        ("const a = 1; const a = 2;", "bad:1:"),
        ("import x from 'url'", "bad:1:"),
        ("'use strict'; with (a) {}", "bad:1:"),
    ] {
        let definition = json!({ "functions": {
            "good": { "code": "return 3" }, "bad": { "code": code },
        }});
        let answer = Answer::of(put(&server, "test", &definition)).await;
        let message = told(&answer, 400, "workspace_invalid");
        assert!(message.starts_with(place), "{code:?}: {message}");
        let patch = json!({ "functions": { "bad": { "code": code } } });
        let patch = server
            .request(Method::PATCH, "/v2/functions/test")
            .body(patch.to_string());
        told(&Answer::of(patch).await, 400, "workspace_invalid");
    }
    let after = Answer::of(server.request(Method::GET, "/v2/functions/test")).await;
    assert_eq!(after.text(), before.text());
    assert_eq!(result(&server, "test/good", json!({})).await, 1);
    assert_eq!(result(&server, "test/bad", json!({})).await, 2);
}

#[tokio::test]
async fn s4_23_code_cannot_leave_its_function() {
    let server = Server::start().await;
    for code in [
        "return 1 } , async function x(){",
        "return 1 }), (async function () {",
        "return 1 }; globalThis.escaped = true; return async function () {",
        "} , globalThis.escaped = 1 , async function () {",
        "return 1 }}); globalThis.escaped = 1; (function () { return async function () {",
        "} /*",
        "`",
        "return 1 <!-- }\n}",
    ] {
        let definition = json!({ "functions": { "f": { "code": code } } });
        let answer = Answer::of(put(&server, "test", &definition)).await;
        told(&answer, 400, "workspace_invalid");
    }
    for name in [
        "a){}, function(",
        "a = 1",
        "{ a }",
        "...a",
        "a/**/",
        "arguments, a",
    ] {
        let parameters = json!({ name: {} });
        let definition = json!({ "functions": { "f": { "code": "", "parameters": parameters } } });
        let answer = Answer::of(put(&server, "test", &definition)).await;
        told(&answer, 400, "workspace_invalid");
    }
    for code in [
        "return '} }) /*' + `}` + /}/.source // }",
        "/* } */ return 1\n<!-- }",
        "\u{2028}return 1",
    ] {
        make(&server, "test", &[("f", code)]).await;
        assert_eq!(
            run(&server, "test/f", json!({})).await.status,
            200,
            "{code:?}"
        );
    }
}

#[tokio::test]
async fn s4_24_any_name_works_or_is_refused() {
    let server = Server::start().await;
    let works = [
        "hello",
        "my-func",
        "a.b",
        "__proto__",
        "constructor",
        "prototype",
        "toString",
        "cache",
        "require",
        "class",
        "await",
        "eval",
        "arguments",
        "undefined",
        "naïve",
        "日本",
        "$",
        "0",
        "hasOwnProperty",
        "then",
    ];
    let functions: Vec<(&str, &str)> = works
        .iter()
        .map(|name| (*name, "return [({}).x, Object.keys({}).length]"))
        .collect();
    make(&server, "test", &functions).await;
    for name in works {
        let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        let clean = result(&server, &format!("test/{name}"), json!({ "x": 1 })).await;
        assert_eq!(clean, json!([null, 0]), "{name}");
    }
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "../a",
        "a b",
        "a\"b",
        "a\nb",
        "-a",
        &"a".repeat(65),
    ] {
        let definition = json!({ "functions": { name: { "code": "return 1" } } });
        let answer = Answer::of(put(&server, "test", &definition)).await;
        told(&answer, 400, "workspace_invalid");
    }
    let proto = r#"{"functions":{"f":{"code":"return __proto__.x","parameters":{"__proto__":{"type":"object"}}}}}"#;
    let request = server
        .request(Method::POST, "/v2/functions/proto")
        .body(proto);
    assert_eq!(Answer::of(request).await.status, 200);
    let request = server
        .request(Method::POST, "/v2/functions/proto/run/f")
        .body(r#"{"parameters":{"__proto__":{"x":7}}}"#);
    assert_eq!(Answer::of(request).await.json()["result"], 7);
}

#[tokio::test]
async fn s4_25_packages_are_uploaded_and_missing_ones_say_so() {
    let server = Server::start().await;
    let functions = [
        ("f", "return require('lodash').twice(21)"),
        ("deep", "return require('lodash/fp').name"),
        ("bundled", "return require('mime-types').lookup('a.html')"),
    ];
    make(&server, "test", &functions).await;
    let missing = run(&server, "test/f", json!({})).await;
    let message = told(&missing, 500, "function_threw");
    for part in ["Cannot find module 'lodash'", "ampoule workspaces packages"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(
        result(&server, "test/bundled", json!({})).await,
        "text/html"
    );
    let path = "/v2/functions/test/packages";
    let upload = |files: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path: PathBuf = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let packed = ampoule::cli::pack::pack(folder.path()).unwrap();
        server
            .request(Method::PUT, path)
            .header("content-type", packed.content_type)
            .body(packed.bytes)
    };
    let answer = Answer::of(upload(&[("index.js", "")])).await;
    assert!(told(&answer, 400, "archive_invalid").contains("node_modules"));
    let answer = Answer::of(upload(&[
        ("package.json", "{}"),
        ("manifest.json", "{}"),
        (
            "node_modules/lodash/package.json",
            r#"{"version":"4.17.21"}"#,
        ),
        (
            "node_modules/lodash/index.js",
            "require('path'); exports.twice = (n) => 2 * n;",
        ),
        ("node_modules/lodash/fp.js", "exports.name = 'fp';"),
    ]))
    .await;
    let listed = json!({ "packages": [{ "path": "node_modules/lodash", "version": "4.17.21" }] });
    assert_eq!((answer.status, answer.json()), (200, listed.clone()));
    assert_eq!(result(&server, "test/f", json!({})).await, 42);
    assert_eq!(result(&server, "test/deep", json!({})).await, "fp");
    // They stay when the functions change, and go when they are told to.
    make(&server, "test", &functions[..1]).await;
    assert_eq!(result(&server, "test/f", json!({})).await, 42);
    let shown = Answer::of(server.request(Method::GET, path)).await;
    assert_eq!(shown.json(), listed);
    assert_eq!(
        Answer::of(server.request(Method::DELETE, path))
            .await
            .status,
        204
    );
    told(
        &run(&server, "test/f", json!({})).await,
        500,
        "function_threw",
    );
}

#[tokio::test]
async fn s4_26_python_is_refused_with_its_own_code() {
    let server = Server::start().await;
    make(&server, "test", &[("f", "return 1")]).await;
    let definition = json!({ "functions": {
        "f": { "code": "return 2" },
        "p": { "code": "return 1", "language": "python" },
    }});
    let answer = Answer::of(put(&server, "test", &definition)).await;
    let message = told(&answer, 501, "language_unsupported");
    assert!(
        message.contains("\"p\"") && message.contains("Python"),
        "{message}"
    );
    assert_eq!(result(&server, "test/f", json!({})).await, 1);
    let definition = json!({ "functions": { "f": { "code": "return 2", "language": "nodejs" } } });
    assert_eq!(
        Answer::of(put(&server, "test", &definition)).await.status,
        200
    );
    assert_eq!(result(&server, "test/f", json!({})).await, 2);
}
