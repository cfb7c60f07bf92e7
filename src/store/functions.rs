//! Functions, their versions and bundles; and which version is active.
//!
//! A version number is never used twice, not even after its version or the whole function was
//! deleted. What is active is cached: the hot path reads no table. The cache changes only after
//! the commit that changes the table.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable};
use serde::{Deserialize, Serialize};

use super::schema::{BUNDLE_CHUNK_BYTES, BUNDLES, DEPLOYMENTS, FUNCTIONS, Tables};
use super::{Error, Fault, Shared, logs, schedules, tenants};
use crate::id::{DeploymentId, FunctionName, TenantId};
use crate::kind::Kind;
use crate::limits::{LimitOverrides, Limits};
use crate::secret::Sealed;

/// Most active deployments kept in memory; when there are more, all are read anew.
const CACHE_LEN_MAX: usize = 10_000;
/// The active version of a function that has none.
const NONE_ACTIVE: u64 = 0;

/// How a deployment's modules come to be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evaluation {
    /// Once, at deploy; invocations start from the snapshot.
    Snapshot,
    /// In every invocation, because the top level asked for something that a snapshot would
    /// freeze.
    PerRequest {
        /// What it asked for and where, for people.
        reason: String,
    },
}

/// One immutable version of a function, as stored; its files are the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Names the bundle and everything derived from it.
    pub id: DeploymentId,
    /// The owner.
    pub tenant: TenantId,
    /// The function that this is a version of.
    pub function: FunctionName,
    /// The number shown: 1 and up, in the order of deploying.
    pub version: u64,
    /// When it was deployed, Unix time in milliseconds.
    pub created_ms: u64,
    /// What it is for; older records are all of requests.
    #[serde(default)]
    pub kind: Kind,
    /// The entry file, relative to the deployment's folder.
    pub entry: String,
    /// Environment variables, by name.
    pub env: BTreeMap<String, String>,
    /// Environment variables that are secret, by name, each sealed under the master key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Sealed>,
    /// Whether requests to it need a key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requires_key: bool,
    /// The limits it was deployed with, where they differ from the default.
    pub limits: LimitOverrides,
    /// The route pattern that gives `req.params`, such as `/users/:userId`.
    pub route: Option<String>,
    /// Whether a snapshot holds its modules.
    pub evaluation: Evaluation,
    /// Number of files in the bundle.
    pub files: u64,
    /// Total size of these files, in bytes.
    pub source_bytes: u64,
    /// Size of its snapshot, in bytes.
    pub snapshot_bytes: u64,
}

impl Deployment {
    /// The limits in force. They were checked when it was deployed; a maximum lowered since then
    /// sets all of them back to the defaults of its kind.
    pub fn limits_in_force(&self) -> Limits {
        let limits = self.limits.resolve(self.kind);
        limits.unwrap_or_else(|_| Limits::of(self.kind))
    }
}

/// What is to be stored as the next version of a function; see [`Deployment`] for the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeployment {
    /// A fresh id.
    pub id: DeploymentId,
    /// The owner.
    pub tenant: TenantId,
    /// The function, which need not exist yet.
    pub function: FunctionName,
    /// Unix time in milliseconds.
    pub created_ms: u64,
    /// What it is for.
    pub kind: Kind,
    /// The entry file.
    pub entry: String,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Environment variables that are secret, sealed.
    pub secrets: BTreeMap<String, Sealed>,
    /// Whether requests to it need a key.
    pub requires_key: bool,
    /// Limits other than the default.
    pub limits: LimitOverrides,
    /// The route pattern.
    pub route: Option<String>,
    /// Whether a snapshot holds its modules.
    pub evaluation: Evaluation,
    /// Number of files.
    pub files: u64,
    /// Their total size in bytes.
    pub source_bytes: u64,
    /// Size of the snapshot in bytes.
    pub snapshot_bytes: u64,
    /// Whether the new version becomes the active one in the same transaction.
    pub activate: bool,
}

impl NewDeployment {
    fn numbered(self, version: u64) -> Deployment {
        Deployment {
            id: self.id,
            tenant: self.tenant,
            function: self.function,
            version,
            created_ms: self.created_ms,
            kind: self.kind,
            entry: self.entry,
            env: self.env,
            secrets: self.secrets,
            requires_key: self.requires_key,
            limits: self.limits,
            route: self.route,
            evaluation: self.evaluation,
            files: self.files,
            source_bytes: self.source_bytes,
            snapshot_bytes: self.snapshot_bytes,
        }
    }
}

/// A function as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionSummary {
    /// Its name.
    pub function: FunctionName,
    /// Versions kept.
    pub versions: u64,
    /// The active deployment; `None` while none was ever activated.
    pub active: Option<Arc<Deployment>>,
}

/// Reads and writes of functions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Functions {
    shared: Arc<Shared>,
}

impl Functions {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Stores a new version with its bundle, in one transaction, and activates it if asked to.
    ///
    /// The version is the last one ever used of this function, plus one.
    ///
    /// # Errors
    /// [`Error::DuplicateDeployment`], [`Error::TenantNotFound`] while it is being deleted,
    /// [`Error::TooManyTenants`], [`Error::QuotaExceeded`], [`Error::Busy`],
    /// [`Error::Unavailable`], [`Error::Closed`]. After any of them but `Unavailable` nothing has changed.
    /// # Cancel safety
    /// Once polled, the deployment happens even if this future is dropped.
    pub async fn deploy(
        &self,
        new: NewDeployment,
        bundle: Bytes,
    ) -> Result<Arc<Deployment>, Error> {
        let bytes = bundle.len();
        let write = move |tables: &mut Tables<'_>| deploy(tables, new, &bundle);
        self.shared.submit(bytes, write).await
    }

    /// The deployment that the function's name resolves to; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`]; never for one that is in memory.
    pub fn active(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
    ) -> Result<Option<Arc<Deployment>>, Error> {
        if let Some(cached) = self.shared.active.get(tenant, function) {
            return Ok(Some(cached));
        }
        let generation = self.shared.active.generation();
        let found = self.shared.read(|transaction| {
            let Some(row) = read_function(transaction, tenant, function)? else {
                return Ok(None);
            };
            match row.active {
                NONE_ACTIVE => Ok(None),
                active => read_deployment(transaction, tenant, function, active),
            }
        })?;
        let found = found.map(Arc::new);
        if let Some(found) = &found {
            self.shared.active.fill(generation, Arc::clone(found));
        }
        Ok(found)
    }

    /// Counts the changes of active deployments since the store was opened: while it stays the
    /// same, so does every answer of [`Functions::active`].
    pub fn generation(&self) -> u64 {
        self.shared.active.generation()
    }

    /// One version of a function.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::VersionNotFound`], [`Error::Unavailable`],
    /// [`Error::Closed`].
    pub fn version(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        version: u64,
    ) -> Result<Deployment, Error> {
        self.shared.read(|transaction| {
            if read_function(transaction, tenant, function)?.is_none() {
                return Ok(Err(Error::FunctionNotFound));
            }
            let found = read_deployment(transaction, tenant, function, version)?;
            Ok(found.ok_or(Error::VersionNotFound { version }))
        })?
    }

    /// Every version of a function that is kept, newest first.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::Unavailable`], [`Error::Closed`].
    pub fn versions(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
    ) -> Result<Vec<Deployment>, Error> {
        let range = versions_of(tenant, function);
        self.shared.read(|transaction| {
            if read_function(transaction, tenant, function)?.is_none() {
                return Ok(Err(Error::FunctionNotFound));
            }
            let table = transaction.open_table(DEPLOYMENTS)?;
            let mut versions = Vec::new();
            for entry in table.range::<(&str, &str, u64)>(range)?.rev() {
                versions.push(parse(entry?.1.value())?);
            }
            Ok(Ok(versions))
        })?
    }

    /// The functions of a tenant, by name.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn list(&self, tenant: &TenantId) -> Result<Vec<FunctionSummary>, Error> {
        self.shared.read(|transaction| {
            let table = transaction.open_table(FUNCTIONS)?;
            let mut functions = Vec::new();
            for entry in table.range::<(&str, &str)>((tenant.as_str(), "")..)? {
                let (key, row) = entry?;
                let (of_tenant, name) = key.value();
                if of_tenant != tenant.as_str() {
                    break;
                }
                let function: FunctionName = name
                    .parse()
                    .map_err(|_| Fault::Inconsistent("a function's name is not allowed"))?;
                let (active, versions) = row.value();
                let active = match active {
                    NONE_ACTIVE => None,
                    active => read_deployment(transaction, tenant, &function, active)?,
                };
                functions.push(FunctionSummary {
                    function,
                    versions,
                    active: active.map(Arc::new),
                });
            }
            Ok(functions)
        })
    }

    /// Makes a version the active one, and answers it.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::VersionNotFound`], [`Error::Busy`],
    /// [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// As [`Functions::deploy`].
    pub async fn activate(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        version: u64,
    ) -> Result<Arc<Deployment>, Error> {
        let (tenant, function) = (tenant.clone(), function.clone());
        let write = move |tables: &mut Tables<'_>| activate(tables, tenant, function, version);
        self.shared.submit(0, write).await
    }

    /// Deletes one version and its bundle; with its last version the function and its schedules
    /// are gone too.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::VersionNotFound`], [`Error::VersionActive`],
    /// [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// As [`Functions::deploy`].
    pub async fn delete_version(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        version: u64,
    ) -> Result<(), Error> {
        let (tenant, function) = (tenant.clone(), function.clone());
        let write =
            move |tables: &mut Tables<'_>| delete_version(tables, &tenant, &function, version);
        self.shared.submit(0, write).await
    }

    /// Deletes a function with all versions, bundles, schedules and stored log lines.
    ///
    /// The count of versions stays: deployed anew, it goes on where it was. Lines that its last
    /// invocations log after this are stored.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// As [`Functions::deploy`].
    pub async fn delete_function(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
    ) -> Result<(), Error> {
        let (tenant, function) = (tenant.clone(), function.clone());
        let write = move |tables: &mut Tables<'_>| delete_function(tables, tenant, function);
        self.shared.submit(0, write).await
    }

    /// The bundle of a deployment, as it was given to `deploy`; `None` if it is not stored.
    ///
    /// Copies all of it: not for an async thread if it may be large.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn bundle(&self, id: &DeploymentId) -> Result<Option<Bytes>, Error> {
        let id = id.to_string();
        self.shared.read(|transaction| {
            let table = transaction.open_table(BUNDLES)?;
            let mut bundle: Option<Vec<u8>> = None;
            for entry in table.range::<(&str, u32)>(chunks_of(&id))? {
                let (_, chunk) = entry?;
                bundle
                    .get_or_insert_default()
                    .extend_from_slice(chunk.value());
            }
            Ok(bundle.map(Bytes::from))
        })
    }

    /// Whether a deployment of this id, as text, is stored.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn has_bundle(&self, id: &str) -> Result<bool, Error> {
        self.shared.read(|transaction| {
            let table = transaction.open_table(BUNDLES)?;
            let first = table.range::<(&str, u32)>(chunks_of(id))?.next();
            Ok(first.transpose()?.is_some())
        })
    }
}

/// A row of the table of functions.
struct FunctionRow {
    active: u64,
    versions: u64,
}

type NumberedRange<'a> = std::ops::RangeInclusive<(&'a str, &'a str, u64)>;

fn versions_of<'a>(tenant: &'a TenantId, function: &'a FunctionName) -> NumberedRange<'a> {
    let (tenant, function) = (tenant.as_str(), function.as_str());
    (tenant, function, 0)..=(tenant, function, u64::MAX)
}

fn chunks_of(id: &str) -> std::ops::RangeInclusive<(&str, u32)> {
    (id, 0)..=(id, u32::MAX)
}

fn parse(json: &[u8]) -> Result<Deployment, Fault> {
    serde_json::from_slice(json).map_err(Fault::Record)
}

fn read_function(
    transaction: &ReadTransaction,
    tenant: &TenantId,
    function: &FunctionName,
) -> Result<Option<FunctionRow>, Fault> {
    let table = transaction.open_table(FUNCTIONS)?;
    function_row(&table, tenant, function)
}

fn function_row(
    table: &impl ReadableTable<(&'static str, &'static str), (u64, u64)>,
    tenant: &TenantId,
    function: &FunctionName,
) -> Result<Option<FunctionRow>, Fault> {
    let row = table.get((tenant.as_str(), function.as_str()))?;
    Ok(row.map(|row| {
        let (active, versions) = row.value();
        FunctionRow { active, versions }
    }))
}

fn read_deployment(
    transaction: &ReadTransaction,
    tenant: &TenantId,
    function: &FunctionName,
    version: u64,
) -> Result<Option<Deployment>, Fault> {
    let table = transaction.open_table(DEPLOYMENTS)?;
    let found = table.get((tenant.as_str(), function.as_str(), version))?;
    found.map(|json| parse(json.value())).transpose()
}

fn deploy(
    tables: &mut Tables<'_>,
    new: NewDeployment,
    bundle: &[u8],
) -> Result<Result<Arc<Deployment>, Error>, Fault> {
    let id = new.id.to_string();
    if tables.bundles.get((id.as_str(), 0))?.is_some() {
        return Ok(Err(Error::DuplicateDeployment));
    }
    let activate = new.activate;
    let (tenant, function) = (new.tenant.clone(), new.function.clone());
    if let Err(refused) = tenants::ensure(tables, &tenant)? {
        return Ok(Err(refused));
    }
    let row = function_row(&tables.functions, &tenant, &function)?;
    if row.is_none()
        && let Err(refused) = tenants::check_functions(tables, &tenant)?
    {
        return Ok(Err(refused));
    }
    let name = (tenant.as_str(), function.as_str());
    let version = 1 + tables.counters.get(name)?.map_or(0, |last| last.value());
    let deployment = Arc::new(new.numbered(version));

    let json = serde_json::to_vec(&*deployment).map_err(Fault::Record)?;
    tables
        .deployments
        .insert((name.0, name.1, version), json.as_slice())?;
    store_bundle(tables, &id, bundle)?;
    tables.counters.insert(name, version)?;

    let row = row.unwrap_or(FunctionRow {
        active: NONE_ACTIVE,
        versions: 0,
    });
    let active = if activate { version } else { row.active };
    tables.functions.insert(name, (active, row.versions + 1))?;
    if activate {
        tables
            .activations
            .push(Activation::To(Arc::clone(&deployment)));
    }
    Ok(Ok(deployment))
}

/// Stores a bundle in chunks; an empty one as one empty chunk, so that it is found.
fn store_bundle(tables: &mut Tables<'_>, id: &str, bundle: &[u8]) -> Result<(), Fault> {
    if bundle.is_empty() {
        tables.bundles.insert((id, 0), bundle)?;
    }
    for (number, chunk) in (0u32..).zip(bundle.chunks(BUNDLE_CHUNK_BYTES)) {
        tables.bundles.insert((id, number), chunk)?;
    }
    Ok(())
}

fn activate(
    tables: &mut Tables<'_>,
    tenant: TenantId,
    function: FunctionName,
    version: u64,
) -> Result<Result<Arc<Deployment>, Error>, Fault> {
    let Some(row) = function_row(&tables.functions, &tenant, &function)? else {
        return Ok(Err(Error::FunctionNotFound));
    };
    let name = (tenant.as_str(), function.as_str());
    let deployment = match tables.deployments.get((name.0, name.1, version))? {
        Some(json) => Arc::new(parse(json.value())?),
        None => return Ok(Err(Error::VersionNotFound { version })),
    };
    tables.functions.insert(name, (version, row.versions))?;
    tables
        .activations
        .push(Activation::To(Arc::clone(&deployment)));
    Ok(Ok(deployment))
}

fn delete_version(
    tables: &mut Tables<'_>,
    tenant: &TenantId,
    function: &FunctionName,
    version: u64,
) -> Result<Result<(), Error>, Fault> {
    let Some(row) = function_row(&tables.functions, tenant, function)? else {
        return Ok(Err(Error::FunctionNotFound));
    };
    let name = (tenant.as_str(), function.as_str());
    if row.active == version && version != NONE_ACTIVE {
        return Ok(Err(Error::VersionActive { version }));
    }
    let deployment = match tables.deployments.remove((name.0, name.1, version))? {
        Some(json) => parse(json.value())?,
        None => return Ok(Err(Error::VersionNotFound { version })),
    };
    delete_bundle(tables, &deployment.id)?;
    if row.versions > 1 {
        tables
            .functions
            .insert(name, (row.active, row.versions - 1))?;
    } else {
        tables.functions.remove(name)?;
        schedules::delete_of(tables, tenant, function)?;
    }
    Ok(Ok(()))
}

pub(super) fn delete_function(
    tables: &mut Tables<'_>,
    tenant: TenantId,
    function: FunctionName,
) -> Result<Result<(), Error>, Fault> {
    let name = (tenant.as_str(), function.as_str());
    if tables.functions.remove(name)?.is_none() {
        return Ok(Err(Error::FunctionNotFound));
    }
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
        delete_bundle(tables, id)?;
    }
    logs::delete(tables, &tenant, &function)?;
    schedules::delete_of(tables, &tenant, &function)?;
    tables.activations.push(Activation::Gone(tenant, function));
    Ok(Ok(()))
}

fn delete_bundle(tables: &mut Tables<'_>, id: &DeploymentId) -> Result<(), Fault> {
    let id = id.to_string();
    tables
        .bundles
        .retain_in::<(&str, u32), _>(chunks_of(&id), |_, _| false)?;
    Ok(())
}

/// A committed change of what is active.
pub(super) enum Activation {
    /// This deployment is active now.
    To(Arc<Deployment>),
    /// This function has no active deployment any more.
    Gone(TenantId, FunctionName),
}

/// Active deployments in memory.
///
/// The generation rises with every change, under the lock: what a reader found in the tables is
/// put in only if nothing was changed since before it looked.
#[derive(Default)]
pub(super) struct ActiveCache {
    generation: AtomicU64,
    entries: RwLock<CacheEntries>,
}

#[derive(Default)]
struct CacheEntries {
    tenants: HashMap<TenantId, HashMap<FunctionName, Arc<Deployment>>>,
    len: usize,
}

impl CacheEntries {
    fn insert(&mut self, deployment: Arc<Deployment>) {
        if self.len >= CACHE_LEN_MAX {
            *self = Self::default();
        }
        let functions = self.tenants.entry(deployment.tenant.clone()).or_default();
        if functions
            .insert(deployment.function.clone(), deployment)
            .is_none()
        {
            self.len += 1;
        }
    }

    fn remove(&mut self, tenant: &TenantId, function: &FunctionName) {
        let Some(functions) = self.tenants.get_mut(tenant) else {
            return;
        };
        if functions.remove(function).is_some() {
            self.len -= 1;
        }
        if functions.is_empty() {
            self.tenants.remove(tenant);
        }
    }
}

impl ActiveCache {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn get(&self, tenant: &TenantId, function: &FunctionName) -> Option<Arc<Deployment>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.tenants.get(tenant)?.get(function).map(Arc::clone)
    }

    /// Puts in what was read from the tables, if `generation` is still the present one.
    fn fill(&self, generation: u64, deployment: Arc<Deployment>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if self.generation() == generation {
            entries.insert(deployment);
        }
    }

    /// Takes over changes that are committed, in their order.
    pub(super) fn apply(&self, activations: Vec<Activation>) {
        if activations.is_empty() {
            return;
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::AcqRel);
        for activation in activations {
            match activation {
                Activation::To(deployment) => entries.insert(deployment),
                Activation::Gone(tenant, function) => entries.remove(&tenant, &function),
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::AcqRel);
        *entries = CacheEntries::default();
    }
}

#[cfg(test)]
#[path = "functions_tests.rs"]
mod tests;
