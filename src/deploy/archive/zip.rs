//! zip: the central directory read strictly, then one entry after the other.
//!
//! Written here rather than taken from a crate because a general reader has to be lenient: it
//! keeps the last of two entries with one name and believes the central directory where the
//! local header disagrees. Such an archive means different things to different readers, so it
//! is refused. Offsets below are from the first byte of the archive (APPNOTE 6.3, sections
//! 4.3.7 to 4.3.16); all numbers are little endian.

use std::io::Read;

use flate2::CrcReader;
use flate2::bufread::DeflateDecoder;

use super::{ArchiveError, Collector};
use crate::limits;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;

const LOCAL_BYTES: usize = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: usize = 22;
const END_64_BYTES: usize = 56;
const LOCATOR_64_BYTES: usize = 20;

/// Flags: encrypted, strongly encrypted, central directory encrypted.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// Entries that an archive may have: files and as many directories.
const ENTRIES_MAX: u64 = 2 * limits::FILES_MAX as u64;

const CUT: ArchiveError = ArchiveError::Unreadable("is not a whole, undamaged zip archive");
const CONTRADICTION: ArchiveError =
    ArchiveError::Unreadable("has a central directory that contradicts the rest of it");

/// Reads every entry of a zip into `collector`.
pub(super) fn unpack(bytes: &[u8], collector: &mut Collector) -> Result<(), ArchiveError> {
    let directory = Directory::find(bytes)?;
    let entries = directory.entries(bytes)?;
    // Entries that share bytes are how a small archive becomes a large one.
    let mut ranges: Vec<_> = entries.iter().map(|e| (e.start, e.end)).collect();
    ranges.sort_unstable();
    if ranges.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err(ArchiveError::Unreadable("has entries that overlap"));
    }
    for entry in &entries {
        if entry.name.ends_with(b"/") {
            if entry.size != 0 {
                return Err(entry.refuse("is a directory with data"));
            }
            collector.directory(entry.name)?;
        } else {
            entry.unpack(collector)?;
        }
    }
    Ok(())
}

/// Where the central directory is, as the end of the archive says.
#[derive(Debug, PartialEq, Eq)]
struct Directory {
    count: u64,
    bytes: u64,
    start: u64,
}

impl Directory {
    /// Reads the end record, and the zip64 one where there is one.
    fn find(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let end = end_record(bytes).ok_or(CUT)?;
        let read = |at| number_16(bytes, end + at).ok_or(CUT);
        let (disk, directory_disk) = (read(4)?, read(6)?);
        let (count_here, count) = (read(8)?, read(10)?);
        let short = Self {
            count: u64::from(count),
            bytes: u64::from(number_32(bytes, end + 12).ok_or(CUT)?),
            start: u64::from(number_32(bytes, end + 16).ok_or(CUT)?),
        };
        let (found, records) = match Self::find_64(bytes, end)? {
            None => (short, end),
            Some((long, records)) => {
                if !short.agrees_with(&long) {
                    return Err(CONTRADICTION);
                }
                (long, records)
            }
        };
        let saturated = |disk| disk == 0 || disk == u16::MAX;
        if !saturated(disk) || !saturated(directory_disk) || count_here != count {
            return Err(ArchiveError::Unreadable("is one part of several"));
        }
        // The directory ends exactly where the end records start, so nothing can hide between.
        if found.start.checked_add(found.bytes) != Some(records as u64) {
            return Err(CONTRADICTION);
        }
        if found.count > ENTRIES_MAX {
            return Err(ArchiveError::too_many_files());
        }
        Ok(found)
    }

    /// The zip64 end record and its offset, if a locator stands before the end record at `end`.
    fn find_64(bytes: &[u8], end: usize) -> Result<Option<(Self, usize)>, ArchiveError> {
        let Some(locator) = end.checked_sub(LOCATOR_64_BYTES) else {
            return Ok(None);
        };
        if number_32(bytes, locator) != Some(LOCATOR_64) {
            return Ok(None);
        }
        let at = number_64(bytes, locator + 8).ok_or(CUT)?;
        let at = usize::try_from(at).map_err(|_| CONTRADICTION)?;
        if at.checked_add(END_64_BYTES).is_none_or(|end| end > locator)
            || number_32(bytes, at) != Some(END_64)
        {
            return Err(CONTRADICTION);
        }
        let (here, count) = (number_64(bytes, at + 24), number_64(bytes, at + 32));
        if here != count {
            return Err(ArchiveError::Unreadable("is one part of several"));
        }
        let found = Self {
            count: count.ok_or(CUT)?,
            bytes: number_64(bytes, at + 40).ok_or(CUT)?,
            start: number_64(bytes, at + 48).ok_or(CUT)?,
        };
        Ok(Some((found, at)))
    }

    /// Whether every number of a short end record is that of the long one, or left to it.
    fn agrees_with(&self, long: &Self) -> bool {
        let agrees = |short: u64, long: u64, left: u64| short == long || short == left;
        agrees(self.count, long.count, u64::from(u16::MAX))
            && agrees(self.bytes, long.bytes, u64::from(u32::MAX))
            && agrees(self.start, long.start, u64::from(u32::MAX))
    }

    /// Reads the records of the directory, which have to fill it exactly.
    fn entries<'a>(&self, bytes: &'a [u8]) -> Result<Vec<Record<'a>>, ArchiveError> {
        let start = usize::try_from(self.start).map_err(|_| CONTRADICTION)?;
        let length = usize::try_from(self.bytes).map_err(|_| CONTRADICTION)?;
        let mut rest = bytes.get(start..start + length).ok_or(CONTRADICTION)?;
        let mut entries = Vec::new();
        for _ in 0..self.count {
            let (entry, after) = Record::read(rest, &bytes[..start])?;
            entries.push(entry);
            rest = after;
        }
        if rest.is_empty() {
            Ok(entries)
        } else {
            Err(CONTRADICTION)
        }
    }
}

/// One entry: what the central directory says, checked against the local header.
struct Record<'a> {
    name: &'a [u8],
    deflated: bool,
    checksum: u32,
    /// Length of the data once unpacked, as declared.
    size: u64,
    data: &'a [u8],
    /// Where the local header starts and where the data ends.
    start: usize,
    end: usize,
}

impl<'a> Record<'a> {
    /// Reads the first record of `directory` and finds its data in `body`, which is everything
    /// before the directory. Answers what follows the record, too.
    fn read(directory: &'a [u8], body: &'a [u8]) -> Result<(Self, &'a [u8]), ArchiveError> {
        let short = |at| number_16(directory, at).ok_or(CUT);
        let long = |at| number_32(directory, at).ok_or(CUT);
        if long(0)? != CENTRAL {
            return Err(CONTRADICTION);
        }
        let name_end = CENTRAL_BYTES + usize::from(short(28)?);
        let extra_end = name_end + usize::from(short(30)?);
        let record_end = extra_end + usize::from(short(32)?);
        let name = directory.get(CENTRAL_BYTES..name_end).ok_or(CUT)?;
        let extra = directory.get(name_end..extra_end).ok_or(CUT)?;
        let rest = directory.get(record_end..).ok_or(CUT)?;
        let refuse = |reason| Err(ArchiveError::entry(name, reason));
        let (flags, method) = (short(8)?, short(10)?);
        if flags & ENCRYPTED != 0 {
            return refuse("is encrypted");
        }
        if method != 0 && method != 8 {
            return refuse("is compressed in another way than stored or deflate");
        }
        // The upper half holds the Unix mode where the archive was made on such a system.
        match long(38)? >> 16 & 0o170_000 {
            0 | 0o100_000 => {}
            0o040_000 if name.ends_with(b"/") => {}
            0o120_000 => return refuse("is a symbolic link"),
            0o010_000 => return refuse("is a named pipe"),
            0o020_000 | 0o060_000 => return refuse("is a device"),
            _ => return refuse("is neither a file nor a directory"),
        }
        let sizes = [long(24)?, long(20)?, long(42)?];
        let Some([size, packed, start]) = sizes_64(sizes, extra) else {
            return refuse("has a damaged zip64 field");
        };
        let Some((start, data)) = locate(body, start, packed) else {
            return refuse("has data outside of the archive");
        };
        if !local_agrees(body, start, name, method) {
            return refuse("has two headers that disagree");
        }
        let end = data.end;
        let record = Self {
            name,
            deflated: method == 8,
            checksum: long(16)?,
            size,
            data: &body[data],
            start,
            end,
        };
        Ok((record, rest))
    }

    fn refuse(&self, reason: &'static str) -> ArchiveError {
        ArchiveError::entry(self.name, reason)
    }

    fn unpack(&self, collector: &mut Collector) -> Result<(), ArchiveError> {
        let (checksum, used) = if self.deflated {
            let mut reader = CrcReader::new(DeflateDecoder::new(self.data));
            collector.file(self.name, self.size, &mut reader)?;
            (reader.crc().sum(), reader.into_inner().total_in())
        } else {
            let mut reader = CrcReader::new(self.data);
            collector.file(self.name, self.size, &mut reader as &mut dyn Read)?;
            (reader.crc().sum(), self.size)
        };
        if used != self.data.len() as u64 {
            return Err(self.refuse("has data of another length than its header says"));
        }
        if checksum != self.checksum {
            return Err(self.refuse("has damaged data"));
        }
        Ok(())
    }
}

/// The offset of the last end record: its comment has to reach the end of the archive.
fn end_record(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    (first..=last).rev().find(|at| {
        number_32(bytes, *at) == Some(END)
            && number_16(bytes, at + 20).map(usize::from) == Some(last - at)
    })
}

/// Replaces those of size, packed size and offset that are left to the zip64 field.
fn sizes_64(short: [u32; 3], mut extra: &[u8]) -> Option<[u64; 3]> {
    let mut long: &[u8] = &[];
    while extra.len() >= 4 {
        let end = 4 + usize::from(number_16(extra, 2)?);
        if number_16(extra, 0)? == 1 {
            long = extra.get(4..end)?;
            break;
        }
        extra = extra.get(end..)?;
    }
    let mut sizes = short.map(u64::from);
    for (size, short) in sizes.iter_mut().zip(short) {
        if short == u32::MAX {
            *size = number_64(long, 0)?;
            long = &long[8..];
        }
    }
    Some(sizes)
}

/// Finds an entry's data behind its local header: the offset of that and the data's range.
fn locate(body: &[u8], start: u64, packed: u64) -> Option<(usize, std::ops::Range<usize>)> {
    let start = usize::try_from(start).ok()?;
    let packed = usize::try_from(packed).ok()?;
    let name = number_16(body, start.checked_add(26)?)?;
    let extra = number_16(body, start.checked_add(28)?)?;
    let data = start + LOCAL_BYTES + usize::from(name) + usize::from(extra);
    let end = data.checked_add(packed)?;
    (end <= body.len()).then_some((start, data..end))
}

/// Whether the local header at `start` is one, for the same name packed the same way.
fn local_agrees(body: &[u8], start: usize, name: &[u8], method: u16) -> bool {
    let name_start = start + LOCAL_BYTES;
    number_32(body, start) == Some(LOCAL)
        && number_16(body, start + 6).is_some_and(|flags| flags & ENCRYPTED == 0)
        && number_16(body, start + 8) == Some(method)
        && number_16(body, start + 26).map(usize::from) == Some(name.len())
        && body.get(name_start..name_start + name.len()) == Some(name)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn number_16(bytes: &[u8], at: usize) -> Option<u16> {
    field(bytes, at).map(u16::from_le_bytes)
}

fn number_32(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_le_bytes)
}

fn number_64(bytes: &[u8], at: usize) -> Option<u64> {
    field(bytes, at).map(u64::from_le_bytes)
}
