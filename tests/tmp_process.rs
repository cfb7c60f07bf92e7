#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    dead_code,
    reason = "temporary"
)]
#[path = "it/cli.rs"]
mod cli;
#[path = "it/process.rs"]
mod process;
#[path = "it/server.rs"]
mod server;
#[path = "it/shutdown.rs"]
mod shutdown;
#[path = "it/tidy.rs"]
mod tidy;
