//! For whoever operates the server: health, readiness, status, and the pages on error codes.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::Http;
use super::problem::Problem;
use crate::app::EngineStatus;
use crate::dispatch::Counts;
use crate::error::Code;

macro_rules! pages {
    ($($code:ident,)*) => {
        &[$((
            stringify!($code),
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/docs/errors/",
                stringify!($code),
                ".md"
            )),
        ),)*]
    };
}

/// The page on each code, `docs/errors/<code>.md`.
const PAGES: &[(&str, &str)] = pages!(
    bad_request,
    unauthorized,
    foreign_origin,
    not_found,
    method_not_allowed,
    invalid_name,
    function_not_found,
    version_not_found,
    version_active,
    body_too_large,
    body_incomplete,
    request_timeout,
    fields_too_large,
    body_invalid,
    tenant_busy,
    archive_invalid,
    archive_too_large,
    settings_invalid,
    entry_not_found,
    syntax_error,
    module_not_found,
    load_threw,
    load_exceeded,
    handler_missing,
    function_threw,
    cpu_exceeded,
    wall_exceeded,
    memory_exceeded,
    stack_exceeded,
    response_too_large,
    response_invalid,
    subrequests_exceeded,
    log_exceeded,
    operations_exceeded,
    guest_crashed,
    server_busy,
    shutting_down,
    storage_unavailable,
    storage_busy,
    internal,
    sockets_exceeded,
    message_too_large,
    kind_mismatch,
    result_invalid,
    schedule_invalid,
    schedule_not_found,
    schedule_busy,
    schedules_exceeded,
    forbidden,
    tenant_not_found,
    tenant_exists,
    key_not_found,
    quota_exceeded,
    rate_limited,
);

/// `GET /healthz`: whether the process serves at all.
pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// `GET /readyz`: whether it should be sent requests.
pub(super) async fn readyz(State(http): State<Arc<Http>>) -> Result<&'static str, Problem> {
    if http.app.is_draining() {
        let detail = "requests in progress are finished, new ones belong elsewhere";
        return Err(Problem::new(Code::ShuttingDown, detail));
    }
    Ok("ok")
}

/// What the server is and does.
#[derive(Serialize, ToSchema)]
#[schema(as = Status)]
pub(super) struct StatusBody {
    /// The version of the server.
    version: &'static str,
    engine: EngineStatus,
    invocations: Counts,
}

/// `GET /api/v1/status`
#[utoipa::path(
    get,
    path = "/status",
    operation_id = "show_status",
    tag = "server",
    summary = "Show what the server is and does",
    responses((status = 200, description = "The status", body = StatusBody))
)]
pub(super) async fn status(State(http): State<Arc<Http>>) -> Json<StatusBody> {
    Json(StatusBody {
        version: env!("CARGO_PKG_VERSION"),
        engine: http.app.engine_status(),
        invocations: http.app.dispatch.counts(),
    })
}

/// `GET /errors/{code}`: where the `type` of every problem leads.
pub(super) async fn error_page(
    code: Result<Path<String>, PathRejection>,
) -> Result<impl IntoResponse, Problem> {
    // A path that is not UTF-8 names no code.
    let code = code.map(|code| code.0).unwrap_or_default();
    let page = PAGES.iter().find(|(name, _)| *name == code);
    let (_, text) =
        page.ok_or_else(|| Problem::new(Code::NotFound, "there is no such error code"))?;
    Ok(([(CONTENT_TYPE, "text/markdown; charset=utf-8")], *text))
}

#[cfg(test)]
mod tests;
