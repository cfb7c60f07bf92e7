//! Deploying, activating and deleting; version numbers; the cache of what is active.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{Activation, ActiveCache, CACHE_LEN_MAX, Deployment, Evaluation, NewDeployment};
use crate::error::Code;
use crate::id::{DeploymentId, FunctionName, TenantId};
use crate::kind::Kind;
use crate::limits::LimitOverrides;
use crate::store::disk::Disk;
use crate::store::schema::BUNDLE_CHUNK_BYTES;
use crate::store::tests::{function, on_disk, tenant};
use crate::store::{Error, Level, LogLine, Store};

fn new(of: &TenantId, name: &FunctionName, activate: bool) -> NewDeployment {
    NewDeployment {
        id: DeploymentId::new(1),
        tenant: of.clone(),
        function: name.clone(),
        created_ms: 1_700_000_000_000,
        kind: Kind::Event,
        entry: "index.js".to_owned(),
        env: BTreeMap::from([("KEY".to_owned(), "välue".to_owned())]),
        secrets: BTreeMap::new(),
        requires_key: false,
        limits: LimitOverrides {
            fuel: Some(5),
            ..LimitOverrides::default()
        },
        route: Some("/users/:userId".to_owned()),
        evaluation: Evaluation::PerRequest {
            reason: "Date.now() at index.js:1:17".to_owned(),
        },
        files: 3,
        source_bytes: 400,
        snapshot_bytes: 0,
        activate,
    }
}

fn fixture() -> (Store, TenantId, FunctionName) {
    (on_disk(&Disk::new(1)).unwrap(), tenant("t"), function("f"))
}

#[tokio::test]
async fn a_deployment_is_read_as_it_was_written() {
    let (store, t, f) = fixture();
    let functions = store.functions();
    assert_eq!(functions.active(&t, &f).unwrap(), None);
    let written = new(&t, &f, true);
    let id = written.id;
    let deployed = functions
        .deploy(written, Bytes::from("files"))
        .await
        .unwrap();
    assert_eq!(deployed.version, 1);
    assert_eq!(deployed.env["KEY"], "välue");
    assert_eq!(
        functions.active(&t, &f).unwrap(),
        Some(Arc::clone(&deployed))
    );
    assert_eq!(functions.version(&t, &f, 1).unwrap(), *deployed);
    assert_eq!(functions.versions(&t, &f).unwrap(), [(*deployed).clone()]);
    assert_eq!(functions.bundle(&id).unwrap(), Some(Bytes::from("files")));
    assert_eq!(functions.bundle(&DeploymentId::new(1)).unwrap(), None);
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let disk = Disk::new(1);
    let (t, f) = (tenant("t"), function("f"));
    let store = on_disk(&disk).unwrap();
    let bundle = Bytes::from(vec![9; 3 * BUNDLE_CHUNK_BYTES]);
    let deployed = store
        .functions()
        .deploy(new(&t, &f, true), bundle.clone())
        .await
        .unwrap();
    drop(store);
    let functions = on_disk(&disk).unwrap();
    let functions = functions.functions();
    assert_eq!(
        functions.active(&t, &f).unwrap(),
        Some(Arc::clone(&deployed))
    );
    assert_eq!(functions.bundle(&deployed.id).unwrap(), Some(bundle));
}

#[tokio::test]
async fn bundles_of_every_size_come_back_whole() {
    let (store, t, f) = fixture();
    for size in [
        0,
        1,
        BUNDLE_CHUNK_BYTES - 1,
        BUNDLE_CHUNK_BYTES,
        BUNDLE_CHUNK_BYTES + 1,
    ] {
        let bundle: Vec<u8> = (0..=255).cycle().take(size).collect();
        let bundle = Bytes::from(bundle);
        let deployed = store
            .functions()
            .deploy(new(&t, &f, true), bundle.clone())
            .await
            .unwrap();
        assert_eq!(
            store.functions().bundle(&deployed.id).unwrap(),
            Some(bundle)
        );
    }
}

#[tokio::test]
async fn version_numbers_are_never_used_again() {
    let (store, t, f) = fixture();
    let functions = store.functions();
    let deploy = |activate| functions.deploy(new(&t, &f, activate), Bytes::from("x"));
    assert_eq!(deploy(true).await.unwrap().version, 1);
    assert_eq!(deploy(false).await.unwrap().version, 2);
    functions.delete_version(&t, &f, 2).await.unwrap();
    assert_eq!(deploy(false).await.unwrap().version, 3);
    functions.delete_function(&t, &f).await.unwrap();
    assert_eq!(deploy(true).await.unwrap().version, 4);
    let versions = functions.versions(&t, &f).unwrap();
    assert_eq!(versions.iter().map(|d| d.version).collect::<Vec<_>>(), [4]);
    // Another tenant's function of the same name counts for itself.
    let other = functions
        .deploy(new(&tenant("u"), &f, true), Bytes::new())
        .await
        .unwrap();
    assert_eq!(other.version, 1);
}

#[tokio::test]
async fn concurrent_deployments_each_get_a_number() {
    let (store, t, f) = fixture();
    let functions = store.functions();
    let deploy = || functions.deploy(new(&t, &f, true), Bytes::from("x"));
    let (a, b, c) = tokio::join!(deploy(), deploy(), deploy());
    let versions = [a, b, c].map(|deployed| deployed.unwrap().version);
    assert_eq!(versions, [1, 2, 3]);
    assert_eq!(functions.active(&t, &f).unwrap().unwrap().version, 3);
}

#[tokio::test]
async fn activating_moves_the_name_back_and_forth() {
    let (store, t, f) = fixture();
    let functions = store.functions();
    for n in 0..3 {
        functions
            .deploy(new(&t, &f, n == 0), Bytes::new())
            .await
            .unwrap();
    }
    let active = || functions.active(&t, &f).unwrap().unwrap().version;
    assert_eq!(active(), 1);
    let generation = functions.generation();
    assert_eq!(functions.activate(&t, &f, 3).await.unwrap().version, 3);
    assert!(functions.generation() > generation);
    assert_eq!(active(), 3);
    functions.activate(&t, &f, 2).await.unwrap();
    assert_eq!(active(), 2);
    let newest_first: Vec<_> = functions.versions(&t, &f).unwrap();
    assert_eq!(
        newest_first.iter().map(|d| d.version).collect::<Vec<_>>(),
        [3, 2, 1]
    );
}

#[tokio::test]
async fn what_does_not_exist_is_refused_by_its_code() {
    let (store, t, f) = fixture();
    let functions = store.functions();
    let code = |error: Error| error.code();
    let missing = Code::FunctionNotFound;
    assert_eq!(code(functions.version(&t, &f, 1).unwrap_err()), missing);
    assert_eq!(code(functions.versions(&t, &f).unwrap_err()), missing);
    assert_eq!(
        code(functions.activate(&t, &f, 1).await.unwrap_err()),
        missing
    );
    assert_eq!(
        code(functions.delete_version(&t, &f, 1).await.unwrap_err()),
        missing
    );
    assert_eq!(
        code(functions.delete_function(&t, &f).await.unwrap_err()),
        missing
    );
    functions
        .deploy(new(&t, &f, true), Bytes::new())
        .await
        .unwrap();
    let missing = Code::VersionNotFound;
    for version in [0, 2, u64::MAX] {
        assert_eq!(
            code(functions.version(&t, &f, version).unwrap_err()),
            missing
        );
        assert_eq!(
            code(functions.activate(&t, &f, version).await.unwrap_err()),
            missing
        );
        let refused = functions.delete_version(&t, &f, version).await.unwrap_err();
        assert_eq!(code(refused), missing);
    }
    let refused = functions.delete_version(&t, &f, 1).await.unwrap_err();
    assert_eq!(code(refused), Code::VersionActive);
    assert_eq!(functions.active(&tenant("u"), &f).unwrap(), None);
    assert_eq!(functions.active(&t, &function("ff")).unwrap(), None);
}

#[tokio::test]
async fn a_deployment_id_is_stored_once() {
    let (store, t, f) = fixture();
    let written = new(&t, &f, true);
    let again = written.clone();
    store
        .functions()
        .deploy(written, Bytes::from("1"))
        .await
        .unwrap();
    let refused = store
        .functions()
        .deploy(again.clone(), Bytes::from("2"))
        .await;
    assert!(matches!(refused, Err(Error::DuplicateDeployment)));
    assert_eq!(
        store.functions().bundle(&again.id).unwrap(),
        Some(Bytes::from("1"))
    );
    assert_eq!(store.functions().versions(&t, &f).unwrap().len(), 1);
}

#[tokio::test]
async fn deleting_takes_bundles_and_logs_along() {
    let (store, t, f) = fixture();
    let (functions, logs) = (store.functions(), store.logs());
    let near = function("f-2");
    let first = functions
        .deploy(new(&t, &f, true), Bytes::from("1"))
        .await
        .unwrap();
    let second = functions
        .deploy(new(&t, &f, false), Bytes::from("2"))
        .await
        .unwrap();
    let other = functions
        .deploy(new(&t, &near, true), Bytes::from("3"))
        .await
        .unwrap();
    for name in [&f, &near] {
        logs.append(&t, name, vec![line("x")]);
    }
    logs.flush().await;
    functions.delete_version(&t, &f, 2).await.unwrap();
    assert_eq!(functions.bundle(&second.id).unwrap(), None);
    assert!(functions.bundle(&first.id).unwrap().is_some());
    functions.delete_function(&t, &f).await.unwrap();
    assert_eq!(functions.bundle(&first.id).unwrap(), None);
    assert_eq!(functions.active(&t, &f).unwrap(), None);
    assert!(functions.versions(&t, &f).is_err());
    assert_eq!(logs.read(&t, &f, None, 10, None).unwrap(), []);
    assert!(functions.bundle(&other.id).unwrap().is_some());
    assert_eq!(logs.read(&t, &near, None, 10, None).unwrap().len(), 1);
    assert_eq!(functions.list(&t).unwrap().len(), 1);
}

fn line(message: &str) -> LogLine {
    LogLine {
        timestamp_ms: 1,
        level: Level::Info,
        message: message.to_owned(),
        invocation: String::new(),
        version: 1,
    }
}

#[tokio::test]
async fn a_tenants_functions_are_listed_by_name() {
    let (store, t, _) = fixture();
    let functions = store.functions();
    for name in ["b", "a", "c"] {
        functions
            .deploy(new(&t, &function(name), name != "c"), Bytes::new())
            .await
            .unwrap();
    }
    functions
        .deploy(new(&t, &function("a"), true), Bytes::new())
        .await
        .unwrap();
    functions
        .deploy(new(&tenant("t2"), &function("d"), true), Bytes::new())
        .await
        .unwrap();
    let listed = functions.list(&t).unwrap();
    let found: Vec<_> = listed
        .iter()
        .map(|f| {
            (
                f.function.as_str(),
                f.versions,
                f.active.as_ref().map(|d| d.version),
            )
        })
        .collect();
    assert_eq!(
        found,
        [("a", 2, Some(2)), ("b", 1, Some(1)), ("c", 1, None)]
    );
    assert_eq!(functions.active(&t, &function("c")).unwrap(), None);
    // A function whose only version is deleted is no more.
    functions
        .delete_version(&t, &function("c"), 1)
        .await
        .unwrap();
    assert_eq!(functions.list(&t).unwrap().len(), 2);
}

fn deployment(name: &str, version: u64) -> Arc<Deployment> {
    Arc::new(new(&tenant("t"), &function(name), true).numbered(version))
}

#[test]
fn a_late_reader_never_puts_an_old_deployment_back() {
    let cache = ActiveCache::default();
    let (t, f) = (tenant("t"), function("f"));
    let generation = cache.generation();
    cache.apply(vec![Activation::To(deployment("f", 2))]);
    cache.fill(generation, deployment("f", 1));
    assert_eq!(cache.get(&t, &f).unwrap().version, 2);
    let generation = cache.generation();
    cache.apply(vec![Activation::Gone(t.clone(), f.clone())]);
    cache.fill(generation, deployment("f", 2));
    assert_eq!(cache.get(&t, &f), None);
    cache.fill(cache.generation(), deployment("f", 3));
    assert_eq!(cache.get(&t, &f).unwrap().version, 3);
    cache.clear();
    assert_eq!(cache.get(&t, &f), None);
}

#[test]
fn the_cache_is_bounded() {
    let cache = ActiveCache::default();
    for n in 0..=CACHE_LEN_MAX {
        cache.fill(cache.generation(), deployment(&format!("f{n}"), 1));
    }
    let entries = cache.entries.read().unwrap();
    assert!(entries.len <= CACHE_LEN_MAX);
    let counted: usize = entries
        .tenants
        .values()
        .map(std::collections::HashMap::len)
        .sum();
    assert_eq!(entries.len, counted);
}

#[tokio::test]
async fn what_is_active_in_memory_needs_no_disk() {
    let disk = Disk::new(1);
    let store = on_disk(&disk).unwrap();
    let (t, f) = (tenant("t"), function("f"));
    store
        .functions()
        .deploy(new(&t, &f, true), Bytes::new())
        .await
        .unwrap();
    disk.fail_after(0, true);
    assert!(store.functions().active(&t, &f).unwrap().is_some());
    disk.heal();
}

#[test]
fn a_stored_record_keeps_its_shape() {
    let mut written = new(&tenant("t"), &function("f"), true).numbered(7);
    written.evaluation = Evaluation::Snapshot;
    let mut json = serde_json::to_value(&written).unwrap();
    assert_eq!(json["id"].as_str().unwrap().len(), 26);
    json["id"] = "01".into();
    let expected = serde_json::json!({
        "id": "01", "tenant": "t", "function": "f", "version": 7,
        "created_ms": 1_700_000_000_000_u64, "kind": "event", "entry": "index.js", "env": {"KEY": "välue"},
        "limits": {"fuel": 5}, "route": "/users/:userId", "evaluation": {"kind": "snapshot"},
        "files": 3, "source_bytes": 400, "snapshot_bytes": 0,
    });
    assert_eq!(json, expected);
}
