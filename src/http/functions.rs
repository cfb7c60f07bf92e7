//! The functions of a tenant: list, look at, change, roll back, split, delete.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::Http;
use super::etag::{Tagged, expected, fresh};
use super::json;
use super::openapi::ProblemBody;
use super::path::{OfFunction, OfTenant};
use super::problem::Problem;
use super::versions::VersionBody;
use crate::error::Code;
use crate::id::{FunctionName, TenantId};
use crate::limits;
use crate::store::{FunctionChange, FunctionSummary, Split};

/// A function, with what its active version has.
#[derive(Serialize, ToSchema)]
#[schema(as = Function)]
pub(super) struct FunctionBody {
    name: FunctionName,
    /// The number of the active version; null while there is none.
    active_version: Option<u64>,
    /// How many versions are kept.
    versions: u64,
    /// The version that rolling back would activate.
    previous_version: Option<u64>,
    /// The version that answers a part of the invocations.
    split: Option<SplitBody>,
    /// What it is, for people.
    description: String,
    /// Whether it may be invoked.
    enabled: bool,
    #[serde(flatten)]
    active: ActiveBody,
}

/// The active version of a function, if there is one.
#[derive(Serialize)]
#[serde(transparent)]
struct ActiveBody(Option<VersionBody>);

impl PartialSchema for ActiveBody {
    /// A version none of whose members has to be there.
    fn schema() -> RefOr<Schema> {
        let mut schema = VersionBody::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.required.clear();
        }
        schema
    }
}

impl ToSchema for ActiveBody {
    fn name() -> Cow<'static, str> {
        "ActiveVersion".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        VersionBody::schemas(schemas);
    }
}

/// A version that answers a part of the invocations; the active one answers the others.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Split)]
pub(super) struct SplitBody {
    /// Another version than the active one.
    #[schema(minimum = 1)]
    version: u64,
    /// How many of a hundred invocations it answers.
    #[schema(minimum = 1, maximum = 99)]
    weight_percent: u8,
}

impl SplitBody {
    fn of(split: Split) -> Self {
        Self {
            version: split.version,
            weight_percent: split.weight_percent,
        }
    }
}

/// Settings of a function; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FunctionChange)]
pub(super) struct ChangeBody {
    /// What it is, for people: at most 4 KiB.
    #[schema(max_length = 4096)]
    description: Option<String>,
    /// Whether it may be invoked; otherwise it answers as if it were not there.
    enabled: Option<bool>,
}

impl FunctionBody {
    pub(super) fn of(summary: &FunctionSummary) -> Self {
        let active = summary.active.as_ref();
        Self {
            name: summary.function.clone(),
            active_version: active.map(|active| active.version),
            versions: summary.versions,
            previous_version: summary.previous,
            split: summary.split.map(SplitBody::of),
            description: summary.description.clone(),
            enabled: summary.enabled,
            active: ActiveBody(active.map(|active| VersionBody::of(active, true))),
        }
    }
}

/// The functions of a tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = Functions)]
pub(super) struct FunctionsBody {
    functions: Vec<FunctionBody>,
    /// Where the next page begins; null after the last one.
    cursor: Option<FunctionName>,
}

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// How many functions: 1 to 1,000, which is what there is without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The cursor of the page before.
    cursor: Option<FunctionName>,
}

/// `GET …/functions`: every function of a tenant, with its active version.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions",
    operation_id = "list_functions",
    tag = "functions",
    summary = "List the functions of a tenant, by name",
    params(OfTenant, Wanted),
    responses((status = 200, description = "The functions", body = FunctionsBody))
)]
pub(super) async fn list(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
    uri: Uri,
) -> Result<Json<FunctionsBody>, Problem> {
    let wanted = Query::<Wanted>::try_from_uri(&uri);
    let wanted = wanted.map_err(|error| Problem::new(Code::BadRequest, error.body_text()))?;
    let Wanted { limit, cursor } = wanted.0;
    let limit = page_limit(limit)?;
    let functions = http.app.store.functions();
    let summaries = http
        .blocking(move || functions.list(&tenant, cursor.as_ref(), limit))
        .await??;
    let last = summaries.last().filter(|_| summaries.len() == limit);
    Ok(Json(FunctionsBody {
        cursor: last.map(|last| last.function.clone()),
        functions: summaries.iter().map(FunctionBody::of).collect(),
    }))
}

/// How many things a page has.
///
/// # Errors
/// `bad_request` outside of 1 to [`limits::PAGE_MAX`].
pub(super) fn page_limit(asked: Option<usize>) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(limits::PAGE_MAX);
    if (1..=limits::PAGE_MAX).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("limit must be 1 to {}, not {limit}", limits::PAGE_MAX);
    Err(Problem::new(Code::BadRequest, detail))
}

/// `GET …/functions/{function}`: a function, with its active version.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}",
    operation_id = "show_function",
    tag = "functions",
    summary = "Show a function with its active version",
    params(OfFunction, ("if-none-match" = Option<String>, Header)),
    responses(
        (
            status = 200, description = "The function", body = FunctionBody,
            headers(("etag" = String, description = "For `If-Match` of changes"))
        ),
        (status = 304, description = "It is as `If-None-Match` says"),
    )
)]
pub(super) async fn show(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let functions = http.app.store.functions();
    let summary = http
        .blocking(move || functions.show(&tenant, &function))
        .await??;
    let body = Json(FunctionBody::of(&summary));
    fresh(&headers, summary.tag, body)
}

/// `PATCH …/functions/{function}`: what it is besides its versions.
#[utoipa::path(
    patch,
    path = "/tenants/{tenant}/functions/{function}",
    operation_id = "change_function",
    tag = "functions",
    summary = "Describe, enable or disable a function",
    params(OfFunction, ("if-match" = Option<String>, Header)),
    request_body = ChangeBody,
    responses(
        (status = 200, description = "The function", body = FunctionBody),
        (
            status = 412, description = "`precondition_failed`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn change(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    request: Request,
) -> Result<Tagged<Json<FunctionBody>>, Problem> {
    let (parts, body): (_, ChangeBody) =
        json::read_with_head(&http, request, limits::JSON_BODY_BYTES_MAX).await?;
    let bytes = body.description.as_ref().map_or(0, String::len);
    if bytes > limits::DESCRIPTION_BYTES_MAX {
        let max = limits::DESCRIPTION_BYTES_MAX;
        let detail = format!("a description may have {max} bytes, not {bytes}");
        return Err(Problem::new(Code::BodyInvalid, detail));
    }
    let change = FunctionChange {
        description: body.description,
        enabled: body.enabled,
        split: None,
    };
    apply(&http, tenant, function, change, &parts.headers).await
}

/// `POST …/functions/{function}/rollback`: back to what was active before.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/functions/{function}/rollback",
    operation_id = "roll_back_function",
    tag = "functions",
    summary = "Activate the version that was active before",
    params(OfFunction, ("if-match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The version, active now", body = VersionBody),
        (
            status = 412, description = "`precondition_failed`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn roll_back(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    headers: HeaderMap,
) -> Result<Tagged<Json<VersionBody>>, Problem> {
    let expected = expected(&headers)?;
    let functions = http.app.store.functions();
    let stored = functions.roll_back(&tenant, &function, expected).await?;
    let body = VersionBody::of(&stored.deployment, stored.active);
    Ok(Tagged(stored.tag, Json(body)))
}

/// `PUT …/functions/{function}/split`: another version answers a part of the invocations.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/functions/{function}/split",
    operation_id = "split_function",
    tag = "functions",
    summary = "Let another version answer a part of the invocations",
    params(OfFunction, ("if-match" = Option<String>, Header)),
    request_body = SplitBody,
    responses(
        (status = 200, description = "The function", body = FunctionBody),
        (
            status = 412, description = "`precondition_failed`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn split(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    request: Request,
) -> Result<Tagged<Json<FunctionBody>>, Problem> {
    let (parts, body): (_, SplitBody) =
        json::read_with_head(&http, request, limits::JSON_BODY_BYTES_MAX).await?;
    let split = Split {
        version: body.version,
        weight_percent: body.weight_percent,
    };
    let change = FunctionChange {
        split: Some(Some(split)),
        ..FunctionChange::default()
    };
    apply(&http, tenant, function, change, &parts.headers).await
}

/// `DELETE …/functions/{function}/split`: the active version answers all invocations again.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/functions/{function}/split",
    operation_id = "end_split",
    tag = "functions",
    summary = "Let the active version answer all invocations again",
    params(OfFunction, ("if-match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The function", body = FunctionBody),
        (
            status = 412, description = "`precondition_failed`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn end_split(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    headers: HeaderMap,
) -> Result<Tagged<Json<FunctionBody>>, Problem> {
    let change = FunctionChange {
        split: Some(None),
        ..FunctionChange::default()
    };
    apply(&http, tenant, function, change, &headers).await
}

async fn apply(
    http: &Http,
    tenant: TenantId,
    function: FunctionName,
    change: FunctionChange,
    headers: &HeaderMap,
) -> Result<Tagged<Json<FunctionBody>>, Problem> {
    let expected = expected(headers)?;
    let functions = http.app.store.functions();
    let summary = functions
        .change(&tenant, &function, change, expected)
        .await?;
    let body = Json(FunctionBody::of(&summary));
    Ok(Tagged(summary.tag, body))
}

/// `DELETE …/functions/{function}`: with all versions and lines of its log.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/functions/{function}",
    operation_id = "delete_function",
    tag = "functions",
    summary = "Delete a function with all its versions and its log",
    params(OfFunction, ("if-match" = Option<String>, Header)),
    responses(
        (status = 204, description = "It is gone"),
        (
            status = 412, description = "`precondition_failed`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn delete(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = expected(&headers)?;
    let functions = http.app.store.functions();
    functions
        .delete_function(&tenant, &function, expected)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
