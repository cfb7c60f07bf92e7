//! The life of one run: waiting for room, its attempts, and what is written down about them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::agenda::is_too_late;
use super::{Ended, Job, STORE_PAUSE_MS, Shared, last_state, next_attempt};
use crate::dispatch::Concurrency;
use crate::id::{InvocationId, ScheduleId, TenantId};
use crate::store::{self, Retries, Run, RunState, Schedule, ScheduleKey};

/// Of the invocations that may run at once, scheduled ones take at most this part.
const SHARE: usize = 2;
/// Tenants whose room is kept although nothing of theirs runs.
const TENANTS_KEPT: usize = 1000;

/// First pause when requests leave no room; each further one is twice as long.
const BUSY_PAUSE_MIN: Duration = Duration::from_millis(10);
/// Longest pause when requests leave no room.
const BUSY_PAUSE_MAX: Duration = Duration::from_secs(1);

/// One of the places that the runs of all tenants share.
type Place = Option<OwnedSemaphorePermit>;

/// The room that runs share. Whoever waits for it is let in, in turn.
pub(super) struct Room {
    total: Arc<Semaphore>,
    per_tenant: usize,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Room {
    /// A part of what may run at once: requests are to get through while many runs are due.
    pub(super) fn new(concurrency: Concurrency) -> Self {
        Self {
            total: Arc::new(Semaphore::new((concurrency.total / SHARE).max(1))),
            per_tenant: (concurrency.per_tenant / SHARE).max(1),
            tenants: Mutex::default(),
        }
    }

    async fn enter(&self, tenant: &TenantId) -> (Option<OwnedSemaphorePermit>, Place) {
        let own = {
            let tenants = self.tenants.lock();
            let mut tenants = tenants.unwrap_or_else(PoisonError::into_inner);
            if tenants.len() >= TENANTS_KEPT {
                tenants.retain(|_, own| Arc::strong_count(own) > 1);
            }
            let own = tenants
                .entry(tenant.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(self.per_tenant)));
            Arc::clone(own)
        };
        // The tenant's own first: one that has many runs due waits here, in nobody's way.
        // Neither semaphore is ever closed.
        let own = own.acquire_owned().await.ok();
        let place = self.place().await;
        (own, place)
    }

    async fn place(&self) -> Place {
        Arc::clone(&self.total).acquire_owned().await.ok()
    }
}

/// Where a run stands after an attempt.
enum Step {
    /// Over: the next one may start.
    Over,
    /// It is woken again, or it is left for the next process.
    Later,
}

/// Starts a run, or its next attempt, in a task of its own.
pub(super) fn spawn(shared: &Arc<Shared>, key: &ScheduleKey, id: ScheduleId, number: u64) {
    let (shared, key) = (Arc::clone(shared), key.clone());
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let mut next = Some(number);
        // The run that waited for this one goes on in the same task.
        while let Some(number) = next.take() {
            let entered = shared.room.enter(&key.tenant);
            let entered = shared.closing.run_until_cancelled(entered).await;
            let Some((own, place)) = entered else {
                return;
            };
            let step = attempt(&shared, &key, id, number, place).await;
            drop(own);
            if matches!(step, Step::Over) {
                next = shared.agenda().finish(&key, id);
            }
        }
    });
}

/// One attempt, from noting that it begins to noting how it ended.
async fn attempt(
    shared: &Arc<Shared>,
    key: &ScheduleKey,
    id: ScheduleId,
    number: u64,
    place: Place,
) -> Step {
    if shared.closing.is_cancelled() {
        return Step::Later;
    }
    let Some(schedule) = read(shared, key, id).await else {
        return Step::Over;
    };
    let now_ms = (shared.clock)();
    let invocation = InvocationId::new(now_ms);
    let begin = move |run: &mut Run| {
        run.state = RunState::Running;
        run.attempt += 1;
        run.started_ms = Some(now_ms);
        run.ended_ms = None;
        run.next_attempt_ms = None;
        run.status = None;
        run.code = None;
        run.invocation = Some(invocation.to_string());
    };
    // Durable before anything runs: an attempt that was begun is never begun again.
    let run = match write(shared, key, id, number, begin).await {
        Written::Yes(run) => run,
        Written::Gone => return Step::Over,
        Written::Closing => return Step::Later,
    };
    let job = Job {
        tenant: key.tenant.clone(),
        function: key.function.clone(),
        name: key.name.clone(),
        path: schedule.settings.path,
        payload: schedule.settings.payload,
        due_ms: run.due_ms,
        attempt: run.attempt,
        invocation,
    };
    let ended = carry_out(shared, job, place).await;
    conclude(shared, key, id, &run, schedule.settings.retries, ended).await
}

/// Carries an attempt out, as soon as requests leave room for it. While it waits for that it gives
/// its place back: a tenant that takes all of its own room takes none of the others'.
async fn carry_out(shared: &Shared, job: Job, mut place: Place) -> Ended {
    let mut pause = BUSY_PAUSE_MIN;
    loop {
        let ended = shared.runner.run(job.clone()).await;
        if ended != Ended::Busy {
            return ended;
        }
        drop(place.take());
        let wait = async {
            tokio::time::sleep(pause).await;
            shared.room.place().await
        };
        match shared.closing.run_until_cancelled(wait).await {
            Some(next) => place = next,
            None => return Ended::Refused,
        }
        pause = BUSY_PAUSE_MAX.min(pause * 2);
    }
}

/// Notes how an attempt ended, and what follows.
async fn conclude(
    shared: &Arc<Shared>,
    key: &ScheduleKey,
    id: ScheduleId,
    run: &Run,
    retries: Retries,
    ended: Ended,
) -> Step {
    let now_ms = (shared.clock)();
    let last = last_state(&ended);
    let next_ms = match last {
        RunState::Failed | RunState::Interrupted => next_attempt(retries, run.attempt, now_ms),
        _ => None,
    };
    let state = if next_ms.is_some() {
        RunState::Retrying
    } else {
        last
    };
    let (status, code) = match ended {
        Ended::Answered { status } => (status, None),
        Ended::Failed { status, code } => (status, Some(code.as_str().to_owned())),
        Ended::Interrupted | Ended::Refused | Ended::Busy => (None, None),
    };
    let end = move |run: &mut Run| {
        run.state = state;
        run.ended_ms = (state != RunState::Queued).then_some(now_ms);
        run.next_attempt_ms = next_ms;
        run.status = status;
        run.code = code;
        if state == RunState::Queued {
            // Nothing of it ran: the server is on its way down.
            run.attempt = run.attempt.saturating_sub(1);
            run.started_ms = None;
            run.invocation = None;
        }
    };
    if next_ms.is_none() && state != RunState::Queued {
        shared.agenda().ending(key, id);
    }
    match write(shared, key, id, run.number, end).await {
        Written::Yes(_) => {}
        Written::Gone => return Step::Over,
        Written::Closing => return Step::Later,
    }
    match next_ms {
        Some(at_ms) => {
            shared.agenda().arm_retry(key, id, run.number, at_ms);
            shared.changed.notify_one();
            Step::Later
        }
        None if state == RunState::Queued => Step::Later,
        None => Step::Over,
    }
}

/// Takes up a run that was not over when the process before this one ended.
pub(super) async fn recover(
    shared: &Arc<Shared>,
    key: &ScheduleKey,
    schedule: &Schedule,
    number: u64,
) {
    let (store, of) = (shared.store.clone(), key.clone());
    let run = shared.blocking(move || store.run(&of, number)).await;
    let Ok(Ok(Some(run))) = run else {
        tracing::error!(schedule = %key.name, number, "a run in progress cannot be read");
        return;
    };
    let (id, now_ms) = (schedule.id, (shared.clock)());
    match run.state {
        RunState::Queued if is_too_late(schedule.settings.missed, run.due_ms, now_ms) => {
            let end = move |run: &mut Run| {
                run.state = RunState::Missed;
                run.ended_ms = Some(now_ms);
            };
            // If it cannot be written now, the next process finds it once more.
            let _ = write(shared, key, id, number, end).await;
        }
        RunState::Queued => {
            if shared.agenda().resume(key, number) {
                spawn(shared, key, id, number);
            }
        }
        RunState::Running => {
            // Counted as active, so that what waits for it is let go when it is over.
            let began = shared.agenda().resume_active(key);
            let retries = schedule.settings.retries;
            let step = conclude(shared, key, id, &run, retries, Ended::Interrupted).await;
            if began && matches!(step, Step::Over) {
                let next = shared.agenda().finish(key, id);
                if let Some(next) = next {
                    spawn(shared, key, id, next);
                }
            }
        }
        RunState::Retrying => {
            let at_ms = run.next_attempt_ms.unwrap_or(now_ms);
            let at_ms = at_ms.min(now_ms.saturating_add(schedule.settings.retries.max_ms));
            let mut agenda = shared.agenda();
            agenda.resume_active(key);
            agenda.arm_retry(key, id, number, at_ms);
        }
        RunState::Succeeded
        | RunState::Failed
        | RunState::Interrupted
        | RunState::Skipped
        | RunState::Missed => {}
    }
}

/// The schedule as it is now; `None` if it is another one or none.
async fn read(shared: &Shared, key: &ScheduleKey, id: ScheduleId) -> Option<Schedule> {
    loop {
        let (store, of) = (shared.store.clone(), key.clone());
        match shared.blocking(move || store.get(&of)).await {
            Ok(Ok(entry)) => return Some(entry.schedule).filter(|schedule| schedule.id == id),
            Ok(Err(store::Error::ScheduleNotFound)) => return None,
            Ok(Err(error)) => {
                tracing::warn!(%error, schedule = %key.name, "a schedule cannot be read yet");
                if !pause(shared).await {
                    return None;
                }
            }
            Err(error) => {
                tracing::error!(%error, schedule = %key.name, "a schedule cannot be read");
                return None;
            }
        }
    }
}

/// Whether a change of a run is stored.
enum Written {
    /// It is.
    Yes(Run),
    /// Run or schedule are no longer there.
    Gone,
    /// The server stops, and the store fails.
    Closing,
}

/// Changes a run in the store, as often as it takes.
async fn write(
    shared: &Shared,
    key: &ScheduleKey,
    id: ScheduleId,
    number: u64,
    change: impl FnOnce(&mut Run) + Clone + Send + 'static,
) -> Written {
    loop {
        let written = shared.store.update(key.clone(), id, number, change.clone());
        match written.await {
            Ok(Some(run)) => return Written::Yes(run),
            Ok(None) => return Written::Gone,
            Err(error) => {
                tracing::warn!(%error, schedule = %key.name, number, "a run cannot be stored yet");
                if !pause(shared).await {
                    return Written::Closing;
                }
            }
        }
    }
}

/// Waits a moment for the store; false when the server stops.
async fn pause(shared: &Shared) -> bool {
    let pause = tokio::time::sleep(Duration::from_millis(STORE_PAUSE_MS));
    shared.closing.run_until_cancelled(pause).await.is_some()
}
