//! API keys: made, listed, revoked. The token of a key is in one answer only, when it is made.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::auth::Principal;
use super::json::JsonBody;
use super::openapi::ProblemBody;
use super::path::{OfKey, OfTenant, OfTenantKey};
use super::problem::Problem;
use super::query::Query;
use crate::error::Code;
use crate::id::{FunctionName, KeyId, TenantId};
use crate::store::{KeyInfo, NewKey, Scope};
use crate::{clock, limits};

/// A key that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRequest {
    /// What to call it: 1 to 200 bytes.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"
    )]
    name: String,
    /// The tenant that it is for; without one it is for all tenants.
    tenant: Option<TenantId>,
    /// What it is good for.
    #[schema(min_items = 1)]
    scopes: BTreeSet<Scope>,
    /// The only function that it invokes; its scopes are `invoke` alone then.
    function: Option<FunctionName>,
    /// From when on it is refused, Unix time in milliseconds; without it, never.
    expires_ms: Option<u64>,
}

/// A key of a tenant that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantKeyRequest {
    /// What to call it: 1 to 200 bytes.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"
    )]
    name: String,
    /// What it is good for.
    #[schema(min_items = 1)]
    scopes: BTreeSet<Scope>,
    /// The only function that it invokes; its scopes are `invoke` alone then.
    function: Option<FunctionName>,
    /// From when on it is refused, Unix time in milliseconds; without it, never.
    expires_ms: Option<u64>,
}

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct Key {
    /// Its id.
    id: String,
    /// What its owner calls it.
    name: String,
    /// The tenant that it is for; `null` for all.
    tenant: Option<TenantId>,
    /// What it is good for.
    scopes: BTreeSet<Scope>,
    /// The only function that it invokes.
    function: Option<FunctionName>,
    /// When it was made, Unix time in milliseconds.
    created_ms: u64,
    /// Who made it: `root`, `loopback` or the id of a key.
    created_by: String,
    /// From when on it is refused.
    expires_ms: Option<u64>,
    /// When it was last used, to within ten minutes.
    last_used_ms: Option<u64>,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub(super) struct NewKeyAnswer {
    #[serde(flatten)]
    key: Key,
    /// The key itself, to be sent as `Authorization: Bearer …`. Nobody can have it again.
    token: String,
}

/// Some keys.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyPage {
    keys: Vec<Key>,
    /// What to give as `cursor` for those that follow; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Which keys are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KeyQuery {
    /// Most keys to answer; 100 otherwise.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `cursor` of the answer before.
    #[param(pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
    cursor: Option<String>,
}

impl From<KeyInfo> for Key {
    fn from(info: KeyInfo) -> Self {
        let key = &info.key;
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            tenant: key.tenant.clone(),
            scopes: key.scopes.clone(),
            function: key.function.clone(),
            created_ms: key.created_ms,
            created_by: key.created_by.clone(),
            expires_ms: key.expires_ms,
            last_used_ms: info.last_used_ms,
        }
    }
}

/// Makes a key for one tenant, or for the whole server.
#[utoipa::path(
    post,
    path = "/keys",
    operation_id = "createKey",
    tag = "keys",
    request_body = KeyRequest,
    responses(
        (status = 201, description = "The key and its token", body = NewKeyAnswer),
        (status = 409, description = "`quota_exceeded`: there are as many as there may be",
            body = ProblemBody, content_type = "application/problem+json")
    )
)]
pub(super) async fn create(
    State(http): State<Arc<Http>>,
    principal: Principal,
    JsonBody(body): JsonBody<KeyRequest>,
) -> Result<(StatusCode, Json<NewKeyAnswer>), Problem> {
    let KeyRequest {
        name,
        tenant,
        scopes,
        function,
        expires_ms,
    } = body;
    if tenant.is_none() && function.is_some() {
        return Err(invalid("a key for one function needs its tenant too"));
    }
    let new = NewKey {
        name,
        tenant,
        scopes,
        function,
        created_by: principal.name(),
        expires_ms,
    };
    make(&http, new).await
}

/// Makes a key for this tenant.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/keys",
    operation_id = "createTenantKey",
    tag = "keys",
    params(OfTenant),
    request_body = TenantKeyRequest,
    responses(
        (status = 201, description = "The key and its token", body = NewKeyAnswer),
        (status = 409, description = "`quota_exceeded`: there are as many as there may be",
            body = ProblemBody, content_type = "application/problem+json")
    )
)]
pub(super) async fn create_of_tenant(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
    principal: Principal,
    JsonBody(body): JsonBody<TenantKeyRequest>,
) -> Result<(StatusCode, Json<NewKeyAnswer>), Problem> {
    let new = NewKey {
        name: body.name,
        tenant: Some(tenant),
        scopes: body.scopes,
        function: body.function,
        created_by: principal.name(),
        expires_ms: body.expires_ms,
    };
    make(&http, new).await
}

async fn make(http: &Http, new: NewKey) -> Result<(StatusCode, Json<NewKeyAnswer>), Problem> {
    check(&new)?;
    let (key, token) = http.app.store.keys().create(new).await?;
    let info = KeyInfo {
        key,
        last_used_ms: None,
    };
    let answer = NewKeyAnswer {
        key: info.into(),
        token: token.reveal(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

fn check(new: &NewKey) -> Result<(), Problem> {
    check_label("name", &new.name)?;
    if new.scopes.is_empty() {
        return Err(invalid(
            "a key needs a scope: admin, deploy, read or invoke",
        ));
    }
    if new.function.is_some() && new.scopes.iter().any(|scope| *scope != Scope::Invoke) {
        return Err(invalid("a key for one function has the scope invoke alone"));
    }
    if new
        .expires_ms
        .is_some_and(|expiry| expiry <= clock::now_ms())
    {
        return Err(invalid("expires_ms has passed already"));
    }
    Ok(())
}

/// Checks a name for people.
///
/// # Errors
/// `body_invalid`.
pub(super) fn check_label(what: &str, label: &str) -> Result<(), Problem> {
    let max = limits::LABEL_BYTES_MAX;
    if (1..=max).contains(&label.len()) && !label.chars().any(char::is_control) {
        return Ok(());
    }
    Err(invalid(&format!(
        "{what} must have 1 to {max} bytes and no control characters"
    )))
}

fn invalid(detail: &str) -> Problem {
    Problem::new(Code::BodyInvalid, detail)
}

/// The keys of this server, those of all tenants included, oldest first.
#[utoipa::path(
    get,
    path = "/keys",
    operation_id = "listKeys",
    tag = "keys",
    params(KeyQuery),
    responses((status = 200, description = "Some keys", body = KeyPage))
)]
pub(super) async fn list(
    State(http): State<Arc<Http>>,
    Query(query): Query<KeyQuery>,
) -> Result<Json<KeyPage>, Problem> {
    page(&http, None, &query)
}

/// The keys of this tenant, oldest first.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/keys",
    operation_id = "listTenantKeys",
    tag = "keys",
    params(OfTenant, KeyQuery),
    responses((status = 200, description = "Some keys", body = KeyPage))
)]
pub(super) async fn list_of_tenant(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
    Query(query): Query<KeyQuery>,
) -> Result<Json<KeyPage>, Problem> {
    page(&http, Some(&tenant), &query)
}

fn page(
    http: &Http,
    tenant: Option<&TenantId>,
    query: &KeyQuery,
) -> Result<Json<KeyPage>, Problem> {
    let limit = super::query::limit(query.limit)?;
    let after: Option<Result<KeyId, _>> = query.cursor.as_ref().map(|cursor| cursor.parse());
    let after = after.transpose().map_err(|_| {
        let detail = "cursor must be the cursor of an answer before";
        Problem::new(Code::BadRequest, detail)
    })?;
    let found = http.app.store.keys().list(tenant, after, limit);
    let last = found.last().filter(|_| found.len() == limit);
    Ok(Json(KeyPage {
        cursor: last.map(|info| info.key.id.to_string()),
        keys: found.into_iter().map(Key::from).collect(),
    }))
}

/// One key.
#[utoipa::path(
    get,
    path = "/keys/{key}",
    operation_id = "getKey",
    tag = "keys",
    params(("key" = String, Path, description = "The key's id")),
    responses((status = 200, description = "The key", body = Key))
)]
pub(super) async fn show(
    State(http): State<Arc<Http>>,
    OfKey(key): OfKey,
) -> Result<Json<Key>, Problem> {
    one(&http, None, key)
}

/// One key of this tenant.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/keys/{key}",
    operation_id = "getTenantKey",
    tag = "keys",
    params(
        OfTenant,
        ("key" = String, Path, description = "The key's id")
    ),
    responses((status = 200, description = "The key", body = Key))
)]
pub(super) async fn show_of_tenant(
    State(http): State<Arc<Http>>,
    OfTenantKey(tenant, key): OfTenantKey,
) -> Result<Json<Key>, Problem> {
    one(&http, Some(&tenant), key)
}

fn one(http: &Http, tenant: Option<&TenantId>, key: KeyId) -> Result<Json<Key>, Problem> {
    let found = http.app.store.keys().get(tenant, key);
    let found = found.ok_or_else(|| Problem::from(crate::store::Error::KeyNotFound))?;
    Ok(Json(found.into()))
}

/// Revokes a key: from the answer on it is refused.
#[utoipa::path(
    delete,
    path = "/keys/{key}",
    operation_id = "revokeKey",
    tag = "keys",
    params(("key" = String, Path, description = "The key's id")),
    responses((status = 204, description = "The key is no more"))
)]
pub(super) async fn revoke(
    State(http): State<Arc<Http>>,
    OfKey(key): OfKey,
) -> Result<StatusCode, Problem> {
    http.app.store.keys().revoke(None, key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes a key of this tenant: from the answer on it is refused.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/keys/{key}",
    operation_id = "revokeTenantKey",
    tag = "keys",
    params(
        OfTenant,
        ("key" = String, Path, description = "The key's id")
    ),
    responses((status = 204, description = "The key is no more"))
)]
pub(super) async fn revoke_of_tenant(
    State(http): State<Arc<Http>>,
    OfTenantKey(tenant, key): OfTenantKey,
) -> Result<StatusCode, Problem> {
    http.app.store.keys().revoke(Some(&tenant), key).await?;
    Ok(StatusCode::NO_CONTENT)
}
