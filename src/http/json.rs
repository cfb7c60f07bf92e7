//! Request bodies that are JSON: read within a bound, and told apart from everything else.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use serde_json::{Map, Number, Value};

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
    let (_, body) = read_with_head(http, request, bytes_max).await?;
    Ok(body)
}

/// [`read`], and the head of the request besides.
///
/// # Errors
/// As [`read`].
pub(super) async fn read_with_head<T: DeserializeOwned>(
    http: &Http,
    request: Request,
    bytes_max: usize,
) -> Result<(Parts, T), Problem> {
    let (parts, body) = request.into_parts();
    let body = Unread::new(&parts.headers, body, http.tasks.clone());
    let bytes_max = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let bytes = body.read(bytes_max).await?;
    let invalid = |detail: String| Problem::new(Code::BodyInvalid, detail);
    // serde would take a list for an object without names.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(invalid("the body must be a JSON object".to_owned()));
    }
    let body = parse(&bytes).map_err(|error| invalid(error.to_string()))?;
    Ok((parts, body))
}

/// Takes `3.0` for 3 where a whole number is wanted, as JSON Schema does, and with it the OpenAPI
/// document: some languages write all numbers so.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes).or_else(|error| {
        let mut value: Value = serde_json::from_slice(bytes)?;
        if make_whole(&mut value) {
            serde_json::from_value(value).map_err(|_| error)
        } else {
            Err(error)
        }
    })
}

/// Writes whole numbers without a fraction; whether there was one to write.
fn make_whole(value: &mut Value) -> bool {
    let mut any = false;
    match value {
        Value::Number(number) => {
            if let Some(whole) = whole(number) {
                *value = whole.into();
                any = true;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| any |= make_whole(item)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| any |= make_whole(member)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
    any
}

/// The whole number that one with a fraction or an exponent is, if it is one.
fn whole(number: &Number) -> Option<u64> {
    const END: f64 = 18_446_744_073_709_551_616.0;
    let float = number.as_f64().filter(|_| number.is_f64())?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole and within bounds"
    )]
    let whole = float as u64;
    (float.fract() == 0.0 && (0.0..END).contains(&float)).then_some(whole)
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

/// A member that is an object and never a list: serde would take one for an object without names.
pub(super) fn object<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let members = Map::<String, Value>::deserialize(deserializer)?;
    serde_json::from_value(Value::Object(members)).map_err(D::Error::custom)
}

/// A member that can be left out, be `null`, or have a value: for changes.
pub(super) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}
