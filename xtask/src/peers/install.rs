//! What the peers need, installed by name below the target folder; once for each list of versions.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Places;
use super::catalogue::Needs;
use crate::shell::{Outcome, at, is_installed, root, run};

/// A copy of the lock file of what is installed, written when all of it is there.
const INSTALLED: &str = "installed-lock.json";
const LOCK: &str = "package-lock.json";
const ADDON: &str = "node_modules/isolated-vm/out/isolated_vm.node";
const REQUIREMENTS: &str = "requirements.txt";

/// Copies what is run, always, so that a run is of the sources as they are.
pub(super) fn sources(places: &Places) -> Outcome {
    let from = root().join("xtask/peers");
    copy(&from, &places.node(), |name| name != LOCK)
}

/// Copies the files of a folder, and not its folders.
pub(super) fn copy(from: &Path, to: &Path, is_wanted: fn(&str) -> bool) -> Outcome {
    fs::create_dir_all(to).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let is_file = entry.file_type().map_err(at(from))?.is_file();
        if is_file && is_wanted(&entry.file_name().to_string_lossy()) {
            let to = to.join(entry.file_name());
            fs::copy(entry.path(), &to).map_err(at(&to))?;
        }
    }
    Ok(())
}

/// Installs what is needed, unless it is there.
///
/// # Errors
/// When it cannot be; the text says what is missing.
pub(super) fn install(needs: Needs, places: &Places) -> Outcome {
    match needs {
        Needs::Nothing => Ok(()),
        Needs::Npm => npm(&places.node()),
        Needs::IsolatedVm => {
            npm(&places.node())?;
            isolated_vm(&places.node())
        }
        Needs::Python => python(&places.python()),
    }
}

fn npm(folder: &Path) -> Outcome {
    if !is_installed("node") || !is_installed("npm") {
        return Err("node and npm are not installed".to_owned());
    }
    let wanted = root().join("xtask/peers").join(LOCK);
    let lock = fs::read(&wanted).map_err(at(&wanted))?;
    let installed = folder.join(INSTALLED);
    if fs::read(&installed).is_ok_and(|before| before == lock) {
        return Ok(());
    }
    let used = folder.join(LOCK);
    fs::write(&used, &lock).map_err(at(&used))?;
    eprintln!("installing npm's packages; once");
    // Not `npm ci`, which wants the binaries of all systems to be in the lock file.
    let flags = [
        "install",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--silent",
    ];
    run(Command::new("npm").current_dir(folder).args(flags))?;
    fs::write(&installed, lock).map_err(at(&installed))
}

/// Its addon is fetched or compiled by its own script, the only one that is run.
fn isolated_vm(folder: &Path) -> Outcome {
    if folder.join(ADDON).exists() {
        return Ok(());
    }
    eprintln!("compiling isolated-vm, which takes some minutes; once");
    let flags = ["rebuild", "isolated-vm", "--silent"];
    run(Command::new("npm").current_dir(folder).args(flags))?;
    let is_there = folder.join(ADDON).exists();
    is_there.then_some(()).ok_or_else(|| {
        "isolated-vm could not be compiled: it needs a C++ compiler and Node's headers".to_owned()
    })
}

fn python(venv: &Path) -> Outcome {
    let wanted = root().join("xtask/peers").join(REQUIREMENTS);
    let text = fs::read(&wanted).map_err(at(&wanted))?;
    let installed = venv.join(REQUIREMENTS);
    if fs::read(&installed).is_ok_and(|before| before == text) {
        return Ok(());
    }
    eprintln!("installing Python's packages; once");
    let make = ["-m", "venv", "--clear"];
    run(Command::new("python3").args(make).arg(venv))?;
    run(Command::new(venv.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .arg("--requirement")
        .arg(&wanted))?;
    // Only now: an installation that broke off is made anew.
    fs::write(&installed, text).map_err(at(&installed))
}
