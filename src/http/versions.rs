//! The versions of a function: list, show, download, activate, delete; and what one looks like.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::etag::{Tagged, expected, fresh};
use super::functions::page_limit;
use super::openapi::{Binary, ProblemBody};
use super::path::{OfFunction, OfVersion};
use super::problem::Problem;
use super::query;
use crate::error::Code;
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
    /// What it consists of, its environment excepted: equal for equal files and settings.
    digest: Option<String>,
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
            digest: Some(deployment.digest.clone()).filter(|digest| !digest.is_empty()),
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
    /// Where the next page begins; null after the last one.
    cursor: Option<String>,
}

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// How many versions: 1 to 1,000, which is what there is without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The cursor of the page before.
    #[param(pattern = "^[0-9]{1,19}$")]
    cursor: Option<String>,
}

/// `GET …/versions`: newest first.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}/versions",
    operation_id = "list_versions",
    tag = "versions",
    summary = "List the versions of a function, newest first",
    params(OfFunction, Wanted),
    responses((status = 200, description = "The versions", body = VersionsBody))
)]
pub(super) async fn list(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    uri: Uri,
) -> Result<Json<VersionsBody>, Problem> {
    let wanted = Query::<Wanted>::try_from_uri(&uri);
    let wanted = wanted.map_err(|error| Problem::new(Code::BadRequest, error.body_text()))?;
    let Wanted { limit, cursor } = wanted.0;
    let limit = page_limit(limit)?;
    let before = cursor.map_or(Some(u64::MAX), |text| query::cursor(&text));
    let before =
        before.ok_or_else(|| Problem::new(Code::BadRequest, "cursor must be one of an answer"))?;
    let functions = http.app.store.functions();
    let (active, versions) = http
        .blocking(move || {
            let active = functions.active(&tenant, &function)?;
            let versions = functions.versions(&tenant, &function, before, limit)?;
            Ok::<_, crate::store::Error>((active, versions))
        })
        .await??;
    let active = active.map(|active| active.version);
    let last = versions.last().filter(|_| versions.len() == limit);
    Ok(Json(VersionsBody {
        cursor: last.map(|last| last.version.to_string()),
        versions: versions
            .iter()
            .map(|one| VersionBody::of(one, active == Some(one.version)))
            .collect(),
    }))
}

/// `GET …/versions/{version}`
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}/versions/{version}",
    operation_id = "show_version",
    tag = "versions",
    summary = "Show a version",
    params(OfVersion, ("if-none-match" = Option<String>, Header)),
    responses(
        (
            status = 200, description = "The version", body = VersionBody,
            headers(("etag" = String, description = "For `If-Match` of changes"))
        ),
        (status = 304, description = "It is as `If-None-Match` says"),
    )
)]
pub(super) async fn show(
    State(http): State<Arc<Http>>,
    OfVersion(tenant, function, version): OfVersion,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let functions = http.app.store.functions();
    let (active, deployment) = http
        .blocking(move || {
            let active = functions.active(&tenant, &function)?;
            let deployment = functions.version(&tenant, &function, version)?;
            Ok::<_, crate::store::Error>((active, deployment))
        })
        .await??;
    let is_active = active.is_some_and(|active| active.version == version);
    let body = Json(VersionBody::of(&deployment, is_active));
    fresh(&headers, deployment.tag(is_active), body)
}

/// `GET …/versions/{version}/files`: what was uploaded.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}/versions/{version}/files",
    operation_id = "download_version",
    tag = "versions",
    summary = "Download the files of a version",
    params(OfVersion, ("if-none-match" = Option<String>, Header)),
    responses(
        (
            status = 200, description = "The files as a tar.gz", body = Binary,
            content_type = "application/gzip"
        ),
        (status = 304, description = "They are as `If-None-Match` says"),
    )
)]
pub(super) async fn files(
    State(http): State<Arc<Http>>,
    OfVersion(tenant, function, version): OfVersion,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let functions = http.app.store.functions();
    let name = format!("attachment; filename=\"{function}-{version}.tar.gz\"");
    let (deployment, bundle) = http
        .blocking(move || {
            let deployment = functions.version(&tenant, &function, version)?;
            let bundle = functions.bundle(&deployment.id)?;
            // Only a version that was deleted meanwhile has none.
            let bundle = bundle.ok_or(crate::store::Error::VersionNotFound { version })?;
            Ok::<_, crate::store::Error>((deployment, bundle))
        })
        .await??;
    let kind = [
        (CONTENT_TYPE, "application/gzip".to_owned()),
        (CONTENT_DISPOSITION, name),
    ];
    fresh(&headers, format!("{}-files", deployment.id), (kind, bundle))
}

/// `POST …/versions/{version}/activate`
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/functions/{function}/versions/{version}/activate",
    operation_id = "activate_version",
    tag = "versions",
    summary = "Make a version the active one",
    params(OfVersion, ("if-match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The version, active now", body = VersionBody),
        (
            status = 412, description = "`precondition_failed`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn activate(
    State(http): State<Arc<Http>>,
    OfVersion(tenant, function, version): OfVersion,
    headers: HeaderMap,
) -> Result<Tagged<Json<VersionBody>>, Problem> {
    let expected = expected(&headers)?;
    let functions = http.app.store.functions();
    let stored = functions
        .activate(&tenant, &function, version, expected)
        .await?;
    let body = VersionBody::of(&stored.deployment, stored.active);
    Ok(Tagged(stored.tag, Json(body)))
}

/// `DELETE …/versions/{version}`: any that answers no invocations.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/functions/{function}/versions/{version}",
    operation_id = "delete_version",
    tag = "versions",
    summary = "Delete a version that is neither active nor part of a split",
    params(OfVersion, ("if-match" = Option<String>, Header)),
    responses(
        (status = 204, description = "It is gone"),
        (
            status = 409, description = "`version_active`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
        (
            status = 412, description = "`precondition_failed`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn delete(
    State(http): State<Arc<Http>>,
    OfVersion(tenant, function, version): OfVersion,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = expected(&headers)?;
    let functions = http.app.store.functions();
    functions
        .delete_version(&tenant, &function, version, expected)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
