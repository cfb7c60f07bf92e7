//! Ticks that come while the last run is about to be noted as ended.

use std::sync::Arc;

use super::*;
use crate::store::{Retries, ScheduleSettings};

const MINUTE_MS: u64 = 60_000;

fn schedule(overlap: Overlap) -> Schedule {
    Schedule {
        id: ScheduleId::new(1),
        revision: 1,
        created_ms: 0,
        updated_ms: 0,
        settings: ScheduleSettings {
            cron: "* * * * *".to_owned(),
            time_zone: "UTC".to_owned(),
            enabled: true,
            path: "/".to_owned(),
            payload: None,
            missed: Missed::Skip,
            overlap,
            retries: Retries {
                max: 0,
                initial_ms: 1000,
                max_ms: 8000,
            },
        },
    }
}

/// An agenda with one schedule, and what its ticks become.
fn agenda(overlap: Overlap) -> (Agenda, ScheduleKey, impl FnMut(&mut Agenda) -> Decision) {
    let key = ScheduleKey {
        tenant: "t".parse().unwrap(),
        function: "f".parse().unwrap(),
        name: "s".parse().unwrap(),
    };
    let timetable = Timetable::parse("* * * * *", "UTC").unwrap();
    let mut agenda = Agenda::default();
    agenda.install(&key, &schedule(overlap), 0, Some(Arc::new(timetable)));
    let (mut now_ms, of) = (0, key.clone());
    let tick = move |agenda: &mut Agenda| {
        now_ms += MINUTE_MS;
        let due = agenda.question(&of, now_ms).unwrap().answer().unwrap();
        agenda.decide(&of, due).unwrap()
    };
    (agenda, key, tick)
}

#[test]
fn a_tick_does_not_overlap_with_a_run_that_is_only_to_be_noted() {
    for overlap in [Overlap::Skip, Overlap::QueueOne, Overlap::Allow] {
        let (mut agenda, key, mut tick) = agenda(overlap);
        let first = tick(&mut agenda);
        assert_eq!(agenda.settle(&key, &first, 1), Some(1));
        agenda.ending(&key, first.id);
        let second = tick(&mut agenda);
        assert_eq!(second.new.state, RunState::Queued, "{overlap:?}");
        // It begins when the first is over, and not before.
        assert_eq!(agenda.settle(&key, &second, 2), None);
        assert_eq!(agenda.finish(&key, first.id), Some(2));
        // While it is at work, the third one overlaps with it.
        let third = tick(&mut agenda);
        let skips = overlap == Overlap::Skip;
        assert_eq!(third.new.state == RunState::Skipped, skips, "{overlap:?}");
    }
}

#[test]
fn a_run_that_ended_while_the_next_was_stored_lets_it_start() {
    let (mut agenda, key, mut tick) = agenda(Overlap::Skip);
    let first = tick(&mut agenda);
    assert_eq!(agenda.settle(&key, &first, 1), Some(1));
    agenda.ending(&key, first.id);
    let second = tick(&mut agenda);
    assert_eq!(agenda.finish(&key, first.id), None);
    assert_eq!(agenda.settle(&key, &second, 2), Some(2));
    // Two that are too many: one waits already.
    agenda.ending(&key, first.id);
    let third = tick(&mut agenda);
    let fourth = tick(&mut agenda);
    assert_eq!(third.new.state, RunState::Queued);
    assert_eq!(fourth.new.state, RunState::Skipped);
}
