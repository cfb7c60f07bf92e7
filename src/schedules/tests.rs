//! The scheduler against a model: random times, edits, failures and kills; each tick is decided
//! once and counted, each attempt begins at most once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::agenda::is_too_late;
use super::{Ended, Job, Runner, Schedules, Timetable};
use crate::clock;
use crate::dispatch::Concurrency;
use crate::error::Code;
use crate::id::{DeploymentId, FunctionName, TenantId};
use crate::kind::Kind;
use crate::limits::{self, LimitOverrides};
use crate::store::{
    Evaluation, Expected, Missed, NewDeployment, Overlap, Retries, Run, RunState, ScheduleEntry,
    ScheduleKey, ScheduleSettings, Store, Trigger,
};

const START_MS: u64 = 1_774_656_000_000; // 28 March 2026, the day before clocks change in Europe
const PATIENCE: Duration = Duration::from_secs(60);

/// A clock that the test moves.
#[derive(Clone)]
struct Hands(Arc<AtomicU64>);

impl Hands {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn set(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }
}

/// An attempt that waits until the test says how it ends.
struct Held {
    job: Job,
    end: oneshot::Sender<Ended>,
}

/// Holds every attempt.
#[derive(Clone, Default)]
struct Holding {
    held: Arc<Mutex<Vec<Held>>>,
    begun: Arc<Mutex<Vec<Job>>>,
}

impl Runner for Holding {
    fn run(&self, job: Job) -> BoxFuture<'static, Ended> {
        let (end, ended) = oneshot::channel();
        self.begun.lock().unwrap().push(job.clone());
        self.held.lock().unwrap().push(Held { job, end });
        // A test that lets go of it has killed the process.
        async move { ended.await.unwrap_or(Ended::Refused) }.boxed()
    }
}

/// One life of the server's process.
struct Process {
    runtime: Option<Runtime>,
    store: Option<Arc<Store>>,
    schedules: Schedules,
    runner: Holding,
}

impl Process {
    fn start(folder: &Path, hands: &Hands, room: usize) -> Self {
        let of_clock = hands.clone();
        let clock: crate::store::Clock = Arc::new(move || of_clock.now_ms());
        let path = folder.join("data.redb");
        let store = Arc::new(Store::open_with_clock(&path, Arc::clone(&clock)).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let runner = Holding::default();
        let concurrency = Concurrency {
            total: room,
            per_tenant: room,
        };
        let schedules = Schedules::new(&store, Arc::new(runner.clone()), clock, concurrency);
        let process = Self {
            runtime: Some(runtime),
            store: Some(store),
            schedules: schedules.unwrap(),
            runner,
        };
        process.run(process.schedules.recover());
        process
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(work)
    }

    /// Lets its tasks go on for a moment.
    fn pause(&self) {
        self.run(async { tokio::time::sleep(Duration::from_millis(1)).await });
    }

    fn turn(&self) {
        self.run(self.schedules.turn());
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn deploy(&self, name: &str) {
        let new = NewDeployment {
            id: DeploymentId::new(clock::now_ms()),
            tenant: tenant(),
            function: name.parse().unwrap(),
            created_ms: 0,
            entry: "index.js".to_owned(),
            env: BTreeMap::new(),
            kind: Kind::Request,
            secrets: BTreeMap::new(),
            requires_key: false,
            limits: LimitOverrides::default(),
            route: None,
            evaluation: Evaluation::Snapshot,
            files: 1,
            source_bytes: 1,
            snapshot_bytes: 1,
            digest: String::new(),
            files_digest: String::new(),
            activate: true,
            expected: Expected::default(),
            base: None,
        };
        let functions = self.store().functions();
        self.run(functions.deploy(new, Bytes::new())).unwrap();
    }

    fn put(&self, key: &ScheduleKey, settings: ScheduleSettings) -> ScheduleEntry {
        let put = self
            .schedules
            .put(key.clone(), settings, Expected::default());
        self.run(put).unwrap().0.entry
    }

    fn entry(&self, key: &ScheduleKey) -> ScheduleEntry {
        self.store().schedules().get(key).unwrap()
    }

    fn history(&self, key: &ScheduleKey) -> Vec<Run> {
        let mut runs = self.store().schedules().runs(key, None, 1000).unwrap();
        runs.reverse();
        runs
    }

    /// How many attempts of a schedule the test holds.
    fn held(&self, key: &ScheduleKey) -> usize {
        let held = self.runner.held.lock().unwrap();
        held.iter().filter(|held| key_of(&held.job) == *key).count()
    }

    /// Lets the attempt that was begun first end.
    fn release(&self, ended: Ended) -> Job {
        let held = self.runner.held.lock().unwrap().remove(0);
        held.end.send(ended).unwrap();
        held.job
    }

    /// Waits until nothing goes on by itself any more: every run that is not over is held by the
    /// test, waits for its next attempt, or waits for such a one.
    fn settle(&self, keys: &BTreeSet<ScheduleKey>) {
        let now_ms = (self.schedules.shared.clock)();
        let may_retry = |run: &Run| run.next_attempt_ms.is_none_or(|at_ms| at_ms > now_ms);
        let until = clock::monotonic() + PATIENCE;
        while !keys.iter().all(|key| self.is_settled(key, &may_retry)) {
            assert!(clock::monotonic() < until, "it does not come to rest");
            // An attempt that ended after the last turn may have left one that is due already.
            self.turn();
            self.pause();
        }
    }

    fn settle_but_for(&self, keys: &BTreeSet<ScheduleKey>, may_retry: impl Fn(&Run) -> bool) {
        let until = clock::monotonic() + PATIENCE;
        while !keys.iter().all(|key| self.is_settled(key, &may_retry)) {
            assert!(clock::monotonic() < until, "it does not come to rest");
            self.pause();
        }
    }

    fn is_settled(&self, key: &ScheduleKey, may_retry: &impl Fn(&Run) -> bool) -> bool {
        let shared = &self.schedules.shared;
        let (active, waiting) = shared.agenda().active_and_waiting_of(key);
        let held = self.held(key);
        let runs = self.history(key);
        let count = |state| runs.iter().filter(|run| run.state == state).count();
        let mut retrying = runs.iter().filter(|run| run.state == RunState::Retrying);
        // What is over in the store is so in the agenda a moment later, and only then for the next
        // tick.
        count(RunState::Running) == held
            && held + count(RunState::Retrying) == active
            && count(RunState::Queued) == waiting
            && retrying.all(may_retry)
    }

    /// Ends the process at once: nobody finishes anything.
    fn kill(mut self) {
        self.runner
            .held
            .lock()
            .unwrap()
            .drain(..)
            .for_each(std::mem::forget);
        self.runtime.take().unwrap().shutdown_background();
        let store = self.store.take().unwrap();
        store.close();
    }
}

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

fn key(function: &str, name: &str) -> ScheduleKey {
    ScheduleKey {
        tenant: tenant(),
        function: function.parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

fn key_of(job: &Job) -> ScheduleKey {
    ScheduleKey {
        tenant: job.tenant.clone(),
        function: job.function.clone(),
        name: job.name.clone(),
    }
}

fn settings(cron: &str) -> ScheduleSettings {
    ScheduleSettings {
        cron: cron.to_owned(),
        time_zone: "UTC".to_owned(),
        enabled: true,
        path: "/".to_owned(),
        payload: None,
        missed: Missed::Skip,
        overlap: Overlap::Skip,
        retries: Retries {
            max: 0,
            initial_ms: 1000,
            max_ms: 8000,
        },
    }
}

/// A process with one function, `f`, and its clock.
fn one() -> (TempDir, Hands, Process) {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands(Arc::new(AtomicU64::new(START_MS)));
    let process = Process::start(folder.path(), &hands, 64);
    process.deploy("f");
    (folder, hands, process)
}

fn states(process: &Process, key: &ScheduleKey) -> Vec<RunState> {
    process.history(key).iter().map(|run| run.state).collect()
}

const OK: Ended = Ended::Answered { status: Some(200) };

#[test]
fn a_failed_run_is_tried_again_with_longer_and_longer_pauses() {
    let (_folder, hands, process) = one();
    let (key, keys) = (key("f", "s"), BTreeSet::from([key("f", "s")]));
    let mut wanted = settings("0 * * * *");
    wanted.retries.max = 5;
    process.put(&key, wanted);
    hands.set(START_MS + 3_600_000);
    let mut pauses = Vec::new();
    for attempt in 1..=6 {
        process.turn();
        process.settle(&keys);
        let failed = Ended::Answered { status: Some(500) };
        assert_eq!(process.release(failed).attempt, attempt);
        process.settle(&keys);
        let run = process.history(&key).remove(0);
        assert_eq!((run.attempt, run.status), (attempt, Some(500)));
        if let Some(at_ms) = run.next_attempt_ms {
            pauses.push(at_ms - hands.now_ms());
            // Not a moment earlier.
            hands.set(at_ms - 1);
            process.turn();
            assert_eq!(process.held(&key), 0);
            hands.set(at_ms);
        }
    }
    assert_eq!(pauses, [1000, 2000, 4000, 8000, 8000]);
    assert_eq!(states(&process, &key), [RunState::Failed]);
    // A failing job is not due again before its next tick.
    process.turn();
    assert_eq!(process.runner.begun.lock().unwrap().len(), 6);
    process.kill();
}

#[test]
fn an_attempt_that_is_cut_off_counts_and_is_followed_by_another_if_there_may_be_one() {
    let (folder, hands, process) = one();
    let (once, twice) = (key("f", "once"), key("f", "twice"));
    let keys = BTreeSet::from([once.clone(), twice.clone()]);
    process.put(&once, settings("0 * * * *"));
    let mut wanted = settings("0 * * * *");
    wanted.retries.max = 1;
    process.put(&twice, wanted);
    hands.set(START_MS + 3_600_000);
    process.turn();
    process.settle(&keys);
    assert_eq!((process.held(&once), process.held(&twice)), (1, 1));
    process.kill();
    let process = Process::start(folder.path(), &hands, 64);
    process.turn();
    process.settle(&keys);
    assert_eq!(states(&process, &once), [RunState::Interrupted]);
    assert_eq!(states(&process, &twice), [RunState::Retrying]);
    hands.set(hands.now_ms() + 1000);
    process.turn();
    process.settle(&keys);
    assert_eq!(process.release(OK).attempt, 2);
    process.settle(&keys);
    assert_eq!(states(&process, &twice), [RunState::Succeeded]);
    assert_eq!(states(&process, &once), [RunState::Interrupted]);
    process.kill();
}

#[test]
fn overlapping_ticks_are_passed_over_run_or_wait_as_the_schedule_says() {
    let (_folder, hands, process) = one();
    let names = ["skip", "allow", "queue"];
    let keys: BTreeSet<_> = names.map(|name| key("f", name)).into();
    for (name, overlap) in names
        .into_iter()
        .zip([Overlap::Skip, Overlap::Allow, Overlap::QueueOne])
    {
        let mut wanted = settings("* * * * *");
        wanted.overlap = overlap;
        process.put(&key("f", name), wanted);
    }
    for _ in 0..12 {
        hands.set(hands.now_ms() + 60_000);
        process.turn();
        process.settle(&keys);
    }
    assert_eq!(process.held(&key("f", "skip")), 1);
    assert_eq!(
        process.held(&key("f", "allow")),
        limits::SCHEDULE_OVERLAP_MAX
    );
    assert_eq!(process.held(&key("f", "queue")), 1);
    let queue = states(&process, &key("f", "queue"));
    let count = |state| queue.iter().filter(|it| **it == state).count();
    assert_eq!((count(RunState::Queued), count(RunState::Skipped)), (1, 10));
    // By hand, the same room is there.
    for (name, starts) in [("skip", false), ("allow", false), ("queue", false)] {
        let run = process.run(process.schedules.run_now(key("f", name)));
        assert_eq!(run.is_ok(), starts, "{name}");
        assert!(run.is_err_and(|error| error.code == Code::ScheduleBusy));
    }
    // Between two runs there is a moment in which none is held.
    let is_over = |process: &Process| {
        let queue = states(process, &key("f", "queue"));
        queue.iter().all(|state| state.is_over())
    };
    while !is_over(&process) {
        if process.held(&key("f", "queue")) > 0 {
            process.release(OK);
        }
        process.settle(&keys);
    }
    let queue = states(&process, &key("f", "queue"));
    assert!(queue.iter().all(|state| state.is_over()), "{queue:?}");
    process.kill();
}

#[test]
fn a_herd_runs_within_its_room_and_none_of_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands(Arc::new(AtomicU64::new(START_MS)));
    let process = Process::start(folder.path(), &hands, 8);
    let mut keys = BTreeSet::new();
    for function in 0..4 {
        let function = format!("f{function}");
        process.deploy(&function);
        for number in 0..75 {
            let key = key(&function, &format!("s{number}"));
            process.put(&key, settings("* * * * *"));
            keys.insert(key);
        }
    }
    hands.set(START_MS + 60_000);
    process.turn();
    let mut ran = 0;
    let until = clock::monotonic() + PATIENCE;
    while ran < keys.len() {
        let held = process.runner.held.lock().unwrap().len();
        // Half of the room: the other half is for requests.
        assert!(held <= 4, "{held}");
        if held > 0 {
            process.release(OK);
            ran += 1;
        } else {
            assert!(clock::monotonic() < until, "only {ran} ran");
            process.pause();
        }
    }
    process.settle(&keys);
    for key in &keys {
        assert_eq!(states(&process, key), [RunState::Succeeded]);
    }
    process.kill();
}

#[test]
fn what_is_deleted_never_runs_again_even_under_the_same_name() {
    let (_folder, hands, process) = one();
    let (key, keys) = (key("f", "s"), BTreeSet::from([key("f", "s")]));
    process.put(&key, settings("* * * * *"));
    hands.set(START_MS + 60_000);
    process.turn();
    process.settle(&keys);
    // With its function, behind the scheduler's back; and made again before it notices.
    let functions = process.store().functions();
    let name: FunctionName = "f".parse().unwrap();
    process
        .run(functions.delete_function(&tenant(), &name, Expected::default()))
        .unwrap();
    process.deploy("f");
    process.put(&key, settings("0 * * * *"));
    process.release(OK);
    hands.set(START_MS + 120_000);
    process.turn();
    assert_eq!(process.history(&key), []);
    assert_eq!(process.entry(&key).progress.unfinished, [0; 0]);
    process
        .run(process.schedules.delete(key.clone(), Expected::default()))
        .unwrap();
    hands.set(START_MS + 3_600_000);
    process.turn();
    assert_eq!(process.runner.begun.lock().unwrap().len(), 1);
    process.kill();
}

#[test]
fn the_history_is_bounded() {
    let (_folder, hands, process) = one();
    let (key, keys) = (key("f", "s"), BTreeSet::from([key("f", "s")]));
    process.put(&key, settings("* * * * *"));
    for _ in 0..limits::SCHEDULE_RUNS_KEPT + 20 {
        hands.set(hands.now_ms() + 60_000);
        process.turn();
    }
    process.settle(&keys);
    // The first one still runs, and stays for that.
    let runs = process.history(&key);
    assert_eq!(runs.len(), limits::SCHEDULE_RUNS_KEPT);
    assert_eq!((runs[0].number, runs[0].state), (1, RunState::Running));
    assert_eq!(runs[1].number, 22);
    process.kill();
}

/// What the model knows of a schedule.
struct Known {
    settings: ScheduleSettings,
    decided_ms: u64,
    /// Grows when the clock goes back so far that ticks are lived twice.
    era: u32,
    /// The due times of its runs, with what each stands for.
    ticks: BTreeMap<u64, (u64, u64)>,
}

/// The model test's state.
struct World {
    random: StdRng,
    hands: Hands,
    folder: TempDir,
    process: Process,
    known: HashMap<ScheduleKey, Known>,
    /// Attempts begun: schedule, era, run, attempt.
    begun: BTreeSet<(ScheduleKey, u32, u64, u64, u32)>,
    /// Number of the schedule's making, because names are used again.
    made: HashMap<ScheduleKey, u64>,
}

impl World {
    fn keys(&self) -> BTreeSet<ScheduleKey> {
        self.known.keys().cloned().collect()
    }

    fn random_settings(&mut self) -> ScheduleSettings {
        let random = &mut self.random;
        let crons = [
            "*/10 * * * * *",
            "* * * * *",
            "*/7 * * * *",
            "30 2 * * *",
            "0 */2 * * *",
        ];
        let zones = ["UTC", "Europe/Berlin", "America/New_York"];
        let missed = [
            Missed::Skip,
            Missed::RunOnce {
                late_ms_max: 600_000,
            },
            Missed::RunOnce {
                late_ms_max: 86_400_000,
            },
        ];
        let overlaps = [Overlap::Skip, Overlap::Allow, Overlap::QueueOne];
        ScheduleSettings {
            time_zone: zones[random.random_range(0..3)].to_owned(),
            enabled: random.random_bool(0.85),
            missed: missed[random.random_range(0..3)],
            overlap: overlaps[random.random_range(0..3)],
            retries: Retries {
                max: random.random_range(0..3),
                initial_ms: 1000,
                max_ms: 60_000,
            },
            ..settings(crons[random.random_range(0..5)])
        }
    }

    /// One random thing happens; then everything is compared.
    fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..=9 => self.edit(),
            10..=12 => self.delete(),
            13..=17 => self.run_now(),
            18..=44 => self.release(),
            45..=49 => self.kill(),
            50..=53 => self.set_back(),
            _ => self.advance(),
        }
        self.process.settle(&self.keys());
        self.note_attempts();
    }

    fn edit(&mut self) {
        let number = self.random.random_range(0..5);
        let key = key("f", &format!("s{number}"));
        let wanted = self.random_settings();
        let entry = self.process.put(&key, wanted.clone());
        let now_ms = self.hands.now_ms();
        let made = &mut self.made;
        let known = self.known.entry(key.clone()).or_insert_with(|| {
            *made.entry(key.clone()).or_default() += 1;
            Known {
                settings: ScheduleSettings {
                    enabled: false,
                    ..wanted.clone()
                },
                decided_ms: now_ms,
                era: 0,
                ticks: BTreeMap::new(),
            }
        });
        let before = &known.settings;
        let same = before.cron == wanted.cron && before.time_zone == wanted.time_zone;
        if !same || !before.enabled {
            known.decided_ms = now_ms;
            known.ticks.clear();
        }
        known.settings = wanted;
        assert_eq!(entry.progress.decided_ms, known.decided_ms);
    }

    fn delete(&mut self) {
        let Some(key) = self.known.keys().choose(&mut self.random).cloned() else {
            return;
        };
        self.process
            .run(
                self.process
                    .schedules
                    .delete(key.clone(), Expected::default()),
            )
            .unwrap();
        self.known.remove(&key);
        // What it still runs ends unnoticed.
        let mut held = self.process.runner.held.lock().unwrap();
        held.retain(|held| key_of(&held.job) != key);
    }

    fn run_now(&mut self) {
        if let Some(key) = self.known.keys().choose(&mut self.random).cloned() {
            // Refused or not: what it may start is looked at with everything else.
            let _ = self.process.run(self.process.schedules.run_now(key));
        }
    }

    fn release(&mut self) {
        if self.process.runner.held.lock().unwrap().is_empty() {
            return;
        }
        let ended = match self.random.random_range(0..3) {
            0 => OK,
            1 => Ended::Answered { status: Some(503) },
            _ => Ended::Failed {
                status: None,
                code: Code::WallExceeded,
            },
        };
        self.process.release(ended);
    }

    fn set_back(&mut self) {
        let back = [1_000, 600_000, 3_500_000, 10_000_000, 200_000_000];
        let back_ms = back[self.random.random_range(0..back.len())];
        let now_ms = self.hands.now_ms() - back_ms;
        self.hands.set(now_ms);
        for known in self.known.values_mut() {
            if known.decided_ms > now_ms + limits::SCHEDULE_CLOCK_BACK_MS {
                known.decided_ms = now_ms;
                known.era += 1;
                known.ticks.clear();
            }
        }
        self.turn_and_compare();
    }

    fn advance(&mut self) {
        let ahead = [
            1_000,
            9_000,
            50_000,
            60_000,
            400_000,
            4_000_000,
            90_000_000,
            900_000_000,
        ];
        let most = if self.random.random_bool(0.9) { 6 } else { 8 };
        let ahead_ms = ahead[self.random.random_range(0..most)];
        self.hands.set(self.hands.now_ms() + ahead_ms);
        self.turn_and_compare();
    }

    /// What a turn has to do with the ticks of a schedule, from how things stand.
    fn expected(&self, key: &ScheduleKey) -> Option<(u64, u64, RunState)> {
        let (known, now_ms) = (&self.known[key], self.hands.now_ms());
        if !known.settings.enabled {
            return None;
        }
        let timetable = Timetable::parse(&known.settings.cron, &known.settings.time_zone).unwrap();
        let due: Vec<u64> = timetable
            .ticks_after(known.decided_ms)
            .take_while(|tick_ms| *tick_ms <= now_ms)
            .take(200_000)
            .collect();
        let (latest, count) = (*due.last()?, u64::try_from(due.len()).unwrap());
        let missed = (count - 1).min(1000);
        if now_ms - latest > limits::SCHEDULE_LATE_MS_MAX {
            return Some((due[0], missed, RunState::Missed));
        }
        let runs = self.process.history(key);
        let unfinished = runs.iter().filter(|run| !run.state.is_over()).count();
        let waits = runs
            .iter()
            .filter(|run| run.state == RunState::Queued)
            .count();
        let state = match known.settings.overlap {
            _ if is_too_late(known.settings.missed, latest, now_ms) => RunState::Missed,
            _ if unfinished == 0 => RunState::Running,
            Overlap::Allow if unfinished < limits::SCHEDULE_OVERLAP_MAX => RunState::Running,
            Overlap::QueueOne if waits == 0 => RunState::Queued,
            Overlap::Skip | Overlap::Allow | Overlap::QueueOne => RunState::Skipped,
        };
        Some((latest, missed, state))
    }

    fn turn_and_compare(&mut self) {
        let keys = self.keys();
        let expected: BTreeMap<_, _> = keys.iter().map(|key| (key, self.expected(key))).collect();
        let before: HashMap<_, _> = keys
            .iter()
            .map(|key| (key, self.process.entry(key).progress.next_run))
            .collect();
        self.process.turn();
        self.process.settle(&keys);
        for (key, expected) in expected {
            let new = self.process.history(key).into_iter();
            let new: Vec<Run> = new.filter(|run| run.number >= before[key]).collect();
            let found: Vec<_> = new
                .iter()
                .map(|run| (run.due_ms, run.missed, run.state))
                .collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{key:?}");
            let known = self.known.get_mut(key).unwrap();
            let decided_ms = self.process.entry(key).progress.decided_ms;
            if let Some((due_ms, missed, _)) = expected {
                assert!(decided_ms >= due_ms);
                let twice = known.ticks.insert(due_ms, (known.decided_ms, missed));
                assert_eq!(twice, None, "{key:?}: {due_ms} was decided twice");
                known.decided_ms = decided_ms;
            }
            assert_eq!(decided_ms, known.decided_ms, "{key:?}");
        }
    }

    /// The process ends in the middle of a turn, and another one goes on.
    fn kill(&mut self) {
        let mut expected = HashMap::new();
        if self.random.random_bool(0.5) {
            self.hands.set(self.hands.now_ms() + 61_000);
            for key in self.keys() {
                expected.insert(key.clone(), self.expected(&key));
            }
            self.process.turn();
        }
        let next = self.random.random_range(0..3) * 40_000;
        self.note_attempts();
        let before = self.keys().into_iter().map(|key| {
            let entry = self.process.entry(&key);
            (key, entry.progress.decided_ms)
        });
        let before: HashMap<_, _> = before.collect();
        let runner = self.process.runner.clone();
        self.hands.set(self.hands.now_ms() + next);
        self.process.replace(self.folder.path(), &self.hands);
        self.process.settle_but_for(&self.keys(), |_| true);
        // What began between the last look and the end.
        self.note(runner.begun.lock().unwrap().drain(..).collect());
        for (key, decided_ms) in before {
            let entry = self.process.entry(&key);
            // Acknowledged is acknowledged.
            assert_eq!(entry.progress.decided_ms, decided_ms, "{key:?}");
            let known = self.known.get_mut(&key).unwrap();
            if let Some(Some((due_ms, missed, _))) = expected.get(&key) {
                known.ticks.insert(*due_ms, (known.decided_ms, *missed));
            }
            known.decided_ms = decided_ms;
        }
        self.turn_and_compare();
    }

    fn note_attempts(&mut self) {
        let begun = self
            .process
            .runner
            .begun
            .lock()
            .unwrap()
            .drain(..)
            .collect();
        self.note(begun);
    }

    /// No attempt may begin twice, whatever happens in between.
    fn note(&mut self, begun: Vec<Job>) {
        for job in begun {
            let key = key_of(&job);
            let era = self.known.get(&key).map_or(u32::MAX, |known| known.era);
            if era == u32::MAX {
                continue;
            }
            let runs = self.process.history(&key);
            let invocation = job.invocation.to_string();
            let run = runs
                .iter()
                .find(|run| run.invocation.as_deref() == Some(&invocation));
            let number = run.map_or(0, |run| run.number);
            let made = self.made[&key];
            if number > 0 {
                let attempt = (key.clone(), era, made, number, job.attempt);
                assert!(self.begun.insert(attempt), "{job:?} began twice");
            }
            let of_tick = run.is_some_and(|run| run.trigger == Trigger::Tick);
            assert!(!of_tick || job.due_ms % 1000 == 0, "{job:?}");
        }
    }
}

impl Process {
    /// Kills it and starts the next one in its place.
    fn replace(&mut self, folder: &Path, hands: &Hands) {
        self.runner
            .held
            .lock()
            .unwrap()
            .drain(..)
            .for_each(std::mem::forget);
        self.runtime.take().unwrap().shutdown_background();
        self.store.take().unwrap().close();
        *self = Process::start(folder, hands, 1000);
    }
}

#[test]
fn every_tick_is_decided_once_whatever_happens() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    let steps = std::env::var("STEPS").map_or(300, |text| text.parse().unwrap());
    println!("SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands(Arc::new(AtomicU64::new(START_MS)));
    let process = Process::start(folder.path(), &hands, 1000);
    process.deploy("f");
    let mut world = World {
        random: StdRng::seed_from_u64(seed),
        hands,
        folder,
        process,
        known: HashMap::new(),
        begun: BTreeSet::new(),
        made: HashMap::new(),
    };
    for step in 0..steps {
        println!("step {step}");
        world.step();
    }
    assert!(world.begun.len() > 10, "hardly anything ran");
    world.process.kill();
}
