//! The natives for bindings: functions of the platform, called by name.

use javy::quickjs::{Array, Ctx, Function, IntoJs, Object, Result, String as JsString, Value};

use crate::host::binding;
use crate::natives::define;
use crate::operations::{self, Pending, Settle};
use crate::{loading, scratch, text};

/// Defines them on `native`.
pub fn define_all<'js>(ctx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    define(ctx, native, "bindingNames", names)?;
    define(ctx, native, "bindingCall", call)
}

fn names(ctx: Ctx<'_>) -> Result<Array<'_>> {
    loading::refuse_while_frozen(&ctx, "a binding")?;
    let _scratch = scratch::Guard::new();
    let names = Array::new(ctx)?;
    for (index, name) in binding::names().iter().enumerate() {
        names.set(index, name.as_str())?;
    }
    Ok(names)
}

fn call<'js>(
    name: JsString<'js>,
    arguments: JsString<'js>,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    let ctx = name.ctx().clone();
    loading::refuse_while_frozen(&ctx, "a binding")?;
    let (name, arguments) = (text::utf8(&name), text::utf8(&arguments));
    let pending = Pending::Call(Settle::new(&ctx, resolve, reject));
    Ok(operations::start(pending, move || {
        binding::begin(&name, &arguments)
    }))
}

/// Takes the answer of an ended call: its text, or code and message.
pub fn finish(operation: u32) -> std::result::Result<String, (String, String)> {
    binding::finish(operation).map_err(|error| (error.code, error.message))
}

/// The answer's text as a value.
pub fn answer<'js>(ctx: &Ctx<'js>, answer: String) -> Result<Value<'js>> {
    answer.into_js(ctx)
}
