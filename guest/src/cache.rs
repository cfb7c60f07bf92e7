//! The cache of a workspace, between the JavaScript layer and the host; `js/src/cache.js` is the
//! caller.

use javy::quickjs::{Ctx, Exception, IntoJs, Object, Result, String as JsString, Value};

use crate::host::cache;
use crate::natives::define;
use crate::{loading, scratch, text};

/// Adds the functions to `__native`.
pub fn define_all<'js>(ctx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    define(ctx, native, "cacheRead", read)?;
    define(ctx, native, "cacheWrite", write)?;
    define(ctx, native, "cacheBytesMax", cache::bytes_max)
}

/// The text, empty for an empty cache; null if this invocation does not hold it.
fn read<'js>(ctx: Ctx<'js>) -> Result<Value<'js>> {
    loading::refuse_while_frozen(&ctx, "cache")?;
    let _scratch = scratch::Guard::new();
    match cache::read() {
        None => Ok(Value::new_null(ctx)),
        Some(bytes) => String::from_utf8_lossy(&bytes).into_js(&ctx),
    }
}

fn write<'js>(ctx: Ctx<'js>, value: JsString<'js>) -> Result<()> {
    loading::refuse_while_frozen(&ctx, "cache")?;
    let value = text::utf8(&value);
    let why = match cache::write(value.as_bytes()) {
        Ok(()) => return Ok(()),
        Err(cache::Error::NotHeld) => "this invocation does not hold the cache".to_owned(),
        Err(cache::Error::TooLarge) => format!(
            "cache would have {} bytes, more than {}",
            value.len(),
            cache::bytes_max()
        ),
    };
    Err(Exception::throw_type(&ctx, &why))
}
