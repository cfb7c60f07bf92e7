//! Host work in progress: which operation settles which callbacks.

use std::cell::RefCell;

use javy::quickjs::{Array, Ctx, Function, IntoJs, Object, Persistent, Result, Value};

use crate::host::{bodies, fetch, kv, websocket as host_websocket};
use crate::{scratch, text, websocket};

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
    /// A new WebSocket.
    Connect(Settle),
    /// A message to a WebSocket.
    Send(Settle),
    /// A message from a WebSocket.
    Receive(Settle),
}

thread_local! {
    static PENDING: RefCell<Vec<(u32, Pending)>> = const { RefCell::new(Vec::new()) };
}

/// Notes what to do when `operation` ends; answers the operation.
pub fn begin(operation: u32, pending: Pending) -> u32 {
    PENDING.with_borrow_mut(|all| all.push((operation, pending)));
    operation
}

/// Whether anything is in progress.
pub fn any() -> bool {
    PENDING.with_borrow(|all| !all.is_empty())
}

fn take(operation: u32) -> Option<Pending> {
    PENDING.with_borrow_mut(|all| {
        let at = all.iter().position(|(id, _)| *id == operation)?;
        Some(all.swap_remove(at).1)
    })
}

/// Gives up an operation: its callbacks are never called.
pub fn cancel(operation: u32) {
    if take(operation).is_some() {
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
        Err((code, message)) => {
            let error = Object::new(ctx.clone())?;
            error.set("code", code)?;
            error.set("message", message)?;
            settle.reject.restore(ctx)?.call((error,))
        }
    }
}

fn kv_reply<'js>(ctx: &Ctx<'js>, reply: kv::Reply) -> Result<Value<'js>> {
    match reply {
        kv::Reply::Value(None) => Ok(Value::new_null(ctx.clone())),
        kv::Reply::Value(Some(bytes)) => String::from_utf8_lossy(&bytes).into_js(ctx),
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

fn kv_error(error: &kv::Error) -> (String, String) {
    let (code, message) = match error {
        kv::Error::Invalid(detail) => ("kv_invalid", detail.as_str()),
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
