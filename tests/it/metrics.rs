//! Metrics: what is counted, who may read it, and that labels are bounded.

use ampoule::config::Observe;
use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Options, Server};

async fn metrics(server: &Server) -> String {
    let answer = Answer::of(server.request(Method::GET, "/metrics")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    text
}

/// The value of a sample; 0 if there is none.
fn value(text: &str, sample: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn what_happens_is_counted() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        await kv.set('k', 1);
        await fetch('http://127.0.0.1:1/').catch(() => {});
        if (req.query.bad) throw new Error('x');
        console.log('hi');
        res.end();
    }";
    server.deploy("f", source).await;
    for target in ["f", "f", "f?bad=1", "none"] {
        Answer::of(server.invoke(target)).await;
    }
    server.app.store.logs().flush().await;
    let text = metrics(&server).await;
    for (sample, expected) in [
        (
            "ampoule_invocations_total{kind=\"request\",outcome=\"success\"}",
            2.0,
        ),
        (
            "ampoule_invocations_total{kind=\"request\",outcome=\"function_threw\"}",
            1.0,
        ),
        (
            "ampoule_invocation_duration_seconds_count{kind=\"request\"}",
            3.0,
        ),
        ("ampoule_refused_total{code=\"function_not_found\"}", 1.0),
        ("ampoule_kv_operations_total", 3.0),
        ("ampoule_images", 1.0),
        ("ampoule_sandboxes_in_use", 0.0),
        ("ampoule_cold_starts_total", 1.0),
        ("ampoule_log_dropped_total", 0.0),
        ("ampoule_log_waiting", 0.0),
    ] {
        let found = value(&text, sample);
        assert!((found - expected).abs() < 1e-9, "{sample}: {found}\n{text}");
    }
    let subrequests = text
        .lines()
        .filter(|line| line.starts_with("ampoule_subrequests_total{"));
    let subrequests: f64 = subrequests
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert!((subrequests - 3.0).abs() < 1e-9, "{text}");
    for sample in [
        "ampoule_fuel_total{kind=\"request\"}",
        "ampoule_store_commit_duration_seconds_count",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(value(&text, sample) > 0.0, "{sample}\n{text}");
    }
    assert!(!text.contains("tenant="), "tenants are not named unasked");
}

#[tokio::test]
async fn tenants_are_named_up_to_the_cap() {
    let observe = Observe {
        metrics_tenants: 1,
        ..Observe::default()
    };
    let server = Server::with(Options {
        observe,
        ..Options::default()
    })
    .await;
    let source = "module.exports = (req, res) => res.end()";
    for tenant in ["a", "b", "c"] {
        server.deploy_for(tenant, "f", source, json!({})).await;
        Answer::of(server.invoke_for(tenant, "f")).await;
    }
    let text = metrics(&server).await;
    let of = |tenant: &str| {
        let name = "ampoule_tenant_invocations_total";
        value(
            &text,
            &format!("{name}{{tenant=\"{tenant}\",ending=\"success\"}}"),
        )
    };
    assert!((of("a") - 1.0).abs() < 1e-9, "{text}");
    assert!((of("other") - 2.0).abs() < 1e-9, "{text}");
    assert!(!text.contains("tenant=\"b\""), "{text}");
}

#[tokio::test]
async fn metrics_are_guarded_like_the_control_plane() {
    let server = Server::with(Options {
        key: Some("the-key".to_owned()),
        ..Options::default()
    })
    .await;
    let request = || server.request(Method::GET, "/metrics");
    Answer::of(request())
        .await
        .expect_problem(401, "unauthorized");
    Answer::of(request().bearer_auth("wrong"))
        .await
        .expect_problem(401, "unauthorized");
    let shown = Answer::of(request().bearer_auth("the-key")).await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    let open = Server::start().await;
    let foreign = open
        .request(Method::GET, "/metrics")
        .header("host", "evil.example");
    Answer::of(foreign)
        .await
        .expect_problem(403, "foreign_origin");
}
