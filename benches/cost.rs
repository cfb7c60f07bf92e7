//! Placeholder until the harness is written.
fn main() {}
