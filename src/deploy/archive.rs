//! Archives: unpacking an upload into files, and the form in which a deployment's files are kept.
//!
//! Everything happens in memory: nothing here touches a file system, so no name in an archive
//! can reach one. An upload is hostile until proven otherwise. Sizes that it declares are only
//! ever used to refuse it, every bound of [`limits`] is kept while unpacking, and what two
//! readers of the same archive could understand differently (a name used twice, headers that
//! disagree, data after the end) is refused instead of guessed.

use std::collections::HashSet;
use std::io::Read;

use bytes::Bytes;

use crate::error::{Code, Error};
use crate::limits;

mod tar_gz;
mod zip;

/// Most characters of a name that an error repeats.
const SHOWN_CHARS_MAX: usize = 120;

/// One file of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it is: relative, components joined by `/`, none of them empty, `.` or `..`;
    /// 1 to [`limits::PATH_BYTES_MAX`] bytes of UTF-8 without control characters.
    pub path: String,
    /// What is in it, byte for byte.
    pub bytes: Bytes,
}

/// The kinds of archive that can be uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A tar archive (ustar, pax or GNU) compressed with gzip.
    TarGz,
    /// A zip archive with stored or deflated entries; zip64 included.
    Zip,
}

/// Why an archive was refused; the text may be shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The archive as a whole cannot be read, or holds no file.
    #[error("the archive {0}")]
    Unreadable(&'static str),
    /// One entry cannot be accepted.
    #[error("the archive's entry \"{name}\" {reason}")]
    Entry {
        /// The entry's name, made fit to show: cut and escaped.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The upload or what it unpacks to exceeds a bound.
    #[error("the archive {what}; at most {max} are allowed")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The bound, with its unit.
        max: String,
    },
}

impl ArchiveError {
    /// The stable code that a caller gets for this.
    pub fn code(&self) -> Code {
        match self {
            Self::Unreadable(_) | Self::Entry { .. } => Code::ArchiveInvalid,
            Self::TooLarge { .. } => Code::ArchiveTooLarge,
        }
    }

    fn entry(name: &[u8], reason: &'static str) -> Self {
        let text = String::from_utf8_lossy(name);
        let mut shown = String::new();
        for (at, c) in text.chars().enumerate() {
            if at == SHOWN_CHARS_MAX {
                shown.push('…');
                break;
            }
            match c {
                '"' | '\\' => shown.extend(['\\', c]),
                _ if c.is_control() => shown.extend(c.escape_default()),
                _ => shown.push(c),
            }
        }
        Self::Entry {
            name: shown,
            reason,
        }
    }

    fn too_many_bytes() -> Self {
        Self::TooLarge {
            what: "unpacks to too much",
            max: format!("{} bytes", limits::UNPACKED_BYTES_MAX),
        }
    }

    fn too_many_files() -> Self {
        Self::TooLarge {
            what: "has too many entries",
            max: format!("{} files", limits::FILES_MAX),
        }
    }
}

impl From<ArchiveError> for Error {
    fn from(error: ArchiveError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// Tells the kind of an archive from its first bytes; `None` when it is neither.
pub fn kind_of(bytes: &[u8]) -> Option<Kind> {
    match bytes {
        [0x1f, 0x8b, ..] => Some(Kind::TarGz),
        // A first entry, or the end record of an archive without entries.
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Kind::Zip),
        _ => None,
    }
}

/// Unpacks an upload.
///
/// Files come sorted by path. Directories are not kept; leading `./` and repeated slashes are
/// taken out of paths, and nothing else is: a single top folder stays where it is.
/// Memory in use stays below the upload plus [`limits::UNPACKED_BYTES_MAX`] plus a small amount
/// per entry. Takes up to some seconds of CPU without a pause, so it belongs on a blocking thread.
///
/// # Errors
/// `archive_too_large` when the upload exceeds [`limits::UPLOAD_BYTES_MAX`] or what is in it
/// exceeds [`limits::UNPACKED_BYTES_MAX`] or [`limits::FILES_MAX`]; `archive_invalid`, naming the
/// entry, for everything else.
pub fn unpack(kind: Kind, bytes: &[u8]) -> Result<Vec<File>, ArchiveError> {
    if bytes.len() > limits::UPLOAD_BYTES_MAX {
        return Err(ArchiveError::TooLarge {
            what: "is too large",
            max: format!("{} bytes", limits::UPLOAD_BYTES_MAX),
        });
    }
    let mut collector = Collector::new();
    match kind {
        Kind::TarGz => tar_gz::unpack(bytes, &mut collector)?,
        Kind::Zip => zip::unpack(bytes, &mut collector)?,
    }
    collector.finish()
}

/// Packs files into the form in which deployments are kept: a tar archive in gzip.
///
/// The same files give the same bytes, in whatever order they come.
///
/// # Errors
/// As [`unpack`], for files that it would not answer: a path not in its normal form or used
/// twice, or too much of anything. What `unpack` answered is always accepted.
pub fn pack(files: &[File]) -> Result<Bytes, ArchiveError> {
    let mut collector = Collector::new();
    for file in files {
        let path = normal_path(file.path.as_bytes())?;
        if path.as_deref() != Some(file.path.as_str()) {
            return Err(ArchiveError::entry(
                file.path.as_bytes(),
                "has a path that is not in its normal form",
            ));
        }
        collector.keep(&file.path, file.bytes.clone())?;
    }
    Ok(tar_gz::pack(&collector.finish()?))
}

/// Unpacks what [`pack`] made.
///
/// Keeps every bound that [`unpack`] keeps, but for the size of the archive itself.
///
/// # Errors
/// Any error means that the stored bytes are damaged.
pub fn unpack_stored(bytes: &[u8]) -> Result<Vec<File>, ArchiveError> {
    let mut collector = Collector::new();
    tar_gz::unpack(bytes, &mut collector)?;
    collector.finish()
}

/// What has been unpacked so far, and what is left of the bounds.
struct Collector {
    files: Vec<File>,
    paths: HashSet<String>,
    /// Directories with an entry of their own: a file may not have the same path.
    directories: HashSet<String>,
    bytes_left: u64,
}

impl Collector {
    fn new() -> Self {
        Self {
            files: Vec::new(),
            paths: HashSet::new(),
            directories: HashSet::new(),
            bytes_left: limits::UNPACKED_BYTES_MAX,
        }
    }

    /// Takes an entry for a directory.
    fn directory(&mut self, name: &[u8]) -> Result<(), ArchiveError> {
        if let Some(path) = normal_path(name)? {
            self.directories.insert(path);
        }
        if self.directories.len() > limits::FILES_MAX {
            return Err(ArchiveError::too_many_files());
        }
        Ok(())
    }

    /// Takes an entry for a file: reads `data` to its end, which has to come after exactly
    /// `declared` bytes.
    fn file(
        &mut self,
        name: &[u8],
        declared: u64,
        data: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let path = normal_path(name)?
            .ok_or_else(|| ArchiveError::entry(name, "is a file without a name"))?;
        if declared > self.bytes_left {
            return Err(ArchiveError::too_many_bytes());
        }
        // The declared size is an upper bound for what is read, never for what is allocated.
        let capacity = usize::try_from(declared).map_or(0, |size| size.min(64 << 10));
        let mut bytes = Vec::with_capacity(capacity);
        data.take(declared + 1)
            .read_to_end(&mut bytes)
            .map_err(|_| ArchiveError::entry(name, "has damaged data"))?;
        if bytes.len() as u64 != declared {
            return Err(ArchiveError::entry(
                name,
                "has data of another length than its header says",
            ));
        }
        bytes.shrink_to_fit();
        self.keep(&path, Bytes::from(bytes))
    }

    /// Keeps a file whose path is in its normal form.
    fn keep(&mut self, path: &str, bytes: Bytes) -> Result<(), ArchiveError> {
        if self.files.len() == limits::FILES_MAX {
            return Err(ArchiveError::too_many_files());
        }
        self.bytes_left = self
            .bytes_left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(ArchiveError::too_many_bytes)?;
        if !self.paths.insert(path.to_owned()) {
            return Err(ArchiveError::entry(path.as_bytes(), "is there twice"));
        }
        self.files.push(File {
            path: path.to_owned(),
            bytes,
        });
        Ok(())
    }

    /// The files sorted by path, when there are some and none has the path of a directory.
    fn finish(self) -> Result<Vec<File>, ArchiveError> {
        let Self {
            mut files,
            paths,
            directories,
            ..
        } = self;
        if files.is_empty() {
            return Err(ArchiveError::Unreadable("holds no file"));
        }
        if let Some(path) = directories.intersection(&paths).min() {
            return Err(ArchiveError::entry(path.as_bytes(), FILE_AND_DIRECTORY));
        }
        for path in paths.iter().chain(&directories) {
            let mut parents = path.match_indices('/').map(|(at, _)| &path[..at]);
            if let Some(parent) = parents.find(|parent| paths.contains(*parent)) {
                return Err(ArchiveError::entry(parent.as_bytes(), FILE_AND_DIRECTORY));
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

const FILE_AND_DIRECTORY: &str = "is both a file and a directory";

/// The normal form of an entry's name; `None` for the top directory itself.
fn normal_path(name: &[u8]) -> Result<Option<String>, ArchiveError> {
    let refuse = |reason| Err(ArchiveError::entry(name, reason));
    let Ok(text) = std::str::from_utf8(name) else {
        return refuse("has a name that is not UTF-8");
    };
    if text.is_empty() {
        return refuse("has no name");
    }
    if text.chars().any(char::is_control) {
        return refuse("has a NUL or another control character in its name");
    }
    if text.contains('\\') {
        return refuse("has a backslash in its name");
    }
    if text.starts_with('/') {
        return refuse("has an absolute path");
    }
    let mut path = String::with_capacity(text.len().min(limits::PATH_BYTES_MAX));
    for component in text.split('/') {
        match component.as_bytes() {
            [] | [b'.'] => continue,
            [b'.', b'.'] => return refuse("leads out of the archive with \"..\""),
            [letter, b':', ..] if path.is_empty() && letter.is_ascii_alphabetic() => {
                return refuse("has a path with a drive letter");
            }
            _ => {}
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(component);
        if path.len() > limits::PATH_BYTES_MAX {
            return refuse("has a path that is too long");
        }
    }
    Ok(Some(path).filter(|path| !path.is_empty()))
}

#[cfg(test)]
mod tests;
