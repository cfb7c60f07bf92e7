//! Storing records, scanning them in order, and finding their lines.

use crate::id::{DeploymentId, InvocationId};
use crate::limits;
use crate::store::disk::Disk;
use crate::store::tests::{function, on_disk, tenant};
use crate::store::{
    Cost, Ending, Found, InvocationRecord, Level, LogLine, RecordedKind, RetentionSet, Scan, Store,
};

/// An id that began at this time; `number` tells those of one time apart.
fn id(ms: u64, number: u128) -> InvocationId {
    InvocationId::from_number((u128::from(ms) << 80) | number)
}

pub(in crate::store) fn record(id: InvocationId, lines: u32) -> InvocationRecord {
    InvocationRecord {
        id,
        version: 3,
        deployment: DeploymentId::new(1),
        kind: RecordedKind::Request,
        method: "GET".to_owned(),
        target: "/a?b".to_owned(),
        status: Some(200),
        outcome: Ending::Success,
        code: None,
        error: None,
        duration_us: 1500,
        cost: Cost::default(),
        client: std::net::Ipv4Addr::LOCALHOST.into(),
        user_agent: String::new(),
        trace_id: 0.into(),
        lines,
    }
}

pub(in crate::store) fn lines(of: InvocationId, at_ms: u64, messages: &[&str]) -> Vec<LogLine> {
    let lines = messages.iter().map(|message| LogLine {
        timestamp_ms: at_ms,
        level: Level::Info,
        message: (*message).to_owned(),
        invocation: of.to_string(),
        version: 3,
    });
    lines.collect()
}

fn append(store: &Store, name: &str, of: InvocationId, messages: &[&str]) {
    let (t, f) = (tenant("t"), function(name));
    let lines = lines(of, of.started_ms(), messages);
    let record = record(of, u32::try_from(lines.len()).unwrap());
    store.logs().append_invocation(&t, &f, lines, record);
}

fn scan_of(name: Option<&str>) -> Scan {
    Scan {
        tenant: tenant("t"),
        function: name.map(function),
        before: None,
        from_ms: None,
        to_ms: None,
        limit: 100,
    }
}

fn all(store: &Store, scan: &Scan) -> Found {
    store.invocations().scan(scan, &mut |_, _, _| true).unwrap()
}

fn ids(found: &Found) -> Vec<InvocationId> {
    found.records.iter().map(|(_, record)| record.id).collect()
}

#[tokio::test]
async fn records_of_a_function_and_of_a_tenant_are_newest_first() {
    let store = on_disk(&Disk::new(1)).unwrap();
    for (name, ms) in [("f", 10), ("g", 20), ("f", 30), ("g", 15), ("h", 30)] {
        append(&store, name, id(ms, u128::from(name.as_bytes()[0])), &[]);
    }
    let stranger = record(id(99, 0), 0);
    let (u, f) = (tenant("u"), function("f"));
    store.logs().append_invocation(&u, &f, Vec::new(), stranger);
    store.logs().flush().await;
    let of_f = all(&store, &scan_of(Some("f")));
    assert_eq!(ids(&of_f), [id(30, 102), id(10, 102)]);
    let of_all = all(&store, &scan_of(None));
    let expected = [
        id(30, 104),
        id(30, 102),
        id(20, 103),
        id(15, 103),
        id(10, 102),
    ];
    assert_eq!(ids(&of_all), expected);
    assert_eq!(of_all.next, None);
    assert_eq!(of_all.records[0].0, function("h"));
    assert_eq!(of_all.records[0].1, record_at(&of_all, 0));
    assert_eq!(ids(&all(&store, &scan_of(Some("none")))), []);
    assert_eq!(store.invocations().count(&tenant("t"), &f).unwrap(), 2);
}

#[tokio::test]
async fn records_need_not_come_in_the_order_of_their_beginnings() {
    let store = on_disk(&Disk::new(1)).unwrap();
    // A neighbour whose records lie behind, and one whose lie in front.
    for name in ["e", "g"] {
        append(&store, name, id(50, 1), &[]);
    }
    let batches = [vec![20, 40, 30], vec![10, 50, 35, 60, 50], vec![60, 5]];
    for batch in &batches {
        for ms in batch {
            append(&store, "f", id(*ms, 7), &[]);
        }
        store.logs().flush().await;
    }
    let expected = [60, 50, 40, 35, 30, 20, 10, 5].map(|ms| id(ms, 7));
    assert_eq!(ids(&all(&store, &scan_of(Some("f")))), expected);
    // What came twice is there once.
    let count = |name| store.invocations().count(&tenant("t"), &function(name));
    assert_eq!(count("f").unwrap(), 8);
    for name in ["e", "g"] {
        assert_eq!(count(name).unwrap(), 1);
        assert_eq!(ids(&all(&store, &scan_of(Some(name)))), [id(50, 1)]);
    }
}

fn record_at(found: &Found, at: usize) -> InvocationRecord {
    InvocationRecord {
        deployment: found.records[at].1.deployment,
        ..record(found.records[at].1.id, 0)
    }
}

#[tokio::test]
async fn pages_and_times_divide_what_there_is() {
    let store = on_disk(&Disk::new(1)).unwrap();
    for ms in 1..=7 {
        append(&store, if ms % 2 == 0 { "f" } else { "g" }, id(ms, 5), &[]);
    }
    store.logs().flush().await;
    let mut scan = scan_of(None);
    scan.limit = 3;
    let mut seen = Vec::new();
    loop {
        let page = all(&store, &scan);
        seen.extend(ids(&page).into_iter().map(InvocationId::started_ms));
        scan.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
    let between = Scan {
        from_ms: Some(3),
        to_ms: Some(5),
        ..scan_of(None)
    };
    let seen = ids(&all(&store, &between));
    assert_eq!(seen, [id(5, 5), id(4, 5), id(3, 5)]);
    let nothing = Scan {
        from_ms: Some(6),
        to_ms: Some(5),
        ..scan_of(None)
    };
    assert_eq!(all(&store, &nothing), Found::default());
    let whole = Scan {
        from_ms: Some(0),
        to_ms: Some(u64::MAX),
        ..scan_of(None)
    };
    assert_eq!(all(&store, &whole).records.len(), 7);
}

#[tokio::test]
async fn the_lines_of_a_record_are_its_own() {
    let store = on_disk(&Disk::new(1)).unwrap();
    append(&store, "f", id(1, 1), &["one"]);
    append(&store, "f", id(2, 2), &["two", "three"]);
    append(&store, "f", id(3, 3), &[]);
    append(&store, "f", id(4, 4), &["four"]);
    store.logs().flush().await;
    let (t, f) = (tenant("t"), function("f"));
    let messages = |id| {
        let found = store.invocations().get(&t, None, id).unwrap().unwrap();
        assert_eq!(found.0, f);
        let lines = found.2.into_iter().map(|line| line.message);
        lines.collect::<Vec<_>>()
    };
    assert_eq!(messages(id(2, 2)), ["two", "three"]);
    assert_eq!(messages(id(3, 3)), [""; 0]);
    assert_eq!(messages(id(4, 4)), ["four"]);
    let none = store.invocations().get(&t, Some(&f), id(4, 5)).unwrap();
    assert!(none.is_none());
    let found = store
        .invocations()
        .scan(&scan_of(None), &mut |_, _, lines| {
            lines.any(|line| line.message.starts_with('t'))
        });
    assert_eq!(ids(&found.unwrap()), [id(2, 2)]);
}

#[tokio::test]
async fn a_scan_looks_at_a_part_only_and_says_where_to_go_on() {
    let store = on_disk(&Disk::new(1)).unwrap();
    let (t, f) = (tenant("t"), function("f"));
    let set = RetentionSet {
        keep_ms: None,
        keep_count: Some(limits::INVOCATIONS_KEPT_MAX),
    };
    // A function that does not exist has nothing to be set.
    assert!(
        store
            .invocations()
            .set_retention(&t, &f, set)
            .await
            .is_err()
    );
    store.set_retention_default(crate::store::Retention {
        keep_ms: u64::MAX,
        keep_count: u64::MAX,
    });
    let total = limits::SCAN_RECORDS_MAX + 10;
    for n in 0..total {
        append(&store, "f", id(1, n as u128), &[]);
        if n % 1000 == 0 {
            store.logs().flush().await;
        }
    }
    store.logs().flush().await;
    let mut looked_at = 0;
    let mut scan = scan_of(Some("f"));
    let mut pages = 0;
    loop {
        let mut seen = 0;
        let found = store.invocations().scan(&scan, &mut |_, _, _| {
            seen += 1;
            false
        });
        let found = found.unwrap();
        assert!(found.records.is_empty());
        assert!(seen <= limits::SCAN_RECORDS_MAX && seen > 0);
        looked_at += seen;
        pages += 1;
        scan.before = found.next;
        if found.next.is_none() {
            break;
        }
    }
    assert_eq!(looked_at, total);
    assert!(pages >= 2);
}

#[tokio::test]
async fn only_the_newest_records_are_kept() {
    let store = on_disk(&Disk::new(1)).unwrap();
    let kept = usize::try_from(limits::INVOCATIONS_KEPT).unwrap();
    let total = kept + 3000;
    for n in 0..total {
        append(&store, "f", id(1, n as u128), &[]);
        if n % 1000 == 0 {
            store.logs().flush().await;
        }
    }
    store.logs().flush().await;
    let count = store.invocations().count(&tenant("t"), &function("f"));
    let count = usize::try_from(count.unwrap()).unwrap();
    assert!((kept..=kept + 256).contains(&count), "{count}");
    let newest = all(&store, &scan_of(Some("f")));
    assert_eq!(ids(&newest)[0], id(1, (total - 1) as u128));
}

#[tokio::test]
async fn a_flood_of_records_is_dropped_and_counted() {
    let store = on_disk(&Disk::new(1)).unwrap();
    let (t, f) = (tenant("t"), function("f"));
    let flood = 2 * limits::LOG_QUEUE_LEN;
    let of = id(1, 1);
    let lines = lines(of, 1, &vec!["x"; flood]);
    store.logs().append_invocation(&t, &f, lines, record(of, 7));
    assert!(store.logs().dropped() > 0);
    store.logs().flush().await;
}
