//! A deployment's files on disk: what WASI opens as `/app`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::archive::File;

/// Where one deployment's files are, or would be.
pub(super) fn folder(root: &Path, id: &str) -> PathBuf {
    root.join(id)
}

/// Writes files so that the folder is there whole or not at all. Blocks.
///
/// Paths were checked when the archive was unpacked: relative, without `..`.
pub(super) fn write(root: &Path, id: &str, files: &[File]) -> io::Result<PathBuf> {
    let target = folder(root, id);
    let temporary = root.join(format!("{id}.tmp"));
    remove(&temporary)?;
    fs::create_dir_all(&temporary)?;
    for file in files {
        let path = temporary.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &file.bytes)?;
    }
    remove(&target)?;
    fs::rename(&temporary, &target)?;
    Ok(target)
}

/// Removes those entries of a folder, files and folders, that `is_left_over` says so of by their
/// names. What cannot be read or removed stays, and is logged. Blocks.
pub(super) fn sweep(folder: &Path, is_left_over: impl Fn(&str) -> bool) {
    let Ok(entries) = fs::read_dir(folder) else {
        // Nothing was ever deployed.
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.to_str().is_some_and(&is_left_over) {
            continue;
        }
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder {
            remove(&path)
        } else {
            fs::remove_file(&path)
        };
        if let Err(error) = removed {
            tracing::warn!(%error, path = %path.display(), "cannot remove what was left over");
        }
    }
}

/// Removes a folder that may not be there. Blocks.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
