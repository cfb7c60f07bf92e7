//! The heap of QuickJS and of Rust, made for sandboxes that live for microseconds and start from a
//! snapshot.
//!
//! Small blocks come one after the other from a chunk, and freed ones are kept in a list for each
//! size: a dozen instructions either way, and no page is written to but that of the block. What is
//! larger is left to the C library. Memory of small blocks is used again for blocks of the same
//! size only, which a request does not live long enough to suffer from.
//!
//! Before a snapshot [`tidy`] drops what loading left behind. The old bytes would be part of every
//! image, and a request that fills the holes would write to pages all over the heap, each of them
//! a copy to be made and wiped. So holes are zeroed; the small ones are never used again, and only
//! large, contiguous ones are given back. What a request allocates then lies side by side: the first
//! of it in what is left of [`crate::hot`].

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;
use std::hint::black_box;
use std::ptr::{addr_of_mut, null_mut};

use crate::hot::AMPOULE_HOT;

/// Largest small block, with its header.
const SMALL_MAX: usize = 1024;
/// Sizes of small blocks are multiples of this, and all blocks are aligned to it.
const UNIT: usize = 8;
/// How blocks are aligned.
pub const ALIGN: usize = UNIT;
/// Before each block lies its size with this header; 1 marks one that the C library made.
const HEADER: usize = 4;
const IS_LARGE: u32 = 1;
/// What small blocks are cut from.
const CHUNK_BYTES: usize = 64 << 10;

/// Where blocks come from.
pub struct Heap {
    chunk: Chunk,
    /// The chunk that was in use before, while this one is the rest of the hot blocks.
    set_aside: Chunk,
    /// First free block of each size, in units; a free block begins with the address of the next.
    free: [usize; SMALL_MAX / UNIT + 1],
    /// Bytes of the hot blocks that are taken for good.
    hot_bytes: usize,
    /// Whether no more of them are.
    is_hot_full: bool,
}

/// Memory that blocks are cut from, one after the other.
#[derive(Clone, Copy)]
struct Chunk {
    /// Where the next header goes: 4 before a multiple of 8.
    next: usize,
    end: usize,
}

impl Chunk {
    const NONE: Self = Self { next: 0, end: 0 };

    /// All of this memory, whose address is a multiple of 8.
    fn new(start: usize, bytes: usize) -> Self {
        Self {
            next: start + UNIT - HEADER,
            end: start + bytes,
        }
    }

    fn has_room_for(&self, total: usize) -> bool {
        self.end.saturating_sub(self.next) >= total
    }

    /// Cuts a block of `total` bytes with its header, for which there is room.
    unsafe fn cut(&mut self, total: usize) -> *mut u8 {
        let header = self.next;
        self.next += total;
        unsafe { *(header as *mut u32) = total as u32 };
        (header + HEADER) as *mut u8
    }
}

impl Heap {
    /// Without memory.
    pub const fn new() -> Self {
        Self {
            chunk: Chunk::NONE,
            set_aside: Chunk::NONE,
            free: [0; SMALL_MAX / UNIT + 1],
            hot_bytes: 0,
            is_hot_full: false,
        }
    }
}

fn heap() -> *mut Heap {
    // SAFETY: an address is taken, and nothing read.
    unsafe { addr_of_mut!(AMPOULE_HOT.heap) }
}

unsafe extern "C" {
    fn malloc(size: usize) -> *mut u8;
    fn realloc(block: *mut u8, size: usize) -> *mut u8;
    fn free(block: *mut u8);
    fn malloc_usable_size(block: *mut u8) -> usize;
}

// SAFETY of all that follows: the guest has one thread, nothing here calls back, and QuickJS hands
// in only what it was given here and has not freed.

/// A block of at least `size` bytes; null if there is no memory.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn ampoule_malloc(size: usize) -> *mut u8 {
    if size > SMALL_MAX - HEADER {
        return unsafe { large(size) };
    }
    let total = (size + HEADER).next_multiple_of(UNIT);
    unsafe {
        let heap = &mut *heap();
        let block = heap.free[total / UNIT];
        if block != 0 {
            heap.free[total / UNIT] = *(block as *const usize);
            return block as *mut u8;
        }
        if !heap.chunk.has_room_for(total) && !refill(heap, total) {
            return null_mut();
        }
        heap.chunk.cut(total)
    }
}

/// A block of `count` times `size` zero bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn ampoule_calloc(count: usize, size: usize) -> *mut u8 {
    let Some(total) = count.checked_mul(size) else {
        return null_mut();
    };
    unsafe {
        let block = ampoule_malloc(total);
        if !block.is_null() {
            block.write_bytes(0, total);
        }
        block
    }
}

/// The block with another size, perhaps elsewhere.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn ampoule_realloc(block: *mut u8, size: usize) -> *mut u8 {
    unsafe {
        if block.is_null() {
            return ampoule_malloc(size);
        }
        let capacity = ampoule_usable_size(block);
        if header(block) == IS_LARGE && size > SMALL_MAX - HEADER {
            let Some(total) = size.checked_add(UNIT) else {
                return null_mut();
            };
            let moved = realloc(block.sub(UNIT), total);
            return if moved.is_null() {
                moved
            } else {
                moved.add(UNIT)
            };
        }
        // Half a block is worth moving for.
        if header(block) != IS_LARGE && size <= capacity && size + UNIT >= capacity / 2 {
            return block;
        }
        let moved = ampoule_malloc(size);
        if !moved.is_null() {
            moved.copy_from_nonoverlapping(block, size.min(capacity));
            ampoule_free(block);
        }
        moved
    }
}

/// Gives a block back.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn ampoule_free(block: *mut u8) {
    if block.is_null() {
        return;
    }
    unsafe {
        let total = header(block);
        if total == IS_LARGE {
            free(block.sub(UNIT));
            return;
        }
        let list = &mut (*heap()).free[total as usize / UNIT];
        *block.cast::<usize>() = *list;
        *list = block as usize;
    }
}

/// How many bytes a block really has room for.
#[unsafe(no_mangle)]
unsafe extern "C" fn ampoule_usable_size(block: *mut u8) -> usize {
    unsafe {
        match header(block) {
            IS_LARGE => malloc_usable_size(block.sub(UNIT)) - UNIT,
            total => total as usize - HEADER,
        }
    }
}

unsafe fn header(block: *mut u8) -> u32 {
    unsafe { *block.sub(HEADER).cast::<u32>() }
}

#[cold]
unsafe fn large(size: usize) -> *mut u8 {
    let Some(total) = size.checked_add(UNIT) else {
        return null_mut();
    };
    unsafe {
        let start = malloc(total);
        if start.is_null() {
            return start;
        }
        *start.add(UNIT - HEADER).cast::<u32>() = IS_LARGE;
        start.add(UNIT)
    }
}

#[cold]
unsafe fn refill(heap: &mut Heap, total: usize) -> bool {
    let set_aside = std::mem::replace(&mut heap.set_aside, Chunk::NONE);
    if set_aside.has_room_for(total) {
        heap.chunk = set_aside;
        return true;
    }
    let start = unsafe { malloc(CHUNK_BYTES) } as usize;
    if start == 0 {
        return false;
    }
    heap.chunk = Chunk::new(start, CHUNK_BYTES);
    true
}

/// A block of zeros for what is written to again and again, and never freed; among the hot ones
/// until the first snapshot, and while there is room.
#[unsafe(no_mangle)]
unsafe extern "C" fn ampoule_hot_calloc(size: usize) -> *mut u8 {
    let total = size.saturating_add(HEADER).next_multiple_of(UNIT);
    unsafe {
        let heap = &mut *heap();
        let mut rest = hot_rest(heap);
        if heap.is_hot_full || total > SMALL_MAX || !rest.has_room_for(total) {
            return ampoule_calloc(1, size);
        }
        heap.hot_bytes += total;
        // Nothing has ever been written there.
        rest.cut(total)
    }
}

/// What of the hot blocks is not taken for good.
fn hot_rest(heap: &Heap) -> Chunk {
    // SAFETY: the address and the size of a static.
    let (start, bytes) = unsafe {
        let blocks = addr_of_mut!(AMPOULE_HOT.blocks);
        (blocks as usize, size_of_val(&*blocks))
    };
    Chunk::new(start + heap.hot_bytes, bytes - heap.hot_bytes)
}

/// From now on, blocks are cut from what is left of the hot ones, until that is used up. For just
/// before a snapshot is saved: what comes first then is what an invocation makes.
pub fn begin_hot() {
    // SAFETY: one thread.
    unsafe {
        let heap = &mut *heap();
        let rest = hot_rest(heap);
        heap.set_aside = std::mem::replace(&mut heap.chunk, rest);
        heap.is_hot_full = true;
    }
}

/// From now on, they are cut from the rest of the heap again. For what stays in a snapshot.
pub fn end_hot() {
    // SAFETY: one thread.
    unsafe {
        let heap = &mut *heap();
        if heap.set_aside.end != 0 {
            heap.chunk = std::mem::replace(&mut heap.set_aside, Chunk::NONE);
        }
    }
}

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

/// Zeroes every hole, and gives back the large ones.
pub fn tidy() {
    drop_small();
    drop_large();
}

fn drop_small() {
    // SAFETY: as above; free blocks are nobody's.
    unsafe {
        let heap = &mut *heap();
        for (units, list) in heap.free.iter_mut().enumerate() {
            while *list != 0 {
                let block = *list as *mut u8;
                *list = *(block as *const usize);
                block.sub(HEADER).write_bytes(0, units * UNIT);
            }
        }
    }
}

/// Takes every hole of the C library, zeroes it, and gives back the large ones.
fn drop_large() {
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
        fn sbrk(increment: isize) -> *mut c_void;
    }
    // SAFETY: an increment of 0 changes nothing.
    unsafe { sbrk(0) as usize }
}
