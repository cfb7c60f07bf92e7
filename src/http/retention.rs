//! How long the records and log lines of a function are kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::invocations::must_exist;
use super::path::OfFunction;
use super::problem::Problem;
use super::{Http, json};
use crate::error::Code;
use crate::limits::{INVOCATIONS_KEPT_MAX, RETENTION_MS_MAX};
use crate::store::{Retention, RetentionSet};

/// Most bytes of a body.
const BODY_BYTES_MAX: usize = 4096;

/// What to keep. What is left out or `null` is the server's default.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionBody {
    /// Records and lines older than this many milliseconds are deleted.
    #[schema(minimum = 1, maximum = 315_360_000_000_u64)]
    #[serde(default)]
    keep_ms: Option<u64>,
    /// Records beyond this many are deleted, the oldest first.
    #[schema(minimum = 1, maximum = 1_000_000)]
    #[serde(default)]
    keep_count: Option<u64>,
}

/// What is kept.
#[derive(Serialize, ToSchema)]
pub(super) struct RetentionView {
    /// Records and lines older than this many milliseconds are deleted.
    keep_ms: u64,
    /// Records beyond this many are deleted, the oldest first.
    keep_count: u64,
    /// What of it is set for this function; the rest is the server's default.
    set: RetentionBody,
}

/// Shows what is kept of a function's invocations.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}/retention",
    operation_id = "get_retention",
    tag = "logs",
    params(OfFunction),
    responses(
        (status = 200, description = "What is kept", body = RetentionView),
    )
)]
pub(super) async fn show(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
) -> Result<Json<RetentionView>, Problem> {
    must_exist(&http, &tenant, &function).await?;
    let invocations = http.app.store.invocations();
    let kept = http.blocking(move || invocations.retention(&tenant, &function));
    Ok(Json(view(kept.await??)))
}

/// Sets what is kept of a function's invocations, and answers it. What is too much then is deleted
/// soon after, in the background.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/functions/{function}/retention",
    operation_id = "put_retention",
    tag = "logs",
    params(OfFunction),
    request_body = RetentionBody,
    responses(
        (status = 200, description = "What is kept from now on", body = RetentionView),
    )
)]
pub(super) async fn put(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    request: Request,
) -> Result<Json<RetentionView>, Problem> {
    let body: RetentionBody = json::read(&http, request, BODY_BYTES_MAX).await?;
    let keep_ms = within("keep_ms", body.keep_ms, RETENTION_MS_MAX)?;
    let keep_count = within("keep_count", body.keep_count, INVOCATIONS_KEPT_MAX)?;
    let set = RetentionSet {
        keep_ms,
        keep_count,
    };
    let invocations = http.app.store.invocations();
    invocations.set_retention(&tenant, &function, set).await?;
    let kept = http.blocking(move || invocations.retention(&tenant, &function));
    Ok(Json(view(kept.await??)))
}

fn within(name: &str, value: Option<u64>, max: u64) -> Result<Option<u64>, Problem> {
    if value.is_some_and(|value| value < 1 || value > max) {
        let detail = format!("{name} must be 1 to {max}");
        return Err(Problem::new(Code::BadRequest, detail));
    }
    Ok(value)
}

fn view((set, kept): (RetentionSet, Retention)) -> RetentionView {
    RetentionView {
        keep_ms: kept.keep_ms,
        keep_count: kept.keep_count,
        set: RetentionBody {
            keep_ms: set.keep_ms,
            keep_count: set.keep_count,
        },
    }
}
