//! Files that are in memory alone.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

/// A file with these bytes, which has no name below any folder; `name` is what the kernel shows of it
/// where it is mapped. It is open for reading, and nobody holds it open for writing.
///
/// # Errors
/// If the system has no memory left, or `/proc` is not there.
pub(super) fn holding(name: &str, bytes: &[u8]) -> Result<File> {
    let mut file = File::from(create(name).context("cannot make a file in memory")?);
    file.write_all(bytes)
        .context("cannot write a file in memory")?;
    let again = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::open(&again).context("cannot open a file in memory again")
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

    use super::holding;

    #[test]
    fn what_it_holds_is_read_and_cannot_be_changed() {
        let mut file = holding("sample", b"what it holds").unwrap();
        let mut read = String::new();
        file.read_to_string(&mut read).unwrap();
        assert_eq!(read, "what it holds");
        file.write_all(b"more").unwrap_err();
    }
}
