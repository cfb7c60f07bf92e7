//! The control plane's functions: deploy, look at, activate, delete.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Http;
use super::body::Unread;
use super::path::{OfFunction, OfTenant, OfVersion};
use super::problem::Problem;
use crate::deploy::{Settings, Upload, UploadKind, is_source_name};
use crate::error::{Code, Error};
use crate::limits;
use crate::store::{Deployment, Evaluation, LogLine};

/// Carries a deployment's settings: JSON, percent-encoded.
const SETTINGS: &str = "x-ampoule-settings";
/// The name that a source has without one of its own.
const DEFAULT_FILENAME: &str = "index.js";
/// The same for a source that says it is TypeScript.
const TYPESCRIPT_FILENAME: &str = "index.ts";

/// `PUT …/functions/{function}`: stores a new version.
pub(super) async fn deploy(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (parts, body) = request.into_parts();
    let body = Unread::new(&parts.headers, body, http.tasks.clone());
    let kind = upload_kind(&parts)?;
    let settings = settings(&parts.headers)?;
    let bytes_max = u64::try_from(limits::UPLOAD_BYTES_MAX).unwrap_or(u64::MAX);
    let bytes = body.read(bytes_max).await.map_err(upload_error)?;
    let upload = Upload {
        tenant,
        function,
        kind,
        bytes,
        settings,
    };
    let deployed = http.app.deploy.deploy(upload).await?;
    let mut version = version_json(&deployed.deployment, deployed.active);
    let log: Vec<Value> = deployed.log.iter().map(log_json).collect();
    version.insert("log".to_owned(), json!(log));
    Ok((StatusCode::CREATED, Json(Value::Object(version))))
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

#[derive(Deserialize)]
struct UploadQuery {
    filename: Option<String>,
}

fn upload_kind(parts: &Parts) -> Result<UploadKind, Problem> {
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
        b"application/javascript" | b"text/javascript" => source_kind(parts, DEFAULT_FILENAME),
        b"application/typescript" | b"text/typescript" => source_kind(parts, TYPESCRIPT_FILENAME),
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

fn source_kind(parts: &Parts, default: &str) -> Result<UploadKind, Problem> {
    let query = Query::<UploadQuery>::try_from_uri(&parts.uri)
        .map_err(|error| Problem::new(Code::BadRequest, error.body_text()))?;
    let filename = query.0.filename.unwrap_or_else(|| default.to_owned());
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
    serde_json::from_slice(&json).map_err(|error| invalid(error.to_string()))
}

/// `GET …/functions`: every function of a tenant, with its active version.
pub(super) async fn list(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
) -> Result<Json<Value>, Problem> {
    let functions = http.app.store.functions();
    let summaries = http.blocking(move || functions.list(&tenant)).await??;
    let listed: Vec<Value> = summaries
        .iter()
        .map(|summary| {
            let mut entry = Map::new();
            entry.insert("name".to_owned(), json!(summary.function));
            let active = summary.active.as_ref().map(|active| active.version);
            entry.insert("active_version".to_owned(), json!(active));
            entry.insert("versions".to_owned(), json!(summary.versions));
            if let Some(active) = &summary.active {
                entry.extend(version_json(active, true));
            }
            Value::Object(entry)
        })
        .collect();
    Ok(Json(json!({ "functions": listed })))
}

/// `GET …/functions/{function}`: the active version.
pub(super) async fn show(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
) -> Result<Json<Value>, Problem> {
    let functions = http.app.store.functions();
    if let Some(active) = functions.active(&tenant, &function)? {
        return Ok(Json(Value::Object(version_json(&active, true))));
    }
    // Without an active version there may still be others; without any this is the error.
    http.blocking(move || functions.versions(&tenant, &function))
        .await??;
    let detail = "no version of this function is active: activate one";
    Err(Problem::new(Code::VersionNotFound, detail))
}

/// `DELETE …/functions/{function}`: with all versions and lines of its log.
pub(super) async fn delete(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
) -> Result<StatusCode, Problem> {
    let functions = http.app.store.functions();
    functions.delete_function(&tenant, &function).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET …/versions`: newest first.
pub(super) async fn versions(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
) -> Result<Json<Value>, Problem> {
    let functions = http.app.store.functions();
    let (active, versions) = http
        .blocking(move || {
            let active = functions.active(&tenant, &function)?;
            Ok::<_, crate::store::Error>((active, functions.versions(&tenant, &function)?))
        })
        .await??;
    let active = active.map(|active| active.version);
    let listed: Vec<Value> = versions
        .iter()
        .map(|one| Value::Object(version_json(one, active == Some(one.version))))
        .collect();
    Ok(Json(json!({ "versions": listed })))
}

/// `POST …/versions/{version}/activate`
pub(super) async fn activate(
    State(http): State<Arc<Http>>,
    OfVersion(tenant, function, version): OfVersion,
) -> Result<Json<Value>, Problem> {
    let functions = http.app.store.functions();
    let active = functions.activate(&tenant, &function, version).await?;
    Ok(Json(Value::Object(version_json(&active, true))))
}

/// `DELETE …/versions/{version}`: any but the active one.
pub(super) async fn delete_version(
    State(http): State<Arc<Http>>,
    OfVersion(tenant, function, version): OfVersion,
) -> Result<StatusCode, Problem> {
    let functions = http.app.store.functions();
    functions
        .delete_version(&tenant, &function, version)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A deployment as the API shows it. Of the environment only the names: values may be secret.
fn version_json(deployment: &Deployment, active: bool) -> Map<String, Value> {
    let (evaluation, reason) = match &deployment.evaluation {
        Evaluation::Snapshot => ("snapshot", None),
        Evaluation::PerRequest { reason } => ("per_request", Some(reason)),
    };
    let names: Vec<&String> = deployment.env.keys().collect();
    // They were resolved once; a server with lower maxima since then shows what was written.
    let limits = match deployment.limits.resolve() {
        Ok(limits) => json!(limits),
        Err(_) => json!(deployment.limits),
    };
    let entries = [
        ("tenant", json!(deployment.tenant)),
        ("function", json!(deployment.function)),
        ("version", json!(deployment.version)),
        ("deployment", json!(deployment.id)),
        ("active", json!(active)),
        ("created_ms", json!(deployment.created_ms)),
        ("evaluation", json!(evaluation)),
        ("evaluation_reason", json!(reason)),
        ("entry", json!(deployment.entry)),
        ("route", json!(deployment.route)),
        ("files", json!(deployment.files)),
        ("source_bytes", json!(deployment.source_bytes)),
        ("snapshot_bytes", json!(deployment.snapshot_bytes)),
        ("limits", limits),
        ("env", json!(names)),
    ];
    entries
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

/// A line that was logged while the modules were loaded: of no invocation, and of this version.
fn log_json(line: &LogLine) -> Value {
    json!({
        "level": line.level, "message": line.message, "timestamp_ms": line.timestamp_ms,
    })
}

#[cfg(test)]
mod tests;
