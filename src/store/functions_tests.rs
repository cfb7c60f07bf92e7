//! Deploying, activating and deleting; version numbers; the cache of what is active.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::cache::CACHE_LEN_MAX;
use super::{
    Activation, ActiveCache, Base, Evaluation, Expected, NewDeployment, Serving, Stored, Tags,
};
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
        digest: String::new(),
        files_digest: String::new(),
        activate,
        expected: Expected::default(),
        base: None,
    }
}

/// What a caller expects who does not care.
fn any() -> Expected {
    Expected::default()
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
        .unwrap()
        .deployment;
    assert_eq!(deployed.version, 1);
    assert_eq!(deployed.env["KEY"], "välue");
    assert_eq!(
        functions.active(&t, &f).unwrap(),
        Some(Arc::clone(&deployed))
    );
    assert_eq!(functions.version(&t, &f, 1).unwrap(), *deployed);
    assert_eq!(
        functions.versions(&t, &f, u64::MAX, 10).unwrap(),
        [(*deployed).clone()]
    );
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
        .unwrap()
        .deployment;
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
            .unwrap()
            .deployment;
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
    assert_eq!(deploy(true).await.unwrap().deployment.version, 1);
    assert_eq!(deploy(false).await.unwrap().deployment.version, 2);
    functions.delete_version(&t, &f, 2, any()).await.unwrap();
    assert_eq!(deploy(false).await.unwrap().deployment.version, 3);
    functions.delete_function(&t, &f, any()).await.unwrap();
    assert_eq!(deploy(true).await.unwrap().deployment.version, 4);
    let versions = functions.versions(&t, &f, u64::MAX, 10).unwrap();
    assert_eq!(versions.iter().map(|d| d.version).collect::<Vec<_>>(), [4]);
    // Another tenant's function of the same name counts for itself.
    let other = functions
        .deploy(new(&tenant("u"), &f, true), Bytes::new())
        .await
        .unwrap();
    assert_eq!(other.deployment.version, 1);
}

#[tokio::test]
async fn concurrent_deployments_each_get_a_number() {
    let (store, t, f) = fixture();
    let functions = store.functions();
    let deploy = || functions.deploy(new(&t, &f, true), Bytes::from("x"));
    let (a, b, c) = tokio::join!(deploy(), deploy(), deploy());
    let versions = [a, b, c].map(|deployed| deployed.unwrap().deployment.version);
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
    assert_eq!(
        functions
            .activate(&t, &f, 3, any())
            .await
            .unwrap()
            .deployment
            .version,
        3
    );
    assert!(functions.generation() > generation);
    assert_eq!(active(), 3);
    functions.activate(&t, &f, 2, any()).await.unwrap();
    assert_eq!(active(), 2);
    let newest_first: Vec<_> = functions.versions(&t, &f, u64::MAX, 10).unwrap();
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
    assert_eq!(
        code(functions.versions(&t, &f, u64::MAX, 10).unwrap_err()),
        missing
    );
    assert_eq!(
        code(functions.activate(&t, &f, 1, any()).await.unwrap_err()),
        missing
    );
    assert_eq!(
        code(
            functions
                .delete_version(&t, &f, 1, any())
                .await
                .unwrap_err()
        ),
        missing
    );
    assert_eq!(
        code(functions.delete_function(&t, &f, any()).await.unwrap_err()),
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
            code(
                functions
                    .activate(&t, &f, version, any())
                    .await
                    .unwrap_err()
            ),
            missing
        );
        let refused = functions
            .delete_version(&t, &f, version, any())
            .await
            .unwrap_err();
        assert_eq!(code(refused), missing);
    }
    let refused = functions
        .delete_version(&t, &f, 1, any())
        .await
        .unwrap_err();
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
    assert_eq!(
        store
            .functions()
            .versions(&t, &f, u64::MAX, 10)
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn deleting_takes_bundles_and_logs_along() {
    let (store, t, f) = fixture();
    let (functions, logs) = (store.functions(), store.logs());
    let near = function("f-2");
    let first = functions
        .deploy(new(&t, &f, true), Bytes::from("1"))
        .await
        .unwrap()
        .deployment;
    let second = functions
        .deploy(new(&t, &f, false), Bytes::from("2"))
        .await
        .unwrap()
        .deployment;
    let other = functions
        .deploy(new(&t, &near, true), Bytes::from("3"))
        .await
        .unwrap()
        .deployment;
    for name in [&f, &near] {
        logs.append(&t, name, vec![line("x")]);
    }
    logs.flush().await;
    functions.delete_version(&t, &f, 2, any()).await.unwrap();
    assert_eq!(functions.bundle(&second.id).unwrap(), None);
    assert!(functions.bundle(&first.id).unwrap().is_some());
    functions.delete_function(&t, &f, any()).await.unwrap();
    assert_eq!(functions.bundle(&first.id).unwrap(), None);
    assert_eq!(functions.active(&t, &f).unwrap(), None);
    assert!(functions.versions(&t, &f, u64::MAX, 10).is_err());
    assert_eq!(logs.read(&t, &f, None, 10, None).unwrap(), []);
    assert!(functions.bundle(&other.id).unwrap().is_some());
    assert_eq!(logs.read(&t, &near, None, 10, None).unwrap().len(), 1);
    assert_eq!(functions.list(&t, None, 10).unwrap().len(), 1);
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
    let listed = functions.list(&t, None, 10).unwrap();
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
        .delete_version(&t, &function("c"), 1, any())
        .await
        .unwrap();
    assert_eq!(functions.list(&t, None, 10).unwrap().len(), 2);
}

fn serving(name: &str, version: u64) -> Arc<Serving> {
    let deployment = new(&tenant("t"), &function(name), true).numbered(version);
    Arc::new(Serving {
        active: Arc::new(deployment),
        split: None,
        enabled: true,
    })
}

#[test]
fn a_late_reader_never_puts_an_old_deployment_back() {
    let cache = ActiveCache::default();
    let (t, f) = (tenant("t"), function("f"));
    let generation = cache.generation();
    cache.apply(vec![Activation::To(serving("f", 2))]);
    cache.fill(generation, serving("f", 1));
    assert_eq!(cache.get(&t, &f).unwrap().active.version, 2);
    let generation = cache.generation();
    cache.apply(vec![Activation::Gone(t.clone(), f.clone())]);
    cache.fill(generation, serving("f", 2));
    assert_eq!(cache.get(&t, &f), None);
    cache.fill(cache.generation(), serving("f", 3));
    assert_eq!(cache.get(&t, &f).unwrap().active.version, 3);
    cache.clear();
    assert_eq!(cache.get(&t, &f), None);
}

#[test]
fn the_cache_is_bounded() {
    let cache = ActiveCache::default();
    for n in 0..=CACHE_LEN_MAX {
        cache.fill(cache.generation(), serving(&format!("f{n}"), 1));
    }
    let (len, counted) = cache.count();
    assert!(len <= CACHE_LEN_MAX);
    assert_eq!(len, counted);
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
        "files": 3, "source_bytes": 400, "snapshot_bytes": 0, "digest": "", "files_digest": "",
    });
    assert_eq!(json, expected);
}

/// A deployment of the files `name`, which their digest is made of.
fn of_files(name: &str, env: &str) -> NewDeployment {
    NewDeployment {
        digest: format!("sha256:{name}"),
        files_digest: format!("sha256:files-{name}"),
        env: BTreeMap::from([("KEY".to_owned(), env.to_owned())]),
        ..new(&tenant("t"), &function("f"), true)
    }
}

async fn deploy(store: &Store, new: NewDeployment) -> Result<Stored, Error> {
    store.functions().deploy(new, Bytes::from("bundle")).await
}

#[tokio::test]
async fn what_is_the_same_is_stored_once() {
    let (store, t, f) = fixture();
    let functions = store.functions();
    assert_eq!(functions.reuse(&of_files("a", "1")).await.unwrap(), None);
    let numbers = |stored: Stored| (stored.deployment.version, stored.is_new, stored.active);
    let made = deploy(&store, of_files("a", "1")).await.unwrap();
    assert_eq!(numbers(made.clone()), (1, true, true));
    let again = deploy(&store, of_files("a", "1")).await.unwrap();
    assert_eq!(again.tag, made.tag, "nothing was written");
    assert_eq!(numbers(again), (1, false, true));
    let other = deploy(&store, of_files("a", "2")).await.unwrap();
    assert_eq!(numbers(other), (2, true, true));
    // An upload that is not to be activated leaves the one that is there as it is.
    let inactive = NewDeployment {
        activate: false,
        ..of_files("a", "1")
    };
    let found = functions.reuse(&inactive).await.unwrap().unwrap();
    assert_eq!(numbers(found), (1, false, false));
    assert_eq!(functions.active(&t, &f).unwrap().unwrap().version, 2);
    let back = functions.reuse(&of_files("a", "1")).await.unwrap().unwrap();
    assert_eq!(numbers(back), (1, false, true));
    assert_eq!(functions.active(&t, &f).unwrap().unwrap().version, 1);
    functions.delete_version(&t, &f, 2, any()).await.unwrap();
    assert_eq!(functions.reuse(&of_files("a", "2")).await.unwrap(), None);
    functions.delete_function(&t, &f, any()).await.unwrap();
    assert_eq!(functions.reuse(&of_files("a", "1")).await.unwrap(), None);
}

#[tokio::test]
async fn versions_with_the_same_files_share_a_bundle_until_the_last_is_gone() {
    let (store, t, f) = fixture();
    let functions = store.functions();
    let first = deploy(&store, of_files("a", "1")).await.unwrap().deployment;
    let second = of_files("a", "2");
    // It is there already: what is handed in again is not looked at.
    let second = functions
        .deploy(second, Bytes::from("other"))
        .await
        .unwrap();
    let second = second.deployment;
    let bundle = |id| functions.bundle(id).unwrap();
    assert_eq!(bundle(&second.id), Some(Bytes::from("bundle")));
    assert!(functions.has_bundle(&second.id.to_string()).unwrap());
    functions.delete_version(&t, &f, 1, any()).await.unwrap();
    assert_eq!(bundle(&first.id), None);
    assert_eq!(bundle(&second.id), Some(Bytes::from("bundle")));
    let elsewhere = NewDeployment {
        tenant: tenant("u"),
        ..of_files("a", "1")
    };
    let elsewhere = deploy(&store, elsewhere).await.unwrap().deployment;
    functions.delete_function(&t, &f, any()).await.unwrap();
    assert_eq!(bundle(&second.id), None);
    assert!(!functions.has_bundle(&second.id.to_string()).unwrap());
    assert_eq!(bundle(&elsewhere.id), Some(Bytes::from("bundle")));
}

#[tokio::test]
async fn a_stale_write_is_refused_and_a_tag_never_comes_again() {
    let (store, t, f) = fixture();
    let functions = store.functions();
    let expecting = |tag: &str| Expected {
        one_of: Some(Tags::These(vec![tag.to_owned()])),
        none_of: None,
    };
    let refused = |result: Result<(), Error>| matches!(result, Err(Error::PreconditionFailed));
    let mut tags: Vec<String> = Vec::new();
    for _ in 0..2 {
        tags.push(deploy(&store, new(&t, &f, true)).await.unwrap().tag);
        tags.push(deploy(&store, new(&t, &f, true)).await.unwrap().tag);
        let first = tags.len() - 2;
        let stale = NewDeployment {
            expected: expecting(&tags[first]),
            ..new(&t, &f, true)
        };
        assert!(refused(deploy(&store, stale).await.map(drop)));
        let stale = functions.roll_back(&t, &f, expecting(&tags[first])).await;
        assert!(refused(stale.map(drop)));
        let back = functions.roll_back(&t, &f, expecting(&tags[first + 1]));
        tags.push(back.await.unwrap().tag);
        let stale = functions.delete_function(&t, &f, expecting(&tags[first]));
        assert!(refused(stale.await));
        functions.delete_function(&t, &f, any()).await.unwrap();
    }
    tags.sort();
    let all = tags.len();
    tags.dedup();
    assert_eq!(tags.len(), all);
}

#[tokio::test]
async fn a_version_made_of_another_needs_that_to_be_as_it_was() {
    let (store, t, f) = fixture();
    let base = |version, active| NewDeployment {
        base: Some(Base { version, active }),
        ..new(&t, &f, true)
    };
    deploy(&store, new(&t, &f, true)).await.unwrap();
    let inactive = deploy(&store, base(1, false)).await;
    assert!(matches!(inactive, Err(Error::PreconditionFailed)));
    let missing = deploy(&store, base(9, false)).await;
    assert!(matches!(
        missing,
        Err(Error::VersionNotFound { version: 9 })
    ));
    assert_eq!(
        deploy(&store, base(1, true))
            .await
            .unwrap()
            .deployment
            .version,
        2
    );
    let second_edit = deploy(&store, base(1, true)).await;
    assert!(matches!(second_edit, Err(Error::PreconditionFailed)));
}

#[tokio::test]
async fn a_function_has_a_bounded_number_of_versions() {
    let (store, t, f) = fixture();
    let deploys = (0..crate::limits::VERSIONS_MAX).map(|_| deploy(&store, new(&t, &f, false)));
    for deployed in futures_util::future::join_all(deploys).await {
        deployed.unwrap();
    }
    let refused = deploy(&store, new(&t, &f, false)).await.unwrap_err();
    assert_eq!(refused.code(), Code::VersionsExceeded);
    let functions = store.functions();
    functions.delete_version(&t, &f, 1, any()).await.unwrap();
    deploy(&store, new(&t, &f, false)).await.unwrap();
    let page = functions.versions(&t, &f, 1001, 2).unwrap();
    let page: Vec<u64> = page.iter().map(|one| one.version).collect();
    assert_eq!(page, [1000, 999]);
}

#[tokio::test]
async fn pages_of_functions_follow_each_other() {
    let (store, t, _) = fixture();
    for name in ["a", "b", "c"] {
        deploy(&store, new(&t, &function(name), true))
            .await
            .unwrap();
    }
    deploy(&store, new(&tenant("u"), &function("d"), true))
        .await
        .unwrap();
    let names = |after: Option<&str>, limit| {
        let after = after.map(function);
        let page = store.functions().list(&t, after.as_ref(), limit).unwrap();
        page.iter()
            .map(|f| f.function.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(None, 2), ["a", "b"]);
    assert_eq!(names(Some("b"), 2), ["c"]);
    assert_eq!(names(Some("aa"), 9), ["b", "c"]);
    assert_eq!(names(Some("c"), 9), [""; 0]);
}
