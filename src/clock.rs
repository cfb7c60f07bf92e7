//! Time, in one place: everything else is handed a time or asks here.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Unix time in milliseconds.
#[expect(clippy::disallowed_methods, reason = "the home of the system clock")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "the home of the system clock")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// A point in monotonic time, to measure from.
#[expect(clippy::disallowed_methods, reason = "the home of the monotonic clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Milliseconds since this process first asked.
pub fn uptime_ms() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(monotonic);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}
