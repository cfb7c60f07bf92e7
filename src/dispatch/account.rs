//! What is written down about an invocation, however it ends: also when it is dropped.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use super::{Call, Permits, Shared};
use crate::clock;
use crate::deploy::{PLACES_MAX, Places};
use crate::error::{Code, Error};
use crate::host::{Failure, LogBuffer, Usage};
use crate::id::{InvocationId, TraceId};
use crate::limits::{
    LOG_LINES_KEPT, RECORD_ERROR_BYTES_MAX, RECORD_TARGET_BYTES_MAX, RECORD_TEXT_BYTES_MAX,
};
use crate::metrics;
use crate::redact::Redactor;
use crate::sandbox::{Finished, Meter, Outcome, Spent};
use crate::store::{
    Cost, Deployment, Ending, InvocationRecord, LogLine, RecordedError, RecordedKind,
};
use crate::trace::{Period, Recording};

/// From admission to the end: owns the permits, and writes the record when it is dropped.
pub(super) struct Account {
    pub(super) shared: Arc<Shared>,
    pub(super) deployment: Arc<Deployment>,
    pub(super) id: InvocationId,
    pub(super) log: LogBuffer,
    pub(super) refusal: Refusal,
    pub(super) meter: Meter,
    /// The spans, if the trace is recorded.
    pub(super) recording: Option<Recording>,
    begun_at: Option<SystemTime>,
    run_at: Option<SystemTime>,
    facts: Facts,
    begun: Instant,
    request_bytes: u64,
    ended: Option<Ended>,
    /// Lines that were taken and are to be stored.
    kept: Vec<LogLine>,
    _permits: Permits,
}

/// What is known about the request before its function runs.
struct Facts {
    kind: RecordedKind,
    method: String,
    target: String,
    client: IpAddr,
    user_agent: String,
    trace_id: TraceId,
}

/// Whether what the function answered turned out to be nothing that can be passed on; for whoever
/// passes it on.
#[derive(Clone)]
pub(super) struct Refusal {
    code: Arc<OnceLock<Code>>,
    log: LogBuffer,
}

impl Refusal {
    /// The caller gets this error in the place of what the function answered. The first one counts,
    /// and an invocation that has failed has done so for its own reason.
    pub(super) fn refuse(&self, error: &Error) {
        if self.code.set(error.code).is_ok() {
            let line = format!("{}: {}", error.code, error.detail);
            self.log.push_final(&line);
        }
    }
}

/// How it ended, when it was not dropped half-way.
struct Ended {
    code: Option<Code>,
    failure: Option<Failure>,
}

impl Account {
    /// Opens the account of a call that was admitted.
    pub(super) fn open(
        shared: &Arc<Shared>,
        deployment: Arc<Deployment>,
        permits: Permits,
        (call, recorded_as): (&Call, RecordedKind),
        log: LogBuffer,
    ) -> Box<Self> {
        let tracer = shared.observers.tracer.as_ref();
        let recording = tracer.and_then(|tracer| tracer.record(&call.trace));
        // Boxed, because it is large and goes through many hands.
        Box::new(Self {
            shared: Arc::clone(shared),
            deployment,
            id: call.id,
            refusal: Refusal {
                code: Arc::default(),
                log: log.clone(),
            },
            log,
            meter: Meter::default(),
            begun_at: recording.is_some().then(clock::now),
            recording,
            run_at: None,
            facts: Facts {
                kind: recorded_as,
                method: cut(&call.method, RECORD_TEXT_BYTES_MAX).to_owned(),
                target: call.target.clone(),
                client: call.peer,
                user_agent: user_agent(&call.fields),
                trace_id: call.trace.trace_id().into(),
            },
            begun: clock::monotonic(),
            request_bytes: 0,
            ended: None,
            kept: Vec::new(),
            _permits: permits,
        })
    }

    /// The request's body is here.
    pub(super) fn has_body(&mut self, bytes: usize) {
        self.request_bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// The deployment is about to be brought into memory.
    pub(super) fn begin_load(&self) -> Option<SystemTime> {
        self.recording.is_some().then(clock::now)
    }

    /// The deployment is in memory, or cannot be brought there.
    pub(super) fn end_load(&mut self, from: Option<SystemTime>, cold: Result<bool, &Error>) {
        if matches!(cold, Ok(true)) {
            self.shared.observers.metrics.cold_start();
        }
        if let (Some(recording), Some(from)) = (&self.recording, from) {
            let to = clock::now();
            let error = cold.err().map(|error| error.code.as_str());
            recording.load(Period { from, to }, error, cold.unwrap_or(false));
            self.run_at = cold.is_ok().then_some(to);
        }
    }

    /// It ended before the function ran.
    pub(super) fn refused(mut self: Box<Self>, code: Code) {
        self.ended = Some(Ended {
            code: Some(code),
            failure: None,
        });
    }

    /// The function's run is over.
    pub(super) async fn close(&mut self, finished: &Finished) {
        let code = code_of(finished);
        if let Some(code) = code {
            self.shared.failed.fetch_add(1, Ordering::Relaxed);
            self.log.push_final(&end_line(code, &finished.outcome));
        }
        if let Outcome::Crashed(cause) = &finished.outcome {
            // No function can ask for this: whoever runs the server has to know.
            tracing::error!(
                invocation = %self.id,
                tenant = %self.deployment.tenant,
                function = %self.deployment.function,
                cause,
                "a sandbox crashed"
            );
        }
        let (places, id) = (self.shared.images.places(), self.deployment.id);
        let unread = self
            .log
            .peek(|entries| places.unread(id, entries.iter().map(|entry| entry.message.as_str())));
        places.read(id, unread).await;
        tracing::debug!(
            invocation = %self.id,
            tenant = %self.deployment.tenant,
            function = %self.deployment.function,
            fuel = finished.fuel,
            memory_bytes = finished.usage.memory_bytes,
            host_calls = finished.usage.host_calls,
            outcome = finished.outcome.code().map_or("completed", Code::as_str),
            "invocation ended"
        );
        let failure = match &finished.outcome {
            Outcome::Threw(failure) => Some(failure.clone()),
            _ => None,
        };
        self.ended = Some(Ended { code, failure });
    }

    /// What was logged and is not taken yet, as it is stored: in terms of what the author wrote,
    /// and without secrets.
    pub(super) fn take_lines(&self) -> Vec<LogLine> {
        let redactor = self.shared.redactor(&self.deployment);
        self.lines(&redactor, &mut { PLACES_MAX })
    }

    /// Has lines that were taken stored with the record.
    pub(super) fn keep(&mut self, lines: Vec<LogLine>) {
        self.kept.extend(lines);
    }

    fn lines(&self, redactor: &Redactor, left: &mut usize) -> Vec<LogLine> {
        let entries = self.log.take();
        if entries.is_empty() {
            return Vec::new();
        }
        let invocation = self.id.to_string();
        let texts = self.texts(redactor);
        let lines = entries.into_iter().map(|entry| LogLine {
            timestamp_ms: entry.timestamp_ms,
            level: entry.level,
            message: texts.shown(entry.message, left),
            invocation: invocation.clone(),
            version: self.deployment.version,
        });
        lines.collect()
    }

    fn texts<'a>(&'a self, redactor: &'a Redactor) -> Texts<'a> {
        Texts {
            places: self.shared.images.places(),
            deployment: &self.deployment,
            redactor,
        }
    }

    fn record(
        &mut self,
        redactor: &Redactor,
        spent: &Spent,
        lines: usize,
        left: &mut usize,
    ) -> InvocationRecord {
        let ended = self.ended.take();
        let refused = self.refusal.code.get().copied();
        let code = ended.as_ref().and_then(|ended| ended.code);
        if code.is_none() && refused.is_some() {
            self.shared.failed.fetch_add(1, Ordering::Relaxed);
        }
        let code = code.or(refused);
        let outcome = match (&ended, code) {
            (_, Some(_)) => Ending::Error,
            (Some(_), None) => Ending::Success,
            (None, None) => Ending::Cancelled,
        };
        let error = ended.and_then(|ended| ended.failure);
        let error = error.map(|failure| self.texts(redactor).error(failure, left));
        let facts = &mut self.facts;
        let target = redactor.target(&facts.target);
        let target = target.unwrap_or_else(|| std::mem::take(&mut facts.target));
        InvocationRecord {
            id: self.id,
            version: self.deployment.version,
            deployment: self.deployment.id,
            kind: facts.kind,
            method: std::mem::take(&mut facts.method),
            target: cut_to(target, RECORD_TARGET_BYTES_MAX),
            status: spent.usage.status.filter(|_| refused.is_none()),
            outcome,
            code: code.map(|code| Cow::Borrowed(code.as_str())),
            error,
            duration_us: u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            cost: cost(spent, self.request_bytes),
            client: facts.client,
            user_agent: std::mem::take(&mut facts.user_agent),
            trace_id: facts.trace_id,
            lines: u32::try_from(lines.min(LOG_LINES_KEPT)).unwrap_or(u32::MAX),
        }
    }
}

impl Account {
    fn count(&self, record: &InvocationRecord, spent: &Spent) {
        let code = match &record.code {
            Some(Cow::Borrowed(code)) => Some(*code),
            _ => None,
        };
        let ended = metrics::Ended {
            tenant: self.deployment.tenant.as_str(),
            kind: record.kind.as_str(),
            ending: record.outcome.as_str(),
            code,
            seconds: Duration::from_micros(record.duration_us).as_secs_f64(),
            fuel: record.cost.fuel,
            kv_operations: record.cost.kv_operations,
        };
        let metrics = &self.shared.observers.metrics;
        metrics.ended(&ended, spent.usage.subrequest_outcomes.iter());
    }

    fn trace(&self, record: &InvocationRecord) {
        let (Some(recording), Some(begun_at)) = (&self.recording, self.begun_at) else {
            return;
        };
        let to = clock::now();
        let failed = record.status.filter(|status| *status >= 500);
        let failed = failed.map(|status| status.to_string());
        let is_cancelled = record.outcome == Ending::Cancelled;
        let cancelled = is_cancelled.then_some("cancelled");
        let error = record.code.as_deref().or(cancelled).or(failed.as_deref());
        if let Some(from) = self.run_at {
            let facts = vec![("ampoule.fuel", record.cost.fuel.to_string())];
            recording.invocation(Period { from, to }, error, facts);
        }
        let deployment = &self.deployment;
        let path = record.target.split('?').next().unwrap_or_default();
        let mut facts = vec![
            ("http.request.method", record.method.clone()),
            ("url.path", path.to_owned()),
            ("ampoule.tenant", deployment.tenant.to_string()),
            ("ampoule.function", deployment.function.to_string()),
            ("ampoule.version", deployment.version.to_string()),
            ("ampoule.invocation", self.id.to_string()),
        ];
        if let Some(status) = record.status {
            facts.push(("http.response.status_code", status.to_string()));
        }
        let name = format!("invoke {}", deployment.function);
        let period = Period { from: begun_at, to };
        recording.request(name, period, error, facts);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let redactor = self.shared.redactor(&self.deployment);
        let spent = self.meter.read();
        let mut left = PLACES_MAX;
        let mut lines = std::mem::take(&mut self.kept);
        lines.extend(self.lines(&redactor, &mut left));
        let record = self.record(&redactor, &spent, lines.len(), &mut left);
        self.count(&record, &spent);
        self.trace(&record);
        let (tenant, function) = (&self.deployment.tenant, &self.deployment.function);
        let logs = self.shared.store.logs();
        logs.append_invocation(tenant, function, lines, record);
    }
}

/// How texts of a function become texts of its log.
struct Texts<'a> {
    places: &'a Places,
    deployment: &'a Deployment,
    redactor: &'a Redactor,
}

impl Texts<'_> {
    /// With places in what the author wrote, and without secrets.
    fn shown(&self, text: String, left: &mut usize) -> String {
        let translated = self.places.translate(self.deployment.id, &text, left);
        let text = translated.unwrap_or(text);
        self.redactor.text(&text).unwrap_or(text)
    }

    fn error(&self, failure: Failure, left: &mut usize) -> RecordedError {
        let mut shown = |text| cut_to(self.shown(text, left), RECORD_ERROR_BYTES_MAX);
        RecordedError {
            name: shown(failure.name),
            message: shown(failure.message),
            stack: shown(failure.stack),
        }
    }
}

fn cost(spent: &Spent, request_bytes: u64) -> Cost {
    let usage: &Usage = &spent.usage;
    let above = usage.memory_bytes.saturating_sub(spent.image_bytes);
    Cost {
        fuel: spent.fuel,
        memory_bytes: u64::try_from(above).unwrap_or(u64::MAX),
        host_calls: usage.host_calls,
        subrequests: usage.subrequests.into(),
        kv_operations: usage.kv_operations,
        request_bytes,
        response_bytes: usage.response_bytes,
    }
}

/// The code that an invocation ended with: also for one that ended well and answered nothing.
fn code_of(finished: &Finished) -> Option<Code> {
    let unanswered = (!finished.answered).then_some(Code::FunctionThrew);
    finished.outcome.code().or(unanswered)
}

/// The `user-agent` among header fields, as far as a record keeps it; empty without one.
fn user_agent(fields: &[u8]) -> String {
    const NAME: &[u8] = b"user-agent: ";
    let mut lines = fields.split(|byte| *byte == b'\n');
    let Some(line) = lines.find(|line| line.starts_with(NAME)) else {
        return String::new();
    };
    let value = &line[NAME.len()..];
    let value = value[..value.len().min(RECORD_TEXT_BYTES_MAX)].trim_ascii_end();
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(value).into_owned(),
    }
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

fn cut_to(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

fn end_line(code: Code, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Threw(failure) => {
            let text = if failure.name.is_empty() {
                format!("Uncaught {}", failure.message)
            } else {
                format!("Uncaught {}: {}", failure.name, failure.message)
            };
            if failure.stack.is_empty() {
                text
            } else {
                format!("{text}\n{}", failure.stack)
            }
        }
        Outcome::Completed => format!("{code}: the function ended without a response"),
        Outcome::Crashed(cause) => format!("{code}: {cause}"),
        _ => format!("{code}: {}", code.title()),
    }
}
