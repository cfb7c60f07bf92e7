//! Secrets are taken out of what is written down: log lines, exceptions, request targets.
//!
//! Two kinds are known. The values of a deployment's secrets are looked for as they are, and as
//! JSON, URLs and base64 write them. And some forms give a secret away by themselves: headers of
//! authorization, bearer tokens, our own keys, query parameters of well-known names. What is cut
//! into pieces, encoded in another way or hashed is not found: `docs/logs.md` says so.
//!
//! A leaf: it knows texts only. The time is linear in the length of the text.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, Anchored, Input, MatchKind, StartKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::limits::{LOG_LINE_BYTES_MAX, REDACTED_LITERAL_BYTES_MIN, REDACTED_LITERALS_MAX};

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Query parameters whose values are secrets, in lower case and without `-` and `_`.
const PARAMETERS: [&str; 17] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "apitoken",
    "auth",
    "authorization",
    "authtoken",
    "clientsecret",
    "idtoken",
    "passwd",
    "password",
    "refreshtoken",
    "secret",
    "sessiontoken",
    "sig",
    "signature",
    "token",
];

/// What a secret follows, in any case. The order is that of [`Mark`].
const MARKS: [&str; 4] = ["authorization", "bearer", "basic", "amp_"];

#[derive(Clone, Copy)]
enum Mark {
    /// A header: a name, a colon, an optional scheme, the secret.
    Header,
    /// A scheme: a space, the secret.
    Scheme,
    /// One of our own keys; the mark belongs to it.
    Key,
}

/// The schemes after which all of a header's value is secret.
const SCHEMES: [&str; 7] = [
    "basic",
    "bearer",
    "digest",
    "dpop",
    "hawk",
    "negotiate",
    "token",
];

/// Shortest token behind a scheme that is taken for one: `Basic auth` is not.
const TOKEN_BYTES_MIN: usize = 8;
/// How far the value of a header is looked for: longer than any line that is kept.
const VALUE_BYTES_MAX: usize = LOG_LINE_BYTES_MAX;
/// Shortest text that has a secret by its form: `basic`, a space and a token.
const FORM_BYTES_MIN: usize = "basic ".len() + TOKEN_BYTES_MIN;
/// Shortest rest of a key behind `amp_` that is taken for one.
const KEY_BYTES_MIN: usize = 16;

static BY_MARK: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasickBuilder::new()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostFirst)
        .start_kind(StartKind::Unanchored)
        .build(MARKS)
        .expect("four short words make an automaton")
});

/// Finds the secrets of one deployment. Making one costs as much as its secrets are long.
#[derive(Debug, Default)]
pub struct Redactor {
    literals: Option<AhoCorasick>,
}

impl Redactor {
    /// A redactor of these values and of the forms that are always known.
    ///
    /// Values of fewer than [`REDACTED_LITERAL_BYTES_MIN`] bytes are left out, and those beyond
    /// the first [`REDACTED_LITERALS_MAX`].
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let long_enough = |secret: &&str| secret.len() >= REDACTED_LITERAL_BYTES_MIN;
        let mut literals: Vec<String> = Vec::new();
        for secret in secrets
            .into_iter()
            .filter(long_enough)
            .take(REDACTED_LITERALS_MAX)
        {
            for form in forms(secret) {
                if form.len() >= REDACTED_LITERAL_BYTES_MIN && !literals.contains(&form) {
                    literals.push(form);
                }
            }
        }
        if literals.is_empty() {
            return Self::default();
        }
        let built = AhoCorasickBuilder::new()
            .match_kind(MatchKind::LeftmostLongest)
            .start_kind(StartKind::Unanchored)
            .build(&literals);
        // Fails only for more states than the limits on literals allow.
        Self {
            literals: built.ok(),
        }
    }

    /// The text without its secrets; `None` when there is none in it.
    pub fn text(&self, text: &str) -> Option<String> {
        let without = self.literals(text);
        let forms = without_forms(without.as_deref().unwrap_or(text));
        forms.or(without)
    }

    /// A request's target without its secrets; `None` when there is none in it.
    pub fn target(&self, target: &str) -> Option<String> {
        let without = without_parameters(target);
        let text = self.text(without.as_deref().unwrap_or(target));
        text.or(without)
    }

    fn literals(&self, text: &str) -> Option<String> {
        let literals = self.literals.as_ref()?;
        let mut out = Cut::new(text);
        let input = Input::new(text).anchored(Anchored::No);
        for found in literals.find_iter(input) {
            out.redact(found.start(), found.end());
        }
        out.end()
    }
}

/// A secret as it is, and as it is often written.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    if let Ok(json) = serde_json::to_string(secret) {
        forms.push(json.trim_matches('"').to_owned());
    }
    forms.push(utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string());
    forms.push(url_encoded(secret));
    forms.push(STANDARD_NO_PAD.encode(secret));
    forms.push(URL_SAFE_NO_PAD.encode(secret));
    forms
}

/// As `encodeURIComponent` writes it.
fn url_encoded(secret: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'!')
        .remove(b'~')
        .remove(b'*')
        .remove(b'\'')
        .remove(b'(')
        .remove(b')');
    utf8_percent_encode(secret, KEPT).to_string()
}

/// A text while parts of it are replaced, from its beginning to its end.
struct Cut<'a> {
    text: &'a str,
    done: usize,
    out: String,
}

impl<'a> Cut<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            done: 0,
            out: String::new(),
        }
    }

    /// Replaces what is between, unless it was passed already.
    fn redact(&mut self, start: usize, end: usize) {
        if start < self.done || start >= end {
            return;
        }
        self.out.push_str(&self.text[self.done..start]);
        self.out.push_str(REDACTED);
        self.done = end;
    }

    fn end(mut self) -> Option<String> {
        if self.done == 0 {
            return None;
        }
        self.out.push_str(&self.text[self.done..]);
        Some(self.out)
    }
}

/// The text without what looks like a secret by its form.
fn without_forms(text: &str) -> Option<String> {
    if text.len() < FORM_BYTES_MIN {
        return None;
    }
    let mut out = Cut::new(text);
    for found in BY_MARK.find_iter(text) {
        if found.start() < out.done {
            continue;
        }
        let mark = match found.pattern().as_usize() {
            0 => Mark::Header,
            3 => Mark::Key,
            _ => Mark::Scheme,
        };
        if let Some((start, end)) = secret_at(text, mark, found.start(), found.end()) {
            out.redact(start, end);
        }
    }
    out.end()
}

/// Where the secret is that a mark from `start` to `end` announces.
fn secret_at(text: &str, mark: Mark, start: usize, end: usize) -> Option<(usize, usize)> {
    match mark {
        Mark::Header => header_value(text, end),
        Mark::Scheme => {
            let is_word = !text[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
            let from = end + blanks(&text[end..]);
            let to = from + token(&text[from..]);
            let is_secret = is_word && from > end && looks_like_token(&text[from..to]);
            is_secret.then_some((from, to))
        }
        Mark::Key => {
            let to = end + key(&text[end..]);
            (to - end >= KEY_BYTES_MIN).then_some((start, to))
        }
    }
}

/// The value of a header whose name ends at `end`: `: Basic …`, `": "Bearer …"`, `=…`.
fn header_value(text: &str, end: usize) -> Option<(usize, usize)> {
    let mut at = end;
    at += usize::from(text[at..].starts_with(['"', '\'']));
    at += blanks(&text[at..]);
    if !text[at..].starts_with([':', '=']) {
        return None;
    }
    at += 1;
    at += blanks(&text[at..]);
    let quote = text[at..]
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\'' | '`'));
    at += usize::from(quote.is_some());
    let rest = &text[at..text.floor_char_boundary(at + VALUE_BYTES_MAX)];
    let line = rest.find(['\r', '\n']).unwrap_or(rest.len());
    let word = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
    let has_scheme = SCHEMES
        .iter()
        .any(|scheme| rest[..word].eq_ignore_ascii_case(scheme));
    let length = match quote {
        Some(quote) => rest[..line].find(quote).unwrap_or(line),
        None if has_scheme => line,
        None => rest[..line].find([' ', '\t', ',', '}']).unwrap_or(line),
    };
    (has_scheme || length >= TOKEN_BYTES_MIN).then_some((at, at + length))
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

/// How long the token is at the beginning: RFC 6750, `b64token`.
fn token(text: &str) -> usize {
    let is_of_token = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    text.bytes().take_while(|b| is_of_token(*b)).count()
}

/// Whether what follows a scheme is no ordinary word.
fn looks_like_token(token: &str) -> bool {
    token.len() >= TOKEN_BYTES_MIN && !token.bytes().all(|b| b.is_ascii_lowercase() || b == b'.')
}

/// How long the rest of a key is.
fn key(text: &str) -> usize {
    let is_of_key = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    text.bytes().take_while(|b| is_of_key(*b)).count()
}

/// The target without the values of parameters that are named like secrets.
fn without_parameters(target: &str) -> Option<String> {
    let query = target.find('?')? + 1;
    let mut out = Cut::new(target);
    let mut at = query;
    for pair in target[query..].split('&') {
        if let Some((name, value)) = pair.split_once('=')
            && is_secret_name(name)
        {
            let start = at + name.len() + 1;
            out.redact(start, start + value.len());
        }
        at += pair.len() + 1;
    }
    out.end()
}

/// Whether a parameter of this name holds a secret, as a rule.
fn is_secret_name(name: &str) -> bool {
    /// Longest name that is read, so that no name is worth decoding much.
    const NAME_BYTES_MAX: usize = 64;
    if name.len() > NAME_BYTES_MAX {
        return false;
    }
    let decoded = percent_decode_str(name).decode_utf8_lossy();
    let bare: String = decoded
        .chars()
        .filter(|c| !matches!(c, '-' | '_'))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    PARAMETERS.binary_search(&bare.as_str()).is_ok()
}

#[cfg(test)]
mod tests;
