//! Runs npm packages in Node and in functions, and compares what comes of it.
//!
//! `tests/packages/run.mjs` does the work, in a copy of its folder below the target folder, where
//! the packages are installed as `tests/packages/package-lock.json` says.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::shell::{Outcome, Program, answer, at, cargo, is_installed, root, run, target_dir};

/// What is copied from `tests/packages`, besides the cases and the lock file.
const FILES: [&str; 4] = ["run.mjs", "keys.js", "known.json", "package.json"];
/// The file that says which packages are installed.
const LOCK: &str = "package-lock.json";

/// The oldest Node, as major and minor version, that the packages say they run in.
const NODE_MIN: (u32, u32) = (20, 19);

/// Why the packages cannot be run here, if they cannot.
pub(crate) fn missing() -> Option<&'static str> {
    if !is_installed("npm") {
        return Some("npm is not installed");
    }
    let version = answer(Command::new("node").arg("--version")).ok();
    let is_enough = version
        .and_then(|text| parse(&text))
        .is_some_and(|version| version >= NODE_MIN);
    (!is_enough).then_some("Node 20.19 or newer is not installed")
}

/// Runs the cases of these names. All of them write `docs/packages.md`, or with `--check` as the
/// first name see that it says what comes of them.
///
/// # Errors
/// When something is missing, a case gives something else than in Node without being known to, or
/// the reverse, and when the page says something else.
pub(crate) fn compare(program: Program, arguments: &[&str]) -> Outcome {
    if let Some(reason) = missing() {
        return Err(reason.to_owned());
    }
    if program == Program::Release {
        run(cargo().args(["build", "--locked", "--release"]))?;
    }
    let folder = target_dir().join("packages");
    install(&folder)?;
    run(Command::new("node")
        .current_dir(&folder)
        .args(["--no-warnings", "run.mjs", "--server"])
        .arg(program.path())
        .arg("--page")
        .arg(root().join("docs/packages.md"))
        .args(arguments))
}

/// Copies the cases, and installs the packages unless they are there already.
fn install(folder: &Path) -> Outcome {
    let from = root().join("tests/packages");
    let cases = folder.join("cases");
    if cases.exists() {
        fs::remove_dir_all(&cases).map_err(at(&cases))?;
    }
    fs::create_dir_all(&cases).map_err(at(&cases))?;
    for entry in fs::read_dir(from.join("cases")).map_err(at(&from))? {
        let entry = entry.map_err(at(&from))?;
        let to = cases.join(entry.file_name());
        fs::copy(entry.path(), &to).map_err(at(&to))?;
    }
    for file in FILES {
        let to = folder.join(file);
        fs::copy(from.join(file), &to).map_err(at(&to))?;
    }
    let (wanted, installed) = (from.join(LOCK), folder.join(LOCK));
    let lock = fs::read(&wanted).map_err(at(&wanted))?;
    // npm writes this file when all packages are there.
    let is_whole = folder.join("node_modules/.package-lock.json").exists();
    if is_whole && fs::read(&installed).is_ok_and(|before| before == lock) {
        return Ok(());
    }
    fs::write(&installed, lock).map_err(at(&installed))?;
    let flags = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    run(Command::new("npm").current_dir(folder).args(flags))
}

/// Major and minor of a version such as `v20.19.1`.
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim().trim_start_matches('v').split('.');
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::{NODE_MIN, parse};

    #[test]
    fn versions_of_node_are_compared_as_numbers() {
        assert_eq!(parse("v20.19.1\n"), Some((20, 19)));
        assert!(parse("v20.9.0") < Some(NODE_MIN));
        assert!(parse("v22.1.0") > Some(NODE_MIN));
        assert_eq!(parse("nonsense"), None);
    }
}
