//! Subrequests: the HTTP client that carries out what a function's `fetch` asks for, and its
//! WebSockets.
//!
//! Redirects are followed here, as the Fetch standard says, and not by a library, because every
//! hop is decided on anew. The decision is made in `connect`, on the address that is then
//! dialled. Proxies named in the environment are never used. Each tenant has connections of its
//! own, so no tenant waits for, or learns from, another's. Nothing here counts or limits what
//! one invocation may ask for; `host/fetch` does.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use http::header::LOCATION;
use http::{Response as HttpResponse, StatusCode, Version};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::TokioTimer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::task::TaskTracker;

use crate::config::Resolver;
use crate::id::TenantId;
use crate::limits;

mod body;
mod connect;
mod error;
mod policy;
mod request;
mod websocket;

pub use body::Body;
pub use connect::Target;
pub use error::{Denied, Error};
pub use policy::{OwnAddresses, Policy};
pub use request::{Interrupted, Redirect, Request, RequestBody};
pub use websocket::{Closing, Message, WebSocket, WebSocketRequest};

use body::Upload;
use connect::{Connector, Dialer};
use request::Hop;

/// Most redirects that one subrequest follows (Fetch standard, "HTTP-redirect fetch").
pub const REDIRECTS_MAX: u32 = 20;
/// Tenants whose idle connections are kept; beyond, those of the longest unused tenant close.
const POOLS_MAX: usize = 1024;
/// How long an unused connection is kept: below what servers usually do, so that a request
/// rarely meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(4);
/// Idle connections that one tenant keeps to one host.
const IDLE_PER_HOST_MAX: usize = 16;
/// Most header fields in an answer.
const FIELDS_MAX: usize = 512;
/// Bytes of one HTTP/2 stream that may wait for a function that does not read.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;

type Pool = legacy::Client<Connector, Upload>;

/// What the client is built from.
#[derive(Clone)]
pub struct OutboundConfig {
    /// What may be reached.
    pub policy: Arc<dyn Policy>,
    /// Asked for names in place of the system's resolver, if there is one.
    pub resolver: Option<Resolver>,
    /// The `user-agent` of subrequests that name none; visible ASCII.
    pub user_agent: String,
    /// How long a connection may take, from the name's resolution to the end of the TLS
    /// handshake, waiting for a free place included.
    pub connect_timeout: Duration,
}

/// What an invocation may reach over HTTP and WebSocket, and the connections it does so with.
///
/// A pool is never shared between grants of two tenants: each has a policy of its own, by which the
/// pool's connections were decided on. Cheap to clone: every invocation has one, and few use it.
#[derive(Clone)]
pub struct NetworkGrant {
    shared: Arc<Granted>,
}

struct Granted {
    tenant: TenantId,
    /// The number of its last use, see [`Client::uses`].
    used: AtomicU64,
    /// With the revision of the policy under which its connections were made: after an edit the
    /// host's other addresses are to be tried, and not a connection that is not allowed any more.
    /// None before the first request.
    pool: Mutex<Option<(u64, Pool)>>,
    /// For connections that are not pooled; of the tenant's places, as the pool's are.
    connector: Connector,
}

/// An answer whose header section has arrived.
#[derive(Debug)]
pub struct Response {
    /// 200 to 999; above 599 only from servers that make up their own.
    pub status: u16,
    /// The reason phrase; empty over HTTP/2, which has none.
    pub status_text: String,
    /// Names in lower case, values decoded as Latin-1, in the order of arrival per name.
    /// `content-encoding` and `content-length` are left out when the body was decompressed.
    pub headers: Vec<(String, String)>,
    /// Where the answer came from in the end, without a fragment.
    pub url: String,
    /// Whether that is after at least one redirect.
    pub redirected: bool,
    /// The body; dropping it closes the connection, or the HTTP/2 stream.
    pub body: Body,
}

/// The HTTP client. One per server; cheap to share by reference.
pub struct Client {
    user_agent: String,
    dialer: Arc<Dialer>,
    grants: RwLock<HashMap<TenantId, NetworkGrant>>,
    /// Counts up at each use of a grant; the lowest is the longest unused.
    uses: AtomicU64,
    /// Owns the connections' tasks; each ends with its connection.
    tasks: TaskTracker,
}

impl Client {
    /// A client that trusts the usual public certificate authorities.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] when the user agent cannot be a header.
    pub fn new(config: OutboundConfig) -> Result<Self, Error> {
        let roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        Self::build(config, roots)
    }

    fn build(config: OutboundConfig, roots: RootCertStore) -> Result<Self, Error> {
        if http::HeaderValue::from_str(&config.user_agent).is_err() {
            return Err(Error::InvalidRequest("the user agent cannot be a header"));
        }
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tasks = TaskTracker::new();
        let dialer = Dialer::new(
            config.policy,
            tls,
            config.connect_timeout,
            config.resolver,
            tasks.clone(),
        );
        Ok(Self {
            user_agent: config.user_agent,
            dialer: Arc::new(dialer),
            grants: RwLock::default(),
            uses: AtomicU64::new(0),
            tasks,
        })
    }

    /// The grant for a tenant's invocations. Grants of one tenant share its connections.
    pub fn grant(&self, tenant: &TenantId) -> NetworkGrant {
        let now = self.uses.fetch_add(1, Ordering::Relaxed);
        {
            let grants = self.grants.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(grant) = grants.get(tenant) {
                grant.shared.used.store(now, Ordering::Relaxed);
                return grant.clone();
            }
        }
        let mut grants = self.grants.write().unwrap_or_else(PoisonError::into_inner);
        if grants.len() >= POOLS_MAX && !grants.contains_key(tenant) {
            let used = |grant: &NetworkGrant| grant.shared.used.load(Ordering::Relaxed);
            let oldest = grants.iter().min_by_key(|(_, grant)| used(grant));
            if let Some(oldest) = oldest.map(|(tenant, _)| tenant.clone()) {
                grants.remove(&oldest);
            }
        }
        let grant = grants.entry(tenant.clone()).or_insert_with(|| {
            let connector = Connector::new(Arc::clone(&self.dialer), tenant.clone());
            let granted = Granted {
                tenant: tenant.clone(),
                used: AtomicU64::new(now),
                pool: Mutex::default(),
                connector,
            };
            NetworkGrant {
                shared: Arc::new(granted),
            }
        });
        grant.clone()
    }

    /// The grant's pool, a new one if the tenant's policy has changed.
    fn pool_of(&self, grant: &NetworkGrant) -> Pool {
        let grant = &*grant.shared;
        let revision = self.dialer.revision(&grant.tenant);
        let mut kept = grant.pool.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((of, pool)) if *of == revision => pool.clone(),
            _ => {
                let pool = self.pool(grant.connector.clone());
                *kept = Some((revision, pool.clone()));
                pool
            }
        }
    }

    /// Every address that a connection of a tenant's to `target` would choose from.
    ///
    /// # Errors
    /// [`Error::Dns`], [`Error::Timeout`].
    pub async fn look_up(
        &self,
        tenant: &TenantId,
        target: &Target,
    ) -> Result<Vec<SocketAddr>, Error> {
        self.grant(tenant).shared.connector.look_up(target).await
    }

    fn pool(&self, connector: Connector) -> Pool {
        legacy::Client::builder(connect::Executor(self.tasks.clone()))
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .http1_max_buf_size(2 * limits::FIELDS_BYTES_MAX)
            .http1_max_headers(FIELDS_MAX)
            .http2_max_header_list_size(
                u32::try_from(limits::FIELDS_BYTES_MAX).expect("the bound is far below 4 GiB"),
            )
            .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
            .build(connector)
    }

    /// Sends a subrequest and waits for the header section of its final answer.
    ///
    /// Waits as long as the server takes once it is connected: the caller has the deadline.
    ///
    /// # Errors
    /// See [`Error`].
    /// # Cancel safety
    /// Dropping the future, or the body of what it answered, closes the connection (over HTTP/2
    /// the stream); what had been sent by then stays sent.
    ///
    /// Source: Fetch standard, sections "HTTP fetch" and "HTTP-redirect fetch".
    pub async fn send(&self, grant: &NetworkGrant, request: Request) -> Result<Response, Error> {
        let mode = request.redirect;
        let decompress = request.decompress;
        let mut hop = Hop::first(request, &self.user_agent)?;
        let mut redirects = 0;
        loop {
            let answer = self.pool_of(grant).request(hop.message()?).await;
            let answer = answer.map_err(|error| error::from_client(&error))?;
            let redirects_now = is_redirect(answer.status());
            if redirects_now && mode == Redirect::Error {
                return Err(Error::RedirectRefused(
                    "the server answered with a redirect",
                ));
            }
            let location = answer.headers().get(LOCATION);
            match location {
                Some(location) if redirects_now && mode == Redirect::Follow => {
                    if redirects == REDIRECTS_MAX {
                        return Err(Error::TooManyRedirects);
                    }
                    redirects += 1;
                    hop.redirect(answer.status(), location.as_bytes())?;
                }
                _ => return finish(answer, &hop, redirects > 0, decompress),
            }
        }
    }
}

impl std::fmt::Debug for NetworkGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkGrant").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn finish(
    answer: HttpResponse<Incoming>,
    hop: &Hop,
    redirected: bool,
    decompress: bool,
) -> Result<Response, Error> {
    let (head, incoming) = answer.into_parts();
    if head.status.is_informational() {
        return Err(Error::Protocol("it changes to another protocol"));
    }
    let size: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if size > limits::FIELDS_BYTES_MAX {
        return Err(Error::Protocol(
            "the header section of the answer is too large",
        ));
    }
    let status_text = match head.extensions.get::<hyper::ext::ReasonPhrase>() {
        Some(reason) => latin_1(reason.as_bytes()),
        None if head.version == Version::HTTP_2 => String::new(),
        None => head
            .status
            .canonical_reason()
            .unwrap_or_default()
            .to_owned(),
    };
    // Such an answer has no body, so what would be decoded is not there.
    let without_body = hop.is_head() || matches!(head.status.as_u16(), 204 | 205 | 304);
    let codings = if decompress && !without_body {
        body::codings(&head.headers)?
    } else {
        Vec::new()
    };
    let decoded = !codings.is_empty();
    let dropped = |name: &str| decoded && matches!(name, "content-encoding" | "content-length");
    let headers = head
        .headers
        .iter()
        .filter(|(name, _)| !dropped(name.as_str()))
        .map(|(name, value)| (name.as_str().to_owned(), latin_1(value.as_bytes())))
        .collect();
    Ok(Response {
        status: head.status.as_u16(),
        status_text,
        headers,
        url: hop.url(),
        redirected,
        body: Body::new(incoming, codings),
    })
}

/// Each byte as the character of that number, as header values are read by the Fetch standard.
fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests;
