//! A control plane with an address of its own.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Options, Server};

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_may_have_an_address_of_its_own() {
    let server = Server::with(Options {
        api_apart: true,
        ..Options::default()
    })
    .await;
    let api = server.api.unwrap();
    let at_api =
        |method: Method, path: &str| server.client.request(method, format!("http://{api}{path}"));
    let source = "module.exports = async (req, res) => {
        const told = await fetch(process.env.URL).then(() => 'reached', (error) => error.cause.code);
        res.send(told);
    };";
    let settings = json!({ "env": { "URL": format!("http://{api}/healthz") } });
    let deploy = at_api(Method::PUT, "/api/v1/tenants/default/functions/f")
        .header("content-type", "application/javascript")
        .header("x-ampoule-settings", settings.to_string())
        .body(source);
    assert_eq!(Answer::of(deploy).await.status, 201);
    // Neither address is one that functions reach.
    Answer::of(server.invoke("f")).await.expect(200, "denied");
    for path in ["/healthz", "/readyz"] {
        Answer::of(server.request(Method::GET, path))
            .await
            .expect(200, "ok");
        Answer::of(at_api(Method::GET, path))
            .await
            .expect(200, "ok");
    }
    for path in [
        "/api/v1/status",
        "/api/v1/openapi.json",
        "/api/v1/network-policy",
    ] {
        assert_eq!(
            Answer::of(at_api(Method::GET, path)).await.status,
            200,
            "{path}"
        );
        let answer = Answer::of(server.request(Method::GET, path)).await;
        answer.expect_problem(404, "not_found");
    }
    let answer = Answer::of(at_api(Method::GET, "/errors/not_found")).await;
    assert_eq!(answer.status, 200);
    let answer = at_api(Method::GET, "/invoke/f").send().await.unwrap();
    assert_eq!(answer.status(), 404);
    let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(problem["code"], "not_found");
}
