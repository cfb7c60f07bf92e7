//! AES in its modes, and ChaCha20-Poly1305.
//!
//! Padding is taken off and put on here, tags are compared here.

use aes::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use poly1305::Poly1305;

use crate::{Answer, Arguments, Failure};

/// The length of a block of AES, and of every tag at its longest.
const BLOCK: usize = 16;
/// How many blocks of key stream are made at once.
const BLOCKS_AT_ONCE: usize = 32;

type AesBlock = Block<Aes128>;

/// AES with one of its three key lengths.
#[derive(Clone)]
enum Aes {
    Short(Box<Aes128>),
    Middle(Box<Aes192>),
    Long(Box<Aes256>),
}

impl Aes {
    fn new(key: &[u8]) -> Result<Self, Failure> {
        let wrong = |_| Failure::Key;
        Ok(match key.len() {
            16 => Self::Short(Box::new(Aes128::new_from_slice(key).map_err(wrong)?)),
            24 => Self::Middle(Box::new(Aes192::new_from_slice(key).map_err(wrong)?)),
            32 => Self::Long(Box::new(Aes256::new_from_slice(key).map_err(wrong)?)),
            _ => return Err(Failure::Key),
        })
    }

    fn encrypt(&self, blocks: &mut [AesBlock]) {
        match self {
            Self::Short(aes) => aes.encrypt_blocks(blocks),
            Self::Middle(aes) => aes.encrypt_blocks(blocks),
            Self::Long(aes) => aes.encrypt_blocks(blocks),
        }
    }

    fn decrypt(&self, blocks: &mut [AesBlock]) {
        match self {
            Self::Short(aes) => aes.decrypt_blocks(blocks),
            Self::Middle(aes) => aes.decrypt_blocks(blocks),
            Self::Long(aes) => aes.decrypt_blocks(blocks),
        }
    }

    fn encrypt_one(&self, block: [u8; BLOCK]) -> [u8; BLOCK] {
        let mut blocks = [AesBlock::from(block)];
        self.encrypt(&mut blocks);
        blocks[0].into()
    }
}

fn to_blocks(bytes: &[u8]) -> Vec<AesBlock> {
    let whole = bytes.chunks_exact(BLOCK);
    whole
        .map(|chunk| AesBlock::try_from(chunk).expect("a chunk is a block long"))
        .collect()
}

fn from_blocks(blocks: &[AesBlock]) -> Vec<u8> {
    blocks.iter().flatten().copied().collect()
}

fn xor(target: &mut [u8], other: &[u8]) {
    target.iter_mut().zip(other).for_each(|(a, b)| *a ^= b);
}

/// ECB or CBC: whole blocks, with or without padding.
struct Blocks {
    aes: Aes,
    /// The last block of ciphertext; `None` for ECB.
    chain: Option<[u8; BLOCK]>,
    is_encrypting: bool,
    is_padded: bool,
    /// What does not fill a block yet, or might be the padded last one.
    rest: Vec<u8>,
}

impl Blocks {
    fn convert(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut blocks = to_blocks(bytes);
        match (&mut self.chain, self.is_encrypting) {
            (None, true) => self.aes.encrypt(&mut blocks),
            (None, false) => self.aes.decrypt(&mut blocks),
            (Some(chain), true) => {
                for block in &mut blocks {
                    xor(block, chain);
                    self.aes.encrypt(std::slice::from_mut(block));
                    *chain = (*block).into();
                }
            }
            (Some(chain), false) => {
                self.aes.decrypt(&mut blocks);
                for (block, given) in blocks.iter_mut().zip(bytes.chunks_exact(BLOCK)) {
                    xor(block, chain);
                    chain.copy_from_slice(given);
                }
            }
        }
        from_blocks(&blocks)
    }

    fn update(&mut self, data: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(data);
        let mut whole = self.rest.len() / BLOCK * BLOCK;
        // The last block of padded ciphertext is kept back until it is known to be the last.
        if !self.is_encrypting && self.is_padded && whole == self.rest.len() {
            whole = whole.saturating_sub(BLOCK);
        }
        let bytes: Vec<u8> = self.rest.drain(..whole).collect();
        self.convert(&bytes)
    }

    fn finish(mut self) -> Answer {
        let rest = std::mem::take(&mut self.rest);
        if !self.is_padded {
            return match rest.len() {
                0 => Ok(rest),
                _ => Err(Failure::Length),
            };
        }
        if self.is_encrypting {
            let missing = BLOCK - rest.len() % BLOCK;
            let mut last = rest;
            last.resize(last.len() + missing, missing as u8);
            return Ok(self.convert(&last));
        }
        if rest.len() != BLOCK {
            return Err(Failure::Length);
        }
        let mut last = self.convert(&rest);
        let padding = usize::from(last[BLOCK - 1]);
        if !(1..=BLOCK).contains(&padding)
            || last[BLOCK - padding..]
                .iter()
                .any(|&byte| usize::from(byte) != padding)
        {
            return Err(Failure::Authentic);
        }
        last.truncate(BLOCK - padding);
        Ok(last)
    }
}

/// A key stream from a counter: CTR, and what GCM encrypts with.
struct Counter {
    aes: Aes,
    counter: [u8; BLOCK],
    /// How many bytes at the end of the block count: 16 for CTR, 4 for GCM.
    width: usize,
    /// Key stream that was made and not used yet.
    ready: Vec<u8>,
    used: usize,
}

impl Counter {
    fn new(aes: Aes, counter: [u8; BLOCK], width: usize) -> Self {
        Self {
            aes,
            counter,
            width,
            ready: Vec::new(),
            used: 0,
        }
    }

    fn step(&mut self) {
        for byte in self.counter[BLOCK - self.width..].iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }

    fn refill(&mut self, wanted: usize) {
        let count = wanted.div_ceil(BLOCK).clamp(1, BLOCKS_AT_ONCE);
        let mut blocks = Vec::with_capacity(count);
        for _ in 0..count {
            blocks.push(AesBlock::from(self.counter));
            self.step();
        }
        self.aes.encrypt(&mut blocks);
        self.ready = from_blocks(&blocks);
        self.used = 0;
    }

    fn apply(&mut self, data: &mut [u8]) {
        let mut at = 0;
        while at < data.len() {
            if self.used == self.ready.len() {
                self.refill(data.len() - at);
            }
            let len = (self.ready.len() - self.used).min(data.len() - at);
            xor(
                &mut data[at..at + len],
                &self.ready[self.used..self.used + len],
            );
            self.used += len;
            at += len;
        }
    }
}

/// The two hashes of the authenticated modes, which take whole blocks only.
enum Authenticator {
    Gcm(GHash),
    Poly(Box<Poly1305>),
}

/// Bytes gathered into blocks for an [`Authenticator`].
struct Gathering {
    hash: Authenticator,
    rest: Vec<u8>,
}

impl Gathering {
    fn take(&mut self, data: &[u8]) {
        self.rest.extend_from_slice(data);
        let whole = self.rest.len() / BLOCK * BLOCK;
        let blocks = to_blocks(&self.rest[..whole]);
        match &mut self.hash {
            Authenticator::Gcm(hash) => hash.update(&blocks),
            Authenticator::Poly(hash) => hash.update(&blocks),
        }
        self.rest.drain(..whole);
    }

    /// Zeros up to the next block.
    fn pad(&mut self) {
        let missing = (BLOCK - self.rest.len() % BLOCK) % BLOCK;
        self.take(&[0; BLOCK][..missing]);
    }

    fn finish(self) -> [u8; BLOCK] {
        match self.hash {
            Authenticator::Gcm(hash) => hash.finalize().into(),
            Authenticator::Poly(hash) => hash.finalize().into(),
        }
    }
}

enum Stream {
    Aes(Counter),
    ChaCha(Box<ChaCha20>),
}

/// GCM, or ChaCha20-Poly1305.
struct Authenticated {
    stream: Stream,
    gathering: Gathering,
    /// What the tag is encrypted with; zeros for ChaCha20-Poly1305.
    mask: [u8; BLOCK],
    is_encrypting: bool,
    additional_bytes: u64,
    data_bytes: u64,
}

impl Authenticated {
    fn gcm(key: &[u8], iv: &[u8], is_encrypting: bool) -> Result<Self, Failure> {
        let aes = Aes::new(key)?;
        let hash = GHash::new(&aes.encrypt_one([0; BLOCK]).into());
        let mut first = [0; BLOCK];
        if iv.is_empty() {
            return Err(Failure::Length);
        } else if iv.len() == 12 {
            first[..12].copy_from_slice(iv);
            first[BLOCK - 1] = 1;
        } else {
            let mut gathering = Gathering {
                hash: Authenticator::Gcm(hash.clone()),
                rest: Vec::new(),
            };
            gathering.take(iv);
            gathering.pad();
            gathering.take(&(iv.len() as u128 * 8).to_be_bytes());
            first = gathering.finish();
        }
        let mask = aes.encrypt_one(first);
        let mut counter = Counter::new(aes, first, 4);
        counter.step();
        Ok(Self {
            stream: Stream::Aes(counter),
            gathering: Gathering {
                hash: Authenticator::Gcm(hash),
                rest: Vec::new(),
            },
            mask,
            is_encrypting,
            additional_bytes: 0,
            data_bytes: 0,
        })
    }

    fn chacha(key: &[u8], iv: &[u8], is_encrypting: bool) -> Result<Self, Failure> {
        // A shorter nonce has zeros before it, as in OpenSSL.
        if iv.is_empty() || iv.len() > 12 {
            return Err(Failure::Length);
        }
        let mut nonce = [0; 12];
        nonce[12 - iv.len()..].copy_from_slice(iv);
        let mut stream = ChaCha20::new_from_slices(key, &nonce).map_err(|_| Failure::Key)?;
        let mut poly_key = [0; 32];
        stream.apply_keystream(&mut poly_key);
        stream.seek(64_u32);
        Ok(Self {
            stream: Stream::ChaCha(Box::new(stream)),
            gathering: Gathering {
                hash: Authenticator::Poly(Box::new(Poly1305::new(&poly_key.into()))),
                rest: Vec::new(),
            },
            mask: [0; BLOCK],
            is_encrypting,
            additional_bytes: 0,
            data_bytes: 0,
        })
    }

    fn additional(&mut self, data: &[u8]) -> Result<(), Failure> {
        if self.data_bytes > 0 {
            return Err(Failure::Argument);
        }
        self.additional_bytes += data.len() as u64;
        self.gathering.take(data);
        Ok(())
    }

    fn update(&mut self, data: &[u8]) -> Vec<u8> {
        if self.data_bytes == 0 {
            self.gathering.pad();
        }
        self.data_bytes += data.len() as u64;
        let mut bytes = data.to_vec();
        if !self.is_encrypting {
            self.gathering.take(data);
        }
        match &mut self.stream {
            Stream::Aes(counter) => counter.apply(&mut bytes),
            Stream::ChaCha(stream) => stream.apply_keystream(&mut bytes),
        }
        if self.is_encrypting {
            self.gathering.take(&bytes);
        }
        bytes
    }

    /// The tag of what was encrypted; nothing, when `expected` is the tag of what was decrypted.
    fn finish(mut self, expected: &[u8]) -> Answer {
        self.gathering.pad();
        let lengths = [self.additional_bytes, self.data_bytes];
        let tail = match self.gathering.hash {
            Authenticator::Gcm(_) => lengths.map(|len| (len * 8).to_be_bytes()),
            Authenticator::Poly(_) => lengths.map(u64::to_le_bytes),
        };
        self.gathering.take(tail.as_flattened());
        let mut tag = self.gathering.finish();
        xor(&mut tag, &self.mask);
        if self.is_encrypting {
            return Ok(tag.to_vec());
        }
        let differences = tag.iter().zip(expected);
        let difference = differences.fold(0, |all, (a, b)| all | (a ^ b));
        if difference != 0 || !(4..=BLOCK).contains(&expected.len()) {
            return Err(Failure::Authentic);
        }
        Ok(Vec::new())
    }
}

enum Mode {
    Blocks(Blocks),
    Counter(Counter),
    Authenticated(Authenticated),
}

/// A cipher under way.
pub struct Running(Mode);

/// `cipherBegin(mode, key, iv, 1 to encrypt, 1 for padding)`
pub fn begin(arguments: &Arguments<'_>) -> Result<Running, Failure> {
    let (key, iv) = (arguments.bytes(1)?, arguments.bytes(2)?);
    let is_encrypting = arguments.number(3)? == 1;
    let is_padded = arguments.number(4)? == 1;
    let whole = || <[u8; BLOCK]>::try_from(iv).map_err(|_| Failure::Length);
    let blocks = |chain| -> Result<Mode, Failure> {
        Ok(Mode::Blocks(Blocks {
            aes: Aes::new(key)?,
            chain,
            is_encrypting,
            is_padded,
            rest: Vec::new(),
        }))
    };
    Ok(Running(match arguments.text(0)? {
        "ecb" => blocks(None)?,
        "cbc" => blocks(Some(whole()?))?,
        "ctr" => Mode::Counter(Counter::new(Aes::new(key)?, whole()?, BLOCK)),
        "gcm" => Mode::Authenticated(Authenticated::gcm(key, iv, is_encrypting)?),
        "chacha20-poly1305" => Mode::Authenticated(Authenticated::chacha(key, iv, is_encrypting)?),
        _ => return Err(Failure::Unknown),
    }))
}

impl Running {
    /// Data that is authenticated only; before all other.
    pub fn additional(&mut self, data: &[u8]) -> Result<(), Failure> {
        match &mut self.0 {
            Mode::Authenticated(mode) => mode.additional(data),
            Mode::Blocks(_) | Mode::Counter(_) => Err(Failure::Argument),
        }
    }

    /// As much as can be said of the result so far.
    pub fn update(&mut self, data: &[u8]) -> Answer {
        Ok(match &mut self.0 {
            Mode::Blocks(mode) => mode.update(data),
            Mode::Counter(mode) => {
                let mut bytes = data.to_vec();
                mode.apply(&mut bytes);
                bytes
            }
            Mode::Authenticated(mode) => mode.update(data),
        })
    }

    /// The rest of the result, or of an authenticated mode that encrypts, the tag.
    pub fn finish(self, tag: &[u8]) -> Answer {
        match self.0 {
            Mode::Blocks(mode) => mode.finish(),
            Mode::Counter(_) => Ok(Vec::new()),
            Mode::Authenticated(mode) => mode.finish(tag),
        }
    }
}

/// What a wrapped key begins with (RFC 3394).
const WRAP_START: [u8; 8] = [0xa6; 8];

/// `keyWrap(key, data)` (RFC 3394)
pub fn key_wrap(arguments: &Arguments<'_>) -> Answer {
    let aes = Aes::new(arguments.bytes(0)?)?;
    let data = arguments.bytes(1)?;
    if data.len() < 16 || data.len() % 8 != 0 {
        return Err(Failure::Length);
    }
    let mut wrapped = [&WRAP_START[..], data].concat();
    let count = data.len() / 8;
    for step in 1..=6 * count {
        let at = ((step - 1) % count + 1) * 8;
        let mut block = [0; BLOCK];
        block[..8].copy_from_slice(&wrapped[..8]);
        block[8..].copy_from_slice(&wrapped[at..at + 8]);
        block = aes.encrypt_one(block);
        xor(&mut block[..8], &(step as u64).to_be_bytes());
        wrapped[..8].copy_from_slice(&block[..8]);
        wrapped[at..at + 8].copy_from_slice(&block[8..]);
    }
    Ok(wrapped)
}

/// `keyUnwrap(key, wrapped)` (RFC 3394)
pub fn key_unwrap(arguments: &Arguments<'_>) -> Answer {
    let aes = Aes::new(arguments.bytes(0)?)?;
    let mut wrapped = arguments.bytes(1)?.to_vec();
    if wrapped.len() < 24 || wrapped.len() % 8 != 0 {
        return Err(Failure::Length);
    }
    let count = wrapped.len() / 8 - 1;
    for step in (1..=6 * count).rev() {
        let at = ((step - 1) % count + 1) * 8;
        let mut block = [0; BLOCK];
        block[..8].copy_from_slice(&wrapped[..8]);
        block[8..].copy_from_slice(&wrapped[at..at + 8]);
        xor(&mut block[..8], &(step as u64).to_be_bytes());
        let mut blocks = [AesBlock::from(block)];
        aes.decrypt(&mut blocks);
        wrapped[..8].copy_from_slice(&blocks[0][..8]);
        wrapped[at..at + 8].copy_from_slice(&blocks[0][8..]);
    }
    let difference = wrapped
        .iter()
        .zip(WRAP_START)
        .fold(0, |all, (a, b)| all | (a ^ b));
    if difference != 0 {
        return Err(Failure::Authentic);
    }
    Ok(wrapped.split_off(8))
}
