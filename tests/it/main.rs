//! The one integration binary: the real server on a free port, spoken to over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test fails by panicking, owns its tasks, and is read by nobody's documentation"
)]

mod cli;
mod deploy;
mod errors;
mod fetch;
mod hostile;
mod invoke;
mod isolation;
mod kv;
mod limits;
mod modules;
mod packages;
mod process;
mod resolution;
mod samples;
mod server;
mod shutdown;
mod streams;
mod swap;
mod tidy;
mod typescript;
