//! Which files the guest is built from, and the hash over them.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::manifest::Table;
use crate::shell::{Outcome, answer, at};

/// Folders that hold the guest's sources.
const ROOTS: [&str; 2] = ["guest", "wit"];

/// Folders below them that hold nothing the artifacts are built from.
const NOT_SOURCES: [&str; 3] = ["guest/artifact", "guest/js/dist", "guest/js/test"];

/// Folders that builds leave behind, wherever they are.
const BUILD_FOLDERS: [&str; 2] = ["target", "node_modules"];

/// Most files handed to one run of sha256sum, well below what a command line may hold.
const FILES_PER_RUN: usize = 500;

/// One hash over the path and contents of every source file below `root`.
///
/// It is the hash of the lines `<sha256>  <path>`, sorted by path, as sha256sum prints them.
///
/// # Errors
/// When a file cannot be read, or is neither a file nor a folder.
pub(super) fn hash(root: &Path) -> Outcome<String> {
    let mut paths = Vec::new();
    for folder in ROOTS {
        collect(root, folder, &mut paths)?;
    }
    let listing: String = sha256_of_files(root, &paths)?
        .iter()
        .map(|(path, hash)| format!("{hash}  {path}\n"))
        .collect();
    sha256(listing.as_bytes())
}

/// The hash of each of these files, by the name it was given; names are relative to `folder`.
///
/// # Errors
/// When one cannot be read, or `sha256sum` (of GNU coreutils) is not installed.
pub(super) fn sha256_of_files(folder: &Path, names: &[String]) -> Outcome<Table> {
    let mut hashes = Table::new();
    for names in names.chunks(FILES_PER_RUN) {
        let mut command = Command::new("sha256sum");
        command.current_dir(folder).arg("--").args(names);
        for line in answer(&mut command)?.lines() {
            let (hash, name) = line
                .split_once("  ")
                .filter(|(hash, _)| is_hash(hash))
                .ok_or_else(|| format!("sha256sum answered {line:?}"))?;
            hashes.insert(name.to_owned(), hash.to_owned());
        }
    }
    Ok(hashes)
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn sha256(bytes: &[u8]) -> Outcome<String> {
    let failed = |error| format!("cannot run `sha256sum`: {error}");
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut input = child.stdin.take().expect("it was just asked for");
    // It reads all of its input before it answers, so this cannot block for good.
    input.write_all(bytes).map_err(failed)?;
    drop(input);
    let output = child.wait_with_output().map_err(failed)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let hash = text.split_whitespace().next().unwrap_or_default();
    if is_hash(hash) {
        Ok(hash.to_owned())
    } else {
        Err(format!("sha256sum answered {text:?}"))
    }
}

/// Adds every source file below `folder`, relative to `root`.
fn collect(root: &Path, folder: &str, paths: &mut Vec<String>) -> Outcome {
    let here = root.join(folder);
    for entry in fs::read_dir(&here).map_err(at(&here))? {
        let entry = entry.map_err(at(&here))?;
        let name = entry.file_name();
        let name = name
            .to_str()
            .filter(|name| !name.contains(['\n', '\\']))
            .ok_or_else(|| format!("{folder}: the name {name:?} is not a good one"))?;
        let path = format!("{folder}/{name}");
        let kind = entry.file_type().map_err(at(&here))?;
        if name.starts_with('.') || NOT_SOURCES.contains(&path.as_str()) {
            continue;
        }
        if kind.is_dir() {
            if !BUILD_FOLDERS.contains(&name) {
                collect(root, &path, paths)?;
            }
        } else if kind.is_file() {
            paths.push(path);
        } else {
            return Err(format!("{path} is neither a file nor a folder"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
