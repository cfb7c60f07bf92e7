//! Schedules: making, looking at and deleting them, their history, and runs by hand.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::etag::{Tagged, expected};
use super::openapi::ProblemBody;
use super::path::{OfFunction, OfSchedule, OfTenant};
use super::problem::Problem;
use super::{Http, json, query};
use crate::error::Code;
use crate::limits;
use crate::schedules::{DEFAULT_ZONE, ScheduleView};
use crate::store::{Missed, Overlap, Retries, Run, RunState, ScheduleSettings, Trigger};

/// Largest body that describes a schedule: its payload, and what stands around that.
const BODY_BYTES_MAX: usize = limits::SCHEDULE_PAYLOAD_BYTES_MAX + (16 << 10);
/// Runs in one answer when the request does not say.
const RUNS_DEFAULT: usize = 20;
/// Times in a preview when the request does not say.
const PREVIEW_DEFAULT: usize = 5;
/// How late a missed tick is made up for when the schedule does not say: one day.
const LATE_MS_DEFAULT: u64 = 24 * 3_600_000;

/// What a schedule is to do.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleBody {
    /// Five fields (minute hour day month weekday) or six (second first).
    #[schema(max_length = 128, example = "*/15 9-17 * * MON-FRI")]
    cron: String,
    /// Name of the time zone in the IANA database that the pattern is meant in.
    #[serde(default = "default_zone")]
    #[schema(default = "UTC", max_length = 64, example = "Europe/Berlin")]
    time_zone: String,
    /// Whether ticks run.
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
    /// Path and query of the request, starting with `/`.
    #[serde(default = "root")]
    #[schema(default = "/", max_length = 2048)]
    path: String,
    /// Body of the request: any JSON of at most 65536 bytes. Without it the body is empty.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
    /// What becomes of ticks for which the server was not there in time.
    #[serde(default, deserialize_with = "json::object")]
    missed: MissedBody,
    /// What becomes of a tick while an earlier run is not over.
    #[serde(default)]
    overlap: OverlapBody,
    /// Whether and when a run that failed is tried again.
    #[serde(default, deserialize_with = "json::object")]
    retries: RetriesBody,
}

/// What becomes of ticks for which the server was not there in time: those more than a minute ago.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MissedBody {
    /// `skip` passes them over, `run_once` runs the latest of them.
    #[serde(default)]
    policy: MissedPolicy,
    /// With `run_once`: how late it may be at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 604_800_000_u64)]
    late_ms_max: Option<u64>,
}

/// See `missed`.
#[derive(Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum MissedPolicy {
    /// They are passed over.
    #[default]
    Skip,
    /// The latest of them runs.
    RunOnce,
}

/// What becomes of a tick while an earlier run is not over: `skip` passes it over, `allow` runs it
/// beside the earlier one (up to 8 at once), `queue_one` lets one tick wait.
#[derive(Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OverlapPolicy)]
pub(super) enum OverlapBody {
    /// It is passed over.
    #[default]
    Skip,
    /// It runs.
    Allow,
    /// One tick waits.
    QueueOne,
}

/// Whether and when a run that failed is tried again.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetriesBody {
    /// Attempts after the first.
    #[schema(default = 0, maximum = 10)]
    max: u32,
    /// Pause after the first attempt; each further one is twice as long.
    #[schema(default = 1000, minimum = 1, maximum = 86_400_000_u64)]
    initial_ms: u64,
    /// Longest pause.
    #[schema(default = 60_000, minimum = 1, maximum = 86_400_000_u64)]
    max_ms: u64,
}

impl Default for RetriesBody {
    fn default() -> Self {
        Self {
            max: 0,
            initial_ms: 1000,
            max_ms: 60_000,
        }
    }
}

fn default_zone() -> String {
    DEFAULT_ZONE.to_owned()
}

fn yes() -> bool {
    true
}

fn root() -> String {
    "/".to_owned()
}

/// A schedule, with when it runs next and how it went the last time.
#[derive(Serialize, ToSchema)]
pub(super) struct ScheduleAnswer {
    /// The owner.
    tenant: String,
    /// What is run.
    function: String,
    /// Which of the function's schedules.
    name: String,
    /// The pattern, as written.
    cron: String,
    /// The time zone that the pattern is meant in.
    time_zone: String,
    /// Whether ticks run.
    enabled: bool,
    /// Path and query of the request.
    path: String,
    /// Body of the request; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
    /// Bytes of JSON in the payload; null without one.
    payload_bytes: Option<usize>,
    /// What becomes of ticks for which the server was not there in time.
    missed: MissedBody,
    /// What becomes of a tick while an earlier run is not over.
    overlap: OverlapBody,
    /// Whether and when a run that failed is tried again.
    retries: RetriesBody,
    /// 1, and one more with every edit.
    revision: u64,
    /// When it was made, Unix time.
    created_ms: u64,
    /// When it was last edited, Unix time.
    updated_ms: u64,
    /// The next tick, Unix time; null when it is not enabled.
    next_ms: Option<u64>,
    /// The newest run; null when there is none.
    last_run: Option<RunAnswer>,
}

/// A schedule with its tag.
type Shown = Tagged<Json<ScheduleAnswer>>;

/// One run of a schedule.
#[derive(Serialize, ToSchema)]
#[schema(as = ScheduleRun)]
pub(super) struct RunAnswer {
    /// 1 and up, in the order of the decisions.
    number: u64,
    trigger: Trigger,
    /// The tick, or when it was asked for; Unix time.
    due_ms: u64,
    state: RunState,
    /// Attempts begun.
    attempt: u32,
    /// Earlier ticks that were passed over with this one because they were missed.
    missed: u64,
    /// When the last attempt began, Unix time.
    started_ms: Option<u64>,
    /// When it was over, Unix time.
    ended_ms: Option<u64>,
    /// When the next attempt begins, Unix time.
    next_attempt_ms: Option<u64>,
    /// The HTTP status that the last attempt was answered with.
    status: Option<u16>,
    /// The error code of the last attempt.
    code: Option<String>,
    /// The invocation of the last attempt.
    invocation: Option<String>,
}

/// The schedules of a function.
#[derive(Serialize, ToSchema)]
pub(super) struct SchedulesAnswer {
    /// By name; at most 100.
    schedules: Vec<ScheduleAnswer>,
    /// Always null: all of them are in one answer.
    cursor: Option<String>,
}

/// Some of a schedule's history.
#[derive(Serialize, ToSchema)]
pub(super) struct RunsAnswer {
    /// Newest first.
    runs: Vec<RunAnswer>,
    /// Where to go on; null at the end.
    cursor: Option<String>,
}

/// A timetable to look at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewBody {
    /// Five fields (minute hour day month weekday) or six (second first).
    #[schema(max_length = 128, example = "0 9 * * MON-FRI")]
    cron: String,
    /// Name of the time zone in the IANA database.
    #[serde(default = "default_zone")]
    #[schema(default = "UTC", max_length = 64)]
    time_zone: String,
    /// Times wanted.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100, default = 5)]
    count: Option<usize>,
    /// After which time, Unix time; now if it is not given.
    #[serde(default)]
    after_ms: Option<u64>,
}

/// The next times of a timetable.
#[derive(Serialize, ToSchema)]
pub(super) struct PreviewAnswer {
    /// In order.
    times: Vec<PreviewTime>,
}

/// One time of a timetable.
#[derive(Serialize, ToSchema)]
pub(super) struct PreviewTime {
    /// Unix time.
    time_ms: u64,
    /// What the clocks of the time zone show then, with their offset from UTC (RFC 3339).
    local: String,
}

/// Which part of a history.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunsQuery {
    /// Most runs wanted.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
    /// The `cursor` of the answer before this one.
    #[param(pattern = "^[0-9]{1,19}$")]
    cursor: Option<String>,
}

impl ScheduleBody {
    fn settings(self) -> Result<ScheduleSettings, Problem> {
        Ok(ScheduleSettings {
            cron: self.cron,
            time_zone: self.time_zone,
            enabled: self.enabled,
            path: self.path,
            payload: self.payload.map(|payload| payload.get().to_owned()),
            missed: self.missed.policy()?,
            overlap: self.overlap.into(),
            retries: Retries {
                max: self.retries.max,
                initial_ms: self.retries.initial_ms,
                max_ms: self.retries.max_ms,
            },
        })
    }
}

impl MissedBody {
    fn policy(&self) -> Result<Missed, Problem> {
        match (self.policy, self.late_ms_max) {
            (MissedPolicy::Skip, None) => Ok(Missed::Skip),
            (MissedPolicy::Skip, Some(_)) => {
                let detail = "missed.late_ms_max goes with the policy run_once only";
                Err(Problem::new(Code::ScheduleInvalid, detail))
            }
            (MissedPolicy::RunOnce, late_ms_max) => Ok(Missed::RunOnce {
                late_ms_max: late_ms_max.unwrap_or(LATE_MS_DEFAULT),
            }),
        }
    }
}

impl From<Missed> for MissedBody {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::Skip => Self::default(),
            Missed::RunOnce { late_ms_max } => Self {
                policy: MissedPolicy::RunOnce,
                late_ms_max: Some(late_ms_max),
            },
        }
    }
}

impl From<OverlapBody> for Overlap {
    fn from(body: OverlapBody) -> Self {
        match body {
            OverlapBody::Skip => Self::Skip,
            OverlapBody::Allow => Self::Allow,
            OverlapBody::QueueOne => Self::QueueOne,
        }
    }
}

impl From<Overlap> for OverlapBody {
    fn from(overlap: Overlap) -> Self {
        match overlap {
            Overlap::Skip => Self::Skip,
            Overlap::Allow => Self::Allow,
            Overlap::QueueOne => Self::QueueOne,
        }
    }
}

impl From<Run> for RunAnswer {
    fn from(run: Run) -> Self {
        Self {
            number: run.number,
            trigger: run.trigger,
            due_ms: run.due_ms,
            state: run.state,
            attempt: run.attempt,
            missed: run.missed,
            started_ms: run.started_ms,
            ended_ms: run.ended_ms,
            next_attempt_ms: run.next_attempt_ms,
            status: run.status,
            code: run.code,
            invocation: run.invocation,
        }
    }
}

impl From<ScheduleView> for ScheduleAnswer {
    fn from(view: ScheduleView) -> Self {
        let (key, schedule) = (view.entry.key, view.entry.schedule);
        let settings = schedule.settings;
        Self {
            tenant: key.tenant.into(),
            function: key.function.into(),
            name: key.name.into(),
            cron: settings.cron,
            time_zone: settings.time_zone,
            enabled: settings.enabled,
            path: settings.path,
            payload_bytes: settings.payload.as_ref().map(String::len),
            // It was JSON when it was stored.
            payload: settings
                .payload
                .and_then(|text| RawValue::from_string(text).ok()),
            missed: settings.missed.into(),
            overlap: settings.overlap.into(),
            retries: RetriesBody {
                max: settings.retries.max,
                initial_ms: settings.retries.initial_ms,
                max_ms: settings.retries.max_ms,
            },
            revision: schedule.revision,
            created_ms: schedule.created_ms,
            updated_ms: schedule.updated_ms,
            next_ms: view.next_ms,
            last_run: view.entry.last_run.map(RunAnswer::from),
        }
    }
}

fn tagged(view: ScheduleView) -> Shown {
    Tagged(view.entry.schedule.tag(), Json(view.into()))
}

/// The schedules of a function, by name.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}/schedules",
    operation_id = "list_schedules",
    tag = "schedules",
    params(OfFunction),
    responses(
        (status = 200, description = "The schedules, without payloads", body = SchedulesAnswer),
    )
)]
pub(super) async fn list(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
) -> Result<Json<SchedulesAnswer>, Problem> {
    let views = http.app.schedules.list(tenant, function).await?;
    let schedules = views.into_iter().map(|view| {
        let mut answer = ScheduleAnswer::from(view);
        answer.payload = None;
        answer
    });
    Ok(Json(SchedulesAnswer {
        schedules: schedules.collect(),
        cursor: None,
    }))
}

/// One schedule, with its next time and its last run.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}/schedules/{schedule}",
    operation_id = "get_schedule",
    tag = "schedules",
    params(OfSchedule),
    responses(
        (
            status = 200, description = "The schedule", body = ScheduleAnswer,
            headers(("etag" = String, description = "For `If-Match` of changes"))
        ),
    )
)]
pub(super) async fn show(
    State(http): State<Arc<Http>>,
    OfSchedule(key): OfSchedule,
) -> Result<Shown, Problem> {
    Ok(tagged(http.app.schedules.get(key).await?))
}

/// Stores a schedule in place of the one of this name, if there is one. What is not named gets its
/// default. Ticks of the past do not count for a new pattern or time zone.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/functions/{function}/schedules/{schedule}",
    operation_id = "put_schedule",
    tag = "schedules",
    params(
        OfSchedule,
        ("if-match" = Option<String>, Header, description = "What the schedule has to be"),
        ("if-none-match" = Option<String>, Header, description = "What it must not be"),
    ),
    request_body = ScheduleBody,
    responses(
        (
            status = 200, description = "It was edited", body = ScheduleAnswer,
            headers(("etag" = String, description = "Its new tag"))
        ),
        (
            status = 201, description = "It is new", body = ScheduleAnswer,
            headers(("etag" = String, description = "Its tag"))
        ),
        (
            status = 412, description = "`precondition_failed`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
        (
            status = 409, description = "`schedules_exceeded`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn put(
    State(http): State<Arc<Http>>,
    OfSchedule(key): OfSchedule,
    request: Request,
) -> Result<(StatusCode, Shown), Problem> {
    let expected = expected(request.headers())?;
    let body: ScheduleBody = json::read(&http, request, BODY_BYTES_MAX).await?;
    let put = http.app.schedules.put(key, body.settings()?, expected);
    let (view, is_new) = put.await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, tagged(view)))
}

/// Deletes a schedule with its history. An attempt in progress goes on to its end.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/functions/{function}/schedules/{schedule}",
    operation_id = "delete_schedule",
    tag = "schedules",
    params(
        OfSchedule,
        ("if-match" = Option<String>, Header, description = "What the schedule has to be"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (
            status = 412, description = "`precondition_failed`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn delete(
    State(http): State<Arc<Http>>,
    OfSchedule(key): OfSchedule,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    http.app.schedules.delete(key, expected(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The history of a schedule, newest first: its last 100 runs, and those not over.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}/schedules/{schedule}/runs",
    operation_id = "list_schedule_runs",
    tag = "schedules",
    params(OfSchedule, RunsQuery),
    responses(
        (status = 200, description = "Some runs", body = RunsAnswer),
    )
)]
pub(super) async fn runs(
    State(http): State<Arc<Http>>,
    OfSchedule(key): OfSchedule,
    uri: Uri,
) -> Result<Json<RunsAnswer>, Problem> {
    let bad = |detail: String| Problem::new(Code::BadRequest, detail);
    let query = Query::<RunsQuery>::try_from_uri(&uri);
    let query = query.map_err(|error| bad(error.body_text()))?.0;
    let limit = query.limit.unwrap_or(RUNS_DEFAULT);
    if !(1..=limits::SCHEDULE_RUNS_KEPT).contains(&limit) {
        let max = limits::SCHEDULE_RUNS_KEPT;
        return Err(bad(format!("limit must be 1 to {max}, not {limit}")));
    }
    let before = query.cursor.as_deref().map(|text| {
        query::cursor(text).ok_or_else(|| bad("cursor must be one of an answer".to_owned()))
    });
    let before = before.transpose()?;
    // One more tells whether there are more.
    let mut runs = http.app.schedules.runs(key, before, limit + 1).await?;
    let more = runs.len() > limit;
    runs.truncate(limit);
    let last = runs.last().filter(|_| more);
    Ok(Json(RunsAnswer {
        cursor: last.map(|run| run.number.to_string()),
        runs: runs.into_iter().map(RunAnswer::from).collect(),
    }))
}

/// Runs a schedule now, also one that is not enabled. Answers before the run is over.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/functions/{function}/schedules/{schedule}/run",
    operation_id = "run_schedule",
    tag = "schedules",
    params(OfSchedule),
    responses(
        (status = 202, description = "It was started or waits", body = RunAnswer),
        (
            status = 409, description = "`schedule_busy`", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    )
)]
pub(super) async fn run_now(
    State(http): State<Arc<Http>>,
    OfSchedule(key): OfSchedule,
) -> Result<(StatusCode, Json<RunAnswer>), Problem> {
    let run = http.app.schedules.run_now(key).await?;
    Ok((StatusCode::ACCEPTED, Json(run.into())))
}

/// The next times of a timetable, without a schedule. It changes nothing, so the scope `read` is
/// enough.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/schedules/preview",
    operation_id = "preview_schedule",
    tag = "schedules",
    params(OfTenant),
    request_body = PreviewBody,
    responses(
        (status = 200, description = "The next times", body = PreviewAnswer),
    )
)]
pub(super) async fn preview(
    State(http): State<Arc<Http>>,
    OfTenant(_tenant): OfTenant,
    request: Request,
) -> Result<Json<PreviewAnswer>, Problem> {
    let body: PreviewBody = json::read(&http, request, 4 << 10).await?;
    let count = body.count.unwrap_or(PREVIEW_DEFAULT);
    if !(1..=limits::SCHEDULE_PREVIEW_MAX).contains(&count) {
        let detail = format!(
            "count must be 1 to {}, not {count}",
            limits::SCHEDULE_PREVIEW_MAX
        );
        return Err(Problem::new(Code::ScheduleInvalid, detail));
    }
    let schedules = &http.app.schedules;
    let times = schedules.preview(body.cron, body.time_zone, body.after_ms, count);
    let times = times.await?.into_iter();
    let times = times.map(|(time_ms, local)| PreviewTime { time_ms, local });
    Ok(Json(PreviewAnswer {
        times: times.collect(),
    }))
}
