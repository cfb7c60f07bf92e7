//! Addresses, keys, and what is made of servers that answer oddly or not at all.

use reqwest::Url;

use super::{Client, ServerArgs, TenantArgs, is_loopback, parse_base};
use crate::cli::fake::{self, Fake};

fn client(url: &str) -> Client {
    let url = url.to_owned();
    Client::new(&ServerArgs { url, key: None }).unwrap()
}

fn invoke_url(base: &str, tenant: &str, rest: &str) -> Result<String, String> {
    let tenant = TenantArgs {
        tenant: tenant.parse().unwrap(),
    };
    let function = "hello".parse().unwrap();
    let url = client(base).invoke_url(&tenant, &function, rest);
    url.map(String::from).map_err(|error| error.to_string())
}

#[test]
fn the_address_may_lack_its_scheme_and_have_a_path() {
    let base = |text: &str| {
        parse_base(text)
            .map(String::from)
            .map_err(|error| error.to_string())
    };
    assert_eq!(base("localhost:4000").unwrap(), "http://localhost:4000/");
    assert_eq!(
        base(" https://x.example/a/ ").unwrap(),
        "https://x.example/a/"
    );
    let refused = [
        "",
        "ftp://x",
        "http://u:p@x",
        "http://x/?q",
        "http://x/#f",
        "http://",
    ];
    for text in refused {
        let error = base(text).unwrap_err();
        assert!(
            error.contains("write it like http://127.0.0.1:4000"),
            "{text}: {error}"
        );
    }
}

#[test]
fn loopback_is_recognised_by_name_and_number() {
    let expected = [
        ("http://localhost:1", true),
        ("http://127.9.9.9", true),
        ("http://[::1]:4000", true),
        ("http://10.0.0.1", false),
        ("http://localhost.example", false),
    ];
    for (text, is) in expected {
        assert_eq!(is_loopback(&Url::parse(text).unwrap()), is, "{text}");
    }
}

#[test]
fn a_functions_address_has_the_tenant_unless_it_is_the_default_one() {
    let root = "http://h:1";
    assert_eq!(
        invoke_url(root, "default", "").unwrap(),
        "http://h:1/invoke/hello"
    );
    assert_eq!(
        invoke_url(root, "acme", "/x?y=1").unwrap(),
        "http://h:1/invoke/@acme/hello/x?y=1"
    );
    assert_eq!(
        invoke_url("http://h/base/", "default", "?q").unwrap(),
        "http://h/base/invoke/hello?q"
    );
    assert_eq!(
        invoke_url(root, "default", "/a b/ü").unwrap(),
        "http://h:1/invoke/hello/a%20b/%C3%BC"
    );
}

#[test]
fn dot_segments_cannot_leave_the_function() {
    for rest in [
        "/../other",
        "/%2e%2e/other",
        "/a/../../other",
        "/..",
        "/\\..\\..\\x",
    ] {
        let error = invoke_url("http://h:1", "default", rest).unwrap_err();
        assert!(error.contains("leads out of hello"), "{rest}: {error}");
    }
    assert!(invoke_url("http://h:1", "default", "/a/../b").is_ok());
}

#[test]
fn a_key_that_no_header_may_have_is_refused() {
    let (url, key) = ("http://h".to_owned(), Some("a\nb".to_owned()));
    let error = Client::new(&ServerArgs { url, key }).err().unwrap();
    assert_eq!(error.exit_number(), 2);
}

#[tokio::test]
async fn the_key_goes_to_the_control_plane_and_never_to_a_function() {
    let server = Fake::start(|_| fake::answer(200, "application/json", "{}")).await;
    server.run(&["list", "--key", "secret"]).await;
    server.run(&["list", "--key", ""]).await;
    server.run(&["invoke", "hello", "--key", "secret"]).await;
    let seen = server.seen();
    assert_eq!(seen[0].header("authorization"), Some("Bearer secret"));
    assert_eq!(seen[1].header("authorization"), None);
    assert_eq!(seen[2].header("authorization"), None);
}

#[tokio::test]
async fn a_server_that_is_not_there_ends_with_3_and_says_how_to_start_it() {
    let server = Fake::start(|_| Err(std::io::Error::other("closed"))).await;
    for arguments in [&["list"][..], &["invoke", "hello"], &["logs", "hello"]] {
        let ran = server.run(arguments).await;
        assert_eq!((ran.exit, ran.out.as_str()), (3, ""));
        assert!(ran.err.contains(&server.url()), "{}", ran.err);
        assert!(
            ran.err.contains("`ampoule serve`, or set AMPOULE_URL"),
            "{}",
            ran.err
        );
    }
    let ran = server.run(&["list", "--json"]).await;
    let told: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(told["code"], "unreachable");
}

#[tokio::test]
async fn a_missing_key_is_named() {
    let title = "A valid key is needed";
    let server = Fake::start(|_| fake::problem(401, "unauthorized", title, title)).await;
    let ran = server.run(&["list"]).await;
    assert_eq!(ran.exit, 1);
    assert!(ran.err.contains("set AMPOULE_KEY"), "{}", ran.err);
    let ran = server.run(&["list", "--json"]).await;
    let told: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(
        (ran.out.as_str(), &told["code"]),
        ("", &"unauthorized".into())
    );
}

#[tokio::test]
async fn another_kind_of_server_is_recognised() {
    let server = Fake::start(|seen| match seen.target.contains("versions") {
        true => fake::answer(404, "text/html", "<h1>Not Found</h1>"),
        false => fake::answer(200, "text/html", "<h1>Welcome</h1>"),
    })
    .await;
    for arguments in [&["list"][..], &["versions", "hello"]] {
        let ran = server.run(arguments).await;
        assert_eq!(ran.exit, 1);
        assert!(
            ran.err.contains("does not answer like an Ampoule server"),
            "{}",
            ran.err
        );
    }
}
