//! The language: what it means, what it refuses, and that nothing in it is unbounded.

use super::*;

const SCHEMA: Schema = &[
    ("status", Type::Number),
    ("path", Type::Text),
    ("message", Type::Text),
];

/// A record with a status, a path and messages.
struct Sample {
    status: Option<f64>,
    path: &'static str,
    messages: Vec<&'static str>,
}

impl Record for Sample {
    fn number(&mut self, field: &str) -> Option<f64> {
        assert_eq!(field, "status");
        self.status
    }

    fn text(&mut self, field: &str, matches: &mut dyn FnMut(&str) -> bool) -> bool {
        match field {
            "path" => matches(self.path),
            "message" => self.messages.iter().any(|message| matches(message)),
            other => panic!("{other}"),
        }
    }

    fn any_text(&mut self, matches: &mut dyn FnMut(&str) -> bool) -> bool {
        matches(self.path) || self.messages.iter().any(|message| matches(message))
    }
}

fn sample() -> Sample {
    Sample {
        status: Some(503.0),
        path: "/api/users/7",
        messages: vec!["Connection timed out (3)", "second \"line\" 100%"],
    }
}

fn holds(query: &str) -> bool {
    let parsed = Query::parse(query, SCHEMA);
    parsed
        .unwrap_or_else(|error| panic!("{query}: {error}"))
        .matches(&mut sample())
}

#[test]
fn conditions_mean_what_they_say() {
    for query in [
        "",
        "   ",
        "status:503",
        "status:>=500",
        "status:>502.5",
        "status:<504",
        "status:<=503",
        "status:*",
        "path:/api/*",
        "path:*7",
        "path:/API/users/?",
        "path:*users*",
        "timed",
        "TIMED",
        "\"timed out\"",
        "message:\"second \\\"line\\\" 100%\"",
        "message:*line*",
        "t*out",
        "t?med",
        "status:503 timed",
        "status:503 AND path:/api/*",
        "status:200 OR status:503",
        "NOT status:200",
        "-status:200",
        "NOT NOT status:503",
        "status:200 OR status:503 AND timed",
        "(status:200 OR status:503) AND NOT nothing",
        "-(status:200 OR nothing)",
        "100%",
        "\"(3)\"",
    ] {
        assert!(holds(query), "{query}");
    }
    for query in [
        "status:200",
        "status:>503",
        "status:<503",
        "path:/api",
        "path:api*",
        "path:*user",
        "path:/api/users/??",
        "nothing",
        "\"t*out\"",
        "timed AND nothing",
        "status:503 nothing",
        "NOT timed",
        "-timed",
        "(timed AND nothing) OR status:1",
        "NOT (timed OR nothing)",
        "message:timed",
    ] {
        assert!(!holds(query), "{query}");
    }
}

#[test]
fn and_binds_closer_than_or() {
    assert!(holds("timed OR nothing AND nothing"));
    assert!(!holds("(timed OR nothing) AND nothing"));
}

#[test]
fn what_a_record_lacks_is_no_number() {
    let mut without = sample();
    without.status = None;
    for (query, expected) in [
        ("status:*", false),
        ("status:>=0", false),
        ("NOT status:*", true),
    ] {
        let query = Query::parse(query, SCHEMA).unwrap();
        assert_eq!(query.matches(&mut without), expected);
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (query, expected) in [
        ("(timed", "at character 1: this ( is not closed"),
        ("timed)", "at character 6: there is a ) without its ("),
        ("a AND", "at character 6: a condition is missing here"),
        ("OR a", "at character 1: a condition is missing here"),
        ("()", "at character 2: a condition is missing here"),
        ("NOT", "at character 4: a condition is missing here"),
        ("a \"b", "at character 3: this quote is not closed"),
        (
            "path:",
            "at character 6: a value is missing after the colon",
        ),
        (
            "path: x",
            "at character 6: a value is missing after the colon",
        ),
        ("status:many", "status is compared with a number"),
        ("status:>=*", "status is compared with a number"),
        ("status:nan", "status is compared with a number"),
        (
            "path:>=3",
            "path is no number, so it can only be compared with `field:value`",
        ),
        (
            "size:3",
            "there is no field \"size\"; the fields are status, path, message",
        ),
    ] {
        let error = Query::parse(query, SCHEMA).unwrap_err();
        assert_eq!(error.to_string(), expected, "{query}");
    }
}

#[test]
fn a_word_may_hold_what_begins_nothing() {
    for query in [":", "::", "- a", "a-b", "a:", "-"] {
        // Either refused or understood, never a panic.
        let _ = Query::parse(query, SCHEMA);
    }
    assert!(!holds("a-b"));
    assert!(holds("path:/api/users/7 -nothing"));
}

#[test]
fn length_conditions_and_depth_are_bounded() {
    let long = "x".repeat(SEARCH_BYTES_MAX);
    assert!(Query::parse(&long, SCHEMA).is_ok());
    let too_long = Query::parse(&format!("{long}x"), SCHEMA);
    assert_eq!(too_long, Err(Invalid::TooLong));
    let many = vec!["x"; SEARCH_TERMS_MAX].join(" ");
    assert!(Query::parse(&many, SCHEMA).is_ok());
    let too_many = Query::parse(&format!("{many} x"), SCHEMA);
    assert_eq!(too_many, Err(Invalid::TooMany));
    for open in ["(", "NOT ", "-"] {
        let nested = |depth: usize| {
            let close = if open == "(" { ")" } else { "" };
            format!("{}x{}", open.repeat(depth), close.repeat(depth))
        };
        assert!(
            Query::parse(&nested(SEARCH_DEPTH_MAX), SCHEMA).is_ok(),
            "{open}"
        );
        let too_deep = Query::parse(&nested(SEARCH_DEPTH_MAX + 1), SCHEMA);
        assert_eq!(too_deep, Err(Invalid::TooDeep), "{open}");
    }
}

#[test]
fn depth_is_counted_by_nesting_and_not_in_all() {
    let flat = vec!["(x)"; SEARCH_TERMS_MAX].join(" ");
    assert!(Query::parse(&flat, SCHEMA).is_ok());
}

#[test]
fn a_hostile_pattern_takes_no_exponential_time() {
    let pattern = format!("{}b", "*a".repeat(400));
    let query = Query::parse(&pattern, SCHEMA).unwrap();
    let text: &'static str = Box::leak("a".repeat(16_384).into_boxed_str());
    let mut record = sample();
    record.messages = vec![text];
    assert!(!query.matches(&mut record));
}

#[test]
fn any_text_is_refused_or_understood() {
    let alphabet = [
        "(", ")", "\"", "\\", ":", "-", "NOT", "AND", "OR", " ", "a", "*", ">", "é",
    ];
    // A generator of its own: every combination of four pieces.
    for number in 0..alphabet.len().pow(4) {
        let mut rest = number;
        let mut text = String::new();
        for _ in 0..4 {
            text.push_str(alphabet[rest % alphabet.len()]);
            rest /= alphabet.len();
        }
        if let Ok(query) = Query::parse(&text, SCHEMA) {
            query.matches(&mut sample());
        }
    }
}
