//! The files of deployments, packed. Deployments of one tenant with the same files share them.
//!
//! A bundle that is shared is stored under its tenant and digest, and counted; one that nobody
//! took a digest of is stored under its deployment's id. Tenants never share: how long a deploy
//! takes would tell one what another has.

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable};

use super::NewDeployment;
use crate::store::Fault;
use crate::store::schema::{BUNDLE_CHUNK_BYTES, BUNDLE_NAMES, BUNDLES, Tables};

/// All chunks of one bundle.
fn chunks_of(name: &str) -> std::ops::RangeInclusive<(&str, u32)> {
    (name, 0)..=(name, u32::MAX)
}

/// The bundle of a deployment; `None` if it is not stored.
pub(super) fn read(transaction: &ReadTransaction, id: &str) -> Result<Option<Bytes>, Fault> {
    let names = transaction.open_table(BUNDLE_NAMES)?;
    let shared = names.get(id)?;
    let name = shared.as_ref().map_or(id, |shared| shared.value());
    let table = transaction.open_table(BUNDLES)?;
    let mut bundle: Option<Vec<u8>> = None;
    for entry in table.range::<(&str, u32)>(chunks_of(name))? {
        let (_, chunk) = entry?;
        bundle
            .get_or_insert_default()
            .extend_from_slice(chunk.value());
    }
    Ok(bundle.map(Bytes::from))
}

/// Whether a deployment of this id is stored.
pub(super) fn has(transaction: &ReadTransaction, id: &str) -> Result<bool, Fault> {
    if transaction.open_table(BUNDLE_NAMES)?.get(id)?.is_some() {
        return Ok(true);
    }
    let table = transaction.open_table(BUNDLES)?;
    let first = table.range::<(&str, u32)>(chunks_of(id))?.next();
    Ok(first.transpose()?.is_some())
}

/// Whether a deployment of this id is stored, within a write transaction.
pub(super) fn is_stored(tables: &Tables<'_>, id: &str) -> Result<bool, Fault> {
    let is_named = tables.bundle_names.get(id)?.is_some();
    Ok(is_named || tables.bundles.get((id, 0))?.is_some())
}

/// Stores the bundle of a new deployment, unless it is there already.
pub(super) fn store(
    tables: &mut Tables<'_>,
    new: &NewDeployment,
    bundle: &[u8],
) -> Result<(), Fault> {
    let id = new.id.to_string();
    if new.files_digest.is_empty() {
        return write(tables, &id, bundle);
    }
    // No tenant's name has a `/`, and no id.
    let name = format!("{}/{}", new.tenant, new.files_digest);
    let uses = tables
        .bundle_uses
        .get(name.as_str())?
        .map_or(0, |uses| uses.value());
    if uses == 0 {
        write(tables, &name, bundle)?;
    }
    tables.bundle_uses.insert(name.as_str(), uses + 1)?;
    tables.bundle_names.insert(id.as_str(), name.as_str())?;
    Ok(())
}

/// Stores a bundle in chunks; an empty one as one empty chunk, so that it is found.
fn write(tables: &mut Tables<'_>, name: &str, bundle: &[u8]) -> Result<(), Fault> {
    if bundle.is_empty() {
        tables.bundles.insert((name, 0), bundle)?;
    }
    for (number, chunk) in (0u32..).zip(bundle.chunks(BUNDLE_CHUNK_BYTES)) {
        tables.bundles.insert((name, number), chunk)?;
    }
    Ok(())
}

/// Deletes the bundle of a deployment, unless another one has the same.
pub(super) fn delete(tables: &mut Tables<'_>, id: &str) -> Result<(), Fault> {
    let shared = tables.bundle_names.remove(id)?;
    let shared = shared.map(|name| name.value().to_owned());
    let name = match &shared {
        Some(name) => {
            let uses = tables.bundle_uses.get(name.as_str())?;
            let left = uses.map_or(0, |uses| uses.value()).saturating_sub(1);
            if left > 0 {
                tables.bundle_uses.insert(name.as_str(), left)?;
                return Ok(());
            }
            tables.bundle_uses.remove(name.as_str())?;
            name.as_str()
        }
        None => id,
    };
    tables
        .bundles
        .retain_in::<(&str, u32), _>(chunks_of(name), |_, _| false)?;
    Ok(())
}
