//! The table of what the documents promise: every line is there, with a test that exists or the
//! reason why it has none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The documents, and how many lines each has.
const DOCUMENTS: [(&str, u32); 4] = [("S0", 59), ("S1", 27), ("S3", 19), ("S4", 26)];

const TABLE: &str = "docs/seed-lines.md";

/// A row of the table.
struct Row {
    tests: Vec<String>,
    note: String,
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows by their line. A row is `| S0-01 | what | tests in backquotes | note |`.
fn rows() -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    for row in read(TABLE).lines().filter(|row| row.starts_with("| S")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [line, _, tests, note] = cells.as_slice() else {
            panic!("not four cells: {row}");
        };
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned);
        let parsed = Row {
            tests: tests.collect(),
            note: (*note).to_owned(),
        };
        let before = rows.insert((*line).to_owned(), parsed);
        assert!(before.is_none(), "{line} is there twice");
    }
    rows
}

/// The names of all tests of this binary, without their modules.
fn tests() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut tests = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = source.lines().collect();
        for pair in lines.windows(2) {
            let name = pair[1].trim_start_matches("async ").strip_prefix("fn ");
            if let (true, Some(name)) = (pair[0].contains("test"), name) {
                tests.extend(name.split('(').next().map(str::to_owned));
            }
        }
    }
    tests
}

#[test]
fn every_line_of_the_documents_has_its_test_or_a_reason() {
    let (mut rows, tests) = (rows(), tests());
    let mut faults = Vec::new();
    for (document, lines) in DOCUMENTS {
        for number in 1..=lines {
            let line = format!("{document}-{number:02}");
            let Some(row) = rows.remove(&line) else {
                faults.push(format!("{line} is not in {TABLE}"));
                continue;
            };
            let own = format!("{}_{number:02}_", document.to_lowercase());
            if row.tests.is_empty() && row.note.is_empty() {
                faults.push(format!("{line} has neither test nor reason"));
            }
            for test in &row.tests {
                if !tests.contains(test) {
                    faults.push(format!("{line}: there is no test {test}"));
                }
            }
            if !row.tests.is_empty() && !row.tests.iter().any(|test| test.starts_with(&own)) {
                faults.push(format!("{line} has no test of its own name, {own}…"));
            }
            for test in tests.iter().filter(|test| test.starts_with(&own)) {
                if !row.tests.contains(test) {
                    faults.push(format!("{line} does not name {test}"));
                }
            }
        }
    }
    faults.extend(
        rows.keys()
            .map(|line| format!("{line} is no line of a document")),
    );
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
