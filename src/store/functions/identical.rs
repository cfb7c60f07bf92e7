//! Versions that are what a new one would be.
//!
//! The digest says so of everything but the environment, whose values may be secret, and of who may
//! call: these are compared here. Secrets are the same if they are sealed alike.

use redb::{ReadTransaction, ReadableTable};

use super::{Deployment, NewDeployment, parse};
use crate::id::{FunctionName, TenantId};
use crate::limits;
use crate::store::Fault;
use crate::store::schema::{DEPLOYMENTS, DIGESTS, Tables};

type DigestKey = (&'static str, &'static str, &'static str, u64);
type NumberedKey = (&'static str, &'static str, u64);

/// Finds one in a snapshot, the newest if there are several.
pub(super) fn read(
    transaction: &ReadTransaction,
    new: &NewDeployment,
) -> Result<Option<Deployment>, Fault> {
    let digests = transaction.open_table(DIGESTS)?;
    let deployments = transaction.open_table(DEPLOYMENTS)?;
    find(&digests, &deployments, new)
}

/// Finds one within a write transaction.
pub(super) fn load(tables: &Tables<'_>, new: &NewDeployment) -> Result<Option<Deployment>, Fault> {
    find(&tables.digests, &tables.deployments, new)
}

fn find(
    digests: &impl ReadableTable<DigestKey, ()>,
    deployments: &impl ReadableTable<NumberedKey, &'static [u8]>,
    new: &NewDeployment,
) -> Result<Option<Deployment>, Fault> {
    if new.digest.is_empty() {
        return Ok(None);
    }
    let (tenant, function) = (new.tenant.as_str(), new.function.as_str());
    let from = (tenant, function, new.digest.as_str(), 0);
    let to = (tenant, function, new.digest.as_str(), u64::MAX);
    let range = digests.range::<(&str, &str, &str, u64)>(from..=to)?;
    for row in range.rev().take(limits::IDENTICAL_VERSIONS_MAX) {
        let (_, _, _, version) = row?.0.value();
        let found = deployments.get((tenant, function, version))?;
        let found = found.ok_or(Fault::Inconsistent("a version with a digest is not stored"))?;
        let found = parse(found.value())?;
        let has_same_env = found.env == new.env && found.secrets == new.secrets;
        if has_same_env && found.requires_key == new.requires_key {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Notes the digest of a version that is stored.
pub(super) fn add(tables: &mut Tables<'_>, deployment: &Deployment) -> Result<(), Fault> {
    if !deployment.digest.is_empty() {
        tables.digests.insert(key(deployment), ())?;
    }
    Ok(())
}

/// Takes back what [`add`] noted.
pub(super) fn remove(tables: &mut Tables<'_>, deployment: &Deployment) -> Result<(), Fault> {
    tables.digests.remove(key(deployment))?;
    Ok(())
}

/// Takes back what was noted of a whole function.
pub(super) fn remove_all(
    tables: &mut Tables<'_>,
    tenant: &TenantId,
    function: &FunctionName,
) -> Result<(), Fault> {
    let (tenant, function) = (tenant.as_str(), function.as_str());
    // Digests are ASCII.
    let range = (tenant, function, "", 0)..=(tenant, function, "\u{7f}", u64::MAX);
    tables
        .digests
        .retain_in::<(&str, &str, &str, u64), _>(range, |_, _| false)?;
    Ok(())
}

fn key(deployment: &Deployment) -> (&str, &str, &str, u64) {
    let (tenant, function) = (deployment.tenant.as_str(), deployment.function.as_str());
    (tenant, function, &deployment.digest, deployment.version)
}
