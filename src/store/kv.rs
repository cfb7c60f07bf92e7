//! Keys and values of tenants: [`Namespace`] is the grant that an invocation receives.
//!
//! A key is expired from the millisecond of its expiry on; from then on no read answers it and
//! no write sees it, whether or not the sweep has removed it yet.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use redb::ReadableTable;

use super::schema::{EXPIRIES, KV, Tables};
use super::{Error, Fault, Quotas, Shared, tenants};
use crate::id::TenantId;
use crate::limits;

/// Most keys that one `list` looks at, expired ones included.
const LIST_SCAN_MAX: usize = 10 * limits::KV_LIST_KEYS_MAX;
/// Most keys that one transaction of `clear` removes.
const CLEAR_KEYS_MAX: usize = 1000;
/// The stored expiry of a key that has none.
const NEVER: u64 = 0;

/// One tenant's key space. Cheap to clone; there is no way from it to another tenant's.
///
/// Keys: 1..=512 bytes of UTF-8. Values: 0..=1 MiB, as written. Reads see every write that was
/// answered before they began, of this and of every other invocation.
#[derive(Debug, Clone)]
pub struct Namespace {
    shared: Arc<Shared>,
    tenant: Arc<str>,
    /// When the tenant came into being that this was granted for, if it is one of record. A
    /// later one of the same name is another.
    since_ms: Option<u64>,
}

/// Whose keys a write is about.
struct Owner {
    tenant: Arc<str>,
    since_ms: Option<u64>,
}

/// Some keys of a namespace, in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most as many as asked for; may be fewer, even none, while `next` is there.
    pub keys: Vec<String>,
    /// What to give as `after` for the keys that follow; `None` at the end.
    pub next: Option<String>,
}

impl Namespace {
    pub(super) fn new(shared: Arc<Shared>, tenant: &TenantId) -> Self {
        Self {
            tenant: tenant.to_shared(),
            since_ms: shared.tenants.get(tenant).map(|row| row.created_ms),
            shared,
        }
    }

    /// Reads one value; `None` if the key was never set, is deleted or has expired.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::Unavailable`], [`Error::Closed`].
    pub fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.look_up(key, Bytes::copy_from_slice)
    }

    /// Whether the key has a value, as [`Namespace::get`] would answer it.
    ///
    /// # Errors
    /// As [`Namespace::get`].
    pub fn has(&self, key: &str) -> Result<bool, Error> {
        Ok(self.look_up(key, |_| ())?.is_some())
    }

    fn owner(&self) -> Owner {
        Owner {
            tenant: Arc::clone(&self.tenant),
            since_ms: self.since_ms,
        }
    }

    fn look_up<T>(&self, key: &str, answer: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Error> {
        check_key(key)?;
        let now_ms = (self.shared.clock)();
        self.shared.read_kv(|table| {
            let Some(entry) = table.get((&*self.tenant, key))? else {
                return Ok(None);
            };
            let (expires_at_ms, value) = entry.value();
            Ok(is_live(expires_at_ms, now_ms).then(|| answer(value)))
        })
    }

    /// Lists the keys that start with `prefix` and come after `after`, up to `limit`.
    ///
    /// `limit` is taken as 1..=1000. A prefix or cursor longer than a key may be finds what such
    /// a key would be before. Keys written meanwhile may or may not appear.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Error> {
        let limit = limit.clamp(1, limits::KV_LIST_KEYS_MAX);
        let now_ms = (self.shared.clock)();
        let tenant = &*self.tenant;
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded((tenant, after)),
            Some(_) | None => Bound::Included((tenant, prefix)),
        };
        // In a transaction of its own: this may take milliseconds, and commits wait for the other.
        self.shared.read(|transaction| {
            let table = transaction.open_table(KV)?;
            let mut keys: Vec<String> = Vec::new();
            let mut scanned = 0;
            for entry in table.range::<(&str, &str)>((start, Bound::Unbounded))? {
                let (key, value) = entry?;
                let (of_tenant, key) = key.value();
                if of_tenant != tenant || !key.starts_with(prefix) {
                    return Ok(Page { keys, next: None });
                }
                scanned += 1;
                if is_live(value.value().0, now_ms) {
                    if keys.len() == limit {
                        let next = keys.last().cloned();
                        return Ok(Page { keys, next });
                    }
                    keys.push(key.to_owned());
                }
                if scanned == LIST_SCAN_MAX {
                    let next = Some(key.to_owned());
                    return Ok(Page { keys, next });
                }
            }
            Ok(Page { keys, next: None })
        })
    }

    /// Writes one value. Without `expires_at_ms` (Unix time) it stays, whatever was set before.
    ///
    /// An expiry that has passed when the write commits makes this a deletion.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::ValueTooLarge`], [`Error::ExpiryTooFar`],
    /// [`Error::QuotaExceeded`], [`Error::TenantNotFound`] once the tenant is deleted,
    /// [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// Once polled, the write happens even if this future is dropped.
    pub async fn set(
        &self,
        key: &str,
        value: Bytes,
        expires_at_ms: Option<u64>,
    ) -> Result<(), Error> {
        check_key(key)?;
        check_value(&value)?;
        let expiry = self.check_expiry(expires_at_ms)?;
        let (owner, key) = (self.owner(), key.to_owned());
        let bytes = key.len() + value.len();
        let write = move |tables: &mut Tables<'_>| put(tables, &owner, &key, &value, expiry);
        self.shared.submit(bytes, write).await
    }

    /// Deletes one key; answers whether it had a value.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// As [`Namespace::set`].
    pub async fn delete(&self, key: &str) -> Result<bool, Error> {
        check_key(key)?;
        let (tenant, key) = (Arc::clone(&self.tenant), key.to_owned());
        let write = move |tables: &mut Tables<'_>| Ok(Ok(remove(tables, &tenant, &key)?));
        self.shared.submit(0, write).await
    }

    /// Adds `by` to a value that is the JSON text of a number, and answers the sum; atomic.
    ///
    /// A missing or expired key counts as 0 and is made with the expiry `new_expires_at_ms`; a
    /// key that has a value keeps the expiry it has.
    ///
    /// # Errors
    /// [`Error::NotANumber`] and [`Error::NotFinite`], both leaving the value as it is;
    /// [`Error::KeyLength`], [`Error::ExpiryTooFar`], [`Error::Busy`], [`Error::Unavailable`],
    /// [`Error::Closed`].
    /// # Cancel safety
    /// As [`Namespace::set`].
    pub async fn increment(
        &self,
        key: &str,
        by: f64,
        new_expires_at_ms: Option<u64>,
    ) -> Result<f64, Error> {
        check_key(key)?;
        if !by.is_finite() {
            return Err(Error::NotFinite);
        }
        let new_expiry = self.check_expiry(new_expires_at_ms)?;
        let (owner, key) = (self.owner(), key.to_owned());
        let write = move |tables: &mut Tables<'_>| add(tables, &owner, &key, by, new_expiry);
        self.shared.submit(0, write).await
    }

    /// Writes `new` if the value is `expected`, byte for byte; answers whether it was; atomic.
    ///
    /// `expected` of `None`: there must be no value. `new` of `None`: delete.
    ///
    /// # Errors
    /// As [`Namespace::set`].
    /// # Cancel safety
    /// As [`Namespace::set`].
    pub async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        new: Option<Bytes>,
        expires_at_ms: Option<u64>,
    ) -> Result<bool, Error> {
        check_key(key)?;
        if let Some(new) = &new {
            check_value(new)?;
        }
        let expiry = self.check_expiry(expires_at_ms)?;
        let (owner, key) = (self.owner(), key.to_owned());
        let len_of = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        let bytes = key.len() + len_of(&expected) + len_of(&new);
        let write = move |tables: &mut Tables<'_>| {
            let same = {
                let entry = tables.kv.get((&*owner.tenant, key.as_str()))?;
                let live = entry.as_ref().map(|entry| entry.value());
                let live = live.filter(|(expiry, _)| is_live(*expiry, tables.now_ms));
                live.map(|(_, value)| value) == expected.as_deref()
            };
            match new {
                _ if !same => {}
                Some(new) => {
                    let written = put(tables, &owner, &key, &new, expiry)?;
                    return Ok(written.map(|()| true));
                }
                None => _ = remove(tables, &owner.tenant, &key)?,
            }
            Ok(Ok(same))
        };
        self.shared.submit(bytes, write).await
    }

    /// Deletes every key there was when this began, and answers how many had a value.
    ///
    /// Done in transactions of at most 1,000 keys, so that no other tenant waits: keys written
    /// meanwhile may stay, and a failure on the way leaves the later keys in place.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// Dropping this future leaves the later keys in place.
    pub async fn clear(&self) -> Result<u64, Error> {
        let mut cleared = 0;
        let mut after: Option<String> = None;
        loop {
            let tenant = Arc::clone(&self.tenant);
            let write = move |tables: &mut Tables<'_>| Ok(Ok(clear_some(tables, &tenant, after)?));
            let (count, last) = self.shared.submit(0, write).await?;
            cleared += count;
            if last.is_none() {
                return Ok(cleared);
            }
            after = last;
        }
    }

    fn check_expiry(&self, expires_at_ms: Option<u64>) -> Result<Option<u64>, Error> {
        let furthest = (self.shared.clock)().saturating_add(limits::KV_TTL_MS_MAX);
        match expires_at_ms {
            Some(expiry) if expiry > furthest => Err(Error::ExpiryTooFar),
            Some(_) | None => Ok(expires_at_ms),
        }
    }
}

fn check_key(key: &str) -> Result<(), Error> {
    let bytes = key.len();
    if (1..=limits::KV_KEY_BYTES_MAX).contains(&bytes) {
        Ok(())
    } else {
        Err(Error::KeyLength { bytes })
    }
}

fn check_value(value: &Bytes) -> Result<(), Error> {
    let bytes = value.len();
    if bytes <= limits::KV_VALUE_BYTES_MAX {
        Ok(())
    } else {
        Err(Error::ValueTooLarge { bytes })
    }
}

fn is_live(expires_at_ms: u64, now_ms: u64) -> bool {
    expires_at_ms == NEVER || now_ms < expires_at_ms
}

/// What an entry counts for in the quota: its key and its value.
pub(super) fn bytes_of(key: &str, value: &[u8]) -> u64 {
    u64::try_from(key.len() + value.len()).unwrap_or(u64::MAX)
}

/// Writes a value and its place in the expiry index; an expiry in the past deletes.
fn put(
    tables: &mut Tables<'_>,
    owner: &Owner,
    key: &str,
    value: &[u8],
    expires_at_ms: Option<u64>,
) -> Result<Result<(), Error>, Fault> {
    let tenant = &*owner.tenant;
    let row = row_of(tables, tenant)?;
    let since_ms = row.map(|(_, since_ms)| since_ms);
    if owner.since_ms.is_some() && owner.since_ms != since_ms {
        return Ok(Err(Error::TenantNotFound));
    }
    if expires_at_ms.is_some_and(|expiry| expiry <= tables.now_ms) {
        remove(tables, tenant, key)?;
        return Ok(Ok(()));
    }
    if let Some(max) = row.and_then(|(quotas, _)| quotas.kv_bytes)
        && let Err(refused) = check_quota(tables, tenant, key, value, max)?
    {
        return Ok(Err(refused));
    }
    let expiry = expires_at_ms.unwrap_or(NEVER);
    let old = tables.kv.insert((tenant, key), (expiry, value))?;
    let (old_expiry, old_bytes) = old.map_or((NEVER, 0), |old| {
        let (expiry, value) = old.value();
        (expiry, bytes_of(key, value))
    });
    let total = total(tables, tenant)?.saturating_sub(old_bytes);
    set_total(tables, tenant, total.saturating_add(bytes_of(key, value)));
    if old_expiry != expiry {
        if old_expiry != NEVER {
            tables.expiries.remove((old_expiry, tenant, key))?;
        }
        if expiry != NEVER {
            tables.expiries.insert((expiry, tenant, key), ())?;
        }
    }
    Ok(Ok(()))
}

/// What a transaction knows of the tenants whose keys it changes: many writes of one tenant share
/// a transaction, and need not look up and count each for itself.
#[derive(Default)]
pub(super) struct Tally {
    /// What is not in the table yet.
    totals: HashMap<String, u64>,
    rows: HashMap<String, Option<(Quotas, u64)>>,
}

impl Tally {
    /// Some tenant has changed.
    pub(super) fn forget_rows(&mut self) {
        self.rows.clear();
    }
}

/// As [`tenants::quotas`].
fn row_of(tables: &mut Tables<'_>, tenant: &str) -> Result<Option<(Quotas, u64)>, Fault> {
    if let Some(row) = tables.tally.rows.get(tenant) {
        return Ok(*row);
    }
    let row = tenants::quotas(tables, tenant)?;
    tables.tally.rows.insert(tenant.to_owned(), row);
    Ok(row)
}

/// Bytes that a tenant has in kv.
fn total(tables: &Tables<'_>, tenant: &str) -> Result<u64, Fault> {
    if let Some(total) = tables.tally.totals.get(tenant) {
        return Ok(*total);
    }
    let total = tables.kv_bytes.get(tenant)?;
    Ok(total.map_or(0, |total| total.value()))
}

fn set_total(tables: &mut Tables<'_>, tenant: &str, bytes: u64) {
    match tables.tally.totals.get_mut(tenant) {
        Some(total) => *total = bytes,
        None => _ = tables.tally.totals.insert(tenant.to_owned(), bytes),
    }
}

/// Writes down what was counted. The last thing that a transaction does.
pub(super) fn write_totals(tables: &mut Tables<'_>) -> Result<(), Fault> {
    for (tenant, bytes) in std::mem::take(&mut tables.tally.totals) {
        tables.kv_bytes.insert(tenant.as_str(), bytes)?;
    }
    Ok(())
}

/// The tenant is no more.
pub(super) fn remove_total(tables: &mut Tables<'_>, tenant: &str) -> Result<(), Fault> {
    tables.tally.totals.remove(tenant);
    tables.kv_bytes.remove(tenant)?;
    Ok(())
}

/// Refuses a value that is beyond the quota.
fn check_quota(
    tables: &mut Tables<'_>,
    tenant: &str,
    key: &str,
    value: &[u8],
    max: u64,
) -> Result<Result<(), Error>, Fault> {
    let exceeds = |(before, after)| after > max && after > before;
    if exceeds(sizes(tables, tenant, key, value)?) {
        // What has expired counts until it is swept away, and stands in nobody's way.
        sweep(tables, CLEAR_KEYS_MAX)?;
        if exceeds(sizes(tables, tenant, key, value)?) {
            let quota = "bytes in kv";
            return Ok(Err(Error::QuotaExceeded { quota, max }));
        }
    }
    Ok(Ok(()))
}

/// What a tenant has in kv, and would have with this value.
fn sizes(tables: &Tables<'_>, tenant: &str, key: &str, value: &[u8]) -> Result<(u64, u64), Fault> {
    let total = total(tables, tenant)?;
    let old = tables.kv.get((tenant, key))?;
    let old = old.map_or(0, |old| bytes_of(key, old.value().1));
    let after = total
        .saturating_sub(old)
        .saturating_add(bytes_of(key, value));
    Ok((total, after))
}

/// Removes a key and its place in the expiry index; answers whether it had a live value.
fn remove(tables: &mut Tables<'_>, tenant: &str, key: &str) -> Result<bool, Fault> {
    let removed = tables.kv.remove((tenant, key))?.map(|old| {
        let (expiry, value) = old.value();
        (expiry, bytes_of(key, value))
    });
    let Some((expiry, bytes)) = removed else {
        return Ok(false);
    };
    let total = total(tables, tenant)?.saturating_sub(bytes);
    set_total(tables, tenant, total);
    if expiry != NEVER {
        tables.expiries.remove((expiry, tenant, key))?;
    }
    Ok(is_live(expiry, tables.now_ms))
}

fn add(
    tables: &mut Tables<'_>,
    owner: &Owner,
    key: &str,
    by: f64,
    new_expires_at_ms: Option<u64>,
) -> Result<Result<f64, Error>, Fault> {
    let (old, expires_at_ms) = {
        let entry = tables.kv.get((&*owner.tenant, key))?;
        let live = entry.as_ref().map(|entry| entry.value());
        match live.filter(|(expiry, _)| is_live(*expiry, tables.now_ms)) {
            Some((expiry, value)) => {
                let Some(number) = parse_number(value) else {
                    return Ok(Err(Error::NotANumber));
                };
                (number, (expiry != NEVER).then_some(expiry))
            }
            None => (0.0, new_expires_at_ms),
        }
    };
    let sum = old + by;
    if !sum.is_finite() {
        return Ok(Err(Error::NotFinite));
    }
    let text = number_text(sum);
    let written = put(tables, owner, key, text.as_bytes(), expires_at_ms)?;
    Ok(written.map(|()| sum))
}

/// The number that a JSON text holds, if it holds exactly one.
fn parse_number(value: &[u8]) -> Option<f64> {
    // serde_json says whether it is JSON; the standard library rounds correctly.
    serde_json::from_slice::<serde_json::Number>(value).ok()?;
    let number: f64 = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

/// A JSON text of a finite number: digits where JavaScript writes digits, else an exponent.
fn number_text(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude == 0.0 {
        "0".to_owned()
    } else if (1e-6..1e21).contains(&magnitude) {
        format!("{number}")
    } else {
        format!("{number:e}")
    }
}

/// Removes up to [`CLEAR_KEYS_MAX`] keys after `after`; answers how many of them had a live
/// value, and the last one if there may be more.
pub(super) fn clear_some(
    tables: &mut Tables<'_>,
    tenant: &str,
    after: Option<String>,
) -> Result<(u64, Option<String>), Fault> {
    let start = match &after {
        Some(after) => Bound::Excluded((tenant, after.as_str())),
        None => Bound::Included((tenant, "")),
    };
    let mut keys = Vec::new();
    for entry in tables.kv.range::<(&str, &str)>((start, Bound::Unbounded))? {
        let (key, _) = entry?;
        let (of_tenant, key) = key.value();
        if of_tenant != tenant || keys.len() == CLEAR_KEYS_MAX {
            break;
        }
        keys.push(key.to_owned());
    }
    let mut cleared = 0;
    for key in &keys {
        cleared += u64::from(remove(tables, tenant, key)?);
    }
    let more = keys.len() == CLEAR_KEYS_MAX;
    Ok((cleared, keys.pop().filter(|_| more)))
}

/// Whether any key has expired and is not removed yet.
pub(super) fn any_expired(shared: &Shared) -> Result<bool, Error> {
    let now_ms = (shared.clock)();
    shared.read(|transaction| {
        let table = transaction.open_table(EXPIRIES)?;
        let first = table.first()?;
        Ok(first.is_some_and(|(key, _)| key.value().0 <= now_ms))
    })
}

/// Removes up to `keys_max` expired keys, those that expired first; answers how many.
pub(super) fn sweep(tables: &mut Tables<'_>, keys_max: usize) -> Result<usize, Fault> {
    let mut expired = Vec::new();
    let until = (tables.now_ms.saturating_add(1), "", "");
    for entry in tables.expiries.range::<(u64, &str, &str)>(..until)? {
        if expired.len() == keys_max {
            break;
        }
        let (key, _) = entry?;
        let (expiry, tenant, key) = key.value();
        expired.push((expiry, tenant.to_owned(), key.to_owned()));
    }
    for (expiry, tenant, key) in &expired {
        tables
            .expiries
            .remove((*expiry, tenant.as_str(), key.as_str()))?;
        remove(tables, tenant, key)?;
    }
    Ok(expired.len())
}

#[cfg(test)]
#[path = "kv_tests.rs"]
mod tests;
