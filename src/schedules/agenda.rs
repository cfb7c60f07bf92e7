//! What is due when, and which runs of which schedule are in progress: all of it in memory, and
//! without a clock, a store or a task of its own.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::timetable::Timetable;
use crate::id::ScheduleId;
use crate::limits;
use crate::store::{Missed, NewRun, Overlap, RunState, Schedule, ScheduleKey, Trigger};

/// Something that is to be looked at when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    /// A tick of the schedule, or several.
    Tick,
    /// The next attempt of this run.
    Retry(u64),
}

/// A schedule, as far as it matters for what comes next.
struct Entry {
    id: ScheduleId,
    revision: u64,
    missed: Missed,
    overlap: Overlap,
    /// `None` when it is not enabled.
    timetable: Option<Arc<Timetable>>,
    decided_ms: u64,
    /// When it is woken for its next tick.
    tick_ms: Option<u64>,
    /// When it is woken for which run's next attempt.
    retries: Vec<(u64, u64)>,
    /// Runs that were started and are not over.
    active: usize,
    /// Those of them of which only the note is missing that they have ended.
    ending: usize,
    /// Runs that wait for those, or are about to.
    waits: usize,
    waiting: VecDeque<u64>,
}

/// What is to be found out before a tick can be decided. It may take a moment.
pub(super) struct Question {
    timetable: Arc<Timetable>,
    missed: Missed,
    decided_ms: u64,
    now_ms: u64,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DueTick {
    due_ms: u64,
    /// Up to which time this decides.
    decided_ms: u64,
    /// Earlier ticks that it stands for.
    missed: u64,
    is_too_late: bool,
}

/// A run that is to be stored, and where it is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) id: ScheduleId,
    pub(super) revision: u64,
    pub(super) new: NewRun,
    /// What is restored if it cannot be stored.
    before_ms: u64,
    place: Place,
}

/// What becomes of a run once it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Starts,
    Waits,
    Ends,
}

/// Everything that is to come.
#[derive(Default)]
pub(super) struct Agenda {
    entries: HashMap<ScheduleKey, Entry>,
    wakes: BTreeSet<(u64, ScheduleKey, Wake)>,
}

impl Question {
    /// The latest of the ticks that are due; `None` when none is.
    pub(super) fn answer(&self) -> Option<DueTick> {
        let Self {
            timetable,
            missed,
            decided_ms,
            now_ms,
        } = self;
        let first_ms = timetable.next_after(*decided_ms)?;
        if first_ms > *now_ms {
            return None;
        }
        let count_max = limits::SCHEDULE_MISSED_COUNT_MAX;
        let count = |before_ms| {
            let count = timetable.count_between(*decided_ms, before_ms, count_max);
            u64::try_from(count).unwrap_or(u64::MAX)
        };
        let Some(due_ms) = timetable.latest(*decided_ms, *now_ms) else {
            // All of them were so long ago that it does not matter which was the latest.
            return Some(DueTick {
                due_ms: first_ms,
                decided_ms: *now_ms,
                missed: count(now_ms + 1).saturating_sub(1),
                is_too_late: true,
            });
        };
        Some(DueTick {
            due_ms,
            decided_ms: due_ms,
            missed: count(due_ms),
            is_too_late: is_too_late(*missed, due_ms, *now_ms),
        })
    }
}

/// Whether a run that was due at `due_ms` may not start any more.
pub(super) fn is_too_late(missed: Missed, due_ms: u64, now_ms: u64) -> bool {
    let late_ms_max = match missed {
        Missed::Skip => limits::SCHEDULE_ON_TIME_MS,
        Missed::RunOnce { late_ms_max } => late_ms_max.max(limits::SCHEDULE_ON_TIME_MS),
    };
    now_ms.saturating_sub(due_ms) > late_ms_max
}

impl Agenda {
    /// Puts in a schedule, or what became of it by an edit. Runs in progress go on.
    pub(super) fn install(
        &mut self,
        key: &ScheduleKey,
        schedule: &Schedule,
        decided_ms: u64,
        timetable: Option<Arc<Timetable>>,
    ) {
        if self
            .entries
            .get(key)
            .is_none_or(|known| known.id != schedule.id)
        {
            self.remove(key);
        }
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry {
            id: schedule.id,
            revision: 0,
            missed: schedule.settings.missed,
            overlap: schedule.settings.overlap,
            timetable: None,
            decided_ms,
            tick_ms: None,
            retries: Vec::new(),
            active: 0,
            ending: 0,
            waits: 0,
            waiting: VecDeque::new(),
        });
        entry.revision = schedule.revision;
        entry.missed = schedule.settings.missed;
        entry.overlap = schedule.settings.overlap;
        entry.timetable = timetable.filter(|_| schedule.settings.enabled);
        entry.decided_ms = decided_ms;
        self.arm(key, None);
    }

    /// Forgets a schedule.
    pub(super) fn remove(&mut self, key: &ScheduleKey) {
        let Some(entry) = self.entries.remove(key) else {
            return;
        };
        if let Some(tick_ms) = entry.tick_ms {
            self.wakes.remove(&(tick_ms, key.clone(), Wake::Tick));
        }
        for (at_ms, number) in entry.retries {
            self.wakes
                .remove(&(at_ms, key.clone(), Wake::Retry(number)));
        }
    }

    /// Forgets every schedule that `keep` does not know.
    pub(super) fn retain(&mut self, keep: impl Fn(&ScheduleKey, ScheduleId) -> bool) {
        let gone = self.entries.iter();
        let gone = gone.filter(|(key, entry)| !keep(key, entry.id));
        let gone: Vec<ScheduleKey> = gone.map(|(key, _)| key.clone()).collect();
        for key in &gone {
            self.remove(key);
        }
    }

    /// Which schedule has this name now.
    pub(super) fn id_of(&self, key: &ScheduleKey) -> Option<ScheduleId> {
        self.entries.get(key).map(|entry| entry.id)
    }

    /// How many runs of a schedule were started and are not over, and how many wait for those.
    #[cfg(test)]
    pub(super) fn active_and_waiting_of(&self, key: &ScheduleKey) -> (usize, usize) {
        let entry = self.entries.get(key);
        entry.map_or((0, 0), |entry| (entry.active, entry.waiting.len()))
    }

    /// How many schedules there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// When a schedule is due next, as far as it is known.
    pub(super) fn next_of(&self, key: &ScheduleKey) -> Option<u64> {
        self.entries.get(key)?.tick_ms
    }

    /// When something is due next.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.wakes.first().map(|(at_ms, _, _)| *at_ms)
    }

    /// Takes out what is due by now, at most `max`.
    pub(super) fn take_due(&mut self, now_ms: u64, max: usize) -> Vec<(ScheduleKey, Wake)> {
        let mut due = Vec::new();
        while due.len() < max && self.next_ms().is_some_and(|at_ms| at_ms <= now_ms) {
            let Some((at_ms, key, wake)) = self.wakes.pop_first() else {
                break;
            };
            if let Some(entry) = self.entries.get_mut(&key) {
                match wake {
                    Wake::Tick => entry.tick_ms = None,
                    Wake::Retry(number) => entry.retries.retain(|&it| it != (at_ms, number)),
                }
            }
            due.push((key, wake));
        }
        due
    }

    /// Wakes the schedule for its next tick; at `at_ms` if that is given.
    pub(super) fn arm(&mut self, key: &ScheduleKey, at_ms: Option<u64>) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        if let Some(before_ms) = entry.tick_ms.take() {
            self.wakes.remove(&(before_ms, key.clone(), Wake::Tick));
        }
        let Some(timetable) = &entry.timetable else {
            return;
        };
        entry.tick_ms = at_ms.or_else(|| timetable.next_after(entry.decided_ms));
        if let Some(tick_ms) = entry.tick_ms {
            self.wakes.insert((tick_ms, key.clone(), Wake::Tick));
        }
    }

    /// Wakes the schedule for the next attempt of a run.
    pub(super) fn arm_retry(&mut self, key: &ScheduleKey, id: ScheduleId, number: u64, at_ms: u64) {
        if let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.id == id) {
            entry.retries.push((at_ms, number));
            self.wakes.insert((at_ms, key.clone(), Wake::Retry(number)));
        }
    }

    /// What has to be known about a schedule whose tick has come.
    pub(super) fn question(&self, key: &ScheduleKey, now_ms: u64) -> Option<Question> {
        let entry = self.entries.get(key)?;
        Some(Question {
            timetable: Arc::clone(entry.timetable.as_ref()?),
            missed: entry.missed,
            decided_ms: entry.decided_ms,
            now_ms,
        })
    }

    /// Decides a tick. [`Agenda::settle`] or [`Agenda::take_back`] has to follow.
    pub(super) fn decide(&mut self, key: &ScheduleKey, tick: DueTick) -> Option<Decision> {
        let entry = self.entries.get_mut(key)?;
        let place = match (tick.is_too_late, entry.busy(), entry.overlap) {
            (true, _, _) => Place::Ends,
            (false, 0, _) => entry.next_place(),
            (false, many, Overlap::Allow) if many < limits::SCHEDULE_OVERLAP_MAX => Place::Starts,
            (false, _, Overlap::QueueOne) if entry.waits == 0 => Place::Waits,
            (false, _, Overlap::Skip | Overlap::Allow | Overlap::QueueOne) => Place::Ends,
        };
        let state = match place {
            Place::Ends if tick.is_too_late => RunState::Missed,
            Place::Ends => RunState::Skipped,
            Place::Starts | Place::Waits => RunState::Queued,
        };
        let before_ms = std::mem::replace(&mut entry.decided_ms, tick.decided_ms);
        entry.reserve(place);
        Some(Decision {
            id: entry.id,
            revision: entry.revision,
            new: NewRun {
                trigger: Trigger::Tick,
                due_ms: tick.due_ms,
                decided_ms: Some(tick.decided_ms),
                missed: tick.missed,
                state,
            },
            before_ms,
            place,
        })
    }

    /// Decides on a run that somebody asks for; `Err` while as many as may be are not over.
    pub(super) fn decide_manual(
        &mut self,
        key: &ScheduleKey,
        now_ms: u64,
    ) -> Option<Result<Decision, usize>> {
        let entry = self.entries.get_mut(key)?;
        let place = match (entry.busy(), entry.overlap) {
            (0, _) => entry.next_place(),
            (many, Overlap::Allow) if many < limits::SCHEDULE_OVERLAP_MAX => Place::Starts,
            (_, Overlap::QueueOne) if entry.waits == 0 => Place::Waits,
            (many, Overlap::Skip | Overlap::Allow | Overlap::QueueOne) => return Some(Err(many)),
        };
        entry.reserve(place);
        Some(Ok(Decision {
            id: entry.id,
            revision: entry.revision,
            new: NewRun {
                trigger: Trigger::Manual,
                due_ms: now_ms,
                decided_ms: None,
                missed: 0,
                state: RunState::Queued,
            },
            before_ms: entry.decided_ms,
            place,
        }))
    }

    /// The run of a decision is stored under this number: answers the run to start, if one is.
    pub(super) fn settle(
        &mut self,
        key: &ScheduleKey,
        decision: &Decision,
        number: u64,
    ) -> Option<u64> {
        let entry = self.entries.get_mut(key)?;
        if entry.id != decision.id {
            return None;
        }
        match decision.place {
            Place::Ends => None,
            Place::Starts => Some(number),
            Place::Waits => {
                entry.waiting.push_back(number);
                entry.next_waiting()
            }
        }
    }

    /// The run of a decision could not be stored: nothing is decided. Answers the run to start, if
    /// one waited for nothing else.
    pub(super) fn take_back(&mut self, key: &ScheduleKey, decision: &Decision) -> Option<u64> {
        let entry = self.entries.get_mut(key)?;
        if entry.id != decision.id {
            return None;
        }
        if decision.new.trigger == Trigger::Tick && entry.revision == decision.revision {
            entry.decided_ms = decision.before_ms;
        }
        match decision.place {
            Place::Ends => None,
            Place::Starts => {
                entry.active -= 1;
                entry.next_waiting()
            }
            Place::Waits => {
                entry.waits -= 1;
                None
            }
        }
    }

    /// A run of before this process goes on: whether it starts now. Else it waits for another.
    pub(super) fn resume(&mut self, key: &ScheduleKey, number: u64) -> bool {
        let Some(entry) = self.entries.get_mut(key) else {
            return false;
        };
        if entry.active > 0 && entry.overlap != Overlap::Allow {
            entry.reserve(Place::Waits);
            entry.waiting.push_back(number);
            return false;
        }
        entry.reserve(Place::Starts);
        true
    }

    /// A run of before this process is between two attempts: it counts as active. False when its
    /// schedule is not known.
    pub(super) fn resume_active(&mut self, key: &ScheduleKey) -> bool {
        let entry = self.entries.get_mut(key);
        entry.map(|entry| entry.reserve(Place::Starts)).is_some()
    }

    /// All is done of a run that was started, and its end is about to be noted. Whoever reads that note
    /// may count on the next tick, which would come too early before [`Agenda::finish`].
    pub(super) fn ending(&mut self, key: &ScheduleKey, id: ScheduleId) {
        if let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.id == id) {
            entry.ending = entry.active.min(entry.ending + 1);
        }
    }

    /// A run that was started is over: answers the one that waited for it, which starts.
    pub(super) fn finish(&mut self, key: &ScheduleKey, id: ScheduleId) -> Option<u64> {
        let entry = self.entries.get_mut(key).filter(|entry| entry.id == id)?;
        entry.active = entry.active.saturating_sub(1);
        entry.ending = entry.active.min(entry.ending.saturating_sub(1));
        entry.next_waiting()
    }

    /// The schedules that are decided further than to `limit_ms`: the clock went back.
    pub(super) fn decided_after(&self, limit_ms: u64) -> Vec<(ScheduleKey, ScheduleId)> {
        let ahead = self.entries.iter();
        let ahead = ahead.filter(|(_, entry)| entry.decided_ms > limit_ms);
        ahead.map(|(key, entry)| (key.clone(), entry.id)).collect()
    }

    /// Goes on from `now_ms` for a schedule that was decided further, next attempts included.
    pub(super) fn rewind(&mut self, key: &ScheduleKey, now_ms: u64) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.decided_ms = entry.decided_ms.min(now_ms);
        self.arm(key, None);
    }

    /// Brings forward attempts that the clock, having gone back, moved far away.
    pub(super) fn bring_forward(&mut self, limit_ms: u64, now_ms: u64) {
        let far = self.wakes.iter().rev();
        let far = far.take_while(|(at_ms, _, _)| *at_ms > limit_ms);
        let far = far.filter(|(_, _, wake)| matches!(wake, Wake::Retry(_)));
        let far: Vec<_> = far.cloned().collect();
        for wake in far {
            self.wakes.remove(&wake);
            let (at_ms, key, Wake::Retry(number)) = wake else {
                continue;
            };
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            entry.retries.retain(|&it| it != (at_ms, number));
            let id = entry.id;
            self.arm_retry(&key, id, number, now_ms);
        }
    }
}

impl Entry {
    /// Runs that another one would overlap with.
    fn busy(&self) -> usize {
        self.active - self.ending + self.waits
    }

    /// What becomes of a run that overlaps with none: the last one may still have to be noted.
    fn next_place(&self) -> Place {
        if self.ending == 0 {
            Place::Starts
        } else {
            Place::Waits
        }
    }

    fn reserve(&mut self, place: Place) {
        match place {
            Place::Starts => self.active += 1,
            Place::Waits => self.waits += 1,
            Place::Ends => {}
        }
    }

    /// The next run in waiting, if nothing is active any more; it is active from here on.
    fn next_waiting(&mut self) -> Option<u64> {
        if self.active > 0 {
            return None;
        }
        let number = self.waiting.pop_front()?;
        self.waits -= 1;
        self.active += 1;
        Some(number)
    }
}

#[cfg(test)]
mod tests;
