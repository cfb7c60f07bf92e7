//! Network policies: the global one and the tenants'.
//!
//! Every connection asks, so what was read stays in memory. It changes only after the commit that
//! changes the table, and before the writer is answered: an edit that was answered is in force.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::ReadableTable;

use super::schema::{POLICIES, Tables};
use super::{Error, Expected, Fault, Shared, tenants};
use crate::id::TenantId;
use crate::limits::POLICIES_CACHED_MAX;
use crate::policies::{Policy, Scope};

/// The key of the global policy; no tenant has an empty name.
const GLOBAL: &str = "";

/// Reads and writes of network policies. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Policies {
    shared: Arc<Shared>,
}

/// What is stored for a scope, and since when.
#[derive(Debug, Clone)]
pub struct Found {
    /// The policy; `None` if none is stored.
    pub policy: Option<Arc<Policy>>,
    /// Rises with every change: the same number means the same policy.
    pub revision: u64,
}

fn key(scope: &Scope) -> &str {
    match scope {
        Scope::Global => GLOBAL,
        Scope::Tenant(tenant) => tenant.as_str(),
    }
}

impl Policies {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The policy of a scope.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`]; never for one that is in memory.
    pub fn find(&self, scope: &Scope) -> Result<Found, Error> {
        if let Some(found) = self.shared.policies.get(scope) {
            return Ok(found);
        }
        let generation = self.shared.policies.generation();
        let policy = self.shared.read(|transaction| {
            let table = transaction.open_table(POLICIES)?;
            let stored = table.get(key(scope))?;
            stored.map(|json| parse(json.value())).transpose()
        })?;
        let found = Found {
            policy: policy.map(Arc::new),
            revision: generation,
        };
        self.shared.policies.fill(scope, &found);
        Ok(found)
    }

    /// Stores a policy in the place of the one that is there, or of none.
    ///
    /// `expected` is held against its tag, or that of `in_force` while none is stored.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`], [`Error::TenantNotFound`] while it is being deleted,
    /// [`Error::TooManyTenants`], [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// Once polled, the write happens even if this future is dropped.
    pub async fn set(
        &self,
        scope: Scope,
        policy: Arc<Policy>,
        expected: Expected,
        in_force: Arc<Policy>,
    ) -> Result<(), Error> {
        self.replace(scope, Some(policy), expected, in_force).await
    }

    /// Removes a policy; without one there is nothing to do.
    ///
    /// # Errors
    /// As [`Policies::set`].
    /// # Cancel safety
    /// As [`Policies::set`].
    pub async fn remove(
        &self,
        scope: Scope,
        expected: Expected,
        in_force: Arc<Policy>,
    ) -> Result<(), Error> {
        self.replace(scope, None, expected, in_force).await
    }

    async fn replace(
        &self,
        scope: Scope,
        policy: Option<Arc<Policy>>,
        expected: Expected,
        in_force: Arc<Policy>,
    ) -> Result<(), Error> {
        let json = policy
            .as_ref()
            .map(|policy| serde_json::to_vec(policy.document()))
            .transpose()
            .map_err(|error| Error::from(Fault::Record(error)))?;
        let bytes = json.as_ref().map_or(0, Vec::len);
        let write = move |tables: &mut Tables<'_>| {
            let stored = tables.policies.get(key(&scope))?;
            let stored = stored.map(|json| parse(json.value())).transpose()?;
            let tag = stored.as_ref().unwrap_or(&in_force).tag().to_owned();
            if let Err(refused) = expected.check_stored(stored.is_some(), &[tag]) {
                return Ok(Err(refused));
            }
            if let (Scope::Tenant(tenant), Some(_)) = (&scope, &policy)
                && let Err(refused) = tenants::ensure(tables, tenant)?
            {
                return Ok(Err(refused));
            }
            match &json {
                Some(json) => tables.policies.insert(key(&scope), json.as_slice())?,
                None => tables.policies.remove(key(&scope))?,
            };
            tables.after_commit(move |shared| shared.policies.put(scope, policy));
            Ok(Ok(()))
        };
        self.shared.submit(bytes, write).await
    }
}

/// Deletes the policy of a tenant that is no more.
pub(super) fn delete(tables: &mut Tables<'_>, tenant: &TenantId) -> Result<(), Fault> {
    tables.policies.remove(tenant.as_str())?;
    let scope = Scope::Tenant(tenant.clone());
    tables.after_commit(move |shared| shared.policies.put(scope, None));
    Ok(())
}

fn parse(json: &[u8]) -> Result<Policy, Fault> {
    Policy::parse(json).map_err(|_| Fault::Inconsistent("a stored network policy is not valid"))
}

/// Policies in memory, those that are not there included.
///
/// The generation rises with every change, under the lock: what a reader found in the table is put
/// in only if nothing was changed since before it looked.
#[derive(Debug, Default)]
pub(super) struct PolicyCache {
    generation: AtomicU64,
    entries: RwLock<HashMap<Scope, Found>>,
}

impl PolicyCache {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn get(&self, scope: &Scope) -> Option<Found> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(scope).cloned()
    }

    fn fill(&self, scope: &Scope, found: &Found) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if self.generation() == found.revision {
            insert(&mut entries, scope.clone(), found.clone());
        }
    }

    /// Takes over a change that is committed: this scope has this policy now, or none.
    fn put(&self, scope: Scope, policy: Option<Arc<Policy>>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let revision = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        insert(&mut entries, scope, Found { policy, revision });
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::AcqRel);
        entries.clear();
    }
}

fn insert(entries: &mut HashMap<Scope, Found>, scope: Scope, found: Found) {
    if entries.len() > POLICIES_CACHED_MAX {
        // What is read again has a later revision, so this never hides a change.
        entries.clear();
    }
    entries.insert(scope, found);
}
