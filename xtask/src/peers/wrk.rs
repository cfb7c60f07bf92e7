//! wrk, which drives the load: one thread, connections that are kept.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::Places;
use super::process::{Server, bound, pinned};
use crate::ci::now;
use crate::shell::Outcome;

/// How long an answer may take, in seconds.
const PATIENCE: u32 = 10;
/// How often the memory of a server under load is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1500);

/// One load.
pub(super) struct Load<'a> {
    /// Path of the server.
    pub(super) path: String,
    /// Whether requests are a POST of `order.json`.
    pub(super) is_post: bool,
    pub(super) connections: u32,
    pub(super) seconds: u32,
    /// Processors for wrk, as taskset has them.
    pub(super) processors: Option<&'a str>,
}

/// What wrk says of a load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    pub(super) requests: u64,
    pub(super) per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// Answers that are no success, and connections that failed or waited too long.
    pub(super) errors: u64,
}

/// Whether it can be run here.
///
/// # Errors
/// When it is not installed.
pub(crate) fn check() -> Outcome {
    // It has no flag that only tells its version and ends with 0.
    let asked = Command::new("wrk").arg("-v").output();
    let missing = "wrk is not installed; in Debian and Ubuntu: apt-get install wrk";
    asked.map(drop).map_err(|_| missing.to_owned())
}

impl Load<'_> {
    /// Runs the load; the figures, and the most memory that the server had meanwhile.
    ///
    /// # Errors
    /// When wrk does not run, or cannot be understood.
    pub(super) fn run(&self, server: &Server, places: &Places) -> Outcome<(Figures, u64)> {
        let failed = |error| format!("wrk: {error}");
        let mut child = self.command(server, places).spawn().map_err(failed)?;
        let deadline = now() + Duration::from_secs(u64::from(self.seconds + 2 * PATIENCE));
        let mut resident_kib = 0;
        let mut look_at = now() + LOOK_EVERY / 2;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                break status;
            }
            if now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                return Err("wrk did not end".to_owned());
            }
            // Seldom: the kernel goes through all that the server has mapped.
            if now() >= look_at {
                resident_kib = resident_kib.max(server.usage().resident_kib);
                look_at = now() + LOOK_EVERY;
            }
            thread::sleep(Duration::from_millis(50));
        };
        let mut text = String::new();
        let mut output = child.stdout.take().expect("it was asked for");
        output.read_to_string(&mut text).map_err(failed)?;
        let figures = status.success().then(|| Figures::of(&text)).flatten();
        let figures = figures.ok_or_else(|| format!("wrk ended with {status}:\n{text}"))?;
        Ok((figures, resident_kib))
    }

    fn command(&self, server: &Server, places: &Places) -> Command {
        let mut wrk = Command::new("wrk");
        wrk.args(["--threads", "1", "--latency"])
            .args(["--connections", &self.connections.to_string()])
            .args(["--duration", &format!("{}s", self.seconds)])
            .args(["--timeout", &format!("{PATIENCE}s")]);
        if self.is_post {
            wrk.arg("--script").arg(places.node().join("post.lua"));
        }
        wrk.arg(format!("{}{}", server.url, self.path));
        if self.is_post {
            wrk.arg("--").arg(places.node().join("order.json"));
        }
        if let Some(processors) = self.processors {
            wrk = pinned(&wrk, processors);
        }
        let mut wrk = bound(&wrk);
        wrk.stdin(Stdio::null()).stdout(Stdio::piped());
        wrk
    }
}

impl Figures {
    /// Reads what wrk prints with `--latency`.
    pub(super) fn of(text: &str) -> Option<Self> {
        let lines = || text.lines().map(str::trim);
        let after = |start: &str| {
            lines()
                .find_map(|line| line.strip_prefix(start))
                .map(str::trim)
        };
        let summary = lines().find(|line| line.contains(" requests in "))?;
        let failed = after("Non-2xx or 3xx responses:").map_or(Some(0), |n| n.parse().ok())?;
        let sockets = after("Socket errors:").unwrap_or_default().split(", ");
        let sockets = sockets.filter_map(|word| word.rsplit(' ').next()?.parse::<u64>().ok());
        Some(Self {
            requests: summary.split(' ').next()?.parse().ok()?,
            per_second: after("Requests/sec:")?.parse().ok()?,
            p50_us: micros(after("50%")?)?,
            p99_us: micros(after("99%")?)?,
            errors: failed + sockets.sum::<u64>(),
        })
    }
}

/// Microseconds of a time such as `90.00us`, `1.25ms`, `2.00s` or `1.50m`.
fn micros(text: &str) -> Option<f64> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
    let factor = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        _ => return None,
    };
    Some(number * factor)
}
