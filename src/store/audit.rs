//! The audit log: who changed what through the control plane, and what came of it.
//!
//! Entries have cursors that rise by one and are never used again. Each tenant sees its own;
//! with a tenant that is deleted goes its view, and not what the operator sees.

use std::sync::Arc;

use redb::{ReadableTable, ReadableTableMetadata};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::schema::{AUDIT, AUDIT_TENANTS, Tables};
use super::{Error, Fault, Shared, tenants};
use crate::id::TenantId;
use crate::limits;

/// Most entries that one read looks at.
const READ_ENTRIES_MAX: usize = 1000;

/// One change, or an attempt at one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// When it was asked for, Unix time in milliseconds.
    pub timestamp_ms: u64,
    /// The request: the answer had it in `x-request-id`.
    pub request: String,
    /// Who: the id of an API key, `root` for the key that the server was started with, or
    /// `loopback` for this machine without one.
    pub actor: String,
    /// The name of the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_name: Option<String>,
    /// The address that it came from.
    pub peer: String,
    /// What: method and route, such as `PUT /api/v1/tenants/{tenant}/functions/{function}`.
    pub action: String,
    /// To what: the path.
    pub target: String,
    /// The tenant that the path names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// The status of the answer; absent when the client went away before there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of the problem, if the answer was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// From the request to the answer, in milliseconds.
    pub duration_ms: u64,
}

/// Reads and writes of the audit log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Audit {
    shared: Arc<Shared>,
}

/// An entry on its way to the disk.
#[derive(Debug)]
pub struct Recording(oneshot::Receiver<Result<(), Error>>);

impl Recording {
    /// Waits until the entry is on disk.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    /// # Cancel safety
    /// Dropping it leaves the entry on its way.
    pub async fn done(self) -> Result<(), Error> {
        let answered = self.0.await;
        answered.unwrap_or_else(|_| Err(Error::from(Fault::WriterGone)))
    }
}

impl Audit {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Hands an entry to the writer, and trims what it pushes out.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Closed`].
    pub fn record(&self, entry: AuditEntry) -> Result<Recording, Error> {
        let bytes = entry.target.len() + entry.action.len();
        let write = move |tables: &mut Tables<'_>| {
            append(tables, &entry)?;
            Ok(Ok(()))
        };
        Ok(Recording(self.shared.push(bytes, write)?))
    }

    /// Up to `limit` entries, newest first, each with its cursor: those before `before`, or the
    /// newest; of `tenant` if one is given.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub fn read(
        &self,
        tenant: Option<&TenantId>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, AuditEntry)>, Error> {
        let limit = limit.clamp(1, READ_ENTRIES_MAX);
        let end = before.unwrap_or(u64::MAX);
        self.shared.read(|transaction| {
            let table = transaction.open_table(AUDIT)?;
            let mut entries = Vec::new();
            match tenant {
                Some(tenant) => {
                    let index = transaction.open_table(AUDIT_TENANTS)?;
                    let name = tenant.as_str();
                    let range = index.range::<(&str, u64)>((name, 0)..(name, end))?;
                    for row in range.rev().take(limit) {
                        let cursor = row?.0.value().1;
                        if let Some(json) = table.get(cursor)? {
                            entries.push((cursor, parse(json.value())?));
                        }
                    }
                }
                None => {
                    for row in table.range(0..end)?.rev().take(limit) {
                        let (cursor, json) = row?;
                        entries.push((cursor.value(), parse(json.value())?));
                    }
                }
            }
            Ok(entries)
        })
    }
}

fn parse(json: &[u8]) -> Result<AuditEntry, Fault> {
    serde_json::from_slice(json).map_err(Fault::Record)
}

fn append(tables: &mut Tables<'_>, entry: &AuditEntry) -> Result<(), Fault> {
    let last = tables.audit.last()?.map_or(0, |(cursor, _)| cursor.value());
    let cursor = last + 1;
    let json = serde_json::to_vec(entry).map_err(Fault::Record)?;
    tables.audit.insert(cursor, json.as_slice())?;
    if let Some(tenant) = &entry.tenant {
        // One that was just deleted has no view any more, and its successor must not get it.
        if tenants::exists(tables, tenant)? {
            let name = tenant.as_str();
            tables.audit_tenants.insert((name, cursor), ())?;
            trim_tenant(tables, name)?;
        }
    }
    while tables.audit.len()? > limits::AUDIT_ENTRIES_KEPT {
        let Some((cursor, json)) = tables.audit.pop_first()? else {
            break;
        };
        let (cursor, entry) = (cursor.value(), parse(json.value())?);
        if let Some(tenant) = &entry.tenant {
            let name = tenant.as_str();
            let was_seen = tables.audit_tenants.remove((name, cursor))?.is_some();
            let count = tables.audit_counts.get(name)?.map(|count| count.value());
            if let Some(count) = count.filter(|_| was_seen) {
                tables.audit_counts.insert(name, count.saturating_sub(1))?;
            }
        }
    }
    Ok(())
}

/// No tenant pushes out what others did: each has its own bound.
fn trim_tenant(tables: &mut Tables<'_>, name: &str) -> Result<(), Fault> {
    let count = 1 + tables
        .audit_counts
        .get(name)?
        .map_or(0, |count| count.value());
    if count <= limits::AUDIT_ENTRIES_PER_TENANT {
        tables.audit_counts.insert(name, count)?;
        return Ok(());
    }
    let oldest = {
        let mut range = tables
            .audit_tenants
            .range::<(&str, u64)>((name, 0)..=(name, u64::MAX))?;
        range.next().transpose()?.map(|(key, _)| key.value().1)
    };
    if let Some(oldest) = oldest {
        tables.audit_tenants.remove((name, oldest))?;
        tables.audit.remove(oldest)?;
    }
    Ok(())
}

/// Takes a tenant's view away: whoever has its name next is to see nothing of it.
pub(super) fn disown(tables: &mut Tables<'_>, tenant: &TenantId) -> Result<(), Fault> {
    let name = tenant.as_str();
    tables
        .audit_tenants
        .retain_in::<(&str, u64), _>((name, 0)..=(name, u64::MAX), |_, ()| false)?;
    tables.audit_counts.remove(name)?;
    Ok(())
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
