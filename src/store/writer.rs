//! The one writer: a thread that turns everything waiting into one durable transaction.
//!
//! **Group commit.** However many writes wait, they share one transaction and one commit, and
//! each is answered only after that commit is durable. A write that is refused (a wrong version,
//! a value that is no number) leaves the others alone; a failure of the disk fails them all.
//!
//! After such a failure nothing more can be known from memory, so the file is closed and opened
//! again: redb then decides from the disk alone which transaction was the last.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redb::Durability;
use tokio::sync::oneshot;

use super::functions::Activation;
use super::queue::{Command, Pace, Work};
use super::retention::{Cleaner, Due};
use super::schema::{Afterwards, Tables};
use super::{Error, Fault, Shared, kv, logs, retention};
use crate::clock;

/// How often expired keys are looked for, under load and when idle.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Most expired keys removed in one transaction.
const SWEEP_KEYS_MAX: usize = 1000;
/// How often records and lines that are too old are looked for.
const CLEAN_EVERY: Duration = Duration::from_secs(60);
/// First pause between two attempts to open the file again; each failure doubles it.
const REOPEN_PAUSE_MIN: Duration = Duration::from_millis(10);
/// Longest pause between two attempts to open the file again.
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(1);

impl Shared {
    /// Has the writer run `work` in its next transaction; answers once that is durable.
    ///
    /// `bytes`: about what `work` holds, for the bound on the queue.
    ///
    /// # Errors
    /// Whatever `work` refuses with; [`Error::Busy`], [`Error::Closed`], [`Error::Unavailable`].
    /// # Cancel safety
    /// Once polled, the write is queued and happens even if this future is dropped.
    pub(super) async fn submit<T, F>(&self, bytes: usize, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tables<'_>) -> Result<Result<T, Error>, Fault> + Send + 'static,
    {
        match self.push(bytes, work)?.await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::from(Fault::WriterGone)),
        }
    }

    /// [`Shared::submit`] for whoever need not wait for the answer.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Closed`].
    pub(super) fn push<T, F>(
        &self,
        bytes: usize,
        work: F,
    ) -> Result<oneshot::Receiver<Result<T, Error>>, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tables<'_>) -> Result<Result<T, Error>, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let write = Write {
            work: Some(work),
            outcome: None,
            reply,
        };
        self.queue.push(Box::new(write), bytes)?;
        Ok(answer)
    }
}

/// A closure as a command, with its caller's end of the line.
struct Write<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Command for Write<T, F>
where
    T: Send,
    F: FnOnce(&mut Tables<'_>) -> Result<Result<T, Error>, Fault> + Send,
{
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), Fault> {
        if let Some(work) = self.work.take() {
            self.outcome = Some(work(tables)?);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), Arc<Fault>>) {
        let outcome = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(Error::from(Fault::WriterGone)),
            (Err(source), _) => Err(Error::Unavailable { source }),
        };
        // A caller who has gone away needs no answer; the write stands.
        let _ = self.reply.send(outcome);
    }
}

/// What a committed transaction leaves to do.
struct Committed {
    activations: Vec<Activation>,
    afterwards: Vec<Afterwards>,
    /// Some of what is too old is still there.
    clean_again: bool,
    /// The sweep found as many keys as it may remove: there are probably more.
    sweep_again: bool,
}

/// What a transaction does besides what waits.
struct Chores {
    /// Remove expired keys.
    sweep: bool,
    /// Remove what is too old.
    clean: Due,
}

impl Chores {
    fn are_any(&self) -> bool {
        self.sweep || self.clean.is_any()
    }
}

/// The state of the writer thread.
struct Writer {
    shared: Arc<Shared>,
    sweep_at: Instant,
    clean_at: Instant,
    cleaner: Cleaner,
    reopen_at: Instant,
    /// Grows with every attempt since the last commit.
    reopen_pause: Duration,
}

/// Sees to it that no one waits for a writer that has ended, however it ended.
struct LastAct(Arc<Shared>);

impl Drop for LastAct {
    fn drop(&mut self) {
        self.0.queue.abandon();
    }
}

/// The writer thread: ends once the queue is closed and everything in it is written.
pub(super) fn run(shared: Arc<Shared>) {
    let _last_act = LastAct(Arc::clone(&shared));
    let now = clock::monotonic();
    let mut writer = Writer {
        shared,
        sweep_at: now + SWEEP_EVERY,
        // Not at once: the one who opens the store says first what is kept.
        clean_at: now + CLEAN_EVERY,
        cleaner: Cleaner::default(),
        reopen_at: now,
        reopen_pause: REOPEN_PAUSE_MIN,
    };
    loop {
        let work = writer.shared.queue.take(writer.tick_at());
        if work.stop {
            break;
        }
        writer.turn(work);
    }
    writer.detach();
}

impl Writer {
    fn tick_at(&self) -> Instant {
        if self.shared.is_open() {
            self.sweep_at.min(self.clean_at)
        } else {
            self.reopen_at
        }
    }

    fn turn(&mut self, work: Work) {
        if self.shared.faulted.load(Ordering::Acquire) {
            self.detach();
        }
        if !self.shared.is_open() {
            self.reopen();
        }
        let chores = Chores {
            sweep: self.sweep_is_due(),
            clean: self.look_for_old(),
        };
        if chores.are_any() || !work.commands.is_empty() || !work.logs.is_empty() {
            self.batch(work, &chores);
        }
    }

    /// Runs one transaction and answers everyone in it.
    fn batch(&mut self, mut work: Work, chores: &Chores) {
        let shared = Arc::clone(&self.shared);
        let begun = clock::monotonic();
        let outcome = catch_unwind(AssertUnwindSafe(|| transact(&shared, &mut work, chores)))
            .unwrap_or_else(|panic| Err(Fault::from_panic(panic.as_ref())));
        let lines = u64::try_from(work.logs.len()).unwrap_or(u64::MAX);
        match outcome {
            Ok(committed) => {
                shared.commits.note(begun.elapsed().as_secs_f64());
                self.reopen_pause = REOPEN_PAUSE_MIN;
                let now = clock::monotonic();
                if committed.sweep_again {
                    self.sweep_at = now;
                }
                if committed.clean_again {
                    self.cleaner.rewind();
                }
                if committed.clean_again || chores.clean.more {
                    self.clean_at = now;
                }
                shared.active.apply(committed.activations);
                for change in committed.afterwards {
                    change(&shared);
                }
                shared.queue.answering(work.commands.len(), begun.elapsed());
                for command in work.commands {
                    command.finish(Ok(()));
                }
                if lines > 0 {
                    shared.log_commits.send_modify(|commits| *commits += 1);
                    shared.queue.logs_done(lines, 0);
                }
            }
            Err(fault) => {
                let fault = Arc::new(fault);
                if !matches!(*fault, Fault::NotOpen) {
                    tracing::error!(error = &*fault as &dyn std::error::Error, "a write failed");
                }
                self.detach();
                for command in work.commands {
                    command.finish(Err(Arc::clone(&fault)));
                }
                if lines > 0 {
                    shared.queue.logs_done(lines, lines);
                }
                self.reopen();
            }
        }
    }

    /// Whether expired keys are to be removed in this turn, looking at most once per interval.
    fn sweep_is_due(&mut self) -> bool {
        let now = clock::monotonic();
        if now < self.sweep_at {
            return false;
        }
        self.sweep_at = now + SWEEP_EVERY;
        kv::any_expired(&self.shared).unwrap_or(false)
    }

    /// Functions that keep more than they are to, looking at most once per interval, or when
    /// someone asked.
    fn look_for_old(&mut self) -> Due {
        let now = clock::monotonic();
        if self.shared.clean_wanted.swap(false, Ordering::AcqRel) {
            self.cleaner.rewind();
        } else if now < self.clean_at {
            return Due::default();
        }
        self.clean_at = now + CLEAN_EVERY;
        let due = self.cleaner.look(&self.shared).unwrap_or_default();
        if due.more && !due.is_any() {
            self.clean_at = now;
        }
        due
    }

    /// Closes the file; until it is open again every read and write is refused.
    fn detach(&mut self) {
        let Some(database) = self.shared.take_database() else {
            return;
        };
        // Closing a file that has failed must not take the thread down with it.
        if catch_unwind(AssertUnwindSafe(|| drop(database))).is_err() {
            tracing::error!("the data file could not be closed cleanly");
        }
        self.shared.faulted.store(false, Ordering::Release);
    }

    /// Opens the file again after a failure, unless the pause is not over.
    fn reopen(&mut self) {
        let now = clock::monotonic();
        if now < self.reopen_at {
            return;
        }
        let opened = (self.shared.reopen)();
        // What failed may have been committed all the same, so nothing in memory is known.
        let opened = opened.and_then(|database| {
            self.shared.load(&database)?;
            Ok(database)
        });
        // Measured from the end, so that slow attempts do not follow each other without pause.
        self.reopen_at = clock::monotonic() + self.reopen_pause;
        self.reopen_pause = REOPEN_PAUSE_MAX.min(self.reopen_pause * 2);
        match opened {
            Ok(database) => {
                self.shared.put_database(database);
                tracing::warn!("the data file is open again");
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "the data file cannot be opened again yet");
            }
        }
    }
}

/// One transaction, from begin to durable.
fn transact(shared: &Shared, work: &mut Work, chores: &Chores) -> Result<Committed, Fault> {
    let mut transaction = shared.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    let mut tables = Tables::open(&transaction, (shared.clock)())?;
    tables.retention_default = shared.retention_default();
    tables.pace = Pace::of(work, &shared.queue);
    for command in &mut work.commands {
        command.run(&mut tables)?;
    }
    logs::store(&mut tables, &work.logs)?;
    let clean_again = chores.clean.is_any() && retention::clean(&mut tables, &chores.clean)?;
    let sweep_again = chores.sweep && kv::sweep(&mut tables, SWEEP_KEYS_MAX)? == SWEEP_KEYS_MAX;
    kv::write_totals(&mut tables)?;
    let activations = std::mem::take(&mut tables.activations);
    let afterwards = std::mem::take(&mut tables.afterwards);
    drop(tables);
    transaction.commit()?;
    shared.committed();
    Ok(Committed {
        activations,
        afterwards,
        clean_again,
        sweep_again,
    })
}
