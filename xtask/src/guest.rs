//! Builds the guest with guest/build.sh, and proves that guest/artifact belongs to the sources.
//!
//! The artifacts are kept in the repository so that nobody needs a Wasm toolchain to build or run
//! the server. The manifest beside them holds the hash of the sources they were built from, their
//! own hashes, and the versions of the tools that decide which bytes come out.

mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::manifest::{Manifest, Table};
use crate::peers::{check_load, exercise, train};
use crate::shell::{Outcome, answer, at, cargo, is_installed, root, run, target_dir};

/// File name of the manifest in guest/artifact.
const MANIFEST: &str = "manifest.json";

/// Whether a check also builds the artifacts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rebuild {
    /// Only hashes are compared.
    Never,
    /// Built and compared bit for bit, if exactly the recorded tools are installed.
    WhereToolsMatch,
}

/// Which guest is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guest {
    Served,
    /// One that counts what it executes (ADR 0034).
    Counting,
}

/// Programs that the build needs but that do not decide which bytes come out.
const HELPERS: [&str; 3] = ["node", "npm", "llvm-ar-22"];

/// What the environment of `cargo xtask` must not tell the compiler of the guest.
const FOREIGN_VARIABLES: [&str; 10] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE_DEV_DEBUG",
    "CARGO_TARGET_DIR",
    "LD_LIBRARY_PATH",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// Builds the guest and replaces guest/artifact.
///
/// # Errors
/// When the build fails, or when a source file changed while it ran.
pub(crate) fn build() -> Outcome {
    let before = sources::hash(&root())?;
    let built = build_into(&target_dir().join("guest-artifact"), Guest::Served)?;
    if sources::hash(&root())? != before {
        return Err("a source of the guest changed during the build: start it again".to_owned());
    }
    let manifest = manifest(before, &built)?;
    let kept = artifact_dir();
    if kept.exists() {
        fs::remove_dir_all(&kept).map_err(at(&kept))?;
    }
    fs::create_dir_all(&kept).map_err(at(&kept))?;
    for (name, hash) in &manifest.artifacts {
        let (from, to) = (built.join(name), kept.join(name));
        let bytes = fs::copy(&from, &to).map_err(at(&from))?;
        println!("guest/artifact/{name}: {bytes} bytes, sha256 {hash}");
    }
    write_manifest(&manifest, &kept)
}

/// Learns what the guest executes often, and builds it accordingly (ADR 0034).
///
/// # Errors
/// When something is not installed, does not build, or does not run.
pub(crate) fn learn() -> Outcome {
    check_load()?;
    eprintln!("1 of 3: a guest that counts what it executes");
    let counting = build_into(&target_dir().join("guest-counting"), Guest::Counting)?;
    let manifest = manifest(sources::hash(&root())?, &counting)?;
    write_manifest(&manifest, &counting)?;
    let folder = target_dir().join("counting");
    let mut server = cargo();
    server
        .args(["build", "--locked", "--release", "--bin", "ampoule"])
        .args(["--features", "counting-guest", "--target-dir"])
        .arg(&folder)
        .env("AMPOULE_COUNTING_GUEST", &counting);
    run(&mut server)?;
    eprintln!("2 of 3: load on it");
    let server = folder.join("release/ampoule");
    let [requests, all] = [".requests", ".counters"].map(|name| counting.join(name));
    train(&server, None)?;
    // Which function comes first is decided by what answers requests, not by what computes for long.
    fs::copy(&all, &requests).map_err(at(&all))?;
    exercise(&server)?;
    eprintln!("3 of 3: the guest that makes use of the counts");
    let profile = root().join("guest/link/profile.txt");
    let mut link = Command::new(build_dir().join("link/tool/ampoule-guest-link"));
    link.arg("learn")
        .arg(build_dir().join("optimised.wasm"))
        .args([requests, all, profile]);
    run(&mut link)?;
    build()
}

/// Checks that guest/artifact was built from the guest's sources as they are now.
///
/// # Errors
/// When a hash differs from the manifest, or the artifacts built anew differ from those kept.
pub(crate) fn check(rebuild: Rebuild) -> Outcome {
    let manifest = read_manifest()?;
    if sources::hash(&root())? != manifest.sources_sha256 {
        return Err(
            "guest/ or wit/ has changed since guest/artifact was built: run `cargo xtask guest` \
             (guest/build.sh names the tools it needs) and commit guest/artifact with the change"
                .to_owned(),
        );
    }
    let mut kept = hashes(&artifact_dir())?;
    kept.remove(MANIFEST);
    compare("guest/artifact/manifest.json", &manifest.artifacts, &kept)?;
    println!("guest/artifact belongs to the sources of the guest");
    if rebuild == Rebuild::Never {
        return Ok(());
    }
    if let Some(reason) = why_not_rebuild(&manifest.tools) {
        println!("not built anew: {reason}");
        return Ok(());
    }
    let built = build_into(&target_dir().join("guest-check"), Guest::Served)?;
    compare("guest/artifact", &kept, &hashes(&built)?)?;
    println!("built anew, guest/artifact is the same bit for bit");
    Ok(())
}

/// What is written beside artifacts that were built from sources of this hash.
fn manifest(sources_sha256: String, built: &Path) -> Outcome<Manifest> {
    let mut tools = Table::new();
    for (name, version) in installed_tools() {
        tools.insert(name.to_owned(), version?);
    }
    Ok(Manifest {
        sources_sha256,
        artifacts: hashes(built)?,
        tools,
    })
}

fn write_manifest(manifest: &Manifest, folder: &Path) -> Outcome {
    let path = folder.join(MANIFEST);
    fs::write(&path, manifest.to_json()).map_err(at(&path))
}

/// Where guest/build.sh keeps what it needs again.
fn build_dir() -> PathBuf {
    target_dir().join("guest")
}

fn artifact_dir() -> PathBuf {
    root().join("guest/artifact")
}

fn read_manifest() -> Outcome<Manifest> {
    let path = artifact_dir().join(MANIFEST);
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    Manifest::from_json(&text).map_err(|error| format!("guest/artifact/{MANIFEST}: {error}"))
}

/// Runs guest/build.sh into `folder`, which is emptied first, and answers that folder.
fn build_into(folder: &Path, guest: Guest) -> Outcome<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(at(folder))?;
    }
    fs::create_dir_all(folder).map_err(at(folder))?;
    let mut command = Command::new("bash");
    command.arg(root().join("guest/build.sh")).arg(folder);
    if guest == Guest::Counting {
        command.arg("count");
    }
    for variable in FOREIGN_VARIABLES {
        command.env_remove(variable);
    }
    command.env("GUEST_TARGET_DIR", build_dir());
    run(command.current_dir(root()))?;
    if hashes(folder)?.is_empty() {
        return Err("guest/build.sh left no artifact".to_owned());
    }
    Ok(folder.to_owned())
}

/// Hash of every file in a folder, by name; files whose name begins with a dot are left out.
fn hashes(folder: &Path) -> Outcome<Table> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let name = entry.map_err(at(folder))?.file_name();
        let name = name.into_string().map_err(|_| "a file name is not UTF-8")?;
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    sources::sha256_of_files(folder, &names)
}

/// Names the first file whose hash differs, or that only one side has.
fn compare(origin: &str, expected: &Table, found: &Table) -> Outcome {
    let names: BTreeMap<_, _> = expected.iter().chain(found).collect();
    for name in names.into_keys() {
        match (expected.get(name), found.get(name)) {
            (Some(expected), Some(found)) if expected == found => {}
            (Some(expected), Some(found)) => {
                return Err(format!(
                    "{name} is not the one of {origin}: its sha256 is {found}, not {expected}"
                ));
            }
            (Some(_), None) => return Err(format!("{name} of {origin} is missing")),
            (None, _) => return Err(format!("{name} is unknown to {origin}")),
        }
    }
    Ok(())
}

/// Every tool that decides which bytes come out, with its version if it is installed.
fn installed_tools() -> Vec<(&'static str, Outcome<String>)> {
    let program = |variable: &str, default: &str| {
        std::env::var(variable).unwrap_or_else(|_| default.to_owned())
    };
    let version = |program: &str| answer(Command::new(program).arg("--version"));
    let package = |name: &str| answer(Command::new("dpkg-query").args(["-Wf${Version}", name]));
    let tools = [
        ("cargo", version(&program("GUEST_CARGO", "/usr/bin/cargo"))),
        ("clang", version("clang-22")),
        ("lld", version("wasm-ld-22")),
        ("rust-src", package("rust-web-src")),
        ("rustc", version(&program("GUEST_RUSTC", "/usr/bin/rustc"))),
        ("wasi-libc", package("wasi-libc")),
    ];
    let first_line = |text: String| text.lines().next().unwrap_or_default().trim().to_owned();
    tools
        .map(|(name, text)| (name, text.map(first_line)))
        .into()
}

/// Why the artifacts cannot be built anew here, if so.
fn why_not_rebuild(recorded: &Table) -> Option<String> {
    for (name, installed) in installed_tools() {
        let recorded = recorded.get(name).map_or("none", String::as_str);
        match installed {
            Ok(installed) if installed == recorded => {}
            Ok(installed) => {
                return Some(format!(
                    "{name} is \"{installed}\" here, not \"{recorded}\""
                ));
            }
            Err(_) => return Some(format!("{name} is not installed")),
        }
    }
    let missing = HELPERS.iter().find(|helper| !is_installed(helper));
    missing.map(|helper| format!("{helper} is not installed"))
}

#[cfg(test)]
mod tests;
