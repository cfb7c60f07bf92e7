//! The OpenAPI document, made from the handlers themselves.
//!
//! A handler says with `#[utoipa::path]` what it takes and answers; whatever `routes!` adds to the
//! router is in the document by that alone.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use serde::Serialize;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http as HttpScheme, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi as _, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::Http;

/// Where the control plane is.
const PREFIX: &str = "/api/v1";

/// What every operation of the control plane has in common.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Ampoule control plane",
        description = "Deploys, runs and looks after functions. Errors are problems (RFC 9457) \
                       with a stable `code`; `/errors/{code}` explains each."
    ),
    servers((url = PREFIX)),
    security(("key" = [])),
    components(schemas(ProblemBody)),
    modifiers(&Key)
)]
struct Document;

/// The one way to show a key.
struct Key;

impl Modify for Key {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = SecurityScheme::Http(HttpScheme::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", scheme);
    }
}

/// A problem (RFC 9457): the body of every answer that is not a success.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// Where the page on the code is: `/errors/{code}`.
    r#type: String,
    /// The fixed sentence that goes with the code.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: String,
    /// `/invocations/{id}`, if an invocation is concerned.
    instance: Option<String>,
    /// The stable code.
    code: String,
    /// Who has to act: `caller`, `function` or `platform`.
    origin: String,
    /// The same as `detail`.
    message: String,
    /// The invocation's id, if one is concerned.
    invocation: Option<String>,
}

/// A router whose document has what all operations share.
pub(super) fn router() -> OpenApiRouter<Arc<Http>> {
    OpenApiRouter::with_openapi(Document::openapi())
}

/// `GET /api/v1/openapi.json`: the document.
pub(super) fn route(document: &OpenApi) -> Router<Arc<Http>> {
    // A document of plain strings and maps always has a JSON text.
    let text = document.to_json().unwrap_or_default();
    let answer = move || {
        let text = text.clone();
        async move { ([(CONTENT_TYPE, "application/json")], text) }
    };
    Router::new().route("/openapi.json", get(answer))
}
