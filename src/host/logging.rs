//! Interface `logging`: what a function writes to its log, within its limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::State;
use super::bindings::ampoule::host::logging;
use crate::clock;
use crate::limits::LOG_LINE_BYTES_MAX;
use crate::store::Level;

/// Most entries of one invocation, so that empty ones have a bound as well.
const ENTRIES_MAX: usize = 10_000;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Unix time in milliseconds.
    pub timestamp_ms: u64,
    /// How grave it is.
    pub level: Level,
    /// What it says, at most [`LOG_LINE_BYTES_MAX`] bytes.
    pub message: String,
}

/// The entries of one invocation, until the dispatcher takes them.
///
/// Shared with the dispatcher, so that nothing is lost when a sandbox is dropped half-way.
#[derive(Debug, Clone)]
pub struct LogBuffer {
    shared: Arc<Mutex<Entries>>,
}

#[derive(Debug)]
struct Entries {
    entries: Vec<LogEntry>,
    count: usize,
    bytes_left: u64,
    bytes_max: u64,
    exceeded: bool,
}

impl LogBuffer {
    /// An empty buffer for at most `bytes_max` bytes of text.
    pub fn new(bytes_max: u64) -> Self {
        let entries = Entries {
            entries: Vec::new(),
            count: 0,
            bytes_left: bytes_max,
            bytes_max,
            exceeded: false,
        };
        Self {
            shared: Arc::new(Mutex::new(entries)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An entry of our own, whatever the limit: how the invocation ended.
    pub fn push_final(&self, message: &str) {
        self.lock().add(Level::Error, cut(message).to_owned());
    }

    /// An entry of the host's about what the function does; it counts as the function's own.
    pub(super) fn note(&self, level: Level, message: &str) {
        self.lock().push(level, message);
    }

    /// What was logged so far and is not taken, added up by `see`.
    pub fn peek<T>(&self, see: impl FnOnce(&[LogEntry]) -> T) -> T {
        see(&self.lock().entries)
    }

    /// What was logged since the last time this was asked.
    pub fn take(&self) -> Vec<LogEntry> {
        std::mem::take(&mut self.lock().entries)
    }
}

impl Entries {
    fn push(&mut self, level: Level, message: &str) {
        if self.exceeded {
            return;
        }
        let message = cut(message);
        let bytes = message.len() as u64;
        if bytes > self.bytes_left || self.count >= ENTRIES_MAX {
            self.exceeded = true;
            let message = format!(
                "log_exceeded: more than {} bytes or {ENTRIES_MAX} entries in one invocation; \
                 the rest is dropped",
                self.bytes_max
            );
            self.add(Level::Warn, message);
            return;
        }
        self.bytes_left -= bytes;
        self.add(level, message.to_owned());
    }

    fn add(&mut self, level: Level, message: String) {
        self.count += 1;
        self.entries.push(LogEntry {
            timestamp_ms: clock::now_ms(),
            level,
            message,
        });
    }
}

fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(LOG_LINE_BYTES_MAX)]
}

impl logging::Host for State {
    fn log(&mut self, level: logging::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            logging::Level::Trace => Level::Trace,
            logging::Level::Debug => Level::Debug,
            logging::Level::Info => Level::Info,
            logging::Level::Warn => Level::Warn,
            logging::Level::Error => Level::Error,
        };
        self.count_host_call();
        self.log.lock().push(level, &message);
        Ok(())
    }
}
