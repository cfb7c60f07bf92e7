//! Every way in which a subrequest fails, in words that a function's author may read.
//!
//! No text holds an address, a path or a library's own words: what a name resolved to is the
//! operator's business.

use std::error::Error as StdError;

use hyper_util::client::legacy;

/// A policy's refusal; the text may be shown to the function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Denied {
    /// Why, as a clause: "that is the address of …".
    pub reason: &'static str,
}

/// Why a subrequest has no answer, or the answer's body no end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The URL cannot be parsed, or holds a user name or password.
    #[error("the URL is not valid: {0}")]
    InvalidUrl(&'static str),
    /// The URL is for something else than HTTP.
    #[error("only http and https URLs can be fetched")]
    UnsupportedScheme,
    /// The method, a header or the body is not allowed.
    #[error("the request is not valid: {0}")]
    InvalidRequest(&'static str),
    /// The policy refused every address of the host.
    #[error("the connection to {host} is refused: {denied}")]
    Denied {
        /// As the URL has it.
        host: String,
        /// What the policy said.
        denied: Denied,
    },
    /// The host's name has no address.
    #[error("the name {host} cannot be resolved")]
    Dns {
        /// As the URL has it.
        host: String,
    },
    /// No address of the host took the connection.
    #[error("cannot connect to {host}: {reason}")]
    Connect {
        /// As the URL has it.
        host: String,
        /// What the last attempt met.
        reason: &'static str,
    },
    /// The TLS handshake failed.
    #[error("no secure connection to {host}: {reason}")]
    Tls {
        /// As the URL has it.
        host: String,
        /// What was wrong.
        reason: &'static str,
    },
    /// Resolving, connecting and the TLS handshake took too long together.
    #[error("connecting to {host} took too long")]
    Timeout {
        /// As the URL has it.
        host: String,
    },
    /// More than [`super::REDIRECTS_MAX`] redirects.
    #[error("there were more than {max} redirects", max = super::REDIRECTS_MAX)]
    TooManyRedirects,
    /// A redirect that was not wanted, or cannot be followed.
    #[error("the redirect cannot be followed: {0}")]
    RedirectRefused(&'static str),
    /// A body broke off: the request's while it was sent, or the answer's while it was read.
    #[error("{0}")]
    Body(&'static str),
    /// The server does not speak HTTP, or WebSocket, as it should.
    #[error("the server's answer is not usable: {0}")]
    Protocol(&'static str),
    /// The server does not switch to WebSocket. The words are those that users of the package
    /// `ws` know.
    #[error("Unexpected server response: {status}")]
    NotUpgraded {
        /// What it answered instead of 101.
        status: u16,
    },
    /// A message is larger than [`crate::limits::WEBSOCKET_MESSAGE_BYTES_MAX`].
    #[error("a message has at most {max} bytes", max = crate::limits::WEBSOCKET_MESSAGE_BYTES_MAX)]
    MessageTooLarge,
    /// Too much waits to be sent already.
    #[error("more than {max} bytes would wait", max = crate::limits::WEBSOCKET_QUEUE_BYTES_MAX)]
    QueueFull,
    /// A message that must not be sent.
    #[error("the message cannot be sent: {0}")]
    InvalidMessage(&'static str),
    /// The connection is not there any more.
    #[error("the connection is closed")]
    Closed,
}

/// Says what a failed exchange means.
pub(super) fn from_client(error: &legacy::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    let mut found = Error::Protocol("the connection broke off before the answer");
    while let Some(error) = cause {
        if let Some(own) = error.downcast_ref::<Error>() {
            return own.clone();
        }
        if error.is::<super::Interrupted>() {
            return Error::Body("the request body broke off");
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            if error.is_parse_too_large() {
                found = Error::Protocol("the header section of the answer is too large");
            } else if error.is_parse() {
                found = Error::Protocol("it is not HTTP");
            }
        }
        cause = error.source();
    }
    found
}
