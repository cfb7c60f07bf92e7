//! Interface `cache`: the bytes that the invocations of a workspace hand on to each other.
//!
//! Who holds them, and for how long they are kept, is decided where the grant is made.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::State;
use super::bindings::ampoule::host::cache;
use crate::limits::WORKSPACE_CACHE_BYTES_MAX;

/// What one invocation may read and write: the cache of its workspace, which it holds.
#[derive(Debug, Clone)]
pub struct CacheGrant {
    before: Bytes,
    after: Arc<Mutex<Option<Bytes>>>,
}

impl CacheGrant {
    /// A grant of what the last invocation wrote; empty if none did.
    pub fn new(before: Bytes) -> Self {
        Self {
            before,
            after: Arc::default(),
        }
    }

    /// What was written last, once.
    pub fn take_written(&self) -> Option<Bytes> {
        let mut after = self.after.lock().unwrap_or_else(PoisonError::into_inner);
        after.take()
    }

    /// Writes as a function would.
    #[cfg(test)]
    pub(crate) fn write_for_test(&self, value: Bytes) {
        let mut after = self.after.lock().unwrap_or_else(PoisonError::into_inner);
        *after = Some(value);
    }
}

impl cache::Host for State {
    fn read(&mut self) -> wasmtime::Result<Option<Vec<u8>>> {
        self.count_host_call();
        let grant = self.grants.cache.as_ref();
        Ok(grant.map(|grant| grant.before.to_vec()))
    }

    fn write(&mut self, value: Vec<u8>) -> wasmtime::Result<Result<(), cache::Error>> {
        self.count_host_call();
        let Some(grant) = &self.grants.cache else {
            return Ok(Err(cache::Error::NotHeld));
        };
        if value.len() > WORKSPACE_CACHE_BYTES_MAX {
            return Ok(Err(cache::Error::TooLarge));
        }
        let mut after = grant.after.lock().unwrap_or_else(PoisonError::into_inner);
        *after = Some(Bytes::from(value));
        Ok(Ok(()))
    }

    fn bytes_max(&mut self) -> wasmtime::Result<u32> {
        Ok(u32::try_from(WORKSPACE_CACHE_BYTES_MAX)?)
    }
}
