//! `GET …/logs`: a function's log lines, and waiting for the next ones.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::Uri;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::invocations::{level, must_exist, place_to_search};
use super::path::OfFunction;
use super::problem::Problem;
use super::query::cursor;
use crate::error::Code;
use crate::id::{FunctionName, TenantId};
use crate::limits;
use crate::search;
use crate::store::{self, FoundLines, Level, LogLine, Logs};

/// Lines in one answer when the request does not say.
const LINES_DEFAULT: usize = 100;
/// Most lines that one read of the store answers.
const READ_LINES: usize = 1000;
/// Most bytes of messages in one answer; older lines give way.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Longest wait for a line, in milliseconds.
const WAIT_MS_MAX: u64 = 30_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only lines after this cursor; without it, the newest ones.
    #[param(pattern = "^[0-9]{1,19}$")]
    after: Option<String>,
    /// Lines to answer at most: 100 otherwise, and never more than 10,000.
    limit: Option<usize>,
    /// When there is no line yet, wait this long for one: at most 30,000 ms.
    wait_ms: Option<u64>,
    /// Only lines of this invocation.
    invocation: Option<String>,
    /// Only lines that this search finds, as `docs/logs.md` describes it; at most 1024 bytes.
    #[param(max_length = 1024)]
    search: Option<String>,
}

/// The fields of a line that a search knows.
const FIELDS: search::Schema = &[
    ("level", search::Type::Text),
    ("message", search::Type::Text),
    ("invocation", search::Type::Text),
    ("version", search::Type::Number),
    ("timestamp_ms", search::Type::Number),
];

/// Lines of a log, in ascending order.
#[derive(Serialize, ToSchema)]
#[schema(as = LogPage)]
pub(super) struct PageBody {
    lines: Vec<LineBody>,
    /// Where to go on, also when there was no line.
    cursor: String,
}

/// A line of a log.
#[derive(Serialize, ToSchema)]
#[schema(as = LogLine)]
pub(super) struct LineBody {
    /// Its place in the log.
    cursor: String,
    /// Unix time in milliseconds.
    timestamp_ms: u64,
    level: Level,
    message: String,
    /// The invocation that logged it; null while a version was loaded.
    invocation: Option<String>,
    /// The version that was running.
    version: u64,
}

/// What of which log to read.
#[derive(Clone)]
struct Reading {
    logs: Logs,
    tenant: TenantId,
    function: FunctionName,
    after: Option<u64>,
    /// 1..=[`limits::LOG_LINES_KEPT`]
    limit: usize,
    invocation: Option<String>,
}

/// Answers lines in ascending order; when there are none, waits for the first as long as asked.
///
/// # Cancel safety
/// Reads only.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}/logs",
    operation_id = "read_logs",
    tag = "logs",
    summary = "Read a function's log, and wait for its next line",
    params(OfFunction, Wanted),
    responses((status = 200, description = "The lines", body = PageBody))
)]
pub(super) async fn logs(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    uri: Uri,
) -> Result<Json<PageBody>, Problem> {
    let wanted = Query::<Wanted>::try_from_uri(&uri);
    let wanted = wanted
        .map_err(|error| Problem::new(Code::BadRequest, error.body_text()))?
        .0;
    let after = wanted.after.as_deref().map(parse_cursor).transpose()?;
    must_exist(&http, &tenant, &function).await?;
    let reading = Reading {
        logs: http.app.store.logs(),
        tenant,
        function,
        after,
        limit: wanted
            .limit
            .unwrap_or(LINES_DEFAULT)
            .clamp(1, limits::LOG_LINES_KEPT),
        invocation: wanted.invocation,
    };
    let wait = Duration::from_millis(wanted.wait_ms.unwrap_or(0).min(WAIT_MS_MAX));
    if let Some(query) = wanted.search.as_deref() {
        let query = parse_search(query)?;
        return Ok(Json(search_lines(&http, reading, query, wait).await?));
    }
    let lines = wait_for_lines(&http, &reading, wait).await?;
    Ok(Json(page(&lines, after)))
}

/// Answers lines that a search finds. The cursor goes past all lines that were looked at.
async fn search_lines(
    http: &Http,
    mut reading: Reading,
    query: search::Query,
    wait: Duration,
) -> Result<PageBody, Problem> {
    let query = Arc::new(query);
    let deadline = Instant::now() + wait;
    let mut commits = reading.logs.subscribe();
    loop {
        commits.mark_unchanged();
        let place = place_to_search(http).await?;
        let (once, query) = (reading.clone(), Arc::clone(&query));
        let found = http.blocking(move || {
            let _place = place;
            once.search(&query)
        });
        let found = found.await??;
        if !found.lines.is_empty() || wait.is_zero() {
            return Ok(page(&found.lines, found.cursor.or(reading.after)).at(found.cursor));
        }
        reading.after = Some(found.cursor.or(reading.after).unwrap_or(0));
        let committed = http.closing.run_until_cancelled(commits.changed());
        match timeout_at(deadline, committed).await {
            Ok(Some(Ok(()))) => {}
            Err(_) | Ok(None | Some(Err(_))) => return Ok(page(&[], reading.after)),
        }
    }
}

/// Reads a search for lines.
///
/// # Errors
/// `bad_request`, with what is wrong with it.
pub(super) fn parse_search(text: &str) -> Result<search::Query, Problem> {
    let query = search::Query::parse(text, FIELDS);
    query.map_err(|error| Problem::new(Code::BadRequest, format!("search: {error}")))
}

/// A line as a search sees it.
pub(super) struct SearchedLine<'a>(pub(super) &'a LogLine);

impl search::Record for SearchedLine<'_> {
    fn number(&mut self, field: &str) -> Option<f64> {
        let number = match field {
            "version" => self.0.version,
            "timestamp_ms" => self.0.timestamp_ms,
            _ => return None,
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "compared with what people write"
        )]
        Some(number as f64)
    }

    fn text(&mut self, field: &str, matches: &mut dyn FnMut(&str) -> bool) -> bool {
        match field {
            "level" => matches(level(self.0.level)),
            "message" => matches(&self.0.message),
            "invocation" => matches(&self.0.invocation),
            _ => false,
        }
    }

    fn any_text(&mut self, matches: &mut dyn FnMut(&str) -> bool) -> bool {
        matches(&self.0.message)
    }
}

async fn wait_for_lines(
    http: &Http,
    reading: &Reading,
    wait: Duration,
) -> Result<Vec<(u64, LogLine)>, Problem> {
    let deadline = Instant::now() + wait;
    // Before the first read, so that no line can come between the read and the wait.
    let mut commits = reading.logs.subscribe();
    loop {
        commits.mark_unchanged();
        let once = reading.clone();
        let lines = http.blocking(move || once.read()).await??;
        if !lines.is_empty() || wait.is_zero() {
            return Ok(lines);
        }
        let committed = http.closing.run_until_cancelled(commits.changed());
        match timeout_at(deadline, committed).await {
            Ok(Some(Ok(()))) => {}
            // The time is over, the server stops, or the store is closed.
            Err(_) | Ok(None | Some(Err(_))) => return Ok(lines),
        }
    }
}

impl Reading {
    fn read(&self) -> Result<Vec<(u64, LogLine)>, store::Error> {
        match self.after {
            Some(_) => self.read_from(self.after, self.limit),
            None if self.limit <= READ_LINES => self.read_from(None, self.limit),
            None => self.read_newest(),
        }
    }

    fn search(&self, query: &search::Query) -> Result<FoundLines, store::Error> {
        let of_invocation = |line: &LogLine| {
            let mut of = self.invocation.iter();
            of.all(|wanted| *wanted == line.invocation)
        };
        self.logs.search(
            &self.tenant,
            &self.function,
            self.after,
            self.limit,
            &mut |line| of_invocation(line) && query.matches(&mut SearchedLine(line)),
        )
    }

    /// More of the newest lines than the store answers at once: found from the other end.
    fn read_newest(&self) -> Result<Vec<(u64, LogLine)>, store::Error> {
        let newest = self
            .logs
            .read(&self.tenant, &self.function, None, 1, None)?;
        let Some((newest, _)) = newest.first() else {
            return Ok(Vec::new());
        };
        let span = match &self.invocation {
            Some(_) => limits::LOG_LINES_KEPT,
            None => self.limit,
        };
        let mut after = newest.saturating_sub(u64::try_from(span).unwrap_or(u64::MAX));
        let mut lines = VecDeque::new();
        let mut bytes = 0;
        while after < *newest {
            let more = self.read_from(Some(after), READ_LINES)?;
            let Some((last, _)) = more.last() else { break };
            after = *last;
            for line in more {
                bytes += line.1.message.len();
                lines.push_back(line);
                while lines.len() > self.limit || (bytes > ANSWER_BYTES_MAX && lines.len() > 1) {
                    let dropped: Option<(u64, LogLine)> = lines.pop_front();
                    bytes -= dropped.map_or(0, |(_, line)| line.message.len());
                }
            }
        }
        Ok(lines.into())
    }

    fn read_from(
        &self,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, LogLine)>, store::Error> {
        let invocation = self.invocation.as_deref();
        self.logs
            .read(&self.tenant, &self.function, after, limit, invocation)
    }
}

/// Reads a cursor.
///
/// # Errors
/// `bad_request`.
pub(super) fn parse_cursor(text: &str) -> Result<u64, Problem> {
    let wrong = || Problem::new(Code::BadRequest, "after must be a cursor of an answer");
    cursor(text).ok_or_else(wrong)
}

/// The answer; its cursor is where to go on, also when there was no line.
fn page(lines: &[(u64, LogLine)], after: Option<u64>) -> PageBody {
    let last = lines.last().map(|(cursor, _)| *cursor);
    PageBody {
        lines: lines
            .iter()
            .map(|(cursor, line)| LineBody::of(*cursor, line))
            .collect(),
        cursor: last.or(after).unwrap_or(0).to_string(),
    }
}

impl PageBody {
    /// With a cursor behind lines that were looked at and not answered.
    fn at(mut self, cursor: Option<u64>) -> Self {
        if let Some(cursor) = cursor {
            self.cursor = cursor.to_string();
        }
        self
    }
}

impl LineBody {
    /// A line with its cursor.
    pub(super) fn of(cursor: u64, line: &LogLine) -> Self {
        Self {
            cursor: cursor.to_string(),
            timestamp_ms: line.timestamp_ms,
            level: line.level,
            message: line.message.clone(),
            invocation: Some(line.invocation.clone()).filter(|id| !id.is_empty()),
            version: line.version,
        }
    }
}

#[cfg(test)]
mod tests;
