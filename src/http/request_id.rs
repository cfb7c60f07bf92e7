//! Every request to the control plane has an id, which its answer names.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::clock;
use crate::id::RequestId;

/// Names the request, on every answer of the control plane.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives a request its id, and its answer too.
pub(super) async fn name(mut request: Request, next: Next) -> Response {
    let id = RequestId::new(clock::now_ms());
    request.extensions_mut().insert(id);
    let mut response = next.run(request).await;
    let value = HeaderValue::try_from(id.to_string()).expect("an id is ASCII");
    response.headers_mut().insert(REQUEST_ID, value);
    response
}
