//! Request bodies that are JSON: read within a bound, and told apart from everything else.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use serde::de::{Deserialize, DeserializeOwned, Deserializer};

use super::Http;
use super::body::Unread;
use super::problem::Problem;
use crate::error::Code;
use crate::limits;

/// Reads a body of at most `bytes_max` as an object of the form `T`.
///
/// # Errors
/// Those of [`Unread::read`], and `body_invalid` with what is wrong, for what is not JSON or not
/// of this form.
pub(super) async fn read<T: DeserializeOwned>(
    http: &Http,
    request: Request,
    bytes_max: usize,
) -> Result<T, Problem> {
    let (parts, body) = request.into_parts();
    let body = Unread::new(&parts.headers, body, http.tasks.clone());
    let bytes_max = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let bytes = body.read(bytes_max).await?;
    let invalid = |detail: String| Problem::new(Code::BodyInvalid, detail);
    // serde would take a list for an object without names.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(invalid("the body must be a JSON object".to_owned()));
    }
    serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))
}

/// The body as a `T`: an object of JSON with at most [`limits::CONTROL_BODY_BYTES_MAX`] bytes.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Http>> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, http: &Arc<Http>) -> Result<Self, Problem> {
        let body = read(http, request, limits::CONTROL_BODY_BYTES_MAX).await?;
        Ok(Self(body))
    }
}

/// A member that can be left out, be `null`, or have a value: for changes.
pub(super) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}
