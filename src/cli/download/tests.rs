//! Downloading: where the files go, and what is not written.

use serde_json::json;

use crate::cli::fake::{self, Fake};

#[tokio::test]
async fn the_archive_is_written_as_it_comes_and_no_file_is_written_over() {
    let server = Fake::start(|seen| match seen.target.ends_with("/files") {
        true => fake::answer(200, "application/gzip", &b"\x1f\x8b\x00bytes"[..]),
        false => fake::json(200, &json!({"active_version": 5})),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.tar.gz");
    let file = path.to_str().unwrap();
    let ran = server.run(&["download", "shop", "-o", file]).await;
    assert_eq!(ran.out, format!("shop version 5 is in {file}, 8 B\n"));
    assert_eq!(std::fs::read(&path).unwrap(), b"\x1f\x8b\x00bytes");
    let targets: Vec<String> = server.seen().into_iter().map(|seen| seen.target).collect();
    let function = "/api/v1/tenants/default/functions/shop";
    assert_eq!(
        targets,
        [function.to_owned(), format!("{function}/versions/5/files")]
    );
    let ran = server
        .run(&["download", "shop", "--version", "2", "-o", file])
        .await;
    assert_eq!(ran.exit, 2);
    assert!(ran.err.contains("cannot write"), "{}", ran.err);
}

#[tokio::test]
async fn nothing_is_written_of_a_version_that_is_not_there() {
    let title = "There is no such version";
    let server = Fake::start(|_| fake::problem(404, "version_not_found", title, title)).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.tar.gz");
    let arguments = [
        "download",
        "shop",
        "--version",
        "9",
        "-o",
        path.to_str().unwrap(),
    ];
    let ran = server.run(&arguments).await;
    assert_eq!(ran.exit, 1);
    assert!(!path.exists());
    let server = Fake::start(|_| fake::json(200, &json!({"active_version": null}))).await;
    let ran = server.run(&["download", "shop"]).await;
    assert_eq!(ran.exit, 2);
    assert!(ran.err.contains("give --version"), "{}", ran.err);
}
