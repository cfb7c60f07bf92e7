//! Paths, addresses and statuses of the data plane.

use axum::http::Request;

use super::*;

#[test]
fn the_data_plane_is_one_segment_and_all_below() {
    for of_functions in [
        "/invoke",
        "/invoke/",
        "/invoke/a/b",
        "/invoke?x",
        "/invoke//",
    ] {
        assert!(is_meant(&of_functions.parse().unwrap()), "{of_functions}");
    }
    for other in ["/", "/invokes", "/invoke%2Fa", "/Invoke/a", "/api/invoke/a"] {
        assert!(!is_meant(&other.parse().unwrap()), "{other}");
    }
}

fn target(uri: &str) -> Result<(String, String, String), Code> {
    let target = Target::of(&uri.parse().unwrap()).map_err(|error| error.code)?;
    Ok((target.tenant.into(), target.function.into(), target.rest))
}

fn named(tenant: &str, function: &str, rest: &str) -> Result<(String, String, String), Code> {
    Ok((tenant.to_owned(), function.to_owned(), rest.to_owned()))
}

#[test]
fn a_path_names_the_function_and_leaves_it_the_rest() {
    let default = |rest| named("default", "hello", rest);
    assert_eq!(target("/invoke/hello"), default("/"));
    assert_eq!(target("/invoke/hello/"), default("/"));
    assert_eq!(target("/invoke/hello?a=1&a=%32"), default("/?a=1&a=%32"));
    assert_eq!(
        target("/invoke/hello/a%2Fb//c/../d?x"),
        default("/a%2Fb//c/../d?x")
    );
    assert_eq!(target("/invoke/hello/?"), default("/?"));
    assert_eq!(target("http://host/invoke/hello/x"), default("/x"));
    let acme = |rest| named("acme", "shop", rest);
    assert_eq!(target("/invoke/@acme/shop"), acme("/"));
    assert_eq!(target("/invoke/@acme/shop/items?n=1"), acme("/items?n=1"));
    assert_eq!(target("/invoke/%40acme/sh%6Fp/@x"), acme("/@x"));
}

#[test]
fn a_path_that_names_no_function_is_refused() {
    for none in [
        "/invoke",
        "/invoke/",
        "/invoke?x",
        "/invoke/@acme",
        "/invoke/@acme/",
    ] {
        assert_eq!(target(none), Err(Code::NotFound), "{none}");
    }
    let invalid = [
        "/invoke//x",
        "/invoke/.hidden",
        "/invoke/a%2Fb",
        "/invoke/@/shop",
        "/invoke/@a@b/shop",
        "/invoke/@acme//x",
        "/invoke/%FF",
        "/invoke/%E2%82%AC",
        "/invoke/@..%2Fx/shop",
    ];
    for invalid in invalid {
        assert_eq!(target(invalid), Err(Code::InvalidName), "{invalid}");
    }
}

#[test]
fn a_target_has_a_limit() {
    let long = |bytes: usize| format!("/invoke/hello/{}", "x".repeat(bytes - 14));
    assert!(target(&long(limits::TARGET_BYTES_MAX)).is_ok());
    assert_eq!(
        target(&long(limits::TARGET_BYTES_MAX + 1)),
        Err(Code::FieldsTooLarge)
    );
}

#[test]
fn an_answer_says_how_long_it_is() {
    let length_of = |method: Method, body: Body| {
        let response = measured(Response::new(body), &method);
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.map(|length| length.to_str().unwrap().to_owned());
        (length, response.body().size_hint().exact())
    };
    let length = |text: &str| Some(text.to_owned());
    let (whole, none) = (|| Body::from("hello"), Body::empty);
    assert_eq!(length_of(Method::GET, whole()), (length("5"), Some(5)));
    assert_eq!(length_of(Method::GET, none()), (length("0"), Some(0)));
    assert_eq!(length_of(Method::HEAD, whole()), (length("5"), Some(0)));
    assert_eq!(length_of(Method::GET, no_body()), (None, None));
    assert_eq!(length_of(Method::CONNECT, whole()), (None, Some(0)));
}

fn parts(lines: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().extension(Peer(IpAddr::from([192, 0, 2, 1])));
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn a_forwarded_address_counts_only_behind_a_proxy() {
    let spoofed = parts(&[("x-forwarded-for", "203.0.113.9")]);
    assert_eq!(peer(&spoofed, false).to_string(), "192.0.2.1");
    assert_eq!(peer(&spoofed, true).to_string(), "203.0.113.9");
}

#[test]
fn of_forwarded_addresses_the_last_is_the_proxys_own() {
    let cases = [
        (vec!["10.0.0.1, 203.0.113.9"], "203.0.113.9"),
        (vec!["10.0.0.1", "10.0.0.2, 203.0.113.9"], "203.0.113.9"),
        (vec!["203.0.113.9:5000"], "203.0.113.9"),
        (vec!["2001:db8::9"], "2001:db8::9"),
        (vec!["[2001:db8::9]:5000"], "2001:db8::9"),
        (vec!["[2001:db8::9]"], "2001:db8::9"),
        (vec!["::ffff:203.0.113.9"], "203.0.113.9"),
        (vec!["203.0.113.9, unknown"], "192.0.2.1"),
        (vec!["203.0.113.9,"], "192.0.2.1"),
        (vec![], "192.0.2.1"),
    ];
    for (values, expected) in cases {
        let lines: Vec<_> = values
            .iter()
            .map(|value| ("x-forwarded-for", *value))
            .collect();
        assert_eq!(
            peer(&parts(&lines), true).to_string(),
            expected,
            "{values:?}"
        );
    }
}

#[test]
fn a_connection_counts_as_secure_when_the_proxys_was() {
    let secure = |value| is_forwarded_https(&parts(&[("x-forwarded-proto", value)]).headers);
    assert!(secure("https"));
    assert!(secure("http, HTTPS"));
    assert!(!secure("https, http"));
    assert!(!secure(""));
}

#[test]
fn a_status_is_a_final_one() {
    for fine in [200, 204, 299, 404, 500, 599, 999] {
        assert_eq!(status(fine).unwrap().as_u16(), fine);
    }
    for bad in [0, 1, 99, 100, 101, 199, 1000, u16::MAX] {
        assert_eq!(
            status(bad).unwrap_err().code,
            Code::ResponseInvalid,
            "{bad}"
        );
    }
}
