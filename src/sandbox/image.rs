//! A deployment ready to run: its snapshot as an image, mapped copy-on-write into each sandbox.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use super::Engine;
use crate::host::{AmpoulePre, State};

/// A deployment's image. Cheap to clone; made once, may compile.
#[derive(Clone)]
pub struct Image {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) pre: AmpoulePre<State>,
    pub(super) engine: Engine,
    /// Size of the memory that a sandbox starts with, in bytes.
    pub(super) memory_bytes: usize,
    /// The deployment's files.
    pub(super) files: Option<PathBuf>,
}

impl Image {
    /// Makes an image from a snapshot that the same engine took. Blocks for a millisecond or so to
    /// compile it, because an image holds no code, and for some tens while the kernel seals the
    /// file that sandboxes are mapped from.
    ///
    /// # Errors
    /// If the snapshot is not one of this engine, or the file cannot be made.
    pub fn new(engine: &Engine, snapshot: &[u8], files: Option<PathBuf>) -> Result<Self> {
        Ok(Self {
            inner: Arc::new(Inner {
                pre: engine.pre(snapshot)?,
                engine: engine.clone(),
                memory_bytes: super::snapshot::memory_bytes(snapshot)?,
                files,
            }),
        })
    }
}
