//! Which lines are read, and where to go on.

use serde_json::{Value, json};

use super::*;
use crate::store::Store;

struct Fixture {
    store: Store,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.redb")).unwrap();
        Self {
            store,
            _folder: folder,
        }
    }

    /// Logs `count` lines `0`, `1` …; every tenth is of the invocation `TEN`.
    async fn log(&self, count: usize) {
        let line = |number: usize| LogLine {
            timestamp_ms: 1,
            level: Level::Info,
            message: number.to_string(),
            invocation: if number.is_multiple_of(10) { "TEN" } else { "" }.to_owned(),
            version: 1,
        };
        let numbers: Vec<usize> = (0..count).collect();
        for chunk in numbers.chunks(1000) {
            let lines = chunk.iter().copied().map(line).collect();
            self.store.logs().append(&tenant(), &function(), lines);
            self.store.logs().flush().await;
        }
    }

    fn reading(&self, after: Option<u64>, limit: usize, invocation: Option<&str>) -> Reading {
        Reading {
            logs: self.store.logs(),
            tenant: tenant(),
            function: function(),
            after,
            limit,
            invocation: invocation.map(str::to_owned),
        }
    }

    /// First and last message, and how many there are.
    fn read(
        &self,
        after: Option<u64>,
        limit: usize,
        invocation: Option<&str>,
    ) -> (u64, u64, usize) {
        let lines = self.reading(after, limit, invocation).read().unwrap();
        assert!(lines.is_sorted_by_key(|(cursor, _)| *cursor));
        let number = |line: Option<&(u64, LogLine)>| line.unwrap().1.message.parse().unwrap();
        (number(lines.first()), number(lines.last()), lines.len())
    }
}

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

fn shown(body: impl Serialize) -> Value {
    serde_json::to_value(body).unwrap()
}

fn function() -> FunctionName {
    "shop".parse().unwrap()
}

#[tokio::test]
async fn the_newest_lines_are_answered_in_ascending_order() {
    let fixture = Fixture::new();
    fixture.log(2500).await;
    assert_eq!(fixture.read(None, 10, None), (2490, 2499, 10));
    assert_eq!(fixture.read(None, 1000, None), (1500, 2499, 1000));
    assert_eq!(fixture.read(None, 10, Some("TEN")), (2400, 2490, 10));
}

#[tokio::test]
async fn more_lines_than_the_store_answers_at_once_can_be_asked_for() {
    let fixture = Fixture::new();
    fixture.log(2500).await;
    assert_eq!(fixture.read(None, 2000, None), (500, 2499, 2000));
    assert_eq!(fixture.read(None, 10_000, None), (0, 2499, 2500));
    assert_eq!(fixture.read(None, 1500, Some("TEN")), (0, 2490, 250));
}

#[tokio::test]
async fn a_cursor_goes_on_where_the_last_answer_ended() {
    let fixture = Fixture::new();
    fixture.log(30).await;
    let lines = fixture.reading(None, 5, None).read().unwrap();
    let page = shown(page(&lines[..2], None));
    let cursor = parse_cursor(page["cursor"].as_str().unwrap()).unwrap();
    assert_eq!(fixture.read(Some(cursor), 2, None), (27, 28, 2));
    assert_eq!(page["lines"][1]["cursor"], page["cursor"]);
    assert!(parse_cursor("x").is_err());
}

#[test]
fn an_answer_without_lines_says_where_to_go_on_too() {
    assert_eq!(
        shown(page(&[], Some(7))),
        json!({"lines": [], "cursor": "7"})
    );
    assert_eq!(shown(page(&[], None)), json!({"lines": [], "cursor": "0"}));
}

#[test]
fn a_line_has_the_members_that_the_api_names() {
    let line = LogLine {
        timestamp_ms: 5,
        level: Level::Error,
        message: "no".to_owned(),
        invocation: "01".to_owned(),
        version: 2,
    };
    let expected = json!({
        "cursor": "9", "timestamp_ms": 5, "level": "error", "message": "no", "invocation": "01",
        "version": 2,
    });
    assert_eq!(shown(LineBody::of(9, &line)), expected);
    let of_none = LogLine {
        invocation: String::new(),
        ..line
    };
    assert_eq!(shown(LineBody::of(9, &of_none))["invocation"], Value::Null);
}
