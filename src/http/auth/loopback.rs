//! Whether a request comes from this machine, by its own words.
//!
//! Without a key, the danger is a web page in a browser of this machine: requests across sites,
//! and names that someone else's DNS points at 127.0.0.1. So host and origin must both be this
//! machine.

use std::net::Ipv4Addr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};

use crate::error::{Code, Error};

/// Lets a request pass that names this machine, and comes from no page of another.
///
/// # Errors
/// `foreign_origin`.
pub(super) fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
    // HTTP/2 and absolute targets name the host in the target; both places must be fine then.
    let in_target = uri.authority().map(|authority| authority.as_str());
    let in_header = headers.get_all(HOST).iter().map(|host| host.to_str().ok());
    let hosts: Vec<Option<&str>> = in_target.map(Some).into_iter().chain(in_header).collect();
    if hosts.is_empty() || !hosts.iter().all(|host| host.is_some_and(is_loopback_host)) {
        return Err(foreign(
            "name the server localhost, 127.0.0.1 or [::1], or start it with a key",
        ));
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    if !origins.all(|origin| origin.to_str().is_ok_and(is_loopback_origin)) {
        return Err(foreign("the page that sent this is not of this machine"));
    }
    let mut sites = headers.get_all("sec-fetch-site").iter();
    if sites.any(|site| {
        site.as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"cross-site")
    }) {
        return Err(foreign("the page that sent this is not of this machine"));
    }
    Ok(())
}

pub(super) fn foreign(detail: &str) -> Error {
    Error::new(Code::ForeignOrigin, detail)
}

fn is_loopback_origin(origin: &str) -> bool {
    let lower = origin.to_ascii_lowercase();
    let host = lower
        .strip_prefix("http://")
        .or_else(|| lower.strip_prefix("https://"));
    host.is_some_and(is_loopback_host)
}

/// Whether `host` is `localhost`, in 127.0.0.0/8 or `[::1]`, with any port or none.
fn is_loopback_host(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix("[::1]") {
        return rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    }
    let (name, is_port_fine) = match host.split_once(':') {
        Some((name, port)) => (name, is_port(port)),
        None => (host, true),
    };
    let address = name.parse::<Ipv4Addr>();
    let is_loopback = address.is_ok_and(|address| address.is_loopback());
    is_port_fine && (is_loopback || name.eq_ignore_ascii_case("localhost"))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}
