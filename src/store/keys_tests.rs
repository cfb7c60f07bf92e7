//! Keys: what is kept, what is refused, and from when on.

use std::sync::atomic::AtomicU64;

use super::*;
use crate::store::{Quotas, Store};

const NOW_MS: u64 = 1_732_185_600_000;

struct Fixture {
    folder: tempfile::TempDir,
    now_ms: Arc<AtomicU64>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            now_ms: Arc::new(AtomicU64::new(NOW_MS)),
        }
    }

    fn open(&self) -> Store {
        let now_ms = Arc::clone(&self.now_ms);
        let clock = Arc::new(move || now_ms.load(Ordering::Relaxed));
        Store::open_with_clock(&self.folder.path().join("test.redb"), clock).unwrap()
    }

    fn wait(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

fn new_key(tenant: Option<&str>, scopes: &[Scope]) -> NewKey {
    NewKey {
        name: "a key".to_owned(),
        tenant: tenant.map(|tenant| tenant.parse().unwrap()),
        scopes: scopes.iter().copied().collect(),
        function: None,
        created_by: "root".to_owned(),
        expires_ms: None,
    }
}

#[tokio::test]
async fn a_key_is_good_until_it_is_revoked_also_after_a_restart() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (key, token) = store
        .keys()
        .create(new_key(None, &[Scope::Read]))
        .await
        .unwrap();
    assert_eq!(*store.keys().verify(&token).unwrap(), *key);
    drop(store);

    let store = fixture.open();
    let keys = store.keys();
    assert_eq!(keys.verify(&token).unwrap().scopes, key.scopes);
    keys.revoke(None, key.id).await.unwrap();
    assert_eq!(keys.verify(&token).unwrap_err(), Refused::Unknown);
    assert!(matches!(
        keys.revoke(None, key.id).await,
        Err(Error::KeyNotFound)
    ));
    drop(store);
    let store = fixture.open();
    assert_eq!(store.keys().verify(&token).unwrap_err(), Refused::Unknown);
}

#[tokio::test]
async fn a_key_with_the_id_of_another_is_refused() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (_, token) = store
        .keys()
        .create(new_key(None, &[Scope::Read]))
        .await
        .unwrap();
    let guessed = Token::new(token.id()).unwrap();
    assert_eq!(store.keys().verify(&guessed).unwrap_err(), Refused::Unknown);
}

#[tokio::test]
async fn a_key_expires_to_the_millisecond() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let mut new = new_key(None, &[Scope::Read]);
    new.expires_ms = Some(NOW_MS + 1000);
    let (_, token) = store.keys().create(new).await.unwrap();
    fixture.wait(999);
    assert!(store.keys().verify(&token).is_ok());
    fixture.wait(1);
    assert_eq!(store.keys().verify(&token).unwrap_err(), Refused::Expired);
}

#[tokio::test]
async fn the_last_use_is_kept_coarsely_and_survives_a_restart() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (key, token) = store
        .keys()
        .create(new_key(None, &[Scope::Read]))
        .await
        .unwrap();
    let used = |store: &Store| store.keys().get(None, key.id).unwrap().last_used_ms;
    assert_eq!(used(&store), None);
    store.keys().verify(&token).unwrap();
    fixture.wait(limits::KEY_USE_GRAIN_MS - 1);
    store.keys().verify(&token).unwrap();
    assert_eq!(used(&store), Some(NOW_MS));
    drop(store);
    let store = fixture.open();
    assert_eq!(used(&store), Some(NOW_MS));
    fixture.wait(1);
    store.keys().verify(&token).unwrap();
    assert_eq!(used(&store), Some(NOW_MS + limits::KEY_USE_GRAIN_MS));
}

#[tokio::test]
async fn keys_belong_to_a_tenant_and_go_with_it() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let keys = store.keys();
    let refused = keys.create(new_key(Some("a"), &[Scope::Read])).await;
    assert!(matches!(refused, Err(Error::TenantNotFound)));
    let (a, b): (TenantId, TenantId) = ("a".parse().unwrap(), "b".parse().unwrap());
    for tenant in [&a, &b] {
        let tenants = store.tenants();
        tenants
            .create(tenant.clone(), None, Quotas::default())
            .await
            .unwrap();
    }
    let (of_a, token) = keys
        .create(new_key(Some("a"), &[Scope::Read]))
        .await
        .unwrap();
    let (of_b, _) = keys
        .create(new_key(Some("b"), &[Scope::Read]))
        .await
        .unwrap();
    let (of_all, _) = keys.create(new_key(None, &[Scope::Read])).await.unwrap();
    let ids = |tenant| -> Vec<KeyId> {
        let listed = keys.list(tenant, None, 10);
        listed.iter().map(|info| info.key.id).collect()
    };
    assert_eq!(ids(Some(&a)), [of_a.id]);
    let mut all = vec![of_a.id, of_b.id, of_all.id];
    all.sort();
    assert_eq!(ids(None), all);
    assert!(keys.get(Some(&b), of_a.id).is_none());
    let refused = keys.revoke(Some(&b), of_a.id).await;
    assert!(matches!(refused, Err(Error::KeyNotFound)));

    store.tenants().delete(&a).await.unwrap();
    assert_eq!(keys.verify(&token).unwrap_err(), Refused::Unknown);
    assert_eq!(ids(Some(&a)), []);
    assert_eq!(ids(Some(&b)), [of_b.id]);
}

#[tokio::test]
async fn a_tenant_may_have_so_many_keys_and_no_more() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let tenant: TenantId = "a".parse().unwrap();
    let tenants = store.tenants();
    tenants
        .create(tenant, None, Quotas::default())
        .await
        .unwrap();
    let keys = store.keys();
    let all = (0..limits::KEYS_PER_TENANT_MAX).map(|_| {
        let keys = keys.clone();
        async move { keys.create(new_key(Some("a"), &[Scope::Read])).await }
    });
    for made in futures_util::future::join_all(all).await {
        made.unwrap();
    }
    let refused = keys.create(new_key(Some("a"), &[Scope::Read])).await;
    assert!(matches!(refused, Err(Error::TooManyKeys)));
    keys.create(new_key(None, &[Scope::Read])).await.unwrap();
}

#[test]
fn scopes_imply_what_is_less() {
    let all = [Scope::Admin, Scope::Deploy, Scope::Read, Scope::Invoke];
    for (scope, expected) in [
        (Scope::Admin, &all[..]),
        (Scope::Deploy, &[Scope::Deploy, Scope::Read, Scope::Invoke]),
        (Scope::Read, &[Scope::Read]),
        (Scope::Invoke, &[Scope::Invoke]),
    ] {
        let implied = all.into_iter().filter(|needed| scope.implies(*needed));
        assert_eq!(implied.collect::<Vec<_>>(), expected, "{scope:?}");
    }
}
