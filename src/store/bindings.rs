//! Bindings: what a tenant's event functions may call of the platform, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use redb::ReadableTable;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema::{BINDINGS, Tables};
use super::{Error, Fault, Shared};
use crate::id::{FunctionName, TenantId};
use crate::limits::BINDINGS_MAX;
use crate::secret::Sealed;

/// A function of the platform, reached over HTTP.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// What functions call it: an identifier of JavaScript.
    pub name: String,
    /// Where it is: an absolute http or https URL.
    pub url: String,
    /// `POST`, `PUT` or `PATCH`.
    pub method: String,
    /// Header fields sent along; their values are sealed under the master key.
    pub headers: BTreeMap<String, Sealed>,
    /// JSON Schema of the arguments: a list with one for each, or one of the only argument.
    pub parameters: Option<Value>,
    /// How long a call may take, in milliseconds.
    pub timeout_ms: u64,
    /// For people.
    pub description: String,
    /// The functions that have it; `None` for all event functions of the tenant.
    pub functions: Option<BTreeSet<FunctionName>>,
    /// When it was last written, Unix time in milliseconds.
    pub updated_ms: u64,
}

impl fmt::Debug for Binding {
    /// Without the values of its headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("headers", &self.headers.keys())
            .finish_non_exhaustive()
    }
}

/// Reads and writes of bindings. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bindings {
    shared: Arc<Shared>,
}

impl Bindings {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Writes a binding, in the place of the one of the same name; answers whether it is new.
    ///
    /// # Errors
    /// [`Error::TooManyBindings`], [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// Once polled, it is written even if this future is dropped.
    pub async fn put(&self, tenant: &TenantId, binding: Binding) -> Result<bool, Error> {
        let tenant = tenant.clone();
        let write = move |tables: &mut Tables<'_>| put(tables, &tenant, &binding);
        self.shared.submit(0, write).await
    }

    /// Deletes a binding.
    ///
    /// # Errors
    /// [`Error::BindingNotFound`], [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// As [`Bindings::put`].
    pub async fn delete(&self, tenant: &TenantId, name: &str) -> Result<(), Error> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        let write = move |tables: &mut Tables<'_>| delete(tables, &tenant, &name);
        self.shared.submit(0, write).await
    }

    /// A tenant's bindings, by name: at most [`BINDINGS_MAX`].
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn list(&self, tenant: &TenantId) -> Result<Vec<Binding>, Error> {
        self.shared.read(|transaction| {
            let table = transaction.open_table(BINDINGS)?;
            let mut bindings = Vec::new();
            for entry in table.range::<(&str, &str)>((tenant.as_str(), "")..)? {
                let (key, json) = entry?;
                if key.value().0 != tenant.as_str() {
                    break;
                }
                bindings.push(serde_json::from_slice(json.value()).map_err(Fault::Record)?);
            }
            Ok(bindings)
        })
    }

    /// One of a tenant's bindings.
    ///
    /// # Errors
    /// [`Error::BindingNotFound`], [`Error::Unavailable`], [`Error::Closed`].
    pub fn get(&self, tenant: &TenantId, name: &str) -> Result<Binding, Error> {
        self.shared.read(|transaction| {
            let table = transaction.open_table(BINDINGS)?;
            let Some(json) = table.get((tenant.as_str(), name))? else {
                return Ok(Err(Error::BindingNotFound));
            };
            let binding = serde_json::from_slice(json.value()).map_err(Fault::Record)?;
            Ok(Ok(binding))
        })?
    }

    /// Counts the changes of bindings since the store was opened: while it stays the same, so
    /// does every answer of [`Bindings::list`]. Read it first.
    pub fn generation(&self) -> u64 {
        self.shared.bindings_changed.load(Ordering::Acquire)
    }
}

fn put(
    tables: &mut Tables<'_>,
    tenant: &TenantId,
    binding: &Binding,
) -> Result<Result<bool, Error>, Fault> {
    let key = (tenant.as_str(), binding.name.as_str());
    let is_new = tables.bindings.get(key)?.is_none();
    if is_new && count(tables, tenant)? >= BINDINGS_MAX {
        return Ok(Err(Error::TooManyBindings));
    }
    let json = serde_json::to_vec(binding).map_err(Fault::Record)?;
    tables.bindings.insert(key, json.as_slice())?;
    tables.after_commit(note_change);
    Ok(Ok(is_new))
}

fn count(tables: &Tables<'_>, tenant: &TenantId) -> Result<usize, Fault> {
    let mut count = 0;
    for entry in tables
        .bindings
        .range::<(&str, &str)>((tenant.as_str(), "")..)?
    {
        if entry?.0.value().0 != tenant.as_str() {
            break;
        }
        count += 1;
    }
    Ok(count)
}

fn delete(
    tables: &mut Tables<'_>,
    tenant: &TenantId,
    name: &str,
) -> Result<Result<(), Error>, Fault> {
    let removed = tables.bindings.remove((tenant.as_str(), name))?.is_some();
    if !removed {
        return Ok(Err(Error::BindingNotFound));
    }
    tables.after_commit(note_change);
    Ok(Ok(()))
}

/// Has what was read of bindings before be read again.
fn note_change(shared: &Shared) {
    shared.bindings_changed.fetch_add(1, Ordering::Release);
}

/// Deletes what a tenant has bound that is no more.
pub(super) fn delete_all(tables: &mut Tables<'_>, tenant: &TenantId) -> Result<(), Fault> {
    let name = tenant.as_str();
    let mut bound = Vec::new();
    for entry in tables.bindings.range::<(&str, &str)>((name, "")..)? {
        let (key, _) = entry?;
        let (of_tenant, binding) = key.value();
        if of_tenant != name {
            break;
        }
        bound.push(binding.to_owned());
    }
    for binding in &bound {
        tables.bindings.remove((name, binding.as_str()))?;
    }
    if !bound.is_empty() {
        tables.after_commit(note_change);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{MasterKey, Plain};
    use crate::store::disk::Disk;
    use crate::store::tests::{on_disk, tenant};

    fn binding(name: &str, url: &str) -> Binding {
        let master = MasterKey::new(&[1; 32]);
        let sealed = master.seal_text("here", &Plain::from("s3cret".to_owned()));
        Binding {
            name: name.to_owned(),
            url: url.to_owned(),
            method: "POST".to_owned(),
            headers: BTreeMap::from([("authorization".to_owned(), sealed)]),
            parameters: None,
            timeout_ms: 1000,
            description: String::new(),
            functions: None,
            updated_ms: 1,
        }
    }

    #[tokio::test]
    async fn bindings_are_a_tenants_own_and_each_change_is_counted() {
        let store = on_disk(&Disk::new(1)).unwrap();
        let (bindings, a, b) = (store.bindings(), tenant("a"), tenant("b"));
        let first = bindings.generation();
        assert!(
            bindings
                .put(&a, binding("log", "http://x/1"))
                .await
                .unwrap()
        );
        assert!(bindings.put(&a, binding("db", "http://x/2")).await.unwrap());
        assert!(
            !bindings
                .put(&a, binding("log", "http://x/3"))
                .await
                .unwrap()
        );
        assert_eq!(bindings.list(&b).unwrap(), []);
        let listed = bindings.list(&a).unwrap();
        let urls: Vec<&str> = listed.iter().map(|one| one.url.as_str()).collect();
        assert_eq!(urls, ["http://x/2", "http://x/3"]);
        assert_eq!(bindings.get(&a, "log").unwrap().url, "http://x/3");
        assert!(matches!(
            bindings.get(&b, "log"),
            Err(Error::BindingNotFound)
        ));
        let changed = bindings.generation();
        assert!(changed > first);
        let missing = bindings.delete(&b, "log").await;
        assert!(matches!(missing, Err(Error::BindingNotFound)));
        assert_eq!(bindings.generation(), changed);
        bindings.delete(&a, "log").await.unwrap();
        assert!(bindings.generation() > changed);
        assert!(!format!("{listed:?}").contains("s3cret"));
    }

    #[tokio::test]
    async fn a_tenant_has_so_many_and_no_more() {
        let store = on_disk(&Disk::new(1)).unwrap();
        let (bindings, a, b) = (store.bindings(), tenant("a"), tenant("b"));
        for number in 0..BINDINGS_MAX {
            let one = binding(&format!("b{number}"), "http://x");
            bindings.put(&a, one).await.unwrap();
        }
        let more = bindings.put(&a, binding("more", "http://x")).await;
        assert!(matches!(more, Err(Error::TooManyBindings)));
        // Those that are there can still be changed, and others have their own.
        assert!(!bindings.put(&a, binding("b0", "http://y")).await.unwrap());
        assert!(bindings.put(&b, binding("more", "http://x")).await.unwrap());
    }
}
