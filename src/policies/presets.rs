//! Policies that are worth having by name.

use std::str::FromStr;

use serde_json::json;

use super::Policy;

/// A policy that has a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preset {
    /// No rule, and everything is allowed but the service itself.
    #[default]
    AllowAll,
    /// Everything that is not a public address is denied.
    PublicOnly,
}

/// What [`Preset::PublicOnly`] denies, and what it is. Source: the registries of special-purpose
/// addresses of the IANA (RFC 6890), multicast (RFC 5771, RFC 4291) and what was once in them.
/// IPv4 within IPv6 is denied by the rules for IPv4, see [`super::decide`].
const NOT_PUBLIC: &[(&str, &str)] = &[
    ("0.0.0.0/8", "this network (RFC 1122)"),
    ("10.0.0.0/8", "private (RFC 1918)"),
    ("100.64.0.0/10", "shared by a carrier (RFC 6598)"),
    ("127.0.0.0/8", "loopback (RFC 1122)"),
    (
        "169.254.0.0/16",
        "link-local, metadata of clouds (RFC 3927)",
    ),
    ("172.16.0.0/12", "private (RFC 1918)"),
    ("192.0.0.0/24", "protocol assignments (RFC 6890)"),
    ("192.0.2.0/24", "documentation (RFC 5737)"),
    ("192.88.99.0/24", "6to4 relays (RFC 7526)"),
    ("192.168.0.0/16", "private (RFC 1918)"),
    ("198.18.0.0/15", "benchmarks (RFC 2544)"),
    ("198.51.100.0/24", "documentation (RFC 5737)"),
    ("203.0.113.0/24", "documentation (RFC 5737)"),
    ("224.0.0.0/4", "multicast (RFC 5771)"),
    ("240.0.0.0/4", "reserved, broadcast (RFC 1112)"),
    ("::/128", "unspecified (RFC 4291)"),
    ("::1/128", "loopback (RFC 4291)"),
    ("64:ff9b:1::/48", "translation within a network (RFC 8215)"),
    ("100::/64", "discard (RFC 6666)"),
    ("2001::/23", "protocol assignments, Teredo (RFC 2928)"),
    ("2001:db8::/32", "documentation (RFC 3849)"),
    ("3fff::/20", "documentation (RFC 9637)"),
    ("5f00::/16", "segment routing (RFC 9602)"),
    ("fc00::/7", "private (RFC 4193)"),
    ("fe80::/10", "link-local (RFC 4291)"),
    ("fec0::/10", "site-local (RFC 3879)"),
    ("ff00::/8", "multicast (RFC 4291)"),
];

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 2] = [Self::AllowAll, Self::PublicOnly];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowAll => "allow-all",
            Self::PublicOnly => "public-only",
        }
    }

    /// The policy that it names.
    pub fn policy(self) -> Policy {
        let denied = match self {
            Self::AllowAll => &[],
            Self::PublicOnly => NOT_PUBLIC,
        };
        let rule = |(target, what): &(&str, &str)| json!({ "action": "deny", "target": target, "description": what });
        let rules: Vec<_> = denied.iter().map(rule).collect();
        let document = json!({ "rules": rules, "default": "allow" });
        Policy::parse(document.to_string().as_bytes()).expect("presets are valid policies")
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|preset| preset.as_str() == text);
        found.ok_or_else(|| format!("there is no preset {text:?}: say allow-all or public-only"))
    }
}
