//! Workspaces: `/v2/functions`, with the paths, bodies and answers of the service that this
//! surface follows.
//!
//! A definition is answered as it was sent. Errors are problems like everywhere, in which `error`
//! and `message` come first; [`told`] sees to that.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::Http;
use super::auth::Principal;
use super::body::Unread;
use super::invoke::{peer, sign, trace_of};
use super::openapi::{Binary, ProblemBody};
use super::path::{Params, parameter};
use super::problem::Problem;
use crate::clock;
use crate::error::{Code, Error};
use crate::id::{FunctionName, InvocationId, TenantId};
use crate::limits;
use crate::store::{Level, LogLine};
use crate::workspaces::{Package, PackageArchive, Ran, Run, parameters};

/// Largest problem body that is put into the form of this surface, in bytes.
const PROBLEM_BYTES_MAX: usize = 32 << 20;

/// The workspace that a path names; the tenant is that of the key.
pub(super) struct OfWorkspace(TenantId, FunctionName);

/// The function of a workspace that a path names.
pub(super) struct OfFunction(OfWorkspace, String);

impl<S: Send + Sync> FromRequestParts<S> for OfWorkspace {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self(tenant(parts), params.name("workspace")?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfFunction {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let function = Params::of(parts, state).await?.get("function").to_owned();
        let workspace = OfWorkspace::from_request_parts(parts, state).await?;
        Ok(Self(workspace, function))
    }
}

impl IntoParams for OfWorkspace {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![parameter("workspace", FunctionName::schema())]
    }
}

impl IntoParams for OfFunction {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            parameter("workspace", FunctionName::schema()),
            parameter("function", String::schema()),
        ]
    }
}

/// Whose workspaces a request is about: paths of this surface name no tenant.
fn tenant(parts: &Parts) -> TenantId {
    let principal = parts.extensions.get::<Principal>();
    principal.map_or_else(TenantId::default_tenant, Principal::own_tenant)
}

/// What a workspace is. Other members are kept and answered with it.
#[derive(Serialize, ToSchema)]
#[schema(as = Workspace)]
pub(super) struct WorkspaceBody {
    /// At most 500, by name: 1 to 64 letters, digits, `-`, `_`, `.` and `$`, not starting with `.`
    /// or `-`.
    functions: BTreeMap<String, WorkspaceFunctionBody>,
}

/// One function of a workspace. Other members are kept and answered with it.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkspaceFunction)]
struct WorkspaceFunctionBody {
    /// The body of an async function, which finds its parameters as variables.
    code: String,
    /// At most 100, by name: names that variables can have.
    #[schema(required = false, nullable)]
    parameters: Option<BTreeMap<String, WorkspaceParameterBody>>,
    /// `nodejs`, which is the default.
    #[schema(required = false)]
    language: Option<String>,
}

/// A parameter of a function.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkspaceParameter)]
struct WorkspaceParameterBody {
    /// One or several of `string`, `number`, `integer`, `boolean`, `object`, `array`, `null`; a
    /// value of another type is refused. Without it any value is allowed.
    #[schema(required = false)]
    r#type: Option<Value>,
    /// The value when none is given.
    #[schema(required = false)]
    default: Option<Value>,
}

/// What a function is run with.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkspaceRun)]
pub(super) struct RunBody {
    /// Values by name. What the function does not declare plays no part.
    #[schema(required = false, nullable)]
    parameters: Option<Map<String, Value>>,
}

/// What a run came to.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkspaceRan)]
pub(super) struct RanBody {
    /// The function's result as JSON; `null` for `undefined`.
    result: Value,
    /// What the run logged, oldest first.
    logs: Vec<RunLogBody>,
    /// How long it took, waiting for the cache included, in milliseconds.
    duration: u64,
}

/// A line that a run logged.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = WorkspaceLog)]
struct RunLogBody {
    level: Level,
    message: String,
    /// Unix time in milliseconds.
    timestamp: u64,
}

/// The packages of a workspace.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkspacePackages)]
pub(super) struct PackagesBody {
    packages: Vec<PackageBody>,
}

/// A package that the functions of a workspace may load.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkspacePackage)]
struct PackageBody {
    /// Where it is: `node_modules/` and its name, or deeper.
    path: String,
    /// What its `package.json` says; empty if it does not.
    version: String,
}

impl PackagesBody {
    fn of(packages: Vec<Package>) -> Json<Self> {
        let packages = packages.into_iter().map(|package| PackageBody {
            path: package.path,
            version: package.version,
        });
        Json(Self {
            packages: packages.collect(),
        })
    }
}

impl RunLogBody {
    fn of(line: LogLine) -> Self {
        Self {
            level: line.level,
            message: line.message,
            timestamp: line.timestamp_ms,
        }
    }
}

/// What a run that failed logged; an extension of its answer, which [`told`] puts into the body.
#[derive(Clone)]
struct RunLogs(Vec<RunLogBody>);

/// `POST …/{workspace}`: the definition of a workspace, in the place of the one it has.
#[utoipa::path(
    post,
    path = "/functions/{workspace}",
    operation_id = "create_workspace",
    tag = "workspaces",
    summary = "Create or replace a workspace",
    params(OfWorkspace),
    request_body(content = WorkspaceBody, description = "At most 1 MB, or REQUEST_MAX_SIZE"),
    responses(
        (status = 200, description = "The definition as it was sent", body = WorkspaceBody),
        (status = 409, description = "There is a function of another kind with this name: \
          `kind_mismatch`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "It cannot be loaded within the limits: `load_exceeded`",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = 501, description = "A function is written in Python: `language_unsupported`",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(http): State<Arc<Http>>,
    OfWorkspace(tenant, workspace): OfWorkspace,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let written = json_body(&http, request).await?;
    let workspaces = &http.app.workspaces;
    Ok(Json(workspaces.put(&tenant, &workspace, written).await?))
}

/// `PUT …/{workspace}`: the same as `POST`.
#[utoipa::path(
    put,
    path = "/functions/{workspace}",
    operation_id = "replace_workspace",
    tag = "workspaces",
    summary = "Create or replace a workspace",
    params(OfWorkspace),
    request_body(content = WorkspaceBody, description = "At most 1 MB, or REQUEST_MAX_SIZE"),
    responses(
        (status = 200, description = "The definition as it was sent", body = WorkspaceBody),
        (status = 409, description = "There is a function of another kind with this name: \
          `kind_mismatch`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "It cannot be loaded within the limits: `load_exceeded`",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = 501, description = "A function is written in Python: `language_unsupported`",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn replace(
    http: State<Arc<Http>>,
    workspace: OfWorkspace,
    request: Request,
) -> Result<Json<Value>, Problem> {
    create(http, workspace, request).await
}

/// `PATCH …/{workspace}`: merges into the definition, as RFC 7396 says.
#[utoipa::path(
    patch,
    path = "/functions/{workspace}",
    operation_id = "merge_workspace",
    tag = "workspaces",
    summary = "Add, change and remove functions of a workspace",
    params(OfWorkspace),
    request_body(
        content = Value,
        description = "A merge patch (RFC 7396): `null` in the place of a function removes it"
    ),
    responses(
        (status = 200, description = "The whole definition", body = WorkspaceBody),
        (status = 422, description = "It cannot be loaded within the limits: `load_exceeded`",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = 501, description = "A function is written in Python: `language_unsupported`",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn merge(
    State(http): State<Arc<Http>>,
    OfWorkspace(tenant, workspace): OfWorkspace,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let patch = json_body(&http, request).await?;
    let workspaces = &http.app.workspaces;
    Ok(Json(workspaces.patch(&tenant, &workspace, patch).await?))
}

/// `GET …/{workspace}`: the definition.
#[utoipa::path(
    get,
    path = "/functions/{workspace}",
    operation_id = "show_workspace",
    tag = "workspaces",
    summary = "Show the definition of a workspace",
    params(OfWorkspace),
    responses((status = 200, description = "The definition as it was sent", body = WorkspaceBody))
)]
pub(super) async fn show(
    State(http): State<Arc<Http>>,
    OfWorkspace(tenant, workspace): OfWorkspace,
) -> Result<Json<Value>, Problem> {
    Ok(Json(http.app.workspaces.show(&tenant, &workspace).await?))
}

/// `DELETE …/{workspace}`: with its packages, versions and lines of its log.
#[utoipa::path(
    delete,
    path = "/functions/{workspace}",
    operation_id = "delete_workspace",
    tag = "workspaces",
    summary = "Delete a workspace",
    params(OfWorkspace),
    responses((status = 204, description = "It is no more"))
)]
pub(super) async fn delete(
    State(http): State<Arc<Http>>,
    OfWorkspace(tenant, workspace): OfWorkspace,
) -> Result<StatusCode, Problem> {
    http.app.workspaces.delete(&tenant, &workspace).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET …/{workspace}/packages`
#[utoipa::path(
    get,
    path = "/functions/{workspace}/packages",
    operation_id = "list_workspace_packages",
    tag = "workspaces",
    summary = "List the packages of a workspace",
    params(OfWorkspace),
    responses((status = 200, description = "Those that were uploaded", body = PackagesBody))
)]
pub(super) async fn packages(
    State(http): State<Arc<Http>>,
    OfWorkspace(tenant, workspace): OfWorkspace,
) -> Result<Json<PackagesBody>, Problem> {
    let workspaces = &http.app.workspaces;
    let packages = workspaces.packages(&tenant, &workspace).await?;
    Ok(PackagesBody::of(packages))
}

/// `PUT …/{workspace}/packages`: an archive of a folder with `node_modules`.
#[utoipa::path(
    put,
    path = "/functions/{workspace}/packages",
    operation_id = "replace_workspace_packages",
    tag = "workspaces",
    summary = "Upload the packages of a workspace",
    params(OfWorkspace),
    request_body(
        description = "A folder with `node_modules`, of which nothing else is taken; at most 50 MB",
        content((Binary = "application/gzip"), (Binary = "application/zip"))
    ),
    responses(
        (status = 200, description = "Those that it has now", body = PackagesBody),
        (status = 422, description = "It cannot be loaded within the limits: `load_exceeded`",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn replace_packages(
    State(http): State<Arc<Http>>,
    OfWorkspace(tenant, workspace): OfWorkspace,
    request: Request,
) -> Result<Json<PackagesBody>, Problem> {
    let (parts, body) = request.into_parts();
    let body = Unread::new(&parts.headers, body, http.tasks.clone());
    let kind = essence(&parts.headers);
    let bytes_max = u64::try_from(limits::UPLOAD_BYTES_MAX).unwrap_or(u64::MAX);
    let archive = match kind.as_slice() {
        b"application/gzip" | b"application/x-gzip" | b"application/x-tar+gzip" => {
            PackageArchive::TarGz(body.read(bytes_max).await?)
        }
        b"application/zip" => PackageArchive::Zip(body.read(bytes_max).await?),
        _ => {
            let detail = "the content type must be application/gzip for a tar.gz, or \
                          application/zip";
            return Err(Problem::new(Code::BodyInvalid, detail));
        }
    };
    let workspaces = &http.app.workspaces;
    let packages = workspaces
        .put_packages(&tenant, &workspace, Some(archive))
        .await?;
    Ok(PackagesBody::of(packages))
}

/// `DELETE …/{workspace}/packages`
#[utoipa::path(
    delete,
    path = "/functions/{workspace}/packages",
    operation_id = "delete_workspace_packages",
    tag = "workspaces",
    summary = "Remove the packages of a workspace",
    params(OfWorkspace),
    responses((status = 204, description = "It has none"))
)]
pub(super) async fn delete_packages(
    State(http): State<Arc<Http>>,
    OfWorkspace(tenant, workspace): OfWorkspace,
) -> Result<StatusCode, Problem> {
    let workspaces = &http.app.workspaces;
    workspaces.put_packages(&tenant, &workspace, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST …/{workspace}/run/{function}`: runs a function to its end.
///
/// # Cancel safety
/// Dropping it ends the run.
#[utoipa::path(
    post,
    path = "/functions/{workspace}/run/{function}",
    operation_id = "run_workspace_function",
    tag = "workspaces",
    summary = "Run a function of a workspace",
    params(OfFunction),
    request_body(content = RunBody, description = "At most 1 MB, or REQUEST_MAX_SIZE"),
    responses(
        (status = 200, description = "What it came to", body = RanBody),
        (status = 500, description = "The function threw (`exception` says what), or its result \
          has no JSON form", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "It used up its time, or waited for the cache until then",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = 507, description = "It used up its memory", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn run(
    State(http): State<Arc<Http>>,
    OfFunction(OfWorkspace(tenant, workspace), function): OfFunction,
    request: Request,
) -> Response {
    let id = InvocationId::new(clock::now_ms());
    let chosen = Arc::new(AtomicU64::new(0));
    let trace = trace_of(id, request.headers());
    let peer = {
        let (parts, body) = request.into_parts();
        let peer = peer(&parts, http.trust_proxy);
        (peer, Request::from_parts(parts, body))
    };
    let ran = async {
        let parameters = parameters(&whole_body(&http, peer.1).await?)?;
        let run = Run {
            id,
            tenant: tenant.clone(),
            workspace,
            chosen: Arc::clone(&chosen),
            function,
            parameters,
            recorded_as: None,
            peer: peer.0,
            trace,
        };
        http.app.workspaces.run(run).await
    };
    let mut response = match ran.await {
        Ok(ran) => answer(ran, id, &tenant),
        Err(error) => Problem::of_invocation(error, id, Some(tenant)).into_response(),
    };
    sign(response.headers_mut(), id, &chosen);
    response
}

fn answer(ran: Ran, id: InvocationId, tenant: &TenantId) -> Response {
    let Ran {
        completed,
        duration,
    } = ran;
    let mut logs: Vec<RunLogBody> = completed.logs.into_iter().map(RunLogBody::of).collect();
    let result = match completed.result {
        Ok(result) => result,
        Err(failed) => {
            // How it ended is the last line, and has the stack.
            logs.pop();
            let problem = Problem::of_invocation(failed.error, id, Some(tenant.clone()));
            let mut response = problem.with_exception(failed.exception).into_response();
            response.extensions_mut().insert(RunLogs(logs));
            return response;
        }
    };
    let logs = json!(logs).to_string();
    let duration = duration.as_millis().to_string();
    // The result is put in as the function made it.
    let parts: [&[u8]; 7] = [
        b"{\"result\":",
        &result,
        b",\"logs\":",
        logs.as_bytes(),
        b",\"duration\":",
        duration.as_bytes(),
        b"}",
    ];
    let json = HeaderValue::from_static("application/json");
    (StatusCode::OK, [(CONTENT_TYPE, json)], parts.concat()).into_response()
}

async fn json_body(http: &Http, request: Request) -> Result<Value, Error> {
    let bytes = whole_body(http, request).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::new(Code::BodyInvalid, format!("the body is no JSON: {error}")))
}

async fn whole_body(http: &Http, request: Request) -> Result<bytes::Bytes, Error> {
    let (parts, body) = request.into_parts();
    let body = Unread::new(&parts.headers, body, http.tasks.clone());
    body.read(http.app.workspaces.request_bytes_max()).await
}

/// The content type without its parameters, in lower case.
fn essence(headers: &HeaderMap) -> Vec<u8> {
    let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let essence = value.unwrap_or_default().split(|b| *b == b';').next();
    essence
        .unwrap_or_default()
        .trim_ascii()
        .to_ascii_lowercase()
}

/// Tells errors in the form of this surface: `error` and `message` first, then the problem, and
/// what the run logged before it failed.
pub(super) async fn told(request: Request, next: Next) -> Result<Response, Infallible> {
    let response = next.run(request).await;
    let is_problem = response.headers().get(CONTENT_TYPE)
        == Some(&HeaderValue::from_static("application/problem+json"));
    if !is_problem {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, PROBLEM_BYTES_MAX).await.unwrap_or_default();
    let problem: Map<String, Value> = serde_json::from_slice(&bytes).unwrap_or_default();
    let logs = parts.extensions.remove::<RunLogs>();
    let told = in_order(problem, logs).to_string();
    parts.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(told)))
}

fn in_order(mut problem: Map<String, Value>, logs: Option<RunLogs>) -> Value {
    let message = match problem.get("exception") {
        Some(exception) => json!(sentence(exception)),
        None => problem.remove("message").unwrap_or_default(),
    };
    let mut told = Map::new();
    told.insert(
        "error".to_owned(),
        problem.get("code").cloned().unwrap_or_default(),
    );
    told.insert("message".to_owned(), message);
    for (name, value) in problem {
        told.entry(name).or_insert(value);
    }
    if let Some(RunLogs(logs)) = logs {
        told.insert("logs".to_owned(), json!(logs));
    }
    Value::Object(told)
}

/// An exception in one line: `TypeError: x is not a function at hello:3:7`.
fn sentence(exception: &Value) -> String {
    let part = |name: &str| exception[name].as_str().unwrap_or_default().to_owned();
    let (name, message, place) = (part("name"), part("message"), part("place"));
    let mut sentence = match (name.as_str(), message.as_str()) {
        ("", message) => message.to_owned(),
        (name, "") => name.to_owned(),
        (name, message) => format!("{name}: {message}"),
    };
    if !place.is_empty() {
        sentence = format!("{sentence} at {place}");
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_and_message_come_first() {
        let problem = json!({
            "type": "/errors/function_threw", "code": "function_threw", "detail": "uncaught",
            "message": "uncaught",
            "exception": { "name": "TypeError", "message": "no", "place": "hello:3:7" },
        });
        let Value::Object(problem) = problem else {
            unreachable!("it is an object");
        };
        let told = in_order(problem, Some(RunLogs(Vec::new())));
        let names: Vec<&String> = told.as_object().unwrap().keys().collect();
        assert_eq!(names[..3], ["error", "message", "type"]);
        assert_eq!(told["message"], "TypeError: no at hello:3:7");
        assert_eq!(told["logs"], json!([]));
    }

    #[test]
    fn what_is_thrown_need_not_be_an_error() {
        let of = |name: &str, message: &str| {
            sentence(&json!({ "name": name, "message": message, "place": null }))
        };
        assert_eq!(of("", "'text'"), "'text'");
        assert_eq!(of("Mine", ""), "Mine");
    }
}
