//! Network policies: what functions may connect to, and which rule says so.
//!
//! A policy is an ordered list of rules and a default. One is global, and each tenant may have one
//! besides. [`decide`] goes through the global rules and then the tenant's, each by ascending
//! priority; the first rule that matches decides. Where none does, the defaults do: the connection
//! is allowed if every policy in force says so. Why it is so: ADR 0016.
//!
//! Nothing here resolves a name: a decision is about one address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::id::TenantId;

mod parse;
mod presets;
mod target;

pub use parse::Invalid;
pub use presets::Preset;

use target::Target;

/// Whose policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The operator's, for all tenants.
    Global,
    /// One tenant's own, asked after the global one.
    Tenant(TenantId),
}

/// What a rule, or a default, has done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = NetworkAction)]
pub enum Action {
    /// It is made.
    Allow,
    /// It is refused.
    Deny,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = NetworkProtocol)]
pub enum Protocol {
    /// Requests without TLS.
    Http,
    /// Requests over TLS.
    Https,
    /// A WebSocket without TLS.
    Ws,
    /// A WebSocket over TLS.
    Wss,
}

impl Protocol {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Http, Self::Https, Self::Ws, Self::Wss];

    /// As in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// The one whose URLs begin like this, in lower case.
    pub fn of(scheme: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == scheme)
    }
}

/// A port, or a range of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = NetworkPorts)]
pub enum Ports {
    /// One, 1 to 65535.
    One(u16),
    /// `"8000-8100"`, both ends included.
    Range(String),
}

/// One rule, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NetworkRule)]
pub struct Rule {
    /// What happens to connections that it matches.
    pub action: Action,
    /// A host name, in which `*` stands for one or more characters; an IP address; a range such as
    /// `10.0.0.0/8`; or `*` for everything. At most 253 bytes.
    pub target: String,
    /// Ports that it is about; every port without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<Ports>>,
    /// Protocols that it is about; every one without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Vec<Protocol>>,
    /// Rules of lower priority numbers are asked first, those of the same in the order in which
    /// they are written. 0 without.
    #[schema(required = false)]
    pub priority: u32,
    /// For people, at most 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A policy, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NetworkPolicy)]
pub struct Document {
    /// At most 256.
    pub rules: Vec<Rule>,
    /// What happens to connections that no rule matches.
    pub default: Action,
}

/// A policy that was checked, ready to decide.
#[derive(Debug)]
pub struct Policy {
    document: Document,
    /// In the order in which they are asked.
    rules: Vec<Compiled>,
    tag: String,
}

/// A rule, ready to match.
#[derive(Debug, PartialEq, Eq)]
struct Compiled {
    /// Its place in the document, from 0.
    index: usize,
    action: Action,
    target: Target,
    /// Both ends included; none means every port.
    ports: Vec<(u16, u16)>,
    /// None means every protocol.
    protocols: Vec<Protocol>,
}

/// A connection that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct Connection<'a> {
    /// What it is for.
    pub protocol: Protocol,
    /// As in the URL, IPv6 addresses without brackets.
    pub host: &'a str,
    /// Where it leads.
    pub address: SocketAddr,
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decider {
    /// A rule of the global policy, by its place in the document, from 0.
    GlobalRule(usize),
    /// A rule of the tenant's policy, likewise.
    TenantRule(usize),
    /// The default of the global policy.
    GlobalDefault,
    /// The default of the tenant's policy.
    TenantDefault,
}

/// Whether a connection may be made, and what says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Allowed or denied.
    pub action: Action,
    /// What decided.
    pub decider: Decider,
}

impl std::fmt::Display for Decider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::GlobalRule(index) => write!(f, "rules[{index}] of the global network policy"),
            Self::TenantRule(index) => write!(f, "rules[{index}] of the tenant's network policy"),
            Self::GlobalDefault => f.write_str("the default of the global network policy"),
            Self::TenantDefault => f.write_str("the default of the tenant's network policy"),
        }
    }
}

/// Decides on one connection.
pub fn decide(global: &Policy, tenant: Option<&Policy>, asked: &Connection<'_>) -> Decision {
    let decision = |action, decider| Decision { action, decider };
    if let Some(rule) = global.first_match(asked) {
        return decision(rule.action, Decider::GlobalRule(rule.index));
    }
    let Some(tenant) = tenant else {
        return decision(global.document.default, Decider::GlobalDefault);
    };
    if let Some(rule) = tenant.first_match(asked) {
        return decision(rule.action, Decider::TenantRule(rule.index));
    }
    // A tenant may write its own policy: its default must not open what the operator closed.
    match (global.document.default, tenant.document.default) {
        (Action::Deny, _) => decision(Action::Deny, Decider::GlobalDefault),
        (Action::Allow, default) => decision(default, Decider::TenantDefault),
    }
}

impl Policy {
    fn new(document: Document, mut rules: Vec<Compiled>) -> Self {
        // Stable, so that equals stay in the order of the document.
        rules.sort_by_key(|rule| document.rules[rule.index].priority);
        // Strings, numbers and lists always have a JSON text.
        let text = serde_json::to_vec(&document).unwrap_or_default();
        let digest = Sha256::digest(&text);
        let hex: String = digest[..16].iter().map(|b| format!("{b:02x}")).collect();
        Self {
            document,
            rules,
            tag: hex,
        }
    }

    /// The policy as it was written.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Changes whenever the document does: a strong entity tag (RFC 9110, section 8.8.3) without
    /// its quotes.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    fn first_match(&self, asked: &Connection<'_>) -> Option<&Compiled> {
        self.rules.iter().find(|rule| rule.matches(asked))
    }
}

impl Compiled {
    fn matches(&self, asked: &Connection<'_>) -> bool {
        let port = asked.address.port();
        let of_port = |(first, last): &(u16, u16)| (*first..=*last).contains(&port);
        (self.ports.is_empty() || self.ports.iter().any(of_port))
            && (self.protocols.is_empty() || self.protocols.contains(&asked.protocol))
            && self.matches_target(asked)
    }

    fn matches_target(&self, asked: &Connection<'_>) -> bool {
        match &self.target {
            Target::Any => true,
            Target::Name(pattern) => pattern.matches(asked.host),
            Target::Network(network) => {
                let ip = asked.address.ip();
                // What is denied is denied in every disguise; what is allowed is what it says.
                let disguises = match self.action {
                    Action::Deny => disguises(ip),
                    Action::Allow => [None; 2],
                };
                let mut forms = disguises.into_iter().flatten();
                network.contains(&ip.to_canonical()) || forms.any(|form| network.contains(&form))
            }
        }
    }
}

/// Other addresses that a connection to `ip` may end at: those that IPv6 addresses carry within
/// them, and for the unspecified address the one of this machine.
fn disguises(ip: IpAddr) -> [Option<IpAddr>; 2] {
    let ip = match ip.to_canonical() {
        IpAddr::V4(ip) => {
            return [
                ip.is_unspecified().then_some(Ipv4Addr::LOCALHOST.into()),
                None,
            ];
        }
        IpAddr::V6(ip) => ip,
    };
    let parts = ip.segments();
    let joined = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        Some(IpAddr::from([a, b, c, d]))
    };
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 0] => [
            Some(Ipv6Addr::LOCALHOST.into()),
            Some(Ipv4Addr::LOCALHOST.into()),
        ],
        // IPv4-compatible (RFC 4291, 2.5.5.1), NAT64 (RFC 6052), which is the same at its end.
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            [joined(high, low), None]
        }
        // NAT64 with a prefix of the network's own (RFC 8215), as RFC 6052 places it after 96 bits.
        [0x64, 0xff9b, 1, _, _, _, high, low] => [joined(high, low), None],
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => [joined(high, low), None],
        // Teredo (RFC 4380): the server, and the client with its bits turned.
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            [joined(server_high, server_low), joined(!high, !low)]
        }
        _ => [None; 2],
    }
}

#[cfg(test)]
mod tests;
