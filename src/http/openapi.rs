//! The OpenAPI document, made from the handlers themselves.
//!
//! A handler says with `#[utoipa::path]` what it takes and answers; whatever `routes!` adds to the
//! router is in the document by that alone.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{
    Http as HttpScheme, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Server};
use utoipa::{Modify, OpenApi as _, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::Http;
use crate::deploy::Settings;
use crate::id::{DeploymentId, FunctionName, InvocationId, ScheduleName, TenantId};
use crate::limits;

/// Where the control plane is.
const PREFIX: &str = "/api/v1";

/// What every operation of the control plane has in common.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Ampoule control plane",
        description = "Deploys, runs and looks after functions. Errors are problems (RFC 9457) \
                       with a stable `code`; `/errors/{code}` explains each."
    ),
    servers((url = PREFIX)),
    security(("key" = [])),
    components(schemas(ProblemBody, Settings)),
    modifiers(&Key)
)]
struct Document;

/// The one way to show a key.
struct Key;

impl Modify for Key {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = SecurityScheme::Http(HttpScheme::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", scheme);
    }
}

/// A problem (RFC 9457): the body of every answer that is not a success.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// Where the page on the code is: `/errors/{code}`.
    r#type: String,
    /// The fixed sentence that goes with the code.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: String,
    /// `/invocations/{id}`, if an invocation is concerned.
    instance: Option<String>,
    /// The stable code.
    code: String,
    /// Who has to act: `caller`, `function` or `platform`.
    origin: String,
    /// The same as `detail`.
    message: String,
    /// The invocation's id, if one is concerned.
    invocation: Option<String>,
    /// What the function threw, for callers who own it.
    exception: Option<ExceptionBody>,
}

/// An exception that nothing caught.
#[derive(Serialize, ToSchema)]
#[schema(as = Exception)]
pub(super) struct ExceptionBody {
    /// Such as `TypeError`; empty for a value that is no error.
    pub(super) name: String,
    pub(super) message: String,
    /// `file:line:column` in the source as it was uploaded.
    pub(super) place: Option<String>,
}

/// A router whose document has what all operations share.
pub(super) fn router() -> OpenApiRouter<Arc<Http>> {
    OpenApiRouter::with_openapi(Document::openapi())
}

/// Adds the operations of a router that stands below another prefix: they name it themselves.
pub(super) fn add(document: &mut OpenApi, mut other: OpenApi, prefix: &str) {
    for item in other.paths.paths.values_mut() {
        for (_method, operation) in operations(item) {
            operation.servers = Some(vec![Server::new(prefix)]);
        }
    }
    document.merge(other);
}

/// Says that a key may be shown and need not be.
pub(super) fn need_no_key(document: &mut OpenApi) {
    let security = document.security.get_or_insert_default();
    security.insert(0, SecurityRequirement::default());
}

/// `GET /api/v1/openapi.json`: the document, of a router that is complete.
pub(super) fn route(mut document: OpenApi) -> Router<Arc<Http>> {
    complete(&mut document);
    // A document of plain strings and maps always has a JSON form.
    let mut value = serde_json::to_value(&document).unwrap_or_default();
    bound_numbers(&mut value);
    let text = value.to_string();
    let answer = move || {
        let text = text.clone();
        async move { ([(CONTENT_TYPE, "application/json")], text) }
    };
    Router::new().route("/openapi.json", get(answer))
}

/// `*`, or a list of entity tags (RFC 9110, section 8.8.3) in which items may be empty.
const ENTITY_TAGS: &str = "^(\\*|((W/)?\"[!#-~\u{80}-\u{ff}]*\")?\
    ([ \t]*,[ \t]*((W/)?\"[!#-~\u{80}-\u{ff}]*\")?)*)$";
/// A place in a log, or nothing.
const CURSOR_IF_ANY: &str = "^[0-9]{0,19}$";

/// What any operation may be refused with: status and codes.
const ANY: &[(&str, &str)] = &[
    (
        "400",
        "The request is not well formed, or a name is not allowed",
    ),
    ("401", "A valid key is needed: `unauthorized`"),
    (
        "403",
        "The key, or where the request comes from, does not allow this",
    ),
    (
        "404",
        "What the path names is not there, or is another tenant's",
    ),
    ("429", "Too many requests of this tenant"),
    (
        "431",
        "The request target or header section is too large: `fields_too_large`",
    ),
    ("500", "The server failed: `internal`"),
    (
        "503",
        "The server is stopping, or its store is busy or cannot be reached",
    ),
];
/// What an operation that takes a body may be refused with besides.
const WITH_BODY: &[(&str, &str)] = &[
    ("408", "The body took too long to arrive: `request_timeout`"),
    ("413", "The body is too large"),
];

/// Adds to every operation what any may be refused with, where the operation says nothing of it.
/// Gives the methods of one handler an id each, and a rest of a path the form of a parameter.
fn complete(document: &mut OpenApi) {
    let paths = std::mem::take(&mut document.paths.paths);
    for (path, mut item) in paths {
        distinguish(&mut item);
        document.paths.paths.insert(path.replace("{*", "{"), item);
    }
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            refuse(operation, ANY);
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter {
                    describe_header(parameter);
                }
            }
            if operation.request_body.is_some() {
                refuse(operation, WITH_BODY);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Gives a header the form that it has to have: one that is optional is left out, and not `null`.
fn describe_header(parameter: &mut Parameter) {
    if !matches!(parameter.parameter_in, ParameterIn::Header) {
        return;
    }
    let pattern = match parameter.name.as_str() {
        "if-match" | "if-none-match" => Some(ENTITY_TAGS),
        "last-event-id" => Some(CURSOR_IF_ANY),
        _ => None,
    };
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(pattern);
    parameter.schema = Some(text.into());
}

/// Says of every whole number that is not negative how large it may be. utoipa calls them `int64`
/// and `int32`, which begin to be negative where ours go on.
fn bound_numbers(value: &mut Value) {
    match value {
        Value::Object(members) => {
            bound_number(members);
            members.values_mut().for_each(bound_numbers);
        }
        Value::Array(items) => items.iter_mut().for_each(bound_numbers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn bound_number(schema: &mut Map<String, Value>) {
    let is_integer = match schema.get("type") {
        Some(Value::String(name)) => name == "integer",
        Some(Value::Array(names)) => names.iter().any(|name| name == "integer"),
        _ => false,
    };
    if !is_integer || schema.get("minimum").and_then(Value::as_u64).is_none() {
        return;
    }
    let (format, maximum) = match schema.get("format").and_then(Value::as_str) {
        Some("int32") => ("uint32", u64::from(u32::MAX)),
        _ => ("uint64", u64::MAX),
    };
    schema.insert("format".to_owned(), format.into());
    schema.entry("maximum").or_insert(maximum.into());
}

/// Appends the method to ids that occur more than once.
fn distinguish(item: &mut PathItem) {
    let ids = operations(item).map(|(_, operation)| operation.operation_id.clone());
    let ids: Vec<Option<String>> = ids.collect();
    for (method, operation) in operations(item) {
        let occurs = ids.iter().filter(|id| **id == operation.operation_id);
        if occurs.count() > 1
            && let Some(id) = &mut operation.operation_id
        {
            *id = format!("{id}_{method}");
        }
    }
}

fn refuse(operation: &mut Operation, refusals: &[(&str, &str)]) {
    let responses = &mut operation.responses.responses;
    for (status, description) in refusals {
        let problem = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .build();
        let response = ResponseBuilder::new()
            .description(*description)
            .content("application/problem+json", problem)
            .build();
        responses
            .entry((*status).to_owned())
            .or_insert(RefOr::T(response));
    }
}

/// A body of bytes, such as an archive.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes what is read as bytes")]
pub(super) struct Binary(Vec<u8>);

/// The names that tenants and functions may have.
fn name_schema(description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .min_length(Some(1))
        .max_length(Some(limits::NAME_BYTES_MAX))
        .pattern(Some("^[A-Za-z0-9_][A-Za-z0-9_.-]*$"))
        .into()
}

impl PartialSchema for TenantId {
    fn schema() -> RefOr<Schema> {
        name_schema("The name of a tenant")
    }
}

impl ToSchema for TenantId {}

impl PartialSchema for FunctionName {
    fn schema() -> RefOr<Schema> {
        name_schema("The name of a function")
    }
}

impl ToSchema for FunctionName {}

impl PartialSchema for ScheduleName {
    fn schema() -> RefOr<Schema> {
        name_schema("The name of one of a function's schedules")
    }
}

impl ToSchema for ScheduleName {}

/// The name of an environment variable.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^[A-Za-z_][A-Za-z0-9_]*$")]
#[expect(dead_code, reason = "describes keys of maps")]
pub(super) struct EnvName(String);

impl PartialSchema for InvocationId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The id of an invocation: a ULID"))
            .pattern(Some("^[0-7][0-9A-HJKMNP-TV-Z]{25}$"))
            .into()
    }
}

impl ToSchema for InvocationId {}

impl PartialSchema for DeploymentId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The id of a deployment: a ULID"))
            .pattern(Some("^[0-9A-HJKMNP-TV-Z]{26}$"))
            .into()
    }
}

impl ToSchema for DeploymentId {}
