//! Every way in which a subrequest fails, in words that a function's author may read.
//!
//! No text holds an address, a path or a library's own words: what a name resolved to is told in the
//! log alone, and only of connections that a policy refused.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;

use hyper_util::client::legacy;

/// A policy's refusal; the text may be shown to the function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Denied {
    /// Why, as a clause: "it is the address of …".
    pub reason: String,
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
        /// The last address that it was about; for the log, see [`Error::blocked`].
        address: SocketAddr,
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

impl Error {
    /// What the function's log gets to say about a refused connection; `None` for other errors.
    pub fn blocked(&self) -> Option<String> {
        let Self::Denied {
            host,
            address,
            denied,
        } = self
        else {
            return None;
        };
        let port = address.port();
        let (host, ip) = (bracketed(host), address.ip().to_canonical());
        Some(format!(
            "Network policy blocked connection to {host}:{port} (resolved to {ip}): {denied}"
        ))
    }

    /// The stable code that functions see; the lists are in `wit/fetch.wit` and
    /// `wit/websocket.wit`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidUrl(_) | Self::UnsupportedScheme | Self::InvalidRequest(_) => {
                "invalid_url"
            }
            Self::Denied { .. } => "denied",
            Self::Dns { .. } => "dns",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::Timeout { .. } => "timeout",
            Self::TooManyRedirects | Self::RedirectRefused(_) => "redirect",
            Self::Body(_) => "body",
            Self::Protocol(_) => "protocol",
            Self::NotUpgraded { .. } => "upgrade",
            Self::MessageTooLarge => "message_too_large",
            Self::QueueFull => "queue_full",
            Self::InvalidMessage(_) => "invalid",
            Self::Closed => "closed",
        }
    }
}

/// A host as URLs write it.
fn bracketed(host: &str) -> Cow<'_, str> {
    if host.contains(':') {
        return Cow::Owned(format!("[{host}]"));
    }
    Cow::Borrowed(host)
}

/// The error of ours that an error of the system carries.
pub(super) fn carried(error: &io::Error) -> Option<Error> {
    let inner = error.get_ref()?;
    inner.downcast_ref::<Error>().cloned()
}

/// The error of ours that any of these causes is or carries.
pub(super) fn found_in(error: &(dyn StdError + 'static)) -> Option<Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let own = error.downcast_ref::<Error>().cloned();
        let own = own.or_else(|| error.downcast_ref::<io::Error>().and_then(carried));
        if own.is_some() {
            return own;
        }
        cause = error.source();
    }
    None
}

/// Says what a failed exchange means.
pub(super) fn from_client(error: &legacy::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    let mut found = Error::Protocol("the connection broke off before the answer");
    if let Some(own) = cause.and_then(found_in) {
        return own;
    }
    while let Some(error) = cause {
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
