//! What a binding may be, and what an answer of the platform means.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;

fn binding() -> Binding {
    Binding {
        name: "db_query".to_owned(),
        url: "https://platform.example/db".to_owned(),
        method: "POST".to_owned(),
        headers: BTreeMap::new(),
        parameters: None,
        timeout_ms: 1000,
        description: String::new(),
        functions: None,
        updated_ms: 1,
    }
}

#[test]
fn names_are_identifiers_that_can_be_put_aside() {
    for fine in [
        "fetch",
        "db_query",
        "$",
        "_1",
        "log",
        "Promise",
        &"a".repeat(64),
    ] {
        assert!(is_binding_name(fine), "{fine}");
    }
    for bad in [
        "",
        "1a",
        "a-b",
        "a.b",
        "é",
        "a b",
        "while",
        "undefined",
        "globalThis",
        "NaN",
        "yield",
        "__proto__\n",
        &"a".repeat(65),
    ] {
        assert!(!is_binding_name(bad), "{bad}");
    }
}

#[test]
fn a_url_is_absolute_and_holds_no_secret() {
    let with = |url: &str| {
        let binding = Binding {
            url: url.to_owned(),
            ..binding()
        };
        check(&binding, &BTreeMap::new())
    };
    for fine in [
        "http://127.0.0.1:8080/x?y=1",
        "https://[::1]/",
        "HTTPS://a.example",
    ] {
        assert!(with(fine).is_ok(), "{fine}");
    }
    let long = format!("http://a/{}", "x".repeat(2048));
    for bad in [
        "",
        "/x",
        "ftp://a/",
        "http://",
        "file:///etc",
        "http://u:p@a/",
        "http://u@a/",
        &long,
    ] {
        assert!(with(bad).is_err(), "{bad}");
    }
}

#[test]
fn headers_are_fields_that_are_not_ours() {
    let with = |name: &str, value: &str| {
        let headers = BTreeMap::from([(name.to_owned(), Plain::from(value.to_owned()))]);
        check(&binding(), &headers)
    };
    assert!(with("authorization", "Bearer abc\t!").is_ok());
    assert!(with("x-a", &"v".repeat((16 << 10) - 3)).is_ok());
    for (name, value) in [
        ("Host", "a"),
        ("content-type", "text/plain"),
        ("", "a"),
        ("a b", "a"),
        ("x-a", "a\r\nx-b: c"),
        ("x-a", "é"),
        ("x-a", &"v".repeat((16 << 10) - 2)),
    ] {
        let error = with(name, value).unwrap_err();
        assert!(!error.detail.contains("Bearer"), "{error}");
    }
}

#[test]
fn the_rest_has_bounds_too() {
    let functions = |count: usize| {
        let names = (0..count).map(|n| format!("f{n}").parse().unwrap());
        Some(names.collect::<BTreeSet<FunctionName>>())
    };
    for fine in [
        Binding {
            timeout_ms: 60_000,
            ..binding()
        },
        Binding {
            method: "PATCH".to_owned(),
            ..binding()
        },
        Binding {
            description: "x".repeat(1000),
            ..binding()
        },
        Binding {
            functions: functions(100),
            ..binding()
        },
        Binding {
            parameters: Some(json!([])),
            ..binding()
        },
    ] {
        assert!(check(&fine, &BTreeMap::new()).is_ok(), "{fine:?}");
    }
    for bad in [
        Binding {
            timeout_ms: 0,
            ..binding()
        },
        Binding {
            timeout_ms: 60_001,
            ..binding()
        },
        Binding {
            method: "GET".to_owned(),
            ..binding()
        },
        Binding {
            description: "x".repeat(1001),
            ..binding()
        },
        Binding {
            functions: functions(0),
            ..binding()
        },
        Binding {
            functions: functions(101),
            ..binding()
        },
        Binding {
            parameters: Some(json!(1)),
            ..binding()
        },
        Binding {
            name: "1".to_owned(),
            ..binding()
        },
    ] {
        assert!(check(&bad, &BTreeMap::new()).is_err(), "{bad:?}");
    }
}

#[test]
fn an_error_of_the_platform_is_one_whatever_its_status() {
    let body = r#"{"error":{"message":"no","code":"E_NO"}}"#;
    for status in [200, 500] {
        let refused = answered("db", status, body).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.message.as_str()),
            ("E_NO", "no")
        );
    }
    let refused = answered("db", 502, "<html>").unwrap_err();
    assert_eq!(refused.message, "db: the platform answered 502");
    assert_eq!(
        answered("db", 200, r#"{"result":1,"error":null}"#).unwrap(),
        r#"{"result":1,"error":null}"#
    );
    let long = json!({ "error": { "message": "é".repeat(5000), "code": "c".repeat(100) } });
    let refused = answered("db", 200, &long.to_string()).unwrap_err();
    assert!(refused.message.len() <= MESSAGE_BYTES_MAX && refused.code.len() == CODE_BYTES_MAX);
}
