use serde_json::{Value, json};

use super::super::fake::{self, Fake};
use super::until;
use crate::clock;

fn run(number: u64, state: &str) -> Value {
    json!({
        "number": number, "trigger": "tick", "due_ms": clock::now_ms() - 600_000, "state": state,
        "attempt": 2, "missed": 3, "started_ms": 1000, "ended_ms": 1042, "next_attempt_ms": null,
        "status": 500, "code": null, "invocation": fake::INVOCATION,
    })
}

fn schedule(name: &str, enabled: bool) -> Value {
    let next_ms = enabled.then(|| clock::now_ms() + 601_000);
    json!({
        "tenant": "default", "function": "report", "name": name, "cron": "30 2 * * *",
        "time_zone": "Europe/Berlin", "enabled": enabled, "next_ms": next_ms,
        "last_run": enabled.then(|| run(7, "failed")),
    })
}

#[tokio::test]
async fn schedules_are_a_table_for_people_and_the_answer_for_programs() {
    let answer = json!({ "schedules": [schedule("nightly", true), schedule("off", false)] });
    let given = answer.clone();
    let server = Fake::start(move |_| fake::json(200, &given)).await;
    let ran = server
        .run(&["schedules", "list", "report", "--tenant", "acme"])
        .await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    let expected = "\
SCHEDULE  CRON        TIME ZONE      NEXT           LAST RUN
nightly   30 2 * * *  Europe/Berlin  in 10 minutes  failed 500 10 minutes ago
off       30 2 * * *  Europe/Berlin  disabled
";
    assert_eq!(ran.out, expected);
    let seen = server.only();
    assert_eq!(
        seen.target,
        "/api/v1/tenants/acme/functions/report/schedules"
    );
    let ran = server.run(&["schedules", "list", "report", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), answer);
}

#[tokio::test]
async fn without_schedules_the_next_step_is_shown() {
    let server = Fake::start(|_| fake::json(200, &json!({ "schedules": [] }))).await;
    let ran = server.run(&["schedules", "list", "report"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (0, ""));
    assert!(
        ran.err
            .contains("ampoule schedules set report SCHEDULE --cron"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn setting_a_schedule_sends_all_of_it() {
    let server = Fake::start(|_| fake::json(201, &schedule("nightly", true))).await;
    let ran = server
        .run(&[
            "schedules",
            "set",
            "report",
            "nightly",
            "--cron",
            "30 2 * * *",
            "--time-zone",
            "Europe/Berlin",
            "--payload",
            r#"{"full":true}"#,
            "--missed",
            "run-once",
            "--late-ms-max",
            "60000",
            "--overlap",
            "queue-one",
            "--retries",
            "3",
        ])
        .await;
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    assert_eq!(
        ran.out,
        "stored nightly of report: next run in 10 minutes\n"
    );
    let seen = server.only();
    let path = "/api/v1/tenants/default/functions/report/schedules/nightly";
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PUT", path));
    let sent: Value = serde_json::from_slice(&seen.body).unwrap();
    let expected = json!({
        "cron": "30 2 * * *", "time_zone": "Europe/Berlin", "enabled": true, "path": "/",
        "missed": { "policy": "run_once", "late_ms_max": 60_000 }, "overlap": "queue_one",
        "retries": { "max": 3, "initial_ms": 1000, "max_ms": 60_000 }, "payload": { "full": true },
    });
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn what_cannot_be_sent_is_said_before_anything_is() {
    let server = Fake::start(|_| fake::json(500, &json!({}))).await;
    let set = ["schedules", "set", "report", "s", "--cron", "* * * * *"];
    for (more, says) in [
        (["--payload", "{"], "--payload is not JSON"),
        (["--payload-file", "/none/such"], "cannot read /none/such"),
        (["--late-ms-max", "5"], "--missed run-once"),
    ] {
        let ran = server.run(&[&set[..], &more[..]].concat()).await;
        assert_eq!(ran.exit, 2, "{}", ran.err);
        assert!(ran.err.contains(says), "{}", ran.err);
    }
    let ran = server.run(&["schedules", "delete", "report", "s"]).await;
    assert_eq!(ran.exit, 2);
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_server_s_refusal_is_shown() {
    let detail = "cron: a pattern has 5 fields";
    let server = Fake::start(move |_| {
        fake::problem(400, "schedule_invalid", "The schedule is not valid", detail)
    })
    .await;
    let ran = server.run(&["schedules", "preview", "* *"]).await;
    assert_ne!(ran.exit, 0);
    assert!(ran.err.contains(detail), "{}", ran.err);
}

#[tokio::test]
async fn runs_are_a_table() {
    let answer = json!({ "runs": [run(7, "failed")], "cursor": null });
    let server = Fake::start(move |_| fake::json(200, &answer)).await;
    let ran = server
        .run(&["schedules", "runs", "report", "nightly", "-n", "5"])
        .await;
    let expected = format!(
        "\
RUN  DUE             STATE       ATTEMPTS  TOOK   MISSED  INVOCATION
7    10 minutes ago  failed 500  2         42 ms  3       {}
",
        fake::INVOCATION
    );
    assert_eq!((ran.out, ran.err.as_str()), (expected, ""));
    let path = "/api/v1/tenants/default/functions/report/schedules/nightly/runs?limit=5";
    assert_eq!(server.only().target, path);
}

#[tokio::test]
async fn running_and_deleting_say_what_they_did() {
    let server = Fake::start(|seen| match seen.method.as_str() {
        "POST" => fake::json(202, &run(8, "queued")),
        _ => fake::answer(204, "application/json", ""),
    })
    .await;
    let ran = server.run(&["schedules", "run", "report", "nightly"]).await;
    assert_eq!(ran.out, "run 8 of nightly has begun\n");
    assert_eq!(ran.err, "  next  ampoule schedules runs report nightly\n");
    let ran = server
        .run(&["schedules", "delete", "report", "nightly", "--yes"])
        .await;
    assert_eq!(ran.out, "deleted nightly of report with its history\n");
    let seen = server.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[1].method.as_str()),
        ("POST", "DELETE")
    );
    assert!(seen[0].target.ends_with("/report/schedules/nightly/run"));
}

#[tokio::test]
async fn a_preview_shows_local_times() {
    let time_ms = clock::now_ms() + 7_300_000;
    let times = json!({ "times": [
        { "time_ms": time_ms, "local": "2026-11-23T09:30:00-05:00" },
        { "time_ms": time_ms + 300_000_000, "local": "2026-11-30T09:30:00-05:00" },
    ] });
    let server = Fake::start(move |_| fake::json(200, &times)).await;
    let ran = server
        .run(&[
            "schedules",
            "preview",
            "30 9 * * MON",
            "-n",
            "2",
            "-t",
            "acme",
        ])
        .await;
    let expected = "2026-11-23T09:30:00-05:00  in 2 hours\n2026-11-30T09:30:00-05:00  in 3 days\n";
    assert_eq!((ran.out.as_str(), ran.err.as_str()), (expected, ""));
    let seen = server.only();
    assert_eq!(seen.target, "/api/v1/tenants/acme/schedules/preview");
    let sent: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(
        sent,
        json!({ "cron": "30 9 * * MON", "time_zone": "UTC", "count": 2 })
    );
}

#[test]
fn times_ahead_are_told_in_the_unit_that_fits() {
    for (ms, text) in [
        (0, "in 0 seconds"),
        (90_000, "in 90 seconds"),
        (120_000, "in 2 minutes"),
        (7_200_000, "in 2 hours"),
        (172_800_000, "in 2 days"),
    ] {
        assert_eq!(until(1000 + ms, 1000), text);
    }
    assert_eq!(until(0, 1000), "in 0 seconds");
}
