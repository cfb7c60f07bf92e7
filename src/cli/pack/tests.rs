//! Packing: what goes in, what is refused, and that it is the same every time.

use std::io::Read;
use std::path::Path;

use tempfile::TempDir;

use super::{PackError, pack};
use crate::limits;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(folder.path(), name, text);
    }
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn unpack(bytes: &[u8]) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        assert!(entry.header().entry_type().is_file());
        assert_eq!(entry.header().mtime().unwrap(), 0);
        assert_eq!(entry.header().mode().unwrap(), 0o644);
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.push((name, text));
    }
    files
}

fn names(bytes: &[u8]) -> Vec<String> {
    unpack(bytes).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn one_file_is_sent_as_it_is() {
    let folder = folder(&[("hello.mjs", "export default () => {}\n")]);
    let packed = pack(&folder.path().join("hello.mjs")).unwrap();
    assert_eq!(packed.bytes, b"export default () => {}\n");
    assert_eq!(packed.content_type, "application/javascript");
    assert_eq!(packed.filename.as_deref(), Some("hello.mjs"));
    assert_eq!(packed.files, 1);
}

#[test]
fn another_kind_of_file_is_refused() {
    let folder = folder(&[("notes.txt", "")]);
    let error = pack(&folder.path().join("notes.txt")).unwrap_err();
    assert!(matches!(error, PackError::NotScript(_)), "{error}");
    assert!(error.to_string().contains("notes.txt is neither"));
}

#[test]
fn a_missing_path_is_named() {
    let error = pack(Path::new("no/such/path")).unwrap_err();
    assert!(error.to_string().starts_with("cannot read no/such/path: "));
}

#[test]
fn a_folder_is_sorted_and_leaves_out_git() {
    let folder = folder(&[
        ("index.js", "i"),
        ("lib/b.js", "b"),
        ("lib/a.js", "a"),
        ("lib-x.js", "x"),
        (".env.json", "e"),
        (".git/HEAD", "ref"),
        ("node_modules/p/.git/HEAD", "ref"),
        ("node_modules/p/index.js", "p"),
    ]);
    let packed = pack(folder.path()).unwrap();
    assert_eq!(packed.content_type, "application/gzip");
    assert_eq!(packed.filename, None);
    assert_eq!(packed.files, 6);
    let expected = [
        ".env.json",
        "index.js",
        "lib-x.js",
        "lib/a.js",
        "lib/b.js",
        "node_modules/p/index.js",
    ];
    assert_eq!(names(&packed.bytes), expected);
    assert_eq!(unpack(&packed.bytes)[3].1, "a");
}

#[test]
fn the_same_content_packs_to_the_same_bytes() {
    let files = [("index.js", "one"), ("lib/two.js", "two")];
    let reversed = [files[1], files[0]];
    let (first, second) = (folder(&files), folder(&reversed));
    let run = first.path().join("index.js");
    std::fs::File::options()
        .write(true)
        .open(&run)
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    assert_eq!(pack(first.path()).unwrap(), pack(second.path()).unwrap());
}

#[test]
fn long_paths_survive_up_to_the_bound() {
    let dir = "d".repeat(100);
    let longest = format!("{dir}/{dir}/{dir}/{dir}/{}", "f".repeat(108));
    assert_eq!(longest.len(), limits::PATH_BYTES_MAX);
    let fits = folder(&[(&longest, "x")]);
    assert_eq!(
        names(&pack(fits.path()).unwrap().bytes),
        std::slice::from_ref(&longest)
    );
    let over = folder(&[(&format!("{longest}f"), "x")]);
    let error = pack(over.path()).unwrap_err();
    assert!(matches!(error, PackError::PathInvalid(_)), "{error}");
}

#[test]
fn an_empty_folder_is_refused() {
    let folder = folder(&[(".git/HEAD", "ref")]);
    let error = pack(folder.path()).unwrap_err();
    assert!(matches!(error, PackError::Empty(_)), "{error}");
}

#[test]
fn more_than_may_be_unpacked_is_refused_without_reading_on() {
    let folder = folder(&[("index.js", "")]);
    // A sparse file: as long as the bound and one more, without taking the room.
    let file = std::fs::File::create(folder.path().join("big.bin")).unwrap();
    file.set_len(limits::UNPACKED_BYTES_MAX + 1).unwrap();
    let error = pack(folder.path()).unwrap_err();
    assert!(error.to_string().contains("is at most 200 MiB"), "{error}");
}

#[test]
fn a_file_above_the_upload_bound_is_refused() {
    let folder = folder(&[]);
    let path = folder.path().join("big.js");
    let len = u64::try_from(limits::UPLOAD_BYTES_MAX).unwrap() + 1;
    std::fs::File::create(&path).unwrap().set_len(len).unwrap();
    let error = pack(&path).unwrap_err();
    assert!(error.to_string().contains("an upload is at most 50 MiB"));
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;

    use super::{PackError, folder, pack, unpack};

    #[test]
    fn a_workspace_link_inside_the_folder_is_followed() {
        let folder = folder(&[("index.js", "i"), ("packages/util/index.js", "u")]);
        let modules = folder.path().join("node_modules");
        std::fs::create_dir(&modules).unwrap();
        symlink("../packages/util", modules.join("util")).unwrap();
        let packed = pack(folder.path()).unwrap();
        let files = unpack(&packed.bytes);
        let linked = ("node_modules/util/index.js".to_owned(), "u".to_owned());
        assert!(files.contains(&linked), "{files:?}");
    }

    #[test]
    fn a_link_to_the_folder_itself_may_be_deployed() {
        let folder = folder(&[("real/index.js", "i")]);
        let link = folder.path().join("link");
        symlink(folder.path().join("real"), &link).unwrap();
        assert_eq!(pack(&link).unwrap().files, 1);
    }

    #[test]
    fn a_link_out_of_the_folder_is_refused_and_named() {
        let outside = folder(&[("secret.txt", "s")]);
        let inside = folder(&[("index.js", "i")]);
        for target in [outside.path().join("secret.txt"), outside.path().to_owned()] {
            let link = inside.path().join("link");
            symlink(target, &link).unwrap();
            let error = pack(inside.path()).unwrap_err();
            assert!(matches!(error, PackError::LinkOutside { .. }), "{error}");
            assert!(error.to_string().contains("leads out of the folder"));
            std::fs::remove_file(link).unwrap();
        }
    }

    #[test]
    fn a_link_into_git_is_refused() {
        let folder = folder(&[("index.js", "i"), (".git/config", "token")]);
        symlink(".git/config", folder.path().join("config.txt")).unwrap();
        let error = pack(folder.path()).unwrap_err();
        assert!(matches!(error, PackError::LinkOutside { .. }), "{error}");
    }

    #[test]
    fn a_broken_link_is_refused() {
        let folder = folder(&[("index.js", "i")]);
        symlink("gone.js", folder.path().join("link.js")).unwrap();
        let error = pack(folder.path()).unwrap_err();
        assert!(matches!(error, PackError::LinkBroken(_)), "{error}");
    }

    #[test]
    fn a_link_to_a_folder_around_it_is_refused() {
        let folder = folder(&[("index.js", "i")]);
        symlink(".", folder.path().join("self")).unwrap();
        let error = pack(folder.path()).unwrap_err();
        assert!(matches!(error, PackError::LinkLoop(_)), "{error}");
    }
}
