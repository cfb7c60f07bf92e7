//! Errors as answers (RFC 9457), and the only table of codes and statuses.
//!
//! A problem is logged here, once, when it becomes an answer: that is the end of every error's
//! way. Its source is for that log; no body ever holds it.

use std::error::Error as _;
use std::fmt::Write as _;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::openapi::ExceptionBody;
use crate::deploy::from_store;
use crate::dispatch::Exception;
use crate::error::{Code, Error, Origin, RetryAfter};
use crate::id::{InvocationId, TenantId};
use crate::store;

/// When to come back after 429 and 503 where nothing better is known, in seconds.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The code of the problem that an answer is; an extension of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProblemCode(pub(super) Code);

/// An error on its way to the caller, with what is known about the request.
#[derive(Debug)]
pub(super) struct Problem {
    error: Error,
    invocation: Option<InvocationId>,
    tenant: Option<TenantId>,
    /// Boxed, because hardly any problem has one.
    exception: Option<Box<Exception>>,
}

impl Problem {
    /// The problem of an invocation; it answers with the invocation's id.
    pub(super) fn of_invocation(error: Error, id: InvocationId, tenant: Option<TenantId>) -> Self {
        Self {
            error,
            invocation: Some(id),
            tenant,
            exception: None,
        }
    }

    /// Says what was thrown: only for a caller who owns the function.
    pub(super) fn with_exception(mut self, exception: Option<Exception>) -> Self {
        self.exception = exception.map(Box::new);
        self
    }

    /// The problem with this code, told by its detail.
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::from(Error::new(code, detail))
    }

    fn body(&self) -> String {
        let (code, detail) = (self.error.code, &self.error.detail);
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        put("type", json!(format!("/errors/{code}")));
        put("title", json!(code.title()));
        put("status", json!(status_of(code).as_u16()));
        put("detail", json!(detail));
        if let Some(id) = self.invocation {
            put("instance", json!(format!("/invocations/{id}")));
        }
        put("code", json!(code.as_str()));
        put("origin", json!(code.origin().as_str()));
        put("message", json!(detail));
        if let Some(id) = self.invocation {
            put("invocation", json!(id.to_string()));
        }
        if let Some(exception) = &self.exception {
            let Exception {
                name,
                message,
                place,
            } = exception.as_ref().clone();
            let exception = ExceptionBody {
                name,
                message,
                place,
            };
            put("exception", json!(exception));
        }
        Value::Object(body).to_string()
    }

    /// When to come back: when that is known, else soon.
    fn retry_after(&self) -> HeaderValue {
        let known = self.error.source.as_ref();
        let known = known.and_then(|source| source.downcast_ref::<RetryAfter>());
        let seconds = known.map_or(RETRY_AFTER_SECONDS, |after| after.0.div_ceil(1000).max(1));
        HeaderValue::from(seconds)
    }

    fn log(&self) {
        let code = self.error.code.as_str();
        let detail = self.error.detail.as_str();
        let cause = self.causes();
        let invocation = self.invocation.map(tracing::field::display);
        let tenant = self.tenant.as_ref().map(tracing::field::display);
        match (self.error.code.origin(), self.error.code) {
            (Origin::Platform, Code::Internal | Code::StorageUnavailable) => {
                tracing::error!(code, invocation, tenant, detail, cause, "a request failed");
            }
            (Origin::Platform, _) => {
                tracing::warn!(
                    code,
                    invocation,
                    tenant,
                    detail,
                    cause,
                    "a request was refused"
                );
            }
            (Origin::Function, _) => {
                tracing::info!(code, invocation, tenant, detail, cause, "a function failed");
            }
            (Origin::Caller, _) => {
                tracing::debug!(
                    code,
                    invocation,
                    tenant,
                    detail,
                    cause,
                    "a request was refused"
                );
            }
        }
    }

    /// The chain of sources in one line; `None` without one.
    fn causes(&self) -> Option<String> {
        let mut source = self.error.source();
        let mut text = String::new();
        while let Some(cause) = source {
            let separator = if text.is_empty() { "" } else { ": " };
            let _ = write!(text, "{separator}{cause}");
            source = cause.source();
        }
        (!text.is_empty()).then_some(text)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self {
            error,
            invocation: None,
            tenant: None,
            exception: None,
        }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        Self::from(from_store(error))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.log();
        let status = status_of(self.error.code);
        let mut response = (status, self.body()).into_response();
        response
            .extensions_mut()
            .insert(ProblemCode(self.error.code));
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            headers.insert(RETRY_AFTER, self.retry_after());
        }
        response
    }
}

/// The HTTP status that a code answers with.
pub(super) fn status_of(code: Code) -> StatusCode {
    match code {
        Code::BadRequest
        | Code::InvalidName
        | Code::BodyIncomplete
        | Code::BodyInvalid
        | Code::ArchiveInvalid
        | Code::SettingsInvalid
        | Code::ScheduleInvalid => StatusCode::BAD_REQUEST,
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::ForeignOrigin | Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound
        | Code::FunctionNotFound
        | Code::VersionNotFound
        | Code::ScheduleNotFound
        | Code::TenantNotFound
        | Code::KeyNotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::VersionActive
        | Code::KindMismatch
        | Code::ScheduleBusy
        | Code::SchedulesExceeded
        | Code::TenantExists
        | Code::QuotaExceeded => StatusCode::CONFLICT,
        Code::BodyTooLarge | Code::ArchiveTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::EntryNotFound
        | Code::SyntaxError
        | Code::ModuleNotFound
        | Code::LoadThrew
        | Code::LoadExceeded
        | Code::HandlerMissing => StatusCode::UNPROCESSABLE_ENTITY,
        Code::TenantBusy | Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::FieldsTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        // The last five reach a function as exceptions first, or its log alone.
        Code::FunctionThrew
        | Code::StackExceeded
        | Code::ResponseTooLarge
        | Code::ResponseInvalid
        | Code::GuestCrashed
        | Code::Internal
        | Code::SubrequestsExceeded
        | Code::SocketsExceeded
        | Code::MessageTooLarge
        | Code::LogExceeded
        | Code::OperationsExceeded
        | Code::ResultInvalid => StatusCode::INTERNAL_SERVER_ERROR,
        Code::ServerBusy | Code::ShuttingDown | Code::StorageUnavailable | Code::StorageBusy => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Code::CpuExceeded | Code::WallExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::MemoryExceeded => StatusCode::INSUFFICIENT_STORAGE,
    }
}

#[cfg(test)]
mod tests;
