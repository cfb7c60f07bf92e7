//! The JavaScript runtime: made once by `prepare`, kept in every snapshot after that.

use std::cell::OnceCell;
use std::ptr::null_mut;

use javy::quickjs::{Ctx, Error, Function, Object, Persistent, Result, Value, qjs};
use javy::{Config, Runtime};

use crate::failure::Failure;
use crate::host::deployment;
use crate::{host, modules, natives, rejections, scratch, text};

/// JavaScript frames may use this much of the stack (`-z stack-size` in build.sh leaves room).
const STACK_BYTES_MAX: usize = 768 << 10;
/// Garbage is collected when the heap has grown by this much.
const GC_BYTES: usize = 16 << 20;

/// The name of the JavaScript layer in stack traces, from which it is taken out again.
const SOURCE_NAME: &str = "ampoule:guest";
/// The same for C.
const SOURCE_NAME_C: &std::ffi::CStr = c"ampoule:guest";
/// Answers the running stack: first a line with the name of the native function that was called
/// last, if there is one, then the frames.
const TOP_FRAMES: &str = "(function () {
    const { prepareStackTrace } = Error;
    let name = '';
    Error.prepareStackTrace = (_error, sites) => {
        for (const site of sites) {
            if (site.isNative()) { name = site.getFunctionName() || ''; break; }
        }
        return '';
    };
    void new Error().stack;
    Error.prepareStackTrace = prepareStackTrace;
    return name + '\\n' + new Error().stack;
})";
/// How a line of a stack trace begins.
const FRAME: &str = "    at ";

struct Engine {
    runtime: Runtime,
    hooks: Hooks,
    stack: Persistent<Function<'static>>,
}

/// What the JavaScript layer gives us to call.
pub struct Hooks {
    /// `load(entry, env, route, deferred, modules, kind)`
    pub load: Persistent<Function<'static>>,
    /// `invoke(method, target, fields, peer, contentLength, secure)`
    pub invoke: Persistent<Function<'static>>,
    /// `idle()`
    pub idle: Persistent<Function<'static>>,
    /// `requireForImport(path)`
    pub require_for_import: Persistent<Function<'static>>,
    /// `builtin(name)`
    pub builtin: Persistent<Function<'static>>,
}

thread_local! {
    static ENGINE: OnceCell<Engine> = const { OnceCell::new() };
}

/// Builds the runtime and evaluates the JavaScript layer.
pub fn prepare() {
    let layer = read_layer();
    let mut config = Config::default();
    config
        .weak_ref(true)
        .performance(false)
        .max_stack_size(STACK_BYTES_MAX);
    let runtime = Runtime::new(config).expect("QuickJS starts");
    let (hooks, stack) = runtime.context().with(|ctx| {
        evaluate_layer(&ctx, &layer)
            .unwrap_or_else(|error| panic!("guest.js: {}", failure(&ctx, error)))
    });
    ENGINE.with(|engine| {
        let engine_is_new = engine
            .set(Engine {
                runtime,
                hooks,
                stack,
            })
            .is_ok();
        assert!(engine_is_new, "prepare runs once");
    });
}

fn evaluate_layer(ctx: &Ctx<'_>, layer: &[u8]) -> Result<(Hooks, Persistent<Function<'static>>)> {
    modules::install(ctx);
    rejections::install(ctx);
    let native = natives::object(ctx)?;
    let hooks = Object::new(ctx.clone())?;
    native.set("hooks", hooks.clone())?;
    ctx.globals().set("__native", native)?;
    run_layer(ctx, layer)?;
    let hook = |name: &str| -> Result<Persistent<Function<'static>>> {
        Ok(Persistent::save(ctx, hooks.get::<_, Function>(name)?))
    };
    let stack: Function = eval(ctx, TOP_FRAMES, SOURCE_NAME)?;
    let hooks = Hooks {
        load: hook("load")?,
        invoke: hook("invoke")?,
        idle: hook("idle")?,
        require_for_import: hook("requireForImport")?,
        builtin: hook("builtin")?,
    };
    Ok((hooks, Persistent::save(ctx, stack)))
}

/// Runs the JavaScript layer.
fn run_layer(ctx: &Ctx<'_>, bytecode: &[u8]) -> Result<()> {
    let raw = ctx.as_raw().as_ptr();
    // SAFETY: the bytecode is QuickJS's own; every value is freed or handed on once.
    unsafe {
        let how = qjs::JS_READ_OBJ_BYTECODE;
        let function = qjs::JS_ReadObject(raw, bytecode.as_ptr(), bytecode.len() as _, how as _);
        if qjs::JS_IsException(function) {
            return Err(Error::Exception);
        }
        let result = qjs::JS_EvalFunction(raw, function);
        if qjs::JS_IsException(result) {
            return Err(Error::Exception);
        }
        qjs::JS_FreeValue(raw, result);
    }
    Ok(())
}

/// Compiles the JavaScript layer. Without its source: QuickJS keeps that of every function, nested
/// ones included, and all of it would be part of every image.
pub fn compile() {
    let mut source = read_layer();
    let len = source.len();
    source.push(0);
    // SAFETY: source and name end with zero bytes; nothing is freed, the guest ends with this call.
    unsafe {
        let ctx = qjs::JS_NewContext(qjs::JS_NewRuntime());
        let flags = qjs::JS_EVAL_TYPE_GLOBAL | qjs::JS_EVAL_FLAG_COMPILE_ONLY;
        let source = source.as_ptr().cast();
        let compiled = qjs::JS_Eval(ctx, source, len as _, SOURCE_NAME_C.as_ptr(), flags as _);
        assert!(!qjs::JS_IsException(compiled), "the layer is no JavaScript");
        let mut len = 0;
        let how = qjs::JS_WRITE_OBJ_BYTECODE | qjs::JS_WRITE_OBJ_STRIP_SOURCE;
        let bytecode = qjs::JS_WriteObject(ctx, &mut len, compiled, how as _);
        assert!(!bytecode.is_null(), "the layer compiles");
        deployment::save_layer(std::slice::from_raw_parts(bytecode, len as usize));
    }
}

/// The JavaScript layer as the host has it: source or bytecode. Bundled by `js/build.mjs`.
fn read_layer() -> Vec<u8> {
    let mut layer = Vec::new();
    loop {
        let _scratch = scratch::Guard::new();
        let part = deployment::read_layer(layer.len() as u32);
        if part.is_empty() {
            return layer;
        }
        layer.extend_from_slice(&part);
    }
}

fn eval<'js, V: javy::quickjs::FromJs<'js>>(ctx: &Ctx<'js>, source: &str, name: &str) -> Result<V> {
    let mut options = javy::quickjs::context::EvalOptions::default();
    options.strict = false;
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(source, options)
}

/// Runs `work` with the JavaScript context and the hooks.
pub fn with<T>(work: impl FnOnce(&Ctx<'_>, &Hooks) -> T) -> T {
    ENGINE.with(|engine| {
        let engine = engine.get().expect("prepare ran before every other export");
        engine
            .runtime
            .context()
            .with(|ctx| work(&ctx, &engine.hooks))
    })
}

/// The hooks, for callbacks that hold the context already.
pub fn with_hooks<T>(work: impl FnOnce(&Hooks) -> T) -> T {
    ENGINE.with(|engine| work(&engine.get().expect("prepare ran").hooks))
}

/// Lets the stack be measured from where this export begins.
pub fn mark_stack(ctx: &Ctx<'_>) {
    // SAFETY: the runtime belongs to this context.
    unsafe { qjs::JS_UpdateStackTop(qjs::JS_GetRuntime(ctx.as_raw().as_ptr())) }
}

unsafe extern "C" {
    /// In quickjs/after.c.
    fn ampoule_keep_forever(runtime: *mut qjs::JSRuntime);
}

/// Collects garbage, keeps what is left forever, and from now on collects after the heap has
/// grown by [`GC_BYTES`].
pub fn settle_heap(ctx: &Ctx<'_>) {
    // SAFETY: as above; the usage structure is plain data.
    unsafe {
        let runtime = qjs::JS_GetRuntime(ctx.as_raw().as_ptr());
        qjs::JS_RunGC(runtime);
        ampoule_keep_forever(runtime);
        let mut usage: qjs::JSMemoryUsage = std::mem::zeroed();
        qjs::JS_ComputeMemoryUsage(runtime, &mut usage);
        let used = usize::try_from(usage.malloc_size).unwrap_or_default();
        qjs::JS_SetGCThreshold(runtime, (used + GC_BYTES) as _);
    }
}

/// Runs promise jobs until none is left. Exceptions in them are reported, and do not stop it.
pub fn run_jobs(ctx: &Ctx<'_>) {
    loop {
        let mut job_ctx = null_mut();
        // SAFETY: the runtime belongs to this context, which is the only one.
        let ran = unsafe {
            qjs::JS_ExecutePendingJob(qjs::JS_GetRuntime(ctx.as_raw().as_ptr()), &mut job_ctx)
        };
        match ran {
            0 => return,
            1.. => {}
            _ => report(ctx, Error::Exception),
        }
    }
}

/// Reports an exception that nothing caught.
pub fn report(ctx: &Ctx<'_>, error: Error) {
    let failure = failure(ctx, error);
    host::invocation::fail(&host::invocation::Failure {
        name: failure.name,
        message: failure.message,
        stack: user_stack(&failure.stack),
    });
}

/// Everything that can be told about an exception; takes it from the context.
pub fn failure(ctx: &Ctx<'_>, error: Error) -> Failure {
    if !error.is_exception() {
        return Failure {
            name: "Error".into(),
            message: error.to_string(),
            ..Failure::default()
        };
    }
    dissect(ctx, ctx.catch())
}

/// A rejection's reason in one text: name, message and frames.
pub fn describe(reason: &Value<'_>) -> String {
    let failure = dissect(reason.ctx(), reason.clone());
    let text = format!("{}: {}", failure.name, failure.message);
    match user_stack(&failure.stack).as_str() {
        "" => text,
        frames => format!("{text}\n{frames}"),
    }
}

fn dissect<'js>(ctx: &Ctx<'js>, thrown: Value<'js>) -> Failure {
    let Some(object) = thrown.as_object() else {
        return Failure {
            name: "Error".into(),
            message: javy::val_to_string(ctx, thrown).unwrap_or_default(),
            ..Failure::default()
        };
    };
    // Getters of a hostile error may throw; what cannot be read is left empty.
    let string = |name: &str| match object.get::<_, Value>(name) {
        Ok(value) => value.as_string().map(text::utf8).unwrap_or_default(),
        Err(_) => {
            drop(ctx.catch());
            String::new()
        }
    };
    let number = |name: &str| match object.get::<_, Value>(name) {
        Ok(value) => value.as_number().unwrap_or_default() as u32,
        Err(_) => {
            drop(ctx.catch());
            0
        }
    };
    let name = string("name");
    Failure {
        name: if name.is_empty() {
            "Error".into()
        } else {
            name
        },
        message: string("message"),
        stack: string("stack"),
        code: string("code"),
        file: string("fileName"),
        line: number("lineNumber"),
        column: number("columnNumber"),
    }
}

/// The frames of a stack trace, without name and message, and without the JavaScript layer's own.
pub fn user_stack(stack: &str) -> String {
    let frames: Vec<&str> = stack
        .lines()
        .filter(|line| line.starts_with(FRAME) && !line.contains(SOURCE_NAME))
        .collect();
    frames.join("\n")
}

/// Where the running JavaScript is.
#[derive(Default)]
pub struct Running {
    /// The native function that was called last, such as `now`; may be empty.
    pub native: String,
    /// `file:line:column` of the topmost frame in the user's code; may be empty.
    pub place: String,
}

/// Where the running JavaScript is, as far as can be told.
pub fn running() -> Running {
    with_running(|ctx, stack| {
        let text: String = stack.call(()).ok().or_else(|| {
            drop(ctx.catch());
            None
        })?;
        let (native, stack) = text.split_once('\n')?;
        Some(Running {
            native: native.to_owned(),
            place: place(stack).unwrap_or_default(),
        })
    })
    .unwrap_or_default()
}

fn with_running<T>(work: impl FnOnce(&Ctx<'_>, &Function<'_>) -> Option<T>) -> Option<T> {
    ENGINE.with(|engine| {
        let engine = engine.get()?;
        // The context is entered already: this is called from within a native function.
        let ctx = natives::current()?;
        let stack = engine.stack.clone().restore(&ctx).ok()?;
        work(&ctx, &stack)
    })
}

/// The first place in the deployment's files that a stack trace names.
pub fn place(stack: &str) -> Option<String> {
    let frame = stack
        .lines()
        .find(|line| line.contains(crate::files::ROOT))?;
    let start = frame.find(crate::files::ROOT)? + crate::files::ROOT.len() + 1;
    let place = frame.get(start..)?.trim_end_matches(')');
    Some(place.to_owned())
}
