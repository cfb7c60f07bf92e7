//! What may be dialled.

use super::*;

#[tokio::test]
async fn the_service_itself_cannot_be_reached() {
    let own = Upstream::serve(Router::new().fallback(echo)).await;
    let other = Upstream::serve(redirecting()).await;
    let port = own.address.port();
    let fetcher = Fetcher::of(Client::new(config(&[own.address])).unwrap());
    let hosts = [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "[::ffff:0:0]",
        "127.0.0.1.",
    ];
    for host in hosts {
        let url = format!("http://{host}:{port}/");
        let error = fetcher.get(&url).await.unwrap_err();
        // What `localhost` has besides, `[::1]`, is not the service and does not listen.
        let refused = matches!(&error, Error::Denied { denied, .. }
            if denied.reason == "it is the address of this service itself");
        let elsewhere = matches!(error, Error::Connect { .. });
        assert!(
            refused || host.to_lowercase().starts_with("localhost") && elsewhere,
            "{host}: {error}"
        );
        let redirect = other.url(&format!("/status/307/x?to={url}"));
        assert!(fetcher.get(&redirect).await.is_err(), "{host}");
        let secure = format!("https://{host}:{port}/");
        assert!(fetcher.get(&secure).await.is_err(), "{host}");
    }
    assert_eq!(fetcher.get(&other.url("/")).await.unwrap().status, 200);
    // Another loopback address is not where the service listens.
    let error = fetcher
        .get(&format!("http://127.0.0.2:{port}/"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Connect {
                reason: "the connection was refused",
                ..
            }
        ),
        "{error}"
    );
    // A client without the rule reaches it in all these ways, so it is the rule that refused.
    let free = Fetcher::new();
    for host in hosts {
        let url = format!("http://{host}:{port}/");
        match free.get(&url).await {
            Ok(answer) => assert_eq!(answer.status, 200, "{host}"),
            // On a machine without IPv6.
            Err(error) => assert!(host.starts_with('['), "{host}: {error}"),
        }
    }
}

#[test]
fn the_policy_knows_every_way_to_write_an_address_of_this_machine() {
    let allows = |listening: &str, address: &str| {
        let policy = OwnAddresses::new(vec![listening.parse().unwrap()]);
        !policy.is_own(address.parse().unwrap())
    };
    for denied in [
        "0.0.0.0:80",
        "127.0.0.1:80",
        "127.9.9.9:80",
        "[::]:80",
        "[::1]:80",
        "[::ffff:127.0.0.5]:80",
    ] {
        assert!(!allows("0.0.0.0:80", denied), "{denied}");
        assert!(!allows("[::]:80", denied), "{denied}");
    }
    // 192.0.2.0/24 is for documentation: no machine has it.
    for allowed in ["192.0.2.1:80", "127.0.0.1:81", "[::1]:443"] {
        assert!(allows("0.0.0.0:80", allowed), "{allowed}");
    }
    assert!(!allows("127.0.0.1:80", "[::ffff:127.0.0.1]:80"));
    assert!(!allows("[::ffff:127.0.0.1]:80", "127.0.0.1:80"));
    assert!(!allows("[::1]:80", "[::]:80"));
    assert!(allows("[::1]:80", "127.0.0.1:80"));
    assert!(allows("127.0.0.1:80", "[::1]:80"));
    assert!(allows("127.0.0.1:80", "127.0.0.2:80"));
    assert!(!allows("192.0.2.7:80", "192.0.2.7:80"));
}

#[tokio::test]
async fn the_decision_is_about_each_address_that_is_dialled() {
    struct Recorder(Mutex<Vec<(String, String, IpAddr)>>);
    impl Policy for Recorder {
        fn allows(&self, _: &TenantId, asked: &Connection<'_>) -> Result<(), Denied> {
            let mut seen = self.0.lock().unwrap();
            let scheme = asked.protocol.as_str();
            seen.push((scheme.into(), asked.host.into(), asked.address.ip()));
            Err(Denied {
                reason: "no".into(),
            })
        }

        fn revision(&self, _: &TenantId) -> u64 {
            0
        }
    }
    let recorder = Arc::new(Recorder(Mutex::default()));
    let policy = Arc::clone(&recorder);
    let client = Client::build(config_with(policy), RootCertStore::empty()).unwrap();
    let fetcher = Fetcher::of(client);
    for url in [
        "http://localhost:9/",
        "https://[::1]:9/",
        "http://[::ffff:1.2.3.4]/",
    ] {
        assert!(
            matches!(fetcher.get(url).await, Err(Error::Denied { .. })),
            "{url}"
        );
    }
    let seen = recorder.0.lock().unwrap();
    let expected = (
        "http".to_owned(),
        "localhost".to_owned(),
        IpAddr::from(Ipv4Addr::LOCALHOST),
    );
    assert!(seen.contains(&expected), "{seen:?}");
    let expected = (
        "https".to_owned(),
        "::1".to_owned(),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    );
    assert!(seen.contains(&expected), "{seen:?}");
}
