//! What problems say, and what they never do.

use axum::body::to_bytes;

use super::*;
use crate::clock;

async fn body_of(response: Response) -> Value {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn a_problem_has_every_member_that_the_api_names() {
    let response = Problem::new(Code::NotFound, "there is nothing at /x").into_response();
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    assert_eq!(
        body_of(response).await,
        json!({
            "type": "/errors/not_found", "title": "There is nothing at this path", "status": 404,
            "detail": "there is nothing at /x", "code": "not_found", "origin": "caller",
            "message": "there is nothing at /x",
        })
    );
}

#[tokio::test]
async fn the_problem_of_an_invocation_names_it() {
    let id = InvocationId::new(clock::now_ms());
    let error = Error::new(Code::FunctionThrew, "Error: no");
    let response = Problem::of_invocation(error, id, None).into_response();
    assert_eq!(response.status(), 500);
    let body = body_of(response).await;
    assert_eq!(body["instance"], format!("/invocations/{id}"));
    assert_eq!(body["invocation"], id.to_string());
    assert_eq!(body["origin"], "function");
}

#[tokio::test]
async fn the_source_of_an_error_stays_inside() {
    let secret = std::io::Error::other("/var/lib/secret is gone");
    for error in [
        Problem::from(Error::internal(secret)),
        Problem::from(store::Error::Foreign {
            path: "/var/lib/secret".into(),
        }),
    ] {
        assert!(error.causes().unwrap().contains("secret"));
        let response = error.into_response();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("secret"));
    }
}

#[test]
fn what_the_store_says_about_the_request_is_passed_on() {
    let problem = Problem::from(store::Error::VersionActive { version: 3 });
    assert_eq!(problem.error.code, Code::VersionActive);
    assert_eq!(
        problem.error.detail,
        "version 3 is active: activate another one first"
    );
}

#[test]
fn refusals_for_want_of_room_say_when_to_come_back() {
    for &code in Code::ALL {
        let response = Problem::new(code, "").into_response();
        let is_for_now = matches!(response.status().as_u16(), 429 | 503);
        assert_eq!(
            response.headers().contains_key(RETRY_AFTER),
            is_for_now,
            "{code}"
        );
    }
}

#[test]
fn statuses_fit_the_origin_of_their_code() {
    for &code in Code::ALL {
        let status = status_of(code);
        match code.origin() {
            // Another language is the caller's to choose, and 501 what HTTP has for it.
            Origin::Caller if code == Code::LanguageUnsupported => assert_eq!(status, 501),
            Origin::Caller => assert!(status.is_client_error(), "{code}"),
            Origin::Function | Origin::Platform => assert!(status.is_server_error(), "{code}"),
        }
    }
}
