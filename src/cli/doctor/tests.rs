//! `ampoule doctor` against servers that answer what the test says.

use serde_json::{Value, json};

use super::super::fake::{self, Fake};
use super::*;

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut checks = report["checks"].as_array().unwrap().iter();
    let found = checks.find(|one| one["check"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {report}"))
}

async fn report(server: &Fake) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let ran = server.run(&["doctor", "--json", "--data", data]).await;
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"))
}

#[tokio::test]
async fn a_server_that_takes_the_key_is_fine() {
    let page = json!({ "version": env!("CARGO_PKG_VERSION"),
        "engine": { "pagemap_scan": true, "reason": "" } });
    let server = Fake::start(move |_| fake::json(200, &page)).await;
    let report = report(&server).await;
    for name in ["server", "key", "engine", "local clock"] {
        assert_eq!(check(&report, name)["state"], "ok", "{report}");
    }
    assert_ne!(check(&report, "data folder")["state"], "fail");
    assert_eq!(server.only().target, "/api/v1/status");
}

#[tokio::test]
async fn a_key_that_is_not_taken_fails_and_says_what_to_do() {
    let title = "A valid key is needed";
    let server = Fake::start(|_| fake::problem(401, "unauthorized", title, title)).await;
    let ran = server.run(&["doctor"]).await;
    assert_eq!(ran.exit, 1);
    let line = ran
        .out
        .lines()
        .find(|line| line.contains("  key "))
        .unwrap();
    assert!(line.starts_with("fail"), "{}", ran.out);
    assert!(ran.out.contains("to do: set AMPOULE_KEY"), "{}", ran.out);
}

#[tokio::test]
async fn other_versions_and_slower_engines_are_warned_of() {
    let page = json!({ "version": "0.0.1", "engine": { "pagemap_scan": false, "reason": "swap" } });
    let server = Fake::start(move |_| fake::json(200, &page)).await;
    let report = report(&server).await;
    assert_eq!(check(&report, "server")["state"], "warn");
    let engine = check(&report, "engine");
    assert_eq!(engine["state"], "warn");
    assert!(engine["found"].as_str().unwrap().contains("swap"));
}

#[tokio::test]
async fn what_is_not_ampoule_is_told() {
    let server = Fake::start(|_| fake::answer(404, "text/html", "<h1>no</h1>")).await;
    let report = report(&server).await;
    assert_eq!(check(&report, "server")["state"], "fail");
    assert_eq!(report["ok"], false);
}

#[test]
fn clocks_are_compared_to_the_second() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    assert_eq!(skew_ms(date, 784_111_777_000), Some(0));
    assert_eq!(skew_ms(date, 784_111_787_500), Some(10_500));
    assert_eq!(skew_ms("yesterday", 0), None);
    assert_eq!(clocks(SKEW_MS_MAX).state, State::Ok);
    assert_eq!(clocks(SKEW_MS_MAX + 1).state, State::Warn);
    assert_eq!(local_clock(CLOCK_MS_MIN).state, State::Ok);
    assert_eq!(local_clock(0).state, State::Fail);
}
