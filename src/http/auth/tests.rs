//! Who passes and who does not, header by header.

use super::*;
use crate::store::Store;

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn loopback() -> Access {
    Access::new(None, IpAddr::from([127, 0, 0, 1]))
}

fn check(access: &Access, target: &'static str, lines: &[(&'static str, &str)]) -> Option<Code> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("test.redb")).unwrap();
    let keys = store.keys();
    let checked = access.identify(&keys, &Uri::from_static(target), &headers(lines));
    checked.err().map(|error| error.code)
}

#[test]
fn with_a_key_only_the_key_counts() {
    let access = Access::new(Some("s3cret"), IpAddr::from([0, 0, 0, 0]));
    for good in ["Bearer s3cret", "bearer s3cret", "BEARER   s3cret"] {
        let lines = [
            ("authorization", good),
            ("host", "evil.example"),
            ("origin", "null"),
        ];
        assert_eq!(check(&access, "/", &lines), None, "{good}");
    }
    let bad = [
        "Bearer wrong",
        "Bearer ",
        "Bearer",
        "Basic s3cret",
        "s3cret",
        "Bearer s3cre",
        "Bearer s3crett",
        "Bearer s3cret x",
        "",
    ];
    for bad in bad {
        let lines = [("authorization", bad), ("host", "localhost")];
        assert_eq!(
            check(&access, "/", &lines),
            Some(Code::Unauthorized),
            "{bad}"
        );
    }
    assert_eq!(
        check(&access, "/", &[("host", "localhost")]),
        Some(Code::Unauthorized)
    );
    let twice = [
        ("authorization", "Bearer s3cret"),
        ("authorization", "Bearer s3cret"),
    ];
    assert_eq!(check(&access, "/", &twice), Some(Code::Unauthorized));
}

#[test]
fn without_a_key_the_host_must_be_loopback() {
    let good = [
        "localhost",
        "LocalHost:4000",
        "127.0.0.1",
        "127.0.0.1:4000",
        "127.1.2.3:80",
        "[::1]",
        "[::1]:4000",
    ];
    for good in good {
        assert_eq!(check(&loopback(), "/", &[("host", good)]), None, "{good}");
    }
    let bad = [
        "evil.example",
        "evil.example:4000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "0.0.0.0:4000",
        "[::]",
        "[::1]evil.example",
        "[::1]:x",
        "[::1",
        "::1",
        "localhost:99999",
        "localhost:",
        "localhost:4000:1",
        "user@localhost",
        "",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "[::ffff:127.0.0.1]x",
    ];
    for bad in bad {
        assert_eq!(
            check(&loopback(), "/", &[("host", bad)]),
            Some(Code::ForeignOrigin),
            "{bad}"
        );
    }
    assert_eq!(check(&loopback(), "/", &[]), Some(Code::ForeignOrigin));
}

#[test]
fn a_host_in_the_target_must_be_loopback_too() {
    let local = [("host", "localhost")];
    assert_eq!(check(&loopback(), "http://127.0.0.1:4000/", &[]), None);
    assert_eq!(check(&loopback(), "http://127.0.0.1:4000/", &local), None);
    let refused = Some(Code::ForeignOrigin);
    assert_eq!(check(&loopback(), "http://evil.example/", &local), refused);
    let two = [("host", "localhost"), ("host", "evil.example")];
    assert_eq!(check(&loopback(), "/", &two), refused);
    let foreign = [("host", "evil.example")];
    assert_eq!(check(&loopback(), "http://localhost/", &foreign), refused);
}

#[test]
fn without_a_key_pages_of_other_sites_are_refused() {
    let with = |name, value| check(&loopback(), "/", &[("host", "localhost"), (name, value)]);
    let good = [
        "http://localhost",
        "http://localhost:3000",
        "https://127.0.0.1:8443",
        "http://[::1]:1",
        "HTTP://LOCALHOST:3000",
    ];
    for good in good {
        assert_eq!(with("origin", good), None, "{good}");
    }
    let bad = [
        "null",
        "http://evil.example",
        "https://localhost.evil.example",
        "file://localhost",
        "",
        "http://localhost@evil.example",
        "http://evil.example/localhost",
        "chrome-extension://x",
    ];
    for bad in bad {
        assert_eq!(with("origin", bad), Some(Code::ForeignOrigin), "{bad}");
    }
    for good in ["same-origin", "same-site", "none"] {
        assert_eq!(with("sec-fetch-site", good), None, "{good}");
    }
    for bad in ["cross-site", "Cross-Site", " cross-site"] {
        assert_eq!(
            with("sec-fetch-site", bad),
            Some(Code::ForeignOrigin),
            "{bad}"
        );
    }
}

#[test]
fn without_a_key_nobody_passes_on_an_address_that_others_reach() {
    for address in ["0.0.0.0", "192.168.1.2", "::", "2001:db8::1"] {
        let access = Access::new(None, address.parse().unwrap());
        let refused = check(&access, "/", &[("host", "localhost")]);
        assert_eq!(refused, Some(Code::ForeignOrigin), "{address}");
    }
    let empty = Access::new(Some(""), IpAddr::from([0, 0, 0, 0]));
    let lines = [("host", "localhost"), ("authorization", "Bearer ")];
    assert_eq!(check(&empty, "/", &lines), Some(Code::ForeignOrigin));
    for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
        let access = Access::new(None, address.parse().unwrap());
        assert_eq!(
            check(&access, "/", &[("host", "localhost")]),
            None,
            "{address}"
        );
    }
}
