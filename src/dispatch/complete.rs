//! Invocations that answer a result instead of an HTTP response: those of event functions and of
//! workspaces. They run to their end, and their caller gets what they logged as well.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::{Account, Begun, Call, Dispatch, unanswered};
use crate::clock;
use crate::error::{Code, Error};
use crate::host::CacheGrant;
use crate::kind::Kind;
use crate::limits::{JSON_DEPTH_MAX, Limits};
use crate::sandbox::{Finished, Outcome};
use crate::store::{Deployment, LogLine};

/// What came of an invocation that ran to its end.
#[derive(Debug)]
pub struct Completed {
    /// The result as JSON text in UTF-8, valid and nested at most [`JSON_DEPTH_MAX`] deep.
    pub result: Result<Bytes, Failed>,
    /// What it logged, oldest first, how it ended included if that was an error. Stored as well.
    pub logs: Vec<LogLine>,
    /// From its arrival to its end.
    pub duration: Duration,
    /// What it used.
    pub cost: Cost,
    /// Whether no other invocation has had this version since it came into memory.
    pub cold: bool,
}

/// What whoever has an invocation carried out decides about it, where that differs from what its
/// function says.
#[derive(Debug, Default)]
pub struct Extras {
    /// The version to run, of the kind that is asked for; otherwise the one that answers.
    pub deployment: Option<Arc<Deployment>>,
    /// In the place of the function's own.
    pub limits: Option<Limits>,
    /// When it must be over; otherwise its time begins when the body is there.
    pub deadline: Option<Instant>,
    /// The cache of its workspace, which it holds.
    pub cache: Option<CacheGrant>,
}

/// Why there is no result.
#[derive(Debug)]
pub struct Failed {
    /// The error as everybody may see it.
    pub error: Error,
    /// What was thrown, for callers who may see it: those who own the function.
    pub exception: Option<Exception>,
}

/// An exception that nothing caught, as its author may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// `TypeError`; empty for a value that is no error.
    pub name: String,
    /// What it says.
    pub message: String,
    /// `file:line:column` in the source as it was uploaded.
    pub place: Option<String>,
}

/// What an invocation used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// WebAssembly instructions, as wasmtime counts them.
    pub fuel: u64,
    /// Memory above the function's own snapshot, at its highest, in bytes.
    pub memory_bytes: u64,
    /// Calls of host functions that begin work or move data.
    pub host_calls: u64,
    /// Subrequests begun.
    pub subrequests: u32,
}

impl Cost {
    fn of(finished: &Finished) -> Self {
        let usage = &finished.usage;
        let above = usage.memory_bytes.saturating_sub(finished.image_bytes);
        Self {
            fuel: finished.fuel,
            memory_bytes: u64::try_from(above).unwrap_or(u64::MAX),
            host_calls: usage.host_calls,
            subrequests: usage.subrequests,
        }
    }
}

impl Dispatch {
    /// Runs one invocation of an event function or of a workspace to its end.
    ///
    /// `call.target`: `/` for an event, `/` and the function's name for a workspace, at most
    /// [`crate::limits::TARGET_BYTES_MAX`]. `call.body`: the event or the parameters as JSON, at
    /// most [`JSON_DEPTH_MAX`] deep; empty for none. `call.fields` may be empty.
    ///
    /// # Errors
    /// What keeps it from running: `shutting_down`, `function_not_found`, `kind_mismatch`,
    /// `server_busy`, `tenant_busy`, `body_invalid`, those of the body. How it ended, once it ran,
    /// is in [`Completed::result`].
    /// # Cancel safety
    /// Dropping the future ends the invocation; what it logged is stored.
    pub async fn complete(&self, kind: Kind, call: Call) -> Result<Completed, Error> {
        self.complete_with(kind, call, Extras::default()).await
    }

    /// [`Dispatch::complete`] with what the caller decides.
    ///
    /// # Errors
    /// As [`Dispatch::complete`].
    /// # Cancel safety
    /// As [`Dispatch::complete`].
    pub async fn complete_with(
        &self,
        kind: Kind,
        call: Call,
        extras: Extras,
    ) -> Result<Completed, Error> {
        let begun_at = clock::monotonic();
        let Begun {
            image,
            cold,
            invocation,
            mut account,
            mut head,
        } = self.begin_with(kind, call, extras).await?;
        let finished = image.invoke(invocation).await;
        account.close(&finished).await;
        let cost = Cost::of(&finished);
        // A result that was handed over stands, whatever the function did afterwards.
        let result = match head.try_recv() {
            Ok(head) => {
                let whole = head.body.map_err(|_stream| not_json("it is a stream"));
                let result = whole.and_then(check_result);
                result.inspect_err(|failed| account.refusal.refuse(&failed.error))
            }
            Err(_none) => Err(account.failed(finished.outcome)),
        };
        let logs = account.take_lines();
        account.keep(logs.clone());
        Ok(Completed {
            result,
            logs,
            duration: begun_at.elapsed(),
            cost,
            cold,
        })
    }
}

impl Account {
    fn failed(&self, outcome: Outcome) -> Failed {
        let places = self.shared.images.places();
        let translate = |place: &str| places.translate_place(self.deployment.id, place);
        let exception = match &outcome {
            Outcome::Threw(failure) if outcome.code() == Some(Code::FunctionThrew) => {
                let place = failure.place();
                Some(Exception {
                    name: failure.name.clone(),
                    // Where its files stand inside of a sandbox is nobody's business here.
                    message: failure.message.replace("/app/", ""),
                    place: place.map(|place| translate(place).unwrap_or_else(|| place.to_owned())),
                })
            }
            _ => None,
        };
        Failed {
            error: unanswered(outcome, translate),
            exception,
        }
    }
}

/// Checks what is about to be handed to a function as JSON, as far as the server has to: the guest
/// parses it.
///
/// # Errors
/// `body_invalid` for text that is nested too deep.
pub(super) fn check_content(content: &[u8]) -> Result<(), Error> {
    if is_too_deep(content) {
        let detail = format!("the body is nested more than {JSON_DEPTH_MAX} deep");
        return Err(Error::new(Code::BodyInvalid, detail));
    }
    Ok(())
}

/// Functions are hostile: what they hand over is put into answers as it is, so it has to be one
/// JSON text.
fn check_result(text: Bytes) -> Result<Bytes, Failed> {
    if is_too_deep(&text) {
        let what = format!("it is nested more than {JSON_DEPTH_MAX} deep");
        return Err(not_json(&what));
    }
    let is_json = std::str::from_utf8(&text)
        .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    if is_json {
        Ok(text)
    } else {
        Err(not_json("it is no JSON"))
    }
}

fn not_json(why: &str) -> Failed {
    let detail = format!("the result cannot be answered: {why}");
    Failed {
        error: Error::new(Code::ResultInvalid, detail),
        exception: None,
    }
}

/// Whether arrays and objects are nested deeper than [`JSON_DEPTH_MAX`], if it is JSON.
fn is_too_deep(text: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}0{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        assert!(!is_too_deep(nested(JSON_DEPTH_MAX).as_bytes()));
        assert!(is_too_deep(nested(JSON_DEPTH_MAX + 1).as_bytes()));
        let brackets = "[".repeat(JSON_DEPTH_MAX + 1);
        let quoted = format!(r#"["{brackets}","\"{brackets}"]"#);
        assert!(!is_too_deep(quoted.as_bytes()));
        let wide = "[],".repeat(1000);
        assert!(!is_too_deep(format!("[{wide}[]]").as_bytes()));
    }

    #[test]
    fn a_result_is_one_json_text() {
        let deepest = nested(JSON_DEPTH_MAX);
        for fine in ["null", r#"{"b":1,"a":[2]}"#, "1e21", r#""é""#, &deepest] {
            let text = Bytes::copy_from_slice(fine.as_bytes());
            assert_eq!(check_result(text.clone()).unwrap(), text);
        }
        let deep = nested(JSON_DEPTH_MAX + 1);
        for bad in [
            &b""[..],
            b"1}",
            b"{} {}",
            b"\"\xff\"",
            b"undefined",
            deep.as_bytes(),
        ] {
            let failed = check_result(Bytes::copy_from_slice(bad)).unwrap_err();
            assert_eq!(failed.error.code, Code::ResultInvalid);
        }
    }
}
