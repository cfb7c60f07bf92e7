//! Text between JavaScript and the host: UTF-8, Latin-1 header fields, bytes.

use std::borrow::Cow;

use javy::quickjs::{Ctx, Exception, Object, Result, String as JsString, TypedArray, Value, qjs};

/// A JavaScript string as UTF-8; lone surrogates become U+FFFD, as the Encoding standard says.
pub fn utf8(string: &JsString<'_>) -> String {
    match string.to_string() {
        Ok(text) => text,
        Err(error) => javy::to_string_lossy(string.ctx(), string, error),
    }
}

/// A header section: one byte a character, `?` for what Latin-1 does not have.
pub fn latin1(string: &JsString<'_>) -> Vec<u8> {
    let text = utf8(string);
    if text.is_ascii() {
        return text.into_bytes();
    }
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
        .collect()
}

/// A header section as a JavaScript string.
pub fn from_latin1<'js>(ctx: &Ctx<'js>, bytes: &[u8]) -> Result<JsString<'js>> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => JsString::from_str(ctx.clone(), text),
        _ => {
            let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
            JsString::from_str(ctx.clone(), &text)
        }
    }
}

/// Whether a header section has the content type of JSON as nearly every client writes it; what is
/// written otherwise is for the JavaScript layer to take apart. A coding has to be undone first.
pub fn says_json(fields: &[u8]) -> bool {
    const TYPE: &[u8] = b"content-type: ";
    let mut is_json = false;
    for line in fields.split(|&byte| byte == b'\n') {
        match line {
            [b'c', b'o', b'n', b't', b'e', b'n', b't', b'-', b'e', ..] => return false,
            [b'c', b'o', ..] if line.starts_with(TYPE) => {
                let value = &line[TYPE.len()..];
                if is_json || value.strip_suffix(b"\r") != Some(b"application/json") {
                    return false;
                }
                is_json = true;
            }
            _ => {}
        }
    }
    is_json
}

/// A new `Uint8Array` holding a copy of `bytes`.
pub fn to_uint8array<'js>(ctx: &Ctx<'js>, bytes: &[u8]) -> Result<Value<'js>> {
    Ok(TypedArray::<u8>::new_copy(ctx.clone(), bytes)?.into_value())
}

/// The bytes that a string, an `ArrayBuffer` or a view of one stands for.
pub fn bytes<'a>(value: &'a Value<'_>) -> Result<Cow<'a, [u8]>> {
    if let Some(string) = value.as_string() {
        return Ok(Cow::Owned(utf8(string).into_bytes()));
    }
    let object = value.as_object().ok_or_else(|| not_bytes(value.ctx()))?;
    view(object)
        .map(Cow::Borrowed)
        .ok_or_else(|| not_bytes(value.ctx()))
}

fn not_bytes(ctx: &Ctx<'_>) -> javy::quickjs::Error {
    Exception::throw_type(ctx, "expected a string, a Uint8Array or an ArrayBuffer")
}

/// The bytes behind a `Uint8Array` (of any subclass) or an `ArrayBuffer`.
fn view<'a>(object: &'a Object<'_>) -> Option<&'a [u8]> {
    let mut len: qjs::size_t = 0;
    let ctx = object.ctx().as_raw().as_ptr();
    // SAFETY: the pointer is valid until JavaScript runs again, and callers use it before that.
    unsafe {
        let mut pointer = qjs::JS_GetUint8Array(ctx, &mut len, object.as_raw());
        if pointer.is_null() {
            drop(object.ctx().catch());
            pointer = qjs::JS_GetArrayBuffer(ctx, &mut len, object.as_raw());
        }
        if pointer.is_null() {
            drop(object.ctx().catch());
            // An empty buffer has no address.
            return object
                .as_array_buffer()
                .is_some_and(|b| b.is_empty())
                .then_some(&[]);
        }
        Some(std::slice::from_raw_parts(pointer, len as usize))
    }
}
