//! QuickJS as a native program: what a sandbox costs is told by what it costs without one.
//!
//! [`Fresh`] makes runtime and context anew for every call and evaluates the function's source,
//! with the least around it that lets it answer. [`Warm`] keeps one context, with the very
//! JavaScript layer that the guest has, on natives that do as little as they can. Both answer kv
//! and fetch at once, from memory.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use ampoule::clock;
use anyhow::{Context as _, Result, anyhow, ensure};
use rquickjs::context::EvalOptions;
use rquickjs::function::IntoJsFunc;
use rquickjs::{
    Array, CatchResultExt, CaughtError, Context, Ctx, FromJs, Function, Object, Persistent,
    Runtime, String as JsString, TypedArray, Value,
};

use super::bars::micros;
use super::cases::{Case, FETCHED, KV_KEY, KV_VALUE};

/// The guest's JavaScript layer, as it is in the engine.
const LAYER: &str = include_str!("../../guest/artifact/guest.js");
/// How the layer's state of an invocation begins (`guest/js/src/state.js`).
const STATE: &str = "={kind:\"request\",method:void 0,target:void 0,";
/// Where the layer hands out its hooks.
const HOOKS: &str = "hooks.load=";
/// Stack and collector as the guest has them.
const STACK_BYTES_MAX: usize = 768 << 10;
const GC_BYTES: usize = 16 << 20;

/// What stands around a function where nothing else is there: `(body, host) => answer`.
const BEFORE: &str = "(function (body, host) {
let answer;
const res = {
  json(value) { answer = JSON.stringify(value); },
  end() { answer = ''; },
};
const req = { body: body === '' ? {} : JSON.parse(body) };
const kv = { get: async (key) => JSON.parse(host(key)) };
const fetch = async (url) => {
  const text = host(url);
  return { json: async () => JSON.parse(text) };
};
const module = { exports: {} };
";
const AFTER: &str = "module.exports(req, res);
return () => answer;
})";

type JsResult<T> = rquickjs::Result<T>;

/// A function run in a runtime of its own every time.
pub(crate) struct Fresh {
    source: String,
    content: String,
    answer: &'static str,
}

impl Fresh {
    /// Nothing is made before it runs.
    pub(crate) fn new(case: &Case) -> Self {
        Self {
            source: format!("{BEFORE}{}{AFTER}", case.source),
            content: content(case),
            answer: case.answer,
        }
    }

    /// Microseconds of one call, from nothing to nothing.
    pub(crate) fn run(&self) -> Result<f64> {
        let begun = clock::monotonic();
        let answer = self.answer()?;
        let micros = micros(begun);
        ensure!(answer == self.answer, "the answer is {answer}");
        Ok(micros)
    }

    fn answer(&self) -> Result<String> {
        let runtime = Runtime::new()?;
        let context = Context::full(&runtime)?;
        context.with(|ctx| {
            let run = || -> JsResult<String> {
                let function: Function = eval(&ctx, self.source.as_str(), "index.js")?;
                let host = Function::new(ctx.clone(), stored)?;
                let answer: Function = function.call((self.content.as_str(), host))?;
                while ctx.execute_pending_job() {}
                answer.call(())
            };
            run().catch(&ctx).map_err(|error| told(&error))
        })
    }
}

/// What the shim's kv and fetch find.
fn stored(name: String) -> &'static str {
    if name == KV_KEY { KV_VALUE } else { FETCHED }
}

/// A function loaded once into one context.
pub(crate) struct Warm {
    // Before context and runtime, which have to outlive them.
    invoke: Persistent<Function<'static>>,
    reset: Persistent<Function<'static>>,
    context: Context,
    runtime: Runtime,
    host: Rc<Host>,
    case: Case,
}

impl Warm {
    /// Evaluates the layer and loads the function.
    pub(crate) fn new(case: &Case) -> Result<Self> {
        let runtime = Runtime::new()?;
        runtime.set_max_stack_size(STACK_BYTES_MAX);
        let context = Context::full(&runtime)?;
        let host = Rc::new(Host::new(case));
        let layer = with_state_exposed(LAYER)?;
        let (invoke, reset) = context.with(|ctx| {
            let loaded = load(&ctx, &layer, &host).catch(&ctx);
            loaded.map_err(|error| told(&error))
        })?;
        runtime.run_gc();
        let used = usize::try_from(runtime.memory_usage().malloc_size)?;
        runtime.set_gc_threshold(used + GC_BYTES);
        Ok(Self {
            invoke,
            reset,
            context,
            runtime,
            host,
            case: case.clone(),
        })
    }

    /// What the context takes between two calls, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        usize::try_from(self.runtime.memory_usage().malloc_size).unwrap_or_default()
    }

    /// Microseconds of one call. The layer's state is put back before the clock starts.
    pub(crate) fn run(&self) -> Result<f64> {
        self.host.begin();
        let micros = self.context.with(|ctx| {
            let run = || -> JsResult<f64> {
                self.reset.clone().restore(&ctx)?.call::<_, ()>(())?;
                let begun = clock::monotonic();
                let invoke = self.invoke.clone().restore(&ctx)?;
                invoke.call::<_, ()>((
                    self.case.ask.method,
                    "/",
                    self.case.ask.fields,
                    "127.0.0.1",
                    self.case.ask.content.len(),
                    false,
                    !self.case.ask.content.is_empty(),
                ))?;
                while ctx.execute_pending_job() {}
                Ok(micros(begun))
            };
            run().catch(&ctx).map_err(|error| told(&error))
        })?;
        let failure = self.host.failure.take();
        ensure!(failure.is_empty(), "it threw {failure}");
        ensure!(self.host.is_done.get(), "it is not done");
        let answer = self.host.answer.take().context("there was no answer")?;
        ensure!(answer == self.case.answer, "the answer is {answer}");
        Ok(micros)
    }
}

/// The layer with its state among the hooks, so that one context can serve many invocations.
fn with_state_exposed(layer: &str) -> Result<String> {
    let at = layer
        .find(STATE)
        .context("guest.js does not begin its state as expected")?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let name = layer[..at].rsplit(|c| !is_part(c)).next().unwrap_or("");
    ensure!(
        !name.is_empty() && layer.contains(HOOKS),
        "guest.js does not hand out its hooks as expected"
    );
    Ok(layer.replacen(HOOKS, &format!("hooks.state={name};{HOOKS}"), 1))
}

type Kept = Persistent<Function<'static>>;

/// Evaluates the layer and loads the function; the hook `invoke`, and what puts the state back.
fn load<'js>(ctx: &Ctx<'js>, layer: &str, host: &Rc<Host>) -> JsResult<(Kept, Kept)> {
    let native = Object::new(ctx.clone())?;
    let hooks = Object::new(ctx.clone())?;
    native.set("hooks", hooks.clone())?;
    natives(ctx, &native, host)?;
    ctx.globals().set("__native", native)?;
    eval::<Value>(ctx, layer, "guest.js")?;
    let load: Function = hooks.get("load")?;
    let none = Array::new(ctx.clone())?;
    let no_route = Value::new_null(ctx.clone());
    let entry = "/app/index.js";
    load.call::<_, ()>((entry, none.clone(), no_route, false, none, "request"))?;
    while ctx.execute_pending_job() {}
    let keep: Function = eval(
        ctx,
        "(function (state) {
           const initial = { ...state };
           return function () { Object.assign(state, initial); };
         })",
        "reset.js",
    )?;
    let reset: Function = keep.call((hooks.get::<_, Value>("state")?,))?;
    let invoke: Function = hooks.get("invoke")?;
    Ok((Persistent::save(ctx, invoke), Persistent::save(ctx, reset)))
}

/// The host's side of the layer.
struct Host {
    source: String,
    content: String,
    kv: HashMap<&'static str, &'static str>,
    answer: RefCell<Option<String>>,
    failure: RefCell<String>,
    is_done: Cell<bool>,
    is_read: Cell<bool>,
}

impl Host {
    fn new(case: &Case) -> Self {
        Self {
            source: case.source.clone(),
            content: content(case),
            kv: HashMap::from([(KV_KEY, KV_VALUE)]),
            answer: RefCell::default(),
            failure: RefCell::default(),
            is_done: Cell::new(false),
            is_read: Cell::new(false),
        }
    }

    fn begin(&self) {
        self.answer.take();
        self.is_done.set(false);
        self.is_read.set(false);
    }
}

/// What the layer calls in these cases; whatever else it asks for is not there.
fn natives<'js>(ctx: &Ctx<'js>, native: &Object<'js>, host: &Rc<Host>) -> JsResult<()> {
    answer_functions(ctx, native, host)?;
    module_functions(ctx, native, host)?;
    fetch_functions(ctx, native, host)?;
    let of = Rc::clone(host);
    define(
        ctx,
        native,
        "kvGet",
        move |ctx: Ctx<'js>, key: String, _refuse: Value<'js>| match of.kv.get(key.as_str()) {
            Some(value) => ctx.json_parse(*value),
            None => Ok(Value::new_null(ctx)),
        },
    )
}

fn answer_functions<'js>(ctx: &Ctx<'js>, native: &Object<'js>, host: &Rc<Host>) -> JsResult<()> {
    let of = Rc::clone(host);
    define(
        ctx,
        native,
        "respond",
        move |_status: u16, fields: JsString<'js>, body: Value<'js>| {
            fields.to_string()?;
            let body = body.as_string().map(JsString::to_string).transpose()?;
            of.answer.replace(Some(body.unwrap_or_default()));
            JsResult::Ok(())
        },
    )?;
    let of = Rc::clone(host);
    define(ctx, native, "done", move || of.is_done.set(true))?;
    define(ctx, native, "makeHot", |_object: Object<'_>| {})?;
    let of = Rc::clone(host);
    define(
        ctx,
        native,
        "fail",
        move |name: String, message: String, stack: String| {
            of.failure.replace(format!("{name}: {message}\n{stack}"));
        },
    )?;
    define(ctx, native, "bodyIsJson", || true)?;
    let of = Rc::clone(host);
    define(ctx, native, "bodyJson", move |ctx: Ctx<'js>| {
        ctx.json_parse(of.content.as_str())
    })?;
    for name in [
        "fieldName",
        "fieldTable",
        "fieldsText",
        "inspectPlain",
        "isFieldValue",
        "putField",
        "queryTable",
        "respondPlain",
    ] {
        // The layer does itself what it gets no answer to.
        define(ctx, native, name, |_text: Value<'js>| {})?;
    }
    native.set("listen", eval::<Value<'js>>(ctx, LISTEN, "listen")?)?;
    define(ctx, native, "jsonText", |value: Value<'js>| {
        value.ctx().clone().json_stringify(value)
    })
}

/// What the guest does without a promise of the listeners' answers.
const LISTEN: &str = "(promise, fulfilled, rejected) => {
    if (!(promise instanceof Promise)) return false;
    promise.then(fulfilled, rejected);
    return true;
}";

fn module_functions<'js>(ctx: &Ctx<'js>, native: &Object<'js>, host: &Rc<Host>) -> JsResult<()> {
    define(ctx, native, "touched", |_what: Value<'js>| {})?;
    define(ctx, native, "resolve", |_specifier: String| {
        vec!["/app/index.js", "commonjs"]
    })?;
    let of = Rc::clone(host);
    define(ctx, native, "readText", move |_path: String| {
        of.source.clone()
    })?;
    define(
        ctx,
        native,
        "compile",
        |ctx: Ctx<'js>, source: String, path: String| {
            let parameters = "exports, require, module, __filename, __dirname";
            let wrapped = format!("(function ({parameters}) {{\n{source}\n}})");
            eval::<Value<'js>>(&ctx, wrapped.as_str(), &path)
        },
    )
}

fn fetch_functions<'js>(ctx: &Ctx<'js>, native: &Object<'js>, host: &Rc<Host>) -> JsResult<()> {
    define(ctx, native, "urlParse", url_parse)?;
    define(ctx, native, "fetch", fetch)?;
    let of = Rc::clone(host);
    define(
        ctx,
        native,
        "bodyRead",
        move |ctx: Ctx<'js>, _body: u32, _max: u32, resolve: Function<'js>| {
            let rest = if of.is_read.replace(true) {
                ""
            } else {
                FETCHED
            };
            resolve.call::<_, ()>((TypedArray::<u8>::new_copy(ctx, rest)?,))?;
            JsResult::Ok(0)
        },
    )?;
    define(ctx, native, "bodyClose", |_body: u32| {})?;
    define(ctx, native, "utf8Decode", |bytes: TypedArray<'js, u8>| {
        String::from_utf8_lossy(bytes.as_bytes().unwrap_or_default()).into_owned()
    })
}

fn fetch<'js>(
    ctx: Ctx<'js>,
    _method: String,
    url: String,
    _fields: String,
    _content: Value<'js>,
    _redirect: String,
    resolve: Function<'js>,
) -> JsResult<u32> {
    let answer = Object::new(ctx)?;
    answer.set("status", 200)?;
    answer.set("statusText", "OK")?;
    answer.set("fields", "content-type: application/json\r\n")?;
    answer.set("url", url)?;
    answer.set("redirected", false)?;
    answer.set("body", 1)?;
    resolve.call::<_, ()>((answer,))?;
    Ok(0)
}

/// As the guest does it, for absolute URLs.
fn url_parse<'js>(ctx: Ctx<'js>, input: String) -> JsResult<Value<'js>> {
    use url::quirks;
    let Ok(url) = url::Url::parse(&input) else {
        return Ok(Value::new_null(ctx));
    };
    let origin = quirks::origin(&url);
    let parts = [
        quirks::href(&url),
        quirks::protocol(&url),
        quirks::username(&url),
        quirks::password(&url),
        quirks::host(&url),
        quirks::hostname(&url),
        quirks::port(&url),
        quirks::pathname(&url),
        quirks::search(&url),
        quirks::hash(&url),
        origin.as_str(),
    ];
    let array = Array::new(ctx)?;
    for (index, part) in parts.into_iter().enumerate() {
        array.set(index, part)?;
    }
    Ok(array.into_value())
}

fn define<'js, P, F>(ctx: &Ctx<'js>, native: &Object<'js>, name: &str, function: F) -> JsResult<()>
where
    F: IntoJsFunc<'js, P> + 'js,
{
    native.set(name, Function::new(ctx.clone(), function)?)
}

fn eval<'js, V: FromJs<'js>>(ctx: &Ctx<'js>, source: &str, name: &str) -> JsResult<V> {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(source, options)
}

fn told(error: &CaughtError<'_>) -> anyhow::Error {
    anyhow!("{error}")
}

fn content(case: &Case) -> String {
    String::from_utf8_lossy(&case.ask.content).into_owned()
}
