//! Functions, their versions and bundles; and which version is active.
//!
//! A version number is never used twice, not even after its version or the whole function was
//! deleted. What is active is cached: the hot path reads no table. The cache changes only after
//! the commit that changes the table.

mod bundles;
mod cache;
mod entry;
mod identical;
mod writes;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable};
use serde::{Deserialize, Serialize};

use super::schema::{DEPLOYMENTS, FUNCTIONS, Tables};
use super::{Error, Fault, Shared};
use crate::id::{DeploymentId, FunctionName, TenantId};
use crate::kind::Kind;
use crate::limits::{LimitOverrides, Limits};
use crate::secret::Sealed;

pub use cache::Serving;
pub(super) use cache::{Activation, ActiveCache};
use entry::Entry;
pub use entry::{Expected, FunctionChange, Split, Tags};

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
    /// What it consists of, its environment excepted: `sha256:` and hexadecimal digits. Empty if
    /// nobody took it.
    #[serde(default)]
    pub digest: String,
    /// The same of its files alone; names the bundle among the tenant's.
    #[serde(default)]
    pub files_digest: String,
}

impl Deployment {
    /// Changes whenever what the API shows of it does.
    pub fn tag(&self, active: bool) -> String {
        let state = if active { "-active" } else { "" };
        format!("{}{state}", self.id)
    }
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
    /// What it consists of, its environment excepted; empty: it is like no other version.
    pub digest: String,
    /// The same of its files alone; empty: its bundle is kept apart.
    pub files_digest: String,
    /// Whether the new version becomes the active one in the same transaction.
    pub activate: bool,
    /// What the function has to be beforehand.
    pub expected: Expected,
    /// The version that it was made from, if it was.
    pub base: Option<Base>,
}

/// The version that another one is made from, as its maker saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// Its number.
    pub version: u64,
    /// Whether it was the active one.
    pub active: bool,
}

/// A version after a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The version.
    pub deployment: Arc<Deployment>,
    /// Whether it is the active one.
    pub active: bool,
    /// Whether it was not there before.
    pub is_new: bool,
    /// The function's tag, see [`FunctionSummary::tag`].
    pub tag: String,
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
            digest: self.digest,
            files_digest: self.files_digest,
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
    /// The version that rolling back would activate.
    pub previous: Option<u64>,
    /// The version that answers a part of the invocations, and its weight.
    pub split: Option<Split>,
    /// What it is, for people.
    pub description: String,
    /// Whether it may be invoked.
    pub enabled: bool,
    /// Changes with every write to the function or its versions, and never comes again.
    pub tag: String,
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
    /// The version is the last one ever used of this function, plus one. If a version of the same
    /// digest and environment is kept, nothing is stored, and that one is answered, and activated
    /// if asked to.
    ///
    /// # Errors
    /// [`Error::DuplicateDeployment`], [`Error::PreconditionFailed`],
    /// [`Error::VersionsExceeded`], [`Error::TenantNotFound`] while it is being deleted,
    /// [`Error::TooManyTenants`], [`Error::QuotaExceeded`], [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// After any of them but `Unavailable` nothing has changed.
    /// # Cancel safety
    /// Once polled, the deployment happens even if this future is dropped.
    pub async fn deploy(&self, new: NewDeployment, bundle: Bytes) -> Result<Stored, Error> {
        let bytes = bundle.len();
        let write = move |tables: &mut Tables<'_>| writes::deploy(tables, new, &bundle);
        self.shared.submit(bytes, write).await
    }

    /// What [`Functions::deploy`] would answer if it stored nothing; `None` if it would.
    ///
    /// # Errors
    /// As [`Functions::deploy`].
    /// # Cancel safety
    /// As [`Functions::deploy`].
    pub async fn reuse(&self, new: &NewDeployment) -> Result<Option<Stored>, Error> {
        let read = |transaction: &ReadTransaction| identical::read(transaction, new);
        if self.shared.read(read)?.is_none() {
            return Ok(None);
        }
        let new = new.clone();
        let write = move |tables: &mut Tables<'_>| writes::reuse(tables, &new);
        self.shared.submit(0, write).await
    }

    /// Whether a function is what a caller expects, now.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`], [`Error::Unavailable`], [`Error::Closed`].
    pub fn check(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        expected: &Expected,
    ) -> Result<(), Error> {
        if *expected == Expected::default() {
            return Ok(());
        }
        let entry = self
            .shared
            .read(|transaction| Entry::read(transaction, tenant, function))?;
        expected.check(entry.map(|entry| entry.tag()).as_slice())
    }

    /// The active version of a function, enabled or not; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`]; never for one that is in memory.
    pub fn active(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
    ) -> Result<Option<Arc<Deployment>>, Error> {
        let serving = self.serving(tenant, function)?;
        Ok(serving.map(|serving| Arc::clone(&serving.active)))
    }

    /// What the function's name resolves to; `None` while no version is active.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`]; never for what is in memory.
    pub fn serving(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
    ) -> Result<Option<Arc<Serving>>, Error> {
        if let Some(cached) = self.shared.active.get(tenant, function) {
            return Ok(Some(cached));
        }
        let generation = self.shared.active.generation();
        let found = self.shared.read(|transaction| {
            let Some(entry) = Entry::read(transaction, tenant, function)? else {
                return Ok(None);
            };
            let table = transaction.open_table(DEPLOYMENTS)?;
            entry.serving(&table, tenant, function)
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
            if Entry::read(transaction, tenant, function)?.is_none() {
                return Ok(Err(Error::FunctionNotFound));
            }
            let found = read_deployment(transaction, tenant, function, version)?;
            Ok(found.ok_or(Error::VersionNotFound { version }))
        })?
    }

    /// Versions of a function that are kept, newest first: those below `before`, at most `limit`.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::Unavailable`], [`Error::Closed`].
    pub fn versions(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        before: u64,
        limit: usize,
    ) -> Result<Vec<Deployment>, Error> {
        let (t, f) = (tenant.as_str(), function.as_str());
        self.shared.read(|transaction| {
            if Entry::read(transaction, tenant, function)?.is_none() {
                return Ok(Err(Error::FunctionNotFound));
            }
            let table = transaction.open_table(DEPLOYMENTS)?;
            let mut versions = Vec::new();
            let range = table.range::<(&str, &str, u64)>((t, f, 0)..(t, f, before))?;
            for entry in range.rev().take(limit) {
                versions.push(parse(entry?.1.value())?);
            }
            Ok(Ok(versions))
        })?
    }

    /// The functions of a tenant, by name: those after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn list(
        &self,
        tenant: &TenantId,
        after: Option<&FunctionName>,
        limit: usize,
    ) -> Result<Vec<FunctionSummary>, Error> {
        // No name is empty.
        let after = after.map_or("", FunctionName::as_str);
        let from = std::ops::Bound::Excluded((tenant.as_str(), after));
        self.shared.read(|transaction| {
            let table = transaction.open_table(FUNCTIONS)?;
            let range = table.range::<(&str, &str)>((from, std::ops::Bound::Unbounded))?;
            let mut functions = Vec::new();
            for row in range.take(limit) {
                let (key, _) = row?;
                let (of_tenant, name) = key.value();
                if of_tenant != tenant.as_str() {
                    break;
                }
                let function: FunctionName = name
                    .parse()
                    .map_err(|_| Fault::Inconsistent("a function's name is not allowed"))?;
                functions.extend(summary(transaction, tenant, &function)?);
            }
            Ok(functions)
        })
    }

    /// The active deployments of a kind, of all tenants.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn active_of_kind(&self, kind: Kind) -> Result<Vec<Arc<Deployment>>, Error> {
        self.shared.read(|transaction| {
            let functions = transaction.open_table(FUNCTIONS)?;
            let deployments = transaction.open_table(DEPLOYMENTS)?;
            let mut found = Vec::new();
            for entry in functions.iter()? {
                let (key, row) = entry?;
                let ((tenant, function), (active, _versions)) = (key.value(), row.value());
                let Some(record) = deployments.get((tenant, function, active))? else {
                    continue;
                };
                let deployment: Deployment = parse(record.value())?;
                if deployment.kind == kind {
                    found.push(Arc::new(deployment));
                }
            }
            Ok(found)
        })
    }

    /// A function.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::Unavailable`], [`Error::Closed`].
    pub fn show(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
    ) -> Result<FunctionSummary, Error> {
        self.shared
            .read(|transaction| summary(transaction, tenant, function))?
            .ok_or(Error::FunctionNotFound)
    }

    /// Makes a version the active one, and answers it. A split ends.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::VersionNotFound`], [`Error::PreconditionFailed`],
    /// [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// As [`Functions::deploy`].
    pub async fn activate(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        version: u64,
        expected: Expected,
    ) -> Result<Stored, Error> {
        let name = (tenant.clone(), function.clone());
        let write =
            move |tables: &mut Tables<'_>| writes::activate(tables, &name, version, &expected);
        self.shared.submit(0, write).await
    }

    /// Makes the version active that was so before the active one, and answers it. A split ends.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::NothingBefore`], [`Error::PreconditionFailed`],
    /// [`Error::Busy`], [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// As [`Functions::deploy`].
    pub async fn roll_back(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        expected: Expected,
    ) -> Result<Stored, Error> {
        let name = (tenant.clone(), function.clone());
        let write = move |tables: &mut Tables<'_>| writes::roll_back(tables, &name, &expected);
        self.shared.submit(0, write).await
    }

    /// Changes what a function is besides its versions, and answers the function.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::VersionNotFound`] and [`Error::SplitInvalid`] for a
    /// split, [`Error::PreconditionFailed`], [`Error::Busy`], [`Error::Unavailable`],
    /// [`Error::Closed`].
    /// # Cancel safety
    /// As [`Functions::deploy`].
    pub async fn change(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        change: FunctionChange,
        expected: Expected,
    ) -> Result<FunctionSummary, Error> {
        let name = (tenant.clone(), function.clone());
        let write = move |tables: &mut Tables<'_>| writes::change(tables, &name, change, &expected);
        self.shared.submit(0, write).await
    }

    /// Deletes one version; with its last version the function and its schedules are
    /// gone too.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::VersionNotFound`], [`Error::VersionActive`],
    /// [`Error::VersionSplit`], [`Error::PreconditionFailed`], [`Error::Busy`],
    /// [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// As [`Functions::deploy`].
    pub async fn delete_version(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        version: u64,
        expected: Expected,
    ) -> Result<(), Error> {
        let name = (tenant.clone(), function.clone());
        let write = move |tables: &mut Tables<'_>| {
            writes::delete_version(tables, &name, version, &expected)
        };
        self.shared.submit(0, write).await
    }

    /// Deletes a function with all versions, bundles, schedules and stored log lines.
    ///
    /// The count of versions stays: deployed anew, it goes on where it was. Lines that its last
    /// invocations log after this are stored.
    ///
    /// # Errors
    /// [`Error::FunctionNotFound`], [`Error::PreconditionFailed`], [`Error::Busy`],
    /// [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// As [`Functions::deploy`].
    pub async fn delete_function(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        expected: Expected,
    ) -> Result<(), Error> {
        let name = (tenant.clone(), function.clone());
        let write = move |tables: &mut Tables<'_>| writes::delete_function(tables, name, &expected);
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
        self.shared
            .read(|transaction| bundles::read(transaction, &id))
    }

    /// Whether a deployment of this id, as text, is stored.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn has_bundle(&self, id: &str) -> Result<bool, Error> {
        self.shared
            .read(|transaction| bundles::has(transaction, id))
    }
}

type NumberedRange<'a> = std::ops::RangeInclusive<(&'a str, &'a str, u64)>;

fn versions_of<'a>(tenant: &'a TenantId, function: &'a FunctionName) -> NumberedRange<'a> {
    let (tenant, function) = (tenant.as_str(), function.as_str());
    (tenant, function, 0)..=(tenant, function, u64::MAX)
}

fn parse(json: &[u8]) -> Result<Deployment, Fault> {
    serde_json::from_slice(json).map_err(Fault::Record)
}

fn summary(
    transaction: &ReadTransaction,
    tenant: &TenantId,
    function: &FunctionName,
) -> Result<Option<FunctionSummary>, Fault> {
    let Some(entry) = Entry::read(transaction, tenant, function)? else {
        return Ok(None);
    };
    let table = transaction.open_table(DEPLOYMENTS)?;
    let serving = entry.serving(&table, tenant, function)?;
    let active = serving.map(|serving| serving.active);
    Ok(Some(entry.summary(function.clone(), active)))
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

/// Deletes a function with all that belongs to it, whatever it is.
pub(super) fn delete_function(
    tables: &mut Tables<'_>,
    name: (TenantId, FunctionName),
) -> Result<Result<(), Error>, Fault> {
    writes::delete_function(tables, name, &Expected::default())
}

#[cfg(test)]
#[path = "functions_tests.rs"]
mod tests;
