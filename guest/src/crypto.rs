//! `native.crypto`: the operations of the crate `ampoule-crypto`, for `js/src/node/crypto`.

use std::borrow::Cow;

use ampoule_crypto::Arguments;
use javy::quickjs::function::Rest;
use javy::quickjs::{Ctx, Function, IntoJs, Object, Result, String as JsString, Value};

use crate::{loading, scratch, text, wasi};

/// How many random bytes the host gives at once.
const RANDOM_BYTES_MAX: usize = 65_536;

/// Adds `crypto(operation, …)` to `__native`.
pub fn define<'js>(ctx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    let function = Function::new(ctx.clone(), call)?.with_name("crypto")?;
    native.set("crypto", function)
}

/// Answers bytes, or as a string why there are none.
fn call<'js>(
    ctx: Ctx<'js>,
    operation: JsString<'js>,
    given: Rest<Value<'js>>,
) -> Result<Value<'js>> {
    let given = given.0.iter().map(text::bytes);
    let given: Vec<Cow<'_, [u8]>> = given.collect::<Result<_>>()?;
    let arguments = Arguments {
        given: &given,
        random,
    };
    match ampoule_crypto::call(&text::utf8(&operation), &arguments) {
        Ok(bytes) => text::to_uint8array(&ctx, &bytes),
        Err(failure) => failure.name().into_js(&ctx),
    }
}

/// Randomness for new keys; none while a snapshot is in the making.
fn random(bytes: &mut [u8]) -> bool {
    if loading::is_frozen() {
        return false;
    }
    for chunk in bytes.chunks_mut(RANDOM_BYTES_MAX) {
        let _scratch = scratch::Guard::new();
        let made = wasi::random::random::get_random_bytes(chunk.len() as u64);
        chunk.copy_from_slice(&made);
    }
    true
}
