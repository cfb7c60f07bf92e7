//! Log lines of functions: appended without waiting, stored soon after, the newest kept.
//!
//! A line is not acknowledged: under a flood, or when the disk fails, lines are dropped and
//! counted. What is stored has a cursor that rises by one within a function and is never reused.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use redb::ReadableTable;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use super::invocations::Packed;
use super::schema::{LOG_STATE, LOGS, Tables};
use super::{Error, Fault, InvocationRecord, Shared, invocations, packed};
use crate::id::{FunctionName, InvocationId, TenantId};
use crate::{clock, limits};

/// Most lines that one read answers.
const READ_LINES_MAX: usize = 1000;
/// A read ends with the line that crosses this many bytes of stored lines.
const READ_BYTES_MAX: usize = 4 << 20;
/// Lines beyond [`limits::LOG_LINES_KEPT`] before the oldest are trimmed, so that trimming is
/// done in batches.
const TRIM_SLACK: u64 = 256;
/// Most lines that one transaction deletes of a tenant that is being deleted.
const DELETE_LINES_MAX: usize = 5000;

/// How grave a log line is. Stored by its place: new ones go behind the last.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// `console.trace`.
    Trace,
    /// `console.debug`.
    Debug,
    /// `console.log` and `console.info`.
    Info,
    /// `console.warn`.
    Warn,
    /// `console.error`, and uncaught exceptions.
    Error,
}

/// One line that a function logged, or that was logged about it; stored without names, see
/// [`packed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Unix time in milliseconds.
    pub timestamp_ms: u64,
    /// How grave it is.
    pub level: Level,
    /// The text, cut to [`limits::LOG_LINE_BYTES_MAX`] when it is stored.
    pub message: String,
    /// The id of the invocation it belongs to; empty for none.
    pub invocation: String,
    /// The version that was running.
    pub version: u64,
}

/// What a search of lines found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundLines {
    /// In ascending order, each with its cursor.
    pub lines: Vec<(u64, LogLine)>,
    /// The highest cursor that was looked at; `None` if there was no line at all.
    pub cursor: Option<u64>,
}

/// A line or a record on its way to the writer.
pub(super) struct Record {
    tenant: TenantId,
    function: FunctionName,
    entry: Entry,
}

/// Packed where it comes from: nothing is taken apart by another thread than the one that made it.
enum Entry {
    Line {
        invocation: String,
        packed: Box<[u8]>,
    },
    /// Comes behind its lines.
    Invocation { id: InvocationId, packed: Box<[u8]> },
}

impl Entry {
    fn line(mut line: LogLine) -> Result<Self, Fault> {
        let end = line.message.floor_char_boundary(limits::LOG_LINE_BYTES_MAX);
        line.message.truncate(end);
        Ok(Self::Line {
            packed: packed::pack(&line)?,
            invocation: line.invocation,
        })
    }

    fn invocation(record: &InvocationRecord) -> Result<Self, Fault> {
        Ok(Self::Invocation {
            id: record.id,
            packed: packed::pack(record)?,
        })
    }
}

impl Record {
    /// About what this holds in memory.
    pub(super) fn bytes(&self) -> usize {
        let entry = match &self.entry {
            Entry::Line { invocation, packed } => invocation.len() + packed.len(),
            Entry::Invocation { packed, .. } => packed.len(),
        };
        size_of::<Self>() + entry
    }
}

/// Reads and writes of log lines. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Logs {
    shared: Arc<Shared>,
}

impl Logs {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Hands lines to the writer; they are readable within about a quarter of a second.
    ///
    /// Never waits: lines that find [`limits::LOG_QUEUE_LEN`] others waiting, or 32 MiB of them,
    /// are dropped and counted in [`Logs::dropped`].
    pub fn append(&self, tenant: &TenantId, function: &FunctionName, lines: Vec<LogLine>) {
        self.push(tenant, function, lines, None);
    }

    /// [`Logs::append`] of an invocation's lines, and of its record behind them. The record is
    /// dropped and counted like a line, and is there without the lines that were.
    pub fn append_invocation(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        lines: Vec<LogLine>,
        record: InvocationRecord,
    ) {
        self.push(tenant, function, lines, Some(record));
    }

    fn push(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        lines: Vec<LogLine>,
        record: Option<InvocationRecord>,
    ) {
        let lines = lines.into_iter().map(Entry::line);
        let record = record.as_ref().map(Entry::invocation);
        // Such structs can always be packed; a line is never worth an error.
        let entries = lines.chain(record).filter_map(Result::ok);
        let records = entries.map(|entry| Record {
            tenant: tenant.clone(),
            function: function.clone(),
            entry,
        });
        self.shared.queue.append(records.collect());
    }

    /// Reads lines in ascending order, each with its cursor.
    ///
    /// With `after`: those that follow this cursor, oldest first. Without: the newest. At most
    /// `limit` (taken as 1..=1000) and about 4 MiB. With `invocation`: only lines of that one.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`]. A function without lines has none to answer.
    pub fn read(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        after: Option<u64>,
        limit: usize,
        invocation: Option<&str>,
    ) -> Result<Vec<(u64, LogLine)>, Error> {
        let limit = limit.clamp(1, READ_LINES_MAX);
        let (tenant, function) = (tenant.as_str(), function.as_str());
        let first = match after {
            Some(u64::MAX) => return Ok(Vec::new()),
            Some(after) => after + 1,
            None => 0,
        };
        self.shared.read(|transaction| {
            let table = transaction.open_table(LOGS)?;
            let range = (tenant, function, first)..=(tenant, function, u64::MAX);
            let mut range = table.range::<(&str, &str, u64)>(range)?;
            let mut lines = Vec::new();
            let mut bytes = 0;
            while lines.len() < limit && bytes < READ_BYTES_MAX {
                let entry = match after {
                    Some(_) => range.next(),
                    None => range.next_back(),
                };
                let Some(entry) = entry else { break };
                let (key, stored) = entry?;
                let (of_invocation, packed) = stored.value();
                if invocation.is_none_or(|wanted| wanted == of_invocation) {
                    bytes += packed.len();
                    let line = packed::unpack(packed)?;
                    lines.push((key.value().2, line));
                }
            }
            if after.is_none() {
                lines.reverse();
            }
            Ok(lines)
        })
    }

    /// Looks for lines that are wanted: with `after` from there on, oldest first; without, from the
    /// newest on, back. Answers them in ascending order. Ends with `limit` lines, or when it has
    /// looked at [`limits::SCAN_BYTES_MAX`], or for about [`limits::SCAN_MS_MAX`]. Blocks as long.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn search(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        after: Option<u64>,
        limit: usize,
        wanted: &mut dyn FnMut(&LogLine) -> bool,
    ) -> Result<FoundLines, Error> {
        let (tenant, function) = (tenant.as_str(), function.as_str());
        let until = clock::monotonic() + Duration::from_millis(limits::SCAN_MS_MAX);
        let first = after.map_or(0, |after| after.saturating_add(1));
        self.shared.read(|transaction| {
            let table = transaction.open_table(LOGS)?;
            let range = (tenant, function, first)..=(tenant, function, u64::MAX);
            let mut range = table.range::<(&str, &str, u64)>(range)?;
            let mut found = FoundLines::default();
            let mut bytes = 0;
            while found.lines.len() < limit && bytes < limits::SCAN_BYTES_MAX {
                let entry = match after {
                    Some(_) => range.next(),
                    None => range.next_back(),
                };
                let Some(entry) = entry else { break };
                let (key, stored) = entry?;
                let (cursor, packed) = (key.value().2, stored.value().1);
                bytes += packed.len();
                let line = packed::unpack(packed)?;
                found.cursor = found.cursor.max(Some(cursor));
                if wanted(&line) {
                    found.lines.push((cursor, line));
                }
                if clock::monotonic() >= until {
                    break;
                }
            }
            if after.is_none() {
                found.lines.reverse();
            }
            Ok(found)
        })
    }

    /// The cursor of the oldest line that a function has, and the one that its next line gets.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn bounds(&self, tenant: &TenantId, function: &FunctionName) -> Result<(u64, u64), Error> {
        self.shared.read(|transaction| {
            let table = transaction.open_table(LOG_STATE)?;
            let state = table.get((tenant.as_str(), function.as_str()))?;
            Ok(state.map_or((1, 1), |state| state.value()))
        })
    }

    /// Changes whenever lines of any function have become readable; for long polls.
    ///
    /// Subscribe first, read second, wait third: then no line is missed.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.shared.log_commits.subscribe()
    }

    /// Waits until every line appended so far is stored or dropped.
    pub async fn flush(&self) {
        // Without an answer the writer has ended, and there is nothing to wait for.
        let _ = self.shared.queue.flush_logs().await;
    }

    /// Lines and records of invocations dropped since the store was opened.
    pub fn dropped(&self) -> u64 {
        self.shared.queue.logs_dropped()
    }
}

/// Stores lines and trims what they push out.
pub(super) fn store(tables: &mut Tables<'_>, records: &[Record]) -> Result<(), Fault> {
    let mut by_function: BTreeMap<(&str, &str), Vec<&Record>> = BTreeMap::new();
    for record in records {
        let name = (record.tenant.as_str(), record.function.as_str());
        by_function.entry(name).or_default().push(record);
    }
    for (name, records) in by_function {
        let state = tables.log_state.get(name)?.map(|state| state.value());
        let (mut first, mut next) = state.unwrap_or((1, 1));
        let mut invocations = Vec::new();
        for record in records {
            match &record.entry {
                Entry::Line { invocation, packed } => {
                    tables.pace.step();
                    let stored = (invocation.as_str(), &**packed);
                    tables.logs.insert((name.0, name.1, next), stored)?;
                    next += 1;
                }
                Entry::Invocation { id, packed } => invocations.push(Packed {
                    id: *id,
                    behind: next,
                    bytes: packed,
                }),
            }
        }
        invocations::store(tables, name, &mut invocations)?;
        let kept = u64::try_from(limits::LOG_LINES_KEPT).unwrap_or(u64::MAX);
        if next - first > kept + TRIM_SLACK {
            let oldest = next - kept;
            let range = (name.0, name.1, first)..(name.0, name.1, oldest);
            tables
                .logs
                .retain_in::<(&str, &str, u64), _>(range, |_, _| false)?;
            first = oldest;
        }
        if state != Some((first, next)) && next > 1 {
            tables.log_state.insert(name, (first, next))?;
        }
    }
    Ok(())
}

/// Deletes every stored line and record of a function; its cursors go on where they were.
pub(super) fn delete(
    tables: &mut Tables<'_>,
    tenant: &TenantId,
    function: &FunctionName,
) -> Result<(), Fault> {
    invocations::delete(tables, tenant, function)?;
    let name = (tenant.as_str(), function.as_str());
    let Some((_, next)) = tables.log_state.get(name)?.map(|state| state.value()) else {
        return Ok(());
    };
    let range = (name.0, name.1, 0)..=(name.0, name.1, u64::MAX);
    tables
        .logs
        .retain_in::<(&str, &str, u64), _>(range, |_, _| false)?;
    tables.log_state.insert(name, (next, next))?;
    Ok(())
}

/// Deletes some lines of a tenant that is being deleted; true when there may be more.
pub(super) fn delete_some(tables: &mut Tables<'_>, tenant: &TenantId) -> Result<bool, Fault> {
    let name = tenant.as_str();
    let mut keys = Vec::new();
    for entry in tables.logs.range::<(&str, &str, u64)>((name, "", 0)..)? {
        let (key, _) = entry?;
        let (of_tenant, function, cursor) = key.value();
        if of_tenant != name || keys.len() == DELETE_LINES_MAX {
            break;
        }
        keys.push((function.to_owned(), cursor));
    }
    for (function, cursor) in &keys {
        tables.logs.remove((name, function.as_str(), *cursor))?;
    }
    if keys.len() == DELETE_LINES_MAX {
        return Ok(true);
    }
    let mut functions = Vec::new();
    for entry in tables.log_state.range::<(&str, &str)>((name, "")..)? {
        let (key, _) = entry?;
        let (of_tenant, function) = key.value();
        if of_tenant != name {
            break;
        }
        functions.push(function.to_owned());
    }
    for function in &functions {
        tables.log_state.remove((name, function.as_str()))?;
    }
    Ok(false)
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
