//! `GET …/logs/stream`: a function's log as it is written, as server-sent events.
//!
//! A tail keeps no lines: it reads them from the store when its client takes more, from where it
//! was. A client that is so slow that lines are deleted before it takes them is told so and cut
//! off; one that takes nothing at all is cut off with its connection.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::invocations::must_exist;
use super::logs::{LineBody, SearchedLine, parse_cursor, parse_search};
use super::path::OfFunction;
use super::problem::Problem;
use crate::error::Code;
use crate::id::{FunctionName, TenantId};
use crate::limits::{TAIL_MS_MAX, TAILS_MAX, TAILS_PER_TENANT_MAX};
use crate::search;
use crate::store::{self, LogLine, Logs};

/// How often a silent tail says that it is alive.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// Lines that one read answers.
const READ_LINES: usize = 200;

/// Places for tails, of each tenant and in all.
pub(super) struct Tails {
    places: Arc<Semaphore>,
    by_tenant: Arc<Mutex<HashMap<TenantId, usize>>>,
}

impl Default for Tails {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(TAILS_MAX)),
            by_tenant: Arc::default(),
        }
    }
}

/// A place, given back when it is dropped.
struct Place {
    tenant: TenantId,
    by_tenant: Arc<Mutex<HashMap<TenantId, usize>>>,
    _place: OwnedSemaphorePermit,
}

impl Tails {
    /// How many more may be open.
    pub(super) fn places_left(&self) -> usize {
        self.places.available_permits()
    }

    fn take(&self, tenant: &TenantId) -> Result<Place, Problem> {
        let full = |max: usize| {
            let detail = format!("{max} of {max} live tails are open");
            Problem::new(Code::TailsExceeded, detail)
        };
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| full(TAILS_MAX))?;
        {
            let by_tenant = self.by_tenant.lock();
            let mut by_tenant = by_tenant.unwrap_or_else(PoisonError::into_inner);
            let open = by_tenant.entry(tenant.clone()).or_default();
            if *open >= TAILS_PER_TENANT_MAX {
                return Err(full(TAILS_PER_TENANT_MAX));
            }
            *open += 1;
        }
        Ok(Place {
            tenant: tenant.clone(),
            by_tenant: Arc::clone(&self.by_tenant),
            _place: place,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let by_tenant = self.by_tenant.lock();
        let mut by_tenant = by_tenant.unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = by_tenant.get_mut(&self.tenant) {
            *open -= 1;
            if *open == 0 {
                by_tenant.remove(&self.tenant);
            }
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only lines after this cursor; without it, those written from now on. `Last-Event-ID`, which
    /// a client sends when it connects again, goes before it.
    #[param(pattern = "^[0-9]{1,19}$")]
    after: Option<String>,
    /// Only lines of this invocation.
    invocation: Option<String>,
    /// Only lines that this search finds, as `docs/logs.md` describes it; at most 1024 bytes.
    #[param(max_length = 1024)]
    search: Option<String>,
}

/// An event of a live tail.
#[derive(ToSchema)]
#[schema(as = LogEvent)]
#[expect(dead_code, reason = "describes what is written as text")]
struct EventBody {
    /// The cursor of the line; there is none with `end`.
    #[schema(required = false, value_type = String)]
    id: Option<String>,
    /// `line`, or at last `end`.
    event: String,
    /// JSON: a line as `GET …/logs` answers it, or why the tail ends.
    data: String,
}

/// Sends lines as they are stored, each as an event `line` whose id is its cursor.
///
/// # Cancel safety
/// Reads only.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/functions/{function}/logs/stream",
    operation_id = "stream_logs",
    tag = "logs",
    summary = "Follow a function's log as server-sent events",
    params(
        OfFunction,
        Wanted,
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that \
            a client got before it connected again")
    ),
    responses((
        status = 200,
        description = "Events `line`, whose data is a line as JSON and whose id is its cursor, and \
            at last `end`, whose data says why",
        body = EventBody,
        content_type = "text/event-stream"
    ))
)]
pub(super) async fn stream(
    State(http): State<Arc<Http>>,
    OfFunction(tenant, function): OfFunction,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = Query::<Wanted>::try_from_uri(&uri);
    let wanted = wanted
        .map_err(|error| Problem::new(Code::BadRequest, error.body_text()))?
        .0;
    let last = headers.get("last-event-id").map(|id| id.to_str());
    let last = last.transpose().map_err(|_| bad_id())?;
    let last = last.filter(|id| !id.is_empty()).map(parse_cursor);
    let after = wanted.after.as_deref().map(parse_cursor).transpose()?;
    let after = last.transpose()?.or(after);
    let search = wanted.search.as_deref().map(parse_search).transpose()?;
    must_exist(&http, &tenant, &function).await?;
    let place = http.tails.take(&tenant)?;
    let logs = http.app.store.logs();
    // Before the first read, so that no line can come between the read and the wait.
    let commits = logs.subscribe();
    let mut tail = Tail {
        http: Arc::clone(&http),
        commits,
        source: Source {
            logs,
            tenant,
            function,
            invocation: wanted.invocation,
            search,
        },
        cursor: 0,
        until: Instant::now() + Duration::from_millis(TAIL_MS_MAX),
        has_ended: false,
        _place: place,
    };
    let source = tail.source.clone();
    let (first, next) = http.blocking(move || source.bounds()).await??;
    let newest = next.saturating_sub(1);
    tail.cursor = after.unwrap_or(newest).max(first.saturating_sub(1));
    let events = stream::unfold(tail, |tail| Box::pin(tail.next()));
    let headers = [(CONTENT_TYPE, "text/event-stream")];
    Ok((headers, Body::from_stream(events)).into_response())
}

fn bad_id() -> Problem {
    Problem::new(Code::BadRequest, "last-event-id must be a cursor")
}

/// Which lines.
#[derive(Clone)]
struct Source {
    logs: Logs,
    tenant: TenantId,
    function: FunctionName,
    invocation: Option<String>,
    search: Option<search::Query>,
}

/// One live tail.
struct Tail {
    http: Arc<Http>,
    commits: watch::Receiver<u64>,
    source: Source,
    /// The last line that was looked at.
    cursor: u64,
    /// When it ends: whoever is still allowed to read connects again.
    until: Instant,
    has_ended: bool,
    _place: Place,
}

/// What one read found.
struct Read {
    /// The oldest line that there is.
    first: u64,
    /// The last line that was looked at, if there was any.
    cursor: Option<u64>,
    lines: Vec<(u64, LogLine)>,
}

impl Source {
    fn bounds(&self) -> Result<(u64, u64), store::Error> {
        self.logs.bounds(&self.tenant, &self.function)
    }

    fn read(&self, after: u64) -> Result<Read, store::Error> {
        let (first, _) = self.bounds()?;
        let lines = self.logs.read(
            &self.tenant,
            &self.function,
            Some(after),
            READ_LINES,
            // Filtered below: the cursor has to move past lines of others.
            None,
        )?;
        let cursor = lines.last().map(|(cursor, _)| *cursor);
        let is_wanted = |line: &LogLine| {
            let mut of = self.invocation.iter();
            of.all(|wanted| *wanted == line.invocation)
                && self
                    .search
                    .as_ref()
                    .is_none_or(|query| query.matches(&mut SearchedLine(line)))
        };
        let lines = lines.into_iter().filter(|(_, line)| is_wanted(line));
        Ok(Read {
            first,
            cursor,
            lines: lines.collect(),
        })
    }
}

impl Tail {
    /// The next events; `None` after the last.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if self.has_ended {
            return None;
        }
        let text = self.events().await;
        Some((Ok(Bytes::from(text)), self))
    }

    async fn events(&mut self) -> String {
        let alive_at = Instant::now() + ALIVE_EVERY;
        loop {
            self.commits.mark_unchanged();
            let (source, after) = (self.source.clone(), self.cursor);
            let read = match self.http.blocking(move || source.read(after)).await {
                Ok(Ok(read)) => read,
                Ok(Err(_)) | Err(_) => return self.end("storage_unavailable"),
            };
            if read.first > self.cursor + 1 {
                return self.end("too_slow");
            }
            self.cursor = read.cursor.unwrap_or(self.cursor);
            if !read.lines.is_empty() {
                return read.lines.into_iter().map(event).collect();
            }
            if read.cursor.is_some() {
                continue;
            }
            tokio::select! {
                biased;
                () = self.http.closing.cancelled() => return self.end("shutting_down"),
                () = sleep_until(self.until) => return self.end("reconnect"),
                changed = self.commits.changed() => {
                    if changed.is_err() {
                        return self.end("shutting_down");
                    }
                }
                () = sleep_until(alive_at) => return ": alive\n\n".to_owned(),
            }
        }
    }

    /// The last event. A client may connect again with the id of the last line that it got.
    fn end(&mut self, reason: &str) -> String {
        self.has_ended = true;
        format!("event: end\ndata: {}\n\n", json!({ "reason": reason }))
    }
}

fn event((cursor, line): (u64, LogLine)) -> String {
    // Such a struct always has a JSON text, and that has no line breaks.
    let data = serde_json::to_string(&LineBody::of(cursor, &line)).unwrap_or_default();
    format!("id: {cursor}\nevent: line\ndata: {data}\n\n")
}
