//! How long records and log lines are kept, and taking away what is too old.
//!
//! By number, the oldest give way when new ones are stored. By time, the writer looks around every
//! minute: which functions have something too old is read on a snapshot, and then deleted in
//! transactions of bounded size, so that no other write waits long for them.

use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::Ordering;

use redb::{Range, ReadOnlyTable, ReadTransaction, ReadableTable};
use serde::{Deserialize, Serialize};

use super::schema::{INVOCATION_COUNTS, INVOCATIONS, LOG_STATE, LOGS, RETENTION, Tables};
use super::{Error, Fault, Invocations, LogLine, Shared, invocations, packed};
use crate::id::{FunctionName, TenantId};
use crate::limits;

/// Functions that one look reads.
const LOOK_FUNCTIONS_MAX: usize = 512;
/// Functions that one transaction cleans.
const CLEAN_FUNCTIONS_MAX: usize = 64;
/// Records and lines that one transaction deletes.
const CLEAN_ENTRIES_MAX: u64 = 2000;

/// What is kept of a function's invocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Records and lines older than this many milliseconds are deleted.
    pub keep_ms: u64,
    /// Records beyond this many are deleted, the oldest first. Lines have a number of their own,
    /// [`limits::LOG_LINES_KEPT`].
    pub keep_count: u64,
}

impl Retention {
    /// What applies when nothing is set.
    pub const DEFAULT: Self = Self {
        keep_ms: limits::RETENTION_MS,
        keep_count: limits::INVOCATIONS_KEPT,
    };

    fn with(self, stored: (u64, u64)) -> Self {
        let pick = |set: u64, otherwise: u64| if set == 0 { otherwise } else { set };
        Self {
            keep_ms: pick(stored.0, self.keep_ms),
            keep_count: pick(stored.1, self.keep_count),
        }
    }
}

/// What is set for one function; what is not set is the server's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionSet {
    /// See [`Retention::keep_ms`]; 1 to [`limits::RETENTION_MS_MAX`].
    pub keep_ms: Option<u64>,
    /// See [`Retention::keep_count`]; 1 to [`limits::INVOCATIONS_KEPT_MAX`].
    pub keep_count: Option<u64>,
}

impl Invocations {
    /// What is set for a function, and what applies to it.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn retention(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
    ) -> Result<(RetentionSet, Retention), Error> {
        let default = self.shared.retention_default();
        self.shared.read(|transaction| {
            let table = transaction.open_table(RETENTION)?;
            let stored = table.get((tenant.as_str(), function.as_str()))?;
            let stored = stored.map_or((0, 0), |stored| stored.value());
            let set = |value: u64| Some(value).filter(|value| *value > 0);
            let set = RetentionSet {
                keep_ms: set(stored.0),
                keep_count: set(stored.1),
            };
            Ok((set, default.with(stored)))
        })
    }

    /// Sets what is kept of a function. What is too much then is deleted within minutes.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// Once polled, it is set even if this future is dropped.
    pub async fn set_retention(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        set: RetentionSet,
    ) -> Result<(), Error> {
        let (tenant, function) = (tenant.clone(), function.clone());
        let bytes = 2 * limits::NAME_BYTES_MAX;
        let stored = (set.keep_ms.unwrap_or(0), set.keep_count.unwrap_or(0));
        let write = move |tables: &mut Tables<'_>| {
            let name = (tenant.as_str(), function.as_str());
            if tables.functions.get(name)?.is_none() {
                return Ok(Err(Error::FunctionNotFound));
            }
            if stored == (0, 0) {
                tables.retention.remove(name)?;
            } else {
                tables.retention.insert(name, stored)?;
            }
            Ok(Ok(()))
        };
        self.shared.submit(bytes, write).await?;
        self.shared.clean_soon();
        Ok(())
    }
}

impl Shared {
    /// Has the writer look now for what is too old or too much.
    pub(super) fn clean_soon(&self) {
        self.clean_wanted.store(true, Ordering::Release);
        self.queue.nudge();
    }
}

/// What applies to a function.
pub(super) fn of(tables: &Tables<'_>, name: (&str, &str)) -> Result<Retention, Fault> {
    let stored = tables.retention.get(name)?.map(|stored| stored.value());
    Ok(tables.retention_default.with(stored.unwrap_or((0, 0))))
}

type TenantKey = (&'static str, &'static str);
type Name = (String, String);

/// Goes round all functions, a part at a time.
#[derive(Default)]
pub(super) struct Cleaner {
    /// The last function whose records, and the last one whose lines were looked at.
    records_after: Option<Name>,
    lines_after: Option<Name>,
}

/// What one look found.
#[derive(Default)]
pub(super) struct Due {
    functions: Vec<Name>,
    /// Not everything was looked at: look again soon.
    pub(super) more: bool,
}

impl Due {
    /// Whether there is something to delete.
    pub(super) fn is_any(&self) -> bool {
        !self.functions.is_empty()
    }
}

impl Cleaner {
    /// The next look begins at the beginning.
    pub(super) fn rewind(&mut self) {
        *self = Self::default();
    }

    /// Finds functions that keep more than they are to, from where the last look ended.
    pub(super) fn look(&mut self, shared: &Shared) -> Result<Due, Error> {
        let (default, now_ms) = (shared.retention_default(), (shared.clock)());
        shared.read(|transaction| {
            let mut due = Due::default();
            self.look_at_records(transaction, default, now_ms, &mut due)?;
            self.look_at_lines(transaction, default, now_ms, &mut due)?;
            due.more = self.records_after.is_some() || self.lines_after.is_some();
            Ok(due)
        })
    }

    fn look_at_records(
        &mut self,
        transaction: &ReadTransaction,
        default: Retention,
        now_ms: u64,
        due: &mut Due,
    ) -> Result<(), Fault> {
        let counts = transaction.open_table(INVOCATION_COUNTS)?;
        let records = transaction.open_table(INVOCATIONS)?;
        let set = transaction.open_table(RETENTION)?;
        let after = self.records_after.take();
        for (at, entry) in following(&counts, after.as_ref())?.enumerate() {
            let (key, count) = entry?;
            let name = key.value();
            self.records_after = Some((name.0.to_owned(), name.1.to_owned()));
            let stored = set.get(name)?.map_or((0, 0), |stored| stored.value());
            let keep = default.with(stored);
            let cutoff = invocations::first_number(now_ms.saturating_sub(keep.keep_ms));
            let range = (name.0, name.1, 0)..(name.0, name.1, cutoff);
            let has_old = records.range::<(&str, &str, u128)>(range)?.next().is_some();
            if has_old || count.value() > keep.keep_count {
                due.functions.push((name.0.to_owned(), name.1.to_owned()));
            }
            if at + 1 >= LOOK_FUNCTIONS_MAX || due.functions.len() >= CLEAN_FUNCTIONS_MAX {
                return Ok(());
            }
        }
        self.records_after = None;
        Ok(())
    }

    fn look_at_lines(
        &mut self,
        transaction: &ReadTransaction,
        default: Retention,
        now_ms: u64,
        due: &mut Due,
    ) -> Result<(), Fault> {
        let states = transaction.open_table(LOG_STATE)?;
        let logs = transaction.open_table(LOGS)?;
        let set = transaction.open_table(RETENTION)?;
        let after = self.lines_after.take();
        for (at, entry) in following(&states, after.as_ref())?.enumerate() {
            let (key, state) = entry?;
            let (name, (first, next)) = (key.value(), state.value());
            self.lines_after = Some((name.0.to_owned(), name.1.to_owned()));
            let stored = set.get(name)?.map_or((0, 0), |stored| stored.value());
            let cutoff = now_ms.saturating_sub(default.with(stored).keep_ms);
            if first < next
                && let Some(line) = logs.get((name.0, name.1, first))?
                && written_ms(line.value().1)? < cutoff
            {
                due.functions.push((name.0.to_owned(), name.1.to_owned()));
            }
            if at + 1 >= LOOK_FUNCTIONS_MAX || due.functions.len() >= 2 * CLEAN_FUNCTIONS_MAX {
                return Ok(());
            }
        }
        self.lines_after = None;
        Ok(())
    }
}

/// The entries of a table behind a function's.
fn following<V: redb::Value + 'static>(
    table: &ReadOnlyTable<TenantKey, V>,
    after: Option<&Name>,
) -> Result<Range<'static, TenantKey, V>, Fault> {
    let after = after.map(|(tenant, function)| (tenant.as_str(), function.as_str()));
    let from = after.map_or(Unbounded, Excluded);
    Ok(table.range::<(&str, &str)>((from, Unbounded))?)
}

fn written_ms(line: &[u8]) -> Result<u64, Fault> {
    Ok(packed::unpack::<LogLine>(line)?.timestamp_ms)
}

/// Deletes what is too much of the functions that are due; answers whether something is left.
pub(super) fn clean(tables: &mut Tables<'_>, due: &Due) -> Result<bool, Fault> {
    let mut left = CLEAN_ENTRIES_MAX;
    for (tenant, function) in &due.functions {
        let name = (tenant.as_str(), function.as_str());
        let keep = of(tables, name)?;
        let cutoff = tables.now_ms.saturating_sub(keep.keep_ms);
        left -= invocations::trim(tables, name, Some(cutoff), left)?;
        let counted = tables.invocation_counts.get(name)?;
        let count = counted.map_or(0, |count| count.value());
        let beyond = count.saturating_sub(keep.keep_count).min(left);
        if beyond > 0 {
            left -= invocations::trim(tables, name, None, beyond)?;
        }
        left -= clean_lines(tables, name, cutoff, left)?;
        if left == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes lines from the oldest on, until one is young enough or `most` are gone.
fn clean_lines(
    tables: &mut Tables<'_>,
    (tenant, function): (&str, &str),
    cutoff_ms: u64,
    most: u64,
) -> Result<u64, Fault> {
    let state = tables.log_state.get((tenant, function))?;
    let Some((first, next)) = state.map(|state| state.value()) else {
        return Ok(0);
    };
    let mut oldest = first;
    let range = (tenant, function, first)..(tenant, function, next);
    for entry in tables.logs.range::<(&str, &str, u64)>(range)? {
        let (key, stored) = entry?;
        let cursor = key.value().2;
        if cursor - first >= most || written_ms(stored.value().1)? >= cutoff_ms {
            break;
        }
        oldest = cursor + 1;
    }
    if oldest == first {
        return Ok(0);
    }
    let range = (tenant, function, first)..(tenant, function, oldest);
    tables
        .logs
        .retain_in::<(&str, &str, u64), _>(range, |_, _| false)?;
    tables
        .log_state
        .insert((tenant, function), (oldest, next))?;
    Ok(oldest - first)
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
