//! Interface `invocation`: the request and its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::oneshot;
use wasmtime::bail;
use wasmtime::component::{Linker, WasmList};

use super::State;
use super::bindings::ampoule::host::invocation;
use super::bodies::ResponseBody;
use crate::limits::FIELDS_BYTES_MAX;

/// Bytes of an answer's header fields that are handed on: enough to see that they are too many. An
/// answer is refused for that where it is passed on, as for whatever else HTTP does not allow.
const FIELDS_BYTES_TAKEN: usize = FIELDS_BYTES_MAX + 1;
/// Longest text kept of an exception: name, message or stack.
const FAILURE_BYTES_MAX: usize = 8 << 10;

/// The request as the guest sees it; see `wit/invocation.wit` for the shapes.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// Path and query, starting with `/`.
    pub target: String,
    /// `name: value` lines, each ended by CR LF.
    pub fields: Vec<u8>,
    /// The client's address.
    pub peer: String,
    /// Whether the client's connection is encrypted.
    pub secure: bool,
}

/// The beginning of an answer.
#[derive(Debug)]
pub struct Head {
    /// 200 to 599.
    pub status: u16,
    /// As in [`Request::fields`].
    pub fields: Vec<u8>,
    /// The body, whole or as it comes.
    pub body: Result<Bytes, ResponseBody>,
}

/// Where the answer goes, once.
pub type Responder = oneshot::Sender<Head>;

/// Whether the function promised work that goes on without its client.
#[derive(Debug, Clone, Default)]
pub struct Promised(Arc<AtomicBool>);

impl Promised {
    /// Whether it did by now.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// An exception that nothing caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `TypeError`
    pub name: String,
    /// For the log only: it may hold what the caller must not see.
    pub message: String,
    /// For the log only.
    pub stack: String,
}

impl Failure {
    /// `file:line:column` of the topmost frame, below the deployment's folder.
    pub fn place(&self) -> Option<&str> {
        let (_, after) = self.stack.split_once("/app/")?;
        let line = after.lines().next()?;
        Some(line.trim_end_matches(')'))
    }
}

impl State {
    fn answer(&mut self, status: u16, mut fields: Vec<u8>) -> wasmtime::Result<Option<Answer>> {
        self.count_host_call();
        if !(200..=599).contains(&status) {
            bail!("status {status} is not 200 to 599");
        }
        fields.truncate(FIELDS_BYTES_TAKEN);
        let Some(responder) = self.responder.take() else {
            return Ok(None);
        };
        self.usage.status = Some(status);
        Ok(Some(Answer {
            responder,
            status,
            fields,
        }))
    }
}

/// Puts a `respond` in the place of the generated one that looks at its lists before they are
/// copied: at how long they are.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut instance = linker.instance("ampoule:host/invocation@0.1.0")?;
    instance.func_wrap("respond", |mut store, (status, fields, body): Response| {
        let (head, content) = (fields.as_le_slice(&store), body.as_le_slice(&store));
        let state = store.data();
        let (len, len_max) = (content.len() as u64, state.budget.response_bytes);
        if len > len_max {
            store.data_mut().usage.response_refused = true;
            bail!("a response of {len} bytes");
        }
        let head = &head[..head.len().min(FIELDS_BYTES_TAKEN)];
        let (head, content) = (head.to_vec(), content.to_vec());
        let state = store.data_mut();
        Ok((invocation::Host::respond(state, status, head, content)?,))
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What `respond` is called with.
type Response = (u16, WasmList<u8>, WasmList<u8>);

struct Answer {
    responder: Responder,
    status: u16,
    fields: Vec<u8>,
}

impl Answer {
    /// A caller that is gone is noticed by the dispatcher, not here.
    fn send(self, body: Result<Bytes, ResponseBody>) {
        let _ = self.responder.send(Head {
            status: self.status,
            fields: self.fields,
            body,
        });
    }
}

impl invocation::Host for State {
    fn get_request(&mut self) -> wasmtime::Result<invocation::Request> {
        let request = &self.request;
        Ok(invocation::Request {
            method: request.method.clone(),
            target: request.target.clone(),
            fields: request.fields.clone(),
            peer: request.peer.clone(),
            secure: request.secure,
            content_length: u32::try_from(self.content.len())?,
        })
    }

    fn get_content(&mut self) -> wasmtime::Result<Vec<u8>> {
        self.count_host_call();
        Ok(self.content.to_vec())
    }

    fn respond(&mut self, status: u16, fields: Vec<u8>, body: Vec<u8>) -> wasmtime::Result<bool> {
        let Some(answer) = self.answer(status, fields)? else {
            return Ok(false);
        };
        self.budget.response_bytes -= body.len() as u64;
        answer.send(Ok(Bytes::from(body)));
        Ok(true)
    }

    fn begin_response(&mut self, status: u16, fields: Vec<u8>) -> wasmtime::Result<u32> {
        let Some(answer) = self.answer(status, fields)? else {
            return Ok(0);
        };
        let (body, reader) = self.bodies.response()?;
        answer.send(Err(reader));
        Ok(body)
    }

    fn promised(&mut self) -> wasmtime::Result<()> {
        self.promised.0.store(true, Ordering::Release);
        Ok(())
    }

    fn fail(&mut self, failure: invocation::Failure) -> wasmtime::Result<()> {
        let cut = |mut text: String| {
            text.truncate(text.floor_char_boundary(FAILURE_BYTES_MAX));
            text
        };
        // The first exception is the one that ends the invocation; later ones are its echoes.
        self.failure.get_or_insert(Failure {
            name: cut(failure.name),
            message: cut(failure.message),
            stack: cut(failure.stack),
        });
        Ok(())
    }
}
