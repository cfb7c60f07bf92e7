//! Interface `deployment`: loading a deployment and taking its snapshot.

use wasmtime::bail;

use super::State;
use super::bindings::ampoule::host::deployment;
use crate::kind::Kind;

/// Longest text kept of a refusal.
const TEXT_BYTES_MAX: usize = 8 << 10;
/// Most of the layer that is read at once; the guest has room for it where host calls answer.
const LAYER_PART_BYTES_MAX: usize = 16 << 10;

/// What to load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadSettings {
    /// What the deployment is for.
    pub kind: Kind,
    /// Path of the entry file below the deployment's folder.
    pub entry: String,
    /// Whether the modules are only compiled now, and evaluated in every sandbox.
    pub per_request: bool,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// The route pattern.
    pub route: Option<String>,
    /// For `per_request`: modules to compile now, absolute paths in the guest.
    pub modules: Vec<String>,
}

/// Why a deployment cannot be loaded; see `wit/deployment.wit` for the shapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A stable code.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// The source file; empty if none is to blame.
    pub file: String,
    /// From 1; 0 if unknown.
    pub line: u32,
    /// From 1; 0 if unknown.
    pub column: u32,
    /// For the log only.
    pub stack: String,
}

/// What loading came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadOutcome {
    /// Loaded.
    Loaded,
    /// It has to be evaluated per request: what was touched, where, and the modules loaded.
    Impure {
        /// `Math.random()`
        what: String,
        /// `index.js:3:14`; empty if unknown.
        place: String,
        /// Absolute paths in the guest.
        modules: Vec<String>,
    },
    /// It cannot be loaded.
    Refused(Refusal),
}

/// A load in progress.
#[derive(Debug, Default)]
pub struct Loading {
    settings: LoadSettings,
    /// The guest's JavaScript layer: its source, then its bytecode.
    pub layer: Vec<u8>,
    /// What the guest reported.
    pub outcome: Option<LoadOutcome>,
    /// The guest's memory: where it begins, and its bytes.
    pub snapshot: Option<(u32, Vec<u8>)>,
}

impl Loading {
    /// A load of `settings`, not begun.
    pub fn new(settings: LoadSettings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Nothing to load but the guest's own layer.
    pub fn of_layer(layer: Vec<u8>) -> Self {
        Self {
            layer,
            ..Self::default()
        }
    }
}

impl State {
    fn loading(&mut self) -> wasmtime::Result<&mut Loading> {
        match &mut self.loading {
            Some(loading) => Ok(loading),
            None => bail!("deployment functions cannot be called during an invocation"),
        }
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

impl deployment::Host for State {
    fn get_settings(&mut self) -> wasmtime::Result<deployment::Settings> {
        let settings = self.loading()?.settings.clone();
        Ok(deployment::Settings {
            kind: match settings.kind {
                Kind::Request => deployment::Kind::Request,
                Kind::Event => deployment::Kind::Event,
                Kind::Workspace => deployment::Kind::Workspace,
            },
            entry: settings.entry,
            evaluation: if settings.per_request {
                deployment::Evaluation::PerRequest
            } else {
                deployment::Evaluation::Snapshot
            },
            env: settings.env,
            route: settings.route,
            modules: settings.modules,
        })
    }

    fn loaded(&mut self) -> wasmtime::Result<()> {
        self.loading()?.outcome = Some(LoadOutcome::Loaded);
        Ok(())
    }

    fn impure(
        &mut self,
        what: String,
        place: String,
        modules: Vec<String>,
    ) -> wasmtime::Result<()> {
        self.loading()?.outcome = Some(LoadOutcome::Impure {
            what: cut(what),
            place: cut(place),
            modules,
        });
        Ok(())
    }

    fn refused(&mut self, refusal: deployment::Refusal) -> wasmtime::Result<()> {
        self.loading()?.outcome = Some(LoadOutcome::Refused(Refusal {
            code: refusal.code,
            message: cut(refusal.message),
            file: cut(refusal.file),
            line: refusal.line,
            column: refusal.column,
            stack: cut(refusal.stack),
        }));
        Ok(())
    }

    fn save_layer(&mut self, bytecode: Vec<u8>) -> wasmtime::Result<()> {
        self.loading()?.layer = bytecode;
        Ok(())
    }

    fn read_layer(&mut self, offset: u32) -> wasmtime::Result<Vec<u8>> {
        let layer = &self.loading()?.layer;
        let from = usize::try_from(offset)?.min(layer.len());
        let to = layer.len().min(from + LAYER_PART_BYTES_MAX);
        Ok(layer[from..to].to_vec())
    }

    fn save_snapshot(&mut self, address: u32, memory: Vec<u8>) -> wasmtime::Result<()> {
        self.loading()?.snapshot = Some((address, memory));
        Ok(())
    }
}
