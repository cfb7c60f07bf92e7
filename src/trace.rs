//! Traces: which request an invocation belongs to, across services (W3C Trace Context).
//!
//! A request that carries a valid `traceparent` goes on with its trace; any other begins one,
//! whose id is the invocation's own, as a number. So an invocation and its trace lead to each
//! other without being looked up.

use std::sync::Arc;

use crate::id::InvocationId;

mod export;

pub use export::{Carried, Exports, Period, Recording, Sampler, Subrequest, TraceConfig, Tracer};

/// Longest `tracestate` that is passed on, in bytes; W3C Trace Context, section 3.3.1.5, asks for
/// at least this.
const STATE_BYTES_MAX: usize = 512;
/// The flag that says that the caller records this trace.
const SAMPLED: u8 = 1;

/// The trace that an invocation belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    trace_id: u128,
    /// The span of the caller that this is part of, and its flags.
    parent: Option<(u64, u8)>,
    state: Option<Arc<str>>,
}

impl Context {
    /// The trace that begins with this invocation.
    pub fn new(id: InvocationId) -> Self {
        Self {
            trace_id: id.to_number(),
            parent: None,
            state: None,
        }
    }

    /// The trace of a request with these headers: the caller's, if `traceparent` is valid. A
    /// request without it may name a trace as 32 hexadecimal digits in `x-trace-id`.
    pub fn of_request(
        id: InvocationId,
        traceparent: Option<&str>,
        tracestate: Option<&str>,
        x_trace_id: Option<&str>,
    ) -> Self {
        if let Some((trace_id, parent, flags)) = traceparent.and_then(parse) {
            let state = tracestate.map(str::trim).filter(|state| {
                !state.is_empty() && state.len() <= STATE_BYTES_MAX && state.is_ascii()
            });
            return Self {
                trace_id,
                parent: Some((parent, flags)),
                state: state.map(Arc::from),
            };
        }
        let mut context = Self::new(id);
        let named = x_trace_id.and_then(|text| hex(text, 32));
        context.trace_id = named.filter(|id| *id != 0).unwrap_or(context.trace_id);
        context
    }

    /// The trace's id, never 0.
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The caller's span.
    pub fn parent(&self) -> Option<u64> {
        self.parent.map(|(span, _)| span)
    }

    /// Whether the caller records its part; `None` without a caller.
    pub fn parent_sampled(&self) -> Option<bool> {
        self.parent.map(|(_, flags)| flags & SAMPLED != 0)
    }

    /// What the caller's tracing systems hand on.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The caller's `traceparent`, as it goes through a service that adds nothing.
    pub fn passed_on(&self) -> Option<String> {
        let (span, flags) = self.parent?;
        Some(traceparent(self.trace_id, span, flags & SAMPLED != 0))
    }
}

/// A `traceparent` of version 00: W3C Trace Context, section 3.2.
pub fn traceparent(trace_id: u128, span: u64, sampled: bool) -> String {
    format!("00-{trace_id:032x}-{span:016x}-{:02x}", u8::from(sampled))
}

/// Reads `version-trace-parent-flags`. A higher version may have more behind it.
fn parse(text: &str) -> Option<(u128, u64, u8)> {
    let mut parts = text.trim().splitn(5, '-');
    let version = hex(parts.next()?, 2)?;
    let trace_id = hex(parts.next()?, 32)?;
    let parent = hex(parts.next()?, 16)?;
    let flags = hex(parts.next()?, 2)?;
    let has_more = parts.next().is_some();
    let is_valid = version != 0xff && trace_id != 0 && parent != 0 && !(version == 0 && has_more);
    let parsed = (
        trace_id,
        u64::try_from(parent).ok()?,
        u8::try_from(flags).ok()?,
    );
    is_valid.then_some(parsed)
}

/// Exactly so many hexadecimal digits, in lower case.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let is_hex = text.len() == digits && text.bytes().all(is_digit);
    is_hex
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests;
