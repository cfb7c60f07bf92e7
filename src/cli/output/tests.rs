//! How values read on a terminal.

use super::{Style, ago, indent_rest, paint, printable, shell_word, size, table, time_of_day};

#[test]
fn columns_are_aligned_and_lines_have_no_trailing_space() {
    let row = |cells: &[&str]| {
        cells
            .iter()
            .map(|&cell| cell.to_owned())
            .collect::<Vec<_>>()
    };
    let rows = [
        row(&["NAME", "SIZE", "X"]),
        row(&["größe", "1 B", ""]),
        row(&["a"]),
    ];
    assert_eq!(table(&rows), "NAME   SIZE  X\ngröße  1 B\na");
    assert_eq!(table(&[]), "");
}

#[test]
fn sizes_read_well_at_their_edges() {
    let expected = [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        ((1 << 20) - 1, "1023.9 KiB"),
        (20 << 20, "20.0 MiB"),
        (u64::MAX, "17179869183.9 GiB"),
    ];
    for (bytes, text) in expected {
        assert_eq!(size(bytes), text);
    }
}

#[test]
fn ages_read_well_and_never_are_negative() {
    assert_eq!(ago(10_000, 9_000), "just now");
    assert_eq!(ago(0, 5_000), "5 seconds ago");
    assert_eq!(ago(0, 120_000), "2 minutes ago");
    assert_eq!(ago(0, 7_200_000), "2 hours ago");
    assert_eq!(ago(0, 172_800_000), "2 days ago");
}

#[test]
fn the_time_of_day_is_in_utc() {
    assert_eq!(time_of_day(0), "00:00:00.000");
    assert_eq!(time_of_day(86_399_999), "23:59:59.999");
    assert_eq!(time_of_day(1_700_000_000_007), "22:13:20.007");
}

#[test]
fn escape_sequences_never_reach_the_terminal() {
    let hostile = "a\x1b]0;title\x07b\u{202e}c\r\td\ne\u{9b}2J";
    assert_eq!(
        printable(hostile),
        "a\\u{1b}]0;title\\u{7}b\\u{202e}c\\r\td\ne\\u{9b}2J"
    );
    assert!(matches!(
        printable("plain ünï\n"),
        std::borrow::Cow::Borrowed(_)
    ));
}

#[test]
fn colour_is_only_added_where_it_is_wanted() {
    assert_eq!(paint(false, Style::Red, "error"), "error");
    assert_eq!(paint(true, Style::Red, "error"), "\x1b[1;31merror\x1b[0m");
    assert_eq!(paint(true, Style::Dim, ""), "");
}

#[test]
fn shell_words_are_quoted_when_they_must_be() {
    assert_eq!(
        shell_word("http://127.0.0.1:4000/invoke/@t/f"),
        "http://127.0.0.1:4000/invoke/@t/f"
    );
    assert_eq!(shell_word("a?b=c&d"), "'a?b=c&d'");
    assert_eq!(shell_word("it's"), r"'it'\''s'");
    assert_eq!(shell_word(""), "''");
}

#[test]
fn later_lines_are_indented() {
    assert_eq!(
        indent_rest("one\n  two\nthree\n", 4),
        "one\n      two\n    three"
    );
    assert_eq!(indent_rest("one", 4), "one");
}
