//! Entity tags, so that nobody overwrites what they have not seen (RFC 9110, sections 8.8.3 and
//! 13.1.1).

use axum::http::header::IF_MATCH;
use axum::http::{HeaderMap, HeaderValue};

use super::problem::Problem;
use crate::error::Code;

/// What `if-match` asks for; everything is fine without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// No such header.
    Anything,
    /// `*`: there has to be something.
    Something,
    /// One of these strong tags, with their quotes.
    One(Vec<String>),
}

impl IfMatch {
    /// Reads the header.
    ///
    /// # Errors
    /// `bad_request`, when it holds something that is no tag.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut tags = Vec::new();
        let mut is_any = false;
        for value in headers.get_all(IF_MATCH) {
            let text = value.to_str().map_err(|_| not_a_tag())?;
            for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                match tag.strip_prefix("W/") {
                    _ if tag == "*" => is_any = true,
                    // Weak tags never match here, but may be sent.
                    Some(weak) if is_quoted(weak) => tags.push(tag.to_owned()),
                    None if is_quoted(tag) => tags.push(tag.to_owned()),
                    _ => return Err(not_a_tag()),
                }
            }
        }
        Ok(match (is_any, headers.contains_key(IF_MATCH)) {
            (true, _) => Self::Something,
            (false, true) => Self::One(tags),
            (false, false) => Self::Anything,
        })
    }

    /// Whether to go on when this is the tag of what is there; `None` for nothing.
    pub(super) fn allows(&self, tag: Option<&str>) -> bool {
        match self {
            Self::Anything => true,
            Self::Something => tag.is_some(),
            Self::One(tags) => tag.is_some_and(|tag| tags.iter().any(|one| one == tag)),
        }
    }
}

fn is_quoted(tag: &str) -> bool {
    let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    inner.is_some_and(|inner| !inner.contains('"'))
}

fn not_a_tag() -> Problem {
    let detail = "if-match holds entity tags as they were answered in etag, with their quotes";
    Problem::new(Code::BadRequest, detail)
}

/// A tag as a header's value.
pub(super) fn etag(tag: &str) -> HeaderValue {
    // Tags are hexadecimal digits in quotes.
    HeaderValue::from_str(tag).unwrap_or(HeaderValue::from_static("\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<IfMatch, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        IfMatch::of(&headers)
    }

    #[test]
    fn tags_match_strongly() {
        let one = read(&["\"a\", \"b\"", "\"c\""]).unwrap();
        assert!(one.allows(Some("\"a\"")) && one.allows(Some("\"c\"")));
        assert!(!one.allows(Some("\"d\"")) && !one.allows(None));
        assert!(!read(&["W/\"a\""]).unwrap().allows(Some("\"a\"")));
        assert!(read(&[]).unwrap().allows(None));
        let any = read(&["*"]).unwrap();
        assert!(any.allows(Some("\"a\"")) && !any.allows(None));
        assert!(!read(&[""]).unwrap().allows(Some("\"a\"")));
        for wrong in ["a", "\"a", "W/a", "\"a\"b\""] {
            assert!(read(&[wrong]).is_err(), "{wrong}");
        }
    }
}
