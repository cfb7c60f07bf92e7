//! The exports of the world `function`: what the host calls.

use javy::quickjs::{Ctx, Error, Promise, Value, promise::PromiseState};

use crate::bindings::Guest;
use crate::failure::Failure;
use crate::host::{deployment, invocation};
use crate::modules::Format;
use crate::{
    content, engine, files, heap, loading, modules, natives, operations, rejections, scratch, text,
};

struct Function;

crate::bindings::export!(Function with_types_in crate::bindings);

impl Guest for Function {
    fn compile() {
        scratch::init();
        engine::compile();
    }

    fn prepare() {
        scratch::init();
        engine::prepare();
        engine::with(|ctx, _hooks| {
            engine::run_jobs(ctx);
            engine::settle_heap(ctx);
        });
        save_snapshot();
    }

    fn load() {
        heap::end_hot();
        files::forget();
        let settings = {
            let _scratch = scratch::Guard::new();
            deployment::get_settings().clone()
        };
        let outcome = engine::with(|ctx, hooks| {
            engine::mark_stack(ctx);
            evaluate(ctx, hooks, &settings)
        });
        match (loading::open(), outcome) {
            (Some(touched), _) => {
                deployment::impure(&touched.what, &touched.place, &modules::loaded());
            }
            (None, Err(failure)) => deployment::refused(&refusal(failure)),
            (None, Ok(())) => {
                deployment::loaded();
                engine::with(|ctx, _hooks| engine::settle_heap(ctx));
                files::forget();
                save_snapshot();
            }
        }
    }

    fn start() -> bool {
        files::forget();
        let _scratch = scratch::Guard::new();
        let waiting = engine::with(|ctx, hooks| {
            engine::mark_stack(ctx);
            let request = invocation::get_request();
            let begun = hooks.invoke.clone().restore(ctx).and_then(|invoke| {
                let fields = text::from_latin1(ctx, &request.fields)?;
                invoke.call::<_, ()>((
                    request.method.as_str(),
                    request.target.as_str(),
                    fields,
                    request.peer.as_str(),
                    request.content_length,
                    request.secure,
                    request.content_length > 0 && text::says_json(&request.fields),
                ))
            });
            if let Err(error) = begun {
                engine::report(ctx, error);
            }
            settle(ctx, hooks)
        });
        content::forget();
        waiting
    }

    fn resume(ended: u32) -> bool {
        engine::with(|ctx, hooks| {
            engine::mark_stack(ctx);
            if let Err(error) = operations::end(ctx, ended) {
                engine::report(ctx, error);
            }
            settle(ctx, hooks)
        })
    }
}

/// Runs what can be run now. True if host operations are awaited.
fn settle(ctx: &Ctx<'_>, hooks: &engine::Hooks) -> bool {
    let waiting = advance(ctx, hooks);
    if !waiting {
        rejections::report();
    }
    waiting
}

fn advance(ctx: &Ctx<'_>, hooks: &engine::Hooks) -> bool {
    engine::run_jobs(ctx);
    if natives::is_done() {
        return false;
    }
    if operations::any() {
        return true;
    }
    let idle = hooks.idle.clone().restore(ctx);
    if let Err(error) = idle.and_then(|idle| idle.call::<_, ()>(())) {
        engine::report(ctx, error);
    }
    engine::run_jobs(ctx);
    !natives::is_done() && operations::any()
}

fn evaluate(
    ctx: &Ctx<'_>,
    hooks: &engine::Hooks,
    settings: &deployment::Settings,
) -> Result<(), Failure> {
    let deferred = settings.evaluation == deployment::Evaluation::PerRequest;
    if deferred {
        loading::open();
    } else {
        loading::begin_evaluation();
    }
    let outcome = load(ctx, hooks, settings, deferred);
    outcome.map_err(|error| engine::failure(ctx, error))
}

fn load(
    ctx: &Ctx<'_>,
    hooks: &engine::Hooks,
    settings: &deployment::Settings,
    deferred: bool,
) -> Result<(), Error> {
    let mut scripts = Vec::new();
    for path in &settings.modules {
        match modules::format(ctx, path) {
            Format::Module => modules::precompile(ctx, path)?,
            Format::CommonJs => scripts.push(path.as_str()),
            Format::Json | Format::Addon => {}
        }
    }
    let result: Value = hooks.load.clone().restore(ctx)?.call((
        format!("{}/{}", files::ROOT, settings.entry),
        modules::environment(ctx, &settings.env)?,
        settings.route.as_deref(),
        deferred,
        scripts,
        match settings.kind {
            deployment::Kind::Request => "request",
            deployment::Kind::Event => "event",
            deployment::Kind::Workspace => "workspace",
        },
    ))?;
    engine::run_jobs(ctx);
    let Some(promise) = result.as_promise() else {
        return Ok(());
    };
    settled(ctx, promise)
}

fn settled(ctx: &Ctx<'_>, promise: &Promise<'_>) -> Result<(), Error> {
    match promise.state() {
        PromiseState::Resolved => Ok(()),
        PromiseState::Rejected => match promise.result::<Value>() {
            Some(Err(error)) => Err(error),
            _ => Err(Error::Unknown),
        },
        PromiseState::Pending => Err(javy::quickjs::Exception::throw_message(
            ctx,
            "the module never finished loading: a top-level await waits for nothing",
        )),
    }
}

fn refusal(failure: Failure) -> deployment::Refusal {
    let code = match failure.code.as_str() {
        "MODULE_NOT_FOUND" | "ERR_MODULE_NOT_FOUND" => "module_not_found",
        "HANDLER_MISSING" => "handler_missing",
        // A syntax error that the program itself made, with JSON.parse or eval, has a stack.
        _ if failure.name == "SyntaxError" && failure.file.starts_with(files::ROOT) => {
            "syntax_error"
        }
        _ => "load_threw",
    };
    let (mut file, mut line, mut column) = (failure.file, failure.line, failure.column);
    if code != "syntax_error" {
        (file, line, column) = parse_place(&failure.stack);
    }
    let file = files::relative(&file).unwrap_or(&file).to_owned();
    let message = if code == "load_threw" {
        format!("{}: {}", failure.name, failure.message)
    } else {
        failure.message
    };
    deployment::Refusal {
        code: code.to_owned(),
        message,
        file,
        line,
        column,
        stack: engine::user_stack(&failure.stack),
    }
}

fn parse_place(stack: &str) -> (String, u32, u32) {
    let place = engine::place(stack).unwrap_or_default();
    let mut parts = place.rsplitn(3, ':');
    let column = parts.next().and_then(|text| text.parse().ok());
    let line = parts.next().and_then(|text| text.parse().ok());
    match (parts.next(), line, column) {
        (Some(file), Some(line), Some(column)) => (file.to_owned(), line, column),
        _ => (String::new(), 0, 0),
    }
}

/// Hands over all of memory above the stack.
fn save_snapshot() {
    heap::tidy();
    heap::begin_hot();
    unsafe extern "C" {
        // Defined by the linker: where data begins. The stack lies below (`--stack-first`).
        static __global_base: u8;
    }
    // SAFETY: memory from there to its end belongs to this program; the host copies it during
    // the call.
    unsafe {
        let start = &raw const __global_base;
        let end = core::arch::wasm32::memory_size::<0>() << 16;
        let memory = std::slice::from_raw_parts(start, end - start as usize);
        deployment::save_snapshot(start as usize as u32, memory);
    }
}
