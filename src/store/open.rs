//! The data file while it is open.
//!
//! Values are read far more often than written, and beginning a transaction and opening a table take
//! longer than the look-up. So both are kept from one commit to the next.

use std::sync::{PoisonError, RwLock};

use redb::{Database, ReadOnlyTable, ReadableDatabase};

use super::Fault;
use super::schema::{KV, TenantKey};

/// Keys and values of all tenants as they were at a commit.
pub(super) type KvSnapshot = ReadOnlyTable<TenantKey, (u64, &'static [u8])>;

/// An open data file.
pub(super) struct Open {
    pub(super) database: Database,
    kv: RwLock<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Transactions that were committed.
    commits: u64,
    /// What was there after the last of them.
    snapshot: Option<KvSnapshot>,
}

impl Open {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database,
            kv: RwLock::default(),
        }
    }

    /// Runs `work` on the keys and values that were committed last.
    pub(super) fn read_kv<T>(
        &self,
        work: impl FnOnce(&KvSnapshot) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let commits = {
            let kept = self.kv.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(snapshot) = &kept.snapshot {
                return work(snapshot);
            }
            kept.commits
        };
        let snapshot = self.database.begin_read()?.open_table(KV)?;
        let answer = work(&snapshot)?;
        let mut kept = self.kv.write().unwrap_or_else(PoisonError::into_inner);
        // Another commit may have come in between.
        if kept.commits == commits {
            kept.snapshot = Some(snapshot);
        }
        Ok(answer)
    }

    /// Notes that a transaction was committed: before anybody is told so, because whoever is told
    /// has to find it.
    pub(super) fn committed(&self) {
        let mut kept = self.kv.write().unwrap_or_else(PoisonError::into_inner);
        kept.commits += 1;
        kept.snapshot = None;
    }
}
