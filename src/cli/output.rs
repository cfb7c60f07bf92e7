//! The terminal: what is written to stdout and stderr, and how values read there.
//!
//! Text that came from a server or a function passes through [`printable`] before a person sees
//! it: it may hold escape sequences that would drive the terminal. Programs read JSON, one
//! document a line, which escapes them anyway.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

/// One stream of the terminal.
pub(super) struct Sink {
    writer: Box<dyn Write + Send>,
    is_terminal: bool,
    colour: bool,
}

impl Sink {
    /// A stream that writes to `writer`; colours are for terminals, and only without `NO_COLOR`.
    pub(super) fn new(writer: Box<dyn Write + Send>, is_terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            writer,
            is_terminal,
            colour: is_terminal && !refused,
        }
    }

    /// Writes one line and its end.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.writer, "{text}")
    }

    /// Writes bytes as they are and passes them on at once.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)?;
        self.writer.flush()
    }

    /// Whether a person looks at this stream.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// `text` in `style`, or as it is where colours are not wanted.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        paint(self.colour, style, text)
    }
}

/// Where a command writes: results to `out`, everything else to `err`.
pub(super) struct Terminal {
    /// Results, and nothing else: programs read it.
    pub(super) out: Sink,
    /// Notes and errors for people.
    pub(super) err: Sink,
}

impl Terminal {
    /// The terminal of this process.
    pub(super) fn of_process() -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let (out_is_terminal, err_is_terminal) = (out.is_terminal(), err.is_terminal());
        Self {
            out: Sink::new(Box::new(out), out_is_terminal),
            err: Sink::new(Box::new(err), err_is_terminal),
        }
    }
}

/// How a piece of text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// A name or a headline.
    Bold,
    /// What matters less.
    Dim,
    /// An error.
    Red,
    /// A warning.
    Yellow,
}

/// `text` in `style` when `colour`, else as it is.
pub(super) fn paint(colour: bool, style: Style, text: &str) -> String {
    let code = match style {
        Style::Bold => "1",
        Style::Dim => "2",
        Style::Red => "1;31",
        Style::Yellow => "33",
    };
    if colour && !text.is_empty() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// `text` without anything that would drive a terminal: control characters, and those that turn
/// the direction of writing, are written as escapes. Line ends and tabs stay.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unprintable(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

fn is_unprintable(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\n' && c != '\t')
}

/// A table with aligned columns, two spaces between them and none at the end of a line.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            let padding = (width + 2).saturating_sub(cell.chars().count());
            line.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end_matches('\n').len());
    text
}

/// A number of bytes for people: `17 B`, `1.5 KiB`, `20.0 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in units {
        let whole = bytes >> shift;
        if whole > 0 {
            let tenth = ((bytes - (whole << shift)) * 10) >> shift;
            return format!("{whole}.{tenth} {unit}");
        }
    }
    format!("{bytes} B")
}

/// How long ago `then_ms` was at `now_ms` (both Unix time), for people.
pub(super) fn ago(then_ms: u64, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(then_ms) / 1000;
    let (count, unit) = match seconds {
        0..=4 => return "just now".to_owned(),
        5..=119 => (seconds, "seconds"),
        120..=7_199 => (seconds / 60, "minutes"),
        7_200..=172_799 => (seconds / 3_600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit} ago")
}

/// The time of day of a Unix time in milliseconds, in UTC: `HH:MM:SS.mmm`.
pub(super) fn time_of_day(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1000, unix_ms % 1000);
    let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{h:02}:{m:02}:{s:02}.{ms:03}")
}

/// `text` so that a shell reads it as one word.
pub(super) fn shell_word(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&b);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `text` with every line but the first moved right by `columns`.
pub(super) fn indent_rest(text: &str, columns: usize) -> String {
    let mut indented = String::with_capacity(text.len());
    for (index, line) in text.trim_end_matches('\n').split('\n').enumerate() {
        if index > 0 {
            let _ = write!(indented, "\n{:columns$}", "");
        }
        indented.push_str(line);
    }
    indented
}

#[cfg(test)]
mod tests;
