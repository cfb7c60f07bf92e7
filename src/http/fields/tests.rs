//! What crosses between client and function, and what does not.

use axum::body::Body;
use axum::http::Request;

use super::*;

fn fields(target: &str, lines: &[(&str, &[u8])]) -> Result<String, Error> {
    let mut request = Request::builder().uri(target);
    for (name, value) in lines {
        request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
    }
    let (parts, _) = request.body(Body::empty()).unwrap().into_parts();
    of_request(&parts).map(|fields| fields.iter().copied().map(char::from).collect())
}

fn answer(fields: &[u8]) -> Vec<(String, String)> {
    let headers = of_answer(fields).unwrap();
    let text = |value: &HeaderValue| value.as_bytes().iter().copied().map(char::from).collect();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn a_function_sees_what_was_sent_to_it() {
    let lines: [(&str, &[u8]); 5] = [
        ("Host", b"localhost"),
        ("X-Many", b"1"),
        ("Authorization", b"Bearer of the function"),
        ("x-many", b"2"),
        ("x-bytes", b"caf\xe9"),
    ];
    assert_eq!(
        fields("/", &lines).unwrap(),
        "host: localhost\r\nx-many: 1\r\nx-many: 2\r\nauthorization: Bearer of the function\r\n\
         x-bytes: caf\u{e9}\r\n"
    );
}

#[test]
fn what_is_between_two_hops_is_not_for_functions() {
    let lines: [(&str, &[u8]); 11] = [
        ("connection", b"keep-alive, X-Internal"),
        ("connection", b"host, content-length"),
        ("x-internal", b"1"),
        ("keep-alive", b"timeout=5"),
        ("proxy-authorization", b"Basic x"),
        ("te", b"trailers"),
        ("trailer", b"x-t"),
        ("transfer-encoding", b"chunked"),
        ("upgrade", b"h2c"),
        ("host", b"localhost"),
        ("content-length", b"0"),
    ];
    assert_eq!(
        fields("/", &lines).unwrap(),
        "host: localhost\r\ncontent-length: 0\r\n"
    );
}

#[test]
fn the_platforms_own_headers_are_not_for_functions() {
    let lines: [(&str, &[u8]); 2] = [("x-ampoule-key", b"secret"), ("X-Ampoule-Settings", b"{}")];
    assert_eq!(fields("/", &lines).unwrap(), "");
    assert_eq!(
        answer(b"x-ampoule-invocation: forged\r\nx-a: 1\r\n"),
        [pair("x-a", "1")]
    );
}

#[test]
fn a_host_in_the_target_overrules_the_header() {
    let lines: [(&str, &[u8]); 1] = [("host", b"other.example")];
    assert_eq!(
        fields("http://named.example/x", &lines).unwrap(),
        "host: named.example\r\n"
    );
    assert_eq!(
        fields("http://named.example/x", &[]).unwrap(),
        "host: named.example\r\n"
    );
}

#[test]
fn cookies_that_came_apart_are_put_together() {
    let lines: [(&str, &[u8]); 2] = [("cookie", b"a=1"), ("cookie", b"b=2")];
    assert_eq!(fields("/", &lines).unwrap(), "cookie: a=1; b=2\r\n");
}

#[test]
fn too_large_a_section_is_refused_in_both_directions() {
    let value = vec![b'x'; limits::FIELDS_BYTES_MAX - 10];
    assert!(fields("/", &[("x", &value[..value.len() / 2])]).is_ok());
    let both: [(&str, &[u8]); 2] = [("x", &value), ("y-more", b"yyyy")];
    assert_eq!(fields("/", &both).unwrap_err().code, Code::FieldsTooLarge);
    let mut section = b"x: ".to_vec();
    section.extend_from_slice(&value);
    section.extend_from_slice(b"\r\nx: y\r\n");
    assert_eq!(of_answer(&section).unwrap_err().code, Code::ResponseInvalid);
}

#[test]
fn an_answers_headers_are_taken_over() {
    let section = b"Content-Type: text/plain\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\
        x-empty:\r\nx-bytes: caf\xe9\r\n";
    let expected = [
        pair("content-type", "text/plain"),
        pair("set-cookie", "a=1"),
        pair("set-cookie", "b=2"),
        pair("x-empty", ""),
        pair("x-bytes", "caf\u{e9}"),
    ];
    assert_eq!(answer(section), expected);
    assert_eq!(answer(b""), []);
}

#[test]
fn an_answer_has_no_say_in_the_connection() {
    let section = b"connection: close, X-Internal\r\nx-internal: 1\r\n\
        transfer-encoding: chunked\r\nkeep-alive: 1\r\nupgrade: websocket\r\n\
        proxy-authenticate: Basic\r\ntrailer: x\r\nx-a: 1\r\n";
    assert_eq!(answer(section), [pair("x-a", "1")]);
}

#[test]
fn an_answer_that_http_does_not_allow_is_refused() {
    let bad: [&[u8]; 10] = [
        b"no colon\r\n",
        b": no name\r\n",
        b"a b: c\r\n",
        b"x: a\nb\r\n",
        b"x: a\rb\r\n",
        b"x: a\0b\r\n",
        b"\r\nx: 1\r\n",
        b"content-length: ten\r\n",
        b"content-length: +1\r\n",
        b"content-length: 1\r\ncontent-length: 2\r\n",
    ];
    for bad in bad {
        let refused = of_answer(bad).unwrap_err();
        assert_eq!(
            refused.code,
            Code::ResponseInvalid,
            "{}",
            bad.escape_ascii()
        );
        assert!(refused.detail.is_ascii());
    }
    assert_eq!(
        answer(b"content-length: 7\r\nContent-Length: 7\r\n"),
        [pair("content-length", "7")]
    );
}
