//! Whether the kernel swaps.
//!
//! With `pagemap_scan`, wasmtime gives a used memory back to the pool by resetting just the pages
//! that the kernel says were written. A written page that has been swapped out is not named, and
//! so would reach the next sandbox (bytecodealliance/wasmtime pull request 14357). Locking the
//! pool is no way out, because locked memory cannot be reset with `madvise`. So the scan is used
//! only while no swap is active; when swap comes up later, the engine is replaced (ADR 0005).

use std::path::Path;

/// Whether any swap area is active, by the kernel's list (`/proc/swaps`, see proc(5)).
///
/// A list that cannot be read counts as active: then nothing is known, and the slower way is safe.
pub fn is_active(list: &Path) -> bool {
    match std::fs::read_to_string(list) {
        Ok(text) => text.lines().skip(1).any(|line| !line.trim().is_empty()),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::is_active;

    #[test]
    fn the_kernels_list_is_understood() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("swaps");
        let header = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        std::fs::write(&list, header).unwrap();
        assert!(!is_active(&list));
        std::fs::write(&list, format!("{header}/dev/vda2 partition 1048572 0 -2\n")).unwrap();
        assert!(is_active(&list));
        assert!(is_active(&folder.path().join("missing")));
    }
}
