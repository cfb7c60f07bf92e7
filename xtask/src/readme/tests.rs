use super::url_of;

#[test]
fn the_url_is_found_however_the_line_is_written() {
    for line in [
        "  curl http://127.0.0.1:4000/invoke/hello",
        "try: curl -i 'http://127.0.0.1:4000/invoke/hello'",
        "`curl \"http://127.0.0.1:4000/invoke/hello\"`",
    ] {
        let url = url_of(line);
        assert_eq!(
            url.as_deref(),
            Some("http://127.0.0.1:4000/invoke/hello"),
            "{line}"
        );
    }
}

#[test]
fn other_lines_have_none() {
    for line in ["listening on http://127.0.0.1:4000", "curl is needed", ""] {
        assert_eq!(url_of(line), None, "{line}");
    }
}
