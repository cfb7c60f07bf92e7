//! `PUT …/functions/{function}`: an upload with its settings becomes a new version.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::body::Unread;
use super::etag::{Tagged, expected};
use super::openapi::{Binary, ProblemBody};
use super::path::OfFunction;
use super::problem::Problem;
use super::versions::VersionBody;
use crate::deploy::{Deployed, Settings, Upload, UploadKind, is_source_name};
use crate::error::{Code, Error};
use crate::kind::Kind;
use crate::limits;
use crate::store::{Level, LogLine};

/// Carries a deployment's settings: JSON, percent-encoded.
const SETTINGS: &str = "x-ampoule-settings";
/// The name that a source has without one of its own.
const DEFAULT_FILENAME: &str = "index.js";
/// The same for a source that says it is TypeScript.
const TYPESCRIPT_FILENAME: &str = "index.ts";

/// A version that was just deployed.
#[derive(Serialize, ToSchema)]
#[schema(as = Deployed)]
pub(super) struct DeployedBody {
    #[serde(flatten)]
    version: VersionBody,
    /// What its modules logged while they were loaded.
    log: Vec<LoadLineBody>,
}

impl DeployedBody {
    /// A version that was just deployed, or was there already, as an answer.
    pub(super) fn answer(deployed: Deployed) -> Tagged<(StatusCode, Json<Self>)> {
        let status = if deployed.is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        let body = Self {
            version: VersionBody::of(&deployed.deployment, deployed.active),
            log: deployed.log.iter().map(LoadLineBody::of).collect(),
        };
        Tagged(deployed.tag, (status, Json(body)))
    }
}

/// A line that was logged while the modules were loaded: of no invocation, and of this version.
#[derive(Serialize, ToSchema)]
#[schema(as = LoadLine)]
pub(super) struct LoadLineBody {
    level: Level,
    message: String,
    /// Unix time in milliseconds.
    timestamp_ms: u64,
}

impl LoadLineBody {
    fn of(line: &LogLine) -> Self {
        Self {
            level: line.level,
            message: line.message.clone(),
            timestamp_ms: line.timestamp_ms,
        }
    }
}

/// `PUT …/functions/{function}`: stores a new version.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/functions/{function}",
    operation_id = "deploy_function",
    tag = "functions",
    summary = "Deploy a new version",
    params(
        OfFunction,
        UploadQuery,
        (
            "x-ampoule-settings" = Option<String>, Header,
            description = "The settings as percent-encoded JSON, see the schema `Settings`"
        ),
        ("if-match" = Option<String>, Header, description = "What the function has to be"),
        (
            "if-none-match" = Option<String>, Header,
            description = "`*`: there must be no such function"
        ),
    ),
    request_body(
        description = "The code: one file of source, or a folder as an archive",
        content(
            (String = "application/javascript"),
            (String = "text/javascript"),
            (String = "application/typescript"),
            (String = "text/typescript"),
            (Binary = "application/gzip"),
            (Binary = "application/x-gzip"),
            (Binary = "application/x-tar+gzip"),
            (Binary = "application/zip"),
        )
    ),
    responses(
        (status = 201, description = "The new version", body = DeployedBody),
        (
            status = 200, description = "The version that is the same already",
            body = DeployedBody
        ),
        (
            status = 409, description = "`versions_exceeded`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
        (
            status = 412, description = "`precondition_failed`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
        (
            status = 422, description = "The code cannot be loaded: `entry_not_found`, \
            `syntax_error`, `module_not_found`, `load_threw`, `load_exceeded`, `handler_missing`",
            body = ProblemBody, content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn deploy(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    request: Request,
) -> Result<Tagged<(StatusCode, Json<DeployedBody>)>, Problem> {
    let (parts, body) = request.into_parts();
    let body = Unread::new(&parts.headers, body, http.tasks.clone());
    let query = Query::<UploadQuery>::try_from_uri(&parts.uri)
        .map_err(|error| Problem::new(Code::BadRequest, error.body_text()))?
        .0;
    let activate = query.activate;
    let kind = upload_kind(&parts, query)?;
    let mut settings = settings(&parts.headers)?;
    settings.activate = activate.or(settings.activate);
    let expected = expected(&parts.headers)?;
    // Before all of it is sent; what counts is what the store finds.
    let functions = http.app.store.functions();
    functions.check(&tenant, &function, &expected)?;
    let bytes_max = u64::try_from(limits::UPLOAD_BYTES_MAX).unwrap_or(u64::MAX);
    let bytes = body.read(bytes_max).await.map_err(upload_error)?;
    let upload = Upload {
        tenant,
        function,
        kind,
        bytes,
        settings,
        expected,
    };
    let deployed = http.app.deploy.deploy(upload).await?;
    Ok(DeployedBody::answer(deployed))
}

fn upload_error(error: Error) -> Error {
    match error.code {
        Code::BodyTooLarge => Error {
            code: Code::ArchiveTooLarge,
            ..error
        },
        _ => error,
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct UploadQuery {
    /// What a single source is called; `index.js`, or `index.ts` for TypeScript, otherwise.
    filename: Option<String>,
    /// Whether the version becomes the active one; goes before the setting of that name.
    activate: Option<bool>,
}

fn upload_kind(parts: &Parts, query: UploadQuery) -> Result<UploadKind, Problem> {
    let value = parts
        .headers
        .get(CONTENT_TYPE)
        .map(|value| value.as_bytes());
    let essence = value.unwrap_or_default().split(|b| *b == b';').next();
    let essence = essence
        .unwrap_or_default()
        .trim_ascii()
        .to_ascii_lowercase();
    match essence.as_slice() {
        b"application/javascript" | b"text/javascript" => source_kind(query, DEFAULT_FILENAME),
        b"application/typescript" | b"text/typescript" => source_kind(query, TYPESCRIPT_FILENAME),
        b"application/gzip" | b"application/x-gzip" | b"application/x-tar+gzip" => {
            Ok(UploadKind::TarGz)
        }
        b"application/zip" => Ok(UploadKind::Zip),
        _ => Err(Problem::new(
            Code::BodyInvalid,
            "the content type must be application/javascript or application/typescript for a \
             source, application/gzip for a tar.gz, or application/zip",
        )),
    }
}

fn source_kind(query: UploadQuery, default: &str) -> Result<UploadKind, Problem> {
    let filename = query.filename.unwrap_or_else(|| default.to_owned());
    check_filename(&filename)?;
    Ok(UploadKind::Source { filename })
}

fn check_filename(filename: &str) -> Result<(), Problem> {
    let is_fine = is_source_name(filename)
        && filename.len() <= limits::PATH_BYTES_MAX
        && !filename.contains(|c: char| matches!(c, '/' | '\\') || c.is_control());
    if is_fine {
        return Ok(());
    }
    let detail = "filename must be the name of one file of JavaScript (.js, .mjs, .cjs), \
                  TypeScript (.ts, .mts, .cts, .tsx) or JSX (.jsx)";
    Err(Problem::new(Code::BadRequest, detail))
}

/// Reads the settings of a deployment; without the header there are none.
fn settings(headers: &HeaderMap) -> Result<Settings, Problem> {
    let Some(value) = headers.get(SETTINGS) else {
        return Ok(Settings::default());
    };
    let json: Vec<u8> = percent_decode(value.as_bytes()).collect();
    let invalid = |detail| Problem::new(Code::SettingsInvalid, format!("{SETTINGS}: {detail}"));
    // Read twice: serde would take a list for an object without names.
    let shape: Value = serde_json::from_slice(&json).map_err(|error| invalid(error.to_string()))?;
    if !shape.is_object() || !shape.get("limits").is_none_or(Value::is_object) {
        return Err(invalid("settings and limits are objects".to_owned()));
    }
    let settings: Settings =
        serde_json::from_slice(&json).map_err(|error| invalid(error.to_string()))?;
    if settings.kind == Kind::Workspace {
        return Err(invalid(
            "workspaces are deployed at /v2/functions".to_owned(),
        ));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests;
