//! Tenants: their names, their quotas, and the end of one with all that it has.
//!
//! Every tenant that has anything has a row. All rows are in memory too, because the quotas are
//! asked for at every invocation; the map there changes only after the commit.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::functions::{self, Activation};
use super::schema::{FUNCTIONS, KV_BYTES, TENANTS, Tables};
use super::{Error, Fault, Shared, audit, bindings, keys, kv, logs, policies};
use crate::id::{FunctionName, TenantId};
use crate::limits;

/// The active version of a function that has none.
const NONE_ACTIVE: u64 = 0;
/// Comes after every name of a function.
const LAST_NAME: &str = "\u{10ffff}";

/// What a tenant may use at most; what is absent is bounded by the server alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub functions: Option<u64>,
    /// Bytes in `kv`, keys and values together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_bytes: Option<u64>,
    /// Invocations at once; never more than the server's own limit for a tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u64>,
    /// Requests to functions in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Fuel that invocations use in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel_per_minute: Option<u64>,
    /// Outbound requests in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subrequests_per_minute: Option<u64>,
}

/// A tenant, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name in paths.
    pub tenant: TenantId,
    /// Its name for people.
    pub display_name: Option<String>,
    /// When it came into being, Unix time in milliseconds.
    pub created_ms: u64,
    /// What it may use.
    pub quotas: Quotas,
    /// It is being deleted: nothing of it is to be seen, and nothing may be added.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleting: bool,
}

impl Tenant {
    fn new(tenant: TenantId, created_ms: u64) -> Self {
        Self {
            tenant,
            display_name: None,
            created_ms,
            quotas: Quotas::default(),
            deleting: false,
        }
    }
}

/// What a tenant has on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TenantUsage {
    /// Functions.
    pub functions: u64,
    /// Bytes in `kv`: keys and values of all that has not been swept away.
    pub kv_bytes: u64,
    /// API keys.
    pub keys: u64,
}

/// What is to be changed of a tenant; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantChange {
    /// Its name for people; the inner `None` takes it away.
    pub display_name: Option<Option<String>>,
    /// Its quotas.
    pub quotas: QuotaChange,
}

/// What is to be changed of a tenant's quotas: absent leaves one, `null` takes it away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaChange {
    /// See [`Quotas::functions`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub functions: Option<Option<u64>>,
    /// See [`Quotas::kv_bytes`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub kv_bytes: Option<Option<u64>>,
    /// See [`Quotas::concurrent`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub concurrent: Option<Option<u64>>,
    /// See [`Quotas::requests_per_minute`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub requests_per_minute: Option<Option<u64>>,
    /// See [`Quotas::fuel_per_minute`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub fuel_per_minute: Option<Option<u64>>,
    /// See [`Quotas::subrequests_per_minute`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub subrequests_per_minute: Option<Option<u64>>,
}

impl QuotaChange {
    fn apply(self, to: Quotas) -> Quotas {
        Quotas {
            functions: self.functions.unwrap_or(to.functions),
            kv_bytes: self.kv_bytes.unwrap_or(to.kv_bytes),
            concurrent: self.concurrent.unwrap_or(to.concurrent),
            requests_per_minute: self.requests_per_minute.unwrap_or(to.requests_per_minute),
            fuel_per_minute: self.fuel_per_minute.unwrap_or(to.fuel_per_minute),
            subrequests_per_minute: self
                .subrequests_per_minute
                .unwrap_or(to.subrequests_per_minute),
        }
    }
}

/// Tells a member that is `null` from one that is absent.
fn present<'de, D>(deserializer: D) -> Result<Option<Option<u64>>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// Reads and writes of tenants. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tenants {
    shared: Arc<Shared>,
}

impl Tenants {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// [`Error::TenantExists`], also while one of this name is being deleted;
    /// [`Error::TooManyTenants`], [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// Once polled, the tenant is made even if this future is dropped.
    pub async fn create(
        &self,
        tenant: TenantId,
        display_name: Option<String>,
        quotas: Quotas,
    ) -> Result<Arc<Tenant>, Error> {
        let write = move |tables: &mut Tables<'_>| {
            if row(tables, &tenant)?.is_some() {
                return Ok(Err(Error::TenantExists));
            }
            if let Some(full) = full(tables)? {
                return Ok(Err(full));
            }
            let made = Tenant {
                display_name,
                quotas,
                ..Tenant::new(tenant, tables.now_ms)
            };
            Ok(Ok(put(tables, made)?))
        };
        self.shared.submit(0, write).await
    }

    /// One tenant; reads no table.
    pub fn get(&self, tenant: &TenantId) -> Option<Arc<Tenant>> {
        self.shared.tenants.get(tenant)
    }

    /// Up to `limit` tenants after `after`, by name; reads no table.
    pub fn list(&self, after: Option<&TenantId>, limit: usize) -> Vec<Arc<Tenant>> {
        let entries = self.shared.tenants.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = entries.range((from, Bound::Unbounded));
        range
            .take(limit)
            .map(|(_, tenant)| Arc::clone(tenant))
            .collect()
    }

    /// Counts the changes of tenants since the store was opened: while it stays the same, so
    /// does every answer of [`Tenants::get`].
    pub fn generation(&self) -> u64 {
        self.shared.tenants.generation.load(Ordering::Acquire)
    }

    /// What a tenant has on disk.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn usage(&self, tenant: &TenantId) -> Result<TenantUsage, Error> {
        let keys = self.shared.keys.count(Some(tenant));
        self.shared.read(|transaction| {
            let bytes = transaction.open_table(KV_BYTES)?.get(tenant.as_str())?;
            Ok(TenantUsage {
                functions: count(functions_of(&transaction.open_table(FUNCTIONS)?, tenant)?.len()),
                kv_bytes: bytes.map_or(0, |bytes| bytes.value()),
                keys: count(keys),
            })
        })
    }

    /// Changes a tenant, and answers it as it is then.
    ///
    /// # Errors
    /// [`Error::TenantNotFound`], [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// As [`Tenants::create`].
    pub async fn change(
        &self,
        tenant: &TenantId,
        change: TenantChange,
    ) -> Result<Arc<Tenant>, Error> {
        let tenant = tenant.clone();
        let write = move |tables: &mut Tables<'_>| {
            let Some(mut row) = row(tables, &tenant)?.filter(|row| !row.deleting) else {
                return Ok(Err(Error::TenantNotFound));
            };
            row.display_name = change.display_name.unwrap_or(row.display_name);
            row.quotas = change.quotas.apply(row.quotas);
            Ok(Ok(put(tables, row)?))
        };
        self.shared.submit(0, write).await
    }

    /// Deletes a tenant with its functions, kv, logs, keys and all else.
    ///
    /// At once it and its functions are gone for everybody else; what they hold is removed in
    /// several transactions, so that other tenants need not wait. Only then is this answered.
    ///
    /// # Errors
    /// [`Error::TenantNotFound`], [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// When it is dropped or fails on the way, the rest goes with [`Tenants::finish_deletions`].
    pub async fn delete(&self, tenant: &TenantId) -> Result<(), Error> {
        let name = tenant.clone();
        let write = move |tables: &mut Tables<'_>| {
            let Some(mut row) = row(tables, &name)?.filter(|row| !row.deleting) else {
                return Ok(Err(Error::TenantNotFound));
            };
            row.deleting = true;
            keys::delete_all(tables, &name)?;
            deactivate_all(tables, &name)?;
            put(tables, row)?;
            Ok(Ok(()))
        };
        self.shared.submit(0, write).await?;
        self.finish_deletion(tenant).await
    }

    /// Carries on with deletions that were broken off. For the start.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    pub async fn finish_deletions(&self) -> Result<(), Error> {
        let left = self.shared.read(|transaction| {
            let mut left = Vec::new();
            for entry in transaction.open_table(TENANTS)?.iter()? {
                let row = parse(entry?.1.value())?;
                if row.deleting {
                    left.push(row.tenant);
                }
            }
            Ok(left)
        })?;
        for tenant in left {
            self.finish_deletion(&tenant).await?;
        }
        Ok(())
    }

    async fn finish_deletion(&self, tenant: &TenantId) -> Result<(), Error> {
        loop {
            let name = tenant.clone();
            let write = move |tables: &mut Tables<'_>| Ok(Ok(delete_some(tables, &name)?));
            if self.shared.submit(0, write).await? {
                return Ok(());
            }
        }
    }
}

/// Removes some of what a tenant has that is being deleted; true when that was the last of it.
fn delete_some(tables: &mut Tables<'_>, tenant: &TenantId) -> Result<bool, Fault> {
    let function = functions_of(&tables.functions, tenant)?.into_iter().next();
    if let Some((function, _)) = function {
        // One that is not there any more is what is wanted.
        let _ = functions::delete_function(tables, (tenant.clone(), function))?;
        return Ok(false);
    }
    let (_, more) = kv::clear_some(tables, tenant.as_str(), None)?;
    if more.is_some() || logs::delete_some(tables, tenant)? {
        return Ok(false);
    }
    let name = tenant.as_str();
    tables
        .counters
        .retain_in::<(&str, &str), _>((name, "")..=(name, LAST_NAME), |_, _| false)?;
    audit::disown(tables, tenant)?;
    policies::delete(tables, tenant)?;
    bindings::delete_all(tables, tenant)?;
    kv::remove_total(tables, tenant.as_str())?;
    tables.tally.forget_rows();
    tables.tenants.remove(tenant.as_str())?;
    Ok(true)
}

/// Takes every function of a tenant out of service.
fn deactivate_all(tables: &mut Tables<'_>, tenant: &TenantId) -> Result<(), Fault> {
    for (function, versions) in functions_of(&tables.functions, tenant)? {
        let name = (tenant.as_str(), function.as_str());
        tables.functions.insert(name, (NONE_ACTIVE, versions))?;
        let gone = Activation::Gone(tenant.clone(), function);
        tables.activations.push(gone);
    }
    Ok(())
}

/// Makes rows for what a file has of before there were tenants in it.
pub(super) fn count_up(tables: &mut Tables<'_>) -> Result<(), Fault> {
    let mut bytes = BTreeMap::<String, u64>::new();
    for entry in tables.functions.iter()? {
        bytes.entry(entry?.0.value().0.to_owned()).or_default();
    }
    for entry in tables.kv.iter()? {
        let (key, value) = entry?;
        let ((tenant, key), (_, value)) = (key.value(), value.value());
        let sum = bytes.entry(tenant.to_owned()).or_default();
        *sum += kv::bytes_of(key, value);
    }
    for (tenant, bytes) in bytes {
        tables.kv_bytes.insert(tenant.as_str(), bytes)?;
        let tenant = tenant
            .parse()
            .map_err(|_| Fault::Inconsistent("a tenant's name is not allowed"))?;
        // There may be more than the bound then, and no new ones.
        put(tables, Tenant::new(tenant, tables.now_ms))?;
    }
    Ok(())
}

fn parse(json: &[u8]) -> Result<Tenant, Fault> {
    serde_json::from_slice(json).map_err(Fault::Record)
}

fn row(tables: &Tables<'_>, tenant: &TenantId) -> Result<Option<Tenant>, Fault> {
    let found = tables.tenants.get(tenant.as_str())?;
    found.map(|json| parse(json.value())).transpose()
}

/// Whether a tenant is there and not being deleted.
pub(super) fn exists(tables: &Tables<'_>, tenant: &TenantId) -> Result<bool, Fault> {
    Ok(row(tables, tenant)?.is_some_and(|row| !row.deleting))
}

/// The quotas of a tenant, and the time it came into being; `None` without one.
pub(super) fn quotas(tables: &Tables<'_>, tenant: &str) -> Result<Option<(Quotas, u64)>, Fault> {
    let Some(json) = tables.tenants.get(tenant)? else {
        return Ok(None);
    };
    let row = parse(json.value())?;
    // Nothing that was granted to one that is being deleted is good any more.
    let since_ms = if row.deleting {
        u64::MAX
    } else {
        row.created_ms
    };
    Ok(Some((row.quotas, since_ms)))
}

/// Has the tenant be there: who may deploy for any tenant makes it by naming it.
///
/// # Errors
/// [`Error::TenantNotFound`] while it is being deleted, [`Error::TooManyTenants`].
pub(super) fn ensure(
    tables: &mut Tables<'_>,
    tenant: &TenantId,
) -> Result<Result<(), Error>, Fault> {
    match row(tables, tenant)? {
        Some(row) if row.deleting => return Ok(Err(Error::TenantNotFound)),
        Some(_) => return Ok(Ok(())),
        None => {}
    }
    if let Some(full) = full(tables)? {
        return Ok(Err(full));
    }
    put(tables, Tenant::new(tenant.clone(), tables.now_ms))?;
    Ok(Ok(()))
}

/// Refuses one more function beyond the quota.
pub(super) fn check_functions(
    tables: &Tables<'_>,
    tenant: &TenantId,
) -> Result<Result<(), Error>, Fault> {
    let quota = quotas(tables, tenant.as_str())?.and_then(|(quotas, _)| quotas.functions);
    let Some(max) = quota else {
        return Ok(Ok(()));
    };
    if count(functions_of(&tables.functions, tenant)?.len()) < max {
        return Ok(Ok(()));
    }
    Ok(Err(Error::QuotaExceeded {
        quota: "functions",
        max,
    }))
}

fn full(tables: &Tables<'_>) -> Result<Option<Error>, Fault> {
    let max = u64::try_from(limits::TENANTS_MAX).unwrap_or(u64::MAX);
    Ok((tables.tenants.len()? >= max).then_some(Error::TooManyTenants))
}

fn put(tables: &mut Tables<'_>, tenant: Tenant) -> Result<Arc<Tenant>, Fault> {
    let json = serde_json::to_vec(&tenant).map_err(Fault::Record)?;
    tables.tally.forget_rows();
    tables
        .tenants
        .insert(tenant.tenant.as_str(), json.as_slice())?;
    let tenant = Arc::new(tenant);
    let changed = Arc::clone(&tenant);
    tables.after_commit(move |shared| shared.tenants.put(changed));
    Ok(tenant)
}

/// The functions of a tenant, each with the number of its versions.
fn functions_of(
    table: &impl ReadableTable<(&'static str, &'static str), (u64, u64)>,
    tenant: &TenantId,
) -> Result<Vec<(FunctionName, u64)>, Fault> {
    let mut functions = Vec::new();
    for entry in table.range::<(&str, &str)>((tenant.as_str(), "")..)? {
        let (key, row) = entry?;
        let (of_tenant, function) = key.value();
        if of_tenant != tenant.as_str() {
            break;
        }
        let function = function
            .parse()
            .map_err(|_| Fault::Inconsistent("a function's name is not allowed"))?;
        functions.push((function, row.value().1));
    }
    Ok(functions)
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// All tenants, in memory; at most [`limits::TENANTS_MAX`].
#[derive(Debug, Default)]
pub(super) struct TenantCache {
    generation: AtomicU64,
    entries: RwLock<BTreeMap<TenantId, Arc<Tenant>>>,
}

impl TenantCache {
    /// Takes over what the table holds.
    pub(super) fn load(&self, transaction: &ReadTransaction) -> Result<(), Fault> {
        let mut loaded = BTreeMap::new();
        for entry in transaction.open_table(TENANTS)?.iter()? {
            let tenant = parse(entry?.1.value())?;
            if !tenant.deleting {
                loaded.insert(tenant.tenant.clone(), Arc::new(tenant));
            }
        }
        *self.entries.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<TenantId, Arc<Tenant>>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// One tenant that is not being deleted.
    pub(super) fn get(&self, tenant: &TenantId) -> Option<Arc<Tenant>> {
        self.read().get(tenant).map(Arc::clone)
    }

    fn put(&self, tenant: Arc<Tenant>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if tenant.deleting {
            entries.remove(&tenant.tenant);
        } else {
            entries.insert(tenant.tenant.clone(), tenant);
        }
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
#[path = "tenants_tests.rs"]
mod tests;
