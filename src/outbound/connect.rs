//! Connections: resolve, decide, dial, TLS. The only place where a subrequest opens a socket.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
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

use super::error::{Denied, Error};
use super::policy::Policy;

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
    tasks: TaskTracker,
}

impl Dialer {
    /// `timeout` covers everything up to the usable connection.
    pub(super) fn new(
        policy: Arc<dyn Policy>,
        mut tls: ClientConfig,
        timeout: Duration,
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
            tasks,
        }
    }
}

/// Makes the connections of one tenant, with its share of the places.
#[derive(Clone)]
pub(super) struct Connector {
    dialer: Arc<Dialer>,
    connections: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
}

impl Connector {
    pub(super) fn new(dialer: Arc<Dialer>) -> Self {
        Self {
            dialer,
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

    async fn open(&self, target: &Target) -> Result<Transport, Error> {
        let places = places(&self.connections, &self.dialer.connections).await;
        let resolved = self.resolve(target).await?;
        let allowed = self.decide(target, resolved)?;
        let tcp = dial(interleave(allowed))
            .await
            .map_err(|error| Error::Connect {
                host: target.host.clone(),
                reason: connect_reason(&error),
            })?;
        // Without it small writes wait for each other; a connection works without, too.
        let _ = tcp.set_nodelay(true);
        if !target.scheme.is_secure() {
            return Ok(Transport::new(Box::pin(tcp), false, places));
        }
        let refuse = |reason| Error::Tls {
            host: target.host.clone(),
            reason,
        };
        let name = target.host.strip_suffix('.').unwrap_or(&target.host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| refuse("no certificate can have that name"))?;
        let connector = match target.scheme {
            Scheme::Wss => &self.dialer.tls_http_1,
            _ => &self.dialer.tls,
        };
        let tls = connector.connect(name, tcp).await;
        let tls = tls.map_err(|error| refuse(tls_reason(&error)))?;
        let http_2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Transport::new(Box::pin(tls), http_2, places))
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
        let lookup = self.dialer.tasks.spawn_blocking(move || {
            let _places = places;
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
        let scheme = target.scheme.as_str();
        for address in addresses {
            match self.dialer.policy.allows(scheme, &target.host, address) {
                Ok(()) => allowed.push_back(address),
                Err(denied) => refusal = Some(denied),
            }
        }
        match refusal {
            Some(denied) if allowed.is_empty() => Err(self.denied(target, denied)),
            _ => Ok(allowed),
        }
    }

    fn denied(&self, target: &Target, denied: Denied) -> Error {
        Error::Denied {
            host: target.host.clone(),
            denied,
        }
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

/// What a connection is for.
#[derive(Clone, Copy)]
enum Scheme {
    Http,
    Https,
    Ws,
    Wss,
}

impl Scheme {
    fn of(text: Option<&str>) -> Option<Self> {
        [Self::Http, Self::Https, Self::Ws, Self::Wss]
            .into_iter()
            .find(|scheme| text == Some(scheme.as_str()))
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    fn is_secure(self) -> bool {
        matches!(self, Self::Https | Self::Wss)
    }
}

/// What a URL says about the connection.
struct Target {
    scheme: Scheme,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
}

impl Target {
    fn of(uri: &Uri) -> Result<Self, Error> {
        let scheme = Scheme::of(uri.scheme_str()).ok_or(Error::UnsupportedScheme)?;
        let host = uri.host().ok_or(Error::InvalidUrl("it has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let default = if scheme.is_secure() { 443 } else { 80 };
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(default),
        })
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
async fn dial(mut addresses: VecDeque<SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = FuturesUnordered::new();
    loop {
        if let Some(address) = addresses.pop_front() {
            attempts.push(TcpStream::connect(address));
        }
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok(stream) => return Ok(stream),
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
    _places: Places,
}

impl Transport {
    fn new(io: Pin<Box<dyn Io>>, http_2: bool, places: Places) -> Self {
        Self {
            io: TokioIo::new(io),
            http_2,
            _places: places,
        }
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
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
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
