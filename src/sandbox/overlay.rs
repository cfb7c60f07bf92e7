//! Overlays: what a deployment's memory has that the engine snapshot has not.
//!
//! A small function differs from the engine in a few kilobytes. That is all that is stored of it,
//! and, until it is called often, all that is kept of it in memory (ADR 0010).

use std::ops::Range;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// What a stored overlay begins with.
const MAGIC: &[u8; 8] = b"AMPOVL\x001";
/// Magic, size of the memory (u64), SHA-256 of the parts.
const HEADER_BYTES: usize = 8 + 8 + 32;
/// Before each part: its address and its length (u32 each).
const PART_HEADER_BYTES: usize = 8;
/// What is compared at once.
const PAGE: usize = 4 << 10;
/// What a difference is measured in.
const WORD: usize = 8;
/// Equal bytes between two differences that are copied rather than skipped: a part of its own
/// costs about as much as copying these.
const GAP_BYTES: usize = 128;

/// The difference between two memories. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Overlay {
    memory_bytes: usize,
    parts: Bytes,
}

impl Overlay {
    /// What `memory`, which begins at `address`, has that `base`, which begins at 0, has not.
    pub(super) fn between(base: &[u8], address: usize, memory: &[u8]) -> Self {
        let mut parts = Vec::new();
        for run in differences(base, address, memory) {
            put(&mut parts, address + run.start, &memory[run]);
        }
        Self {
            memory_bytes: address + memory.len(),
            parts: parts.into(),
        }
    }

    /// Size of the memory, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// The parts, as `apply-overlay` of `wit/world.wit` takes them.
    pub(super) fn parts(&self) -> &[u8] {
        &self.parts
    }

    /// The whole memory, at least `bytes_min` bytes of it.
    pub(super) fn apply(&self, base: &[u8], bytes_min: usize) -> Vec<u8> {
        let mut memory = base.to_vec();
        memory.resize(self.memory_bytes.max(bytes_min).max(base.len()), 0);
        let mut rest: &[u8] = &self.parts;
        while let Some((address, bytes, after)) = split(rest) {
            memory[address..address + bytes.len()].copy_from_slice(bytes);
            rest = after;
        }
        memory
    }

    /// The form in which it is stored.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(HEADER_BYTES + self.parts.len());
        encoded.extend_from_slice(MAGIC);
        encoded.extend_from_slice(&(self.memory_bytes as u64).to_le_bytes());
        encoded.extend_from_slice(&Sha256::digest(&self.parts));
        encoded.extend_from_slice(&self.parts);
        encoded
    }

    /// Reads what [`Overlay::encode`] wrote.
    ///
    /// # Errors
    /// If it is not an overlay, or not whole.
    pub(super) fn decode(encoded: &[u8]) -> Result<Self> {
        let Some((header, parts)) = encoded.split_at_checked(HEADER_BYTES) else {
            bail!("an overlay of {} bytes", encoded.len());
        };
        let (magic, header) = header.split_at(MAGIC.len());
        ensure!(magic == MAGIC, "not an overlay");
        let (size, digest) = header.split_at(8);
        ensure!(
            Sha256::digest(parts).as_slice() == digest,
            "an overlay that is not as it was written"
        );
        let memory_bytes = usize::try_from(u64::from_le_bytes(size.try_into()?))?;
        check(parts, memory_bytes)?;
        Ok(Self {
            memory_bytes,
            parts: Bytes::copy_from_slice(parts),
        })
    }
}

/// Checks that parts are whole, and within the memory.
fn check(parts: &[u8], memory_bytes: usize) -> Result<()> {
    let mut rest = parts;
    while let Some((address, bytes, after)) = split(rest) {
        ensure!(
            address + bytes.len() <= memory_bytes,
            "a part beyond the end of memory"
        );
        rest = after;
    }
    ensure!(rest.is_empty(), "a part that is not whole");
    Ok(())
}

fn put(parts: &mut Vec<u8>, address: usize, bytes: &[u8]) {
    for number in [address, bytes.len()] {
        // A guest's memory has 32-bit addresses.
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        parts.extend_from_slice(&number.to_le_bytes());
    }
    parts.extend_from_slice(bytes);
}

/// The first part, its address before it, and what follows; `None` if there is no whole one.
fn split(parts: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let (header, rest) = parts.split_at_checked(PART_HEADER_BYTES)?;
    let number = |at: usize| {
        let bytes = header[at..at + 4].try_into().unwrap_or_default();
        usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
    };
    let (bytes, after) = rest.split_at_checked(number(4))?;
    Some((number(0), bytes, after))
}

/// Ranges of `memory` that differ from `base`, in order, with [`GAP_BYTES`] between them.
fn differences(base: &[u8], address: usize, memory: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let old = |from: usize, to: usize| {
        let end = base.len();
        &base[(address + from).min(end)..(address + to).min(end)]
    };
    for from in (0..memory.len()).step_by(PAGE) {
        let to = memory.len().min(from + PAGE);
        if is_same(old(from, to), &memory[from..to]) {
            continue;
        }
        for from in (from..to).step_by(WORD) {
            let to = to.min(from + WORD);
            if is_same(old(from, to), &memory[from..to]) {
                continue;
            }
            match runs.last_mut() {
                Some(last) if from - last.end <= GAP_BYTES => last.end = to,
                _ => runs.push(from..to),
            }
        }
    }
    runs
}

/// Whether both are the same, where the old memory has zeros beyond its end.
fn is_same(old: &[u8], new: &[u8]) -> bool {
    let (within, beyond) = new.split_at(old.len());
    within == old && beyond.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests;
