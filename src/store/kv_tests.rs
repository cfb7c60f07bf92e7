//! Every operation of a namespace, expiry, and random operations against a model.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{CLEAR_KEYS_MAX, EXPIRIES, KV, Namespace, number_text};
use crate::error::Code;
use crate::limits;
use crate::store::disk::Disk;
use crate::store::tests::{Hands, on_disk, seed, spawn, tenant};
use crate::store::{Error, Store};

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

struct Fixture {
    _folder: tempfile::TempDir,
    hands: Hands,
    store: Store,
    kv: Namespace,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::at(1_000);
    let path = folder.path().join("data.redb");
    let store = Store::open_with_clock(&path, hands.clock()).unwrap();
    let kv = store.namespace(&tenant("a"));
    Fixture {
        _folder: folder,
        hands,
        store,
        kv,
    }
}

#[tokio::test]
async fn a_value_is_read_as_it_was_written() {
    let Fixture { kv, .. } = &fixture();
    assert_eq!(kv.get("k").unwrap(), None);
    assert!(!kv.has("k").unwrap());
    for value in [&b""[..], b"v", b"\0\xff", &[7; 100_000]] {
        kv.set("k", Bytes::copy_from_slice(value), None)
            .await
            .unwrap();
        assert_eq!(kv.get("k").unwrap().as_deref(), Some(value));
        assert!(kv.has("k").unwrap());
    }
    assert!(kv.delete("k").await.unwrap());
    assert!(!kv.delete("k").await.unwrap());
    assert_eq!(kv.get("k").unwrap(), None);
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let Fixture { store, kv, .. } = &fixture();
    // Names around each other in every way that a careless key layout would mix up.
    let others = ["aa", "A", "a-", "a.", "a_", "b"].map(|name| store.namespace(&tenant(name)));
    kv.set("k", text("a"), None).await.unwrap();
    for other in &others {
        assert_eq!(other.get("k").unwrap(), None);
        other.set("k", text("other"), None).await.unwrap();
        other.set("ak", text("other"), None).await.unwrap();
    }
    assert_eq!(kv.get("k").unwrap(), Some(text("a")));
    assert_eq!(kv.list("", None, 1000).unwrap().keys, ["k"]);
    assert_eq!(kv.clear().await.unwrap(), 1);
    for other in &others {
        assert_eq!(other.list("", None, 1000).unwrap().keys, ["ak", "k"]);
    }
}

#[tokio::test]
async fn bounds_are_kept_to_the_byte() {
    let Fixture { kv, hands, .. } = &fixture();
    let longest = "k".repeat(limits::KV_KEY_BYTES_MAX);
    let largest = Bytes::from(vec![0; limits::KV_VALUE_BYTES_MAX]);
    kv.set(&longest, largest.clone(), None).await.unwrap();
    assert_eq!(kv.get(&longest).unwrap(), Some(largest));
    for key in ["", &format!("{longest}k")] {
        let bytes = key.len();
        let is_refused =
            |error: Error| matches!(error, Error::KeyLength { bytes: b } if b == bytes);
        assert!(is_refused(kv.get(key).unwrap_err()));
        assert!(is_refused(kv.has(key).unwrap_err()));
        assert!(is_refused(kv.set(key, text("v"), None).await.unwrap_err()));
        assert!(is_refused(kv.delete(key).await.unwrap_err()));
        assert!(is_refused(kv.increment(key, 1.0, None).await.unwrap_err()));
        let swapped = kv.compare_and_set(key, None, None, None).await;
        assert!(is_refused(swapped.unwrap_err()));
    }
    let too_large = Bytes::from(vec![0; limits::KV_VALUE_BYTES_MAX + 1]);
    let refused = kv.set("k", too_large.clone(), None).await.unwrap_err();
    assert!(matches!(refused, Error::ValueTooLarge { .. }));
    assert_eq!(refused.code(), Code::BadRequest);
    let refused = kv.compare_and_set("k", None, Some(too_large), None).await;
    assert!(matches!(refused, Err(Error::ValueTooLarge { .. })));
    let furthest = hands.now_ms() + limits::KV_TTL_MS_MAX;
    kv.set("k", text("v"), Some(furthest)).await.unwrap();
    let refused = kv.set("k", text("v"), Some(furthest + 1)).await;
    assert!(matches!(refused, Err(Error::ExpiryTooFar)));
}

#[tokio::test]
async fn an_expired_key_is_gone_for_every_operation() {
    let Fixture { kv, hands, .. } = &fixture();
    let until = Some(hands.now_ms() + 100);
    for key in ["get", "delete", "increment", "swap", "other swap"] {
        kv.set(key, text("7"), until).await.unwrap();
    }
    hands.advance(99);
    assert_eq!(kv.get("get").unwrap(), Some(text("7")));
    assert_eq!(kv.list("", None, 10).unwrap().keys.len(), 5);
    hands.advance(1);
    assert_eq!(kv.get("get").unwrap(), None);
    assert!(!kv.has("get").unwrap());
    assert_eq!(kv.list("", None, 10).unwrap().keys.len(), 0);
    assert!(!kv.delete("delete").await.unwrap());
    assert_eq!(kv.increment("increment", 1.0, None).await.unwrap(), 1.0);
    let same = Some(text("7"));
    assert!(!kv.compare_and_set("swap", same, None, None).await.unwrap());
    let new = Some(text("8"));
    assert!(
        kv.compare_and_set("other swap", None, new, None)
            .await
            .unwrap()
    );
    assert_eq!(kv.clear().await.unwrap(), 2);
}

#[tokio::test]
async fn a_plain_set_ends_an_old_expiry() {
    let Fixture { kv, hands, .. } = &fixture();
    kv.set("k", text("1"), Some(hands.now_ms() + 10))
        .await
        .unwrap();
    kv.set("k", text("2"), None).await.unwrap();
    hands.advance(1_000_000);
    assert_eq!(kv.get("k").unwrap(), Some(text("2")));
}

#[tokio::test]
async fn an_expiry_in_the_past_deletes() {
    let Fixture { kv, hands, .. } = &fixture();
    kv.set("k", text("1"), None).await.unwrap();
    kv.set("k", text("2"), Some(hands.now_ms())).await.unwrap();
    assert_eq!(kv.get("k").unwrap(), None);
    let new = Some(text("3"));
    assert!(kv.compare_and_set("k", None, new, Some(1)).await.unwrap());
    assert_eq!(kv.get("k").unwrap(), None);
}

#[tokio::test]
async fn listing_walks_a_prefix_in_pages() {
    let Fixture { kv, .. } = &fixture();
    for key in ["b", "a:2", "a:10", "a:1", "a;", "a", "é", "z"] {
        kv.set(key, text(""), None).await.unwrap();
    }
    let all = kv.list("", None, 1000).unwrap();
    assert_eq!(all.keys, ["a", "a:1", "a:10", "a:2", "a;", "b", "z", "é"]);
    assert_eq!(all.next, None);
    let first = kv.list("a:", None, 2).unwrap();
    assert_eq!(first.keys, ["a:1", "a:10"]);
    assert_eq!(first.next.as_deref(), Some("a:10"));
    let second = kv.list("a:", first.next.as_deref(), 2).unwrap();
    assert_eq!(second.keys, ["a:2"]);
    assert_eq!(second.next, None);
    // An exact page has no next one; a cursor before the prefix starts at the prefix.
    assert_eq!(kv.list("a:", None, 3).unwrap().next, None);
    assert_eq!(kv.list("b", Some("a"), 3).unwrap().keys, ["b"]);
    assert_eq!(kv.list("a", Some("b"), 3).unwrap().keys.len(), 0);
    assert_eq!(kv.list("none", None, 3).unwrap().keys.len(), 0);
    assert_eq!(kv.list("", None, 0).unwrap().keys, ["a"]);
    assert_eq!(kv.list(&"x".repeat(10_000), None, 3).unwrap().keys.len(), 0);
}

#[tokio::test]
async fn listing_never_answers_more_than_its_limit() {
    let store = on_disk(&Disk::new(1)).unwrap();
    let kv = store.namespace(&tenant("a"));
    let writes: Vec<_> = (0..=limits::KV_LIST_KEYS_MAX)
        .map(|n| {
            let kv = kv.clone();
            spawn(async move { kv.set(&format!("{n:05}"), text(""), None).await })
        })
        .collect();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let page = kv.list("", None, usize::MAX).unwrap();
    assert_eq!(page.keys.len(), limits::KV_LIST_KEYS_MAX);
    let rest = kv.list("", page.next.as_deref(), usize::MAX).unwrap();
    assert_eq!(rest.keys, [format!("{:05}", limits::KV_LIST_KEYS_MAX)]);
    assert_eq!(rest.next, None);
}

#[tokio::test]
async fn increment_counts_in_json_numbers() {
    let Fixture { kv, hands, .. } = &fixture();
    assert_eq!(kv.increment("n", 1.0, None).await.unwrap(), 1.0);
    assert_eq!(kv.increment("n", 2.5, None).await.unwrap(), 3.5);
    assert_eq!(kv.increment("n", -3.5, None).await.unwrap(), 0.0);
    assert_eq!(kv.get("n").unwrap(), Some(text("0")));
    kv.set("n", text(" 41 "), None).await.unwrap();
    assert_eq!(kv.increment("n", 1.0, None).await.unwrap(), 42.0);
    assert_eq!(kv.get("n").unwrap(), Some(text("42")));
    // 9007199254740993 is not a double: it is read as the nearest one, as JavaScript does.
    kv.set("n", text("9007199254740993"), None).await.unwrap();
    assert_eq!(
        kv.increment("n", 0.0, None).await.unwrap(),
        9_007_199_254_740_992.0
    );
    for not_a_number in [
        "", "x", "\"1\"", "null", "NaN", "+1", "01", "1 2", "[1]", "1e999",
    ] {
        kv.set("n", text(not_a_number), None).await.unwrap();
        let refused = kv.increment("n", 1.0, None).await;
        assert!(matches!(refused, Err(Error::NotANumber)), "{not_a_number}");
        assert_eq!(kv.get("n").unwrap(), Some(text(not_a_number)));
    }
    kv.set("n", text("1e308"), None).await.unwrap();
    for by in [1e308, f64::NAN, f64::INFINITY] {
        let refused = kv.increment("n", by, None).await;
        assert!(matches!(refused, Err(Error::NotFinite)));
    }
    assert_eq!(kv.get("n").unwrap(), Some(text("1e308")));
    // A new counter gets the expiry, an old one keeps its own.
    let start = hands.now_ms();
    kv.increment("new", 1.0, Some(start + 100)).await.unwrap();
    kv.increment("new", 1.0, Some(start + 500)).await.unwrap();
    hands.advance(100);
    assert_eq!(kv.get("new").unwrap(), None);
}

#[test]
fn numbers_are_written_as_json_that_reads_back() {
    let numbers = [
        1.0,
        -2.5,
        1e20,
        1e21,
        1e300,
        -1e-9,
        5e-324,
        0.1 + 0.2,
        f64::MAX,
    ];
    for number in numbers {
        let text = number_text(number);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text)
                .unwrap()
                .as_f64(),
            Some(number)
        );
        assert!(text.len() < 30, "{text}");
    }
    assert_eq!(number_text(-0.0), "0");
    assert_eq!(number_text(100.0), "100");
}

#[tokio::test]
async fn compare_and_set_writes_only_what_was_expected() {
    let Fixture { kv, .. } = &fixture();
    let (one, two) = (Some(text("1")), Some(text("2")));
    let swap = |expected: &Option<Bytes>, new: &Option<Bytes>| {
        let (expected, new) = (expected.clone(), new.clone());
        async { kv.compare_and_set("k", expected, new, None).await.unwrap() }
    };
    assert!(!swap(&one, &two).await);
    assert!(swap(&None, &None).await);
    assert!(swap(&None, &one).await);
    assert!(!swap(&None, &two).await);
    assert!(!swap(&two, &two).await);
    assert!(swap(&one, &two).await);
    assert_eq!(kv.get("k").unwrap(), two);
    assert!(swap(&two, &None).await);
    assert_eq!(kv.get("k").unwrap(), None);
    kv.set("k", Bytes::new(), None).await.unwrap();
    assert!(!swap(&None, &one).await);
    assert!(swap(&Some(Bytes::new()), &one).await);
}

#[tokio::test]
async fn concurrent_increments_all_count() {
    let Fixture { kv, .. } = &fixture();
    let writes: Vec<_> = (0..200)
        .map(|_| {
            let kv = kv.clone();
            spawn(async move { kv.increment("n", 1.0, None).await })
        })
        .collect();
    let mut sums = Vec::new();
    for write in writes {
        sums.push(write.await.unwrap().unwrap());
    }
    sums.sort_by(f64::total_cmp);
    assert!(sums.iter().zip(1u32..).all(|(sum, n)| *sum == f64::from(n)));
}

#[tokio::test]
async fn a_refused_write_leaves_the_others_of_its_batch_alone() {
    let Fixture { kv, .. } = &fixture();
    kv.set("text", text("x"), None).await.unwrap();
    let (before, refused, after) = tokio::join!(
        kv.set("before", text("1"), None),
        kv.increment("text", 1.0, None),
        kv.set("after", text("2"), None),
    );
    before.unwrap();
    after.unwrap();
    assert!(matches!(refused, Err(Error::NotANumber)));
    assert_eq!(
        kv.list("", None, 10).unwrap().keys,
        ["after", "before", "text"]
    );
}

#[tokio::test]
async fn clear_goes_on_over_many_transactions() {
    let store = on_disk(&Disk::new(1)).unwrap();
    let kv = store.namespace(&tenant("a"));
    let count = 2 * CLEAR_KEYS_MAX + 1;
    let writes: Vec<_> = (0..count)
        .map(|n| {
            let kv = kv.clone();
            spawn(async move { kv.set(&format!("{n}"), text(""), None).await })
        })
        .collect();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    assert_eq!(kv.clear().await.unwrap(), u64::try_from(count).unwrap());
    assert_eq!(kv.list("", None, 10).unwrap().keys.len(), 0);
    assert_eq!(kv.clear().await.unwrap(), 0);
}

/// Entries in the table of values and in the index of expiries.
fn entries(store: &Store) -> (u64, u64) {
    use redb::ReadableTableMetadata;
    let counted = store.shared.read(|transaction| {
        let values = transaction.open_table(KV)?.len()?;
        Ok((values, transaction.open_table(EXPIRIES)?.len()?))
    });
    counted.unwrap()
}

#[tokio::test]
async fn the_index_holds_exactly_the_keys_that_expire() {
    let Fixture {
        kv, hands, store, ..
    } = &fixture();
    let soon = Some(hands.now_ms() + 10_000);
    let later = Some(hands.now_ms() + 20_000);
    kv.set("k", text("1"), soon).await.unwrap();
    kv.set("k", text("1"), soon).await.unwrap();
    assert_eq!(entries(store), (1, 1));
    kv.set("k", text("1"), later).await.unwrap();
    kv.increment("k", 1.0, None).await.unwrap();
    assert_eq!(entries(store), (1, 1));
    kv.set("k", text("1"), None).await.unwrap();
    assert_eq!(entries(store), (1, 0));
    kv.set("k", text("1"), soon).await.unwrap();
    kv.delete("k").await.unwrap();
    assert_eq!(entries(store), (0, 0));
}

#[tokio::test]
async fn expired_keys_are_removed_in_the_background() {
    let Fixture {
        kv, hands, store, ..
    } = &fixture();
    let soon = Some(hands.now_ms() + 10);
    let writes: Vec<_> = (0..1500)
        .map(|n| {
            let kv = kv.clone();
            spawn(async move { kv.set(&format!("{n}"), text("v"), soon).await })
        })
        .collect();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    kv.set("later", text("v"), Some(hands.now_ms() + 1_000))
        .await
        .unwrap();
    kv.set("kept", text("v"), None).await.unwrap();
    assert_eq!(entries(store), (1502, 1501));
    hands.advance(10);
    for _ in 0..400 {
        if entries(store) == (2, 1) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(entries(store), (2, 1));
    assert_eq!(kv.list("", None, 10).unwrap().keys, ["kept", "later"]);
}

/// What a namespace ought to hold: value and expiry by tenant and key.
#[derive(Default)]
struct Model(BTreeMap<(usize, String), (Bytes, Option<u64>)>);

impl Model {
    fn live(&self, at: &(usize, String), now_ms: u64) -> Option<&(Bytes, Option<u64>)> {
        let entry = self.0.get(at)?;
        entry
            .1
            .is_none_or(|expiry| now_ms < expiry)
            .then_some(entry)
    }

    fn set(&mut self, at: (usize, String), value: Bytes, expiry: Option<u64>) {
        self.0.insert(at, (value, expiry));
    }

    fn keys(&self, tenant: usize, prefix: &str, after: Option<&str>, now_ms: u64) -> Vec<String> {
        let of_tenant = self.0.keys().filter(|(of, _)| *of == tenant);
        let live = of_tenant.filter(|at| self.live(at, now_ms).is_some());
        let wanted = live.map(|(_, key)| key).filter(|key| {
            key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)
        });
        wanted.cloned().collect()
    }
}

const TENANTS: [&str; 3] = ["a", "aa", "b"];

fn open(path: &Path, hands: &Hands) -> (Store, Vec<Namespace>) {
    let store = Store::open_with_clock(path, hands.clock()).unwrap();
    let namespaces = TENANTS.map(|name| store.namespace(&tenant(name)));
    (store, namespaces.to_vec())
}

#[tokio::test]
async fn random_operations_agree_with_a_model() {
    let mut rng = StdRng::seed_from_u64(seed());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let hands = Hands::at(1_000);
    let mut model = Model::default();
    for _ in 0..6 {
        let (store, namespaces) = open(&path, &hands);
        for _ in 0..250 {
            let of = rng.random_range(0..TENANTS.len());
            step(&namespaces[of], of, &mut model, &hands, &mut rng).await;
            hands.advance(rng.random_range(0..30));
        }
        for (of, kv) in namespaces.iter().enumerate() {
            let found = kv.list("", None, 1000).unwrap().keys;
            assert_eq!(found, model.keys(of, "", None, hands.now_ms()));
        }
        store.close();
    }
}

fn random_key(rng: &mut StdRng) -> String {
    let length = rng.random_range(1..4);
    (0..length)
        .map(|_| ['a', 'b', 'é', '\0'][rng.random_range(0..4)])
        .collect()
}

fn random_value(rng: &mut StdRng) -> Bytes {
    match rng.random_range(0..3) {
        0 => Bytes::from(vec![b'x'; rng.random_range(0..3000)]),
        _ => text(&rng.random_range(0..3).to_string()),
    }
}

/// One random operation on store and model, with the answers compared.
async fn step(kv: &Namespace, of: usize, model: &mut Model, hands: &Hands, rng: &mut StdRng) {
    let now_ms = hands.now_ms();
    let key = random_key(rng);
    let at = (of, key.clone());
    let live = model.live(&at, now_ms).cloned();
    let value = live.as_ref().map(|(value, _)| value.clone());
    let expiry = rng
        .random_bool(0.5)
        .then(|| now_ms + rng.random_range(0..400));
    match rng.random_range(0..16) {
        0..5 => {
            let new = random_value(rng);
            kv.set(&key, new.clone(), expiry).await.unwrap();
            model.set(at, new, expiry);
        }
        5..7 => {
            assert_eq!(kv.delete(&key).await.unwrap(), value.is_some());
            model.0.remove(&at);
        }
        7..10 => {
            let number = value.as_deref().map(serde_json::from_slice::<f64>);
            match (kv.increment(&key, 2.0, expiry).await, number) {
                (Ok(sum), None) => {
                    assert_eq!(sum, 2.0);
                    model.set(at, text("2"), expiry);
                }
                (Ok(sum), Some(Ok(number))) => {
                    assert_eq!(sum, number + 2.0);
                    model.set(at, text(&sum.to_string()), live.unwrap().1);
                }
                (Err(Error::NotANumber), Some(Err(_))) => {}
                (answer, number) => panic!("{answer:?} for {number:?}"),
            }
        }
        10..13 => {
            let guess = if rng.random() {
                value.clone()
            } else {
                Some(text("1"))
            };
            let new = rng.random_bool(0.7).then(|| random_value(rng));
            let same = guess == value;
            let swapped = kv.compare_and_set(&key, guess, new.clone(), expiry).await;
            assert_eq!(swapped.unwrap(), same);
            match new {
                Some(new) if same => model.set(at, new, expiry),
                None if same => _ = model.0.remove(&at),
                Some(_) | None => {}
            }
        }
        13 if rng.random_bool(0.1) => {
            let count = model.keys(of, "", None, now_ms).len();
            assert_eq!(kv.clear().await.unwrap(), u64::try_from(count).unwrap());
            model.0.retain(|(tenant, _), _| *tenant != of);
        }
        _ => {
            assert_eq!(kv.get(&key).unwrap(), value);
            assert_eq!(kv.has(&key).unwrap(), value.is_some());
            let after = random_key(rng);
            let after = rng.random::<bool>().then_some(after.as_str());
            let limit = rng.random_range(1..6);
            let page = kv.list(&key, after, limit).unwrap();
            let all = model.keys(of, &key, after, now_ms);
            assert_eq!(page.keys, all[..limit.min(all.len())]);
            let next = (all.len() > limit).then(|| all[limit - 1].clone());
            assert_eq!(page.next, next);
        }
    }
}

/// Reads share a snapshot until the next commit: nobody may be answered before it is dropped, however
/// many others are about to make one.
#[test]
fn a_write_that_was_answered_is_read_while_others_read_and_write() {
    const WRITES: u64 = 300;
    let kv = fixture();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    kv.kv.get("0").unwrap();
                }
            });
        }
        runtime.block_on(async {
            let writers = (0..3).map(|writer| {
                let kv = kv.kv.clone();
                spawn(async move {
                    let key = writer.to_string();
                    for count in 0..WRITES {
                        let value = Bytes::from(count.to_string());
                        kv.set(&key, value.clone(), None).await.unwrap();
                        assert_eq!(kv.get(&key).unwrap(), Some(value));
                    }
                })
            });
            let ended = futures_util::future::join_all(writers).await;
            is_over.store(true, Ordering::Relaxed);
            ended.into_iter().for_each(|ended| ended.unwrap());
        });
    });
}
