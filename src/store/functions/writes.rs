//! The writes of functions, each within the writer's transaction.

use std::sync::Arc;

use redb::ReadableTable;

use super::entry::{Entry, Expected, FunctionChange};
use super::{
    Activation, Deployment, FunctionSummary, NewDeployment, Stored, bundles, identical, parse,
    versions_of,
};
use crate::id::{FunctionName, TenantId};
use crate::limits;
use crate::store::schema::Tables;
use crate::store::{Error, Fault, logs, schedules, tenants};

type Name = (TenantId, FunctionName);
type Outcome<T> = Result<Result<T, Error>, Fault>;

/// Answers with the error of a refusal, as `?` does with a fault.
macro_rules! allowed {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}

pub(super) fn deploy(
    tables: &mut Tables<'_>,
    new: NewDeployment,
    bundle: &[u8],
) -> Outcome<Stored> {
    if bundles::is_stored(tables, &new.id.to_string())? {
        return Ok(Err(Error::DuplicateDeployment));
    }
    match reuse(tables, &new)? {
        Ok(None) => {}
        Ok(Some(stored)) => return Ok(Ok(stored)),
        Err(error) => return Ok(Err(error)),
    }
    let (tenant, function) = (new.tenant.clone(), new.function.clone());
    allowed!(tenants::ensure(tables, &tenant)?);
    let entry = Entry::load(tables, &tenant, &function)?;
    if entry.is_none() {
        allowed!(tenants::check_functions(tables, &tenant)?);
    }
    let name = (tenant.as_str(), function.as_str());
    let version = 1 + tables.counters.get(name)?.map_or(0, |last| last.value());
    let mut entry = entry.unwrap_or_else(|| Entry::new(version));
    if entry.versions >= limits::VERSIONS_MAX {
        return Ok(Err(Error::VersionsExceeded));
    }
    bundles::store(tables, &new, bundle)?;
    let activate = new.activate;
    let deployment = Arc::new(new.numbered(version));
    let json = serde_json::to_vec(&*deployment).map_err(Fault::Record)?;
    tables
        .deployments
        .insert((name.0, name.1, version), json.as_slice())?;
    identical::add(tables, &deployment)?;
    tables.counters.insert(name, version)?;
    entry.versions += 1;
    if activate {
        entry.activate(version);
    }
    entry.save(tables, &tenant, &function)?;
    Ok(Ok(Stored {
        deployment,
        active: activate,
        is_new: true,
        tag: entry.tag(),
    }))
}

/// Answers a version that is what `new` would be, activated if `new` asks for it.
pub(super) fn reuse(tables: &mut Tables<'_>, new: &NewDeployment) -> Outcome<Option<Stored>> {
    let (tenant, function) = (&new.tenant, &new.function);
    let entry = Entry::load(tables, tenant, function)?;
    let tags = entry.as_ref().map(Entry::tag);
    allowed!(new.expected.check(tags.as_slice()));
    if let Some(base) = &new.base {
        let name = (tenant.as_str(), function.as_str(), base.version);
        if tables.deployments.get(name)?.is_none() {
            let version = base.version;
            return Ok(Err(Error::VersionNotFound { version }));
        }
        let active = entry.as_ref().map(|entry| entry.active);
        if (active == Some(base.version)) != base.active {
            return Ok(Err(Error::PreconditionFailed));
        }
    }
    let (Some(mut entry), Some(found)) = (entry, identical::load(tables, new)?) else {
        return Ok(Ok(None));
    };
    if new.activate && !entry.is_settled_on(found.version) {
        entry.activate(found.version);
        entry.save(tables, tenant, function)?;
    }
    Ok(Ok(Some(stored(&entry, found))))
}

/// A version that is kept, as answers have it.
fn stored(entry: &Entry, deployment: Deployment) -> Stored {
    Stored {
        active: entry.active == deployment.version,
        deployment: Arc::new(deployment),
        is_new: false,
        tag: entry.tag(),
    }
}

/// A function and one of its versions.
fn version_of(
    tables: &Tables<'_>,
    (tenant, function): &Name,
    version: u64,
) -> Outcome<(Entry, Deployment)> {
    let Some(entry) = Entry::load(tables, tenant, function)? else {
        return Ok(Err(Error::FunctionNotFound));
    };
    let key = (tenant.as_str(), function.as_str(), version);
    match tables.deployments.get(key)? {
        Some(json) => Ok(Ok((entry, parse(json.value())?))),
        None => Ok(Err(Error::VersionNotFound { version })),
    }
}

pub(super) fn activate(
    tables: &mut Tables<'_>,
    name: &Name,
    version: u64,
    expected: &Expected,
) -> Outcome<Stored> {
    let (mut entry, deployment) = allowed!(version_of(tables, name, version)?);
    allowed!(expected.check(&entry.tags_with(&deployment)));
    if !entry.is_settled_on(version) {
        entry.activate(version);
        entry.save(tables, &name.0, &name.1)?;
    }
    Ok(Ok(stored(&entry, deployment)))
}

pub(super) fn roll_back(
    tables: &mut Tables<'_>,
    name: &Name,
    expected: &Expected,
) -> Outcome<Stored> {
    let Some(mut entry) = Entry::load(tables, &name.0, &name.1)? else {
        return Ok(Err(Error::FunctionNotFound));
    };
    allowed!(expected.check(&[entry.tag()]));
    let Some(version) = entry.roll_back() else {
        return Ok(Err(Error::NothingBefore));
    };
    entry.save(tables, &name.0, &name.1)?;
    let (entry, deployment) = allowed!(version_of(tables, name, version)?);
    Ok(Ok(stored(&entry, deployment)))
}

pub(super) fn change(
    tables: &mut Tables<'_>,
    name: &Name,
    change: FunctionChange,
    expected: &Expected,
) -> Outcome<FunctionSummary> {
    let Some(mut entry) = Entry::load(tables, &name.0, &name.1)? else {
        return Ok(Err(Error::FunctionNotFound));
    };
    allowed!(expected.check(&[entry.tag()]));
    if let Some(Some(split)) = change.split {
        allowed!(version_of(tables, name, split.version)?);
    }
    allowed!(entry.change(change));
    entry.save(tables, &name.0, &name.1)?;
    let serving = entry.serving(&tables.deployments, &name.0, &name.1)?;
    let active = serving.map(|serving| serving.active);
    Ok(Ok(entry.summary(name.1.clone(), active)))
}

pub(super) fn delete_version(
    tables: &mut Tables<'_>,
    name: &Name,
    version: u64,
    expected: &Expected,
) -> Outcome<()> {
    let (mut entry, deployment) = allowed!(version_of(tables, name, version)?);
    allowed!(expected.check(&entry.tags_with(&deployment)));
    allowed!(entry.forget(version));
    let (tenant, function) = (name.0.as_str(), name.1.as_str());
    tables.deployments.remove((tenant, function, version))?;
    identical::remove(tables, &deployment)?;
    bundles::delete(tables, &deployment.id.to_string())?;
    entry.versions -= 1;
    if entry.versions > 0 {
        entry.save(tables, &name.0, &name.1)?;
    } else {
        tables.functions.remove((tenant, function))?;
        tables.function_states.remove((tenant, function))?;
        schedules::delete_of(tables, &name.0, &name.1)?;
    }
    Ok(Ok(()))
}

pub(super) fn delete_function(
    tables: &mut Tables<'_>,
    name: Name,
    expected: &Expected,
) -> Outcome<()> {
    let Some(entry) = Entry::load(tables, &name.0, &name.1)? else {
        return Ok(Err(Error::FunctionNotFound));
    };
    allowed!(expected.check(&[entry.tag()]));
    let (tenant, function) = name;
    let row = (tenant.as_str(), function.as_str());
    tables.functions.remove(row)?;
    tables.function_states.remove(row)?;
    let mut ids = Vec::new();
    for entry in tables
        .deployments
        .range::<(&str, &str, u64)>(versions_of(&tenant, &function))?
    {
        ids.push(parse(entry?.1.value())?.id);
    }
    let range = versions_of(&tenant, &function);
    tables
        .deployments
        .retain_in::<(&str, &str, u64), _>(range, |_, _| false)?;
    for id in &ids {
        bundles::delete(tables, &id.to_string())?;
    }
    identical::remove_all(tables, &tenant, &function)?;
    logs::delete(tables, &tenant, &function)?;
    schedules::delete_of(tables, &tenant, &function)?;
    tables.activations.push(Activation::Gone(tenant, function));
    Ok(Ok(()))
}
