//! Which changes of files count.

use std::fs;

use notify::event::{AccessKind, CreateKind, DataChange, Flag, MetadataKind};

use super::*;

fn event(kind: EventKind, path: &str) -> Event {
    Event::new(kind).add_path(path.into())
}

#[test]
fn a_server_on_every_address_is_reached_on_this_machines_own() {
    assert_eq!(
        url("0.0.0.0:4000".parse().unwrap()),
        "http://127.0.0.1:4000"
    );
    assert_eq!(url("[::]:4000".parse().unwrap()), "http://[::1]:4000");
    assert_eq!(url("192.0.2.1:80".parse().unwrap()), "http://192.0.2.1:80");
}

#[test]
fn compiled_code_is_kept_only_where_nobody_else_can_write() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("a/b");
    assert_eq!(private_folder(cache.clone()), Some(cache.clone()));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o700);
    assert_eq!(private_folder(cache.clone()), Some(cache.clone()));
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o722)).unwrap();
    assert_eq!(private_folder(cache.clone()), None);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("a"), &link).unwrap();
    assert_eq!(private_folder(link), None);
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(private_folder(file), None);
}

#[test]
fn only_what_changes_content_counts() {
    let write = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    assert!(is_change(&event(write, "/a")));
    assert!(is_change(&event(EventKind::Create(CreateKind::File), "/a")));
    let touch = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
    assert!(!is_change(&event(touch, "/a")));
    let open = EventKind::Access(AccessKind::Any);
    assert!(!is_change(&event(open, "/a")));
    assert!(is_change(&event(open, "/a").set_flag(Flag::Rescan)));
}

#[test]
fn of_a_folder_everything_counts_but_git() {
    let touched = |path| touches(&event(EventKind::Any, path), Path::new("/app"), true);
    assert!(touched("/app/index.js"));
    assert!(touched("/app/node_modules/x/index.js"));
    assert!(touched("/app/.gitignore"));
    assert!(!touched("/app/.git/index"));
    assert!(!touched("/app/lib/.git/HEAD"));
}

#[test]
fn of_a_file_only_the_file_counts() {
    let touched = |path| touches(&event(EventKind::Any, path), Path::new("/app/a.js"), false);
    assert!(touched("/app/a.js"));
    assert!(!touched("/app/b.js"));
    assert!(!touched("/app/a.js~"));
}

#[tokio::test]
async fn a_file_that_is_replaced_by_another_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.js");
    fs::write(&file, "1").unwrap();
    let mut watch = Watch::start(&file).unwrap();
    let other = folder.path().join("other");
    fs::write(&other, "2").unwrap();
    fs::rename(&other, &file).unwrap();
    timeout(Duration::from_secs(10), watch.changed())
        .await
        .unwrap()
        .unwrap();
    fs::read(&file).unwrap();
    let again = timeout(Duration::from_millis(100), watch.changes.recv()).await;
    assert!(again.is_err(), "reading is no change");
}

#[tokio::test]
async fn changes_deep_in_a_folder_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("lib/deep")).unwrap();
    let mut watch = Watch::start(folder.path()).unwrap();
    fs::write(folder.path().join("lib/deep/a.js"), "1").unwrap();
    timeout(Duration::from_secs(10), watch.changed())
        .await
        .unwrap()
        .unwrap();
}
