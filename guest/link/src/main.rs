//! Splits the linked guest into what the server loads (ADR 0002):
//!
//! - `image.wasm`: the guest's initial memory and nothing else: the shape of every snapshot.
//! - `component.wasm`: the world of `wit/` with all code, which imports the image as a core module
//!   and ties it to the host interfaces; compiled once per server.
//!
//! Usage: `link GUEST MERGED --redirect` answers preview 1 imports from within the guest;
//! `link GUEST OUTDIR` splits.

mod component;
mod engine;
mod redirect;
mod renewal;

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (guest, out, redirect) = match arguments.as_slice() {
        [guest, out] => (guest, out, false),
        [guest, out, flag] if flag == "--redirect" => (guest, out, true),
        _ => bail!("usage: link GUEST MERGED --redirect | link GUEST OUTDIR"),
    };
    let wasm = fs::read(guest).with_context(|| format!("cannot read {guest}"))?;
    if redirect {
        fs::write(out, redirect::redirect(&wasm)?)?;
        return Ok(());
    }
    let split = engine::split(&wasm)?;
    let component = component::compose(&wasm, &split)?;
    let out = Path::new(out);
    fs::write(out.join("image.wasm"), &split.image)?;
    fs::write(out.join("component.wasm"), &component)?;
    Ok(())
}
