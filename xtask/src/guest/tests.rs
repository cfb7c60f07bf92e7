use super::{Table, compare, installed_tools, why_not_rebuild};

fn table(pairs: &[(&str, &str)]) -> Table {
    let owned = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
    pairs.iter().map(owned).collect()
}

#[test]
fn the_first_difference_is_named() {
    let kept = table(&[("engine.wasm", "aa"), ("image.wasm", "bb")]);
    assert_eq!(compare("the manifest", &kept, &kept), Ok(()));
    for (found, message) in [
        (
            table(&[("engine.wasm", "aa"), ("image.wasm", "cc")]),
            "image.wasm is not the one of the manifest: its sha256 is cc, not bb",
        ),
        (
            table(&[("engine.wasm", "aa")]),
            "image.wasm of the manifest is missing",
        ),
        (
            table(&[("engine.wasm", "aa"), ("image.wasm", "bb"), ("more", "dd")]),
            "more is unknown to the manifest",
        ),
    ] {
        assert_eq!(
            compare("the manifest", &kept, &found),
            Err(message.to_owned())
        );
    }
}

#[test]
fn nothing_is_built_anew_with_tools_that_are_not_the_recorded_ones() {
    let mut recorded = Table::new();
    for (name, _) in installed_tools() {
        recorded.insert(name.to_owned(), "version 0".to_owned());
    }
    let reason = why_not_rebuild(&recorded).unwrap();
    assert!(reason.contains("here, not \"version 0\"") || reason.contains("not installed"));
}
