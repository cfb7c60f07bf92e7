//! Takes in the JavaScript layer as `js/build.mjs` left it.

use std::{env, fs, path::Path};

fn main() {
    let bundle = Path::new("js/dist/guest.js");
    println!("cargo::rerun-if-changed={}", bundle.display());
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("guest.js");
    fs::copy(bundle, out).expect("js/dist/guest.js is there: run `npm ci && npm run build` in js");
}
