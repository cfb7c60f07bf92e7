//! Connections: resolve, decide, dial, TLS. The only place where a subrequest opens a socket.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};
use tokio_util::task::TaskTracker;
use tower_service::Service;

use super::error::Error;
use super::policy::Policy;
use super::request::parse_url_of;
use crate::config::Resolver;
use crate::id::TenantId;
use crate::policies::{Connection as Planned, Protocol};

/// Open connections: of one tenant, of all.
const CONNECTIONS_MAX: (usize, usize) = (128, 1024);
/// Names being resolved, each on a thread: for one tenant, for all.
const LOOKUPS_MAX: (usize, usize) = (16, 64);
/// Addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 32;
/// How long an address is tried alone before the next one is tried as well (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// What all connectors share.
pub(super) struct Dialer {
    policy: Arc<dyn Policy>,
    tls: TlsConnector,
    /// For what begins with a handshake of HTTP/1.1.
    tls_http_1: TlsConnector,
    timeout: Duration,
    connections: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
    /// Instead of the system's.
    resolver: Option<Resolver>,
    tasks: TaskTracker,
}

impl Dialer {
    /// `timeout` covers everything up to the usable connection. `resolver`: asked for names in
    /// place of the system's, if there is one.
    pub(super) fn new(
        policy: Arc<dyn Policy>,
        mut tls: ClientConfig,
        timeout: Duration,
        resolver: Option<Resolver>,
        tasks: TaskTracker,
    ) -> Self {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls_http_1 = Arc::new(tls.clone()).into();
        tls.alpn_protocols.insert(0, b"h2".to_vec());
        Self {
            policy,
            tls: Arc::new(tls).into(),
            tls_http_1,
            timeout,
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX.1)),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX.1)),
            resolver,
            tasks,
        }
    }

    /// Names the decisions of now, see [`Policy::revision`].
    pub(super) fn revision(&self, tenant: &TenantId) -> u64 {
        self.policy.revision(tenant)
    }
}

/// Makes the connections of one tenant, with its share of the places.
#[derive(Clone)]
pub(super) struct Connector {
    dialer: Arc<Dialer>,
    tenant: TenantId,
    connections: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
}

impl Connector {
    pub(super) fn new(dialer: Arc<Dialer>, tenant: TenantId) -> Self {
        Self {
            dialer,
            tenant,
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX.0)),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX.0)),
        }
    }

    /// A connection to where a URL with the scheme `http`, `https`, `ws` or `wss` leads.
    pub(super) async fn connect(self, uri: Uri) -> Result<Transport, Error> {
        let target = Target::of(&uri)?;
        match tokio::time::timeout(self.dialer.timeout, self.open(&target)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout { host: target.host }),
        }
    }

    /// Every address of a target's host, as a connection would have it.
    pub(super) async fn look_up(&self, target: &Target) -> Result<Vec<SocketAddr>, Error> {
        match tokio::time::timeout(self.dialer.timeout, self.resolve(target)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout {
                host: target.host.clone(),
            }),
        }
    }

    async fn open(&self, target: &Target) -> Result<Transport, Error> {
        let places = places(&self.connections, &self.dialer.connections).await;
        let resolved = self.resolve(target).await?;
        // Before the decision: an edit in between has the connection decided on once more.
        let revision = self.dialer.revision(&self.tenant);
        let allowed = self.decide(target, resolved)?;
        let (tcp, address) = dial(interleave(allowed))
            .await
            .map_err(|error| Error::Connect {
                host: target.host.clone(),
                reason: connect_reason(&error),
            })?;
        // Without it small writes wait for each other; a connection works without, too.
        let _ = tcp.set_nodelay(true);
        let permission = Permission {
            dialer: Arc::clone(&self.dialer),
            tenant: self.tenant.clone(),
            target: target.clone(),
            address,
            revision: AtomicU64::new(revision),
        };
        permission.holds()?;
        if !target.is_secure() {
            return Ok(Transport::new(Box::pin(tcp), false, permission, places));
        }
        let refuse = |reason| Error::Tls {
            host: target.host.clone(),
            reason,
        };
        let name = target.host.strip_suffix('.').unwrap_or(&target.host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| refuse("no certificate can have that name"))?;
        let connector = match target.protocol {
            Protocol::Wss => &self.dialer.tls_http_1,
            _ => &self.dialer.tls,
        };
        let tls = connector.connect(name, tcp).await;
        let tls = tls.map_err(|error| refuse(tls_reason(&error)))?;
        let http_2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Transport::new(Box::pin(tls), http_2, permission, places))
    }

    /// Every address of the host, by the system's resolver.
    async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, Error> {
        let port = target.port;
        if let Ok(ip) = target.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let host = target.host.clone();
        // The thread keeps its place for as long as it runs, even when nobody waits any more.
        let places = places(&self.lookups, &self.dialer.lookups).await;
        let resolver = self.dialer.resolver.clone();
        let lookup = self.dialer.tasks.spawn_blocking(move || {
            let _places = places;
            if let Some(resolver) = resolver {
                let found = resolver(&host).into_iter().take(ADDRESSES_MAX);
                return Some(found.map(|ip| SocketAddr::new(ip, port)).collect());
            }
            let found = (host.as_str(), port).to_socket_addrs().ok()?;
            Some(found.take(ADDRESSES_MAX).collect::<Vec<_>>())
        });
        let found = lookup.await.ok().flatten().unwrap_or_default();
        if found.is_empty() {
            return Err(Error::Dns {
                host: target.host.clone(),
            });
        }
        Ok(found)
    }

    /// Keeps the addresses that the policy allows.
    fn decide(
        &self,
        target: &Target,
        addresses: Vec<SocketAddr>,
    ) -> Result<VecDeque<SocketAddr>, Error> {
        let mut allowed = VecDeque::new();
        let mut refusal = None;
        for address in addresses {
            match self.dialer.allows(&self.tenant, target, address) {
                Ok(()) => allowed.push_back(address),
                Err(denied) => refusal = Some(denied),
            }
        }
        match refusal {
            Some(denied) if allowed.is_empty() => Err(denied),
            _ => Ok(allowed),
        }
    }
}

impl Dialer {
    fn allows(&self, tenant: &TenantId, to: &Target, address: SocketAddr) -> Result<(), Error> {
        let planned = Planned {
            protocol: to.protocol,
            host: &to.host,
            address,
        };
        let allowed = self.policy.allows(tenant, &planned);
        allowed.map_err(|denied| Error::Denied {
            host: to.host.clone(),
            address,
            denied,
        })
    }
}

/// What a connection was allowed by. An edit of the policy asks anew, so that no connection
/// outlives what allowed it: neither a pooled one nor a WebSocket.
struct Permission {
    dialer: Arc<Dialer>,
    tenant: TenantId,
    target: Target,
    address: SocketAddr,
    /// Of the policy that allowed it.
    revision: AtomicU64,
}

impl Permission {
    /// Whether the connection may still be used.
    fn holds(&self) -> Result<(), Error> {
        let now = self.dialer.revision(&self.tenant);
        if now == self.revision.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.dialer
            .allows(&self.tenant, &self.target, self.address)?;
        self.revision.store(now, Ordering::Relaxed);
        Ok(())
    }
}

impl Service<Uri> for Connector {
    type Response = Transport;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Transport, Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// What a URL says about the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What the connection is for.
    pub protocol: Protocol,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    /// The port, of the protocol if the URL names none.
    pub port: u16,
}

impl Target {
    /// The target of a URL, read as those of subrequests and WebSockets are.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`], [`Error::UnsupportedScheme`].
    pub fn of_url(text: &str) -> Result<Self, Error> {
        let schemes = Protocol::ALL.map(Protocol::as_str);
        let url = parse_url_of(&schemes, text, None)?;
        let uri: Uri = url
            .as_str()
            .parse()
            .map_err(|_| Error::InvalidUrl("it cannot be sent over HTTP"))?;
        Self::of(&uri)
    }

    fn of(uri: &Uri) -> Result<Self, Error> {
        let protocol = uri.scheme_str().and_then(Protocol::of);
        let protocol = protocol.ok_or(Error::UnsupportedScheme)?;
        let host = uri.host().ok_or(Error::InvalidUrl("it has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut target = Self {
            protocol,
            host: host.to_owned(),
            port: 0,
        };
        let default = if target.is_secure() { 443 } else { 80 };
        target.port = uri.port_u16().unwrap_or(default);
        Ok(target)
    }

    fn is_secure(&self) -> bool {
        matches!(self.protocol, Protocol::Https | Protocol::Wss)
    }
}

/// A place of the tenant's and one of everybody's; both are given back on drop.
type Places = (OwnedSemaphorePermit, OwnedSemaphorePermit);

async fn places(own: &Arc<Semaphore>, all: &Arc<Semaphore>) -> Places {
    // In this order, so that a tenant out of places holds none of everybody's.
    let own = Arc::clone(own).acquire_owned().await;
    let all = Arc::clone(all).acquire_owned().await;
    let never_closed = "these semaphores are never closed";
    (own.expect(never_closed), all.expect(never_closed))
}

/// Alternates between the two families, starting with that of the first address, so that a
/// family without a route costs one head start at most.
fn interleave(addresses: VecDeque<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.front().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut second = second.into_iter();
    let mut order = VecDeque::new();
    for address in first {
        order.push_back(address);
        order.extend(second.next());
    }
    order.extend(second);
    order
}

/// Connects to the first address that answers; at least one has to be given.
async fn dial(mut addresses: VecDeque<SocketAddr>) -> io::Result<(TcpStream, SocketAddr)> {
    let mut attempts = FuturesUnordered::new();
    loop {
        if let Some(address) = addresses.pop_front() {
            let attempt = async move { Ok((TcpStream::connect(address).await?, address)) };
            attempts.push(attempt);
        }
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok(dialled) => return Ok(dialled),
                Err(error) if addresses.is_empty() && attempts.is_empty() => return Err(error),
                Err(_) => {}
            },
            () = tokio::time::sleep(HEAD_START), if !addresses.is_empty() => {}
        }
    }
}

fn connect_reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused",
        io::ErrorKind::TimedOut => "the connection timed out",
        _ => "the host cannot be reached",
    }
}

fn tls_reason(error: &io::Error) -> &'static str {
    use rustls::CertificateError as Certificate;
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    match error {
        Some(rustls::Error::InvalidCertificate(certificate)) => match certificate {
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "the certificate has expired"
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "the certificate is for another name"
            }
            Certificate::UnknownIssuer => "the certificate is not from a known authority",
            _ => "the certificate is not valid",
        },
        _ => "the TLS handshake failed",
    }
}

trait Io: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

/// A usable connection, TLS or not, and the places it takes until it is closed.
pub(super) struct Transport {
    io: TokioIo<Pin<Box<dyn Io>>>,
    http_2: bool,
    permission: Permission,
    /// Who waits for bytes, to be told when a write finds out that none may come any more.
    reader: Option<Waker>,
    _places: Places,
}

impl Transport {
    fn new(io: Pin<Box<dyn Io>>, http_2: bool, permission: Permission, places: Places) -> Self {
        Self {
            io: TokioIo::new(io),
            http_2,
            permission,
            reader: None,
            _places: places,
        }
    }

    /// Before bytes move either way.
    fn check(&mut self) -> io::Result<()> {
        self.permission.holds().map_err(|error| {
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
            io::Error::other(error)
        })
    }
}

impl Connection for Transport {
    fn connected(&self) -> Connected {
        if self.http_2 {
            Connected::new().negotiated_h2()
        } else {
            Connected::new()
        }
    }
}

impl Read for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        self.reader = read.is_pending().then(|| context.waker().clone());
        read
    }
}

impl Write for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }
}

/// Runs the client's tasks where the [`super::Client`] counts them.
#[derive(Clone)]
pub(super) struct Executor(pub(super) TaskTracker);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}
