//! A guest, and what is decided before the first of an image is made.
//!
//! As the generated bindings have it, but that an export is looked up when it is called: an
//! invocation calls one or two of the six.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::Store;
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower,
};

use super::memory::{self, Contents, Keeper, Memory, StackRange};
use crate::host::{AmpoulePre, State};
use crate::limits::FUEL_SLICE;

/// Sandboxes of one image that are kept for its next invocations.
const READY_MAX: usize = 32;

/// The exports of the world `ampoule` in `wit/world.wit`.
#[derive(Clone, Copy)]
struct Exports {
    compile: ComponentExportIndex,
    prepare: ComponentExportIndex,
    load: ComponentExportIndex,
    start: ComponentExportIndex,
    resume: ComponentExportIndex,
    apply_overlay: ComponentExportIndex,
}

/// What guests of all images with memories of one size have in common. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shape {
    instance: InstancePre<State>,
    exports: Exports,
}

impl Shape {
    /// Finds the exports.
    ///
    /// # Errors
    /// If the component is not of the world.
    pub(super) fn new(instance: InstancePre<State>) -> wasmtime::Result<Self> {
        AmpoulePre::new(instance.clone())?;
        let find = |name: &str| {
            let index = instance.component().get_export_index(None, name);
            index.ok_or_else(|| wasmtime::format_err!("the guest exports no {name}"))
        };
        let exports = Exports {
            compile: find("compile")?,
            prepare: find("prepare")?,
            load: find("load")?,
            start: find("start")?,
            resume: find("resume")?,
            apply_overlay: find("apply-overlay")?,
        };
        Ok(Self { instance, exports })
    }
}

/// An image with which guests can be made, and those that were and can be used again.
pub(super) struct GuestPre {
    shape: Shape,
    contents: Arc<Contents>,
    ready: Mutex<Ready>,
}

/// Sandboxes that are as new.
#[derive(Default)]
struct Ready {
    /// The one that was used last is the last.
    sandboxes: Vec<Sandbox>,
    /// How many of them nobody has needed since the last [`Keeper::rest`].
    unneeded: usize,
}

/// A guest in its store.
pub(super) struct Sandbox {
    pub(super) store: Store<State>,
    pub(super) guest: Guest,
    /// Where the guest runs.
    stack: Option<StackRange>,
}

/// A guest, to be called with its store.
pub(super) struct Guest {
    instance: Instance,
    exports: Exports,
    memory: Arc<Memory>,
}

impl GuestPre {
    /// Guests whose memories begin with `contents`.
    pub(super) fn new(shape: Shape, contents: Contents) -> Arc<Self> {
        let this = Arc::new(Self {
            shape,
            contents: Arc::new(contents),
            ready: Mutex::default(),
        });
        let keeper: Arc<dyn Keeper> = Arc::clone(&this) as Arc<dyn Keeper>;
        this.contents.pool().add_keeper(Arc::downgrade(&keeper));
        this
    }

    /// A sandbox as new, with its fuel: one that was used and made as new, or another.
    ///
    /// # Errors
    /// When there is no room for a sandbox.
    pub(super) async fn sandbox(&self, mut state: State, fuel: u64) -> wasmtime::Result<Sandbox> {
        let Some(mut sandbox) = self.take_ready() else {
            return self.another(state, fuel).await;
        };
        sandbox.guest.memory.begin();
        state.begin_with(sandbox.guest.memory.initial_bytes());
        *sandbox.store.data_mut() = state;
        sandbox.store.set_fuel(fuel)?;
        Ok(sandbox)
    }

    /// A sandbox that was not used before.
    ///
    /// # Errors
    /// As [`GuestPre::sandbox`].
    pub(super) async fn another(&self, state: State, fuel: u64) -> wasmtime::Result<Sandbox> {
        let shape = &self.shape;
        let mut store = Store::new(shape.instance.engine(), state);
        store.limiter(|state| state);
        store.fuel_async_yield_interval(Some(FUEL_SLICE))?;
        let (instance, memory, stack) = {
            let mut making = pin!(shape.instance.instantiate_async(&mut store));
            let (mut made, mut stack) = (None, None);
            let instance = poll_fn(|context| {
                let poll = || making.as_mut().poll(context);
                let poll = || memory::beginning_with(&self.contents, poll);
                let ((poll, memory), range) = StackRange::of_first(poll);
                made = made.take().or(memory);
                stack = stack.or(range);
                poll
            })
            .await?;
            (instance, made, stack)
        };
        let memory = memory.ok_or_else(|| wasmtime::format_err!("a guest without memory"))?;
        store.set_fuel(fuel)?;
        let guest = Guest {
            instance,
            exports: shape.exports,
            memory,
        };
        Ok(Sandbox {
            store,
            guest,
            stack,
        })
    }

    /// Takes back a sandbox whose guest has returned from its last call, and makes it as new for the
    /// next invocation (ADR 0028). One of which something would stay is dropped.
    pub(super) fn keep(&self, mut sandbox: Sandbox) {
        let state = std::mem::replace(sandbox.store.data_mut(), State::vacant());
        let has_handles = state.has_made_handles();
        drop(state);
        let memory = &sandbox.guest.memory;
        let has_changed = memory.has_changed();
        // Whoever goes deep into the stack meets faults there as well.
        if let Some(stack) = sandbox.stack.filter(|_| has_changed) {
            stack.give_back();
        }
        if has_handles || !memory.renew(has_changed) {
            return;
        }
        let mut ready = self.ready();
        if ready.sandboxes.len() < READY_MAX {
            ready.sandboxes.push(sandbox);
        }
    }

    /// One that can be used again: the last one of this thread, which is in the cache of its processor,
    /// or else the last one.
    fn take_ready(&self) -> Option<Sandbox> {
        let mut ready = self.ready();
        let is_from_here = |sandbox: &Sandbox| sandbox.guest.memory.is_from_here();
        let taken = match ready.sandboxes.iter().rposition(is_from_here) {
            Some(at) => Some(ready.sandboxes.remove(at)),
            None => ready.sandboxes.pop(),
        };
        ready.unneeded = ready.unneeded.min(ready.sandboxes.len());
        taken
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for GuestPre {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let contents = &self.contents;
        f.debug_struct("GuestPre")
            .field("contents", contents)
            .finish_non_exhaustive()
    }
}

impl Keeper for GuestPre {
    fn make_room(&self) -> bool {
        if self.contents.make_room() {
            return true;
        }
        let mut ready = self.ready();
        // The one that was not used for longest.
        let oldest = (!ready.sandboxes.is_empty()).then(|| ready.sandboxes.remove(0));
        ready.unneeded = ready.unneeded.min(ready.sandboxes.len());
        drop(ready);
        oldest.map(Sandbox::discard).is_some()
    }

    fn rest(&self) {
        while self.contents.make_room() {}
        let mut ready = self.ready();
        let unneeded = ready.unneeded.min(ready.sandboxes.len());
        let unneeded: Vec<Sandbox> = ready.sandboxes.drain(..unneeded).collect();
        ready.unneeded = ready.sandboxes.len();
        drop(ready);
        unneeded.into_iter().for_each(Sandbox::discard);
    }
}

impl Drop for GuestPre {
    fn drop(&mut self) {
        // What is ready is dropped next, and need not be made as new.
        self.contents.close();
    }
}

impl Sandbox {
    /// Drops it, and keeps nothing of it.
    fn discard(self) {
        self.guest.memory.discard();
    }
}

impl Guest {
    pub(super) async fn call_compile(&self, store: &mut Store<State>) -> wasmtime::Result<()> {
        self.call(self.exports.compile, store, ()).await
    }

    pub(super) async fn call_prepare(&self, store: &mut Store<State>) -> wasmtime::Result<()> {
        self.call(self.exports.prepare, store, ()).await
    }

    pub(super) async fn call_load(&self, store: &mut Store<State>) -> wasmtime::Result<()> {
        self.call(self.exports.load, store, ()).await
    }

    /// Whether operations are awaited.
    pub(super) async fn call_start(&self, store: &mut Store<State>) -> wasmtime::Result<bool> {
        let (waiting,) = self.call(self.exports.start, store, ()).await?;
        Ok(waiting)
    }

    /// Whether operations are awaited.
    pub(super) async fn call_resume(
        &self,
        store: &mut Store<State>,
        ended: u32,
    ) -> wasmtime::Result<bool> {
        let (waiting,) = self.call(self.exports.resume, store, (ended,)).await?;
        Ok(waiting)
    }

    pub(super) async fn call_apply_overlay(
        &self,
        store: &mut Store<State>,
        parts: &[u8],
    ) -> wasmtime::Result<()> {
        self.call(self.exports.apply_overlay, store, (parts,)).await
    }

    async fn call<P, R>(
        &self,
        export: ComponentExportIndex,
        store: &mut Store<State>,
        params: P,
    ) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let function = self.instance.get_typed_func::<P, R>(&mut *store, &export)?;
        let mut call = pin!(function.call_async(store, params));
        poll_fn(|context| {
            // It may go on on another thread each time.
            self.memory.enter();
            call.as_mut().poll(context)
        })
        .await
    }
}
