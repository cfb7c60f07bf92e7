//! Schedules, how far each has come, and the history of their runs.
//!
//! What a schedule is to do is in one table, how far it has come in another, so that a tick
//! rewrites some dozens of bytes and not the payload. A tick is decided in one transaction:
//! `decided_ms` passes it and its run is stored, both or neither.

mod record;

use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use self::record::{
    Missed, NewRun, Overlap, Progress, Retries, Run, RunState, Schedule, ScheduleEntry,
    ScheduleKey, ScheduleSettings, Trigger,
};

use self::record::tag;
use super::schema::{SCHEDULE_RUNS, SCHEDULE_STATES, SCHEDULES, Tables};
use super::{Error, Expected, Fault, Shared};
use crate::id::{FunctionName, ScheduleId, TenantId};
use crate::limits;

/// Reads and writes of schedules. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schedules {
    shared: Arc<Shared>,
}

impl Schedules {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Stores a schedule in place of the one of this name, if there is one that `expected` takes
    /// it for; answers it, and whether it is new.
    ///
    /// Ticks before this moment are decided when the schedule is new, is enabled anew, or when its
    /// pattern or its time zone is another one.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::PreconditionFailed`], [`Error::TooManySchedules`],
    /// [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// Once polled, it happens even if this future is dropped.
    pub async fn put(
        &self,
        key: ScheduleKey,
        settings: ScheduleSettings,
        expected: Expected,
    ) -> Result<(ScheduleEntry, bool), Error> {
        let bytes = settings.payload.as_ref().map_or(0, String::len);
        let write = move |tables: &mut Tables<'_>| put(tables, key, settings, &expected);
        self.shared.submit(bytes, write).await
    }

    /// Deletes a schedule, if it is what `expected` takes it for, and its history.
    ///
    /// # Errors
    /// [`Error::ScheduleNotFound`], [`Error::PreconditionFailed`], [`Error::Busy`],
    /// [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// As [`Schedules::put`].
    pub async fn delete(&self, key: ScheduleKey, expected: Expected) -> Result<(), Error> {
        let write = move |tables: &mut Tables<'_>| {
            let Some(known) = stored(tables, &key)? else {
                return Ok(Err(Error::ScheduleNotFound));
            };
            if let Err(refused) = expected.check(&[tag(known.id, known.revision)]) {
                return Ok(Err(refused));
            }
            tables.schedules.remove(key.parts())?;
            delete_runs(tables, &key)?;
            Ok(Ok(()))
        };
        self.shared.submit(0, write).await
    }

    /// One schedule.
    ///
    /// # Errors
    /// [`Error::ScheduleNotFound`], [`Error::Unavailable`], [`Error::Closed`].
    pub fn get(&self, key: &ScheduleKey) -> Result<ScheduleEntry, Error> {
        self.shared.read(|transaction| {
            let table = transaction.open_table(SCHEDULES)?;
            let Some(json) = table.get(key.parts())? else {
                return Ok(Err(Error::ScheduleNotFound));
            };
            let schedule = parse(json.value())?;
            Ok(Ok(entry(transaction, key.clone(), schedule)?))
        })?
    }

    /// The schedules of a function, by name: at most [`limits::SCHEDULES_PER_FUNCTION_MAX`].
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::Unavailable`], [`Error::Closed`].
    pub fn list(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
    ) -> Result<Vec<ScheduleEntry>, Error> {
        let of_function = (tenant.as_str(), function.as_str());
        self.shared.read(|transaction| {
            let functions = transaction.open_table(super::schema::FUNCTIONS)?;
            if functions.get(of_function)?.is_none() {
                return Ok(Err(Error::FunctionNotFound));
            }
            let table = transaction.open_table(SCHEDULES)?;
            let mut entries = Vec::new();
            for row in table.range::<(&str, &str, &str)>((of_function.0, of_function.1, "")..)? {
                let (parts, json) = row?;
                let parts = parts.value();
                if (parts.0, parts.1) != of_function {
                    break;
                }
                let schedule = parse(json.value())?;
                entries.push(entry(transaction, ScheduleKey::of_parts(parts)?, schedule)?);
            }
            Ok(Ok(entries))
        })?
    }

    /// Every schedule of every tenant, handed to `each` one by one; payloads are left out.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn for_each(
        &self,
        mut each: impl FnMut(ScheduleKey, Schedule, Progress),
    ) -> Result<(), Error> {
        self.shared.read(|transaction| {
            let table = transaction.open_table(SCHEDULES)?;
            for row in table.iter()? {
                let (parts, json) = row?;
                let key = ScheduleKey::of_parts(parts.value())?;
                let mut schedule: Schedule = parse(json.value())?;
                schedule.settings.payload = None;
                let progress = read_progress(transaction, &key)?;
                each(key, schedule, progress);
            }
            Ok(())
        })
    }

    /// Stores a run of a schedule, and with it which ticks are decided. `None`, and nothing
    /// stored, when the schedule is another one by now: deleted, made again, or edited since
    /// `revision`.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// As [`Schedules::put`].
    pub async fn decide(
        &self,
        key: ScheduleKey,
        id: ScheduleId,
        revision: u64,
        new: NewRun,
    ) -> Result<Option<Run>, Error> {
        let write = move |tables: &mut Tables<'_>| {
            let known = stored(tables, &key)?;
            if !known.is_some_and(|known| known.id == id && known.revision == revision) {
                return Ok(Ok(None));
            }
            Ok(Ok(Some(decide(tables, &key, new)?)))
        };
        self.shared.submit(0, write).await
    }

    /// Changes a run. `None`, and nothing changed, when it or its schedule is no longer there.
    ///
    /// # Errors
    /// As [`Schedules::decide`].
    /// # Cancel safety
    /// As [`Schedules::put`].
    pub async fn update(
        &self,
        key: ScheduleKey,
        id: ScheduleId,
        number: u64,
        change: impl FnOnce(&mut Run) + Send + 'static,
    ) -> Result<Option<Run>, Error> {
        let write = move |tables: &mut Tables<'_>| {
            if stored(tables, &key)?.is_none_or(|known| known.id != id) {
                return Ok(Ok(None));
            }
            let Some(mut run) = read_run(&tables.schedule_runs, &key, number)? else {
                return Ok(Ok(None));
            };
            change(&mut run);
            store_run(tables, &key, &run)?;
            if run.state.is_over() {
                let mut progress = progress_in(tables, &key)?;
                progress.unfinished.retain(|&other| other != number);
                store_progress(tables, &key, &progress)?;
            }
            Ok(Ok(Some(run)))
        };
        self.shared.submit(0, write).await
    }

    /// Takes ticks after `decided_ms` for undecided: the clock was put back. Nothing happens when
    /// the schedule is another one by now.
    ///
    /// # Errors
    /// As [`Schedules::decide`].
    /// # Cancel safety
    /// As [`Schedules::put`].
    pub async fn rewind(
        &self,
        key: ScheduleKey,
        id: ScheduleId,
        decided_ms: u64,
    ) -> Result<(), Error> {
        let write = move |tables: &mut Tables<'_>| {
            if stored(tables, &key)?.is_some_and(|known| known.id == id) {
                let mut progress = progress_in(tables, &key)?;
                progress.decided_ms = progress.decided_ms.min(decided_ms);
                store_progress(tables, &key, &progress)?;
            }
            Ok(Ok(()))
        };
        self.shared.submit(0, write).await
    }

    /// One run; `None` if it is no longer in the history.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn run(&self, key: &ScheduleKey, number: u64) -> Result<Option<Run>, Error> {
        self.shared
            .read(|transaction| read_run(&transaction.open_table(SCHEDULE_RUNS)?, key, number))
    }

    /// The history of a schedule, newest first: at most `limit` runs whose numbers are below
    /// `before`.
    ///
    /// # Errors
    /// [`Error::ScheduleNotFound`], [`Error::Unavailable`], [`Error::Closed`].
    pub fn runs(
        &self,
        key: &ScheduleKey,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Run>, Error> {
        self.shared.read(|transaction| {
            if transaction
                .open_table(SCHEDULES)?
                .get(key.parts())?
                .is_none()
            {
                return Ok(Err(Error::ScheduleNotFound));
            }
            let table = transaction.open_table(SCHEDULE_RUNS)?;
            let range = key.run(0)..key.run(before.unwrap_or(u64::MAX));
            let mut runs = Vec::new();
            for row in table
                .range::<(&str, &str, &str, u64)>(range)?
                .rev()
                .take(limit)
            {
                runs.push(parse(row?.1.value())?);
            }
            Ok(Ok(runs))
        })?
    }
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(json).map_err(Fault::Record)
}

fn entry(
    transaction: &ReadTransaction,
    key: ScheduleKey,
    schedule: Schedule,
) -> Result<ScheduleEntry, Fault> {
    let progress = read_progress(transaction, &key)?;
    let runs = transaction.open_table(SCHEDULE_RUNS)?;
    let last_run = read_run(&runs, &key, progress.next_run.saturating_sub(1))?;
    Ok(ScheduleEntry {
        key,
        schedule,
        progress,
        last_run,
    })
}

fn read_progress(transaction: &ReadTransaction, key: &ScheduleKey) -> Result<Progress, Fault> {
    let table = transaction.open_table(SCHEDULE_STATES)?;
    let json = table.get(key.parts())?;
    json.map_or_else(|| Ok(Progress::default()), |json| parse(json.value()))
}

fn progress_in(tables: &Tables<'_>, key: &ScheduleKey) -> Result<Progress, Fault> {
    let json = tables.schedule_states.get(key.parts())?;
    json.map_or_else(|| Ok(Progress::default()), |json| parse(json.value()))
}

fn store_progress(
    tables: &mut Tables<'_>,
    key: &ScheduleKey,
    progress: &Progress,
) -> Result<(), Fault> {
    let json = serde_json::to_vec(progress).map_err(Fault::Record)?;
    tables.schedule_states.insert(key.parts(), &*json)?;
    Ok(())
}

fn read_run(
    table: &impl ReadableTable<(&'static str, &'static str, &'static str, u64), &'static [u8]>,
    key: &ScheduleKey,
    number: u64,
) -> Result<Option<Run>, Fault> {
    let json = table.get(key.run(number))?;
    json.map(|json| parse(json.value())).transpose()
}

fn store_run(tables: &mut Tables<'_>, key: &ScheduleKey, run: &Run) -> Result<(), Fault> {
    let json = serde_json::to_vec(run).map_err(Fault::Record)?;
    tables.schedule_runs.insert(key.run(run.number), &*json)?;
    Ok(())
}

/// What tells a schedule from another one of the same name, or from itself before an edit. Read
/// without the rest, because the payload may be large.
#[derive(Deserialize)]
struct Identity {
    id: ScheduleId,
    revision: u64,
}

fn stored(tables: &Tables<'_>, key: &ScheduleKey) -> Result<Option<Identity>, Fault> {
    let json = tables.schedules.get(key.parts())?;
    json.map(|json| parse(json.value())).transpose()
}

fn put(
    tables: &mut Tables<'_>,
    key: ScheduleKey,
    settings: ScheduleSettings,
    expected: &Expected,
) -> Result<Result<(ScheduleEntry, bool), Error>, Fault> {
    let function = (key.tenant.as_str(), key.function.as_str());
    if tables.functions.get(function)?.is_none() {
        return Ok(Err(Error::FunctionNotFound));
    }
    let now_ms = tables.now_ms;
    let before: Option<Schedule> = {
        let json = tables.schedules.get(key.parts())?;
        json.map(|json| parse(json.value())).transpose()?
    };
    let present: Vec<String> = before.iter().map(Schedule::tag).collect();
    if let Err(refused) = expected.check(&present) {
        return Ok(Err(refused));
    }
    if before.is_none()
        && let Some(refused) = too_many(tables, &key)?
    {
        return Ok(Err(refused));
    }
    let is_new = before.is_none();
    let mut progress = progress_in(tables, &key)?;
    let goes_on = before.as_ref().is_some_and(|before| {
        let before = &before.settings;
        let same_ticks = before.cron == settings.cron && before.time_zone == settings.time_zone;
        same_ticks && before.enabled
    });
    if !goes_on {
        progress.decided_ms = now_ms;
    }
    progress.next_run = progress.next_run.max(1);
    let schedule = Schedule {
        id: before
            .as_ref()
            .map_or_else(|| ScheduleId::new(now_ms), |before| before.id),
        revision: 1 + before.as_ref().map_or(0, |before| before.revision),
        created_ms: before.as_ref().map_or(now_ms, |before| before.created_ms),
        updated_ms: now_ms,
        settings,
    };
    let json = serde_json::to_vec(&schedule).map_err(Fault::Record)?;
    tables.schedules.insert(key.parts(), &*json)?;
    store_progress(tables, &key, &progress)?;
    let number = progress.next_run - 1;
    let entry = ScheduleEntry {
        last_run: read_run(&tables.schedule_runs, &key, number)?,
        key,
        schedule,
        progress,
    };
    Ok(Ok((entry, is_new)))
}

/// Whether one more schedule is too many for its function, its tenant or the server.
fn too_many(tables: &Tables<'_>, key: &ScheduleKey) -> Result<Option<Error>, Fault> {
    let tenant = key.tenant.as_str();
    let (mut of_tenant, mut of_function) = (0, 0);
    for row in tables
        .schedules
        .range::<(&str, &str, &str)>((tenant, "", "")..)?
    {
        let (parts, _) = row?;
        let parts = parts.value();
        if parts.0 != tenant {
            break;
        }
        of_tenant += 1;
        of_function += usize::from(parts.1 == key.function.as_str());
    }
    let in_total = usize::try_from(tables.schedules.len()?).unwrap_or(usize::MAX);
    let bounds = [
        (
            of_function,
            limits::SCHEDULES_PER_FUNCTION_MAX,
            "a function",
        ),
        (of_tenant, limits::SCHEDULES_PER_TENANT_MAX, "a tenant"),
        (in_total, limits::SCHEDULES_MAX, "this server"),
    ];
    let reached = bounds.into_iter().find(|(count, max, _)| count >= max);
    Ok(reached.map(|(_, max, of)| Error::TooManySchedules { max, of }))
}

fn decide(tables: &mut Tables<'_>, key: &ScheduleKey, new: NewRun) -> Result<Run, Fault> {
    let mut progress = progress_in(tables, key)?;
    let number = progress.next_run.max(1);
    let is_over = new.state.is_over();
    let run = Run {
        number,
        trigger: new.trigger,
        due_ms: new.due_ms,
        state: new.state,
        attempt: 0,
        missed: new.missed,
        started_ms: None,
        ended_ms: is_over.then_some(tables.now_ms),
        next_attempt_ms: None,
        status: None,
        code: None,
        invocation: None,
    };
    store_run(tables, key, &run)?;
    progress.next_run = number + 1;
    progress.kept += 1;
    if let Some(decided_ms) = new.decided_ms {
        progress.decided_ms = progress.decided_ms.max(decided_ms);
    }
    if !is_over {
        progress.unfinished.push(number);
    }
    forget_oldest(tables, key, &mut progress)?;
    store_progress(tables, key, &progress)?;
    Ok(run)
}

/// Removes the oldest runs beyond those that are kept; one that is not over stays.
fn forget_oldest(
    tables: &mut Tables<'_>,
    key: &ScheduleKey,
    progress: &mut Progress,
) -> Result<(), Fault> {
    let kept_max = u64::try_from(limits::SCHEDULE_RUNS_KEPT).unwrap_or(u64::MAX);
    let surplus = usize::try_from(progress.kept.saturating_sub(kept_max)).unwrap_or(usize::MAX);
    if surplus == 0 {
        return Ok(());
    }
    let mut oldest = Vec::new();
    let range = key.run(0)..=key.run(u64::MAX);
    for row in tables
        .schedule_runs
        .range::<(&str, &str, &str, u64)>(range)?
    {
        let number = row?.0.value().3;
        if !progress.unfinished.contains(&number) {
            oldest.push(number);
        }
        if oldest.len() == surplus {
            break;
        }
    }
    for number in oldest {
        tables.schedule_runs.remove(key.run(number))?;
        progress.kept -= 1;
    }
    Ok(())
}

fn delete_runs(tables: &mut Tables<'_>, key: &ScheduleKey) -> Result<(), Fault> {
    tables.schedule_states.remove(key.parts())?;
    let range = key.run(0)..=key.run(u64::MAX);
    tables
        .schedule_runs
        .retain_in::<(&str, &str, &str, u64), _>(range, |_, _| false)?;
    Ok(())
}

/// Deletes every schedule of a function that is being deleted.
pub(super) fn delete_of(
    tables: &mut Tables<'_>,
    tenant: &TenantId,
    function: &FunctionName,
) -> Result<(), Fault> {
    let of_function = (tenant.as_str(), function.as_str());
    let mut keys = Vec::new();
    let from = (of_function.0, of_function.1, "");
    for row in tables.schedules.range::<(&str, &str, &str)>(from..)? {
        let (parts, _) = row?;
        let parts = parts.value();
        if (parts.0, parts.1) != of_function {
            break;
        }
        keys.push(ScheduleKey::of_parts(parts)?);
    }
    for key in &keys {
        tables.schedules.remove(key.parts())?;
        delete_runs(tables, key)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
