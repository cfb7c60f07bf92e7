//! What is shown of the audit log.

use serde_json::json;

use super::super::fake::{self, Fake};

#[tokio::test]
async fn entries_are_a_table_and_more_is_announced() {
    let answer = json!({ "entries": [
        { "timestamp_ms": 1, "actor": "01K", "actor_name": "ci", "status": 403,
          "code": "forbidden", "action": "PUT /x/{y}", "target": "/x/z" },
        { "timestamp_ms": 1, "actor": "root", "action": "DELETE /x/{y}", "target": "/x/z" },
    ], "cursor": "7" });
    let server = Fake::start(move |_| fake::json(200, &answer)).await;
    let ran = server
        .run(&["audit", "--tenant", "acme", "--limit", "2", "--cursor", "9"])
        .await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    for shown in ["01K (ci)", "403 forbidden", "PUT /x/z", "root", "?"] {
        assert!(ran.out.contains(shown), "{shown} in {}", ran.out);
    }
    assert!(ran.err.contains("--cursor 7"), "{}", ran.err);
    assert_eq!(
        server.only().target,
        "/api/v1/tenants/acme/audit?limit=2&cursor=9"
    );
}
