//! The deployment's files, through WASI: `/app`, read only.

use std::mem::ManuallyDrop;

use crate::wasi::filesystem::preopens::get_directories;
pub use crate::wasi::filesystem::types::Descriptor;
use crate::wasi::filesystem::types::{DescriptorFlags, DescriptorType, OpenFlags, PathFlags};
use crate::{hot, scratch};

/// Where the deployment's files stand.
pub const ROOT: &str = "/app";

/// Largest file that is read as a module, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;
const CHUNK: u64 = 1 << 20;

/// The deployment's folder, once it was opened. The handle belongs to the running instance: a snapshot
/// must not hold one, and dropping it in another instance would drop somebody else's.
pub type Folder = Option<ManuallyDrop<Descriptor>>;

/// Forgets the open folder; first thing in every export that may run in a new instance.
pub fn forget() {
    *hot::state().folder.borrow_mut() = None;
}

/// Works on the deployment's folder; none if there is none.
pub fn with_root<T>(work: impl FnOnce(&Descriptor) -> Option<T>) -> Option<T> {
    let mut folder = hot::state().folder.borrow_mut();
    if folder.is_none() {
        let _scratch = scratch::Guard::new();
        let (root, _path) = get_directories().into_iter().next()?;
        *folder = Some(ManuallyDrop::new(root));
    }
    folder.as_ref().and_then(|root| work(root))
}

/// A path below `/app`, as WASI wants it; none for paths elsewhere.
pub fn relative(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(ROOT)?;
    if rest.is_empty() {
        return Some(".");
    }
    rest.strip_prefix('/')
}

fn kind(path: &str) -> Option<DescriptorType> {
    let path = relative(path)?;
    with_root(|root| {
        root.stat_at(PathFlags::empty(), path)
            .ok()
            .map(|stat| stat.type_)
    })
}

/// Whether there is a file at this absolute path.
pub fn is_file(path: &str) -> bool {
    kind(path) == Some(DescriptorType::RegularFile)
}

/// Whether there is a folder at this absolute path.
pub fn is_folder(path: &str) -> bool {
    kind(path) == Some(DescriptorType::Directory)
}

/// A whole file.
pub fn read(path: &str) -> Option<Vec<u8>> {
    let path = relative(path)?;
    with_root(|root| {
        let file = root
            .open_at(
                PathFlags::empty(),
                path,
                OpenFlags::empty(),
                DescriptorFlags::READ,
            )
            .ok()?;
        let mut bytes = Vec::new();
        loop {
            let _scratch = scratch::Guard::new();
            let (chunk, end) = file.read(CHUNK, bytes.len() as u64).ok()?;
            bytes.extend_from_slice(&chunk);
            if end || chunk.is_empty() {
                return Some(bytes);
            }
            if bytes.len() as u64 > FILE_BYTES_MAX {
                return None;
            }
        }
    })
}

/// A whole file as text; bytes that are not UTF-8 become U+FFFD.
pub fn read_text(path: &str) -> Option<String> {
    let bytes = read(path)?;
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Some(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}
