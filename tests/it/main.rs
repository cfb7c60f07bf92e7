//! The one integration binary: the real server on a free port, spoken to over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test fails by panicking, owns its tasks, and is read by nobody's documentation"
)]

mod invoke;
mod server;
mod tidy;
