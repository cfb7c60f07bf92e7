//! Tables, key layout and the format version: what the bytes in the data file mean.
//!
//! Every key that belongs to a tenant starts with the tenant's name, so a range that starts at
//! one tenant is left by looking at the first element of the key alone. Changing anything here
//! changes the format: raise [`FORMAT`] and write the migration.

use redb::{
    ReadTransaction, ReadableDatabase, Table, TableDefinition, TableError, TableHandle,
    WriteTransaction,
};

use super::functions::Activation;
use super::kv::Tally;
use super::queue::Pace;
use super::retention::Retention;
use super::{Fault, Shared};
use crate::clock;

/// The format that this build writes.
///
/// 2: records of invocations and log lines are packed (`packed.rs`); they were JSON, which is read
/// still.
pub(super) const FORMAT: u64 = 2;
/// The oldest that it reads, and makes the newest of.
pub(super) const FORMAT_OLDEST: u64 = 1;

const META: TableDefinition<'static, &str, u64> = TableDefinition::new("ampoule.meta");
const META_FORMAT: &str = "format";

pub(super) type TenantKey = (&'static str, &'static str);
type NumberedKey = (&'static str, &'static str, u64);
type ScheduleKey = (&'static str, &'static str, &'static str);
type ScheduleRunKey = (&'static str, &'static str, &'static str, u64);
type DigestKey = (&'static str, &'static str, &'static str, u64);
type InvocationKey = (&'static str, &'static str, u128);

/// (tenant, key) → (expiry in Unix ms or 0 for none, value).
pub(super) const KV: TableDefinition<'static, TenantKey, (u64, &[u8])> = TableDefinition::new("kv");

/// (expiry in Unix ms, tenant, key): the keys of [`KV`] that expire, soonest first.
pub(super) const EXPIRIES: TableDefinition<'static, (u64, &str, &str), ()> =
    TableDefinition::new("kv.expiries");

/// (tenant, function) → (active version or 0 for none, versions kept).
pub(super) const FUNCTIONS: TableDefinition<'static, TenantKey, (u64, u64)> =
    TableDefinition::new("functions");

/// (tenant, function) → the rest of what is known of it, as JSON.
pub(super) const FUNCTION_STATES: TableDefinition<'static, TenantKey, &[u8]> =
    TableDefinition::new("functions.states");

/// (tenant, function) → last version number ever used; outlives the function.
pub(super) const COUNTERS: TableDefinition<'static, TenantKey, u64> =
    TableDefinition::new("functions.counters");

/// (tenant, function, version) → the deployment as JSON.
pub(super) const DEPLOYMENTS: TableDefinition<'static, NumberedKey, &[u8]> =
    TableDefinition::new("deployments");

/// (tenant, function, digest, version): the versions by what they consist of.
pub(super) const DIGESTS: TableDefinition<'static, DigestKey, ()> =
    TableDefinition::new("deployments.digests");

/// deployment → the name of its bundle, if it may share it.
pub(super) const BUNDLE_NAMES: TableDefinition<'static, &str, &str> =
    TableDefinition::new("bundles.names");

/// bundle → how many deployments share it.
pub(super) const BUNDLE_USES: TableDefinition<'static, &str, u64> =
    TableDefinition::new("bundles.uses");

/// (bundle, which is its deployment unless it has a name of its own; chunk number from 0) → up to [`BUNDLE_CHUNK_BYTES`] of its bundle.
pub(super) const BUNDLES: TableDefinition<'static, (&str, u32), &[u8]> =
    TableDefinition::new("bundles");

/// (tenant, name) → the binding as JSON.
pub(super) const BINDINGS: TableDefinition<'static, TenantKey, &[u8]> =
    TableDefinition::new("bindings");

/// (tenant, function, cursor) → (invocation, the packed line).
pub(super) const LOGS: TableDefinition<'static, NumberedKey, (&str, &[u8])> =
    TableDefinition::new("logs");

/// (tenant, function) → (cursor of the oldest line kept, cursor of the next line).
pub(super) const LOG_STATE: TableDefinition<'static, TenantKey, (u64, u64)> =
    TableDefinition::new("logs.state");

/// (tenant, function, schedule) → the schedule as JSON.
pub(super) const SCHEDULES: TableDefinition<'static, ScheduleKey, &[u8]> =
    TableDefinition::new("schedules");

/// (tenant, function, schedule) → how far it has come, as JSON.
pub(super) const SCHEDULE_STATES: TableDefinition<'static, ScheduleKey, &[u8]> =
    TableDefinition::new("schedules.states");

/// (tenant, function, schedule, number of the run) → the run as JSON.
pub(super) const SCHEDULE_RUNS: TableDefinition<'static, ScheduleRunKey, &[u8]> =
    TableDefinition::new("schedules.runs");
/// tenant, or nothing for the global one → the network policy as JSON.
pub(super) const POLICIES: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("policies");
/// Key id → the key as JSON, its secret as a digest.
pub(super) const KEYS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("keys");

/// Tenant → the tenant as JSON.
pub(super) const TENANTS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("tenants");

/// Tenant → bytes of keys and values that it has in [`KV`].
pub(super) const KV_BYTES: TableDefinition<'static, &str, u64> = TableDefinition::new("kv.bytes");

/// Cursor → an entry of the audit log as JSON.
pub(super) const AUDIT: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("audit");

/// (tenant, cursor): the entries of [`AUDIT`] that a tenant sees.
pub(super) const AUDIT_TENANTS: TableDefinition<'static, (&str, u64), ()> =
    TableDefinition::new("audit.tenants");

/// Tenant → how many entries it has in [`AUDIT_TENANTS`].
pub(super) const AUDIT_COUNTS: TableDefinition<'static, &str, u64> =
    TableDefinition::new("audit.counts");
/// (tenant, function, invocation's number) → (cursor behind its last log line, its packed record).
pub(super) const INVOCATIONS: TableDefinition<'static, InvocationKey, (u64, &[u8])> =
    TableDefinition::new("invocations");
/// (tenant, function) → how many entries [`INVOCATIONS`] has of it; 1 and up.
pub(super) const INVOCATION_COUNTS: TableDefinition<'static, TenantKey, u64> =
    TableDefinition::new("invocations.counts");
/// (tenant, function) → (milliseconds, records) that it is set to keep, each 0 for the default.
pub(super) const RETENTION: TableDefinition<'static, TenantKey, (u64, u64)> =
    TableDefinition::new("retention");

/// Bytes of a bundle in one entry: small enough to allocate, large enough to be few.
pub(super) const BUNDLE_CHUNK_BYTES: usize = 1 << 20;

/// Every table, opened for one write transaction, and what is to happen once it is committed.
pub(super) struct Tables<'t> {
    pub(super) kv: Table<'t, TenantKey, (u64, &'static [u8])>,
    pub(super) expiries: Table<'t, (u64, &'static str, &'static str), ()>,
    pub(super) functions: Table<'t, TenantKey, (u64, u64)>,
    pub(super) function_states: Table<'t, TenantKey, &'static [u8]>,
    pub(super) counters: Table<'t, TenantKey, u64>,
    pub(super) deployments: Table<'t, NumberedKey, &'static [u8]>,
    pub(super) digests: Table<'t, DigestKey, ()>,
    pub(super) bundle_names: Table<'t, &'static str, &'static str>,
    pub(super) bundle_uses: Table<'t, &'static str, u64>,
    pub(super) bundles: Table<'t, (&'static str, u32), &'static [u8]>,
    pub(super) bindings: Table<'t, TenantKey, &'static [u8]>,
    pub(super) logs: Table<'t, NumberedKey, (&'static str, &'static [u8])>,
    pub(super) log_state: Table<'t, TenantKey, (u64, u64)>,
    pub(super) schedules: Table<'t, ScheduleKey, &'static [u8]>,
    pub(super) schedule_states: Table<'t, ScheduleKey, &'static [u8]>,
    pub(super) schedule_runs: Table<'t, ScheduleRunKey, &'static [u8]>,
    pub(super) policies: Table<'t, &'static str, &'static [u8]>,
    pub(super) keys: Table<'t, &'static str, &'static [u8]>,
    pub(super) tenants: Table<'t, &'static str, &'static [u8]>,
    pub(super) kv_bytes: Table<'t, &'static str, u64>,
    pub(super) audit: Table<'t, u64, &'static [u8]>,
    pub(super) audit_tenants: Table<'t, (&'static str, u64), ()>,
    pub(super) audit_counts: Table<'t, &'static str, u64>,
    pub(super) invocations: Table<'t, InvocationKey, (u64, &'static [u8])>,
    pub(super) invocation_counts: Table<'t, TenantKey, u64>,
    pub(super) retention: Table<'t, TenantKey, (u64, u64)>,
    /// Of what nobody waits for.
    pub(super) pace: Pace<'t>,
    /// Where nothing is set for a function.
    pub(super) retention_default: Retention,
    /// What of `kv_bytes` is not in the table yet.
    pub(super) tally: Tally,
    /// Unix time in milliseconds at which this transaction happens.
    pub(super) now_ms: u64,
    /// Changes of active deployments, in order; applied to the cache after the commit.
    pub(super) activations: Vec<Activation>,
    /// Other changes of what is in memory, in order; made after the commit.
    pub(super) afterwards: Vec<Afterwards>,
}

/// A change of what is in memory, once the tables say so too.
pub(super) type Afterwards = Box<dyn FnOnce(&Shared) + Send>;

impl<'t> Tables<'t> {
    /// Opens every table; those that do not exist yet are created.
    pub(super) fn open(transaction: &'t WriteTransaction, now_ms: u64) -> Result<Self, TableError> {
        Ok(Self {
            kv: transaction.open_table(KV)?,
            expiries: transaction.open_table(EXPIRIES)?,
            functions: transaction.open_table(FUNCTIONS)?,
            function_states: transaction.open_table(FUNCTION_STATES)?,
            counters: transaction.open_table(COUNTERS)?,
            deployments: transaction.open_table(DEPLOYMENTS)?,
            digests: transaction.open_table(DIGESTS)?,
            bundle_names: transaction.open_table(BUNDLE_NAMES)?,
            bundle_uses: transaction.open_table(BUNDLE_USES)?,
            bundles: transaction.open_table(BUNDLES)?,
            bindings: transaction.open_table(BINDINGS)?,
            logs: transaction.open_table(LOGS)?,
            log_state: transaction.open_table(LOG_STATE)?,
            schedules: transaction.open_table(SCHEDULES)?,
            schedule_states: transaction.open_table(SCHEDULE_STATES)?,
            schedule_runs: transaction.open_table(SCHEDULE_RUNS)?,
            policies: transaction.open_table(POLICIES)?,
            keys: transaction.open_table(KEYS)?,
            tenants: transaction.open_table(TENANTS)?,
            kv_bytes: transaction.open_table(KV_BYTES)?,
            audit: transaction.open_table(AUDIT)?,
            audit_tenants: transaction.open_table(AUDIT_TENANTS)?,
            audit_counts: transaction.open_table(AUDIT_COUNTS)?,
            invocations: transaction.open_table(INVOCATIONS)?,
            invocation_counts: transaction.open_table(INVOCATION_COUNTS)?,
            retention: transaction.open_table(RETENTION)?,
            pace: Pace::default(),
            retention_default: Retention::DEFAULT,
            tally: Tally::default(),
            now_ms,
            activations: Vec::new(),
            afterwards: Vec::new(),
        })
    }

    /// Has `change` be made once this transaction is on disk, before anybody is answered.
    pub(super) fn after_commit(&mut self, change: impl FnOnce(&Shared) + Send + 'static) {
        self.afterwards.push(Box::new(change));
    }
}

/// Makes a new file ours: every table exists and `format` is written, in one commit.
pub(super) fn initialise(database: &redb::Database, format: u64) -> Result<(), Fault> {
    let transaction = database.begin_write()?;
    drop(Tables::open(&transaction, 0)?);
    transaction.open_table(META)?.insert(META_FORMAT, format)?;
    transaction.commit()?;
    Ok(())
}

/// Makes the tables that an older build did not have yet, and says that the format is the newest.
pub(super) fn complete(database: &redb::Database) -> Result<(), Fault> {
    let transaction = database.begin_write()?;
    let tables_before = transaction.list_tables()?.count();
    let had_tenants = transaction
        .list_tables()?
        .any(|table| table.name() == TENANTS.name());
    let mut tables = Tables::open(&transaction, clock::now_ms())?;
    if !had_tenants {
        super::tenants::count_up(&mut tables)?;
    }
    drop(tables);
    let before = transaction
        .open_table(META)?
        .insert(META_FORMAT, FORMAT)?
        .map(|format| format.value());
    let is_whole = transaction.list_tables()?.count() == tables_before;
    if is_whole && before == Some(FORMAT) {
        transaction.abort()?;
    } else {
        transaction.commit()?;
    }
    Ok(())
}

/// The format that the file was written in; `None` when another program made the file.
pub(super) fn format_of(database: &redb::Database) -> Result<Option<u64>, Fault> {
    let transaction: ReadTransaction = database.begin_read()?;
    match transaction.open_table(META) {
        Ok(meta) => Ok(meta.get(META_FORMAT)?.map(|format| format.value())),
        Err(
            TableError::TableDoesNotExist(_)
            | TableError::TableTypeMismatch { .. }
            | TableError::TableIsMultimap(_)
            | TableError::TypeDefinitionChanged { .. },
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
