//! Spans on their way to a collector: OTLP over HTTP, in batches, from a bounded queue.
//!
//! Whoever makes a span never waits: what finds the queue full is dropped and counted. Without a
//! collector nothing of this exists, and no span is made.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Context, traceparent};
use crate::clock;
use crate::id::random_span;
use crate::limits::{SPANS_PER_INVOCATION_MAX, SPANS_QUEUE_LEN};

/// Most spans in one message to the collector.
const BATCH_LEN: usize = 512;
/// How long a span waits for others to be sent with.
const BATCH_DELAY: Duration = Duration::from_secs(1);
/// How long the last spans may take when the server stops.
const LAST_EXPORT: Duration = Duration::from_secs(2);

/// Where spans go, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceConfig {
    /// The collector's URL for traces, whole: `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: String,
    /// What the service is called.
    pub service: String,
    /// Which traces are recorded.
    pub sampler: Sampler,
}

/// Which traces are recorded; the names are those of `OTEL_TRACES_SAMPLER`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// A trace that the caller has decided on is recorded as the caller says.
    pub parent_based: bool,
    /// The share of the others, 0 to 1.
    pub ratio: f64,
}

impl Sampler {
    /// Reads `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
    ///
    /// # Errors
    /// With what is allowed.
    pub fn parse(name: &str, argument: Option<&str>) -> Result<Self, String> {
        let (parent_based, kind) = match name.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, name),
        };
        let ratio = match kind {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => argument.unwrap_or("1").parse::<f64>().unwrap_or(f64::NAN),
            _ => {
                return Err(format!(
                    "OTEL_TRACES_SAMPLER is {name:?}; it can be always_on, always_off or \
                     traceidratio, each also with parentbased_ in front"
                ));
            }
        };
        if !(0.0..=1.0).contains(&ratio) {
            return Err("OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1".to_owned());
        }
        Ok(Self {
            parent_based,
            ratio,
        })
    }

    /// Whether a trace is recorded: by chance that depends on the trace's id alone, so that every
    /// service decides alike.
    fn takes(&self, context: &Context) -> bool {
        if self.parent_based
            && let Some(sampled) = context.parent_sampled()
        {
            return sampled;
        }
        if self.ratio >= 1.0 {
            return true;
        }
        // The lower half of an id is chance, whoever made it.
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
        let chance = (context.trace_id() as u64) >> 1;
        #[expect(clippy::cast_precision_loss, reason = "a share of 2^63 is near enough")]
        let below = (chance as f64) < self.ratio * (1_u64 << 63) as f64;
        below
    }
}

/// Makes spans. Cheap to share.
#[derive(Debug)]
pub struct Tracer {
    queue: mpsc::Sender<SpanData>,
    sampler: Sampler,
    scope: InstrumentationScope,
    dropped: Arc<AtomicU64>,
}

/// The other end: sends what was queued until it is told to stop.
#[derive(Debug)]
pub struct Exports {
    queue: mpsc::Receiver<SpanData>,
    exporter: SpanExporter,
    dropped: Arc<AtomicU64>,
}

impl Tracer {
    /// A tracer, and the work of exporting what it makes, which the caller has to run.
    /// `OTEL_EXPORTER_OTLP_HEADERS` and `…_TIMEOUT` of the environment are heeded.
    ///
    /// # Errors
    /// When the endpoint is no URL, or the environment's values cannot be used.
    pub fn new(config: &TraceConfig) -> Result<(Arc<Self>, Exports), String> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(config.endpoint.clone())
            .build();
        let mut exporter =
            exporter.map_err(|error| format!("spans cannot be exported: {error}"))?;
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", config.service.clone()),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            .build();
        exporter.set_resource(&resource);
        let (sender, queue) = mpsc::channel(SPANS_QUEUE_LEN);
        let dropped = Arc::new(AtomicU64::new(0));
        let scope = InstrumentationScope::builder("ampoule")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let tracer = Self {
            queue: sender,
            sampler: config.sampler,
            scope,
            dropped: Arc::clone(&dropped),
        };
        let exports = Exports {
            queue,
            exporter,
            dropped,
        };
        Ok((Arc::new(tracer), exports))
    }

    /// Spans that were dropped: the queue was full, or the collector did not take them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Begins to record a trace's part, if it is one that is recorded.
    pub fn record(self: &Arc<Self>, context: &Context) -> Option<Recording> {
        self.sampler.takes(context).then(|| Recording {
            shared: Arc::new(Shared {
                tracer: Arc::clone(self),
                context: context.clone(),
                request: random_span(),
                invocation: random_span(),
                subrequests_left: AtomicU32::new(
                    u32::try_from(SPANS_PER_INVOCATION_MAX).unwrap_or(u32::MAX),
                ),
            }),
        })
    }

    fn push(&self, span: SpanData) {
        if self.queue.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Exports {
    /// Exports until `stop`, and then what is left, for a moment.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut works = true;
        loop {
            let mut batch = Vec::with_capacity(BATCH_LEN);
            tokio::select! {
                first = self.queue.recv() => match first {
                    Some(span) => batch.push(span),
                    None => return,
                },
                () = stop.cancelled() => break,
            }
            let until = Instant::now() + BATCH_DELAY;
            while batch.len() < BATCH_LEN {
                let next = stop.run_until_cancelled(timeout_at(until, self.queue.recv()));
                match next.await {
                    Some(Ok(Some(span))) => batch.push(span),
                    _ => break,
                }
            }
            works = self.send(batch, works).await;
        }
        self.queue.close();
        let rest = async {
            let mut batch = Vec::new();
            while self.queue.recv_many(&mut batch, BATCH_LEN).await > 0 {
                works = self.send(std::mem::take(&mut batch), works).await;
            }
        };
        // What cannot be sent now is lost: the server stops.
        let _ = timeout(LAST_EXPORT, rest).await;
    }

    /// Sends a batch; answers whether the collector took it. It is logged when that changes.
    async fn send(&self, batch: Vec<SpanData>, worked: bool) -> bool {
        let spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let sent = self.exporter.export(batch).await;
        if let Err(error) = &sent {
            self.dropped.fetch_add(spans, Ordering::Relaxed);
            if worked {
                tracing::warn!(%error, "the collector does not take spans");
            }
        } else if !worked {
            tracing::info!("the collector takes spans again");
        }
        sent.is_ok()
    }
}

/// The spans of one invocation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recording {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tracer: Arc<Tracer>,
    context: Context,
    request: u64,
    invocation: u64,
    subrequests_left: AtomicU32,
}

/// From when to when.
#[derive(Debug, Clone, Copy)]
pub struct Period {
    /// The beginning.
    pub from: SystemTime,
    /// The end.
    pub to: SystemTime,
}

/// What a span tells.
type Facts = Vec<(&'static str, String)>;

impl Recording {
    /// The request as a whole. `error`: the code that it ended with.
    pub fn request(&self, name: String, period: Period, error: Option<&str>, facts: Facts) {
        let shared = &self.shared;
        let parent = shared.context.parent();
        let span = shared.span(shared.request, parent, SpanKind::Server, name.into());
        shared.push(span, period, error, facts);
    }

    /// Bringing the deployment into memory.
    pub fn load(&self, period: Period, error: Option<&str>, cold: bool) {
        let shared = &self.shared;
        let name = "load".into();
        let id = random_span();
        let span = shared.span(id, Some(shared.request), SpanKind::Internal, name);
        let facts = vec![("ampoule.cold", cold.to_string())];
        shared.push(span, period, error, facts);
    }

    /// The function's run.
    pub fn invocation(&self, period: Period, error: Option<&str>, facts: Facts) {
        let shared = &self.shared;
        let (id, parent) = (shared.invocation, Some(shared.request));
        let span = shared.span(id, parent, SpanKind::Internal, "invocation".into());
        shared.push(span, period, error, facts);
    }

    /// A subrequest that begins now; `None` when there were as many as are recorded.
    fn subrequest(&self, method: &str, url: &str) -> Option<Subrequest> {
        let left = &self.shared.subrequests_left;
        let take = |left: u32| left.checked_sub(1);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .ok()?;
        Some(Subrequest {
            recording: self.clone(),
            id: random_span(),
            from: clock::now(),
            facts: address(method, url),
            error: Some("cancelled".to_owned()),
        })
    }
}

impl Shared {
    fn span(
        &self,
        id: u64,
        parent: Option<u64>,
        kind: SpanKind,
        name: Cow<'static, str>,
    ) -> SpanData {
        let context = SpanContext::new(
            TraceId::from(self.context.trace_id()),
            SpanId::from(id),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        );
        let now = SystemTime::UNIX_EPOCH;
        SpanData {
            span_context: context,
            parent_span_id: SpanId::from(parent.unwrap_or(0)),
            parent_span_is_remote: kind == SpanKind::Server && parent.is_some(),
            span_kind: kind,
            name,
            start_time: now,
            end_time: now,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.tracer.scope.clone(),
        }
    }

    fn push(&self, mut span: SpanData, period: Period, error: Option<&str>, facts: Facts) {
        span.start_time = period.from;
        span.end_time = period.to;
        let facts = facts.into_iter();
        span.attributes = facts
            .map(|(name, value)| KeyValue::new(name, value))
            .collect();
        if let Some(code) = error {
            span.attributes
                .push(KeyValue::new("error.type", code.to_owned()));
            span.status = Status::error(code.to_owned());
        }
        self.tracer.push(span);
    }
}

/// A subrequest's span: ends when it is dropped, as cancelled unless something else was said.
#[derive(Debug)]
pub struct Subrequest {
    recording: Recording,
    id: u64,
    from: SystemTime,
    facts: Facts,
    error: Option<String>,
}

impl Subrequest {
    /// It was answered with this status.
    pub fn answered(mut self, status: u16) {
        self.facts
            .push(("http.response.status_code", status.to_string()));
        self.error = (status >= 400).then(|| status.to_string());
    }

    /// It failed with this code.
    pub fn failed(mut self, code: &str) {
        self.error = Some(code.to_owned());
    }
}

impl Drop for Subrequest {
    fn drop(&mut self) {
        let shared = &self.recording.shared;
        let (kind, parent) = (SpanKind::Client, Some(shared.invocation));
        let span = shared.span(self.id, parent, kind, "subrequest".into());
        let period = Period {
            from: self.from,
            to: clock::now(),
        };
        let facts = std::mem::take(&mut self.facts);
        shared.push(span, period, self.error.as_deref(), facts);
    }
}

/// Method and server of a subrequest. Path and query are left out: they may hold secrets.
fn address(method: &str, url: &str) -> Facts {
    let mut facts = vec![("http.request.method", method.to_owned())];
    if let Ok(url) = url::Url::parse(url) {
        facts.push(("url.scheme", url.scheme().to_owned()));
        if let Some(host) = url.host_str() {
            facts.push(("server.address", host.to_owned()));
        }
        if let Some(port) = url.port_or_known_default() {
            facts.push(("server.port", port.to_string()));
        }
    }
    facts
}

/// What an invocation's subrequests carry on of its trace.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    recording: Option<Recording>,
    context: Option<Context>,
}

impl Carried {
    /// Of an invocation in this trace, recorded or not. What is not recorded and has no caller
    /// carries nothing on.
    pub fn new(context: Context, recording: Option<Recording>) -> Self {
        let has_something = recording.is_some() || context.parent().is_some();
        Self {
            recording,
            context: has_something.then_some(context),
        }
    }

    /// Adds the trace to a subrequest's headers, unless the function has put one there itself.
    /// Answers the subrequest's span, if it is recorded.
    pub fn subrequest(
        &self,
        method: &str,
        url: &str,
        headers: &mut Vec<(String, Vec<u8>)>,
    ) -> Option<Subrequest> {
        let context = self.context.as_ref()?;
        let recording = self.recording.as_ref();
        let span = recording.and_then(|recording| recording.subrequest(method, url));
        let is_set = |name: &str| {
            headers
                .iter()
                .any(|(set, _)| set.eq_ignore_ascii_case(name))
        };
        if is_set("traceparent") {
            return span;
        }
        let parent = match (&span, recording) {
            (Some(span), _) => Some(traceparent(context.trace_id(), span.id, true)),
            (None, Some(recording)) => {
                let invocation = recording.shared.invocation;
                Some(traceparent(context.trace_id(), invocation, true))
            }
            (None, None) => context.passed_on(),
        };
        if let Some(parent) = parent {
            let state = context.state().filter(|_| !is_set("tracestate"));
            let state = state.map(|state| ("tracestate".to_owned(), state.into()));
            headers.push(("traceparent".to_owned(), parent.into_bytes()));
            headers.extend(state);
        }
        span
    }
}

#[cfg(test)]
mod tests;
