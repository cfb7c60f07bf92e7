//! Where the host puts lists and strings: a scratch buffer beside the heap.
//!
//! A host function that answers a list needs memory in the guest. The canonical ABI asks an
//! allocator for it; ours is the module `link/src/scratch.wat`, which bumps a pointer in
//! [`Scratch`]. Because that module stands outside the engine, no imported table is needed
//! to tie the knot between the two (ADR 0002). Answers are copied into JavaScript at once, and
//! [`Guard`] hands the space back, so a request touches the same few pages again and again.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::addr_of_mut;

use crate::heap;
use crate::hot::AMPOULE_HOT;

const REGIONS: usize = 64;

/// The state of the scratch buffer. Known to `link/src/scratch.wat` field by field; keep both in step.
#[repr(C)]
pub struct Scratch {
    used: usize,
    end: usize,
    regions: usize,
    region: [(usize, usize); REGIONS],
}

impl Scratch {
    /// Without a buffer.
    pub const fn new() -> Self {
        Self {
            used: 0,
            end: 0,
            regions: 0,
            region: [(0, 0); REGIONS],
        }
    }
}

fn scratch() -> *mut Scratch {
    // SAFETY: an address is taken, and nothing read.
    unsafe { addr_of_mut!(AMPOULE_HOT.scratch) }
}

/// Makes the scratch buffer ready; called by `prepare`, before any host call.
pub fn init() {
    // SAFETY: the guest has one thread, and nothing points into the buffer yet.
    unsafe {
        let base = addr_of_mut!(AMPOULE_HOT.buffer) as usize;
        let end = base + size_of_val(&*addr_of_mut!(AMPOULE_HOT.buffer));
        let scratch = &mut *scratch();
        scratch.region[0] = (base, end);
        scratch.regions = 1;
        scratch.used = base;
        scratch.end = end;
    }
}

/// Gives back on drop what host calls took from the scratch buffer since it was made.
///
/// Nothing that came out of a host call meanwhile may live longer.
pub struct Guard {
    used: usize,
    regions: usize,
}

impl Guard {
    /// Marks the scratch buffer as it is.
    pub fn new() -> Self {
        // SAFETY: one thread.
        let scratch = unsafe { &*scratch() };
        Self {
            used: scratch.used,
            regions: scratch.regions,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: one thread, and by contract nothing in the given-back part is still in use.
        unsafe {
            let scratch = &mut *scratch();
            scratch.used = if scratch.regions == self.regions {
                self.used
            } else {
                // A larger region was taken meanwhile: all of it is free again.
                scratch.region[scratch.regions - 1].0
            };
        }
    }
}

fn is_scratch(address: usize) -> bool {
    // SAFETY: one thread.
    let scratch = unsafe { &*scratch() };
    scratch.region[..scratch.regions]
        .iter()
        .any(|&(base, end)| base <= address && address < end)
}

/// The heap of QuickJS for Rust too, but that it leaves alone what belongs to the scratch buffer.
struct Heap;

/// Whether the heap aligns as it should; what wants more comes from the C library.
fn is_plain(layout: Layout) -> bool {
    layout.align() <= heap::ALIGN
}

// SAFETY: a block goes back to where it came from, which its layout tells; scratch memory is never
// freed one by one, and is copied when it has to grow.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_plain(layout) {
            return unsafe { heap::ampoule_malloc(layout.size()) };
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if is_scratch(pointer as usize) {
            return;
        }
        if is_plain(layout) {
            unsafe { heap::ampoule_free(pointer) }
        } else {
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_scratch(pointer as usize) {
            return if is_plain(layout) {
                unsafe { heap::ampoule_realloc(pointer, size) }
            } else {
                unsafe { System.realloc(pointer, layout, size) }
            };
        }
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                pointer.copy_to_nonoverlapping(new, layout.size().min(size));
            }
            new
        }
    }
}

#[global_allocator]
static HEAP: Heap = Heap;
