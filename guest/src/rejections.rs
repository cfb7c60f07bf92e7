//! Promises that were rejected while nobody listened: told in the log when the invocation ends.

use std::cell::RefMut;
use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};

use javy::quickjs::{Ctx, Value, qjs};

use crate::{engine, host, hot};

/// Most rejections that are remembered; a function that makes more has a different problem.
const KEPT_MAX: usize = 100;

/// What was rejected, by the promise's address: nothing is freed that is still to be reported.
pub type Unhandled = Vec<(usize, String)>;

fn unhandled() -> RefMut<'static, Unhandled> {
    hot::state().unhandled.borrow_mut()
}

/// Has QuickJS report rejections.
pub fn install(ctx: &Ctx<'_>) {
    // SAFETY: the callback lives as long as the program.
    unsafe {
        let runtime = qjs::JS_GetRuntime(ctx.as_raw().as_ptr());
        qjs::JS_SetHostPromiseRejectionTracker(runtime, Some(track), null_mut());
    }
}

/// Logs what nobody came to listen to, and forgets it.
pub fn report() {
    let rejected = std::mem::take(&mut *unhandled());
    for (_promise, text) in rejected {
        let message = format!("Unhandled promise rejection: {text}");
        host::logging::log(host::logging::Level::Error, &message);
    }
}

/// Somebody came to listen to it.
pub fn forget(promise: &Value<'_>) {
    // SAFETY: a promise is an object; only its address is looked at.
    let key = unsafe { qjs::JS_VALUE_GET_PTR(promise.as_raw()) } as usize;
    unhandled().retain(|(promise, _)| *promise != key);
}

unsafe extern "C" fn track(
    ctx: *mut qjs::JSContext,
    promise: qjs::JSValue,
    reason: qjs::JSValue,
    is_handled: bool,
    _opaque: *mut c_void,
) {
    // SAFETY: QuickJS calls back with the context that is running, and values that live.
    let (key, reason) = unsafe {
        let reason = qjs::JS_DupValue(ctx, reason);
        let ctx = Ctx::from_raw(NonNull::new_unchecked(ctx));
        let key = qjs::JS_VALUE_GET_PTR(promise) as usize;
        (key, Value::from_raw(ctx, reason))
    };
    if is_handled {
        unhandled().retain(|(promise, _)| *promise != key);
        return;
    }
    let text = engine::describe(&reason);
    let mut all = unhandled();
    if all.len() < KEPT_MAX {
        all.push((key, text));
    }
}
