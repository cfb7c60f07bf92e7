//! The audit log: order, cursors, bounds, and who sees what.

use super::*;
use crate::store::{Quotas, Store};

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("test.redb")).unwrap();
    (folder, store)
}

fn entry(tenant: Option<&str>, target: &str) -> AuditEntry {
    AuditEntry {
        timestamp_ms: 1,
        request: String::new(),
        actor: "root".to_owned(),
        actor_name: None,
        peer: "127.0.0.1".to_owned(),
        action: "PUT /x".to_owned(),
        target: target.to_owned(),
        tenant: tenant.map(|tenant| tenant.parse().unwrap()),
        status: Some(200),
        code: None,
        duration_ms: 0,
    }
}

async fn record(store: &Store, tenant: Option<&str>, target: &str) {
    let recording = store.audit().record(entry(tenant, target)).unwrap();
    recording.done().await.unwrap();
}

fn targets(entries: &[(u64, AuditEntry)]) -> Vec<&str> {
    entries
        .iter()
        .map(|(_, entry)| entry.target.as_str())
        .collect()
}

async fn make(store: &Store, tenant: &str) -> TenantId {
    let tenant: TenantId = tenant.parse().unwrap();
    let tenants = store.tenants();
    tenants
        .create(tenant.clone(), None, Quotas::default())
        .await
        .unwrap();
    tenant
}

#[tokio::test]
async fn entries_are_read_newest_first_page_by_page() {
    let (_folder, store) = store();
    let a = make(&store, "a").await;
    make(&store, "b").await;
    for (tenant, target) in [
        (Some("a"), "1"),
        (Some("b"), "2"),
        (None, "3"),
        (Some("a"), "4"),
        (Some("a"), "5"),
    ] {
        record(&store, tenant, target).await;
    }
    let audit = store.audit();
    let page = audit.read(None, None, 2).unwrap();
    assert_eq!(targets(&page), ["5", "4"]);
    let page = audit.read(None, Some(page[1].0), 10).unwrap();
    assert_eq!(targets(&page), ["3", "2", "1"]);
    let page = audit.read(Some(&a), None, 2).unwrap();
    assert_eq!(targets(&page), ["5", "4"]);
    let page = audit.read(Some(&a), Some(page[1].0), 2).unwrap();
    assert_eq!(targets(&page), ["1"]);
}

#[tokio::test]
async fn who_has_a_deleted_tenants_name_next_sees_nothing_of_it() {
    let (_folder, store) = store();
    let a = make(&store, "a").await;
    record(&store, Some("a"), "old").await;
    store.tenants().delete(&a).await.unwrap();
    record(&store, Some("a"), "deleted").await;
    make(&store, "a").await;
    record(&store, Some("a"), "new").await;
    let seen = store.audit().read(Some(&a), None, 10).unwrap();
    assert_eq!(targets(&seen), ["new"]);
    let all = store.audit().read(None, None, 10).unwrap();
    assert_eq!(targets(&all), ["new", "deleted", "old"]);
}

#[tokio::test]
async fn a_tenant_pushes_out_its_own_entries_only() {
    let (_folder, store) = store();
    let (a, b) = (make(&store, "a").await, make(&store, "b").await);
    record(&store, Some("b"), "of b").await;
    let max = limits::AUDIT_ENTRIES_PER_TENANT;
    let mut last = None;
    for number in 0..=max {
        let recording = store.audit().record(entry(Some("a"), &number.to_string()));
        match recording {
            Ok(recording) => last = Some(recording),
            // The queue is full: wait until it is empty.
            Err(_) => {
                last.take().unwrap().done().await.unwrap();
                record(&store, Some("a"), &number.to_string()).await;
            }
        }
    }
    record(&store, None, "last").await;
    let audit = store.audit();
    assert_eq!(targets(&audit.read(Some(&b), None, 10).unwrap()), ["of b"]);
    let mut kept = 0;
    let mut before = None;
    loop {
        let page = audit.read(Some(&a), before, 1000).unwrap();
        let Some((cursor, oldest)) = page.last() else {
            break;
        };
        assert_ne!(oldest.target, "0");
        kept += page.len();
        before = Some(*cursor);
    }
    assert_eq!(u64::try_from(kept).unwrap(), max);
}
