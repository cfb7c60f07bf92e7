//! Sandboxes: one wasmtime store around one guest, made for one invocation and thrown away.
//!
//! In reading order: [`engine`] configures wasmtime and compiles the guest once, [`snapshot`] is the
//! form in which a guest's memory is kept, [`memory`] is where sandboxes have theirs and how it is made
//! as new, [`guest`] makes, calls and keeps them, [`overlay`] is what a deployment's memory has beyond
//! the engine's, [`image`] is a deployment ready to run, [`invoke`] runs one invocation, [`load`] takes
//! a deployment's snapshot, [`outcome`] says how either ended, [`turns`] decides who computes,
//! [`memory_file`] holds what images are mapped from, [`probe`] takes an invocation apart for the
//! benches.

pub mod engine;
mod guest;
pub mod image;
pub mod invoke;
pub mod load;
mod memory;
mod memory_file;
pub mod outcome;
mod overlay;
pub mod probe;
pub mod snapshot;
pub mod turns;

pub use engine::{Domain, Engine, EngineConfig};
pub use image::Image;
pub use invoke::{Finished, Invocation, Meter, Spent};
pub use load::{LoadError, Loaded};
pub use outcome::Outcome;
pub use turns::Share;
