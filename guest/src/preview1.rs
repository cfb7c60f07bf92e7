//! What the C library and Rust's standard library may ask of WASI preview 1, answered here.
//!
//! `link` redirects every `wasi_snapshot_preview1` import of the guest to the function of the same
//! name in this file, and refuses the guest if one is missing. So no adapter stands between guest
//! and host. Only the clock and randomness reach the host; files are read through
//! `wasi:filesystem` in `files.rs`.

use crate::{host, loading, wasi};

const SUCCESS: i32 = 0;
const BADF: i32 = 8;
const INVAL: i32 = 28;
const NOSYS: i32 = 52;
const CLOCK_REALTIME: i32 = 0;

/// Writes a value where the caller of a preview 1 function wants it.
unsafe fn store<T>(address: i32, value: T) {
    // SAFETY: the address comes from the C library, which owns it.
    unsafe { (address as usize as *mut T).write_unaligned(value) }
}

#[unsafe(no_mangle)]
extern "C" fn preview1_clock_time_get(id: i32, _precision: i64, time: i32) -> i32 {
    let nanoseconds = match loading::clock() {
        Some(frozen) => frozen,
        None if id == CLOCK_REALTIME => {
            let now = wasi::clocks::wall_clock::now();
            now.seconds * 1_000_000_000 + u64::from(now.nanoseconds)
        }
        None => wasi::clocks::monotonic_clock::now(),
    };
    unsafe { store(time, nanoseconds) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn preview1_clock_res_get(_id: i32, resolution: i32) -> i32 {
    unsafe { store(resolution, 1_000_000_u64) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn preview1_random_get(buffer: i32, len: i32) -> i32 {
    let buffer = buffer as usize as *mut u8;
    let mut left = len as usize;
    let mut at = 0;
    while left > 0 {
        // Before a snapshot this is a constant; what needs randomness asks `native.random`.
        let word = if loading::is_frozen() {
            0x5DEE_CE66_D1CE_4E5B_u64
        } else {
            wasi::random::random::get_random_u64()
        };
        for byte in word.to_le_bytes().into_iter().take(left) {
            // SAFETY: the C library asked for `len` bytes at `buffer`.
            unsafe { buffer.add(at).write(byte) };
            at += 1;
        }
        left -= left.min(8);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn preview1_fd_write(fd: i32, iovs: i32, count: i32, written: i32) -> i32 {
    if fd != 1 && fd != 2 {
        return BADF;
    }
    let mut text = Vec::new();
    for index in 0..count as usize {
        // SAFETY: the C library passes `count` pairs of address and length.
        let bytes = unsafe {
            let entry = (iovs as usize as *const u32).add(index * 2);
            std::slice::from_raw_parts(*entry as usize as *const u8, *entry.add(1) as usize)
        };
        text.extend_from_slice(bytes);
    }
    unsafe { store(written, text.len() as u32) };
    let level = if fd == 1 {
        host::logging::Level::Info
    } else {
        host::logging::Level::Error
    };
    host::logging::log(level, String::from_utf8_lossy(&text).trim_end());
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn preview1_environ_sizes_get(count: i32, size: i32) -> i32 {
    unsafe {
        store(count, 0_u32);
        store(size, 0_u32);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn preview1_environ_get(_environ: i32, _buffer: i32) -> i32 {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn preview1_args_sizes_get(count: i32, size: i32) -> i32 {
    preview1_environ_sizes_get(count, size)
}

#[unsafe(no_mangle)]
extern "C" fn preview1_args_get(_args: i32, _buffer: i32) -> i32 {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn preview1_fd_close(_fd: i32) -> i32 {
    BADF
}

#[unsafe(no_mangle)]
extern "C" fn preview1_fd_fdstat_get(fd: i32, stat: i32) -> i32 {
    if !(0..=2).contains(&fd) {
        return BADF;
    }
    // A character device that can do nothing but be written to: 24 bytes.
    unsafe { store(stat, [2_u64, 1 << 6, 0]) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn preview1_fd_fdstat_set_flags(_fd: i32, _flags: i32) -> i32 {
    BADF
}

#[unsafe(no_mangle)]
extern "C" fn preview1_fd_prestat_get(_fd: i32, _stat: i32) -> i32 {
    BADF
}

#[unsafe(no_mangle)]
extern "C" fn preview1_fd_prestat_dir_name(_fd: i32, _path: i32, _len: i32) -> i32 {
    BADF
}

#[unsafe(no_mangle)]
extern "C" fn preview1_fd_read(_fd: i32, _iovs: i32, _count: i32, _read: i32) -> i32 {
    BADF
}

#[unsafe(no_mangle)]
extern "C" fn preview1_fd_seek(_fd: i32, _offset: i64, _whence: i32, _at: i32) -> i32 {
    BADF
}

#[unsafe(no_mangle)]
extern "C" fn preview1_poll_oneoff(_in: i32, _out: i32, _count: i32, _events: i32) -> i32 {
    NOSYS
}

#[unsafe(no_mangle)]
extern "C" fn preview1_sched_yield() -> i32 {
    INVAL
}

#[unsafe(no_mangle)]
extern "C" fn preview1_proc_exit(_code: i32) {
    core::arch::wasm32::unreachable()
}
