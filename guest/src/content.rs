//! The request's body as JavaScript reads it: text, bytes, or the value of its JSON.

use javy::quickjs::{Ctx, Error, IntoJs, Object, Result, Value, qjs};

use crate::host::invocation;
use crate::natives::define as add;
use crate::{hot, scratch, text};

unsafe extern "C" {
    /// In quickjs/valid.c.
    fn ampoule_is_json(text: *const u8, len: usize) -> bool;
}

/// Adds the natives.
pub fn define<'js>(ctx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    add(ctx, native, "bodyText", body_text)?;
    add(ctx, native, "bodyIsJson", body_is_json)?;
    add(ctx, native, "bodyJson", body_json)?;
    add(ctx, native, "bodyBytes", body_bytes)
}

fn body_text<'js>(ctx: Ctx<'js>) -> Result<Value<'js>> {
    with_content(|content| match std::str::from_utf8(content) {
        Ok(text) => text.into_js(&ctx),
        Err(_) => Ok(Value::new_undefined(ctx.clone())),
    })
}

/// Whether the request's body is JSON in UTF-8 that nests no deeper than most. The body stays where it
/// is for who reads it next, until the export that is running ends.
fn body_is_json() -> bool {
    let content: &'static [u8] = invocation::get_content().leak();
    let text = content.strip_prefix(MARK).unwrap_or(content);
    // SAFETY: the text lies in memory.
    let is_json =
        std::str::from_utf8(text).is_ok() && unsafe { ampoule_is_json(text.as_ptr(), text.len()) };
    if is_json {
        hot::state().content.set(Some(content));
    }
    is_json
}

/// What was read of the body is not there any more: for the end of an export.
pub fn forget() {
    hot::state().content.set(None);
}

/// Works on the request's body.
fn with_content<T>(work: impl FnOnce(&[u8]) -> T) -> T {
    if let Some(content) = hot::state().content.get() {
        return work(content);
    }
    let _scratch = scratch::Guard::new();
    work(&invocation::get_content())
}

/// The request's body as JSON says it; undefined if it is not UTF-8. Parsed where it lies, without
/// a string of JavaScript in between.
fn body_json<'js>(ctx: Ctx<'js>) -> Result<Value<'js>> {
    with_content(|content| {
        if std::str::from_utf8(content).is_err() {
            return Ok(Value::new_undefined(ctx.clone()));
        }
        parse_json(&ctx, content.strip_prefix(MARK).unwrap_or(content))
    })
}

/// The byte order mark, which may stand before a text.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The value of a JSON text; an exception if it is none, as UTF-8 that it has to be.
pub fn parse_json<'js>(ctx: &Ctx<'js>, text: &[u8]) -> Result<Value<'js>> {
    let mut ended = Vec::with_capacity(text.len() + 1);
    ended.extend_from_slice(text);
    ended.push(0);
    // SAFETY: the text ends with a zero byte that is not counted; the value is handed on once.
    unsafe {
        let raw = ctx.as_raw().as_ptr();
        let begin = ended.as_ptr().cast();
        let value = qjs::JS_ParseJSON(raw, begin, text.len() as _, c"<input>".as_ptr());
        if qjs::JS_IsException(value) {
            return Err(Error::Exception);
        }
        Ok(Value::from_raw(ctx.clone(), value))
    }
}

fn body_bytes<'js>(ctx: Ctx<'js>) -> Result<Value<'js>> {
    with_content(|content| text::to_uint8array(&ctx, content))
}
