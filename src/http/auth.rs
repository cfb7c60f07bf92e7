//! Who may use the control plane.
//!
//! With a key: whoever shows it. Without one the server listens on loopback only, and the danger
//! is a web page in a browser of this machine: requests across sites, and names that someone
//! else's DNS points at 127.0.0.1. So host and origin must both be this machine.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Http;
use super::problem::Problem;
use crate::error::{Code, Error};

/// What a request to the control plane has to show.
#[derive(Clone)]
pub(super) enum Access {
    /// The key with this SHA-256. Digests are compared, so that neither the time nor the length
    /// of a comparison says anything about the key.
    Key([u8; 32]),
    /// That it comes from this machine, by its own names for itself.
    Loopback,
    /// Nothing would do: there is no key, and others than this machine can connect.
    Nobody,
}

impl Access {
    /// The rule of a server that has `key`, if it has one, and listens on `address`.
    pub(super) fn new(key: Option<&str>, address: IpAddr) -> Self {
        match key.filter(|key| !key.is_empty()) {
            Some(key) => Self::Key(Sha256::digest(key).into()),
            None if address.to_canonical().is_loopback() => Self::Loopback,
            None => Self::Nobody,
        }
    }

    /// Lets a request pass or says why not.
    ///
    /// # Errors
    /// `unauthorized` with a key, `foreign_origin` without.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
        match self {
            Self::Key(digest) => check_key(digest, headers),
            Self::Loopback => check_loopback(uri, headers),
            Self::Nobody => Err(foreign(
                "the server has no key and can be reached from other machines",
            )),
        }
    }
}

/// Answers a request to the control plane itself when it may not pass.
pub(super) async fn guard(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    match http.access.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => {
            let must_show_key = error.code == Code::Unauthorized;
            let mut response = Problem::from(error).into_response();
            if must_show_key {
                let scheme = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            }
            response
        }
    }
}

fn check_key(digest: &[u8; 32], headers: &HeaderMap) -> Result<(), Error> {
    let refuse = |detail: &str| Err(Error::new(Code::Unauthorized, detail));
    let Some(given) = only(headers, AUTHORIZATION.as_str()) else {
        return refuse("send the key once, as authorization: Bearer KEY");
    };
    let Some((scheme, key)) = split_scheme(given.as_bytes()) else {
        return refuse("send the key as authorization: Bearer KEY");
    };
    let given: [u8; 32] = Sha256::digest(key).into();
    if scheme.eq_ignore_ascii_case(b"bearer") && bool::from(given.ct_eq(digest)) {
        Ok(())
    } else {
        refuse("the key is not the server's")
    }
}

fn split_scheme(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = value.iter().position(|b| *b == b' ')?;
    let (scheme, rest) = value.split_at(end);
    Some((scheme, rest.trim_ascii()))
}

fn check_loopback(uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
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

fn foreign(detail: &str) -> Error {
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

/// The value of a header that occurs exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests;
