//! Deleting what is too old or too much, in parts, and leaving the rest.

use std::sync::Arc;

use crate::id::InvocationId;
use crate::limits;
use crate::store::disk::Disk;
use crate::store::invocations::tests::{lines, record};
use crate::store::retention::Cleaner;
use crate::store::tests::{Hands, function, tenant};
use crate::store::{Retention, Store};

const DAY_MS: u64 = 24 * 3600 * 1000;

fn on_disk_at(hands: &Hands) -> Store {
    let disk = Disk::new(1);
    let database = disk.open().unwrap();
    let again = disk.clone();
    Store::start(database, hands.clock(), Box::new(move || again.open())).unwrap()
}

/// Stores as many records at this time, each with a line.
async fn fill(store: &Store, name: &str, ms: u64, count: u128) {
    for n in 0..count {
        let id = InvocationId::from_number((u128::from(ms) << 80) | n);
        let (t, f) = (tenant("t"), function(name));
        let lines = lines(id, ms, &["a line"]);
        store.logs().append_invocation(&t, &f, lines, record(id, 1));
    }
    store.logs().flush().await;
}

fn counts(store: &Store, name: &str) -> (u64, usize) {
    let (t, f) = (tenant("t"), function(name));
    let records = store.invocations().count(&t, &f).unwrap();
    let lines = store.logs().read(&t, &f, Some(0), 1000, None).unwrap();
    (records, lines.len())
}

/// Waits until the writer has made it so.
async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await;
    waited.expect("the writer cleans up");
}

#[tokio::test]
async fn what_is_older_than_the_default_is_deleted_and_the_rest_stays() {
    let hands = Hands::at(100 * DAY_MS);
    let store = on_disk_at(&hands);
    fill(&store, "f", 90 * DAY_MS, 30).await;
    fill(&store, "f", 99 * DAY_MS, 7).await;
    fill(&store, "g", 99 * DAY_MS, 5).await;
    assert_eq!(counts(&store, "f"), (37, 37));
    store.set_retention_default(Retention::DEFAULT);
    until(|| counts(&store, "f") == (7, 7)).await;
    assert_eq!(counts(&store, "g"), (5, 5));
    hands.advance(7 * DAY_MS);
    store.set_retention_default(Retention::DEFAULT);
    until(|| counts(&store, "f") == (0, 0) && counts(&store, "g") == (0, 0)).await;
}

#[tokio::test]
async fn what_is_more_than_to_be_kept_is_deleted_in_parts() {
    let hands = Hands::at(10 * DAY_MS);
    let store = on_disk_at(&hands);
    fill(&store, "f", 10 * DAY_MS, 5000).await;
    store.set_retention_default(Retention {
        keep_ms: limits::RETENTION_MS,
        keep_count: 10,
    });
    until(|| counts(&store, "f").0 == 10).await;
}

#[tokio::test]
async fn a_look_finds_only_what_is_due() {
    let hands = Hands::at(100 * DAY_MS);
    let store = on_disk_at(&hands);
    fill(&store, "f", 99 * DAY_MS, 3).await;
    let shared = Arc::clone(&store.shared);
    assert!(!Cleaner::default().look(&shared).unwrap().is_any());
    hands.advance(7 * DAY_MS);
    assert!(Cleaner::default().look(&shared).unwrap().is_any());
}
