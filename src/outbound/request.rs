//! What a function asks for, and what becomes of it from redirect to redirect.

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_LOCATION, CONTENT_TYPE, COOKIE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::sync::mpsc;
use url::Url;

use super::body::Upload;
use super::error::Error;
use crate::limits;

/// The sender of a streamed body gave up: the request is broken off, not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request body broke off")]
pub struct Interrupted;

/// The body of a subrequest.
#[derive(Debug)]
pub enum RequestBody {
    /// None at all.
    None,
    /// Known in whole, so it can be sent again after a redirect.
    Whole(Bytes),
    /// Sent as it comes, in chunks; ends when the channel does.
    Stream(mpsc::Receiver<Result<Bytes, Interrupted>>),
}

/// What to do with a redirect: the Fetch standard's redirect mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirect {
    /// Follow it.
    Follow,
    /// Fail.
    Error,
    /// Answer with it as it is.
    Manual,
}

/// A subrequest.
#[derive(Debug)]
pub struct Request {
    /// The method, as it goes on the wire; not `CONNECT`, `TRACE` or `TRACK`.
    pub method: String,
    /// Absolute, `http` or `https`, without user name and password. A fragment is ignored.
    pub url: String,
    /// In any case and order; at most [`limits::FIELDS_BYTES_MAX`] together. Those that belong
    /// to the connection (`host`, `content-length` and so on) are left out in silence.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; `GET` and `HEAD` have none.
    pub body: RequestBody,
    /// What to do with a redirect.
    pub redirect: Redirect,
    /// Whether to undo gzip, brotli and deflate in the answer, and to offer them.
    pub decompress: bool,
}

/// Headers that only this client sets: they say how the message is carried.
const OURS: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers that describe a body, gone when a redirect drops it.
const OF_THE_BODY: [HeaderName; 4] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LOCATION,
    CONTENT_TYPE,
];

/// The next request to send: the first one, or what a redirect made of it.
pub(super) struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
    payload: Payload,
}

enum Payload {
    None,
    Whole(Bytes),
    Stream(mpsc::Receiver<Result<Bytes, Interrupted>>),
    /// A stream that has been sent.
    Spent,
}

impl Hop {
    /// Checks a request, and adds the headers that it lacks.
    pub(super) fn first(request: Request, user_agent: &str) -> Result<Self, Error> {
        let method = parse_method(&request.method)?;
        let url = parse_url(&request.url, None)?;
        let mut headers = parse_headers(&request.headers)?;
        let default = |value: &str| {
            HeaderValue::from_str(value)
                .map_err(|_| Error::InvalidRequest("the user agent cannot be a header"))
        };
        headers.entry(USER_AGENT).or_insert(default(user_agent)?);
        headers.entry(ACCEPT).or_insert(default("*/*")?);
        if request.decompress {
            let codings = default("gzip, deflate, br")?;
            headers.entry(ACCEPT_ENCODING).or_insert(codings);
        }
        let payload = match request.body {
            RequestBody::None => Payload::None,
            RequestBody::Whole(bytes) => Payload::Whole(bytes),
            RequestBody::Stream(chunks) => Payload::Stream(chunks),
        };
        let bodiless = method == Method::GET || method == Method::HEAD;
        if bodiless && !matches!(payload, Payload::None) {
            return Err(Error::InvalidRequest("GET and HEAD cannot have a body"));
        }
        Ok(Self {
            method,
            url,
            headers,
            payload,
        })
    }

    /// The request as it is sent. A streamed body is taken out: it can be sent once.
    pub(super) fn message(&mut self) -> Result<http::Request<Upload>, Error> {
        let length = match &self.payload {
            Payload::Whole(bytes) => Some(bytes.len()),
            // What takes a body says that there is none (Fetch, "HTTP-network-or-cache fetch").
            Payload::None => {
                (self.method == Method::POST || self.method == Method::PUT).then_some(0)
            }
            Payload::Stream(_) | Payload::Spent => None,
        };
        let upload = match &mut self.payload {
            Payload::None => Upload::None,
            Payload::Whole(bytes) => Upload::Whole(bytes.clone()),
            sent => match std::mem::replace(sent, Payload::Spent) {
                Payload::Stream(chunks) => Upload::Stream(chunks),
                _ => return Err(CANNOT_REPEAT),
            },
        };
        let mut request = http::Request::new(upload);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self
            .url
            .as_str()
            .parse()
            .map_err(|_| Error::InvalidUrl("it cannot be sent over HTTP"))?;
        *request.headers_mut() = self.headers.clone();
        if let Some(length) = length {
            request.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        Ok(request)
    }

    /// Turns this into the request that a redirect asks for.
    ///
    /// Source: Fetch standard, "HTTP-redirect fetch", steps 4 to 13.
    pub(super) fn redirect(&mut self, status: StatusCode, location: &[u8]) -> Result<(), Error> {
        let location = String::from_utf8_lossy(location);
        let next = match parse_url(&location, Some(&self.url)) {
            Ok(url) => url,
            Err(Error::UnsupportedScheme) => {
                return Err(Error::RedirectRefused(
                    "it leads to something else than HTTP",
                ));
            }
            Err(_) => {
                return Err(Error::RedirectRefused(
                    "it leads to a URL that is not valid",
                ));
            }
        };
        if status != StatusCode::SEE_OTHER && matches!(self.payload, Payload::Spent) {
            return Err(CANNOT_REPEAT);
        }
        let becomes_get = match status.as_u16() {
            301 | 302 => self.method == Method::POST,
            303 => self.method != Method::GET && self.method != Method::HEAD,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.payload = Payload::None;
            for name in OF_THE_BODY {
                self.headers.remove(name);
            }
        }
        if next.origin() != self.url.origin() {
            self.headers.remove(AUTHORIZATION);
            self.headers.remove(COOKIE);
        }
        self.url = next;
        Ok(())
    }

    /// Where this goes, without a fragment.
    pub(super) fn url(&self) -> String {
        self.url.as_str().to_owned()
    }

    /// Whether the answer has no body because none was asked for.
    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }
}

const CANNOT_REPEAT: Error =
    Error::RedirectRefused("the request body was a stream, which cannot be sent twice");

fn parse_method(text: &str) -> Result<Method, Error> {
    let forbidden = ["CONNECT", "TRACE", "TRACK"];
    if forbidden.iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Err(Error::InvalidRequest("this method is not allowed"));
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| Error::InvalidRequest("that is not a method"))
}

fn parse_url(text: &str, base: Option<&Url>) -> Result<Url, Error> {
    parse_url_of(&["http", "https"], text, base)
}

/// A URL of one of these schemes, without a fragment.
pub(super) fn parse_url_of(schemes: &[&str], text: &str, base: Option<&Url>) -> Result<Url, Error> {
    let mut url = Url::options()
        .base_url(base)
        .parse(text)
        .map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => Error::InvalidUrl("it is not absolute"),
            url::ParseError::EmptyHost => Error::InvalidUrl("it has no host"),
            _ => Error::InvalidUrl("it cannot be parsed"),
        })?;
    if !schemes.contains(&url.scheme()) {
        return Err(Error::UnsupportedScheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::InvalidUrl("it holds a user name or password"));
    }
    url.set_fragment(None);
    Ok(url)
}

/// Headers as they may be sent; those in [`OURS`] are left out.
pub(super) fn parse_headers(list: &[(String, Vec<u8>)]) -> Result<HeaderMap, Error> {
    let size: usize = list
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    if size > limits::FIELDS_BYTES_MAX {
        return Err(Error::InvalidRequest("the headers are too large"));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::InvalidRequest("a header has a name that is not allowed"))?;
        if OURS.contains(&name.as_str()) || name.as_str().starts_with("proxy-") {
            continue;
        }
        let value = HeaderValue::from_bytes(value)
            .map_err(|_| Error::InvalidRequest("a header has a value that is not allowed"))?;
        headers
            .try_append(name, value)
            .map_err(|_| Error::InvalidRequest("there are too many headers"))?;
    }
    Ok(headers)
}
