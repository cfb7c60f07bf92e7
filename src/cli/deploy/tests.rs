//! Deploying: what is sent, what is shown, and how mistakes in the source are pointed at.

use std::path::Path;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{DeployArgs, Place, example_path, settings_header};
use crate::cli::fake::{self, Fake, Seen};
use crate::cli::pack;
use crate::cli::settings::{LIMIT_NAMES, parse_env, parse_env_file, parse_limit, unquote};
use crate::limits;

fn version() -> Value {
    json!({
        "tenant": "default", "function": "shop", "version": 3, "active": true,
        "deployment": "01JD3W6T5V7N9QKX2M4R8ZB1CE", "created_ms": 1, "evaluation": "snapshot",
        "evaluation_reason": null, "entry": "index.js", "files": 2, "source_bytes": 1536,
        "limits": {}, "env": [], "log": [],
    })
}

fn folder(source: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.js"), source).unwrap();
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn settings(seen: &Seen) -> Value {
    let header = seen.header("x-ampoule-settings").unwrap();
    serde_json::from_str(&percent_decode_str(header).decode_utf8().unwrap()).unwrap()
}

#[tokio::test]
async fn a_folder_is_sent_packed_with_its_settings() {
    let server = Fake::start(|_| fake::json(201, &version())).await;
    let folder = folder("module.exports = () => {}");
    let env_file = folder.path().join("production.env");
    std::fs::write(
        &env_file,
        "# a comment\nB=from file\n\nexport C=\"x\\ny\"\n",
    )
    .unwrap();
    let ran = server
        .run(&[
            "deploy",
            text(folder.path()),
            "--name",
            "shop",
            "--tenant",
            "acme",
            "--env",
            "A=ü 100%\r\n=",
            "--env",
            "B=wins",
            "--env-file",
            text(&env_file),
            "--limit",
            "wall_ms=5_000",
            "--entry",
            "index.js",
            "--route",
            "/users/:userId",
        ])
        .await;
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""), "{ran:?}");
    let seen = server.only();
    assert_eq!(seen.method, "PUT");
    assert_eq!(seen.target, "/api/v1/tenants/acme/functions/shop");
    assert_eq!(seen.header("content-type"), Some("application/gzip"));
    assert_eq!(seen.body, pack::pack(folder.path()).unwrap().bytes);
    let expected = json!({
        "env": { "B": "wins", "C": "x\ny", "A": "ü 100%\r\n=" },
        "limits": { "wall_ms": 5000 }, "entry": "index.js", "route": "/users/:userId",
        "activate": true,
    });
    assert_eq!(settings(&seen), expected);
    let url = format!("{}/invoke/@acme/shop", server.url());
    let expected = format!(
        "shop version 3 is active\n  \
         source      2 files, 1.5 KiB\n  \
         evaluation  snapshot: the modules have been loaded, requests start from there\n  \
         url         {url}/users/:userId\n  \
         try         curl {url}/users/1\n"
    );
    assert_eq!(ran.out, expected);
}

#[tokio::test]
async fn a_file_is_sent_as_it_is_under_its_own_name() {
    let server = Fake::start(|_| fake::json(201, &version())).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hello.mjs");
    std::fs::write(&path, "export default () => 1").unwrap();
    let ran = server.run(&["deploy", text(&path), "--json"]).await;
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), version());
    let seen = server.only();
    assert_eq!(
        seen.target,
        "/api/v1/tenants/default/functions/hello?filename=hello.mjs"
    );
    assert_eq!(seen.header("content-type"), Some("application/javascript"));
    assert_eq!(seen.body, "export default () => 1");
    assert_eq!(settings(&seen), json!({ "activate": true }));
}

#[tokio::test]
async fn evaluation_per_request_is_explained_and_console_output_shown() {
    let server = Fake::start(|_| {
        let mut version = version();
        version["evaluation"] = json!("per_request");
        version["evaluation_reason"] = json!("Date.now() at index.js:1:17");
        let line = json!({ "level": "warn", "message": "two\nlines", "timestamp_ms": 1 });
        version["log"] = json!([line]);
        fake::json(201, &version)
    })
    .await;
    let folder = folder("");
    let ran = server
        .run(&["deploy", text(folder.path()), "--name", "shop"])
        .await;
    let expected = "per request, because of Date.now() at index.js:1:17\n";
    assert!(ran.out.contains(expected), "{}", ran.out);
    assert!(
        ran.out.contains("loaded again for every request"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("    00:00:00.001  warn   two\n"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.ends_with(&format!("\n{:25}lines\n", "")),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn a_version_that_is_not_activated_says_how_to_activate_it() {
    let server = Fake::start(|_| {
        let mut version = version();
        version["active"] = json!(false);
        fake::json(201, &version)
    })
    .await;
    let folder = folder("");
    let arguments = [
        "deploy",
        text(folder.path()),
        "-n",
        "shop",
        "-t",
        "a",
        "--no-activate",
    ];
    let ran = server.run(&arguments).await;
    assert!(
        ran.out
            .starts_with("shop version 3 is stored, not active\n"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("ampoule activate shop 3 --tenant a"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("curl"), "{}", ran.out);
    assert_eq!(settings(&server.only())["activate"], false);
}

#[tokio::test]
async fn a_syntax_error_is_shown_at_its_place_in_the_users_file() {
    let title = "The source does not compile";
    let detail = "index.js:2:7: SyntaxError: expecting ';'";
    let server = Fake::start(move |_| fake::problem(422, "syntax_error", title, detail)).await;
    let folder = folder("first\n\tlet x y\nthird\n");
    let ran = server
        .run(&["deploy", text(folder.path()), "--name", "shop"])
        .await;
    assert_eq!((ran.exit, ran.out.as_str()), (1, ""));
    let place = folder.path().join("index.js");
    let expected = format!(
        "error: syntax_error (422): {title}\n  \
         {}:2:7: SyntaxError: expecting ';'\n    \tlet x y\n    \t     ^\n",
        place.display()
    );
    assert!(ran.err.starts_with(&expected), "{}", ran.err);
    assert!(ran.err.contains("deploy again"), "{}", ran.err);
}

#[tokio::test]
async fn the_servers_word_cannot_show_other_files() {
    let detail = "../secret.js:1:1: SyntaxError: no";
    let server = Fake::start(move |_| fake::problem(422, "syntax_error", "title", detail)).await;
    let outer = tempfile::tempdir().unwrap();
    std::fs::write(outer.path().join("secret.js"), "password").unwrap();
    let inner = outer.path().join("shop");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join("index.js"), "").unwrap();
    let ran = server.run(&["deploy", text(&inner)]).await;
    assert!(
        ran.err.contains(detail) && !ran.err.contains("password"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn what_cannot_be_packed_is_not_sent() {
    let server = Fake::start(|_| fake::json(201, &version())).await;
    let empty = tempfile::tempdir().unwrap();
    let missing = empty.path().join("missing");
    let arguments = [
        vec!["deploy", text(empty.path()), "--name", "shop"],
        vec!["deploy", text(&missing)],
        vec!["deploy", text(&missing), "--name", "shop"],
        vec![
            "deploy",
            text(empty.path()),
            "--name",
            "shop",
            "--env-file",
            text(&missing),
        ],
    ];
    for arguments in arguments {
        let ran = server.run(&arguments).await;
        assert_eq!((ran.exit, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
    }
    assert!(server.seen().is_empty());
}

#[test]
fn env_pairs_split_at_the_first_equals_sign() {
    let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
    assert_eq!(parse_env("A=b=c"), pair("A", "b=c"));
    assert_eq!(parse_env("A="), pair("A", ""));
    assert!(parse_env("A").is_err());
    assert!(parse_env("=b").is_err());
    assert!(parse_env("A B=c").is_err());
}

#[test]
fn env_files_name_the_line_that_is_wrong() {
    let error = parse_env_file("A=1\n\nwrong\n").unwrap_err();
    assert!(error.starts_with("line 3: "), "{error}");
    let pairs = parse_env_file("A = 1 \r\nB='x # y'").unwrap();
    let expected = [("A", "1"), ("B", "x # y")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(pairs, expected);
}

#[test]
fn quotes_around_a_value_go_and_escapes_count_in_double_ones_only() {
    assert_eq!(unquote(r#""a\n\"b\"\\ \t""#), "a\n\"b\"\\ \\t");
    assert_eq!(unquote(r"'a\n'"), r"a\n");
    assert_eq!(unquote(r#"a"b"#), r#"a"b"#);
    assert_eq!(unquote("\""), "\"");
    assert_eq!(unquote(""), "");
}

#[test]
fn limits_are_checked_by_name_and_form() {
    assert_eq!(parse_limit("fuel=1_000"), Ok(("fuel".to_owned(), 1000)));
    assert!(parse_limit("fule=1").unwrap_err().contains("wall_ms"));
    assert!(parse_limit("fuel=-1").is_err());
    assert!(parse_limit("fuel=1.5").is_err());
    assert!(parse_limit("fuel").is_err());
    // Every limit that a deployment may write can be given.
    for name in crate::cli::settings::LIMIT_NAMES {
        let one = json!({ name: 1 });
        assert!(
            serde_json::from_value::<limits::LimitOverrides>(one).is_ok(),
            "{name}"
        );
    }
}

#[test]
fn settings_become_a_header_or_are_refused() {
    let header = settings_header(&json!({ "env": { "A": "50% ü\n\u{7f}" } })).unwrap();
    assert!(
        header.bytes().all(|b| (0x20..0x7f).contains(&b)),
        "{header}"
    );
    let large = json!({ "env": { "A": "x".repeat(limits::FIELDS_BYTES_MAX) } });
    let error = settings_header(&large).unwrap_err();
    assert!(error.to_string().contains("too large"), "{error}");
}

#[test]
fn places_are_found_at_the_start_and_in_the_middle() {
    let find = |detail: &str| {
        Place::find(detail).map(|place| (place.file, place.line, place.column, place.message))
    };
    let place = |file: &str, line, column, message: &str| {
        Some((file.to_owned(), line, column, message.to_owned()))
    };
    assert_eq!(find("a/b.js:3:5: no"), place("a/b.js", 3, 5, "no"));
    assert_eq!(find("/app/index.js:1:2: x"), place("index.js", 1, 2, "x"));
    let middle = "x is undefined (lib.js:10:1)";
    assert_eq!(find(middle), place("lib.js", 10, 1, middle));
    assert_eq!(
        find("at 12:30:05 nothing"),
        place("12", 30, 5, "at 12:30:05 nothing")
    );
    assert_eq!(find("nothing here: 1:2"), None);
}

#[test]
fn a_route_becomes_an_example_when_it_is_simple() {
    assert_eq!(example_path("/users/:userId"), "/users/1");
    assert_eq!(example_path("/a/b"), "/a/b");
    assert_eq!(example_path("/files/*rest"), "");
    assert_eq!(example_path(""), "");
}

#[test]
fn the_help_names_every_limit_with_its_default() {
    let command = <DeployArgs as clap::Args>::augment_args(clap::Command::new("deploy"));
    let help = command.get_after_help().unwrap().to_string();
    let defaults = serde_json::to_value(limits::Limits::DEFAULT).unwrap();
    for name in LIMIT_NAMES {
        let line = format!("\n  {name}={}", defaults[name]);
        assert!(help.contains(&line), "{line}");
    }
}
