//! How a version is shown.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::limits::LimitOverrides;

fn deployment(evaluation: Evaluation) -> Deployment {
    Deployment {
        id: DeploymentId::new(0),
        tenant: "acme".parse().unwrap(),
        function: "shop".parse().unwrap(),
        version: 3,
        created_ms: 1,
        kind: Kind::Request,
        entry: "index.js".to_owned(),
        env: BTreeMap::from([("SECRET".to_owned(), "s3cret".to_owned())]),
        secrets: BTreeMap::new(),
        requires_key: false,
        limits: LimitOverrides {
            wall_ms: Some(5),
            ..LimitOverrides::default()
        },
        route: None,
        evaluation,
        files: 2,
        source_bytes: 20,
        snapshot_bytes: 30,
        digest: "sha256:00".to_owned(),
        files_digest: "sha256:11".to_owned(),
    }
}

#[test]
fn a_version_shows_everything_but_the_values_of_its_environment() {
    let reason = "Date.now() at index.js:1:17".to_owned();
    let deployment = deployment(Evaluation::PerRequest { reason });
    let version = serde_json::to_value(VersionBody::of(&deployment, true)).unwrap();
    assert!(!version.to_string().contains("s3cret"));
    assert_eq!(
        version,
        json!({
            "tenant": "acme", "function": "shop", "version": 3,
            "deployment": deployment.id.to_string(), "active": true, "created_ms": 1,
            "kind": "request",
            "digest": "sha256:00",
            "evaluation": "per_request", "evaluation_reason": "Date.now() at index.js:1:17",
            "entry": "index.js", "route": null, "files": 2, "source_bytes": 20,
            "snapshot_bytes": 30, "limits": deployment.limits_in_force(),
            "env": ["SECRET"], "secrets": [], "requires_key": false,
        })
    );
    assert_eq!(version["limits"]["wall_ms"], 5);
    assert_eq!(version["limits"]["subrequests"], 50);
}

#[test]
fn a_snapshot_has_no_reason() {
    let body = VersionBody::of(&deployment(Evaluation::Snapshot), false);
    let version = serde_json::to_value(body).unwrap();
    assert_eq!(version["evaluation"], "snapshot");
    assert_eq!(version["evaluation_reason"], Value::Null);
    assert_eq!(version["active"], false);
}
