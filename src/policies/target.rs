//! What a rule is about: everything, host names, or addresses.

use std::net::IpAddr;

use ipnet::IpNet;

/// Longest name that DNS knows, in bytes (RFC 1035, section 2.3.4).
const NAME_BYTES_MAX: usize = 253;
/// Longest part of one.
const LABEL_BYTES_MAX: usize = 63;

/// The target of a rule.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Everything.
    Any,
    /// Hosts with such a name.
    Name(Pattern),
    /// Addresses in this range; a single one is a range too.
    Network(IpNet),
}

/// A host name, in lower case and as DNS has it (RFC 5890), in which `*` stands for one or more
/// characters, dots among them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Target {
    /// Reads a target.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that begins with its place.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if text.contains('/') {
            return parse_network(text).map(Self::Network);
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return unmapped(IpNet::from(ip)).map(Self::Network);
        }
        if text.contains([':', '[', ']']) {
            return Err(
                "is not an address: write IPv6 addresses without brackets, and ports into `ports`"
                    .to_owned(),
            );
        }
        Pattern::parse(text).map(Self::Name)
    }
}

fn parse_network(text: &str) -> Result<IpNet, String> {
    let network: IpNet = text
        .parse()
        .map_err(|_| "is not a range of addresses: write it like 10.0.0.0/8".to_owned())?;
    if network.trunc() != network {
        return Err(format!(
            "has bits beyond its prefix: write {}",
            network.trunc()
        ));
    }
    unmapped(network)
}

/// IPv4 addresses are asked about as such, so a range within `::ffff:0:0/96` would never match.
fn unmapped(network: IpNet) -> Result<IpNet, String> {
    let IpNet::V6(mapped) = network else {
        return Ok(network);
    };
    match (mapped.addr().to_ipv4_mapped(), mapped.prefix_len()) {
        (Some(ip), bits @ 96..) => Err(format!(
            "is IPv4 written as IPv6: write {ip}/{}, which means both",
            bits - 96
        )),
        _ => Ok(network),
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let labels: Vec<String> = name.split('.').map(label).collect::<Result<_, _>>()?;
        let joined = labels.join(".");
        if joined.len() > NAME_BYTES_MAX {
            return Err(format!("is longer than {NAME_BYTES_MAX} bytes"));
        }
        let last = labels.last().map(String::as_str).unwrap_or_default();
        if is_number(last) {
            return Err("looks like an address and is none: write it like 192.0.2.1".to_owned());
        }
        // What comes after a star that stands for a part of a label is free to be registered by
        // anybody, as long as it is not below a name that somebody has.
        let star = |label: &String| label.contains('*') && label != "*";
        let lowest = labels.iter().rposition(star);
        if lowest.is_some_and(|at| labels.len() - at <= 2) {
            return Err(format!(
                "is about names of anybody's: to mean a name and all below it, write two rules, \
                 as for {} and *.{}",
                joined.replace('*', ""),
                joined.replace('*', "")
            ));
        }
        Ok(Self(joined))
    }

    /// Whether a host of a URL has such a name; an address has none.
    pub(super) fn matches(&self, host: &str) -> bool {
        if host.parse::<IpAddr>().is_ok() {
            return false;
        }
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        matches(self.0.as_bytes(), host.as_bytes())
    }
}

/// One label as DNS has it.
fn label(text: &str) -> Result<String, String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'*');
    if text.is_empty() {
        return Err("is neither a host name nor an address: a part of it is empty".to_owned());
    }
    let refuse =
        || format!("is neither a host name nor an address: {text:?} cannot be part of one");
    let label = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        match url::Host::parse(text) {
            Ok(url::Host::Domain(label)) => label,
            _ => return Err(refuse()),
        }
    };
    if !label.bytes().all(is_plain) || label.len() > LABEL_BYTES_MAX {
        return Err(refuse());
    }
    if label.bytes().filter(|b| *b == b'*').count() > 1 {
        return Err(format!("has more than one * in {text:?}"));
    }
    Ok(label)
}

/// Whether URLs take a name that ends in this for an IPv4 address (URL standard, "ends in a
/// number").
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x");
    !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether `text` is what `pattern` says, `*` being one or more bytes. Of all stars only the last
/// one passed is ever taken back, so this takes at most their lengths' product in steps.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // After the last star passed: where the pattern goes on, and where the text does next time.
    let mut again: Option<(usize, usize)> = None;
    while seen < text.len() {
        match (pattern.get(at), again) {
            (Some(b'*'), _) => {
                again = Some((at + 1, seen + 2));
                (at, seen) = (at + 1, seen + 1);
            }
            (Some(byte), _) if *byte == text[seen] => (at, seen) = (at + 1, seen + 1),
            (_, Some((after, next))) if next <= text.len() => {
                again = Some((after, next + 1));
                (at, seen) = (after, next);
            }
            _ => return false,
        }
    }
    at == pattern.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_or_more_characters() {
        for (pattern, text, expected) in [
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "a.example.com.evil.test", false),
            ("*.example.com", "a.example.como", false),
            ("api-*.example.com", "api-1.example.com", true),
            ("api-*.example.com", "api-.example.com", false),
            ("a.*.b.*", "a.x.b.y", true),
            ("a.*.b.*", "a.x.b.b.y", true),
            ("a.*.b.*", "a.x.c.y", false),
            ("*a", "aaa", true),
            ("*a", "a", false),
            ("a*", "ab", true),
            ("", "", true),
            ("", "a", false),
        ] {
            let found = matches(pattern.as_bytes(), text.as_bytes());
            assert_eq!(found, expected, "{pattern} {text}");
        }
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        let pattern = ["*a"; 31].join(".");
        let text = "a.".repeat(126);
        assert!(!matches(pattern.as_bytes(), format!("{text}b").as_bytes()));
    }

    #[test]
    fn names_are_compared_as_dns_does() {
        let name = |text: &str| match Target::parse(text) {
            Ok(Target::Name(pattern)) => pattern,
            other => panic!("{text}: {other:?}"),
        };
        assert!(name("Example.COM").matches("example.com."));
        assert!(name("example.com.").matches("EXAMPLE.com"));
        assert!(name("bücher.example").matches("xn--bcher-kva.example"));
        assert!(name("*.bücher.example").matches("www.xn--bcher-kva.example"));
        assert!(!name("*.example.com").matches("example.com"));
        assert!(!name("*.com").matches("127.0.0.1"));
    }

    #[test]
    fn what_is_no_target_is_told_apart() {
        for (text, why) in [
            ("10.0.0.1/8", "write 10.0.0.0/8"),
            ("10.0.0.0/33", "is not a range"),
            ("::ffff:10.0.0.0/104", "write 10.0.0.0/8"),
            ("::ffff:10.0.0.1", "write 10.0.0.1/32"),
            ("[::1]", "without brackets"),
            ("example.com:443", "ports into `ports`"),
            ("http://example.com", "is not a range"),
            ("a..b", "a part of it is empty"),
            ("", "a part of it is empty"),
            ("a b", "cannot be part of one"),
            ("{a,b}.example.com", "cannot be part of one"),
            ("1.2.3", "looks like an address"),
            ("0x7f.1", "looks like an address"),
            ("2130706433", "looks like an address"),
            ("*example.com", "names of anybody's"),
            ("exam*le.com", "names of anybody's"),
            ("**.example.com", "more than one *"),
        ] {
            let error = Target::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let long = vec!["a".repeat(60); 5].join(".");
        assert!(Target::parse(&long).unwrap_err().contains("longer"));
        assert!(Target::parse(&"a".repeat(64)).is_err());
        assert!(Target::parse(&"a".repeat(63)).is_ok());
        assert_eq!(Target::parse("*"), Ok(Target::Any));
        assert!(Target::parse("*-api.example.com").is_ok());
        assert!(Target::parse("*.com").is_ok());
        assert!(Target::parse("fe80::/10").is_ok());
    }
}
