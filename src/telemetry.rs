//! The server's own log: structured events on stderr. Functions' logs are kept elsewhere.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line for people.
    Text,
    /// A JSON document a line.
    Json,
}

/// Writes events to stderr from here on, panics among them; `RUST_LOG` filters them, else
/// `level` and above.
///
/// # Errors
/// When the process has a log already.
pub fn init(format: Format, level: &str) -> Result<(), TryInitError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = SubscriberBuilder::default()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        Format::Text => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let ansi = std::io::stderr().is_terminal() && !refused;
            builder.with_ansi(ansi).finish().try_init()?;
        }
        Format::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

thread_local! {
    /// Whether this thread is inside of [`expecting_panics`].
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` for a caller who turns its panics into an error that says what they mean: by
/// themselves they are no event that an operator has to see.
pub fn expecting_panics<T>(work: impl FnOnce() -> T) -> T {
    /// Also puts it back when `work` panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            EXPECTED.set(self.0);
        }
    }
    let _restore = Restore(EXPECTED.replace(true));
    work()
}

/// A panic is an event like others. What it means for a request is told where it is caught.
fn log_panic(panic: &PanicHookInfo<'_>) {
    if EXPECTED.get() {
        tracing::debug!("{panic}");
        return;
    }
    let backtrace = Backtrace::capture();
    let is_captured = backtrace.status() == BacktraceStatus::Captured;
    let backtrace = is_captured.then(|| tracing::field::display(&backtrace));
    let thread = std::thread::current();
    tracing::error!(thread = thread.name(), backtrace, "{panic}");
}
