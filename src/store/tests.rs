//! Opening and closing, damaged files, group commit, and a disk that fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::{Database, StorageBackend, TableDefinition};

use super::disk::Disk;
use super::{Clock, Error, Fault, Store, schema};
use crate::error::Code;
use crate::id::{FunctionName, TenantId};
use crate::limits;

/// A clock that a test moves.
#[derive(Clone, Default)]
pub(super) struct Hands(Arc<AtomicU64>);

impl Hands {
    pub(super) fn at(now_ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now_ms)))
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub(super) fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    pub(super) fn clock(&self) -> Clock {
        let hands = self.clone();
        Arc::new(move || hands.now_ms())
    }
}

/// The seed of a random test: `SEED` repeats a run, and what is printed says which.
pub(super) fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("SEED={seed}");
    seed
}

pub(super) fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

pub(super) fn function(name: &str) -> FunctionName {
    name.parse().unwrap()
}

/// A store in memory, on a disk that the test controls.
pub(super) fn on_disk(disk: &Disk) -> Result<Store, Error> {
    let database = disk.open()?;
    let again = disk.clone();
    Store::start(
        database,
        Hands::at(1).clock(),
        Box::new(move || again.open()),
    )
}

async fn fill(path: &Path) {
    let store = Store::open(path).unwrap();
    let kv = store.namespace(&tenant("a"));
    for n in 0..50 {
        let value = Bytes::from(vec![b'v'; n * 40]);
        kv.set(&format!("key{n}"), value, None).await.unwrap();
    }
    store.close();
}

fn is_filled(store: &Store) -> Result<bool, Error> {
    let kv = store.namespace(&tenant("a"));
    for n in 0..50 {
        if kv.get(&format!("key{n}"))? != Some(Bytes::from(vec![b'v'; n * 40])) {
            return Ok(false);
        }
    }
    Ok(kv.list("", None, 1000)?.keys.len() == 50)
}

#[track_caller]
fn assert_refused(path: &Path, variant: &str) {
    let error = Store::open(path)
        .err()
        .unwrap_or_else(|| panic!("{variant} was opened"));
    assert!(format!("{error:?}").starts_with(variant), "{error:?}");
    assert_eq!(error.code(), Code::StorageUnavailable);
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    assert!(text.contains("folder") || text.contains("move it") || text.contains("install"));
}

#[tokio::test]
async fn what_was_stored_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    fill(&path).await;
    let store = Store::open(&path).unwrap();
    assert!(is_filled(&store).unwrap());
    assert!(!folder.path().join("data.redb.new").exists());
}

#[cfg(unix)]
#[test]
fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    drop(Store::open(&path).unwrap());
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn an_empty_file_becomes_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    std::fs::write(&path, b"").unwrap();
    drop(Store::open(&path).unwrap());
    drop(Store::open(&path).unwrap());
}

#[test]
fn a_draft_left_by_a_crash_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    for draft in [&b""[..], b"redb half a header", &[0; 8192]] {
        std::fs::write(folder.path().join("data.redb.new"), draft).unwrap();
        drop(Store::open(&path).unwrap());
        assert!(!folder.path().join("data.redb.new").exists());
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_missing_folder_or_a_folder_in_place_of_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_refused(&folder.path().join("none/data.redb"), "Inaccessible");
    assert_refused(folder.path(), "Inaccessible");
}

#[test]
fn a_file_that_is_in_use_is_refused_and_unharmed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let store = Store::open(&path).unwrap();
    assert_refused(&path, "Locked");
    assert!(store.namespace(&tenant("a")).list("", None, 1).is_ok());
    drop(store);
    drop(Store::open(&path).unwrap());
}

#[test]
fn a_file_that_is_given_up_in_time_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let mut held = Some(Store::open(&path).unwrap());
    let mut pauses = 0;
    let opened = super::file::open_pausing(&path, 1 << 20, || {
        pauses += 1;
        held = None;
    });
    assert!(opened.is_ok());
    assert_eq!(pauses, 1);
}

#[test]
fn another_programs_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    std::fs::write(&path, b"SQLite format 3\0 and so on").unwrap();
    assert_refused(&path, "Foreign");

    let path = folder.path().join("other.redb");
    let table: TableDefinition<'_, u64, u64> = TableDefinition::new("theirs");
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert_refused(&path, "Foreign");
}

#[test]
fn another_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    for format in [0, schema::FORMAT + 1] {
        let database = Database::create(&path).unwrap();
        schema::initialise(&database, format).unwrap();
        drop(database);
        assert_refused(&path, "OtherFormat");
    }
}

/// What the first format wrote, with the names of its fields.
#[test]
fn a_file_of_the_first_format_is_read_and_becomes_one_of_the_newest() {
    const LINE: &str = r#"{"timestamp_ms":5,"level":"warn","message":"hi","invocation":"00000000000000000000000001","version":7}"#;
    const RECORD: &str = r#"{"version":7,"deployment":"00000000000000000000000005","kind":"event","method":"POST",
        "target":"/","status":null,"outcome":"error","code":"function_threw","error":null,"duration_us":12,
        "cost":{"fuel":9},"client":"::1","user_agent":"","trace_id":"0000000000000000000000000000000a","lines":1}"#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let database = Database::create(&path).unwrap();
    schema::initialise(&database, 1).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut tables = schema::Tables::open(&transaction, 0).unwrap();
        let id = "00000000000000000000000001";
        tables
            .logs
            .insert(("t", "f", 1), (id, LINE.as_bytes()))
            .unwrap();
        tables.log_state.insert(("t", "f"), (1, 2)).unwrap();
        tables
            .invocations
            .insert(("t", "f", 1), (2, RECORD.as_bytes()))
            .unwrap();
        tables.invocation_counts.insert(("t", "f"), 1).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);

    let store = Store::open(&path).unwrap();
    let id = "00000000000000000000000001".parse().unwrap();
    let found = store.invocations().get(&tenant("t"), None, id).unwrap();
    let (of, record, lines) = found.unwrap();
    assert_eq!(of, function("f"));
    assert_eq!(
        (record.cost.fuel, record.code.as_deref()),
        (9, Some("function_threw"))
    );
    assert_eq!(
        record.trace_id.to_string(),
        "0000000000000000000000000000000a"
    );
    assert_eq!(lines[0].message, "hi");
    store.close();
    let database = Database::open(&path).unwrap();
    assert_eq!(schema::format_of(&database).unwrap(), Some(schema::FORMAT));
}

#[tokio::test]
async fn random_bytes_and_truncated_files_are_refused_without_a_panic() {
    let mut rng = StdRng::seed_from_u64(seed());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    for bytes in [1usize, 8, 9, 320, 4096, 100_000] {
        let mut noise = vec![0; bytes];
        rng.fill(&mut noise[..]);
        std::fs::write(&path, &noise).unwrap();
        assert_refused(&path, "Foreign");
        let magic = &b"redb\x1A\x0A\xA9\x0D\x0A"[..bytes.min(9)];
        noise[..magic.len()].copy_from_slice(magic);
        std::fs::write(&path, &noise).unwrap();
        assert_refused(&path, if bytes < 9 { "Foreign" } else { "Corrupt" });
    }
    std::fs::remove_file(&path).unwrap();

    fill(&path).await;
    let whole = std::fs::read(&path).unwrap();
    let mut lengths = vec![
        1,
        9,
        64,
        320,
        4095,
        4096,
        8192,
        whole.len() / 2,
        whole.len() - 1,
    ];
    lengths.extend((0..10).map(|_| rng.random_range(9..whole.len())));
    for length in lengths {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_refused(&path, if length < 9 { "Foreign" } else { "Corrupt" });
    }
}

#[tokio::test]
async fn an_overwritten_beginning_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    fill(&path).await;
    let whole = std::fs::read(&path).unwrap();
    for zeros in [512, 4096, whole.len()] {
        let mut damaged = whole.clone();
        damaged[..zeros].fill(0);
        std::fs::write(&path, &damaged).unwrap();
        assert_refused(&path, "Corrupt");
    }
}

/// Either the damage is reported, or it was nowhere that matters: never a panic, a hang or a
/// wrong value.
#[tokio::test]
async fn a_flipped_bit_is_reported_or_harmless() {
    let mut rng = StdRng::seed_from_u64(seed());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    fill(&path).await;
    let whole = std::fs::read(&path).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let header = (0..320)
        .step_by(2)
        .map(|byte| (byte, rng.random_range(0..8)));
    let mut flips: Vec<(usize, u32)> = header.collect();
    flips.extend((0..8).map(|bit| (9, bit)));
    flips.extend((0..150).map(|_| (rng.random_range(320..=used), rng.random_range(0..8))));
    let mut refused = 0;
    for (byte, bit) in flips {
        let mut damaged = whole.clone();
        damaged[byte] ^= 1 << bit;
        std::fs::write(&path, &damaged).unwrap();
        match Store::open(&path) {
            Ok(store) => assert!(is_filled(&store).unwrap(), "byte {byte} bit {bit}"),
            Err(Error::Corrupt { .. } | Error::Foreign { .. }) => refused += 1,
            Err(other) => panic!("byte {byte} bit {bit}: {other:?}"),
        }
    }
    assert!(refused > 50, "only {refused} were noticed");
}

#[tokio::test]
async fn waiting_writes_share_a_commit() {
    let disk = Disk::new(1);
    let store = on_disk(&disk).unwrap();
    let gate = Gate::close(&store).await;
    let kv = store.namespace(&tenant("a"));
    let writes: Vec<_> = (0..1000).map(|n| queued(&kv, n)).collect();
    settle().await;
    let syncs_before = disk.syncs();
    gate.open();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let syncs = disk.syncs() - syncs_before;
    assert!(syncs <= 4, "{syncs} syncs for 1000 writes");
    assert_eq!(kv.list("", None, 1000).unwrap().keys.len(), 1000);
}

#[tokio::test]
async fn a_full_queue_is_busy_and_recovers() {
    let disk = Disk::new(1);
    let store = on_disk(&disk).unwrap();
    let gate = Gate::close(&store).await;
    let kv = store.namespace(&tenant("a"));
    let count = u64::try_from(limits::KV_QUEUE_LEN).unwrap();
    let mut writes: Vec<_> = (0..count).map(|n| queued(&kv, n)).collect();
    settle().await;
    let refused = kv.set("one more", Bytes::new(), None).await.unwrap_err();
    assert!(matches!(refused, Error::Busy));
    assert_eq!(refused.code(), Code::StorageBusy);
    gate.open();
    writes.pop().unwrap().await.unwrap().unwrap();
    kv.set("one more", Bytes::new(), None).await.unwrap();
}

#[tokio::test]
async fn a_panic_in_one_write_ends_its_batch_and_not_the_store() {
    let disk = Disk::new(1);
    let store = on_disk(&disk).unwrap();
    let kv = store.namespace(&tenant("a"));
    kv.set("kept", Bytes::from("1"), None).await.unwrap();
    let shared = &store.shared;
    let failed = shared.submit::<(), _>(0, |_| panic!("on purpose")).await;
    let Err(Error::Unavailable { source }) = failed else {
        panic!("{failed:?}");
    };
    assert!(matches!(&*source, Fault::Panicked(text) if text == "on purpose"));
    until_written(&kv, "after").await;
    assert_eq!(kv.get("kept").unwrap(), Some(Bytes::from("1")));
}

#[tokio::test]
async fn no_one_waits_for_a_writer_that_has_ended() {
    let disk = Disk::new(1);
    let store = on_disk(&disk).unwrap();
    let gate = Gate::close(&store).await;
    let write = queued(&store.namespace(&tenant("a")), 1);
    settle().await;
    store.shared.queue.abandon();
    let answer = write.await.unwrap();
    assert!(matches!(answer, Err(Error::Unavailable { .. })));
    store.logs().flush().await;
    gate.open();
}

#[tokio::test]
async fn closing_commits_what_waits_and_refuses_the_rest() {
    let disk = Disk::new(1);
    let store = on_disk(&disk).unwrap();
    let gate = Gate::close(&store).await;
    let kv = store.namespace(&tenant("a"));
    let write = queued(&kv, 1);
    settle().await;
    gate.open();
    store.close();
    store.close();
    write.await.unwrap().unwrap();
    assert!(matches!(kv.get("1"), Err(Error::Closed)));
    let refused = kv.set("2", Bytes::new(), None).await.unwrap_err();
    assert_eq!(refused.code(), Code::ShuttingDown);
    let again = on_disk(&disk).unwrap();
    assert!(again.namespace(&tenant("a")).has("1").unwrap());
}

#[tokio::test]
async fn a_failing_read_is_an_error_and_the_store_recovers() {
    let disk = Disk::new(1);
    let store = on_disk(&disk).unwrap();
    let kv = store.namespace(&tenant("a"));
    kv.set("k", Bytes::from("v"), None).await.unwrap();
    let failed = store
        .shared
        .read::<()>(|_| Err(Fault::Inconsistent("on purpose")));
    assert!(matches!(failed, Err(Error::Unavailable { .. })));
    until_written(&kv, "after").await;
    assert_eq!(kv.get("k").unwrap(), Some(Bytes::from("v")));
}

/// Whatever fails and wherever the power goes: an answered write is there, and what is there
/// was written.
#[tokio::test]
async fn a_failing_disk_never_loses_an_answered_write() {
    let seed = seed();
    let mut failures = 0;
    for round in 0..20 {
        let mut rng = StdRng::seed_from_u64(seed.wrapping_add(round));
        failures += fail_and_recover(&mut rng).await;
    }
    assert!(failures > 20, "only {failures} writes failed");
}

/// Possible values of each key: the answered one, and those whose outcome is not known.
type Possible = BTreeMap<String, Vec<Option<Bytes>>>;

async fn fail_and_recover(rng: &mut StdRng) -> u64 {
    let disk = Disk::new(rng.random());
    let mut possible = Possible::new();
    let mut failures = 0;
    for life in 0..4 {
        let store = on_disk(&disk).unwrap();
        check(&store, &mut possible);
        for _ in 0..3 {
            disk.fail_after(rng.random_range(0..80), rng.random());
            failures += write_until_failure(&store, &mut possible, rng).await;
            disk.heal();
            if rng.random() {
                // The same process goes on: it opens the disk again by itself.
                until_written(&store.namespace(&tenant("a")), "recovered").await;
                check(&store, &mut possible);
            }
        }
        if life % 2 == 0 {
            store.close();
        } else {
            // The power goes while the store is open.
            disk.crash();
            drop(store);
            disk.restore();
        }
    }
    failures
}

async fn write_until_failure(store: &Store, possible: &mut Possible, rng: &mut StdRng) -> u64 {
    let mut failures = 0;
    for _ in 0..30 {
        let kv = store.namespace(&tenant("a"));
        let mut writes = Vec::new();
        for _ in 0..rng.random_range(1..6) {
            let key = format!("k{}", rng.random_range(0..12));
            if writes.iter().any(|(other, _, _)| *other == key) {
                continue;
            }
            let value = vec![rng.random(); rng.random_range(0..9000)];
            let value = rng.random_bool(0.8).then(|| Bytes::from(value));
            let (kv, name, new) = (kv.clone(), key.clone(), value.clone());
            let write = spawn(async move {
                match new {
                    Some(new) => kv.set(&name, new, None).await,
                    None => kv.delete(&name).await.map(|_| ()),
                }
            });
            writes.push((key, value, write));
        }
        for (key, value, write) in writes {
            let values = possible.entry(key).or_insert_with(|| vec![None]);
            if write.await.unwrap().is_ok() {
                *values = vec![value];
            } else {
                failures += 1;
                values.push(value);
            }
        }
        if failures > 0 {
            break;
        }
    }
    failures
}

/// Every key has a possible value, and from now on only that one.
fn check(store: &Store, possible: &mut Possible) {
    let kv = store.namespace(&tenant("a"));
    for (key, values) in possible {
        let found = kv.get(key).unwrap();
        assert!(
            values.contains(&found),
            "{key} has a value it must not have"
        );
        *values = vec![found];
    }
}

/// Writes `key` as often as it takes for the store to have recovered.
async fn until_written(kv: &super::Namespace, key: &str) {
    let mut last = None;
    for _ in 0..200 {
        match kv.set(key, Bytes::new(), None).await {
            Ok(()) => return,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the store did not recover: {last:?}");
}

/// Keeps the writer busy inside a transaction until it is opened.
struct Gate(mpsc::Sender<()>);

impl Gate {
    async fn close(store: &Store) -> Self {
        let (open, opened) = mpsc::channel();
        let (inside, is_inside) = tokio::sync::oneshot::channel();
        let shared = Arc::clone(&store.shared);
        drop(spawn(async move {
            let wait = move |_: &mut schema::Tables<'_>| {
                inside.send(()).unwrap();
                opened.recv().unwrap();
                Ok(Ok(()))
            };
            shared.submit(0, wait).await
        }));
        is_inside.await.unwrap();
        Self(open)
    }

    fn open(self) {
        self.0.send(()).unwrap();
    }
}

fn queued(kv: &super::Namespace, n: u64) -> tokio::task::JoinHandle<Result<(), Error>> {
    let kv = kv.clone();
    spawn(async move { kv.set(&format!("{n}"), Bytes::new(), None).await })
}

/// Lets every task run until it waits; on a current-thread runtime each turn runs some.
async fn settle() {
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's tasks end with its runtime"
)]
pub(super) fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future)
}

#[test]
fn the_test_disk_forgets_what_was_not_synced() {
    let disk = Disk::new(7);
    disk.set_len(8192).unwrap();
    disk.write(0, &[1; 4096]).unwrap();
    disk.sync_data().unwrap();
    disk.crash();
    disk.restore();
    let mut read = [0; 4096];
    disk.read(0, &mut read).unwrap();
    assert_eq!(read, [1; 4096]);
}
