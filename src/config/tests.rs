//! Configurations that can be served, and those that cannot.

use super::*;

fn raw(listen: &str, key: Option<&str>) -> RawConfig {
    RawConfig {
        listen: listen.parse().unwrap(),
        data: "/data".into(),
        cache: None,
        key: key.map(str::to_owned),
        trust_proxy: false,
        master_key: None,
        max_concurrent: 8,
        max_concurrent_per_tenant: 4,
        store_cache_mib: 4,
        api_listen: None,
        network_policy: Preset::AllowAll,
        workspaces: WorkspaceConfig::default(),
    }
}

#[test]
fn without_a_key_functions_may_be_served_to_all_if_the_control_plane_is_not() {
    let apart = |listen: &str, api: &str| {
        let mut raw = raw(listen, None);
        raw.api_listen = Some(api.parse().unwrap());
        Config::new(raw).err()
    };
    assert_eq!(apart("0.0.0.0:4000", "127.0.0.1:4001"), None);
    let open = "0.0.0.0:4001".parse().unwrap();
    let error = apart("127.0.0.1:4000", "0.0.0.0:4001");
    assert_eq!(error, Some(ConfigError::KeyMissing(open)));
}

#[test]
fn without_a_key_only_this_machine_can_be_served() {
    for loopback in [
        "127.0.0.1:0",
        "127.5.5.5:80",
        "[::1]:4000",
        "[::ffff:127.0.0.1]:1",
    ] {
        assert!(Config::new(raw(loopback, None)).is_ok(), "{loopback}");
    }
    for open in ["0.0.0.0:4000", "[::]:4000", "192.168.1.2:4000"] {
        for no_key in [None, Some("")] {
            let error = Config::new(raw(open, no_key)).err().unwrap();
            assert_eq!(error, ConfigError::KeyMissing(open.parse().unwrap()));
            let text = error.to_string();
            assert!(
                text.contains(open) && text.contains("AMPOULE_KEY"),
                "{text}"
            );
        }
        assert_eq!(
            Config::new(raw(open, Some("k"))).unwrap().key.as_deref(),
            Some("k")
        );
        assert!(Config::for_development(raw(open, None)).is_ok());
    }
}

#[test]
fn a_key_must_fit_into_a_header() {
    for bad in ["a b", "a\nb", "sch\u{fc}ssel", " "] {
        let error = Config::new(raw("127.0.0.1:0", Some(bad))).err();
        assert_eq!(error, Some(ConfigError::KeyInvalid), "{bad:?}");
    }
}

#[test]
fn compiled_code_is_kept_beside_the_data_unless_told_otherwise() {
    let mut written = raw("127.0.0.1:0", None);
    assert_eq!(
        Config::new(written.clone()).unwrap().cache,
        PathBuf::from("/data/cache")
    );
    written.cache = Some("/fast".into());
    assert_eq!(Config::new(written).unwrap().cache, PathBuf::from("/fast"));
}

#[test]
fn nothing_can_run_with_a_limit_of_none() {
    let mut written = raw("127.0.0.1:0", None);
    written.max_concurrent_per_tenant = 0;
    let error = Config::new(written).err().unwrap();
    assert_eq!(
        error.to_string(),
        "max-concurrent-per-tenant must be 1 or more"
    );
    let mut written = raw("127.0.0.1:0", None);
    written.store_cache_mib = 0;
    let error = Config::new(written).err().unwrap();
    assert_eq!(error.to_string(), "store-cache-mib must be 1 or more");
    let mut written = raw("127.0.0.1:0", None);
    written.store_cache_mib = 3;
    assert_eq!(Config::new(written).unwrap().store_cache_bytes, 3 << 20);
}

#[test]
fn the_collector_and_the_sampler_come_from_the_environment() {
    let of = |variables: &[(&str, &str)]| {
        TraceConfig::from_variables(|name| {
            let mut found = variables.iter().filter(|(set, _)| *set == name);
            found.next().map(|(_, value)| (*value).to_owned())
        })
    };
    assert_eq!(of(&[]), Ok(None));
    assert_eq!(of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(None));
    let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
    let config = of(&[base]).unwrap().unwrap();
    assert_eq!(config.endpoint, "http://collector:4318/v1/traces");
    assert_eq!(config.service, "ampoule");
    assert!(config.sampler.parent_based);
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other/x");
    let config = of(&[base, own, ("OTEL_SERVICE_NAME", "edge")]);
    let config = config.unwrap().unwrap();
    assert_eq!(
        (&*config.endpoint, &*config.service),
        ("http://other/x", "edge")
    );
    assert_eq!(of(&[base, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
    assert!(of(&[base, ("OTEL_TRACES_SAMPLER", "xray")]).is_err());
}
