//! Records of invocations: listing them, searching them, and one with its log lines.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::Uri;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::path::{OfFunction, OfTenant, Params};
use super::problem::{Problem, status_of};
use crate::error::Code;
use crate::id::{FunctionName, InvocationId, TenantId};
use crate::limits::INVOCATIONS_PAGE_MAX;
use crate::search::{self, Schema, Type};
use crate::store::{
    Ending, InvocationRecord, Level, Lines, LogLine, RecordedError, RecordedKind, Scan,
};

/// Records in one answer when the request does not say.
const RECORDS_DEFAULT: usize = 50;
/// How long a search waits for one of the places that there are for searches.
const PLACE_WAIT: Duration = Duration::from_secs(10);

/// The fields that a search knows.
const FIELDS: Schema = &[
    ("id", Type::Text),
    ("function", Type::Text),
    ("version", Type::Number),
    ("deployment", Type::Text),
    ("kind", Type::Text),
    ("method", Type::Text),
    ("target", Type::Text),
    ("path", Type::Text),
    ("status", Type::Number),
    ("outcome", Type::Text),
    ("code", Type::Text),
    ("error", Type::Text),
    ("started_ms", Type::Number),
    ("duration_ms", Type::Number),
    ("fuel", Type::Number),
    ("memory_bytes", Type::Number),
    ("host_calls", Type::Number),
    ("subrequests", Type::Number),
    ("kv_operations", Type::Number),
    ("request_bytes", Type::Number),
    ("response_bytes", Type::Number),
    ("client", Type::Text),
    ("user_agent", Type::Text),
    ("trace_id", Type::Text),
    ("lines", Type::Number),
    ("level", Type::Text),
    ("message", Type::Text),
];

/// Which records to answer.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How they ended: all, those that ran to their end, those with an error code, or those that
    /// were dropped half-way.
    #[param(inline)]
    outcome: Option<OutcomeFilter>,
    /// Only those that ended with this error code.
    code: Option<String>,
    /// Only those that were answered with this HTTP status.
    #[param(minimum = 100, maximum = 999)]
    status: Option<u16>,
    /// Only those of this version.
    version: Option<u64>,
    /// Only those of this kind.
    #[param(inline)]
    kind: Option<KindName>,
    /// Only those that took at least this many milliseconds.
    #[param(minimum = 0)]
    min_duration_ms: Option<u64>,
    /// Only those that started at this Unix time in milliseconds or later.
    #[param(minimum = 0)]
    from_ms: Option<u64>,
    /// Only those that started at this Unix time in milliseconds or earlier.
    #[param(minimum = 0)]
    to_ms: Option<u64>,
    /// A search, as `docs/logs.md` describes it; at most 1024 bytes.
    #[param(max_length = 1024)]
    search: Option<String>,
    /// Most records to answer, and never more than 200; 50 otherwise.
    limit: Option<usize>,
    /// The `cursor` of the answer before.
    #[param(value_type = Option<InvocationId>, inline)]
    cursor: Option<String>,
}

/// How an invocation ended, to choose by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OutcomeFilter {
    All,
    Success,
    Error,
    Cancelled,
}

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Success,
    Error,
    Cancelled,
}

/// What an invocation was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum KindName {
    Request,
    Event,
    Workspace,
    Scheduled,
    Test,
}

impl From<RecordedKind> for KindName {
    fn from(kind: RecordedKind) -> Self {
        match kind {
            RecordedKind::Request => Self::Request,
            RecordedKind::Event => Self::Event,
            RecordedKind::Workspace => Self::Workspace,
            RecordedKind::Scheduled => Self::Scheduled,
            RecordedKind::Test => Self::Test,
        }
    }
}

/// What is known about one invocation.
#[derive(Serialize, ToSchema)]
pub(super) struct InvocationView {
    /// The invocation's id, as `x-ampoule-invocation` gave it.
    id: String,
    /// The function that ran.
    function: String,
    /// The version that ran.
    version: u64,
    /// The deployment that ran.
    deployment: String,
    /// What it was for.
    kind: KindName,
    /// The HTTP method.
    method: String,
    /// Path and query after the function's name, cut to 2048 bytes, with the values of parameters
    /// that are named like secrets redacted.
    target: String,
    /// The status that the client got; `null` when it went away before.
    status: Option<u16>,
    /// How it ended.
    outcome: Outcome,
    /// The error code, if it ended with one.
    code: Option<String>,
    /// The exception that ended it, if one did.
    error: Option<ExceptionView>,
    /// When it started, in Unix milliseconds.
    started_ms: u64,
    /// From admission to the end, in milliseconds with three decimals.
    duration_ms: f64,
    /// What it used.
    cost: CostView,
    /// The client's address.
    client: String,
    /// The client's `user-agent`, cut to 256 bytes; empty for none.
    user_agent: String,
    /// The W3C trace id.
    trace_id: String,
    /// How many log lines it had.
    lines: u32,
}

/// An exception that nothing caught.
#[derive(Serialize, ToSchema)]
pub(super) struct ExceptionView {
    /// Such as `TypeError`.
    name: String,
    /// As thrown.
    message: String,
    /// With places in the source as it was written, where a source map knows them.
    stack: String,
}

/// What an invocation used.
#[derive(Serialize, ToSchema)]
pub(super) struct CostView {
    /// WebAssembly instructions.
    fuel: u64,
    /// Memory above the function's own snapshot, at its highest.
    memory_bytes: u64,
    /// Calls of host functions that begin work or move data.
    host_calls: u64,
    /// Requests and WebSockets to the outside.
    subrequests: u64,
    /// Commands to kv.
    kv_operations: u64,
    /// Size of the request's body.
    request_bytes: u64,
    /// Size of the answer's body.
    response_bytes: u64,
}

/// One line of an invocation's log.
#[derive(Serialize, ToSchema)]
pub(super) struct LineView {
    /// When it was logged, in Unix milliseconds.
    timestamp_ms: u64,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    level: String,
    /// The text.
    message: String,
}

/// A page of records, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct InvocationList {
    /// The records.
    invocations: Vec<InvocationView>,
    /// Where to go on; `null` at the end. One request looks at a part of a large log only, so a
    /// page may have fewer records than asked for, or none, and a cursor.
    cursor: Option<String>,
}

/// One invocation with its log.
#[derive(Serialize, ToSchema)]
pub(super) struct InvocationDetail {
    #[serde(flatten)]
    invocation: InvocationView,
    /// Its lines, oldest first. Those that are too old, or pushed out by newer ones of the same
    /// function, are not there any more.
    log: Vec<LineView>,
}

/// Lists the invocations of a tenant, newest first.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/invocations",
    operation_id = "list_invocations_of_tenant",
    tag = "logs",
    params(OfTenant, Wanted),
    responses(
        (status = 200, description = "A page of records", body = InvocationList),
    )
)]
pub(super) async fn of_tenant(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
    uri: Uri,
) -> Result<Json<InvocationList>, Problem> {
    list(&http, tenant, None, &uri).await
}

/// Lists the invocations of a function, newest first.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}/invocations",
    operation_id = "list_invocations",
    tag = "logs",
    params(OfFunction, Wanted),
    responses(
        (status = 200, description = "A page of records", body = InvocationList),
    )
)]
pub(super) async fn of_function(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    uri: Uri,
) -> Result<Json<InvocationList>, Problem> {
    must_exist(&http, &tenant, &function).await?;
    list(&http, tenant, Some(function), &uri).await
}

/// Shows one invocation with its log lines.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/invocations/{invocation}",
    operation_id = "get_invocation_of_tenant",
    tag = "logs",
    params(
        OfTenant,
        ("invocation" = inline(InvocationId), Path, description = "The invocation's id")
    ),
    responses(
        (status = 200, description = "The record and its lines", body = InvocationDetail),
    )
)]
pub(super) async fn show_of_tenant(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
    OfInvocation(id): OfInvocation,
) -> Result<Json<InvocationDetail>, Problem> {
    detail(&http, tenant, None, id).await
}

/// Shows one invocation of a function with its log lines.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}/invocations/{invocation}",
    operation_id = "get_invocation",
    tag = "logs",
    params(
        OfFunction,
        ("invocation" = inline(InvocationId), Path, description = "The invocation's id")
    ),
    responses(
        (status = 200, description = "The record and its lines", body = InvocationDetail),
    )
)]
pub(super) async fn show(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    OfInvocation(id): OfInvocation,
) -> Result<Json<InvocationDetail>, Problem> {
    detail(&http, tenant, Some(function), id).await
}

/// The invocation that a path names.
pub(super) struct OfInvocation(InvocationId);

impl<S: Send + Sync> FromRequestParts<S> for OfInvocation {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self(parse_id(params.get("invocation"))?))
    }
}

fn parse_id(text: &str) -> Result<InvocationId, Problem> {
    let id = InvocationId::from_str(text);
    id.map_err(|error| Problem::new(Code::BadRequest, error.to_string()))
}

/// Answers 404 for a function that there is not.
///
/// # Errors
/// `function_not_found`, `storage_unavailable`.
pub(super) async fn must_exist(
    http: &Http,
    tenant: &TenantId,
    function: &FunctionName,
) -> Result<(), Problem> {
    let functions = http.app.store.functions();
    if functions.active(tenant, function)?.is_none() {
        let (tenant, function) = (tenant.clone(), function.clone());
        http.blocking(move || functions.show(&tenant, &function))
            .await??;
    }
    Ok(())
}

/// One of the places that there are for searches, so that they never take all threads.
///
/// # Errors
/// `storage_busy` when none is free for long.
pub(super) async fn place_to_search(http: &Http) -> Result<OwnedSemaphorePermit, Problem> {
    let place = timeout(PLACE_WAIT, Arc::clone(&http.scans).acquire_owned()).await;
    match place {
        Ok(Ok(place)) => Ok(place),
        Ok(Err(_)) | Err(_) => Err(Problem::new(
            Code::StorageBusy,
            "too many searches are running",
        )),
    }
}

async fn list(
    http: &Http,
    tenant: TenantId,
    function: Option<FunctionName>,
    uri: &Uri,
) -> Result<Json<InvocationList>, Problem> {
    let wanted = Query::<Wanted>::try_from_uri(uri);
    let wanted = wanted
        .map_err(|error| Problem::new(Code::BadRequest, error.body_text()))?
        .0;
    if !wanted
        .status
        .is_none_or(|status| (100..=999).contains(&status))
    {
        let detail = "status must be 100 to 999";
        return Err(Problem::new(Code::BadRequest, detail));
    }
    let search = wanted.search.as_deref().map(parse_search).transpose()?;
    let scan = Scan {
        tenant,
        function,
        before: wanted.cursor.as_deref().map(parse_id).transpose()?,
        from_ms: wanted.from_ms,
        to_ms: wanted.to_ms,
        limit: wanted
            .limit
            .unwrap_or(RECORDS_DEFAULT)
            .clamp(1, INVOCATIONS_PAGE_MAX),
    };
    let place = place_to_search(http).await?;
    let invocations = http.app.store.invocations();
    let found = http.blocking(move || {
        let _place = place;
        invocations.scan(&scan, &mut |function, record, lines| {
            wanted.includes(record)
                && search.as_ref().is_none_or(|query| {
                    query.matches(&mut Searched {
                        function,
                        record,
                        lines,
                    })
                })
        })
    });
    let found = found.await??;
    let invocations = found.records.into_iter().map(view).collect();
    Ok(Json(InvocationList {
        invocations,
        cursor: found.next.map(|id| id.to_string()),
    }))
}

fn parse_search(text: &str) -> Result<search::Query, Problem> {
    let query = search::Query::parse(text, FIELDS);
    query.map_err(|error| Problem::new(Code::BadRequest, format!("search: {error}")))
}

async fn detail(
    http: &Http,
    tenant: TenantId,
    function: Option<FunctionName>,
    id: InvocationId,
) -> Result<Json<InvocationDetail>, Problem> {
    let invocations = http.app.store.invocations();
    let found = http.blocking(move || invocations.get(&tenant, function.as_ref(), id));
    let Some((function, record, lines)) = found.await?? else {
        let detail = format!("there is no record of {id}");
        return Err(Problem::new(Code::InvocationNotFound, detail));
    };
    Ok(Json(InvocationDetail {
        invocation: view((function, record)),
        log: lines.into_iter().map(line_view).collect(),
    }))
}

impl Wanted {
    /// Whether a record passes the filters.
    fn includes(&self, record: &InvocationRecord) -> bool {
        let outcome = match self.outcome {
            None | Some(OutcomeFilter::All) => true,
            Some(OutcomeFilter::Success) => record.outcome == Ending::Success,
            Some(OutcomeFilter::Error) => record.outcome == Ending::Error,
            Some(OutcomeFilter::Cancelled) => record.outcome == Ending::Cancelled,
        };
        let is = |wanted: Option<bool>| wanted.unwrap_or(true);
        let least_us = self.min_duration_ms.unwrap_or(0).saturating_mul(1000);
        outcome
            && is(self
                .code
                .as_deref()
                .map(|code| record.code.as_deref() == Some(code)))
            && is(self.status.map(|status| status_for(record) == Some(status)))
            && is(self.version.map(|version| record.version == version))
            && is(self.kind.map(|kind| KindName::from(record.kind) == kind))
            && record.duration_us >= least_us
    }
}

/// The status that the client got: the function's, or that of the error.
fn status_for(record: &InvocationRecord) -> Option<u16> {
    record.status.or_else(|| {
        let code = record.code.as_deref()?;
        let code = Code::ALL.iter().find(|known| known.as_str() == code)?;
        Some(status_of(*code).as_u16())
    })
}

/// A record as a search sees it.
struct Searched<'a, 't> {
    function: &'a FunctionName,
    record: &'a InvocationRecord,
    lines: &'a mut Lines<'t>,
}

impl search::Record for Searched<'_, '_> {
    fn number(&mut self, field: &str) -> Option<f64> {
        let (record, cost) = (self.record, &self.record.cost);
        let number = match field {
            "version" => record.version,
            "status" => u64::from(status_for(record)?),
            "started_ms" => record.id.started_ms(),
            "duration_ms" => return Some(milliseconds(record.duration_us)),
            "fuel" => cost.fuel,
            "memory_bytes" => cost.memory_bytes,
            "host_calls" => cost.host_calls,
            "subrequests" => cost.subrequests,
            "kv_operations" => cost.kv_operations,
            "request_bytes" => cost.request_bytes,
            "response_bytes" => cost.response_bytes,
            "lines" => u64::from(record.lines),
            _ => return None,
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "compared with what people write"
        )]
        Some(number as f64)
    }

    fn text(&mut self, field: &str, matches: &mut dyn FnMut(&str) -> bool) -> bool {
        let record = self.record;
        match field {
            "id" => matches(&record.id.to_string()),
            "function" => matches(self.function.as_str()),
            "deployment" => matches(&record.deployment.to_string()),
            "kind" => matches(record.kind.as_str()),
            "method" => matches(&record.method),
            "target" => matches(&record.target),
            "path" => matches(record.target.split('?').next().unwrap_or_default()),
            "outcome" => matches(record.outcome.as_str()),
            "code" => record.code.as_deref().is_some_and(matches),
            "error" => any_of_error(record.error.as_ref(), matches),
            "client" => matches(&record.client.to_string()),
            "user_agent" => matches(&record.user_agent),
            "trace_id" => matches(&record.trace_id.to_string()),
            "level" => self.lines.any(|line| matches(level(line.level))),
            "message" => self.lines.any(|line| matches(&line.message)),
            _ => false,
        }
    }

    fn any_text(&mut self, matches: &mut dyn FnMut(&str) -> bool) -> bool {
        let record = self.record;
        matches(&record.target)
            || record.code.as_deref().is_some_and(&mut *matches)
            || any_of_error(record.error.as_ref(), matches)
            || self.lines.any(|line| matches(&line.message))
    }
}

fn any_of_error(error: Option<&RecordedError>, matches: &mut dyn FnMut(&str) -> bool) -> bool {
    error.is_some_and(|error| matches(&error.name) || matches(&error.message))
}

/// The word for a level.
pub(super) fn level(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

#[expect(clippy::cast_precision_loss, reason = "centuries are exact")]
fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

fn view((function, record): (FunctionName, InvocationRecord)) -> InvocationView {
    InvocationView {
        id: record.id.to_string(),
        function: function.to_string(),
        version: record.version,
        deployment: record.deployment.to_string(),
        kind: record.kind.into(),
        status: status_for(&record),
        method: record.method,
        target: record.target,
        outcome: match record.outcome {
            Ending::Success => Outcome::Success,
            Ending::Error => Outcome::Error,
            Ending::Cancelled => Outcome::Cancelled,
        },
        code: record.code.map(String::from),
        error: record.error.map(|error| ExceptionView {
            name: error.name,
            message: error.message,
            stack: error.stack,
        }),
        started_ms: record.id.started_ms(),
        duration_ms: milliseconds(record.duration_us),
        cost: CostView {
            fuel: record.cost.fuel,
            memory_bytes: record.cost.memory_bytes,
            host_calls: record.cost.host_calls,
            subrequests: record.cost.subrequests,
            kv_operations: record.cost.kv_operations,
            request_bytes: record.cost.request_bytes,
            response_bytes: record.cost.response_bytes,
        },
        client: record.client.to_string(),
        user_agent: record.user_agent,
        trace_id: record.trace_id.to_string(),
        lines: record.lines,
    }
}

fn line_view(line: LogLine) -> LineView {
    LineView {
        timestamp_ms: line.timestamp_ms,
        level: level(line.level).to_owned(),
        message: line.message,
    }
}
