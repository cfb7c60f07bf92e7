use std::fs;
use std::path::{Path, PathBuf};

use super::{hash, sha256};

/// A folder of its own for one test, gone when the test has ended.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let unique = format!("ampoule-xtask-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        let folder = Self(path);
        folder.write("guest/src/lib.rs", "one");
        folder.write("guest/build.sh", "two");
        folder.write("wit/kv.wit", "three");
        folder
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_known_hash() {
    assert_eq!(
        sha256(b"abc").unwrap(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn the_hash_is_that_of_the_sorted_listing() {
    let folder = Folder::new("listing");
    let expected: String = [("guest/build.sh", "two"), ("guest/src/lib.rs", "one")]
        .into_iter()
        .chain([("wit/kv.wit", "three")])
        .map(|(path, text)| format!("{}  {path}\n", sha256(text.as_bytes()).unwrap()))
        .collect();
    assert_eq!(
        hash(folder.path()).unwrap(),
        sha256(expected.as_bytes()).unwrap()
    );
}

#[test]
fn a_changed_renamed_or_added_source_changes_the_hash() {
    let folder = Folder::new("changes");
    let mut seen = vec![hash(folder.path()).unwrap()];
    folder.write("guest/src/lib.rs", "one more");
    seen.push(hash(folder.path()).unwrap());
    fs::rename(
        folder.path().join("wit/kv.wit"),
        folder.path().join("wit/kw.wit"),
    )
    .unwrap();
    seen.push(hash(folder.path()).unwrap());
    folder.write("guest/js/src/main.js", "");
    seen.push(hash(folder.path()).unwrap());
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

#[test]
fn what_builds_leave_behind_does_not_count() {
    let folder = Folder::new("leftovers");
    let before = hash(folder.path()).unwrap();
    folder.write("guest/artifact/engine.wasm", "built");
    folder.write("guest/js/dist/guest.js", "built");
    folder.write("guest/js/node_modules/buffer/index.js", "fetched");
    folder.write("guest/js/test/kv.test.mjs", "a test");
    folder.write("guest/target/release/x", "built");
    folder.write("guest/link/target/x", "built");
    folder.write("guest/src/.lib.rs.swp", "an editor's");
    assert_eq!(hash(folder.path()).unwrap(), before);
}

#[test]
fn a_link_is_refused() {
    let folder = Folder::new("link");
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("guest/link.rs")).unwrap();
    let refused = hash(folder.path()).unwrap_err();
    assert_eq!(refused, "guest/link.rs is neither a file nor a folder");
}
