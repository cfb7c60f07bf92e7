//! The functions of a tenant: list, look at, delete.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::Http;
use super::path::{OfFunction, OfTenant};
use super::problem::Problem;
use super::versions::VersionBody;
use crate::error::Code;
use crate::id::FunctionName;
use crate::store::FunctionSummary;

/// A function, with what its active version has.
#[derive(Serialize, ToSchema)]
#[schema(as = Function)]
pub(super) struct FunctionBody {
    name: FunctionName,
    /// The number of the active version; null while there is none.
    active_version: Option<u64>,
    /// How many versions are kept.
    versions: u64,
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
    fn name() -> std::borrow::Cow<'static, str> {
        "ActiveVersion".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        VersionBody::schemas(schemas);
    }
}

impl FunctionBody {
    fn of(summary: &FunctionSummary) -> Self {
        let active = summary.active.as_ref();
        Self {
            name: summary.function.clone(),
            active_version: active.map(|active| active.version),
            versions: summary.versions,
            active: ActiveBody(active.map(|active| VersionBody::of(active, true))),
        }
    }
}

/// The functions of a tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = Functions)]
pub(super) struct FunctionsBody {
    functions: Vec<FunctionBody>,
}

/// `GET …/functions`: every function of a tenant, with its active version.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions",
    operation_id = "list_functions",
    tag = "functions",
    summary = "List the functions of a tenant, by name",
    params(OfTenant),
    responses((status = 200, description = "The functions", body = FunctionsBody))
)]
pub(super) async fn list(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
) -> Result<Json<FunctionsBody>, Problem> {
    let functions = http.app.store.functions();
    let summaries = http.blocking(move || functions.list(&tenant)).await??;
    let functions = summaries.iter().map(FunctionBody::of).collect();
    Ok(Json(FunctionsBody { functions }))
}

/// `GET …/functions/{function}`: the active version.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}",
    operation_id = "show_function",
    tag = "functions",
    summary = "Show the active version of a function",
    params(OfFunction),
    responses((status = 200, description = "The active version", body = VersionBody))
)]
pub(super) async fn show(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
) -> Result<Json<VersionBody>, Problem> {
    let functions = http.app.store.functions();
    if let Some(active) = functions.active(&tenant, &function)? {
        return Ok(Json(VersionBody::of(&active, true)));
    }
    // Without an active version there may still be others; without any this is the error.
    http.blocking(move || functions.versions(&tenant, &function))
        .await??;
    let detail = "no version of this function is active: activate one";
    Err(Problem::new(Code::VersionNotFound, detail))
}

/// `DELETE …/functions/{function}`: with all versions and lines of its log.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/functions/{function}",
    operation_id = "delete_function",
    tag = "functions",
    summary = "Delete a function with all its versions and its log",
    params(OfFunction),
    responses((status = 204, description = "It is gone"))
)]
pub(super) async fn delete(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
) -> Result<StatusCode, Problem> {
    let functions = http.app.store.functions();
    functions.delete_function(&tenant, &function).await?;
    Ok(StatusCode::NO_CONTENT)
}
