//! Which addresses a function may reach: decided on the very address that is dialled next.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::error::Denied;
use crate::id::TenantId;
use crate::policies::Connection;

/// Decides on one address that a subrequest is about to dial.
///
/// The seam for network policies. Asked once for each address that the host resolved to, at
/// each connection of each redirect; what is allowed is dialled without resolving again. Asked
/// again about every open connection when [`Policy::revision`] has changed.
pub trait Policy: Send + Sync {
    /// Allows a tenant's connection, or says why not.
    ///
    /// # Errors
    /// The refusal, whose reason the function gets to read.
    fn allows(&self, tenant: &TenantId, connection: &Connection<'_>) -> Result<(), Denied>;

    /// Names the decisions of now: while it stays the same, so do the tenant's. Asked whenever
    /// bytes move, so it has to be quick.
    fn revision(&self, tenant: &TenantId) -> u64;
}

/// Allows everything but the service itself: a function must not call the control plane, nor
/// other tenants' functions from within.
#[derive(Debug, Clone)]
pub struct OwnAddresses {
    listening: Vec<SocketAddr>,
}

impl OwnAddresses {
    /// `listening`: where the service listens. An unspecified address (`0.0.0.0`, `[::]`) means that
    /// port on every address of this machine.
    pub fn new(listening: Vec<SocketAddr>) -> Self {
        Self { listening }
    }

    /// Whether a connection to `address` would lead to the service itself.
    pub fn is_own(&self, address: SocketAddr) -> bool {
        let reached = reached(address.ip());
        let own = |listening: &SocketAddr| {
            let ip = listening.ip().to_canonical();
            let same = ip == reached || ip.is_unspecified() && is_of_this_machine(reached);
            same && listening.port() == address.port()
        };
        self.listening.iter().any(own)
    }
}

impl Policy for OwnAddresses {
    fn allows(&self, _tenant: &TenantId, connection: &Connection<'_>) -> Result<(), Denied> {
        if self.is_own(connection.address) {
            return Err(Denied {
                reason: "it is the address of this service itself".to_owned(),
            });
        }
        Ok(())
    }

    fn revision(&self, _tenant: &TenantId) -> u64 {
        0
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
