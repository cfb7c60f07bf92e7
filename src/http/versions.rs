//! The versions of a function: list, activate, delete; and what a version looks like.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Http;
use super::openapi::ProblemBody;
use super::path::{OfFunction, OfVersion};
use super::problem::Problem;
use crate::id::{DeploymentId, FunctionName, TenantId};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::store::{Deployment, Evaluation};

/// A version of a function. Of the environment only the names: values may be secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Version)]
pub(super) struct VersionBody {
    tenant: TenantId,
    function: FunctionName,
    /// From 1, in the order of deploying; never used twice.
    #[schema(minimum = 1)]
    version: u64,
    deployment: DeploymentId,
    /// Whether the function's name resolves to it.
    active: bool,
    /// When it was deployed, Unix time in milliseconds.
    created_ms: u64,
    /// What it is for.
    kind: Kind,
    evaluation: EvaluationKind,
    /// What the modules did that a snapshot would freeze, and where; null for a snapshot.
    evaluation_reason: Option<String>,
    /// The file to begin with.
    entry: String,
    /// The pattern that fills `req.params`.
    route: Option<String>,
    /// How many files it has.
    files: u64,
    /// Their total size, in bytes.
    source_bytes: u64,
    /// The size of its snapshot, in bytes.
    snapshot_bytes: u64,
    /// The limits in force.
    limits: Limits,
    /// The names of its environment variables.
    env: Vec<String>,
    /// The names of its secrets.
    secrets: Vec<String>,
    /// Whether requests to it need a key with the scope `invoke`.
    requires_key: bool,
}

/// How a version's modules come to be evaluated.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Evaluation)]
enum EvaluationKind {
    /// Once, when it was deployed.
    Snapshot,
    /// In every invocation.
    PerRequest,
}

impl VersionBody {
    /// A deployment as the API shows it.
    pub(super) fn of(deployment: &Deployment, active: bool) -> Self {
        let (evaluation, evaluation_reason) = match &deployment.evaluation {
            Evaluation::Snapshot => (EvaluationKind::Snapshot, None),
            Evaluation::PerRequest { reason } => (EvaluationKind::PerRequest, Some(reason.clone())),
        };
        Self {
            tenant: deployment.tenant.clone(),
            function: deployment.function.clone(),
            version: deployment.version,
            deployment: deployment.id,
            active,
            created_ms: deployment.created_ms,
            kind: deployment.kind,
            evaluation,
            evaluation_reason,
            entry: deployment.entry.clone(),
            route: deployment.route.clone(),
            files: deployment.files,
            source_bytes: deployment.source_bytes,
            snapshot_bytes: deployment.snapshot_bytes,
            limits: deployment.limits_in_force(),
            env: deployment.env.keys().cloned().collect(),
            secrets: deployment.secrets.keys().cloned().collect(),
            requires_key: deployment.requires_key,
        }
    }
}

/// The versions of a function, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = Versions)]
pub(super) struct VersionsBody {
    versions: Vec<VersionBody>,
}

/// `GET …/versions`: newest first.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}/versions",
    operation_id = "list_versions",
    tag = "versions",
    summary = "List the versions of a function, newest first",
    params(OfFunction),
    responses((status = 200, description = "The versions", body = VersionsBody))
)]
pub(super) async fn list(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
) -> Result<Json<VersionsBody>, Problem> {
    let functions = http.app.store.functions();
    let (active, versions) = http
        .blocking(move || {
            let active = functions.active(&tenant, &function)?;
            Ok::<_, crate::store::Error>((active, functions.versions(&tenant, &function)?))
        })
        .await??;
    let active = active.map(|active| active.version);
    let versions = versions
        .iter()
        .map(|one| VersionBody::of(one, active == Some(one.version)))
        .collect();
    Ok(Json(VersionsBody { versions }))
}

/// `POST …/versions/{version}/activate`
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/functions/{function}/versions/{version}/activate",
    operation_id = "activate_version",
    tag = "versions",
    summary = "Make a version the active one",
    params(OfVersion),
    responses((status = 200, description = "The version, active now", body = VersionBody))
)]
pub(super) async fn activate(
    State(http): State<Arc<Http>>,
    OfVersion(tenant, function, version): OfVersion,
) -> Result<Json<VersionBody>, Problem> {
    let functions = http.app.store.functions();
    let active = functions.activate(&tenant, &function, version).await?;
    Ok(Json(VersionBody::of(&active, true)))
}

/// `DELETE …/versions/{version}`: any but the active one.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/functions/{function}/versions/{version}",
    operation_id = "delete_version",
    tag = "versions",
    summary = "Delete a version that is not active",
    params(OfVersion),
    responses(
        (status = 204, description = "It is gone"),
        (
            status = 409, description = "`version_active`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn delete(
    State(http): State<Arc<Http>>,
    OfVersion(tenant, function, version): OfVersion,
) -> Result<StatusCode, Problem> {
    let functions = http.app.store.functions();
    functions
        .delete_version(&tenant, &function, version)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
