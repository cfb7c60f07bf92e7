//! Secrets: random ones, their digests, API keys as text, and what is sealed on disk.
//!
//! What is kept of a key is the SHA-256 of its secret. The secret has 256 random bits, so nobody
//! can try them all, and a slow hash, which makes guessing a *chosen* password dear, would only
//! make every request dear.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::id::KeyId;

/// What every API key begins with: scanners for lost secrets can tell it by that.
const PREFIX: &str = "amp_";
/// Bytes of a secret.
const SECRET_BYTES: usize = 32;
/// Bytes that tell whether something sealed is whole.
const TAG_BYTES: usize = 16;
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

/// A secret as somebody wrote it; nothing that is printed or logged shows it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Plain(String);

impl Plain {
    /// The secret.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Plain {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain")
    }
}

impl Serialize for Plain {
    /// Never writes the secret: whatever wants it has to ask for it by name.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}

/// Text that only the master key opens; in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

/// Why something sealed cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it was sealed under another master key or for another place, or is damaged: set \
     AMPOULE_MASTER_KEY, or put back master.key in the data folder"
)]
pub struct NotOpened;

/// The text is no master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a master key has 64 digits of 0-9 and a-f")]
pub struct InvalidMasterKey;

/// Why there is no master key in a file.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file cannot be read or made.
    #[error("cannot read or make {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{0} does not hold a master key: put back the one that was there")]
    Damaged(PathBuf),
}

/// The key that secrets on disk are sealed under, with ChaCha20-Poly1305 (RFC 8439).
///
/// What is sealed is bound to its context: where it belongs. Elsewhere it does not open. The keys
/// that are used are derived from the master key, each for one purpose (RFC 5869, expand).
pub struct MasterKey {
    seal: LessSafeKey,
    /// Of the nonces of texts.
    nonces: hmac::Key,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

impl MasterKey {
    /// The key of these bytes.
    pub fn new(bytes: &[u8; SECRET_BYTES]) -> Self {
        let master = hmac::Key::new(HMAC_SHA256, bytes);
        let derived = |purpose: &str| hmac::sign(&master, purpose.as_bytes());
        let seal = UnboundKey::new(&CHACHA20_POLY1305, derived("ampoule seal\u{1}").as_ref());
        Self {
            seal: LessSafeKey::new(seal.expect("a SHA-256 is as long as the key")),
            nonces: hmac::Key::new(HMAC_SHA256, derived("ampoule nonces\u{1}").as_ref()),
        }
    }

    /// The key in a file, which is made with a new one if there is none; only its owner may read
    /// it. Blocks.
    ///
    /// # Errors
    /// [`MasterKeyError::File`], [`MasterKeyError::Damaged`].
    pub fn in_file(path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |source| MasterKeyError::File {
            path: path.to_owned(),
            source,
        };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let bytes = from_hex(text.trim());
                let bytes = bytes.ok_or_else(|| MasterKeyError::Damaged(path.to_owned()))?;
                return Ok(Self::new(&bytes));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let bytes = random_bytes().map_err(|error| failed(std::io::Error::other(error)))?;
        // Whole or not at all: half a key would be no key for ever.
        let draft = path.with_extension("tmp");
        let written = write_private(&draft, &to_hex(&bytes));
        written
            .and_then(|()| std::fs::rename(&draft, path))
            .and_then(|()| sync_folder(path))
            .map_err(failed)?;
        Ok(Self::new(&bytes))
    }

    /// Seals bytes for the place that `context` names.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, NoRandomness> {
        Ok(self.seal_with(random_bytes()?, context, plain))
    }

    fn seal_with(&self, nonce: [u8; NONCE_LEN], context: &str, plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + TAG_BYTES);
        sealed.extend_from_slice(plain);
        let tag = self.seal.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context.as_bytes()),
            &mut sealed,
        );
        // Fails for 256 GiB and more, which no memory holds.
        sealed.extend_from_slice(tag.expect("it is short enough").as_ref());
        sealed.extend_from_slice(&nonce);
        sealed
    }

    /// Opens what [`MasterKey::seal`] made for the same place.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(&self, context: &str, mut sealed: Vec<u8>) -> Result<Vec<u8>, NotOpened> {
        let begin = sealed.len().checked_sub(NONCE_LEN).ok_or(NotOpened)?;
        let nonce = Nonce::try_assume_unique_for_key(&sealed[begin..]).map_err(|_| NotOpened)?;
        sealed.truncate(begin);
        let context = Aad::from(context.as_bytes());
        let opened = self.seal.open_in_place(nonce, context, &mut sealed);
        let bytes = opened.map_err(|_| NotOpened)?.len();
        sealed.truncate(bytes);
        Ok(sealed)
    }

    /// [`MasterKey::seal`] for text, which gives the same for the same text in the same place: so
    /// that two versions can be told to be the same, and nothing else of them.
    ///
    /// The nonce is taken from the text and its place, as in RFC 5297: only what is the same can
    /// have the same one.
    pub fn seal_text(&self, context: &str, plain: &Plain) -> Sealed {
        let mut hashed = hmac::Context::with_key(&self.nonces);
        hashed.update(&(context.len() as u64).to_le_bytes());
        hashed.update(context.as_bytes());
        hashed.update(plain.0.as_bytes());
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&hashed.sign().as_ref()[..NONCE_LEN]);
        let sealed = self.seal_with(nonce, context, plain.0.as_bytes());
        Sealed(STANDARD.encode(sealed))
    }

    /// [`MasterKey::open`] for text.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open_text(&self, context: &str, sealed: &Sealed) -> Result<Plain, NotOpened> {
        let sealed = STANDARD.decode(&sealed.0).map_err(|_| NotOpened)?;
        let opened = self.open(context, sealed)?;
        String::from_utf8(opened).map(Plain).map_err(|_| NotOpened)
    }
}

impl MasterKey {
    /// [`MasterKey::seal_text`] for texts by name, each for its own place with `owner`.
    pub fn seal_all(
        &self,
        owner: &str,
        plain: &BTreeMap<String, Plain>,
    ) -> BTreeMap<String, Sealed> {
        let seal = |(name, text): (&String, &Plain)| {
            let sealed = self.seal_text(&format!("{owner}/{name}"), text);
            (name.clone(), sealed)
        };
        plain.iter().map(seal).collect()
    }

    /// Opens what [`MasterKey::seal_all`] made for the same owner.
    ///
    /// # Errors
    /// [`NotOpened`], if any of them is not opened.
    pub fn open_all(
        &self,
        owner: &str,
        sealed: &BTreeMap<String, Sealed>,
    ) -> Result<BTreeMap<String, Plain>, NotOpened> {
        let open = |(name, text): (&String, &Sealed)| {
            let opened = self.open_text(&format!("{owner}/{name}"), text)?;
            Ok((name.clone(), opened))
        };
        sealed.iter().map(open).collect()
    }
}

impl FromStr for MasterKey {
    type Err = InvalidMasterKey;

    fn from_str(text: &str) -> Result<Self, InvalidMasterKey> {
        let bytes = from_hex(text.trim()).ok_or(InvalidMasterKey)?;
        Ok(Self::new(&bytes))
    }
}

/// Writes a new file that only its owner may read.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    // One that was left over may be readable by others.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
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
