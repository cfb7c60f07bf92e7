//! Ampoule: a self-hosted, multi-tenant serverless JavaScript runtime in which every invocation
//! runs in a WebAssembly sandbox of its own.
//!
//! In reading order, along a request's path: [`server`] accepts, [`http`] routes, [`dispatch`]
//! admits and accounts, [`sandbox`] runs the guest, [`host`] answers it, [`outbound`] and [`store`]
//! do what it asked for, the latter as far as [`network`] and its [`policies`] let
//! it. Beside that path: [`deploy`] makes new versions, [`schedules`] runs functions without a
//! request, [`app`] builds the
//! parts, [`cli`] is the command. Before that, [`transform`]
//! makes JavaScript of TypeScript. Everything else is a leaf.

pub mod app;
pub mod binding;
pub mod cli;
pub mod clock;
pub mod config;
pub mod deploy;
pub mod dispatch;
pub mod error;
pub mod heap;
pub mod host;
pub mod http;
pub mod id;
pub mod kind;
pub mod limits;
pub mod metrics;
pub mod network;
pub mod outbound;
pub mod policies;
pub mod redact;
pub mod sandbox;
pub mod schedules;
pub mod search;
pub mod secret;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod trace;
pub mod transform;
pub mod workspaces;
