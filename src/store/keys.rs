//! API keys: on disk as digests, and all of them in memory, where every request looks.
//!
//! The map in memory changes only after the commit that changes the table, and before that
//! commit is answered: a key that was revoked is refused from the answer on.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema::{KEYS, Tables};
use super::{Error, Fault, Shared, tenants};
use crate::id::{FunctionName, KeyId, TenantId};
use crate::limits;
use crate::secret::{Digest, Token};

/// The time of a key that was never used.
const NEVER: u64 = 0;

/// What a key is good for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything, keys included: of its tenant, or of the server for a key without a tenant.
    Admin,
    /// Changing functions and what belongs to them; reading and invoking, too.
    Deploy,
    /// Looking at everything but secrets.
    Read,
    /// Invoking functions that require a key.
    Invoke,
}

impl Scope {
    /// The word used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Deploy => "deploy",
            Self::Read => "read",
            Self::Invoke => "invoke",
        }
    }

    /// Whether a key of this scope may do what needs `needed`.
    fn implies(self, needed: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Deploy => needed != Self::Admin,
            Self::Read | Self::Invoke => needed == self,
        }
    }
}

/// What is kept of an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id: not a secret.
    pub id: KeyId,
    digest: Digest,
    /// What its owner calls it.
    pub name: String,
    /// The tenant that it is for; `None` for every tenant.
    pub tenant: Option<TenantId>,
    /// What it is good for.
    pub scopes: BTreeSet<Scope>,
    /// The only function that it invokes, if there is one.
    pub function: Option<FunctionName>,
    /// When it was made, Unix time in milliseconds.
    pub created_ms: u64,
    /// Who made it, as in the audit log.
    pub created_by: String,
    /// From when on it is refused, Unix time in milliseconds.
    pub expires_ms: Option<u64>,
    /// When it was last used, as far as that is on disk.
    #[serde(default)]
    last_used_ms: u64,
}

impl ApiKey {
    /// Whether it may do what needs `scope` for `tenant`, and for `function` if one is concerned.
    pub fn allows(&self, scope: Scope, tenant: &TenantId, function: Option<&FunctionName>) -> bool {
        let is_tenant = self.tenant.as_ref().is_none_or(|own| own == tenant);
        is_tenant && self.grants(scope, function)
    }

    /// [`ApiKey::allows`] where the tenant is known to be its own.
    pub fn grants(&self, scope: Scope, function: Option<&FunctionName>) -> bool {
        let is_function = self
            .function
            .as_ref()
            .is_none_or(|own| Some(own) == function);
        is_function && self.scopes.iter().any(|own| own.implies(scope))
    }

    /// Whether it may do everything on this server.
    pub fn is_server_admin(&self) -> bool {
        self.tenant.is_none() && self.scopes.contains(&Scope::Admin)
    }
}

/// A key to be made; see [`ApiKey`] for the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What its owner calls it.
    pub name: String,
    /// The tenant that it is for.
    pub tenant: Option<TenantId>,
    /// What it is good for.
    pub scopes: BTreeSet<Scope>,
    /// The only function that it invokes.
    pub function: Option<FunctionName>,
    /// Who makes it.
    pub created_by: String,
    /// From when on it is refused.
    pub expires_ms: Option<u64>,
}

/// A key as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The key.
    pub key: Arc<ApiKey>,
    /// When it was last used, to within [`limits::KEY_USE_GRAIN_MS`].
    pub last_used_ms: Option<u64>,
}

/// Why a token is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no such key, or it was revoked.
    Unknown,
    /// Its time is over.
    Expired,
}

/// Reads and writes of API keys. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keys {
    shared: Arc<Shared>,
}

impl Keys {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Makes a key and answers it with its token, which nobody can have again.
    ///
    /// # Errors
    /// [`Error::TenantNotFound`], [`Error::TooManyKeys`], [`Error::NoRandomness`],
    /// [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// Once polled, the key may be made even if this future is dropped; nobody has it then.
    pub async fn create(&self, new: NewKey) -> Result<(Arc<ApiKey>, Token), Error> {
        let now_ms = (self.shared.clock)();
        let token = Token::new(KeyId::new(now_ms)).map_err(|_| Error::NoRandomness)?;
        let key = Arc::new(ApiKey {
            id: token.id(),
            digest: token.digest(),
            name: new.name,
            tenant: new.tenant,
            scopes: new.scopes,
            function: new.function,
            created_ms: now_ms,
            created_by: new.created_by,
            expires_ms: new.expires_ms,
            last_used_ms: NEVER,
        });
        let cache = Arc::clone(&self.shared);
        let write = move |tables: &mut Tables<'_>| {
            let made = create(tables, &cache.keys, &key)?;
            Ok(made.map(|()| key))
        };
        let key = self.shared.submit(0, write).await?;
        Ok((key, token))
    }

    /// Deletes a key, of `tenant` if one is given; from the answer on it is refused.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`], [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// Once polled, the key is deleted even if this future is dropped.
    pub async fn revoke(&self, tenant: Option<&TenantId>, id: KeyId) -> Result<(), Error> {
        let tenant = tenant.cloned();
        let write = move |tables: &mut Tables<'_>| {
            let text = id.to_string();
            let found = tables.keys.get(text.as_str())?;
            let found = found.map(|json| parse(json.value())).transpose()?;
            let is_meant =
                |key: &ApiKey| tenant.is_none() || key.tenant.as_ref() == tenant.as_ref();
            if !found.as_ref().is_some_and(is_meant) {
                return Ok(Err(Error::KeyNotFound));
            }
            tables.keys.remove(text.as_str())?;
            tables.after_commit(move |shared| shared.keys.remove(id));
            Ok(Ok(()))
        };
        self.shared.submit(0, write).await
    }

    /// One key, of `tenant` if one is given.
    pub fn get(&self, tenant: Option<&TenantId>, id: KeyId) -> Option<KeyInfo> {
        let entry = self.shared.keys.get(id)?;
        let is_meant = tenant.is_none() || entry.key.tenant.as_ref() == tenant;
        is_meant.then(|| entry.info())
    }

    /// Up to `limit` keys after `after` in the order they were made, of `tenant` if one is given.
    pub fn list(
        &self,
        tenant: Option<&TenantId>,
        after: Option<KeyId>,
        limit: usize,
    ) -> Vec<KeyInfo> {
        let entries = self.shared.keys.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = entries.range((from, Bound::Unbounded));
        let own =
            range.filter(|(_, entry)| tenant.is_none() || entry.key.tenant.as_ref() == tenant);
        own.take(limit).map(|(_, entry)| entry.info()).collect()
    }

    /// The key that a token is, unless it is refused. Reads no table; notes the use.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(&self, token: &Token) -> Result<Arc<ApiKey>, Refused> {
        let given = token.digest();
        let entry = self.shared.keys.get(token.id()).ok_or(Refused::Unknown)?;
        if !entry.key.digest.matches(&given) {
            return Err(Refused::Unknown);
        }
        let now_ms = (self.shared.clock)();
        if entry.key.expires_ms.is_some_and(|expiry| expiry <= now_ms) {
            return Err(Refused::Expired);
        }
        self.note_use(&entry, now_ms);
        Ok(Arc::clone(&entry.key))
    }

    /// Writes down that a key is used, at most once in [`limits::KEY_USE_GRAIN_MS`].
    fn note_use(&self, entry: &Entry, now_ms: u64) {
        let last_ms = entry.used_ms.load(Ordering::Relaxed);
        if now_ms < last_ms.saturating_add(limits::KEY_USE_GRAIN_MS) {
            return;
        }
        let swapped =
            entry
                .used_ms
                .compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed);
        if swapped.is_err() {
            return;
        }
        let text = entry.key.id.to_string();
        // Nobody waits for it, and under load it may be left out.
        let _ = self.shared.push(0, move |tables: &mut Tables<'_>| {
            let found = tables.keys.get(text.as_str())?;
            let found = found.map(|json| parse(json.value())).transpose()?;
            if let Some(mut key) = found {
                key.last_used_ms = now_ms;
                store(tables, &key)?;
            }
            Ok(Ok(()))
        });
    }
}

fn parse(json: &[u8]) -> Result<ApiKey, Fault> {
    serde_json::from_slice(json).map_err(Fault::Record)
}

fn store(tables: &mut Tables<'_>, key: &ApiKey) -> Result<(), Fault> {
    let json = serde_json::to_vec(key).map_err(Fault::Record)?;
    tables
        .keys
        .insert(key.id.to_string().as_str(), json.as_slice())?;
    Ok(())
}

fn create(
    tables: &mut Tables<'_>,
    cache: &KeyCache,
    key: &Arc<ApiKey>,
) -> Result<Result<(), Error>, Fault> {
    if let Some(tenant) = &key.tenant
        && !tenants::exists(tables, tenant)?
    {
        return Ok(Err(Error::TenantNotFound));
    }
    let max = u64::try_from(limits::KEYS_MAX).unwrap_or(u64::MAX);
    // What this very transaction added to a tenant is not in the cache yet: a few more do no harm.
    let of_tenant = cache.count(key.tenant.as_ref());
    if tables.keys.len()? >= max || of_tenant >= limits::KEYS_PER_TENANT_MAX {
        return Ok(Err(Error::TooManyKeys));
    }
    store(tables, key)?;
    let made = Arc::clone(key);
    tables.after_commit(move |shared| shared.keys.insert(made));
    Ok(Ok(()))
}

/// Deletes every key of a tenant.
pub(super) fn delete_all(tables: &mut Tables<'_>, tenant: &TenantId) -> Result<(), Fault> {
    let mut ids = Vec::new();
    for entry in tables.keys.iter()? {
        let key = parse(entry?.1.value())?;
        if key.tenant.as_ref() == Some(tenant) {
            ids.push(key.id);
        }
    }
    for id in ids {
        tables.keys.remove(id.to_string().as_str())?;
        tables.after_commit(move |shared| shared.keys.remove(id));
    }
    Ok(())
}

/// A key in memory.
#[derive(Debug)]
struct Entry {
    key: Arc<ApiKey>,
    used_ms: AtomicU64,
}

impl Entry {
    fn info(&self) -> KeyInfo {
        let used_ms = self.used_ms.load(Ordering::Relaxed);
        KeyInfo {
            key: Arc::clone(&self.key),
            last_used_ms: (used_ms != NEVER).then_some(used_ms),
        }
    }
}

type Entries = BTreeMap<KeyId, Arc<Entry>>;

/// All keys, in memory; at most [`limits::KEYS_MAX`].
#[derive(Debug, Default)]
pub(super) struct KeyCache {
    entries: RwLock<Entries>,
}

impl KeyCache {
    /// Takes over what the table holds.
    pub(super) fn load(&self, transaction: &ReadTransaction) -> Result<(), Fault> {
        let mut loaded = Entries::new();
        for entry in transaction.open_table(KEYS)?.iter()? {
            let key = parse(entry?.1.value())?;
            let used_ms = AtomicU64::new(key.last_used_ms);
            let key = Arc::new(key);
            loaded.insert(key.id, Arc::new(Entry { key, used_ms }));
        }
        *self.entries.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: KeyId) -> Option<Arc<Entry>> {
        self.read().get(&id).map(Arc::clone)
    }

    /// How many keys a tenant has.
    pub(super) fn count(&self, tenant: Option<&TenantId>) -> usize {
        let entries = self.read();
        let of_tenant = |entry: &&Arc<Entry>| entry.key.tenant.as_ref() == tenant;
        entries.values().filter(of_tenant).count()
    }

    fn insert(&self, key: Arc<ApiKey>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let used_ms = AtomicU64::new(key.last_used_ms);
        entries.insert(key.id, Arc::new(Entry { key, used_ms }));
    }

    fn remove(&self, id: KeyId) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&id);
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
