//! `__native`: what the JavaScript layer may call. `js/src` is its only caller.
//!
//! Every function checks its arguments as if they came from user code, because a hostile
//! function that takes over the layer calls them with what it likes. What reaches the host is
//! bounded there once more.

use std::cell::Cell;
use std::ptr::{NonNull, null_mut};

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use javy::quickjs::function::IntoJsFunc;
use javy::quickjs::{
    Array, Ctx, Error, Exception, Function, IntoJs, Object, Persistent, Result, String as JsString,
    Value, qjs,
};

use crate::host::{bodies, fetch, invocation, kv, logging, operations as host_operations};
use crate::operations::{self, Pending, Settle};
use crate::resolver::{self, Asker};
use crate::{
    binding, cache, compression, content, context, crypto, hot, loading, modules, scratch, text,
    wasi, websocket,
};

thread_local! {
    static CURRENT: Cell<*mut qjs::JSContext> = const { Cell::new(null_mut()) };
}

/// The one JavaScript context, for callbacks that are not handed it.
pub fn current<'js>() -> Option<Ctx<'js>> {
    // SAFETY: the context is made once and lives as long as the guest.
    NonNull::new(CURRENT.get()).map(|ctx| unsafe { Ctx::from_raw(ctx) })
}

/// Whether the JavaScript layer has called `done()`.
pub fn is_done() -> bool {
    hot::state().done.get()
}

/// Builds `__native`.
pub fn object<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    CURRENT.set(ctx.as_raw().as_ptr());
    let native = modules::empty_object(ctx)?;
    answer_functions(ctx, &native)?;
    kv_functions(ctx, &native)?;
    text_functions(ctx, &native)?;
    module_functions(ctx, &native)?;
    crate::filesystem::define(ctx, &native)?;
    compression::define(ctx, &native)?;
    context::define(ctx, &native)?;
    websocket::define_all(ctx, &native)?;
    binding::define_all(ctx, &native)?;
    cache::define_all(ctx, &native)?;
    crypto::define(ctx, &native)?;
    Ok(native)
}

/// Adds one function.
pub(crate) fn define<'js, P, F>(
    ctx: &Ctx<'js>,
    native: &Object<'js>,
    name: &str,
    function: F,
) -> Result<()>
where
    F: IntoJsFunc<'js, P> + 'js,
{
    native.set(name, Function::new(ctx.clone(), function)?.with_name(name)?)
}

fn answer_functions<'js>(ctx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    define(ctx, native, "respond", respond)?;
    define(ctx, native, "beginResponse", begin_response)?;
    define(ctx, native, "bodyWrite", body_write)?;
    define(ctx, native, "bodyRead", body_read)?;
    define(ctx, native, "bodyClose", |body: u32| bodies::close(body))?;
    define(ctx, native, "bodyAbort", |body: u32| bodies::abort(body))?;
    define(ctx, native, "newBody", new_body)?;
    content::define(ctx, native)?;
    define_in_c(ctx, native, ampoule_define_json_text)?;
    define_in_c(ctx, native, ampoule_define_inspect)?;
    define_in_c(ctx, native, ampoule_define_fields)?;
    define_in_c(ctx, native, ampoule_define_listen)?;
    define(ctx, native, "fetch", begin_fetch)?;
    define(ctx, native, "timer", timer)?;
    define(ctx, native, "cancel", |operation: u32| {
        operations::cancel(operation)
    })?;
    define(ctx, native, "log", log)?;
    define(ctx, native, "now", now)?;
    define(ctx, native, "random", random)?;
    define(ctx, native, "randomFloat", random_float)?;
    define(ctx, native, "fail", fail)?;
    define(ctx, native, "promised", invocation::promised)?;
    define(ctx, native, "makeHot", make_hot)?;
    define_in_c(ctx, native, ampoule_define_answer)?;
    define(ctx, native, "touched", |ctx: Ctx<'js>, what: String| {
        loading::refuse_while_frozen(&ctx, &what)
    })
}

/// The JavaScript layer says that the invocation is over.
#[unsafe(no_mangle)]
extern "C" fn ampoule_done() {
    hot::state().done.set(true);
}

/// Sends a whole answer of ASCII; false if one was sent already.
///
/// # Safety
/// Both parts lie in memory; a part without length may be null.
#[unsafe(no_mangle)]
unsafe extern "C" fn ampoule_respond(
    status: u32,
    fields: *const u8,
    fields_len: usize,
    body: *const u8,
    body_len: usize,
) -> bool {
    // SAFETY: by contract.
    let part = |start: *const u8, len| match len {
        0 => &[][..],
        _ => unsafe { std::slice::from_raw_parts(start, len) },
    };
    let Ok(status) = u16::try_from(status) else {
        return false;
    };
    invocation::respond(status, part(fields, fields_len), part(body, body_len))
}

fn respond<'js>(ctx: Ctx<'js>, status: u16, fields: JsString<'js>, body: Value<'js>) -> Result<()> {
    let fields = text::latin1(&fields);
    let sent = if body.is_undefined() || body.is_null() {
        invocation::respond(status, &fields, &[])
    } else {
        invocation::respond(status, &fields, &text::bytes(&body)?)
    };
    if sent {
        Ok(())
    } else {
        Err(Exception::throw_message(
            &ctx,
            "the response was sent already",
        ))
    }
}

fn begin_response<'js>(ctx: Ctx<'js>, status: u16, fields: JsString<'js>) -> Result<u32> {
    match invocation::begin_response(status, &text::latin1(&fields)) {
        0 => Err(Exception::throw_message(
            &ctx,
            "the response was sent already",
        )),
        body => Ok(body),
    }
}

fn body_write<'js>(
    ctx: Ctx<'js>,
    body: u32,
    chunk: Value<'js>,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    let chunk = text::bytes(&chunk)?;
    let pending = Pending::Write(Settle::new(&ctx, resolve, reject));
    // Copied only if it has to wait.
    if operations::has_room(&pending) {
        return Ok(operations::begin(
            bodies::begin_write(body, &chunk),
            pending,
        ));
    }
    let kept = chunk.into_owned();
    let work = move || bodies::begin_write(body, &kept);
    Ok(operations::queue(pending, Box::new(work)))
}

fn body_read<'js>(
    ctx: Ctx<'js>,
    body: u32,
    max: u32,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    let pending = Pending::Read(Settle::new(&ctx, resolve, reject));
    Ok(operations::start(pending, move || {
        bodies::begin_read(body, max)
    }))
}

fn new_body(ctx: Ctx<'_>) -> Result<u32> {
    loading::refuse_while_frozen(&ctx, "fetch()")?;
    Ok(bodies::create())
}

/// Adds natives that are written in C to an object; negative for an exception.
type DefineInC = unsafe extern "C" fn(*mut qjs::JSContext, qjs::JSValue) -> i32;

unsafe extern "C" {
    /// In quickjs/json.c.
    fn ampoule_define_json_text(ctx: *mut qjs::JSContext, natives: qjs::JSValue) -> i32;
    /// In quickjs/inspect.c.
    fn ampoule_define_inspect(ctx: *mut qjs::JSContext, natives: qjs::JSValue) -> i32;
    /// In quickjs/fields.c.
    fn ampoule_define_fields(ctx: *mut qjs::JSContext, natives: qjs::JSValue) -> i32;
    /// In quickjs/answer.c.
    fn ampoule_define_answer(ctx: *mut qjs::JSContext, natives: qjs::JSValue) -> i32;
    /// In quickjs/after.c.
    fn ampoule_define_listen(ctx: *mut qjs::JSContext, natives: qjs::JSValue) -> i32;
}

fn define_in_c<'js>(ctx: &Ctx<'js>, native: &Object<'js>, define: DefineInC) -> Result<()> {
    // SAFETY: the object is of this context and only looked at.
    let defined = unsafe { define(ctx.as_raw().as_ptr(), native.as_raw()) };
    if defined < 0 {
        return Err(Error::Exception);
    }
    Ok(())
}

fn begin_fetch<'js>(
    method: JsString<'js>,
    url: JsString<'js>,
    fields: JsString<'js>,
    body: Value<'js>,
    redirect: JsString<'js>,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    let ctx = url.ctx().clone();
    loading::refuse_while_frozen(&ctx, "fetch()")?;
    let content = if body.is_null() || body.is_undefined() {
        fetch::Content::None
    } else if let Some(id) = body.as_number() {
        fetch::Content::Streamed(id as u32)
    } else {
        fetch::Content::Whole(text::bytes(&body)?.into_owned())
    };
    let request = fetch::Request {
        method: text::utf8(&method),
        url: text::utf8(&url),
        fields: text::latin1(&fields),
        content,
        redirect: match text::utf8(&redirect).as_str() {
            "error" => fetch::Redirect::Error,
            "manual" => fetch::Redirect::Manual,
            _ => fetch::Redirect::Follow,
        },
    };
    let pending = Pending::Fetch(Settle::new(&ctx, resolve, reject));
    Ok(operations::start(pending, move || fetch::begin(&request)))
}

fn timer<'js>(ctx: Ctx<'js>, delay_ms: f64, callback: Function<'js>) -> Result<u32> {
    loading::refuse_while_frozen(&ctx, "a timer")?;
    // Rounded up, so that a timer never fires early; NaN and negative count as 0.
    let delay = delay_ms.max(0.0).min(f64::from(i32::MAX)).ceil() as u32;
    let operation = host_operations::begin_wait(delay);
    Ok(operations::begin(
        operation,
        Pending::Wait(Persistent::save(&ctx, callback)),
    ))
}

fn log(level: u32, message: JsString<'_>) {
    let level = match level {
        0 => logging::Level::Trace,
        1 => logging::Level::Debug,
        2 => logging::Level::Info,
        3 => logging::Level::Warn,
        _ => logging::Level::Error,
    };
    logging::log(level, &text::utf8(&message));
}

fn now(ctx: Ctx<'_>) -> Result<f64> {
    loading::refuse_while_frozen(&ctx, "the clock")?;
    Ok((wasi::clocks::monotonic_clock::now() / 1_000_000) as f64)
}

fn random<'js>(ctx: Ctx<'js>, count: u32) -> Result<Value<'js>> {
    loading::refuse_while_frozen(&ctx, "randomness")?;
    if count > 65_536 {
        return Err(Exception::throw_range(
            &ctx,
            "at most 65536 random bytes at once",
        ));
    }
    let _scratch = scratch::Guard::new();
    text::to_uint8array(
        &ctx,
        &wasi::random::random::get_random_bytes(u64::from(count)),
    )
}

fn random_float(ctx: Ctx<'_>) -> Result<f64> {
    loading::refuse_while_frozen(&ctx, "Math.random()")?;
    let bits = wasi::random::random::get_random_u64() >> 11;
    Ok(bits as f64 / (1_u64 << 53) as f64)
}

unsafe extern "C" {
    /// In quickjs/after.c.
    fn ampoule_make_hot(ctx: *mut qjs::JSContext, object: qjs::JSValue);
}

/// Moves the object's properties to [`crate::hot`].
fn make_hot(object: Object<'_>) {
    // SAFETY: an object of this context, with properties of its own.
    unsafe { ampoule_make_hot(object.ctx().as_raw().as_ptr(), object.as_raw()) }
}

fn fail(name: JsString<'_>, message: JsString<'_>, stack: JsString<'_>) {
    invocation::fail(&invocation::Failure {
        name: text::utf8(&name),
        message: text::utf8(&message),
        stack: crate::engine::user_stack(&text::utf8(&stack)),
    });
}

fn kv_functions<'js>(ctx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    define(ctx, native, "kvGet", kv_get)?;
    define(ctx, native, "kvHas", kv_has)?;
    define(ctx, native, "kvSet", kv_set)?;
    define(ctx, native, "kvDelete", kv_delete)?;
    define(ctx, native, "kvList", kv_list)?;
    define(ctx, native, "kvIncrement", kv_increment)?;
    define(ctx, native, "kvCompareAndSet", kv_compare_and_set)?;
    define(ctx, native, "kvClear", kv_clear)
}

fn kv_begin<'js>(
    ctx: Ctx<'js>,
    command: kv::Command,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    loading::refuse_while_frozen(&ctx, "kv")?;
    let pending = Pending::Kv(Settle::new(&ctx, resolve, reject));
    Ok(operations::start(pending, move || kv::begin(&command)))
}

/// The value, null without one. What `refuse` throws, if there is none to be had: it gets the host's
/// error, or nothing for a value that is not JSON.
fn kv_get<'js>(ctx: Ctx<'js>, key: JsString<'js>, refuse: Function<'js>) -> Result<Value<'js>> {
    loading::refuse_while_frozen(&ctx, "kv")?;
    let _scratch = scratch::Guard::new();
    match kv::get(&text::utf8(&key)) {
        Ok(None) => Ok(Value::new_null(ctx)),
        Ok(Some(text)) => match content::parse_json(&ctx, &text) {
            Err(Error::Exception) => {
                ctx.catch();
                refuse.call(())
            }
            parsed => parsed,
        },
        Err(error) => refuse.call((operations::failure(&ctx, operations::kv_error(&error))?,)),
    }
}

fn kv_has<'js>(
    ctx: Ctx<'js>,
    key: JsString<'js>,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    kv_begin(ctx, kv::Command::Has(text::utf8(&key)), resolve, reject)
}

fn kv_set<'js>(
    ctx: Ctx<'js>,
    key: JsString<'js>,
    value: JsString<'js>,
    ttl_ms: f64,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    let put = kv::Put {
        key: text::utf8(&key),
        value: text::utf8(&value).into_bytes(),
        ttl: ttl_ms.max(0.0).ceil() as u64,
    };
    kv_begin(ctx, kv::Command::Put(put), resolve, reject)
}

fn kv_delete<'js>(
    ctx: Ctx<'js>,
    key: JsString<'js>,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    kv_begin(ctx, kv::Command::Delete(text::utf8(&key)), resolve, reject)
}

fn kv_list<'js>(
    ctx: Ctx<'js>,
    prefix: JsString<'js>,
    after: Value<'js>,
    limit: u32,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    let listing = kv::Listing {
        prefix: text::utf8(&prefix),
        after: after.as_string().map(text::utf8),
        limit,
    };
    kv_begin(ctx, kv::Command::Listing(listing), resolve, reject)
}

fn kv_increment<'js>(
    ctx: Ctx<'js>,
    key: JsString<'js>,
    by: f64,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    let increment = kv::Increment {
        key: text::utf8(&key),
        by,
    };
    kv_begin(ctx, kv::Command::Increment(increment), resolve, reject)
}

fn kv_compare_and_set<'js>(
    ctx: Ctx<'js>,
    key: JsString<'js>,
    expected: Value<'js>,
    value: Value<'js>,
    ttl_ms: f64,
    resolve: Function<'js>,
    reject: Function<'js>,
) -> Result<u32> {
    let bytes = |value: &Value<'js>| value.as_string().map(|s| text::utf8(s).into_bytes());
    let swap = kv::Swap {
        key: text::utf8(&key),
        expected: bytes(&expected),
        value: bytes(&value),
        ttl: ttl_ms.max(0.0).ceil() as u64,
    };
    kv_begin(ctx, kv::Command::Swap(swap), resolve, reject)
}

fn kv_clear<'js>(ctx: Ctx<'js>, resolve: Function<'js>, reject: Function<'js>) -> Result<u32> {
    kv_begin(ctx, kv::Command::Clear, resolve, reject)
}

fn text_functions<'js>(ctx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    define(
        ctx,
        native,
        "utf8Encode",
        |ctx: Ctx<'js>, string: JsString<'js>| {
            text::to_uint8array(&ctx, text::utf8(&string).as_bytes())
        },
    )?;
    define(ctx, native, "utf8Decode", utf8_decode)?;
    define(ctx, native, "base64Encode", |bytes: Value<'js>| {
        Ok::<_, javy::quickjs::Error>(FORGIVING.encode(text::bytes(&bytes)?))
    })?;
    define(ctx, native, "base64Decode", base64_decode)?;
    define(ctx, native, "urlParse", url_parse)?;
    define(ctx, native, "urlSet", url_set)
}

fn utf8_decode<'js>(ctx: Ctx<'js>, bytes: Value<'js>, fatal: bool) -> Result<Value<'js>> {
    let bytes = text::bytes(&bytes)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => text.into_js(&ctx),
        Err(_) if fatal => Ok(Value::new_null(ctx)),
        Err(_) => String::from_utf8_lossy(&bytes).into_js(&ctx),
    }
}

/// Base64 as `btoa` writes it; the bits that are left over are ignored when reading.
const FORGIVING: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The Infra standard's forgiving base64: white space is skipped, and padding is complete or absent.
fn base64_decode<'js>(ctx: Ctx<'js>, string: JsString<'js>) -> Result<Value<'js>> {
    let mut text = text::utf8(&string);
    text.retain(|c| !matches!(c, ' ' | '\t' | '\n' | '\x0c' | '\r'));
    if text.len() % 4 == 0 {
        let unpadded = text.strip_suffix('=').map_or(text.len(), str::len);
        text.truncate(unpadded);
        let unpadded = text.strip_suffix('=').map_or(text.len(), str::len);
        text.truncate(unpadded);
    }
    match FORGIVING.decode(text) {
        Ok(bytes) => text::to_uint8array(&ctx, &bytes),
        Err(_) => Ok(Value::new_null(ctx)),
    }
}

fn url_parse<'js>(ctx: Ctx<'js>, input: JsString<'js>, base: Value<'js>) -> Result<Value<'js>> {
    let base = match base.as_string().map(text::utf8) {
        None => None,
        Some(base) => match url::Url::parse(&base) {
            Ok(base) => Some(base),
            Err(_) => return Ok(Value::new_null(ctx)),
        },
    };
    match url::Url::options()
        .base_url(base.as_ref())
        .parse(&text::utf8(&input))
    {
        Ok(url) => url_parts(&ctx, &url),
        Err(_) => Ok(Value::new_null(ctx)),
    }
}

fn url_set<'js>(
    ctx: Ctx<'js>,
    href: JsString<'js>,
    part: JsString<'js>,
    value: JsString<'js>,
) -> Result<Value<'js>> {
    use url::quirks;
    let Ok(mut url) = url::Url::parse(&text::utf8(&href)) else {
        return Ok(Value::new_null(ctx));
    };
    let value = text::utf8(&value);
    // A part that is not allowed leaves the URL as it is, as the URL standard says.
    match text::utf8(&part).as_str() {
        "href" => match url::Url::parse(&value) {
            Ok(new) => url = new,
            Err(_) => return Ok(Value::new_null(ctx)),
        },
        "protocol" => drop(quirks::set_protocol(&mut url, &value)),
        "username" => drop(quirks::set_username(&mut url, &value)),
        "password" => drop(quirks::set_password(&mut url, &value)),
        "host" => drop(quirks::set_host(&mut url, &value)),
        "hostname" => drop(quirks::set_hostname(&mut url, &value)),
        "port" => drop(quirks::set_port(&mut url, &value)),
        "pathname" => quirks::set_pathname(&mut url, &value),
        "search" => quirks::set_search(&mut url, &value),
        "hash" => quirks::set_hash(&mut url, &value),
        _ => return Ok(Value::new_null(ctx)),
    }
    url_parts(&ctx, &url)
}

fn url_parts<'js>(ctx: &Ctx<'js>, url: &url::Url) -> Result<Value<'js>> {
    use url::quirks;
    let origin = quirks::origin(url);
    let parts = [
        quirks::href(url),
        quirks::protocol(url),
        quirks::username(url),
        quirks::password(url),
        quirks::host(url),
        quirks::hostname(url),
        quirks::port(url),
        quirks::pathname(url),
        quirks::search(url),
        quirks::hash(url),
        origin.as_str(),
    ];
    let array = Array::new(ctx.clone())?;
    for (index, part) in parts.into_iter().enumerate() {
        array.set(index, part)?;
    }
    Ok(array.into_value())
}

fn module_functions<'js>(ctx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    define(ctx, native, "resolve", resolve)?;
    define(ctx, native, "allowBuiltins", |names: Vec<String>| {
        resolver::allow_only(names)
    })?;
    define(ctx, native, "isAllowed", |name: String| {
        resolver::is_allowed(&name)
    })?;
    define(
        ctx,
        native,
        "compileScript",
        |ctx: Ctx<'js>, source: JsString<'js>, path: String| {
            modules::compile_script(&ctx, text::utf8(&source), &path)
        },
    )?;
    define(ctx, native, "readText", |ctx: Ctx<'js>, path: String| {
        modules::read_text(&ctx, &path)
    })?;
    define(
        ctx,
        native,
        "compile",
        |ctx: Ctx<'js>, source: JsString<'js>, path: String| {
            modules::compile(&ctx, &text::utf8(&source), &path)
        },
    )?;
    define(
        ctx,
        native,
        "compileExpression",
        |ctx: Ctx<'js>, source: JsString<'js>, path: String| {
            modules::compile_expression(&ctx, &text::utf8(&source), &path)
        },
    )?;
    define(
        ctx,
        native,
        "importModule",
        |ctx: Ctx<'js>, path: String| modules::import(&ctx, &path),
    )?;
    define(
        ctx,
        native,
        "evaluateModule",
        |ctx: Ctx<'js>, source: String, name: String| modules::evaluate_now(&ctx, source, &name),
    )
}

fn resolve<'js>(
    ctx: Ctx<'js>,
    specifier: JsString<'js>,
    from: String,
    asker: String,
) -> Result<Array<'js>> {
    let asker = match asker.as_str() {
        "import" => Asker::Import,
        _ => Asker::Require,
    };
    modules::resolve(&ctx, &text::utf8(&specifier), &from, asker)
}
