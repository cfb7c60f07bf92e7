//! Interface `fetch`: subrequests, as far as the network grant goes.

use wasmtime::bail;

use super::State;
use super::bindings::ampoule::host::fetch;
use super::logging::LogBuffer;
use super::operations::{Outcome, Work};
use crate::limits::{FIELDS_BYTES_MAX, TARGET_BYTES_MAX};
use crate::outbound::{self, RequestBody};
use crate::store::Level;

/// Longest method.
const METHOD_BYTES_MAX: usize = 32;

impl fetch::Host for State {
    fn begin(&mut self, request: fetch::Request) -> wasmtime::Result<u32> {
        self.count_host_call();
        let work = match self.prepare(request) {
            Ok(work) => work,
            Err((code, message)) => {
                let error = (code.to_owned(), message);
                Box::pin(async { Outcome::Fetched(Err(error)) })
            }
        };
        self.operations.begin(work)
    }

    fn finish(
        &mut self,
        operation: u32,
    ) -> wasmtime::Result<Result<fetch::Response, fetch::Error>> {
        let response = match self.operations.take(operation)? {
            Outcome::Fetched(Ok(response)) => response,
            Outcome::Fetched(Err((code, message))) => {
                self.usage.subrequest_outcomes.count(&code);
                return Ok(Err(fetch::Error { code, message }));
            }
            _ => bail!("operation {operation} is not a subrequest"),
        };
        self.usage.subrequest_outcomes.count(ANSWERED);
        Ok(Ok(fetch::Response {
            status: response.status,
            status_text: response.status_text,
            fields: fields(&response.headers),
            url: response.url,
            redirected: response.redirected,
            body: Some(self.bodies.download(response.body)?),
        }))
    }
}

/// The outcome of a subrequest that was answered, whatever the status.
pub(super) const ANSWERED: &str = "answered";

/// How subrequests end: answered, or one of the codes of `wit/fetch.wit` and `wit/websocket.wit`.
pub const SUBREQUEST_OUTCOMES: [&str; 13] = [
    ANSWERED,
    "denied",
    "dns",
    "connect",
    "tls",
    "timeout",
    "redirect",
    "body",
    "protocol",
    "upgrade",
    "invalid_url",
    "subrequests_exceeded",
    OTHER,
];
/// The outcome of what has no name in the list.
const OTHER: &str = "other";

/// How many subrequests of one invocation ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubrequestOutcomes([u32; SUBREQUEST_OUTCOMES.len()]);

impl SubrequestOutcomes {
    /// Counts one that ended so.
    pub(super) fn count(&mut self, outcome: &str) {
        let mut names = SUBREQUEST_OUTCOMES.iter();
        let at = names.position(|name| *name == outcome);
        self.0[at.unwrap_or(SUBREQUEST_OUTCOMES.len() - 1)] += 1;
    }

    /// Those that occurred, each with how often.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let pairs = SUBREQUEST_OUTCOMES.into_iter().zip(self.0);
        pairs.filter(|(_, count)| *count > 0)
    }
}

/// A stable code, and what it means this time.
pub(super) type Refused = (&'static str, String);

impl State {
    /// Takes a subrequest from the budget.
    pub(super) fn take_subrequest(&mut self) -> Result<(), Refused> {
        if self.budget.subrequests == 0 {
            let max = self.budget.limits.subrequests;
            return Err((
                "subrequests_exceeded",
                format!("more than {max} subrequests in one invocation"),
            ));
        }
        if let Some(meter) = &self.grants.meter {
            let taken = meter.take_subrequest();
            taken.map_err(|detail| ("rate_limited", detail))?;
        }
        self.budget.subrequests -= 1;
        self.usage.subrequests += 1;
        Ok(())
    }

    fn prepare(&mut self, request: fetch::Request) -> Result<Work, Refused> {
        let Some((client, grant)) = self.grants.network.clone() else {
            return Err(("denied", "this function has no network".into()));
        };
        if request.method.len() > METHOD_BYTES_MAX
            || request.url.len() > TARGET_BYTES_MAX
            || request.fields.len() > FIELDS_BYTES_MAX
        {
            return Err((
                "invalid_url",
                "the method, URL or headers are too long".into(),
            ));
        }
        self.take_subrequest()?;
        let body = match request.content {
            fetch::Content::None => RequestBody::None,
            fetch::Content::Whole(bytes) => RequestBody::Whole(bytes.into()),
            fetch::Content::Streamed(body) => match self.bodies.take_upload(body) {
                Some(chunks) => RequestBody::Stream(chunks),
                None => return Err(("body", "the body was sent already".into())),
            },
        };
        let mut headers = headers(&request.fields);
        let trace = &self.trace;
        let span = trace.subrequest(&request.method, &request.url, &mut headers);
        let request = outbound::Request {
            method: request.method,
            url: request.url,
            headers,
            body,
            redirect: match request.redirect {
                fetch::Redirect::Follow => outbound::Redirect::Follow,
                fetch::Redirect::Error => outbound::Redirect::Error,
                fetch::Redirect::Manual => outbound::Redirect::Manual,
            },
            decompress: true,
        };
        let log = self.log.clone();
        Ok(Box::pin(async move {
            let answer = client.send(&grant, request).await;
            let answer = answer.inspect_err(|error| note_blocked(&log, error));
            match (span, &answer) {
                (Some(span), Ok(response)) => span.answered(response.status),
                (Some(span), Err(error)) => span.failed(error.code()),
                (None, _) => {}
            }
            Outcome::Fetched(answer.map_err(|error| (error.code().to_owned(), error.to_string())))
        }))
    }
}

/// Writes to the function's log what a network policy has refused.
pub(super) fn note_blocked(log: &LogBuffer, error: &outbound::Error) {
    if let Some(line) = error.blocked() {
        log.note(Level::Warn, &line);
    }
}

/// `name: value` lines to pairs; lines without a colon are left out.
pub(super) fn headers(fields: &[u8]) -> Vec<(String, Vec<u8>)> {
    fields
        .split(|&byte| byte == b'\n')
        .filter_map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = line.iter().position(|&byte| byte == b':')?;
            let name = String::from_utf8(line[..colon].to_vec()).ok()?;
            Some((name, line[colon + 1..].trim_ascii().to_vec()))
        })
        .collect()
}

/// Pairs to `name: value` lines; the values were decoded as Latin-1 and are encoded as such.
fn fields(headers: &[(String, String)]) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in headers {
        fields.extend_from_slice(name.as_bytes());
        fields.extend_from_slice(b": ");
        fields.extend(value.chars().map(|c| u8::try_from(c).unwrap_or(b'?')));
        fields.extend_from_slice(b"\r\n");
    }
    fields
}
