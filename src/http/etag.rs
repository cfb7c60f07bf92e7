//! Conditional requests: the tags of what is stored as entity tags (RFC 9110 §8.8, §13), so that
//! nobody overwrites what they have not seen.

use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::error::{Code, Error};
use crate::store::{Expected, Tags};

/// An answer with the tag of what it is about.
pub(super) struct Tagged<T>(pub(super) String, pub(super) T);

impl<T: IntoResponse> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        match HeaderValue::try_from(format!("\"{}\"", self.0)) {
            Ok(value) => drop(response.headers_mut().insert(ETAG, value)),
            Err(error) => return Problem::from(Error::internal(error)).into_response(),
        }
        response
    }
}

/// An answer to a `GET`, or 304 if the client says that it has it.
pub(super) fn fresh<T: IntoResponse>(
    headers: &HeaderMap,
    tag: String,
    body: T,
) -> Result<Response, Problem> {
    let is_known = match tags(headers, &IF_NONE_MATCH)? {
        Some(Tags::Any) => true,
        Some(Tags::These(tags)) => tags.contains(&tag),
        None => false,
    };
    Ok(if is_known {
        Tagged(tag, StatusCode::NOT_MODIFIED).into_response()
    } else {
        Tagged(tag, body).into_response()
    })
}

/// What `If-Match` and `If-None-Match` expect.
///
/// # Errors
/// `bad_request` for what is no list of entity tags.
pub(super) fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    Ok(Expected {
        one_of: tags(headers, &IF_MATCH)?,
        none_of: tags(headers, &IF_NONE_MATCH)?,
    })
}

/// The tags of a header; `None` without it. All of ours are strong, so a weak one is none of them
/// where one is to match, and where none is to match it is taken by its name.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let values: Vec<&[u8]> = values.collect();
    if values.is_empty() {
        return Ok(None);
    }
    let list = values.join(&b","[..]);
    if list.trim_ascii() == b"*" {
        return Ok(Some(Tags::Any));
    }
    let tags = parse(&list, *name == IF_NONE_MATCH).ok_or_else(|| {
        let detail = format!("{name} must be * or a list of entity tags in quotes");
        Problem::new(Code::BadRequest, detail)
    })?;
    Ok(Some(Tags::These(tags)))
}

/// The tags of a list; its items may be empty (RFC 9110, section 5.6.1).
fn parse(list: &[u8], weak_too: bool) -> Option<Vec<String>> {
    let mut tags = Vec::new();
    let mut rest = list.trim_ascii_start();
    loop {
        if !matches!(rest, [] | [b',', ..]) {
            let (is_weak, quoted) = match rest.strip_prefix(b"W/") {
                Some(quoted) => (true, quoted),
                None => (false, rest),
            };
            let inner = quoted.strip_prefix(b"\"")?;
            let end = inner.iter().position(|byte| *byte == b'"')?;
            let (inner, after) = inner.split_at(end);
            if !inner
                .iter()
                .all(|byte| matches!(byte, 0x21..=0x7e | 0x80..))
            {
                return None;
            }
            if weak_too || !is_weak {
                tags.push(String::from_utf8_lossy(inner).into_owned());
            }
            rest = after.get(1..)?.trim_ascii_start();
        }
        match rest {
            [] => return Some(tags),
            [b',', more @ ..] => rest = more.trim_ascii_start(),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: HeaderName, values: &[&'static str]) -> Result<Expected, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        expected(&headers)
    }

    fn these(tags: &[&str]) -> Option<Tags> {
        let tags = tags.iter().map(|tag| (*tag).to_owned());
        Some(Tags::These(tags.collect()))
    }

    #[test]
    fn conditions_are_read_as_lists_of_tags() {
        assert_eq!(read(IF_MATCH, &[]).unwrap(), Expected::default());
        let one_of = |values| read(IF_MATCH, values).unwrap().one_of;
        assert_eq!(one_of(&["*"]), Some(Tags::Any));
        assert_eq!(one_of(&["\"f1-2\""]), these(&["f1-2"]));
        assert_eq!(
            one_of(&["\"a\" , \"b\",,", "\"c\""]),
            these(&["a", "b", "c"])
        );
        assert_eq!(one_of(&["W/\"a\", \"b\""]), these(&["b"]));
        assert_eq!(one_of(&["W/\"a\""]), these(&[]));
        assert_eq!(one_of(&["\"a,b\", \"c\""]), these(&["a,b", "c"]));
        let none_of = |values| read(IF_NONE_MATCH, values).unwrap().none_of;
        assert_eq!(none_of(&["*"]), Some(Tags::Any));
        assert_eq!(none_of(&["W/\"a\", \"b\""]), these(&["a", "b"]));
        for bad in [
            "a",
            "\"a",
            "\"a\" \"b\"",
            "\"a b\"",
            "w/\"a\"",
            "*, \"a\"",
            "\u{e9}",
        ] {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_bytes(bad.as_bytes()).unwrap();
            headers.insert(IF_MATCH, value);
            assert!(expected(&headers).is_err(), "{bad}");
        }
    }
}
