//! A deployment ready to run.
//!
//! Sandboxes of a function that is called now and then start from the engine's memory, and the
//! function's overlay is copied over it. One that is called often has memory of its own, which is
//! mapped copy-on-write, so that nothing is copied that is not written to (ADR 0010).

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Result;

use super::engine::Floor;
use super::guest::{GuestPre, Sandbox};
use super::overlay::Overlay;
use super::{Domain, Engine};
use crate::limits::OWN_IMAGES_MAX;

/// Invocations of a server among which a function's are counted.
const WINDOW: u64 = 1024;
/// Invocations among [`WINDOW`] that get a function memory of its own: only [`OWN_IMAGES_MAX`]
/// functions can have so many at once.
const OFTEN: u64 = WINDOW / OWN_IMAGES_MAX as u64;
/// Fuel for applying an overlay; the function's own is counted from there.
const APPLY_FUEL: u64 = 1 << 40;

/// A deployment's image. Cheap to clone.
#[derive(Clone)]
pub struct Image {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) engine: Engine,
    /// Size of the memory that a sandbox starts with, in bytes.
    pub(super) memory_bytes: usize,
    /// The deployment's files.
    pub(super) files: Option<PathBuf>,
    overlay: Overlay,
    floor: Arc<Floor>,
    own: RwLock<Option<Arc<GuestPre>>>,
    /// Whether memory of its own is being made.
    is_making: AtomicBool,
    heat: Heat,
}

impl Image {
    /// Makes an image from a snapshot that the same engine took. Blocks a millisecond or two for
    /// the first of a domain, and some more if the snapshot is so large that it gets memory of its
    /// own at once.
    ///
    /// # Errors
    /// If the snapshot is not one of this engine, or is damaged, or its memory cannot be made.
    pub fn new(
        engine: &Engine,
        domain: &Domain,
        snapshot: &[u8],
        files: Option<PathBuf>,
    ) -> Result<Self> {
        let overlay = Overlay::decode(snapshot)?;
        let fits = engine.has_room_for(&overlay);
        let inner = Arc::new(Inner {
            engine: engine.clone(),
            memory_bytes: engine.memory_bytes(&overlay),
            files,
            overlay,
            floor: engine.floor(domain)?,
            own: RwLock::default(),
            is_making: AtomicBool::new(!fits),
            heat: Heat::default(),
        });
        if !fits {
            inner.make_own()?;
        }
        Ok(Self { inner })
    }

    /// Whether it has memory of its own by now.
    pub fn has_own_memory(&self) -> bool {
        self.inner.own().is_some()
    }

    /// What a sandbox is made from at this moment.
    pub(super) fn place(&self) -> Place {
        match self.inner.own() {
            Some(own) => Place::Own(own),
            None => Place::Floor(Arc::clone(&self.inner.floor)),
        }
    }

    /// Counts an invocation.
    pub(super) fn count(&self) {
        self.inner.count();
    }

    /// Copies the overlay to where it belongs, in a sandbox that has none of it.
    pub(super) async fn complete(
        &self,
        sandbox: &mut Sandbox,
        place: &Place,
        fuel: u64,
    ) -> wasmtime::Result<()> {
        let Place::Floor(_) = place else {
            return Ok(());
        };
        let Sandbox { store, guest, .. } = sandbox;
        store.set_fuel(APPLY_FUEL)?;
        let parts = self.inner.overlay.parts();
        guest.call_apply_overlay(&mut *store, parts).await?;
        store.set_fuel(fuel)
    }
}

/// What a sandbox was made from.
pub(super) enum Place {
    /// The image of the deployment.
    Own(Arc<GuestPre>),
    /// What all deployments of a tenant begin with.
    Floor(Arc<Floor>),
}

impl Place {
    /// Where it is to be taken back.
    pub(super) fn pre(&self) -> &GuestPre {
        match self {
            Self::Own(pre) | Self::Floor(pre) => pre,
        }
    }
}

impl Inner {
    fn own(&self) -> Option<Arc<GuestPre>> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        own.clone()
    }

    fn set_own(&self, pre: Option<Arc<GuestPre>>) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *own, pre);
        drop(own);
        // With its sandboxes, for which nobody is to wait.
        drop(old);
    }

    /// Blocks some milliseconds.
    fn make_own(&self) -> Result<()> {
        self.set_own(Some(self.engine.own_image(&self.overlay)?));
        Ok(())
    }

    /// Gives the memory back; the next sandboxes start from the overlay again.
    pub(super) fn drop_own(&self) {
        self.set_own(None);
        self.is_making.store(false, Ordering::Relaxed);
    }

    /// Counts an invocation, and has memory made once there were enough of them.
    fn count(self: &Arc<Self>) {
        if !self.heat.beat(self.engine.tick()) || self.is_making.swap(true, Ordering::Relaxed) {
            return;
        }
        let inner = Arc::clone(self);
        // Nobody waits for it, at shutdown neither: it can be made again at any time.
        drop(tokio::task::spawn_blocking(move || {
            match inner.make_own() {
                Ok(()) => inner.engine.keep_own(&inner),
                Err(error) => tracing::warn!(%error, "a function gets no memory of its own"),
            }
        }));
    }
}

/// How often a function is called, compared to the others.
#[derive(Default)]
struct Heat {
    /// The server's count when counting began.
    since: AtomicU64,
    count: AtomicU64,
}

impl Heat {
    /// Counts an invocation, the `tick`th of the server; true if there are many of late.
    ///
    /// Two at once may be counted as one: nothing depends on the exact number.
    fn beat(&self, tick: u64) -> bool {
        if tick.wrapping_sub(self.since.load(Ordering::Relaxed)) < WINDOW {
            return self.count.fetch_add(1, Ordering::Relaxed) + 1 >= OFTEN;
        }
        self.since.store(tick, Ordering::Relaxed);
        self.count.store(1, Ordering::Relaxed);
        OFTEN <= 1
    }
}

#[cfg(test)]
mod tests {
    use super::{Heat, OFTEN, WINDOW};

    #[test]
    fn only_a_function_that_is_called_often_gets_memory_of_its_own() {
        let often = Heat::default();
        let beats = (0..OFTEN).filter(|tick| often.beat(*tick)).count();
        assert_eq!(beats, 1, "the last of them");
        let rarely = Heat::default();
        let every = WINDOW / OFTEN + 2;
        assert!((0..10_000).all(|turn| !rarely.beat(turn * every)));
    }
}
