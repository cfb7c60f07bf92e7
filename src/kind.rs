//! What a deployment is for: how it is called, and what it answers.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The surface that a deployment serves. It belongs to the version, as code and limits do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Serves HTTP requests: `(req, res)`, or `fetch(request)`.
    #[default]
    Request,
    /// Is called with an event and answers a result, both JSON: `async (event) => …`.
    Event,
    /// Several functions, each called by name with parameters, that share a cache.
    Workspace,
}

impl Kind {
    /// The word used in settings, answers and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Event => "event",
            Self::Workspace => "workspace",
        }
    }

    /// The method with which an invocation of this kind is carried to the guest; `None` where it
    /// is that of the HTTP request. HTTP has no methods of these names.
    pub fn method(self) -> Option<&'static str> {
        match self {
            Self::Request => None,
            Self::Event => Some("EVENT"),
            Self::Workspace => Some("RUN"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
