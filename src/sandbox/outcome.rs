//! The closed list of ways in which a sandbox's work ends.

use wasmtime::Trap;

use crate::error::Code;
use crate::host::{Failure, State};

/// How the guest's `idle` begins to say that there was no answer (`guest/js/src/lifecycle.js`).
const ENDED_UNANSWERED: &str = "The function ended without a response";

/// How an invocation ended. It has exactly one outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The handler is done.
    Completed,
    /// An exception that nothing caught.
    Threw(Failure),
    /// The fuel ran out.
    CpuExceeded,
    /// The deadline passed.
    WallExceeded,
    /// Memory was refused.
    MemoryExceeded,
    /// The stack overflowed.
    StackExceeded,
    /// The response grew too large.
    ResponseTooLarge,
    /// Too many host operations in progress.
    OperationsExceeded,
    /// The guest trapped for another reason; the text is for the log.
    Crashed(String),
}

impl Outcome {
    /// The error code, if it is an error.
    pub fn code(&self) -> Option<Code> {
        Some(match self {
            Self::Completed => return None,
            Self::Threw(failure) if failure.name == "BodyInvalid" => Code::BodyInvalid,
            Self::Threw(failure) if failure.name == "ResultInvalid" => Code::ResultInvalid,
            Self::Threw(_) => Code::FunctionThrew,
            Self::CpuExceeded => Code::CpuExceeded,
            Self::WallExceeded => Code::WallExceeded,
            Self::MemoryExceeded => Code::MemoryExceeded,
            Self::StackExceeded => Code::StackExceeded,
            Self::ResponseTooLarge => Code::ResponseTooLarge,
            Self::OperationsExceeded => Code::OperationsExceeded,
            Self::Crashed(_) => Code::GuestCrashed,
        })
    }

    /// How a run of the guest that did not trap ended.
    pub(super) fn of_completed(state: &mut State) -> Self {
        let usage = state.usage();
        // A chunk that was refused makes the answer a part of one, whatever the handler made of it.
        if usage.response_refused {
            return Self::ResponseTooLarge;
        }
        let Some(failure) = state.take_failure() else {
            // Without memory the engine may not even have had the words to say so.
            if usage.memory_refused && !state.has_answered() {
                return Self::MemoryExceeded;
            }
            return Self::Completed;
        };
        // The engine reports these as exceptions; what caused them is known better here. It throws
        // `null` when there is no memory left for an exception.
        let has_no_words = failure.stack.is_empty() && failure.message.ends_with("null");
        // Where it cannot even note what is to be done next, the function just stops.
        let stopped = failure.message.starts_with(ENDED_UNANSWERED) && !state.has_answered();
        let is_told = failure.message == "out of memory" || has_no_words || stopped;
        if usage.memory_refused && is_told {
            return Self::MemoryExceeded;
        }
        let overflowed = failure
            .message
            .starts_with("Maximum call stack size exceeded");
        if failure.name == "RangeError" && overflowed {
            return Self::StackExceeded;
        }
        Self::Threw(failure)
    }

    /// How a run of the guest that trapped ended.
    pub(super) fn of_trap(error: &wasmtime::Error, state: &State) -> Self {
        let usage = state.usage();
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => return Self::CpuExceeded,
            // Before the stack: without memory, the engine may recurse over its own exceptions.
            _ if usage.memory_refused => return Self::MemoryExceeded,
            Some(Trap::StackOverflow) => return Self::StackExceeded,
            _ if usage.response_refused => return Self::ResponseTooLarge,
            _ => {}
        }
        if crate::host::is_too_many(error) {
            return Self::OperationsExceeded;
        }
        Self::Crashed(format!("{error:#}"))
    }
}
