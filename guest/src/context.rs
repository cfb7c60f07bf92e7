//! The asynchronous context: one value that QuickJS carries from where a promise is listened to
//! to where the listener runs (an amendment to `quickjs.c`, see `cc.sh`). `js/src/async-context.js`
//! gives it its meaning.

use javy::quickjs::{Ctx, Function, Object, Result, Value, qjs};

unsafe extern "C" {
    /// The value that counts now, as a reference of its own.
    fn ampoule_async_context(ctx: *mut qjs::JSContext) -> qjs::JSValue;
    /// Makes another value count, until the running job ends.
    fn ampoule_set_async_context(ctx: *mut qjs::JSContext, value: qjs::JSValue);
}

/// Adds the natives.
pub fn define<'js>(ctx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    let get = Function::new(ctx.clone(), get)?.with_name("asyncContext")?;
    native.set("asyncContext", get)?;
    let set = Function::new(ctx.clone(), set)?.with_name("setAsyncContext")?;
    native.set("setAsyncContext", set)
}

fn get(ctx: Ctx<'_>) -> Value<'_> {
    // SAFETY: the reference is ours, and `Value` frees it.
    unsafe {
        let value = ampoule_async_context(ctx.as_raw().as_ptr());
        Value::from_raw(ctx, value)
    }
}

fn set(value: Value<'_>) {
    // SAFETY: takes a reference of its own.
    unsafe { ampoule_set_async_context(value.ctx().as_raw().as_ptr(), value.as_raw()) }
}
