//! Where the host puts lists and strings: a scratch buffer beside the heap.
//!
//! A host function that answers a list needs memory in the guest. The canonical ABI asks an
//! allocator for it; ours is the module `link/src/scratch.wat`, which bumps a pointer in
//! [`AMPOULE_SCRATCH`]. Because that module stands outside the engine, no imported table is needed
//! to tie the knot between the two (ADR 0002). Answers are copied into JavaScript at once, and
//! [`Guard`] hands the space back, so a request touches the same few pages again and again.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::addr_of_mut;

const REGIONS: usize = 64;
const FIRST_BYTES: usize = 32 << 10;

/// Known to `link/src/scratch.wat` field by field; keep both in step.
#[repr(C)]
pub struct Scratch {
    used: usize,
    end: usize,
    regions: usize,
    region: [(usize, usize); REGIONS],
}

/// The state of the scratch buffer, at an address that the linker exports.
#[unsafe(no_mangle)]
pub static mut AMPOULE_SCRATCH: Scratch = Scratch {
    used: 0,
    end: 0,
    regions: 0,
    region: [(0, 0); REGIONS],
};

#[repr(C, align(16))]
struct First([u8; FIRST_BYTES]);
static mut FIRST: First = First([0; FIRST_BYTES]);

/// Makes the scratch buffer ready; called by `prepare`, before any host call.
pub fn init() {
    // SAFETY: the guest has one thread, and nothing points into the buffer yet.
    unsafe {
        let base = addr_of_mut!(FIRST) as usize;
        let scratch = &mut *addr_of_mut!(AMPOULE_SCRATCH);
        scratch.region[0] = (base, base + FIRST_BYTES);
        scratch.regions = 1;
        scratch.used = base;
        scratch.end = base + FIRST_BYTES;
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
        let scratch = unsafe { &*addr_of_mut!(AMPOULE_SCRATCH) };
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
            let scratch = &mut *addr_of_mut!(AMPOULE_SCRATCH);
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
    let scratch = unsafe { &*addr_of_mut!(AMPOULE_SCRATCH) };
    scratch.region[..scratch.regions]
        .iter()
        .any(|&(base, end)| base <= address && address < end)
}

/// The system's allocator, which leaves alone what belongs to the scratch buffer.
struct Heap;

// SAFETY: all but scratch addresses go to the system's allocator unchanged; scratch memory is
// never freed one by one, and is copied when it has to grow.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !is_scratch(pointer as usize) {
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_scratch(pointer as usize) {
            return unsafe { System.realloc(pointer, layout, size) };
        }
        unsafe {
            let new = System.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                pointer.copy_to_nonoverlapping(new, layout.size().min(size));
            }
            new
        }
    }
}

#[global_allocator]
static HEAP: Heap = Heap;
