//! Tenants: made, looked at, changed, deleted with all that they have.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::json::{JsonBody, object, present};
use super::keys::check_label;
use super::openapi::ProblemBody;
use super::path::OfTenant;
use super::problem::Problem;
use super::query::Query;
use crate::dispatch::TenantCounts;
use crate::id::TenantId;
use crate::store::{self, QuotaChange, Quotas, TenantChange, TenantUsage};

/// A tenant that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantRequest {
    /// Its name in paths.
    tenant: TenantId,
    /// Its name for people: 1 to 200 bytes.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"
    )]
    display_name: Option<String>,
    /// What it may use at most.
    #[serde(default, deserialize_with = "object")]
    quotas: Quotas,
}

/// What is to be changed of a tenant; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub(super) struct TenantPatch {
    /// Its name for people: 1 to 200 bytes; `null` takes it away.
    #[serde(deserialize_with = "present")]
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 200,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"
    )]
    display_name: Option<Option<String>>,
    /// What it may use at most; `null` in place of a number takes a quota away.
    #[serde(deserialize_with = "object")]
    quotas: QuotaChange,
}

/// A tenant.
#[derive(Serialize, ToSchema)]
pub(super) struct Tenant {
    /// Its name in paths.
    tenant: TenantId,
    /// Its name for people.
    display_name: Option<String>,
    /// When it came into being, Unix time in milliseconds.
    created_ms: u64,
    /// What it may use at most; what is absent is bounded by the server alone.
    quotas: Quotas,
}

/// A tenant, and what it uses.
#[derive(Serialize, ToSchema)]
pub(super) struct TenantDetails {
    #[serde(flatten)]
    tenant: Tenant,
    usage: Usage,
}

/// What a tenant has, and what it has used since the server was started.
#[derive(Serialize, ToSchema)]
pub(super) struct Usage {
    /// Functions.
    functions: u64,
    /// Bytes in `kv`, keys and values together.
    kv_bytes: u64,
    /// API keys.
    keys: u64,
    /// Invocations that run now.
    running: u64,
    /// Invocations that were let in since the server was started.
    invocations: u64,
    /// Requests that were refused because of a quota since the server was started.
    refused: u64,
    /// Fuel that invocations have used since the server was started.
    fuel: u64,
    /// Outbound requests since the server was started.
    subrequests: u64,
}

/// Some tenants.
#[derive(Serialize, ToSchema)]
pub(super) struct TenantPage {
    tenants: Vec<Tenant>,
    /// What to give as `cursor` for those that follow; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Which tenants are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TenantQuery {
    /// Most tenants to answer; 100 otherwise.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `cursor` of the answer before.
    cursor: Option<TenantId>,
}

impl From<&store::Tenant> for Tenant {
    fn from(tenant: &store::Tenant) -> Self {
        Self {
            tenant: tenant.tenant.clone(),
            display_name: tenant.display_name.clone(),
            created_ms: tenant.created_ms,
            quotas: tenant.quotas,
        }
    }
}

impl Usage {
    fn new(stored: TenantUsage, counts: TenantCounts) -> Self {
        Self {
            functions: stored.functions,
            kv_bytes: stored.kv_bytes,
            keys: stored.keys,
            running: counts.running,
            invocations: counts.invocations,
            refused: counts.refused,
            fuel: counts.fuel,
            subrequests: counts.subrequests,
        }
    }
}

/// Makes a tenant.
#[utoipa::path(
    post,
    path = "/tenants",
    operation_id = "createTenant",
    tag = "tenants",
    request_body = TenantRequest,
    responses(
        (status = 201, description = "The tenant", body = Tenant),
        (status = 409, description = "`tenant_exists`, `quota_exceeded`",
            body = ProblemBody, content_type = "application/problem+json")
    )
)]
pub(super) async fn create(
    State(http): State<Arc<Http>>,
    JsonBody(body): JsonBody<TenantRequest>,
) -> Result<(StatusCode, Json<Tenant>), Problem> {
    if let Some(name) = &body.display_name {
        check_label("display_name", name)?;
    }
    let tenants = http.app.store.tenants();
    let made = tenants
        .create(body.tenant, body.display_name, body.quotas)
        .await?;
    Ok((StatusCode::CREATED, Json(Tenant::from(&*made))))
}

/// The tenants of this server, by name.
#[utoipa::path(
    get,
    path = "/tenants",
    operation_id = "listTenants",
    tag = "tenants",
    params(TenantQuery),
    responses((status = 200, description = "Some tenants", body = TenantPage))
)]
pub(super) async fn list(
    State(http): State<Arc<Http>>,
    Query(query): Query<TenantQuery>,
) -> Result<Json<TenantPage>, Problem> {
    let limit = super::query::limit(query.limit)?;
    let found = http.app.store.tenants().list(query.cursor.as_ref(), limit);
    let last = found.last().filter(|_| found.len() == limit);
    Ok(Json(TenantPage {
        cursor: last.map(|tenant| tenant.tenant.to_string()),
        tenants: found.iter().map(|tenant| Tenant::from(&**tenant)).collect(),
    }))
}

/// One tenant, and what it uses.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}",
    operation_id = "getTenant",
    tag = "tenants",
    params(OfTenant),
    responses((status = 200, description = "The tenant", body = TenantDetails))
)]
pub(super) async fn show(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
) -> Result<Json<TenantDetails>, Problem> {
    let tenants = http.app.store.tenants();
    let found = tenants.get(&tenant).ok_or(store::Error::TenantNotFound)?;
    let counts = http.app.dispatch.tenant_counts(&tenant);
    let stored = http.blocking(move || tenants.usage(&tenant)).await??;
    Ok(Json(TenantDetails {
        tenant: Tenant::from(&*found),
        usage: Usage::new(stored, counts),
    }))
}

/// Changes a tenant's name for people or its quotas; both are in force at once.
#[utoipa::path(
    patch,
    path = "/tenants/{tenant}",
    operation_id = "changeTenant",
    tag = "tenants",
    params(OfTenant),
    request_body = TenantPatch,
    responses((status = 200, description = "The tenant as it is now", body = Tenant))
)]
pub(super) async fn change(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
    JsonBody(body): JsonBody<TenantPatch>,
) -> Result<Json<Tenant>, Problem> {
    if let Some(Some(name)) = &body.display_name {
        check_label("display_name", name)?;
    }
    let change = TenantChange {
        display_name: body.display_name,
        quotas: body.quotas,
    };
    let changed = http.app.store.tenants().change(&tenant, change).await?;
    Ok(Json(Tenant::from(&*changed)))
}

/// Deletes a tenant with its functions, kv, logs, keys and all else that it has.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}",
    operation_id = "deleteTenant",
    tag = "tenants",
    params(OfTenant),
    responses((status = 204, description = "The tenant is no more"))
)]
pub(super) async fn delete(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
) -> Result<StatusCode, Problem> {
    let tenants = http.app.store.tenants();
    // Also when the client does not wait for the end.
    let deleting = http
        .tasks
        .spawn(async move { tenants.delete(&tenant).await });
    let deleted = deleting.await;
    deleted.map_err(|error| Problem::from(crate::error::Error::internal(error)))??;
    Ok(StatusCode::NO_CONTENT)
}
