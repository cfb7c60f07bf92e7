//! Files that are in memory alone.

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context, Result};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

/// A file with these bytes, of which zeros take no room where they fill a page, which has no name below any folder; `name` is what the kernel shows of it
/// where it is mapped. It ends with the last page that has something in it. It is open for reading, and nobody holds it open for writing.
///
/// # Errors
/// If the system has no memory left, or `/proc` is not there.
pub(super) fn holding(name: &str, bytes: &[u8]) -> Result<File> {
    let file = File::from(create(name).context("cannot make a file in memory")?);
    write(&file, bytes).context("cannot write a file in memory")?;
    let again = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::open(&again).context("cannot open a file in memory again")
}

fn write(file: &File, bytes: &[u8]) -> std::io::Result<()> {
    let page = rustix::param::page_size();
    let mut end = 0;
    for (at, part) in (0_u64..).step_by(page).zip(bytes.chunks(page)) {
        if part.iter().any(|byte| *byte != 0) {
            file.write_all_at(part, at)?;
            end = at + page as u64;
        }
    }
    file.set_len(end)
}

/// A program cannot be started from it, though code in it may be mapped. That is asked for because
/// systems refuse to make any other where `vm.memfd_noexec` is 2, and not where the kernel is older
/// than 6.3 and knows nothing of it.
fn create(name: &str) -> rustix::io::Result<OwnedFd> {
    match memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create(name, MemfdFlags::CLOEXEC),
        created => created,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::MetadataExt as _;

    use super::holding;

    #[test]
    fn what_it_holds_is_read_and_cannot_be_changed() {
        let page = rustix::param::page_size();
        let mut bytes = vec![0; 100 * page];
        bytes[90 * page..][..13].copy_from_slice(b"what it holds");
        let mut file = holding("sample", &bytes).unwrap();
        let mut read = Vec::new();
        file.read_to_end(&mut read).unwrap();
        assert!(read == bytes[..91 * page], "up to the end of the last page");
        let taken = file.metadata().unwrap().blocks() * 512;
        assert!(taken < 20 * page as u64, "{taken} bytes for one page");
        file.write_all(b"more").unwrap_err();
    }
}
