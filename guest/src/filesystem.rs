//! `node:fs` on the deployment's files: what a path leads to, what a folder holds, ranges of bytes.
//!
//! Every function answers a string, the name of an errno (`ENOENT`), instead of throwing: the
//! JavaScript layer makes of it the error that Node would throw. Nothing stays open between two
//! calls, so that a snapshot holds no handle. Paths are absolute and hold no `..`; outside of
//! `/app` nothing exists.

use javy::quickjs::function::IntoJsFunc;
use javy::quickjs::{Array, Ctx, Function, IntoJs, Object, Result, String as JsString, Value};

use crate::files::{self, Descriptor};
use crate::scratch;
use crate::text;
use crate::wasi::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, OpenFlags, PathFlags,
};

/// Most names that one folder is listed with.
const ENTRIES_MAX: usize = 100_000;
/// Most bytes of one call to the host.
const CHUNK: u64 = 1 << 20;
/// Most bytes of one read; what is asked beyond it is left out.
const READ_BYTES_MAX: u64 = 256 << 20;

type Outcome<T> = std::result::Result<T, &'static str>;

/// Adds `fsStat`, `fsList` and `fsRead`.
pub fn define<'js>(ctx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    add(ctx, native, "fsStat", stat)?;
    add(ctx, native, "fsList", list)?;
    add(ctx, native, "fsRead", read)
}

fn add<'js, P, F>(ctx: &Ctx<'js>, native: &Object<'js>, name: &str, function: F) -> Result<()>
where
    F: IntoJsFunc<'js, P> + 'js,
{
    native.set(name, Function::new(ctx.clone(), function)?.with_name(name)?)
}

/// `[kind, size, accessed ms, modified ms, changed ms]`; the kinds are Node's `UV_DIRENT_…`.
fn stat<'js>(ctx: Ctx<'js>, path: JsString<'js>) -> Result<Value<'js>> {
    let found = at(&text::utf8(&path), |root, path| {
        root.stat_at(PathFlags::empty(), path).map_err(errno)
    });
    match found {
        Err(code) => code.into_js(&ctx),
        Ok(found) => facts(&ctx, &found),
    }
}

fn facts<'js>(ctx: &Ctx<'js>, stat: &DescriptorStat) -> Result<Value<'js>> {
    let answer = Array::new(ctx.clone())?;
    answer.set(0, kind(stat.type_))?;
    answer.set(1, stat.size as f64)?;
    let times = [
        &stat.data_access_timestamp,
        &stat.data_modification_timestamp,
        &stat.status_change_timestamp,
    ];
    for (index, time) in times.into_iter().enumerate() {
        let ms = time.as_ref().map_or(0.0, |time| {
            time.seconds as f64 * 1000.0 + (time.nanoseconds / 1_000_000) as f64
        });
        answer.set(2 + index, ms)?;
    }
    Ok(answer.into_value())
}

fn kind(kind: DescriptorType) -> u32 {
    match kind {
        DescriptorType::RegularFile => 1,
        DescriptorType::Directory => 2,
        DescriptorType::SymbolicLink => 3,
        DescriptorType::Fifo => 4,
        DescriptorType::Socket => 5,
        DescriptorType::CharacterDevice => 6,
        DescriptorType::BlockDevice => 7,
        DescriptorType::Unknown => 0,
    }
}

/// `[name, kind, name, kind, …]`, in no order.
fn list<'js>(ctx: Ctx<'js>, path: JsString<'js>) -> Result<Value<'js>> {
    match entries(&text::utf8(&path)) {
        Err(code) => code.into_js(&ctx),
        Ok(entries) => {
            let answer = Array::new(ctx)?;
            for (index, (name, kind)) in entries.into_iter().enumerate() {
                answer.set(2 * index, name)?;
                answer.set(2 * index + 1, kind)?;
            }
            Ok(answer.into_value())
        }
    }
}

fn entries(path: &str) -> Outcome<Vec<(String, u32)>> {
    at(path, |root, path| {
        let (flags, read) = (OpenFlags::DIRECTORY, DescriptorFlags::READ);
        let folder = root
            .open_at(PathFlags::empty(), path, flags, read)
            .map_err(errno)?;
        let stream = folder.read_directory().map_err(errno)?;
        let mut found = Vec::new();
        while found.len() < ENTRIES_MAX {
            let _scratch = scratch::Guard::new();
            match stream.read_directory_entry().map_err(errno)? {
                // A copy, because the name itself lies in the scratch buffer.
                Some(entry) => found.push((entry.name.as_str().to_owned(), kind(entry.type_))),
                None => break,
            }
        }
        Ok(found)
    })
}

/// A `Uint8Array` of at most `length` bytes from `offset`; shorter at the end of the file.
fn read<'js>(ctx: Ctx<'js>, path: JsString<'js>, offset: f64, length: f64) -> Result<Value<'js>> {
    // NaN and negative numbers become 0.
    match range(&text::utf8(&path), offset as u64, length as u64) {
        Err(code) => code.into_js(&ctx),
        Ok(bytes) => text::to_uint8array(&ctx, &bytes),
    }
}

fn range(path: &str, offset: u64, length: u64) -> Outcome<Vec<u8>> {
    let length = length.min(READ_BYTES_MAX);
    at(path, |root, path| {
        let (flags, read) = (OpenFlags::empty(), DescriptorFlags::READ);
        let file = root
            .open_at(PathFlags::empty(), path, flags, read)
            .map_err(errno)?;
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            let _scratch = scratch::Guard::new();
            let at = bytes.len() as u64;
            let (chunk, end) = file
                .read((length - at).min(CHUNK), offset.saturating_add(at))
                .map_err(errno)?;
            bytes.extend_from_slice(&chunk);
            if end || chunk.is_empty() {
                break;
            }
        }
        Ok(bytes)
    })
}

/// Works on the path as WASI wants it.
fn at<T>(path: &str, work: impl FnOnce(&Descriptor, &str) -> Outcome<T>) -> Outcome<T> {
    let relative = files::relative(path).ok_or("ENOENT")?;
    files::with_root(|root| Some(work(root, relative))).unwrap_or(Err("ENOENT"))
}

fn errno(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Access => "EACCES",
        ErrorCode::IsDirectory => "EISDIR",
        ErrorCode::NotDirectory => "ENOTDIR",
        ErrorCode::NameTooLong => "ENAMETOOLONG",
        ErrorCode::Loop => "ELOOP",
        ErrorCode::Invalid | ErrorCode::IllegalByteSequence => "EINVAL",
        ErrorCode::InsufficientMemory => "ENOMEM",
        ErrorCode::ReadOnly => "EROFS",
        // A path that leads out of the folder is not there, as far as anyone in here can tell.
        ErrorCode::NoEntry | ErrorCode::NotPermitted => "ENOENT",
        _ => "EIO",
    }
}
