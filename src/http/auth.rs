//! Who may use the control plane, and for what.
//!
//! Every request is made by a [`Principal`]: the operator with the key that the server was
//! started with, somebody with an API key, or, on a server without a key of its own, this machine.
//! What the matched route and the method need is decided in [`rule`] alone, so that no handler
//! has to remember to ask.

mod loopback;
mod rule;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use self::rule::Need;
use super::Http;
use super::audit::Attempt;
use super::path::Params;
use super::problem::Problem;
use crate::error::{Code, Error};
use crate::id::TenantId;
use crate::secret::{Digest, Token};
use crate::store::{ApiKey, Keys, Refused};

/// What the server itself asks for, besides API keys.
#[derive(Clone)]
pub(super) enum Access {
    /// The key with this digest. Digests are compared, so that neither the time nor the length
    /// of a comparison says anything about the key.
    Key(Digest),
    /// That a request comes from this machine, by its own names for itself.
    Loopback,
    /// Nothing would do: there is no key, and others than this machine can connect.
    Nobody,
}

/// Who makes a request to the control plane; an extension of every request that passed.
#[derive(Debug, Clone)]
pub(super) enum Principal {
    /// Whoever has the key that the server was started with.
    Root,
    /// Whoever is on this machine, on a server without a key.
    Loopback,
    /// Whoever has this API key.
    Key(Arc<ApiKey>),
}

impl Principal {
    /// Whose things they mean where a path names no tenant.
    pub(super) fn own_tenant(&self) -> TenantId {
        match self {
            Self::Key(key) => key.tenant.clone(),
            Self::Root | Self::Loopback => None,
        }
        .unwrap_or_else(TenantId::default_tenant)
    }

    /// What the audit log calls them: `root`, `loopback`, or the id of the key.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Root => "root".to_owned(),
            Self::Loopback => "loopback".to_owned(),
            Self::Key(key) => key.id.to_string(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let principal = parts.extensions.get::<Self>().cloned();
        principal.ok_or_else(|| Problem::from(Error::internal("a route without a guard")))
    }
}

impl Access {
    /// The rule of a server that has `key`, if it has one, and listens on `address`.
    pub(super) fn new(key: Option<&str>, address: IpAddr) -> Self {
        match key.filter(|key| !key.is_empty()) {
            Some(key) => Self::Key(Digest::of(key.as_bytes())),
            None if address.to_canonical().is_loopback() => Self::Loopback,
            None => Self::Nobody,
        }
    }

    /// Whether somebody without a key is let in: this machine is.
    pub(super) fn needs_no_key(&self) -> bool {
        matches!(self, Self::Loopback)
    }

    /// Says who makes a request, or why it is refused.
    ///
    /// # Errors
    /// `unauthorized`, or `foreign_origin` on a server without a key.
    pub(super) fn identify(
        &self,
        keys: &Keys,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Principal, Error> {
        // Whoever shows an API key is that key, also where none would be asked for.
        if let Some(text) = bearer(headers).filter(|text| Token::is_meant(text)) {
            return api_key(keys, text).map(Principal::Key);
        }
        match self {
            Self::Key(digest) => check_key(digest, headers).map(|()| Principal::Root),
            Self::Loopback => loopback::check(uri, headers).map(|()| Principal::Loopback),
            Self::Nobody => Err(loopback::foreign(
                "the server has no key and can be reached from other machines",
            )),
        }
    }
}

/// Lets a request to the control plane pass, and has it written down if it may change something.
pub(super) async fn guard(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let keys = http.app.store.keys();
    let principal = match http
        .access
        .identify(&keys, request.uri(), request.headers())
    {
        Ok(principal) => principal,
        Err(error) => return Problem::from(error).into_response(),
    };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let (mut parts, body) = request.into_parts();
    let params = match Params::of(&mut parts, &http).await {
        Ok(params) => params,
        Err(problem) => return problem.into_response(),
    };
    let need = Need::of(&parts.method, route, &params);
    let attempt = need
        .is_audited(&parts.method)
        .then(|| Attempt::new(&http, &principal, &parts, route, &params));
    let answered = match need.check(&principal, parts.uri.path()) {
        Ok(()) => {
            parts.extensions.insert(principal);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(error) => Problem::from(error).into_response(),
    };
    match attempt {
        Some(attempt) => attempt.answered(answered).await,
        None => answered,
    }
}

/// The API key that a text is.
///
/// # Errors
/// `unauthorized`.
pub(super) fn api_key(keys: &Keys, text: &str) -> Result<Arc<ApiKey>, Error> {
    let refuse = |detail: &str| Error::new(Code::Unauthorized, detail);
    let token: Token = text.parse().map_err(|_| {
        refuse("the key is not whole: it has other characters than it was made with")
    })?;
    keys.verify(&token).map_err(|refused| match refused {
        Refused::Unknown => refuse("there is no such key, or it was revoked"),
        Refused::Expired => refuse("the key has expired"),
    })
}

fn check_key(digest: &Digest, headers: &HeaderMap) -> Result<(), Error> {
    let refuse = |detail: &str| Err(Error::new(Code::Unauthorized, detail));
    let Some(given) = only(headers, AUTHORIZATION.as_str()) else {
        return refuse("send the key once, as authorization: Bearer KEY");
    };
    let Some(key) = after_bearer(given.as_bytes()) else {
        return refuse("send the key as authorization: Bearer KEY");
    };
    if Digest::of(key).matches(digest) {
        Ok(())
    } else {
        refuse("the key is not the server's")
    }
}

/// The text after `Bearer` in the one `authorization`, if there is one of that form.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let given = only(headers, AUTHORIZATION.as_str())?;
    std::str::from_utf8(after_bearer(given.as_bytes())?).ok()
}

fn after_bearer(value: &[u8]) -> Option<&[u8]> {
    let end = value.iter().position(|b| *b == b' ')?;
    let (scheme, rest) = value.split_at(end);
    scheme
        .eq_ignore_ascii_case(b"bearer")
        .then(|| rest.trim_ascii())
}

/// The value of a header that occurs exactly once.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests;
