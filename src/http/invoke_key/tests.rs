//! What is taken for a key, and what is left for the function.

use axum::http::HeaderValue;

use super::*;

fn taken(lines: &[(&'static str, &'static str)]) -> (Option<String>, Vec<String>) {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_static(value));
    }
    let shown = take(&mut headers).map(|shown| shown.reveal().to_owned());
    let left = headers.keys().map(ToString::to_string).collect();
    (shown, left)
}

fn expect(lines: &[(&'static str, &'static str)], shown: Option<&str>, left: &[&str]) {
    let (got, rest) = taken(lines);
    assert_eq!(got.as_deref(), shown, "{lines:?}");
    assert_eq!(rest, left, "{lines:?}");
}

#[test]
fn a_key_is_found_in_both_places_and_taken_out() {
    expect(&[("authorization", "Bearer amp_1")], Some("amp_1"), &[]);
    expect(&[("x-api-key", "amp_1")], Some("amp_1"), &[]);
    expect(
        &[("authorization", "Bearer own"), ("x-api-key", "amp_1")],
        Some("amp_1"),
        &["authorization"],
    );
    expect(
        &[("authorization", "bearer amp_1"), ("x-api-key", "own")],
        Some("amp_1"),
        &["x-api-key"],
    );
}

#[test]
fn what_is_the_functions_own_stays() {
    expect(&[], None, &[]);
    expect(&[("accept", "*/*")], None, &["accept"]);
    expect(
        &[("authorization", "Bearer own")],
        Some("own"),
        &["authorization"],
    );
    expect(&[("x-api-key", "own")], Some("own"), &["x-api-key"]);
    expect(
        &[("authorization", "Basic YW1wXw==")],
        None,
        &["authorization"],
    );
}

#[test]
fn a_key_in_a_form_that_is_not_taken_is_not_left_either() {
    for odd in [
        "Basic amp_1",
        "amp_1",
        "Bearer a, Bearer amp_1",
        "Key k=\"amp_1\"",
    ] {
        let (_, left) = taken(&[("authorization", odd)]);
        assert!(left.is_empty(), "{odd}");
    }
    expect(&[("x-api-key", "amp_1"), ("x-api-key", "amp_2")], None, &[]);
}
