//! The audit log: written by the guard for every request that may change something, read here.
//!
//! Requests without a valid key are not in it: whoever can connect could fill it. The server's
//! own log has them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Principal;
use super::path::{OfTenant, Params};
use super::problem::{Problem, ProblemCode};
use super::query::Query;
use super::{Http, Peer};
use crate::error::Code;
use crate::id::{RequestId, TenantId};
use crate::store::{Audit, AuditEntry};
use crate::{clock, limits};

/// A request that may change something, until what came of it is written down. Dropped before
/// that, as when the client goes away, it is written down without an outcome.
pub(super) struct Attempt {
    audit: Audit,
    entry: Option<AuditEntry>,
}

impl Attempt {
    pub(super) fn new(
        http: &Http,
        principal: &Principal,
        parts: &Parts,
        route: Option<&str>,
        params: &Params,
    ) -> Self {
        let extensions = &parts.extensions;
        let request = extensions.get::<RequestId>().map(RequestId::to_string);
        let peer = extensions.get::<Peer>().map(|peer| peer.0.to_canonical());
        let actor_name = match principal {
            Principal::Key(key) => Some(key.name.clone()),
            Principal::Root | Principal::Loopback => None,
        };
        let is_workspace = route.is_some_and(|route| route.starts_with(super::WORKSPACES));
        let (prefix, own) = match is_workspace {
            true => (super::WORKSPACES, Some(principal.own_tenant())),
            false => (super::CONTROL, None),
        };
        let mut target = format!("{prefix}{}", parts.uri.path());
        target.truncate(target.floor_char_boundary(limits::AUDIT_TARGET_BYTES_MAX));
        let entry = AuditEntry {
            timestamp_ms: clock::now_ms(),
            request: request.unwrap_or_default(),
            actor: principal.name(),
            actor_name,
            peer: peer.map(|peer| peer.to_string()).unwrap_or_default(),
            action: format!("{} {}", parts.method, route.unwrap_or_default()),
            target,
            tenant: params.get("tenant").parse().ok().or(own),
            status: None,
            code: None,
            duration_ms: 0,
        };
        Self {
            audit: http.app.store.audit(),
            entry: Some(entry),
        }
    }

    /// Writes down what came of it, and hands the answer on once that is on disk.
    pub(super) async fn answered(mut self, response: Response) -> Response {
        let Some(mut entry) = self.entry.take() else {
            return response;
        };
        entry.status = Some(response.status().as_u16());
        let code = response.extensions().get::<ProblemCode>();
        entry.code = code.map(|code| code.0.as_str().to_owned());
        entry.duration_ms = clock::now_ms().saturating_sub(entry.timestamp_ms);
        let unwritten = match self.audit.record(entry.clone()) {
            Ok(recording) => recording.done().await.err(),
            Err(error) => Some(error),
        };
        if let Some(error) = unwritten {
            lost(&entry, &error);
        }
        response
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(mut entry) = self.entry.take() else {
            return;
        };
        entry.duration_ms = clock::now_ms().saturating_sub(entry.timestamp_ms);
        if let Err(error) = self.audit.record(entry.clone()) {
            lost(&entry, &error);
        }
    }
}

/// What the store does not take is at least in the server's own log.
fn lost(entry: &AuditEntry, error: &crate::store::Error) {
    tracing::error!(
        %error,
        request = entry.request,
        actor = entry.actor,
        action = entry.action,
        target = entry.target,
        status = entry.status,
        "an entry of the audit log is not stored"
    );
}

/// Which entries are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Most entries to answer; 100 otherwise.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `cursor` of the answer before, for what is older.
    #[param(pattern = "^[0-9]{1,19}$")]
    cursor: Option<String>,
}

/// Some of the audit log, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditPage {
    entries: Vec<AuditEntry>,
    /// What to give as `cursor` for what is older; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Who changed what on this server, newest first.
#[utoipa::path(
    get,
    path = "/audit",
    operation_id = "listAudit",
    tag = "audit",
    params(AuditQuery),
    responses(
        (status = 200, description = "Some entries", body = AuditPage),
    )
)]
pub(super) async fn list(
    State(http): State<Arc<Http>>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    page(&http, None, query).await
}

/// Who changed what of a tenant, newest first.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/audit",
    operation_id = "listTenantAudit",
    tag = "audit",
    params(OfTenant, AuditQuery),
    responses(
        (status = 200, description = "Some entries", body = AuditPage),
    )
)]
pub(super) async fn list_of_tenant(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    page(&http, Some(tenant), query).await
}

async fn page(
    http: &Http,
    tenant: Option<TenantId>,
    query: AuditQuery,
) -> Result<Json<AuditPage>, Problem> {
    let limit = super::query::limit(query.limit)?;
    let before = query.cursor.as_deref().map(|text| {
        let detail = "cursor must be the cursor of an answer before";
        super::query::cursor(text).ok_or_else(|| Problem::new(Code::BadRequest, detail))
    });
    let before = before.transpose()?;
    let audit = http.app.store.audit();
    let found = http
        .blocking(move || audit.read(tenant.as_ref(), before, limit))
        .await??;
    let cursor = found.last().filter(|_| found.len() == limit);
    Ok(Json(AuditPage {
        cursor: cursor.map(|(cursor, _)| cursor.to_string()),
        entries: found.into_iter().map(|(_, entry)| entry).collect(),
    }))
}
