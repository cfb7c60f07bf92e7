//! What functions' names resolve to, in memory: the hot path reads no table.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::Deployment;
use crate::id::{FunctionName, TenantId};

/// Most functions kept in memory; when there are more, all are read anew.
pub(super) const CACHE_LEN_MAX: usize = 10_000;

/// What a function's name resolves to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// The active version.
    pub active: Arc<Deployment>,
    /// Another version that answers so many of a hundred invocations.
    pub split: Option<(Arc<Deployment>, u8)>,
    /// Whether the function may be invoked at all.
    pub enabled: bool,
}

impl Serving {
    /// The version that answers an invocation which drew `percent`, 0 to 99.
    pub fn choose(&self, percent: u8) -> &Arc<Deployment> {
        match &self.split {
            Some((other, weight)) if percent < *weight => other,
            _ => &self.active,
        }
    }
}

/// A committed change of what a function's name resolves to.
pub(in crate::store) enum Activation {
    /// It resolves to this now.
    To(Arc<Serving>),
    /// This function has no active deployment any more.
    Gone(TenantId, FunctionName),
}

/// What names resolve to, in memory.
///
/// The generation rises with every change, under the lock: what a reader found in the tables is
/// put in only if nothing was changed since before it looked.
#[derive(Default)]
pub(in crate::store) struct ActiveCache {
    generation: AtomicU64,
    entries: RwLock<CacheEntries>,
}

#[derive(Default)]
struct CacheEntries {
    tenants: HashMap<TenantId, HashMap<FunctionName, Arc<Serving>>>,
    len: usize,
}

impl CacheEntries {
    fn insert(&mut self, serving: Arc<Serving>) {
        if self.len >= CACHE_LEN_MAX {
            *self = Self::default();
        }
        let (tenant, function) = (&serving.active.tenant, &serving.active.function);
        let functions = self.tenants.entry(tenant.clone()).or_default();
        if functions.insert(function.clone(), serving).is_none() {
            self.len += 1;
        }
    }

    fn remove(&mut self, tenant: &TenantId, function: &FunctionName) {
        let Some(functions) = self.tenants.get_mut(tenant) else {
            return;
        };
        if functions.remove(function).is_some() {
            self.len -= 1;
        }
        if functions.is_empty() {
            self.tenants.remove(tenant);
        }
    }
}

impl ActiveCache {
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn get(&self, tenant: &TenantId, function: &FunctionName) -> Option<Arc<Serving>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.tenants.get(tenant)?.get(function).map(Arc::clone)
    }

    /// Puts in what was read from the tables, if `generation` is still the present one.
    pub(super) fn fill(&self, generation: u64, serving: Arc<Serving>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if self.generation() == generation {
            entries.insert(serving);
        }
    }

    /// Takes over changes that are committed, in their order.
    pub(in crate::store) fn apply(&self, activations: Vec<Activation>) {
        if activations.is_empty() {
            return;
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::AcqRel);
        for activation in activations {
            match activation {
                Activation::To(serving) => entries.insert(serving),
                Activation::Gone(tenant, function) => entries.remove(&tenant, &function),
            }
        }
    }

    /// Forgets everything.
    pub(in crate::store) fn clear(&self) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::AcqRel);
        *entries = CacheEntries::default();
    }

    /// How many functions it says it has, and how many it has.
    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize) {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let counted = entries.tenants.values().map(HashMap::len).sum();
        (entries.len, counted)
    }
}
