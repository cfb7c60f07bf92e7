//! What is counted, and that no set of labels grows without end.

use super::*;

fn ended(tenant: &str) -> Ended<'_> {
    Ended {
        tenant,
        kind: "request",
        ending: "error",
        code: Some("wall_exceeded"),
        seconds: 0.003,
        fuel: 70,
        kv_operations: 2,
    }
}

fn metrics(tenants_max: usize) -> Metrics {
    Metrics::new(&Durations::of_commits(), tenants_max)
}

#[test]
fn invocations_are_counted_with_what_they_used() {
    let metrics = metrics(0);
    metrics.ended(&ended("t"), [("answered", 2), ("dns", 1)].into_iter());
    metrics.ended(&ended("t"), std::iter::empty());
    metrics.refused("tenant_busy");
    metrics.cold_start();
    let text = metrics.text(&Now {
        images: 3,
        lines_dropped: 9,
        ..Now::default()
    });
    for line in [
        "ampoule_invocations_total{kind=\"request\",outcome=\"wall_exceeded\"} 2",
        "ampoule_invocation_duration_seconds_bucket{le=\"0.0025\",kind=\"request\"} 0",
        "ampoule_invocation_duration_seconds_bucket{le=\"0.005\",kind=\"request\"} 2",
        "ampoule_fuel_total{kind=\"request\"} 140",
        "ampoule_kv_operations_total 4",
        "ampoule_subrequests_total{outcome=\"answered\"} 2",
        "ampoule_subrequests_total{outcome=\"dns\"} 1",
        "ampoule_refused_total{code=\"tenant_busy\"} 1",
        "ampoule_cold_starts_total 1",
        "ampoule_images 3",
        "ampoule_log_dropped_total 9",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(!text.contains("tenant="), "tenants are not named unasked");
}

#[test]
fn tenants_beyond_the_first_are_other() {
    let metrics = metrics(2);
    for number in 0..100 {
        let tenant = format!("t{number}");
        metrics.ended(&ended(&tenant), std::iter::empty());
    }
    metrics.ended(&ended("t1"), std::iter::empty());
    let text = metrics.text(&Now::default());
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("ampoule_tenant_invocations_total"))
        .collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let other = "ampoule_tenant_invocations_total{tenant=\"other\",ending=\"error\"} 98";
    assert!(lines.contains(&other), "{lines:?}");
    let second = "ampoule_tenant_invocations_total{tenant=\"t1\",ending=\"error\"} 2";
    assert!(lines.contains(&second), "{lines:?}");
}

#[test]
fn the_kernel_is_understood() {
    let stat = "1 (a) b)) S 0 1 1 0 -1 4194560 9 9 9 9 250 50 0 0 20 0 9 0 9 9 9";
    assert!((cpu_seconds(stat) - 3.0).abs() < 1e-9);
    assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t  12 kB\n"), 12 * 1024);
    assert_eq!(resident_bytes("nonsense"), 0);
    let process = Process::read();
    assert!(process.resident_bytes > 0 && process.open_files > 0);
}
