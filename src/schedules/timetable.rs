//! When a schedule is due: a cron pattern on the wall clock of a time zone.
//!
//! Five fields (minute, hour, day, month, weekday) or six, with the second first. What happens
//! when clocks are put forward or back is said in `docs/schedules.md` and tested beside this.

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};

use crate::limits;

/// How far back the latest of the ticks that are due is looked for, in steps, in milliseconds:
/// frequent ones are found in the first, without counting through all that lie before.
const LOOK_BACK_MS: &[u64] = &[
    2 * 60_000,
    60 * 60_000,
    26 * 3_600_000,
    limits::SCHEDULE_LATE_MS_MAX,
];

/// Why there is no such timetable; the text may be shown and says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimetableError {
    /// The pattern is none.
    #[error("cron: {0}")]
    Cron(String),
    /// Nothing is known of the time zone.
    #[error(
        "time_zone: there is no {0:?}; give a name of the IANA database, such as Europe/Berlin \
         or UTC"
    )]
    TimeZone(String),
}

/// The ticks of a cron pattern in a time zone. A tick is a whole second, in Unix milliseconds.
#[derive(Debug, Clone)]
pub struct Timetable {
    cron: Cron,
    zone: Tz,
}

impl Timetable {
    /// Reads a pattern of five or six fields and the name of a time zone.
    ///
    /// Takes up to some milliseconds: a pattern that is never due is searched through.
    ///
    /// # Errors
    /// [`TimetableError`], also for a pattern that is never due.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, TimetableError> {
        let zone: Tz = zone
            .parse()
            .map_err(|_| TimetableError::TimeZone(zone.chars().take(64).collect()))?;
        let cron = parse_cron(cron)?;
        let timetable = Self { cron, zone };
        // The dates of leap years and weekdays repeat after at most 28 years, in this era.
        if timetable.next_after(0).is_none() {
            let text = "no date matches this pattern".to_owned();
            return Err(TimetableError::Cron(text));
        }
        Ok(timetable)
    }

    /// The first tick after `after_ms`; `None` if there is none any more.
    pub fn next_after(&self, after_ms: u64) -> Option<u64> {
        let second = i64::try_from(after_ms / 1000).ok()?;
        let after = self.zone.timestamp_opt(second, 0).single()?;
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        let next_ms = u64::try_from(next.timestamp()).ok()?.checked_mul(1000)?;
        // Whatever the search does: time does not stand still here.
        (next_ms > after_ms).then_some(next_ms)
    }

    /// The latest tick that is after `after_ms`, not after `now_ms`, and at most
    /// [`limits::SCHEDULE_LATE_MS_MAX`] before it.
    pub fn latest(&self, after_ms: u64, now_ms: u64) -> Option<u64> {
        LOOK_BACK_MS.iter().find_map(|&back_ms| {
            let from_ms = after_ms.max(now_ms.saturating_sub(back_ms));
            self.ticks_after(from_ms)
                .take_while(|&tick_ms| tick_ms <= now_ms)
                .last()
        })
    }

    /// How many ticks lie between two times, both excluded; counts up to `max`.
    pub fn count_between(&self, after_ms: u64, before_ms: u64, max: usize) -> usize {
        self.ticks_after(after_ms)
            .take_while(|&tick_ms| tick_ms < before_ms)
            .take(max)
            .count()
    }

    /// The ticks after `after_ms`, one after the other.
    pub fn ticks_after(&self, after_ms: u64) -> impl Iterator<Item = u64> {
        std::iter::successors(self.next_after(after_ms), |&tick_ms| {
            self.next_after(tick_ms)
        })
    }

    /// A time as the clocks of the time zone show it: RFC 3339, with the offset from UTC.
    pub fn local(&self, unix_ms: u64) -> String {
        let second = i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX);
        let time = DateTime::<Utc>::from_timestamp(second, 0).unwrap_or_default();
        let local = time.with_timezone(&self.zone);
        local.to_rfc3339_opts(SecondsFormat::Secs, false)
    }
}

fn parse_cron(text: &str) -> Result<Cron, TimetableError> {
    let refuse = |text: String| Err(TimetableError::Cron(text));
    let max = limits::SCHEDULE_CRON_BYTES_MAX;
    if text.len() > max {
        return refuse(format!("a pattern may have {max} characters"));
    }
    let is_known = |b: u8| b.is_ascii_alphanumeric() || b" \t*/,-?#+@".contains(&b);
    if let Some(other) = text.chars().find(|c| !u8::try_from(*c).is_ok_and(is_known)) {
        return refuse(format!("{other:?} has no meaning in a pattern"));
    }
    let fields = text.split_ascii_whitespace().count();
    let is_nickname = text.trim_ascii().starts_with('@');
    if !is_nickname && fields != 5 && fields != 6 {
        return refuse(format!(
            "a pattern has 5 fields (minute hour day month weekday) or 6 (second first), not \
             {fields}"
        ));
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build();
    parser.parse(text).or_else(|error| refuse(explain(error)))
}

/// What is wrong with a pattern, in a sentence of its own.
fn explain(error: CronError) -> String {
    match error {
        CronError::EmptyPattern => "the pattern is empty".to_owned(),
        CronError::InvalidPattern(text)
        | CronError::IllegalCharacters(text)
        | CronError::ComponentError(text) => {
            let text = text.trim_end_matches('.');
            let mut characters = text.chars();
            let first = characters.next().map(|c| c.to_ascii_lowercase());
            first.into_iter().chain(characters).collect()
        }
        CronError::InvalidDate | CronError::InvalidTime | CronError::TimeSearchLimitExceeded => {
            "no date matches this pattern".to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
