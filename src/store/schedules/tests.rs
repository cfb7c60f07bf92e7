//! What is stored of schedules: edits, decisions, histories, bounds, and a disk that fails.

use bytes::Bytes;

use super::{Missed, NewRun, Overlap, Retries, RunState, ScheduleKey, ScheduleSettings, Trigger};
use crate::error::Code;
use crate::id::{DeploymentId, ScheduleId};
use crate::kind::Kind;
use crate::limits;
use crate::store::disk::Disk;
use crate::store::tests::{Hands, function, on_disk, tenant};
use crate::store::{Error, Evaluation, Expected, NewDeployment, Store};

fn key(of: &str, name: &str) -> ScheduleKey {
    ScheduleKey {
        tenant: tenant("t"),
        function: function(of),
        name: name.parse().unwrap(),
    }
}

fn settings(cron: &str) -> ScheduleSettings {
    ScheduleSettings {
        cron: cron.to_owned(),
        time_zone: "UTC".to_owned(),
        enabled: true,
        path: "/".to_owned(),
        payload: Some("[1]".to_owned()),
        missed: Missed::RunOnce { late_ms_max: 5 },
        overlap: Overlap::QueueOne,
        retries: Retries {
            max: 1,
            initial_ms: 2,
            max_ms: 3,
        },
    }
}

fn tick(due_ms: u64, state: RunState) -> NewRun {
    NewRun {
        trigger: Trigger::Tick,
        due_ms,
        decided_ms: Some(due_ms),
        missed: 0,
        state,
    }
}

async fn deploy(store: &Store, of: &ScheduleKey) {
    let new = NewDeployment {
        id: DeploymentId::new(1),
        tenant: of.tenant.clone(),
        function: of.function.clone(),
        created_ms: 0,
        kind: Kind::Request,
        entry: "index.js".to_owned(),
        env: std::collections::BTreeMap::new(),
        secrets: std::collections::BTreeMap::new(),
        requires_key: false,
        limits: crate::limits::LimitOverrides::default(),
        route: None,
        evaluation: Evaluation::Snapshot,
        files: 1,
        source_bytes: 1,
        snapshot_bytes: 1,
        digest: String::new(),
        files_digest: String::new(),
        activate: true,
        expected: Expected::default(),
        base: None,
    };
    store.functions().deploy(new, Bytes::new()).await.unwrap();
}

/// A store with the function `f`, at the time 1.
async fn fixture() -> (Disk, Store) {
    let disk = Disk::new(1);
    let store = on_disk(&disk).unwrap();
    deploy(&store, &key("f", "s")).await;
    (disk, store)
}

#[tokio::test]
async fn a_schedule_is_read_as_it_was_written_also_after_reopening() {
    let (disk, store) = fixture().await;
    let of = key("f", "s");
    let (put, is_new) = store
        .schedules()
        .put(of.clone(), settings("* * * * *"), Expected::default())
        .await
        .unwrap();
    assert!(is_new);
    assert_eq!((put.schedule.revision, put.schedule.created_ms), (1, 1));
    assert_eq!((put.progress.decided_ms, put.last_run), (1, None));
    store.close();
    drop(store);
    let store = on_disk(&disk).unwrap();
    let read = store.schedules().get(&of).unwrap();
    assert_eq!((&read.key, &read.schedule), (&of, &put.schedule));
    assert_eq!(read.schedule.settings, settings("* * * * *"));
    let listed = store.schedules().list(&of.tenant, &of.function).unwrap();
    assert_eq!(listed.len(), 1);
    let mut all = Vec::new();
    let each = |key, schedule: super::Schedule, _| all.push((key, schedule.settings.payload));
    store.schedules().for_each(each).unwrap();
    assert_eq!(all, [(of, None)]);
}

#[tokio::test]
async fn only_a_new_timetable_makes_the_past_decided() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::at(1000);
    let store = Store::open_with_clock(&folder.path().join("data"), hands.clock()).unwrap();
    let of = key("f", "s");
    deploy(&store, &of).await;
    let schedules = store.schedules();
    let mut wanted = settings("* * * * *");
    let mut decided = Vec::new();
    for change in 0..6 {
        match change {
            1 => wanted.payload = None,
            2 => wanted.overlap = Overlap::Allow,
            3 => wanted.cron = "0 * * * *".to_owned(),
            4 => wanted.enabled = false,
            5 => wanted.enabled = true,
            _ => {}
        }
        let (put, _) = schedules
            .put(of.clone(), wanted.clone(), Expected::default())
            .await
            .unwrap();
        assert_eq!(put.schedule.revision, change + 1);
        decided.push(put.progress.decided_ms);
        hands.advance(1000);
    }
    assert_eq!(decided, [1000, 1000, 1000, 4000, 4000, 6000]);
}

#[tokio::test]
async fn a_decision_is_for_the_schedule_that_it_was_made_for() {
    let (_disk, store) = fixture().await;
    let (schedules, of) = (store.schedules(), key("f", "s"));
    let (put, _) = schedules
        .put(of.clone(), settings("* * * * *"), Expected::default())
        .await
        .unwrap();
    let id = put.schedule.id;
    let queued = tick(60_000, RunState::Queued);
    let decided = schedules
        .decide(of.clone(), id, 1, queued)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (decided.number, decided.due_ms, decided.attempt),
        (1, 60_000, 0)
    );
    let progress = schedules.get(&of).unwrap().progress;
    assert_eq!(
        (progress.decided_ms, progress.unfinished),
        (60_000, vec![1])
    );
    // Of a revision that is no more, of another schedule, of none.
    for (key, id, revision) in [
        (of.clone(), id, 2),
        (of.clone(), ScheduleId::new(1), 1),
        (key("f", "other"), id, 1),
    ] {
        let none = schedules.decide(key.clone(), id, revision, queued).await;
        assert_eq!(none.unwrap(), None);
    }
    let over = schedules.update(of.clone(), id, 1, |run| run.state = RunState::Succeeded);
    assert_eq!(over.await.unwrap().unwrap().state, RunState::Succeeded);
    assert_eq!(schedules.get(&of).unwrap().progress.unfinished, [0; 0]);
    assert_eq!(
        schedules.update(of.clone(), id, 9, |_| {}).await.unwrap(),
        None
    );
    assert_eq!(
        schedules
            .update(of, ScheduleId::new(1), 1, |_| {})
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn the_history_drops_what_is_oldest_and_over() {
    let (_disk, store) = fixture().await;
    let (schedules, of) = (store.schedules(), key("f", "s"));
    let (put, _) = schedules
        .put(of.clone(), settings("* * * * *"), Expected::default())
        .await
        .unwrap();
    let kept = u64::try_from(limits::SCHEDULE_RUNS_KEPT).unwrap();
    for number in 1..=kept + 10 {
        let state = if number == 3 {
            RunState::Queued
        } else {
            RunState::Skipped
        };
        let new = tick(number * 1000, state);
        schedules
            .decide(of.clone(), put.schedule.id, 1, new)
            .await
            .unwrap();
    }
    let all = schedules.runs(&of, None, 1000).unwrap();
    let numbers: Vec<u64> = all.iter().map(|run| run.number).collect();
    let mut expected: Vec<u64> = (12..=kept + 10).rev().collect();
    expected.push(3);
    assert_eq!(numbers, expected);
    let page = schedules.runs(&of, Some(20), 3).unwrap();
    assert_eq!(
        page.iter().map(|run| run.number).collect::<Vec<_>>(),
        [19, 18, 17]
    );
    assert_eq!(schedules.run(&of, 1).unwrap(), None);
}

#[tokio::test]
async fn with_its_function_all_of_a_schedule_is_gone_and_nothing_of_others() {
    let (_disk, store) = fixture().await;
    let schedules = store.schedules();
    deploy(&store, &key("g", "s")).await;
    for of in [key("f", "s"), key("f", "s2"), key("g", "s")] {
        let (put, _) = schedules
            .put(of.clone(), settings("* * * * *"), Expected::default())
            .await
            .unwrap();
        let new = tick(60_000, RunState::Queued);
        schedules.decide(of, put.schedule.id, 1, new).await.unwrap();
    }
    store
        .functions()
        .delete_function(&tenant("t"), &function("f"), Expected::default())
        .await
        .unwrap();
    deploy(&store, &key("f", "s")).await;
    assert_eq!(
        schedules.list(&tenant("t"), &function("f")).unwrap().len(),
        0
    );
    let (again, is_new) = schedules
        .put(key("f", "s"), settings("* * * * *"), Expected::default())
        .await
        .unwrap();
    assert!(is_new);
    assert_eq!(
        (again.progress.unfinished, again.last_run),
        (Vec::new(), None)
    );
    assert_eq!(schedules.runs(&key("g", "s"), None, 10).unwrap().len(), 1);
    let refused = schedules
        .put(key("none", "s"), settings("* * * * *"), Expected::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::FunctionNotFound);
    let refused = schedules
        .delete(key("f", "none"), Expected::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ScheduleNotFound);
}

#[tokio::test]
async fn a_function_has_a_bound_and_so_has_its_tenant() {
    let (_disk, store) = fixture().await;
    let schedules = store.schedules();
    let per_function = limits::SCHEDULES_PER_FUNCTION_MAX;
    let functions = limits::SCHEDULES_PER_TENANT_MAX / per_function;
    for number in 0..=functions {
        deploy(&store, &key(&format!("f{number}"), "s")).await;
    }
    for number in 0..functions {
        let name = format!("f{number}");
        for schedule in 0..per_function {
            let of = key(&name, &format!("s{schedule}"));
            schedules
                .put(of, settings("0 0 1 1 *"), Expected::default())
                .await
                .unwrap();
        }
        if number == 0 {
            let more = schedules
                .put(
                    key(&name, "more"),
                    settings("0 0 1 1 *"),
                    Expected::default(),
                )
                .await;
            let is_full = |error| matches!(error, Error::TooManySchedules { max: 100, .. });
            assert!(more.is_err_and(is_full));
        }
    }
    let last = key(&format!("f{functions}"), "s");
    let more = schedules
        .put(last, settings("0 0 1 1 *"), Expected::default())
        .await
        .unwrap_err();
    assert!(
        matches!(more, Error::TooManySchedules { max: 1000, .. }),
        "{more}"
    );
    assert_eq!(more.code(), Code::SchedulesExceeded);
}
