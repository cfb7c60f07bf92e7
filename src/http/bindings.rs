//! The control plane's bindings: what a tenant's event functions may call of the platform.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::body::Unread;
use super::path::{OfBinding, OfTenant};
use super::problem::Problem;
use super::{Http, json};
use crate::binding;
use crate::clock;
use crate::error::Code;
use crate::id::{FunctionName, TenantId};
use crate::limits::{BINDING_BODY_BYTES_MAX, BINDING_TIMEOUT_MS};
use crate::secret::Plain;
use crate::store::Binding;

/// What a binding is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BindingDefinition)]
pub(super) struct DefinitionBody {
    /// An absolute http or https URL without user name and password. At most 2048 bytes.
    url: String,
    /// `POST`, `PUT` or `PATCH`.
    #[serde(default = "post")]
    #[schema(default = "POST", pattern = "^(POST|PUT|PATCH)$")]
    method: String,
    /// Header fields sent along. Their values are secret: no answer shows them again. At most 32,
    /// of 16384 bytes together.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    headers: BTreeMap<String, Plain>,
    /// JSON Schema of the arguments: a list with one for each, at most 16, or one of the only
    /// argument. Without it any arguments will do. No references; at most 16384 bytes.
    #[serde(default)]
    parameters: Option<Value>,
    /// How long a call may take, in milliseconds: 1 to 60000.
    #[serde(default = "timeout_ms")]
    #[schema(default = 5000, minimum = 1, maximum = 60000)]
    timeout_ms: u64,
    /// For people. At most 1000 bytes.
    #[serde(default)]
    description: String,
    /// The event functions that have it, 1 to 100; left out for all of the tenant's.
    #[serde(default)]
    #[schema(value_type = Option<Vec<FunctionName>>)]
    functions: Option<BTreeSet<FunctionName>>,
}

fn post() -> String {
    "POST".to_owned()
}

fn timeout_ms() -> u64 {
    BINDING_TIMEOUT_MS
}

/// A binding.
#[derive(Serialize, ToSchema)]
#[schema(as = Binding)]
pub(super) struct BindingBody {
    tenant: String,
    name: String,
    url: String,
    method: String,
    /// Names of the header fields; never their values.
    headers: Vec<String>,
    parameters: Option<Value>,
    timeout_ms: u64,
    description: String,
    /// `null` for all event functions of the tenant.
    #[schema(value_type = Option<Vec<FunctionName>>)]
    functions: Option<BTreeSet<FunctionName>>,
    /// When it was last written, Unix time in milliseconds.
    updated_ms: u64,
}

/// The bindings of a tenant, by name: at most 64.
#[derive(Serialize, ToSchema)]
#[schema(as = Bindings)]
pub(super) struct BindingsBody {
    bindings: Vec<BindingBody>,
}

impl BindingBody {
    fn of(tenant: &TenantId, binding: Binding) -> Self {
        Self {
            tenant: tenant.to_string(),
            name: binding.name,
            url: binding.url,
            method: binding.method,
            headers: binding.headers.into_keys().collect(),
            parameters: binding.parameters,
            timeout_ms: binding.timeout_ms,
            description: binding.description,
            functions: binding.functions,
            updated_ms: binding.updated_ms,
        }
    }
}

/// Writes a binding, in the place of the one of this name.
///
/// The next invocation has it. All of it is replaced, the values of its headers included.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/bindings/{binding}",
    operation_id = "put_binding",
    tag = "bindings",
    summary = "Write a binding, in the place of the one of this name",
    params(OfBinding),
    request_body(content = DefinitionBody, content_type = "application/json"),
    responses(
        (status = 200, description = "It was changed", body = BindingBody),
        (status = 201, description = "It is new", body = BindingBody),
    )
)]
pub(super) async fn put(
    State(http): State<Arc<Http>>,
    OfBinding(tenant, name): OfBinding,
    request: Request,
) -> Result<(StatusCode, Json<BindingBody>), Problem> {
    let (parts, body) = request.into_parts();
    let body = Unread::new(&parts.headers, body, http.tasks.clone());
    let bytes = body.read(BINDING_BODY_BYTES_MAX).await?;
    let invalid = |detail: String| Problem::new(Code::BindingInvalid, detail);
    // Read twice: serde would take a list for an object without names.
    let shape: Value =
        serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    if !shape.is_object() {
        return Err(invalid("a binding is an object".to_owned()));
    }
    let given: DefinitionBody = json::parse(&bytes).map_err(|error| invalid(error.to_string()))?;
    let headers = given.headers;
    let binding = Binding {
        headers: binding::seal(&tenant, &name, &headers, http.app.images.master()),
        name,
        url: given.url,
        method: given.method,
        parameters: given.parameters,
        timeout_ms: given.timeout_ms,
        description: given.description,
        functions: given.functions,
        updated_ms: clock::now_ms(),
    };
    // Compiling the schema of a stranger may take milliseconds.
    let checked = http.blocking(move || {
        binding::check(&binding, &headers)?;
        Ok::<_, crate::error::Error>(binding)
    });
    let binding = checked.await??;
    let is_new = http
        .app
        .store
        .bindings()
        .put(&tenant, binding.clone())
        .await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(BindingBody::of(&tenant, binding))))
}

/// Shows a binding, without the values of its headers.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/bindings/{binding}",
    operation_id = "get_binding",
    tag = "bindings",
    summary = "Show a binding, without the values of its headers",
    params(OfBinding),
    responses((status = 200, description = "The binding", body = BindingBody))
)]
pub(super) async fn show(
    State(http): State<Arc<Http>>,
    OfBinding(tenant, name): OfBinding,
) -> Result<Json<BindingBody>, Problem> {
    let (bindings, owner) = (http.app.store.bindings(), tenant.clone());
    let binding = http.blocking(move || bindings.get(&owner, &name)).await??;
    Ok(Json(BindingBody::of(&tenant, binding)))
}

/// Lists the bindings of a tenant, by name.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/bindings",
    operation_id = "list_bindings",
    tag = "bindings",
    summary = "List the bindings of a tenant, by name",
    params(OfTenant),
    responses((status = 200, description = "The bindings", body = BindingsBody))
)]
pub(super) async fn list(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
) -> Result<Json<BindingsBody>, Problem> {
    let (bindings, owner) = (http.app.store.bindings(), tenant.clone());
    let listed = http.blocking(move || bindings.list(&owner)).await??;
    let listed = listed.into_iter().map(|one| BindingBody::of(&tenant, one));
    Ok(Json(BindingsBody {
        bindings: listed.collect(),
    }))
}

/// Deletes a binding. The next invocation no longer has it.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/bindings/{binding}",
    operation_id = "delete_binding",
    tag = "bindings",
    summary = "Delete a binding",
    params(OfBinding),
    responses((status = 204, description = "It is gone"))
)]
pub(super) async fn delete(
    State(http): State<Arc<Http>>,
    OfBinding(tenant, name): OfBinding,
) -> Result<StatusCode, Problem> {
    http.app.store.bindings().delete(&tenant, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
