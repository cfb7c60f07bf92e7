//! Calling event functions: an event in, its result out, both JSON.
//!
//! The event is the whole request body, and the result's text goes into the answer as the
//! function made it: the server parses neither, so the order of keys and the text of numbers
//! survive.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoResponses, ToSchema};

use super::Http;
use super::body::Unread;
use super::invoke::{peer, sign, trace_of};
use super::openapi::ProblemBody;
use super::path::{OfFunction, OfVersion};
use super::problem::Problem;
use crate::clock;
use crate::dispatch::{Call, Caller, Completed, Cost, Exception};
use crate::error::Error;
use crate::id::{FunctionName, InvocationId, TenantId};
use crate::kind::Kind;
use crate::store::{Level, LogLine, RecordedKind};

/// What an event function answered, and what that took.
#[derive(Serialize, ToSchema)]
#[schema(as = EventAnswer)]
pub(super) struct AnswerBody {
    /// The result as JSON; null for `undefined`. At most `response_body_bytes` of the function's
    /// limits, nested at most 100 deep.
    result: Value,
    /// What the invocation logged, oldest first.
    logs: Vec<LogBody>,
    /// From the request's arrival to the end of the invocation, in milliseconds.
    duration_ms: f64,
    cost: CostBody,
    /// Whether no other invocation has had this version since it came into memory.
    cold: bool,
    /// The invocation's id, by which the function's log can be read.
    invocation: String,
}

/// A line that an invocation logged.
#[derive(Serialize, ToSchema)]
#[schema(as = EventLog)]
struct LogBody {
    level: Level,
    message: String,
    /// Unix time in milliseconds.
    timestamp_ms: u64,
}

/// What an invocation used of its function's limits.
#[derive(Serialize, ToSchema)]
#[schema(as = EventCost)]
struct CostBody {
    /// WebAssembly instructions.
    fuel: u64,
    /// Memory above the function's own snapshot, at its highest, in bytes.
    memory_bytes: u64,
    /// Calls of host functions.
    host_calls: u64,
    /// Subrequests begun.
    subrequests: u32,
}

impl From<Cost> for CostBody {
    fn from(cost: Cost) -> Self {
        Self {
            fuel: cost.fuel,
            memory_bytes: cost.memory_bytes,
            host_calls: cost.host_calls,
            subrequests: cost.subrequests,
        }
    }
}

impl From<LogLine> for LogBody {
    fn from(line: LogLine) -> Self {
        Self {
            level: line.level,
            message: line.message,
            timestamp_ms: line.timestamp_ms,
        }
    }
}

/// How a call of an event function ends without a result.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers, which are made as problems")]
enum NoResult {
    /// `kind_mismatch`
    #[response(status = 409, content_type = "application/problem+json")]
    KindMismatch(ProblemBody),
    /// The function threw (`exception` says what), or has no result that can be answered
    #[response(status = 500, content_type = "application/problem+json")]
    Failed(ProblemBody),
    /// `wall_exceeded` or `cpu_exceeded`
    #[response(status = 504, content_type = "application/problem+json")]
    TookTooLong(ProblemBody),
    /// `memory_exceeded`
    #[response(status = 507, content_type = "application/problem+json")]
    MemoryExceeded(ProblemBody),
}

/// `POST …/functions/{function}/invoke`: calls an event function.
///
/// The body is the event itself, nested at most 100 deep; without a body the event is `{}`. The
/// answer comes when the invocation is over.
///
/// # Cancel safety
/// Dropping it ends the invocation.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/functions/{function}/invoke",
    operation_id = "call_event_function",
    tag = "events",
    summary = "Call an event function, and answer its result",
    params(OfFunction),
    request_body(
        content = Option<Value>,
        content_type = "application/json",
        description = "The event: at most `request_body_bytes` of the function's limits"
    ),
    responses(
        (status = 200, description = "The result, and what it took", body = AnswerBody),
        NoResult,
    )
)]
pub(super) async fn call(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    request: Request,
) -> Response {
    respond_to(&http, (tenant, function, None), request).await
}

/// `POST …/functions/{function}/versions/{version}/invoke`: calls a version of an event function
/// that need not be active.
///
/// # Cancel safety
/// As [`call`].
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/functions/{function}/versions/{version}/invoke",
    operation_id = "call_event_version",
    tag = "events",
    summary = "Call a version of an event function, active or not",
    params(OfVersion),
    request_body(
        content = Option<Value>,
        content_type = "application/json",
        description = "The event: at most `request_body_bytes` of the function's limits"
    ),
    responses(
        (status = 200, description = "The result, and what it took", body = AnswerBody),
        NoResult,
    )
)]
pub(super) async fn test(
    State(http): State<Arc<Http>>,
    OfVersion(tenant, function, version): OfVersion,
    request: Request,
) -> Response {
    respond_to(&http, (tenant, function, Some(version)), request).await
}

async fn respond_to(
    http: &Http,
    (tenant, function, version): (TenantId, FunctionName, Option<u64>),
    request: Request,
) -> Response {
    let id = InvocationId::new(clock::now_ms());
    let chosen = Arc::new(AtomicU64::new(0));
    let (parts, body) = request.into_parts();
    let body = Unread::new(&parts.headers, body, http.tasks.clone());
    let call = Call {
        id,
        tenant: tenant.clone(),
        function,
        version,
        chosen: Arc::clone(&chosen),
        method: parts.method.to_string(),
        target: "/".to_owned(),
        recorded_as: version.map(|_| RecordedKind::Test),
        trace: trace_of(id, &parts.headers),
        // The key to the control plane is among the request's: none of them are the function's.
        fields: Vec::new(),
        peer: peer(&parts, http.trust_proxy),
        secure: false,
        caller: Caller::Trusted,
        body: Box::new(|bytes_max| body.read(bytes_max).boxed()),
    };
    let completed = http.app.dispatch.complete(Kind::Event, call).await;
    let mut response = answer(id, completed).unwrap_or_else(|(error, exception)| {
        Problem::of_invocation(error, id, Some(tenant))
            .with_exception(exception)
            .into_response()
    });
    sign(response.headers_mut(), id, &chosen);
    response
}

type Refused = (Error, Option<Exception>);

fn answer(id: InvocationId, completed: Result<Completed, Error>) -> Result<Response, Refused> {
    let completed = completed.map_err(|error| (error, None))?;
    let result = completed
        .result
        .map_err(|failed| (failed.error, failed.exception))?;
    let rest = AnswerBody {
        result: Value::Null,
        logs: completed.logs.into_iter().map(LogBody::from).collect(),
        duration_ms: completed.duration.as_secs_f64() * 1000.0,
        cost: completed.cost.into(),
        cold: completed.cold,
        invocation: id.to_string(),
    };
    let rest = serde_json::to_vec(&rest).map_err(|error| (Error::internal(error), None))?;
    let body = with_result(&result, &rest);
    let json = HeaderValue::from_static("application/json");
    Ok((StatusCode::OK, [(CONTENT_TYPE, json)], body).into_response())
}

/// Puts the result's text in the place of the `null` that stands for it.
fn with_result(result: &[u8], answer: &[u8]) -> Vec<u8> {
    const BEFORE: &[u8] = b"{\"result\":";
    let after = answer
        .get(BEFORE.len() + "null".len()..)
        .unwrap_or_default();
    [BEFORE, result, after].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_put_in_as_it_is() {
        let answer = AnswerBody {
            result: Value::Null,
            logs: Vec::new(),
            duration_ms: 1.5,
            cost: Cost::default().into(),
            cold: true,
            invocation: "id".to_owned(),
        };
        let answer = serde_json::to_vec(&answer).unwrap();
        let whole = String::from_utf8(with_result(b"{\"b\":1.0,\"a\":1e2}", &answer)).unwrap();
        assert!(
            whole.starts_with(r#"{"result":{"b":1.0,"a":1e2},"logs":[],"#),
            "{whole}"
        );
        let parsed: Value = serde_json::from_str(&whole).unwrap();
        assert_eq!(parsed["cold"], true);
    }
}
