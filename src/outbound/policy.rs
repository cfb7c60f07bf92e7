//! Which addresses a function may reach: decided on the very address that is dialled next.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::error::Denied;

/// Decides on one address that a subrequest is about to dial.
///
/// The seam for network policies. Asked once for each address that the host resolved to, at
/// each connection of each redirect; what is allowed is dialled without resolving again.
pub trait Policy: Send + Sync {
    /// Allows the connection, or says why not.
    ///
    /// `scheme`: `http`, `https`, `ws` or `wss`. `host`: as in the URL, IPv6 without brackets.
    ///
    /// # Errors
    /// The refusal, whose reason the function gets to read.
    fn allows(&self, scheme: &str, host: &str, address: SocketAddr) -> Result<(), Denied>;
}

/// Allows everything but the service itself: a function must not call the control plane, nor
/// other tenants' functions from within.
#[derive(Debug, Clone)]
pub struct OwnAddresses {
    listening: Vec<SocketAddr>,
}

impl OwnAddresses {
    /// `listening`: where the service listens; see [`super::OutboundConfig::denied`].
    pub fn new(listening: Vec<SocketAddr>) -> Self {
        Self { listening }
    }
}

impl Policy for OwnAddresses {
    fn allows(&self, _scheme: &str, _host: &str, address: SocketAddr) -> Result<(), Denied> {
        let reached = reached(address.ip());
        let own = |listening: &SocketAddr| {
            let ip = listening.ip().to_canonical();
            let same = ip == reached || ip.is_unspecified() && is_of_this_machine(reached);
            same && listening.port() == address.port()
        };
        if self.listening.iter().any(own) {
            return Err(Denied {
                reason: "it is the address of this service itself",
            });
        }
        Ok(())
    }
}

/// The address that a connection to `ip` ends at: IPv4 inside IPv6 is IPv4, and connecting to
/// the unspecified address is connecting to the loopback one.
fn reached(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// Whether `ip` is an address of this machine: exactly those can be bound.
///
/// Asked of the system each time, as addresses come and go. Whatever else goes wrong counts as
/// a yes, because a no opens the door.
fn is_of_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback()
        || match UdpSocket::bind(SocketAddr::new(ip, 0)) {
            Ok(_) => true,
            Err(error) => error.kind() != ErrorKind::AddrNotAvailable,
        }
}
