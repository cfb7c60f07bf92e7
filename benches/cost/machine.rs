//! What the figures were measured on, and what the kernel counts for us.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use perf_event::events::Hardware;
use perf_event::{Builder, Counter};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use super::sandbox::Host;

/// Versions of what is compared.
const LOCK: &str = include_str!("../../Cargo.lock");
const GUEST_LOCK: &str = include_str!("../../guest/Cargo.lock");

/// How long a thread rests that watches memory.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Memory that a process holds, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Resident set, without what is shared with the images below.
    pub(crate) resident: f64,
    /// Pages of the images that sandboxes are mapped from.
    pub(crate) images: f64,
    /// Open files.
    pub(crate) open_files: f64,
}

impl Memory {
    /// As of now.
    pub(crate) fn now() -> Result<Self> {
        let mut memory = Self {
            resident: status_bytes("RssAnon")? + status_bytes("RssFile")?,
            images: 0.0,
            open_files: 0.0,
        };
        for entry in fs::read_dir("/proc/self/fd")? {
            let path = entry?.path();
            memory.open_files += 1.0;
            let is_image = |target: &Path| target.to_string_lossy().starts_with("/memfd:");
            if fs::read_link(&path).is_ok_and(|target| is_image(&target)) {
                memory.images += fs::metadata(&path)?.blocks() as f64 * 512.0;
            }
        }
        Ok(memory)
    }

    /// What has come since.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            resident: self.resident - before.resident,
            images: self.images - before.images,
            open_files: self.open_files - before.open_files,
        }
    }

    /// The share of each of `count`.
    pub(crate) fn per(&self, count: usize) -> Self {
        let count = count as f64;
        Self {
            resident: self.resident / count,
            images: self.images / count,
            open_files: self.open_files / count,
        }
    }
}

/// A line of `/proc/self/status` that says so many kB, in bytes.
pub(crate) fn status_bytes(name: &str) -> Result<f64> {
    bytes_in("/proc/self/status", name)
}

fn bytes_in(path: &str, name: &str) -> Result<f64> {
    let lines = fs::read_to_string(path)?;
    let line = lines.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    let value = value.with_context(|| format!("{path} has no {name}"))?;
    Ok(value.parse::<f64>()? * 1024.0)
}

/// All resident memory of this process, in bytes: also what it shares with itself, such as the
/// images that sandboxes are mapped from.
pub(crate) fn resident_bytes() -> Result<f64> {
    status_bytes("VmRSS")
}

/// Watches how high resident memory rises.
pub(crate) struct PeakMemory {
    before: f64,
}

impl PeakMemory {
    /// From now on (proc(5), `clear_refs`).
    pub(crate) fn begin() -> Result<Self> {
        fs::write("/proc/self/clear_refs", "5")?;
        Ok(Self {
            before: resident_bytes()?,
        })
    }

    /// By how much it was higher at its highest than at the beginning, in bytes.
    pub(crate) fn grown_bytes(&self) -> Result<f64> {
        Ok((status_bytes("VmHWM")? - self.before).max(0.0))
    }
}

/// Watches how high memory rises that counts each page once, however many sandboxes it is mapped in:
/// the kernel keeps no mark of that, so a thread looks at it again and again.
pub(crate) struct PeakShare {
    before: f64,
    is_over: Arc<AtomicBool>,
    watching: JoinHandle<Result<f64>>,
}

impl PeakShare {
    /// From now on.
    pub(crate) fn begin() -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        Ok(Self {
            before: share_bytes()?,
            is_over,
            watching: thread::spawn(move || {
                let mut most: f64 = 0.0;
                while !over.load(Ordering::Relaxed) {
                    most = most.max(share_bytes()?);
                    thread::sleep(LOOK_EVERY);
                }
                Ok(most)
            }),
        })
    }

    /// By how much it was higher when it was highest than at the beginning, in bytes.
    pub(crate) fn grown_bytes(self) -> Result<f64> {
        self.is_over.store(true, Ordering::Relaxed);
        let most = self.watching.join();
        let most = most.map_err(|_| anyhow!("the thread that watches memory panicked"))??;
        Ok((most - self.before).max(0.0))
    }
}

/// Resident memory of this process where each page counts once, in bytes (proc(5), `smaps_rollup`).
fn share_bytes() -> Result<f64> {
    bytes_in("/proc/self/smaps_rollup", "Pss")
}

/// Minor page faults of this thread since it began (proc(5), `minflt`).
pub(crate) fn page_faults() -> Result<u64> {
    let stat = fs::read_to_string("/proc/thread-self/stat")?;
    // The name in parentheses may hold blanks; what follows it does not.
    let (_, fields) = stat
        .rsplit_once(')')
        .context("/proc/thread-self/stat has no name")?;
    let faults = fields.split_whitespace().nth(7);
    Ok(faults.context("/proc/thread-self/stat is short")?.parse()?)
}

/// Counts the instructions that this thread executes in user space, where the processor counts.
pub(crate) struct Instructions(Option<Counter>);

impl Instructions {
    /// From now on; many virtual machines have no such counter.
    pub(crate) fn begin() -> Self {
        let counter = Builder::new().kind(Hardware::INSTRUCTIONS).build();
        let counter = counter.and_then(|mut counter| counter.enable().map(|()| counter));
        Self(counter.ok())
    }

    /// How many there were so far.
    pub(crate) fn read(&mut self) -> Option<u64> {
        self.0.as_mut()?.read().ok()
    }
}

/// Every image keeps a file open: takes as many as the system lets us.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // If it is refused, deploying says what is missing.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}

/// The facts, by name.
pub(crate) fn facts(host: &Host) -> Value {
    let reset = host.engine.reset();
    json!({
        "kernel": first_line("/proc/sys/kernel/osrelease"),
        "cpu": cpu(),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "pagemap_scan": reset.pagemap_scan,
        "pagemap_scan_reason": reset.reason,
        "transparent_hugepages": first_line("/sys/kernel/mm/transparent_hugepage/enabled"),
        "wasmtime": version(LOCK, "wasmtime"),
        "native_quickjs": format!("rquickjs-sys {}", version(LOCK, "rquickjs-sys")),
        "guest_quickjs": format!("rquickjs-sys {}", version(GUEST_LOCK, "rquickjs-sys")),
    })
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':'));
    name.map_or("unknown", |(_, name)| name.trim()).to_owned()
}

/// The version of a package in a `Cargo.lock`.
fn version<'a>(lock: &'a str, package: &str) -> &'a str {
    let entry = lock.split_once(&format!("name = \"{package}\"\nversion = \""));
    entry
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("unknown", |(version, _)| version)
}
