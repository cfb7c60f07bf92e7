//! Live tails: what is sent, from where, how they end, and how many there may be.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};

use crate::server::{Answer, PATIENCE, Server};

const STREAM: &str = "/api/v1/tenants/default/functions/f/logs/stream";
const SOURCE: &str = "module.exports = (req, res) => {
    console[req.query.level ?? 'log'](req.query.text); res.end();
}";

/// An open tail, read event by event.
struct Tail {
    response: Response,
    rest: String,
}

/// An event: id, type and data.
type Event = (String, String, Value);

impl Tail {
    async fn open(server: &Server, query: &str) -> Self {
        Self::open_after(server, query, None).await
    }

    async fn open_after(server: &Server, query: &str, last: Option<&str>) -> Self {
        let mut request = server.request(reqwest::Method::GET, &format!("{STREAM}?{query}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self {
            response,
            rest: String::new(),
        }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.rest.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = block.lines();
                    let line = lines.find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().to_owned()
                };
                let (id, kind, data) = (field("id: "), field("event: "), field("data: "));
                self.rest = rest.to_owned();
                if !kind.is_empty() {
                    return Some((id, kind, serde_json::from_str(&data).unwrap()));
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk());
            let chunk = chunk.await.expect("something is sent").unwrap()?;
            self.rest.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The message of the next event, which is a line.
    async fn line(&mut self) -> (String, String) {
        let (id, kind, data) = self.next().await.expect("a line");
        assert_eq!((kind.as_str(), &data["cursor"]), ("line", &json!(id)));
        (id, data["message"].as_str().unwrap().to_owned())
    }
}

async fn say(server: &Server, text: &str) {
    let answer = Answer::of(server.invoke(&format!("f?text={text}"))).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn lines_are_sent_as_they_are_written_and_those_before_are_not() {
    let server = Server::start().await;
    server.deploy("f", SOURCE).await;
    say(&server, "before").await;
    server.app.store.logs().flush().await;
    let mut tail = Tail::open(&server, "").await;
    say(&server, "one").await;
    say(&server, "two").await;
    assert_eq!(tail.line().await.1, "one");
    let (id, message) = tail.line().await;
    assert_eq!(message, "two");
    let mut again = Tail::open_after(&server, "after=0", Some(&id)).await;
    say(&server, "three").await;
    assert_eq!(again.line().await.1, "three");
    let mut all = Tail::open(&server, "after=0").await;
    assert_eq!(all.line().await.1, "before");
}

#[tokio::test]
async fn only_wanted_lines_are_sent() {
    let server = Server::start().await;
    server.deploy("f", SOURCE).await;
    let mut errors = Tail::open(&server, "search=level:error").await;
    for level in ["log", "error"] {
        let target = format!("f?text={level}&level={level}");
        Answer::of(server.invoke(&target)).await;
    }
    assert_eq!(errors.line().await.1, "error");
    let lines = server.log("f").await;
    let invocation = lines[0]["invocation"].as_str().unwrap();
    let query = format!("after=0&invocation={invocation}");
    let mut one = Tail::open(&server, &query).await;
    assert_eq!(one.line().await.1, "log");
    let found = server.request(
        reqwest::Method::GET,
        "/api/v1/tenants/default/functions/f/logs?search=level:error",
    );
    let page = Answer::of(found).await.json();
    assert_eq!(page["lines"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!(page["lines"][0]["message"], "error");
    let after = format!(
        "/api/v1/tenants/default/functions/f/logs?search=nothing&after={}",
        lines[0]["cursor"].as_str().unwrap()
    );
    let page = Answer::of(server.request(reqwest::Method::GET, &after))
        .await
        .json();
    assert_eq!(page["lines"], json!([]));
    assert_eq!(
        page["cursor"], lines[1]["cursor"],
        "what was looked at is passed"
    );
}

#[tokio::test]
async fn a_tail_ends_when_the_server_stops() {
    let server = Server::start().await;
    server.deploy("f", SOURCE).await;
    let mut tail = Tail::open(&server, "").await;
    let stopped = tokio::spawn(server.stop());
    let (_, kind, data) = tail.next().await.expect("a last event");
    assert_eq!(
        (kind.as_str(), data),
        ("end", json!({"reason": "shutting_down"}))
    );
    assert_eq!(tail.next().await, None);
    let stopped = tokio::time::timeout(Duration::from_secs(30), stopped).await;
    stopped
        .expect("an open tail does not hold the server up")
        .unwrap();
}

#[tokio::test]
async fn a_tail_whose_lines_were_deleted_is_cut_off_with_a_note() {
    let server = Server::start().await;
    server.deploy("f", SOURCE).await;
    let mut tail = Tail::open(&server, "").await;
    // Nothing is taken from it meanwhile, and far more is written than buffers on the way hold.
    let logs = server.app.store.logs();
    let (tenant, function) = ("default".parse().unwrap(), "f".parse().unwrap());
    let line = ampoule::store::LogLine {
        timestamp_ms: 1,
        level: ampoule::store::Level::Info,
        message: "x".repeat(2048),
        invocation: String::new(),
        version: 1,
    };
    for _ in 0..30 {
        logs.append(&tenant, &function, vec![line.clone(); 1000]);
        logs.flush().await;
    }
    let mut last = None;
    while let Some(event) = tail.next().await {
        last = Some(event);
    }
    let (_, kind, data) = last.unwrap();
    assert_eq!(
        (kind.as_str(), data),
        ("end", json!({"reason": "too_slow"}))
    );
}

#[tokio::test]
async fn a_tenant_has_so_many_tails_and_no_more() {
    let server = Server::start().await;
    server.deploy("f", SOURCE).await;
    server.deploy_for("other", "f", SOURCE, json!({})).await;
    let mut open = Vec::new();
    for _ in 0..ampoule::limits::TAILS_PER_TENANT_MAX {
        open.push(Tail::open(&server, "").await);
    }
    let one_more = server.request(reqwest::Method::GET, STREAM);
    Answer::of(one_more)
        .await
        .expect_problem(429, "tails_exceeded");
    let path = STREAM.replace("default", "other");
    let others = server.request(reqwest::Method::GET, &path).send().await;
    assert_eq!(others.unwrap().status(), 200, "another tenant has its own");
    drop(open);
    let given_back = async {
        loop {
            let request = server.request(reqwest::Method::GET, STREAM);
            if request.send().await.unwrap().status() == 200 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let given_back = tokio::time::timeout(PATIENCE, given_back).await;
    given_back.expect("places are given back");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let server = Server::start().await;
    server.deploy("f", SOURCE).await;
    for query in [
        "after=x",
        "after=-1",
        "search=(",
        "search=size:1",
        "unknown=1",
    ] {
        let request = server.request(reqwest::Method::GET, &format!("{STREAM}?{query}"));
        Answer::of(request).await.expect_problem(400, "bad_request");
    }
    let last = server
        .request(reqwest::Method::GET, STREAM)
        .header("last-event-id", "x");
    Answer::of(last).await.expect_problem(400, "bad_request");
    let none = server.request(reqwest::Method::GET, &STREAM.replace("/f/", "/none/"));
    Answer::of(none)
        .await
        .expect_problem(404, "function_not_found");
}
