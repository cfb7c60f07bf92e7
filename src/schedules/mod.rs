//! The scheduler: runs functions at the times of their schedules, without a request.
//!
//! It sleeps until the next tick of all, so what is not due costs nothing. A tick is decided in
//! the store before anything runs, and each attempt is noted there before it begins: after a crash
//! no tick runs twice, and an attempt that was cut off is known as such (ADR 0011). Runs take part
//! of the room that invocations have, and wait for it; none is dropped because many are due.
//!
//! What is due and in progress is in `agenda`, when ticks are in `timetable`, the life of one run
//! in `run`, and what an owner may write in `settings`.

mod agenda;
mod run;
mod runner;
mod settings;
mod timetable;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::agenda::{Agenda, Decision, Wake};
use self::run::Room;
pub use self::runner::{Ended, Invoker, Job, Runner};
pub use self::settings::{DEFAULT_ZONE, check};
pub use self::timetable::{Timetable, TimetableError};
use crate::dispatch::Concurrency;
use crate::error::{Code, Error};
use crate::id::{FunctionName, ScheduleId, TenantId};
use crate::limits;
use crate::store::{
    self, Clock, Expected, Progress, Run, RunState, Schedule, ScheduleEntry, ScheduleKey,
    ScheduleSettings, Store,
};

/// Longest sleep: the clock may have been put forward meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Wakes that are taken out of the agenda at once.
const TURN_WAKES: usize = 256;
/// Decisions that are on their way to the store at once: they share commits.
const DECISIONS_AT_ONCE: usize = 64;
/// How long what the store could not take is put off, in milliseconds.
const STORE_PAUSE_MS: u64 = 1000;

/// The scheduler. Cheap to clone.
#[derive(Clone)]
pub struct Schedules {
    shared: Arc<Shared>,
}

struct Shared {
    store: store::Schedules,
    runner: Arc<dyn Runner>,
    clock: Clock,
    agenda: Mutex<Agenda>,
    /// What `turn` saw on the clock the last time.
    looked_ms: Mutex<u64>,
    /// One edit at a time, so that agenda and store take them in the same order.
    editing: tokio::sync::Mutex<()>,
    /// There may be something to do.
    changed: Notify,
    room: Room,
    tasks: TaskTracker,
    /// Cancelled: nothing new begins.
    closing: CancellationToken,
}

/// A schedule as its owner sees it.
#[derive(Debug, Clone)]
pub struct ScheduleView {
    /// The schedule, and how far it has come.
    pub entry: ScheduleEntry,
    /// Its next tick, Unix time in milliseconds; `None` when it is not enabled.
    pub next_ms: Option<u64>,
}

impl Schedules {
    /// Reads the schedules of `store`. Nothing runs before [`Schedules::start`] or
    /// [`Schedules::turn`].
    ///
    /// Blocks: the store is read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(
        store: &Store,
        runner: Arc<dyn Runner>,
        clock: Clock,
        concurrency: Concurrency,
    ) -> Result<Self, store::Error> {
        let shared = Shared {
            store: store.schedules(),
            runner,
            looked_ms: Mutex::new(clock()),
            clock,
            agenda: Mutex::default(),
            editing: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            room: Room::new(concurrency),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        };
        let now_ms = (shared.clock)();
        let mut agenda = Agenda::default();
        shared.store.for_each(|key, schedule, progress| {
            let timetable = shared.timetable(&key, &schedule.settings);
            // Far ahead of the clock only if that was put back while nobody looked.
            let decided_ms = if progress.decided_ms > now_ms + limits::SCHEDULE_CLOCK_BACK_MS {
                now_ms
            } else {
                progress.decided_ms
            };
            agenda.install(&key, &schedule, decided_ms, timetable);
        })?;
        *shared.agenda() = agenda;
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// From now on schedules run, until [`Schedules::stop`].
    pub fn start(&self) {
        let this = self.clone();
        self.shared.tasks.spawn(async move {
            this.recover().await;
            loop {
                let pause = this.turn().await;
                tokio::select! {
                    () = this.shared.closing.cancelled() => return,
                    () = this.shared.changed.notified() => {}
                    () = tokio::time::sleep(pause.min(LOOK_EVERY)) => {}
                }
            }
        });
    }

    /// Nothing new begins from now on; attempts in progress go on.
    pub fn stop(&self) {
        self.shared.closing.cancel();
    }

    /// Waits until no attempt is in progress any more, after [`Schedules::stop`].
    pub async fn stopped(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Looks at the clock again now: for whoever moves it.
    pub fn look(&self) {
        self.shared.changed.notify_one();
    }

    /// Takes up what was not over when the process before this one ended. Once, before the first
    /// [`Schedules::turn`].
    pub async fn recover(&self) {
        let mut unfinished: Vec<(ScheduleKey, Schedule, Progress)> = Vec::new();
        let store = self.shared.store.clone();
        let read = self.shared.tasks.spawn_blocking(move || {
            let read = store.for_each(|key, schedule, progress| {
                if !progress.unfinished.is_empty() {
                    unfinished.push((key, schedule, progress));
                }
            });
            read.map(|()| unfinished)
        });
        match read.await {
            Ok(Ok(unfinished)) => {
                for (key, schedule, progress) in unfinished {
                    for number in progress.unfinished {
                        run::recover(&self.shared, &key, &schedule, number).await;
                    }
                }
            }
            Ok(Err(error)) => tracing::error!(%error, "runs in progress cannot be read"),
            Err(error) => tracing::error!(%error, "runs in progress cannot be read"),
        }
    }

    /// Decides everything that is due now and starts what is to run; answers how long there is
    /// nothing more to do.
    pub async fn turn(&self) -> Duration {
        let shared = &self.shared;
        let now_ms = (shared.clock)();
        shared.follow_clock(now_ms).await;
        while !shared.closing.is_cancelled() {
            let due = shared.agenda().take_due(now_ms, TURN_WAKES);
            if due.is_empty() {
                break;
            }
            stream::iter(due)
                .for_each_concurrent(DECISIONS_AT_ONCE, |(key, wake)| async move {
                    match wake {
                        Wake::Tick => shared.tick(key, now_ms).await,
                        Wake::Retry(number) => shared.begin_retry(&key, number),
                    }
                })
                .await;
        }
        let next_ms = shared.agenda().next_ms().unwrap_or(u64::MAX);
        Duration::from_millis(next_ms.saturating_sub((shared.clock)()))
    }

    /// Stores a schedule in place of the one of this name, if there is one that `expected` takes
    /// it for; answers it, and whether it is new.
    ///
    /// # Errors
    /// `schedule_invalid`, `function_not_found`, `precondition_failed`, `schedules_exceeded`, those
    /// of the store.
    /// # Cancel safety
    /// Once polled, it happens even if this future is dropped.
    pub async fn put(
        &self,
        key: ScheduleKey,
        settings: ScheduleSettings,
        expected: Expected,
    ) -> Result<(ScheduleView, bool), Error> {
        self.owned(|this| async move {
            let read = settings.clone();
            let timetable = this.blocking(move || check(&read)).await??;
            let _editing = this.editing.lock().await;
            let put = this.store.put(key.clone(), settings, expected).await;
            let (entry, is_new) = put.map_err(from_store)?;
            this.make_room_in_agenda().await;
            let next_ms = {
                let (schedule, decided_ms) = (&entry.schedule, entry.progress.decided_ms);
                let mut agenda = this.agenda();
                agenda.install(&key, schedule, decided_ms, Some(Arc::new(timetable)));
                agenda.next_of(&key)
            };
            this.changed.notify_one();
            Ok((ScheduleView { entry, next_ms }, is_new))
        })
        .await
    }

    /// Deletes a schedule, if it is what `expected` takes it for, with its history. An attempt in
    /// progress goes on to its end.
    ///
    /// # Errors
    /// `schedule_not_found`, `precondition_failed`, those of the store.
    /// # Cancel safety
    /// As [`Schedules::put`].
    pub async fn delete(&self, key: ScheduleKey, expected: Expected) -> Result<(), Error> {
        self.owned(|this| async move {
            let _editing = this.editing.lock().await;
            let deleted = this.store.delete(key.clone(), expected).await;
            deleted.map_err(from_store)?;
            this.agenda().remove(&key);
            Ok(())
        })
        .await
    }

    /// One schedule.
    ///
    /// # Errors
    /// `schedule_not_found`, those of the store.
    pub async fn get(&self, key: ScheduleKey) -> Result<ScheduleView, Error> {
        let store = self.shared.store.clone();
        let entry = self.shared.blocking(move || store.get(&key)).await?;
        Ok(self.view(entry.map_err(from_store)?))
    }

    /// The schedules of a function, by name.
    ///
    /// # Errors
    /// `function_not_found`, those of the store.
    pub async fn list(
        &self,
        tenant: TenantId,
        function: FunctionName,
    ) -> Result<Vec<ScheduleView>, Error> {
        let store = self.shared.store.clone();
        let listed = self.shared.blocking(move || store.list(&tenant, &function));
        let entries = listed.await?.map_err(from_store)?;
        Ok(entries.into_iter().map(|entry| self.view(entry)).collect())
    }

    /// The history of a schedule, newest first: at most `limit` runs whose numbers are below
    /// `before`.
    ///
    /// # Errors
    /// `schedule_not_found`, those of the store.
    pub async fn runs(
        &self,
        key: ScheduleKey,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Run>, Error> {
        let store = self.shared.store.clone();
        let runs = self
            .shared
            .blocking(move || store.runs(&key, before, limit));
        runs.await?.map_err(from_store)
    }

    /// Runs a schedule now, also one that is not enabled; answers before the run is over.
    ///
    /// # Errors
    /// `schedule_not_found`; `schedule_busy` when the overlap policy leaves no room for one more
    /// run; those of the store.
    /// # Cancel safety
    /// As [`Schedules::put`].
    pub async fn run_now(&self, key: ScheduleKey) -> Result<Run, Error> {
        self.owned(|this| async move {
            let now_ms = (this.clock)();
            let store = this.store.clone();
            let known = key.clone();
            // For the one whose function was deleted the agenda may still have an entry.
            let exists = this.blocking(move || store.get(&known)).await?;
            exists.map_err(from_store)?;
            let decided = this.agenda().decide_manual(&key, now_ms);
            let decision = match decided {
                Some(Ok(decision)) => decision,
                Some(Err(many)) => {
                    let detail = format!("{many} of its runs are not over");
                    return Err(Error::new(Code::ScheduleBusy, detail));
                }
                None => return Err(from_store(store::Error::ScheduleNotFound)),
            };
            let stored = this.store_decision(&key, &decision).await;
            let run = stored.map_err(from_store)?;
            run.ok_or_else(|| {
                let detail = "the schedule was edited at this moment: try again";
                Error::new(Code::ScheduleBusy, detail)
            })
        })
        .await
    }

    /// The next ticks of a timetable after `after_ms`, at most `count`, with what the clocks of
    /// its time zone show.
    ///
    /// # Errors
    /// `schedule_invalid`.
    pub async fn preview(
        &self,
        cron: String,
        time_zone: String,
        after_ms: Option<u64>,
        count: usize,
    ) -> Result<Vec<(u64, String)>, Error> {
        let after_ms = after_ms.unwrap_or_else(|| (self.shared.clock)());
        let preview = move || {
            let timetable = settings::timetable(&cron, &time_zone)?;
            let ticks = timetable.ticks_after(after_ms);
            let ticks = ticks.take(count.min(limits::SCHEDULE_PREVIEW_MAX));
            Ok(ticks
                .map(|tick_ms| (tick_ms, timetable.local(tick_ms)))
                .collect())
        };
        self.shared.blocking(preview).await?
    }

    fn view(&self, entry: ScheduleEntry) -> ScheduleView {
        let next_ms = self.shared.agenda().next_of(&entry.key);
        ScheduleView { entry, next_ms }
    }

    /// Does something to its end, whether or not the caller waits for that.
    async fn owned<T, F>(&self, work: impl FnOnce(Arc<Shared>) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let done = self.shared.tasks.spawn(work(Arc::clone(&self.shared)));
        done.await.map_err(Error::internal)?
    }
}

impl Shared {
    fn agenda(&self) -> MutexGuard<'_, Agenda> {
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let done = self.tasks.spawn_blocking(work).await;
        done.map_err(Error::internal)
    }

    /// The timetable of a stored schedule; `None` when this build cannot read it any more.
    fn timetable(&self, key: &ScheduleKey, settings: &ScheduleSettings) -> Option<Arc<Timetable>> {
        match Timetable::parse(&settings.cron, &settings.time_zone) {
            Ok(timetable) => Some(Arc::new(timetable)),
            Err(error) => {
                let (tenant, function) = (&key.tenant, &key.function);
                let schedule = &key.name;
                tracing::error!(%tenant, %function, %schedule, %error, "a schedule cannot run");
                None
            }
        }
    }

    /// Decides the ticks of one schedule that are due, and starts a run if one is to.
    async fn tick(self: &Arc<Self>, key: ScheduleKey, now_ms: u64) {
        let Some(question) = self.agenda().question(&key, now_ms) else {
            return;
        };
        let answer = self.blocking(move || question.answer()).await;
        let decision = match answer {
            Ok(Some(tick)) => self.agenda().decide(&key, tick),
            Ok(None) => {
                self.agenda().arm(&key, None);
                return;
            }
            Err(error) => {
                // Searching for the next tick panicked: this schedule stays where it is.
                tracing::error!(%error, schedule = %key.name, "a schedule cannot run");
                return;
            }
        };
        let Some(decision) = decision else { return };
        match self.store_decision(&key, &decision).await {
            Ok(Some(_)) => self.agenda().arm(&key, None),
            Ok(None) => self.reload(&key).await,
            Err(error) => {
                tracing::warn!(%error, schedule = %key.name, "a tick cannot be stored yet");
                self.agenda().arm(&key, Some(now_ms + STORE_PAUSE_MS));
            }
        }
    }

    /// Stores the run of a decision and starts it if it is to start; `None` if the schedule is
    /// another one by now.
    async fn store_decision(
        self: &Arc<Self>,
        key: &ScheduleKey,
        decision: &Decision,
    ) -> Result<Option<Run>, store::Error> {
        let (id, revision) = (decision.id, decision.revision);
        let stored = self.store.decide(key.clone(), id, revision, decision.new);
        let stored = stored.await;
        let starts = match &stored {
            Ok(Some(run)) => self.agenda().settle(key, decision, run.number),
            Ok(None) | Err(_) => self.agenda().take_back(key, decision),
        };
        if let Some(number) = starts {
            run::spawn(self, key, id, number);
        }
        stored
    }

    fn begin_retry(self: &Arc<Self>, key: &ScheduleKey, number: u64) {
        let id = self.agenda().id_of(key);
        if let Some(id) = id {
            run::spawn(self, key, id, number);
        }
    }

    /// Takes over what the store says of a schedule.
    async fn reload(&self, key: &ScheduleKey) {
        let _editing = self.editing.lock().await;
        let (store, wanted) = (self.store.clone(), key.clone());
        match self.blocking(move || store.get(&wanted)).await {
            Ok(Ok(entry)) => {
                let timetable = self.timetable(key, &entry.schedule.settings);
                let decided_ms = entry.progress.decided_ms;
                let mut agenda = self.agenda();
                agenda.install(key, &entry.schedule, decided_ms, timetable);
            }
            Ok(Err(store::Error::ScheduleNotFound)) => self.agenda().remove(key),
            Ok(Err(error)) => {
                tracing::warn!(%error, schedule = %key.name, "a schedule cannot be read yet");
                self.agenda()
                    .arm(key, Some((self.clock)() + STORE_PAUSE_MS));
            }
            Err(error) => tracing::error!(%error, schedule = %key.name, "a schedule is lost"),
        }
    }

    /// Schedules that went with their functions are found when they are due; sooner when there
    /// are so many that the bound on all of them would not hold.
    async fn make_room_in_agenda(&self) {
        if self.agenda().len() < limits::SCHEDULES_MAX {
            return;
        }
        let store = self.store.clone();
        let known = self.blocking(move || {
            let mut known: HashMap<ScheduleKey, ScheduleId> = HashMap::new();
            let read = store.for_each(|key, schedule, _| {
                known.insert(key, schedule.id);
            });
            read.map(|()| known)
        });
        match known.await {
            Ok(Ok(known)) => self.agenda().retain(|key, id| known.get(key) == Some(&id)),
            Ok(Err(error)) => tracing::warn!(%error, "schedules cannot be read"),
            Err(error) => tracing::error!(%error, "schedules cannot be read"),
        }
    }

    /// Notices when the clock was put back so far that schedules would stand still, and goes on
    /// from where it is now.
    async fn follow_clock(&self, now_ms: u64) {
        let before_ms = {
            let mut looked_ms = self
                .looked_ms
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *looked_ms, now_ms)
        };
        let limit_ms = now_ms + limits::SCHEDULE_CLOCK_BACK_MS;
        if before_ms <= now_ms {
            return;
        }
        let ahead = {
            let mut agenda = self.agenda();
            if before_ms > limit_ms {
                agenda.bring_forward(limit_ms, now_ms);
            }
            agenda.decided_after(limit_ms)
        };
        for (key, id) in ahead {
            tracing::warn!(schedule = %key.name, "the clock went back: ticks are counted anew");
            if let Err(error) = self.store.rewind(key.clone(), id, now_ms).await {
                tracing::error!(%error, "a schedule cannot be set back in the store");
            }
            self.agenda().rewind(&key, now_ms);
        }
    }
}

/// An error of the store as callers see it.
fn from_store(error: store::Error) -> Error {
    crate::deploy::from_store(error)
}

/// Whether an attempt that ended like this is followed by another one, and when.
fn next_attempt(retries: store::Retries, attempt: u32, now_ms: u64) -> Option<u64> {
    if attempt > retries.max {
        return None;
    }
    let doublings = attempt.saturating_sub(1).min(63);
    let pause_ms = retries.initial_ms.saturating_mul(1 << doublings);
    Some(now_ms.saturating_add(pause_ms.min(retries.max_ms)))
}

/// The state after the last attempt.
fn last_state(ended: &Ended) -> RunState {
    match ended {
        Ended::Answered { status } if status.is_none_or(|status| status < 400) => {
            RunState::Succeeded
        }
        Ended::Interrupted => RunState::Interrupted,
        Ended::Answered { .. } | Ended::Failed { .. } => RunState::Failed,
        Ended::Refused | Ended::Busy => RunState::Queued,
    }
}

#[cfg(test)]
mod tests;
