//! Temporary.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub, dead_code, reason = "temporary")]
#[path = "it/server.rs"] mod server;
#[path = "it/hostile.rs"] mod hostile;
#[path = "it/limits.rs"] mod limits;
#[path = "it/errors.rs"] mod errors;
#[path = "it/isolation.rs"] mod isolation;
#[path = "it/deploy.rs"] mod deploy;
#[path = "it/swap.rs"] mod swap;
