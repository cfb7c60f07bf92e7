//! The command line as it is written: arguments, defaults, texts; and the smaller commands.

use std::net::SocketAddr;

use clap::{CommandFactory, Parser};
use serde_json::{Value, json};

use super::fake::{self, Fake};
use super::{Cli, Command, without_empty_key};
use crate::limits::STORE_CACHE_MIB;

fn parse(arguments: &[&str]) -> Result<Command, String> {
    let whole = ["ampoule"].iter().chain(arguments);
    Cli::try_parse_from(whole)
        .map(|cli| cli.command)
        .map_err(|error| error.to_string())
}

fn serve(arguments: &[&str]) -> super::ServeArgs {
    let whole: Vec<&str> = ["serve"].iter().chain(arguments).copied().collect();
    match parse(&whole) {
        Ok(command) => match without_empty_key(command) {
            Command::Serve(args) => args,
            _ => panic!("not serve"),
        },
        Err(error) => panic!("{error}"),
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn the_definition_of_the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_examples_and_a_line_about_it() {
    let cli = Cli::command();
    let shown = |command: &&clap::Command| !command.is_hide_set();
    let commands = cli.get_subcommands().filter(shown).collect::<Vec<_>>();
    assert_eq!(commands.len(), 27);
    for command in commands {
        let name = command.get_name();
        assert!(command.get_about().is_some(), "{name}");
        let after = command
            .get_after_help()
            .unwrap_or_else(|| panic!("{name}"))
            .to_string();
        assert!(after.contains(&format!("ampoule {name}")), "{name}");
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{name} {}",
                argument.get_id()
            );
        }
    }
}

#[tokio::test]
async fn completions_name_every_command_that_is_shown() {
    let server = Fake::start(|_| fake::json(200, &json!({}))).await;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let whole = ["ampoule", "completions", shell];
        let command = Cli::try_parse_from(whole).unwrap().command;
        let screen = fake::Screen::default();
        let ended = super::run_on(&command, &mut screen.terminal()).await;
        let ran = screen.ran(ended);
        for name in ["deploy", "policy", "completions", "--network-policy"] {
            let name = if shell == "fish" {
                name.trim_start_matches('-')
            } else {
                name
            };
            assert!(ran.out.contains(name), "{shell}: {name}");
        }
    }
    assert!(server.seen().is_empty());
}

#[test]
fn serve_listens_on_loopback_unless_told_otherwise() {
    assert_eq!(
        serve(&["--port", "4000"]).address(),
        address("127.0.0.1:4000")
    );
    assert_eq!(
        serve(&["--port", "8080"]).address(),
        address("127.0.0.1:8080")
    );
    let both = ["--port", "8080", "--listen", "[::]:9"];
    assert_eq!(serve(&both).address(), address("[::]:9"));
    let error = parse(&["serve", "--listen", "4000"]).err().unwrap();
    assert!(error.contains("write it as ADDRESS:PORT"), "{error}");
}

#[test]
fn an_empty_key_is_no_key_and_a_zero_bound_is_refused() {
    assert_eq!(serve(&["--key", ""]).key, None);
    assert_eq!(serve(&["--key", "k"]).key.as_deref(), Some("k"));
    assert_eq!(serve(&[]).max_concurrent, 512);
    assert_eq!(serve(&[]).max_concurrent_per_tenant, 128);
    assert_eq!(serve(&[]).store_cache_mib, STORE_CACHE_MIB);
    assert_eq!(serve(&["--store-cache-mib", "64"]).store_cache_mib, 64);
    assert!(parse(&["serve", "--max-concurrent", "0"]).is_err());
}

#[test]
fn dev_takes_its_name_from_the_path_unless_one_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my shop");
    std::fs::create_dir(&path).unwrap();
    let path = path.to_str().unwrap();
    let dev = |arguments: &[&str]| match parse(arguments) {
        Ok(Command::Dev(args)) => args,
        Ok(_) => panic!("not dev"),
        Err(error) => panic!("{error}"),
    };
    let args = dev(&["dev", path, "--name", "shop", "-e", "A=1=2", "--env", "B="]);
    assert_eq!(args.function_name().unwrap().as_str(), "shop");
    let pairs = [("A", "1=2"), ("B", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(args.settings.env, pairs);
    let error = dev(&["dev", path]).function_name().unwrap_err().to_string();
    assert!(error.contains("give one with --name"), "{error}");
    assert!(parse(&["dev", path, "--name", "a b"]).is_err());
    let file = folder.path().join("hello.mjs");
    std::fs::write(&file, "").unwrap();
    let name = dev(&["dev", file.to_str().unwrap()])
        .function_name()
        .unwrap();
    assert_eq!(name.as_str(), "hello");
}

fn version(number: u64, active: bool) -> Value {
    json!({
        "tenant": "default", "function": "hello", "version": number, "active": active,
        "deployment": "01JD3W6T5V7N9QKX2M4R8ZB1CE", "created_ms": 0, "entry": "index.js",
        "evaluation": if active { "snapshot" } else { "per_request" },
        "files": 3, "source_bytes": 2048, "limits": {}, "env": ["K"],
    })
}

fn columns(text: &str) -> Vec<Vec<&str>> {
    let cells = |line| {
        str::split(line, "  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
    };
    text.lines().map(|line| cells(line).collect()).collect()
}

#[tokio::test]
async fn versions_are_a_table_for_people_and_the_answer_for_programs() {
    let answer = json!({ "versions": [version(2, true), version(1, false)] });
    let body = answer.clone();
    let server = Fake::start(move |_| fake::json(200, &body)).await;
    let ran = server.run(&["versions", "hello", "--tenant", "acme"]).await;
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    let rows = columns(&ran.out);
    assert_eq!(rows[0][..3], ["VERSION", "STATE", "DEPLOYED"]);
    assert_eq!(rows[1][..2], ["2", "active"]);
    assert_eq!(rows[1][3..6], ["snapshot", "3", "2.0 KiB"]);
    assert!(rows[2][1].ends_with("days ago"), "{}", ran.out);
    assert_eq!(
        server.only().target,
        "/api/v1/tenants/acme/functions/hello/versions"
    );
    let ran = server.run(&["versions", "hello", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), answer);
}

#[tokio::test]
async fn a_listed_function_may_have_no_active_version() {
    let mut active = version(7, true);
    active["name"] = json!("hello");
    active["active_version"] = json!(7);
    let body = json!({ "functions": [active, { "name": "draft", "active_version": null }] });
    let server = Fake::start(move |_| fake::json(200, &body)).await;
    let ran = server.run(&["list"]).await;
    let rows = columns(&ran.out);
    assert_eq!(rows[1][..2], ["hello", "7"]);
    assert_eq!(rows[2], ["draft", "none"]);
    assert_eq!(server.only().target, "/api/v1/tenants/default/functions");
}

#[tokio::test]
async fn an_empty_list_says_what_to_do() {
    let server = Fake::start(|_| fake::json(200, &json!({ "functions": [] }))).await;
    let ran = server.run(&["list", "--tenant", "acme"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (0, ""));
    assert!(
        ran.err.contains("ampoule deploy PATH --tenant acme"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn activate_posts_the_number() {
    let server = Fake::start(|_| fake::json(200, &version(1, true))).await;
    let ran = server.run(&["activate", "hello", "1"]).await;
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (0, "hello version 1 is active\n")
    );
    let seen = server.only();
    assert_eq!(seen.method, "POST");
    assert_eq!(
        seen.target,
        "/api/v1/tenants/default/functions/hello/versions/1/activate"
    );
}

#[tokio::test]
async fn delete_needs_to_be_told_twice() {
    let server = Fake::start(|_| fake::answer(204, "text/plain", "")).await;
    let ran = server.run(&["delete", "hello"]).await;
    assert_eq!(ran.exit, 2);
    assert!(ran.err.contains("add --yes"), "{}", ran.err);
    assert!(server.seen().is_empty());
    let ran = server.run(&["delete", "hello", "--yes"]).await;
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (0, "deleted hello with all its versions\n")
    );
    let ran = server
        .run(&["delete", "hello", "--version", "2", "-y", "--json"])
        .await;
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["version"], 2);
    let targets: Vec<String> = server.seen().into_iter().map(|seen| seen.target).collect();
    let function = "/api/v1/tenants/default/functions/hello";
    assert_eq!(
        targets,
        [function.to_owned(), format!("{function}/versions/2")]
    );
}

#[tokio::test]
async fn the_active_version_is_not_deleted_and_the_advice_says_how() {
    let title = "The active version cannot be deleted";
    let server = Fake::start(|_| fake::problem(409, "version_active", title, title)).await;
    let ran = server
        .run(&["delete", "hello", "--version", "2", "--yes"])
        .await;
    assert_eq!((ran.exit, ran.out.as_str()), (1, ""));
    assert!(
        ran.err.contains("version_active (409): The active version"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("ampoule activate hello VERSION"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn rollback_and_split_say_what_answers_now() {
    let server = Fake::start(|_| fake::json(200, &version(6, true))).await;
    let ran = server.run(&["rollback", "hello"]).await;
    assert_eq!(ran.out, "hello is back at version 6\n");
    let ran = server.run(&["split", "hello", "4", "10"]).await;
    assert_eq!(ran.out, "hello version 4 answers 10 of 100 requests\n");
    let ran = server.run(&["split", "hello", "--end"]).await;
    assert_eq!(
        ran.out,
        "the active version of hello answers all requests\n"
    );
    let seen: Vec<String> = server
        .seen()
        .iter()
        .map(|seen| {
            let path = seen.target.rsplit('/').next().unwrap();
            format!(
                "{} {path} {}",
                seen.method,
                String::from_utf8_lossy(&seen.body)
            )
        })
        .collect();
    let split = r#"PUT split {"version":4,"weight_percent":10}"#;
    assert_eq!(seen, ["POST rollback ", split, "DELETE split "]);
    for wrong in [&["split", "hello"][..], &["split", "hello", "4", "100"]] {
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
    assert!(parse(&["split", "hello", "4", "10", "--end"]).is_err());
}

#[tokio::test]
async fn a_long_list_is_read_to_its_end() {
    let server = Fake::start(|seen| {
        let (numbers, cursor) = match seen.target.split_once("?cursor=") {
            None => ([4, 3], json!("3")),
            Some((_, "3")) => ([2, 1], json!(null)),
            Some((_, other)) => panic!("{other}"),
        };
        let versions = numbers.map(|number| version(number, number == 4));
        fake::json(200, &json!({ "versions": versions, "cursor": cursor }))
    })
    .await;
    let ran = server.run(&["versions", "hello"]).await;
    let numbers: Vec<&str> = columns(&ran.out)[1..].iter().map(|row| row[0]).collect();
    assert_eq!(numbers, ["4", "3", "2", "1"]);
    // A server that answers the same page for ever is not asked for ever.
    let server = Fake::start(|_| fake::json(200, &json!({"versions": [], "cursor": "1"}))).await;
    let ran = server.run(&["versions", "hello"]).await;
    assert_ne!(ran.exit, 0);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn test_sends_the_request_to_the_version_and_keeps_the_key_apart() {
    let server = Fake::start(|_| fake::answer(200, "text/plain", "hi")).await;
    let ran = server
        .run(&[
            "test",
            "hello/a?q=1",
            "--version",
            "3",
            "-d",
            "x",
            "-H",
            "authorization: mine",
            "--key",
            "k",
        ])
        .await;
    assert_eq!((ran.exit, ran.out.as_str()), (0, "hi"));
    let seen = server.only();
    assert_eq!(seen.method, "POST");
    let path = "/api/v1/tenants/default/functions/hello/versions/3/test/a?q=1";
    assert_eq!(seen.target, path);
    assert_eq!(seen.header("authorization"), Some("Bearer k"));
    assert_eq!(seen.header("x-ampoule-test-authorization"), Some("mine"));
}
