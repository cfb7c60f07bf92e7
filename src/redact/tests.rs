//! What is found, what is left alone, and that bounds hold.

use super::*;

fn none(text: &str) -> Option<String> {
    Redactor::default().text(text)
}

#[test]
fn parameters_are_sorted_for_the_search() {
    assert!(PARAMETERS.is_sorted());
}

#[test]
fn the_shortest_secrets_are_found() {
    assert_eq!(none("basic 1234567A").as_deref(), Some("basic [redacted]"));
}

#[test]
fn headers_of_authorization_are_redacted_in_every_notation() {
    for (text, expected) in [
        ("Authorization: Bearer abc.def", "Authorization: [redacted]"),
        (
            "authorization: Basic dTpw\r\nhost: x",
            "authorization: [redacted]\r\nhost: x",
        ),
        (
            r#"{"authorization":"Bearer x","a":1}"#,
            r#"{"authorization":"[redacted]","a":1}"#,
        ),
        (
            "{ authorization: 'Token t', a: 1 }",
            "{ authorization: '[redacted]', a: 1 }",
        ),
        (
            "proxy-authorization=s3cr3t-value, b",
            "proxy-authorization=[redacted], b",
        ),
        (
            "Digest: authorization: Digest a=\"1\", b=\"2\"",
            "Digest: authorization: [redacted]",
        ),
    ] {
        assert_eq!(none(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn tokens_and_keys_are_redacted_wherever_they_stand() {
    for (text, expected) in [
        ("sent bearer abcdefgh.IJK, ok", "sent bearer [redacted], ok"),
        ("curl -H 'BASIC dXNlcjpwYXNz'", "curl -H 'BASIC [redacted]'"),
        ("key amp_0123456789abcdef_XYZ!", "key [redacted]!"),
    ] {
        assert_eq!(none(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn ordinary_words_are_left_alone() {
    for text in [
        "the bearer of news",
        "basic auth is on",
        "visual basic something",
        "authorization: none",
        "authorization failed for user 7",
        "amp_short",
        "example_amp_",
        "",
        "ünïcode authorization: ü",
    ] {
        assert_eq!(none(text), None, "{text}");
    }
}

#[test]
fn secrets_are_found_as_they_are_and_as_they_are_often_written() {
    let redactor = Redactor::new(["p\"ss wörd/1", "short", "other-secret"]);
    let written = [
        "p\"ss wörd/1".to_owned(),
        serde_json::to_string("p\"ss wörd/1").unwrap(),
        "p%22ss%20w%C3%B6rd%2F1".to_owned(),
        STANDARD_NO_PAD.encode("p\"ss wörd/1"),
    ];
    for text in written {
        let shown = redactor.text(&format!("<{text}>")).unwrap();
        assert!(shown.contains(REDACTED), "{text}: {shown}");
        assert!(!shown.contains("ss"), "{text}: {shown}");
    }
    assert_eq!(redactor.text("a short word"), None);
    let both = redactor.text("other-secret, bearer other-secret");
    assert_eq!(both.as_deref(), Some("[redacted], bearer [redacted]"));
}

#[test]
fn the_longest_of_two_secrets_is_redacted_whole() {
    let redactor = Redactor::new(["secret", "secret-with-a-tail"]);
    let shown = redactor.text("secret-with-a-tail");
    assert_eq!(shown.as_deref(), Some("[redacted]"));
}

#[test]
fn no_more_literals_than_the_limit_are_looked_for() {
    let many: Vec<String> = (0..=REDACTED_LITERALS_MAX)
        .map(|n| format!("value-{n:05}"))
        .collect();
    let redactor = Redactor::new(many.iter().map(String::as_str));
    let last_in = &many[REDACTED_LITERALS_MAX - 1];
    assert_eq!(redactor.text(last_in).as_deref(), Some(REDACTED));
    assert_eq!(redactor.text(&many[REDACTED_LITERALS_MAX]), None);
}

#[test]
fn parameters_of_a_target_are_redacted_by_name() {
    for (target, expected) in [
        ("/a?api_key=1&b=2", "/a?api_key=[redacted]&b=2"),
        ("/a?b=2&API-Key=x=y", "/a?b=2&API-Key=[redacted]"),
        ("/a?%74oken=abc", "/a?%74oken=[redacted]"),
        ("/amp_0123456789abcdef", "/[redacted]"),
    ] {
        let shown = Redactor::default().target(target);
        assert_eq!(shown.as_deref(), Some(expected), "{target}");
    }
    for target in [
        "/a",
        "/a?",
        "/a?tokens=1",
        "/token=5",
        "/a?token",
        "/a?token=",
    ] {
        assert_eq!(Redactor::default().target(target), None, "{target}");
    }
}

#[test]
fn hostile_texts_are_done_with_at_once() {
    // Without a bound on what one mark reads this would be minutes.
    let mut text = "authorization:\"".repeat(4_000);
    text.push_str(&"bearer ".repeat(40_000));
    let _ = none(&text);
    let target = format!("/?{}", "token=&".repeat(100_000));
    let _ = Redactor::default().target(&target);
}
