//! Metrics in Prometheus' text form (OpenMetrics).
//!
//! What happens is counted where it happens, in memory, without a lock that anyone waits for. What
//! only is, such as a queue's length, is read when somebody asks. Every label has a fixed set of
//! values; tenants are named only if the operator wants it, and only the first so many.
//!
//! A leaf: it is told numbers and words.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, RwLock};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The media type of what [`Metrics::text`] answers.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the durations of invocations, in seconds: from a hello to the longest limit.
const INVOCATION_SECONDS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0,
];
/// Upper ends of the durations of commits, in seconds.
const COMMIT_SECONDS: [f64; 11] = [
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
];
/// The tenant of those beyond the ones that are named.
const OTHER: &str = "other";

/// How long something takes, again and again. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub struct Durations(Histogram);

impl Durations {
    /// Of commits of the store.
    pub fn of_commits() -> Self {
        Self(Histogram::new(COMMIT_SECONDS))
    }

    /// Notes that it took so many seconds.
    pub fn note(&self, seconds: f64) {
        self.0.observe(seconds);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCode {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSubrequest {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTenant {
    tenant: String,
    ending: &'static str,
}

/// One invocation that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// Whose function.
    pub tenant: &'a str,
    /// What it was for.
    pub kind: &'static str,
    /// How it ended: `success`, `error` or `cancelled`.
    pub ending: &'static str,
    /// The error code, if it ended with one.
    pub code: Option<&'static str>,
    /// From admission to the end.
    pub seconds: f64,
    /// WebAssembly instructions.
    pub fuel: u64,
    /// Commands to kv.
    pub kv_operations: u64,
}

/// What is at this moment, and totals that are kept elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Now {
    /// Deployments in memory.
    pub images: u64,
    /// Invocations that run.
    pub running: u64,
    /// Writes that wait for their commit.
    pub writes_waiting: u64,
    /// Log lines and records that wait to be stored.
    pub lines_waiting: u64,
    /// Log lines and records that were dropped.
    pub lines_dropped: u64,
    /// Live tails that are open.
    pub tails: u64,
    /// Spans that were dropped.
    pub spans_dropped: u64,
}

/// All metrics of a server.
pub struct Metrics {
    registry: Registry,
    invocations: Family<OfOutcome, Counter>,
    seconds: Family<OfKind, Histogram, fn() -> Histogram>,
    fuel: Family<OfKind, Counter>,
    refused: Family<OfCode, Counter>,
    cold_starts: Counter,
    kv_operations: Counter,
    subrequests: Family<OfSubrequest, Counter>,
    tenants: Family<OfTenant, Counter>,
    named: Named,
    gauges: Gauges,
    /// What was counted before, by kind and ending.
    known: RwLock<Vec<((&'static str, &'static str), Counted)>>,
}

/// What an invocation is counted in.
struct Counted {
    invocations: Counter,
    seconds: Histogram,
    fuel: Counter,
}

#[derive(Default)]
struct Gauges {
    images: Gauge,
    running: Gauge,
    writes_waiting: Gauge,
    lines_waiting: Gauge,
    lines_dropped: Counter,
    tails: Gauge,
    spans_dropped: Counter,
    resident_bytes: Gauge,
    cpu_seconds: Counter<f64, std::sync::atomic::AtomicU64>,
    open_files: Gauge,
}

/// The tenants that are named.
struct Named {
    max: usize,
    names: RwLock<HashSet<String>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn invocation_seconds() -> Histogram {
    Histogram::new(INVOCATION_SECONDS)
}

impl Metrics {
    /// Metrics that name the first `tenants_max` tenants that they see, none for 0.
    pub fn new(commits: &Durations, tenants_max: usize) -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            invocations: Family::default(),
            seconds: Family::new_with_constructor(invocation_seconds),
            fuel: Family::default(),
            refused: Family::default(),
            cold_starts: Counter::default(),
            kv_operations: Counter::default(),
            subrequests: Family::default(),
            tenants: Family::default(),
            named: Named {
                max: tenants_max,
                names: RwLock::default(),
            },
            gauges: Gauges::default(),
            known: RwLock::default(),
        };
        metrics.register_events(commits);
        metrics.register_gauges();
        metrics
    }

    fn register_events(&mut self, commits: &Durations) {
        let ours = self.registry.sub_registry_with_prefix("ampoule");
        ours.register(
            "invocations",
            "Invocations that ended, by kind and outcome: success, cancelled or the error code",
            self.invocations.clone(),
        );
        ours.register_with_unit(
            "invocation_duration",
            "From admission to the end",
            Unit::Seconds,
            self.seconds.clone(),
        );
        ours.register(
            "fuel",
            "WebAssembly instructions that invocations used",
            self.fuel.clone(),
        );
        ours.register(
            "refused",
            "Requests that were not admitted, by error code",
            self.refused.clone(),
        );
        ours.register(
            "cold_starts",
            "Invocations that were the first of a deployment since it came into memory",
            self.cold_starts.clone(),
        );
        ours.register(
            "kv_operations",
            "Commands of functions to kv",
            self.kv_operations.clone(),
        );
        ours.register(
            "subrequests",
            "Requests and WebSockets of functions to the outside that ended, by outcome",
            self.subrequests.clone(),
        );
        ours.register_with_unit(
            "store_commit_duration",
            "Transactions of the store, from begin to durable",
            Unit::Seconds,
            commits.0.clone(),
        );
        if self.named.max > 0 {
            ours.register(
                "tenant_invocations",
                "Invocations that ended, by tenant and ending; tenants beyond the first are other",
                self.tenants.clone(),
            );
        }
    }

    fn register_gauges(&mut self) {
        let gauges = &self.gauges;
        let ours = self.registry.sub_registry_with_prefix("ampoule");
        for (name, help, gauge) in [
            ("images", "Deployments in memory", &gauges.images),
            (
                "sandboxes_in_use",
                "Invocations that run now",
                &gauges.running,
            ),
            (
                "store_writes_waiting",
                "Writes that wait for their commit",
                &gauges.writes_waiting,
            ),
            (
                "log_waiting",
                "Log lines and records of invocations that wait to be stored",
                &gauges.lines_waiting,
            ),
            ("log_tails", "Live tails that are open", &gauges.tails),
        ] {
            ours.register(name, help, gauge.clone());
        }
        ours.register(
            "log_dropped",
            "Log lines and records of invocations that were dropped",
            gauges.lines_dropped.clone(),
        );
        ours.register(
            "spans_dropped",
            "Spans that were dropped instead of exported",
            gauges.spans_dropped.clone(),
        );
        let process = self.registry.sub_registry_with_prefix("process");
        process.register_with_unit(
            "resident_memory",
            "Memory of the process",
            Unit::Bytes,
            gauges.resident_bytes.clone(),
        );
        process.register_with_unit(
            "cpu",
            "CPU time of the process",
            Unit::Seconds,
            gauges.cpu_seconds.clone(),
        );
        process.register(
            "open_fds",
            "Open file descriptors",
            gauges.open_files.clone(),
        );
    }

    /// Notes an invocation that has ended, with its subrequests that have, by outcome.
    pub fn ended(&self, ended: &Ended<'_>, subrequests: impl Iterator<Item = (&'static str, u32)>) {
        let note = |counted: &Counted| {
            counted.invocations.inc();
            counted.seconds.observe(ended.seconds);
            counted.fuel.inc_by(ended.fuel);
        };
        match ended.code {
            Some(code) => note(&self.counted(ended.kind, code)),
            None => self.with_known(ended, note),
        }
        if ended.kv_operations > 0 {
            self.kv_operations.inc_by(ended.kv_operations);
        }
        for (outcome, count) in subrequests {
            let of_subrequest = OfSubrequest { outcome };
            let counter = self.subrequests.get_or_create(&of_subrequest);
            counter.inc_by(u64::from(count));
        }
        if self.named.max > 0 {
            let of_tenant = OfTenant {
                tenant: self.named.name(ended.tenant),
                ending: ended.ending,
            };
            self.tenants.get_or_create(&of_tenant).inc();
        }
    }

    /// Calls `note` with what invocations of this kind and ending are counted in. Those without a
    /// code are nearly all of them, of a handful of kinds: they are not looked up by their labels.
    fn with_known(&self, ended: &Ended<'_>, note: impl Fn(&Counted)) {
        let of = (ended.kind, ended.ending);
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, counted)) = known.iter().find(|(one, _)| *one == of) {
                return note(counted);
            }
        }
        let counted = self.counted(ended.kind, ended.ending);
        note(&counted);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|(one, _)| *one == of) {
            known.push((of, counted));
        }
    }

    fn counted(&self, kind: &'static str, outcome: &'static str) -> Counted {
        let of_outcome = OfOutcome { kind, outcome };
        Counted {
            invocations: self.invocations.get_or_create(&of_outcome).clone(),
            seconds: self.seconds.get_or_create(&OfKind { kind }).clone(),
            fuel: self.fuel.get_or_create(&OfKind { kind }).clone(),
        }
    }

    /// Notes a request that was not admitted.
    pub fn refused(&self, code: &'static str) {
        self.refused.get_or_create(&OfCode { code }).inc();
    }

    /// Notes that an invocation is the first of its deployment since it came into memory.
    pub fn cold_start(&self) {
        self.cold_starts.inc();
    }

    /// All of it as text. Reads what the kernel says about the process, so it may block a little.
    pub fn text(&self, now: &Now) -> String {
        let gauges = &self.gauges;
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&gauges.images, now.images);
        set(&gauges.running, now.running);
        set(&gauges.writes_waiting, now.writes_waiting);
        set(&gauges.lines_waiting, now.lines_waiting);
        set(&gauges.tails, now.tails);
        let total = |counter: &Counter, value| counter.inner().store(value, Ordering::Relaxed);
        total(&gauges.lines_dropped, now.lines_dropped);
        total(&gauges.spans_dropped, now.spans_dropped);
        let process = Process::read();
        set(&gauges.resident_bytes, process.resident_bytes);
        set(&gauges.open_files, process.open_files);
        let cpu = gauges.cpu_seconds.inner();
        cpu.store(process.cpu_seconds.to_bits(), Ordering::Relaxed);
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Named {
    /// The name under which a tenant is counted.
    fn name(&self, tenant: &str) -> String {
        let is_full = {
            let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
            if names.contains(tenant) {
                return tenant.to_owned();
            }
            names.len() >= self.max
        };
        if is_full {
            return OTHER.to_owned();
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() < self.max || names.contains(tenant) {
            names.insert(tenant.to_owned());
            return tenant.to_owned();
        }
        OTHER.to_owned()
    }
}

/// What the kernel says about this process.
#[derive(Debug, Default)]
struct Process {
    resident_bytes: u64,
    cpu_seconds: f64,
    open_files: u64,
}

impl Process {
    /// Reads `/proc/self`; what cannot be read is 0.
    fn read() -> Self {
        let text =
            |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self {
            resident_bytes: resident_bytes(&text("status")),
            cpu_seconds: cpu_seconds(&text("stat")),
            open_files: u64::try_from(files).unwrap_or(u64::MAX),
        }
    }
}

/// `VmRSS:     1234 kB` of `/proc/self/status`.
fn resident_bytes(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    let kib: u64 = number.and_then(|number| number.parse().ok()).unwrap_or(0);
    kib.saturating_mul(1024)
}

/// `utime` and `stime` of `/proc/self/stat`, the 14th and 15th field: proc(5). The second field is
/// the program's name in parentheses and may hold anything.
fn cpu_seconds(stat: &str) -> f64 {
    /// Clock ticks in a second as the kernel tells them to programs, on every Linux.
    const TICKS: f64 = 100.0;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / TICKS
}

#[cfg(test)]
mod tests;
