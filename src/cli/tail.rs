//! Following a log over server-sent events, for `ampoule logs -f`.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::time::timeout;

use super::client::{Client, problem_or_bytes};
use super::problem::{CliError, Subject};
use crate::error::Code;

/// How long a server may be silent: it says every 15 seconds that it is alive.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Longest event, in bytes.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// Longest that an open tail may take in all: longer than the server lets it.
const TAIL_MAX: Duration = Duration::from_secs(24 * 3600);

/// An open tail.
pub(super) struct Tail {
    response: Response,
    /// What came and is no whole event yet.
    rest: Vec<u8>,
}

/// What a tail says.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// A line of the log, with its cursor.
    Line(String, Value),
    /// The last event: why it ends.
    End(String),
}

impl Tail {
    /// Opens a tail; `None` when the server has none to give, so that it has to be asked again and
    /// again instead.
    ///
    /// # Errors
    /// Unreachable, or the server's problem.
    pub(super) async fn open(
        client: &Client,
        request: RequestBuilder,
        subject: &Subject,
    ) -> Result<Option<Self>, CliError> {
        let mut response = client.send(request.timeout(TAIL_MAX)).await?;
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if response.status().is_success() && kind.starts_with("text/event-stream") {
            return Ok(Some(Self {
                response,
                rest: Vec::new(),
            }));
        }
        let read = problem_or_bytes(&mut response).await;
        let read = read.map_err(|error| CliError::broken_off(&error, subject))?;
        match read {
            // An older server, or one that has no place for another tail.
            Ok((problem, _)) => match problem.known_code() {
                Some(Code::NotFound | Code::TailsExceeded) => Ok(None),
                _ => Err(CliError::problem(problem, subject)),
            },
            Err(_no_problem) => Ok(None),
        }
    }

    /// The next event; `None` when the connection has ended, however.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = find(&self.rest, b"\n\n") {
                let block: Vec<u8> = self.rest.drain(..end + 2).collect();
                if let Some(event) = parse(&String::from_utf8_lossy(&block)) {
                    return Some(event);
                }
            }
            if self.rest.len() > EVENT_BYTES_MAX {
                return None;
            }
            match timeout(SILENCE_MAX, self.response.chunk()).await {
                Ok(Ok(Some(chunk))) => self.rest.extend_from_slice(&chunk),
                _ => return None,
            }
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

/// Reads one event: WHATWG HTML, section "Server-sent events". Comments and events of unknown
/// types are none.
fn parse(block: &str) -> Option<Event> {
    let (mut id, mut kind, mut data) = ("", "", String::new());
    for line in block.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => id = value,
            "event" => kind = value,
            "data" => data.push_str(value),
            _ => {}
        }
    }
    let data: Value = serde_json::from_str(&data).ok()?;
    match kind {
        "line" => Some(Event::Line(id.to_owned(), data)),
        "end" => Some(Event::End(data["reason"].as_str()?.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_read_and_comments_are_not() {
        let line = "id: 7\nevent: line\ndata: {\"message\":\"a: b\"}\n\n";
        let expected = Event::Line("7".to_owned(), json!({"message": "a: b"}));
        assert_eq!(parse(line), Some(expected));
        let end = "event: end\ndata: {\"reason\":\"too_slow\"}\n\n";
        assert_eq!(parse(end), Some(Event::End("too_slow".to_owned())));
        for other in [
            ": alive\n\n",
            "event: new\ndata: {}\n\n",
            "data: {\n\n",
            "\n\n",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
