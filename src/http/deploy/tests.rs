//! What a deploy request says, and what loading logged.

use axum::http::{HeaderValue, Request};
use serde_json::json;

use super::*;

fn kind(target: &str, content_type: &str) -> Result<String, Problem> {
    let request = Request::builder()
        .uri(target)
        .header(CONTENT_TYPE, content_type);
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let query = Query::try_from_uri(&parts.uri).unwrap().0;
    Ok(match upload_kind(&parts, query)? {
        UploadKind::Source { filename } => filename,
        UploadKind::TarGz => "tar.gz".to_owned(),
        UploadKind::Zip => "zip".to_owned(),
        UploadKind::Files(_) => unreachable!("these are not uploaded"),
    })
}

#[test]
fn the_content_type_says_what_is_uploaded() {
    assert_eq!(kind("/", "application/javascript").unwrap(), "index.js");
    assert_eq!(
        kind("/", "Text/JavaScript; charset=utf-8").unwrap(),
        "index.js"
    );
    assert_eq!(
        kind("/?filename=a%20b.mjs", "text/javascript").unwrap(),
        "a b.mjs"
    );
    for gzip in [
        "application/gzip",
        "application/x-gzip",
        "application/x-tar+gzip",
    ] {
        assert_eq!(kind("/", gzip).unwrap(), "tar.gz");
    }
    assert_eq!(kind("/", "application/zip").unwrap(), "zip");
    for other in [
        "",
        "application/json",
        "multipart/form-data; boundary=x",
        "\u{e9}",
    ] {
        assert!(kind("/", other).is_err(), "{other}");
    }
}

#[test]
fn a_filename_is_one_script() {
    for bad in [
        "",
        ".js",
        "index.coffee",
        "../index.js",
        "a/b.js",
        "a\\b.js",
        "a\0.js",
        "a.js/",
    ] {
        assert!(check_filename(bad).is_err(), "{bad:?}");
    }
    assert!(check_filename(&format!("{}.js", "x".repeat(limits::PATH_BYTES_MAX))).is_err());
    for good in ["index.js", "a.b.cjs", "\u{e9}.mjs"] {
        assert!(check_filename(good).is_ok(), "{good:?}");
    }
}

fn read(header: &'static str) -> Result<Settings, Problem> {
    let mut headers = HeaderMap::new();
    headers.insert(SETTINGS, HeaderValue::from_static(header));
    settings(&headers)
}

#[test]
fn settings_are_json_in_a_header() {
    let plain = read(r#"{"env":{"A":"1"},"limits":{"wall_ms":5},"activate":false}"#).unwrap();
    assert_eq!(plain.env["A"], "1");
    assert_eq!(
        (plain.limits.wall_ms, plain.activate),
        (Some(5), Some(false))
    );
    let encoded = read("%7B%22env%22:%7B%22A%22:%22caf%C3%A9%25%22%7D%7D").unwrap();
    assert_eq!(encoded.env["A"], "caf\u{e9}%");
    let none = settings(&HeaderMap::new()).unwrap();
    assert!(none.env.is_empty() && none.entry.is_none() && none.activate.is_none());
    for bad in [
        "",
        "[1",
        "null",
        r#"{"unknown":1}"#,
        r#"{"limits":{"fule":1}}"#,
        "%FF",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_line_of_loading_belongs_to_no_invocation() {
    let line = LogLine {
        timestamp_ms: 7,
        level: Level::Warn,
        message: "careful".to_owned(),
        invocation: String::new(),
        version: 3,
    };
    assert_eq!(
        serde_json::to_value(LoadLineBody::of(&line)).unwrap(),
        json!({"level": "warn", "message": "careful", "timestamp_ms": 7})
    );
}
