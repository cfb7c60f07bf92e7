//! Tidies the heap before a snapshot, so that images are small and requests touch few pages.
//!
//! Loading leaves holes: what was freed lies scattered among what lives, still full of old bytes.
//! The old bytes would be part of every image, and a request that fills the holes would write to
//! pages all over the heap, each of them a copy to be made and wiped. So holes are zeroed; the
//! small ones stay allocated for good, and only large, contiguous ones are given back. What a
//! request allocates then lies side by side.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

/// Holes of at least this size are given back; smaller ones stay plugged. It is also the most that
/// memory grows by, because the last of them is past the end of what was used.
const LARGE: usize = 64 << 10;
/// Sizes of plugs, down to the smallest block that the allocator has.
const SMALL: [usize; 10] = [
    16 << 10,
    4 << 10,
    2 << 10,
    1 << 10,
    512,
    256,
    128,
    64,
    32,
    8,
];
/// Most large holes that are kept track of; a heap of 64 MiB has room for no more.
const LARGE_MAX: usize = 1024;

/// Takes every hole, zeroes it, and gives back the large ones.
pub fn tidy() {
    let mut taken = [std::ptr::null_mut(); LARGE_MAX];
    let mut count = 0;
    // Past this address nothing was ever used: it is no hole.
    let mut frontier = 0;
    while count < LARGE_MAX {
        let before = end();
        let Some(block) = take(LARGE) else {
            break;
        };
        taken[count] = block;
        count += 1;
        frontier = frontier.max(block as usize + LARGE);
        if end() != before {
            break;
        }
    }
    for size in SMALL {
        while let Some(block) = take(size) {
            if block as usize >= frontier {
                // SAFETY: taken just now with the same layout.
                unsafe { System.dealloc(block, layout(size)) }
                break;
            }
        }
    }
    for &block in &taken[..count] {
        // SAFETY: taken above with the same layout.
        unsafe { System.dealloc(block, layout(LARGE)) }
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("sizes are small and 8 is a power of two")
}

/// Allocates a zeroed block.
fn take(size: usize) -> Option<*mut u8> {
    // SAFETY: the size is not zero; the block is written within its bounds.
    unsafe {
        // Hidden from the compiler, which leaves out allocations that nobody uses.
        let block = black_box(System.alloc(layout(size)));
        if block.is_null() {
            return None;
        }
        block.write_bytes(0, size);
        Some(block)
    }
}

/// Where memory ends. The C library is asked, because the compiler takes the size of memory for
/// a constant between two allocations.
fn end() -> usize {
    unsafe extern "C" {
        fn sbrk(increment: isize) -> *mut std::ffi::c_void;
    }
    // SAFETY: an increment of 0 changes nothing.
    unsafe { sbrk(0) as usize }
}
