//! Logs: how lines read, what is asked for, and following through a server that goes away.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{Line, line_text, parse_lines};
use crate::cli::fake::{self, Fake, INVOCATION, Screen, Seen};
use crate::cli::output::Sink;
use crate::limits;

const OTHER: &str = "01JD3W6T5V7N9QKX2M4R8ZZZZZ";

fn line(message: &str, invocation: &str) -> Value {
    json!({
        "cursor": "c", "timestamp_ms": 45_296_789_u64, "level": "info", "message": message,
        "invocation": invocation, "version": 1,
    })
}

fn page(lines: &[Value], cursor: &str) -> fake::Answer {
    fake::json(200, &json!({ "lines": lines, "cursor": cursor }))
}

/// A server that has no place for a live tail.
fn no_tail(seen: &Seen) -> fake::Answer {
    assert!(seen.target.contains("/logs/stream?"), "{}", seen.target);
    let title = "Too many live tails are open";
    fake::problem(429, "tails_exceeded", title, title)
}

fn query(seen: &Seen) -> Vec<&str> {
    let (_, query) = seen.target.split_once('?').unwrap();
    query.split('&').collect()
}

#[test]
fn later_lines_of_a_message_stand_below_the_first() {
    let sink = Sink::new(Box::new(io::sink()), false);
    let text = |value: Value| line_text(&serde_json::from_value::<Line>(value).unwrap(), &sink);
    let told = text(line("Error: x\n    at index.js:1\x1b[2J", INVOCATION));
    let expected = "12:34:56.789  info   4R8ZB1CE  Error: x";
    let second = "    at index.js:1\\u{1b}[2J";
    assert_eq!(told, format!("{expected}\n{:31}{second}", ""));
    let without = json!({ "timestamp_ms": 0, "level": "error", "message": "m" });
    assert_eq!(text(without), "00:00:00.000  error  m");
}

#[test]
fn the_number_of_lines_is_bounded() {
    assert_eq!(parse_lines("0"), Ok(0));
    assert!(parse_lines(&(limits::LOG_LINES_KEPT + 1).to_string()).is_err());
    assert!(parse_lines("-1").is_err());
}

#[tokio::test]
async fn the_newest_lines_are_shown() {
    let server = Fake::start(|_| page(&[line("one", INVOCATION), line("two", OTHER)], "2")).await;
    let ran = server
        .run(&["logs", "hello", "-n", "50", "--tenant", "acme"])
        .await;
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    let expected = "12:34:56.789  info   4R8ZB1CE  one\n12:34:56.789  info   4R8ZZZZZ  two\n";
    assert_eq!(ran.out, expected);
    let seen = server.only();
    assert!(
        seen.target
            .starts_with("/api/v1/tenants/acme/functions/hello/logs?")
    );
    assert_eq!(query(&seen), ["limit=50"]);
}

#[tokio::test]
async fn json_is_one_document_a_line() {
    let lines = [line("one\ntwo", INVOCATION), line("three", OTHER)];
    let answer = lines.clone();
    let server = Fake::start(move |_| page(&answer, "2")).await;
    let ran = server.run(&["logs", "hello", "--json"]).await;
    let told: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told, lines);
}

#[tokio::test]
async fn a_whole_invocation_id_is_asked_for_and_the_end_of_one_looked_for() {
    let lines = [
        line("one", OTHER),
        line("two", INVOCATION),
        line("three", INVOCATION),
    ];
    let server = Fake::start(move |_| page(&lines, "3")).await;
    server
        .run(&["logs", "hello", "--invocation", INVOCATION])
        .await;
    let ran = server
        .run(&["logs", "hello", "-n", "1", "--invocation", "8zb1ce"])
        .await;
    assert!(
        ran.out.ends_with("  three\n") && ran.out.lines().count() == 1,
        "{}",
        ran.out
    );
    let seen = server.seen();
    let filter = format!("invocation={INVOCATION}");
    assert_eq!(query(&seen[0]), ["limit=100", filter.as_str()]);
    assert_eq!(
        query(&seen[1]),
        [format!("limit={}", limits::LOG_LINES_KEPT)]
    );
}

#[tokio::test]
async fn an_empty_log_says_so() {
    let server = Fake::start(|_| page(&[], "")).await;
    let ran = server.run(&["logs", "hello"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (0, ""));
    assert!(ran.err.contains("no lines yet"), "{}", ran.err);
}

#[tokio::test]
async fn an_unknown_function_ends_it_with_advice() {
    let title = "There is no such function";
    let server = Fake::start(|_| fake::problem(404, "function_not_found", title, title)).await;
    for arguments in [&["logs", "hello"][..], &["logs", "hello", "-f"]] {
        let ran = server.run(arguments).await;
        assert_eq!(ran.exit, 1);
        assert!(
            ran.err.contains("ampoule deploy PATH --name hello"),
            "{}",
            ran.err
        );
    }
}

#[tokio::test]
async fn following_goes_on_from_the_cursor_and_through_a_restart() {
    let asked = AtomicUsize::new(0);
    let server = Fake::start(move |seen| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => page(&[line("old", INVOCATION)], "1"),
        1 => no_tail(seen),
        2 => Err(io::Error::other("restarting")),
        3 => page(&[line("new", INVOCATION)], "2"),
        _ => fake::problem(
            404,
            "function_not_found",
            "There is no such function",
            "deleted",
        ),
    })
    .await;
    let screen = Screen::default();
    let ended = server.run_on(&["logs", "hello", "-f"], &screen).await;
    assert!(screen.err().contains("trying again"), "{}", screen.err());
    let ran = screen.ran(ended);
    assert_eq!(ran.exit, 1);
    let messages: Vec<&str> = ran.out.lines().map(|line| &line[31..]).collect();
    assert_eq!(messages, ["old", "new"]);
    let seen = server.seen();
    assert_eq!(query(&seen[0]), ["limit=100"]);
    assert_eq!(query(&seen[1]), ["after=1"]);
    for request in &seen[2..4] {
        assert_eq!(query(request), ["limit=100", "wait_ms=10000", "after=1"]);
    }
    assert!(query(&seen[4]).contains(&"after=2"));
}

#[tokio::test]
async fn following_may_begin_with_no_old_lines() {
    let asked = AtomicUsize::new(0);
    let server = Fake::start(move |seen| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => page(&[line("old", INVOCATION)], "1"),
        1 => no_tail(seen),
        2 => page(&[line("new", INVOCATION)], "2"),
        _ => fake::problem(500, "internal", "The server failed", "see the server's log"),
    })
    .await;
    let ran = server.run(&["logs", "hello", "-f", "-n", "0"]).await;
    assert!(
        ran.out.ends_with("  new\n") && !ran.out.contains("old"),
        "{}",
        ran.out
    );
    assert_eq!(query(&server.seen()[0]), ["limit=1"]);
    assert!(
        ran.err.contains("look into the server's log"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn following_reads_a_live_tail_and_connects_again_with_the_last_cursor() {
    let asked = AtomicUsize::new(0);
    let event = |id: u32, message: &str| {
        format!(
            "id: {id}\nevent: line\ndata: {}\n\n",
            line(message, INVOCATION)
        )
    };
    let first = format!(": alive\n\n{}{}", event(4, "four"), event(5, "five"));
    let second = format!(
        "{}event: end\ndata: {{\"reason\":\"too_slow\"}}\n\n",
        event(6, "six")
    );
    let server = Fake::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => page(&[line("old", INVOCATION)], "3"),
        1 => fake::answer(200, "text/event-stream", first.clone()),
        2 => fake::answer(200, "text/event-stream", second.clone()),
        _ => fake::problem(500, "internal", "The server failed", "see the server's log"),
    })
    .await;
    let ran = server
        .run(&["logs", "hello", "-f", "--search", "level:info"])
        .await;
    let messages: Vec<&str> = ran.out.lines().map(|line| &line[31..]).collect();
    assert_eq!(messages, ["old", "four", "five", "six"]);
    assert!(ran.err.contains("lines were deleted"), "{}", ran.err);
    let seen = server.seen();
    assert_eq!(query(&seen[1]), ["search=level%3Ainfo", "after=3"]);
    assert_eq!(query(&seen[2]), ["search=level%3Ainfo", "after=5"]);
    assert_eq!(query(&seen[3]), ["search=level%3Ainfo", "after=6"]);
}
