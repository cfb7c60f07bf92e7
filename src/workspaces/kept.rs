//! What is kept in memory of workspaces that are used: the list of their functions, and the cache
//! that these share.
//!
//! One run at a time holds a cache; the others wait in their order. What nobody has used for some
//! time is dropped, and the longest unused goes first when there are too many or they are too
//! large. What a run has in its hands is never dropped under it.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::manifest::Manifest;
use crate::error::{Code, Error};
use crate::host::CacheGrant;
use crate::id::DeploymentId;
use crate::limits::{
    WORKSPACE_CACHE_QUEUE_LEN, WORKSPACE_CACHES_BYTES_MAX, WORKSPACE_CACHES_QUEUE_LEN,
};

/// One workspace in memory: a version of it, because code never meets what other code has cached.
pub(super) struct Kept {
    pub(super) manifest: Manifest,
    cache: Arc<AsyncMutex<Bytes>>,
    /// Runs that wait for the cache.
    waiting: AtomicUsize,
    /// Size of the cache, in bytes.
    bytes: AtomicUsize,
    /// The sizes of all caches together.
    total: Arc<AtomicUsize>,
    /// When it was last used, Unix milliseconds.
    used_ms: AtomicU64,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.total
            .fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// All workspaces in memory.
pub(super) struct Shelf {
    kept_max: usize,
    idle_ms: u64,
    bytes_max: usize,
    total: Arc<AtomicUsize>,
    /// Runs that may wait for any cache.
    queue: Semaphore,
    all: Mutex<HashMap<DeploymentId, Arc<Kept>>>,
}

/// A cache in the hands of one run.
pub(super) struct Held {
    kept: Arc<Kept>,
    cache: OwnedMutexGuard<Bytes>,
    grant: CacheGrant,
}

impl Shelf {
    /// A shelf for `kept_max` workspaces, each of which is dropped `idle_ms` after its last use.
    pub(super) fn new(kept_max: usize, idle_ms: u64) -> Self {
        Self {
            kept_max,
            idle_ms,
            bytes_max: WORKSPACE_CACHES_BYTES_MAX,
            total: Arc::default(),
            queue: Semaphore::new(WORKSPACE_CACHES_QUEUE_LEN),
            all: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeploymentId, Arc<Kept>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The workspace of this deployment, if it is here and not idle for too long.
    pub(super) fn find(&self, id: &DeploymentId, now_ms: u64) -> Option<Arc<Kept>> {
        let mut all = self.lock();
        if all.get(id).is_some_and(|kept| self.is_idle(kept, now_ms)) {
            all.remove(id);
        }
        let kept = all.get(id)?;
        kept.used_ms.store(now_ms, Ordering::Relaxed);
        Some(Arc::clone(kept))
    }

    /// Puts a workspace here, with an empty cache, unless somebody else has meanwhile.
    pub(super) fn add(&self, id: DeploymentId, manifest: Manifest, now_ms: u64) -> Arc<Kept> {
        let mut all = self.lock();
        all.retain(|_, kept| !self.is_idle(kept, now_ms));
        while all.len() >= self.kept_max && !all.contains_key(&id) {
            let Some(oldest) = oldest(&all, |_| true) else {
                break;
            };
            all.remove(&oldest);
        }
        let kept = match all.entry(id) {
            Place::Occupied(there) => Arc::clone(there.get()),
            Place::Vacant(place) => Arc::clone(place.insert(Arc::new(Kept {
                manifest,
                cache: Arc::default(),
                waiting: AtomicUsize::new(0),
                bytes: AtomicUsize::new(0),
                total: Arc::clone(&self.total),
                used_ms: AtomicU64::new(now_ms),
            }))),
        };
        kept.used_ms.store(now_ms, Ordering::Relaxed);
        kept
    }

    /// Drops a workspace that is no more. Runs in progress keep what they hold.
    pub(super) fn forget(&self, id: &DeploymentId) {
        self.lock().remove(id);
    }

    /// Waits for the cache of a workspace.
    ///
    /// # Errors
    /// `tenant_busy` when too many wait already; `wall_exceeded` at `deadline`.
    /// # Cancel safety
    /// Safe: whoever is dropped waits no longer.
    pub(super) async fn hold(&self, kept: &Arc<Kept>, deadline: Instant) -> Result<Held, Error> {
        let cache = match Arc::clone(&kept.cache).try_lock_owned() {
            Ok(cache) => cache,
            Err(_taken) => self.wait(kept, deadline).await?,
        };
        Ok(Held {
            grant: CacheGrant::new(cache.clone()),
            kept: Arc::clone(kept),
            cache,
        })
    }

    async fn wait(
        &self,
        kept: &Arc<Kept>,
        deadline: Instant,
    ) -> Result<OwnedMutexGuard<Bytes>, Error> {
        let full = |max: usize| {
            let detail = format!("{max} of {max} runs wait for the cache already");
            Error::new(Code::TenantBusy, detail)
        };
        let Ok(_place) = self.queue.try_acquire() else {
            return Err(full(WORKSPACE_CACHES_QUEUE_LEN));
        };
        let _waiting = Waiting::new(kept).ok_or_else(|| full(WORKSPACE_CACHE_QUEUE_LEN))?;
        let cache = timeout_at(deadline, Arc::clone(&kept.cache).lock_owned()).await;
        cache.map_err(|_elapsed| {
            let detail = "another run of the workspace held its cache for all of that time";
            Error::new(Code::WallExceeded, detail)
        })
    }

    /// Takes a cache back after a run. `is_over` says that the run ended by itself: only then
    /// what it wrote counts.
    pub(super) fn put_back(&self, mut held: Held, is_over: bool, now_ms: u64) {
        let kept = &held.kept;
        kept.used_ms.store(now_ms, Ordering::Relaxed);
        let Some(written) = held.grant.take_written().filter(|_| is_over) else {
            return;
        };
        self.total.fetch_add(written.len(), Ordering::Relaxed);
        let before = kept.bytes.swap(written.len(), Ordering::Relaxed);
        self.total.fetch_sub(before, Ordering::Relaxed);
        *held.cache = written;
        drop(held);
        self.make_room();
    }

    /// Drops what was not used for longest until all caches together are small enough.
    fn make_room(&self) {
        while self.total.load(Ordering::Relaxed) > self.bytes_max {
            let mut all = self.lock();
            let has_cache = |kept: &Kept| kept.bytes.load(Ordering::Relaxed) > 0;
            let Some(oldest) = oldest(&all, has_cache) else {
                return;
            };
            all.remove(&oldest);
        }
    }

    fn is_idle(&self, kept: &Arc<Kept>, now_ms: u64) -> bool {
        let since = now_ms.saturating_sub(kept.used_ms.load(Ordering::Relaxed));
        is_unused(kept) && since >= self.idle_ms
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().len()
    }
}

impl Held {
    /// What the run gets.
    pub(super) fn grant(&self) -> CacheGrant {
        self.grant.clone()
    }
}

/// Whether only the shelf has it. Others get it from the shelf alone, whose lock is held.
fn is_unused(kept: &Arc<Kept>) -> bool {
    Arc::strong_count(kept) == 1
}

/// The one that nobody uses and was not used for longest.
fn oldest(
    all: &HashMap<DeploymentId, Arc<Kept>>,
    counts: impl Fn(&Kept) -> bool,
) -> Option<DeploymentId> {
    let unused = all
        .iter()
        .filter(|(_, kept)| is_unused(kept) && counts(kept));
    let oldest = unused.min_by_key(|(_, kept)| kept.used_ms.load(Ordering::Relaxed));
    oldest.map(|(id, _)| *id)
}

/// A place in the queue for one cache.
struct Waiting<'a>(&'a Kept);

impl<'a> Waiting<'a> {
    fn new(kept: &'a Kept) -> Option<Self> {
        let before = kept.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(kept);
        (before < WORKSPACE_CACHE_QUEUE_LEN).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const IDLE_MS: u64 = 1000;

    fn manifest() -> Manifest {
        Manifest {
            builtins: Vec::new(),
            functions: Vec::new(),
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// A run that writes what it is given, if anything.
    async fn run(shelf: &Shelf, kept: &Arc<Kept>, write: Option<&[u8]>, now_ms: u64) -> Bytes {
        let held = shelf.hold(kept, soon()).await.unwrap();
        let before = held.cache.clone();
        if let Some(bytes) = write {
            held.grant.write_for_test(Bytes::copy_from_slice(bytes));
        }
        shelf.put_back(held, true, now_ms);
        before
    }

    #[tokio::test]
    async fn what_a_run_writes_the_next_one_finds_unless_it_was_ended() {
        let shelf = Shelf::new(10, IDLE_MS);
        let kept = shelf.add(DeploymentId::new(0), manifest(), 0);
        assert_eq!(run(&shelf, &kept, Some(b"one"), 0).await, "");
        assert_eq!(run(&shelf, &kept, None, 0).await, "one");
        let held = shelf.hold(&kept, soon()).await.unwrap();
        held.grant.write_for_test(Bytes::from_static(b"half"));
        shelf.put_back(held, false, 0);
        let held = shelf.hold(&kept, soon()).await.unwrap();
        held.grant.write_for_test(Bytes::from_static(b"dropped"));
        drop(held);
        assert_eq!(run(&shelf, &kept, None, 0).await, "one");
        assert_eq!(shelf.total.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_cache_is_lost_when_it_is_idle_and_not_before() {
        let shelf = Shelf::new(10, IDLE_MS);
        let id = DeploymentId::new(0);
        let kept = shelf.add(id, manifest(), 0);
        run(&shelf, &kept, Some(b"one"), 0).await;
        drop(kept);
        let kept = shelf.find(&id, IDLE_MS - 1).unwrap();
        assert_eq!(run(&shelf, &kept, None, IDLE_MS - 1).await, "one");
        let held = shelf.hold(&kept, soon()).await.unwrap();
        drop(kept);
        assert!(shelf.find(&id, 10 * IDLE_MS).is_some(), "it is in use");
        drop(held);
        assert!(shelf.find(&id, 12 * IDLE_MS).is_none());
        assert_eq!(shelf.total.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn the_longest_unused_goes_when_there_are_too_many() {
        let shelf = Shelf::new(2, u64::MAX);
        let ids: Vec<DeploymentId> = (0..3).map(DeploymentId::new).collect();
        for (at, id) in ids.iter().take(2).enumerate() {
            let kept = shelf.add(*id, manifest(), at as u64);
            run(&shelf, &kept, Some(b"x"), at as u64).await;
        }
        drop(shelf.find(&ids[0], 5));
        drop(shelf.add(ids[2], manifest(), 6));
        assert!(shelf.find(&ids[0], 7).is_some() && shelf.find(&ids[1], 7).is_none());
        // Those in use stay, and the shelf grows with them.
        let first = shelf.find(&ids[0], 8).unwrap();
        let third = shelf.find(&ids[2], 8).unwrap();
        drop(shelf.add(ids[1], manifest(), 9));
        assert_eq!(shelf.len(), 3);
        drop((first, third));
    }

    #[tokio::test]
    async fn caches_that_are_too_large_together_push_out_the_oldest() {
        let mut shelf = Shelf::new(10, u64::MAX);
        shelf.bytes_max = 10;
        let ids: Vec<DeploymentId> = (0..3).map(DeploymentId::new).collect();
        for (at, id) in ids.iter().enumerate() {
            let kept = shelf.add(*id, manifest(), at as u64);
            run(&shelf, &kept, Some(b"12345"), at as u64).await;
        }
        let is_there = |id: &DeploymentId| shelf.find(id, 9).is_some();
        let there: Vec<bool> = ids.iter().map(is_there).collect();
        assert_eq!(there, [false, true, true]);
        assert_eq!(shelf.total.load(Ordering::Relaxed), 10);
    }

    #[tokio::test]
    async fn whoever_waits_too_long_or_behind_too_many_is_told() {
        let shelf = Shelf::new(10, u64::MAX);
        let kept = shelf.add(DeploymentId::new(0), manifest(), 0);
        let held = shelf.hold(&kept, soon()).await.unwrap();
        let error = shelf.hold(&kept, Instant::now()).await.err().unwrap();
        assert_eq!(error.code, Code::WallExceeded);
        let mut waiting: Vec<_> = (0..WORKSPACE_CACHE_QUEUE_LEN)
            .map(|_| Box::pin(shelf.hold(&kept, soon())))
            .collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        let error = shelf.hold(&kept, soon()).await.err().unwrap();
        assert_eq!(error.code, Code::TenantBusy);
        waiting.pop();
        drop(held);
        for one in waiting {
            shelf.put_back(one.await.unwrap(), true, 0);
        }
        assert!(shelf.hold(&kept, soon()).await.is_ok());
    }
}
