//! The command line against a real server, as a person types it: what is printed where, and what
//! the process exits with.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::process::{Ended, POLL, Running, Serving, ampoule, run, serve};
use crate::server::{PATIENCE, cache};

const HELLO: &str = "module.exports = (req, res) => {
    console.log(`hello to ${req.query.name || 'nobody'}`);
    res.json({ hello: req.query.name || 'world', currency: process.env.CURRENCY });
};";
/// Answers what it was asked.
const ECHO: &str = "module.exports = (req, res) => {
    const { method, path, query, body } = req;
    res.status(Number(req.query.status || 200));
    res.set('x-echo', 'yes');
    const headers = ['content-type', 'x-mark', 'authorization'].map(name => req.get(name));
    res.json({ method, path, query, body, headers });
};";

/// A folder to work in, and a server that its commands talk to.
pub(crate) struct Desk {
    pub(crate) serving: Serving,
    pub(crate) folder: TempDir,
    _data: TempDir,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::with_key("").await
    }

    async fn with_key(key: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        Self {
            serving: Serving::of(serve(data.path()).env("AMPOULE_KEY", key)).await,
            folder: tempfile::tempdir().unwrap(),
            _data: data,
        }
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        write(self.folder.path(), path, text);
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = ampoule(arguments);
        command.env("AMPOULE_URL", &self.serving.url);
        command.current_dir(self.folder.path());
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        run(&mut self.command(arguments)).await
    }

    /// Runs a command that works and says nothing but its result.
    async fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments).await.expect(0);
        assert_eq!(ended.err, "", "{arguments:?}");
        ended.out
    }

    /// [`Desk::ok`] of a command with `--json`: one document, on one line.
    async fn json(&self, arguments: &[&str]) -> Value {
        let out = self.ok(arguments).await;
        assert_eq!(out.lines().count(), 1, "{out}");
        serde_json::from_str(&out).unwrap()
    }

    async fn deploy(&self, name: &str, source: &str) {
        self.write("source.js", source);
        self.ok(&["deploy", "source.js", "--name", name]).await;
    }
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The URL of a printed line `try   curl URL`.
fn curl_line(text: &str) -> String {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("try "));
    let command = line.unwrap_or_else(|| panic!("no line to try:\n{text}"));
    let url = command.trim().strip_prefix("curl ");
    let url = url.unwrap_or_else(|| panic!("{command}"));
    let url = url.split(" -d ").next().unwrap_or_default();
    url.trim_matches('\'').to_owned()
}

pub(crate) async fn get(url: &str) -> (u16, String) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build();
    let response = client.unwrap().get(url).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The cells of a printed table, which two spaces part.
fn cells(table: &str) -> Vec<Vec<&str>> {
    let row = |line| {
        str::split(line, "  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .collect()
    };
    table.lines().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_deployed_and_the_line_to_try_works() {
    let desk = Desk::new().await;
    desk.write("hello.js", HELLO);
    let out = desk.ok(&["deploy", "hello.js"]).await;
    assert!(out.starts_with("hello version 1 is active\n"), "{out}");
    assert!(out.contains("1 file") && out.contains("snapshot"), "{out}");
    let url = curl_line(&out);
    assert_eq!(url, format!("{}/invoke/hello", desk.serving.url));
    assert_eq!(get(&url).await, (200, r#"{"hello":"world"}"#.to_owned()));
    // With a route, the line has a path that matches it.
    let source = "module.exports = (req, res) => res.json(req.params);";
    desk.write(
        "users.mjs",
        "export default (req, res) => res.json(req.params);",
    );
    desk.write("users.js", source);
    for file in ["users.js", "users.mjs"] {
        let args = ["deploy", file, "--route", "/users/:id", "--tenant", "acme"];
        let url = curl_line(&desk.ok(&args).await);
        assert!(url.contains("/invoke/@acme/users/users/"), "{url}");
        assert_eq!(get(&url).await, (200, r#"{"id":"1"}"#.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_deployed_with_its_packages_environment_and_limits() {
    let desk = Desk::new().await;
    desk.write(
        "shop/src/start.js",
        "const tax = require('tax'), { CURRENCY, RATE, MOTTO } = process.env;
         module.exports = (req, res) => res.json([tax(10), CURRENCY, RATE, MOTTO]);",
    );
    desk.write(
        "shop/node_modules/tax/index.js",
        "module.exports = n => n * 2;",
    );
    desk.write("shop/.git/config", "secret");
    let env = "# what it costs\nCURRENCY=USD\nexport RATE=\"1.5\"\nMOTTO='a = b'\n";
    desk.write("shop.env", env);
    let mut args = vec!["deploy", "shop", "--entry", "src/start.js", "--json"];
    args.extend(["--env-file", "shop.env", "--env", "CURRENCY=EUR"]);
    args.extend(["--limit", "wall_ms=5_000"]);
    let version = desk.json(&args).await;
    assert_eq!(version["function"], "shop");
    assert_eq!(version["version"], 1);
    assert_eq!(version["active"], true);
    assert_eq!(version["files"], 2);
    assert_eq!(version["limits"]["wall_ms"], 5000);
    assert_eq!(version["env"], json!(["CURRENCY", "MOTTO", "RATE"]));
    let out = desk.ok(&["invoke", "shop"]).await;
    assert_eq!(out, r#"[20,"EUR","1.5","a = b"]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_says_how_it_is_evaluated_and_what_its_top_level_logged() {
    let desk = Desk::new().await;
    let source = "const born = Date.now();
        module.exports = (req, res) => res.json(born > 0);";
    desk.write("clock.js", source);
    let out = desk.ok(&["deploy", "clock.js"]).await;
    for part in [
        "per request",
        "Date.now() at clock.js:1:",
        "each one slower",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    desk.write(
        "pure.js",
        "console.warn('coming up'); module.exports = () => {};",
    );
    let out = desk.ok(&["deploy", "pure.js"]).await;
    assert!(out.contains("snapshot: "), "{out}");
    assert!(out.contains("warn   coming up"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_listed_activated_and_deleted() {
    let desk = Desk::new().await;
    let source = |n| format!("module.exports = (req, res) => res.send('v{n}');");
    desk.deploy("v", &source(1)).await;
    desk.deploy("v", &source(2)).await;
    desk.write("source.js", &source(3));
    let args = ["deploy", "source.js", "-n", "v", "--no-activate"];
    let out = desk.ok(&args).await;
    assert!(out.contains("version 3 is stored, not active"), "{out}");
    assert!(out.contains("ampoule activate v 3"), "{out}");
    assert_eq!(desk.ok(&["invoke", "v"]).await, "v2");
    let out = desk.ok(&["versions", "v"]).await;
    let rows = cells(&out);
    assert_eq!(rows[0][..2], ["VERSION", "STATE"]);
    let numbers: Vec<&str> = rows[1..].iter().map(|row| row[0]).collect();
    assert_eq!(numbers, ["3", "2", "1"]);
    assert_eq!(rows[2][..2], ["2", "active"]);
    // Back to the first one.
    let out = desk.ok(&["activate", "v", "1"]).await;
    assert_eq!(out, "v version 1 is active\n");
    assert_eq!(desk.ok(&["invoke", "v"]).await, "v1");
    let version = desk.json(&["activate", "v", "3", "--json"]).await;
    assert_eq!(
        (&version["version"], &version["active"]),
        (&json!(3), &json!(true))
    );
    // The active one stays, the others may go.
    let ended = desk.run(&["delete", "v", "--version", "3", "-y"]).await;
    let ended = ended.expect(1);
    assert!(ended.err.contains("version_active (409)"), "{ended:?}");
    assert!(ended.err.contains("ampoule activate v"), "{ended:?}");
    let out = desk.ok(&["delete", "v", "--version", "2", "--yes"]).await;
    assert_eq!(out, "deleted version 2 of v\n");
    let listed = desk.json(&["versions", "v", "--json"]).await;
    let numbers: Vec<&Value> = listed["versions"].as_array().unwrap().iter().collect();
    assert_eq!(numbers.len(), 2);
    assert_eq!(
        (&numbers[0]["version"], &numbers[1]["version"]),
        (&json!(3), &json!(1))
    );
    let ended = desk.run(&["activate", "v", "2"]).await.expect(1);
    assert!(ended.err.contains("version_not_found (404)"), "{ended:?}");
    assert!(ended.err.contains("ampoule versions v"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_listed_by_tenant_and_deleted_when_told_twice() {
    let desk = Desk::new().await;
    let ended = desk.run(&["list"]).await.expect(0);
    assert!(ended.err.contains("ampoule deploy"), "{ended:?}");
    desk.deploy("hello", HELLO).await;
    desk.deploy("echo", ECHO).await;
    let args = ["deploy", "source.js", "-n", "far", "-t", "acme"];
    desk.ok(&args).await;
    let out = desk.ok(&["list"]).await;
    let rows = cells(&out);
    assert_eq!(rows[0][..2], ["NAME", "ACTIVE"]);
    assert_eq!((rows[1][0], rows[2][0], rows.len()), ("echo", "hello", 3));
    let listed = desk.json(&["list", "--tenant", "acme", "--json"]).await;
    assert_eq!(listed["functions"][0]["name"], "far");
    assert_eq!(listed["functions"].as_array().unwrap().len(), 1);
    let ended = desk.run(&["delete", "echo"]).await.expect(2);
    assert!(ended.err.contains("--yes"), "{ended:?}");
    assert_eq!(cells(&desk.ok(&["list"]).await).len(), 3);
    let told = desk.json(&["delete", "echo", "--yes", "--json"]).await;
    assert_eq!(told["deleted"], true);
    let ended = desk.run(&["invoke", "echo"]).await.expect(1);
    assert!(ended.err.contains("function_not_found (404)"), "{ended:?}");
    assert!(ended.err.contains("ampoule list"), "{ended:?}");
    assert_eq!(
        desk.ok(&["invoke", "far", "-t", "acme", "-X", "HEAD"])
            .await,
        ""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn invoke_sends_method_headers_and_body() {
    let desk = Desk::new().await;
    desk.deploy("echo", ECHO).await;
    let plain = desk.json(&["invoke", "echo/a/b?c=d&c=e"]).await;
    let expected = json!({
        "method": "GET", "path": "/a/b", "query": { "c": ["d", "e"] }, "body": {},
        "headers": [null, null, null],
    });
    assert_eq!(plain, expected);
    let posted = desk.json(&["invoke", "echo", "-d", r#"{"n": 1}"#]).await;
    assert_eq!(posted["method"], "POST");
    assert_eq!(posted["body"], json!({ "n": 1 }));
    assert_eq!(posted["headers"][0], "application/json");
    let args = [
        "invoke",
        "echo",
        "-d",
        "a=1",
        "-X",
        "put",
        "-H",
        "X-Mark: m",
    ];
    let form = ["-H", "content-type: application/x-www-form-urlencoded"];
    let put = desk.json(&[&args[..], &form].concat()).await;
    assert_eq!(
        (&put["method"], &put["body"]),
        (&json!("PUT"), &json!({ "a": "1" }))
    );
    assert_eq!(put["headers"][1], "m");
    desk.write("body.txt", "from a file");
    let from_file = desk.json(&["invoke", "echo", "-d", "@body.txt"]).await;
    assert_eq!(from_file["body"], "from a file");
    let mut command = desk.command(&["invoke", "echo", "--data", "@-"]);
    let ended = Running::spawn(&mut command, Some("from stdin"))
        .ended()
        .await;
    let from_stdin: Value = serde_json::from_str(&ended.expect(0).out).unwrap();
    assert_eq!(from_stdin["body"], "from stdin");
}

#[tokio::test(flavor = "multi_thread")]
async fn invoke_shows_status_and_headers_when_asked() {
    let desk = Desk::new().await;
    desk.deploy("echo", ECHO).await;
    let out = desk.ok(&["invoke", "echo?status=201", "-i"]).await;
    let (head, body) = out.split_once("\n\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 201 Created\n"), "{out}");
    assert!(head.contains("\nx-echo: yes"), "{out}");
    assert!(head.contains("\nx-ampoule-invocation: "), "{out}");
    assert!(body.starts_with('{'), "{out}");
    let document = desk.json(&["invoke", "echo", "--json"]).await;
    assert_eq!(document["status"], 200);
    assert_eq!(document["headers"]["x-echo"], "yes");
    assert_eq!(document["body"]["method"], "GET");
    assert_eq!(document["invocation"].as_str().unwrap().len(), 26);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_say_who_failed() {
    let desk = Desk::new().await;
    desk.deploy("echo", ECHO).await;
    let threw = "module.exports = () => { throw new Error('a secret'); };";
    desk.deploy("throws", threw).await;
    for (status, code) in [("204", 0), ("302", 0), ("404", 1), ("500", 1)] {
        let target = format!("echo?status={status}");
        desk.run(&["invoke", &target]).await.expect(code);
    }
    // The function's own refusal: its body is a result, the note is not.
    let ended = desk.run(&["invoke", "echo?status=404"]).await.expect(1);
    assert!(ended.out.contains(r#""status":"404""#), "{ended:?}");
    assert!(
        ended.err.contains("404") && ended.err.contains("ampoule logs echo"),
        "{ended:?}"
    );
    // The platform's: told for people, and as JSON for programs.
    let ended = desk.run(&["invoke", "throws"]).await.expect(1);
    assert_eq!(ended.out, "");
    for part in [
        "function_threw (500)",
        "invocation",
        "ampoule logs throws --invocation",
    ] {
        assert!(ended.err.contains(part), "{part}: {ended:?}");
    }
    assert!(!ended.err.contains("a secret"), "{ended:?}");
    let ended = desk.run(&["list", "--tenant", "a b"]).await.expect(2);
    assert!(ended.err.contains("--tenant"), "{ended:?}");
    let ended = desk.run(&["versions", "none", "--json"]).await.expect(1);
    let problem: Value = serde_json::from_str(&ended.err).unwrap();
    assert_eq!(problem["code"], "function_not_found");
    desk.run(&["invoke", "echo", "-H", "no colon"])
        .await
        .expect(2);
    desk.run(&["invoke", "echo", "-d", "@missing"])
        .await
        .expect(2);
    desk.run(&["deploy", "missing.js"]).await.expect(2);
    desk.run(&["nonsense"]).await.expect(2);
    desk.run(&[]).await.expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_answer_is_printed_as_it_comes() {
    let desk = Desk::new().await;
    let gate = crate::process::Gate::new().await;
    let source = "module.exports = async (req, res) => {
        res.write('first ');
        const answer = await fetch(req.query.gate);
        res.end(await answer.text());
    };";
    desk.deploy("streams", source).await;
    let target = format!("streams?gate={}", gate.url());
    let running = Running::spawn(&mut desk.command(&["invoke", &target]), None);
    running.out.shows("first ").await;
    gate.arrival().await.release("last").await;
    assert_eq!(running.ended().await.expect(0).out, "first last");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_show_lines_and_follow_them_until_ctrl_c() {
    let desk = Desk::new().await;
    desk.deploy("hello", HELLO).await;
    let ended = desk.run(&["logs", "hello"]).await.expect(0);
    assert!(ended.err.contains("no lines yet"), "{ended:?}");
    let following = Running::spawn(&mut desk.command(&["logs", "hello", "-f"]), None);
    let document = desk.json(&["invoke", "hello?name=Ada", "--json"]).await;
    let id = document["invocation"].as_str().unwrap();
    let text = following.out.shows("hello to Ada").await;
    assert!(text.contains(&id[18..]) && text.contains("info"), "{text}");
    desk.ok(&["invoke", "hello?name=Bob"]).await;
    following.out.shows("hello to Bob").await;
    following.signal(Signal::INT);
    let ended = following.ended().await.expect(0);
    assert_eq!(ended.out.lines().count(), 2, "{ended:?}");
    let out = desk.ok(&["logs", "hello", "-n", "1"]).await;
    assert!(out.contains("Bob") && !out.contains("Ada"), "{out}");
    for id in [id, &id[20..]] {
        let out = desk.ok(&["logs", "hello", "--invocation", id]).await;
        assert!(out.contains("Ada") && !out.contains("Bob"), "{out}");
    }
    let out = desk.ok(&["logs", "hello", "--json"]).await;
    let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["message"], "hello to Ada");
    assert_eq!(lines[0]["invocation"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn following_goes_on_when_the_server_is_restarted() {
    let desk = Desk::new().await;
    desk.deploy("hello", HELLO).await;
    let following = Running::spawn(&mut desk.command(&["logs", "hello", "-f"]), None);
    desk.ok(&["invoke", "hello?name=Ada"]).await;
    following.out.shows("hello to Ada").await;
    let Desk {
        serving,
        folder,
        _data: data,
    } = desk;
    let address = serving.url.strip_prefix("http://").unwrap().to_owned();
    serving.stop().await.expect(0);
    following.err.shows("trying again").await;
    let mut command = ampoule(&["serve", "--listen", &address, "--data"]);
    command.arg(data.path()).arg("--cache").arg(cache());
    let serving = Serving::of(&mut command).await;
    let desk = Desk {
        serving,
        folder,
        _data: data,
    };
    desk.ok(&["invoke", "hello?name=Bob"]).await;
    let text = following.out.shows("hello to Bob").await;
    assert_eq!(text.matches("hello to Ada").count(), 1, "{text}");
}

/// A source with an error in line 2, and the line of its token.
const WRONG: &str = "module.exports = (req, res) => {\n  res.json({ ok: true );\n};\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_syntax_error_is_shown_with_its_line_and_what_was_active_stays() {
    let desk = Desk::new().await;
    desk.deploy("hello", HELLO).await;
    desk.write("hello.js", WRONG);
    desk.write("shop/index.js", "require('./lib/price');");
    desk.write("shop/lib/price.js", WRONG);
    let folder = desk.folder.path().join("shop");
    let folder = folder.to_string_lossy();
    for (path, file) in [
        ("hello.js", "hello.js".to_owned()),
        ("shop", "shop/lib/price.js".to_owned()),
        (&folder, format!("{folder}/lib/price.js")),
    ] {
        let ended = desk.run(&["deploy", path, "-n", "hello"]).await.expect(1);
        assert_eq!(ended.out, "");
        let lines: Vec<&str> = ended.err.lines().collect();
        assert!(lines[0].contains("syntax_error (422)"), "{}", ended.err);
        let place = lines[1].trim_start().strip_prefix(&file);
        let place = place.unwrap_or_else(|| panic!("{file}: {}", ended.err));
        assert!(place.starts_with(":2:"), "{}", ended.err);
        assert_eq!(lines[2], "      res.json({ ok: true );", "{}", ended.err);
        assert_eq!(lines[3].trim(), "^", "{}", ended.err);
    }
    let args = ["deploy", "hello.js", "--json"];
    let ended = desk.run(&args).await.expect(1);
    let problem: Value = serde_json::from_str(&ended.err).unwrap();
    assert_eq!(problem["code"], "syntax_error");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .starts_with("hello.js:2:")
    );
    assert_eq!(desk.ok(&["invoke", "hello"]).await, r#"{"hello":"world"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mark_of_a_syntax_error_stands_under_the_token_that_is_wrong() {
    let desk = Desk::new().await;
    for (source, place) in [
        (WRONG, "2:23"),
        ("const x = 1;\nmodule.exports = ;\n", "2:18"),
        ("let a = 1;\n  let b = a +* 2;\n", "2:14"),
    ] {
        desk.write("wrong.js", source);
        let ended = desk.run(&["deploy", "wrong.js"]).await.expect(1);
        assert!(
            ended.err.contains(&format!("wrong.js:{place}: ")),
            "{}",
            ended.err
        );
        let lines: Vec<&str> = ended.err.lines().collect();
        let column: usize = place.split(':').next_back().unwrap().parse().unwrap();
        assert_eq!(lines[3].find('^'), Some(4 + column - 1), "{}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_missing_or_throws_is_told_with_its_place() {
    let desk = Desk::new().await;
    desk.write("missing.js", "\nconst x = require('left-pad');\n");
    let ended = desk.run(&["deploy", "missing.js"]).await.expect(1);
    for part in ["module_not_found (422)", "left-pad", "npm install"] {
        assert!(ended.err.contains(part), "{part}: {}", ended.err);
    }
    desk.write(
        "throws.js",
        "const x = null;\nx.y;\nmodule.exports = () => {};\n",
    );
    let ended = desk.run(&["deploy", "throws.js"]).await.expect(1);
    for part in ["load_threw (422)", "throws.js:2:", "TypeError", "    x.y;"] {
        assert!(ended.err.contains(part), "{part}: {}", ended.err);
    }
    desk.write("nothing.js", "exports.other = 1;\n");
    let ended = desk.run(&["deploy", "nothing.js"]).await.expect(1);
    for part in ["handler_missing (422)", "module.exports ="] {
        assert!(ended.err.contains(part), "{part}: {}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_told_with_what_to_do() {
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", held.local_addr().unwrap());
    drop(held);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "hello.js", HELLO);
    let commands: [&[&str]; 7] = [
        &["deploy", "hello.js"],
        &["invoke", "hello"],
        &["logs", "hello"],
        &["versions", "hello"],
        &["activate", "hello", "1"],
        &["delete", "hello", "--yes"],
        &["list"],
    ];
    for arguments in commands {
        let mut command = ampoule(arguments);
        command.env("AMPOULE_URL", &url).current_dir(folder.path());
        let ended = run(&mut command).await.expect(3);
        assert_eq!(ended.out, "", "{arguments:?}");
        for part in [url.as_str(), "ampoule serve", "AMPOULE_URL"] {
            assert!(ended.err.contains(part), "{arguments:?}: {}", ended.err);
        }
        let ended = run(command.arg("--json")).await.expect(3);
        let told: Value = serde_json::from_str(&ended.err).unwrap();
        assert_eq!(told["code"], "unreachable");
    }
    // Somebody else's server is not mistaken for one.
    let other = Serving::start(folder.path()).await;
    let mut command = ampoule(&["list", "--url", &format!("{}/other", other.url)]);
    assert_eq!(run(&mut command).await.code, Some(1));
    let ended = run(&mut ampoule(&["list", "--url", "ftp://x"])).await;
    assert!(ended.expect(2).err.contains("only http and https"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_needed_where_the_server_has_one_and_never_reaches_a_function() {
    let desk = Desk::with_key("s3cret-key").await;
    desk.write("echo.js", ECHO);
    let deploy = ["deploy", "echo.js"];
    let mut wrong = desk.command(&deploy);
    for command in [
        &mut desk.command(&deploy),
        wrong.env("AMPOULE_KEY", "other"),
    ] {
        let ended = run(command).await.expect(1);
        assert!(ended.err.contains("unauthorized (401)"), "{ended:?}");
        assert!(ended.err.contains("set AMPOULE_KEY"), "{ended:?}");
    }
    run(desk.command(&deploy).env("AMPOULE_KEY", "s3cret-key"))
        .await
        .expect(0);
    let args = ["deploy", "echo.js", "--key", "s3cret-key", "--json"];
    assert_eq!(desk.json(&args).await["version"], 1);
    // The data plane is open, and whoever has the key does not give it away.
    let mut command = desk.command(&["invoke", "echo"]);
    let ended = run(command.env("AMPOULE_KEY", "s3cret-key"))
        .await
        .expect(0);
    let seen: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(seen["headers"][2], Value::Null);
    let log = desk.serving.running.err.text();
    assert!(!log.contains("s3cret-key"), "{log}");
    let help = run(desk
        .command(&["list", "--help"])
        .env("AMPOULE_KEY", "s3cret-key"))
    .await;
    assert!(!help.expect(0).out.contains("s3cret-key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_version_are_results_and_a_wrong_flag_is_not() {
    let commands = [
        "serve", "dev", "deploy", "invoke", "call", "logs", "versions", "activate", "delete",
        "list", "bindings",
    ];
    let all = run(&mut ampoule(&["--help"])).await.expect(0);
    for command in commands {
        assert!(all.out.contains(&format!("  {command} ")), "{}", all.out);
        let ended = run(&mut ampoule(&[command, "--help"])).await.expect(0);
        assert!(ended.out.contains("Examples:"), "{}", ended.out);
        assert_eq!(ended.err, "");
        let ended = run(&mut ampoule(&[command, "--nonsense"])).await.expect(2);
        assert!(ended.err.contains("--nonsense"), "{ended:?}");
        assert_eq!(ended.out, "");
    }
    let ended = run(&mut ampoule(&["--version"])).await.expect(0);
    let version = format!("ampoule {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(ended.out, version);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_function_is_deployed_bound_and_called() {
    let desk = Desk::new().await;
    let source = "async (event) => { console.log('hi'); return [event.name, typeof log]; }";
    desk.write("greet.js", source);
    let out = desk.ok(&["deploy", "greet.js", "--kind", "event"]).await;
    assert!(out.contains("ampoule call greet -d '{}'"), "{out}");
    let ada = ["call", "greet", "-d", r#"{"name":"Ada"}"#];
    let ended = desk.run(&ada).await.expect(0);
    assert_eq!(ended.out, "[\"Ada\",\"undefined\"]\n");
    assert!(ended.err.contains("hi"), "{ended:?}");
    let key = "x-key: s3cret";
    desk.ok(&["bindings", "set", "log", "http://127.0.0.1:1/", "-H", key])
        .await;
    let ended = desk.run(&ada).await.expect(0);
    assert_eq!(ended.out, "[\"Ada\",\"function\"]\n");
    let listed = desk.ok(&["bindings", "list"]).await;
    let shown = desk.json(&["bindings", "show", "log"]).await;
    assert_eq!(shown["headers"], json!(["x-key"]));
    assert!(!format!("{listed}{shown}").contains("s3cret"), "{listed}");
    desk.ok(&["bindings", "delete", "log", "--yes"]).await;
    let again = ["bindings", "delete", "log", "--yes"];
    let ended = desk.run(&again).await.expect(1);
    assert!(ended.err.contains("ampoule bindings list"), "{ended:?}");
    // Each kind says how it is called.
    let ended = desk.run(&["invoke", "greet"]).await.expect(1);
    assert!(ended.err.contains("function_not_found"), "{ended:?}");
    desk.deploy("hello", HELLO).await;
    let ended = desk.run(&["call", "hello"]).await.expect(1);
    assert!(ended.err.contains("ampoule invoke hello"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_calls_event_functions_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("greet.js");
    std::fs::write(&file, "(event) => event.name ?? 'nobody'").unwrap();
    let dev = Dev::start(&file, &["--kind", "event"]).await;
    assert!(dev.url.ends_with("/functions/greet/invoke"), "{}", dev.url);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = client.post(&dev.url).body(r#"{"name":"Ada"}"#);
    let text = call.send().await.unwrap().text().await.unwrap();
    assert!(text.starts_with(r#"{"result":"Ada","#), "{text}");
    dev.stop(Signal::INT).await;
}

/// A running `ampoule dev`, with a folder of its own for temporary files.
pub(crate) struct Dev {
    pub(crate) running: Running,
    pub(crate) url: String,
    temporary: TempDir,
}

impl Dev {
    /// Starts it and waits until it has said where to try.
    pub(crate) async fn start(path: &Path, arguments: &[&str]) -> Self {
        Self::start_with(path, arguments, &[]).await
    }

    /// [`Dev::start`] with more in its environment.
    pub(crate) async fn start_with(
        path: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut command = ampoule(&["dev", "--listen", "127.0.0.1:0"]);
        command.args(arguments).arg(path);
        command.envs(environment.iter().copied());
        let running = Running::spawn(command.env("TMPDIR", temporary.path()), None);
        let url = curl_line(&running.out.shows("Ctrl-C ends").await);
        Self {
            running,
            url,
            temporary,
        }
    }

    /// Ends it with `signal`: nothing of it stays.
    pub(crate) async fn stop(self, signal: Signal) {
        assert_eq!(self.temporary.path().read_dir().unwrap().count(), 1);
        self.running.signal(signal);
        self.running.ended().await.expect(0);
        assert_eq!(self.temporary.path().read_dir().unwrap().count(), 0);
    }
}

/// Asks until the answer is `wanted`: the file was changed, and some time later it is loaded.
pub(crate) async fn answers(url: &str, wanted: &str) {
    let mut last = (0, String::new());
    for _ in 0..PATIENCE.as_millis() / POLL.as_millis() {
        last = get(url).await;
        if last == (200, wanted.to_owned()) {
            return;
        }
        tokio::time::sleep(POLL).await;
    }
    panic!("{wanted:?} never came, but {last:?}");
}

fn says(text: &str) -> String {
    format!(
        "module.exports = (req, res) => {{ console.log('log of {text}'); res.send('{text}'); }};"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_serves_a_file_reloads_it_and_keeps_the_old_version_on_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hello.js");
    std::fs::write(&file, says("one")).unwrap();
    let dev = Dev::start(&file, &[]).await;
    let (running, url) = (&dev.running, &dev.url);
    assert!(url.ends_with("/invoke/hello"), "{url}");
    assert_eq!(get(url).await, (200, "one".to_owned()));
    running.out.shows("log of one").await;
    std::fs::write(&file, says("two")).unwrap();
    answers(url, "two").await;
    running.out.shows("log of two").await;
    std::fs::write(&file, WRONG).unwrap();
    let err = running.err.shows("still answers").await;
    assert!(err.contains("hello.js:2:"), "{err}");
    assert!(err.contains("syntax_error"), "{err}");
    assert_eq!(get(url).await, (200, "two".to_owned()));
    // As editors save: another file takes the name.
    std::fs::write(folder.path().join("hello.js~"), says("three")).unwrap();
    std::fs::rename(folder.path().join("hello.js~"), &file).unwrap();
    answers(url, "three").await;
    dev.stop(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_serves_a_folder_with_its_environment_and_sees_new_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| write(folder.path(), path, text);
    write("package.json", r#"{ "main": "src/main.js" }"#);
    write("node_modules/mark/index.js", "module.exports = 'mark';");
    let source = "const mark = require('mark');
        module.exports = (req, res) => res.send([mark, process.env.CURRENCY].join());";
    write("src/main.js", source);
    let args = ["--name", "shop", "--env", "CURRENCY=EUR"];
    let dev = Dev::start(folder.path(), &args).await;
    let (running, url) = (&dev.running, &dev.url);
    assert!(url.ends_with("/invoke/shop"), "{url}");
    assert_eq!(get(url).await, (200, "mark,EUR".to_owned()));
    let source = source.replace("require('mark')", "require('./new/part')");
    write("src/main.js", &source);
    let err = running.err.shows("still answers").await;
    assert!(err.contains("module_not_found"), "{err}");
    assert_eq!(get(url).await, (200, "mark,EUR".to_owned()));
    write("src/new/part.js", "module.exports = 'part';");
    answers(url, "part,EUR").await;
    write("node_modules/mark/index.js", "module.exports = 'other';");
    write("src/new/part.js", "module.exports = require('mark');");
    answers(url, "other,EUR").await;
    dev.stop(Signal::TERM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_begins_with_a_broken_file_and_serves_it_once_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hello.mjs");
    std::fs::write(&file, "export default (").unwrap();
    let dev = Dev::start(&file, &[]).await;
    let (running, url) = (&dev.running, &dev.url);
    running.err.shows("nothing answers yet").await;
    assert_eq!(get(url).await.0, 404);
    std::fs::write(&file, "export default (req, res) => res.send('mended');").unwrap();
    answers(url, "mended").await;
    dev.stop(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_refuses_what_it_cannot_serve() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing");
    let ended = run(ampoule(&["dev"]).arg(&path)).await.expect(2);
    assert!(ended.err.contains(&*path.to_string_lossy()), "{ended:?}");
    assert_eq!(ended.out, "");
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = held.local_addr().unwrap().to_string();
    let file = folder.path().join("hello.js");
    std::fs::write(&file, says("one")).unwrap();
    let mut command = ampoule(&["dev", "--listen", &address]);
    let ended = run(command.arg(&file)).await.expect(1);
    assert!(
        ended.err.contains(&format!("{address} is in use")),
        "{ended:?}"
    );
}
