//! What waits for the writer: commands and log lines, each bounded, behind one lock.
//!
//! One lock rather than two channels, because the writer takes everything that waits in one go
//! and sleeps until the first of a command, a due log line or its own next tick.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::logs::Record;
use super::schema::Tables;
use super::{Error, Fault};
use crate::{clock, limits};

/// Most bytes that may wait in commands; one command alone may be larger.
const QUEUE_BYTES_MAX: usize = 256 << 20;
/// Most bytes of commands in one transaction; the command that crosses it is still taken.
const BATCH_BYTES_MAX: usize = 32 << 20;
/// Most bytes that may wait in log lines.
const LOG_QUEUE_BYTES_MAX: usize = 32 << 20;
/// Longest time that commands wait for those who were just answered to come back, and the part of the
/// last transaction's time that it may be: a sync of the disk is dear, and shared by all who are there.
const GATHER_DELAY_MAX: Duration = Duration::from_micros(500);
const GATHER_PART: u32 = 2;
/// Most transactions in a row that wait for nobody, because nobody came.
const GATHER_PAUSE_MAX: u32 = 64;
/// Longest time that a log line waits for a transaction to ride along in.
const LOG_DELAY: Duration = Duration::from_millis(250);
/// Waiting log lines that are stored without waiting for [`LOG_DELAY`].
const LOG_LINES_EAGER: usize = limits::LOG_QUEUE_LEN / 4;
/// Log lines that ride along in a transaction with commands: few, so they delay no one.
const LOG_LINES_RIDING: usize = 256;
/// Log lines and records after which the writer lets others have its processor for a moment: some 50 µs
/// of work. Thousands of them together would keep a thread that serves requests off it for a
/// tick of the kernel's scheduler, which is 4 ms, again and again.
const LOG_LINES_PACE: usize = 32;
/// Log lines in a transaction of their own.
const LOG_LINES_ALONE: usize = 4096;

/// One write: runs inside the transaction, answers after it.
pub(super) trait Command: Send {
    /// Evaluates and applies the write. A refusal is kept for the answer and is not an `Err`;
    /// `Err` means that the store failed, and ends the whole transaction.
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), Fault>;

    /// Answers the caller: `Ok` once the transaction is durable, else why it is not.
    fn finish(self: Box<Self>, committed: Result<(), Arc<Fault>>);
}

/// What one turn of the writer has to do.
#[derive(Default)]
pub(super) struct Work {
    /// In the order they were pushed.
    pub(super) commands: Vec<Box<dyn Command>>,
    /// In the order they were appended.
    pub(super) logs: Vec<Record>,
    /// Nothing waits and nothing will: the writer ends.
    pub(super) stop: bool,
}

#[derive(Default)]
struct Waiting {
    commands: VecDeque<(Box<dyn Command>, usize)>,
    command_bytes: usize,
    gathering: Option<Gathering>,
    /// Transactions that wait for nobody: how many of them are left, and how many there were.
    gather_pause: (u32, u32),
    /// The writer sleeps, and wants to be told.
    asleep: bool,
    logs: VecDeque<Record>,
    log_bytes: usize,
    /// When the oldest waiting log line came.
    logs_since: Option<Instant>,
    /// Log lines ever taken in, and of those how many the writer is done with.
    logs_accepted: u64,
    logs_done: u64,
    logs_dropped: u64,
    /// Callers who wait until `logs_done` reaches a count.
    flushes: Vec<(u64, oneshot::Sender<()>)>,
    /// Someone wants the writer to look around now.
    nudged: bool,
    closed: bool,
}

/// A wait for commands of those who were just answered, and probably write again.
#[derive(Clone, Copy)]
struct Gathering {
    expected: usize,
    until: Instant,
}

/// The bounded queue between callers and the writer thread.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that runs under the lock can panic half-way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a command that holds about `bytes`.
    ///
    /// # Errors
    /// [`Error::Busy`] when the queue is full, [`Error::Closed`] after [`Queue::close`].
    pub(super) fn push(&self, command: Box<dyn Command>, bytes: usize) -> Result<(), Error> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Error::Closed);
        }
        let bytes_after = waiting.command_bytes.saturating_add(bytes);
        let too_many_bytes = !waiting.commands.is_empty() && bytes_after > QUEUE_BYTES_MAX;
        if waiting.commands.len() >= limits::KV_QUEUE_LEN || too_many_bytes {
            return Err(Error::Busy);
        }
        waiting.command_bytes = bytes_after;
        waiting.commands.push_back((command, bytes));
        let all_here = |gathering: Gathering| waiting.commands.len() >= gathering.expected;
        if waiting.gathering.is_none_or(all_here) {
            self.wake(&mut waiting);
        }
        Ok(())
    }

    /// Wakes the writer, if it sleeps: telling it costs a system call.
    fn wake(&self, waiting: &mut Waiting) {
        if std::mem::take(&mut waiting.asleep) {
            self.changed.notify_one();
        }
    }

    /// Notes that so many commands are about to be answered, after a transaction that took so long.
    /// The next waits a moment for them to come back: otherwise those who write again at once, and
    /// those who waited meanwhile, would take turns for ever, each with a sync of their own.
    pub(super) fn answering(&self, commands: usize, took: Duration) {
        let mut waiting = self.lock();
        if commands < 2 {
            return;
        }
        if waiting.gather_pause.0 > 0 {
            waiting.gather_pause.0 -= 1;
            return;
        }
        waiting.gathering = Some(Gathering {
            expected: waiting.commands.len() + commands,
            until: clock::monotonic() + (took / GATHER_PART).min(GATHER_DELAY_MAX),
        });
    }

    /// Queues log lines, as many as fit; the others are dropped and counted. A list, so that nothing is
    /// packed under the lock.
    pub(super) fn append(&self, records: Vec<Record>) {
        let mut waiting = self.lock();
        let was_empty = waiting.logs.is_empty();
        for record in records {
            let bytes_after = waiting.log_bytes + record.bytes();
            let full = waiting.logs.len() >= limits::LOG_QUEUE_LEN
                || bytes_after > LOG_QUEUE_BYTES_MAX
                || waiting.closed;
            if full {
                waiting.logs_dropped += 1;
                continue;
            }
            waiting.log_bytes = bytes_after;
            waiting.logs_accepted += 1;
            waiting.logs.push_back(record);
        }
        if was_empty && !waiting.logs.is_empty() {
            waiting.logs_since = Some(clock::monotonic());
        }
        if was_empty || waiting.logs.len() >= LOG_LINES_EAGER {
            self.wake(&mut waiting);
        }
    }

    /// Waits until there is work, the queue is closed or `tick_at` has come, and takes it.
    pub(super) fn take(&self, tick_at: Instant) -> Work {
        let mut waiting = self.lock();
        loop {
            let now = clock::monotonic();
            let gathers_until = waiting.gathers_until(now);
            let logs_due_at = waiting.logs_due_at(now);
            let logs_due = logs_due_at.is_some_and(|due| due <= now);
            let commands_due = !waiting.commands.is_empty() && gathers_until.is_none();
            let wanted = commands_due || waiting.nudged || waiting.closed;
            if wanted || logs_due || tick_at <= now {
                return waiting.take_batch();
            }
            let wake_at = [logs_due_at, gathers_until].into_iter().flatten();
            let wake_at = wake_at.fold(tick_at, Instant::min);
            waiting.asleep = true;
            (waiting, _) = self
                .changed
                .wait_timeout(waiting, wake_at.saturating_duration_since(now))
                .unwrap_or_else(PoisonError::into_inner);
            waiting.asleep = false;
        }
    }

    /// Notes that the writer is done with `lines` log lines, of which `lost` were not stored.
    pub(super) fn logs_done(&self, lines: u64, lost: u64) {
        let mut waiting = self.lock();
        waiting.logs_done += lines;
        waiting.logs_dropped += lost;
        let done = waiting.logs_done;
        for (target, reply) in std::mem::take(&mut waiting.flushes) {
            if target <= done {
                // A caller who has gone away needs no answer.
                let _ = reply.send(());
            } else {
                waiting.flushes.push((target, reply));
            }
        }
    }

    /// Answers once every log line appended so far is stored or dropped.
    pub(super) fn flush_logs(&self) -> oneshot::Receiver<()> {
        let (reply, answer) = oneshot::channel();
        let mut waiting = self.lock();
        let target = waiting.logs_accepted;
        if waiting.logs_done >= target {
            // The receiver is held right here.
            let _ = reply.send(());
        } else {
            waiting.flushes.push((target, reply));
            self.wake(&mut waiting);
        }
        answer
    }

    /// How many commands, and how many log lines and records wait.
    pub(super) fn len(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.commands.len(), waiting.logs.len())
    }

    /// Log lines dropped since the store was opened.
    pub(super) fn logs_dropped(&self) -> u64 {
        self.lock().logs_dropped
    }

    /// Makes the writer look around now.
    pub(super) fn nudge(&self) {
        let mut waiting = self.lock();
        waiting.nudged = true;
        self.wake(&mut waiting);
    }

    /// Refuses everything new; what waits is still written.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        self.wake(&mut waiting);
    }

    /// Closes and lets go of everything that waits: there is no writer any more.
    pub(super) fn abandon(&self) {
        let mut waiting = self.lock();
        let abandoned = std::mem::take(&mut *waiting);
        waiting.closed = true;
        waiting.logs_dropped = abandoned.logs_dropped;
        drop(waiting);
        // Here, outside the lock, every caller who still waits is told so by its lost answer.
        drop(abandoned);
    }

    /// Whether [`Queue::close`] was called.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

/// Keeps what nobody waits for, the log, from getting in the way of what somebody does.
#[derive(Default)]
pub(super) struct Pace<'q> {
    /// Where a command may come to wait; `None` in a transaction that has commands.
    queue: Option<&'q Queue>,
    steps: usize,
}

impl<'q> Pace<'q> {
    /// The pace of a transaction.
    pub(super) fn of(work: &Work, queue: &'q Queue) -> Self {
        Self {
            queue: work.commands.is_empty().then_some(queue),
            steps: 0,
        }
    }

    /// Before a line or a record is stored.
    pub(super) fn step(&mut self) {
        self.steps += 1;
        if self.is_time() {
            std::thread::yield_now();
        }
    }

    /// Whether to let others have the processor: not while a command waits for this transaction.
    fn is_time(&self) -> bool {
        let unhurried = |queue: &Queue| queue.lock().commands.is_empty();
        self.steps.is_multiple_of(LOG_LINES_PACE) && self.queue.is_some_and(unhurried)
    }
}

impl Waiting {
    /// When a wait for commands ends; `None` if there is none, or it is over.
    fn gathers_until(&mut self, now: Instant) -> Option<Instant> {
        let Gathering { expected, until } = self.gathering?;
        let came = self.commands.len();
        if came < expected && now < until {
            return Some(until);
        }
        self.gathering = None;
        if came >= expected / 2 {
            self.gather_pause = (0, 0);
        } else {
            let pause = (2 * self.gather_pause.1 + 1).min(GATHER_PAUSE_MAX);
            self.gather_pause = (pause, pause);
        }
        None
    }

    fn logs_due_at(&self, now: Instant) -> Option<Instant> {
        let since = self.logs_since?;
        let at_once = self.logs.len() >= LOG_LINES_EAGER || !self.flushes.is_empty();
        Some(if at_once { now } else { since + LOG_DELAY })
    }

    fn take_batch(&mut self) -> Work {
        self.nudged = false;
        let mut work = Work::default();
        let mut bytes_taken = 0;
        while bytes_taken < BATCH_BYTES_MAX {
            let Some((command, bytes)) = self.commands.pop_front() else {
                break;
            };
            bytes_taken += bytes;
            work.commands.push(command);
        }
        self.command_bytes = self.command_bytes.saturating_sub(bytes_taken);
        let lines_max = if work.commands.is_empty() {
            LOG_LINES_ALONE
        } else {
            LOG_LINES_RIDING
        };
        let lines = lines_max.min(self.logs.len());
        work.logs = self.logs.drain(..lines).collect();
        self.log_bytes -= work.logs.iter().map(Record::bytes).sum::<usize>();
        if self.logs.is_empty() {
            self.logs_since = None;
        }
        let empty = work.commands.is_empty() && work.logs.is_empty();
        work.stop = self.closed && empty && self.commands.is_empty();
        work
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Command for Nothing {
        fn run(&mut self, _tables: &mut Tables<'_>) -> Result<(), Fault> {
            Ok(())
        }

        fn finish(self: Box<Self>, _committed: Result<(), Arc<Fault>>) {}
    }

    const LONG: Duration = Duration::from_secs(1);

    fn push(queue: &Queue, commands: usize) {
        for _ in 0..commands {
            queue.push(Box::new(Nothing), 1).unwrap();
        }
    }

    fn gathers(queue: &Queue) -> bool {
        queue.lock().gathers_until(clock::monotonic()).is_some()
    }

    #[test]
    fn those_who_were_answered_and_those_who_waited_share_the_next_transaction() {
        let queue = Queue::default();
        let far = clock::monotonic() + 60 * LONG;
        push(&queue, 3);
        assert_eq!(queue.take(far).commands.len(), 3);
        // Two came meanwhile; the three come back.
        push(&queue, 2);
        queue.answering(3, LONG);
        assert_eq!(queue.lock().gathering.map(|all| all.expected), Some(5));
        push(&queue, 3);
        assert!(!gathers(&queue));
        assert_eq!(queue.take(far).commands.len(), 5);
    }

    #[test]
    fn the_log_gives_way_unless_a_command_waits() {
        let queue = Queue::default();
        let far = clock::monotonic() + 60 * LONG;
        let gives_way = |work: &Work| {
            let mut pace = Pace::of(work, &queue);
            let steps = (0..2 * LOG_LINES_PACE).filter(|_| {
                pace.step();
                pace.is_time()
            });
            steps.count()
        };
        assert_eq!(gives_way(&Work::default()), 2);
        push(&queue, 1);
        assert_eq!(gives_way(&Work::default()), 0);
        assert_eq!(gives_way(&queue.take(far)), 0, "the command is in it");
    }

    #[test]
    fn whoever_writes_alone_waits_for_nobody() {
        let queue = Queue::default();
        push(&queue, 1);
        queue.answering(1, LONG);
        assert!(!gathers(&queue));
    }

    #[test]
    fn nobody_is_waited_for_after_nobody_came() {
        let queue = Queue::default();
        let far = clock::monotonic() + 60 * LONG;
        let mut waited = Vec::new();
        for _ in 0..12 {
            push(&queue, 1);
            queue.answering(9, LONG);
            waited.push(queue.lock().gathering.is_some());
            assert_eq!(queue.take(far).commands.len(), 1, "at the end of the wait");
        }
        let expected = [1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0].map(|waits| waits == 1);
        assert_eq!(waited, expected);
    }
}
