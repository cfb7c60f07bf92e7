//! Finding and loading the user's modules; the CommonJS half lives in `js/src/modules.js`.
//!
//! ES modules are QuickJS's own: [`install`] gives it a resolver and a loader. CommonJS modules,
//! JSON files and builtins that an ES module imports become synthetic modules whose values come
//! from the JavaScript layer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{NonNull, null_mut};

use javy::quickjs::promise::PromiseState;
use javy::quickjs::{
    Array, Ctx, Error, Exception, Function, Object, Persistent, Result, Value, qjs,
};

use crate::resolver::{self, Asker, Found};
use crate::{engine, files, rejections, text};

/// How a file is to be understood.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `require`, `module.exports`
    CommonJs,
    /// `import`, `export`
    Module,
    /// Data.
    Json,
    /// A compiled addon, which cannot be loaded.
    Addon,
}

impl Format {
    fn as_str(self) -> &'static str {
        match self {
            Self::CommonJs => "commonjs",
            Self::Module => "module",
            Self::Json => "json",
            Self::Addon => "addon",
        }
    }
}

#[derive(Default)]
struct State {
    /// What a `.js` file without a `"type"` turned out to be.
    formats: BTreeMap<String, Format>,
    /// Files loaded so far, in order.
    loaded: Vec<String>,
    /// Values of synthetic modules, by module name.
    synthetic: BTreeMap<String, Persistent<Value<'static>>>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Gives QuickJS its resolver and loader of ES modules.
pub fn install(ctx: &Ctx<'_>) {
    // SAFETY: both callbacks live as long as the program.
    unsafe {
        let runtime = qjs::JS_GetRuntime(ctx.as_raw().as_ptr());
        qjs::JS_SetModuleLoaderFunc(runtime, Some(normalize), Some(load), null_mut());
    }
}

/// Files loaded so far, in order: CommonJS, JSON and ES modules.
pub fn loaded() -> Vec<String> {
    STATE.with_borrow(|state| state.loaded.clone())
}

fn note_loaded(path: &str) {
    STATE.with_borrow_mut(|state| {
        if !state.loaded.iter().any(|loaded| loaded == path) {
            state.loaded.push(path.to_owned());
        }
    });
}

/// How the file at `path` is to be understood.
pub fn format(ctx: &Ctx<'_>, path: &str) -> Format {
    let extension = path
        .rsplit('/')
        .next()
        .and_then(|name| name.rsplit_once('.'));
    match extension.map(|(_, extension)| extension) {
        Some("mjs" | "mts") => Format::Module,
        Some("json") => Format::Json,
        Some("node") => Format::Addon,
        Some("js") => match resolver::package_type(resolver::parent(path)) {
            Some(true) => Format::Module,
            Some(false) => Format::CommonJs,
            None => detected(ctx, path),
        },
        // What imports and exports is an ES module, as compilers of TypeScript take it, unless it
        // is one in any case.
        Some("ts" | "tsx" | "jsx") => match resolver::package_type(resolver::parent(path)) {
            Some(true) => Format::Module,
            Some(false) | None => detected(ctx, path),
        },
        Some("cts") => detected(ctx, path),
        _ => Format::CommonJs,
    }
}

/// A `.js` file whose package says nothing: CommonJS if it compiles as such.
fn detected(ctx: &Ctx<'_>, path: &str) -> Format {
    if let Some(format) = STATE.with_borrow(|state| state.formats.get(path).copied()) {
        return format;
    }
    let source = files::read_text(path).unwrap_or_default();
    let mentions_modules = source.contains("import") || source.contains("export");
    let format = if !mentions_modules && !source.contains("await") {
        Format::CommonJs
    } else if compile_wrapper(ctx, &source, path, qjs::JS_EVAL_FLAG_COMPILE_ONLY).is_ok() {
        Format::CommonJs
    } else {
        drop(ctx.catch());
        if declares_module(&source) || compiles_as_module(&source) {
            Format::Module
        } else {
            Format::CommonJs
        }
    };
    STATE.with_borrow_mut(|state| state.formats.insert(path.to_owned(), format));
    format
}

/// Whether a line begins as only a module's can; used for sources that do not compile at all, so
/// that the error shown is the one the author made.
fn declares_module(source: &str) -> bool {
    source.lines().map(str::trim_start).any(|line| {
        [
            "import ", "import{", "import\"", "import'", "export ", "export{",
        ]
        .iter()
        .any(|start| line.starts_with(start))
    })
}

fn compiles_as_module(source: &str) -> bool {
    let Ok(text) = CString::new(source) else {
        return false;
    };
    // SAFETY: the text ends with a zero byte, as QuickJS wants it.
    unsafe { qjs::JS_DetectModule(text.as_ptr(), source.len() as _) }
}

/// The function `(exports, require, module, __filename, __dirname)` around a CommonJS module.
pub fn compile<'js>(ctx: &Ctx<'js>, source: &str, path: &str) -> Result<Value<'js>> {
    note_loaded(path);
    compile_wrapper(ctx, source, path, 0).map_err(|error| blame_source(ctx, error, source, path))
}

/// The same around a source that is one expression, whose value the function answers; undefined if
/// the source is something else.
pub fn compile_expression<'js>(ctx: &Ctx<'js>, source: &str, path: &str) -> Result<Value<'js>> {
    note_loaded(path);
    // As in `compile_wrapper`. What follows on a line of its own may follow a comment.
    let wrapped = format!(
        "(function (exports, require, module, __filename, __dirname) {{return (\n\n\n{source}\n)}})"
    );
    match eval(ctx, wrapped, path, qjs::JS_EVAL_TYPE_GLOBAL, -2) {
        Err(error) if error.is_exception() => {
            drop(ctx.catch());
            Ok(Value::new_undefined(ctx.clone()))
        }
        compiled => compiled,
    }
}

/// `native.compileScript`: evaluates a script whose fourth line is the first of the file `path`.
pub fn compile_script<'js>(ctx: &Ctx<'js>, source: String, path: &str) -> Result<Value<'js>> {
    eval(ctx, source, path, qjs::JS_EVAL_TYPE_GLOBAL, -2)
}

/// A stray `}` closes the wrapper, and the error then lies past the end of the file. Compiled
/// without the wrapper, the source has it where its author sees it.
fn blame_source(ctx: &Ctx<'_>, error: Error, source: &str, path: &str) -> Error {
    if !error.is_exception() {
        return error;
    }
    let thrown = ctx.catch();
    let line: f64 = thrown
        .as_object()
        .and_then(|object| object.get("lineNumber").ok())
        .unwrap_or_default();
    if line > source.lines().count() as f64 {
        let flags = qjs::JS_EVAL_TYPE_GLOBAL | qjs::JS_EVAL_FLAG_COMPILE_ONLY;
        if let Err(error) = eval(ctx, source.to_owned(), path, flags, 1) {
            return error;
        }
    }
    ctx.throw(thrown)
}

fn compile_wrapper<'js>(
    ctx: &Ctx<'js>,
    source: &str,
    path: &str,
    flags: u32,
) -> Result<Value<'js>> {
    // `#!` is a comment, but not inside of a function.
    let (hash_bang, source) = match source.strip_prefix("#!") {
        Some(rest) => ("//", rest),
        None => ("", source),
    };
    // The wrapper stands above line 1, so that lines and columns are those of the file. QuickJS
    // takes a first line of 0 for "not given", so it begins at -2.
    let wrapped = format!(
        "(function (exports, require, module, __filename, __dirname) {{\n\n\n{hash_bang}{source}\n}})"
    );
    eval(ctx, wrapped, path, qjs::JS_EVAL_TYPE_GLOBAL | flags, -2)
}

fn eval<'js>(
    ctx: &Ctx<'js>,
    source: String,
    name: &str,
    flags: u32,
    first_line: c_int,
) -> Result<Value<'js>> {
    let name = c_string(ctx, name)?;
    let len = source.len();
    let mut source = source.into_bytes();
    source.push(0);
    let mut options = qjs::JSEvalOptions {
        version: qjs::JS_EVAL_OPTIONS_VERSION as c_int,
        eval_flags: flags as c_int,
        filename: name.as_ptr(),
        line_num: first_line,
    };
    // SAFETY: source and name end with zero bytes and outlive the call.
    unsafe {
        let value = qjs::JS_Eval2(
            ctx.as_raw().as_ptr(),
            source.as_ptr().cast(),
            len as _,
            &mut options,
        );
        if qjs::JS_IsException(value) {
            return Err(Error::Exception);
        }
        Ok(Value::from_raw(ctx.clone(), value))
    }
}

fn c_string(ctx: &Ctx<'_>, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Exception::throw_type(ctx, "a path must not contain NUL"))
}

/// `native.resolve`: the path or name, and its format.
pub fn resolve<'js>(
    ctx: &Ctx<'js>,
    specifier: &str,
    from: &str,
    asker: Asker,
) -> Result<Array<'js>> {
    let answer = Array::new(ctx.clone())?;
    match resolver::resolve(specifier, from, asker) {
        Some(Found::Builtin(name)) => {
            answer.set(0, name)?;
            answer.set(1, "builtin")?;
        }
        Some(Found::File(path)) => {
            let format = format(ctx, &path);
            answer.set(0, path)?;
            answer.set(1, format.as_str())?;
        }
        None => return Err(not_found(ctx, specifier, from, asker)),
    }
    Ok(answer)
}

fn not_found(ctx: &Ctx<'_>, specifier: &str, from: &str, asker: Asker) -> Error {
    let (code, message) = match asker {
        _ if specifier.starts_with("node:") => (
            "ERR_UNKNOWN_BUILTIN_MODULE",
            format!("No such built-in module: {specifier}"),
        ),
        Asker::Require => (
            "MODULE_NOT_FOUND",
            format!("Cannot find module '{specifier}'\nRequire stack:\n- {from}"),
        ),
        Asker::Import => (
            "ERR_MODULE_NOT_FOUND",
            format!("Cannot find module '{specifier}' imported from {from}"),
        ),
    };
    throw_with_code(ctx, code, &message)
}

/// Throws an `Error` that has a `code`, as Node's have.
pub fn throw_with_code(ctx: &Ctx<'_>, code: &str, message: &str) -> Error {
    let thrown = Exception::from_message(ctx.clone(), message).and_then(|error| {
        error.as_object().set("code", code)?;
        Ok(error)
    });
    match thrown {
        Ok(error) => error.throw(),
        Err(error) => error,
    }
}

/// `native.importModule`: a promise of the module's namespace.
pub fn import<'js>(ctx: &Ctx<'js>, path: &str) -> Result<Value<'js>> {
    let path = c_string(ctx, path)?;
    // SAFETY: the path ends with a zero byte and outlives the call.
    unsafe {
        let promise = qjs::JS_LoadModule(ctx.as_raw().as_ptr(), c"".as_ptr(), path.as_ptr());
        if qjs::JS_IsException(promise) {
            return Err(Error::Exception);
        }
        Ok(Value::from_raw(ctx.clone(), promise))
    }
}

/// `native.evaluateModule`: evaluates an ES module from its source at once; its namespace.
pub fn evaluate_now<'js>(ctx: &Ctx<'js>, source: String, name: &str) -> Result<Value<'js>> {
    let flags = qjs::JS_EVAL_TYPE_MODULE | qjs::JS_EVAL_FLAG_COMPILE_ONLY;
    let module = eval(ctx, source, name, flags, 1)?;
    let raw = ctx.as_raw().as_ptr();
    // SAFETY: compiling a module answers a module, which the context keeps alive by itself, so its
    // definition outlives the reference that evaluating it takes over.
    let (definition, promise) = unsafe {
        let definition = qjs::JS_VALUE_GET_PTR(module.as_raw()).cast::<qjs::JSModuleDef>();
        if qjs::JS_ResolveModule(raw, module.as_raw()) < 0 {
            return Err(Error::Exception);
        }
        let promise = qjs::JS_EvalFunction(raw, qjs::JS_DupValue(raw, module.as_raw()));
        if qjs::JS_IsException(promise) {
            return Err(Error::Exception);
        }
        (definition, Value::from_raw(ctx.clone(), promise))
    };
    if let Some(promise) = promise.as_promise() {
        match promise.state() {
            PromiseState::Resolved => {}
            PromiseState::Rejected => {
                rejections::forget(&promise);
                return promise.result::<Value>().unwrap_or(Err(Error::Unknown));
            }
            PromiseState::Pending => {
                return Err(throw_with_code(
                    ctx,
                    "ERR_REQUIRE_ASYNC_MODULE",
                    "require() cannot be used on an ESM graph with top-level await. \
                     Use import() instead.",
                ));
            }
        }
    }
    // SAFETY: evaluated just now.
    Ok(unsafe { Value::from_raw(ctx.clone(), qjs::JS_GetModuleNamespace(raw, definition)) })
}

/// Compiles an ES module without linking it, so that a later import finds it compiled.
pub fn precompile(ctx: &Ctx<'_>, path: &str) -> Result<()> {
    declare(ctx, path).map(drop)
}

fn declare(ctx: &Ctx<'_>, path: &str) -> Result<NonNull<qjs::JSModuleDef>> {
    let Some(source) = files::read_text(path) else {
        return Err(not_found(ctx, path, path, Asker::Import));
    };
    note_loaded(path);
    let flags = qjs::JS_EVAL_TYPE_MODULE | qjs::JS_EVAL_FLAG_COMPILE_ONLY;
    let module = eval(ctx, source, path, flags, 1)?;
    // SAFETY: compiling a module answers a module, which the context keeps alive by itself.
    let module = unsafe { NonNull::new_unchecked(qjs::JS_VALUE_GET_PTR(module.as_raw()).cast()) };
    set_meta(ctx, module, path)?;
    Ok(module)
}

fn set_meta(ctx: &Ctx<'_>, module: NonNull<qjs::JSModuleDef>, path: &str) -> Result<()> {
    // SAFETY: `import.meta` is an object of this context.
    let meta = unsafe {
        let meta = qjs::JS_GetImportMeta(ctx.as_raw().as_ptr(), module.as_ptr());
        Value::from_raw(ctx.clone(), meta)
    };
    if let Some(meta) = meta.as_object() {
        meta.set("url", format!("file://{path}"))?;
        meta.set("filename", path)?;
        meta.set("dirname", resolver::parent(path))?;
    }
    Ok(())
}

unsafe fn entered<'js>(ctx: *mut qjs::JSContext) -> Ctx<'js> {
    // SAFETY: QuickJS calls back with the context that is running.
    unsafe { Ctx::from_raw(NonNull::new_unchecked(ctx)) }
}

unsafe fn string<'a>(text: *const c_char) -> std::borrow::Cow<'a, str> {
    // SAFETY: QuickJS passes strings that end with a zero byte.
    unsafe { CStr::from_ptr(text) }.to_string_lossy()
}

/// What stands before the name of a builtin among module names.
const BUILTIN: &str = "node:";

unsafe extern "C" fn normalize(
    ctx: *mut qjs::JSContext,
    base: *const c_char,
    name: *const c_char,
    _opaque: *mut c_void,
) -> *mut c_char {
    let ctx = unsafe { entered(ctx) };
    let (base, name) = unsafe { (string(base), string(name)) };
    let full = match resolver::resolve(&name, &base, Asker::Import) {
        Some(Found::File(path)) => path,
        Some(Found::Builtin(name)) => format!("{BUILTIN}{name}"),
        None => {
            let _pending = not_found(&ctx, &name, &base, Asker::Import);
            return null_mut();
        }
    };
    // SAFETY: QuickJS frees what it gets with its own allocator.
    unsafe {
        let raw = ctx.as_raw().as_ptr();
        let copy = qjs::js_malloc(raw, (full.len() + 1) as _).cast::<u8>();
        if !copy.is_null() {
            copy.copy_from_nonoverlapping(full.as_ptr(), full.len());
            copy.add(full.len()).write(0);
        }
        copy.cast()
    }
}

unsafe extern "C" fn load(
    ctx: *mut qjs::JSContext,
    name: *const c_char,
    _opaque: *mut c_void,
) -> *mut qjs::JSModuleDef {
    let ctx = unsafe { entered(ctx) };
    let name = unsafe { string(name) }.into_owned();
    let module = if let Some(builtin) = name.strip_prefix(BUILTIN) {
        synthesize(&ctx, &name, |hooks| &hooks.builtin, builtin)
    } else if format(&ctx, &name) == Format::Module {
        declare(&ctx, &name)
    } else {
        synthesize(&ctx, &name, |hooks| &hooks.require_for_import, &name)
    };
    module.map_or(null_mut(), NonNull::as_ptr)
}

/// A module whose exports are those of a value that the JavaScript layer has.
fn synthesize(
    ctx: &Ctx<'_>,
    name: &str,
    hook: impl FnOnce(&engine::Hooks) -> &Persistent<Function<'static>>,
    argument: &str,
) -> Result<NonNull<qjs::JSModuleDef>> {
    let hook = engine::with_hooks(|hooks| hook(hooks).clone()).restore(ctx)?;
    let value: Value = hook.call((argument,))?;
    let c_name = c_string(ctx, name)?;
    // SAFETY: the name ends with a zero byte; the module lives as long as the context.
    let module = unsafe {
        let module = qjs::JS_NewCModule(ctx.as_raw().as_ptr(), c_name.as_ptr(), Some(fill));
        NonNull::new(module).ok_or(Error::Exception)?
    };
    for key in export_names(&value) {
        let key = c_string(ctx, &key)?;
        // SAFETY: as above.
        unsafe { qjs::JS_AddModuleExport(ctx.as_raw().as_ptr(), module.as_ptr(), key.as_ptr()) };
    }
    let value = Persistent::save(ctx, value);
    STATE.with_borrow_mut(|state| state.synthetic.insert(name.to_owned(), value));
    Ok(module)
}

/// `default`, and the names of an object's or function's own properties.
fn export_names(value: &Value<'_>) -> Vec<String> {
    let mut names = vec!["default".to_owned()];
    if let Some(object) = value.as_object() {
        let own = object.keys::<String>().flatten();
        names.extend(own.filter(|name| name != "default"));
    }
    names
}

unsafe extern "C" fn fill(ctx: *mut qjs::JSContext, module: *mut qjs::JSModuleDef) -> c_int {
    let ctx = unsafe { entered(ctx) };
    match fill_exports(&ctx, module) {
        Ok(()) => 0,
        Err(_) => -1,
    }
}

fn fill_exports(ctx: &Ctx<'_>, module: *mut qjs::JSModuleDef) -> Result<()> {
    let raw = ctx.as_raw().as_ptr();
    // SAFETY: the module is the one being linked; atoms and strings are given back.
    let name = unsafe {
        let atom = qjs::JS_GetModuleName(raw, module);
        let value = Value::from_raw(ctx.clone(), qjs::JS_AtomToString(raw, atom));
        qjs::JS_FreeAtom(raw, atom);
        value.as_string().map(text::utf8).unwrap_or_default()
    };
    let saved = STATE.with_borrow(|state| state.synthetic.get(&name).cloned());
    let Some(value) = saved else {
        return Err(Exception::throw_message(ctx, "a module lost its values"));
    };
    let value = value.restore(ctx)?;
    for key in export_names(&value) {
        let export = match value.as_object() {
            Some(object) if key != "default" => object.get::<_, Value>(key.as_str())?,
            _ => default_export(&value),
        };
        let key = c_string(ctx, &key)?;
        // SAFETY: QuickJS takes over one reference to the value, so it gets one of its own.
        unsafe {
            let export = qjs::JS_DupValue(raw, export.as_raw());
            qjs::JS_SetModuleExport(raw, module, key.as_ptr(), export);
        }
    }
    Ok(())
}

/// As in Node: the whole of `module.exports`, whatever it says about itself.
fn default_export<'js>(value: &Value<'js>) -> Value<'js> {
    value.clone()
}

/// Reads a file for the JavaScript layer.
pub fn read_text(ctx: &Ctx<'_>, path: &str) -> Result<String> {
    note_loaded(path);
    files::read_text(path)
        .ok_or_else(|| throw_with_code(ctx, "ENOENT", &format!("cannot read {path}")))
}

/// Values as the loader hook wants them.
pub fn environment<'js>(ctx: &Ctx<'js>, pairs: &[(String, String)]) -> Result<Array<'js>> {
    let all = Array::new(ctx.clone())?;
    for (index, (name, value)) in pairs.iter().enumerate() {
        let pair = Array::new(ctx.clone())?;
        pair.set(0, name.as_str())?;
        pair.set(1, value.as_str())?;
        all.set(index, pair)?;
    }
    Ok(all)
}

/// An object for `native`, filled by `natives.rs`.
pub fn empty_object<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    Object::new(ctx.clone())
}
