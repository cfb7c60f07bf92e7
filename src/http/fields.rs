//! Header sections, as the server has them and as functions have them.
//!
//! A function's are lines of `name: value\r\n` with names in lower case and values byte for byte.
//! What is between two hops only, and what the platform says itself, crosses in neither
//! direction.

use axum::http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Code, Error};
use crate::limits;

/// What every header of the platform begins with; functions neither see nor set them.
const OWN_PREFIX: &str = "x-ampoule-";
/// Marks what the scheduler runs: a function may rely on it, so nobody else can send it.
const SCHEDULED: &str = "x-scheduled-execution";
/// How much of a line that HTTP does not allow is shown.
const LINE_CHARS_SHOWN: usize = 100;

/// The header section of a request for its function.
///
/// # Errors
/// `fields_too_large` above [`limits::FIELDS_BYTES_MAX`].
pub(super) fn of_request(parts: &Parts) -> Result<Vec<u8>, Error> {
    let headers = &parts.headers;
    let named = named_by_connection(headers);
    let mut fields = Vec::with_capacity(512);
    // A target with a host (HTTP/2, absolute form) overrules the header: RFC 9112, 3.2.2.
    let authority = parts.uri.authority();
    if let Some(authority) = authority {
        push(&mut fields, HOST.as_str(), authority.as_str().as_bytes())?;
    }
    let mut has_cookies = false;
    for (name, value) in headers {
        if is_between_hops(name, &named) || (authority.is_some() && name == HOST) {
            continue;
        }
        if name != COOKIE {
            push(&mut fields, name.as_str(), value.as_bytes())?;
        } else if !has_cookies {
            has_cookies = true;
            // HTTP/2 may send them apart, nothing else may: RFC 9113, 8.2.3.
            let values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
            let values: Vec<&[u8]> = values.collect();
            push(&mut fields, name.as_str(), &values.join(&b"; "[..]))?;
        }
    }
    Ok(fields)
}

fn push(fields: &mut Vec<u8>, name: &str, value: &[u8]) -> Result<(), Error> {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        fields.extend_from_slice(part);
    }
    if fields.len() > limits::FIELDS_BYTES_MAX {
        let max = limits::FIELDS_BYTES_MAX;
        let detail = format!("the header section may have {max} bytes");
        return Err(Error::new(Code::FieldsTooLarge, detail));
    }
    Ok(())
}

/// The header section of a function's answer for its client.
///
/// `content-length` is among them at most once, and is a number then.
///
/// # Errors
/// `response_invalid` for what HTTP does not allow, and above [`limits::FIELDS_BYTES_MAX`].
pub(super) fn of_answer(fields: &[u8]) -> Result<HeaderMap, Error> {
    if fields.len() > limits::FIELDS_BYTES_MAX {
        let max = limits::FIELDS_BYTES_MAX;
        return Err(invalid(format!("the header section may have {max} bytes")));
    }
    let mut headers = HeaderMap::new();
    for line in lines(fields) {
        let (name, value) = read_line(line)?;
        if name == CONTENT_LENGTH {
            check_length(&headers, &value)?;
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    let named = named_by_connection(&headers);
    let dropped: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_between_hops(name, &named))
        .cloned()
        .collect();
    for name in dropped {
        headers.remove(name);
    }
    Ok(headers)
}

fn lines(fields: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = fields;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.windows(2).position(|pair| pair == b"\r\n");
        let line = end.map_or(rest, |end| &rest[..end]);
        rest = end.map_or(&[], |end| &rest[end + 2..]);
        Some(line)
    })
}

fn read_line(line: &[u8]) -> Result<(HeaderName, HeaderValue), Error> {
    let refuse = |why| {
        let shown: String = line
            .escape_ascii()
            .map(char::from)
            .take(LINE_CHARS_SHOWN)
            .collect();
        invalid(format!("the header \"{shown}\" {why}"))
    };
    let colon = line.iter().position(|b| *b == b':');
    let colon = colon.ok_or_else(|| refuse("has no value"))?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let name =
        HeaderName::from_bytes(name).map_err(|_| refuse("has a name HTTP does not allow"))?;
    let value =
        HeaderValue::from_bytes(value).map_err(|_| refuse("has a value HTTP does not allow"))?;
    Ok((name, value))
}

fn check_length(headers: &HeaderMap, value: &HeaderValue) -> Result<(), Error> {
    let is_number = value
        .to_str()
        .is_ok_and(|text| text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u64>().is_ok());
    if !is_number {
        return Err(invalid("content-length must be a number".to_owned()));
    }
    match headers.get(CONTENT_LENGTH) {
        Some(other) if other != value => Err(invalid(
            "content-length has two different values".to_owned(),
        )),
        _ => Ok(()),
    }
}

fn invalid(detail: String) -> Error {
    Error::new(Code::ResponseInvalid, detail)
}

/// The names that `connection` declares to be between two hops, in lower case.
fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONNECTION).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        // These carry the message itself and cannot be declared away.
        .filter(|name| name != HOST.as_str() && name != CONTENT_LENGTH.as_str())
        .collect()
}

fn is_between_hops(name: &HeaderName, named: &[String]) -> bool {
    let name = name.as_str();
    let is_by_itself = matches!(
        name,
        "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade"
    );
    is_by_itself
        || name.starts_with("proxy-")
        || name.starts_with(OWN_PREFIX)
        || name == SCHEDULED
        || named.iter().any(|named| named == name)
}

#[cfg(test)]
mod tests;
