//! What is transformed, and what the surroundings of a file say.

use super::*;

fn files(files: &[(&str, &str)]) -> Vec<File> {
    files
        .iter()
        .map(|(path, text)| File {
            path: (*path).to_owned(),
            bytes: Bytes::copy_from_slice(text.as_bytes()),
        })
        .collect()
}

fn jobs(of: &[(&str, &str)]) -> (Vec<Job>, BTreeMap<String, Fault>) {
    let mut faults = BTreeMap::new();
    let files = files(of);
    let jobs = Plan::new(&files).jobs(&mut faults);
    (jobs, faults)
}

#[test]
fn own_files_are_transformed_and_packages_only_where_they_lead_to_typescript() {
    let (jobs, faults) = jobs(&[
        ("a.ts", ""),
        ("a.d.ts", ""),
        ("a.js", ""),
        ("node_modules/b/index.ts", ""),
        (
            "node_modules/b/package.json",
            r#"{"main":"index.js","types":"index.ts"}"#,
        ),
        (
            "node_modules/@c/d/package.json",
            r#"{"exports":{".":{"import":["./x.mts"]}}}"#,
        ),
        ("node_modules/@c/d/lib/x.mts", ""),
        ("node_modules/@c/d/node_modules/e/x.ts", ""),
        (
            "node_modules/f/package.json",
            r#"{"exports":{"source":"./x.ts","default":"./x.js"}}"#,
        ),
        ("node_modules/f/x.ts", ""),
        ("my_node_modules/x.ts", ""),
    ]);
    let paths: Vec<&str> = jobs.iter().map(|job| job.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "a.ts",
            "node_modules/@c/d/lib/x.mts",
            "my_node_modules/x.ts"
        ]
    );
    assert!(faults.is_empty());
}

#[test]
fn packages_and_configurations_are_the_nearest() {
    let (jobs, faults) = jobs(&[
        ("a.ts", ""),
        ("b.cts", ""),
        ("lib/c.ts", ""),
        ("lib/package.json", "{}"),
        (
            "lib/tsconfig.json",
            r#"{"compilerOptions":{"jsx":"react","paths":{"@/*":["./*"]}}}"#,
        ),
        ("package.json", r#"{"type":"module"}"#),
        (
            "tsconfig.json",
            r#"{"compilerOptions":{"experimentalDecorators":true}}"#,
        ),
        ("node_modules/p/package.json", r#"{"main":"p.ts"}"#),
        ("node_modules/p/p.ts", ""),
        ("bad/tsconfig.json", "{"),
        ("bad/d.ts", ""),
    ]);
    let of = |path: &str| &jobs.iter().find(|job| job.path == path).unwrap().options;
    assert_eq!(of("a.ts").kind, Kind::Module);
    assert!(of("a.ts").decorators && of("b.cts").decorators);
    assert_eq!(of("b.cts").kind, Kind::Detected);
    assert_eq!(of("lib/c.ts").kind, Kind::Detected);
    assert!(of("lib/c.ts").jsx_classic && !of("lib/c.ts").decorators);
    assert_eq!(of("lib/c.ts").aliases.as_ref().unwrap().base, "lib");
    assert_eq!(of("node_modules/p/p.ts"), &Options::default());
    // `d.ts` is a file called d, not a declaration.
    assert!(
        faults["bad/d.ts"]
            .message
            .starts_with("bad/tsconfig.json: "),
        "{faults:?}"
    );
}

#[test]
fn what_is_too_large_or_no_text_is_a_fault() {
    let mut files = files(&[("a.ts", "")]);
    files[0].bytes = Bytes::from(vec![b' '; SOURCE_BYTES_MAX + 1]);
    let exact = Bytes::from(vec![b' '; SOURCE_BYTES_MAX]);
    for index in 0..9 {
        files.push(File {
            path: format!("b{index}.ts"),
            bytes: exact.clone(),
        });
    }
    files.push(File {
        path: "c.ts".into(),
        bytes: Bytes::from_static(b"\xff"),
    });
    let mut faults = BTreeMap::new();
    let jobs = Plan::new(&files).jobs(&mut faults);
    assert_eq!(jobs.len(), 8);
    assert!(faults["a.ts"].message.contains("4 MiB"));
    assert!(faults["b8.ts"].message.contains("32 MiB"));
    assert!(faults.contains_key("c.ts"));
}

#[test]
fn a_deployment_without_typescript_takes_no_process() {
    let files = files(&[("index.js", "1"), ("x.d.ts", "declare")]);
    let prepared = prepare(Path::new("/nonexistent"), files.clone()).unwrap();
    assert_eq!(prepared.files, files);
    assert!(prepared.maps.is_empty() && prepared.faults.is_empty());
    let files = self::files(&[("index.ts", "1")]);
    assert!(prepare(Path::new("/nonexistent"), files).is_err());
}
