//! Host work in progress: which operation settles which callbacks.
//!
//! The host ends an invocation that has more than 256 operations in progress. So work queues here
//! long before, in the order in which it was asked for, in three lanes that cannot hold each
//! other up: a subrequest may wait for the writes of its body, and those for reads of another.

use std::cell::RefMut;
use std::collections::VecDeque;

use javy::quickjs::{Array, Ctx, Function, IntoJs, Object, Persistent, Result, Value};

use crate::host::{bodies, fetch, kv, websocket as host_websocket};
use crate::{binding, hot, scratch, text, websocket};

/// Callbacks of the JavaScript layer: exactly one of them is called, once.
pub struct Settle {
    resolve: Persistent<Function<'static>>,
    reject: Persistent<Function<'static>>,
}

impl Settle {
    /// Keeps the callbacks until the operation ends.
    pub fn new<'js>(ctx: &Ctx<'js>, resolve: Function<'js>, reject: Function<'js>) -> Self {
        Self {
            resolve: Persistent::save(ctx, resolve),
            reject: Persistent::save(ctx, reject),
        }
    }
}

/// What ends when an operation ends.
pub enum Pending {
    /// A wait: the callback gets nothing.
    Wait(Persistent<Function<'static>>),
    /// A kv command.
    Kv(Settle),
    /// A read from a body.
    Read(Settle),
    /// A write to a body.
    Write(Settle),
    /// A subrequest.
    Fetch(Settle),
    /// A call of a binding.
    Call(Settle),
    /// A new WebSocket.
    Connect(Settle),
    /// A message to a WebSocket.
    Send(Settle),
    /// A message from a WebSocket.
    Receive(Settle),
}

/// What may wait for what: see the top of this file.
#[derive(Clone, Copy)]
enum Lane {
    Commands,
    Reads,
    Writes,
}

/// Most operations in progress, by lane; what is left up to 256 is for waits.
const LANE_MAX: [usize; 3] = [112, 56, 56];

/// Numbers of work that queues, for `cancel`. The host counts from 1 and never gets here.
const QUEUED_FIRST: u32 = 1 << 30;

impl Pending {
    fn lane(&self) -> Option<Lane> {
        match self {
            // There is one for each of a few sockets, and it may take forever.
            Self::Wait(_) | Self::Receive(_) => None,
            Self::Kv(_) | Self::Fetch(_) | Self::Call(_) | Self::Connect(_) => Some(Lane::Commands),
            Self::Read(_) => Some(Lane::Reads),
            Self::Write(_) | Self::Send(_) => Some(Lane::Writes),
        }
    }
}

struct InProgress {
    operation: u32,
    /// The number it had in the queue, if it was there; else the operation.
    asked_as: u32,
    pending: Pending,
}

struct Queued {
    asked_as: u32,
    pending: Pending,
    work: Box<dyn FnOnce() -> u32>,
}

/// What is in progress, and what queues.
pub struct Operations {
    in_progress: Vec<InProgress>,
    counts: [usize; 3],
    queues: [VecDeque<Queued>; 3],
    last_queued: u32,
}

impl Operations {
    /// Nothing is in progress.
    pub const fn new() -> Self {
        Self {
            in_progress: Vec::new(),
            counts: [0; 3],
            queues: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            last_queued: QUEUED_FIRST,
        }
    }
}

fn operations() -> RefMut<'static, Operations> {
    hot::state().operations.borrow_mut()
}

/// Begins `work`, which answers its operation, now or when there is room for it; `pending` says
/// what to do when it ends. Answers a number for `cancel`.
pub fn start(pending: Pending, work: impl FnOnce() -> u32 + 'static) -> u32 {
    if has_room(&pending) {
        begin(work(), pending)
    } else {
        queue(pending, Box::new(work))
    }
}

/// Whether such work may begin at once.
pub fn has_room(pending: &Pending) -> bool {
    pending
        .lane()
        .is_none_or(|lane| operations().counts[lane as usize] < LANE_MAX[lane as usize])
}

/// Keeps work until there is room for it; see `start`.
pub fn queue(pending: Pending, work: Box<dyn FnOnce() -> u32>) -> u32 {
    let lane = pending.lane().map_or(0, |lane| lane as usize);
    let mut all = operations();
    all.last_queued += 1;
    let asked_as = all.last_queued;
    all.queues[lane].push_back(Queued {
        asked_as,
        pending,
        work,
    });
    asked_as
}

/// Notes what to do when `operation`, which has begun, ends; answers the operation.
pub fn begin(operation: u32, pending: Pending) -> u32 {
    let mut all = operations();
    if let Some(lane) = pending.lane() {
        all.counts[lane as usize] += 1;
    }
    all.in_progress.push(InProgress {
        operation,
        asked_as: operation,
        pending,
    });
    operation
}

/// Whether anything is in progress. What queues waits for something that is.
pub fn any() -> bool {
    !operations().in_progress.is_empty()
}

impl Operations {
    /// Takes out what is in progress at a place, and lets the next in line begin.
    fn take(&mut self, place: usize) -> InProgress {
        let taken = self.in_progress.swap_remove(place);
        if let Some(lane) = taken.pending.lane() {
            let lane = lane as usize;
            match self.queues[lane].pop_front() {
                None => self.counts[lane] -= 1,
                Some(next) => self.in_progress.push(InProgress {
                    operation: (next.work)(),
                    asked_as: next.asked_as,
                    pending: next.pending,
                }),
            }
        }
        taken
    }

    /// Gives up what was answered `number`; the operation to cancel, if it has begun.
    fn cancel(&mut self, number: u32) -> Option<u32> {
        let place = |one: &InProgress| one.asked_as == number;
        if let Some(place) = self.in_progress.iter().position(place) {
            return Some(self.take(place).operation);
        }
        for queue in &mut self.queues {
            queue.retain(|one| one.asked_as != number);
        }
        None
    }
}

fn take(operation: u32) -> Option<Pending> {
    let mut all = operations();
    let place = |one: &InProgress| one.operation == operation;
    let place = all.in_progress.iter().position(place)?;
    Some(all.take(place).pending)
}

/// Gives up what `start` answered this number for: its callbacks are never called.
pub fn cancel(number: u32) {
    let begun = operations().cancel(number);
    if let Some(operation) = begun {
        crate::host::operations::cancel(operation);
    }
}

/// Takes the result of an ended operation to its callbacks.
pub fn end(ctx: &Ctx<'_>, operation: u32) -> Result<()> {
    let _scratch = scratch::Guard::new();
    match take(operation) {
        None => Ok(()),
        Some(Pending::Wait(callback)) => callback.restore(ctx)?.call(()),
        Some(Pending::Kv(settle)) => {
            let result = kv::finish(operation).map_err(|error| kv_error(&error));
            done(ctx, settle, result, kv_reply)
        }
        Some(Pending::Read(settle)) => {
            let result = bodies::finish_read(operation).map_err(body_error);
            done(ctx, settle, result, |ctx, chunk| {
                text::to_uint8array(ctx, &chunk)
            })
        }
        Some(Pending::Write(settle)) => {
            let result = bodies::finish_write(operation).map_err(body_error);
            done(ctx, settle, result, |ctx, ()| {
                Ok(Value::new_undefined(ctx.clone()))
            })
        }
        Some(Pending::Fetch(settle)) => {
            let result = fetch::finish(operation).map_err(|error| (error.code, error.message));
            done(ctx, settle, result, response)
        }
        Some(Pending::Call(settle)) => {
            done(ctx, settle, binding::finish(operation), binding::answer)
        }
        Some(Pending::Connect(settle)) => {
            let result = host_websocket::finish_connect(operation);
            done(
                ctx,
                settle,
                result.map_err(websocket::error),
                websocket::connection,
            )
        }
        Some(Pending::Send(settle)) => {
            let result = host_websocket::finish_send(operation);
            done(ctx, settle, result.map_err(websocket::error), |ctx, ()| {
                Ok(Value::new_undefined(ctx.clone()))
            })
        }
        Some(Pending::Receive(settle)) => {
            let result = host_websocket::finish_receive(operation);
            done(
                ctx,
                settle,
                result.map_err(websocket::error),
                websocket::message,
            )
        }
    }
}

fn done<'js, T>(
    ctx: &Ctx<'js>,
    settle: Settle,
    result: std::result::Result<T, (String, String)>,
    convert: impl FnOnce(&Ctx<'js>, T) -> Result<Value<'js>>,
) -> Result<()> {
    match result {
        Ok(value) => {
            let value = convert(ctx, value)?;
            settle.resolve.restore(ctx)?.call((value,))
        }
        Err(error) => settle.reject.restore(ctx)?.call((failure(ctx, error)?,)),
    }
}

/// An error of the host's as the JavaScript layer gets it: `{code, message}`.
pub fn failure<'js>(ctx: &Ctx<'js>, (code, message): (String, String)) -> Result<Object<'js>> {
    let error = Object::new(ctx.clone())?;
    error.set("code", code)?;
    error.set("message", message)?;
    Ok(error)
}

fn kv_reply<'js>(ctx: &Ctx<'js>, reply: kv::Reply) -> Result<Value<'js>> {
    match reply {
        kv::Reply::Flag(flag) => flag.into_js(ctx),
        kv::Reply::Number(number) => number.into_js(ctx),
        kv::Reply::Page(page) => {
            let keys = Array::new(ctx.clone())?;
            for (index, key) in page.keys.iter().enumerate() {
                keys.set(index, key.as_str())?;
            }
            let object = Object::new(ctx.clone())?;
            object.set("keys", keys)?;
            match page.next {
                Some(next) => object.set("cursor", next)?,
                None => object.set("cursor", Value::new_null(ctx.clone()))?,
            }
            Ok(object.into_value())
        }
    }
}

/// An error of kv's, as `failure` takes it.
pub fn kv_error(error: &kv::Error) -> (String, String) {
    let (code, message) = match error {
        kv::Error::Invalid(detail) => ("kv_invalid", detail.as_str()),
        kv::Error::Quota(detail) => ("quota_exceeded", detail.as_str()),
        kv::Error::NotANumber => ("kv_not_a_number", "the value is not a number"),
        kv::Error::Busy => ("storage_busy", "too many writes are waiting"),
        kv::Error::Unavailable => ("storage_unavailable", "the store cannot be reached"),
    };
    (code.to_owned(), message.to_owned())
}

fn body_error(error: bodies::Error) -> (String, String) {
    match error {
        bodies::Error::Closed => ("closed".into(), "the other side is gone".into()),
        bodies::Error::TooLarge => (
            "response_too_large".into(),
            "the response exceeded its size limit".into(),
        ),
        bodies::Error::Failed(detail) => ("body".into(), detail),
    }
}

fn response<'js>(ctx: &Ctx<'js>, response: fetch::Response) -> Result<Value<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("status", response.status)?;
    object.set("statusText", response.status_text)?;
    object.set("fields", text::from_latin1(ctx, &response.fields)?)?;
    object.set("url", response.url)?;
    object.set("redirected", response.redirected)?;
    object.set("body", response.body.unwrap_or(0))?;
    Ok(object.into_value())
}
