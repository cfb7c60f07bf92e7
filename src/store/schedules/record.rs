//! What is stored of schedules and their runs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{FunctionName, ScheduleId, ScheduleName, TenantId};
use crate::store::Fault;

/// Which schedule: a name of a function's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScheduleKey {
    /// The owner.
    pub tenant: TenantId,
    /// What is run.
    pub function: FunctionName,
    /// Which of the function's schedules.
    pub name: ScheduleName,
}

impl ScheduleKey {
    pub(super) fn parts(&self) -> (&str, &str, &str) {
        (
            self.tenant.as_str(),
            self.function.as_str(),
            self.name.as_str(),
        )
    }

    pub(super) fn of_parts((tenant, function, name): (&str, &str, &str)) -> Result<Self, Fault> {
        let wrong = |_| Fault::Inconsistent("a schedule's name is not allowed");
        Ok(Self {
            tenant: tenant.parse().map_err(wrong)?,
            function: function.parse().map_err(wrong)?,
            name: name.parse().map_err(wrong)?,
        })
    }

    pub(super) fn run(&self, number: u64) -> (&str, &str, &str, u64) {
        let (tenant, function, name) = self.parts();
        (tenant, function, name, number)
    }
}

/// What becomes of ticks for which the server was not there in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case")]
pub enum Missed {
    /// They are passed over.
    Skip,
    /// The latest of them runs, the others are passed over.
    RunOnce {
        /// How late it may be at most, in milliseconds.
        late_ms_max: u64,
    },
}

/// What becomes of a tick while an earlier run of the same schedule is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is passed over.
    Skip,
    /// It runs beside the earlier one.
    Allow,
    /// One tick waits for the end of the earlier run; further ones are passed over.
    QueueOne,
}

/// Whether and when a run that failed is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// Attempts after the first.
    pub max: u32,
    /// Pause after the first attempt, in milliseconds; each further one is twice as long.
    pub initial_ms: u64,
    /// Longest pause, in milliseconds.
    pub max_ms: u64,
}

/// What of a schedule its owner decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleSettings {
    /// The pattern, as written.
    pub cron: String,
    /// Name of the time zone that the pattern is meant in.
    pub time_zone: String,
    /// Whether ticks run at all.
    pub enabled: bool,
    /// Path and query of the request, starting with `/`.
    pub path: String,
    /// JSON text of the request's body.
    pub payload: Option<String>,
    /// See [`Missed`].
    pub missed: Missed,
    /// See [`Overlap`].
    pub overlap: Overlap,
    /// See [`Retries`].
    pub retries: Retries,
}

/// A schedule as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Another one after it was deleted and made again.
    pub id: ScheduleId,
    /// 1, and one more with every edit.
    pub revision: u64,
    /// When it was made, Unix time in milliseconds.
    pub created_ms: u64,
    /// When it was last edited, Unix time in milliseconds.
    pub updated_ms: u64,
    /// What its owner decided.
    pub settings: ScheduleSettings,
}

impl Schedule {
    /// Changes with every edit: an entity tag without its quotes. How far the schedule has come
    /// does not change it.
    pub fn tag(&self) -> String {
        tag(self.id, self.revision)
    }
}

/// See [`Schedule::tag`].
pub(super) fn tag(id: ScheduleId, revision: u64) -> String {
    format!("{id}-{revision}")
}

/// How far a schedule has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// All ticks up to this one are decided: run, running or passed over.
    pub decided_ms: u64,
    /// Number of the next run.
    pub next_run: u64,
    /// Runs in the history.
    pub kept: u64,
    /// Numbers of the runs that are not over.
    pub unfinished: Vec<u64>,
}

/// What made a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ScheduleTrigger)]
pub enum Trigger {
    /// A tick.
    Tick,
    /// Somebody asked for it.
    Manual,
}

/// Where a run stands, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ScheduleRunState)]
pub enum RunState {
    /// Decided on, and waiting for an earlier run or for room.
    Queued,
    /// An attempt is in progress.
    Running,
    /// An attempt failed, and there will be another.
    Retrying,
    /// The last attempt was answered with a status below 400 and the invocation ended well.
    Succeeded,
    /// The last attempt did not.
    Failed,
    /// The server ended in the middle of the last attempt.
    Interrupted,
    /// Passed over because an earlier run was not over.
    Skipped,
    /// Passed over because it would have been too late.
    Missed,
}

impl RunState {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::Retrying)
    }
}

/// One run of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// 1 and up, per schedule.
    pub number: u64,
    /// What made it.
    pub trigger: Trigger,
    /// The tick, or when it was asked for; Unix time in milliseconds.
    pub due_ms: u64,
    /// Where it stands.
    pub state: RunState,
    /// Attempts begun.
    pub attempt: u32,
    /// Earlier ticks that were passed over with this one because they were missed.
    pub missed: u64,
    /// When the last attempt began, Unix time in milliseconds.
    pub started_ms: Option<u64>,
    /// When it was over, Unix time in milliseconds.
    pub ended_ms: Option<u64>,
    /// When the next attempt begins, Unix time in milliseconds.
    pub next_attempt_ms: Option<u64>,
    /// The HTTP status that the last attempt was answered with.
    pub status: Option<u16>,
    /// The error code of the last attempt.
    pub code: Option<String>,
    /// The invocation of the last attempt.
    pub invocation: Option<String>,
}

/// A run that is to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRun {
    /// See [`Run::trigger`].
    pub trigger: Trigger,
    /// See [`Run::due_ms`].
    pub due_ms: u64,
    /// Up to which time all ticks are decided with it.
    pub decided_ms: Option<u64>,
    /// See [`Run::missed`].
    pub missed: u64,
    /// [`RunState::Queued`], or one that is over.
    pub state: RunState,
}

/// A schedule with all that a listing shows.
#[derive(Debug, Clone)]
pub struct ScheduleEntry {
    /// Which.
    pub key: ScheduleKey,
    /// What it is to do.
    pub schedule: Schedule,
    /// How far it has come.
    pub progress: Progress,
    /// The newest run in its history.
    pub last_run: Option<Run>,
}
