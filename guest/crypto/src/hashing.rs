//! Hashes and HMAC, at once and in pieces.

use digest::{Digest, DynDigest};

use crate::{Answer, Arguments, Failure};

/// A hash whose kind is known at run time only.
pub type Hasher = Box<dyn DynDigest>;

/// The longest block of any hash here: that of SHA3-224.
const BLOCK_BYTES_MAX: usize = 144;

/// Calls `$then!(Hash, block bytes)` with the hash of this name.
macro_rules! with_hash {
    ($name:expr, $then:ident, $otherwise:expr) => {
        match $name {
            "md5" => $then!(md5::Md5, 64),
            "ripemd160" => $then!(ripemd::Ripemd160, 64),
            "sha1" => $then!(sha1::Sha1, 64),
            "sha224" => $then!(sha2::Sha224, 64),
            "sha256" => $then!(sha2::Sha256, 64),
            "sha384" => $then!(sha2::Sha384, 128),
            "sha512" => $then!(sha2::Sha512, 128),
            "sha512-224" => $then!(sha2::Sha512_224, 128),
            "sha512-256" => $then!(sha2::Sha512_256, 128),
            "sha3-224" => $then!(sha3::Sha3_224, 144),
            "sha3-256" => $then!(sha3::Sha3_256, 136),
            "sha3-384" => $then!(sha3::Sha3_384, 104),
            "sha3-512" => $then!(sha3::Sha3_512, 72),
            _ => $otherwise,
        }
    };
}

/// A new hasher and the length of its blocks in bytes.
pub fn hasher(name: &str) -> Result<(Hasher, usize), Failure> {
    macro_rules! boxed {
        ($hash:ty, $block:literal) => {{
            let hasher: Hasher = Box::new(<$hash>::new());
            Ok((hasher, $block))
        }};
    }
    with_hash!(name, boxed, Err(Failure::Unknown))
}

/// `hash(name, data)`
pub fn hash(arguments: &Arguments<'_>) -> Answer {
    let data = arguments.bytes(1)?;
    macro_rules! digest {
        ($hash:ty, $block:literal) => {
            Ok(<$hash>::digest(data).to_vec())
        };
    }
    with_hash!(arguments.text(0)?, digest, Err(Failure::Unknown))
}

/// A hash or HMAC under way.
pub struct Running {
    inner: Hasher,
    /// Only with a key.
    outer: Option<Hasher>,
}

impl Clone for Running {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.box_clone(),
            outer: self.outer.as_ref().map(|outer| outer.box_clone()),
        }
    }
}

impl Running {
    /// An HMAC (RFC 2104).
    pub fn keyed(name: &str, key: &[u8]) -> Result<Self, Failure> {
        let (mut inner, block) = hasher(name)?;
        let mut padded = [0; BLOCK_BYTES_MAX];
        let padded = &mut padded[..block];
        if key.len() > block {
            let (mut hash, _) = hasher(name)?;
            hash.update(key);
            let short = hash.finalize();
            padded[..short.len()].copy_from_slice(&short);
        } else {
            padded[..key.len()].copy_from_slice(key);
        }
        let mut outer = inner.box_clone();
        padded.iter_mut().for_each(|byte| *byte ^= 0x36);
        inner.update(padded);
        padded.iter_mut().for_each(|byte| *byte ^= 0x36 ^ 0x5c);
        outer.update(padded);
        Ok(Self {
            inner,
            outer: Some(outer),
        })
    }

    /// Takes more data in.
    pub fn update(&mut self, data: &[u8]) {
        self.inner.update(data);
    }

    /// The hash or code.
    pub fn finish(self) -> Vec<u8> {
        let digest = self.inner.finalize();
        let Some(mut outer) = self.outer else {
            return digest.into_vec();
        };
        outer.update(&digest);
        outer.finalize().into_vec()
    }
}

/// `hmac(name, key, data)`
pub fn hmac(arguments: &Arguments<'_>) -> Answer {
    let mut running = Running::keyed(arguments.text(0)?, arguments.bytes(1)?)?;
    running.update(arguments.bytes(2)?);
    Ok(running.finish())
}

/// `hashBegin(name)`, or with a key as second argument an HMAC.
pub fn begin(arguments: &Arguments<'_>) -> Result<Running, Failure> {
    let name = arguments.text(0)?;
    match arguments.given.get(1) {
        Some(key) => Running::keyed(name, key),
        None => Ok(Running {
            inner: hasher(name)?.0,
            outer: None,
        }),
    }
}
