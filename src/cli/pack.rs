//! Packs a file or a folder into the body of a deploy request.
//!
//! The same content always packs to the same bytes: entries are sorted, without times, owners or
//! permissions. A folder is packed whole but for `.git`. Symbolic links are followed while they
//! stay inside the folder (npm workspaces make such links) and refused when they leave it, so
//! that nothing from elsewhere on the machine is uploaded by surprise.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use walkdir::{DirEntry, WalkDir};

use crate::deploy::is_source_name;
use crate::limits;

/// Folders and files that are never packed, at any depth.
const SKIPPED_NAME: &str = ".git";
/// The folder that package managers put packages in.
pub(super) const PACKAGES_NAME: &str = "node_modules";
/// What is not packed of such a folder: links to commands, and what tools keep for themselves.
const SKIPPED_PACKAGES: [&str; 2] = [".bin", ".cache"];

/// The body of a deploy request, and what has to be said with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The source of one file, or a tar.gz; at most [`limits::UPLOAD_BYTES_MAX`] bytes.
    pub bytes: Vec<u8>,
    /// What `bytes` are: `application/javascript`, `application/typescript` or
    /// `application/gzip`.
    pub content_type: &'static str,
    /// The file's own name when one file was packed, `None` for a folder.
    pub filename: Option<String>,
    /// How many files were packed, 1..=[`limits::FILES_MAX`].
    pub files: usize,
}

/// Why a path cannot be packed; the text is meant for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The path, or something in the folder, cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path is a file of another kind.
    #[error("{} is neither a folder nor a file of JavaScript (.js, .mjs, .cjs), TypeScript (.ts, .mts, \
         .cts, .tsx) or JSX (.jsx)", .0.display())]
    NotScript(PathBuf),
    /// The folder holds no file.
    #[error("{} holds no files", .0.display())]
    Empty(PathBuf),
    /// A symbolic link points to something outside of the folder.
    #[error(
        "the link {} leads out of the folder, to {}: copy what it points to into the folder, \
         or remove the link",
        link.display(),
        target.display()
    )]
    LinkOutside {
        /// The link.
        link: PathBuf,
        /// Where it leads, every link on the way resolved.
        target: PathBuf,
    },
    /// A symbolic link points to nothing.
    #[error("the link {} leads nowhere: remove it", .0.display())]
    LinkBroken(PathBuf),
    /// A symbolic link points to a folder that contains the link.
    #[error("the link {} leads to a folder that contains it: remove it", .0.display())]
    LinkLoop(PathBuf),
    /// A path inside the folder is too long or is not UTF-8.
    #[error(
        "the path {} cannot be deployed: paths are UTF-8 and at most {max} bytes",
        .0.display(),
        max = limits::PATH_BYTES_MAX
    )]
    PathInvalid(PathBuf),
    /// The folder holds too many files.
    #[error("{} holds more than {} files", .0.display(), limits::FILES_MAX)]
    TooManyFiles(PathBuf),
    /// The files together, or what they compress to, are too large.
    #[error("{} is too large: {what} is at most {max} MiB", path.display())]
    TooLarge {
        /// The file or folder.
        path: PathBuf,
        /// Which of the two bounds was met.
        what: &'static str,
        /// The bound, in MiB.
        max: u64,
    },
}

/// Packs the file or folder at `path`.
///
/// Blocks while it reads the disk. A file must be JavaScript, TypeScript or JSX by its name; of a
/// folder everything is taken that is a regular file and does not lie in a `.git` or in the
/// `.bin` or `.cache` of a `node_modules`.
///
/// # Errors
/// [`PackError`]: for what cannot be read, for links that leave the folder, and for more than
/// [`limits::FILES_MAX`] files, [`limits::UNPACKED_BYTES_MAX`] bytes before or
/// [`limits::UPLOAD_BYTES_MAX`] bytes after packing.
pub fn pack(path: &Path) -> Result<Packed, PackError> {
    pack_with(path, None)
}

/// [`pack`], but with every `node_modules` of a folder from its copy at `installed`, where there
/// is one.
pub(super) fn pack_with(path: &Path, installed: Option<&Path>) -> Result<Packed, PackError> {
    let metadata = fs::metadata(path).map_err(|source| read_error(path, source))?;
    let packed = if metadata.is_dir() {
        pack_folder(path, installed)?
    } else {
        pack_file(path, &metadata)?
    };
    if packed.bytes.len() > limits::UPLOAD_BYTES_MAX {
        let max = u64::try_from(limits::UPLOAD_BYTES_MAX >> 20).unwrap_or(u64::MAX);
        return Err(too_large(path, "an upload", max));
    }
    Ok(packed)
}

/// The name that a function gets when none is given: the folder's, or the file's without its
/// extension. `None` when there is no such name or it is not UTF-8; it may still be a name that
/// [`crate::id::FunctionName`] refuses.
pub fn default_name(path: &Path) -> Option<String> {
    let full = fs::canonicalize(path).ok()?;
    let name = if full.is_dir() {
        full.file_name()
    } else {
        full.file_stem()
    };
    name?.to_str().map(str::to_owned)
}

fn pack_file(path: &Path, metadata: &fs::Metadata) -> Result<Packed, PackError> {
    let name = path.file_name().and_then(|name| name.to_str());
    if !metadata.is_file() || !name.is_some_and(is_source_name) {
        return Err(PackError::NotScript(path.to_owned()));
    }
    let filename = name
        .filter(|name| name.len() <= limits::PATH_BYTES_MAX)
        .ok_or_else(|| PackError::PathInvalid(path.to_owned()))?;
    let bytes_max = u64::try_from(limits::UPLOAD_BYTES_MAX).unwrap_or(u64::MAX);
    Ok(Packed {
        bytes: read_bounded(path, bytes_max.saturating_add(1))?,
        content_type: match filename.rsplit('.').next() {
            Some("ts" | "tsx" | "mts" | "cts") => "application/typescript",
            _ => "application/javascript",
        },
        filename: Some(filename.to_owned()),
        files: 1,
    })
}

fn pack_folder(folder: &Path, installed: Option<&Path>) -> Result<Packed, PackError> {
    let mut entries = match installed {
        None => collect(folder, Part::All)?,
        Some(installed) => {
            let mut own = collect(folder, Part::WithoutPackages)?;
            own.extend(collect(installed, Part::Packages)?);
            if own.len() > limits::FILES_MAX {
                return Err(PackError::TooManyFiles(folder.to_owned()));
            }
            own
        }
    };
    if entries.is_empty() {
        return Err(PackError::Empty(folder.to_owned()));
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let encoder = GzBuilder::new().write(Vec::new(), Compression::default());
    let mut archive = tar::Builder::new(encoder);
    let mut left = limits::UNPACKED_BYTES_MAX;
    for entry in &entries {
        // Read whole before the header is written, so that a file that changes meanwhile cannot
        // have another length than its header says.
        let bytes = read_bounded(&entry.path, left.saturating_add(1))?;
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        left = left.checked_sub(len).ok_or_else(|| {
            let max = limits::UNPACKED_BYTES_MAX >> 20;
            too_large(folder, "the total of all files", max)
        })?;
        append(&mut archive, &entry.name, len, &bytes)
            .map_err(|source| read_error(&entry.path, source))?;
    }
    let bytes = archive
        .into_inner()
        .and_then(|encoder| encoder.finish())
        .map_err(|source| read_error(folder, source))?;
    Ok(Packed {
        bytes,
        content_type: "application/gzip",
        filename: None,
        files: entries.len(),
    })
}

/// A regular file to pack.
pub(super) struct Entry {
    /// The path inside the deployment, with `/` between its parts.
    pub(super) name: String,
    /// Where it is read from.
    pub(super) path: PathBuf,
}

/// Whether a path inside a deployment lies in a `node_modules`.
fn is_in_packages(name: &str) -> bool {
    name.split('/').any(|part| part == PACKAGES_NAME)
}

fn is_skipped(entry: &DirEntry) -> bool {
    let parent = entry.path().parent().and_then(Path::file_name);
    let is_of_packages = parent.is_some_and(|name| name == PACKAGES_NAME)
        && SKIPPED_PACKAGES
            .iter()
            .any(|name| entry.file_name() == *name);
    entry.depth() > 0 && (entry.file_name() == SKIPPED_NAME || is_of_packages)
}

/// Which files of a folder are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    All,
    /// All but those in any `node_modules`.
    WithoutPackages,
    /// Those in any `node_modules`.
    Packages,
}

/// The files of a folder.
pub(super) fn collect(folder: &Path, part: Part) -> Result<Vec<Entry>, PackError> {
    let root = fs::canonicalize(folder).map_err(|source| read_error(folder, source))?;
    let walk = WalkDir::new(&root)
        .follow_links(true)
        .into_iter()
        .filter_entry(|entry| {
            let is_left_out = part == Part::WithoutPackages && entry.file_name() == PACKAGES_NAME;
            !is_skipped(entry) && !is_left_out
        });
    let mut entries = Vec::new();
    for entry in walk {
        let entry = entry.map_err(|error| walk_error(&root, error))?;
        refuse_link_outside(&root, &entry)?;
        if !entry.file_type().is_file() {
            continue;
        }
        let name = name_in(&root, entry.path())?;
        if part == Part::Packages && !is_in_packages(&name) {
            continue;
        }
        if entries.len() == limits::FILES_MAX {
            return Err(PackError::TooManyFiles(folder.to_owned()));
        }
        entries.push(Entry {
            name,
            path: entry.into_path(),
        });
    }
    Ok(entries)
}

fn refuse_link_outside(root: &Path, entry: &DirEntry) -> Result<(), PackError> {
    if entry.depth() == 0 || !entry.path_is_symlink() {
        return Ok(());
    }
    let link = entry.path();
    let target = fs::canonicalize(link).map_err(|source| read_error(link, source))?;
    let Ok(inside) = target.strip_prefix(root) else {
        return Err(PackError::LinkOutside {
            link: link.to_owned(),
            target,
        });
    };
    // A link must not bring in what is skipped everywhere else.
    if inside.iter().any(|part| part == SKIPPED_NAME) {
        return Err(PackError::LinkOutside {
            link: link.to_owned(),
            target,
        });
    }
    Ok(())
}

fn name_in(root: &Path, path: &Path) -> Result<String, PackError> {
    let invalid = || PackError::PathInvalid(path.to_owned());
    let inside = path.strip_prefix(root).map_err(|_| invalid())?;
    let parts: Option<Vec<&str>> = inside.iter().map(|part| part.to_str()).collect();
    let name = parts.ok_or_else(invalid)?.join("/");
    if name.len() > limits::PATH_BYTES_MAX {
        return Err(invalid());
    }
    Ok(name)
}

fn append(
    archive: &mut tar::Builder<impl io::Write>,
    name: &str,
    len: u64,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(len);
    archive.append_data(&mut header, name, bytes)
}

/// Reads at most `bytes_max` bytes; the caller takes a full read for "too large".
fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, PackError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bytes_max).read_to_end(&mut bytes))
        .map_err(|source| read_error(path, source))?;
    Ok(bytes)
}

fn walk_error(root: &Path, error: walkdir::Error) -> PackError {
    let path = error.path().unwrap_or(root).to_owned();
    if error.loop_ancestor().is_some() {
        return PackError::LinkLoop(path);
    }
    let is_link = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink());
    let source = error
        .into_io_error()
        .unwrap_or_else(|| io::Error::other("the folder cannot be listed"));
    if is_link && source.kind() == io::ErrorKind::NotFound {
        return PackError::LinkBroken(path);
    }
    PackError::Read { path, source }
}

fn read_error(path: &Path, source: io::Error) -> PackError {
    PackError::Read {
        path: path.to_owned(),
        source,
    }
}

fn too_large(path: &Path, what: &'static str, max: u64) -> PackError {
    PackError::TooLarge {
        path: path.to_owned(),
        what,
        max,
    }
}

#[cfg(test)]
mod tests;
