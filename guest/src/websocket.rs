//! WebSockets, between the JavaScript layer and the host; `js/src/websocket.js` is the caller.

use javy::quickjs::{Array, Ctx, Exception, Function, Object, Result, String as JsString, Value};

use crate::host::websocket::{self, Closing, Connection, Message, Request};
use crate::natives::define;
use crate::operations::{self, Pending, Settle};
use crate::{loading, text};

/// Most subprotocols that one socket asks for; the host bounds their length.
const PROTOCOLS_MAX: usize = 256;

/// Adds the functions to `__native`.
pub fn define_all<'js>(ctx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    define(ctx, native, "websocketConnect", connect)?;
    define(ctx, native, "websocketSend", send)?;
    define(ctx, native, "websocketClose", close)?;
    define(ctx, native, "websocketReceive", receive)?;
    define(ctx, native, "websocketRelease", |socket: u32| {
        websocket::release(socket);
    })
}

fn connect<'js>(
    ctx: Ctx<'js>,
    url: JsString<'js>,
    protocols: Array<'js>,
    fields: JsString<'js>,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    loading::refuse_while_frozen(&ctx, "new WebSocket()")?;
    if protocols.len() > PROTOCOLS_MAX {
        return Err(Exception::throw_range(&ctx, "too many subprotocols"));
    }
    let mut names = Vec::new();
    for name in protocols.iter::<JsString>() {
        names.push(text::utf8(&name?));
    }
    let request = Request {
        url: text::utf8(&url),
        protocols: names,
        fields: text::latin1(&fields),
    };
    let pending = Pending::Connect(Settle::new(&ctx, resolve, reject));
    Ok(operations::start(pending, move || {
        websocket::begin_connect(&request)
    }))
}

/// `kind` is that of the message: `text`, `binary`, `ping` or `pong`.
fn send<'js>(
    ctx: Ctx<'js>,
    socket: u32,
    kind: JsString<'js>,
    data: Value<'js>,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    let kind = text::utf8(&kind);
    let message = if let ("text", Some(string)) = (kind.as_str(), data.as_string()) {
        Message::Text(text::utf8(string))
    } else {
        let bytes = text::bytes(&data)?.into_owned();
        match kind.as_str() {
            "ping" => Message::Ping(bytes),
            "pong" => Message::Pong(bytes),
            _ => Message::Binary(bytes),
        }
    };
    let pending = Pending::Send(Settle::new(&ctx, resolve, reject));
    Ok(operations::start(pending, move || {
        websocket::begin_send(socket, &message)
    }))
}

fn close<'js>(
    ctx: Ctx<'js>,
    socket: u32,
    code: u16,
    reason: JsString<'js>,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    let reason = text::utf8(&reason);
    let message = Message::Close(Closing { code, reason });
    let pending = Pending::Send(Settle::new(&ctx, resolve, reject));
    Ok(operations::start(pending, move || {
        websocket::begin_send(socket, &message)
    }))
}

fn receive<'js>(
    ctx: Ctx<'js>,
    socket: u32,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    let operation = websocket::begin_receive(socket);
    let settle = Settle::new(&ctx, resolve, reject);
    Ok(operations::begin(operation, Pending::Receive(settle)))
}

/// Code and message, as every failed operation has them.
pub fn error(error: websocket::Error) -> (String, String) {
    (error.code, error.message)
}

/// A new socket as `{socket, protocol}`.
pub fn connection<'js>(ctx: &Ctx<'js>, connection: Connection) -> Result<Value<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("socket", connection.socket)?;
    object.set("protocol", connection.protocol)?;
    Ok(object.into_value())
}

/// A message as `{kind, data}`, or `{kind: 'close', code, reason}`.
pub fn message<'js>(ctx: &Ctx<'js>, message: Message) -> Result<Value<'js>> {
    let object = Object::new(ctx.clone())?;
    let (kind, data) = match message {
        Message::Text(data) => {
            object.set("data", data)?;
            object.set("kind", "text")?;
            return Ok(object.into_value());
        }
        Message::Close(closing) => {
            object.set("code", closing.code)?;
            object.set("reason", closing.reason)?;
            object.set("kind", "close")?;
            return Ok(object.into_value());
        }
        Message::Binary(data) => ("binary", data),
        Message::Ping(data) => ("ping", data),
        Message::Pong(data) => ("pong", data),
    };
    object.set("kind", kind)?;
    object.set("data", text::to_uint8array(ctx, &data)?)?;
    Ok(object.into_value())
}
