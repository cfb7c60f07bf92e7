//! The environment of a function: which variables there are, and editing them.
//!
//! Values go in and never come out: they may be secret, also where nobody said so.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::deploy::DeployedBody;
use super::etag::{Tagged, expected};
use super::json;
use super::openapi::{EnvName, ProblemBody};
use super::path::{OfFunction, Params};
use super::problem::Problem;
use crate::deploy::{Edit, EnvEdit, EnvTarget};
use crate::error::Code;
use crate::limits;
use crate::secret::Plain;
use crate::store::{Deployment, Error};

/// Which version's environment is meant.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// The version; otherwise the active one, or the newest while none is active.
    #[param(minimum = 1)]
    version: Option<u64>,
}

impl Wanted {
    fn of(uri: &Uri) -> Result<Self, Problem> {
        let wanted = Query::<Self>::try_from_uri(uri);
        let wanted = wanted.map_err(|error| Problem::new(Code::BadRequest, error.body_text()))?;
        Ok(wanted.0)
    }
}

/// The environment of a version. Its values are not shown: they may be secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Env)]
pub(super) struct EnvBody {
    /// The version that it belongs to.
    version: u64,
    /// The names of its variables.
    env: Vec<String>,
    /// The names of those that are secrets.
    secrets: Vec<String>,
}

/// An environment that takes the place of the one before.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEnv)]
pub(super) struct NewEnvBody {
    /// At most 256 variables, 64 KiB in total, secrets included; names of letters, digits and `_`.
    #[schema(value_type = BTreeMap<EnvName, String>)]
    env: BTreeMap<String, String>,
    /// Variables that are kept sealed. Left out: they stay as they are.
    #[schema(value_type = Option<BTreeMap<EnvName, String>>)]
    secrets: Option<BTreeMap<String, Plain>>,
}

/// Changes to an environment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EnvChanges)]
pub(super) struct EnvChangesBody {
    /// Values by name; null takes a variable away.
    #[serde(default)]
    #[schema(value_type = BTreeMap<EnvName, Option<String>>)]
    env: BTreeMap<String, Option<String>>,
    /// The same of those that are kept sealed.
    #[serde(default)]
    #[schema(value_type = BTreeMap<EnvName, Option<String>>)]
    secrets: BTreeMap<String, Option<Plain>>,
}

/// `GET …/env`
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}/env",
    operation_id = "list_env",
    tag = "env",
    summary = "List the names of a function's environment variables",
    params(OfFunction, Wanted),
    responses((status = 200, description = "The names", body = EnvBody))
)]
pub(super) async fn list(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    uri: Uri,
) -> Result<Json<EnvBody>, Problem> {
    let wanted = Wanted::of(&uri)?.version;
    let functions = http.app.store.functions();
    let deployment = http
        .blocking(move || match wanted {
            Some(version) => functions.version(&tenant, &function, version),
            None => match functions.active(&tenant, &function)? {
                Some(active) => Ok(Deployment::clone(&active)),
                None => functions
                    .versions(&tenant, &function, u64::MAX, 1)?
                    .pop()
                    .ok_or(Error::FunctionNotFound),
            },
        })
        .await??;
    Ok(Json(EnvBody {
        version: deployment.version,
        env: deployment.env.into_keys().collect(),
        secrets: deployment.secrets.into_keys().collect(),
    }))
}

/// `PUT …/env`: these variables and no others.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/functions/{function}/env",
    operation_id = "replace_env",
    tag = "env",
    summary = "Replace the environment of a version, as a new version",
    params(OfFunction, Wanted, ("if-match" = Option<String>, Header)),
    request_body = NewEnvBody,
    responses(
        (status = 201, description = "The version with this environment", body = DeployedBody),
        (status = 200, description = "The version that has it already", body = DeployedBody),
        (
            status = 409, description = "`versions_exceeded`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
        (
            status = 412, description = "`precondition_failed`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
        (
            status = 422, description = "The modules do not load with it", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn replace(
    State(http): State<Arc<Http>>,
    of: OfFunction,
    request: Request,
) -> Result<Edited, Problem> {
    let (parts, body): (_, NewEnvBody) =
        json::read_with_head(&http, request, limits::JSON_BODY_BYTES_MAX).await?;
    let secrets = body.secrets.map(Edit::Replace);
    let change = EnvEdit {
        env: Edit::Replace(body.env),
        secrets: secrets.unwrap_or_else(|| Edit::Merge(BTreeMap::new())),
    };
    edit(&http, of, &parts, change).await
}

/// `PATCH …/env`: some variables, the others stay.
#[utoipa::path(
    patch,
    path = "/tenants/{tenant}/functions/{function}/env",
    operation_id = "edit_env",
    tag = "env",
    summary = "Set or remove environment variables of a version, as a new version",
    params(OfFunction, Wanted, ("if-match" = Option<String>, Header)),
    request_body = EnvChangesBody,
    responses(
        (status = 201, description = "The version with this environment", body = DeployedBody),
        (status = 200, description = "The version that has it already", body = DeployedBody),
        (
            status = 409, description = "`versions_exceeded`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
        (
            status = 412, description = "`precondition_failed`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
        (
            status = 422, description = "The modules do not load with it", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn change(
    State(http): State<Arc<Http>>,
    of: OfFunction,
    request: Request,
) -> Result<Edited, Problem> {
    let (parts, body): (_, EnvChangesBody) =
        json::read_with_head(&http, request, limits::JSON_BODY_BYTES_MAX).await?;
    let change = EnvEdit {
        env: Edit::Merge(body.env),
        secrets: Edit::Merge(body.secrets),
    };
    edit(&http, of, &parts, change).await
}

/// `DELETE …/env/{name}`: one variable.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/functions/{function}/env/{name}",
    operation_id = "remove_env",
    tag = "env",
    summary = "Remove an environment variable of a version, as a new version",
    params(
        OfFunction, Wanted,
        ("name" = inline(EnvName), Path, description = "The name of the variable"),
        ("if-match" = Option<String>, Header),
    ),
    responses(
        (status = 201, description = "The version without it", body = DeployedBody),
        (status = 200, description = "The version that is without it", body = DeployedBody),
        (
            status = 409, description = "`versions_exceeded`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
        (
            status = 412, description = "`precondition_failed`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
        (
            status = 422, description = "The modules do not load without it", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn remove(
    State(http): State<Arc<Http>>,
    of: OfFunction,
    request: Request,
) -> Result<Edited, Problem> {
    let (mut parts, _) = request.into_parts();
    let params = Params::of(&mut parts, &()).await?;
    let name = params.get("name");
    let change = EnvEdit {
        env: Edit::Merge(BTreeMap::from([(name.to_owned(), None)])),
        secrets: Edit::Merge(BTreeMap::from([(name.to_owned(), None)])),
    };
    edit(&http, of, &parts, change).await
}

/// What an edit answers.
type Edited = Tagged<(StatusCode, Json<DeployedBody>)>;

async fn edit(
    http: &Http,
    OfFunction(tenant, function): OfFunction,
    parts: &Parts,
    edit: EnvEdit,
) -> Result<Edited, Problem> {
    let target = EnvTarget {
        tenant,
        function,
        version: Wanted::of(&parts.uri)?.version,
        expected: expected(&parts.headers)?,
    };
    let deployed = http.app.deploy.edit_env(target, edit).await?;
    Ok(DeployedBody::answer(deployed))
}
