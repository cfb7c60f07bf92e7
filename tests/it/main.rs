//! The one integration binary: the real server on a free port, spoken to over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test fails by panicking, owns its tasks, and is read by nobody's documentation"
)]

mod async_context;
mod audit;
mod background;
mod bindings;
mod cli;
mod crypto;
mod deploy;
mod errors;
mod events;
mod express;
mod fetch;
mod forms;
mod fs;
mod hostile;
mod invocations;
mod invoke;
mod isolation;
mod json;
mod keys;
mod kv;
mod limits;
mod memory;
mod metrics;
mod model;
mod modules;
mod node;
mod openapi;
mod packages;
mod planes;
mod policies;
mod process;
mod properties;
mod resolution;
mod s0;
mod s1;
mod s3;
mod s4;
mod samples;
mod schedules;
mod secrets;
mod seed_lines;
mod server;
mod shortcuts;
mod shutdown;
mod streams;
mod tail;
mod tenants;
mod tidy;
mod tracing;
mod typescript;
mod versions;
mod web;
mod websocket;
mod workspaces;
mod zlib;
