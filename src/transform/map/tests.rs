//! Looking up places, in maps that are honest and in those that are not.

use super::*;

/// Writes one number as maps do.
fn write_number(number: i64, to: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut rest = number.unsigned_abs() << 1 | u64::from(number < 0);
    loop {
        let digit = rest & 31;
        rest >>= 5;
        let more = if rest > 0 { 32 } else { 0 };
        to.push(char::from(DIGITS[usize::try_from(digit | more).unwrap()]));
        if rest == 0 {
            break;
        }
    }
}

fn map(mappings: &str) -> Option<SourceMap> {
    SourceMap::new(mappings.to_owned(), vec!["a.ts".into(), "b.ts".into()])
}

fn at(map: &SourceMap, line: u32, column: u32) -> Option<(String, u32, u32)> {
    let place = map.lookup(line, column)?;
    Some((place.file, place.line, place.column))
}

#[test]
fn a_place_is_that_of_the_mapping_before_it() {
    // Line 1: column 0 → a.ts 1:1, column 4 → a.ts 1:9. Line 3: column 2 → b.ts 3:1, 6 → nothing.
    let map = map("AAAA,IAAQ;;ECEP,I").unwrap();
    assert_eq!(at(&map, 1, 1), Some(("a.ts".into(), 1, 1)));
    assert_eq!(at(&map, 1, 4), Some(("a.ts".into(), 1, 1)));
    assert_eq!(at(&map, 1, 5), Some(("a.ts".into(), 1, 9)));
    assert_eq!(at(&map, 1, 999), Some(("a.ts".into(), 1, 9)));
    assert_eq!(at(&map, 2, 1), None);
    assert_eq!(at(&map, 3, 1), Some(("b.ts".into(), 3, 2)));
    assert_eq!(at(&map, 3, 5), Some(("b.ts".into(), 3, 2)));
    assert_eq!(at(&map, 3, 7), None);
    assert_eq!(at(&map, 4, 1), None);
    assert_eq!(at(&map, 0, 0), None);
}

#[test]
fn a_long_map_is_looked_up_from_its_checkpoints() {
    // One line of 50,000 mappings, then 50,000 lines of one.
    let mut mappings = String::new();
    for index in 0..100_000_i64 {
        let is_wide = index < 50_000;
        if index > 0 {
            mappings.push(if is_wide { ',' } else { ';' });
        }
        write_number(
            if is_wide { i64::from(index > 0) } else { 3 },
            &mut mappings,
        );
        for field in [0, i64::from(index > 0), 0] {
            write_number(field, &mut mappings);
        }
    }
    let map = map(&mappings).unwrap();
    assert!(map.checkpoints.len() > 50);
    for column in [1, 2, 1000, 4097, 49_999] {
        assert_eq!(
            at(&map, 1, column),
            Some(("a.ts".into(), column, 1)),
            "{column}"
        );
    }
    for line in [2, 1000, 40_000, 50_001] {
        assert_eq!(
            at(&map, line, 9),
            Some(("a.ts".into(), 49_999 + line, 1)),
            "{line}"
        );
    }
}

#[test]
fn a_damaged_map_is_none() {
    for mappings in [
        "!",
        "A",
        "AAAAAA",
        "AA",
        "g",
        "D",
        "AADA",
        "gggggggggggggggggA",
        "é",
    ] {
        let map = map(mappings);
        let is_harmless = map.as_ref().is_none_or(|map| map.lookup(1, 1).is_none());
        assert!(is_harmless, "{mappings}");
    }
    // A source that is not there.
    assert_eq!(at(&map("AEAA").unwrap(), 1, 1), None);
    for json in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"version":2,"sources":[],"mappings":""}"#,
        r#"{"version":3,"sections":[]}"#,
        r#"{"version":3,"sources":{},"mappings":""}"#,
    ] {
        assert!(
            SourceMap::parse(json.as_bytes(), "a.js").is_none(),
            "{json}"
        );
    }
    let many = format!(
        r#"{{"version":3,"mappings":"","sources":[{}null]}}"#,
        "null,".repeat(20_000)
    );
    assert!(SourceMap::parse(many.as_bytes(), "a.js").is_none());
    assert!(SourceMap::parse(&vec![b' '; MAP_BYTES_MAX + 1], "a.js").is_none());
}

#[test]
fn sources_are_paths_of_the_deployment() {
    let cases = [
        ("dist/a.js", "", "../src/a.ts", "src/a.ts"),
        ("dist/a.js", "..", "src/a.ts", "src/a.ts"),
        ("dist/a.js", "", "a.ts", "dist/a.ts"),
        ("a.js", "", "../../../../etc/passwd", "etc/passwd"),
        ("a.js", "", "/x/y.ts", "x/y.ts"),
        ("d/a.js", "", "webpack://name/./src/a.ts", "name/src/a.ts"),
        ("a.js", "", "", "unknown"),
        (
            "a.js",
            "",
            "a\n    at evil (b)\u{1b}[31m",
            "a at evil b[31m",
        ),
    ];
    for (map, root, source, expected) in cases {
        assert_eq!(source_path(map, root, source), expected, "{source:?}");
    }
    assert!(source_path("a.js", "", &"é".repeat(1000)).len() <= NAME_BYTES_MAX);
}

#[test]
fn a_map_is_read_as_bundlers_write_it() {
    let json = r#")]}'
        {"version":3,"file":"o.js","sources":["../src/i.ts",null],"sourcesContent":["x",null],
        "names":["a"],"mappings":"AAAAA","x_google_ignoreList":[0]}"#;
    let map = SourceMap::parse(json.as_bytes(), "dist/o.js").unwrap();
    assert_eq!(at(&map, 1, 1), Some(("src/i.ts".into(), 1, 1)));
    assert!(map.bytes() > 0);
}
