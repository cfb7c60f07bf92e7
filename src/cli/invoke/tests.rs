//! Invoking: the request that is sent, the answer as it arrives, and every exit code.

use std::io;
use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Target, content_type, parse_header, parse_method, read_body};
use crate::cli::fake::{self, Fake, INVOCATION, Screen};

#[test]
fn the_target_is_taken_apart_at_the_first_slash_or_question_mark() {
    let parts = |text: &str| {
        let target: Target = text.parse().unwrap();
        (target.function.to_string(), target.rest)
    };
    let expected = [
        ("hello", "hello", ""),
        ("hello/", "hello", "/"),
        ("hello/a/b?c=/d", "hello", "/a/b?c=/d"),
        ("hello?q=1/2", "hello", "?q=1/2"),
    ];
    for (text, function, rest) in expected {
        assert_eq!(
            parts(text),
            (function.to_owned(), rest.to_owned()),
            "{text}"
        );
    }
    for text in ["", "/hello", "?q", "a b", "-x", "../x"] {
        assert!(text.parse::<Target>().is_err(), "{text}");
    }
}

#[test]
fn headers_are_split_at_the_first_colon() {
    let (name, value) = parse_header("X-Time: 12:30 ").unwrap();
    assert_eq!(
        (name.as_str(), value.to_str().unwrap()),
        ("x-time", "12:30")
    );
    assert_eq!(parse_header("x-empty:").unwrap().1, "");
    for text in ["no colon", ": value", "a b: c", "a: b\nc: d"] {
        assert!(parse_header(text).is_err(), "{text}");
    }
}

#[test]
fn methods_are_written_in_capitals() {
    assert_eq!(parse_method("patch").unwrap(), "PATCH");
    assert!(parse_method("a b").is_err());
}

#[test]
fn the_content_type_follows_from_the_body() {
    assert_eq!(content_type(b"{\"a\": 1}"), "application/json");
    assert_eq!(content_type(b"7"), "application/json");
    assert_eq!(content_type(b"a=1"), "text/plain; charset=utf-8");
    assert_eq!(content_type(b""), "text/plain; charset=utf-8");
    assert_eq!(content_type(b"\xff\x00"), "application/octet-stream");
}

#[test]
fn a_body_may_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    std::fs::write(&path, b"\x00\r\n\xff").unwrap();
    let data = format!("@{}", path.display());
    assert_eq!(read_body(&data).unwrap(), b"\x00\r\n\xff");
    let error = read_body("@no/such/file").unwrap_err();
    assert_eq!(error.exit_number(), 2);
    assert!(
        error.to_string().contains("cannot read no/such/file"),
        "{error}"
    );
}

#[tokio::test]
async fn a_plain_invocation_is_a_get_and_prints_the_body_alone() {
    let server = Fake::start(|_| fake::answer(200, "text/plain", "hi\n")).await;
    let ran = server.run(&["invoke", "hello/a?b=1"]).await;
    assert_eq!(
        (ran.exit, ran.out.as_str(), ran.err.as_str()),
        (0, "hi\n", "")
    );
    let seen = server.only();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("GET", "/invoke/hello/a?b=1")
    );
    assert_eq!(seen.header("content-type"), None);
    assert_eq!(seen.header("accept-encoding"), None);
}

#[tokio::test]
async fn a_body_makes_it_a_post_unless_the_user_says_otherwise() {
    let server = Fake::start(|_| fake::answer(201, "text/plain", "")).await;
    server
        .run(&["invoke", "f", "-d", "{}", "--tenant", "acme"])
        .await;
    server
        .run(&[
            "invoke",
            "f",
            "-d",
            "-x",
            "-X",
            "put",
            "-H",
            "Content-Type: a/b",
        ])
        .await;
    server
        .run(&["invoke", "f", "-H", "x-a: 1", "-H", "x-a: 2", "-d", ""])
        .await;
    let seen = server.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].target.as_str()),
        ("POST", "/invoke/@acme/f")
    );
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert_eq!(
        (seen[1].method.as_str(), &seen[1].body[..]),
        ("PUT", &b"-x"[..])
    );
    assert_eq!(seen[1].header("content-type"), Some("a/b"));
    assert_eq!(seen[2].headers.get_all("x-a").iter().count(), 2);
    assert_eq!(seen[2].method, "POST");
}

#[tokio::test]
async fn the_body_is_shown_while_it_arrives() {
    let (sender, receiver) = mpsc::channel(1);
    let receiver = Mutex::new(Some(receiver));
    let server =
        Fake::start(move |_| fake::streamed(receiver.lock().unwrap().take().unwrap())).await;
    let screen = Screen::default();
    let command = server.run_on(&["invoke", "hello"], &screen);
    let script = async {
        sender.send(Ok("first ")).await.unwrap();
        screen.shows("first ").await;
        sender.send(Ok("second")).await.unwrap();
        drop(sender);
    };
    let (ended, ()) = tokio::join!(command, script);
    let ran = screen.ran(ended);
    assert_eq!((ran.exit, ran.out.as_str()), (0, "first second"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_told() {
    let (sender, receiver) = mpsc::channel(1);
    let receiver = Mutex::new(Some(receiver));
    let server =
        Fake::start(move |_| fake::streamed(receiver.lock().unwrap().take().unwrap())).await;
    let screen = Screen::default();
    let command = server.run_on(&["invoke", "hello"], &screen);
    let script = async {
        sender.send(Ok("first")).await.unwrap();
        screen.shows("first").await;
        sender.send(Err(io::Error::other("cut"))).await.unwrap();
    };
    let (ended, ()) = tokio::join!(command, script);
    let ran = screen.ran(ended);
    assert_eq!((ran.exit, ran.out.as_str()), (1, "first"));
    assert!(ran.err.contains("broke off"), "{}", ran.err);
    assert!(ran.err.contains("ampoule logs hello"), "{}", ran.err);
}

#[tokio::test]
async fn an_api_key_is_shown_to_the_platform_and_the_operators_own_is_not() {
    let server = Fake::start(|_| fake::answer(200, "text/plain", "ok")).await;
    server.run(&["invoke", "hello", "--key", "amp_1"]).await;
    server.run(&["invoke", "hello", "--key", "root"]).await;
    let own = ["invoke", "hello", "--key", "amp_1", "-H", "x-api-key: own"];
    server.run(&own).await;
    let keys: Vec<Option<String>> = server
        .seen()
        .iter()
        .map(|seen| seen.header("x-api-key").map(str::to_owned))
        .collect();
    let expected = [Some("amp_1"), None, Some("own")];
    assert_eq!(keys, expected.map(|key| key.map(str::to_owned)));
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );
}

#[tokio::test]
async fn redirects_are_answers() {
    let server = Fake::start(|_| fake::answer(302, "text/plain", "there")).await;
    let ran = server.run(&["invoke", "hello"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (0, "there"));
}

#[tokio::test]
async fn the_platforms_problem_is_told_readably() {
    let server = Fake::start(|_| {
        let title = "The function threw an exception";
        fake::problem(
            500,
            "function_threw",
            title,
            "TypeError: \x1b[2Jx is undefined",
        )
    })
    .await;
    let ran = server.run(&["invoke", "hello", "--tenant", "acme"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (1, ""));
    let expected = format!(
        "error: function_threw (500): The function threw an exception\n  \
         detail      TypeError: \\u{{1b}}[2Jx is undefined\n  \
         invocation  {INVOCATION}\n  \
         next        ampoule logs hello --tenant acme --invocation {INVOCATION}\n"
    );
    assert_eq!(ran.err, expected);
}

#[tokio::test]
async fn an_exhausted_limit_names_the_setting() {
    let server = Fake::start(|_| fake::problem(504, "wall_exceeded", "Too long", "30 s")).await;
    let ran = server.run(&["invoke", "hello"]).await;
    assert!(ran.err.contains("--limit wall_ms=N"), "{}", ran.err);
}

#[tokio::test]
async fn a_functions_own_failure_is_its_body_and_a_note() {
    let server = Fake::start(|seen| match seen.target.ends_with("/problem") {
        true => fake::answer(400, "application/problem+json", "{\"code\":\"mine\"}"),
        false => fake::answer(404, "text/plain", "no such item"),
    })
    .await;
    let ran = server.run(&["invoke", "hello"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (1, "no such item"));
    assert!(
        ran.err
            .contains("the function itself answered 404 Not Found"),
        "{}",
        ran.err
    );
    let ran = server.run(&["invoke", "hello/problem"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (1, "{\"code\":\"mine\"}"));
    assert!(
        ran.err.contains(&format!("--invocation {INVOCATION}")),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn include_shows_status_and_headers_first() {
    let server = Fake::start(|_| fake::answer(200, "text/plain", "hi")).await;
    let ran = server.run(&["invoke", "hello", "-i"]).await;
    assert!(
        ran.out
            .starts_with("HTTP/1.1 200 OK\ncontent-type: text/plain\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.ends_with("\n\nhi"), "{}", ran.out);
}

#[tokio::test]
async fn json_has_status_headers_and_body() {
    let server = Fake::start(|seen| match seen.target.as_str() {
        "/invoke/f/json" => fake::answer(200, "application/json; charset=utf-8", "{\"a\":1}"),
        "/invoke/f/text" => fake::answer(500, "text/plain", "oh"),
        _ => fake::answer(200, "image/png", &b"\xff\xfe"[..]),
    })
    .await;
    let run = async |target: &str| {
        let ran = server.run(&["invoke", target, "--json"]).await;
        assert_eq!(ran.err, "");
        (ran.exit, serde_json::from_str::<Value>(&ran.out).unwrap())
    };
    let (exit, told) = run("f/json").await;
    assert_eq!((exit, &told["body"]), (0, &json!({ "a": 1 })));
    assert_eq!(told["status"], 200);
    assert_eq!(told["invocation"], INVOCATION);
    assert_eq!(
        told["headers"]["content-type"],
        "application/json; charset=utf-8"
    );
    let (exit, told) = run("f/text").await;
    assert_eq!((exit, &told["body"]), (1, &json!("oh")));
    let (exit, told) = run("f/bytes").await;
    assert_eq!(
        (exit, &told["body_bytes"], &told["body"]),
        (0, &json!(2), &Value::Null)
    );
}
