//! The data plane: an HTTP request becomes a call, and what comes back an HTTP answer.
//!
//! Names and sizes are checked here. Whether the function exists, and whether it may run now, is
//! known to dispatch; the body is read only when dispatch asks for it, within that function's
//! own limit.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use percent_encoding::percent_decode_str;

use super::body;
use super::path::OfVersion;
use super::problem::Problem;
use super::{Http, Peer, fields, invoke_key, panic_error};
use crate::dispatch::{Answer, AnswerBody, Call, Caller};
use crate::error::{Code, Error};
use crate::id::{FunctionName, InvocationId, TenantId, TraceId};
use crate::store::RecordedKind;
use crate::trace::Context;
use crate::{clock, limits};

/// Names the invocation, on every answer of the data plane.
const INVOCATION: HeaderName = HeaderName::from_static("x-ampoule-invocation");
/// Names the version that answered, once it is known.
const VERSION: HeaderName = HeaderName::from_static("x-ampoule-version");
/// What a version that is tested gets as `authorization`.
const TEST_AUTHORIZATION: &str = "x-ampoule-test-authorization";

/// Segments of `tenants/{tenant}/functions/{function}/versions/{version}/test`.
const TEST_SEGMENTS: usize = 7;
/// Names the trace, on every answer of the data plane whose function does not do so itself.
const TRACE: HeaderName = HeaderName::from_static("x-trace-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Whether a path is one of the data plane's.
pub(super) fn is_meant(uri: &Uri) -> bool {
    let rest = uri.path().strip_prefix("/invoke");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers one request of the data plane, whose connection comes from `peer`.
///
/// # Cancel safety
/// Dropping it ends the invocation.
pub(super) async fn invoke(http: &Http, peer: IpAddr, request: Request) -> Response {
    let method = request.method().clone();
    let target = Target::of(request.uri());
    let response = respond_to(http, peer, target, request).await;
    measured(response, &method)
}

/// Says how long an answer is, and takes the body from one to HEAD, and both from one to CONNECT
/// that HTTP would take for a tunnel's: for all other paths the router does so.
fn measured(mut response: Response, method: &Method) -> Response {
    if *method == Method::CONNECT && response.status().is_success() {
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = Body::empty();
        return response;
    }
    let length = response.body().size_hint().exact();
    if let Some(length) = length
        && !response.headers().contains_key(CONTENT_LENGTH)
    {
        let length = decimal(length);
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    if *method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

/// A number as a header's value: one allocation, where the conversion that there is takes two.
fn decimal(number: u64) -> HeaderValue {
    let mut buffer = itoa::Buffer::new();
    HeaderValue::from_str(buffer.format(number)).expect("digits are ASCII")
}

/// Answers one request to a version that need not be active. The key is not passed on to it.
///
/// # Cancel safety
/// As [`invoke`].
#[utoipa::path(
    method(get, post, put, patch, delete),
    path = "/tenants/{tenant}/functions/{function}/versions/{version}/test/{*path}",
    operation_id = "test_version",
    tag = "versions",
    summary = "Send a request to a version, active or not",
    params(
        OfVersion,
        ("path" = String, Path, description = "The path that the function sees"),
        (
            "x-ampoule-test-authorization" = Option<String>, Header,
            description = "What the function sees as `authorization`"
        ),
    ),
    responses((status = "default", description = "Whatever the function answers"))
)]
pub(super) async fn test(
    State(http): State<Arc<Http>>,
    OfVersion(tenant, function, version): OfVersion,
    mut request: Request,
) -> Response {
    let target = Target::of_test(tenant, function, version, request.uri());
    let headers = request.headers_mut();
    headers.remove(AUTHORIZATION);
    if let Some(value) = headers.remove(TEST_AUTHORIZATION) {
        headers.insert(AUTHORIZATION, value);
    }
    let peer = connected(request.extensions());
    respond_to(&http, peer, target, request).await
}

async fn respond_to(
    http: &Http,
    peer: IpAddr,
    target: Result<Target, Error>,
    request: Request,
) -> Response {
    let id = InvocationId::new(clock::now_ms());
    let chosen = Arc::new(AtomicU64::new(0));
    let trace = trace_of(id, request.headers());
    let trace_id = TraceId::from(trace.trace_id());
    let mut response = match target {
        Ok(target) => {
            let tenant = target.tenant.clone();
            let asked = Asked {
                id,
                trace,
                chosen: Arc::clone(&chosen),
                peer,
            };
            // It is large, and stays where it is.
            let answered = pin!(answer(http, asked, target, request));
            let answered = AssertUnwindSafe(answered).catch_unwind().await;
            answered
                .unwrap_or_else(|panic| Err(panic_error(panic.as_ref())))
                .unwrap_or_else(|error| {
                    Problem::of_invocation(error, id, Some(tenant)).into_response()
                })
        }
        Err(error) => Problem::of_invocation(error, id, None).into_response(),
    };
    let headers = response.headers_mut();
    sign(headers, id, &chosen);
    headers.entry(TRACE).or_insert_with(|| {
        let text = trace_id.digits();
        HeaderValue::from_bytes(&text).expect("digits are ASCII")
    });
    response
}

/// Says in the headers of an answer which invocation it is of, and of which version once that was
/// chosen.
pub(super) fn sign(headers: &mut HeaderMap, id: InvocationId, chosen: &AtomicU64) {
    let mut text = [0; InvocationId::LEN];
    let value = HeaderValue::from_str(id.write(&mut text)).expect("an id is ASCII");
    headers.insert(INVOCATION, value);
    match chosen.load(Ordering::Relaxed) {
        // A function does not say which version it is.
        0 => drop(headers.remove(VERSION)),
        version => drop(headers.insert(VERSION, decimal(version))),
    }
}

/// The trace that a request belongs to.
pub(super) fn trace_of(id: InvocationId, headers: &HeaderMap) -> Context {
    let text = |name| only(headers, name)?.to_str().ok();
    let trace_id = text(TRACE);
    Context::of_request(id, text(TRACEPARENT), text(TRACESTATE), trace_id)
}

/// The value of a header that occurs exactly once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// What is known of a request besides what it says itself.
struct Asked {
    id: InvocationId,
    trace: Context,
    /// Is told the version that answers.
    chosen: Arc<AtomicU64>,
    /// The other end of its connection.
    peer: IpAddr,
}

async fn answer(
    http: &Http,
    asked: Asked,
    target: Target,
    request: Request,
) -> Result<Response, Error> {
    let id = asked.id;
    let (mut parts, body) = request.into_parts();
    let shown = invoke_key::take(&mut parts.headers);
    let is_head = parts.method == Method::HEAD;
    let body = body::reader(&parts.headers, body, &http.tasks);
    let call = Call {
        id,
        tenant: target.tenant,
        function: target.function,
        version: target.version,
        chosen: asked.chosen,
        recorded_as: target.version.map(|_| RecordedKind::Test),
        trace: asked.trace,
        fields: fields::of_request(&parts)?,
        peer: client(asked.peer, &parts.headers, http.trust_proxy),
        secure: http.trust_proxy && is_forwarded_https(&parts.headers),
        caller: match target.version {
            // Whoever may name a version was asked for a key already.
            Some(_) => Caller::Trusted,
            None => Caller::Anybody(shown),
        },
        method: parts.method.as_str().to_owned(),
        target: target.rest,
        body,
    };
    let answer = http.app.dispatch.invoke(call).await?;
    respond(http, id, answer, is_head)
}

/// What a path of the data plane asks for.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    tenant: TenantId,
    function: FunctionName,
    /// The version that is tested.
    version: Option<u64>,
    /// Path and query for the function, as they were sent; begins with `/`.
    rest: String,
}

impl Target {
    /// Reads `/invoke/{function}…` and `/invoke/@{tenant}/{function}…`.
    ///
    /// # Errors
    /// `not_found` when no function is named, `invalid_name`, `fields_too_large`.
    fn of(uri: &Uri) -> Result<Self, Error> {
        check_length(uri)?;
        let path = uri.path().strip_prefix("/invoke").unwrap_or_default();
        let path = path.strip_prefix('/').unwrap_or_default();
        let (first, after_first) = segment(path);
        let (tenant, function, rest) = match first.strip_prefix('@') {
            Some(tenant) => {
                let tenant = tenant.parse().map_err(invalid_name)?;
                let path = after_first.strip_prefix('/').unwrap_or_default();
                let (function, rest) = segment(path);
                (tenant, function, rest)
            }
            None => (TenantId::default_tenant(), first, after_first),
        };
        if function.is_empty() && rest.is_empty() {
            let detail = "name a function: /invoke/FUNCTION or /invoke/@TENANT/FUNCTION";
            return Err(Error::new(Code::NotFound, detail));
        }
        Ok(Self {
            tenant,
            function: function.parse().map_err(invalid_name)?,
            version: None,
            rest: rest_of(rest, uri),
        })
    }

    /// Reads what follows `…/versions/{version}/test`.
    ///
    /// # Errors
    /// `fields_too_large`.
    fn of_test(
        tenant: TenantId,
        function: FunctionName,
        version: u64,
        uri: &Uri,
    ) -> Result<Self, Error> {
        check_length(uri)?;
        let mut rest = uri.path().strip_prefix('/').unwrap_or_default();
        for _ in 0..TEST_SEGMENTS {
            rest = rest.split_once('/').map_or("", |(_, rest)| rest);
        }
        Ok(Self {
            tenant,
            function,
            version: Some(version),
            rest: rest_of(&format!("/{rest}"), uri),
        })
    }
}

/// # Errors
/// `fields_too_large`.
fn check_length(uri: &Uri) -> Result<(), Error> {
    let target = uri.path_and_query();
    let target_bytes = target.map_or(0, |target| target.as_str().len());
    if target_bytes > limits::TARGET_BYTES_MAX {
        let max = limits::TARGET_BYTES_MAX;
        let detail = format!("the request target may have {max} bytes");
        return Err(Error::new(Code::FieldsTooLarge, detail));
    }
    Ok(())
}

/// Path and query for the function.
fn rest_of(path: &str, uri: &Uri) -> String {
    let mut rest = if path.is_empty() { "/" } else { path }.to_owned();
    if let Some(query) = uri.query() {
        rest.push('?');
        rest.push_str(query);
    }
    rest
}

/// The first segment of a path, decoded, and what follows it with its `/`, as it is.
fn segment(path: &str) -> (Cow<'_, str>, &str) {
    let end = path.find('/').unwrap_or(path.len());
    let (segment, rest) = path.split_at(end);
    if !segment.contains('%') {
        return (Cow::Borrowed(segment), rest);
    }
    (percent_decode_str(segment).decode_utf8_lossy(), rest)
}

fn invalid_name(error: crate::id::InvalidName) -> Error {
    Error::new(Code::InvalidName, error.to_string())
}

/// The client's address: the connection's, or what the proxy that it belongs to says.
///
/// Of `x-forwarded-for` only the last entry is the proxy's own; whoever sends a request can write
/// the others.
pub(super) fn peer(parts: &Parts, trust_proxy: bool) -> IpAddr {
    client(connected(&parts.extensions), &parts.headers, trust_proxy)
}

/// The other end of the connection that a request came on.
fn connected(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<Peer>().map(|peer| peer.0);
    peer.unwrap_or(IpAddr::from([0, 0, 0, 0]))
}

/// See [`peer`].
fn client(connected: IpAddr, headers: &HeaderMap, trust_proxy: bool) -> IpAddr {
    let connected = connected.to_canonical();
    if !trust_proxy {
        return connected;
    }
    let forwarded = last_entry(headers, "x-forwarded-for");
    forwarded.and_then(parse_address).unwrap_or(connected)
}

/// Reads an address with a port or without one.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>();
    let address = address.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

fn is_forwarded_https(headers: &HeaderMap) -> bool {
    last_entry(headers, "x-forwarded-proto").is_some_and(|text| text.eq_ignore_ascii_case("https"))
}

fn last_entry<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let last = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next().map(str::trim)
}

/// Makes an HTTP answer of a function's.
///
/// # Errors
/// `response_invalid` for a status or header that HTTP does not allow.
fn respond(
    http: &Http,
    id: InvocationId,
    answer: Answer,
    is_head: bool,
) -> Result<Response, Error> {
    let head = status(answer.status).and_then(|status| {
        let headers = fields::of_answer(&answer.fields)?;
        Ok((status, headers))
    });
    let (status, mut headers) = head.inspect_err(|error| answer.record.refuse(error))?;
    // For whole bodies the server counts; else the function's word is all there is.
    let length = headers.remove(CONTENT_LENGTH);
    let has_no_body = matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    );
    let (body, length) = match answer.body {
        AnswerBody::Whole(_) if has_no_body => (no_body(), None),
        AnswerBody::Whole(bytes) if is_head && bytes.is_empty() => (no_body(), length),
        AnswerBody::Whole(bytes) => (Body::from(bytes), None),
        AnswerBody::Streamed(stream) if has_no_body || is_head => {
            // The function goes on to its end, as it would for a client that wants the body.
            http.tasks.spawn(async move {
                let mut stream = pin!(stream);
                while let Some(Ok(_)) = stream.next().await {}
            });
            (no_body(), length.filter(|_| !has_no_body))
        }
        AnswerBody::Streamed(stream) => {
            let stream = stream.inspect_err(move |error| {
                tracing::debug!(invocation = %id, %error, "an answer broke off");
            });
            (Body::from_stream(stream), length)
        }
    };
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length);
    }
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// A body without bytes that does not say so beforehand: no length is announced for it.
fn no_body() -> Body {
    Body::from_stream(stream::empty::<Result<Bytes, std::io::Error>>())
}

fn status(number: u16) -> Result<StatusCode, Error> {
    let status = StatusCode::from_u16(number).ok();
    // What is below announces another answer, which a function cannot give.
    let status = status.filter(|status| !status.is_informational());
    status.ok_or_else(|| {
        let detail = format!("a status must be 200 to 999, not {number}");
        Error::new(Code::ResponseInvalid, detail)
    })
}

#[cfg(test)]
mod tests;
