//! Splits the linked guest into what the server loads (ADR 0002):
//!
//! - `image.wasm`: the guest's initial memory and nothing else: the shape of every snapshot.
//! - `component.wasm`: the world of `wit/` with all code, which imports the image as a core module
//!   and ties it to the host interfaces; compiled once per server.
//!
//! Usage:
//!
//! - `link redirect GUEST MERGED` answers preview 1 imports from within the guest.
//! - `link split GUEST OUTDIR` splits it, arranged by the profile.
//! - `link count GUEST OUTDIR` splits it, not arranged, into a guest that counts what it executes.
//! - `link learn GUEST REQUESTS ALL PROFILE` makes the profile of what it counted: while it answered
//!   requests, and altogether.

mod arrange;
mod component;
mod count;
mod engine;
mod profile;
mod redirect;
mod renewal;
mod runs;

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use self::engine::Split;

const PROFILE: &str = include_str!("../profile.txt");
const USAGE: &str = "\
usage: link redirect GUEST MERGED | link split GUEST OUTDIR | link count GUEST OUTDIR
       | link learn GUEST REQUESTS ALL PROFILE";

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["redirect", guest, merged] => write(merged, &redirect::redirect(&read(guest)?)?),
        ["split", guest, out] => {
            let guest = read(guest)?;
            let split = engine::split(&arrange::arrange(&guest, PROFILE)?)?;
            write_parts(&guest, &split, Path::new(out))
        }
        ["count", guest, out] => {
            let guest = read(guest)?;
            let mut split = engine::split(&guest)?;
            split.engine = count::instrument(&split.engine)?;
            write_parts(&guest, &split, Path::new(out))
        }
        ["learn", guest, requests, all, profile] => {
            let learnt = profile::learn(&read(guest)?, &read(requests)?, &read(all)?)?;
            write(profile, learnt.as_bytes())
        }
        _ => bail!(USAGE),
    }
}

fn read(path: &str) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {path}"))
}

fn write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes what the server loads. What the component imports and exports is the same for every split of
/// a guest.
fn write_parts(guest: &[u8], split: &Split, out: &Path) -> Result<()> {
    write(out.join("image.wasm"), &split.image)?;
    write(
        out.join("component.wasm"),
        &component::compose(guest, split)?,
    )
}
