//! Keeps mapped, of each sandbox's memory, what invocations touch.
//!
//! After an invocation the kernel is asked which pages were written to, and looks at every page
//! that is mapped. Whenever a page is read for the first time, it maps the sixteen around it along
//! with it: of 417 mapped pages of a small function, 74 are used (measured with clear_refs). So
//! once a sandbox's memory has been used a few times, all of it is unmapped, and for one
//! invocation each page is a mapping of its own, around which nothing is mapped: what is mapped
//! afterwards is what it touched (ADR 0019).
//!
//! Nothing here is needed for the result. What cannot be done is left.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::mm::{Advice, madvise};

/// Uses of a memory by one image after which it is trimmed, again and again: later ones find what
/// came with functions that do something else now and then.
const USES: [u32; 3] = [16, 1 << 10, 1 << 16];
/// No two sandboxes are so near to each other: each has 4 GiB of addresses.
const NEIGHBOUR_BITS: u32 = 30;
/// Largest part that is taken apart, in bytes: there are 65,530 mappings in a process.
const PART_BYTES_MAX: usize = 32 << 20;
/// Memories of others that are used before one is put together without having been used again.
const PATIENCE: u32 = 1 << 12;

/// The memories of an engine's sandboxes.
#[derive(Debug, Default)]
pub(super) struct Trim {
    memories: Mutex<Memories>,
}

#[derive(Debug, Default)]
struct Memories {
    /// By their addresses without the last [`NEIGHBOUR_BITS`] bits.
    uses: HashMap<usize, Uses>,
    apart: Apart,
}

#[derive(Debug, Clone, Copy, Default)]
struct Uses {
    image: usize,
    count: u32,
}

/// The one memory that is taken apart.
#[derive(Debug, Default)]
enum Apart {
    #[default]
    None,
    /// Somebody is taking one apart.
    Begun,
    /// This part is, and others were used so often since.
    Done(Range<usize>, u32),
}

impl Trim {
    /// Notes that an invocation has ended whose memory, a mapping of `image`, has the address
    /// `within`.
    ///
    /// The caller vouches for it that nothing reads or writes that memory any more until its
    /// contents have been put back: they may be put back here.
    pub(super) fn ended(&self, within: usize, image: usize) {
        let (whole_again, is_due) = self.lock().note(within, image);
        // The kernel takes its time, so nobody else waits for the lock meanwhile.
        if let Some(part) = whole_again {
            advise(part, Advice::LinuxDoFork);
        }
        if is_due {
            let part = take_apart(within);
            self.lock().apart = part.map_or(Apart::None, |part| Apart::Done(part, 0));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memories> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memories {
    /// Counts a use: answers the part that is to be put together, and whether the memory that was
    /// used is to be taken apart.
    fn note(&mut self, within: usize, image: usize) -> (Option<Range<usize>>, bool) {
        let whole_again = self.whole_again(within);
        let uses = self.uses.entry(within >> NEIGHBOUR_BITS).or_default();
        if uses.image != image {
            *uses = Uses { image, count: 0 };
        }
        uses.count = uses.count.saturating_add(1);
        let is_due = USES.contains(&uses.count) && matches!(self.apart, Apart::None);
        if is_due {
            self.apart = Apart::Begun;
        }
        (whole_again, is_due)
    }

    /// The part that is apart, once its memory was used.
    fn whole_again(&mut self, within: usize) -> Option<Range<usize>> {
        let Apart::Done(part, others) = &mut self.apart else {
            return None;
        };
        *others += 1;
        let is_used = part.start >> NEIGHBOUR_BITS == within >> NEIGHBOUR_BITS;
        if !is_used && *others <= PATIENCE {
            return None;
        }
        let part = part.clone();
        self.apart = Apart::None;
        Some(part)
    }
}

/// Unmaps the image in a memory and makes each of its pages a mapping of its own; answers where.
fn take_apart(within: usize) -> Option<Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let part = image_around(&maps, within)?;
    if part.len() > PART_BYTES_MAX {
        return None;
    }
    advise(part.clone(), Advice::LinuxDontNeed);
    let page = rustix::param::page_size();
    for start in part.clone().step_by(2 * page) {
        // Neighbours that differ in this are mappings of their own. No child is made of this
        // process that goes on in its memory, so it means nothing else.
        advise(start..start + page, Advice::LinuxDontFork);
    }
    Some(part)
}

/// The part of a sandbox's memory that is mapped from its image: from the lines of
/// `/proc/self/maps`, and an address in that memory.
///
/// The memory is a row of writable mappings between others that cannot be accessed. Only what is
/// mapped from a file comes back when it is unmapped; the rest is zero, which it was, too.
fn image_around(maps: &str, within: usize) -> Option<Range<usize>> {
    let mut memory: Vec<(Range<usize>, bool)> = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        let is_writable = fields.next()? == "rw-p";
        let is_file = fields.nth(2)? != "0";
        let goes_on = memory.last().is_some_and(|(last, _)| last.end == start);
        if !goes_on || !is_writable {
            if memory.iter().any(|(range, _)| range.contains(&within)) {
                break;
            }
            memory.clear();
        }
        if is_writable {
            memory.push((start..end, is_file));
        }
    }
    if !memory.iter().any(|(range, _)| range.contains(&within)) {
        return None;
    }
    let mut files = memory.iter().filter(|(_, is_file)| *is_file);
    let first = files.next()?;
    let last = files.next_back().unwrap_or(first);
    Some(first.0.start..last.0.end)
}

fn advise(part: Range<usize>, advice: Advice) {
    let start = std::ptr::with_exposed_provenance_mut(part.start);
    #[expect(unsafe_code, reason = "the caller of `ended` vouches for the memory")]
    // SAFETY: nobody reads or writes this memory until its contents are put back, which is what
    // unmapping a private mapping does; the other advice changes no contents.
    let advised = unsafe { madvise(start, part.len(), advice) };
    // A memory that is gone meanwhile needs none.
    let _ = advised;
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
        7d0000000000-7d0000010000 ---p 00000000 00:00 0 \n\
        7d0000010000-7d0000011000 rw-p 00000000 00:00 0 \n\
        7d0000011000-7d0000021000 rw-p 00003000 fe:00 12 /cache/base.cwasm\n\
        7d0000021000-7d0000031000 rw-p 00000000 00:00 0 \n\
        7d0000031000-7d0080000000 ---p 00000000 00:00 0 \n\
        7d0080000000-7d0080010000 rw-p 00000000 00:01 9 /memfd:wasm-memory-image (deleted)\n\
        7d0080010000-7d0080011000 ---p 00000000 00:00 0 \n\
        7d0100000000-7d0100010000 rw-p 00000000 00:00 0 [heap]\n";

    #[test]
    fn the_image_is_found_from_any_address_of_its_memory() {
        for within in [0x7d00_0001_0000, 0x7d00_0001_1000, 0x7d00_0003_0fff] {
            let found = image_around(MAPS, within);
            assert_eq!(found, Some(0x7d00_0001_1000..0x7d00_0002_1000));
        }
        let other = image_around(MAPS, 0x7d00_8000_0008);
        assert_eq!(other, Some(0x7d00_8000_0000..0x7d00_8001_0000));
    }

    /// Pages of a file between two that cannot be accessed, as a sandbox's memory is mapped.
    fn mapped(pages: usize) -> Range<usize> {
        use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};
        let page = rustix::param::page_size();
        let file = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &vec![b'f'; pages * page], 0).unwrap();
        let whole = (pages + 2) * page;
        let (null, private) = (std::ptr::null_mut(), MapFlags::PRIVATE);
        #[expect(unsafe_code, reason = "memory of this test's own")]
        // SAFETY: the second mapping lies within the first, which nobody else knows.
        let start = unsafe {
            let around = mmap_anonymous(null, whole, ProtFlags::empty(), private).unwrap();
            let within = around.byte_add(page);
            let access = ProtFlags::READ | ProtFlags::WRITE;
            let flags = private | MapFlags::FIXED;
            mmap(within, pages * page, access, flags, &file, 0).unwrap()
        };
        start.expose_provenance()..start.addr() + pages * page
    }

    fn at(address: usize) -> &'static std::sync::atomic::AtomicU8 {
        #[expect(unsafe_code, reason = "memory of this test's own")]
        // SAFETY: it is mapped until the process ends.
        unsafe {
            &*std::ptr::with_exposed_provenance(address)
        }
    }

    /// Pages of a part that are in memory, and mappings that it consists of.
    fn state_of(part: &Range<usize>) -> (usize, usize) {
        let (mut resident, mut mappings, mut is_part) = (0, 0, false);
        for line in std::fs::read_to_string("/proc/self/smaps").unwrap().lines() {
            let word = line.split_ascii_whitespace().next().unwrap();
            if let Some((start, end)) = word.split_once('-') {
                let number = |text| usize::from_str_radix(text, 16).unwrap();
                is_part = part.start <= number(start) && number(end) <= part.end;
                mappings += usize::from(is_part);
            } else if is_part && word == "Rss:" {
                let kib = line.split_ascii_whitespace().nth(1).unwrap();
                resident += kib.parse::<usize>().unwrap() * 1024 / rustix::param::page_size();
            }
        }
        (resident, mappings)
    }

    #[test]
    fn after_some_uses_only_what_is_touched_stays_mapped() {
        use std::sync::atomic::Ordering::Relaxed;
        let (page, part) = (rustix::param::page_size(), mapped(64));
        let (trim, touched) = (Trim::default(), part.start + 20 * page);
        for _use in 1..USES[0] {
            assert_eq!(at(touched).load(Relaxed), b'f');
            trim.ended(part.start, 1);
        }
        // Most kernels have mapped the pages around it as well by now.
        assert_ne!(state_of(&part).0, 0);
        at(touched).store(b'x', Relaxed);
        trim.ended(part.start, 1);
        assert_eq!(state_of(&part), (0, 64), "one mapping for each page");
        // The next use: what was written is undone, and what is read comes alone.
        assert_eq!(at(touched).load(Relaxed), b'f');
        trim.ended(part.start, 1);
        assert_eq!(state_of(&part), (1, 1));
        // Another image in the same place begins anew.
        for _use in 0..USES[0] {
            trim.ended(part.start, 2);
        }
        assert_eq!(state_of(&part), (0, 64));
        // One that is not used again does not stay apart for ever.
        for _use in 0..=PATIENCE {
            trim.ended(0, 3);
        }
        assert_eq!(state_of(&part), (0, 1));
    }

    #[test]
    fn memory_of_no_image_is_left_alone() {
        for within in [0, 0x7d00_0000_0000, 0x7d00_0003_1000, 0x7d01_0000_0000] {
            assert_eq!(image_around(MAPS, within), None, "{within:x}");
        }
        assert_eq!(image_around("nonsense", 1), None);
    }
}
