//! A guest, and what is decided before the first of an image is made.
//!
//! As the generated bindings have it, but that an export is looked up when it is called: an
//! invocation calls one or two of the six.

use wasmtime::Store;
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower,
};

use crate::host::{AmpoulePre, State};

/// An image with which guests can be made. Cheap to clone.
#[derive(Clone)]
pub(super) struct GuestPre {
    instance: InstancePre<State>,
    exports: Exports,
}

/// A guest in its store.
pub(super) struct Guest {
    instance: Instance,
    exports: Exports,
}

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

impl GuestPre {
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

    /// A fresh guest.
    ///
    /// # Errors
    /// When there is no room for a sandbox.
    pub(super) async fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Guest> {
        Ok(Guest {
            instance: self.instance.instantiate_async(store).await?,
            exports: self.exports,
        })
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
        function.call_async(store, params).await
    }
}
