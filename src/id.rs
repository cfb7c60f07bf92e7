//! Names and identifiers: parsed once at the edge, trusted everywhere after.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits;

/// Why a name was refused; the text may be shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 1 to {max} characters of a-z, A-Z, 0-9, '-', '_' and '.', not starting with '.' or '-'", max = limits::NAME_BYTES_MAX)]
pub struct InvalidName {
    what: &'static str,
}

fn check(what: &'static str, text: &str) -> Result<(), InvalidName> {
    let first_is_fine = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let rest_is_fine = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if first_is_fine && rest_is_fine && text.len() <= limits::NAME_BYTES_MAX {
        Ok(())
    } else {
        Err(InvalidName { what })
    }
}

/// Names are shared by their clones: every invocation makes some.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                check($what, text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                check($what, &text)?;
                Ok(Self(text.into()))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The isolated customer: owner of functions, kv and logs.
    TenantId,
    "a tenant name"
);
name!(
    /// A tenant's named unit of code; says nothing about which code is active.
    FunctionName,
    "a function name"
);

name!(
    /// What one of a function's schedules is called.
    ScheduleName,
    "a schedule name"
);

impl TenantId {
    /// The tenant of paths that name none.
    pub fn default_tenant() -> Self {
        static DEFAULT: LazyLock<TenantId> = LazyLock::new(|| TenantId("default".into()));
        DEFAULT.clone()
    }

    /// The name, shared with this.
    pub fn to_shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

/// One run of a handler: a ULID, so ids sort by start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InvocationId(ulid::Ulid);

impl InvocationId {
    /// Characters of an id.
    pub const LEN: usize = ulid::ULID_LEN;

    /// Writes the id as [`fmt::Display`] does, without its machinery: every answer names one.
    pub fn write(self, text: &mut [u8; Self::LEN]) -> &str {
        self.0.array_to_str(text)
    }

    /// A new id for an invocation that starts at `now_ms` (Unix time).
    pub fn new(now_ms: u64) -> Self {
        Self(ulid::Ulid::from_parts(now_ms, rand::random()))
    }

    /// When it started, in Unix milliseconds.
    pub fn started_ms(self) -> u64 {
        self.0.timestamp_ms()
    }

    /// The id as a number: 48 bits of time, then 80 of chance; in the same order as the ids.
    pub fn to_number(self) -> u128 {
        self.0.0
    }

    /// The id of this number.
    pub fn from_number(number: u128) -> Self {
        Self(ulid::Ulid(number))
    }
}

/// Why an invocation's id was refused; the text may be shown to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an invocation's id has 26 characters of 0-9 and A-Z, without I, L, O and U")]
pub struct InvalidInvocationId;

impl FromStr for InvocationId {
    type Err = InvalidInvocationId;

    /// Reads an id in the one spelling that [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, InvalidInvocationId> {
        let id = ulid::Ulid::from_string(text).map_err(|_| InvalidInvocationId)?;
        let id = Self(id);
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(InvalidInvocationId)
        }
    }
}

impl InvocationId {
    /// A number from 0 to 99 that is the id's own: every one as likely as any other.
    pub fn percent(self) -> u8 {
        // 2^80 ids a millisecond: what does not divide evenly is nothing.
        u8::try_from(self.0.random() % 100).unwrap_or(0)
    }
}

impl fmt::Display for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A new id for a span of a trace, never 0.
pub fn random_span() -> u64 {
    rand::random::<u64>().max(1)
}

/// The id of a trace (W3C Trace Context), as 32 hexadecimal digits in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(u128);

impl TraceId {
    /// The id as ASCII, as [`fmt::Display`] writes it.
    pub fn digits(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (byte, pair) in self.0.to_be_bytes().iter().zip(text.chunks_exact_mut(2)) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        text
    }
}

/// As text where people read it, and as 16 bytes where nobody does.
impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(&self.0.to_be_bytes());
        }
        let digits = self.digits();
        let text = std::str::from_utf8(&digits).map_err(S::Error::custom)?;
        serializer.serialize_str(text)
    }
}

impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return number(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        Self::try_from(text).map_err(D::Error::custom)
    }
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let bytes = <&[u8]>::deserialize(deserializer)?;
    bytes
        .try_into()
        .map(u128::from_be_bytes)
        .map_err(D::Error::custom)
}

impl From<u128> for TraceId {
    fn from(number: u128) -> Self {
        Self(number)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl TryFrom<String> for TraceId {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

/// One immutable upload of a function's code and settings; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeploymentId(ulid::Ulid);

/// As text where people read it, and as 16 bytes where nobody does.
impl Serialize for DeploymentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.serialize(serializer)
        } else {
            serializer.serialize_bytes(&self.0.0.to_be_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for DeploymentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            ulid::Ulid::deserialize(deserializer).map(Self)
        } else {
            number(deserializer).map(|number| Self(ulid::Ulid(number)))
        }
    }
}

impl DeploymentId {
    /// A new id for a deployment made at `now_ms` (Unix time).
    pub fn new(now_ms: u64) -> Self {
        Self(ulid::Ulid::from_parts(now_ms, rand::random()))
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One schedule from its making to its deletion; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ScheduleId(ulid::Ulid);

impl ScheduleId {
    /// A new id for a schedule made at `now_ms` (Unix time).
    pub fn new(now_ms: u64) -> Self {
        Self(ulid::Ulid::from_parts(now_ms, rand::random()))
    }
}

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One API key; it is the part of the key that is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyId(ulid::Ulid);

/// The text is not the id of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of a key has 26 characters of 0-9 and A-Z")]
pub struct InvalidKeyId;

impl KeyId {
    /// A new id for a key made at `now_ms` (Unix time).
    pub fn new(now_ms: u64) -> Self {
        Self(ulid::Ulid::from_parts(now_ms, rand::random()))
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    /// Reads an id in the one spelling that [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        let id = ulid::Ulid::from_string(text).map_err(|_| InvalidKeyId)?;
        let id = Self(id);
        // Other spellings (small letters, I for 1) would be other names for one thing.
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(InvalidKeyId)
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One request to the control plane: a ULID, so ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(ulid::Ulid);

impl RequestId {
    /// A new id for a request that arrives at `now_ms` (Unix time).
    pub fn new(now_ms: u64) -> Self {
        Self(ulid::Ulid::from_parts(now_ms, rand::random()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
