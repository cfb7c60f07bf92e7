//! HTTP: the whole route table, and what its handlers share.
//!
//! The data plane (`/invoke/…`) is open, but for functions that require a key. The control plane
//! (`/api/v1/…`) is guarded by [`auth`]. Everything that is not a function's own answer and not
//! a success is a problem, see [`problem`].

mod audit;
mod auth;
mod bindings;
mod body;
mod deploy;
mod env;
mod etag;
mod events;
mod fields;
mod functions;
mod invocations;
mod invoke;
mod invoke_key;
mod json;
mod keys;
mod logs;
mod metrics;
mod openapi;
mod ops;
mod path;
mod policies;
mod problem;
mod query;
mod request_id;
mod retention;
mod schedules;
mod tail;
mod tenants;
mod versions;
mod workspaces;

use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::auth::Access;
use self::problem::Problem;
use self::tail::Tails;
use crate::app::App;
use crate::error::{Code, Error};
use crate::limits;

/// Where the control plane is.
const CONTROL: &str = "/api/v1";
/// Where workspaces are.
const WORKSPACES: &str = "/v2";

/// What the operator decides about the HTTP side of a server.
#[derive(Clone)]
pub struct HttpSettings {
    /// The key to the control plane. Without one it answers this machine only.
    pub key: Option<String>,
    /// Take the client's address from the last `x-forwarded-for`, which a proxy in front set.
    pub trust_proxy: bool,
    /// How long the invocations in progress may go on after the server was told to stop.
    pub drain: Duration,
}

impl Default for HttpSettings {
    /// No key, no proxy, and half a minute to finish what is in progress.
    fn default() -> Self {
        Self {
            key: None,
            trust_proxy: false,
            drain: Duration::from_secs(30),
        }
    }
}

/// The other end of the connection that a request came on; an extension of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The state of all handlers.
pub(crate) struct Http {
    app: Arc<App>,
    access: Access,
    trust_proxy: bool,
    /// Owns what goes on behind an answer.
    tasks: TaskTracker,
    /// Places for searches of the log.
    scans: Arc<Semaphore>,
    tails: Tails,
    /// Cancelled when the server begins to stop: whoever only waits, stops waiting.
    closing: CancellationToken,
}

impl Http {
    /// The state for a server that listens on `address`.
    pub(crate) fn new(
        app: Arc<App>,
        settings: &HttpSettings,
        address: SocketAddr,
        tasks: TaskTracker,
        closing: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            app,
            access: Access::new(settings.key.as_deref(), address.ip()),
            trust_proxy: settings.trust_proxy,
            tasks,
            scans: Arc::new(Semaphore::new(limits::SCANS_MAX)),
            tails: Tails::default(),
            closing,
        })
    }

    /// Runs what may take longer than microseconds away from the threads that serve.
    ///
    /// # Errors
    /// `internal`, when `work` panics.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let done = self.tasks.spawn_blocking(work).await;
        done.map_err(|error| Problem::from(Error::internal(error)))
    }
}

/// What one address answers.
pub(crate) struct Paths {
    /// Where functions are: asked before the router, whose way to a handler costs a request more
    /// than all that is done for it besides running its function.
    functions: Option<Arc<Http>>,
    others: Router,
}

impl Paths {
    /// Every path that a server with one address answers.
    pub(crate) fn all(http: Arc<Http>) -> Self {
        let others = control_planes(common(operator(&http)), &http);
        Self {
            functions: Some(Arc::clone(&http)),
            others: others.with_state(http),
        }
    }

    /// Functions alone, where the control plane has an address of its own.
    pub(crate) fn functions(http: Arc<Http>) -> Self {
        Self {
            functions: Some(Arc::clone(&http)),
            others: common(Router::new()).with_state(http),
        }
    }

    /// The control plane alone.
    pub(crate) fn api(http: Arc<Http>) -> Self {
        let others = control_planes(common(operator(&http)), &http);
        Self::from(others.with_state(http))
    }

    /// Answers one request that came from `peer`.
    ///
    /// # Cancel safety
    /// Dropping it ends what was asked for.
    pub(crate) async fn answer(&self, peer: IpAddr, mut request: Request) -> Response {
        if let Some(http) = &self.functions
            && invoke::is_meant(request.uri())
        {
            return invoke::invoke(http, peer, request).await;
        }
        request.extensions_mut().insert(Peer(peer));
        let answered = self.others.clone().call(request).await;
        answered.unwrap_or_else(|never| match never {})
    }
}

impl From<Router> for Paths {
    /// No functions.
    fn from(others: Router) -> Self {
        Self {
            functions: None,
            others,
        }
    }
}

/// Adds what every address answers.
fn common(router: Router<Arc<Http>>) -> Router<Arc<Http>> {
    router
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/errors/{code}", get(ops::error_page))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
}

/// Adds what is for whoever manages functions.
fn control_planes(router: Router<Arc<Http>>, http: &Arc<Http>) -> Router<Arc<Http>> {
    router
        .nest(CONTROL, control_plane(http))
        .nest(WORKSPACES, workspaces(http))
}

/// What is outside of the control plane's paths and guarded like it.
fn operator(http: &Arc<Http>) -> Router<Arc<Http>> {
    Router::new()
        .route("/metrics", get(metrics::metrics))
        .route_layer(from_fn_with_state(Arc::clone(http), auth::guard))
        .route_layer(from_fn(uncached))
}

fn control_plane(http: &Arc<Http>) -> Router<Arc<Http>> {
    let (router, mut document) = routes().split_for_parts();
    let (_router, workspaces) = workspace_routes().split_for_parts();
    openapi::add(&mut document, workspaces, WORKSPACES);
    if http.access.needs_no_key() {
        openapi::need_no_key(&mut document);
    }
    router
        .merge(openapi::route(document))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(from_fn_with_state(Arc::clone(http), auth::guard))
        .layer(from_fn(uncached))
        .layer(from_fn(request_id::name))
}

/// The surface of workspaces, with a prefix, bodies and errors of its own.
fn workspaces(http: &Arc<Http>) -> Router<Arc<Http>> {
    let (router, _document) = workspace_routes().split_for_parts();
    router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(from_fn_with_state(Arc::clone(http), auth::guard))
        .layer(from_fn(uncached))
        .layer(from_fn(workspaces::told))
        .layer(from_fn(request_id::name))
}

fn workspace_routes() -> OpenApiRouter<Arc<Http>> {
    OpenApiRouter::new()
        .routes(routes!(
            workspaces::create,
            workspaces::replace,
            workspaces::merge,
            workspaces::show,
            workspaces::delete
        ))
        .routes(routes!(
            workspaces::packages,
            workspaces::replace_packages,
            workspaces::delete_packages
        ))
        .routes(routes!(workspaces::run))
}

/// The routes of the control plane. Those that `routes!` adds are in the OpenAPI document.
fn routes() -> OpenApiRouter<Arc<Http>> {
    openapi::router()
        .routes(routes!(ops::status))
        .routes(routes!(tenants::create, tenants::list))
        .routes(routes!(tenants::show, tenants::change, tenants::delete))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::show, keys::revoke))
        .routes(routes!(keys::create_of_tenant, keys::list_of_tenant))
        .routes(routes!(keys::show_of_tenant, keys::revoke_of_tenant))
        .routes(routes!(audit::list))
        .routes(routes!(audit::list_of_tenant))
        .routes(routes!(functions::list))
        .routes(routes!(
            functions::show,
            deploy::deploy,
            functions::change,
            functions::delete
        ))
        .routes(routes!(functions::roll_back))
        .routes(routes!(functions::split, functions::end_split))
        .routes(routes!(env::list, env::replace, env::change))
        .routes(routes!(env::remove))
        .routes(routes!(versions::list))
        .routes(routes!(versions::show, versions::delete))
        .routes(routes!(versions::activate))
        .routes(routes!(versions::files))
        .routes(routes!(invoke::test))
        .route(
            "/tenants/{tenant}/functions/{function}/versions/{version}/test",
            any(invoke::test),
        )
        .route(
            "/tenants/{tenant}/functions/{function}/versions/{version}/test/",
            any(invoke::test),
        )
        .routes(routes!(logs::logs))
        .routes(routes!(events::call))
        .routes(routes!(events::test))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::show, schedules::put, schedules::delete))
        .routes(routes!(schedules::runs))
        .routes(routes!(schedules::run_now))
        .routes(routes!(schedules::preview))
        .routes(routes!(
            policies::show_global,
            policies::put_global,
            policies::delete_global
        ))
        .routes(routes!(policies::test_global))
        .routes(routes!(
            policies::show_tenant,
            policies::put_tenant,
            policies::delete_tenant
        ))
        .routes(routes!(policies::test_tenant))
        .routes(routes!(invocations::of_tenant))
        .routes(routes!(invocations::of_function))
        .routes(routes!(invocations::show_of_tenant))
        .routes(routes!(invocations::show))
        .routes(routes!(retention::show, retention::put))
        .routes(routes!(tail::stream))
        .routes(routes!(bindings::list))
        .routes(routes!(bindings::show, bindings::put, bindings::delete))
}

/// What the control plane answers is for the one who asked, and is what it says it is.
async fn uncached(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    // A version that is tested says itself how long its answer may be kept.
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn not_found(uri: Uri) -> Problem {
    Problem::new(
        Code::NotFound,
        format!("there is nothing at {}", uri.path()),
    )
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not answer {method}", uri.path());
    Problem::new(Code::MethodNotAllowed, detail)
}

/// The answer in place of the one that a panicking handler did not give.
pub(crate) fn answer_to_panic(panic: &(dyn Any + Send)) -> Response {
    Problem::from(panic_error(panic)).into_response()
}

/// A panic as an error; its message is for the log.
fn panic_error(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    Error::internal(format!("panicked: {}", text.unwrap_or("no message")))
}

#[cfg(test)]
mod tests;
