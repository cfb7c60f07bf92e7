//! Secrets: random ones, their digests, and API keys as text.
//!
//! What is kept of a key is the SHA-256 of its secret. The secret has 256 random bits, so nobody
//! can try them all, and a slow hash, which makes guessing a *chosen* password dear, would only
//! make every request dear.

use std::fmt;
use std::str::FromStr;

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::id::KeyId;

/// What every API key begins with: scanners for lost secrets can tell it by that.
const PREFIX: &str = "amp_";
/// Bytes of a secret.
const SECRET_BYTES: usize = 32;
/// Characters of an id, as [`KeyId`] writes it.
const ID_CHARS: usize = 26;

/// The operating system has no random bytes to give.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// Random bytes from the operating system.
///
/// # Errors
/// [`NoRandomness`].
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// The SHA-256 of a secret: what is kept in place of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `secret`.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        from_hex(&text).map(Self).ok_or("64 digits are needed")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        to_hex(&digest.0)
    }
}

/// An API key as its owner has it: `amp_`, the id, `_`, and 64 hexadecimal digits.
///
/// With the id in it, a key is looked up by what is no secret, and then compared as a whole.
#[derive(Clone)]
pub struct Token {
    id: KeyId,
    secret: [u8; SECRET_BYTES],
}

impl Token {
    /// A new key of this id.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn new(id: KeyId) -> Result<Self, NoRandomness> {
        let secret = random_bytes()?;
        Ok(Self { id, secret })
    }

    /// Which key this claims to be.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What is kept of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.secret)
    }

    /// The text to show to its owner, once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, to_hex(&self.secret))
    }

    /// Whether a text is meant to be an API key, good or bad.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("id", &self.id).finish()
    }
}

/// The text is not an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not an API key")]
pub struct InvalidToken;

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let rest = text.strip_prefix(PREFIX).ok_or(InvalidToken)?;
        let (id, rest) = rest.split_at_checked(ID_CHARS).ok_or(InvalidToken)?;
        let secret = rest.strip_prefix('_').ok_or(InvalidToken)?;
        Ok(Self {
            id: id.parse().map_err(|_| InvalidToken)?,
            secret: from_hex(secret).ok_or(InvalidToken)?,
        })
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads exactly `N` bytes of small hexadecimal digits.
fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
