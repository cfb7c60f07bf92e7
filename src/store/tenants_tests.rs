//! Tenants: rows, quotas of kv, and what is left of one that was deleted.

use bytes::Bytes;

use super::*;
use crate::store::disk::Disk;
use crate::store::tests::{Hands, function, on_disk, tenant};
use crate::store::{Level, LogLine, Store};

fn quota(kv_bytes: u64) -> Quotas {
    Quotas {
        kv_bytes: Some(kv_bytes),
        ..Quotas::default()
    }
}

async fn used(store: &Store, tenant: &TenantId) -> u64 {
    store.tenants().usage(tenant).unwrap().kv_bytes
}

fn value(len: usize) -> Bytes {
    Bytes::from(vec![7; len])
}

#[tokio::test]
async fn a_tenant_is_made_changed_and_found_again() {
    let disk = Disk::new(1);
    let store = on_disk(&disk).unwrap();
    let (tenants, a) = (store.tenants(), tenant("a"));
    assert!(tenants.get(&a).is_none());
    let before = tenants.generation();
    let name = Some("Acme".to_owned());
    tenants.create(a.clone(), name, quota(10)).await.unwrap();
    assert_ne!(tenants.generation(), before);
    let again = tenants.create(a.clone(), None, Quotas::default()).await;
    assert!(matches!(again, Err(Error::TenantExists)));
    let change = TenantChange {
        display_name: Some(None),
        quotas: QuotaChange {
            kv_bytes: Some(None),
            functions: Some(Some(3)),
            ..QuotaChange::default()
        },
    };
    let changed = tenants.change(&a, change.clone()).await.unwrap();
    assert_eq!(
        (changed.quotas.functions, changed.quotas.kv_bytes),
        (Some(3), None)
    );
    assert_eq!(changed.display_name, None);
    let missing = tenants.change(&tenant("b"), change).await;
    assert!(matches!(missing, Err(Error::TenantNotFound)));
    drop(store);
    let store = on_disk(&disk).unwrap();
    assert_eq!(store.tenants().get(&a), Some(changed));
}

#[tokio::test]
async fn bytes_in_kv_are_counted_through_every_kind_of_write_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (path, hands) = (folder.path().join("data.redb"), Hands::at(1_000));
    let store = Store::open_with_clock(&path, hands.clock()).unwrap();
    let (a, b) = (tenant("a"), tenant("b"));
    let kv = store.namespace(&a);
    kv.set("ab", value(10), None).await.unwrap();
    assert_eq!(used(&store, &a).await, 12);
    kv.set("ab", value(4), None).await.unwrap();
    assert_eq!(used(&store, &a).await, 6);
    kv.increment("n", 100.0, None).await.unwrap();
    assert_eq!(used(&store, &a).await, 10);
    let swapped = kv.compare_and_set("ab", Some(value(4)), Some(value(1)), None);
    assert!(swapped.await.unwrap());
    assert_eq!(used(&store, &a).await, 7);
    kv.set("gone", value(100), Some(2_000)).await.unwrap();
    assert_eq!(used(&store, &a).await, 111);
    store.namespace(&b).set("x", value(1), None).await.unwrap();
    drop(store);
    let store = Store::open_with_clock(&path, hands.clock()).unwrap();
    assert_eq!(used(&store, &a).await, 111);
    assert_eq!(used(&store, &b).await, 2);
    store.namespace(&a).delete("gone").await.unwrap();
    store.namespace(&a).delete("gone").await.unwrap();
    assert_eq!(used(&store, &a).await, 7);
    store.namespace(&a).clear().await.unwrap();
    assert_eq!(used(&store, &a).await, 0);
    assert_eq!(used(&store, &b).await, 2);
}

#[tokio::test]
async fn a_write_beyond_the_quota_is_refused_and_one_up_to_it_is_not() {
    let store = on_disk(&Disk::new(1)).unwrap();
    let a = tenant("a");
    store
        .tenants()
        .create(a.clone(), None, quota(100))
        .await
        .unwrap();
    let kv = store.namespace(&a);
    kv.set("k", value(99), None).await.unwrap();
    assert_eq!(used(&store, &a).await, 100);
    let refused = |result: Result<(), Error>| {
        assert!(
            matches!(result, Err(Error::QuotaExceeded { max: 100, .. })),
            "{result:?}"
        );
    };
    refused(kv.set("l", value(0), None).await);
    refused(kv.set("k", value(100), None).await);
    refused(kv.increment("n", 1.0, None).await.map(|_| ()));
    refused(
        kv.compare_and_set("l", None, Some(value(0)), None)
            .await
            .map(|_| ()),
    );
    assert_eq!(kv.get("k").unwrap(), Some(value(99)));
    assert_eq!(used(&store, &a).await, 100);
    // What takes no more than it gives back goes through, also when the quota was lowered.
    let change = TenantChange {
        quotas: QuotaChange {
            kv_bytes: Some(Some(10)),
            ..QuotaChange::default()
        },
        ..TenantChange::default()
    };
    store.tenants().change(&a, change).await.unwrap();
    kv.set("k", value(98), None).await.unwrap();
    assert!(kv.set("k", value(99), None).await.is_err());
    kv.set("k", value(1), None).await.unwrap();
    kv.set("l", value(7), None).await.unwrap();
}

#[tokio::test]
async fn what_has_expired_stands_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let (path, hands) = (folder.path().join("data.redb"), Hands::at(1_000));
    let store = Store::open_with_clock(&path, hands.clock()).unwrap();
    let a = tenant("a");
    store
        .tenants()
        .create(a.clone(), None, quota(100))
        .await
        .unwrap();
    let kv = store.namespace(&a);
    kv.set("k", value(99), Some(2_000)).await.unwrap();
    assert!(kv.set("l", value(50), None).await.is_err());
    hands.advance(1_000);
    kv.set("l", value(99), None).await.unwrap();
    assert_eq!(used(&store, &a).await, 100);
}

#[tokio::test]
async fn a_deleted_tenant_leaves_nothing_to_its_successor() {
    let store = on_disk(&Disk::new(1)).unwrap();
    let (tenants, a, b, f) = (store.tenants(), tenant("a"), tenant("b"), function("f"));
    let soon_ms = crate::clock::now_ms() + 3_600_000;
    for tenant in [&a, &b] {
        tenants
            .create(tenant.clone(), None, Quotas::default())
            .await
            .unwrap();
        let kv = store.namespace(tenant);
        for number in 0..1500 {
            if number % 500 == 0 {
                kv.set(&format!("k{number}"), value(5), Some(soon_ms))
                    .await
                    .unwrap();
            }
        }
        let line = LogLine {
            timestamp_ms: 1,
            level: Level::Info,
            message: "a line".to_owned(),
            invocation: String::new(),
            version: 1,
        };
        store.logs().append(tenant, &f, vec![line]);
        store.logs().flush().await;
    }
    let late = store.namespace(&a);
    tenants.delete(&a).await.unwrap();
    assert!(tenants.get(&a).is_none());
    assert!(matches!(
        tenants.delete(&a).await,
        Err(Error::TenantNotFound)
    ));
    let written = late.set("late", value(1), None).await;
    assert!(matches!(written, Err(Error::TenantNotFound)), "{written:?}");
    tenants
        .create(a.clone(), None, Quotas::default())
        .await
        .unwrap();
    let kv = store.namespace(&a);
    assert_eq!(kv.list("", None, 10).unwrap().keys, [] as [String; 0]);
    assert_eq!(used(&store, &a).await, 0);
    assert_eq!(store.logs().read(&a, &f, None, 10, None).unwrap().len(), 0);
    // And its neighbour has lost nothing.
    assert_eq!(
        store.namespace(&b).list("", None, 10).unwrap().keys.len(),
        3
    );
    assert_eq!(store.logs().read(&b, &f, None, 10, None).unwrap().len(), 1);
}
