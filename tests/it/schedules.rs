//! Schedules over HTTP, with a clock that the test moves: what runs when, what is refused, what
//! is kept, and what nobody else can do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::openapi::Document;
use crate::process::Gate;
use crate::server::{Answer, Options, PATIENCE, Server};

/// 21 November 2026, 08:00:00 UTC, a Saturday.
const START_MS: u64 = 1_795_248_000_000;
const MINUTE: u64 = 60_000;

/// Keeps what it was sent, under the number of its due time.
const NOTES: &str = "module.exports = async (req, res) => {
    const { 'x-scheduled-execution': scheduled, 'x-ampoule-due-ms': due } = req.headers;
    const { 'x-ampoule-schedule': schedule, 'x-ampoule-attempt': attempt } = req.headers;
    const { method, url, body } = req;
    await kv.set(`seen:${due}`, { method, url, body, scheduled, schedule, due, attempt });
    res.json({ ok: true });
};";

/// Answers what is under a key.
const READS: &str =
    "module.exports = async (req, res) => res.json(await kv.get(req.query.key) ?? null);";

/// A server whose clock stands still until the test moves it.
struct Timed {
    server: Server,
    hands: Arc<AtomicU64>,
}

impl Timed {
    async fn start() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let hands = Arc::new(AtomicU64::new(START_MS));
        Self::at(hands, options).await
    }

    async fn at(hands: Arc<AtomicU64>, options: Options) -> Self {
        let of_clock = Arc::clone(&hands);
        let server = Server::with(Options {
            clock: Some(Arc::new(move || of_clock.load(Ordering::SeqCst))),
            ..options
        })
        .await;
        Self { server, hands }
    }

    /// Moves the clock ahead, and has the scheduler look at it.
    fn pass(&self, ms: u64) {
        self.hands.fetch_add(ms, Ordering::SeqCst);
        self.server.app.schedules.look();
    }

    /// Stops the server; another one goes on with its data and its clock.
    async fn restart(self, away_ms: u64) -> Self {
        let data = self.server.stop().await;
        self.hands.fetch_add(away_ms, Ordering::SeqCst);
        let options = Options {
            data: Some(data),
            ..Options::default()
        };
        Self::at(self.hands, options).await
    }

    async fn put(&self, path: &str, schedule: Value) -> Answer {
        let path = format!("/api/v1/tenants/default/functions/{path}");
        Answer::of(
            self.server
                .request(Method::PUT, &path)
                .body(schedule.to_string()),
        )
        .await
    }

    async fn get(&self, path: &str) -> Answer {
        let path = format!("/api/v1/tenants/default/functions/{path}");
        Answer::of(self.server.request(Method::GET, &path)).await
    }

    /// The runs of a schedule, oldest first, once `enough` says so of them.
    async fn runs(&self, path: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let mut runs = Vec::new();
        let wait = async {
            loop {
                let answer = self.get(&format!("{path}/runs?limit=100")).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                runs = answer.json()["runs"].as_array().unwrap().clone();
                runs.reverse();
                if enough(&runs) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.unwrap_or_else(|_| panic!("{path} has only {runs:#?}"));
        runs
    }

    /// The runs of a schedule once there are `count` and all are over.
    async fn ended(&self, path: &str, count: usize) -> Vec<Value> {
        let is_over = |run: &Value| {
            let state = run["state"].as_str().unwrap();
            !["queued", "running", "retrying"].contains(&state)
        };
        self.runs(path, |runs| runs.len() == count && runs.iter().all(is_over))
            .await
    }

    async fn kept(&self, key: &str) -> Value {
        Answer::of(self.server.invoke(&format!("reads?key={key}")))
            .await
            .json()
    }
}

fn column<'a>(runs: &'a [Value], name: &str) -> Vec<&'a Value> {
    runs.iter().map(|run| &run[name]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_43_a_scheduler_runs_a_function_on_a_cron_without_a_request() {
    let timed = Timed::start().await;
    timed.server.deploy("notes", NOTES).await;
    timed.server.deploy("reads", READS).await;
    let wanted = json!({
        "cron": "*/5 * * * *", "path": "/nightly?full=1", "payload": { "b": 1, "a": [true] },
    });
    let put = timed.put("notes/schedules/sweep", wanted).await;
    assert_eq!(put.status, 201, "{}", put.text());
    assert_eq!(put.json()["next_ms"], START_MS + 5 * MINUTE);
    // A moment before its time nothing happens; then it runs once, however often one looks.
    timed.pass(5 * MINUTE - 1);
    timed.pass(1);
    timed.pass(0);
    let runs = timed.ended("notes/schedules/sweep", 1).await;
    let due_ms = START_MS + 5 * MINUTE;
    assert_eq!(runs[0]["state"], "succeeded");
    assert_eq!(
        (&runs[0]["due_ms"], &runs[0]["status"]),
        (&json!(due_ms), &json!(200))
    );
    assert_eq!(
        (&runs[0]["attempt"], &runs[0]["trigger"]),
        (&json!(1), &json!("tick"))
    );
    let seen = timed.kept(&format!("seen:{due_ms}")).await;
    let expected = json!({
        "method": "POST", "url": "/nightly?full=1", "body": { "b": 1, "a": [true] },
        "scheduled": "true", "schedule": "sweep", "due": due_ms.to_string(), "attempt": "1",
    });
    assert_eq!(seen, expected);
    timed.pass(5 * MINUTE);
    timed.ended("notes/schedules/sweep", 2).await;
    let shown = timed.get("notes/schedules/sweep").await.json();
    assert_eq!(shown["next_ms"], START_MS + 15 * MINUTE);
    assert_eq!(shown["last_run"]["number"], 2);
    assert_eq!(shown["payload"], json!({ "b": 1, "a": [true] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_that_is_active_at_the_time_runs() {
    let timed = Timed::start().await;
    timed
        .server
        .deploy(
            "job",
            "module.exports = (req, res) => res.status(201).end();",
        )
        .await;
    timed
        .put("job/schedules/s", json!({ "cron": "* * * * *" }))
        .await;
    timed.pass(MINUTE);
    timed.ended("job/schedules/s", 1).await;
    timed
        .server
        .deploy(
            "job",
            "module.exports = (req, res) => res.status(202).end();",
        )
        .await;
    timed.pass(MINUTE);
    let runs = timed.ended("job/schedules/s", 2).await;
    assert_eq!(column(&runs, "status"), [201, 202]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspaces_function_runs_as_it_would_for_a_request() {
    let timed = Timed::start().await;
    let number = json!({ "by": { "type": "number" } });
    let definition = json!({ "functions": {
        "count": { "code": "return cache.n = (cache.n || 0) + by;", "parameters": number },
        "seen": { "code": "return cache.n;" },
    }});
    let path = "/v2/functions/counter";
    let put = (timed.server.request(Method::PUT, path)).body(definition.to_string());
    assert_eq!(Answer::of(put).await.status, 200);
    for (name, path, by) in [
        ("fine", "/count?because=of", json!(2)),
        ("coded", "/%63ount", json!(3)),
        ("wrong", "/count", json!("two")),
        ("absent", "/none", json!(2)),
    ] {
        let payload = json!({ "parameters": { "by": by } });
        let schedule = json!({ "cron": "* * * * *", "path": path, "payload": payload });
        let name = format!("counter/schedules/{name}");
        assert_eq!(timed.put(&name, schedule).await.status, 201);
    }
    for count in 1..=2 {
        timed.pass(MINUTE);
        for (name, state, code) in [
            ("fine", "succeeded", Value::Null),
            ("coded", "succeeded", Value::Null),
            ("wrong", "failed", json!("parameters_invalid")),
            ("absent", "failed", json!("function_not_found")),
        ] {
            let path = format!("counter/schedules/{name}");
            let last = timed.ended(&path, count).await.pop().unwrap();
            assert_eq!((&last["state"], &last["code"]), (&json!(state), &code));
        }
    }
    // What they left in the cache is there, for requests too.
    let run = timed
        .server
        .request(Method::POST, "/v2/functions/counter/run/seen");
    assert_eq!(Answer::of(run).await.json()["result"], 10);
    let records = timed.get("counter/invocations?kind=scheduled").await.json();
    assert_eq!(records["invocations"].as_array().map(Vec::len), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_noted_with_its_code_and_tried_again() {
    let timed = Timed::start().await;
    let source = "module.exports = (req, res) => {
        if (req.headers['x-ampoule-attempt'] !== '2') throw new Error('not yet');
        res.status(204).end();
    };";
    timed.server.deploy("job", source).await;
    let retries = json!({ "max": 3, "initial_ms": 500 });
    timed
        .put(
            "job/schedules/s",
            json!({ "cron": "0 * * * *", "retries": retries }),
        )
        .await;
    timed
        .put("job/schedules/once", json!({ "cron": "0 * * * *" }))
        .await;
    timed.pass(60 * MINUTE);
    let runs = timed
        .runs("job/schedules/s", |runs| {
            runs.first().is_some_and(|run| run["state"] == "retrying")
        })
        .await;
    assert_eq!(runs[0]["code"], "function_threw");
    assert_eq!(runs[0]["next_attempt_ms"], START_MS + 60 * MINUTE + 500);
    let runs = timed.ended("job/schedules/once", 1).await;
    assert_eq!(
        (&runs[0]["state"], &runs[0]["code"]),
        (&json!("failed"), &json!("function_threw"))
    );
    timed.pass(500);
    let runs = timed.ended("job/schedules/s", 1).await;
    assert_eq!(
        (&runs[0]["state"], &runs[0]["attempt"]),
        (&json!("succeeded"), &json!(2))
    );
    assert_eq!(
        (&runs[0]["status"], &runs[0]["code"]),
        (&json!(204), &Value::Null)
    );
    // A bad answer is a failure too, and the log says which invocation it was.
    let invocation = timed.ended("job/schedules/once", 1).await[0]["invocation"].clone();
    let log = timed.server.log_with("job", "not yet").await;
    assert!(
        log.iter().any(|line| line["invocation"] == invocation),
        "{log:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ticks_of_a_time_without_the_server_are_passed_over_or_made_up_for_once() {
    let timed = Timed::start().await;
    timed.server.deploy("notes", NOTES).await;
    timed.server.deploy("reads", READS).await;
    let once = |late_ms_max| json!({ "policy": "run_once", "late_ms_max": late_ms_max });
    for (name, missed) in [
        ("skip", json!({})),
        ("late", once(600_000)),
        ("too-late", once(120_000)),
    ] {
        let wanted = json!({ "cron": "*/10 * * * *", "missed": missed });
        timed.put(&format!("notes/schedules/{name}"), wanted).await;
    }
    // Back three hours later, five minutes after a tick.
    let timed = timed.restart(185 * MINUTE).await;
    let last_ms = START_MS + 180 * MINUTE;
    for (name, state) in [
        ("skip", "missed"),
        ("late", "succeeded"),
        ("too-late", "missed"),
    ] {
        let runs = timed.ended(&format!("notes/schedules/{name}"), 1).await;
        assert_eq!(runs[0]["state"], state, "{name}");
        assert_eq!(
            (&runs[0]["due_ms"], &runs[0]["missed"]),
            (&json!(last_ms), &json!(17))
        );
    }
    // A quick restart is no reason to miss anything.
    let timed = timed.restart(5 * MINUTE + 30_000).await;
    let runs = timed.ended("notes/schedules/skip", 2).await;
    assert_eq!(column(&runs, "state"), ["missed", "succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_shutdown_does_not_wait_for_is_known_as_interrupted() {
    let (timed, gate) = (Timed::start().await, Gate::new().await);
    let source = format!(
        "module.exports = async (req, res) => {{ await fetch('{}'); res.end(); }};",
        gate.url()
    );
    timed.server.deploy("job", &source).await;
    timed
        .put("job/schedules/s", json!({ "cron": "* * * * *" }))
        .await;
    timed.pass(MINUTE);
    let held = gate.arrival().await;
    // Let go while the server stops: it waits for what it has begun.
    let hands = Arc::clone(&timed.hands);
    let stopping = tokio::spawn(timed.server.stop());
    held.release("now").await;
    let options = Options {
        data: Some(stopping.await.unwrap()),
        ..Options::default()
    };
    let timed = Timed::at(hands, options).await;
    let runs = timed.ended("job/schedules/s", 1).await;
    assert_eq!(runs[0]["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_by_hand_answers_at_once_and_is_in_the_history() {
    let (timed, gate) = (Timed::start().await, Gate::new().await);
    let source = format!(
        "module.exports = async (req, res) => {{ await fetch('{}'); res.end(); }};",
        gate.url()
    );
    timed.server.deploy("job", &source).await;
    let wanted = json!({ "cron": "0 0 1 1 *", "enabled": false });
    let put = timed.put("job/schedules/s", wanted).await.json();
    assert_eq!(
        (&put["enabled"], &put["next_ms"]),
        (&json!(false), &Value::Null)
    );
    let path = "/api/v1/tenants/default/functions/job/schedules/s/run";
    let run = Answer::of(timed.server.request(Method::POST, path)).await;
    assert_eq!(run.status, 202, "{}", run.text());
    assert_eq!(run.json()["trigger"], "manual");
    let held = gate.arrival().await;
    let busy = Answer::of(timed.server.request(Method::POST, path)).await;
    busy.expect_problem(409, "schedule_busy");
    held.release("go on").await;
    let runs = timed.ended("job/schedules/s", 1).await;
    assert_eq!(
        (&runs[0]["state"], &runs[0]["due_ms"]),
        (&json!("succeeded"), &json!(START_MS))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_schedules_are_refused_with_what_is_wrong() {
    let timed = Timed::start().await;
    timed.server.deploy("job", NOTES).await;
    for (schedule, code, says) in [
        (json!({ "cron": "* * *" }), "schedule_invalid", "5 fields"),
        (
            json!({ "cron": "61 * * * *" }),
            "schedule_invalid",
            "cron: ",
        ),
        (
            json!({ "cron": "0 0 31 2 *" }),
            "schedule_invalid",
            "no date",
        ),
        (
            json!({ "cron": "* * * * *", "time_zone": "Nowhere" }),
            "schedule_invalid",
            "Nowhere",
        ),
        (
            json!({ "cron": "* * * * *", "path": "jobs" }),
            "schedule_invalid",
            "path",
        ),
        (
            json!({ "cron": "* * * * *", "path": "/a\r\nb: c" }),
            "schedule_invalid",
            "path",
        ),
        (
            json!({ "cron": "* * * * *", "retries": { "max": 11 } }),
            "schedule_invalid",
            "0 to 10",
        ),
        (
            json!({ "cron": "* * * * *", "retries": { "initial_ms": 9, "max_ms": 8 } }),
            "schedule_invalid",
            "retries.initial_ms",
        ),
        (
            json!({ "cron": "* * * * *", "missed": { "policy": "skip", "late_ms_max": 5 } }),
            "schedule_invalid",
            "run_once",
        ),
        (
            json!({ "cron": "* * * * *", "missed": { "policy": "run_once", "late_ms_max": 0 } }),
            "schedule_invalid",
            "missed.late_ms_max",
        ),
        (
            json!({ "cron": "* * * * *", "payload": "x".repeat(65_535) }),
            "schedule_invalid",
            "65536",
        ),
        (
            json!({ "cron": "* * * * *", "every": 5 }),
            "body_invalid",
            "every",
        ),
        (json!({ "time_zone": "UTC" }), "body_invalid", "cron"),
        (json!(["* * * * *"]), "body_invalid", "object"),
    ] {
        let answer = timed
            .put("job/schedules/s", schedule)
            .await
            .expect_problem(400, code);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(says), "{detail}");
    }
    // The largest payload that is allowed: with its quotes 65536 bytes.
    let largest = json!({ "cron": "* * * * *", "payload": "x".repeat(65_534) });
    assert_eq!(timed.put("job/schedules/s", largest).await.status, 201);
    let much = json!({ "cron": "* * * * *", "payload": "x".repeat(100_000) });
    timed
        .put("job/schedules/s", much)
        .await
        .expect_problem(413, "body_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found() {
    let timed = Timed::start().await;
    timed.server.deploy("job", NOTES).await;
    let fine = json!({ "cron": "* * * * *" });
    timed
        .put("none/schedules/s", fine.clone())
        .await
        .expect_problem(404, "function_not_found");
    timed
        .put("job/schedules/-", fine)
        .await
        .expect_problem(400, "invalid_name");
    timed
        .get("job/schedules/none")
        .await
        .expect_problem(404, "schedule_not_found");
    timed
        .get("job/schedules/none/runs")
        .await
        .expect_problem(404, "schedule_not_found");
    timed
        .get("none/schedules")
        .await
        .expect_problem(404, "function_not_found");
    timed
        .put("job/schedules/s", json!({ "cron": "* * * * *" }))
        .await;
    for query in ["limit=0", "limit=101", "cursor=x", "order=up"] {
        let answer = timed.get(&format!("job/schedules/s/runs?{query}")).await;
        answer.expect_problem(400, "bad_request");
    }
    let path = "/api/v1/tenants/default/functions/job/schedules/none";
    let deleted = Answer::of(timed.server.request(Method::DELETE, path)).await;
    deleted.expect_problem(404, "schedule_not_found");
    let run = Answer::of(timed.server.request(Method::POST, &format!("{path}/run"))).await;
    run.expect_problem(404, "schedule_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_has_so_many_schedules_and_no_more() {
    let timed = Timed::start().await;
    timed.server.deploy("job", NOTES).await;
    for number in 0..100 {
        let name = format!("job/schedules/s{number:02}");
        assert_eq!(
            timed
                .put(&name, json!({ "cron": "0 0 1 1 *" }))
                .await
                .status,
            201
        );
    }
    let wanted = json!({ "cron": "0 0 1 1 *", "payload": [1] });
    let more = timed.put("job/schedules/more", wanted.clone()).await;
    more.expect_problem(409, "schedules_exceeded");
    let edited = timed.put("job/schedules/s07", wanted).await;
    assert_eq!(
        (edited.status, edited.json()["revision"].as_u64()),
        (200, Some(2))
    );
    let listed = timed.get("job/schedules").await.json();
    let schedules = listed["schedules"].as_array().unwrap();
    assert_eq!((schedules.len(), &listed["cursor"]), (100, &Value::Null));
    assert_eq!(schedules[7]["name"], "s07");
    // A list shows how large payloads are, not what they are.
    assert_eq!(
        (schedules[7].get("payload"), &schedules[7]["payload_bytes"]),
        (None, &json!(3))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_its_function_a_schedule_is_gone() {
    let timed = Timed::start().await;
    timed.server.deploy("notes", NOTES).await;
    timed
        .put("notes/schedules/s", json!({ "cron": "* * * * *" }))
        .await;
    timed.pass(MINUTE);
    timed.ended("notes/schedules/s", 1).await;
    let path = "/api/v1/tenants/default/functions/notes";
    let deleted = Answer::of(timed.server.request(Method::DELETE, path)).await;
    assert_eq!(deleted.status, 204);
    timed.server.deploy("notes", NOTES).await;
    timed
        .get("notes/schedules/s")
        .await
        .expect_problem(404, "schedule_not_found");
    timed
        .put("notes/schedules/s", json!({ "cron": "30 8 * * *" }))
        .await;
    timed.pass(MINUTE);
    assert_eq!(
        timed.get("notes/schedules/s/runs").await.json()["runs"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_overwrites_a_schedule_that_they_have_not_seen() {
    let timed = Timed::start().await;
    timed.server.deploy("notes", NOTES).await;
    let path = "/api/v1/tenants/default/functions/notes/schedules/s";
    let send = async |method: Method, header: &str, tag: &str| {
        let request = timed.server.request(method, path).header(header, tag);
        Answer::of(request.body(json!({ "cron": "* * * * *" }).to_string())).await
    };
    let put = async |header: &str, tag: &str| send(Method::PUT, header, tag).await;
    let (absent, wrong) = (put("if-match", "*").await, put("if-match", "s").await);
    absent.expect_problem(412, "precondition_failed");
    wrong.expect_problem(400, "bad_request");
    let made = put("if-none-match", "*").await;
    assert_eq!(made.status, 201, "{}", made.text());
    let again = put("if-none-match", "*").await;
    again.expect_problem(412, "precondition_failed");
    // A run is no edit.
    let first = made.header("etag").unwrap().to_owned();
    timed.pass(MINUTE);
    timed.ended("notes/schedules/s", 1).await;
    let shown = timed.get("notes/schedules/s").await;
    assert_eq!(shown.header("etag"), Some(&*first));
    let edited = put("if-match", &first).await;
    assert_eq!(edited.status, 200, "{}", edited.text());
    let second = edited.header("etag").unwrap().to_owned();
    assert_ne!(first, second);
    for method in [Method::PUT, Method::DELETE] {
        for stale in [&*first, &format!("W/{second}")] {
            let answer = send(method.clone(), "if-match", stale).await;
            answer.expect_problem(412, "precondition_failed");
        }
    }
    let both = format!("{first}, {second}");
    assert_eq!(send(Method::DELETE, "if-match", &both).await.status, 204);
    let gone = send(Method::DELETE, "if-match", &second).await;
    gone.expect_problem(404, "schedule_not_found");
    // One of the same name is another one.
    let made = put("if-none-match", &first).await;
    assert_eq!(made.status, 201);
    assert_ne!(made.header("etag"), Some(&*first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_read_page_by_page() {
    let timed = Timed::start().await;
    timed.server.deploy("notes", NOTES).await;
    timed
        .put("notes/schedules/s", json!({ "cron": "* * * * *" }))
        .await;
    for count in 1..=5 {
        timed.pass(MINUTE);
        timed.ended("notes/schedules/s", count).await;
    }
    let mut numbers = Vec::new();
    let mut page = timed.get("notes/schedules/s/runs?limit=2").await.json();
    loop {
        let runs = page["runs"].as_array().unwrap();
        numbers.extend(runs.iter().map(|run| run["number"].as_u64().unwrap()));
        let Some(cursor) = page["cursor"].as_str() else {
            break;
        };
        let next = format!("notes/schedules/s/runs?limit=2&cursor={cursor}");
        page = timed.get(&next).await.json();
    }
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_the_next_times_on_the_clocks_of_the_zone() {
    let timed = Timed::start().await;
    let path = "/api/v1/tenants/default/schedules/preview";
    let ask = async |body: Value| {
        Answer::of(
            timed
                .server
                .request(Method::POST, path)
                .body(body.to_string()),
        )
        .await
    };
    let zone = "America/New_York";
    let answer = ask(json!({ "cron": "30 9 * * MON", "time_zone": zone, "count": 2 })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let times = json!([
        { "time_ms": 1_795_444_200_000_u64, "local": "2026-11-23T09:30:00-05:00" },
        { "time_ms": 1_796_049_000_000_u64, "local": "2026-11-30T09:30:00-05:00" },
    ]);
    assert_eq!(answer.json(), json!({ "times": times }));
    let five = ask(json!({ "cron": "* * * * * *" })).await.json();
    assert_eq!(five["times"].as_array().unwrap().len(), 5);
    assert_eq!(five["times"][0]["time_ms"], START_MS + 1000);
    ask(json!({ "cron": "x" }))
        .await
        .expect_problem(400, "schedule_invalid");
    for count in [0, 101] {
        let answer = ask(json!({ "cron": "* * * * *", "count": count })).await;
        answer.expect_problem(400, "schedule_invalid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_scheduler_can_say_that_a_request_is_its_own() {
    let timed = Timed::start().await;
    let source = "module.exports = (req, res) => res.json(Object.keys(req.headers)
        .filter((name) => name.startsWith('x-scheduled') || name.startsWith('x-ampoule')));";
    timed.server.deploy("headers", source).await;
    let request = timed
        .server
        .invoke("headers")
        .header("x-scheduled-execution", "true");
    let request = request
        .header("X-Ampoule-Schedule", "sweep")
        .header("x-ampoule-due-ms", "1");
    Answer::of(request).await.expect(200, "[]");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_runs_at_once_leave_room_for_requests_and_all_of_them_run() {
    let options = Options {
        max_concurrent: 4,
        max_concurrent_per_tenant: 4,
        ..Options::default()
    };
    let (timed, gate) = (Timed::with(options).await, Gate::new().await);
    let source = format!(
        "module.exports = async (req, res) => {{
            if (req.headers['x-ampoule-schedule'] === 'first') await fetch('{}');
            res.end('done');
        }};",
        gate.url()
    );
    timed.server.deploy("job", &source).await;
    timed
        .put("job/schedules/first", json!({ "cron": "30 * * * *" }))
        .await;
    timed.pass(30 * MINUTE);
    let held = gate.arrival().await;
    for number in 0..30 {
        let name = format!("job/schedules/s{number}");
        timed.put(&name, json!({ "cron": "0 9 * * *" })).await;
    }
    timed.pass(30 * MINUTE);
    // One of two places is taken for good; the others go one by one through the other.
    for number in 0..30 {
        let runs = timed.ended(&format!("job/schedules/s{number}"), 1).await;
        assert_eq!(runs[0]["state"], "succeeded");
        Answer::of(timed.server.invoke("job"))
            .await
            .expect(200, "done");
    }
    held.release("now").await;
    timed.ended("job/schedules/first", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_answers_is_in_its_document() {
    let timed = Timed::start().await;
    let server = &timed.server;
    let document = Document::of(server).await;
    server.deploy("notes", NOTES).await;
    let of_function = "/api/v1/tenants/default/functions/notes/schedules";
    let of_schedule = format!("{of_function}/s");
    let put = |body: Value| {
        let request = server.request(Method::PUT, &of_schedule);
        document.check_request(request.body(body.to_string()))
    };
    let all = json!({
        "cron": "* * * * *", "time_zone": "Asia/Tokyo", "enabled": true, "path": "/x",
        "payload": { "a": 1 }, "missed": { "policy": "run_once", "late_ms_max": 1000 },
        "overlap": "queue_one", "retries": { "max": 1, "initial_ms": 1, "max_ms": 2 },
    });
    assert_eq!(put(all.clone()).await.status, 201);
    assert_eq!(put(all).await.status, 200);
    assert_eq!(put(json!({ "cron": "never" })).await.status, 400);
    timed.pass(MINUTE);
    timed.ended("notes/schedules/s", 1).await;
    for (method, path, status) in [
        (Method::GET, of_function.to_owned(), 200),
        (Method::GET, of_schedule.clone(), 200),
        (Method::GET, format!("{of_function}/none"), 404),
        (Method::GET, format!("{of_schedule}/runs"), 200),
        (Method::GET, format!("{of_schedule}/runs?limit=0"), 400),
        (Method::POST, format!("{of_schedule}/run"), 202),
        (Method::DELETE, of_schedule.clone(), 204),
        (Method::DELETE, of_schedule.clone(), 404),
    ] {
        let answer = document.check(server, method.clone(), &path).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
    for (body, status) in [
        (
            json!({ "cron": "0 0 1 1 *", "count": 2, "after_ms": 5 }),
            200,
        ),
        (json!({ "cron": "0 0 1 1 *", "count": 0 }), 400),
    ] {
        let request = server.request(Method::POST, "/api/v1/tenants/default/schedules/preview");
        let answer = document.check_request(request.body(body.to_string())).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_takes_all_its_room_keeps_no_other_from_running() {
    // Two places for scheduled runs in total; one tenant's own is taken by a request.
    let options = Options {
        max_concurrent: 4,
        max_concurrent_per_tenant: 1,
        ..Options::default()
    };
    let (timed, gate) = (Timed::with(options).await, Gate::new().await);
    let server = &timed.server;
    let waits = "module.exports = async (req, res) => {
        if (req.query.gate) await fetch(req.query.gate);
        res.end('done');
    };";
    let put = async |tenant: &str| {
        server.deploy_for(tenant, "job", waits, json!({})).await;
        let path = format!("/api/v1/tenants/{tenant}/functions/job/schedules/s");
        let wanted = json!({ "cron": "* * * * *", "overlap": "allow" });
        let put = server.request(Method::PUT, &path).body(wanted.to_string());
        assert_eq!(Answer::of(put).await.status, 201);
        path
    };
    let greedy = [put("greedy-1").await, put("greedy-2").await];
    let asked = ["greedy-1", "greedy-2"].map(|tenant| {
        let target = format!("job?gate={}", gate.url());
        tokio::spawn(server.invoke_for(tenant, &target).send())
    });
    let held = [gate.arrival().await, gate.arrival().await];
    timed.pass(MINUTE);
    let state_of = async |path: &str| {
        let answer = Answer::of(server.request(Method::GET, path)).await;
        answer.json()["last_run"]["state"].clone()
    };
    let until = async |path: &str, state: &str| {
        let reached = async {
            while state_of(path).await != state {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        reached.unwrap_or_else(|_| panic!("{path} is not {state}"));
    };
    for path in &greedy {
        until(path, "running").await;
    }
    let modest = put("modest").await;
    timed.pass(MINUTE);
    until(&modest, "succeeded").await;
    for held in held {
        held.release("now").await;
    }
    for asked in asked {
        assert_eq!(asked.await.unwrap().unwrap().status(), 200);
    }
    for path in &greedy {
        until(path, "succeeded").await;
    }
}
