//! Entity tags, so that nobody overwrites what they have not seen (RFC 9110, sections 8.8.3 and
//! 13.1.1).

use axum::http::header::IF_MATCH;
use axum::http::{HeaderMap, HeaderValue};

use super::etag::{Asked, asked};
use super::problem::Problem;

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
        Ok(match asked(headers, &IF_MATCH)? {
            None => Self::Anything,
            Some(Asked::Any) => Self::Something,
            // Weak tags never match here, but may be sent.
            Some(Asked::These(tags)) => {
                let strong = tags.into_iter().filter(|tag| !tag.is_weak);
                Self::One(strong.map(|tag| format!("\"{}\"", tag.text)).collect())
            }
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
