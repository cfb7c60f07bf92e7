use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Timetable, TimetableError};
use crate::clock;

/// Unix milliseconds of a time in RFC 3339.
fn ms(text: &str) -> u64 {
    let time = chrono::DateTime::parse_from_rfc3339(text).unwrap();
    u64::try_from(time.timestamp_millis()).unwrap()
}

/// The first ticks after a time, as the clocks of the zone show them.
fn ticks(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let timetable = Timetable::parse(cron, zone).unwrap();
    let ticks = timetable.ticks_after(ms(after)).take(count);
    ticks.map(|tick_ms| timetable.local(tick_ms)).collect()
}

fn refusal(cron: &str) -> String {
    match Timetable::parse(cron, "UTC") {
        Err(TimetableError::Cron(text)) => text,
        other => panic!("{cron:?}: {other:?}"),
    }
}

#[test]
fn five_fields_are_minutes_and_six_begin_with_seconds() {
    assert_eq!(
        ticks("*/20 8 * * *", "UTC", "2026-11-21T08:00:00Z", 3),
        [
            "2026-11-21T08:20:00+00:00",
            "2026-11-21T08:40:00+00:00",
            "2026-11-22T08:00:00+00:00"
        ]
    );
    assert_eq!(
        ticks("*/20 0 8 * * *", "UTC", "2026-11-21T08:00:00.999Z", 3),
        [
            "2026-11-21T08:00:20+00:00",
            "2026-11-21T08:00:40+00:00",
            "2026-11-22T08:00:00+00:00"
        ]
    );
}

#[test]
fn names_lists_ranges_steps_and_nicknames_are_understood() {
    for (cron, first) in [
        ("0 9 * * MON-FRI", "2026-11-23T09:00:00+00:00"),
        ("30 6 1,15 * *", "2026-12-01T06:30:00+00:00"),
        ("0 0 L * *", "2026-11-30T00:00:00+00:00"),
        ("0 0 * * FRI#2", "2026-12-11T00:00:00+00:00"),
        ("0 12 * JAN 7", "2027-01-03T12:00:00+00:00"),
        ("@daily", "2026-11-22T00:00:00+00:00"),
        ("@hourly", "2026-11-21T21:00:00+00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00+00:00"),
    ] {
        assert_eq!(ticks(cron, "UTC", "2026-11-21T20:30:00Z", 1), [first]);
    }
}

#[test]
fn a_bad_pattern_is_refused_with_what_is_wrong() {
    assert!(refusal("").contains("not 0"));
    assert!(refusal("* * * *").contains("not 4"));
    assert!(refusal("* * * * * * *").contains("not 7"));
    assert!(refusal("0 0 * * ü").contains("'ü'"));
    assert!(refusal("0 0 * * ;").contains("';'"));
    assert!(refusal(&"*".repeat(200)).contains("128 characters"));
    for wrong in [
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-1 * * * *",
    ] {
        assert!(!refusal(wrong).is_empty(), "{wrong}");
    }
    assert!(refusal("@never").len() > 5);
    assert_eq!(refusal("0 0 30 2 *"), "no date matches this pattern");
    let zone = Timetable::parse("* * * * *", "Mars/Olympus").unwrap_err();
    assert!(zone.to_string().contains("Mars/Olympus"), "{zone}");
}

#[test]
fn no_pattern_takes_long_to_be_searched() {
    let began = clock::monotonic();
    for cron in [
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "59 59 23 29 2 *",
        "0 0 29W 2 *",
        "0 0 +29 2 MON",
        "0 0 31 2 +MON#5",
        "*/59 */59 */23 29 FEB +SUN",
    ] {
        for zone in ["UTC", "Australia/Lord_Howe", "Africa/Casablanca"] {
            if let Ok(timetable) = Timetable::parse(cron, zone) {
                assert!(timetable.latest(0, ms("2026-11-21T20:30:00Z")).is_none());
            }
        }
    }
    // Without optimisation, on a machine that is busy with other tests.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn a_time_that_the_clocks_jump_over_runs_right_after_it() {
    // Berlin, 29 March 2026: 02:00 becomes 03:00.
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
        ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    );
    // What runs at intervals leaves out what is not there.
    assert_eq!(
        ticks("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3),
        [
            "2026-03-29T01:30:00+01:00",
            "2026-03-29T03:00:00+02:00",
            "2026-03-29T03:30:00+02:00"
        ]
    );
}

#[test]
fn a_time_that_the_clocks_show_twice_runs_once_and_intervals_run_on() {
    // Berlin, 25 October 2026: 03:00 becomes 02:00.
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    );
    assert_eq!(
        ticks("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:59:59Z", 5),
        [
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-25T03:00:00+01:00"
        ]
    );
    // Half an hour, on Lord Howe.
    assert_eq!(
        ticks(
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-03T15:00:00Z",
            2
        ),
        ["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"]
    );
}

#[test]
fn the_latest_tick_is_the_last_of_those_that_are_due() {
    let timetable = Timetable::parse("*/10 * * * *", "UTC").unwrap();
    let now_ms = ms("2026-11-21T20:25:24Z");
    let latest_ms = ms("2026-11-21T20:20:00Z");
    let latest = Some(latest_ms);
    assert_eq!(timetable.latest(0, now_ms), latest);
    assert_eq!(timetable.latest(ms("2026-11-21T20:10:00Z"), now_ms), latest);
    assert_eq!(timetable.latest(ms("2026-11-21T20:20:00Z"), now_ms), None);
    assert_eq!(timetable.latest(now_ms + 1, now_ms), None);
    let from_ms = ms("2026-11-21T19:20:00Z");
    assert_eq!(timetable.count_between(from_ms, latest_ms, 1000), 5);
    assert_eq!(timetable.count_between(0, latest_ms, 1000), 1000);
    let yearly = Timetable::parse("0 0 1 1 *", "UTC").unwrap();
    // Further back than a run may be late.
    assert_eq!(yearly.latest(0, now_ms), None);
}

#[test]
fn ticks_are_the_same_from_wherever_they_are_counted() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let zones = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
    ];
    for _ in 0..150 {
        let cron = random_cron(&mut random);
        let zone = zones[random.random_range(0..zones.len())];
        let Ok(timetable) = Timetable::parse(&cron, zone) else {
            continue;
        };
        // Around both changes of the clocks, and in between.
        let start = ms("2026-01-01T00:00:00Z") + random.random_range(0..365 * 86_400) * 1000;
        let ticks: Vec<u64> = timetable.ticks_after(start).take(40).collect();
        assert!(ticks.is_sorted_by(|a, b| a < b), "{cron} {zone} {start}");
        let Some(&last) = ticks.last() else { continue };
        for _ in 0..20 {
            let from = random.random_range(start..last.max(start + 1)) / 1000 * 1000;
            let expected = ticks.iter().copied().find(|&tick| tick > from);
            assert_eq!(timetable.next_after(from), expected, "{cron} {zone} {from}");
        }
    }
}

fn random_cron(random: &mut StdRng) -> String {
    let mut field = |low: u32, high: u32| {
        let one = random.random_range(low..=high);
        match random.random_range(0..4) {
            0 => "*".to_owned(),
            1 => format!("*/{}", random.random_range(1..=high)),
            2 => format!("{low}-{one}"),
            _ => one.to_string(),
        }
    };
    let fields = [
        field(0, 59),
        field(0, 23),
        field(1, 28),
        field(1, 12),
        field(0, 6),
    ];
    fields.join(" ")
}
