//! This machine, as a server would find it: the data folder, the kernel, the limits.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use super::Finding;

/// Open files that a server should be allowed: connections in and out, and its own.
const FILES_MIN: u64 = 8_192;
/// Memory maps that a process should be allowed: each sandbox in memory takes several.
const MAPS_MIN: u64 = 65_530;
/// Free room below which the store would soon be refused writes, in bytes.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// The first kernel with `PAGEMAP_SCAN` (ioctl_pagemap_scan(2)).
const PAGEMAP_SCAN_SINCE: (u32, u32) = (6, 7);

/// File systems on which a store does not belong, by their magic number (statfs(2)).
const UNFIT: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1994, "tmpfs, which is empty after a restart"),
    (0x8584_58f6, "ramfs, which is empty after a restart"),
    (0x794c_7630, "overlayfs, which goes with its container"),
];

/// Whether a server could keep its data in `folder`.
pub(super) fn data_folder(folder: &Path) -> Finding {
    let check = "data folder";
    let shown = folder.display();
    let (place, is_there) = match existing(folder) {
        Some(place) => (place.clone(), place == folder),
        None => {
            let advice = "give another one with --data or AMPOULE_DATA";
            return Finding::fail(check, format!("{shown} cannot be made"), advice);
        }
    };
    if !fs::metadata(&place).is_ok_and(|found| found.is_dir()) {
        let advice = "give another one with --data or AMPOULE_DATA";
        return Finding::fail(
            check,
            format!("{} is not a folder", place.display()),
            advice,
        );
    }
    if let Err(error) = tempfile::tempfile_in(&place) {
        let advice = "let the user who runs the server write there, or give another folder";
        let found = format!("{} cannot be written: {error}", place.display());
        return Finding::fail(check, found, advice);
    }
    let Ok(system) = rustix::fs::statvfs(&place) else {
        return Finding::ok(check, format!("{shown} can be written"));
    };
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    if let Some(kind) = unfit(&place) {
        let advice = "use a folder on a local disk: the store needs locks and durable writes";
        return Finding::warn(check, format!("{shown} is on {kind}"), advice);
    }
    let mib = free >> 20;
    if free < FREE_BYTES_MIN {
        let advice = "make room: writes fail once the disk is full";
        return Finding::warn(check, format!("{shown} has {mib} MiB of free room"), advice);
    }
    let state = if is_there {
        "can be written"
    } else {
        "can be made"
    };
    Finding::ok(check, format!("{shown} {state}, {mib} MiB are free"))
}

/// The folder itself, or the first of those above it that exists.
fn existing(folder: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(folder).ok()?;
    let found = whole.ancestors().find(|place| place.exists())?;
    let is_whole = found == whole;
    Some(if is_whole {
        folder.to_owned()
    } else {
        found.to_owned()
    })
}

fn unfit(place: &Path) -> Option<&'static str> {
    let found = rustix::fs::statfs(place).ok()?;
    // Its type differs between machines; all magic numbers have 32 bits.
    let magic = u64::try_from(found.f_type).ok()? & 0xffff_ffff;
    let kind = UNFIT.iter().find(|(number, _)| *number == magic);
    kind.map(|(_, name)| *name)
}

/// What the kernel of the machine below `root` offers.
pub(super) fn kernel(root: &Path) -> Finding {
    let check = "page scan";
    let release = read(root, "proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = release
        .split(['.', '-'])
        .map(|part| part.parse::<u32>().ok());
    let (major, minor) = PAGEMAP_SCAN_SINCE;
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(one), Some(two)) if (one, two) >= (major, minor) => {
            Finding::ok(check, format!("Linux {release} has PAGEMAP_SCAN"))
        }
        (Some(_), Some(_)) => Finding::warn(
            check,
            format!("Linux {release} has no PAGEMAP_SCAN, so used memory is reset whole"),
            format!("use Linux {major}.{minor} or later for faster invocations"),
        ),
        _ => Finding::warn(
            check,
            "the kernel does not tell its version",
            "run the server on Linux with /proc mounted",
        ),
    }
}

/// What a process may have at most.
pub(super) fn bounds(root: &Path) -> Vec<Finding> {
    let files = getrlimit(Resource::Nofile);
    let space = getrlimit(Resource::As);
    let maps = read(root, "proc/sys/vm/max_map_count").and_then(|text| text.parse().ok());
    vec![
        open_files(files.current, files.maximum),
        memory_maps(maps),
        address_space(space.current),
    ]
}

/// `None` stands for no limit.
fn open_files(soft: Option<u64>, hard: Option<u64>) -> Finding {
    let check = "open files";
    let Some(soft) = soft else {
        return Finding::ok(check, "without a limit");
    };
    if soft >= FILES_MIN {
        return Finding::ok(check, format!("up to {soft}"));
    }
    let most = hard.map_or(FILES_MIN, |hard| hard.min(FILES_MIN));
    let advice = match most < FILES_MIN {
        true => format!("raise the hard limit as well, to {FILES_MIN} (LimitNOFILE of systemd)"),
        false => {
            format!("ulimit -n {FILES_MIN} before the server starts, or LimitNOFILE of systemd")
        }
    };
    let found = format!("up to {soft}: connections beyond are not accepted");
    Finding::warn(check, found, advice)
}

fn memory_maps(most: Option<u64>) -> Finding {
    let check = "memory maps";
    match most {
        Some(most) if most < MAPS_MIN => Finding::warn(
            check,
            format!("up to {most}: sandboxes beyond cannot be made"),
            format!("sysctl vm.max_map_count={MAPS_MIN}"),
        ),
        Some(most) => Finding::ok(check, format!("up to {most}")),
        None => Finding::ok(check, "the kernel does not tell"),
    }
}

fn address_space(most: Option<u64>) -> Finding {
    let check = "address space";
    match most {
        None => Finding::ok(check, "without a limit"),
        Some(bytes) => Finding::fail(
            check,
            format!("limited to {} GiB", bytes >> 30),
            "ulimit -v unlimited: address space is set apart for all sandboxes, and takes no memory",
        ),
    }
}

fn read(root: &Path, path: &str) -> Option<String> {
    let text = fs::read_to_string(root.join(path)).ok()?;
    Some(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn what_makes_a_server_slower_is_told_with_advice() {
        let found = |release| kernel(root(&[("proc/sys/kernel/osrelease", release)]).path());
        assert_eq!(found("6.7.0-generic\n").state, State::Ok);
        for old in ["6.6.87\n", "5.15\n", "unknown"] {
            let found = found(old);
            assert_eq!(found.state, State::Warn);
            assert!(found.advice.is_some());
        }
        assert_eq!(kernel(root(&[]).path()).state, State::Warn);
    }

    #[test]
    fn limits_are_held_against_what_a_server_needs() {
        assert_eq!(open_files(Some(FILES_MIN), None).state, State::Ok);
        assert_eq!(open_files(None, None).state, State::Ok);
        let low = open_files(Some(1024), Some(4096));
        assert!(low.advice.unwrap().contains("hard limit"));
        let low = open_files(Some(FILES_MIN - 1), Some(FILES_MIN));
        assert!(low.advice.unwrap().contains("ulimit -n"));
        assert_eq!(memory_maps(Some(MAPS_MIN)).state, State::Ok);
        assert_eq!(memory_maps(Some(MAPS_MIN - 1)).state, State::Warn);
        assert_eq!(address_space(None).state, State::Ok);
        assert_eq!(address_space(Some(8 << 30)).state, State::Fail);
        assert_eq!(bounds(Path::new("/")).len(), 3);
    }

    #[test]
    fn a_data_folder_can_be_written_or_made() {
        let folder = tempfile::tempdir().unwrap();
        let there = data_folder(folder.path());
        assert_ne!(there.state, State::Fail, "{there:?}");
        let below = data_folder(&folder.path().join("a/b"));
        assert_ne!(below.state, State::Fail, "{below:?}");
        assert!(!folder.path().join("a").exists(), "looking makes nothing");
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(data_folder(&file).state, State::Fail);
        assert_eq!(data_folder(&file.join("below")).state, State::Fail);
    }
}
