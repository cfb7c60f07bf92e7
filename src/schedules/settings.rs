//! What an owner may write into a schedule.

use super::timetable::Timetable;
use crate::error::{Code, Error};
use crate::limits;
use crate::store::{Missed, ScheduleSettings};

/// The time zone of a schedule that names none.
pub const DEFAULT_ZONE: &str = "UTC";

/// Checks all of a schedule, and answers when it is due.
///
/// # Errors
/// `schedule_invalid`, with what is wrong.
pub fn check(settings: &ScheduleSettings) -> Result<Timetable, Error> {
    check_path(&settings.path)?;
    let payload_bytes = settings.payload.as_ref().map_or(0, String::len);
    if payload_bytes > limits::SCHEDULE_PAYLOAD_BYTES_MAX {
        let max = limits::SCHEDULE_PAYLOAD_BYTES_MAX;
        return invalid(format!(
            "payload may have {max} bytes of JSON, not {payload_bytes}"
        ));
    }
    if let Missed::RunOnce { late_ms_max } = settings.missed {
        check_range(
            "missed.late_ms_max",
            late_ms_max,
            1,
            limits::SCHEDULE_LATE_MS_MAX,
        )?;
    }
    let retries = settings.retries;
    let retries_max = u64::from(limits::SCHEDULE_RETRIES_MAX);
    check_range("retries.max", retries.max.into(), 0, retries_max)?;
    let pause_max = limits::SCHEDULE_RETRY_MS_MAX;
    check_range("retries.max_ms", retries.max_ms, 1, pause_max)?;
    check_range("retries.initial_ms", retries.initial_ms, 1, retries.max_ms)?;
    timetable(&settings.cron, &settings.time_zone)
}

/// Reads a timetable.
///
/// # Errors
/// `schedule_invalid`, with what is wrong.
pub(super) fn timetable(cron: &str, time_zone: &str) -> Result<Timetable, Error> {
    Timetable::parse(cron, time_zone).or_else(|error| invalid(error.to_string()))
}

fn check_path(path: &str) -> Result<(), Error> {
    let max = limits::SCHEDULE_PATH_BYTES_MAX;
    let is_fine = path.starts_with('/')
        && path.len() <= max
        && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if is_fine {
        return Ok(());
    }
    invalid(format!(
        "path must start with / and have at most {max} printable ASCII characters, without blanks \
         and #"
    ))
}

fn check_range(what: &str, value: u64, min: u64, max: u64) -> Result<(), Error> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    invalid(format!("{what} must be {min} to {max}, not {value}"))
}

fn invalid<T>(detail: String) -> Result<T, Error> {
    Err(Error::new(Code::ScheduleInvalid, detail))
}
