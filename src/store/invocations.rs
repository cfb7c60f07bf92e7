//! Records of invocations: one for each, however it ended, with the log lines that belong to it.
//!
//! A record travels with its lines in one queue, see [`super::Logs::append_invocation`], and is
//! stored behind them: its lines are those directly before the cursor that is kept with it. Like
//! lines, records are not acknowledged; under a flood they are dropped and counted.

use std::borrow::Cow;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::ops::Bound::Included;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::{AccessGuard, CursorError, Range, ReadOnlyTable, ReadTransaction, ReadableTable};
use serde::{Deserialize, Serialize};

use super::logs::LogLine;
use super::schema::{INVOCATION_COUNTS, INVOCATIONS, LOGS, Tables};
use super::{Error, Fault, Shared, packed, retention};
use crate::id::{DeploymentId, FunctionName, InvocationId, TenantId, TraceId};
use crate::kind::Kind;
use crate::{clock, limits};

/// Functions of one tenant whose records one request merges.
const FUNCTIONS_MAX: usize = 10_000;
/// Records beyond those to keep before the oldest are trimmed, so that it is done in batches.
const TRIM_SLACK: u64 = 256;
/// Most records that are trimmed when others are stored, beyond as many as are stored.
const TRIM_MAX: u64 = 4096;

/// What an invocation was for. Stored by its place: new ones go behind the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordedKind {
    /// An HTTP request to a function.
    Request,
    /// An event for an event function.
    Event,
    /// A call of a workspace's function.
    Workspace,
    /// A schedule's tick.
    Scheduled,
    /// A trial of a version that need not be active.
    Test,
}

impl RecordedKind {
    /// That of an ordinary call of a function of this kind.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Request => Self::Request,
            Kind::Event => Self::Event,
            Kind::Workspace => Self::Workspace,
        }
    }

    /// The word for it, in answers, metrics and queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Event => "event",
            Self::Workspace => "workspace",
            Self::Scheduled => "scheduled",
            Self::Test => "test",
        }
    }
}

/// How an invocation ended, in one word. Stored by its place: new ones go behind the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// The function ran to its end, whatever it answered.
    Success,
    /// It ended with an error code.
    Error,
    /// It was dropped half-way: the client went away, or the server stopped.
    Cancelled,
}

impl Ending {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An exception that nothing caught; each text at most [`limits::RECORD_ERROR_BYTES_MAX`] bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedError {
    /// Such as `TypeError`.
    pub name: String,
    /// As thrown.
    pub message: String,
    /// With places in what the author wrote, where a source map knows them.
    pub stack: String,
}

/// What an invocation used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// WebAssembly instructions, as wasmtime counts them.
    pub fuel: u64,
    /// Memory above the function's own snapshot, at its highest, in bytes.
    pub memory_bytes: u64,
    /// Calls of host functions that begin work or move data.
    pub host_calls: u64,
    /// Requests and WebSockets to the outside.
    pub subrequests: u64,
    /// Commands to kv.
    pub kv_operations: u64,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
}

/// What is written down about one invocation; stored without names, see [`packed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvocationRecord {
    /// Its id, which says when it started.
    #[serde(skip, default = "no_id")]
    pub id: InvocationId,
    /// The version that ran.
    pub version: u64,
    /// The deployment that ran.
    pub deployment: DeploymentId,
    /// What it was for.
    pub kind: RecordedKind,
    /// The HTTP method; cut to [`limits::RECORD_TEXT_BYTES_MAX`].
    pub method: String,
    /// Path and query after the function's name; cut to [`limits::RECORD_TARGET_BYTES_MAX`].
    pub target: String,
    /// The status of the function's own answer; `None` when it gave none.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Ending,
    /// The error code, for [`Ending::Error`] only.
    pub code: Option<Cow<'static, str>>,
    /// The exception that ended it, if one did.
    pub error: Option<RecordedError>,
    /// From admission to the end, in microseconds.
    pub duration_us: u64,
    /// What it used.
    pub cost: Cost,
    /// The client's address.
    pub client: IpAddr,
    /// The client's `user-agent`; cut to [`limits::RECORD_TEXT_BYTES_MAX`], empty for none.
    pub user_agent: String,
    /// The trace that it belongs to.
    pub trace_id: TraceId,
    /// Log lines that were handed in with it.
    pub lines: u32,
}

fn no_id() -> InvocationId {
    InvocationId::from_number(0)
}

/// Which records to look at, newest first.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Whose.
    pub tenant: TenantId,
    /// Of which function; of all without it.
    pub function: Option<FunctionName>,
    /// Only those that started before this one: where the last scan ended.
    pub before: Option<InvocationId>,
    /// Only those that started at this Unix time in milliseconds or later.
    pub from_ms: Option<u64>,
    /// Only those that started at this Unix time in milliseconds or earlier.
    pub to_ms: Option<u64>,
    /// Most records to find, 1 and up.
    pub limit: usize,
}

impl Scan {
    /// Lowest and highest number; `None` when nothing can be between them.
    fn bounds(&self) -> Option<(u128, u128)> {
        let low = self.from_ms.map_or(0, first_number);
        let to = self.to_ms.filter(|ms| *ms < MS_MAX);
        let mut high = to.map_or(u128::MAX, |ms| first_number(ms + 1) - 1);
        if let Some(before) = self.before {
            high = high.min(before.to_number().checked_sub(1)?);
        }
        (low <= high).then_some((low, high))
    }
}

/// Bits of chance in an invocation's number; the others are its time.
const RANDOM_BITS: u32 = 80;
/// The last time that an invocation's number can hold.
const MS_MAX: u64 = (1 << 48) - 1;

/// The lowest number of an invocation that starts at this Unix time.
pub(super) fn first_number(ms: u64) -> u128 {
    u128::from(ms.min(MS_MAX)) << RANDOM_BITS
}

/// What a scan found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Newest first, each with its function.
    pub records: Vec<(FunctionName, InvocationRecord)>,
    /// Where to go on; `None` when everything was looked at. A scan ends early when it has looked
    /// at as much as one may, so there may be more even if nothing was found.
    pub next: Option<InvocationId>,
}

/// The log lines of one invocation, read when they are asked for.
pub struct Lines<'t> {
    logs: &'t ReadOnlyTable<(&'static str, &'static str, u64), (&'static str, &'static [u8])>,
    tenant: &'t str,
    function: &'t str,
    id: InvocationId,
    /// Behind the last line.
    behind: u64,
    /// Most lines there can be.
    count: u32,
    /// Bytes of lines that were looked at, of all invocations of a scan.
    bytes: usize,
    fault: Option<Fault>,
}

impl Lines<'_> {
    /// Shows the lines, the last one first, until `visit` answers `true` or
    /// [`limits::SCAN_LINES_BYTES_MAX`] bytes were shown. Answers what `visit` said last.
    pub fn any(&mut self, mut visit: impl FnMut(&LogLine) -> bool) -> bool {
        let outcome = self.visit(limits::SCAN_LINES_BYTES_MAX, &mut visit);
        outcome.unwrap_or_else(|fault| {
            self.fault = Some(fault);
            false
        })
    }

    fn visit(
        &mut self,
        bytes_max: usize,
        visit: &mut dyn FnMut(&LogLine) -> bool,
    ) -> Result<bool, Fault> {
        if self.count == 0 {
            return Ok(false);
        }
        let first = self.behind.saturating_sub(u64::from(self.count));
        let range = (self.tenant, self.function, first)..(self.tenant, self.function, self.behind);
        let id = self.id.to_string();
        let mut bytes = 0;
        for entry in self.logs.range::<(&str, &str, u64)>(range)?.rev() {
            let (_, stored) = entry?;
            let (of_invocation, packed) = stored.value();
            if of_invocation != id || bytes > bytes_max {
                break;
            }
            bytes += packed.len();
            self.bytes += packed.len();
            if visit(&packed::unpack(packed)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Decides whether a record is wanted, with its lines if it has to see them.
pub type Wanted<'a> = dyn FnMut(&FunctionName, &InvocationRecord, &mut Lines<'_>) -> bool + 'a;

/// Reads of records. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Invocations {
    pub(super) shared: Arc<Shared>,
}

impl Invocations {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Reads the records of a scan that are wanted, newest first.
    ///
    /// Looks at most at [`limits::SCAN_RECORDS_MAX`] records and [`limits::SCAN_BYTES_MAX`] bytes,
    /// and for about [`limits::SCAN_MS_MAX`]; at one record at least. Blocks as long.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn scan(&self, scan: &Scan, wanted: &mut Wanted<'_>) -> Result<Found, Error> {
        let Some(bounds) = scan.bounds() else {
            return Ok(Found::default());
        };
        self.shared.read(|transaction| {
            let mut merged = Merged::open(transaction, scan, bounds)?;
            let logs = transaction.open_table(LOGS)?;
            let mut found = Found::default();
            let mut budget = Budget::new();
            while let Some((function, number, stored)) = merged.next()? {
                let (behind, packed) = stored.value();
                let mut record: InvocationRecord = packed::unpack(packed)?;
                record.id = InvocationId::from_number(number);
                let mut lines = Lines {
                    logs: &logs,
                    tenant: scan.tenant.as_str(),
                    function: function.as_str(),
                    id: record.id,
                    behind,
                    count: record.lines,
                    bytes: 0,
                    fault: None,
                };
                let is_wanted = wanted(&function, &record, &mut lines);
                if let Some(fault) = lines.fault {
                    return Err(fault);
                }
                let spent = budget.spend(packed.len() + lines.bytes);
                let id = record.id;
                if is_wanted {
                    found.records.push((function, record));
                }
                if spent || found.records.len() >= scan.limit.max(1) {
                    found.next = merged.has_more().then_some(id);
                    break;
                }
            }
            Ok(found)
        })
    }

    /// Reads one record with its lines, oldest first; at most [`limits::LOG_LINES_KEPT`] lines and
    /// 16 MiB of them. Without `function`, whichever function of the tenant it is of.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`]. `None` for a record that is not there any more.
    pub fn get(
        &self,
        tenant: &TenantId,
        function: Option<&FunctionName>,
        id: InvocationId,
    ) -> Result<Option<(FunctionName, InvocationRecord, Vec<LogLine>)>, Error> {
        /// Most bytes of lines in one answer.
        const LINES_BYTES_MAX: usize = 16 << 20;
        self.shared.read(|transaction| {
            let table = transaction.open_table(INVOCATIONS)?;
            let logs = transaction.open_table(LOGS)?;
            for function in functions_of(transaction, tenant, function)? {
                let key = (tenant.as_str(), function.as_str(), id.to_number());
                let Some(stored) = table.get(key)? else {
                    continue;
                };
                let (behind, packed) = stored.value();
                let mut record: InvocationRecord = packed::unpack(packed)?;
                record.id = id;
                let mut lines = Lines {
                    logs: &logs,
                    tenant: tenant.as_str(),
                    function: function.as_str(),
                    id,
                    behind,
                    count: record.lines,
                    bytes: 0,
                    fault: None,
                };
                let mut all = Vec::new();
                let mut keep = |line: &LogLine| {
                    all.push(line.clone());
                    false
                };
                lines.visit(LINES_BYTES_MAX, &mut keep)?;
                all.reverse();
                return Ok(Some((function, record, all)));
            }
            Ok(None)
        })
    }

    /// How many records a function has.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn count(&self, tenant: &TenantId, function: &FunctionName) -> Result<u64, Error> {
        self.shared.read(|transaction| {
            let counts = transaction.open_table(INVOCATION_COUNTS)?;
            let count = counts.get((tenant.as_str(), function.as_str()))?;
            Ok(count.map_or(0, |count| count.value()))
        })
    }
}

/// What one scan may still look at.
struct Budget {
    records: usize,
    bytes: usize,
    until: Instant,
}

impl Budget {
    fn new() -> Self {
        Self {
            records: limits::SCAN_RECORDS_MAX,
            bytes: limits::SCAN_BYTES_MAX,
            until: clock::monotonic() + Duration::from_millis(limits::SCAN_MS_MAX),
        }
    }

    /// Notes a record that was looked at; answers whether that was the last one.
    fn spend(&mut self, bytes: usize) -> bool {
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.records == 0 || self.bytes == 0 || clock::monotonic() >= self.until
    }
}

type Key = (&'static str, &'static str, u128);
type Value = (u64, &'static [u8]);

/// The next record of one function, and the way to those before it.
struct Source {
    function: FunctionName,
    range: Range<'static, Key, Value>,
    next: Option<AccessGuard<'static, Value>>,
}

/// The records of several functions, newest first.
struct Merged {
    sources: Vec<Source>,
    /// Numbers of the records that are next, each with its source.
    newest: BinaryHeap<(u128, usize)>,
}

impl Merged {
    fn open(
        transaction: &ReadTransaction,
        scan: &Scan,
        (low, high): (u128, u128),
    ) -> Result<Self, Fault> {
        let table = transaction.open_table(INVOCATIONS)?;
        let tenant = scan.tenant.as_str();
        let mut merged = Self {
            sources: Vec::new(),
            newest: BinaryHeap::new(),
        };
        for function in functions_of(transaction, &scan.tenant, scan.function.as_ref())? {
            let name = function.as_str();
            let range = (tenant, name, low)..=(tenant, name, high);
            let range = table.range::<(&str, &str, u128)>(range)?;
            merged.sources.push(Source {
                function,
                range,
                next: None,
            });
            merged.advance(merged.sources.len() - 1)?;
        }
        Ok(merged)
    }

    fn advance(&mut self, at: usize) -> Result<(), Fault> {
        let source = &mut self.sources[at];
        if let Some(entry) = source.range.next_back() {
            let (key, stored) = entry?;
            source.next = Some(stored);
            self.newest.push((key.value().2, at));
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(FunctionName, u128, AccessGuard<'static, Value>)>, Fault> {
        let Some((number, at)) = self.newest.pop() else {
            return Ok(None);
        };
        let source = &mut self.sources[at];
        let (function, stored) = (source.function.clone(), source.next.take());
        let stored = stored.ok_or(Fault::Inconsistent("a record was taken twice"))?;
        self.advance(at)?;
        Ok(Some((function, number, stored)))
    }

    fn has_more(&self) -> bool {
        !self.newest.is_empty()
    }
}

/// The functions of a tenant that have records, or the one that is wanted.
fn functions_of(
    transaction: &ReadTransaction,
    tenant: &TenantId,
    wanted: Option<&FunctionName>,
) -> Result<Vec<FunctionName>, Fault> {
    if let Some(function) = wanted {
        return Ok(vec![function.clone()]);
    }
    let counts = transaction.open_table(INVOCATION_COUNTS)?;
    let mut functions = Vec::new();
    for entry in counts.range::<(&str, &str)>((tenant.as_str(), "")..)? {
        let (key, _) = entry?;
        let (of_tenant, function) = key.value();
        if of_tenant != tenant.as_str() || functions.len() == FUNCTIONS_MAX {
            break;
        }
        let function = function.parse();
        functions.push(function.map_err(|_| Fault::Inconsistent("a record's function"))?);
    }
    Ok(functions)
}

/// A record on its way into the table.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    pub(super) id: InvocationId,
    /// The cursor behind its last line.
    pub(super) behind: u64,
    /// Made by [`packed::pack`], without the id.
    pub(super) bytes: &'a [u8],
}

/// Stores records of one function, and trims what they push out.
pub(super) fn store(
    tables: &mut Tables<'_>,
    (tenant, function): (&str, &str),
    records: &mut [Packed<'_>],
) -> Result<(), Fault> {
    if records.is_empty() {
        return Ok(());
    }
    let counted = tables.invocation_counts.get((tenant, function))?;
    let mut count = counted.map_or(0, |count| count.value());
    count += insert(tables, (tenant, function), records)?;
    tables.invocation_counts.insert((tenant, function), count)?;
    let keep = retention::of(tables, (tenant, function))?.keep_count;
    if count > keep.saturating_add(TRIM_SLACK) {
        let stored = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let most = (count - keep).min(TRIM_MAX.saturating_add(stored));
        trim(tables, (tenant, function), None, most)?;
    }
    Ok(())
}

/// Inserts records; answers how many of them were not there before.
fn insert(
    tables: &mut Tables<'_>,
    (tenant, function): (&str, &str),
    records: &mut [Packed<'_>],
) -> Result<u64, Fault> {
    records.sort_by_key(|record| record.id);
    let end = Included((tenant, function, u128::MAX));
    let mut cursor = tables.invocations.upper_bound_mut(end)?;
    let (mut added, mut earlier) = (0, Vec::new());
    // Nearly all follow what is there, and are put behind it without a search for their places.
    for record in records {
        tables.pace.step();
        let key = (tenant, function, record.id.to_number());
        match cursor.insert_before(key, (record.behind, record.bytes)) {
            Ok(()) => added += 1,
            Err(CursorError::UnorderedKey) => earlier.push(*record),
            Err(error) => return Err(error.into()),
        }
    }
    cursor.close()?;
    for record in earlier {
        let key = (tenant, function, record.id.to_number());
        let there = tables
            .invocations
            .insert(key, (record.behind, record.bytes))?;
        added += u64::from(there.is_none());
    }
    Ok(added)
}

/// Deletes the oldest records of a function: at most `most`, and with `before_ms` only those that
/// started before this Unix time. Answers how many.
pub(super) fn trim(
    tables: &mut Tables<'_>,
    (tenant, function): (&str, &str),
    before_ms: Option<u64>,
    most: u64,
) -> Result<u64, Fault> {
    let below = before_ms.map_or(u128::MAX, first_number);
    let range = (tenant, function, 0)..(tenant, function, below);
    let (mut removed, mut last) = (0, None);
    for entry in tables.invocations.range::<(&str, &str, u128)>(range)? {
        if removed >= most {
            break;
        }
        last = Some(entry?.0.value().2);
        removed += 1;
    }
    if let Some(last) = last {
        // In one go: taken out one by one, each would be looked for from the root on.
        let range = (tenant, function, 0)..=(tenant, function, last);
        tables
            .invocations
            .retain_in::<(&str, &str, u128), _>(range, |_, _| false)?;
    }
    let counted = tables.invocation_counts.get((tenant, function))?;
    let left = counted
        .map_or(0, |count| count.value())
        .saturating_sub(removed);
    if left == 0 {
        tables.invocation_counts.remove((tenant, function))?;
    } else if removed > 0 {
        tables.invocation_counts.insert((tenant, function), left)?;
    }
    Ok(removed)
}

/// Deletes every record of a function.
pub(super) fn delete(
    tables: &mut Tables<'_>,
    tenant: &TenantId,
    function: &FunctionName,
) -> Result<(), Fault> {
    let (tenant, function) = (tenant.as_str(), function.as_str());
    let range = (tenant, function, 0)..=(tenant, function, u128::MAX);
    tables
        .invocations
        .retain_in::<(&str, &str, u128), _>(range, |_, _| false)?;
    tables.invocation_counts.remove((tenant, function))?;
    tables.retention.remove((tenant, function))?;
    Ok(())
}

#[cfg(test)]
#[path = "invocations_tests.rs"]
pub(super) mod tests;
