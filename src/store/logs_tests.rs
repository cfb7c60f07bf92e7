//! Appending, reading, trimming and dropping of log lines.

use crate::id::{FunctionName, TenantId};
use crate::limits;
use crate::store::disk::Disk;
use crate::store::tests::{function, on_disk, tenant};
use crate::store::{Level, LogLine, Logs, Store};

fn line(message: &str, invocation: &str) -> LogLine {
    LogLine {
        timestamp_ms: 5,
        level: Level::Warn,
        message: message.to_owned(),
        invocation: invocation.to_owned(),
        version: 3,
    }
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<LogLine> {
    numbers.map(|n| line(&n.to_string(), "i")).collect()
}

fn fixture() -> (Store, Logs, TenantId, FunctionName) {
    let store = on_disk(&Disk::new(1)).unwrap();
    let logs = store.logs();
    (store, logs, tenant("t"), function("f"))
}

fn messages(lines: &[(u64, LogLine)]) -> Vec<&str> {
    lines
        .iter()
        .map(|(_, line)| line.message.as_str())
        .collect()
}

#[tokio::test]
async fn lines_are_read_in_order_from_a_cursor() {
    let (_store, logs, t, f) = fixture();
    assert_eq!(logs.read(&t, &f, None, 10, None).unwrap(), []);
    logs.append(&t, &f, numbered(0..3));
    logs.append(&t, &function("g"), numbered(7..9));
    logs.append(&t, &f, numbered(3..5));
    logs.flush().await;
    let all = logs.read(&t, &f, None, 10, None).unwrap();
    assert_eq!(messages(&all), ["0", "1", "2", "3", "4"]);
    assert_eq!(all[0].1, line("0", "i"));
    assert_eq!(
        all.iter().map(|(cursor, _)| *cursor).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    let newest = logs.read(&t, &f, None, 2, None).unwrap();
    assert_eq!(messages(&newest), ["3", "4"]);
    let after = logs.read(&t, &f, Some(2), 2, None).unwrap();
    assert_eq!(messages(&after), ["2", "3"]);
    assert_eq!(logs.read(&t, &f, Some(5), 2, None).unwrap(), []);
    assert_eq!(logs.read(&t, &f, Some(u64::MAX), 2, None).unwrap(), []);
    assert_eq!(logs.read(&tenant("u"), &f, None, 2, None).unwrap(), []);
}

#[tokio::test]
async fn lines_of_one_invocation_are_found_among_others() {
    let (_store, logs, t, f) = fixture();
    for n in 0..20 {
        let invocation = if n % 5 == 0 { "mine" } else { "other" };
        logs.append(&t, &f, vec![line(&n.to_string(), invocation)]);
    }
    logs.flush().await;
    let mine = logs.read(&t, &f, None, 3, Some("mine")).unwrap();
    assert_eq!(messages(&mine), ["5", "10", "15"]);
    let mine = logs.read(&t, &f, Some(1), 2, Some("mine")).unwrap();
    assert_eq!(messages(&mine), ["5", "10"]);
    assert_eq!(logs.read(&t, &f, None, 3, Some("none")).unwrap(), []);
}

#[tokio::test]
async fn a_long_poll_is_woken_by_a_commit() {
    let (_store, logs, t, f) = fixture();
    let mut commits = logs.subscribe();
    assert_eq!(logs.read(&t, &f, Some(0), 1, None).unwrap(), []);
    logs.append(&t, &f, numbered(0..1));
    commits.changed().await.unwrap();
    assert_eq!(logs.read(&t, &f, Some(0), 1, None).unwrap().len(), 1);
}

#[tokio::test]
async fn only_the_newest_lines_are_kept() {
    let (_store, logs, t, f) = fixture();
    let kept = limits::LOG_LINES_KEPT;
    let total = kept + 4_000;
    for start in (0..total).step_by(1_000) {
        logs.append(&t, &f, numbered(start..start + 1_000));
        logs.flush().await;
    }
    assert_eq!(logs.dropped(), 0);
    let oldest = logs.read(&t, &f, Some(0), 1, None).unwrap();
    let oldest: usize = oldest[0].1.message.parse().unwrap();
    assert!(
        (total - kept - 256..=total - kept).contains(&oldest),
        "{oldest}"
    );
    let newest = logs.read(&t, &f, None, usize::MAX, None).unwrap();
    assert_eq!(newest.len(), 1_000);
    assert_eq!(newest[999].0, u64::try_from(total).unwrap());
    assert_eq!(newest[999].1.message, (total - 1).to_string());
}

#[tokio::test]
async fn a_flood_is_dropped_and_counted() {
    let (_store, logs, t, f) = fixture();
    let flood = 2 * limits::LOG_QUEUE_LEN;
    logs.append(&t, &f, numbered(0..flood));
    let dropped = usize::try_from(logs.dropped()).unwrap();
    assert!(dropped >= flood - limits::LOG_QUEUE_LEN, "{dropped}");
    logs.flush().await;
    let newest = logs.read(&t, &f, None, 1, None).unwrap();
    assert_eq!(newest[0].1.message, (flood - dropped - 1).to_string());
    let huge = "x".repeat(limits::LOG_LINE_BYTES_MAX);
    logs.append(&t, &f, vec![line(&huge, "i"); 4_000]);
    assert!(logs.dropped() > u64::try_from(dropped).unwrap());
    logs.flush().await;
}

#[tokio::test]
async fn a_long_line_is_cut_between_characters() {
    let (_store, logs, t, f) = fixture();
    let long = format!("x{}", "é".repeat(limits::LOG_LINE_BYTES_MAX));
    logs.append(&t, &f, vec![line(&long, "i")]);
    logs.flush().await;
    let stored = logs.read(&t, &f, None, 1, None).unwrap();
    assert_eq!(stored[0].1.message, long[..limits::LOG_LINE_BYTES_MAX - 1]);
}

#[tokio::test]
async fn a_read_is_bounded_in_bytes() {
    let (_store, logs, t, f) = fixture();
    let huge = "x".repeat(limits::LOG_LINE_BYTES_MAX);
    logs.append(&t, &f, vec![line(&huge, "i"); 500]);
    logs.flush().await;
    let lines = logs.read(&t, &f, Some(0), 500, None).unwrap();
    assert!(lines.len() < 300, "{}", lines.len());
    let last = lines.last().unwrap().0;
    assert!(!logs.read(&t, &f, Some(last), 500, None).unwrap().is_empty());
}

#[tokio::test]
async fn cursors_go_on_after_reopening_and_deleting() {
    let disk = Disk::new(1);
    let (t, f) = (tenant("t"), function("f"));
    let store = on_disk(&disk).unwrap();
    store.logs().append(&t, &f, numbered(0..3));
    // Closing stores what waits.
    store.close();
    store.logs().flush().await;
    let store = on_disk(&disk).unwrap();
    let logs = store.logs();
    assert_eq!(logs.read(&t, &f, None, 10, None).unwrap().len(), 3);
    let delete = |tables: &mut super::Tables<'_>| Ok(Ok(super::delete(tables, &t2(), &f2())?));
    store.shared.submit(0, delete).await.unwrap();
    assert_eq!(logs.read(&t, &f, None, 10, None).unwrap(), []);
    logs.append(&t, &f, numbered(3..4));
    logs.flush().await;
    let lines = logs.read(&t, &f, Some(3), 10, None).unwrap();
    assert_eq!(
        lines.iter().map(|(cursor, _)| *cursor).collect::<Vec<_>>(),
        [4]
    );
}

fn t2() -> TenantId {
    tenant("t")
}

fn f2() -> FunctionName {
    function("f")
}

#[tokio::test]
async fn a_failing_disk_drops_lines_and_answers_a_flush() {
    let disk = Disk::new(1);
    let store = on_disk(&disk).unwrap();
    let (t, f) = (tenant("t"), function("f"));
    disk.fail_after(0, true);
    store.logs().append(&t, &f, numbered(0..3));
    store.logs().flush().await;
    assert_eq!(store.logs().dropped(), 3);
    disk.heal();
}

#[test]
fn a_stored_line_keeps_its_shape() {
    let json = serde_json::to_string(&line("m", "i")).unwrap();
    let expected =
        r#"{"timestamp_ms":5,"level":"warn","message":"m","invocation":"i","version":3}"#;
    assert_eq!(json, expected);
}
