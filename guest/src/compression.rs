//! The natives behind `node:zlib` and the compression streams: streams by number, moved a piece
//! at a time between the buffers that the JavaScript layer hands in.

use std::cell::RefCell;

use javy::quickjs::{Array, Ctx, Exception, Function, IntoJs, Object, Result, Value, qjs};

use crate::codec::{Codec, Mode, Settings};
use crate::text;

/// Streams that may be open at once in a sandbox; each holds up to some hundred KiB.
const OPEN_MAX: usize = 1024;
/// Parameters that a Brotli stream may be given.
const PARAMETERS_MAX: usize = 16;

thread_local! {
    static OPEN: RefCell<Vec<Option<Codec>>> = const { RefCell::new(Vec::new()) };
}

/// Adds the natives.
pub fn define<'js>(ctx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    let function =
        |name: &str, function: Function<'js>| native.set(name, function.with_name(name)?);
    function("zlibOpen", Function::new(ctx.clone(), zlib_open)?)?;
    function("brotliOpen", Function::new(ctx.clone(), brotli_open)?)?;
    function("zlibStep", Function::new(ctx.clone(), step)?)?;
    function("zlibReset", Function::new(ctx.clone(), reset)?)?;
    function("zlibLevel", Function::new(ctx.clone(), level)?)?;
    function("zlibClose", Function::new(ctx.clone(), close)?)?;
    function("crc32", Function::new(ctx.clone(), crc32)?)
}

fn keep(ctx: &Ctx<'_>, codec: Option<Codec>) -> Result<u32> {
    let Some(codec) = codec else {
        return Err(Exception::throw_range(ctx, "Initialization failed"));
    };
    OPEN.with_borrow_mut(|all| {
        let free = all.iter().position(Option::is_none);
        let index = free.unwrap_or(all.len());
        if index >= OPEN_MAX {
            let message = "too many compression streams are open at once";
            return Err(Exception::throw_range(ctx, message));
        }
        if free.is_none() {
            all.push(None);
        }
        all[index] = Some(codec);
        Ok(index as u32 + 1)
    })
}

/// Calls `work` with an open stream.
fn with<T>(ctx: &Ctx<'_>, id: u32, work: impl FnOnce(&mut Codec) -> T) -> Result<T> {
    OPEN.with_borrow_mut(|all| {
        let index = (id as usize).wrapping_sub(1);
        match all.get_mut(index).and_then(Option::as_mut) {
            Some(codec) => Ok(work(codec)),
            None => Err(Exception::throw_message(ctx, "zlib binding closed")),
        }
    })
}

/// `zlibOpen(mode, level, windowBits, memLevel, strategy, dictionary)`: a stream's number.
fn zlib_open<'js>(
    ctx: Ctx<'js>,
    mode: u32,
    level: i32,
    window_bits: i32,
    mem_level: i32,
    strategy: i32,
    dictionary: Value<'js>,
) -> Result<u32> {
    let dictionary = if dictionary.is_undefined() {
        None
    } else {
        Some(text::bytes(&dictionary)?.into_owned())
    };
    let codec = Mode::from_number(mode).and_then(|mode| {
        Codec::zlib(Settings {
            mode,
            level,
            window_bits,
            mem_level,
            strategy,
            dictionary,
        })
    });
    keep(&ctx, codec)
}

/// `brotliOpen(encode, [number, value, …])`: a stream's number.
fn brotli_open<'js>(ctx: Ctx<'js>, encode: bool, parameters: Array<'js>) -> Result<u32> {
    let mut pairs = Vec::new();
    for at in (0..parameters.len().min(2 * PARAMETERS_MAX)).step_by(2) {
        pairs.push((parameters.get::<u32>(at)?, parameters.get::<u32>(at + 1)?));
    }
    let codec = if encode {
        Codec::brotli_encoder(pairs)
    } else {
        // The only parameter of the decoder that changes what it accepts.
        Some(Codec::brotli_decoder(
            pairs
                .iter()
                .any(|&(number, value)| number == 1 && value != 0),
        ))
    };
    keep(&ctx, codec)
}

/// `zlibStep(id, flush, input, from, to, output)`: `[consumed, produced, ended]`, and
/// after these errno, code and message if the stream is broken.
fn step<'js>(
    ctx: Ctx<'js>,
    id: u32,
    flush: i32,
    input: Value<'js>,
    from: u32,
    to: u32,
    output: Value<'js>,
) -> Result<Value<'js>> {
    let taken = part(&ctx, &input, from, to)?;
    let given = part(&ctx, &output, 0, u32::MAX)?;
    // SAFETY: both point into buffers that live as long as their values and that nobody else
    // touches before this returns, since no JavaScript runs; `copied` sees to their not overlapping.
    let (step, failure) = unsafe {
        let output = std::slice::from_raw_parts_mut(given.0, given.1);
        let copied;
        let input = if overlaps(taken, given) {
            copied = std::slice::from_raw_parts(taken.0, taken.1).to_vec();
            &copied[..]
        } else {
            std::slice::from_raw_parts(taken.0, taken.1)
        };
        with(&ctx, id, |codec| codec.step(flush, input, output))?
    };
    let answer = Array::new(ctx.clone())?;
    answer.set(0, step.consumed as u32)?;
    answer.set(1, step.produced as u32)?;
    answer.set(2, step.ended)?;
    if let Some(failure) = failure {
        answer.set(3, failure.number)?;
        answer.set(4, failure.code)?;
        answer.set(5, failure.message)?;
    }
    Ok(answer.into_value())
}

type Part = (*mut u8, usize);

fn overlaps(a: Part, b: Part) -> bool {
    let (a_start, b_start) = (a.0 as usize, b.0 as usize);
    a_start < b_start + b.1 && b_start < a_start + a.1
}

/// Where the bytes from `from` to `to` of a `Uint8Array` are, and how many there are.
fn part(ctx: &Ctx<'_>, value: &Value<'_>, from: u32, to: u32) -> Result<Part> {
    let mut len: qjs::size_t = 0;
    // SAFETY: asks for the address of the bytes of whatever this value is.
    let pointer = unsafe { qjs::JS_GetUint8Array(ctx.as_raw().as_ptr(), &mut len, value.as_raw()) };
    if pointer.is_null() {
        drop(ctx.catch());
        // An empty array has no address.
        return Ok((std::ptr::NonNull::dangling().as_ptr(), 0));
    }
    let to = (to as usize).min(len as usize);
    let from = (from as usize).min(to);
    // SAFETY: `from` is within the array.
    Ok((unsafe { pointer.add(from) }, to - from))
}

fn reset(ctx: Ctx<'_>, id: u32) -> Result<()> {
    with(&ctx, id, Codec::reset)
}

/// `zlibLevel(id, level)`: whether the level could be changed.
fn level(ctx: Ctx<'_>, id: u32, level: i32) -> Result<bool> {
    with(&ctx, id, |codec| codec.set_level(level))
}

fn close(id: u32) {
    OPEN.with_borrow_mut(|all| {
        if let Some(place) = all.get_mut((id as usize).wrapping_sub(1)) {
            *place = None;
        }
    });
}

fn crc32<'js>(ctx: Ctx<'js>, bytes: Value<'js>, earlier: u32) -> Result<Value<'js>> {
    let sum = crate::codec::crc32(earlier, &text::bytes(&bytes)?);
    f64::from(sum).into_js(&ctx)
}
