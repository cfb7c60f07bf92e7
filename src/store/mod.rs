//! Everything durable, in one redb file: kv, functions with their bundles, bindings, logs, and
//! network policies.
//!
//! Reads are plain functions on a snapshot and take microseconds. Writes are commands to one
//! writer thread that commits whatever waits as one transaction; an answer means *durable*.
//!
//! This is a leaf: it knows names, bounds and the clock, and nothing of HTTP, sandboxes or
//! JavaScript. Only this folder knows redb. Callers are given handles: a [`Namespace`] is one
//! tenant's kv and cannot name another's.

mod audit;
mod bindings;
mod file;
mod functions;
mod invocations;
mod keys;
mod kv;
mod logs;
mod open;
mod packed;
mod policies;
mod queue;
mod retention;
mod schedules;
mod schema;
mod tenants;
mod writer;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};
use tokio::sync::watch;

pub use audit::{Audit, AuditEntry, Recording};
pub use bindings::{Binding, Bindings};
pub use functions::{
    Base, Deployment, Evaluation, Expected, FunctionChange, FunctionSummary, Functions,
    NewDeployment, Serving, Split, Stored, Tags,
};
pub use invocations::{
    Cost, Ending, Found, InvocationRecord, Invocations, Lines, RecordedError, RecordedKind, Scan,
    Wanted,
};
pub use keys::{ApiKey, KeyInfo, Keys, NewKey, Refused, Scope};
pub use kv::{Namespace, Page};
pub use logs::{FoundLines, Level, LogLine, Logs};
pub use policies::Policies;
pub use retention::{Retention, RetentionSet};
pub use schedules::{
    Missed, NewRun, Overlap, Progress, Retries, Run, RunState, Schedule, ScheduleEntry,
    ScheduleKey, ScheduleSettings, Schedules, Trigger,
};
pub use tenants::{QuotaChange, Quotas, Tenant, TenantChange, TenantUsage, Tenants};

use self::open::{KvSnapshot, Open};
use crate::error::Code;
use crate::id::TenantId;
use crate::metrics::Durations;
use crate::{clock, limits};

/// Answers the Unix time in milliseconds; tests hand in their own.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Opens the data file again after a failure; never makes a new one.
type Reopen = Box<dyn Fn() -> Result<Database, Error> + Send + Sync>;

/// Why the store refused or failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The data file cannot be reached at all.
    #[error(
        "cannot open {path}: check that its folder exists, that it may be read and written, \
         and that the disk has room"
    )]
    Inaccessible {
        /// The data file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<Fault>,
    },
    /// Another process has the data file open.
    #[error(
        "{path} is in use by another process: stop that one, or give this one another data folder"
    )]
    Locked {
        /// The data file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error(
        "{path} is not an Ampoule data file, or its beginning is overwritten: move it away or \
         choose another data folder"
    )]
    Foreign {
        /// The data file.
        path: PathBuf,
    },
    /// The file was ours and is damaged.
    #[error(
        "{path} is damaged: restore it from a backup, or move it away to start with an empty store"
    )]
    Corrupt {
        /// The data file.
        path: PathBuf,
        /// What was found to be wrong.
        #[source]
        source: Arc<Fault>,
    },
    /// The file has a format that this build does not know.
    #[error(
        "{path} has data format {found}, and this version of Ampoule reads format {supported}: \
         install the version that wrote it, or a newer one"
    )]
    OtherFormat {
        /// The data file.
        path: PathBuf,
        /// The format of the file.
        found: u64,
        /// The format of this build.
        supported: u64,
    },
    /// Too many writes wait for their commit; trying again later helps.
    #[error("too many writes are waiting")]
    Busy,
    /// The store is being closed, or is.
    #[error("the store is closed")]
    Closed,
    /// The disk or the file failed. A write answered so may or may not have happened.
    #[error("the store cannot be reached")]
    Unavailable {
        /// What failed.
        #[source]
        source: Arc<Fault>,
    },
    /// A kv key of a length that is not allowed.
    #[error("a key must be 1 to {max} bytes long, not {bytes}", max = limits::KV_KEY_BYTES_MAX)]
    KeyLength {
        /// Its length in bytes of UTF-8.
        bytes: usize,
    },
    /// A kv value that is too large.
    #[error("a value may be {max} bytes long, not {bytes}", max = limits::KV_VALUE_BYTES_MAX)]
    ValueTooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A kv expiry beyond the limit.
    #[error("an expiry may be {max} ms ahead, not more", max = limits::KV_TTL_MS_MAX)]
    ExpiryTooFar,
    /// `increment` of a value that is not the JSON text of a number.
    #[error("the value is not a number")]
    NotANumber,
    /// `increment` by, or to, something that is not finite.
    #[error("the sum is not a finite number")]
    NotFinite,
    /// No such function of this tenant.
    #[error("there is no function of this name")]
    FunctionNotFound,
    /// The function has no such version.
    #[error("the function has no version {version}")]
    VersionNotFound {
        /// The version asked for.
        version: u64,
    },
    /// The active version cannot be deleted.
    #[error("version {version} is active: activate another one first")]
    VersionActive {
        /// The version asked for.
        version: u64,
    },
    /// A version that answers a part of the invocations cannot be deleted.
    #[error("version {version} answers a part of the invocations: end the split first")]
    VersionSplit {
        /// The version asked for.
        version: u64,
    },
    /// There is nothing to roll back to.
    #[error("no version that is still kept was active before this one")]
    NothingBefore,
    /// A split that cannot be.
    #[error(
        "a split needs an active version, another one besides it, and a weight of 1 to 99 percent"
    )]
    SplitInvalid,
    /// The function, the version or what else is changed is not what the caller expects.
    #[error("it has changed, or is not what the request expects: look at it again")]
    PreconditionFailed,
    /// The function has as many versions as are kept.
    #[error("the function has {max} versions: delete some", max = limits::VERSIONS_MAX)]
    VersionsExceeded,
    /// The tenant has no such binding.
    #[error("there is no binding of this name")]
    BindingNotFound,
    /// The tenant has as many bindings as it may.
    #[error("a tenant may have {max} bindings: delete one first", max = limits::BINDINGS_MAX)]
    TooManyBindings,
    /// A deployment with this id is already stored.
    #[error("this deployment is already stored")]
    DuplicateDeployment,
    /// The function has no such schedule.
    #[error("the function has no schedule of this name")]
    ScheduleNotFound,
    /// One more schedule would be too many.
    #[error("{of} may have {max} schedules: delete one first")]
    TooManySchedules {
        /// How many there may be.
        max: usize,
        /// Of whom.
        of: &'static str,
    },
    /// No such tenant, or one that is being deleted.
    #[error("there is no tenant of this name")]
    TenantNotFound,
    /// There is a tenant of this name, or one that is being deleted.
    #[error("there is a tenant of this name already")]
    TenantExists,
    /// More tenants than there may be.
    #[error("there may be {max} tenants", max = limits::TENANTS_MAX)]
    TooManyTenants,
    /// No such API key.
    #[error("there is no key of this id")]
    KeyNotFound,
    /// More API keys than there may be.
    #[error(
        "a tenant may have {of_tenant} keys, and the server {max}: delete some that are not used",
        of_tenant = limits::KEYS_PER_TENANT_MAX,
        max = limits::KEYS_MAX
    )]
    TooManyKeys,
    /// A tenant would have more than its quota.
    #[error("the tenant's quota of {quota} is {max}")]
    QuotaExceeded {
        /// Which quota.
        quota: &'static str,
        /// How much of it there is.
        max: u64,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

impl Error {
    /// The stable code that this error has in answers and logs.
    pub fn code(&self) -> Code {
        match self {
            Self::Inaccessible { .. }
            | Self::Locked { .. }
            | Self::Foreign { .. }
            | Self::Corrupt { .. }
            | Self::OtherFormat { .. }
            | Self::Unavailable { .. } => Code::StorageUnavailable,
            Self::Busy => Code::StorageBusy,
            Self::Closed => Code::ShuttingDown,
            Self::KeyLength { .. }
            | Self::ValueTooLarge { .. }
            | Self::ExpiryTooFar
            | Self::NotANumber
            | Self::NotFinite => Code::BadRequest,
            Self::FunctionNotFound => Code::FunctionNotFound,
            Self::VersionNotFound { .. } => Code::VersionNotFound,
            Self::NothingBefore => Code::VersionNotFound,
            Self::VersionActive { .. } | Self::VersionSplit { .. } => Code::VersionActive,
            Self::SplitInvalid => Code::BodyInvalid,
            Self::PreconditionFailed => Code::PreconditionFailed,
            Self::VersionsExceeded => Code::VersionsExceeded,
            Self::BindingNotFound => Code::BindingNotFound,
            Self::TooManyBindings => Code::BindingInvalid,
            Self::ScheduleNotFound => Code::ScheduleNotFound,
            Self::TooManySchedules { .. } => Code::SchedulesExceeded,
            Self::DuplicateDeployment | Self::NoRandomness => Code::Internal,
            Self::TenantNotFound => Code::TenantNotFound,
            Self::TenantExists => Code::TenantExists,
            Self::KeyNotFound => Code::KeyNotFound,
            Self::TooManyTenants | Self::TooManyKeys | Self::QuotaExceeded { .. } => {
                Code::QuotaExceeded
            }
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Unavailable {
            source: Arc::new(fault),
        }
    }
}

/// What lies behind an error: for the operator's log, never for a caller.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The operating system refused.
    #[error("input or output failed")]
    Io(#[source] std::io::Error),
    /// redb reported an error.
    #[error("the database reported an error")]
    Database(#[source] Box<redb::Error>),
    /// redb panicked, or we did; the text is the panic's.
    #[error("the database panicked: {0}")]
    Panicked(String),
    /// A stored record does not parse.
    #[error("a stored record does not parse")]
    Record(#[source] serde_json::Error),
    /// A packed record does not parse, or cannot be packed.
    #[error("a packed record cannot be read or written")]
    Packed(#[source] postcard::Error),
    /// The tables contradict each other; the text says where.
    #[error("the tables contradict each other: {0}")]
    Inconsistent(&'static str),
    /// The file is closed after a failure and not open again yet.
    #[error("the data file is not open")]
    NotOpen,
    /// The writer thread ended without an answer.
    #[error("the writer ended without an answer")]
    WriterGone,
}

impl Fault {
    fn from_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Self::Panicked(text.unwrap_or("no message").to_owned())
    }
}

macro_rules! fault_from_redb {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for Fault {
            fn from(error: redb::$error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        })*
    };
}

fault_from_redb!(
    CommitError,
    CursorError,
    DatabaseError,
    SetDurabilityError,
    StorageError,
    TableError,
    TransactionError
);

/// What the handles and the writer thread have in common.
struct Shared {
    /// `None` between a failure and the next successful opening, and after the end.
    database: RwLock<Option<Open>>,
    /// A read met an error: the writer is to close the file and open it again.
    faulted: AtomicBool,
    queue: queue::Queue,
    clock: Clock,
    active: functions::ActiveCache,
    policies: policies::PolicyCache,
    keys: keys::KeyCache,
    tenants: tenants::TenantCache,
    /// Counts the changes of bindings.
    bindings_changed: AtomicU64,
    /// Counts the transactions that held log lines.
    log_commits: watch::Sender<u64>,
    /// How long transactions take.
    commits: Durations,
    /// What is kept of invocations where nothing is set.
    retention: RwLock<Retention>,
    /// The writer is to look now for what is too old.
    clean_wanted: AtomicBool,
    reopen: Reopen,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    /// Runs `work` on a snapshot of everything committed.
    fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, Fault>) -> Result<T, Error> {
        self.look(|open| work(&open.database.begin_read()?))
    }

    /// Runs `work` on the keys and values of all tenants that are committed.
    fn read_kv<T>(&self, work: impl FnOnce(&KvSnapshot) -> Result<T, Fault>) -> Result<T, Error> {
        self.look(|open| open.read_kv(work))
    }

    fn look<T>(&self, work: impl FnOnce(&Open) -> Result<T, Fault>) -> Result<T, Error> {
        let open = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = open.as_ref() else {
            return Err(self.not_open());
        };
        // A damaged page may make redb panic: that is to end this read and nothing else.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(open)))
            .unwrap_or_else(|panic| Err(Fault::from_panic(panic.as_ref())));
        if outcome.is_err() {
            self.faulted.store(true, Ordering::Release);
            self.queue.nudge();
        }
        outcome.map_err(Error::from)
    }

    /// Notes that a transaction was committed, before anybody is told.
    fn committed(&self) {
        let open = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = open.as_ref() {
            open.committed();
        }
    }

    /// Takes into memory what is to be there of a database that was just opened.
    fn load(&self, database: &Database) -> Result<(), Error> {
        let load = || {
            let transaction = database.begin_read()?;
            self.keys.load(&transaction)?;
            self.tenants.load(&transaction)
        };
        // A damaged page may make redb panic.
        let outcome = catch_unwind(AssertUnwindSafe(load))
            .unwrap_or_else(|panic| Err(Fault::from_panic(panic.as_ref())));
        self.active.clear();
        self.policies.clear();
        self.bindings_changed.fetch_add(1, Ordering::Release);
        outcome.map_err(Error::from)
    }

    fn retention_default(&self) -> Retention {
        let retention = self.retention.read();
        *retention.unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_write(&self) -> Result<WriteTransaction, Fault> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let open = database.as_ref().ok_or(Fault::NotOpen)?;
        Ok(open.database.begin_write()?)
    }

    fn is_open(&self) -> bool {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        database.is_some()
    }

    fn not_open(&self) -> Error {
        if self.queue.is_closed() {
            Error::Closed
        } else {
            Error::from(Fault::NotOpen)
        }
    }

    /// Takes the database away from all readers, once those that are reading have finished.
    fn take_database(&self) -> Option<Open> {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        database.take()
    }

    fn put_database(&self, opened: Database) {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *database = Some(Open::new(opened));
    }
}

/// What waits for the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Writes.
    pub writes: usize,
    /// Log lines and records of invocations.
    pub lines: usize,
}

/// The store: owns the data file and the writer thread.
///
/// Dropping it is [`Store::close`]. Handles may outlive it; they answer [`Error::Closed`].
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens the data file at `path`, making it if there is none; its folder must exist.
    ///
    /// Blocks: after a crash, and for files up to 256 MiB always, the whole file is verified.
    ///
    /// # Errors
    /// [`Error::Inaccessible`], [`Error::Locked`], [`Error::Foreign`], [`Error::Corrupt`],
    /// [`Error::OtherFormat`]; each names the file and says what to do.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with_clock(path, Arc::new(clock::now_ms))
    }

    /// [`Store::open`] with a clock of the caller's, by which kv keys expire.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with_clock(path: &Path, clock: Clock) -> Result<Self, Error> {
        Self::open_with_cache(path, limits::STORE_CACHE_MIB << 20, clock)
    }

    /// [`Store::open_with_clock`] with so much memory for pages of the file, in bytes. What has no room in
    /// it is read through the system's cache of files.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with_cache(path: &Path, cache_bytes: usize, clock: Clock) -> Result<Self, Error> {
        let database = file::open_or_create(path, cache_bytes)?;
        let path = path.to_owned();
        let reopen = move || file::reopen(&path, cache_bytes);
        Self::start(database, clock, Box::new(reopen))
    }

    /// Starts the writer on a database that is open.
    fn start(database: Database, clock: Clock, reopen: Reopen) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            database: RwLock::new(None),
            faulted: AtomicBool::new(false),
            queue: queue::Queue::default(),
            clock,
            active: functions::ActiveCache::default(),
            policies: policies::PolicyCache::default(),
            keys: keys::KeyCache::default(),
            tenants: tenants::TenantCache::default(),
            bindings_changed: AtomicU64::new(0),
            log_commits: watch::Sender::new(0),
            commits: Durations::of_commits(),
            retention: RwLock::new(Retention::DEFAULT),
            clean_wanted: AtomicBool::new(false),
            reopen,
        });
        shared.load(&database)?;
        shared.put_database(database);
        let of_writer = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer::run(of_writer))
            .map_err(|error| Error::from(Fault::Io(error)))?;
        Ok(Self {
            shared,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// The kv of one tenant: what an invocation is granted.
    pub fn namespace(&self, tenant: &TenantId) -> Namespace {
        Namespace::new(Arc::clone(&self.shared), tenant)
    }

    /// Functions, their versions and bundles.
    pub fn functions(&self) -> Functions {
        Functions::new(Arc::clone(&self.shared))
    }

    /// Schedules, how far they have come, and their runs.
    pub fn schedules(&self) -> Schedules {
        Schedules::new(Arc::clone(&self.shared))
    }

    /// Network policies.
    pub fn policies(&self) -> Policies {
        Policies::new(Arc::clone(&self.shared))
    }

    /// API keys.
    pub fn keys(&self) -> Keys {
        Keys::new(Arc::clone(&self.shared))
    }

    /// Tenants and their quotas.
    pub fn tenants(&self) -> Tenants {
        Tenants::new(Arc::clone(&self.shared))
    }

    /// The audit log of the control plane.
    pub fn audit(&self) -> Audit {
        Audit::new(Arc::clone(&self.shared))
    }

    /// What event functions may call of the platform.
    pub fn bindings(&self) -> Bindings {
        Bindings::new(Arc::clone(&self.shared))
    }

    /// The log lines of functions.
    pub fn logs(&self) -> Logs {
        Logs::new(Arc::clone(&self.shared))
    }

    /// The records of invocations.
    pub fn invocations(&self) -> Invocations {
        Invocations::new(Arc::clone(&self.shared))
    }

    /// How long its transactions take, from begin to durable.
    pub fn commit_durations(&self) -> Durations {
        self.shared.commits.clone()
    }

    /// What waits for the writer at this moment.
    pub fn waiting(&self) -> Waiting {
        let (writes, lines) = self.shared.queue.len();
        Waiting { writes, lines }
    }

    /// Sets what is kept of invocations where nothing is set for their function.
    pub fn set_retention_default(&self, retention: Retention) {
        {
            let current = self.shared.retention.write();
            *current.unwrap_or_else(PoisonError::into_inner) = retention;
        }
        self.shared.clean_soon();
    }

    /// Refuses new writes, commits all that wait and closes the file. Blocks until then.
    ///
    /// Closing twice is no error.
    pub fn close(&self) {
        self.shared.queue.close();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer ended in a panic");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod disk;
#[cfg(test)]
mod tests;
