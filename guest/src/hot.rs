//! What every invocation writes to, side by side.
//!
//! The kernel finds each page that an invocation wrote to, and the server copies it back: half a
//! microsecond or more, as much as several hundred instructions. Scattered over statics and the
//! heap, the 800 bytes that the smallest invocation writes were on thirteen pages. So they are
//! gathered here: the state of the guest, a few blocks of QuickJS that change all the time, the first
//! blocks that an invocation makes, and where the host puts the request (ADR 0026).

use std::cell::{Cell, RefCell};
use std::mem::offset_of;
use std::ptr::addr_of_mut;

use crate::files::Folder;
use crate::heap::{self, Heap};
use crate::operations::Operations;
use crate::rejections::Unhandled;
use crate::scratch::Scratch;

/// Size of all before the scratch buffer, in bytes: two pages.
const GATHERED_BYTES: usize = 8 << 10;
/// What is left of it for blocks.
const BLOCK_BYTES: usize = GATHERED_BYTES
    - (size_of::<Scratch>() + size_of::<Heap>()).next_multiple_of(heap::ALIGN)
    - size_of::<State>();
/// Size of the scratch buffer that is there from the start, in bytes.
const SCRATCH_BYTES: usize = 32 << 10;

/// `link` knows the scratch buffer's state by the address of this: it stays the first.
#[repr(C, align(4096))]
pub struct Hot {
    pub scratch: Scratch,
    pub heap: Heap,
    state: State,
    /// For blocks that are written to again and again, and the first that an invocation makes.
    pub blocks: [u8; BLOCK_BYTES],
    pub buffer: [u8; SCRATCH_BYTES],
}

/// What the modules keep between two calls of the host.
#[repr(align(8))]
pub struct State {
    /// Whether the JavaScript layer has called `done()`.
    pub done: Cell<bool>,
    pub folder: RefCell<Folder>,
    pub operations: RefCell<Operations>,
    pub unhandled: RefCell<Unhandled>,
    /// The request's body, while it lies in the scratch buffer.
    pub content: Cell<Option<&'static [u8]>>,
}

const _: () = assert!(offset_of!(Hot, buffer) == GATHERED_BYTES);

/// At an address that the linker exports.
#[unsafe(no_mangle)]
pub static mut AMPOULE_HOT: Hot = Hot {
    scratch: Scratch::new(),
    heap: Heap::new(),
    state: State {
        done: Cell::new(false),
        folder: RefCell::new(None),
        operations: RefCell::new(Operations::new()),
        unhandled: RefCell::new(Vec::new()),
        content: Cell::new(None),
    },
    blocks: [0; BLOCK_BYTES],
    buffer: [0; SCRATCH_BYTES],
};

/// What the modules keep.
pub fn state() -> &'static State {
    // SAFETY: the guest has one thread, and this part is only ever borrowed shared.
    unsafe { &(*addr_of_mut!(AMPOULE_HOT)).state }
}
