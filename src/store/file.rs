//! Opening the data file: made whole or not at all, checked before anything relies on it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redb::{Builder, Database, DatabaseError, StorageError};

use super::{Error, Fault, schema};
use crate::telemetry::expecting_panics;

/// Memory for pages of a file that is being made.
const DRAFT_CACHE_BYTES: usize = 1 << 20;
/// Files up to this size are verified whole on every start; larger ones only after a crash.
const VERIFY_BYTES_MAX: u64 = 256 << 20;
/// How often, and how long apart, a lock that somebody else has is tried again.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// The first bytes of every redb file.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// How much of the beginning tells an overwritten file from another program's.
const HEADER_BYTES: u64 = 512;

/// Opens the file at `path`, or makes it if there is none or it is empty. At most `cache_bytes` of
/// memory are for its pages, read or waiting to be written.
pub(super) fn open_or_create(path: &Path, cache_bytes: usize) -> Result<Database, Error> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > 0 || !metadata.is_file() => {}
        Ok(_) => create_in_place(path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => create(path)?,
        Err(error) => return Err(inaccessible(path, error)),
    }
    open(path, cache_bytes)
}

/// Opens the file after a failure: what the disk holds counts, not what memory remembers.
pub(super) fn reopen(path: &Path, cache_bytes: usize) -> Result<Database, Error> {
    forget_cached_pages(path).map_err(|error| inaccessible(path, error))?;
    open(path, cache_bytes)
}

/// Opens an existing file and checks that it is ours, whole, and in our format.
///
/// Waits a moment for its lock: the one who had it may be ending, and a program that is just
/// being started has copies of its parent's files, locks included, until it is.
fn open(path: &Path, cache_bytes: usize) -> Result<Database, Error> {
    open_pausing(path, cache_bytes, || std::thread::sleep(LOCK_PAUSE))
}

/// [`open`], with `pause` between two tries.
pub(super) fn open_pausing(
    path: &Path,
    cache_bytes: usize,
    mut pause: impl FnMut(),
) -> Result<Database, Error> {
    for _ in 0..LOCK_TRIES {
        match open_now(path, cache_bytes) {
            Err(Error::Locked { .. }) => pause(),
            outcome => return outcome,
        }
    }
    open_now(path, cache_bytes)
}

fn open_now(path: &Path, cache_bytes: usize) -> Result<Database, Error> {
    let bytes = check_beginning(path)?;
    guarded(path, || {
        let repaired = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&repaired);
        let opened = Builder::new()
            .set_cache_size(cache_bytes)
            .set_repair_callback(move |_| noted.store(true, Ordering::Relaxed))
            .open(path);
        let mut database = opened.map_err(|error| from_redb(path, error))?;
        let was_repaired = repaired.load(Ordering::Relaxed);
        if was_repaired {
            tracing::info!(path = %path.display(), "the data file was not closed; it is verified");
        } else if bytes <= VERIFY_BYTES_MAX {
            verify(path, &mut database)?;
        }
        check_format(path, &database)?;
        schema::complete(&database).map_err(|source| Error::Unavailable {
            source: Arc::new(source),
        })?;
        Ok(database)
    })
}

/// Reads every page and compares checksums.
fn verify(path: &Path, database: &mut Database) -> Result<(), Error> {
    match database.check_integrity() {
        Ok(true) => Ok(()),
        Ok(false) => {
            tracing::warn!(path = %path.display(), "the data file's free space was repaired");
            Ok(())
        }
        Err(error) => Err(from_redb(path, error)),
    }
}

/// Checks that the file is ours and that this build reads its format.
pub(super) fn check_format(path: &Path, database: &Database) -> Result<(), Error> {
    let path = path.to_owned();
    match schema::format_of(database) {
        Ok(Some(schema::FORMAT_OLDEST..=schema::FORMAT)) => Ok(()),
        Ok(Some(found)) => Err(Error::OtherFormat {
            path,
            found,
            supported: schema::FORMAT,
        }),
        Ok(None) => Err(Error::Foreign { path }),
        Err(fault) => Err(Error::Corrupt {
            path,
            source: Arc::new(fault),
        }),
    }
}

/// Looks at the first bytes before redb does, to tell a foreign file from a damaged one.
///
/// Answers the length of the file in bytes.
fn check_beginning(path: &Path) -> Result<u64, Error> {
    let read = || -> io::Result<(Vec<u8>, u64)> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut beginning = Vec::new();
        file.take(HEADER_BYTES).read_to_end(&mut beginning)?;
        Ok((beginning, bytes))
    };
    let (beginning, bytes) = read().map_err(|error| inaccessible(path, error))?;
    if beginning.starts_with(MAGIC) {
        return Ok(bytes);
    }
    let path = path.to_owned();
    if beginning.iter().all(|byte| *byte == 0) {
        let source = Arc::new(Fault::Inconsistent("the beginning is all zeros"));
        return Err(Error::Corrupt { path, source });
    }
    Err(Error::Foreign { path })
}

/// Makes a new file beside `path` and links it there once it is whole and on disk.
///
/// So a crash at any moment leaves either no data file or one that opens.
fn create(path: &Path) -> Result<(), Error> {
    let draft = draft_path(path);
    let initialised = initialise(path, &draft).or_else(|error| match error {
        Error::Corrupt { .. } | Error::Foreign { .. } => {
            // Left behind by a crash in here; nothing was ever stored in it.
            std::fs::remove_file(&draft).map_err(|error| inaccessible(path, error))?;
            initialise(path, &draft)
        }
        other => Err(other),
    });
    initialised?;
    // Linking, unlike renaming, never replaces a file that another process made meanwhile.
    let placed = match std::fs::hard_link(&draft, path) {
        Ok(()) => std::fs::remove_file(&draft),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => std::fs::remove_file(&draft),
        Err(_) => std::fs::rename(&draft, path),
    };
    placed
        .and_then(|()| sync_folder(path))
        .map_err(|error| inaccessible(path, error))
}

/// Fills an empty file that is already in its place.
fn create_in_place(path: &Path) -> Result<(), Error> {
    initialise(path, path)
}

/// Makes a database in `file`; errors name `path`, the file that the operator knows.
fn initialise(path: &Path, file: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        // The file holds tenants' data and environments: for its owner alone.
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let opened = options
        .open(file)
        .map_err(|error| inaccessible(path, error))?;
    guarded(path, || {
        let database = Builder::new()
            .set_cache_size(DRAFT_CACHE_BYTES)
            .create_file(opened)
            .map_err(|error| from_redb(path, error))?;
        schema::initialise(&database, schema::FORMAT).map_err(|fault| Error::Inaccessible {
            path: path.to_owned(),
            source: Arc::new(fault),
        })
    })
}

fn draft_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Makes the file's name durable; its content already is.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// Has the kernel drop its copies of the file's pages.
///
/// After a failed sync they may differ from the disk and yet count as written, so a file opened
/// from them could rest on pages that were never stored.
fn forget_cached_pages(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    drop(file);
    Ok(())
}

/// Runs `work` on a file that may be damaged in ways that make redb panic.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let work = || expecting_panics(work);
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(Error::Corrupt {
            path: path.to_owned(),
            source: Arc::new(Fault::from_panic(panic.as_ref())),
        })
    })
}

fn inaccessible(path: &Path, error: io::Error) -> Error {
    Error::Inaccessible {
        path: path.to_owned(),
        source: Arc::new(Fault::Io(error)),
    }
}

/// Says what an error of redb's means for the operator.
fn from_redb(path: &Path, error: DatabaseError) -> Error {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => Error::Locked { path },
        DatabaseError::UpgradeRequired(_) => Error::Foreign { path },
        DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Error::Corrupt {
                path,
                source: Arc::new(Fault::Io(error)),
            },
            _ => inaccessible(&path, error),
        },
        other => Error::Corrupt {
            path,
            source: Arc::new(Fault::from(other)),
        },
    }
}
