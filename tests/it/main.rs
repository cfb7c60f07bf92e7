//! The one integration binary: the real server on a free port, spoken to over HTTP.

mod invoke;
mod server;
mod tidy;
