//! Whether the kernel leaves pages where they are.
//!
//! With `pagemap_scan`, wasmtime gives a used memory back to the pool by resetting just the pages
//! that the kernel says were written *and are present*. A written page that is swapped out, or on
//! its way to another place in memory at that very moment, is not named, and so would reach the
//! next sandbox (bytecodealliance/wasmtime pull request 14357). Locking the pool is no way out:
//! locked memory cannot be reset with `madvise`, and is moved all the same. So the scan is used
//! only while no swap is active and no pages are moved; when that changes, the engine is replaced
//! (ADR 0005).

use std::path::{Path, PathBuf};

/// What is said of swap.
const SWAPS: &str = "swap is active: a swapped page would escape the scan";
/// What is said of pages that are moved.
const MOVES: &str = "the kernel moves pages, for compaction or NUMA balancing: one on its way \
                     would escape the scan";
/// What is said when nothing is known; then the slower way is the safe one.
const UNKNOWN: &str = "the kernel does not say whether it moves pages";

/// What the kernel tells about its pages.
#[derive(Debug)]
pub struct Paging {
    /// The list of swap areas: `/proc/swaps`, see proc(5).
    swaps: PathBuf,
    /// The counters of virtual memory: `/proc/vmstat`, see proc(5).
    counters: PathBuf,
    /// Pages moved, or tried to, before anybody looked.
    moved: Option<u64>,
}

impl Paging {
    /// What is moved from here on counts.
    pub fn new(swaps: PathBuf, counters: PathBuf) -> Self {
        let moved = moved(&counters);
        Self {
            swaps,
            counters,
            moved,
        }
    }

    /// Why the page scan must not be used, if so.
    pub fn objection(&self) -> Option<&'static str> {
        if is_swapping(&self.swaps) {
            return Some(SWAPS);
        }
        match (self.moved, moved(&self.counters)) {
            (Some(before), Some(now)) if before == now => None,
            (Some(_), Some(_)) => Some(MOVES),
            _ => Some(UNKNOWN),
        }
    }
}

/// Whether any swap area is active. A list that cannot be read counts as active.
fn is_swapping(list: &Path) -> bool {
    match std::fs::read_to_string(list) {
        Ok(text) => text.lines().skip(1).any(|line| !line.trim().is_empty()),
        Err(_) => true,
    }
}

/// Pages that were moved since the machine started, whether that worked or not; none if unknown.
/// A kernel that cannot move pages does not count them either.
fn moved(counters: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(counters).ok()?;
    if text.is_empty() {
        return None;
    }
    let of_moves = text
        .lines()
        .filter_map(|line| line.strip_prefix("pgmigrate_")?.split_once(' '));
    of_moves
        .map(|(_, value)| value.trim().parse::<u64>().ok())
        .try_fold(0_u64, |sum, value| sum.checked_add(value?))
}

#[cfg(test)]
mod tests {
    use super::{MOVES, Paging, SWAPS, UNKNOWN};

    const NO_SWAP: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

    #[test]
    fn the_kernels_files_are_understood() {
        let folder = tempfile::tempdir().unwrap();
        let [swaps, counters] = ["swaps", "vmstat"].map(|name| folder.path().join(name));
        let paging = || Paging::new(swaps.clone(), counters.clone());
        std::fs::write(&swaps, NO_SWAP).unwrap();
        assert_eq!(paging().objection(), Some(UNKNOWN));
        std::fs::write(&counters, "nr_free_pages 5\n").unwrap();
        assert_eq!(paging().objection(), None);
        let counted = |done: u64, failed: u64| {
            let text = format!("a 1\npgmigrate_success {done}\npgmigrate_fail {failed}\nz 2\n");
            std::fs::write(&counters, text).unwrap();
        };
        counted(7, 1);
        let watched = paging();
        assert_eq!(watched.objection(), None);
        for (done, failed) in [(8, 1), (7, 2)] {
            counted(done, failed);
            assert_eq!(watched.objection(), Some(MOVES));
            assert_eq!(paging().objection(), None);
        }
        std::fs::write(&counters, "pgmigrate_success many\n").unwrap();
        assert_eq!(paging().objection(), Some(UNKNOWN));
        assert_eq!(watched.objection(), Some(UNKNOWN));
        std::fs::write(
            &swaps,
            format!("{NO_SWAP}/dev/vda2 partition 1048572 0 -2\n"),
        )
        .unwrap();
        assert_eq!(watched.objection(), Some(SWAPS));
        std::fs::remove_file(&swaps).unwrap();
        assert_eq!(watched.objection(), Some(SWAPS));
    }
}
