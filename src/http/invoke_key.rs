//! Keys that callers of functions show. They are the platform's, so no function sees one, whether
//! or not it requires any: a key that is good for another function must not be collected.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};

use super::auth;
use crate::secret::{Plain, Token};

/// Carries a key where `authorization` is the function's own.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What is shown in place of a key: an API key if there is one, else whatever is where one could
/// be. API keys are taken out of the headers.
pub(super) fn take(headers: &mut HeaderMap) -> Option<Plain> {
    if !headers.contains_key(AUTHORIZATION) && !headers.contains_key(&API_KEY) {
        return None;
    }
    let text = |text: &str| Plain::from(text.to_owned());
    let bearer = auth::bearer(headers);
    let api_key = auth::only(headers, API_KEY.as_str()).and_then(|value| value.to_str().ok());
    let ours = bearer.filter(|text| Token::is_meant(text));
    let shown = ours.or(api_key).or(bearer).map(text);
    for name in [AUTHORIZATION, API_KEY] {
        let mut values = headers.get_all(&name).iter();
        if values.any(|value| holds_key(value.as_bytes())) {
            headers.remove(name);
        }
    }
    shown
}

/// Whether what looks like an API key is anywhere in a value: also twice, or with a scheme that
/// is not ours, a function is not to have it.
fn holds_key(value: &[u8]) -> bool {
    let words = value.split(|byte| matches!(byte, b' ' | b',' | b'"' | b'='));
    let mut texts = words.filter_map(|word| std::str::from_utf8(word).ok());
    texts.any(Token::is_meant)
}

#[cfg(test)]
mod tests;
