use super::{Manifest, Table};

fn manifest() -> Manifest {
    let table = |pairs: &[(&str, &str)]| -> Table {
        let owned = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
        pairs.iter().map(owned).collect()
    };
    Manifest {
        sources_sha256: "ab12".to_owned(),
        artifacts: table(&[("engine.wasm", "00ff"), ("image.wasm", "11ee")]),
        tools: table(&[("rustc", "rustc 1.96.0 (\"quoted\", back\\slash,\ttab)")]),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let written = manifest().to_json();
    assert_eq!(Manifest::from_json(&written), Ok(manifest()));
}

#[test]
fn it_is_written_sorted_and_one_entry_a_line() {
    let expected = "{\n  \"sources_sha256\": \"ab12\",\n  \"artifacts\": {\n    \
        \"engine.wasm\": \"00ff\",\n    \"image.wasm\": \"11ee\"\n  },\n  \"tools\": {\n    \
        \"rustc\": \"rustc 1.96.0 (\\\"quoted\\\", back\\\\slash,\\u0009tab)\"\n  }\n}\n";
    assert_eq!(manifest().to_json(), expected);
}

#[test]
fn empty_tables_are_fine_and_unknown_members_are_passed_over() {
    let read = Manifest::from_json(
        r#"{"sources_sha256":"x","artifacts":{},"tools":{ },"more":{"a":"b"},"note":"n"}"#,
    );
    let read = read.unwrap();
    assert_eq!(read.sources_sha256, "x");
    assert!(read.artifacts.is_empty() && read.tools.is_empty());
}

#[test]
fn what_is_not_a_manifest_is_refused_with_a_reason() {
    for (text, reason) in [
        ("", "'{' was expected, not the end"),
        ("[]", "'{' was expected, not '['"),
        ("{}", "\"sources_sha256\" is missing"),
        (
            r#"{"sources_sha256":"x","artifacts":{}}"#,
            "\"tools\" is missing",
        ),
        (r#"{"sources_sha256":"x"#, "a string does not end"),
        (r#"{"sources_sha256":1}"#, "'\"' was expected, not '1'"),
        (r#"{"a":"\q"}"#, "an escape is not known"),
        (r#"{"a":"\ud800"}"#, "\\ud800 is not a character"),
        (r#"{"a":"b",}"#, "'\"' was expected, not '}'"),
    ] {
        assert_eq!(Manifest::from_json(text), Err(reason.to_owned()), "{text}");
    }
}
