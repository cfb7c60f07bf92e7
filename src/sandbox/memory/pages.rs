//! Which pages of a memory are its own: what the kernel knows, and how to ask it.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// `struct pm_scan_arg` of linux/fs.h (PAGEMAP_SCAN(2const), Linux 6.7).
#[repr(C)]
#[derive(Debug, Default)]
struct ScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region` of the same.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::Ioctl = 0xc060_6610_u32 as libc::Ioctl;
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;
/// Ranges that one call of the kernel answers.
const RANGES: usize = 64;

const _: () = assert!(size_of::<ScanArg>() == 96);

/// The pages of this process. No child is made of it that goes on in its memory.
static PAGEMAP: LazyLock<Option<File>> = LazyLock::new(|| File::open("/proc/self/pagemap").ok());

/// Whether the kernel can be asked.
pub(in crate::sandbox) fn is_scan_available() -> bool {
    scan(0..0, 1, &mut [PageRegion::default()]).is_ok()
}

/// Collects in `own` where pages are that were written to, from the first on, at most `pages_max` of
/// them; answers where the kernel stopped looking, which is the end if it saw all.
///
/// A page of a private mapping that was written to is neither one of the file behind it nor the
/// page of zeros; where it is just then, in memory, on its way to another place in it, or in a swap
/// area, is nothing that matters.
pub(super) fn own(
    within: Range<usize>,
    pages_max: usize,
    own: &mut Vec<Range<usize>>,
) -> io::Result<usize> {
    let page = rustix::param::page_size();
    let (mut at, mut left) = (within.start, pages_max);
    own.clear();
    while at < within.end && left > 0 {
        let mut found = [PageRegion::default(); RANGES];
        let (count, stopped) = scan(at..within.end, left, &mut found)?;
        for region in &found[..count] {
            let range = address(region.start)..address(region.end);
            left = left.saturating_sub(range.len() / page);
            own.push(range);
        }
        if stopped <= at {
            return Err(io::Error::other("the kernel looked at no page"));
        }
        at = stopped;
    }
    Ok(at.min(within.end))
}

/// One call: how many ranges there are, and where it stopped.
fn scan(
    within: Range<usize>,
    pages_max: usize,
    found: &mut [PageRegion],
) -> io::Result<(usize, usize)> {
    let Some(pagemap) = &*PAGEMAP else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let mut arg = ScanArg {
        size: size_of::<ScanArg>() as u64,
        start: within.start as u64,
        end: within.end as u64,
        vec: found.as_mut_ptr().expose_provenance() as u64,
        vec_len: found.len() as u64,
        max_pages: pages_max as u64,
        category_inverted: PAGE_IS_PFNZERO | PAGE_IS_FILE,
        category_mask: PAGE_IS_PFNZERO | PAGE_IS_FILE,
        category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        ..ScanArg::default()
    };
    #[expect(unsafe_code, reason = "rustix has no name for this call")]
    // SAFETY: the kernel writes to `arg` and to as many of `found` as it is told there are.
    let answer = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut arg) };
    match usize::try_from(answer) {
        Ok(count) => Ok((count.min(found.len()), address(arg.walk_end))),
        Err(_negative) => Err(io::Error::last_os_error()),
    }
}

fn address(of: u64) -> usize {
    usize::try_from(of).unwrap_or(usize::MAX)
}

/// Whether a page may have become a memory's own since it was handed out.
///
/// That takes a page fault, and the kernel counts those of each thread. So if the memory was used on
/// one thread alone, and the thread has had no fault, the pages are the same as before.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The one thread, by [`Here::thread`]; 0 when there were several.
    thread: AtomicU64,
    faults: AtomicU64,
}

impl Watch {
    /// The memory is handed out on this thread.
    pub(super) fn begin(&self) {
        let here = Here::known();
        self.thread.store(here.thread, Ordering::Relaxed);
        self.faults.store(here.faults, Ordering::Relaxed);
    }

    /// Whether it last began on this thread.
    pub(super) fn is_from_here(&self) -> bool {
        self.thread.load(Ordering::Relaxed) == Here::known().thread
    }

    /// The memory is used on this thread from now on.
    pub(super) fn enter(&self) {
        if self.thread.load(Ordering::Relaxed) != Here::known().thread {
            self.thread.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the pages are the same as they were when it began.
    pub(super) fn is_unchanged(&self) -> bool {
        let here = Here::now();
        self.thread.load(Ordering::Relaxed) == here.thread
            && self.faults.load(Ordering::Relaxed) == here.faults
    }
}

/// A thread, and the page faults that it has had.
#[derive(Debug, Clone, Copy)]
struct Here {
    /// From 1; never used for another thread.
    thread: u64,
    faults: u64,
}

thread_local! {
    static HERE: Cell<Option<Here>> = const { Cell::new(None) };
}

impl Here {
    /// This thread, with the faults of when they were last asked for: at most those that it has had.
    fn known() -> Self {
        HERE.get().unwrap_or_else(Self::now)
    }

    /// This thread as it is now.
    fn now() -> Self {
        static THREADS: AtomicU64 = AtomicU64::new(1);
        let next = || THREADS.fetch_add(1, Ordering::Relaxed);
        let here = Self {
            thread: HERE.get().map_or_else(next, |here| here.thread),
            faults: faults(),
        };
        HERE.set(Some(here));
        here
    }
}

/// Page faults that this thread has had, those that waited for a disk included; a number that it has
/// never been if the kernel does not say.
fn faults() -> u64 {
    static UNKNOWN: AtomicU64 = AtomicU64::new(1 << 63);
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    #[expect(unsafe_code, reason = "rustix has no name for this call")]
    // SAFETY: the kernel writes one `rusage`, for which zeros are a value as well.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) != 0 {
            return UNKNOWN.fetch_add(1, Ordering::Relaxed);
        }
        usage.assume_init()
    };
    (usage.ru_minflt + usage.ru_majflt).cast_unsigned()
}
