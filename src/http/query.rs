//! Query parameters, parsed before a handler runs; what is wrong with them is a problem.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::error::Code;
use crate::limits;

/// The query as a `T`.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        let query = query.map_err(|error| Problem::new(Code::BadRequest, error.body_text()))?;
        Ok(Self(query.0))
    }
}

/// The place that a cursor of numbers names; nothing for what is none, such as `+1`.
pub(super) fn cursor(text: &str) -> Option<u64> {
    let is_one = (1..=19).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_one)
}

/// How many things a list answers: what was asked for, or the default.
///
/// # Errors
/// `bad_request` for 0 and for more than [`limits::LIST_LEN_MAX`].
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(limits::LIST_LEN_DEFAULT);
    if (1..=limits::LIST_LEN_MAX).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("limit must be 1 to {}", limits::LIST_LEN_MAX);
    Err(Problem::new(Code::BadRequest, detail))
}
