//! One part of the V8 suite in a native QuickJS, the one that the guest is built from.
//!
//! `cargo xtask peers suite` runs it with the file of the part. For each line of its input, the
//! number of a benchmark and how often it is run, it answers a line when that is done.

use std::error::Error;
use std::io::{BufRead as _, Write as _, stdin, stdout};

use rquickjs::context::EvalOptions;
use rquickjs::{CatchResultExt as _, Context, Ctx, Function, Runtime, Value};

/// More than the guest has, as the parts need no less.
const STACK_BYTES_MAX: usize = 4 << 20;
/// As in the guest.
const GC_BYTES: usize = 16 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    // Without a file this is cargo, which tries whether it can be run.
    let Some(file) = arguments.find(|argument| argument != "--bench") else {
        return Ok(());
    };
    let source = std::fs::read_to_string(file)?;
    for line in stdin().lock().lines() {
        let line = line?;
        let (benchmark, count) = line.split_once(' ').ok_or("two numbers are wanted")?;
        run(&source, benchmark.parse()?, count.parse()?)?;
        writeln!(stdout(), "done")?;
        stdout().flush()?;
    }
    Ok(())
}

/// In a runtime of its own, as every request has one.
fn run(source: &str, benchmark: u32, count: u32) -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::new()?;
    runtime.set_max_stack_size(STACK_BYTES_MAX);
    runtime.set_gc_threshold(GC_BYTES);
    let context = Context::full(&runtime)?;
    context.with(|ctx| {
        let work = |ctx: &Ctx<'_>| {
            let mut options = EvalOptions::default();
            options.strict = false;
            ctx.eval_with_options::<Value<'_>, _>(source, options)?;
            let part: Function<'_> = ctx.globals().get("part")?;
            part.call::<_, ()>((benchmark, count))
        };
        work(&ctx)
            .catch(&ctx)
            .map_err(|error| error.to_string().into())
    })
}
