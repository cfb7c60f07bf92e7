//! Invoking: fresh state for every request, and every way to write a function.

use crate::server::{Answer, Server};
use futures_util::StreamExt;
use serde_json::json;

const WAYS: [(&str, &str, &str); 5] = [
    (
        "commonjs",
        "index.js",
        "let counter = 0;
         module.exports = (req, res) => { counter++; res.json({ count: counter }); };",
    ),
    (
        "async",
        "index.js",
        "let counter = 0;
         module.exports = async function (req, res) {
             await null; counter++; res.json({ count: counter });
         };",
    ),
    (
        "module",
        "index.mjs",
        "let counter = 0;
         export default (req, res) => { counter++; res.json({ count: counter }); };",
    ),
    (
        "fetch",
        "index.mjs",
        "let counter = 0;
         export default { async fetch(request) {
             counter++; return Response.json({ count: counter });
         } };",
    ),
    (
        "per_request",
        "index.js",
        "let counter = 0; const born = Date.now();
         module.exports = (req, res) => { counter++; res.json({ count: counter }); };",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn module_state_is_fresh_for_a_thousand_invocations_fifty_at_a_time() {
    let server = Server::start().await;
    for (name, filename, source) in WAYS {
        let request = server.deploy_request("default", name, filename, source, &json!({}));
        let deployed = Answer::of(request).await;
        assert_eq!(deployed.status, 201, "{name}: {}", deployed.text());
        let answers = futures_util::stream::iter(0..1000)
            .map(|_| Answer::of(server.invoke(name)))
            .buffer_unordered(50)
            .collect::<Vec<_>>()
            .await;
        for answer in answers {
            answer.expect(200, r#"{"count":1}"#);
        }
    }
}
